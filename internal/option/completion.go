package option

import "strings"

// CompletionOption prints a completion script and answers its questions.
const CompletionOption = "completion"

// CompletionScript returns the completion script of a shell for a tool. The script calls
// "TOOL --completion SHELL -- WORD..." to ask what the word at the cursor can become. It
// evaluates nothing that is typed or printed. TOOL is the program as it was typed if that
// names a file, else the one in PATH.
func CompletionScript(shell, tool string) string {
	return strings.ReplaceAll(completionScripts[shell], "TOOL", tool)
}

// completionScripts holds the scripts by shell. The answer that they read consists of
// lines: the kind of completion ("words" for none by the shell itself, or files,
// directories or hosts), after files their patterns, with a final * that applies if no
// other pattern matches; the stem, the part of the word that stays; and the words.
var completionScripts = map[string]string{
	"bash": `# bash completion for TOOL: source it, or put it into
# ~/.local/share/bash-completion/completions/TOOL
_TOOL() {
	local IFS=$' \t\n' program=${COMP_WORDS[0]/#'~/'/$HOME/} line=${COMP_LINE:0:COMP_POINT}
	local words=() word='' whole='' kept how stem offers files=() i
	[[ $program == */* ]] || program=TOOL
	if [[ ! $line ]]; then # called without bash
		line="${COMP_WORDS[*]:0:COMP_CWORD+1}"
		for word in = : @; do line=${line//" $word"/$word}; line=${line//"$word "/$word}; done
	fi
	# Bash splits at = and : too: what has no blank between it is one word.
	for ((i = 0; i <= COMP_CWORD; i++)); do
		if ((i > 0)) && [[ $line == [[:space:]]* ]]; then
			words+=("${whole/#'~/'/$HOME/}")
			whole='' line=${line#"${line%%[![:space:]]*}"}
		fi
		word=${COMP_WORDS[i]}
		((i < COMP_CWORD)) || word=$line
		line=${line#"$word"}
		word=${word#[\'\"]}
		whole+=$word
	done
	word=${2-$word} # what bash puts our word in place of
	[[ $word =~ ^[=:]+$ ]] && word=
	kept=${whole%"$word"}
	{ read -ra how; IFS= read -r stem; mapfile -t offers; } < <("$program" --completion bash -- "${words[@]:1}" "$whole" 2>/dev/null)
	word=${whole#"$stem"}
	case ${how[0]} in
	files)
		compopt -o filenames 2>/dev/null
		for i in "${how[@]:1}"; do
			[[ $i == '*' ]] || mapfile -t -O ${#files[@]} files < <(compgen -f -X "!$i" -- "$word")
		done
		if [[ ${files-} || ${how[-1]} != '*' ]]; then
			mapfile -t -O ${#files[@]} files < <(compgen -d -- "$word")
		else
			mapfile -t files < <(compgen -f -- "$word")
		fi
		offers+=("${files[@]}") ;;
	directories)
		compopt -o filenames 2>/dev/null
		mapfile -t offers < <(compgen -d -- "$word") ;;
	hosts) mapfile -t offers < <(compgen -A hostname -- "$word") ;;
	esac
	COMPREPLY=()
	for word in "${offers[@]}"; do
		word=$stem$word
		COMPREPLY+=("${word#"$kept"}")
	done
}
complete -F _TOOL TOOL
`,
	"zsh": `#compdef TOOL
# zsh completion for TOOL: put it as _TOOL into a directory of $fpath
local program=${${(Q)words[1]}/#\~\//$HOME/} how ret=1
local -a lines asked
[[ $program == */* ]] || program=TOOL
asked=("${(@)${(@Q)words[2,CURRENT-1]}/#\~\//$HOME/}" "${(Q)PREFIX}")
lines=("${(@f)$("$program" --completion zsh -- "${asked[@]}" 2>/dev/null)}")
how=$lines[1]
compset -P "${(b)lines[2]}"
lines=("${(@)lines[3,-1]}")
(( $#lines )) && _describe -t values TOOL lines && ret=0
case $how in
files\ \*) _files && ret=0 ;;
files\ *\ \*) _files -g "${${how#files }% \*}" && ret=0 ;;
files\ *) _path_files -g "${how#files } *(-/)" && ret=0 ;;
directories) _files -/ && ret=0 ;;
hosts) _hosts && ret=0 ;;
esac
return ret
`,
	"fish": `# fish completion for TOOL: put it as TOOL.fish into ~/.config/fish/completions
function __TOOL_complete
	set -l words (string replace -r '^~/' "$HOME/" -- (commandline -opc))
	set -l typed (commandline -ct)
	string match -q '*/*' -- $words[1]; or set words[1] TOOL
	set -l lines ($words[1] --completion fish -- $words[2..-1] (string unescape -- "$typed"; or echo) 2>/dev/null)
	set -l how (string split ' ' -- $lines[1])
	set -l files
	switch "$how[1]"
		case files directories
			# What fish offers to a command that it does not know.
			set -l all (complete -C "__TOOL_none "(string sub -s (math 1 + (string length -- "$lines[2]")) -- "$typed"))
			set files (string match -r '^.*/(?:\t.*)?$' -- $all)
			set -l some
			for pattern in $how[2..-1]
				if test $pattern != '*'
					set -a some (string match -- $pattern (string replace -r '\t.*' '' -- $all))
				else if not set -q some[1]
					set files $all
				end
			end
			set -a files $some
		case hosts
			set files (__fish_print_hostnames)
	end
	set -q files[1]; and printf '%s\n' "$lines[2]"$files
	set -q lines[3]; and printf '%s\n' $lines[3..-1]
end
complete -c TOOL -f -a '(__TOOL_complete)'
`,
	"powershell": `# PowerShell completion for TOOL: dot-source it from $PROFILE
Register-ArgumentCompleter -Native -CommandName TOOL -ScriptBlock {
	param($word, $ast, $cursor)
	$words = @($ast.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object {
		if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.ToString() }
	})
	$program = if ($words[0] -match '[/\\]') { $words[0] } else { 'TOOL' }
	# The = before the word is for versions that drop empty words.
	$asked = @('--completion', 'powershell', '--') + @($words | Select-Object -Skip 1) + "=$word"
	$how, $stem, $offers = @(& $program @asked 2>$null)
	$results = @(foreach ($offer in $offers) {
		$text, $help = $offer -split [char]9, 2
		[System.Management.Automation.CompletionResult]::new($text, $text, 'ParameterValue', $(if ($help) { $help } else { $text }))
	})
	if ($how -match '^(files|directories)') {
		$patterns = @(-split $how | Select-Object -Skip 1)
		$all = @([System.Management.Automation.CompletionCompleters]::CompleteFilename($word.Substring($stem.Length)))
		$directories = @($all | Where-Object { $_.ResultType -eq 'ProviderContainer' })
		$files = @($all | Where-Object { $_.ResultType -ne 'ProviderContainer' -and $how -ne 'directories' })
		$some = @($files | Where-Object { $name = $_.ListItemText; $patterns | Where-Object { $_ -ne '*' -and $name -like $_ } })
		if ($some -or $patterns -notcontains '*') { $files = $some }
		$results += @(foreach ($file in $files + $directories) {
			[System.Management.Automation.CompletionResult]::new($stem + $file.CompletionText, $file.ListItemText, $file.ResultType, $file.ToolTip)
		})
	}
	if ($results) { $results } else { '' } # without any it offers files
}
`,
}

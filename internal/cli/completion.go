package cli

import (
	"fmt"
	"strings"
)

// CompletionScript is the script that teaches a shell the options of a tool. All
// words are in the script but the names of contexts, for which the tool runs:
// "TOOL context list --names". Nothing that is typed or printed is evaluated.
func CompletionScript(shell string, t Tool) string {
	c := completion{tool: t.Name, table: Table(t.Bit), lister: contextProgram(t.Name, t.Bit)}
	for _, command := range t.Commands {
		c.first = append(c.first, command.Name)
	}
	if t.Bit&PubSub != 0 {
		c.first, c.contexts = append(c.first, contextOption), contextWords()
	}
	switch shell {
	case "bash":
		return c.bash()
	case "zsh":
		return c.zsh()
	case "fish":
		return c.fish()
	}
	return c.powershell()
}

// completion is what the scripts know of a tool.
type completion struct {
	tool     string
	lister   string // the tool that lists the contexts
	table    Options
	first    []string // what the first word may be
	contexts []string // what may follow context; nil where that is no command
}

// takeName are the context commands that take the name of one there is.
const takeName = "use|show|remove"

// contextProgram is the tool that lists the contexts of a tool.
func contextProgram(tool string, bit ToolSet) string {
	if bit&PubSub == 0 {
		return "mqpub"
	}
	return tool
}

// takesValue tells whether the next word belongs to an option.
func (o *Option) takesValue() bool { return o.Type != TypeBool && !o.Optional }

// values are the words that complete the value of an option.
func (o *Option) values() string {
	var words []string
	for _, c := range o.Choices {
		words = append(words, c.Value)
	}
	return strings.Join(words, " ")
}

// singleQuoted is s for shells in which nothing but ' is special in quotes.
func singleQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (c *completion) bash() string {
	var b strings.Builder
	name := "_" + c.tool
	fmt.Fprintf(&b, "# bash completion for %s: source it, or put it into\n# ~/.local/share/bash-completion/completions/%[1]s\n", c.tool)
	fmt.Fprintf(&b, `%s_contexts() {
	local line
	while IFS= read -r line; do
		if [[ $line == "$cur"* ]]; then COMPREPLY+=("$line"); fi
	done < <(%s context list --names 2>/dev/null)
}
`, name, c.lister)
	fmt.Fprintf(&b, "%s() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n\tCOMPREPLY=()\n", name)
	if c.first != nil {
		fmt.Fprintf(&b, `	if ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W %s -- "$cur")
		return
	fi
`, singleQuoted(strings.Join(c.first, " ")))
	}
	if c.contexts != nil {
		fmt.Fprintf(&b, `	if [[ ${COMP_WORDS[1]} == context ]]; then
		if ((COMP_CWORD == 2)); then
			mapfile -t COMPREPLY < <(compgen -W %s -- "$cur")
			return
		fi
		case ${COMP_WORDS[2]} in
		%s)
			if [[ $cur != -* && $prev != --config ]]; then
				%s_contexts
				return
			fi ;;
		esac
	fi
`, singleQuoted(strings.Join(c.contexts, " ")), takeName, name)
	}
	b.WriteString("\tcase $prev in\n")
	kinds := []struct {
		pick   func(o *Option) bool
		action string
	}{
		{func(o *Option) bool { return o.Complete == CompleteFile }, "compopt -o filenames 2>/dev/null\n\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")"},
		{func(o *Option) bool { return o.Complete == CompleteDir }, "compopt -o filenames 2>/dev/null\n\t\tmapfile -t COMPREPLY < <(compgen -d -- \"$cur\")"},
		{func(o *Option) bool { return o.Complete == CompleteHost }, "mapfile -t COMPREPLY < <(compgen -A hostname -- \"$cur\")"},
		{func(o *Option) bool { return o.Complete == CompleteContext }, name + "_contexts"},
		{func(o *Option) bool {
			return o.Complete != CompleteContext && o.Complete != CompleteFile && o.Complete != CompleteDir && o.Complete != CompleteHost && len(o.Choices) == 0
		}, ""},
	}
	for _, k := range kinds {
		var words []string
		for _, o := range c.table {
			if o.takesValue() && k.pick(o) {
				words = append(words, o.Spellings()...)
			}
		}
		if len(words) > 0 {
			fmt.Fprintf(&b, "\t%s)\n", strings.Join(words, "|"))
			if k.action != "" {
				fmt.Fprintf(&b, "\t\t%s\n", k.action)
			}
			b.WriteString("\t\treturn ;;\n")
		}
	}
	var all []string
	for _, o := range c.table {
		all = append(all, o.Spellings()...)
		if len(o.Choices) > 0 {
			fmt.Fprintf(&b, "\t%s)\n\t\tmapfile -t COMPREPLY < <(compgen -W %s -- \"$cur\")\n\t\treturn ;;\n", strings.Join(o.Spellings(), "|"), singleQuoted(o.values()))
		}
	}
	fmt.Fprintf(&b, "\tesac\n\tif [[ $cur == -* ]]; then\n\t\tmapfile -t COMPREPLY < <(compgen -W %s -- \"$cur\")\n\tfi\n}\ncomplete -F %s %s\n",
		singleQuoted(strings.Join(all, " ")), name, c.tool)
	return b.String()
}

func (c *completion) zsh() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n# zsh completion for %[1]s: put it as _%[1]s into a directory of $fpath\n", c.tool)
	fmt.Fprintf(&b, `_%s_contexts() {
	local -a names
	names=(${(f)"$(%s context list --names 2>/dev/null)"})
	compadd -a names
}
`, c.tool, c.lister)
	if c.contexts != nil {
		fmt.Fprintf(&b, `if (( CURRENT == 3 )) && [[ $words[2] == context ]]; then
	compadd %s
	return
fi
if (( CURRENT > 3 )) && [[ $words[2] == context && $words[3] == (%s) && $words[CURRENT] != -* && $words[CURRENT-1] != --config ]]; then
	_%s_contexts
	return
fi
`, strings.Join(c.contexts, " "), takeName, c.tool)
	}
	b.WriteString("_arguments -s -S \\\n")
	if c.first != nil {
		fmt.Fprintf(&b, "\t'1::command:(%s)' \\\n", strings.Join(c.first, " "))
	}
	special := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`)
	for _, o := range c.table {
		value := ""
		if o.Type != TypeBool {
			action := ""
			switch {
			case len(o.Choices) > 0:
				action = "(" + o.values() + ")"
			case o.Complete == CompleteFile:
				action = "_files"
			case o.Complete == CompleteDir:
				action = "_files -/"
			case o.Complete == CompleteHost:
				action = "_hosts"
			case o.Complete == CompleteContext:
				action = "_" + c.tool + "_contexts"
			}
			colon := ":"
			if o.Optional {
				colon = "::"
			}
			value = colon + special.Replace(o.Placeholder) + ":" + action
		}
		for _, s := range o.Spellings() {
			star := ""
			if o.Repeat {
				star = "*"
			}
			if len(s) > 2 && o.Type != TypeBool {
				s += "=" // also --name=VALUE
			}
			fmt.Fprintf(&b, "\t%s \\\n", singleQuoted(star+s+"["+special.Replace(o.Help)+"]"+value))
		}
	}
	return strings.TrimSuffix(b.String(), " \\\n") + "\n"
}

func (c *completion) fish() string {
	var b strings.Builder
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	fmt.Fprintf(&b, "# fish completion for %s: put it as %[1]s.fish into ~/.config/fish/completions\ncomplete -c %[1]s -f\n", c.tool)
	names := c.lister + " context list --names 2>/dev/null"
	if c.first != nil {
		fmt.Fprintf(&b, "complete -c %s -n __fish_is_first_arg -a %s\n", c.tool, quote(strings.Join(c.first, " ")))
	}
	if c.contexts != nil {
		fmt.Fprintf(&b, "complete -c %s -n '__fish_seen_subcommand_from context; and not __fish_seen_subcommand_from %s' -a %s\n",
			c.tool, strings.Join(c.contexts, " "), quote(strings.Join(c.contexts, " ")))
		fmt.Fprintf(&b, "complete -c %s -n '__fish_seen_subcommand_from context; and __fish_seen_subcommand_from %s' -a %s\n",
			c.tool, strings.ReplaceAll(takeName, "|", " "), quote("("+names+")"))
	}
	for _, o := range c.table {
		fmt.Fprintf(&b, "complete -c %s", c.tool)
		for _, s := range o.Spellings() {
			if len(s) == 2 {
				b.WriteString(" -s " + s[1:])
			} else {
				b.WriteString(" -l " + s[2:])
			}
		}
		b.WriteString(" -d " + quote(o.Help))
		switch {
		case len(o.Choices) > 0:
			b.WriteString(" -x -a " + quote(o.values()))
		case o.Complete == CompleteFile || o.Complete == CompleteDir:
			b.WriteString(" -r -F")
		case o.Complete == CompleteHost:
			b.WriteString(" -x -a '(__fish_print_hostnames)'")
		case o.Complete == CompleteContext:
			b.WriteString(" -x -a " + quote("("+names+")"))
		case o.takesValue():
			b.WriteString(" -x")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (c *completion) powershell() string {
	var b strings.Builder
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	fmt.Fprintf(&b, "# PowerShell completion for %s: dot-source it from $PROFILE\n", c.tool)
	fmt.Fprintf(&b, "Register-ArgumentCompleter -Native -CommandName %s -ScriptBlock {\n\tparam($word, $ast, $cursor)\n\t$options = @(\n", c.tool)
	for _, o := range c.table {
		for _, s := range o.Spellings() {
			fmt.Fprintf(&b, "\t\t@(%s, %s)\n", quote(s), quote(o.Help))
		}
	}
	fmt.Fprintf(&b, "\t)\n\t$program = %s\n\t$first = %s -split ' '\n\t$commands = %s -split ' '\n", quote(c.lister), quote(strings.Join(c.first, " ")), quote(strings.Join(c.contexts, " ")))
	b.WriteString("\t$values = @{\n")
	for _, o := range c.table {
		if len(o.Choices) > 0 {
			for _, s := range o.Spellings() {
				// A hash table knows no case; the letters of options do.
				if len(s) > 2 {
					fmt.Fprintf(&b, "\t\t%s = %s -split ' '\n", quote(s), quote(o.values()))
				}
			}
		}
	}
	b.WriteString(`	}
	$before = @($ast.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object { $_.ToString() })
	$inContext = $before.Count -gt 1 -and $before[1] -ceq 'context'
	if ($inContext -and $before.Count -eq 2) {
		$commands | Where-Object { $_.StartsWith($word) } | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
		return
	}
	if ($before.Count -gt 0 -and $before[-1] -ceq '--context' -or $inContext -and $before[2] -cmatch '^(use|show|remove)$' -and -not $word.StartsWith('-')) {
		& $program context list --names 2>$null | Where-Object { $_.StartsWith($word) } | ForEach-Object {
			[System.Management.Automation.CompletionResult]::new($_)
		}
		return
	}
	if ($before.Count -eq 1 -and $word -cmatch '^[a-z]') {
		$first | Where-Object { $_.StartsWith($word) } | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
		return
	}
	if ($before.Count -gt 0 -and $values.ContainsKey($before[-1])) {
		$values[$before[-1]] | Where-Object { $_.StartsWith($word) } | ForEach-Object {
			[System.Management.Automation.CompletionResult]::new($_)
		}
		return
	}
	$options | Where-Object { $_[0].StartsWith($word) } | ForEach-Object {
		[System.Management.Automation.CompletionResult]::new($_[0], $_[0], 'ParameterName', $_[1])
	}
}
`)
	return b.String()
}

package cli

import (
	"fmt"
	"strings"
)

// CompletionScript is the script that teaches a shell the options of a tool. All
// words are in the script: nothing that is typed is ever evaluated, and the
// tool does not run for it.
func CompletionScript(shell, tool string, bit ToolSet) string {
	table := Table(bit)
	switch shell {
	case "bash":
		return bashCompletion(tool, table)
	case "zsh":
		return zshCompletion(tool, table)
	case "fish":
		return fishCompletion(tool, table)
	}
	return powershellCompletion(tool, table)
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

func bashCompletion(tool string, table Options) string {
	var b strings.Builder
	name := "_" + tool
	fmt.Fprintf(&b, "# bash completion for %s: source it, or put it into\n# ~/.local/share/bash-completion/completions/%[1]s\n", tool)
	fmt.Fprintf(&b, "%s() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n\tCOMPREPLY=()\n\tcase $prev in\n", name)
	kinds := []struct {
		pick   func(o *Option) bool
		action string
	}{
		{func(o *Option) bool { return o.Complete == CompleteFile }, "compopt -o filenames 2>/dev/null\n\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")"},
		{func(o *Option) bool { return o.Complete == CompleteDir }, "compopt -o filenames 2>/dev/null\n\t\tmapfile -t COMPREPLY < <(compgen -d -- \"$cur\")"},
		{func(o *Option) bool { return o.Complete == CompleteHost }, "mapfile -t COMPREPLY < <(compgen -A hostname -- \"$cur\")"},
		{func(o *Option) bool {
			return o.Complete != CompleteFile && o.Complete != CompleteDir && o.Complete != CompleteHost && len(o.Choices) == 0
		}, ""},
	}
	for _, k := range kinds {
		var words []string
		for _, o := range table {
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
	for _, o := range table {
		all = append(all, o.Spellings()...)
		if len(o.Choices) > 0 {
			fmt.Fprintf(&b, "\t%s)\n\t\tmapfile -t COMPREPLY < <(compgen -W %s -- \"$cur\")\n\t\treturn ;;\n", strings.Join(o.Spellings(), "|"), singleQuoted(o.values()))
		}
	}
	fmt.Fprintf(&b, "\tesac\n\tif [[ $cur == -* ]]; then\n\t\tmapfile -t COMPREPLY < <(compgen -W %s -- \"$cur\")\n\tfi\n}\ncomplete -F %s %s\n",
		singleQuoted(strings.Join(all, " ")), name, tool)
	return b.String()
}

func zshCompletion(tool string, table Options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n# zsh completion for %[1]s: put it as _%[1]s into a directory of $fpath\n_arguments -s -S \\\n", tool)
	special := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`)
	for _, o := range table {
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

func fishCompletion(tool string, table Options) string {
	var b strings.Builder
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	fmt.Fprintf(&b, "# fish completion for %s: put it as %[1]s.fish into ~/.config/fish/completions\ncomplete -c %[1]s -f\n", tool)
	for _, o := range table {
		fmt.Fprintf(&b, "complete -c %s", tool)
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
		case o.takesValue():
			b.WriteString(" -x")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func powershellCompletion(tool string, table Options) string {
	var b strings.Builder
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	fmt.Fprintf(&b, "# PowerShell completion for %s: dot-source it from $PROFILE\n", tool)
	fmt.Fprintf(&b, "Register-ArgumentCompleter -Native -CommandName %s -ScriptBlock {\n\tparam($word, $ast, $cursor)\n\t$options = @(\n", tool)
	for _, o := range table {
		for _, s := range o.Spellings() {
			fmt.Fprintf(&b, "\t\t@(%s, %s)\n", quote(s), quote(o.Help))
		}
	}
	b.WriteString("\t)\n\t$values = @{\n")
	for _, o := range table {
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

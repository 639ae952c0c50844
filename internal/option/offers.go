package option

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// The completion scripts know no options: at every Tab they ask the tool what the word at
// the cursor can become. So every shell offers the same, derived from the tables and from
// the parser of the command line, and always fits the tool that is installed.

// offers is what a word can become.
type offers struct {
	kind  string   // what the shell offers besides the words: files, directories or hosts
	globs []string // the patterns of the files
	stem  string   // the part of the word that stays: --cafile=
	words []offer
}

// allFiles is the pattern of all files.
var allFiles = []string{"*"}

// offer is one way to finish the word, and its description.
type offer struct{ word, help string }

// Asks returns the words of "--completion SHELL -- WORD...", by which a script asks what
// the last one can become, or nil.
func Asks(args []string) (shell string, words []string) {
	if len(args) < 4 || args[0] != "--"+CompletionOption || args[2] != "--" || completionScripts[args[1]] == "" {
		return "", nil
	}
	words = slices.Clone(args[3:])
	if shell = args[1]; shell == "powershell" {
		// Before 7.3 it drops empty words, so that a single = precedes the last.
		last := &words[len(words)-1]
		*last = strings.TrimPrefix(*last, "=")
	}
	return shell, words
}

// text returns the answer to a shell: the kind with its patterns, the stem, and a line for
// each word. Bash and PowerShell use the words unchanged; the other shells filter them by
// rules that the user sets.
func (o *offers) text(shell, typed string) string {
	if strings.ContainsAny(o.stem, "\n\t") {
		return ""
	}
	var b strings.Builder
	b.WriteString(strings.Join(append([]string{cmp.Or(o.kind, "words")}, o.globs...), " ") + "\n" + o.stem + "\n")
	for _, w := range o.words {
		if (shell == "bash" || shell == "powershell") && !strings.HasPrefix(o.stem+w.word, typed) {
			continue
		}
		switch shell {
		case "bash":
			b.WriteString(w.word)
		case "zsh":
			b.WriteString(strings.ReplaceAll(w.word, ":", `\:`))
			if w.help != "" {
				b.WriteString(":" + w.help)
			}
		default:
			b.WriteString(o.stem + w.word + "\t" + w.help)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// completer collects the offers for one word.
type completer struct {
	offers
	env    *Environment
	tool   *Program
	typed  string
	obeyed Options
	line   normalizer // has read the preceding words
}

// Answer returns the answer to a completion script: what the last of the words can become.
func (t *Program) Answer(env *Environment, shell string, words []string) string {
	return t.offers(env, words).text(shell, words[len(words)-1])
}

// offers returns what the last of the words can become.
func (t *Program) offers(env *Environment, words []string) *offers {
	last := len(words) - 1
	c := &completer{env: env, tool: t, typed: words[last]}
	compat := t.Bit&PubSub != 0 && strings.HasPrefix(words[0], "--"+Compat)
	if compat && last > 0 && (last > 1 || words[0] != "--"+Compat) {
		return &c.offers // what follows is the grammar of another program
	}
	n := t.Choose(words[:last])
	if t.NeedsCommand && 0 < n && n < last {
		return &c.offers // what follows a word that is not a command
	}
	c.line = normalizer{table: t.Table(), argv: words[:last], next: n}
	c.complete(func(args []string) Options {
		obeyed := t.obeyed(args)
		if last > 0 && !compat {
			obeyed = slices.DeleteFunc(obeyed, func(o *Option) bool { return o.Name == Compat })
		}
		return obeyed
	}, func(args []string) {
		switch {
		case n == last:
			for _, command := range t.Commands {
				c.add(command.Name, command.Summary)
			}
		case t.NeedsCommand:
			return
		}
		if t.Command != nil {
			c.arguments(t.Command, args)
		}
	})
	return &c.offers
}

// arguments offers what can be the next argument of a command.
func (c *completer) arguments(command *Command, args []string) {
	var words []string
	if command.Words != nil {
		words = command.Words()
	}
	switch {
	case command.MaxArgs >= 0 && len(args) >= command.MaxArgs || len(args) > 0 && slices.Contains(words, args[0]):
		return
	case len(args) == 0:
		c.addAll(words)
	}
	if command.Contexts {
		c.addContexts()
	}
	if command.Files != nil {
		c.kind, c.globs = "files", command.Files
	}
}

// complete reads the preceding words and then finds out what the last one is. obeyed
// returns the options that can follow, depending on the positional words; operands offers
// what else can; nil offers nothing.
func (c *completer) complete(obeyed func([]string) Options, operands func([]string)) {
	for c.line.next < len(c.line.argv) {
		_ = c.line.word() // errors are reported when the line is run
	}
	c.obeyed = obeyed(c.line.positional)
	name, _, joined := strings.Cut(c.typed, "=")
	switch {
	case c.line.wants != nil:
		c.value(c.line.wants, "")
	case c.line.may != nil && (c.line.may.Name == "help" || c.line.may.Complete == CompleteChoice) && !strings.HasPrefix(c.typed, "-"):
		c.value(c.line.may, "")
	case c.line.ended || !strings.HasPrefix(c.typed, "-"):
		if operands != nil {
			operands(c.line.positional)
		}
	case strings.HasPrefix(c.typed, "--") && joined:
		if o := c.line.table.Find(name); o != nil {
			c.value(o, name+"=")
		}
	default:
		for _, o := range c.obeyed {
			for _, s := range o.Spellings() {
				c.add(s, o.text(c.tool.Bits(), 0))
			}
		}
		c.attached()
	}
}

// attached offers the values that can follow the letter of an option in the same word: -q1.
func (c *completer) attached() {
	for i := 1; i < len(c.typed); i++ {
		o := c.line.table.Find("-" + c.typed[i:i+1])
		if o == nil {
			return
		}
		if o.Type == TypeBool {
			continue
		}
		all := c.offers
		c.offers = offers{}
		c.value(o, c.typed[:i+1])
		c.words = slices.DeleteFunc(c.words, func(w offer) bool {
			_, err := Normalize(c.line.table, []string{c.stem + w.word})
			return err != nil
		})
		switch {
		case i+1 < len(c.typed): // no other option begins with this
		case len(c.words) == 0: // a blank and then the value follow
			c.offers = all
		default:
			for i := range c.words {
				c.words[i].word = c.stem + c.words[i].word
			}
			c.stem, c.words = "", append(all.words, c.words...)
		}
		return
	}
}

// value offers the values of an option after a stem.
func (c *completer) value(o *Option, stem string) {
	if !slices.Contains(c.obeyed, o) {
		return
	}
	c.stem = stem
	switch {
	case o.Name == Compat:
		c.addAll(c.tool.Compat)
	case o.Name == "help":
		c.addAll(c.tool.HelpTopics())
	case o.Type == TypeProperty:
		if stem == "" { // as one word it would contain blanks
			c.property()
		}
	case o.Complete == CompleteFile:
		c.kind, c.globs = "files", allFiles
	case o.Complete == CompleteDir:
		c.kind = "directories"
	case o.Complete == CompleteHost:
		c.kind = "hosts"
	case o.Complete == CompleteContext:
		c.addContexts()
	default:
		if o.List {
			c.stem = c.typed[:max(len(stem), strings.LastIndexByte(c.typed, ',')+1)]
		}
		c.addAll(o.takes(c.tool.Bits()))
	}
}

// property offers the next word of CMD PROP [KEY] VALUE.
func (c *completer) property() {
	begun := c.line.begun
	for i := range PropertyPackets {
		p := &PropertyPackets[i]
		switch {
		case p.Tools&c.tool.Bit == 0:
		case len(begun) == 0:
			c.add(p.Word, "")
		case strings.EqualFold(p.Word, begun[0]):
			for n := range 256 {
				id := packet.PropertyID(n)
				switch {
				case !p.Takes(id):
				case len(begun) == 1:
					c.add(id.String(), "")
				case len(begun) == 2 && strings.EqualFold(id.String(), begun[1]) && id.Type() == packet.TypeBool:
					c.addAll([]string{"0", "1"})
				}
			}
		}
	}
}

// addContexts offers the contexts of the configuration files.
func (c *completer) addContexts() {
	var uses []Use
	for _, w := range c.line.out {
		if path, ok := strings.CutPrefix(w, "--"+ConfigOption+"="); ok {
			uses = append(uses, Use{Opt: c.line.table.Find("--" + ConfigOption), Raw: path})
		}
	}
	conf, err := ReadConfig(c.env, uses)
	if err != nil {
		return
	}
	for _, name := range conf.Names() {
		if CheckContextName(name) == "" {
			c.add(name, "")
		}
	}
}

func (c *completer) add(word, help string) { c.words = append(c.words, offer{word, help}) }

func (c *completer) addAll(words []string) {
	for _, w := range words {
		c.add(w, "")
	}
}

package option

import (
	"slices"
	"strings"

	"github.com/mqtools/mqtools/internal/spelling"
	"github.com/mqtools/mqtools/internal/units"
)

// Commands is a set of mqbench's commands, as a bit mask.
type Commands uint16

// The commands. The short forms conn, pub, sub and pubsub are CommandRun too.
const (
	CommandRun Commands = 1 << iota
	CommandSearch
	CommandVerify
	CommandCalibrate
	CommandDoctor
	CommandK8s
	CommandCollect
	CommandReport
	CommandPlot
	CommandMerge
	CommandDiff
	CommandPlay
	CommandPresets

	// commandsPlan have a plan; commandsConnect also connect to a broker.
	commandsPlan    = commandsConnect | CommandDoctor | CommandK8s
	commandsConnect = CommandRun | CommandSearch | CommandVerify
)

// Forms is a set of forms of plan, as a bit mask.
type Forms uint8

// The forms: a preset or a scenario, by name, and the short forms, which consist of options
// only.
const (
	FormNamed Forms = 1 << iota
	FormConn
	FormPub
	FormSub
	FormPubSub

	formsShort   = FormConn | FormPub | FormSub | FormPubSub
	formsPublish = FormPub | FormPubSub
)

// shortForms are the names of the short forms.
var shortForms = [...]struct {
	word string
	form Forms
}{{"conn", FormConn}, {"pub", FormPub}, {"sub", FormSub}, {"pubsub", FormPubSub}}

// formOf returns the form of the plan that a word names.
func formOf(word string) Forms {
	for _, f := range shortForms {
		if f.word == word {
			return f.form
		}
	}
	return FormNamed
}

// Command is a command of a tool, chosen by its first word, Name. It has what is needed for
// help, completion and the check of options; a higher layer has the code that it runs.
//
// The entry of an option lists the commands of mqbench that obey it, by their bits, because
// a command obeys some forty of a hundred options and an option applies to most commands.
// The other commands obey all options but a few, or only a few, and list those here.
type Command struct {
	Name     string
	Bit      Commands // in the option table; 0: the table does not mention the command
	Summary  string   // as Program.Summary
	Usage    string   // the words after the name
	Examples []Example
	MaxArgs  int // as Program.MaxArgs, without Name

	// Commands are the subcommands. If there are any, the next word must name one.
	Commands []*Command

	Idle  []string // options of the tool that have no effect on it
	Only  []string // the only options that have an effect; nil: see Bit and Idle
	Own   []Option // options of no other command
	Means string   // the switch that does the same as the command; "": none

	// Bare commands work on the configuration file: only their command line counts. Keeps
	// is set if the command stores options and does not obey them; it accepts all that the
	// file allows.
	Bare, Keeps bool

	Words    func() []string // words that complete its arguments; nil: none
	Files    []string        // patterns of files that complete its arguments; a final "*" allows others; nil: none
	Contexts bool            // its arguments are existing contexts
}

// Obeys reports whether an option has an effect on the command. Every option has an effect
// on a nil command, which is a tool without commands.
func (c *Command) Obeys(o *Option) bool {
	switch {
	case c == nil:
		return true
	case slices.ContainsFunc(c.Own, func(own Option) bool { return own.Name == o.Name }):
		return true
	case c.Only != nil:
		return slices.Contains(c.Only, o.Name)
	case c.Keeps:
		return o.Key() != "" || o.AboutFile || o.Name == "help"
	case o.Name == Compat || slices.Contains(c.Idle, o.Name):
		return false
	case c.Bit == 0 || o.Group.common():
		return true
	case o.For != 0:
		return o.For&c.Bit != 0
	}
	return c.Bit&commandsPlan != 0
}

// form returns the form of the command's plan; 0 without a command or a plan, or if args do
// not name the plan yet.
func (c *Command) form(args []string) Forms {
	switch {
	case c == nil:
		return 0
	case c.Bit == CommandRun:
		return formOf(c.Name)
	case c.Bit&commandsPlan != 0 && len(args) > 0:
		return formOf(args[0])
	}
	return 0
}

// Table returns the options that are allowed on a command line of the program: those of all
// its commands, and those that only the chosen command has.
func (t *Program) Table() Options {
	table := Table(t.Bit)
	if t.Command != nil {
		for i := range t.Command.Own {
			own, at := &t.Command.Own[i], len(table)
			for at > 0 && table[at-1].Group != own.Group { // behind the others of its group
				at--
			}
			table = slices.Insert(table, at, own)
		}
	}
	return table
}

// Effective returns the options that have an effect on the command, and on the form of plan
// that args name.
func (t *Program) Effective(args []string) Options {
	form := t.Command.form(args)
	return slices.DeleteFunc(t.Table(), func(o *Option) bool { return !t.Command.Obeys(o) || !o.suits(form) })
}

// obeyed returns the effective options that help and completion show.
func (t *Program) obeyed(args []string) Options {
	return slices.DeleteFunc(t.Effective(args), func(o *Option) bool {
		switch {
		case o.Hidden:
			return true
		case t.Command == nil:
			return t.NeedsCommand && !o.Group.common()
		}
		return t.Command.Bit == CommandK8s && o.local()
	})
}

// suits reports whether the option has an effect on plans of a form; 0 is any form.
func (o *Option) suits(form Forms) bool { return form == 0 || o.Forms == 0 || o.Forms&form != 0 }

// local reports whether the option depends on the machine on which it is set, or is a
// secret, so that k8s refuses to pass it on.
func (o *Option) local() bool {
	switch {
	case o.Group.common() || o.Name == "hash-password":
		return false
	case o.Complete == CompleteFile || o.Complete == CompleteDir || o.HoldsSecret("x"):
		return true
	}
	return o.Name == "serve" || strings.HasPrefix(o.Name, "serve-") || strings.HasSuffix(o.Name, "-command") || o.Name == "ask-password"
}

// Takes returns the choices of an option that the program's command accepts.
func (t *Program) Takes(name string) []string {
	return Table(t.Bit).Find("--" + name).takes(t.Bits())
}

// Idle returns the name of the first option of the command line that has no effect on the
// form of plan that a word names, or "".
func (t *Program) Idle(v *Values, word string) string {
	form := formOf(word)
	for _, o := range Table(t.Bit) {
		if !o.suits(form) && v.Of(o.Name).Origin() == OriginFlag {
			return o.Name
		}
	}
	return ""
}

// Choose finds the command that the first words name and narrows the program to it. It
// returns the number of those words.
func (t *Program) Choose(args []string) (n int) {
	for _, word := range args {
		i := slices.IndexFunc(t.Commands, func(c *Command) bool { return c.Name == word })
		if i < 0 {
			break
		}
		c := t.Commands[i]
		t.Command, t.Commands, t.NeedsCommand = c, c.Commands, len(c.Commands) > 0
		t.Path = strings.TrimSpace(t.Path + " " + c.Name)
		t.Summary, t.Usage, t.Examples, t.MaxArgs = c.Summary, t.Path+" "+c.Usage, c.Examples, c.MaxArgs
		n++
	}
	return n
}

// Invoked returns the words that precede --help: mqsub context add.
func (t *Program) Invoked() string { return strings.TrimSpace(t.Name + " " + t.Path) }

// Bits returns the set with only the command; 0 without a command.
func (t *Program) Bits() Commands {
	if t.Command == nil {
		return 0
	}
	return t.Command.Bit
}

// Implied returns a use of the switch that does the same as the command; nil if there is
// none.
func (t *Program) Implied() []Use {
	if t.Command == nil || t.Command.Means == "" {
		return nil
	}
	return []Use{{Opt: Table(t.Bit).Find("--" + t.Command.Means), Raw: "true", named: t.Path}}
}

// CheckCommand refuses options that have no effect on the command, and words that do not
// name a command where one is needed.
func (t *Program) CheckCommand(line *Line) error {
	if t.NeedsCommand {
		return t.noCommand(line.Positional)
	}
	for _, use := range line.Uses {
		switch {
		case t.Command.Obeys(use.Opt):
		case t.Command.Keeps:
			return Usagef("--%s cannot be kept in a context", use.Opt.Name)
		default:
			return Usagef("%s has no effect on %s", use.where(), t.Path)
		}
	}
	return nil
}

// noCommand returns the error for words that do not begin with a command.
func (t *Program) noCommand(args []string) error {
	switch {
	case len(args) == 0 && t.Command != nil:
		return Usagef("%s: %s is missing", t.Path, units.OrList(t.names()...))
	case len(args) == 0:
		return Usagef("no command given")
	case slices.Contains(t.names(), args[0]):
		return Usagef("the command %s must come before the options", args[0])
	}
	return t.unknownCommand(args[0])
}

// unknownCommand returns the error for a word that is not a command.
func (t *Program) unknownCommand(word string) error {
	err := Usagef("unknown command %q", word)
	if t.Command != nil {
		err.Text = t.Path + ": " + err.Text
	}
	if s := t.nearest(word); s != "" {
		return err.WithHint("did you mean %s?", s)
	}
	return err
}

// nearest returns the command whose name is most similar to a word, or "".
func (t *Program) nearest(word string) string { return spelling.Nearest(word, t.names()) }

// names returns the names of the commands.
func (t *Program) names() []string {
	names := make([]string, len(t.Commands))
	for i, c := range t.Commands {
		names[i] = c.Name
	}
	return names
}

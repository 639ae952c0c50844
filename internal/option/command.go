package option

import (
	"slices"
	"strings"

	"github.com/mqtools/mqtools/internal/spelling"
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

	// commandsPlan have a plan, and those that connect with it a broker.
	commandsPlan    = commandsConnect | CommandDoctor | CommandK8s
	commandsConnect = CommandRun | CommandSearch | CommandVerify
)

// Forms is a set of what a plan is made of, as a bit mask.
type Forms uint8

// The forms: a preset or a scenario by its name, and the short forms, of options alone.
const (
	FormNamed Forms = 1 << iota
	FormConn
	FormPub
	FormSub
	FormPubSub

	formsShort   = FormConn | FormPub | FormSub | FormPubSub
	formsPublish = FormPub | FormPubSub
)

// shortForms are the words for the short forms.
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

// Command is what a tool does when the word Name comes first.
type Command struct {
	Name     string
	Bit      Commands
	Summary  string // as Tool.Summary
	Usage    string // the words after the name
	Examples []Example
	MaxArgs  int // as Tool.MaxArgs, without Name

	Words func() []string // words that can stand for its arguments; nil: none
	Files []string        // the patterns of files that can, and at the end "*" if others can too; nil: none
}

// form returns the form of the command's plan; 0 without one, or before args name it.
func (c *Command) form(args []string) Forms {
	switch {
	case c.Bit == CommandRun && c.Name == "run":
		return FormNamed
	case c.Bit == CommandRun:
		return formOf(c.Name)
	case c.Bit&commandsPlan != 0 && len(args) > 0:
		return formOf(args[0])
	}
	return 0
}

// goesWith tells whether an option has a use for a command; all have where the
// tool has no commands.
func (o *Option) goesWith(c Commands) bool {
	switch {
	case c == 0 || o.Group.common():
		return true
	case o.For != 0:
		return o.For&c != 0
	}
	return c&commandsPlan != 0
}

// obeyed returns the options that have an effect on what the tool does: with its
// command on a plan of the form that args name.
func (t *Program) obeyed(args []string) Options {
	var form Forms
	if t.Command != nil {
		form = t.Command.form(args)
	}
	return slices.DeleteFunc(Table(t.Bit), func(o *Option) bool {
		switch {
		case o.Hidden:
			return true
		case t.Command == nil:
			return len(t.Commands) > 0 && !o.Group.common()
		case !o.goesWith(t.Command.Bit), t.Command.Bit == CommandK8s && o.local():
			return true
		}
		return form != 0 && o.Forms != 0 && o.Forms&form == 0
	})
}

// local reports whether the option is about the machine that it is given on, or a
// secret, so that k8s refuses to hand it on.
func (o *Option) local() bool {
	switch {
	case o.Group.common() || o.Name == "hash-password":
		return false
	case o.Complete == CompleteFile || o.Complete == CompleteDir || o.HoldsSecret("x"):
		return true
	}
	return o.Name == "serve" || strings.HasPrefix(o.Name, "serve-") || strings.HasSuffix(o.Name, "-command") || o.Name == "ask-password"
}

// Takes returns the choices of an option that the program's command takes.
func (t *Program) Takes(name string) []string {
	return Table(t.Bit).Find("--" + name).takes(t.Bits())
}

// Idle returns the name of the first option of the command line that has no effect on
// the form of plan that a word names, or "".
func (t *Program) Idle(v *Values, word string) string {
	form := formOf(word)
	for _, o := range Table(t.Bit) {
		if o.Forms != 0 && o.Forms&form == 0 && v.Of(o.Name).Origin() == OriginFlag {
			return o.Name
		}
	}
	return ""
}

// Choose finds the command that the first word names, and narrows the tool to
// it. The word stays among the arguments.
func (t *Program) Choose(args []string) {
	if len(args) == 0 {
		return
	}
	for i := range t.Commands {
		if c := &t.Commands[i]; c.Name == args[0] {
			t.Command = c
			t.Summary, t.Usage, t.Examples = c.Summary, c.Name+" "+c.Usage, c.Examples
			t.MaxArgs = c.MaxArgs
			if c.MaxArgs >= 0 {
				t.MaxArgs++
			}
		}
	}
}

// Bits is the set with the command alone; 0 without one.
func (t *Program) Bits() Commands {
	if t.Command == nil {
		return 0
	}
	return t.Command.Bit
}

// CheckCommand refuses options that the command has no use for, and words that
// name none.
func (t *Program) CheckCommand(words *Line) error {
	if len(t.Commands) == 0 {
		return nil
	}
	if t.Command == nil {
		var names []string
		for _, c := range t.Commands {
			names = append(names, c.Name)
		}
		if len(words.Positional) == 0 {
			return Usagef("no command given")
		}
		for _, name := range names {
			if name == words.Positional[0] {
				return Usagef("the command %s stands before the options", name)
			}
		}
		err := Usagef("unknown command %q", words.Positional[0])
		if s := spelling.Nearest(words.Positional[0], names); s != "" {
			return err.WithHint("did you mean %s?", s)
		}
		return err
	}
	for _, use := range words.Uses {
		if !use.Opt.goesWith(t.Command.Bit) {
			return Usagef("--%s has no effect on %s", use.Opt.Name, t.Command.Name)
		}
	}
	return nil
}

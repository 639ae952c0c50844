package cli

import (
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

// Command is what a tool does when the word Name comes first.
type Command struct {
	Name     string
	Bit      Commands
	Summary  string // as Tool.Summary
	Usage    string // the words after the name
	Examples []Example
	MaxArgs  int // as Tool.MaxArgs, without Name
}

// goesWith tells whether an option has a use for a command; all have where the
// tool has no commands.
func (o *Option) goesWith(c Commands) bool {
	switch {
	case c == 0 || o.Group == GroupGeneral:
		return true
	case o.For != 0:
		return o.For&c != 0
	}
	return c&commandsPlan != 0
}

// of leaves the options that have a use for a command.
func (t Options) of(c Commands) Options {
	if c == 0 {
		return t
	}
	var kept Options
	for _, o := range t {
		if o.goesWith(c) {
			kept = append(kept, o)
		}
	}
	return kept
}

// command finds the command that the first word names, and narrows the tool to
// it. The word stays among the arguments.
func (t *Tool) command(args []string) {
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

// bits is the set with the command alone; 0 without one.
func (t *Tool) bits() Commands {
	if t.Command == nil {
		return 0
	}
	return t.Command.Bit
}

// checkCommand refuses options that the command has no use for, and words that
// name none.
func (t *Tool) checkCommand(words *parsed) error {
	if len(t.Commands) == 0 {
		return nil
	}
	if t.Command == nil {
		var names []string
		for _, c := range t.Commands {
			names = append(names, c.Name)
		}
		if len(words.positional) == 0 {
			return Usagef("no command given")
		}
		for _, name := range names {
			if name == words.positional[0] {
				return Usagef("the command %s stands before the options", name)
			}
		}
		err := Usagef("unknown command %q", words.positional[0])
		if s := spelling.Nearest(words.positional[0], names); s != "" {
			return err.WithHint("did you mean %s?", s)
		}
		return err
	}
	for _, use := range words.uses {
		if !use.opt.goesWith(t.Command.Bit) {
			return Usagef("--%s has no effect on %s", use.opt.Name, t.Command.Name)
		}
	}
	return nil
}

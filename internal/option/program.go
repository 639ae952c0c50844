package option

import "slices"

// Program describes a tool: its name, its texts and its commands.
type Program struct {
	Name     string  // mqsub
	Bit      ToolSet // its bit in the option table
	Summary  string  // one sentence for --help
	Usage    string  // the words after the name, "[OPTION]... -t FILTER..."; one form per line
	Examples []Example

	// Brief lists the options that --help shows without a topic, by command; the key "" is
	// for a tool without commands. Overview lists the commands in that case.
	Brief    map[string][]string
	Overview []Section

	// Topics are the examples of --help TOPIC.
	Topics map[string][]Example

	// NeedsCommand is set if the program does nothing without a command.
	NeedsCommand bool

	// MaxArgs is the maximum number of positional words, -1 for any number. More are a
	// usage error. With an option that has Rest, any number is allowed.
	MaxArgs int

	// Compat lists the values of --compat, and Commands are those that the first word may
	// name. A higher layer sets both.
	Compat   []string
	Commands []*Command

	// Command is the command that the first words have named, and Path those words. Choose
	// sets them; they are nil and "" without a command.
	Command *Command
	Path    string
}

// Section is a part of an overview: a title, and rows that pair a word with what it does.
type Section struct {
	Title string
	Rows  [][2]string
}

// Example is a command line shown by --help, and a description of it.
type Example struct{ Command, Text string }

// Environment is where values come from besides the command line.
type Environment struct {
	Lookup       LookupFunc // looks up variables; nil: there are none
	SystemConfig string     // path of the system's configuration file; "": none
}

// Variable looks up a variable.
func (e *Environment) Variable(name string) (string, bool) {
	if e.Lookup == nil {
		return "", false
	}
	return e.Lookup(name)
}

// Getenv returns the value of a variable, or "".
func (e *Environment) Getenv(name string) string {
	v, _ := e.Variable(name)
	return v
}

// MapEnv returns a LookupFunc that reads a map, for tests.
func MapEnv(vars map[string]string) LookupFunc {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

// CheckArgs refuses surplus words. If the program has commands, the error suggests one that
// stands after the options or is misspelled.
func (t *Program) CheckArgs(line *Line) error {
	args := line.Positional
	if slices.ContainsFunc(line.Uses, func(u Use) bool { return u.Opt.Rest && line.Has(u.Opt.Name) }) {
		return nil
	}
	if t.MaxArgs < 0 || t.NeedsCommand || len(args) <= t.MaxArgs {
		return nil
	}
	err := Usagef("unexpected argument %q", args[t.MaxArgs])
	switch {
	case t.Bit&PubSub == 0 || t.Command != nil && t.Command.Bare:
		return err
	case t.Command == nil && slices.Contains(t.names(), args[0]):
		return err.WithHint("a command must come before the options: %s %s ...", t.Name, args[0])
	case line.Leads && t.nearest(args[0]) != "":
		return t.unknownCommand(args[0])
	}
	return err.WithHint("set topics with -t, and quote arguments that contain spaces")
}

// Compat is the name of the option that selects a personality.
const Compat = "compat"

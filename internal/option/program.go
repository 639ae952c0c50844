package option

import "slices"

// Program is what a tool says of itself: its name, its words, and its commands.
type Program struct {
	Name     string  // mqsub
	Bit      ToolSet // its bit in the tables
	Summary  string  // one sentence for --help
	Usage    string  // the words after the name, "[OPTION]... -t FILTER..."; each line is another form
	Examples []Example

	// Brief names the options that --help shows without a topic, by command; those
	// of "" are for a tool without commands. Overview lists the commands there.
	Brief    map[string][]string
	Overview []Section

	// Topics are the examples that --help shows with a topic.
	Topics map[string][]Example

	// NeedsCommand is set if nothing is done without a command.
	NeedsCommand bool

	// MaxArgs is the most positional words it takes, -1 any number. Words in
	// excess are usage errors.
	MaxArgs int

	// Compat is what --compat takes, and Commands are what the first word may name: the
	// floor above fills them in.
	Compat   []string
	Commands []*Command

	// Command is the one that the first words have named, and Path those words, as
	// Choose sets them; nil and "" without one.
	Command *Command
	Path    string
}

// Section is a part of an overview: a title, and rows of words and what they do.
type Section struct {
	Title string
	Rows  [][2]string
}

// Example is a command line that --help shows, and what it does.
type Example struct{ Command, Text string }

// Environment is what values come from beside the command line.
type Environment struct {
	Lookup       LookupFunc // of variables; nil: there are none
	SystemConfig string     // path of the system's configuration file; "": none
}

// Variable finds a variable.
func (e *Environment) Variable(name string) (string, bool) {
	if e.Lookup == nil {
		return "", false
	}
	return e.Lookup(name)
}

// Getenv is the value of a variable, "" without one.
func (e *Environment) Getenv(name string) string {
	v, _ := e.Variable(name)
	return v
}

// MapEnv makes a LookupFunc of a map, for tests.
func MapEnv(vars map[string]string) LookupFunc {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

// CheckArgs refuses words in excess. Where commands can stand, one behind the options
// or misspelled is told of as that.
func (t *Program) CheckArgs(line *Line) error {
	args := line.Positional
	if t.MaxArgs < 0 || t.NeedsCommand || len(args) <= t.MaxArgs {
		return nil
	}
	err := Usagef("unexpected argument %q", args[t.MaxArgs])
	switch {
	case t.Bit&PubSub == 0 || t.Command != nil && t.Command.Bare:
		return err
	case t.Command == nil && slices.Contains(t.names(), args[0]):
		return err.WithHint("a command stands before the options: %s %s ...", t.Name, args[0])
	case line.Leads && t.nearest(args[0]) != "":
		return t.unknownCommand(args[0])
	}
	return err.WithHint("a topic goes after -t, and words that belong together go in quotes")
}

// Compat is the option that chooses a personality.
const Compat = "compat"

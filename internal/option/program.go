package option

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

	// Commands are what the first word may name; Command is the one that it
	// does, which a run sets, and nil for a tool without commands.
	Commands []Command
	Command  *Command

	// MaxArgs is the most positional words it takes, -1 any number. Words in
	// excess are usage errors.
	MaxArgs int

	// Exits are the statuses that it ends with, Compat what --compat takes, and
	// Contexts the words behind "context": the floor above fills them in.
	Exits    []ExitStatus
	Compat   []string
	Contexts func() []Verb
}

// Section is a part of an overview: a title, and rows of words and what they do.
type Section struct {
	Title string
	Rows  [][2]string
}

// Example is a command line that --help shows, and what it does.
type Example struct{ Command, Text string }

// Verb is one word behind "context".
type Verb struct {
	Word  string
	Usage string
	Text  string
	Extra []Option // beside those of every verb
	Whole bool     // takes all options of the tool
	Min   int      // positional words
	Max   int
	Names bool // they are contexts that there are
}

// ExitStatus is one row of the table of exit codes.
type ExitStatus struct {
	Code  int
	Name  string // one or two words, stable, for tests and logs
	Text  string // when, for --help and the man page
	Tools ToolSet
}

// UsageStatus is the exit status of a UsageError.
const UsageStatus = 2

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

// CheckArgs refuses words in excess.
func (t *Program) CheckArgs(args []string) error {
	if t.MaxArgs < 0 || len(t.Commands) > 0 && t.Command == nil || len(args) <= t.MaxArgs {
		return nil
	}
	err := Usagef("unexpected argument %q", args[t.MaxArgs])
	if t.Bit&PubSub != 0 {
		return err.WithHint("a topic goes after -t, and words that belong together go in quotes")
	}
	return err
}

// Table returns the options of a verb; of a nil one, those of a word that is none.
func (v *Verb) Table(tools ToolSet) Options {
	var table Options
	for _, o := range Table(tools) {
		switch o.Name {
		case ConfigOption, "quiet", "color", "help":
			table = append(table, o)
		default:
			if v != nil && v.Whole {
				table = append(table, o)
			}
		}
	}
	if v != nil {
		for i := range v.Extra {
			table = append(table, &v.Extra[i])
		}
	}
	return table
}

// obeys reports whether an option of the verb's table has an effect on it: those
// that cannot be kept are in it for the error.
func (v *Verb) obeys(o *Option) bool {
	return !o.Hidden && (!v.Whole || o.Key() != "" || o.AboutFile || o.Name == "help")
}

// Compat is the option that chooses a personality.
const Compat = "compat"

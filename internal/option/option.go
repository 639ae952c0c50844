package option

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// ToolSet is a set of tools, as a bit mask.
type ToolSet uint8

// The tools an option or an exit code belongs to.
const (
	Pub ToolSet = 1 << iota
	Sub
	Bench

	PubSub = Pub | Sub
	All    = Pub | Sub | Bench
)

// Type says how the value of an option is written and read.
type Type uint8

// The types of an option.
const (
	TypeBool     Type = iota // no value; --name=false takes it back
	TypeString               // any text, verbatim
	TypeInt                  // base 10, between Min and Max
	TypeDuration             // 5 (seconds), 1.5, 250ms, 2m, between Min and Max nanoseconds
	TypeSize                 // bytes: 512, 64k, 1MiB, between Min and Max
	TypeChoice               // one of Choices
	TypeEscaped              // text in which \n \r \t \0 \\ and \xHH are escapes; not empty
	TypeListen               // PORT, HOST:PORT or the path of a Unix socket
	TypeProperty             // CMD PROP [KEY] VALUE, see Property
)

// Completion says what a shell offers for the value of an option.
type Completion uint8

// The kinds of completion.
const (
	CompleteNothing Completion = iota
	CompleteFile
	CompleteDir
	CompleteHost
	CompleteTopic
	CompleteChoice
	CompleteProperty
	CompleteContext
)

// Group is a heading of --help and of the man page. Each is a topic of --help.
type Group string

// The groups, in the order in which --help shows them.
const (
	GroupLoad       Group = "Load"
	GroupScale      Group = "Scale"
	GroupReport     Group = "Report"
	GroupCheck      Group = "Pass or fail"
	GroupKubernetes Group = "Kubernetes"
	GroupPlay       Group = "Playing scripts"
	GroupMessage    Group = "Message"
	GroupRequest    Group = "Request and reply"
	GroupSubscribe  Group = "Subscriptions"
	GroupFilter     Group = "Filter"
	GroupStop       Group = "Stop"
	GroupReply      Group = "Reply"
	GroupOutput     Group = "Output"
	GroupBroker     Group = "Broker"
	GroupAuth       Group = "Authentication"
	GroupSession    Group = "Session and delivery"
	GroupRetry      Group = "Retries and timeouts"
	GroupTLS        Group = "TLS"
	GroupWill       Group = "Will"
	GroupServe      Group = "Built-in broker"
	GroupConfig     Group = "Configuration"
	GroupGeneral    Group = "General"
)

// common reports whether the options of the group have a use for every command.
func (g Group) common() bool { return g == GroupConfig || g == GroupGeneral }

// Choice is one value of a TypeChoice option: Value is what the tool reads,
// Also are other ways to write it.
type Choice struct {
	Value string
	Also  []string
}

// Fewer are the choices that a command takes of an option's.
type Fewer struct {
	For    Commands
	Values []string
}

// PerCommand is what an option is for some commands of mqbench, in place of its own
// Help and Default where these are not empty. The Default is for the user's eyes: the
// command itself has it, and a test compares the two.
type PerCommand struct {
	For     Commands
	Forms   Forms // of their plans; 0: all
	Default string
	Unless  string // an option in whose presence there is no default
	Help    string
}

// Special is a word that a TypeDuration option takes in place of a number.
type Special struct {
	Word  string
	Value time.Duration
}

// Option is one row of the option table, the single source of truth for the
// command line, the environment, --help, the man pages and their tests.
type Option struct {
	// Name is the canonical name: --Name on the command line and the key in a
	// configuration file. The environment variable follows from it (Env).
	Name    string
	Short   string   // one letter, or empty
	Aliases []string // further long names
	Tools   ToolSet
	For     Commands // those of mqbench that have a use for it; 0: those with a plan
	Forms   Forms    // of plans: those that it has an effect on; 0: all
	Hidden  bool     // does nothing, or is refused: --help and completion leave it out
	Group   Group
	Type    Type

	// Optional: the value may be missing, Implied is used then.
	Optional bool
	Implied  string

	Repeat   bool // every use adds a value; otherwise the last one wins
	Override bool // with Repeat: the command line replaces what an options file says
	Once     bool // a second use in one place is an error: one of the values would be lost in silence

	Placeholder string
	Help        string // "{values}" stands for what the option takes
	Default     string // in the form a user would write it; empty: none

	// Min and Max bound numbers, both inclusive: TypeInt plain, TypeSize bytes,
	// TypeDuration nanoseconds. A Max of zero is no upper bound.
	Min, Max   int64
	Whole      bool // of a TypeDuration: whole seconds only
	Choices    []Choice
	Fewer      []Fewer // commands that take some of the choices only
	PerCommand []PerCommand
	List       bool // the value is choices with commas between them
	Specials   []Special

	Stdin    bool       // reads standard input; of a TypeString if the value is -
	Excludes []Relation // what cannot be used with this option
	Needs    []Relation // what this option does nothing without

	Complete Completion
	Secret   bool // may hold a secret; mask knows which part
	V5       bool // means nothing before MQTT 5

	NoEnv       bool   // has no environment variable
	AboutFile   bool   // says which file and how, and cannot be kept in one
	NoKey       bool   // cannot stand in a configuration file, as all with NoEnv
	EnvFallback string // second variable, read when the first is not set
}

// Env is the environment variable of the option, MQ_ and the name in capitals,
// or "" when it has none.
func (o *Option) Env() string {
	if o.NoEnv {
		return ""
	}
	b := []byte("MQ_" + o.Name)
	for i := 3; i < len(b); i++ {
		switch c := b[i]; {
		case c == '-':
			b[i] = '_'
		case 'a' <= c && c <= 'z':
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// Key is the key of the option in a configuration file, or "" when it cannot
// stand there.
func (o *Option) Key() string {
	if o.NoEnv || o.NoKey {
		return ""
	}
	return o.Name
}

// Spellings are all ways to write the option, short first: -P --password --pw.
func (o *Option) Spellings() []string {
	s := make([]string, 0, 2+len(o.Aliases))
	if o.Short != "" {
		s = append(s, "-"+o.Short)
	}
	s = append(s, "--"+o.Name)
	for _, a := range o.Aliases {
		s = append(s, "--"+a)
	}
	return s
}

func (o *Option) numeric() bool {
	return o.Type == TypeInt || o.Type == TypeDuration || o.Type == TypeSize
}

func (o *Option) choiceWords() string {
	words := make([]string, len(o.Choices))
	for i, c := range o.Choices {
		words[i] = c.Value
	}
	return units.OrList(words...)
}

// takes lists the values that the option takes with a command; nil unless they are few.
func (o *Option) takes(c Commands) []string {
	for _, few := range o.Fewer {
		if few.For&c != 0 {
			return few.Values
		}
	}
	var words []string
	switch {
	case o.Type == TypeBool:
		return []string{"true", "false"}
	case o.Type == TypeInt && o.Max-o.Min < 10:
		for n := o.Min; n <= o.Max; n++ {
			words = append(words, plain(n))
		}
	}
	for _, c := range o.Choices {
		words = append(words, c.Value)
	}
	return words
}

// Absolute is a value whose path means the same file in every directory. A name that
// begins with @ is that of an abstract socket, which is no file.
func (o *Option) Absolute(raw string) (string, error) {
	switch {
	case o.Name == "url":
		t, err := transport.ParseURL(raw)
		if err != nil || t.Network != "unix" || strings.HasPrefix(t.Path, "@") || filepath.IsAbs(t.Path) {
			return raw, nil
		}
		t.Path, err = filepath.Abs(t.Path)
		return t.String(), err // which has no password: a relative path comes without a user
	case o.Name == "unix" && strings.HasPrefix(raw, "@"), raw == "-", o.Complete != CompleteFile && o.Complete != CompleteDir:
		return raw, nil
	}
	return filepath.Abs(raw)
}

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

// Type is the type of an option's value.
type Type uint8

// The types of an option.
const (
	TypeBool     Type = iota // no value; --name=false turns it off
	TypeString               // any text, verbatim
	TypeInt                  // base 10, between Min and Max
	TypeDuration             // 5 (seconds), 1.5, 250ms, 2m, between Min and Max nanoseconds
	TypeSize                 // bytes: 512, 64k, 1MiB, between Min and Max
	TypeChoice               // one of Choices
	TypeEscaped              // text in which \n \r \t \0 \\ and \xHH are escapes; not empty
	TypeListen               // PORT, HOST:PORT or the path of a Unix socket
	TypeProperty             // CMD PROP [KEY] VALUE, see Property
)

// Completion is the kind of completion a shell offers for the value of an option.
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

// Group is a heading of --help and of the man page, and a topic of --help.
type Group string

// The groups, in the order of --help.
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

// common reports whether the options of the group apply to every command.
func (g Group) common() bool { return g == GroupConfig || g == GroupGeneral }

// Choice is one value of a TypeChoice option: Value is what the tool reads, Also lists its
// other spellings.
type Choice struct {
	Value string
	Also  []string
}

// Fewer limits the choices of an option for some commands.
type Fewer struct {
	For    Commands
	Values []string
}

// PerCommand replaces the Help and the Default of an option for some commands of mqbench;
// empty fields replace nothing. Default is only displayed: the command has its own value,
// and a test compares the two.
type PerCommand struct {
	For     Commands
	Forms   Forms // of their plans; 0 means all
	Default string
	Unless  string // if this option is set, there is no default
	Help    string
}

// DurationWord is a word that a TypeDuration option accepts in place of a number.
type DurationWord struct {
	Word  string
	Value time.Duration
}

// Option is one row of the option table, the single source for the command line, the
// environment, --help, the man pages and their tests.
type Option struct {
	// Name is the canonical name: --Name on the command line and the key in a configuration
	// file. The environment variable is derived from it, see Env.
	Name    string
	Short   string   // one letter, or empty
	Aliases []string // other long names
	Tools   ToolSet
	For     Commands // the mqbench commands that obey it; 0 means those with a plan
	Forms   Forms    // the forms of plan that it affects; 0 means all
	Hidden  bool     // has no effect or is refused; --help and completion omit it
	Group   Group
	Type    Type

	// Optional is set if the value may be missing; Implied is used in its place.
	Optional bool
	Implied  string

	Repeat   bool // every use adds a value; otherwise the last one counts
	Override bool // with Repeat: values on the command line replace those of an options file
	Once     bool // a second use in one place is an error, as one value would be lost silently

	Placeholder string
	Help        string // "{values}" is replaced by the values that the option accepts
	Default     string // as a user would write it; "" if there is none

	// Min and Max are the inclusive bounds of a number: of a TypeInt as it is written, of a
	// TypeSize in bytes, of a TypeDuration in nanoseconds. A Max of zero means no upper
	// bound.
	Min, Max      int64
	Suffix        string // a number may end in this, which changes its meaning, see Value.Suffixed
	Whole         bool   // for TypeDuration: whole seconds only
	Choices       []Choice
	Fewer         []Fewer // commands that accept only some of the choices
	PerCommand    []PerCommand
	List          bool // the value is a comma-separated list of choices
	DurationWords []DurationWord

	Stdin    bool       // reads standard input; a TypeString does so if its value is "-"
	Excludes []Relation // options that cannot be used with this one
	Needs    []Relation // options without which this one has no effect

	Complete Completion
	Secret   bool // may hold a secret; mask finds the part that does
	V5       bool // has no meaning before MQTT 5

	NoEnv       bool   // has no environment variable
	AboutFile   bool   // selects a file or a context, and cannot be set in a file
	NoKey       bool   // not allowed in a configuration file; implied by NoEnv
	EnvFallback string // a second variable, read if the first is not set
}

// Env returns the environment variable of the option: MQ_ and the name in capitals, or ""
// if it has none.
func (o *Option) Env() string {
	if o.NoEnv {
		return ""
	}
	b := []byte("MQ_" + o.Name) // strings.Map costs more, and each start does this for every option
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

// Key returns the key of the option in a configuration file, or "" if it is not allowed
// there.
func (o *Option) Key() string {
	if o.NoEnv || o.NoKey {
		return ""
	}
	return o.Name
}

// Spellings returns all spellings of the option, short ones first: -P --password --pw.
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

func (o *Option) choiceWords() string { return units.OrList(o.takes(0)...) }

// takes returns the values that the option accepts with a command, or nil unless they are
// few.
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

// Absolute returns the value with its path made absolute. A name that begins with @ is an
// abstract socket, not a file.
func (o *Option) Absolute(raw string) (string, error) {
	switch {
	case o.Name == "url":
		t, err := transport.ParseURL(raw)
		if err != nil || t.Network != "unix" || strings.HasPrefix(t.Path, "@") || filepath.IsAbs(t.Path) {
			return raw, nil
		}
		t.Path, err = filepath.Abs(t.Path)
		return t.String(), err // without the password: a relative path is printed without a user
	case o.Name == "unix" && strings.HasPrefix(raw, "@"), raw == "-", o.Complete != CompleteFile && o.Complete != CompleteDir:
		return raw, nil
	}
	return filepath.Abs(raw)
}

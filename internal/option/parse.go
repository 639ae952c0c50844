package option

import (
	"flag"
	"io"
	"slices"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"
)

// urfave/cli gets the canonical words of Normalize and flags that have exactly
// one name and only collect text, in order: nothing is left for it to copy
// between aliases, split at commas, read in base 0 or take from the
// environment. Its own help, version, messages and exits are all off.

// rawFlag collects the uses of one option into a list shared by all. It is the
// flag as urfave wants it and its value as package flag wants it. None of
// urfave's flag types will do: each of their names costs it a regular
// expression for every other flag, a millisecond in all.
type rawFlag struct {
	opt   *Option
	names []string
	uses  *[]Use
	set   bool
}

// Apply, Names, IsSet and String make it a cli.Flag.

func (f *rawFlag) Apply(set *flag.FlagSet) error {
	set.Var(f, f.opt.Name, "")
	return nil
}

func (f *rawFlag) Names() []string { return f.names }

func (f *rawFlag) IsSet() bool { return f.set }

func (f *rawFlag) String() string { return "" }

// Set, IsBoolFlag and String make it a flag.Value.

func (f *rawFlag) Set(s string) error {
	*f.uses, f.set = append(*f.uses, Use{Opt: f.opt, Raw: s}), true
	return nil
}

func (f *rawFlag) IsBoolFlag() bool { return f.opt.Type == TypeBool }

// split parses canonical words into uses of options and positional words.
func split(table Options, words []string) (uses []Use, positional []string, err error) {
	// urfave gets the flags that are used: each costs it a microsecond.
	var flags []ucli.Flag
	known := make([]*Option, 0, len(words))
	for _, w := range words {
		if w == "--" {
			break
		}
		name, _, _ := strings.Cut(w, "=")
		if o := table.Find(name); o != nil && !slices.Contains(known, o) {
			known = append(known, o)
			flags = append(flags, &rawFlag{opt: o, names: []string{o.Name}, uses: &uses})
		}
	}
	app := &ucli.App{
		Name:                      "mqtools", // else urfave looks at os.Args
		Usage:                     " ",
		Flags:                     flags,
		HideHelp:                  true,
		HideHelpCommand:           true,
		HideVersion:               true,
		DisableSliceFlagSeparator: true,
		Compiled:                  time.Unix(0, 1), // else it looks at the program's file
		Reader:                    eof{},
		Writer:                    io.Discard,
		ErrWriter:                 io.Discard,
		Action: func(c *ucli.Context) error {
			positional = c.Args().Slice()
			return nil
		},
		OnUsageError:   func(_ *ucli.Context, err error, _ bool) error { return err },
		ExitErrHandler: func(*ucli.Context, error) {},
	}
	err = app.Run(append([]string{app.Name}, words...))
	return uses, positional, err
}

// urfave/cli looks for its own help and version flags even where they are
// hidden, and asks for their names with a regular expression, which costs more
// than all of our parsing.
func init() { ucli.HelpFlag, ucli.VersionFlag = nil, nameless{} }

type nameless struct{ ucli.Flag }

func (nameless) Names() []string { return nil }

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// Line is a command line after the words are sorted out and before the
// values are checked.
type Line struct {
	Table      Options
	Uses       []Use
	Positional []string
}

func ParseWords(table Options, argv []string) (*Line, error) {
	words, err := Normalize(table, argv)
	if err != nil {
		return nil, err
	}
	uses, positional, err := split(table, words)
	if err != nil {
		// Cannot happen for words of Normalize; FuzzNormalize says so.
		return nil, Usagef("arguments not understood: %s", err)
	}
	path := ""
	for _, use := range uses {
		if use.Opt.Name == optionsFile {
			if path != "" {
				return nil, Usagef("--%s is given twice", use.Opt.Name)
			}
			path = use.Raw
		}
	}
	if path != "" {
		more, err := readOptionsFile(table, path)
		if err != nil {
			return nil, err
		}
		uses = append(more, uses...)
	}
	return &Line{table, uses, positional}, nil
}

// SecretFile is the options file, if there is a secret in it, or "".
func (p *Line) SecretFile() string {
	path, secret := "", false
	for _, use := range p.Uses {
		if use.Opt.Name == optionsFile {
			path = use.Raw
		}
		secret = secret || use.Place != "" && use.Opt.HoldsSecret(use.Raw)
	}
	if !secret {
		return ""
	}
	return path
}

// Has tells whether a switch is on after all its uses.
func (p *Line) Has(name string) bool {
	on := false
	for _, use := range p.Uses {
		if use.Opt.Name == name {
			on = use.Raw != "false"
		}
	}
	return on
}

// Gives tells whether an option is there at all.
func (p *Line) Gives(name string) bool {
	return slices.ContainsFunc(p.Uses, func(use Use) bool { return use.Opt.Name == name })
}

// Parse reads a command line, without the program's name, and the environment
// against a table. It returns the values and the positional words. The error
// is a *UsageError. A nil lookup is an empty environment.
func Parse(table Options, argv []string, lookup LookupFunc) (*Values, []string, error) {
	p, err := ParseWords(table, argv)
	if err != nil {
		return nil, nil, err
	}
	values, err := Decode(p.Table, p.Uses, 0, lookup, nil)
	return values, p.Positional, err
}

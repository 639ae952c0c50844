package option

import (
	"flag"
	"io"
	"slices"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"
)

// Dispatch reads a command line, without the program's name: it finds the command that
// the first words name, narrows the program to it, and calls run with the rest. It
// returns what run returns, or the error of the words.
//
// A command is called by urfave/cli: it has the tree of commands, the flags of the one
// that is named, and its action. A line without a command goes past it, as most runs of
// a program that publishes one message do, which its set-up would make slower.
func (t *Program) Dispatch(argv []string, run func(*Line) error) error {
	commands := t.Commands
	path := argv[:t.Choose(argv)]
	table, rest := t.Table(), argv[len(path):]
	if t.Command == nil || t.NeedsCommand {
		line, err := parseWords(t.Command, table, rest)
		if err != nil {
			return err
		}
		return run(line)
	}
	words, err := normalize(t.Command, table, rest)
	if err != nil {
		return err
	}
	tree := tree{chosen: t.Command, table: table, run: run}
	tree.flags = tree.flagsOf(words)
	return tree.app(t.Name, commands).Run(slices.Concat([]string{t.Name}, path, words))
}

// tree makes urfave/cli's commands of ours. It gets the canonical words of Normalize,
// and flags that have exactly one name and only collect text, in order: nothing is left
// for it to copy between aliases, split at commas, read in base 0 or take from the
// environment. Its own help, version, messages and exits are off.
type tree struct {
	chosen *Command
	table  Options
	flags  []ucli.Flag // of the command chosen
	uses   []Use
	run    func(*Line) error
}

func (t *tree) app(name string, commands []*Command) *ucli.App {
	return &ucli.App{
		Name:                      name,
		Usage:                     " ",
		Commands:                  t.commands(commands),
		HideHelp:                  true,
		HideHelpCommand:           true,
		HideVersion:               true,
		DisableSliceFlagSeparator: true,
		Compiled:                  time.Unix(0, 1), // else it looks at the program's file
		Reader:                    eof{},
		Writer:                    io.Discard,
		ErrWriter:                 io.Discard,
		ExitErrHandler:            func(*ucli.Context, error) {},
	}
}

// commands returns urfave's form of some commands and of those below them.
func (t *tree) commands(ours []*Command) []*ucli.Command {
	all := make([]*ucli.Command, 0, len(ours))
	for _, c := range ours {
		command := &ucli.Command{
			Name:         c.Name,
			Usage:        c.Summary,
			ArgsUsage:    c.Usage,
			Subcommands:  t.commands(c.Commands),
			Action:       t.action,
			OnUsageError: func(_ *ucli.Context, err error, _ bool) error { return Usagef("arguments not understood: %s", err) },
			HideHelp:     true,
		}
		if c == t.chosen {
			command.Flags = t.flags
		}
		all = append(all, command)
	}
	return all
}

// action is called when the words are read.
func (t *tree) action(c *ucli.Context) error {
	line, err := newLine(t.chosen, t.table, t.uses, c.Args().Slice())
	if err != nil {
		return err
	}
	return t.run(line)
}

// flagsOf returns the flags that canonical words use: each costs urfave a microsecond.
func (t *tree) flagsOf(words []string) (flags []ucli.Flag) {
	known := make(Options, 0, len(words))
	for _, w := range words {
		if w == "--" {
			break
		}
		name, _, _ := strings.Cut(w, "=")
		if o := t.table.Find(name); !slices.Contains(known, o) {
			known = append(known, o)
			flags = append(flags, &treeFlag{opt: o, names: []string{o.Name}, uses: &t.uses})
		}
	}
	return flags
}

// treeFlag collects the uses of one option into a list shared by all. It is the
// flag as urfave wants it and its value as package flag wants it. None of
// urfave's flag types will do: each of their names costs it a regular
// expression for every other flag, a millisecond in all.
type treeFlag struct {
	opt   *Option
	names []string
	uses  *[]Use
	set   bool
}

// Apply, Names, IsSet and String make it a cli.Flag.

func (f *treeFlag) Apply(set *flag.FlagSet) error {
	set.Var(f, f.opt.Name, "")
	return nil
}

func (f *treeFlag) Names() []string { return f.names }

func (f *treeFlag) IsSet() bool { return f.set }

func (f *treeFlag) String() string { return "" }

// Set, IsBoolFlag and String make it a flag.Value.

func (f *treeFlag) Set(s string) error {
	*f.uses, f.set = append(*f.uses, Use{Opt: f.opt, Raw: s}), true
	return nil
}

func (f *treeFlag) IsBoolFlag() bool { return f.opt.Type == TypeBool }

// urfave/cli looks for its own help and version flags even where they are
// hidden, and asks for their names with a regular expression, which costs more
// than all of our parsing.
func init() { ucli.HelpFlag, ucli.VersionFlag = nil, nameless{} }

type nameless struct{ ucli.Flag }

func (nameless) Names() []string { return nil }

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

package option

import (
	"flag"
	"io"
	"slices"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"
)

// Dispatch reads a command line, without the program's name. It finds the command that the
// first words name, narrows the program to it, and calls run with the rest. It returns what
// run returns, or the error in the words.
//
// urfave/cli calls a command: it has the tree of commands, the flags of the command that is
// named, and its action. A line without a command bypasses urfave/cli, because its setup
// would slow down most runs of a program that publishes one message.
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

// tree converts our commands to urfave/cli's. urfave/cli gets the canonical words of
// Normalize, and flags that have exactly one name and only collect text, in order. So it
// copies nothing between aliases, splits nothing at commas, reads no number in base 0 and
// no environment. Its own help, version, messages and exits are off.
type tree struct {
	chosen *Command
	table  Options
	flags  []ucli.Flag // of the chosen command
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
		Compiled:                  time.Unix(0, 1), // else urfave/cli stats the program's file
		Reader:                    strings.NewReader(""),
		Writer:                    io.Discard,
		ErrWriter:                 io.Discard,
		ExitErrHandler:            func(*ucli.Context, error) {},
	}
}

// commands returns urfave/cli's form of some commands and their subcommands.
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

// action runs after the words are parsed.
func (t *tree) action(c *ucli.Context) error {
	line, err := newLine(t.chosen, t.table, t.uses, c.Args().Slice())
	if err != nil {
		return err
	}
	return t.run(line)
}

// flagsOf returns the flags that the canonical words use. Each costs urfave/cli a
// microsecond.
func (t *tree) flagsOf(words []string) (flags []ucli.Flag) {
	uses, _ := split(t.table, words)
	known := make(Options, 0, len(uses))
	for _, use := range uses {
		if o := use.Opt; !slices.Contains(known, o) {
			known = append(known, o)
			flags = append(flags, &treeFlag{opt: o, names: []string{o.Name}, uses: &t.uses})
		}
	}
	return flags
}

// treeFlag appends the uses of one option to a list shared by all. It implements both
// urfave/cli's flag and package flag's value. urfave/cli's own flag types are too slow:
// each of their names is matched by a regular expression for every other flag, a
// millisecond in all.
type treeFlag struct {
	opt   *Option
	names []string
	uses  *[]Use
	set   bool
}

// Apply, Names, IsSet and String implement cli.Flag.

func (f *treeFlag) Apply(set *flag.FlagSet) error {
	set.Var(f, f.opt.Name, "")
	return nil
}

func (f *treeFlag) Names() []string { return f.names }

func (f *treeFlag) IsSet() bool { return f.set }

func (f *treeFlag) String() string { return "" }

// Set, IsBoolFlag and String implement flag.Value.

func (f *treeFlag) Set(s string) error {
	*f.uses, f.set = append(*f.uses, Use{Opt: f.opt, Raw: s}), true
	return nil
}

func (f *treeFlag) IsBoolFlag() bool { return f.opt.Type == TypeBool }

// urfave/cli looks for its own help and version flags even if they are hidden, and finds
// their names with a regular expression, which costs more than all of our parsing.
func init() { ucli.HelpFlag, ucli.VersionFlag = nil, nameless{} }

type nameless struct{ ucli.Flag }

func (nameless) Names() []string { return nil }

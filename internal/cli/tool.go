package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mqtools/mqtools/internal/notify"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/stack"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Tool is one program.
type Tool struct {
	option.Program

	// Commands are what the first word may name. Tools that publish or subscribe have
	// the command context beside them.
	Commands []Command

	// Personalities are the programs that it can stand in for, which have no commands.
	Personalities []Personality

	// Resolve checks the options about the connection as a run would, and returns the
	// broker that it leads to and which option says so, for --show-config and context
	// add. It reaches nothing. nil: the tool has none.
	Resolve func(ctx context.Context, inv *Invocation) (broker, from string, err error)

	// Run does the work of a run without a command, and of commands without one of
	// their own. It calls Begin or CatchSignals before it begins what should
	// not just be broken off. The error, if any, is told on stderr with its hint and
	// decides on the exit code, see CodeOf and Failed.
	Run func(ctx context.Context, inv *Invocation) error
}

// Command is one command of a tool: what options and help know of it, and its work.
type Command struct {
	option.Command
	Commands []Command // that the next word may name

	Run     func(ctx context.Context, inv *Invocation) error // nil: that of the tool
	Printed Printed
}

// Printed says what a command writes to standard output, which has to be open then.
type Printed uint8

// What commands write there.
const (
	PrintedByRun     Printed = iota // what Run calls CheckOutput for, if anything
	PrintedAll                      // all
	PrintedUnlessOut                // all, unless --out names a file
)

// Invocation is one run of a tool: its streams, its voice and its values.
type Invocation struct {
	Env
	*Talk
	Tool   *Tool
	Values *option.Values
	Args   []string     // positional words behind those of the command
	As     *Personality // the program it stands in for; nil: none

	Service *notify.Service // nil: no service manager is to be told anything

	Farewell error // the broker answered our DISCONNECT with an error; the run fails with it

	watched struct { // beside stdout and stderr; the end of the time looks at them while the work adds more
		sync.Mutex
		streams []*stream
	}

	uses []option.Use // of the command line

	Dry bool // options are checked, and nothing is asked, run or reached

	StdoutColor bool // colour what goes to stdout
	StderrColor bool

	Trace func(sent bool, f packet.Frame, v packet.Version) // nil: that of Debugf
}

// Habits are those of the program that the tool stands in for.
func (inv *Invocation) Habits() Habits {
	if inv.As == nil {
		return Habits{}
	}
	return inv.As.Habits
}

// Main runs a tool in this process, with its streams, environment and
// signals, and returns the exit code; or does not return, where the tool was ended
// by a signal.
func Main(tool Tool) int {
	// A panic and SIGABRT end the process by that signal, after the trace: by
	// default they would with status 2, which means a mistake of the caller's.
	debug.SetTraceback("crash")
	exit := func(code int) { os.Exit(dieBy(code)) }
	env := OSEnv()
	env.signals, env.exit = newSignals(context.Background()), exit
	undo, _ := byDefault(syscall.SIGQUIT) // else Go's runtime prints what every goroutine does
	env.catch = sync.OnceFunc(func() {
		env.signals.catch(exit)
		undo()
	})
	if os.Getpid() == 1 { // whom the kernel lets no signal end by default
		env.CatchNow()
	}
	env.settle = sync.OnceFunc(func() {
		if stack.Settle != nil {
			stack.Settle()
		}
	})
	env.unset = func(name string) { _ = os.Unsetenv(name) }
	if tz, has := os.LookupEnv("TZ"); has {
		switch l, ok := timeZone(tz); {
		case !ok:
			env.lostZone = tz
		case l != nil:
			time.Local = l
		}
	}
	return dieBy(Run(env.signals.ctx, env, tool))
}

// Run runs a tool and returns its exit code. It touches nothing of the process
// but what env holds.
func Run(ctx context.Context, env Env, tool Tool) int {
	defer env.catchLater().Stop()
	if p, name := tool.personality(&env); p != nil {
		return runAs(ctx, env, tool, p, name)
	}
	env.streams()
	tool.describe()
	inv := &Invocation{Env: env, Tool: &tool, Talk: NewTalk(env.Stderr, tool.Name, false, false, UseColor("auto", env.Lookup, env.StderrIsTerminal))}
	if shell, words := option.Asks(env.Args); len(words) > 0 {
		return CodeOf(ctx, inv.page(tool.Answer(env.environment(), shell, words)))
	}
	// Before the words are checked: help is most wanted when one is wrong.
	page, program, err := env.help(tool.Program)
	if program == nil {
		program = &tool.Program
		err = tool.Dispatch(env.Args, func(line *option.Line) error { return inv.obey(ctx, line) })
	} else if err == nil {
		err = inv.page(page)
	}
	if tells(ctx, err) {
		fallback := ""
		if _, usage := errors.AsType[*option.UsageError](err); usage {
			fallback = "try '" + program.Invoked() + " --help'"
		}
		inv.problem(err, fallback)
	}
	return CodeOf(ctx, err)
}

// obey does what a command line says.
func (inv *Invocation) obey(ctx context.Context, line *option.Line) error {
	tool := inv.Tool
	inv.Args, inv.uses = line.Positional, line.Uses
	if line.Has("version") && !tool.bare() {
		return inv.page(VersionLine(tool.Name) + "\n")
	}
	conf, err := inv.decode(line)
	if err != nil {
		return err
	}
	if tool.bare() {
		inv.Dry = true
		inv.talk(false)
		return inv.work(ctx)
	}
	if done, err := inv.aside(ctx, line); done || err != nil {
		return err
	}
	inv.talk(inv.Values.Debug.On())
	if inv.Debugging() && conf != nil {
		for _, f := range conf.Files {
			inv.Debugf("configuration file %s", f.Path)
		}
	}
	for _, path := range inv.exposed(conf) {
		inv.tellExposed(path, "a secret")
	}
	if path := line.SecretFile(); path != "" {
		inv.WarnExposed(inv.Talk, path, "a secret", OwnersOnly)
	}

	inv.findService()
	inv.endInTime(ctx)
	return inv.run(ctx)
}

// decode reads the values of a command line, its environment and the configuration
// files, which it returns, and checks that the command obeys what the line has.
func (inv *Invocation) decode(line *option.Line) (conf *option.Config, err error) {
	tool := inv.Tool
	lookup, fromFiles := inv.Lookup, []option.Use(nil)
	check := func() error { return cmp.Or(tool.CheckArgs(line), tool.CheckCommand(line)) }
	switch {
	case tool.bare():
		if err := check(); err != nil {
			return nil, err
		}
		lookup = nil
	case !line.Gives(option.CompletionOption): // whose script must come whatever a file says
		if conf, fromFiles, err = option.Configured(inv.environment(), line.Uses, tool.Bit); err != nil {
			return nil, err
		}
	}
	if inv.Values, err = option.Decode(line.Table, slices.Concat(line.Uses, tool.Implied()), tool.Command, lookup, fromFiles); err != nil {
		return nil, err
	}
	aside := line.Gives(option.CompletionOption) || line.Has("hash-password") // which run nothing
	if aside || line.Has("show-config") && tool.NeedsCommand {
		err = tool.CheckArgs(line)
	} else {
		err = check()
	}
	if err == nil && !aside && !tool.bare() {
		err = inv.relate(tool.Effective(line.Positional), option.ForRun)
	}
	if err != nil {
		return nil, err
	}
	if inv.Values.Compat.IsSet() {
		if len(inv.Env.Args) > 0 && strings.HasPrefix(inv.Env.Args[0], "--"+option.Compat) {
			return nil, option.Usagef("--%s: %s does not stand in for %s", option.Compat, tool.Name, inv.Values.Compat.Text())
		}
		return nil, option.Usagef("%s stands before all other words", inv.Values.Compat.Name())
	}
	return conf, nil
}

// aside does what stands beside the work of a tool, and reports whether that was it.
func (inv *Invocation) aside(ctx context.Context, line *option.Line) (done bool, err error) {
	var page string
	shell := inv.Values.Completion.Text()
	switch {
	case inv.Values.ShowConfig.On():
		page, err = inv.showConfig(ctx, line.Table)
	case shell != "":
		page = option.CompletionScript(shell, inv.Tool.Name)
	case inv.Values.HashPassword.On():
		page, err = inv.hashPassword(ctx)
	default:
		return false, nil
	}
	if err != nil {
		return true, err
	}
	return true, inv.page(page)
}

// talk has the tool speak and colour as its options say.
func (inv *Invocation) talk(debug bool) {
	when := inv.Values.Color.Text()
	inv.StdoutColor = UseColor(when, inv.Lookup, inv.StdoutIsTerminal)
	inv.StderrColor = UseColor(when, inv.Lookup, inv.StderrIsTerminal)
	inv.Talk = NewTalk(inv.Stderr, inv.Tool.Name, inv.Values.Quiet.On(), debug, inv.StderrColor)
}

// describe completes the description of the tool by what this floor knows.
func (t *Tool) describe() {
	if t.Bit&option.PubSub != 0 {
		t.Commands = append(slices.Clip(t.Commands), contextCommand())
	}
	t.Program.Commands = described(t.Commands)
	for _, p := range t.Personalities {
		t.Compat = append(t.Compat, slices.Compact([]string{p.Flag, p.Name})...)
	}
}

// described returns what options know of commands.
func described(commands []Command) []*option.Command {
	all := make([]*option.Command, len(commands))
	for i := range commands {
		c := commands[i].Command
		if len(commands[i].Commands) > 0 {
			c.Commands = described(commands[i].Commands)
		}
		all[i] = &c
	}
	return all
}

// chosen returns the command that the words of a path name, or nil.
func (t *Tool) chosen() (c *Command) {
	commands := t.Commands
	for word := range strings.FieldsSeq(t.Path) {
		i := slices.IndexFunc(commands, func(c Command) bool { return c.Name == word })
		c = &commands[i]
		commands = c.Commands
	}
	return c
}

// bare reports whether the command is one about the configuration file.
func (t *Tool) bare() bool { return t.Command != nil && t.Command.Bare }

// work is the Run of the command, or of the tool.
func (inv *Invocation) work(ctx context.Context) error {
	run := inv.Tool.Run
	if c := inv.Tool.chosen(); c != nil {
		out := ""
		if c.Printed == PrintedUnlessOut {
			out = inv.Values.Out.Text()
		}
		if c.Printed != PrintedByRun && (out == "" || out == "-") {
			if err := inv.CheckOutput(); err != nil {
				return err
			}
		}
		if c.Run != nil {
			run = c.Run
		}
	}
	return run(ctx, inv)
}

// run is work. A time limit that ends it before anything is under way ends it
// everywhere in the same words.
func (inv *Invocation) run(ctx context.Context) error {
	err := cmp.Or(inv.work(ctx), inv.Farewell)
	inv.BeginBriefly() // telling how it went
	if err == ErrTimeout {
		return inv.TimedOut("not connected")
	}
	return err
}

// showConfig is the page of --show-config: the broker that a run would use, found in
// the same way and refused with the same error, and the options of which some have
// given way to others then.
func (inv *Invocation) showConfig(ctx context.Context, table option.Options) (string, error) {
	if err := inv.CheckOutput(); err != nil {
		return "", err
	}
	row := ""
	if inv.Tool.Resolve != nil {
		inv.Dry = true
		broker, from, err := inv.Tool.Resolve(ctx, inv)
		if err != nil {
			return "", err
		}
		row = fmt.Sprintf("%-24s %-32s %s\n", "broker", broker, from)
	}
	table = slices.DeleteFunc(table, func(o *option.Option) bool { return !inv.Tool.Command.Obeys(o) })
	return row + option.ShowConfig(inv.Values, table, &inv.Tool.Program, inv.Args), nil
}

// relate carries out what options have to do with each other.
func (inv *Invocation) relate(table option.Options, setting option.Setting) error {
	warnings, err := inv.Values.Relate(table, setting)
	for _, w := range warnings {
		inv.Warnf("%s", w)
	}
	return err
}

// findService finds the service manager of a tool that is a service by itself.
func (inv *Invocation) findService() {
	if inv.Tool.Bit&option.PubSub == 0 {
		return
	}
	inv.Service = notify.New(inv.Variable, func(err error) { inv.Warnf("%v", err) })
	if inv.unset == nil || inv.Getenv(notify.Variables[0]) == "" {
		return
	}
	for _, name := range notify.Variables {
		inv.unset(name)
	}
}

// Abandon ends the process with an error although Tool.Run does not return: it
// hangs where nothing can interrupt it. Where Run is not that of a process, it
// only tells the error.
func (inv *Invocation) Abandon(ctx context.Context, err error) {
	if tells(ctx, err) {
		inv.problem(err, "")
	}
	if inv.exit != nil {
		inv.exit(CodeOf(ctx, err))
	}
}

// tells says whether an error deserves a line: not the bare news that a signal
// came, nor an exit code without an error.
func tells(ctx context.Context, err error) bool {
	if err == nil {
		return false
	}
	switch e := err.(type) {
	case *Exit:
		return e.Err != nil
	case *SignalError:
		return false
	}
	_, signalled := errors.AsType[*SignalError](context.Cause(ctx))
	return !(signalled && err == context.Canceled)
}

// page writes a page to stdout. That of help and the like may go nowhere: whoever
// discards it, as Python does with both directions of /dev/null, cannot be told from one
// who has closed stdout.
func (inv *Invocation) page(text string) error {
	inv.CatchNow()
	_, err := io.WriteString(inv.Stdout, text)
	return OutputError(inv.Tool.Bit, err)
}

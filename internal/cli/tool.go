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

	// Commands are the commands that the first word may name. Tools that publish or
	// subscribe also have the command context.
	Commands []Command

	// Personalities are the programs that it can imitate; they have no commands.
	Personalities []Personality

	// Resolve checks the options of the connection as a run would, and returns the broker
	// that they select and the option that selects it, for --show-config and context add.
	// It connects to nothing. It is nil for a tool without a connection.
	Resolve func(ctx context.Context, inv *Invocation) (broker, from string, err error)

	// Run runs the tool without a command, and commands that have no Run. It calls Begin or
	// CatchSignals before it starts work that must not be interrupted. The error, if any,
	// is printed on stderr with its hint and determines the exit code, see CodeOf and
	// Failed.
	Run func(ctx context.Context, inv *Invocation) error
}

// Command is one command of a tool: its description for options and help, and its Run
// function.
type Command struct {
	option.Command
	Commands []Command // subcommands

	Run     func(ctx context.Context, inv *Invocation) error // nil: the tool's Run
	Printed Printed
}

// Printed describes what a command writes to standard output, which must be open for it.
type Printed uint8

// The values of Printed.
const (
	PrintedByRun     Printed = iota // whatever Run calls CheckOutput for
	PrintedAll                      // all output
	PrintedUnlessOut                // all output, unless --out names a file
)

// Invocation is one run of a tool: its streams, its messages and its values.
type Invocation struct {
	Env
	*Talk
	Tool   *Tool
	Values *option.Values
	Args   []string     // positional words after those of the command
	As     *Personality // the program it imitates; nil: none

	Service *notify.Service // nil: no service manager to notify

	Farewell error // the broker replied to our DISCONNECT with an error, which is then the result of the run

	watched struct { // besides stdout and stderr; checked at the time limit while Run may add more
		sync.Mutex
		streams []*stream
	}

	uses []option.Use // of the command line

	Dry bool // options are checked, but no prompt, command or connection is started

	StdoutColor bool // color the output on stdout
	StderrColor bool

	Trace func(sent bool, f packet.Frame, v packet.Version) // nil: logs with Debugf
}

// CompatBehavior returns the behavior of the program that the tool imitates.
func (inv *Invocation) CompatBehavior() CompatBehavior {
	if inv.As == nil {
		return CompatBehavior{}
	}
	return inv.As.CompatBehavior
}

// Main runs a tool in this process, with its streams, environment and signals, and returns
// the exit code. It does not return if a signal ends the process.
func Main(tool Tool) int {
	// A panic and SIGABRT end the process by that signal, after the trace. By default the
	// status would be 2, which means a usage error.
	debug.SetTraceback("crash")
	exit := func(code int) { os.Exit(dieBy(code)) }
	env := OSEnv()
	env.signals, env.exit = newSignals(context.Background()), exit
	undo, _ := byDefault(syscall.SIGQUIT) // else Go's runtime prints the stacks of all goroutines
	env.catch = sync.OnceFunc(func() {
		env.signals.catch(exit)
		undo()
	})
	if os.Getpid() == 1 { // the kernel does not apply default actions to it
		env.CatchNow()
	}
	if stack.Settle != nil {
		env.settle = sync.OnceFunc(stack.Settle)
	}
	env.unset = func(name string) { _ = os.Unsetenv(name) }
	if tz, has := os.LookupEnv("TZ"); has {
		switch l, ok := timeZone(tz); {
		case !ok:
			env.lostZone = tz
		case l != nil:
			time.Local = l
		}
	}
	code, own := run(env.signals.ctx, env, tool)
	if own {
		return dieBy(code)
	}
	return code
}

// Run runs a tool and returns its exit code. It uses nothing of the process except what env
// holds.
func Run(ctx context.Context, env Env, tool Tool) int {
	code, _ := run(ctx, env, tool)
	return code
}

// run is Run, and reports whether the code is one of the tool's own, see option.ExitCodes. In
// place of another program it may be a reason code of MQTT 5, which has the number that
// stands for a signal here.
func run(ctx context.Context, env Env, tool Tool) (code int, own bool) {
	defer env.catchLater().Stop()
	if p, name := tool.personality(&env); p != nil {
		return runAs(ctx, env, tool, p, name)
	}
	return runNatively(ctx, env, tool), true
}

func runNatively(ctx context.Context, env Env, tool Tool) int {
	env.streams()
	tool.describe()
	inv := &Invocation{Env: env, Tool: &tool, Talk: NewTalk(env.Stderr, tool.Name, false, false, UseColor("auto", env.Lookup, env.StderrIsTerminal))}
	if shell, words := option.Asks(env.Args); len(words) > 0 {
		return CodeOf(ctx, inv.page(tool.Answer(env.environment(), shell, words)))
	}
	// Before the words are checked: help is needed most when one is wrong.
	page, program, err := env.help(tool.Program)
	if program == nil {
		program = &tool.Program
		err = tool.Dispatch(env.Args, func(line *option.Line) error { return inv.obey(ctx, line) })
	} else if err == nil {
		err = inv.page(page)
	}
	fallback := ""
	if _, usage := errors.AsType[*option.UsageError](err); usage {
		fallback = "try '" + program.Invoked() + " --help'"
	}
	return inv.report(ctx, err, fallback)
}

// report prints what an error needs, and returns the exit code.
func (inv *Invocation) report(ctx context.Context, err error, fallback string) int {
	if needsLine(ctx, err) {
		inv.problem(err, fallback)
	}
	return CodeOf(ctx, err)
}

// obey executes a command line.
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
	for _, f := range conf.Files {
		inv.Debugf("configuration file %s", f.Path)
	}
	for _, path := range inv.exposed(conf) {
		inv.warnExposed(path, "a secret")
	}
	if path := line.SecretFile(); path != "" {
		inv.WarnExposed(inv.Talk, path, "a secret", OwnersOnly)
	}

	inv.findService()
	inv.endInTime(ctx)
	return inv.run(ctx)
}

// decode reads the values of a command line, its environment and the configuration files,
// which it returns, and checks that the command obeys the options of the line.
func (inv *Invocation) decode(line *option.Line) (conf *option.Config, err error) {
	tool := inv.Tool
	lookup, fromFiles := inv.Lookup, []option.Use(nil)
	conf = &option.Config{}
	check := func() error { return cmp.Or(tool.CheckArgs(line), tool.CheckCommand(line)) }
	switch {
	case tool.bare():
		if err := check(); err != nil {
			return nil, err
		}
		lookup = nil
	case !line.Gives(option.CompletionOption): // the script must be printed whatever a file says
		if conf, fromFiles, err = option.Configured(inv.environment(), line.Uses, tool.Bit); err != nil {
			return nil, err
		}
	}
	if inv.Values, err = option.Decode(line.Table, slices.Concat(line.Uses, tool.Implied()), tool.Command, lookup, fromFiles); err != nil {
		return nil, err
	}
	aside := line.Gives(option.CompletionOption) || line.Has("hash-password") // these run nothing
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
		return nil, option.Usagef("%s must come first", inv.Values.Compat.Name())
	}
	return conf, nil
}

// aside does what is not the tool's main work, and reports whether there was any.
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
	if err == nil {
		err = inv.page(page)
	}
	return true, err
}

// talk configures messages and color as the options say.
func (inv *Invocation) talk(debug bool) {
	when := inv.Values.Color.Text()
	inv.StdoutColor = UseColor(when, inv.Lookup, inv.StdoutIsTerminal)
	inv.StderrColor = UseColor(when, inv.Lookup, inv.StderrIsTerminal)
	inv.Talk = NewTalk(inv.Stderr, inv.Tool.Name, inv.Values.Quiet.On(), debug, inv.StderrColor)
}

// describe completes the description of the tool with what this package knows.
func (t *Tool) describe() {
	if t.Bit&option.PubSub != 0 {
		t.Commands = append(slices.Clip(t.Commands), contextCommand())
	}
	t.Program.Commands = described(t.Commands)
	for _, p := range t.Personalities {
		t.Compat = append(t.Compat, slices.Compact([]string{p.Flag, p.Name})...)
	}
}

// described returns the descriptions of commands for package option.
func described(commands []Command) []*option.Command {
	all := make([]*option.Command, len(commands))
	for i := range commands {
		c := commands[i].Command
		c.Commands = described(commands[i].Commands)
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

// bare reports whether the command works on the configuration file.
func (t *Tool) bare() bool { return t.Command != nil && t.Command.Bare }

// work calls the Run of the command or of the tool.
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

// run is work with the time limit. A limit that ends it before any work is in progress
// always gives the same error.
func (inv *Invocation) run(ctx context.Context) error {
	err := cmp.Or(inv.work(ctx), inv.Farewell)
	inv.BeginBriefly() // to print the result
	if err == ErrTimeout {
		return inv.TimedOut("not connected")
	}
	return err
}

// showConfig returns the output of --show-config: the broker that a run would use, found in
// the same way and refused with the same error, and the options after some have yielded to
// others.
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

// relate applies the relations between options.
func (inv *Invocation) relate(table option.Options, setting option.Setting) error {
	warnings, err := inv.Values.Relate(table, setting)
	for _, w := range warnings {
		inv.Warnf("%s", w)
	}
	return err
}

// findService connects to the service manager of a tool that runs as a service.
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

// Abandon ends the process with an error although Tool.Run does not return because it hangs
// in something that cannot be interrupted. If there is no process to end, it only prints
// the error.
func (inv *Invocation) Abandon(ctx context.Context, err error) {
	code := inv.report(ctx, err, "")
	if inv.exit != nil {
		inv.exit(code)
	}
}

// needsLine reports whether an error needs a line: not one that only says that a signal came,
// and not an exit code without an error.
func needsLine(ctx context.Context, err error) bool {
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

// page writes a page to stdout. Help and the like are printed even if stdout seems closed:
// /dev/null opened for both directions, as Python does, cannot be distinguished from it.
func (inv *Invocation) page(text string) error {
	inv.CatchNow()
	_, err := io.WriteString(inv.Stdout, text)
	return OutputError(inv.Tool.Bit, err)
}

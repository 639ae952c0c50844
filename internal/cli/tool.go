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
	_ "github.com/mqtools/mqtools/internal/stack" // for its effect on start-up
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Tool is one program.
type Tool struct {
	option.Program

	// Personalities are the programs that it can stand in for.
	Personalities []Personality

	// Resolve checks the options about the connection as a run would, and returns the
	// broker that it leads to and which option says so, for --show-config and context
	// add. It reaches nothing. nil: the tool has none.
	Resolve func(ctx context.Context, inv *Invocation) (broker, from string, err error)

	// Run does the work. It calls Begin or CatchSignals before it begins what should
	// not just be broken off. The error, if any, is told on stderr with its hint and
	// decides on the exit code, see CodeOf and Failed.
	Run func(ctx context.Context, inv *Invocation) error
}

// Invocation is one run of a tool: its streams, its voice and its values.
type Invocation struct {
	Env
	*Talk
	Tool   *Tool
	Values *option.Values
	Args   []string     // positional words
	As     *Personality // the program it stands in for; nil: none

	Service *notify.Service // nil: no service manager is to be told anything

	Farewell error // the broker answered our DISCONNECT with an error; the run fails with it

	watched struct { // beside stdout and stderr; the end of the time looks at them while the work adds more
		sync.Mutex
		streams []*stream
	}

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
	talk := NewTalk(env.Stderr, tool.Name, false, false, UseColor("auto", env.Lookup, env.StderrIsTerminal))
	if shell, words := option.Asks(env.Args); len(words) > 0 {
		return env.writePage(tool.Bit, tool.Answer(env.environment(), shell, words), talk)
	}
	tryHelp := "try '" + tool.Name + " --help'"
	if tool.Choose(env.Args); tool.Command != nil {
		tryHelp = "try '" + tool.Name + " " + tool.Command.Name + " --help'"
	}

	if tool.Bit&option.PubSub != 0 && len(env.Args) > 0 && env.Args[0] == option.ContextOption {
		return runContext(ctx, env, tool, talk)
	}
	// Before the words are checked: help is most wanted when one is wrong.
	if page, asked, err := env.help(&tool); err != nil {
		talk.problem(err, tryHelp)
		return CodeOf(ctx, err)
	} else if asked {
		return env.writePage(tool.Bit, page, talk)
	}
	words, err := option.ParseWords(option.Table(tool.Bit), env.Args)
	if err != nil {
		talk.problem(err, tryHelp)
		return CodeOf(ctx, err)
	}
	if words.Has("version") {
		return env.writePage(tool.Bit, VersionLine(tool.Name)+"\n", talk)
	}

	inv := &Invocation{Env: env, Talk: talk, Tool: &tool, Args: words.Positional}
	if tool.Command != nil {
		inv.Args = inv.Args[1:]
	}
	var conf *option.Config
	var fromFiles []option.Use
	if !words.Gives(option.CompletionOption) { // whose script must come whatever a file says
		conf, fromFiles, err = option.Configured(env.environment(), words.Uses, tool.Bit)
	}
	if err == nil {
		inv.Values, err = option.Decode(words.Table, words.Uses, tool.Bits(), env.Lookup, fromFiles)
	}
	if err == nil {
		err = tool.CheckArgs(words.Positional)
	}
	if err == nil && !words.Gives(option.CompletionOption) && !words.Has("show-config") && !words.Has("hash-password") {
		err = tool.CheckCommand(words)
	}
	if err == nil && !words.Gives(option.CompletionOption) && !words.Has("hash-password") {
		err = inv.relate(words.Table, option.ForRun)
	}
	if err == nil && inv.Values.Compat.IsSet() {
		err = option.Usagef("%s stands before all other words", inv.Values.Compat.Name())
		if len(env.Args) > 0 && strings.HasPrefix(env.Args[0], "--"+option.Compat) {
			err = option.Usagef("--%s: %s does not stand in for %s", option.Compat, tool.Name, inv.Values.Compat.Text())
		}
	}
	if err != nil {
		talk.problem(err, tryHelp)
		return CodeOf(ctx, err)
	}
	if inv.Values.ShowConfig.On() {
		page, err := inv.showConfig(ctx, words.Table)
		if err != nil {
			talk.problem(err, tryHelp)
			return CodeOf(ctx, err)
		}
		return env.writePage(tool.Bit, page, talk)
	}
	if shell := inv.Values.Completion.Text(); shell != "" {
		return env.writePage(tool.Bit, option.CompletionScript(shell, tool.Name), talk)
	}
	if inv.Values.HashPassword.On() {
		line, err := inv.hashPassword(ctx)
		if err != nil {
			if tells(ctx, err) {
				talk.problem(err, "")
			}
			return CodeOf(ctx, err)
		}
		return env.writePage(tool.Bit, line, talk)
	}
	when := inv.Values.Color.Text()
	inv.StdoutColor = UseColor(when, env.Lookup, env.StdoutIsTerminal)
	inv.StderrColor = UseColor(when, env.Lookup, env.StderrIsTerminal)
	inv.Talk = NewTalk(env.Stderr, tool.Name, inv.Values.Quiet.On(), inv.Values.Debug.On(), inv.StderrColor)
	if inv.Debugging() && conf != nil {
		for _, f := range conf.Files {
			inv.Debugf("configuration file %s", f.Path)
		}
	}
	for _, path := range env.exposed(conf) {
		inv.tellExposed(path, "a secret")
	}
	if path := words.SecretFile(); path != "" {
		env.WarnExposed(inv.Talk, path, "a secret", OwnersOnly)
	}

	inv.findService()
	inv.endInTime(ctx)
	err = inv.run(ctx)
	code := CodeOf(ctx, err)
	if tells(ctx, err) {
		fallback := ""
		if _, usage := errors.AsType[*option.UsageError](err); usage {
			fallback = tryHelp
		}
		inv.problem(err, fallback)
	}
	return code
}

// describe completes the description of the tool by what this floor knows.
func (t *Tool) describe() {
	t.Exits, t.Contexts = ExitCodes(t.Bit), contextVerbs
	for _, p := range t.Personalities {
		t.Compat = append(t.Compat, slices.Compact([]string{p.Flag, p.Name})...)
	}
}

// run is Tool.Run. A time limit that ends it before anything is under way ends it
// everywhere in the same words.
func (inv *Invocation) run(ctx context.Context) error {
	err := cmp.Or(inv.Tool.Run(ctx, inv), inv.Farewell)
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

// writePage writes a page to stdout. That of help and the like may go nowhere: whoever
// discards it, as Python does with both directions of /dev/null, cannot be told from one
// who has closed stdout.
func (e *Env) writePage(tools option.ToolSet, text string, talk *Talk) int {
	e.CatchNow()
	_, err := io.WriteString(e.Stdout, text)
	err = OutputError(tools, err)
	if tells(context.Background(), err) {
		talk.problem(err, "")
	}
	return CodeOf(context.Background(), err)
}

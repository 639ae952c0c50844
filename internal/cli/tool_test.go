package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/mqtools/mqtools/internal/option"
)

type outcome struct {
	code           int
	stdout, stderr string
}

func runTool(ctx context.Context, bit option.ToolSet, run func(context.Context, *Invocation) error, env map[string]string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	tool := Tool{Program: option.Program{Name: "mqsub", Bit: bit, Usage: "[OPTION]..."}, Run: run}
	code := Run(ctx, Env{Args: args, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Lookup: option.MapEnv(env)}, tool)
	return outcome{code, stdout.String(), stderr.String()}
}

func returns(err error) func(context.Context, *Invocation) error {
	return func(context.Context, *Invocation) error { return err }
}

func TestRunMapsErrorsToLinesAndCodes(t *testing.T) {
	t.Parallel()
	plainErr := errors.New("it broke")
	interrupted, cancel := context.WithCancelCause(context.Background())
	cancel(&SignalError{syscall.SIGTERM})
	for _, c := range []struct {
		it   string
		ctx  context.Context
		err  error
		want outcome
	}{
		{"says nothing on success", nil, nil, outcome{0, "", ""}},
		{"prints a plain error", nil, plainErr, outcome{1, "", "mqsub: it broke\n"}},
		{"takes the code of an error", nil, Failed(option.ExitDenied, plainErr), outcome{5, "", "mqsub: it broke\n"}},
		{"finds the code below a wrap", nil, fmt.Errorf("a/b: %w", Failed(option.ExitDenied, plainErr)), outcome{5, "", "mqsub: a/b: it broke\n"}},
		{"shows a hint on its own line", nil, &Exit{Code: option.ExitUnreached, Err: plainErr, Help: "is it up?"}, outcome{3, "", "mqsub: it broke\nmqsub: is it up?\n"}},
		{"finds the hint of the wrapped error", nil, Failed(option.ExitUsage, option.Usagef("no").WithHint("yes")), outcome{2, "", "mqsub: no\nmqsub: yes\n"}},
		{"gives a usage error of the tool the usual hint", nil, option.Usagef("no topic"), outcome{2, "", "mqsub: no topic\nmqsub: try 'mqsub --help'\n"}},
		{"ends quietly when asked", nil, ExitSilently(option.ExitTimeLimit), outcome{27, "", ""}},
		{"keeps an error on one line", nil, errors.New("a\nb\x1b[31m\u202e\xff"), outcome{1, "", `mqsub: a\nb\x1b[31m\u202e\xff` + "\n"}},
		{"says nothing of a signal", interrupted, context.Cause(interrupted), outcome{143, "", ""}},
		{"takes the signal's code for a cancelled context", interrupted, context.Canceled, outcome{143, "", ""}},
		{"prints what a signal left undone", interrupted, fmt.Errorf("3 messages left: %w", context.Canceled), outcome{143, "", "mqsub: 3 messages left: context canceled\n"}},
		{"succeeds when the work was done in spite of a signal", interrupted, nil, outcome{0, "", ""}},
		{"keeps its own code after a signal", interrupted, Failed(option.ExitLost, plainErr), outcome{7, "", "mqsub: it broke\n"}},
		{"does not take a cancellation without signal for one", nil, context.Canceled, outcome{1, "", "mqsub: context canceled\n"}},
		{"does not take a child's status for its own", nil, fakeChildError{}, outcome{1, "", "mqsub: exit status 77\n"}},
		{"does not take an impossible code", nil, Failed(256, plainErr), outcome{1, "", "mqsub: it broke\n"}},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			ctx := c.ctx
			if ctx == nil {
				ctx = context.Background()
			}
			if got := runTool(ctx, option.Sub, returns(c.err), nil); got != c.want {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// fakeChildError looks like *exec.ExitError.
type fakeChildError struct{}

func (fakeChildError) Error() string { return "exit status 77" }
func (fakeChildError) ExitCode() int { return 77 }
func (fakeChildError) Pid() int      { return 1 }

func TestUsageErrorsAreTwoLinesAndTheToolDoesNotRun(t *testing.T) {
	t.Parallel()
	ran := func(context.Context, *Invocation) error { return errors.New("ran") }
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-q", "7"}, "mqsub: --qos: invalid value \"7\" (want 0, 1 or 2)\nmqsub: try 'mqsub --help'\n"},
		{[]string{"--topci", "a"}, "mqsub: unknown option \"--topci\"\nmqsub: did you mean --topic?\n"},
		{[]string{"stray"}, "mqsub: unexpected argument \"stray\"\nmqsub: set topics with -t, and quote arguments that contain spaces\n"},
		{[]string{"--quiet", "-q", "\x1b[2J"}, "mqsub: --qos: invalid value \"\\x1b[2J\" (want 0, 1 or 2)\nmqsub: try 'mqsub --help'\n"},
		{[]string{"help"}, "mqsub: unexpected argument \"help\"\nmqsub: set topics with -t, and quote arguments that contain spaces\n"},
	} {
		want := outcome{option.ExitUsage, "", c.want}
		if got := runTool(context.Background(), option.Sub, ran, nil, c.args...); got != want {
			t.Errorf("%q:\n got %+v\nwant %+v", c.args, got, want)
		}
	}
}

func TestSecretsAreInNoError(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	ran := func(_ context.Context, inv *Invocation) error {
		return option.Usagef("%s needs a user name", inv.Values.Password.Name())
	}
	for _, args := range [][]string{
		{"-P", secret}, {"-P", secret, "-q", "9"}, {"-pwd=" + secret}, {"-vP" + secret, "-q9"}, {"-L", "mqtt://u:" + secret + "@h", "-zz"},
	} {
		got := runTool(context.Background(), option.Sub, ran, map[string]string{"MQ_PASSWORD": secret}, args...)
		if got.code != option.ExitUsage || strings.Contains(got.stdout+got.stderr, secret) {
			t.Errorf("%q: got %+v, want a usage error without %q", args, got, secret)
		}
	}
}

func TestHelpAndVersionComeBeforeBadValues(t *testing.T) {
	t.Parallel()
	env := map[string]string{"MQ_QOS": "bad"}
	got := runTool(context.Background(), option.Sub, returns(errors.New("ran")), env, "-q", "9", "stray", "--help")
	if got.code != 0 || got.stderr != "" || !strings.HasPrefix(got.stdout, "Usage: mqsub [OPTION]...\n") {
		t.Errorf("--help: got %+v, want the help on stdout", got)
	}
	got = runTool(context.Background(), option.Sub, returns(errors.New("ran")), env, "--version")
	if got.code != 0 || got.stderr != "" || strings.Count(got.stdout, "\n") != 1 || !strings.HasPrefix(got.stdout, "mqsub ") {
		t.Errorf("--version: got %+v, want one line on stdout", got)
	}
	got = runTool(context.Background(), option.Sub, returns(nil), nil, "--help", "--help=false")
	if got != (outcome{}) {
		t.Errorf("--help --help=false: got %+v, want the tool to run", got)
	}
}

func TestHelpThatCannotBeWrittenIsALocalError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bit  option.ToolSet
		err  error
		want int
	}{
		{option.Pub, io.ErrShortWrite, option.ExitLocalIO},
		{option.Sub, syscall.ENOSPC, option.ExitLocalIO},
		{option.Bench, syscall.ENOSPC, option.ExitFailure}, // 6 has another meaning there
		{option.Pub, syscall.EPIPE, option.ExitPipe},
		{option.Bench, syscall.EPIPE, option.ExitPipe},
	} {
		var stderr bytes.Buffer
		code := Run(context.Background(), Env{Args: []string{"--help"}, Stdout: failingWriter{c.err}, Stderr: &stderr}, Tool{Program: option.Program{Name: "mqpub", Bit: c.bit}})
		if code != c.want || (stderr.Len() > 0) != (c.want != option.ExitPipe) {
			t.Errorf("%v: got code %d, stderr %q, want %d", c.err, code, &stderr, c.want)
		}
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestPositionalWordsAreBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		max  int
		args []string
		code int
		got  string
	}{
		{0, nil, 0, "[]"}, {0, []string{"a"}, 2, ""}, {1, []string{"a", "-d"}, 0, "[a]"}, {1, []string{"a", "b"}, 2, ""}, {-1, []string{"a", "--", "-d"}, 0, "[a -d]"},
	} {
		var stdout, stderr bytes.Buffer
		tool := Tool{Program: option.Program{Name: "mqpub", Bit: option.Pub, MaxArgs: c.max}, Run: func(_ context.Context, inv *Invocation) error {
			_, err := fmt.Fprint(inv.Stdout, inv.Args)
			return err
		}}
		code := Run(context.Background(), Env{Args: c.args, Stdout: &stdout, Stderr: &stderr}, tool)
		if code != c.code || stdout.String() != c.got {
			t.Errorf("at most %d, %q: got code %d, args %q, want %d, %q", c.max, c.args, code, &stdout, c.code, c.got)
		}
	}
}

func TestQuietMutesAllButErrors(t *testing.T) {
	t.Parallel()
	talk := func(_ context.Context, inv *Invocation) error {
		inv.Infof("info %d", 1)
		inv.Warnf("warn")
		inv.Debugf("debug")
		inv.Errorf("error")
		return nil
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "mqsub: info 1\nmqsub: warning: warn\nmqsub: error\n"},
		{[]string{"--quiet"}, "mqsub: error\n"},
		{[]string{"-d"}, "mqsub: info 1\nmqsub: warning: warn\nmqsub: debug\nmqsub: error\n"},
		{[]string{"--color=always"}, "mqsub: info 1\nmqsub: \x1b[33mwarning: warn\x1b[0m\nmqsub: \x1b[31merror\x1b[0m\n"},
	} {
		if got := runTool(context.Background(), option.Sub, talk, nil, c.args...); got.stderr != c.want {
			t.Errorf("%q: got %q, want %q", c.args, got.stderr, c.want)
		}
	}
}

func TestColorIsDecidedPerStream(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		out, err bool
		args     []string
	}{{true, false, nil}, {false, true, nil}} {
		var stdout, stderr bytes.Buffer
		env := Env{
			Stdout: &stdout, Stderr: &stderr, StdoutIsTerminal: c.out, StderrIsTerminal: c.err,
			Lookup: option.MapEnv(map[string]string{"TERM": "xterm"}),
		}
		Run(context.Background(), env, Tool{Program: option.Program{Name: "mqsub", Bit: option.Sub}, Run: func(_ context.Context, inv *Invocation) error {
			if inv.StdoutColor != c.out || inv.StderrColor != c.err {
				t.Errorf("got stdout %v, stderr %v, want %v, %v", inv.StdoutColor, inv.StderrColor, c.out, c.err)
			}
			return nil
		}})
	}
}

func TestWhatIsWantedIsNotWrittenToAClosedOutput(t *testing.T) {
	t.Parallel()
	conf := t.TempDir() + "/conf"
	for args, code := range map[string]int{
		"--show-config": 6, "--hash-password": 6, "context list": 6, "context show x": 6,
		"context use x": 0, "--version": 0, "--help": 0, "--completion bash": 0, "context --help": 0,
	} {
		if err := os.WriteFile(conf, []byte("contexts:\n  x:\n    host: h\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		env := Env{Args: strings.Fields(args), Stdin: strings.NewReader("secret"), Stdout: &out, Stderr: &errs, stdoutClosed: true,
			Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": conf})}
		got := Run(t.Context(), env, Tool{Program: option.Program{Name: "mqsub", Bit: option.Sub}})
		const says = "mqsub: standard output is closed\nmqsub: to discard the output, write it to /dev/null (>/dev/null)\n"
		if got != code || code != 0 && (errs.String() != says || out.Len() > 0) || code == 0 && errs.Len() > 0 {
			t.Errorf("%s: status %d, %q, %q; want %d", args, got, out.String(), errs.String(), code)
		}
	}
}

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/option"
)

// commanded is a tool with two commands; it prints the one that runs.
func commanded() Tool {
	return Tool{
		Program: option.Program{
			Name: "mqbench", Bit: option.Bench, Usage: "COMMAND [OPTION]...", Summary: "does things", NeedsCommand: true,
		},
		Commands: []Command{
			{Command: option.Command{Name: "run", Bit: option.CommandRun, Summary: "runs a plan", Usage: "[FILE]", MaxArgs: 1}},
			{Command: option.Command{Name: "play", Bit: option.CommandPlay, Summary: "plays scripts", Usage: "SCRIPT...", MaxArgs: -1}},
		},
		Run: func(_ context.Context, inv *Invocation) error {
			_, err := inv.Stdout.Write([]byte(inv.Tool.Command.Name + " " + strings.Join(inv.Args, ",") + "\n"))
			return err
		},
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"run", 0, "run \n", ""},
		{"run plan.yaml", 0, "run plan.yaml\n", ""},
		{"run -h there plan.yaml", 0, "run plan.yaml\n", ""},
		{"play a b c --strict", 0, "play a,b,c\n", ""},
		{"play a --cafile x", 0, "play a\n", ""},
		{"run a b", 2, "", "mqbench: unexpected argument \"b\"\nmqbench: try 'mqbench run --help'\n"},
		{"run --listen 1", 2, "", "mqbench: --listen has no effect on run\nmqbench: try 'mqbench run --help'\n"},
		{"play a -h there", 2, "", "mqbench: --host has no effect on play\nmqbench: try 'mqbench play --help'\n"},
		{"play run", 0, "play run\n", ""},
		{"", 2, "", "mqbench: no command given\nmqbench: try 'mqbench --help'\n"},
		{"--quiet", 2, "", "mqbench: no command given\nmqbench: try 'mqbench --help'\n"},
		{"rum", 2, "", "mqbench: unknown command \"rum\"\nmqbench: did you mean run?\n"},
		{"dance a b", 2, "", "mqbench: unknown command \"dance\"\nmqbench: try 'mqbench --help'\n"},
		{"--quiet run", 2, "", "mqbench: the command run must come before the options\nmqbench: try 'mqbench --help'\n"},
	} {
		var out, errs bytes.Buffer
		code := Run(t.Context(), Env{Args: strings.Fields(test.args), Stdout: &out, Stderr: &errs}, commanded())
		if code != test.code || out.String() != test.out || errs.String() != test.err {
			t.Errorf("mqbench %s: %d %q %q, want %d %q %q", test.args, code, out.String(), errs.String(), test.code, test.out, test.err)
		}
	}
}

// moded is a tool that needs no command and has one that does the same as a switch. It
// prints whether the switch is on, and its arguments.
func moded() Tool {
	return Tool{
		Program: option.Program{Name: "mqsub", Bit: option.Sub, Usage: "[OPTION]...", Summary: "does things"},
		Commands: []Command{{Command: option.Command{
			Name: "watch", Means: "watch", Idle: []string{"watch", "json"}, Usage: "[OPTION]...", Summary: "watches things",
		}}},
		Run: func(_ context.Context, inv *Invocation) error {
			_, err := fmt.Fprintln(inv.Stdout, inv.Values.Watch.On(), inv.Values.JSON.On(), inv.Values.Topic.Text())
			return err
		},
	}
}

// A mode is a command in the first position, and a switch in any position.
func TestAModeIsACommandAndASwitch(t *testing.T) {
	t.Parallel()
	const quotes = "mqsub: set topics with -t, and quote arguments that contain spaces\n"
	for _, test := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"-t a", 0, "false false a\n", ""},
		{"--json -t a", 0, "false true a\n", ""},
		{"--watch -t a", 0, "true false a\n", ""},
		{"-t a --watch", 0, "true false a\n", ""},
		{"watch -t a", 0, "true false a\n", ""},
		{"watch", 0, "true false \n", ""},
		{"-t watch", 0, "false false watch\n", ""},
		{"watch -t watch", 0, "true false watch\n", ""},
		{"-t a watch", 2, "", "mqsub: unexpected argument \"watch\"\nmqsub: a command must come before the options: mqsub watch ...\n"},
		{"-t a context", 2, "", "mqsub: unexpected argument \"context\"\nmqsub: a command must come before the options: mqsub context ...\n"},
		{"-- watch", 2, "", "mqsub: unexpected argument \"watch\"\nmqsub: a command must come before the options: mqsub watch ...\n"},
		{"wach -t a", 2, "", "mqsub: unknown command \"wach\"\nmqsub: did you mean watch?\n"},
		{"contxt list", 2, "", "mqsub: unknown command \"contxt\"\nmqsub: did you mean context?\n"},
		{"-t a wach", 2, "", "mqsub: unexpected argument \"wach\"\n" + quotes},
		{"sensors/#", 2, "", "mqsub: unexpected argument \"sensors/#\"\n" + quotes},
		{"watch sensors/#", 2, "", "mqsub: unexpected argument \"sensors/#\"\n" + quotes},
		{"watch watch", 2, "", "mqsub: unexpected argument \"watch\"\n" + quotes},
		{"watch --json", 2, "", "mqsub: --json has no effect on watch\nmqsub: try 'mqsub watch --help'\n"},
		{"watch --watch", 2, "", "mqsub: --watch has no effect on watch\nmqsub: try 'mqsub watch --help'\n"},
		{"watch --compat mosquitto", 2, "", "mqsub: --compat has no effect on watch\nmqsub: try 'mqsub watch --help'\n"},
		{"watch --jsn", 2, "", "mqsub: unknown option \"--jsn\"\nmqsub: try 'mqsub watch --help'\n"},
		{"watch --topc a", 2, "", "mqsub: unknown option \"--topc\"\nmqsub: did you mean --topic?\n"},
		{"--jsn", 2, "", "mqsub: unknown option \"--jsn\"\nmqsub: did you mean --json?\n"},
		{"watch -q 3", 2, "", "mqsub: --qos: invalid value \"3\" (want 0, 1 or 2)\nmqsub: try 'mqsub watch --help'\n"},
		{"context lst", 2, "", "mqsub: context: unknown command \"lst\"\nmqsub: did you mean list?\n"},
		{"context --quiet list", 2, "", "mqsub: the command list must come before the options\nmqsub: try 'mqsub context --help'\n"},
	} {
		var out, errs bytes.Buffer
		code := Run(t.Context(), Env{Args: strings.Fields(test.args), Stdout: &out, Stderr: &errs}, moded())
		if code != test.code || out.String() != test.out || errs.String() != test.err {
			t.Errorf("mqsub %s: %d %q %q, want %d %q %q", test.args, code, out.String(), errs.String(), test.code, test.out, test.err)
		}
	}
}

// Options that a mode does not obey have no effect on it from the environment either;
// without the mode they do.
func TestAModeLeavesOptionsOfOthersAlone(t *testing.T) {
	t.Parallel()
	vars := option.MapEnv(map[string]string{"MQ_CONFIG": "none", "MQ_JSON": "true", "MQ_TOPIC": "a"})
	for args, want := range map[string]string{"watch": "true false a\n", "--watch": "true true a\n", "": "false true a\n"} {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), Env{Args: strings.Fields(args), Stdout: &out, Stderr: &errs, Lookup: vars}, moded()); code != 0 || out.String() != want {
			t.Errorf("mqsub %s: %d %q %q, want %q", args, code, &out, &errs, want)
		}
	}
}

// A program that the tool imitates has none of the tool's commands.
func TestAPersonalityHasNoCommands(t *testing.T) {
	t.Parallel()
	tool := moded()
	tool.Personalities = []Personality{{Name: "mosquitto_sub", Flag: "mosquitto", Read: func(c *CommandLine) *FixedOutput {
		return &FixedOutput{Out: strings.Join(c.Args, " ")}
	}}}
	for _, env := range []Env{{Name: "/usr/bin/mosquitto_sub", Args: []string{"watch"}}, {Args: []string{"--compat", "mosquitto", "watch"}}} {
		var out bytes.Buffer
		env.Stdout, env.Stderr = &out, io.Discard
		if code := Run(t.Context(), env, tool); code != 0 || out.String() != "watch" {
			t.Errorf("%v: status %d, %q", env.Args, code, &out)
		}
	}
}

// Each command has help, including those for the configuration file.
func TestEveryCommandHasAHelp(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]struct{ has, lacks []string }{
		"--help":             {[]string{"Usage: mqsub [OPTION]...\n", "  watch       watches things\n", "  context     named sets", "--json", "--watch", "--host HOST"}, nil},
		"watch --help":       {[]string{"mqsub watch - watches things\n\nUsage: mqsub watch [OPTION]...\n", "--topic", "--host HOST"}, []string{"--json\n", "--watch", "--compat PROGRAM"}},
		"context --help":     {[]string{"Usage: mqsub context COMMAND\n", "\n  add NAME OPTION..."}, []string{"--json", "--quiet"}},
		"context add --help": {[]string{"Usage: mqsub context add NAME OPTION...\n", "--force", "--config FILE"}, []string{"--json", "--none"}},
		"context use --help": {[]string{"Usage: mqsub context use NAME|--none\n", "--none", "--quiet"}, []string{"--json", "--force"}},
	} {
		var out bytes.Buffer
		if code := Run(t.Context(), Env{Args: strings.Fields(args), Stdout: &out}, moded()); code != 0 {
			t.Errorf("mqsub %s: status %d", args, code)
		}
		for _, text := range want.has {
			if !strings.Contains(out.String(), text) {
				t.Errorf("mqsub %s lacks %q", args, text)
			}
		}
		for _, text := range want.lacks {
			if strings.Contains(out.String(), text) {
				t.Errorf("mqsub %s has %q", args, text)
			}
		}
	}
}

// The help of the tool lists its commands; that of a command lists the options it obeys.
func TestHelpOfCommands(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]struct{ has, lacks []string }{
		"--help":      {[]string{"  run         runs a plan\n", "  play        plays scripts\n", "--version", "--listen", "--host HOST"}, nil},
		"run --help":  {[]string{"mqbench run - runs a plan\n\nUsage: mqbench run [FILE]\n", "--host"}, []string{"--listen", "plays scripts"}},
		"play --help": {[]string{"Usage: mqbench play SCRIPT...\n", "--strict", "--cafile", "--debug"}, []string{"--host HOST", "runs a plan"}},
	} {
		var out bytes.Buffer
		if code := Run(t.Context(), Env{Args: strings.Fields(args), Stdout: &out}, commanded()); code != 0 {
			t.Errorf("mqbench %s: status %d", args, code)
		}
		for _, text := range want.has {
			if !strings.Contains(out.String(), text) {
				t.Errorf("mqbench %s lacks %q", args, text)
			}
		}
		for _, text := range want.lacks {
			if strings.Contains(out.String(), text) {
				t.Errorf("mqbench %s has %q", args, text)
			}
		}
	}
}

// TestCommandsLeaveOptionsOfOthersAlone checks the environment and the configuration, which
// serve all commands: an option that a command refuses does not affect it either.
func TestCommandsLeaveOptionsOfOthersAlone(t *testing.T) {
	t.Parallel()
	conf := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(conf, []byte("defaults: {host: from.file}\nmqbench: {strict: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	vars := option.MapEnv(map[string]string{"MQ_CONFIG": conf, "MQ_LISTEN": "1", "MQ_SHARDS": "none", "MQ_CAFILE": "ca.pem"})
	for _, test := range []struct {
		command        string
		given, nowhere []string
	}{
		{"play", []string{"listen", "strict", "cafile"}, []string{"host", "shards"}},
		{"run", []string{"host", "strict", "cafile"}, []string{"listen", "shards"}},
	} {
		tool := commanded()
		tool.Run = func(_ context.Context, inv *Invocation) error {
			for _, name := range test.given {
				if !inv.Values.Of(name).IsSet() {
					t.Errorf("%s has no %s", test.command, name)
				}
			}
			for _, name := range test.nowhere {
				if inv.Values.Of(name).IsSet() {
					t.Errorf("%s has %s from %v", test.command, name, inv.Values.Of(name).Origin())
				}
			}
			return nil
		}
		var errs bytes.Buffer
		if code := Run(t.Context(), Env{Args: []string{test.command}, Stdout: io.Discard, Stderr: &errs, Lookup: vars}, tool); code != 0 {
			t.Errorf("%s: status %d, %s", test.command, code, errs.String())
		}
	}
}

// TestWhatACommandDoesNotObeyIsRefusedEverywhere also checks --show-config, and the place
// in the error.
func TestWhatACommandDoesNotObeyIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "options")
	if err := os.WriteFile(file, []byte("-t a\n--json\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, says string }{
		{"watch --json", "mqsub: --json has no effect on watch\n"},
		{"watch --json --show-config", "mqsub: --json has no effect on watch\n"},
		{"watch -o " + file, "mqsub: " + file + ":2: --json has no effect on watch\n"},
		{"context list --help nonsense", "mqsub: unknown help topic \"nonsense\"\n"},
	} {
		var errs bytes.Buffer
		env := Env{Args: strings.Fields(c.args), Stdout: io.Discard, Stderr: &errs, Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"})}
		if code := Run(t.Context(), env, moded()); code != option.ExitUsage || !strings.HasPrefix(errs.String(), c.says) {
			t.Errorf("%s: status %d, %q; want %q", c.args, code, errs.String(), c.says)
		}
	}
}

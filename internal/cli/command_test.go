package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/option"
)

// commanded is a tool with two commands, and writes which it does.
func commanded() Tool {
	return Tool{
		Program: option.Program{
			Name: "mqbench", Bit: option.Bench, Usage: "COMMAND [OPTION]...", Summary: "does things",
			Commands: []option.Command{
				{Name: "run", Bit: option.CommandRun, Summary: "runs a plan", Usage: "[FILE]", MaxArgs: 1},
				{Name: "play", Bit: option.CommandPlay, Summary: "plays scripts", Usage: "SCRIPT...", MaxArgs: -1},
			},
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
		{"--quiet run", 2, "", "mqbench: the command run stands before the options\nmqbench: try 'mqbench --help'\n"},
	} {
		var out, errs bytes.Buffer
		code := Run(t.Context(), Env{Args: strings.Fields(test.args), Stdout: &out, Stderr: &errs}, commanded())
		if code != test.code || out.String() != test.out || errs.String() != test.err {
			t.Errorf("mqbench %s: %d %q %q, want %d %q %q", test.args, code, out.String(), errs.String(), test.code, test.out, test.err)
		}
	}
}

// The help of the tool has its commands; that of a command has what goes with it.
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

// TestCommandsLeaveOptionsOfOthersAlone: the environment and the configuration are
// for all commands, and what a command would refuse does not act on it either.
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

package mqbench

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// voidOption matches the refusal of an option that does not depend on its value.
var voidOption = regexp.MustCompile(`has no effect on |belongs to a plan|must not contain a secret|the pods do not have|the pods are not this machine|needs a broker outside`)

// plausible returns a value that an option accepts, or might accept.
func plausible(o *option.Option) string {
	switch {
	case o.Type == option.TypeBool:
		return "true"
	case len(o.Choices) > 0:
		return o.Choices[0].Value
	case o.Type == option.TypeInt:
		return fmt.Sprint(max(o.Min, 1))
	case o.Type == option.TypeDuration:
		return "20s"
	case o.Type == option.TypeSize:
		return "64"
	case o.Type == option.TypeListen:
		return "127.0.0.1:0"
	case o.Name == "rate" || o.Name == "connect-rate" || o.Name == "scale" || o.Name == "load":
		return "1"
	}
	return "x"
}

// obeys reports whether a command accepts an option with some value.
func obeys(t *testing.T, o *option.Option, words ...string) bool {
	t.Helper()
	args := append(slices.Clone(words), "--"+o.Name+"="+plausible(o))
	for _, rel := range o.Needs {
		with := option.Table(option.Bench).Long("--" + rel.With[0])
		args = append(args, "--"+with.Name+"="+plausible(with))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nothing must be connected to
	var out, errs bytes.Buffer
	cli.Run(ctx, cli.Env{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"}),
	}, Tool())
	return !voidOption.MatchString(errs.String())
}

// optionLine matches the first line about an option in the help.
var optionLine = regexp.MustCompile(`^  (?:-\S, |    )--([a-z0-9-]+)`)

// shownOptions returns the long names in the help of a command.
func shownOptions(t *testing.T, command string) (names []string) {
	t.Helper()
	for line := range strings.Lines(mqbench(t, command, "--help", "all").out) {
		if m := optionLine.FindStringSubmatch(line); m != nil {
			names = append(names, m[1])
		}
	}
	return names
}

// TestHelpShowsWhatACommandObeys checks that an option is in the help of a command unless
// the command refuses it whatever its value is. --hash-password, which needs no command, is
// not shown.
func TestHelpShowsWhatACommandObeys(t *testing.T) {
	t.Chdir(t.TempDir())
	table := slices.DeleteFunc(option.Table(option.Bench), func(o *option.Option) bool { return o.Name == "hash-password" })
	for command, args := range map[string][]string{
		"run": {"rr"}, "conn": nil, "pub": nil, "sub": nil, "pubsub": nil, "verify": nil, "calibrate": nil,
		"play": {"x"}, "report": {"x"}, "diff": {"x", "y"}, "merge": {"x"}, "plot": {"x"}, "collect": {"k8s", "x"}, "presets": nil,
	} {
		shown := shownOptions(t, command)
		for _, o := range table {
			if want := !o.Hidden && obeys(t, o, append([]string{command}, args...)...); slices.Contains(shown, o.Name) != want {
				t.Errorf("%s: --%s is obeyed: %v, and is in the help: %v", command, o.Name, want, !want)
			}
		}
	}
	// Options that have an effect on some plans are completed after the names of those
	// plans.
	for _, command := range []string{"search", "doctor", "k8s"} {
		shown := shownOptions(t, command)
		some := map[string]bool{}
		for _, plan := range []string{"rr", "conn", "pub", "sub", "pubsub"} {
			offered := strings.Fields(mqbench(t, "--completion", "bash", "--", command, plan, "--").out)
			for _, o := range table {
				want := !o.Hidden && obeys(t, o, command, plan)
				some[o.Name] = some[o.Name] || want
				if slices.Contains(offered, "--"+o.Name) != want {
					t.Errorf("%s %s: --%s is obeyed: %v, and is completed: %v", command, plan, o.Name, want, !want)
				}
			}
		}
		for _, o := range table {
			if slices.Contains(shown, o.Name) != some[o.Name] {
				t.Errorf("%s: --%s is obeyed: %v, and is in the help: %v", command, o.Name, some[o.Name], !some[o.Name])
			}
		}
	}
}

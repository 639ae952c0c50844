package mqbench

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// TestOverviewHasEachCommandOnce checks that the short help of mqbench lists all of its
// commands.
func TestOverviewHasEachCommandOnce(t *testing.T) {
	t.Parallel()
	times := map[string]int{}
	for _, s := range overview {
		for _, row := range s.Rows {
			for word := range strings.FieldsSeq(row[0]) {
				times[word]++
			}
		}
	}
	for _, c := range Tool().Commands {
		if times[c.Name] != 1 || len(brief[c.Name]) == 0 {
			t.Errorf("%s is in the overview %d times, and has a list of %d options", c.Name, times[c.Name], len(brief[c.Name]))
		}
		delete(times, c.Name)
	}
	if len(times) > 0 || len(brief) != len(Tool().Commands) {
		t.Errorf("no commands: %v; lists: %v", times, slices.Collect(maps.Keys(brief)))
	}
}

// TestShortHelpShowsWhatACommandObeys checks that the options of the short help are among
// those of the full help.
func TestShortHelpShowsWhatACommandObeys(t *testing.T) {
	t.Parallel()
	for command, names := range brief {
		all := shownOptions(t, command)
		for _, name := range names {
			if !slices.Contains(all, name) {
				t.Errorf("%s does not obey --%s", command, name)
			}
		}
	}
}

// defaultsOf returns the words --NAME=VALUE for the defaults that --show-config prints of
// options whose defaults differ by command.
func defaultsOf(t *testing.T, words ...string) (options []string) {
	t.Helper()
	table := option.Table(option.Bench)
	for line := range strings.Lines(mqbench(t, append(words, "--show-config")...).out) {
		words := strings.Fields(line)
		if len(words) != 3 || words[2] != "default" {
			continue
		}
		o := table.Long("--" + words[0])
		if o == nil || o.Default != "" {
			continue
		}
		value, err := strconv.Unquote(words[1])
		if err != nil {
			value = words[1]
		}
		options = append(options, "--"+o.Name+"="+value)
	}
	return options
}

// settled returns the result of a function for a command line, as text.
func settled(t *testing.T, read func(inv *cli.Invocation) (any, error), words ...string) (text string) {
	t.Helper()
	tool := Tool()
	for i := range tool.Commands {
		tool.Commands[i].Run = func(_ context.Context, inv *cli.Invocation) error {
			v, err := read(inv)
			text = fmt.Sprintf("%+v", v)
			return err
		}
	}
	var errs bytes.Buffer
	env := cli.Env{Args: words, Stdin: strings.NewReader(""), Stdout: &errs, Stderr: &errs, Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"})}
	if code := cli.Run(t.Context(), env, tool); code != 0 {
		t.Fatalf("%q: status %d, %s", words, code, &errs)
	}
	return text
}

// TestDefaultsOfCommandsAreThatOfTheCode checks that setting the defaults that help and
// --show-config print of a command changes nothing.
func TestDefaultsOfCommandsAreThatOfTheCode(t *testing.T) {
	t.Parallel()
	readPlan := func(inv *cli.Invocation) (any, error) {
		p, err := readPlan(inv, inv.Args, nil, nil)
		if err != nil {
			return nil, err
		}
		return string(p.Canonical()), nil
	}
	readVerify := func(inv *cli.Invocation) (any, error) {
		o, err := verifyOptions(inv)
		if err != nil {
			return nil, err
		}
		shapes, err := verifyShapes(inv)
		if o.Seed = 0; !inv.Values.Rate.IsSet() {
			o.Rate = verifyRate(bench.Pairs)
		}
		return fmt.Sprintf("%+v %v", o, shapes), err
	}
	readSearch := func(inv *cli.Invocation) (any, error) {
		s := searcher{runner: runner{inv: inv}}
		_, err := s.readSearch()
		return s.conditions, err
	}
	readCalibrate := func(inv *cli.Invocation) (any, error) {
		length, err := readLength(inv.Values)
		return length, err
	}
	for _, c := range []struct {
		words string
		read  func(inv *cli.Invocation) (any, error)
		want  int // number of defaults
	}{
		{"conn", readPlan, 6},
		{"pub", readPlan, 9},
		{"sub", readPlan, 8},
		{"pubsub", readPlan, 9},
		{"search pub", readPlan, 10},
		{"search pub", readSearch, 10},
		{"doctor pubsub", readPlan, 9},
		{"k8s pub", readPlan, 9},
		{"verify", readVerify, 5},
		{"calibrate", readCalibrate, 1},
	} {
		words := strings.Fields(c.words)
		options := defaultsOf(t, words...)
		if len(options) != c.want {
			t.Errorf("%s: %d defaults, want %d: %q", c.words, len(options), c.want, options)
		}
		without := settled(t, c.read, words...)
		for _, o := range options {
			if strings.HasPrefix(o, "--interval=") {
				words = append(words, o)
				continue
			}
			if with := settled(t, c.read, append(strings.Fields(c.words), o)...); with != without {
				t.Errorf("%s %s:\n%s\nwithout it\n%s", c.words, o, with, without)
			}
		}
		if with := settled(t, c.read, words...); with != without {
			t.Errorf("%q:\n%s\nwithout\n%s", words, with, without)
		}
	}
}

// TestDefaultsGiveWayInShowConfig checks that an option overridden by another one has no
// default.
func TestDefaultsGiveWayInShowConfig(t *testing.T) {
	t.Parallel()
	for words, option := range map[string]string{"pub --rate 5": "--interval=", "pub --limit 5": "--duration=", "run rr": "--clients=", "conn": "--interval="} {
		for _, o := range defaultsOf(t, strings.Fields(words)...) {
			if strings.HasPrefix(o, option) {
				t.Errorf("%s has %s", words, o)
			}
		}
	}
}

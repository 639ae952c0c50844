package option

import (
	"strings"
	"testing"
)

// eachTool runs a test on the table of every tool.
func eachTool(t *testing.T, test func(t *testing.T, table Options)) {
	t.Helper()
	for _, tool := range []struct {
		name string
		bit  ToolSet
	}{{"mqpub", Pub}, {"mqsub", Sub}, {"mqbench", Bench}} {
		t.Run(tool.name, func(t *testing.T) {
			t.Parallel()
			test(t, Table(tool.bit))
		})
	}
}

func TestTableHasNoSpellingOrVariableTwice(t *testing.T) {
	t.Parallel()
	eachTool(t, func(t *testing.T, table Options) {
		seen := map[string]string{}
		for _, o := range table {
			words := o.Spellings()
			for _, env := range []string{o.Env(), o.EnvFallback} {
				if env != "" {
					words = append(words, env)
				}
			}
			for _, w := range words {
				if other, dup := seen[w]; dup {
					t.Errorf("%s belongs to --%s and --%s", w, other, o.Name)
				}
				seen[w] = o.Name
			}
		}
	})
}

func TestTableRowsAreComplete(t *testing.T) {
	t.Parallel()
	eachTool(t, func(t *testing.T, table Options) {
		for _, o := range table {
			claim := func(ok bool, what string) {
				t.Helper()
				if !ok {
					t.Errorf("--%s %s", o.Name, what)
				}
			}
			claim(len(o.Name) > 1 && o.Name == strings.ToLower(o.Name) && !strings.ContainsAny(o.Name, "=_ "),
				"has a name that is not lower-case words joined by hyphens")
			claim(len(o.Short) <= 1, "has a short form of more than a letter")
			claim(o.Env() != "" || o.Name == "help" || o.Name == "version" || o.Name == "completion" || o.Name == "show-config" || o.Name == "options-file" || o.Name == "ask-password" || o.Name == "hash-password" || o.Name == "compat", "has no environment variable")
			claim((o.Env() == "") == (o.Key() == "") || o.Name == "config" || o.Name == "context", "has a variable or a configuration key but not both")
			claim(o.V5 == strings.Contains(o.Help, "(MQTT 5)"), "does not say in its help that it needs MQTT 5, or says so and does not")
			claim(o.Group != "", "has no group")
			claim((o.Type == TypeBool) == (o.Placeholder == ""), "needs a placeholder exactly when it takes a value")
			claim(o.Type != TypeInt && o.Type != TypeSize || o.Max > o.Min, "has no range")
			claim(o.Type != TypeChoice || len(o.Choices) > 0, "needs choices when it is a choice")
			claim((o.Complete == CompleteChoice) == (len(o.Choices) > 0), "offers choices exactly when it has some")
			claim(o.Type != TypeChoice || o.Complete == CompleteChoice, "does not complete its choices")
			claim(o.Type == TypeDuration || !o.Whole && o.DurationWords == nil, "has parts of a duration")
			claim(o.Suffix == "" || o.Type == TypeInt || o.Type == TypeDuration, "has a suffix and is no number")
			claim(!o.Optional || o.Implied != "" || o.Name == "help", "has an optional value and no implied one")
			for _, word := range o.Choices {
				claim(o.Default == "" || len(o.Choices) > 5 || strings.Contains(o.sentence(0, 0), word.Value), "does not mention its choice "+word.Value)
			}
			for _, few := range o.takes(0) {
				claim(o.Type != TypeInt || strings.Contains(o.sentence(0, 0), few), "does not mention its value "+few)
			}
			for _, p := range o.PerCommand {
				claim(o.For&p.For == p.For && (o.Forms == 0 || o.Forms&p.Forms == p.Forms), "has a text for a command without a use for it")
			}
		}
	})
}

func TestHelpSentencesFollowTheStyle(t *testing.T) {
	t.Parallel()
	eachTool(t, func(t *testing.T, table Options) {
		for _, o := range table {
			first := strings.Fields(o.Help + " .")[0]
			switch {
			case len(o.Help) < 6:
				t.Errorf("--%s has no help: %q", o.Name, o.Help)
			case first != strings.ToLower(first) && first != strings.ToUpper(first) && first != "QoS" && first != "WebSocket" && first != "Secret":
				t.Errorf("--%s: help does not begin in lower case: %q", o.Name, o.Help)
			case strings.HasSuffix(o.Help, "."):
				t.Errorf("--%s: help ends in a full stop: %q", o.Name, o.Help)
			case strings.ContainsAny(o.Help, "\n`"):
				t.Errorf("--%s: help has a newline or a backquote: %q", o.Name, o.Help)
			}
		}
	})
}

func TestTableGroupsAreContiguous(t *testing.T) {
	t.Parallel()
	eachTool(t, func(t *testing.T, table Options) {
		seen := map[Group]bool{}
		var last Group
		for _, o := range table {
			if o.Group != last && seen[o.Group] {
				t.Errorf("group %s appears twice", o.Group)
			}
			seen[o.Group], last = true, o.Group
		}
	})
}

func TestDefaultsPassTheirOwnValidation(t *testing.T) {
	t.Parallel()
	eachTool(t, func(t *testing.T, table Options) {
		if _, err := Decode(table, nil, nil, nil, nil); err != nil {
			t.Error(err)
		}
		for _, o := range table {
			if o.Implied != "" {
				if err := (&Value{Opt: o}).Set("implied", o.Implied); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

func TestEnvironmentNames(t *testing.T) {
	t.Parallel()
	table := Table(Sub)
	for spelling, want := range map[string]string{
		"-h": "MQ_HOST", "--will-topic": "MQ_WILL_TOPIC", "--pw": "MQ_PASSWORD", "-0": "MQ_PRINT0", "--help": "",
	} {
		if got := table.Find(spelling).Env(); got != want {
			t.Errorf("%s: got %q, want %q", spelling, got, want)
		}
	}
}

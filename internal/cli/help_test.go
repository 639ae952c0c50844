package cli_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// TestHelpFitsAScreen checks that the help of each tool and command has at most 30 lines of
// at most 80 columns, points to the rest, and describes options with their own texts.
func TestHelpFitsAScreen(t *testing.T) {
	t.Parallel()
	for name, of := range tools {
		program := of().Program
		for _, command := range append([]cli.Command{{}}, of().Commands...) {
			words := strings.Fields(command.Name + " --help")
			text := tool(t, name, words...)
			if n := strings.Count(text, "\n"); n > 30 || !strings.Contains(text, "\nExamples:\n") || !strings.Contains(text, "--help all") {
				t.Errorf("%s %s has %d lines:\n%s", name, words, n, text)
			}
			for line := range strings.Lines(text) {
				if utf8.RuneCountInString(line) > 81 {
					t.Errorf("%s %s: a long line: %s", name, words, line)
				}
			}
			for _, row := range program.Brief[command.Name] {
				own := slices.ContainsFunc(command.Own, func(o option.Option) bool { return o.Name == row })
				if !own && option.Table(program.Bit).Long("--"+row) == nil || !strings.Contains(text, "--"+row) {
					t.Errorf("%s %s lacks --%s", name, words, row)
				}
			}
		}
	}
}

// TestEveryTopicIsKnown checks that each topic that the help names or completion offers has
// a text of at most 80 columns.
func TestEveryTopicIsKnown(t *testing.T) {
	t.Parallel()
	for name, of := range tools {
		for _, command := range append([]cli.Command{{}}, of().Commands...) {
			words := strings.Fields(command.Name)
			short := strings.Join(strings.Fields(tool(t, name, append(words, "--help")...)), " ")
			topics := ask(t, append(append([]string{name}, words...), "--help", "")...).words
			if len(topics) < 5 || topics[0] != "all" || !strings.Contains(short, " Topics: "+strings.Join(topics[1:], " ")+". ") {
				t.Errorf("%s %s: topics %q, and the help says %s", name, words, topics, short)
			}
			for _, topic := range topics {
				text := tool(t, name, append(words, "--help", topic)...)
				if len(text) < 40 || text != tool(t, name, append(words, "--help="+topic)...) {
					t.Errorf("%s %s --help %s: %q", name, words, topic, text)
				}
				for line := range strings.Lines(text) {
					if utf8.RuneCountInString(line) > 81 {
						t.Errorf("%s %s --help %s: a long line: %s", name, words, topic, line)
					}
				}
			}
		}
	}
}

// TestRefusedOptionsAreHidden checks that only the topic mosquitto shows them.
func TestRefusedOptionsAreHidden(t *testing.T) {
	t.Parallel()
	for name, of := range tools {
		all, topic := tool(t, name, "--help", "all"), tool(t, name, "--help", "mosquitto")
		n := 0
		for _, o := range option.Table(of().Bit) {
			if shown := strings.Contains(topic, "  --"+o.Name+" "); shown != o.Hidden || o.Hidden && strings.Contains(all, "  --"+o.Name+" ") {
				t.Errorf("%s: --%s is hidden: %v, and in the topic: %v", name, o.Name, o.Hidden, shown)
			}
			if o.Hidden {
				n++
			}
		}
		if n < 5 {
			t.Errorf("%s: %d are hidden", name, n)
		}
	}
}

// TestHelpIsForTheTerminalOrPlain checks that headings are bold on a terminal, unless the
// user turns that off, and never in a pipe.
func TestHelpIsForTheTerminalOrPlain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args     string
		vars     map[string]string
		terminal bool
		bold     bool
	}{
		{"--help", nil, true, true},
		{"--help tls", nil, true, true},
		{"--help", nil, false, false},
		{"--help", map[string]string{"NO_COLOR": "1"}, true, false},
		{"--help", map[string]string{"MQ_COLOR": "never"}, true, false},
		{"--color never --help", nil, true, false},
		{"--help --color=never", nil, true, false},
		{"--help --color=always", map[string]string{"NO_COLOR": "1"}, false, true},
		{"--help --color=nonsense", nil, false, false},
	} {
		vars := map[string]string{"MQ_CONFIG": "none", "TERM": "xterm"}
		for k, v := range c.vars {
			vars[k] = v
		}
		var out, errs bytes.Buffer
		env := cli.Env{Args: strings.Fields(c.args), Stdout: &out, Stderr: &errs, StdoutIsTerminal: c.terminal, Lookup: option.MapEnv(vars)}
		if code := cli.Run(t.Context(), env, tools["mqsub"]()); code != 0 || strings.Contains(out.String(), "\x1b[1m") != c.bold || strings.Contains(out.String(), "\x1b") != c.bold {
			t.Errorf("%s, %v, terminal %v: status %d, %s%q", c.args, c.vars, c.terminal, code, &errs, out.String())
		}
	}
}

// TestHelpOfAWordThatIsNoTopic checks that the status is 2 and that the error names the
// topics.
func TestHelpOfAWordThatIsNoTopic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, want string }{
		{"mqsub --help tsl", "mqsub: unknown help topic \"tsl\"\nmqsub: did you mean tls? topics: all subscribe filter "},
		{"mqbench plot --help tls", "mqbench: unknown help topic \"tls\"\nmqbench: topics: all report "},
		{"mqbench plot --help=--tls", "mqbench: --tls has no effect on plot\n"},
		{"mqpub --help=--cafiel", "mqpub: unknown help topic \"--cafiel\"\nmqpub: did you mean --help=--cafile? topics: "},
	} {
		words := strings.Fields(c.line)
		var out, errs bytes.Buffer
		code := cli.Run(t.Context(), cli.Env{Args: words[1:], Stdout: &out, Stderr: &errs}, tools[words[0]]())
		if code != 2 || out.Len() > 0 || !strings.HasPrefix(errs.String(), c.want) {
			t.Errorf("%s: status %d, %q, %q", c.line, code, &out, &errs)
		}
	}
}

// TestHelpOfACommandByItsName checks that the word after --help can be a command.
func TestHelpOfACommandByItsName(t *testing.T) {
	t.Parallel()
	for _, c := range tools["mqbench"]().Commands {
		if a, b := tool(t, "mqbench", "--help", c.Name), tool(t, "mqbench", c.Name, "--help"); a != b {
			t.Errorf("%s: %s\n%s", c.Name, a, b)
		}
	}
	if !slices.Contains(strings.Fields(tool(t, "mqbench", "--help", "verify")), "--faults") {
		t.Error("no --faults")
	}
}

// TestExamplesOfTheHelpAreCommandLines checks that the tool accepts each word of the
// examples, and that those of a topic use one of its options.
func TestExamplesOfTheHelpAreCommandLines(t *testing.T) {
	t.Parallel()
	for name, of := range tools {
		program := of().Program
		table := option.Table(program.Bit)
		check := func(e option.Example, topic string) {
			_, line, found := strings.Cut(e.Command, name+" ")
			if !found {
				return
			}
			line, _, _ = strings.Cut(strings.TrimSuffix(line, ")"), " | ")
			words := quoted.FindAllString(line, -1)
			for i, w := range words {
				words[i] = strings.Trim(w, "'")
			}
			v, _, err := option.Parse(table, words, nil)
			if err != nil {
				t.Errorf("%s: %v", e.Command, err)
				return
			}
			about := tool(t, name, "--help="+topic)
			if topic != "" && topic != "format" && !slices.ContainsFunc(table, func(o *option.Option) bool { return v.Of(o.Name).IsSet() && strings.Contains(about, "--"+o.Name) }) {
				t.Errorf("%s: %s is about something else", topic, e.Command)
			}
		}
		for _, e := range program.Examples {
			check(e, "")
		}
		for topic, examples := range program.Topics {
			if !slices.Contains(program.HelpTopics(), topic) {
				t.Errorf("%s: examples of %s, which is no topic", name, topic)
				continue
			}
			for _, e := range examples {
				check(e, topic)
			}
		}
	}
}

// quoted matches a word or a quoted string.
var quoted = regexp.MustCompile(`'[^']*'|[^ ']+`)

// TestTheHelpOfAnOptionIsThatOfItsCommand checks that the needs and defaults of other
// commands are not shown.
func TestTheHelpOfAnOptionIsThatOfItsCommand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line       string
		has, lacks string
	}{
		{"mqpub --help=verbose", " needs --request or --response-topic ", ""},
		{"mqpub request --help=verbose", " variable MQ_VERBOSE ", " needs "},
		{"mqbench run --help=duration", "(default: as the plan)", " default 30s "},
		{"mqbench pub --help=duration", " default 30s ", ""},
		{"mqbench --help filter", " variable MQ_FILTER ", ""}, // also a topic of mqsub
	} {
		words := strings.Fields(c.line)
		text := strings.Join(strings.Fields(tool(t, words[0], words[1:]...)), " ") + " "
		if !strings.Contains(text, c.has) || c.lacks != "" && strings.Contains(text, c.lacks) {
			t.Errorf("%s: %s\nwant %q and not %q", c.line, text, c.has, c.lacks)
		}
	}
}

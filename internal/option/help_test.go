package option

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// helpOf returns the help of a tool on a topic.
func helpOf(t *testing.T, tool *Program, topic string) string {
	t.Helper()
	text, err := Help(tool, topic, false)
	if err != nil {
		t.Fatalf("%s --help %s: %v", tool.Name, topic, err)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("--help %s: %d columns: %q", topic, n, line)
		}
		if line != strings.TrimRight(line, " ") {
			t.Errorf("--help %s: blank at the end: %q", topic, line)
		}
	}
	return text
}

// testTools returns tools with the tables of the real ones.
func testTools() (all []*Program) {
	for _, bit := range []ToolSet{Pub, Sub, Bench} {
		all = append(all, &Program{
			Name: "mqx", Bit: bit, Usage: "[OPTION]...\n--more", Summary: "do things",
			Examples: []Example{{"mqx -t a", strings.Repeat("explains ", 20)}},
		})
	}
	return all
}

func TestHelpAllIsComplete(t *testing.T) {
	t.Parallel()
	for _, tool := range testTools() {
		table := Table(tool.Bit)
		text := helpOf(t, tool, "all")
		for i := range table {
			want := "\n  " + table[i].helpSpelling()
			times := 1
			if table[i].Hidden {
				times = 0
			}
			if n := strings.Count(text, want+"\n") + strings.Count(text, want+"  "); n != times {
				t.Errorf("%q is there %d times, want %d", want, n, times)
			}
		}
		for _, row := range ExitCodes(tool.Bit) {
			if !strings.Contains(text, plain(int64(row.Code))+"  "+row.Text) {
				t.Errorf("exit code %d is missing", row.Code)
			}
		}
		if !strings.HasPrefix(text, "mqx - do things\n\nUsage: mqx [OPTION]...\n       mqx --more\n") || !strings.Contains(text, "\n  mqx -t a\n      explains") {
			t.Errorf("usage, summary or example is missing:\n%s", text)
		}
		if helpOf(t, tool, "") != text {
			t.Error("a tool without a short help does not show all")
		}
	}
}

// TestEveryOptionIsInOneTopic also checks that refused options appear in topic mosquitto
// only.
func TestEveryOptionIsInOneTopic(t *testing.T) {
	t.Parallel()
	for _, tool := range testTools() {
		topics := tool.HelpTopics()
		if topics[0] != "all" {
			t.Errorf("the first topic is %s", topics[0])
		}
		at := map[string][]string{}
		for _, topic := range topics[1:] {
			text := helpOf(t, tool, topic)
			for _, o := range Table(tool.Bit) {
				want := "\n  " + o.helpSpelling()
				if strings.Contains(text, want+"\n") || strings.Contains(text, want+"  ") {
					at[o.Name] = append(at[o.Name], topic)
				}
			}
		}
		for _, o := range Table(tool.Bit) {
			want := o.Group.word()
			if o.Hidden {
				want = "mosquitto"
			}
			if got := strings.Join(at[o.Name], " "); got != want || want == "" {
				t.Errorf("--%s is in %q, want %q", o.Name, got, want)
			}
			if facts := helpOf(t, tool, "--"+o.Name); !strings.Contains(facts, o.Name) || o.Env() != "" && !strings.Contains(facts, o.Env()) {
				t.Errorf("--help=--%s:\n%s", o.Name, facts)
			}
		}
	}
}

// TestHelpTextsFitALine checks each text with its suffixes, for each command.
func TestHelpTextsFitALine(t *testing.T) {
	t.Parallel()
	eachTool(t, func(t *testing.T, table Options) {
		for _, o := range table {
			sentences := []string{o.sentence(0, 0)}
			for c := CommandRun; c <= CommandPresets; c <<= 1 {
				for f := Forms(0); f <= formsShort; f++ {
					sentences = append(sentences, o.sentence(c, f))
				}
			}
			for _, s := range sentences {
				if n := utf8.RuneCountInString(s); n > 50 {
					t.Errorf("--%s: %d columns: %q", o.Name, n, s)
				}
			}
		}
	})
}

func TestHelpOfAnUnknownTopic(t *testing.T) {
	t.Parallel()
	tool := testTools()[1]
	for topic, hint := range map[string]string{
		"tsl":      "did you mean tls? topics: all subscribe ",
		"--cafil":  "did you mean --help=--cafile? topics: all ",
		"publish":  "topics: all ",
		"zzzzzzzz": "topics: all ",
	} {
		text, err := Help(tool, topic, false)
		usage, is := errors.AsType[*UsageError](err)
		if text != "" || !is || usage.Error() != "unknown help topic "+strconv.Quote(topic) || !strings.HasPrefix(usage.Hint(), hint) {
			t.Errorf("%s: %q, %v", topic, text, err)
		}
	}
}

// TestHelpIsAskedForAnywhere checks that --help is found whatever else is wrong with the
// line, but not in a word that is the value of an option.
func TestHelpIsAskedForAnywhere(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"--help": "", "--help -t x": "", "-t x --help": "", "--help --cafile": "", "stray --help tls": "tls", "--help=tls": "tls",
		"--help=--cafile": "--cafile", "--help=-q": "-q", "--nonsense -q 9 --help": "", "-zq --help all": "all", "--help=true": "",
		"--help tls --help": "", "--help=false --help": "", "-t -t --help": "",
		"": "no", "-h x": "no", "-t --help": "no", "--topic --help": "no", "-- --help": "no", "--help=false": "no", "--help --help=false": "no", "--helpless": "no",
	} {
		topic, _, asked := (&Program{Bit: Sub}).AskedHelp(strings.Fields(line))
		if !asked {
			topic = "no"
		}
		if topic != want {
			t.Errorf("%q: %q, want %q", line, topic, want)
		}
	}
	if _, color, _ := (&Program{Bit: Sub}).AskedHelp([]string{"--color", "never", "--help"}); color != "never" {
		t.Errorf("color %q", color)
	}
}

// TestHelpOnATerminalIsTheSameText ignores the styling.
func TestHelpOnATerminalIsTheSameText(t *testing.T) {
	t.Parallel()
	strip := strings.NewReplacer(bold, "", underline, "", plainText, "")
	for _, tool := range testTools() {
		tool.Brief = map[string][]string{"": {"host", "debug", "serve", "help"}}
		for _, topic := range append(tool.HelpTopics(), "", "--host") {
			styled, err := Help(tool, topic, true)
			if plain := helpOf(t, tool, topic); err != nil || strip.Replace(styled) != plain {
				t.Errorf("--help %s: %v\n%q\n%q", topic, err, styled, plain)
			}
			if topic == "" && !strings.Contains(styled, "\n  "+bold+"-h"+plainText+", "+bold+"--host"+plainText+" "+underline+"HOST"+plainText+"  ") {
				t.Errorf("--help %s: %q", topic, styled)
			}
		}
	}
}

func TestDefaultsComeBeforeWhatIsNoPartOfTheSentence(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a": "a (default x)", "a (MQTT 5)": "a (default x) (MQTT 5)", "a (repeatable)": "a (default x) (repeatable)", "a (exit 27)": "a (default x) (exit 27)", "a (b)": "a (b) (default x)",
	} {
		if got := withDefault(text, "x"); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestWriteColumns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ it, left, text, want string }{
		{"fills the left column", "  -a", "one two", "  -a  one two\n"},
		{"goes to the next line when the left is too long", "  -abcd", "one", "  -abcd\n      one\n"},
		{"does not split a long word", "  -a", strings.Repeat("x", 90), "  -a  " + strings.Repeat("x", 90) + "\n"},
		{"wraps before column 81", "  -a", strings.Repeat("x", 70) + " 345 7", "  -a  " + strings.Repeat("x", 70) + " 345\n      7\n"},
	} {
		var b strings.Builder
		writeColumns(&b, c.left, c.text, 6, 2)
		if b.String() != c.want {
			t.Errorf("it %s:\n got %q\nwant %q", c.it, b.String(), c.want)
		}
	}
}

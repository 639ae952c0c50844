package mqpub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/mqtools/mqtools/internal/bytebroker"
	"github.com/mqtools/mqtools/internal/option"
)

func TestEveryTopicGetsEveryMessage(t *testing.T) {
	t.Parallel()
	const topicA, topicB = "30 04 0001 61 ", "30 04 0001 62 "
	for _, row := range []struct {
		it, stdin string
		args      []string
		steps     []Step
	}{
		{"one message", "", []string{"-t", "a", "-t", "b", "-m", "x"}, []Step{{topicA + "78", ""}, {topicB + "78", ""}}},
		{"a topic that is given twice, once", "", []string{"-t", "a", "-t", "b", "-t", "a", "-m", "x"}, []Step{{topicA + "78", ""}, {topicB + "78", ""}}},
		{"repeated", "", []string{"-t", "a", "-t", "b", "-m", "x", "--repeat", "2"},
			[]Step{{topicA + "78", ""}, {topicB + "78", ""}, {topicA + "78", ""}, {topicB + "78", ""}}},
		{"every line", "x\ny\n", []string{"-t", "a", "-t", "b", "-l"},
			[]Step{{topicA + "78", ""}, {topicB + "78", ""}, {topicA + "79", ""}, {topicB + "79", ""}, {"c0 00", "d0 00"}}},
		{"all of standard input", "x", []string{"-t", "a", "-t", "b", "-s"}, []Step{{topicA + "78", ""}, {topicB + "78", ""}}},
		{"no payload", "", []string{"-t", "a", "-t", "b", "-n"}, []Step{{"30 03 0001 61", ""}, {"30 03 0001 62", ""}}},
		{"at QoS 1", "", []string{"-t", "a", "-t", "b", "-m", "x", "-q", "1"},
			[]Step{{"32 06 0001 61 0001 78", "40 02 0001"}, {"32 06 0001 62 0002 78", "40 02 0002"}}},
	} {
		t.Run(row.it, func(t *testing.T) {
			t.Parallel()
			steps := append(append([]Step{{clean4, ok4}}, row.steps...), Step{bye, ""})
			r := Start(t, steps).Run(t.Context(), Tool(), row.stdin, append([]string{"-V", "311", "-i", "a"}, row.args...)...)
			if r.Code != 0 || r.Stderr != "" {
				t.Errorf("status %d, stderr %q", r.Code, r.Stderr)
			}
		})
	}
}

func TestATopicThatIsRefusedKeepsNoOtherFromItsMessage(t *testing.T) {
	t.Parallel()
	r := Start(t, []Step{{"10 0e 0004 4d515454 05 02 0000 00 0001 61", "20 03 00 00 00"},
		{"32 07 0001 61 0001 00 78", "40 03 0001 87"}, {"32 07 0001 62 0002 00 78", "40 02 0002"}, {bye, ""}}).
		Run(t.Context(), Tool(), "", "-V", "5", "-i", "a", "-q", "1", "-t", "a", "-t", "b", "-m", "x")
	if want := `topic "a": `; r.Code != option.ExitDenied || strings.Count(r.Stderr, "\n") != 1 || !strings.Contains(r.Stderr, want) {
		t.Errorf("status %d, stderr %q; want %d and one line with %q", r.Code, r.Stderr, option.ExitDenied, want)
	}
}

// The command line replaces other origins and does not add to them.
func TestTopicsOfTheCommandLineReplaceOthers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "options")
	if err := os.WriteFile(file, []byte("-t f\n-t g\n-m old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() *Broker {
		return Start(t, []Step{{clean4, ok4}, {"30 04 0001 61 78", ""}, {bye, ""}})
	}
	if r := start().Run(t.Context(), Tool(), "", "-V", "311", "-i", "a", "-o", file, "-t", "a", "-m", "x"); r.Code != 0 || r.Stderr != "" {
		t.Errorf("options file: status %d, stderr %q", r.Code, r.Stderr)
	}
	b := Start(t, []Step{{clean4, ok4}, {"30 06 0001 66 6f6c64", ""}, {"30 06 0001 67 6f6c64", ""}, {bye, ""}})
	if r := b.Run(t.Context(), Tool(), "", "-V", "311", "-i", "a", "-o", file); r.Code != 0 || r.Stderr != "" {
		t.Errorf("options file alone: status %d, stderr %q", r.Code, r.Stderr)
	}
}

// An option that says what to publish is never silently replaced by a second one; of the
// other options the last one counts.
func TestASecondMessageIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "options")
	if err := os.WriteFile(file, []byte("-m 1\n-m 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		args []string
		says string
	}{
		{[]string{"-t", "a", "-m", "1", "-m", "2"}, "--message is given twice"},
		{[]string{"-t", "a", "-m", "1", "-m", "1"}, "--message is given twice"},
		{[]string{"-t", "a", "-m1", "--message=2"}, "--message is given twice"},
		{[]string{"-t", "a", "-f", "x", "-f", "y"}, "--file is given twice"},
		{[]string{"-t", "a", "-m", "1", "-f", "y"}, "cannot be used together"},
		{[]string{"-t", "a", "-l", "-s"}, "cannot be used together"},
		{[]string{"-t", "a", "-o", file}, file + ":2: --message is given twice"},
		{[]string{"-t", "a", "-m", "x", "-e", "r", "-e", "s"}, "--response-topic is given twice"},
		{[]string{"-t", "a", "-t", "b", "-m", "x", "--request"}, "--request takes one topic, not 2"},
		{[]string{"-t", "a", "-t", "b", "-m", "x", "-e", "r"}, "--request takes one topic, not 2"},
		{[]string{"-t", "a", "-t", "b/#", "-m", "x"}, `"b/#"`},
		{[]string{"-t", "a", "-t", "", "-m", "x"}, `""`},
		{[]string{"-t", "a", "-m", "x", "--will-topic", "w", "--will-topic", "v"}, "--will-topic is given twice"},
		{[]string{"-t", "a", "-m", "x", "--will-topic", "w", "--will-payload", "w", "--will-payload", "v"}, "--will-payload is given twice"},
	} {
		r := Start(t).Run(t.Context(), Tool(), "", row.args...)
		if r.Code != option.ExitUsage || !strings.Contains(r.Stderr, row.says) {
			t.Errorf("%q: status %d, stderr %q; want 2 and %q", row.args, r.Code, r.Stderr, row.says)
		}
	}
	r := Start(t, []Step{{clean4, ok4}, {"32 06 0001 61 0001 78", "40 02 0001"}, {bye, ""}}).
		Run(t.Context(), Tool(), "", "-V", "5", "-V", "311", "-i", "z", "-i", "a", "-q", "2", "-q", "1", "-t", "a", "-m", "x")
	if r.Code != 0 || r.Stderr != "" {
		t.Errorf("the last -q: status %d, stderr %q", r.Code, r.Stderr)
	}
}

package option

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHelpFitsAndIsComplete(t *testing.T) {
	t.Parallel()
	exits := []ExitStatus{{0, "done", "success", All}, {127, "far", "something else", All}}
	for _, bit := range []ToolSet{Pub, Sub, Bench} {
		table := Table(bit)
		tool := &Program{
			Name: "mqx", Bit: bit, Usage: "[OPTION]...", Summary: "does things", Exits: exits,
			Examples: []Example{{"mqx -t a", strings.Repeat("explains ", 20)}},
		}
		text := Help(tool)
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > 80 {
				t.Errorf("%d columns: %q", n, line)
			}
			if line != strings.TrimRight(line, " ") {
				t.Errorf("blank at the end: %q", line)
			}
		}
		for i := range table {
			want := "\n  " + helpSpelling(table[i])
			times := 1
			if table[i].Hidden {
				times = 0
			}
			if n := strings.Count(text, want+"\n") + strings.Count(text, want+"  "); n != times {
				t.Errorf("%q is there %d times, want %d", want, n, times)
			}
		}
		for _, row := range exits {
			if !strings.Contains(text, plain(int64(row.Code))+"  "+row.Text) {
				t.Errorf("exit code %d is missing", row.Code)
			}
		}
		if !strings.HasPrefix(text, "usage: mqx [OPTION]...\ndoes things\n") || !strings.Contains(text, "\n  mqx -t a\n      explains") {
			t.Errorf("usage, summary or example is missing:\n%s", text)
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
		WriteColumns(&b, c.left, c.text, 6)
		if b.String() != c.want {
			t.Errorf("it %s:\n got %q\nwant %q", c.it, b.String(), c.want)
		}
	}
}

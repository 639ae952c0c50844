package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The page has the same table that is run against both programs.
func TestTheManualHasTheChanges(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "man", "mqtools.7"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), ".Sh COMING FROM MOSQUITTO\n")
	section, _, _ = strings.Cut(section, "\n.Sh ")
	var got []string
	for line := range strings.Lines(section) {
		if row, ok := strings.CutPrefix(strings.TrimSpace(line), ".It "); ok {
			got = append(got, row)
		}
	}
	want := []string{"mosquitto Ta here"}
	for _, c := range changes {
		want = append(want, c.there+" Ta "+c.here)
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("the page has\n%s\n\nthe table\n%s", g, w)
	}
}

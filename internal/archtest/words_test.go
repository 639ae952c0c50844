package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// forbidden are phrases that are not idiomatic in this field, and what to write in their
// place.
var forbidden = []struct {
	phrase *regexp.Regexp
	say    string
}{
	{regexp.MustCompile(`(?i)\btells whether\b`), "reports whether"},
	{regexp.MustCompile(`(?i)\bexclude each other\b`), "cannot be used together"},
	{regexp.MustCompile(`(?i)\bgoes with\b`), "needs, or what it is"},
	{regexp.MustCompile(`(?i)\bunless given\b`), "(default X)"},
	{regexp.MustCompile(`\b1 messages\b`), "1 message: units.Count"},
}

// TestWordsThatAreNotSaid checks code, comments, manual pages and Markdown.
func TestWordsThatAreNotSaid(t *testing.T) {
	files := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "../.." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "bin"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Base(path) == "words_test.go":
			return nil
		}
		page := strings.Contains(filepath.ToSlash(path), "/man/") && strings.Contains(".1.5.7", filepath.Ext(path)) && filepath.Ext(path) != ""
		if ext := filepath.Ext(path); ext != ".go" && ext != ".md" && !page {
			return nil
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			for _, f := range forbidden {
				if found := f.phrase.FindString(line); found != "" {
					t.Errorf("%s:%d: %q: say %s", path, n, found, f.say)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 400 {
		t.Errorf("looked into %d files only", files)
	}
}

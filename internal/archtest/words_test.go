package archtest

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// avoided are phrases that a technical writer does not use, and what to write instead. A
// line with one of the exceptions is left alone.
var avoided = []struct {
	phrase *regexp.Regexp
	say    string
	except string
}{
	{regexp.MustCompile(`(?i)\btells whether\b`), "reports whether", ""},
	{regexp.MustCompile(`(?i)\bexclude each other\b`), "cannot be used together", ""},
	{regexp.MustCompile(`(?i)\bgoes with\b`), "needs, or what it is", ""},
	{regexp.MustCompile(`(?i)\bunless given\b`), "(default X)", ""},
	{regexp.MustCompile(`\b1 messages\b`), "1 message: units.Count", "QoS 1 messages"},
	{regexp.MustCompile(`(?i)\b(no|some)body\b`), "the user, other users, or the passive", ""},
	{regexp.MustCompile(`(?i)\bwhoever\b`), "the user, any", ""},
	{regexp.MustCompile(`(?i)\b(told|tells?)\b`), "report, print, log, return", "apart"},
	{regexp.MustCompile(`(?i)\bjudg(e|es|ed|ing)\b`), "check, decide, rate", ""},
	{regexp.MustCompile(`(?i)\bbelongs? together\b`), "needs", ""},
	{regexp.MustCompile(`(?i)\bof no use\b`), "needs, or has no effect", ""},
	{regexp.MustCompile(`(?i)\ball the same\b`), "nothing", ""},
	{regexp.MustCompile(`(?i)\bunder ?way\b`), "in flight, in progress", ""},
	{regexp.MustCompile(`(?i)\banew\b`), "again", ""},
	{regexp.MustCompile(`(?i)\blets go\b`), "releases", ""},
	{regexp.MustCompile(`(?i)\bno end after\b`), "timed out after", ""},
}

// TestWords: the avoided phrases are in no text: comments and strings of Go, manual pages,
// Markdown, and the scripts, which are read as documentation.
func TestWords(t *testing.T) {
	files := map[string]int{}
	check := func(path string, line int, text string) {
		for n, text := range strings.Split(text, "\n") {
			for _, f := range avoided {
				if found := f.phrase.FindString(text); found != "" && (f.except == "" || !strings.Contains(text, f.except)) {
					t.Errorf("%s:%d: %q: say %s", path, line+n, found, f.say)
				}
			}
		}
	}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		ext := filepath.Ext(path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "../.." && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"node_modules", "bin", "testdata"}, d.Name())):
			return filepath.SkipDir
		case d.IsDir(), filepath.Base(path) == "words_test.go", !slices.Contains([]string{".go", ".md", ".1", ".5", ".7", ".txtar", ".sh", ".yaml"}, ext):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files[ext]++
		if ext != ".go" {
			check(path, 1, string(text))
			return nil
		}
		set := token.NewFileSet()
		file := set.AddFile(path, -1, len(text))
		var s scanner.Scanner
		s.Init(file, text, nil, scanner.ScanComments)
		for {
			pos, tok, lit := s.Scan()
			if tok == token.EOF {
				return nil
			}
			if tok == token.COMMENT || tok == token.STRING {
				check(path, file.Line(pos), lit)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for ext, least := range map[string]int{".go": 400, ".md": 6, ".1": 3, ".5": 3, ".7": 1, ".txtar": 5, ".sh": 3, ".yaml": 150} {
		if files[ext] < least {
			t.Errorf("read %d files %s, want at least %d: the walk is wrong", files[ext], ext, least)
		}
	}
}

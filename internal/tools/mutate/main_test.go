package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A module of one package, whose test detects a wrong sum but not a wrong product. The
// results of its mutants are those that our lists would have.
func TestARunSaysWhatIsNotKilled(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module x\n")
	write("a/a.go", "package a\n\nfunc sum(a, b int) int { return a + b }\n\nfunc product(a, b int) int { return a * b }\n")
	write("a/a_test.go", "package a\n\nimport \"testing\"\n\nfunc TestSum(t *testing.T) {\n\tif sum(2, 3) != 5 {\n\t\tt.Fail()\n\t}\n}\n")
	write("b/b.go", "package b\n\nfunc B() int { return 1 }\n")
	write("b/b_test.go", "package b\n\nimport \"testing\"\n\nfunc TestB(t *testing.T) { t.Fatal(\"always\") }\n")
	t.Chdir(root)
	const killed = "== a/a.go: it adds\n- a + b\n+ a - b\n"
	for what, c := range map[string]struct {
		list string
		want string // the end of the first line of the error
	}{
		"all are killed":               {killed, ""},
		"by the rest of the package":   {killed + "! TestProduct\n", ""},
		"one survives":                 {killed + "== a/a.go: it multiplies\n- a * b\n+ a / b\n", "1 survive, more than 5 %"},
		"one is argued":                {killed + "== a/a.go: it multiplies\n- a * b\n+ b * a\n= a product has no order\n", ""},
		"one's text has moved":         {killed + "== a/a.go: it divides\n- a / b\n+ a\n", "x.txt:4: a/a.go: it divides: found 0 times, want once: a / b"},
		"one's text stands twice":      {"== a/a.go: it returns\n- return\n+ panic\n", "x.txt:1: a/a.go: it returns: found 2 times, want once: return"},
		"one's file has moved":         {"== a/z.go: it adds\n- a + b\n+ a - b\n", "no such file or directory"},
		"one does not compile":         {killed + "== a/a.go: it multiplies\n- a * b\n+ c * b\n", "1 mutants could not be tried"},
		"one is malformed":             {killed + "== a/a.go: it multiplies\n- a * b\n", "x.txt:4: a/a.go: it multiplies: needs at least one line that begins with - and one with +"},
		"the tests fail by themselves": {"== b/b.go: one\n- return 1\n+ return 2\n", "the tests fail without any mutant, or take longer than 1m0s: TestB: exit status 1"},
		"there is none":                {"# nothing\n", "no mutant to try"},
	} {
		write("internal/tools/mutate/mutants/x.txt", c.list)
		err, got := run("", 0, 0, 1, time.Minute, false), ""
		if err != nil {
			got, _, _ = strings.Cut(err.Error(), "\n")
		}
		if !strings.HasSuffix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", what, got, c.want)
		}
	}
}

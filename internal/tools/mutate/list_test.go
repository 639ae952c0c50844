package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A mutant that does not fit the code any more tests nothing.
func TestEveryMutantFitsTheCode(t *testing.T) {
	lists, _ := filepath.Glob("mutants/*.txt")
	if len(lists) == 0 {
		t.Fatal("no list of mutants")
	}
	count, seen := 0, map[string]string{}
	for _, path := range lists {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list, err := List(filepath.Base(path), string(text))
		if err != nil {
			t.Error(err)
		}
		for _, m := range list {
			count++
			source, err := os.ReadFile(filepath.Join("../../..", m.File))
			if err != nil {
				t.Errorf("%s: %v", m, err)
				continue
			}
			mutated, err := m.Apply(string(source))
			if err != nil {
				t.Error(err)
				continue
			}
			if first, has := seen[m.File+"\x00"+mutated]; has {
				t.Errorf("%s is the mutant of %s", m, first)
			}
			seen[m.File+"\x00"+mutated] = m.List
			if !hasTest(filepath.Join("../../..", filepath.Dir(m.File)), m.Killer) {
				t.Errorf("%s: its package has no test %s", m, m.Killer)
			}
		}
	}
	if count < 500 {
		t.Errorf("%d mutants, want at least 500", count)
	}
}

// hasTest reports whether a directory has a test; it ignores subtests.
func hasTest(dir, name string) bool {
	name, _, _ = strings.Cut(name, "/")
	files, _ := filepath.Glob(filepath.Join(dir, "*_test.go"))
	return name == "" || slices.ContainsFunc(files, func(path string) bool {
		text, _ := os.ReadFile(path)
		return strings.Contains(string(text), "func "+name+"(")
	})
}

func TestAMutantIsReadAndPutInPlace(t *testing.T) {
	list, err := List("x.txt", "# comment\n\n== a/b.go: it adds\n- return a + b\n+ return a - b\n\n== a/b.go: it stops\n-   if n > most {\n- break\n+ if n >= most {\n+ break\n! TestStops\n= because\n")
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	got, err := list[0].Apply("func f() int {\n\treturn a + b\n}\n")
	if want := "func f() int {\n\treturn a - b\n}\n"; got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	got, err = list[1].Apply("for {\n\t\tif n > most {\n\t\t\tbreak\n\t\t}\n")
	if want := "for {\n\t\tif n >= most {\nbreak\n\t\t}\n"; got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if list[1].Equivalent != "because" || list[1].Killer != "TestStops" || list[1].List != "x.txt:7" || list[1].Package() != "./a" {
		t.Errorf("got %+v", list[1])
	}
	for _, source := range []string{"", "return a + b; return a + b"} {
		if _, err := list[0].Apply(source); err == nil {
			t.Errorf("no error for %q", source)
		}
	}
}

func TestABadListIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"without a promise":      "== a/b.go\n- a\n+ b\n",
		"before the first":       "- a\n+ b\n",
		"without the old text":   "== a/b.go: it\n+ b\n",
		"without the new text":   "== a/b.go: it\n- a\n",
		"the same":               "== a/b.go: it\n- a\n+ a\n",
		"a line of another kind": "== a/b.go: it\n- a\n+ b\nc\n",
		"old text behind new":    "== a/b.go: it\n- a\n+ b\n- c\n",
	} {
		if list, err := List("x.txt", text); err == nil || !strings.HasPrefix(err.Error(), "x.txt:") {
			t.Errorf("%s: got %v, %v", name, list, err)
		}
	}
}

func TestTheFirstFailureIsNamed(t *testing.T) {
	for out, want := range map[string]string{
		"--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/b (0.00s)\nFAIL\n":                      "TestA",
		"panic: test timed out after 2m0s\n\trunning tests:\n\t\tTestB (2m0s)\n\ngoroutine 1": "TestB (hangs)",
		"panic: runtime error: index out of range\n":                                          "a panic",
		"FAIL\tx\t0.1s\n": "its exit status",
	} {
		if got := firstFailure(out); got != want {
			t.Errorf("got %q, want %q, for %q", got, want, out)
		}
	}
}

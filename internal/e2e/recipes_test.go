package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// recipe is what there is before and after an example of a page, and what comes of all
// three, which run as one script in an empty directory, with a broker of their own that
// the environment names. Each page has a file of recipes, in the order of the page.
type recipe struct {
	Name          string
	Uses          string // what precedes it: programs or parse
	Before, After string
	Swap          []string // pairs: what stands in the example, and in its place
	Want          string   // of both streams
	Tools         string   // other programs that it needs
	Terminal      string   // it runs in one, and this filters what it shows
}

// programs makes a program of each function's body, which the recipe calls.
const programs = `
	program() { printf '#!/bin/sh\n%s\n' "$2" > "$1"; chmod +x "$1"; }
	PATH=$PWD:$PATH
`

// parse makes each command line of the tools print its options in place of a run, which
// fails where the run would; those of contexts run.
const parse = `
	export MQ_CONFIG=$PWD/config.yaml; : > config.yaml
	parse() { case $2 in context) command "$@" 2> log ;; *) command "$@" --show-config ;; esac > /dev/null; }
	mqpub() { parse mqpub "$@"; }
	mqsub() { parse mqsub "$@"; }
	mqbench() { parse mqbench "$@"; }
`

var exampleName = regexp.MustCompile(`^\.\\" example: ([a-z-]+)$`)

// examples are the blocks of a page by their names. Every one must have one.
func examples(t *testing.T, path string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	name, inside := "", false
	for i, line := range strings.Split(string(b), "\n") {
		m := exampleName.FindStringSubmatch(line)
		switch {
		case inside && line == ".Ed":
			inside, name = false, ""
		case inside:
			all[name] += strings.NewReplacer(`\e`, `\`, `\&`, "").Replace(line) + "\n"
		case m != nil && all[m[1]] != "":
			t.Errorf("%s:%d: %s is there already", path, i+1, m[1])
		case m != nil:
			name = m[1]
		case strings.HasPrefix(line, ".Dl") && strings.HasSuffix(path, ".7"):
			t.Errorf("%s:%d: an example without a test", path, i+1)
		case strings.HasPrefix(line, ".Bd"):
			if name == "" || line != ".Bd -literal -offset indent" {
				t.Fatalf("%s:%d: an example without a name, or of another form", path, i+1)
			}
			inside = true
		}
	}
	return all
}

func TestRecipesOfTheManual(t *testing.T) {
	t.Parallel()
	page := examples(t, "../../man/mqtools.7")
	delete(page, "unit") // scripts/cli/service-of-the-manual.txtar
	runExamples(t, page, "mqtools.7")
}

// runExamples runs each example as its recipe in the file of that name says; every one
// must have one.
func runExamples(t *testing.T, page map[string]string, name string) {
	t.Helper()
	file, err := os.Open("testdata/examples-" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var recipes []recipe
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	if err := decoder.Decode(&recipes); err != nil {
		t.Fatal(err)
	}
	preambles := map[string]string{"": "", "programs": programs, "parse": parse}
	for i := range recipes {
		r := &recipes[i]
		text, found := page[r.Name]
		if !found {
			t.Errorf("there is no example %s", r.Name)
			continue
		}
		delete(page, r.Name)
		preamble, known := preambles[r.Uses]
		if !known {
			t.Errorf("%s uses %q, want programs or parse", r.Name, r.Uses)
		}
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			need(t, strings.Fields(r.Tools)...)
			for i := 0; i < len(r.Swap); i += 2 {
				if strings.Count(text, r.Swap[i]) != 1 {
					t.Fatalf("%q is not there once in\n%s", r.Swap[i], text)
				}
				text = strings.Replace(text, r.Swap[i], r.Swap[i+1], 1)
			}
			script := "set -euo pipefail\n" + preamble + r.Before + "\n" + text + r.After
			if r.Terminal != "" {
				script = "cat > in-terminal <<'END'\n" + script + "\nEND\nscript -qec 'bash in-terminal' /dev/null < /dev/null | " + r.Terminal
			}
			if out, code := shell(t, script); out != r.Want || code != 0 {
				t.Errorf("code %d, got\n%s\nwant\n%s", code, out, r.Want)
			}
		})
	}
	for name := range page {
		t.Errorf("the example %s has no test", name)
	}
}

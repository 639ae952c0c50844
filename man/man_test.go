// Package man holds the manual pages and checks them against the tools.
package man

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/option"
)

var pages = map[string]option.ToolSet{"mqpub.1": option.Pub, "mqsub.1": option.Sub, "mqbench.1": option.Bench}

var update = flag.Bool("update", false, "rewrite the option lists of the pages")

func TestPagesAgreeWithTheOptionTable(t *testing.T) {
	t.Parallel()
	for name, bit := range pages {
		if *update {
			rewrite(t, name, bit)
		}
		for _, problem := range checkManPage([]byte(read(t, name)), bit) {
			t.Errorf("%s: %s", name, problem)
		}
	}
}

func TestPagesAreCleanMdoc(t *testing.T) {
	t.Parallel()
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		t.Skip("mandoc is not installed")
	}
	for _, name := range names(t) {
		if out, err := exec.Command(mandoc, "-T", "lint", "-W", "warning", name).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestPagesFitATerminal checks the warnings of troff, which man(1) would print above a page
// on a terminal of 80 columns; mandoc does not print them.
func TestPagesFitATerminal(t *testing.T) {
	t.Parallel()
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not installed")
	}
	for _, name := range names(t) {
		if out, err := exec.Command(groff, "-mandoc", "-Tutf8", "-rLL=78n", "-z", name).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// names returns the file names of all pages.
func names(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("*.[1-9]")
	if err != nil || len(names) < 6 {
		t.Fatalf("pages %q, %v", names, err)
	}
	return names
}

func TestThePageHasTheTableOfProperties(t *testing.T) {
	t.Parallel()
	want := manProperties()
	if n := strings.Count(want, "\n.It Cm "); n < 15 {
		t.Fatalf("only %d properties", n)
	}
	if !strings.Contains(read(t, "mqpub.1"), want) {
		t.Errorf("mqpub.1 does not have\n%s", want)
	}
}

// TestTheWayFromOtherClientsLeadsToOptions checks the right column of the tables in
// mqtools(7): each option must be one of ours, and each property one that its packet can
// have.
func TestTheWayFromOtherClientsLeadsToOptions(t *testing.T) {
	t.Parallel()
	spellings := map[string]bool{}
	for _, o := range option.Table(option.Pub | option.Sub) {
		for _, s := range o.Spellings() {
			spellings[s] = true
		}
	}
	properties := strings.Split(manProperties(), "\n")
	section, rows := "", map[string]int{}
	for n, line := range strings.Split(read(t, "mqtools.7"), "\n") {
		if title, ok := strings.CutPrefix(line, ".Sh "); ok {
			section = title
		}
		_, right, ok := strings.Cut(line, " Ta ")
		if !ok || !strings.HasPrefix(section, "COMING FROM ") {
			continue
		}
		rows[section]++
		words := strings.Fields(right)
		for i, w := range words {
			if w != "Fl" {
				continue
			}
			if i+1 == len(words) || !spellings["-"+words[i+1]] {
				t.Errorf("line %d: an option that is none: %s", n+1, right)
				continue
			}
			if words[i+1] != "D" {
				continue
			}
			if i+4 >= len(words) || words[i+2] != "Cm" || !slices.ContainsFunc(properties, func(row string) bool {
				name, rest, _ := strings.Cut(strings.TrimPrefix(row, ".It Cm "), " Ta ")
				packets, _, _ := strings.Cut(rest, " Ta ")
				return name == words[i+4] && (packets == "all" || slices.Contains(strings.Fields(packets), words[i+3]))
			}) {
				t.Errorf("line %d: a property that is none: %s", n+1, right)
			}
		}
	}
	if len(rows) != 3 || rows["COMING FROM MOSQUITTO"] < 10 || rows["COMING FROM MQTTX"] < 40 || rows["COMING FROM THE HIVEMQ CLI"] < 30 {
		t.Errorf("rows of the tables: %v", rows)
	}
}

// TestTheHelpOnFormatsHasThePartsOfThePage compares --help format with mqsub(1).
func TestTheHelpOnFormatsHasThePartsOfThePage(t *testing.T) {
	t.Parallel()
	parts := func(text, sign string) string {
		var found []string
		for line := range strings.Lines(text) {
			if fields := strings.Fields(line); sign == "%" && strings.HasPrefix(line, "  %") || sign != "%" && strings.HasPrefix(line, ".It Cm \\&%") {
				for _, w := range fields {
					if w, ok := strings.CutPrefix(w, sign); ok && len(w) == 1 && w != "%" {
						found = append(found, w)
					}
				}
			}
		}
		slices.Sort(found)
		return strings.Join(found, "")
	}
	_, section, _ := strings.Cut(read(t, "mqsub.1"), ".Sh FORMAT\n")
	section, _, _ = strings.Cut(section, ".Sh ")
	topic, err := option.Help(&option.Program{Name: "mqsub", Bit: option.Sub}, "format", false)
	if got, want := parts(topic, "%"), parts(section, `\&%`); err != nil || got != want || len(want) < 15 {
		t.Errorf("the help has %s, the page %s, %v", got, want, err)
	}
}

// TestThePageKnowsWhatCannotStandInAFile compares mqtools(5) with the table.
func TestThePageKnowsWhatCannotStandInAFile(t *testing.T) {
	t.Parallel()
	var variables, none []string // with a variable but no key, and without both
	for _, o := range option.Table(option.All) {
		switch {
		case o.Key() != "":
		case o.Env() != "":
			variables = append(variables, "-"+o.Name)
		default:
			none = append(none, "-"+o.Name)
		}
	}
	slices.Sort(variables)
	slices.Sort(none)
	last := len(none) - 1
	page := read(t, "mqtools.5")
	for _, want := range []string{
		".Fl " + strings.Join(variables, "\nand\n.Fl ") + " .\n",
		".Fl " + strings.Join(none[:last], " , ") + "\nand\n.Fl " + none[last] + " .\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("mqtools.5 does not have\n%s", want)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// rewrite inserts the lists of options into a page. It keeps the text before the first
// list, and the text of an item after the sentence of the table.
func rewrite(t *testing.T, name string, bit option.ToolSet) {
	before, rest, _ := strings.Cut(read(t, name), ".Sh OPTIONS\n")
	options, after, ok := strings.Cut(rest, ".Sh ")
	if !ok {
		t.Fatalf("%s: nothing behind OPTIONS", name)
	}
	intro, _, _ := strings.Cut(options, ".Ss ")
	page := before + ".Sh OPTIONS\n" + intro + manOptions(bit, manBeyond(options, bit)) + ".Sh " + after
	if err := os.WriteFile(name, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
}

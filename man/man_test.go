// Package man holds the manual pages and checks them against the tools.
package man

import (
	"flag"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
)

var pages = map[string]cli.ToolSet{"mqpub.1": cli.Pub, "mqsub.1": cli.Sub, "mqbench.1": cli.Bench}

var update = flag.Bool("update", false, "write the option lists of the pages anew")

func TestPagesAgreeWithTheOptionTable(t *testing.T) {
	t.Parallel()
	for name, bit := range pages {
		if *update {
			rewrite(t, name, bit)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range cli.CheckManPage(b, bit) {
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
	for _, name := range append(slices.Sorted(maps.Keys(pages)), "mqtools.5", "mqbench-scenario.5") {
		if out, err := exec.Command(mandoc, "-T", "lint", "-W", "warning", name).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// rewrite puts the lists of options into a page; the text before the first
// stays.
func rewrite(t *testing.T, name string, bit cli.ToolSet) {
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(b), ".Sh OPTIONS\n")
	options, after, ok := strings.Cut(rest, ".Sh ")
	if !ok {
		t.Fatalf("%s: nothing behind OPTIONS", name)
	}
	intro, _, _ := strings.Cut(options, ".Ss ")
	page := before + ".Sh OPTIONS\n" + intro + cli.ManOptions(bit) + ".Sh " + after
	if err := os.WriteFile(name, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
}

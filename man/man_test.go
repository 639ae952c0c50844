// Package man holds the manual pages and checks them against the tools.
package man

import (
	"os"
	"os/exec"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
)

var pages = map[string]cli.ToolSet{"mqpub.1": cli.Pub, "mqsub.1": cli.Sub}

func TestPagesAgreeWithTheOptionTable(t *testing.T) {
	t.Parallel()
	for name, bit := range pages {
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
	for name := range pages {
		if out, err := exec.Command(mandoc, "-T", "lint", "-W", "warning", name).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

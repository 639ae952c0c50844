// Package scripts holds conversations of MQTT peers. Its tests check that each script shows
// what it claims, and that the conformance record says what shows what.
package scripts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/conformance"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/script"
)

func TestEveryScriptStatesItsClaim(t *testing.T) {
	t.Parallel()
	names := map[string]string{}
	for dir, role := range map[string]script.Role{"client": script.Broker, "broker": script.Client} {
		paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		if err != nil || len(paths) < 75 {
			t.Fatalf("%s: %d scripts, %v", dir, len(paths), err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s, err := script.Parse(path, text)
			if err != nil {
				t.Error(err)
				continue
			}
			if first, _, _ := strings.Cut(string(text), "\n"); !strings.HasPrefix(first, "# ") || len(first) < 15 {
				t.Errorf("%s: no comment that states the claim", path)
			}
			if other, twice := names[dir+s.Name]; twice {
				t.Errorf("%s: %s has the same name", path, other)
			}
			names[dir+s.Name] = path
			if s.Role != role {
				t.Errorf("%s: it plays a %s, and those of this directory test a %s", path, s.Role, dir)
			}
			if s.Role == script.Broker && len(s.Actions) == 0 && len(s.Command) == 0 {
				t.Errorf("%s: neither actions nor a command for the client", path)
			}
			for _, v := range s.Versions {
				if len(s.Shows[v])+len(s.Breaks[v]) == 0 && s.Section == "" && v != packet.V31 {
					t.Errorf("%s: it is about nothing of MQTT %s", path, v)
				}
			}
		}
	}
}

func TestTheConformanceRecordIsComplete(t *testing.T) {
	t.Parallel()
	root := os.DirFS("..")
	r, err := conformance.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	problems, err := r.Check(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
	text, err := os.ReadFile("conformance.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(r.Text()); got != string(text) {
		t.Error("conformance.yaml is not in the form that 'go run ./internal/tools/conformance -w' gives it")
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := r.Summary(); !strings.Contains(string(readme), want) {
		t.Errorf("README.md does not have these lines:\n%s", want)
	}
}

// Package archtest checks the import rules of the project.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/mqtools/mqtools/"

// layers assigns every package its layer; a package imports lower layers only. An entry
// that ends in "/..." also covers the packages below it.
var layers = []struct {
	path  string
	layer int
}{
	{"mqtt/packet", 0}, {"mqtt/topic", 0}, {"internal/stack", 0}, {"internal/notify", 0}, {"internal/process", 0}, {"internal/spelling", 0}, {"internal/jsontext", 0}, {"internal/units", 0}, {"internal/textfile", 0}, {"internal/fileerror", 0}, {"internal/fileid", 0}, {"internal/wholefile", 0},
	{"mqtt/auth", 1}, {"internal/single", 1}, {"mqtt/session", 1}, {"mqtt/journal", 1}, {"mqtt/transport", 1}, {"internal/yamlfile", 1}, {"internal/outfile", 2},
	{"mqtt", 2}, {"mqtt/broker", 2}, {"mqtt/script", 2}, {"mqtt/swarm", 2},
	{"format", 3}, {"internal/brokerfile", 3}, {"internal/conformance", 3}, {"internal/bench/plan", 3}, {"internal/bench/result", 3}, {"internal/bench/fault", 3},
	{"internal/option", 2},
	{"internal/query", 4}, {"internal/cli", 4}, {"internal/connection", 5}, {"internal/bench", 4}, {"internal/bench/report", 4}, {"internal/bench/metrics", 4},
	{"internal/mosquitto", 5},
	{"internal/mqpub", 6}, {"internal/mqsub", 6}, {"internal/mqbench", 6},
	{"internal/tools/compare", 7}, {"internal/tools/conformance", 7}, {"internal/tools/brokerbench", 7}, {"internal/tools/chaos", 7}, {"internal/tools/mutate", 7},
	{"cmd/mqpub", 7}, {"cmd/mqsub", 7}, {"cmd/mqbench", 7}, {"examples/bridge", 3},
}

// helpers are imported by tests only and may import anything below a tool.
var helpers = map[string]bool{"mqtt/transport/certtest": true, "mqtt/transport/memtest": true, "mqtt/broker/brokertest": true, "internal/bench/badbroker": true,
	"internal/bytebroker": true, "internal/notify/notifytest": true}

// only lists the packages that may import a path outside the module.
var only = map[string][]string{
	"github.com/urfave/cli/v2":   {"internal/option"},
	"github.com/mattn/go-isatty": {"internal/cli"},
	"golang.org/x/term":          {"internal/cli"},
	"os/signal":                  {"internal/cli", "examples/bridge", "internal/tools/chaos"},
	"github.com/fatih/color":     {"internal/cli", "format"},
	"gopkg.in/yaml.v3":           {"internal/yamlfile"},
	"golang.org/x/net/proxy":     {"mqtt/transport"},
	"github.com/itchyny/gojq":    {"internal/query"},
	"golang.org/x/net/netutil":   {"internal/bench/metrics"},

	"github.com/HdrHistogram/hdrhistogram-go":                 {"internal/bench/result"},
	"github.com/prometheus/client_golang/prometheus":          {"internal/bench/metrics"},
	"github.com/prometheus/client_golang/prometheus/promhttp": {"internal/bench/metrics"},
}

// standardOnly are the packages that import nothing outside the module except the standard
// library.
var standardOnly = []string{"mqtt/auth", "mqtt/packet", "mqtt/topic", "mqtt/session"}

// banned are imports that a tree must not have at all.
var banned = map[string][]string{
	// Package option reads words, and has no notion of a process, client or broker.
	"internal/option":     {module + "mqtt", module + "mqtt/broker", module + "format", module + "internal/process", module + "internal/notify", "os/exec", "os/signal"},
	"internal/connection": {"github.com/urfave/cli/v2", "os/signal", "github.com/fatih/color"},
	"internal/cli":        {module + "mqtt", module + "mqtt/broker"},
	"mqtt/broker":         {module + "mqtt"},
	"mqtt/script":         {module + "mqtt/session"},
}

type imp struct{ file, pkg, path string }

// imports lists the imports of the module's non-test files.
func imports(t *testing.T) []imp {
	t.Helper()
	root := "../.."
	var all []imp
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "interop") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, s := range f.Imports {
			p, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				return err
			}
			all = append(all, imp{path, filepath.ToSlash(rel), p})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("found only %d imports: the walk is wrong", len(all))
	}
	return all
}

func layerOf(pkg string) (int, bool) {
	for _, l := range layers {
		if l.path == pkg {
			return l.layer, true
		}
	}
	return 0, false
}

func TestPackagesImportLowerLayersOnly(t *testing.T) {
	for _, i := range imports(t) {
		if helpers[i.pkg] || strings.HasPrefix(i.pkg, "internal/archtest") {
			continue
		}
		from, known := layerOf(i.pkg)
		if !known {
			t.Errorf("%s: package %s has no layer; give it one in this test", i.file, i.pkg)
			continue
		}
		own, ok := strings.CutPrefix(i.path, module)
		if !ok {
			continue
		}
		if helpers[own] {
			t.Errorf("%s imports %s, which is for tests", i.file, own)
			continue
		}
		to, known := layerOf(own)
		if !known || to >= from {
			t.Errorf("%s (layer %d) imports %s (layer %d, known %v)", i.file, from, own, to, known)
		}
	}
}

func TestForeignPackagesStayWhereTheyBelong(t *testing.T) {
	for _, i := range imports(t) {
		if helpers[i.pkg] {
			continue
		}
		if allowed, limited := only[i.path]; limited && !contains(allowed, i.pkg) {
			t.Errorf("%s imports %s, which only %v may", i.file, i.path, allowed)
		}
		if contains(standardOnly, i.pkg) && strings.Contains(strings.SplitN(i.path, "/", 2)[0], ".") && !strings.HasPrefix(i.path, module) {
			t.Errorf("%s imports %s, but %s uses the standard library only", i.file, i.path, i.pkg)
		}
		for tree, paths := range banned {
			if i.pkg == tree && contains(paths, i.path) {
				t.Errorf("%s imports %s", i.file, i.path)
			}
		}
	}
}

// TestTheEngineIsSilent checks that nothing under mqtt/ prints, logs, reads the environment
// or exits.
func TestTheEngineIsSilent(t *testing.T) {
	for _, i := range imports(t) {
		if strings.HasPrefix(i.pkg, "mqtt") && !helpers[i.pkg] && (i.path == "log" || i.path == "log/slog" || i.path == "flag") {
			t.Errorf("%s imports %s", i.file, i.path)
		}
	}
}

// TestTheFloorOfProcessesStaysSmall limits package cli, which must not take over reading
// options or making connections.
func TestTheFloorOfProcessesStaysSmall(t *testing.T) {
	files, err := filepath.Glob("../cli/*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") {
			n++
		}
	}
	if n == 0 || n > 25 {
		t.Errorf("internal/cli has %d files, want 1 to 25: is it about a process?", n)
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

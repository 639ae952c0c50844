package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
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
	unit := page["unit"]
	delete(page, "unit")
	t.Run("unit", func(t *testing.T) { checkUnit(t, unit) })
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

// checkUnit starts what a unit of systemd says, as systemd would, with a broker
// that wants the password of its credential.
func checkUnit(t *testing.T, unit string) {
	need(t)
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for line := range strings.Lines(strings.ReplaceAll(unit, "\\\n", " ")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			set[name] = value
		}
	}
	if set["Type"] != "notify" || set["WatchdogSec"] != "2min" || set["LoadCredential"] != "mqtt:/etc/mqtools/password" {
		t.Errorf("settings %v", set)
	}
	m := newManager(t)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "mqtt"), "s3cret")
	h := newHub(t, broker.Options{Authenticate: func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
		if string(p.Username) != "log" || string(p.Password) != "s3cret" {
			return packet.BadUserNameOrPassword
		}
		return packet.Success
	}})
	line := set["ExecStart"]
	for _, swap := range [][2]string{{"/usr/bin/mqsub", filepath.Join(bin, "mqsub")}, {"mqtts://broker.example", "mqtt://" + h.addr[1] + ":" + h.addr[3]},
		{"${CREDENTIALS_DIRECTORY}", dir}} {
		if strings.Count(line, swap[0]) != 1 {
			t.Fatalf("%q is not there once in %s", swap[0], line)
		}
		line = strings.Replace(line, swap[0], swap[1], 1)
	}
	words := strings.Fields(line)
	c := exec.Command(words[0], words[1:]...)
	c.Env = []string{"NOTIFY_SOCKET=" + m.Path, "WATCHDOG_USEC=120000000", "CREDENTIALS_DIRECTORY=" + dir, "MQ_CONFIG=none"}
	var out, log buffer
	c.Stdout, c.Stderr = &out, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	m.expect("STATUS=connected to ", "READY=1", "WATCHDOG=1")
	_ = c.Process.Signal(syscall.SIGTERM)
	_ = c.Wait()
	m.expect("STOPPING=1")
	// Dead by SIGTERM, which is a good end to systemd.
	if end, _ := c.ProcessState.Sys().(syscall.WaitStatus); log.String() != "" || end.Signal() != syscall.SIGTERM {
		t.Errorf("%v, %q", c.ProcessState, log.String())
	}
	if path, err := exec.LookPath("systemd-analyze"); err == nil {
		file := filepath.Join(dir, "sensor-log.service")
		writeFile(t, file, strings.ReplaceAll(unit, "/usr/bin/mqsub", filepath.Join(bin, "mqsub")))
		if out, err := exec.Command(path, "verify", "--man=no", file).CombinedOutput(); err != nil || strings.Contains(string(out), "sensor-log") {
			t.Errorf("systemd-analyze verify: %v\n%s", err, out)
		}
	}
}

// Package scripts holds conversations of MQTT peers and checks that they say
// what they show.
package scripts

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/script"
)

// statements reads the normative statements of a version: identifier, whom it
// binds (C for clients, S for servers), what it says.
func statements(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		parts := strings.Split(lines.Text(), "\t")
		if len(parts) != 3 || strings.Trim(parts[1], "CS") != "" || parts[1] == "" {
			t.Fatalf("%s: %q", file, lines.Text())
		}
		if _, twice := all["MQTT-"+parts[0]]; twice {
			t.Errorf("%s: %s is there twice", file, parts[0])
		}
		all["MQTT-"+parts[0]] = parts[1]
	}
	return all
}

func TestEveryScriptStatesItsClaim(t *testing.T) {
	t.Parallel()
	known := map[packet.Version]map[string]string{
		packet.V311: statements(t, "normative-3.1.1.tsv"),
		packet.V5:   statements(t, "normative-5.0.tsv"),
	}
	tested := map[string]string{"client": "C", "broker": "S"} // in the lists
	names := map[string]string{}
	shown := map[packet.Version]map[string]bool{packet.V311: {}, packet.V5: {}}
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
				for _, id := range s.Shows[v] {
					if !strings.Contains(known[v][id], tested[dir]) {
						t.Errorf("%s: MQTT %s has no statement %s that binds a %s", path, v, id, dir)
					}
					shown[v][id] = true
				}
				for _, id := range s.Breaks[v] {
					if whom := known[v][id]; whom == "" || whom == tested[dir] {
						t.Errorf("%s: MQTT %s has no statement %s that binds a %s", path, v, id, s.Role)
					}
				}
			}
		}
	}
	for v, all := range known {
		t.Logf("MQTT %s: %d of %d statements are shown", v, len(shown[v]), len(all))
	}
}

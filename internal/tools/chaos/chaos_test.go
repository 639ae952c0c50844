package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// built has the tools when a test has asked for them.
var built struct {
	sync.Once
	dir string
	err error
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "witness" {
		fmt.Fprintln(os.Stderr, "witness:", witnessCommand(os.Args[2:]))
		os.Exit(1)
	}
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// tools returns the directory with the tools.
func tools(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs the tools")
	}
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "mqchaos"); built.err == nil {
			built.err = build(built.dir)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

func TestCompare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ sent, got, want string }{
		{"a b c", "a b c", "0 lost, 0 repeated, 0 never sent, 0 out of order"},
		{"a b c", "a c", `1 lost, 0 repeated, 0 never sent, 0 out of order; first "b\n" is lost`},
		{"a b c", "a b b c a", "0 lost, 2 repeated, 0 never sent, 0 out of order"},
		{"a b c", "a c b", `0 lost, 0 repeated, 0 never sent, 1 out of order; first "b\n" is out of order`},
		{"a b c", "a bc", `2 lost, 0 repeated, 1 never sent, 0 out of order; first "bc\n" was never sent`},
		{"a b a", "a b a", "0 lost, 1 repeated, 0 never sent, 0 out of order"},
		{"a b c", "", `3 lost, 0 repeated, 0 never sent, 0 out of order; first "a\n" is lost`},
	} {
		lines := func(words string) []byte {
			var b []byte
			for _, w := range strings.Fields(words) {
				b = append(append(b, w...), '\n')
			}
			return b
		}
		if got := compare(lines(c.sent), lines(c.got)).String(); got != c.want {
			t.Errorf("%q as %q: %s, want %s", c.sent, c.got, got, c.want)
		}
	}
}

// TestSecretRepeats reads logs of a witness that has lost the session of a publisher.
func TestSecretRepeats(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		log    string
		secret int
	}{
		"the publisher knows it":            {"S pub\nK pub\nM pub 2 1 n a\nS pub\nK pub\nM pub 2 2 n a\n", 0},
		"it has missed the CONNACK":         {"S pub\nK pub\nM pub 2 1 n a\nM pub 2 2 n b\nS pub\nM pub 2 1 n a\nM pub 2 2 n b\n", 2},
		"a message was finished before":     {"S pub\nK pub\nM pub 2 1 n a\nR pub 1\nS pub\nM pub 2 1 n a\n", 0},
		"again, and the publisher knows it": {"S pub\nK pub\nM pub 2 1 n a\nS pub\nM pub 2 1 n a\nS pub\nK pub\nM pub 2 2 n a\n", 1},
		"twice before a CONNACK arrives":    {"S pub\nK pub\nM pub 2 1 n a\nS pub\nS pub\nM pub 2 1 n a\n", 1},
		"QoS 1":                             {"S pub\nK pub\nM pub 1 1 n a\nS pub\nM pub 1 1 n a\n", 0},
		"the session of a subscriber":       {"S pub\nK pub\nM pub 2 1 n a\nS sub\nM pub 2 2 n a\n", 0},
	} {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(c.log), 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := readLog(path); err != nil || l.secret != c.secret {
			t.Errorf("%s: %d in secret, %v, want %d", name, l.secret, err, c.secret)
		}
	}
}

// TestASilentEndIsAClaim: mqpub that dies of SIGTERM without a word has left nothing open, if
// it has connected.
func TestASilentEndIsAClaim(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		log    string
		before int // connects before the run
		wrong  bool
	}{
		"it has connected, and a message is open":     {"P pub\nS pub\nK pub\nM pub 2 1 n a\n", 0, true},
		"it has not connected":                        {"P pub\nS pub\nK pub\nM pub 2 1 n a\n", 1, false},
		"it has connected again, and nothing is open": {"P pub\nS pub\nK pub\nM pub 2 1 n a\nP pub\nR pub 1\n", 1, false},
		"it has connected again":                      {"P pub\nS pub\nK pub\nM pub 2 1 n a\nP pub\n", 1, true},
		"the subscriber has connected":                {"P pub\nS pub\nK pub\nM pub 2 1 n a\nP sub\nS sub\n", 1, false},
	} {
		tr := &trial{dir: t.TempDir(), written: 1}
		if err := os.WriteFile(tr.file("log"), []byte(c.log), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := start("sh", "-c", "kill -TERM $$")
		if err != nil {
			t.Skip(err)
		}
		<-p.exited
		tr.ended("mqpub", p, true, syscall.SIGTERM, false, c.before)
		if wrong := len(tr.wrongs) > 0; wrong != c.wrong {
			t.Errorf("%s: found %q", name, tr.wrongs)
		}
	}
}

// TestTrials makes a trial with an honest witness, and some with one that does a message
// wrong, which must be found.
func TestTrials(t *testing.T) {
	t.Parallel()
	bin := tools(t)
	for wrong, want := range map[string]string{
		"":       "",
		"lose":   "1 lost",
		"repeat": "at QoS 2: 0 lost, 1 repeated",
		"swap":   "1 out of order",
	} {
		t.Run("witness"+wrong, func(t *testing.T) {
			t.Parallel()
			p := planOf(1, 0)
			p.qos, p.lines, p.receive, p.rotate, p.disks, p.terminated = 2, 500, [2]int{}, true, time.Second, 20
			if wrong != "" { // one fault is enough
				p.cuts, p.disks, p.kills = time.Hour, time.Hour, [3]time.Duration{time.Hour, time.Hour, time.Hour}
			}
			if wrong == "swap" { // with messages that wait for their turn
				p.receive[1], p.versions[1] = 1, "5"
			}
			tr, err := newTrial(t.TempDir(), bin, p)
			if err != nil {
				t.Fatal(err)
			}
			tr.wrong = wrong
			err = tr.run(context.Background(), 2*time.Second)
			tr.close(true)
			if want == "" && (err != nil || len(tr.counts) == 0) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("after %v: %v", tr.counts, err)
			}
		})
	}
}

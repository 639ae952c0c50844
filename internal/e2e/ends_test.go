//go:build linux

package e2e

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
)

// The ends that a command can meet. The name of a cell begins with that of its end.
var ends = []string{"success", "time", "SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT ignored", "SIGHUP ignored", "PID 1",
	"stdout closed", "disk full", "reader gone", "reader stalled", "bad input", "broker away", "broker gone", "refused"}

// A row is a command and its ends.
type row struct {
	command string // in words; ADDR is the server's address, IN the input, SCRIPT one of mqbench play's
	stdin   string // of its ends that have none
	input   string // of its ends that have none
	ends    []end
	without []omission
}

// An omission is why a command does not have some ends.
type omission struct {
	why  string
	ends []string
}

var (
	offline  = omission{"it connects to no broker", []string{"broker away", "broker gone", "refused"}}
	untimed  = omission{"it has no time limit", []string{"time"}}
	silent   = omission{"it writes nothing to standard output", []string{"disk full", "reader gone", "reader stalled"}}
	unending = omission{"it has no end of its own", []string{"success"}}
	instant  = omission{"it reads nothing, and has ended before a signal comes", []string{"SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT ignored", "SIGHUP ignored", "PID 1"}}
)

// TestEveryCommandHasItsEnds runs the tools themselves, each command through every
// end that it can meet.
func TestEveryCommandHasItsEnds(t *testing.T) {
	t.Parallel()
	need(t)
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	files := inputs(t)
	type cell struct {
		*row
		end
	}
	cells := make(chan cell)
	var work sync.WaitGroup
	for range 8 { // most of them wait, for a signal or for a time
		work.Go(func() {
			for c := range cells {
				t.Run(c.command+"/"+c.name, func(t *testing.T) {
					status, lines := c.run(t, c.row, bin, files)
					if status != c.status && (c.or == 0 || status != c.or) || !said(lines, c.says) {
						t.Errorf("status %d, stderr %q; want %d and %q", status, lines, c.status, c.says)
					}
				})
			}
		})
	}
	for _, r := range table() {
		for _, e := range r.ends {
			cells <- cell{&r, e}
		}
	}
	close(cells)
	work.Wait()
}

// table is the table of ends.
func table() []row { return slices.Concat(subscribers(), publishers(), pages(), loads(), results()) }

// Every command of the tools has a row.
func TestNoCommandIsMissingInTheTableOfEnds(t *testing.T) {
	t.Parallel()
	all := table()
	for _, want := range commands() {
		if !slices.ContainsFunc(all, func(r row) bool { return begins(strings.Fields(r.command), strings.Fields(want)) }) {
			t.Errorf("%s has no row", want)
		}
	}
	for _, r := range all {
		for _, kind := range ends {
			has := slices.ContainsFunc(r.ends, func(e end) bool { return e.kind() == kind })
			omitted := 0
			for _, o := range r.without {
				if slices.Contains(o.ends, kind) {
					omitted++
				}
			}
			switch {
			case !has && omitted == 0:
				t.Errorf("%s: neither has it the end %q nor a reason", r.command, kind)
			case has && omitted > 0, omitted > 1:
				t.Errorf("%s: there are two words on the end %q", r.command, kind)
			}
		}
		names := map[string]bool{}
		for _, e := range r.ends {
			if names[e.name] {
				t.Errorf("%s: two ends are called %q", r.command, e.name)
			}
			names[e.name] = true
		}
		for _, o := range r.without {
			for _, kind := range o.ends {
				if !slices.Contains(ends, kind) {
					t.Errorf("%s: %q is no end", r.command, kind)
				}
			}
		}
	}
}

// begins reports whether a command has the words of another in that order.
func begins(command, words []string) bool {
	for _, w := range command {
		if len(words) > 0 && w == words[0] {
			words = words[1:]
		}
	}
	return len(words) == 0
}

// commands are what the tools' own tables say that they do.
func commands() (all []string) {
	for _, name := range []string{"mqpub", "mqsub", "mqbench"} {
		tool := tool(name)
		for _, c := range tool.Commands {
			all = append(all, name+" "+c.Name)
		}
		for _, p := range tool.Personalities {
			all = append(all, name+" --compat "+p.Name)
		}
		// What mqpub can publish stands in braces, and in another form of its usage.
		_, modes, _ := strings.Cut(tool.Usage, "{")
		modes, other, _ := strings.Cut(modes, "}")
		if _, form, found := strings.Cut(other, "]... "); found {
			modes += "|" + form
		}
		for mode := range strings.SplitSeq(modes, "|") {
			if words := strings.Fields(mode); len(words) > 0 {
				all = append(all, name+" "+words[0])
			}
		}
		for _, page := range []string{"help", "version", "completion", "show-config", "hash-password"} {
			if name != "mqbench" || page != "hash-password" {
				all = append(all, name+" --"+page)
			}
		}
		if tool.NeedsCommand {
			continue
		}
		all = append(all, name)
		var help bytes.Buffer
		cli.Run(context.Background(), cli.Env{Args: []string{"context", "--help"}, Stdout: &help, Stderr: &help}, tool)
		for line := range strings.Lines(help.String()) {
			if word, found := strings.CutPrefix(line, "  "); found && word[0] != ' ' {
				all = append(all, name+" context "+strings.Fields(word)[0])
			}
		}
	}
	return all
}

// inputs makes the files that the commands are given.
func inputs(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{
		"line":      []byte("x\n"),
		"conf":      []byte("contexts:\n  x:\n    host: h\n  z:\n    host: h\n"),
		"out":       []byte("what was there before\n"),
		"kubectl":   []byte(kubectl),
		"bad.yaml":  []byte("name: [\n"),
		"play.yaml": []byte(plays),
	}
	dir := t.TempDir()
	for _, name := range []string{"a.mqb", "b.mqb"} {
		r := run(t, "", "mqbench", "pubsub", "--serve", "127.0.0.1:0", "--clients", "2", "--warm-up", "0", "--duration", "1.2", "--quiet", "--out", dir+"/"+name)
		b, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Fatalf("%v; status %d, %q", err, r.code, r.err)
		}
		files[name] = b
	}
	return files
}

func one(s any) []any { return []any{s} }

func told(tool string, lines ...string) (all []string) {
	for _, l := range lines {
		all = append(all, tool+": "+l)
	}
	return all
}

// signals are the ends by signals. says is what the tool says of one.
func signals(base end, says func(what string) []string) (all []end) {
	add := func(name string, status int, what string, signals ...any) *end {
		e := base
		e.name, e.signals, e.status, e.says = name, signals, status, says(what)
		all = append(all, e)
		return &all[len(all)-1]
	}
	add("SIGINT", 130, "interrupted", syscall.SIGINT)
	add("SIGTERM", 143, "terminated", syscall.SIGTERM)
	add("SIGHUP", 129, "hung up", syscall.SIGHUP)
	add("SIGQUIT", 131, "quit", syscall.SIGQUIT)
	add("SIGINT ignored", 143, "terminated", syscall.SIGINT, syscall.SIGTERM).script = `trap "" INT; exec "$@"`
	add("SIGHUP ignored", 131, "quit", syscall.SIGHUP, syscall.SIGQUIT).script = `trap "" HUP; exec "$@"`
	add("PID 1", 143, "terminated", syscall.SIGTERM).first = true
	return all
}

func nothing(string) []string { return nil }

func anything(string) []string { return []string{"..."} }

const (
	refused    = "127.0.0.1:PORT refused the connection: not authorized (0x87)"
	checkLogin = "check --username and --password-file, and the broker's access rules"
	nobody     = "cannot connect to 127.0.0.1:PORT: connection refused"
	isRunning  = "is a broker running there? check -h, -p or -L"
)

// secret are the ends of what a password is read for, from a file that is not there and
// from one without end.
func secret(tool string) []end {
	const words = "-u x --password-file "
	return []end{
		{name: "bad input, password", words: words + "missing", status: 2, says: told(tool, `--password-file: cannot read "missing": no such file`, "*")},
		{name: "SIGTERM, no password", words: words + "fifo.yaml", signals: one(syscall.SIGTERM), status: 143},
		{name: "PID 1, no password", words: words + "fifo.yaml", first: true, signals: one(syscall.SIGTERM), status: 143},
	}
}

// slow is secret's end by time.
func slow(tool string) end {
	return end{name: "time, no password", words: "-u x --password-file fifo.yaml -W 0.05", status: 27, says: told(tool, "timed out after 50ms (not connected)")}
}

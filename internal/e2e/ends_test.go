//go:build linux

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/mqtools/mqtools/internal/cli"
)

// The ends that a command can meet. The name of a cell begins with that of its end.
var ends = []string{"success", "time", "SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT ignored", "SIGHUP ignored", "PID 1",
	"stdout closed", "disk full", "reader gone", "reader stalled", "bad input", "broker away", "broker gone", "refused"}

// A row is a command and its ends.
type row struct {
	Commands []string // in words; ADDR is the server's address, IN the input
	Command  string   `yaml:"-"` // one of them
	Stdin    string   // of its ends that have none
	Input    string   // of its ends that have none
	Ends     endList
	Without  map[string][]string // the reasons why it does not have some ends
}

// omits returns how many reasons the row has not to have the end.
func (r *row) omits(kind string) (n int) {
	for _, kinds := range r.Without {
		if slices.Contains(kinds, kind) {
			n++
		}
	}
	return n
}

// endList is a list of ends, in which other lists may stand.
type endList []end

func (l *endList) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.SequenceNode {
		for _, c := range n.Content {
			if err := l.UnmarshalYAML(c); err != nil {
				return err
			}
		}
		return nil
	}
	var e end
	if err := n.Decode(&e); err != nil {
		return err
	}
	if err := known(n, reflect.TypeFor[end]()); err != nil {
		return err
	}
	switch {
	case e.Each == "signal":
		*l = append(*l, signals(e)...)
	case e.All != nil:
		for _, one := range e.All {
			one.Words = strings.TrimSpace(e.Words + " " + one.Words)
			one.Stdout = cmp.Or(one.Stdout, e.Stdout)
			one.Started = cmp.Or(one.Started, e.Started)
			one.Typed = cmp.Or(one.Typed, e.Typed)
			*l = append(*l, one)
		}
	default:
		*l = append(*l, e)
	}
	return nil
}

// known returns an error if a mapping has a key that is not a field of the type, which
// Decode ignores.
func known(n *yaml.Node, of reflect.Type) error {
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		field, found := of.FieldByNameFunc(func(name string) bool { return strings.ToLower(name) == key.Value })
		if !found {
			return fmt.Errorf("line %d: unknown key %q", key.Line, key.Value)
		}
		if field.Type == reflect.TypeFor[server]() {
			if err := known(n.Content[i+1], field.Type); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestEveryCommandHasItsEnds runs the tools themselves, each command through every
// end that it can meet.
func TestEveryCommandHasItsEnds(t *testing.T) {
	t.Parallel()
	need(t)
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	rows, texts := table(t)
	files := inputs(t, texts)
	type cell struct {
		*row
		end
	}
	cells := make(chan cell)
	var work sync.WaitGroup
	for range 8 { // most of them wait, for a signal or for a time
		work.Go(func() {
			for c := range cells {
				t.Run(c.Command+"/"+c.Name, func(t *testing.T) {
					status, lines := c.run(t, c.row, bin, files)
					if status != c.Status && (c.Or == 0 || status != c.Or) || !said(lines, c.Says) {
						t.Errorf("status %d, stderr %q; want %d and %q", status, lines, c.Status, c.Says)
					}
				})
			}
		})
	}
	for _, r := range rows {
		for _, e := range r.Ends {
			cells <- cell{&r, e}
		}
	}
	close(cells)
	work.Wait()
}

// table reads the table of ends, and the files that its commands are given.
func table(t *testing.T) (rows []row, files map[string]string) {
	t.Helper()
	text, err := os.ReadFile("testdata/ends.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Shared   map[string]any
		Commands []row
		Files    map[string]string
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&all); err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("../../scripts/client/ack-unknown.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, several := range all.Commands {
		if several.Input == "SCRIPT" {
			several.Input = script
		}
		for _, command := range several.Commands {
			r := several
			r.Command, r.Ends = command, slices.Clone(several.Ends)
			for i := range r.Ends {
				r.Ends[i].of(&r)
			}
			rows = append(rows, r)
		}
	}
	return rows, all.Files
}

// of makes an end of a list that several commands share one of this row.
func (e *end) of(r *row) {
	tool := strings.Fields(r.Command)[0]
	e.Says = slices.Clone(e.Says)
	for i, line := range e.Says {
		if rest, ok := strings.CutPrefix(line, "TOOL: "); ok {
			e.Says[i] = tool + ": " + rest
		}
	}
	if e.Stdin == "EOF" {
		e.Stdin = strings.TrimSuffix(r.Stdin, "...")
	}
	if tool == "mqbench" && e.Status == 6 { // its status of output that cannot be written
		e.Status = 1
	}
}

// Every command of the tools has a row.
func TestNoCommandIsMissingInTheTableOfEnds(t *testing.T) {
	t.Parallel()
	all, _ := table(t)
	for _, want := range commands() {
		if !slices.ContainsFunc(all, func(r row) bool { return begins(strings.Fields(r.Command), strings.Fields(want)) }) {
			t.Errorf("%s has no row", want)
		}
	}
	for _, r := range all {
		for _, kind := range ends {
			has := slices.ContainsFunc(r.Ends, func(e end) bool { return e.kind() == kind })
			switch omitted := r.omits(kind); {
			case !has && omitted == 0:
				t.Errorf("%s: neither has it the end %q nor a reason", r.Command, kind)
			case has && omitted > 0, omitted > 1:
				t.Errorf("%s: there are two words on the end %q", r.Command, kind)
			}
		}
		names := map[string]bool{}
		for _, e := range r.Ends {
			if names[e.Name] {
				t.Errorf("%s: two ends are called %q", r.Command, e.Name)
			}
			names[e.Name] = true
		}
		for _, kinds := range r.Without {
			for _, kind := range kinds {
				if !slices.Contains(ends, kind) {
					t.Errorf("%s: %q is not an end", r.Command, kind)
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

// inputs makes the files that the commands are given: those of the table, and results.
func inputs(t *testing.T, texts map[string]string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for name, text := range texts {
		files[name] = []byte(text)
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

// signals are the ends by signals. In the lines of base, WHAT is the word for one.
func signals(base end) (all []end) {
	add := func(name string, status int, what string, signals ...string) *end {
		e := base
		e.Name, e.Signals, e.Status, e.Each = name, signals, status, ""
		e.Says = slices.Clone(base.Says)
		for i := range e.Says {
			e.Says[i] = strings.ReplaceAll(e.Says[i], "WHAT", what)
		}
		all = append(all, e)
		return &all[len(all)-1]
	}
	add("SIGINT", 130, "interrupted", "SIGINT")
	add("SIGTERM", 143, "terminated", "SIGTERM")
	add("SIGHUP", 129, "hung up", "SIGHUP")
	add("SIGQUIT", 131, "quit", "SIGQUIT")
	add("SIGINT ignored", 143, "terminated", "SIGINT", "SIGTERM").Script = `trap "" INT; exec "$@"`
	add("SIGHUP ignored", 131, "quit", "SIGHUP", "SIGQUIT").Script = `trap "" HUP; exec "$@"`
	add("PID 1", 143, "terminated", "SIGTERM").First = true
	return all
}

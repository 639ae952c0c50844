package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// readTable reads the table of the README of what survives what: the words of its cells, by
// row and column.
func readTable(t *testing.T) (columns []string, table map[string][]string) {
	t.Helper()
	b, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	table = map[string][]string{}
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == "what fails":
			columns = cells[1:]
		case columns != nil && len(cells) != len(columns)+1:
			return columns, table
		case columns != nil && !strings.HasPrefix(cells[0], "--"):
			table[cells[0]] = cells[1:]
		}
	}
	return columns, table
}

// TestWhatSurvivesWhat tries every cell of the README's table.
func TestWhatSurvivesWhat(t *testing.T) {
	t.Parallel()
	bin := tools(t)
	columns, table := readTable(t)
	if len(columns) != 4 || len(table) != 6 {
		t.Fatalf("the table of the README has %d columns and %d rows", len(columns), len(table))
	}
	try := func(row, column, want string) {
		t.Run(row+"/"+column, func(t *testing.T) {
			t.Parallel()
			s := newSurvival(t, bin, want)
			level, with, _ := strings.Cut(column, ", ")
			s.qos, _ = strconv.Atoi(strings.TrimPrefix(level, "QoS "))
			if side, what, _ := strings.Cut(row, ": "); side == "publishing" {
				s.publishing(what, with == "journal")
			} else {
				s.subscribing(what, with == "journal")
			}
		})
	}
	for row, words := range table {
		for i, want := range words {
			try(row, columns[i], want)
		}
		if strings.HasPrefix(row, "publishing: the ") {
			try(row, "QoS 0", "may lose, said")
		}
	}
	try("publishing: mqpub", "QoS 0", "loses")
}

// survival is one try of one cell.
type survival struct {
	*testing.T
	*trial
	witness *process
	want    string
	struck  chan struct{} // closed when the disturbance has begun: the last lines come after it
}

const survivalLines = 400

func newSurvival(t *testing.T, bin, want string) *survival {
	tr, err := newTrial(t.TempDir(), bin, plan{seed: 1, versions: [2]string{"5", "5"}, inflight: survivalLines, receive: [2]int{0, 20}, lines: survivalLines})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.close(true) })
	if err := tr.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.proxy.Close)
	return &survival{T: t, trial: tr, want: want, struck: make(chan struct{})}
}

// up starts the witness.
func (s *survival) up() {
	s.Helper()
	var err error
	if s.witness, err = s.startWitness(); err != nil {
		s.Fatal(err)
	}
	w := s.witness
	s.Cleanup(func() { w.end(os.Kill) })
}

// until waits for something to come true.
func (s *survival) until(what string, f func() bool) {
	s.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("waited in vain for %s", what)
		}
	}
}

// log returns what the witness has written so far.
func (s *survival) log() record {
	l, err := readLog(s.file("log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.Fatal(err)
	}
	return l
}

// accepted returns how many messages the witness has.
func (s *survival) accepted() int { return len(s.log().texts) }

func (s *survival) command(tool string, args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(s.bin, tool), args...)
}

// numbers are the lines to publish.
func numbers() []byte {
	var b []byte
	for i := range survivalLines {
		b = fmt.Appendf(b, "%d\n", i)
	}
	return b
}

// disturb does what a row says, or returns false if that is not a disturbance of the network
// or the broker.
func (s *survival) disturb(row string) bool {
	switch row {
	case "the connection, the broker":
		s.proxy.Cut(-1)
		close(s.struck)
		s.endWitness(s.witness)
		s.up()
	case "the broker's sessions":
		s.losses = 100
		s.proxy.Mute(true)
		close(s.struck)
		if s.qos == 2 { // a message that is open now stays in doubt
			s.until("an open message", func() bool { return s.log().open > 0 })
		}
		s.endWitness(s.witness)
		s.proxy.Mute(false)
		s.up()
	default:
		return false
	}
	return true
}

func (s *survival) publishing(row string, spool bool) {
	s.up()
	args := s.client("mqpub")
	if spool {
		args = append(args, s.spool()...)
	}
	cmd := s.command("mqpub", slices.Concat(args, []string{"-l"})...)
	in, err := cmd.StdinPipe()
	if err != nil {
		s.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		defer func() { _ = in.Close() }()
		sent := 0
		for line := range bytes.Lines(numbers()) {
			if sent++; sent > survivalLines*3/4 {
				<-s.struck
			}
			if _, err := in.Write(line); err != nil {
				return // it was killed
			}
			time.Sleep(time.Millisecond)
		}
	}()
	s.until("messages", func() bool { return s.accepted() >= 50 })
	if !s.disturb(row) {
		if row != "mqpub" {
			s.Fatalf("unknown row %q", row)
		}
		close(s.struck)
		if spool { // what it has not put there is not its own
			p := packet.Publish{QoS: packet.QoS(s.qos), PacketID: 1, Topic: []byte("n"), Payload: fmt.Append(nil, survivalLines-1)}
			last, err := p.AppendTo(nil, packet.V5)
			if err != nil {
				s.Fatal(err)
			}
			s.until("the last line in the spool", func() bool {
				files, _ := filepath.Glob(filepath.Join(s.disk, "spool", "*.log"))
				return slices.ContainsFunc(files, func(path string) bool {
					b, err := os.ReadFile(path)
					return err == nil && bytes.Contains(b, last)
				})
			})
		}
		_ = cmd.Process.Kill()
	}
	<-fed
	_ = cmd.Wait()
	code := cmd.ProcessState.ExitCode()
	if spool && code == -1 {
		again := s.command("mqpub", args...)
		again.Stderr = &said
		_ = again.Run()
		code = again.ProcessState.ExitCode()
	}
	s.heard(said.String())
	l := s.log()
	s.checkCell(compare(numbers(), l.bytes()), code, said.String())
}

var twiceText = regexp.MustCompile(`(\d+) messages? may be delivered twice`)

// checkCell compares what has arrived with the word in the README. Where something may be
// missing, that must not pass in silence.
func (s *survival) checkCell(c comparison, code int, said string) {
	s.Logf("%s: %v, status %d, %s", s.want, c, code, said)
	bad := c.foreign+c.disordered > 0
	switch s.want {
	case "exactly once":
		bad = bad || c.lost+c.repeated > 0 || code != 0
	case "may repeat":
		bad = bad || c.lost > 0 || code != 0
	case "may repeat, counted":
		bad = bad || c.lost > 0 || code != 7 || s.doubt < c.repeated || s.doubt == 0
	case "may repeat, said":
		said := twiceText.FindStringSubmatch(said)
		if said == nil {
			said = []string{"", "0"}
		}
		n, _ := strconv.Atoi(said[1])
		bad = bad || c.lost > 0 || code != 0 || n == 0 || n < c.repeated
	case "may tear a line, said": // and repeat
		bad = c.disordered > 0 || c.foreign > 1 || c.lost > c.foreign || c.foreign > 0 && !strings.Contains(said, "is cut off: byte")
	case "may lose, said":
		bad = bad || c.lost > 0 && code == 0
	case "loses":
		bad = bad || c.lost == 0 || code == 0
	default:
		s.Fatalf("unknown word %q", s.want)
	}
	if bad {
		s.Errorf("the README says %q, but: %v; status %d; stderr: %s", s.want, c, code, said)
	}
}

func (s *survival) subscribing(row string, journal bool) {
	s.up()
	if code, text := s.tool(context.Background(), "mqsub", s.client("mqsub"), "-E"); code != 0 {
		s.Fatalf("%d, %s", code, text)
	}
	out := filepath.Join(s.disk, "out")
	var said bytes.Buffer
	begin := func(more ...string) *exec.Cmd {
		cmd := s.command("mqsub", append(s.client("mqsub"), more...)...)
		cmd.Stderr = &said
		if journal {
			cmd.Args = append(cmd.Args, s.output()...)
		} else {
			std, err := os.OpenFile(out, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
			if err != nil {
				s.Fatal(err)
			}
			defer func() { _ = std.Close() }()
			cmd.Stdout = std
		}
		if err := cmd.Start(); err != nil {
			s.Fatal(err)
		}
		return cmd
	}
	cmd := begin()
	pub := s.command("mqpub", append(s.client("mqpub"), "-l")...)
	pub.Stdin = bytes.NewReader(numbers())
	if err := pub.Start(); err != nil {
		s.Fatal(err)
	}
	length := func() int64 {
		st, err := os.Stat(out)
		if err != nil {
			return 0
		}
		return st.Size()
	}
	s.until("messages", func() bool { return length() > 200 })
	if !s.disturb(row) {
		switch row {
		case "mqsub":
			_ = cmd.Process.Kill()
		case "the disk":
			if err := limitFiles(cmd.Process.Pid, uint64(length())+51); errors.Is(err, errors.ErrUnsupported) {
				s.Skip("needs a way to make writing fail")
			} else if err != nil && length() < survivalLines {
				s.Fatal(err)
			}
		default:
			s.Fatalf("unknown row %q", row)
		}
		_ = cmd.Wait()
		if row == "the disk" && cmd.ProcessState.ExitCode() != 6 {
			s.Errorf("with a full disk, mqsub ends with %v: %s", cmd.ProcessState, said.String())
		}
		cmd = begin()
	}
	_ = pub.Wait()
	s.until("what was published", func() bool { // and that the end of mqsub disturbs nothing
		l := s.log()
		return len(l.texts) >= survivalLines && l.completed >= len(l.texts)
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	cmd = begin("--idle-timeout", "1")
	_ = cmd.Wait()
	code := cmd.ProcessState.ExitCode()
	if code == 27 { // the end of a run that has waited
		code = 0
	}
	got, err := os.ReadFile(out)
	if err != nil {
		s.Fatal(err)
	}
	s.checkCell(compare(numbers(), got), code, said.String())
}

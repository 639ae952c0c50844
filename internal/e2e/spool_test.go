package e2e

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/journal"
)

// TestAKilledPublisherSendsEachMessageOnce kills mqpub --spool at any moment, while it sends at
// QoS 2 what an earlier run has put into its spool: a subscriber gets exactly that.
func TestAKilledPublisherSendsEachMessageOnce(t *testing.T) {
	t.Parallel()
	need(t)
	dir := filepath.Join(tempDir(t), "spool")
	var lines bytes.Buffer
	numbers(&lines, killedLines)
	fill := run(t, lines.String(), "mqpub", append(at("127.0.0.1:1"), "--spool", dir, "--no-reconnect", "-q", "2", "-t", "n", "-l")...)
	if fill.code != 75 {
		t.Fatalf("filling the spool: code %d, %s", fill.code, fill.err)
	}
	h := newHub(t, broker.Options{QueueMessages: killedLines})
	// The spool of a broker that is away: it comes back here.
	owner, err := os.ReadFile(filepath.Join(dir, "owner"))
	if err != nil {
		t.Fatal(err)
	}
	owner = bytes.Replace(owner, []byte("127.0.0.1:1"), []byte(h.addr[1]+":"+h.addr[3]), 1)
	if err := os.WriteFile(filepath.Join(dir, "owner"), owner, 0o600); err != nil {
		t.Fatal(err)
	}
	killAgainAndAgain(t, h, dir)
}

// TestAKilledFollowerSendsEachLineOnce is the same for mqpub follow, whose place in the file is
// in the spool.
func TestAKilledFollowerSendsEachLineOnce(t *testing.T) {
	t.Parallel()
	need(t)
	dir := tempDir(t)
	var lines bytes.Buffer
	numbers(&lines, killedLines)
	in := filepath.Join(dir, "in")
	if err := os.WriteFile(in, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHub(t, broker.Options{QueueMessages: killedLines})
	killAgainAndAgain(t, h, filepath.Join(dir, "spool"), "follow", in, "--end", "-q", "2", "-t", "n")
}

// killedLines is how many lines these tests send.
const killedLines = 3000

// killAgainAndAgain kills mqpub eight times while it sends killedLines lines from a spool, and
// checks what arrives.
func killAgainAndAgain(t *testing.T, h *hub, spool string, words ...string) {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	const kills = 8
	var want bytes.Buffer
	numbers(&want, killedLines)
	sub := h.sub(t, "-q", "2", "-t", "n", "-C", strconv.Itoa(killedLines+1))
	options := append(h.addr, "--spool", spool, "--config", "none", "-M", "20")
	args := append(words, options...)
	for i := range kills {
		c := exec.Command(bin+"/mqpub", args...)
		var errs bytes.Buffer
		c.Stderr = &errs
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		enough := want.Len() * (i + 1) / (kills + 1)
		if !poll(sub.done, func() bool { return len(sub.out.String()) >= enough }) {
			t.Errorf("run %d stops at %d of %d bytes; it says %s", i, len(sub.out.String()), enough, errs.String())
		}
		_ = c.Process.Kill()
		_ = c.Wait()
		if errs.Len() > 0 {
			t.Errorf("run %d: %s", i, errs.String())
		}
	}
	ok(t, "", "mqpub", args...)
	ok(t, "", "mqpub", append(options, "-q", "2", "-t", "n", "-m", "end")...)
	sub.gets(t, want.String()+"end\n")
}

// TestWhatAKilledRunDidNotReport opens a spool whose last run was killed after the broker had
// lost the session: the next run reports the messages that may have arrived twice, once.
func TestWhatAKilledRunDidNotReport(t *testing.T) {
	t.Parallel()
	need(t)
	dir := filepath.Join(tempDir(t), "spool")
	h := newHub(t, broker.Options{})
	args := append(h.addr, "--spool", dir, "-q", "2", "-t", "n", "-m", "a")
	ok(t, "", "mqpub", args...)
	q, _, err := journal.OpenQueue(dir, journal.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	q.SetState([]byte{0, 0, 0, 0, 2, 1}) // refused, undeliverable, invalid, expired, sent again, not sent again
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	const text = "2 messages sent again after the broker lost the session (may arrive twice); 1 message not sent again after the broker lost the session (may not have arrived)"
	if got := run(t, "", "mqpub", args...); got.code != 7 || strings.Count(got.err, text) != 2 {
		t.Errorf("code %d, stderr %s", got.code, got.err)
	}
	ok(t, "", "mqpub", args...)
}

// TestSeveralProcessesUseOneSpool has one process send what the others hand over; when it is
// killed, another one takes over. Each message arrives once, those of a process in order.
func TestSeveralProcessesUseOneSpool(t *testing.T) {
	t.Parallel()
	need(t)
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(tempDir(t), "spool")
	h := newHub(t, broker.Options{QueueMessages: 4 * killedLines})
	sub := h.sub(t, "-q", "2", "-t", "n", "-C", strconv.Itoa(killedLines+3))
	options := slices.Clip(append(h.addr, "--spool", dir, "--config", "none", "-q", "2", "-t", "n", "-M", "20"))
	first := exec.Command(bin+"/mqpub", append(options, "-l")...)
	in, err := first.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(in, "first\n")
	arrived := func(text string) bool {
		return poll(sub.done, func() bool { return strings.Contains(sub.out.String(), text) })
	}
	if !arrived("first\n") {
		t.Fatal("the first process does not send")
	}
	got := run(t, "", "mqpub", append(options, "-m", "handed")...)
	if got.code != 75 || !strings.Contains(got.err, "1 message queued in "+dir+", which another process sends") {
		t.Errorf("code %d, stderr %q", got.code, got.err)
	}
	if !arrived("handed\n") {
		t.Fatal("what was handed over is not sent")
	}
	var lines bytes.Buffer
	numbers(&lines, killedLines)
	reader, writer := io.Pipe()
	second := start(t, reader, "mqpub", append(options, "-l")...)
	half := bytes.Index(lines.Bytes(), []byte("\n1500\n")) + 1
	_, _ = writer.Write(lines.Bytes()[:half])
	if !poll(sub.done, func() bool { return bytes.Count([]byte(sub.out.String()), []byte("\n")) > 500 }) {
		t.Fatal("the lines of the second process are not sent")
	}
	_ = first.Process.Kill()
	_ = first.Wait()
	_, _ = writer.Write(lines.Bytes()[half:])
	_ = writer.Close()
	if got := second.wait(); got.code != 0 || got.err != "" {
		t.Errorf("the second process: code %d, %s", got.code, got.err)
	}
	ok(t, "", "mqpub", append(options, "-m", "end")...)
	sub.gets(t, "first\nhanded\n"+lines.String()+"end\n")
}

// TestProcessesThatBeginAtOnceShareASpool has several processes find a spool that does not
// exist yet.
func TestProcessesThatBeginAtOnceShareASpool(t *testing.T) {
	t.Parallel()
	need(t)
	dir := filepath.Join(tempDir(t), "spool")
	h := newHub(t, broker.Options{})
	const n = 6
	sub := h.sub(t, "-q", "1", "-t", "n", "-C", strconv.Itoa(n))
	args := slices.Clip(append(h.addr, "--spool", dir, "--config", "none", "-q", "1", "-t", "n"))
	var all []*running
	for i := range n {
		all = append(all, start(t, nil, "mqpub", append(args, "-m", strconv.Itoa(i))...))
	}
	queued := false
	for _, p := range all {
		got := p.wait()
		queued = queued || got.code == 75
		if got.code != 0 && got.code != 75 {
			t.Errorf("code %d, %s", got.code, got.err)
		}
	}
	if queued { // perhaps behind the last look of the one that sends
		if got := run(t, "", "mqpub", args...); got.code != 0 && got.code != 2 {
			t.Errorf("sending what is left: code %d, %s", got.code, got.err)
		}
	}
	lines := strings.Fields(sub.wait().out)
	slices.Sort(lines)
	if want := []string{"0", "1", "2", "3", "4", "5"}; !slices.Equal(lines, want) {
		t.Errorf("got %q", lines)
	}
}

// TestAFullInboxWaitsUntilTheTimeLimit has a process hand over more than --spool-size while the one
// that has the queue takes nothing: it waits, and the time limit ends it.
func TestAFullInboxWaitsUntilTheTimeLimit(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tempDir(t), "spool")
	args := slices.Clip(append(at("127.0.0.1:1"), "--spool", dir, "--config", "none", "-q", "1", "-t", "n"))
	if got := run(t, "", "mqpub", append(args, "-m", "x", "--no-reconnect")...); got.code != 75 {
		t.Fatalf("filling the spool: code %d, %s", got.code, got.err)
	}
	q, _, err := journal.OpenQueue(dir, journal.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Repeat(strings.Repeat("x", 1000)+"\n", 3000)
	got := run(t, lines, "mqpub", append(args, "-l", "--spool-size", "1MiB", "-W", "1")...)
	if got.code != 75 || !strings.HasPrefix(got.err, "mqpub: timed out after 1s (") || !strings.Contains(got.err, "queued in "+dir+", which another process sends; the rest of the input was not read") {
		t.Errorf("code %d, stderr %q", got.code, got.err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

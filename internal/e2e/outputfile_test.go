package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
)

// TestAKilledSubscriberWritesEachMessageOnce kills mqsub --output-file at any moment of a
// stream at QoS 2: the broker keeps the session, and the file is exactly what was published.
func TestAKilledSubscriberWritesEachMessageOnce(t *testing.T) {
	t.Parallel()
	need(t)
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	const n, kills = 3000, 8
	h := newHub(t, broker.Options{QueueMessages: n})
	path := filepath.Join(tempDir(t), "out")
	args := append(h.addr, "-q", "2", "-c", "-i", "r", "-x", "3600", "-t", "n")
	ok(t, "", "mqsub", append(args, "-E")...)
	var want bytes.Buffer
	numbers(&want, n)
	p := start(t, bytes.NewReader(want.Bytes()), "mqpub", append(h.addr, "-q", "2", "-l", "-t", "n", "-M", "50")...)
	size := func() int {
		st, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return int(st.Size())
	}
	for i := range kills + 1 {
		c := exec.Command(bin+"/mqsub", append(args, "--output-file", path, "--config", "none", "--receive-maximum", "20")...)
		var errs bytes.Buffer
		c.Stderr = &errs
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		enough := want.Len() * (i + 1) / (kills + 1)
		if !poll(nil, func() bool { return size() >= enough }) {
			t.Errorf("run %d stops at %d of %d bytes; it says %s", i, size(), enough, errs.String())
		}
		_ = c.Process.Kill()
		_ = c.Wait()
		if errs.Len() > 0 {
			t.Errorf("run %d: %s", i, errs.String())
		}
	}
	if got := p.wait(); got.code != 0 {
		t.Fatalf("mqpub: code %d, stderr %q", got.code, got.err)
	}
	// What is still in doubt is settled by a run that ends in order.
	ended := run(t, "", "mqsub", append(args, "--output-file", path, "--idle-timeout", "0.2")...)
	if ended.code != 27 || !strings.Contains(ended.err, "no message for") {
		t.Errorf("the last run: code %d, %s", ended.code, ended.err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("the file has %d lines in %d bytes, and not the %d that were published: %s", bytes.Count(got, []byte("\n")), len(got), n, difference(got, want.Bytes()))
	}
}

// difference describes the first line in which a file is not what it should be.
func difference(got, want []byte) string {
	g, w := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range min(len(g), len(w)) {
		if !bytes.Equal(g[i], w[i]) {
			return fmt.Sprintf("line %d is %q, want %q", i+1, g[i], w[i])
		}
	}
	return "one ends early"
}

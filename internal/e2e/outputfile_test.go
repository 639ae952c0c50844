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
// stream at QoS 2: the broker keeps the session, and the file is exactly what was published. So
// are the rotated files and the last one.
func TestAKilledSubscriberWritesEachMessageOnce(t *testing.T) {
	t.Parallel()
	need(t)
	for name, rotate := range map[string][]string{"one file": nil, "rotated": {"--rotate", "200B"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killedSubscriber(t, rotate)
		})
	}
}

func killedSubscriber(t *testing.T, rotate []string) {
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
	size := func() int { return len(rotatedFiles(path)) }
	for i := range kills + 1 {
		c := exec.Command(bin+"/mqsub", append(append(args, "--output-file", path, "--config", "none", "--receive-maximum", "20"), rotate...)...)
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
	got := rotatedFiles(path)
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("the file has %d lines in %d bytes, and not the %d that were published: %s", bytes.Count(got, []byte("\n")), len(got), n, difference(got, want.Bytes()))
	}
}

// TestAFullFileOfATemplate: a message that fits its file in part is cut off, and neither it nor
// those behind it are acknowledged.
func TestAFullFileOfATemplate(t *testing.T) {
	t.Parallel()
	need(t)
	h := newHub(t, broker.Options{})
	dir := tempDir(t)
	full := filepath.Join(dir, "b.log")
	size := fillUp(t, full)
	args := append(h.addr, "-q", "1", "-c", "-i", "r", "-x", "3600", "-t", "a", "-t", "b", "--output-file", dir+"/%t.log")
	ok(t, "", "mqsub", append(h.addr, "-q", "1", "-c", "-i", "r", "-x", "3600", "-t", "a", "-t", "b", "-E")...)
	for _, m := range []string{"a\tone", "b\ttwo is too long", "a\tthree"} {
		ok(t, m+"\n", "mqpub", append(h.addr, "-q", "1", "--input", "tsv")...)
	}
	failed := run(t, "", "mqsub", args...)
	if failed.code != 6 || !strings.Contains(failed.err, "b.log") || !strings.Contains(failed.err, "(1 message written)") {
		t.Errorf("code %d, %s", failed.code, failed.err)
	}
	if st, err := os.Stat(full); err != nil || st.Size() != size {
		t.Errorf("the file has %d bytes, %v, want %d", st.Size(), err, size)
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	ok(t, "", "mqsub", append(args, "-C", "2")...)
	for name, want := range map[string]string{"a.log": "one\nthree\n", "b.log": "two is too long\n"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s is %q, %v, want %q", name, b, err, want)
		}
	}
}

// fillUp makes a file, without data, that takes five bytes more, and returns its size.
func fillUp(t *testing.T, path string) (size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for bit := int64(1) << 62; bit > 0; bit >>= 1 {
		if f.Truncate(size+bit) == nil {
			size += bit
		}
	}
	if size -= 5; f.Truncate(size) != nil {
		t.Fatal("cannot make it shorter")
	}
	_, err = f.WriteAt([]byte("12345678"), size)
	if st, _ := f.Stat(); err == nil || st.Size() != size+5 || f.Truncate(size) != nil {
		t.Skipf("this file system has no such files: %v", err)
	}
	return size
}

// rotatedFiles returns what is in path.1, path.2 and so on, and then in path.
func rotatedFiles(path string) []byte {
	var all []byte
	for i := 1; ; i++ {
		b, err := os.ReadFile(fmt.Sprintf("%s.%d", path, i))
		if err != nil {
			b, _ = os.ReadFile(path) // none while it is rotated
			return append(all, b...)
		}
		all = append(all, b...)
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

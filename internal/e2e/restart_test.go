package e2e

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
)

// restartInTheMiddle restarts a broker while n numbered lines flow over it, so
// many times: every line arrives, in order but for redeliveries.
func restartInTheMiddle(t *testing.T, w way, qos string, n, times int, restart func()) {
	t.Helper()
	topic := strings.ReplaceAll(t.Name(), " ", "_")
	// The broker may be gone again before mqsub connects.
	durable := w.with("-q", qos, "-t", topic, "-c", "-i", "restart"+qos, "--reconnect-delay", "0.2", "--wait-for", fmt.Sprint(patience))
	ok(t, "", "mqsub", append(durable, "-E")...)
	s := start(t, nil, "mqsub", durable...)
	r, in := io.Pipe()
	p := start(t, r, "mqpub", w.with("-q", qos, "-t", topic, "-l", "--reconnect-delay", "0.2")...)
	go func() {
		<-p.done
		_ = r.Close() // a write into the pipe must not wait for ever
	}()
	var want bytes.Buffer
	numbers(&want, n)
	rest := want.Bytes()
	for range times {
		part := want.Len() / (times + 1)
		_, _ = in.Write(rest[:part])
		rest = rest[part:]
		restart()
	}
	_, _ = in.Write(rest)
	_ = in.Close()
	if got := p.wait(); got.code != 0 {
		t.Fatalf("mqpub: code %d, stderr %q", got.code, got.err)
	}
	last := fmt.Sprintf("\n%d\n", n-1)
	poll(s.done, func() bool { return strings.HasSuffix(s.out.String(), last) })
	s.cancel(nil)
	got := s.wait().out
	next, again := 0, 0
	for line := range strings.Lines(got) {
		i, err := strconv.Atoi(strings.TrimSuffix(line, "\n"))
		switch {
		case err != nil || i > next:
			t.Fatalf("line %q where %d is due; stderr %q", line, next, s.err.String())
		case i == next:
			next++
		default:
			again++
		}
	}
	if next != n {
		t.Errorf("%d of %d lines; stderr %q", next, n, s.err.String())
	}
	t.Logf("%d redeliveries", again)
}

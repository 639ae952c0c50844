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
// many times: every line arrives, in order but for redeliveries. A broker that is
// late sends what it owed before a restart some time after it, behind later lines.
func restartInTheMiddle(t *testing.T, w way, qos string, n, times int, late bool, restart func()) {
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
	length, rest := want.Len(), want.Bytes()
	for range times {
		part := length / (times + 1)
		_, _ = in.Write(rest[:part])
		rest = rest[part:]
		restart()
	}
	_, _ = in.Write(rest)
	_ = in.Close()
	if got := p.wait(); got.code != 0 {
		t.Fatalf("mqpub: code %d, stderr %q", got.code, got.err)
	}
	count := func() (missing, again int, first error) {
		seen, next := make([]bool, n), 0
		missing = n
		for line := range strings.Lines(s.out.String()) {
			i, err := strconv.Atoi(strings.TrimSuffix(line, "\n"))
			switch {
			case !strings.HasSuffix(line, "\n"): // mqsub is writing it
			case err != nil || i < 0 || i >= n || i > next && !late:
				return missing, again, fmt.Errorf("line %q where %d is due", line, next)
			case seen[i]:
				again++
			default:
				seen[i], next = true, i+1
				missing--
			}
		}
		return missing, again, nil
	}
	looked := 0
	poll(s.done, func() bool {
		got := s.out.Len()
		if got == looked || got < length {
			return false
		}
		looked = got
		missing, _, err := count()
		return missing == 0 || err != nil
	})
	s.cancel(nil)
	s.wait()
	missing, again, err := count()
	if err != nil || missing > 0 {
		t.Errorf("%d of %d lines missing, %v; stderr %q", missing, n, err, s.err.String())
	}
	t.Logf("%d redeliveries", again)
}

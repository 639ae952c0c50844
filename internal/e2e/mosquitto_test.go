package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// mosquitto is Debian's broker on a Unix socket of its own.
type mosquitto struct {
	*daemon
	env    []string
	config string
	addrs  []string // the socket, and the ports of further listeners
}

// newMosquitto starts one that keeps its state over a restart.
func newMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	dir := tempDir(t)
	return newMosquittoWith(t, dir, nil, "persistence true", "persistence_location "+dir+"/", "max_queued_messages 0", "max_inflight_messages 1000")
}

// newMosquittoWith starts one with variables added to its environment, further
// lines of configuration, and dir for its socket. It answers on the ports of
// all listeners among the lines when it returns.
func newMosquittoWith(t *testing.T, dir string, env []string, lines ...string) *mosquitto {
	t.Helper()
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	m := &mosquitto{daemon: &daemon{t: t}, env: append(os.Environ(), env...), addrs: []string{filepath.Join(dir, "s")}}
	for _, line := range lines {
		var port int
		if n, _ := fmt.Sscanf(line, "listener %d ", &port); n == 1 {
			m.addrs = append(m.addrs, strconv.Itoa(port))
		}
	}
	lines = append([]string{"user " + who.Username}, append(lines, "listener 0 "+m.socket(), "allow_anonymous true")...)
	m.config = writeFile(t, filepath.Join(dir, "m.conf"), lines...)
	m.start()
	return m
}

func (m *mosquitto) socket() string { return m.addrs[0] }

func (m *mosquitto) start() {
	m.t.Helper()
	_ = os.Remove(m.socket())
	c := exec.Command(program(m.t, "mosquitto"), "-c", m.config)
	c.Env = m.env
	m.daemon = startDaemon(m.t, c, m.addrs...)
}

// numbers writes n numbered lines.
func numbers(w io.Writer, n int) {
	b := bufio.NewWriter(w)
	for i := range n {
		b.WriteString(strconv.Itoa(i))
		b.WriteByte('\n')
	}
	_ = b.Flush()
}

func TestMosquittoAMillionLines(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	m := newMosquitto(t)
	const n = 1_000_000
	durable := []string{"--unix", m.socket(), "-q", "1", "-t", "t", "-c", "-i", "million"}
	ok(t, "", "mqsub", append(durable, "-E")...)
	s := start(t, nil, "mqsub", append(durable, "-C", strconv.Itoa(n))...)
	var want bytes.Buffer
	numbers(&want, n)
	ok(t, want.String(), "mqpub", "--unix", m.socket(), "-q", "1", "-t", "t", "-l")
	select {
	case <-s.done:
	case <-time.After(4 * patience):
	}
	if r := s.wait(); r.code != 0 || r.err != "" || r.out != want.String() {
		t.Errorf("code %d, stderr %q, %d bytes where %d are due", r.code, r.err, len(r.out), want.Len())
	}
}

// That QoS 2 has no redeliveries is not claimed: under load 2.0.11 forgets over a
// restart that it had sent PUBREL, and sends such messages again as PUBLISH with
// DUP.
func TestMosquittoRestartInTheMiddle(t *testing.T) {
	for _, qos := range []string{"1", "2"} {
		t.Run("q"+qos, func(t *testing.T) {
			t.Parallel()
			m := newMosquitto(t)
			restartInTheMiddle(t, way{"--unix", m.socket()}, qos, 100_000, 2, false, func() { m.stop(); m.start() })
		})
	}
}

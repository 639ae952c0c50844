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
	"strings"
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

// TestMosquittoClientsOnOurBroker runs Debian's clients against the
// development broker.
func TestMosquittoClientsOnOurBroker(t *testing.T) {
	pub, err := exec.LookPath("mosquitto_pub")
	if err != nil {
		t.Skip("mosquitto-clients are not installed")
	}
	sub, err := exec.LookPath("mosquitto_sub")
	if err != nil {
		t.Skip("mosquitto-clients are not installed")
	}
	for _, version := range []string{"31", "311", "5"} {
		for _, qos := range []string{"0", "1", "2"} {
			t.Run("v"+version+" q"+qos, func(t *testing.T) {
				t.Parallel()
				h := newHub(t, brokerDefaults)
				args := append([]string{"-V", version, "-q", qos, "-t", "a/b"}, h.addr...)
				s := exec.Command(sub, append(args, "-C", "3", "-W", "30", "-F", "%t %q %r %p")...)
				var out bytes.Buffer
				s.Stdout = &out
				if err := s.Start(); err != nil {
					t.Fatal(err)
				}
				<-h.subscribed
				// On one connection: messages of several have no order.
				c := exec.Command(pub, append(args, "-l", "-r")...)
				c.Stdin = strings.NewReader("m0\nm1\nm2\n")
				if b, err := c.CombinedOutput(); err != nil || len(b) > 0 {
					t.Fatalf("mosquitto_pub: %v %s", err, b)
				}
				if err := s.Wait(); err != nil {
					t.Fatal(err)
				}
				want := fmt.Sprintf("a/b %[1]s 0 m0\na/b %[1]s 0 m1\na/b %[1]s 0 m2\n", qos)
				if out.String() != want {
					t.Errorf("got %q, want %q", out.String(), want)
				}
				b, err := exec.Command(sub, append(args, "-C", "1", "-W", "30", "-F", "%r %p")...).Output()
				if err != nil || string(b) != "1 m2\n" {
					t.Errorf("retained: %q, %v", b, err)
				}
			})
		}
	}
}

// TestMosquittoFormatsAlike compares our patterns with mosquitto_sub's, for
// the same message from the same broker. Widths and groups of %x are left
// out: they changed from 2.0 to 2.1, whose rules are ours.
func TestMosquittoFormatsAlike(t *testing.T) {
	sub, err := exec.LookPath("mosquitto_sub")
	if err != nil {
		t.Skip("mosquitto-clients are not installed")
	}
	h := newHub(t, brokerDefaults)
	h.pub(t, "", "-t", "top/ic", "-m", "hello", "-r", "-q", "1", "-V", "5",
		"-D", "publish", "content-type", "text/plain", "-D", "publish", "user-property", "k", "v", "-D", "publish", "user-property", "k2", "v2",
		"-D", "publish", "response-topic", "r/t", "-D", "publish", "payload-format-indicator", "1")
	for _, pattern := range []string{
		"%t", "%p", "%l", "%q", "%r", "%m", "%x", "%X", "%%", "%C", "%R", "%P", "%F", "%D",
		"%10t|", "%-10t|", "%.3t|", "%10.3t|", "%010l|", "%5l|", "%-5l|", "%05l|", "%3p|", "%8p|", "%-8p|", "%08p|",
		"%10C|", "%-12C|", "%12R|",
		"%5F|", "%05F|", "%S|", "%5S|", "%A|", "%3A|", "%E|", `\t\\x\a\e`, "@@", "@Y", "@%", "plain text",
	} {
		args := append([]string{"-V", "5", "-t", "top/ic", "-q", "1", "-C", "1", "-W", "30", "-F", pattern}, h.addr...)
		theirs, err1 := exec.Command(sub, args...).Output()
		ours := run(t, "", "mqsub", args...)
		if string(theirs) != ours.out || (err1 == nil) != (ours.code == 0) {
			t.Errorf("%q: mosquitto_sub %q %v, mqsub %q %d %s", pattern, theirs, err1, ours.out, ours.code, ours.err)
		}
	}
}

// TestMosquittoRequests has Debian's mosquitto_rr ask our responder on our
// broker, and our request go over Debian's broker.
func TestMosquittoRequests(t *testing.T) {
	t.Parallel()
	t.Run("their client, our broker and responder", func(t *testing.T) {
		rr, err := exec.LookPath("mosquitto_rr")
		if err != nil {
			t.Skip("mosquitto-clients are not installed")
		}
		h := newHub(t, brokerDefaults)
		h.sub(t, "-t", "ask", "--reply-command", "tr a-z A-Z")
		b, err := exec.Command(rr, append([]string{"-V", "5", "-t", "ask", "-m", "hello", "-e", "answer", "-W", "20"}, h.addr...)...).CombinedOutput()
		if err != nil || string(b) != "HELLO\n" {
			t.Errorf("got %q, %v", b, err)
		}
	})
	t.Run("our client and responder, their broker", func(t *testing.T) {
		m := newMosquitto(t)
		session := []string{"--unix", m.socket(), "-t", "ask", "-q", "1", "-c", "-i", "responder"}
		ok(t, "", "mqsub", append(session, "-E")...) // from here on requests are kept for it
		start(t, nil, "mqsub", append(session, "--echo")...)
		if got := ok(t, "", "mqpub", "--unix", m.socket(), "-t", "ask", "-m", "hello", "-q", "1", "--request", "-W", "20"); got != "hello\n" {
			t.Errorf("got %q", got)
		}
	})
}

package notify

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// manager is a service manager's socket.
func manager(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no datagrams on Unix sockets")
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// next returns the next message.
func next(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	var b [4096]byte
	n, err := c.Read(b[:])
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func variables(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func socket(t *testing.T) string {
	dir, err := os.MkdirTemp("", "mq") // short enough for an address
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func noFailure(t *testing.T) func(error) { return func(err error) { t.Error(err) } }

func TestMessages(t *testing.T) {
	t.Parallel()
	names := []string{socket(t)}
	if runtime.GOOS == "linux" {
		names = append(names, "@"+socket(t))
	}
	for _, name := range names {
		c := manager(t, name)
		s := New(variables("NOTIFY_SOCKET", name), noFailure(t))
		s.Stopping() // a service that was never ready sends nothing
		s.Ready()
		s.Ready() // sends nothing more
		s.Status("connected to %s", "a\nb\x7f\xff")
		s.Stopping()
		s.Stopping()
		if left := s.Alive(); left != 0 {
			t.Errorf("without a watchdog the next sign of life is due in %v", left)
		}
		s.Status("end")
		for _, want := range []string{"READY=1", "STATUS=connected to a b ?", "STOPPING=1", "STATUS=end"} {
			if got := next(t, c); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	}
}

func TestWithoutAServiceManagerNothingIsSent(t *testing.T) {
	t.Parallel()
	for _, pairs := range [][]string{nil, {"NOTIFY_SOCKET", ""}, {"WATCHDOG_USEC", "1000"}} {
		s := New(variables(pairs...), noFailure(t))
		if s != nil {
			t.Errorf("%q makes a service", pairs)
		}
		s.Ready()
		s.Status("x")
		s.Stopping()
		if s.Alive() != 0 {
			t.Errorf("%q wants signs of life", pairs)
		}
	}
}

func TestNothingIsAllocatedWithoutAServiceManager(t *testing.T) {
	var s *Service
	if n := testing.AllocsPerRun(100, func() { s.Ready(); s.Alive(); s.Stopping() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFailuresAreReportedOnce(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{socket(t): "no such file", "vsock:2:1234": `"vsock:2:1234" is neither`} {
		var reported []string
		s := New(variables("NOTIFY_SOCKET", name), func(err error) { reported = append(reported, err.Error()) })
		s.Ready()
		s.Status("x")
		s.Stopping()
		if len(reported) != 1 || !strings.Contains(reported[0], want) {
			t.Errorf("%s: reported %q, want one with %q", name, reported, want)
		}
	}
}

func TestWhetherSignsOfLifeAreWanted(t *testing.T) {
	t.Parallel()
	me := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
		fails     bool
	}{
		{usec: "30000000", want: 15 * time.Second},
		{usec: "30000000", pid: me, want: 15 * time.Second},
		{usec: "30000000", pid: me + "0"},
		{usec: "3s", fails: true},
		{usec: "0", fails: true},
		{usec: "-1", fails: true},
		{usec: "18446744073709551615", fails: true},
		{usec: "9223372036854775807", fails: true},
		{usec: "", fails: true},
	} {
		pairs := []string{"NOTIFY_SOCKET", "/nowhere", "WATCHDOG_USEC", c.usec}
		if c.pid != "" {
			pairs = append(pairs, "WATCHDOG_PID", c.pid)
		}
		failed := false
		s := New(variables(pairs...), func(error) { failed = true })
		if s.every != c.want || failed != c.fails {
			t.Errorf("%q for process %q: every %v, failed %v; want %v, %v", c.usec, c.pid, s.every, failed, c.want, c.fails)
		}
	}
}

// TestSignsOfLife uses the time of a bubble, and a socket outside it that keeps the
// messages.
func TestSignsOfLife(t *testing.T) {
	name := socket(t)
	c := manager(t, name)
	synctest.Test(t, func(t *testing.T) {
		s := New(variables("NOTIFY_SOCKET", name, "WATCHDOG_USEC", "20000000"), noFailure(t))
		for _, call := range []struct{ after, want time.Duration }{
			{0, 10 * time.Second}, // the first
			{4 * time.Second, 6 * time.Second},
			{6 * time.Second, 10 * time.Second}, // the second
			{25 * time.Second, 10 * time.Second},
			{9 * time.Second, time.Second},
		} {
			time.Sleep(call.after)
			if got := s.Alive(); got != call.want {
				t.Errorf("%v later: the next is due in %v, want %v", call.after, got, call.want)
			}
		}
		s.Ready()
	})
	for _, want := range []string{"WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1", "READY=1"} {
		if got := next(t, c); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

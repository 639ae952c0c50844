//go:build unix

package cli

import (
	"net"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// manager is the socket of a service manager.
type manager struct {
	conn *net.UnixConn
	path string
}

// startManager is the command
//
//	service-manager
//
// which starts a service manager that $NOTIFY_SOCKET leads to.
func startManager(ts *testscript.TestScript, args []string) {
	if len(args) > 0 {
		ts.Fatalf("usage: service-manager")
	}
	m := &manager{path: socketPath(ts)}
	var err error
	m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	ts.Check(err)
	ts.Defer(func() { _ = m.conn.Close() })
	worldOf(ts).manager = m
	ts.Setenv("NOTIFY_SOCKET", m.path)
}

// read is the next notification.
func (m *manager) read(ts *testscript.TestScript) string {
	_ = m.conn.SetReadDeadline(time.Now().Add(patience))
	var b [4096]byte
	n, err := m.conn.Read(b[:])
	if err != nil {
		ts.Fatalf("no further notification: %v", err)
	}
	return string(b[:n])
}

// awaitNotification is the command
//
//	notified TEXT... [-end]
//
// which waits for as many notifications of a service manager, and checks that each
// begins with its TEXT. With -end there must be no further one.
func awaitNotification(ts *testscript.TestScript, args []string) {
	m := worldOf(ts).manager
	if m == nil || len(args) == 0 {
		ts.Fatalf("usage: notified TEXT... [-end] (after service-manager)")
	}
	for _, want := range args {
		if want == "-end" { // what was sent before comes before this
			c, err := net.Dial("unixgram", m.path)
			ts.Check(err)
			_, err = c.Write([]byte(want))
			ts.Check(err)
			_ = c.Close()
		}
		if got := m.read(ts); !strings.HasPrefix(got, want) {
			ts.Fatalf("the notification is %q, want %q", got, want)
		}
	}
}

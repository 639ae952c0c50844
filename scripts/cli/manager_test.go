//go:build unix

package cli

import (
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mqtools/mqtools/internal/notify/notifytest"
)

// startManager is the command
//
//	service-manager
//
// which starts a service manager that $NOTIFY_SOCKET leads to.
func startManager(ts *testscript.TestScript, args []string) {
	if len(args) > 0 {
		ts.Fatalf("usage: service-manager")
	}
	m, err := notifytest.Listen(socketPath(ts))
	ts.Check(err)
	ts.Defer(func() { _ = m.Close() })
	worldOf(ts).manager = m
	ts.Setenv("NOTIFY_SOCKET", m.Path)
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
			ts.Check(m.Mark(want))
		}
		got, err := m.Next(patience)
		if ts.Check(err); !strings.HasPrefix(got, want) {
			ts.Fatalf("the notification is %q, want %q", got, want)
		}
	}
}

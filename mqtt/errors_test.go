package mqtt

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

func TestOnlyRefusalsArePermanent(t *testing.T) {
	t.Parallel()
	reset := &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	for _, c := range []struct {
		err       error
		permanent bool
	}{
		{reset, false},
		{&Error{Op: "connection", Class: ErrInDoubt, Err: lost{reset}}, false},
		{io.EOF, false},
		{fmt.Errorf("dial: %w", syscall.ECONNREFUSED), false},
		{&transport.Error{Kind: transport.Refused}, false},
		{&transport.Error{Kind: transport.SocketMissing}, false},
		{&transport.Error{Kind: transport.UnknownAuthority}, true},
		{&Error{Class: ErrRefused, Reason: packet.ServerBusy}, false},
		{&Error{Class: ErrRefused, Reason: packet.BadUserNameOrPassword}, true},
		{&Error{Class: ErrRefused, Reason: packet.SessionTakenOver}, true},
		{&packet.Error{Reason: packet.MalformedPacket}, true},
	} {
		if got := Permanent(c.err); got != c.permanent {
			t.Errorf("Permanent(%v) = %v", c.err, got)
		}
	}
}

func TestALostConnectionSaysWhyWithoutAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cause error
		want  string
	}{
		{&net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, "connection lost: connection reset by peer"},
		{&net.OpError{Op: "read", Net: "tcp", Err: syscall.ETIMEDOUT}, "connection lost: timed out"},
		{&net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed}, "connection lost"},
		{&net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}, "connection lost: timed out"},
		{errors.New("tls: bad record"), "connection lost: tls: bad record"},
	} {
		err := error(lost{c.cause})
		if got := err.Error(); got != c.want || !errors.Is(err, ErrLost) || !errors.Is(err, c.cause) {
			t.Errorf("%v: got %q, want %q", c.cause, got, c.want)
		}
	}
}

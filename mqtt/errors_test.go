package mqtt

import (
	"errors"
	"fmt"
	"io"
	"net"
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
		{&Error{Op: "connection", Class: ErrInDoubt, Err: errors.Join(ErrLost, reset)}, false},
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

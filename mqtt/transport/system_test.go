package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

// TestNumbersOfWindowsMeanWhatTheyDoElsewhere covers Windows, where package
// syscall has other numbers under POSIX's names than the system returns.
func TestNumbersOfWindowsMeanWhatTheyDoElsewhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		errno syscall.Errno
		name  string
		kind  Kind
		pipe  bool // there is no reader
	}{
		{109, "ERROR_BROKEN_PIPE", Reset, true},
		{232, "ERROR_NO_DATA", Reset, true},
		{233, "ERROR_PIPE_NOT_CONNECTED", Reset, true},
		{10013, "WSAEACCES", Permission, false},
		{10024, "WSAEMFILE", TooManyFiles, false},
		{10038, "WSAENOTSOCK", NotSocket, false},
		{10041, "WSAEPROTOTYPE", NotSocket, false},
		{10048, "WSAEADDRINUSE", AddrInUse, false},
		{10049, "WSAEADDRNOTAVAIL", AddrNotAvailable, false},
		{10050, "WSAENETDOWN", NoRoute, false},
		{10051, "WSAENETUNREACH", NoRoute, false},
		{10052, "WSAENETRESET", Reset, false},
		{10053, "WSAECONNABORTED", Reset, false},
		{10054, "WSAECONNRESET", Reset, false},
		{10055, "WSAENOBUFS", NoMemory, false},
		{10060, "WSAETIMEDOUT", Timeout, false},
		{10061, "WSAECONNREFUSED", Refused, false},
		{10064, "WSAEHOSTDOWN", NoRoute, false},
		{10065, "WSAEHOSTUNREACH", NoRoute, false},
		{10057, "WSAENOTCONN", Other, false},
		{64, "ERROR_NETNAME_DELETED", Reset, false},
		// Numbers that package syscall makes up, as returned by connections in
		// memory.
		{syscall.ECONNRESET, "ECONNRESET", Reset, false},
		{syscall.EPIPE, "EPIPE", Reset, true},
	} {
		if got := errnoKindOf("windows", c.errno); got != c.kind {
			t.Errorf("%s: got the kind %q, want %q", c.name, got, c.kind)
		}
		if got := closedPipe("windows", c.errno); got != c.pipe {
			t.Errorf("%s: got closed pipe %v, want %v", c.name, got, c.pipe)
		}
		if c.errno > 1000 && c.errno < 20000 && errnoKindOf("linux", c.errno) != Other {
			t.Errorf("%s: a number of Windows is known on Linux", c.name)
		}
	}
	// On Linux 109, 232 and 233 mean something else, or nothing.
	for _, n := range []syscall.Errno{109, 232, 233} {
		if closedPipe("linux", n) {
			t.Errorf("%d is a closed pipe on Linux", n)
		}
	}
}

func TestErrorsOfTheNetworkAreRecognisedInWhateverWrapsThem(t *testing.T) {
	t.Parallel()
	wrap := func(errno syscall.Errno) error {
		return fmt.Errorf("lost: %w", &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", errno)})
	}
	closeFrame := &Error{Op: OpWebSocket, Kind: WebSocketClosed, Text: wsCloseText(1011, "")}
	for _, c := range []struct {
		name                                   string
		err                                    error
		reset, pipe, refused, unreachable, end bool
		kind                                   Kind
		text                                   string
	}{
		{"a reset", wrap(syscall.ECONNRESET), true, false, false, false, true, Reset, "connection reset by peer"},
		{"an abort", wrap(syscall.ECONNABORTED), true, false, false, false, true, Reset, "connection reset by peer"},
		{"a closed pipe", wrap(syscall.EPIPE), true, true, false, false, true, Reset, "connection reset by peer"},
		{"a refusal", wrap(syscall.ECONNREFUSED), false, false, true, false, false, Refused, "connection refused"},
		{"no route to the host", wrap(syscall.EHOSTUNREACH), false, false, false, true, false, NoRoute, "no route to host"},
		{"no route to the network", wrap(syscall.ENETUNREACH), false, false, false, true, false, NoRoute, "no route to host"},
		{"no memory", wrap(syscall.ENOBUFS), false, false, false, false, false, NoMemory, "no memory for more sockets"},
		{"time", wrap(syscall.ETIMEDOUT), false, false, false, false, false, Timeout, "timed out"},
		{"a full disk", wrap(syscall.ENOSPC), false, false, false, false, false, Other, "no space left on device"},
		{"our reset", &Error{Op: OpStream, Kind: Reset}, true, false, false, false, true, Reset, ""},
		{"our error around a reset", &Error{Op: OpStream, Err: wrap(syscall.ECONNRESET)}, true, false, false, false, true, Reset, "connection reset by peer"},
		{"the end", io.EOF, false, false, false, false, true, Other, ""},
		{"TLS without close_notify", fmt.Errorf("x: %w", io.ErrUnexpectedEOF), false, false, false, false, true, Other, ""},
		{"a Close frame", fmt.Errorf("x: %w", closeFrame), false, false, false, false, true, WebSocketClosed, ""},
		{"broken WebSocket", &Error{Op: OpWebSocket, Kind: WebSocketBroken}, false, false, false, false, false, WebSocketBroken, ""},
		{"a command that failed", &Error{Op: OpProxy, Kind: ProxyFailed}, false, false, false, false, false, ProxyFailed, ""},
		{"an alert", &Error{Op: OpTLS, Kind: PeerAlert, Err: tls.AlertError(40)}, false, false, false, false, false, PeerAlert, ""},
		{"our own close", net.ErrClosed, false, false, false, false, false, Other, ""},
		{"a deadline", os.ErrDeadlineExceeded, false, false, false, false, false, Other, ""},
		{"anything", errors.New("connection reset by peer"), false, false, false, false, false, Other, ""},
		{"nothing", nil, false, false, false, false, false, Other, ""},
	} {
		got := [...]bool{IsReset(c.err), IsClosedPipe(c.err), IsRefused(c.err), IsUnreachable(c.err), IsEnd(c.err)}
		if want := [...]bool{c.reset, c.pipe, c.refused, c.unreachable, c.end}; got != want {
			t.Errorf("%s: got reset, pipe, refused, unreachable, end %v, want %v", c.name, got, want)
		}
		if kind, text := KindOf(c.err), SystemText(c.err); kind != c.kind || text != c.text {
			t.Errorf("%s: got %v and %q, want %v and %q", c.name, kind, text, c.kind, c.text)
		}
	}
}

package transport

import (
	"errors"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"github.com/mqtools/mqtools/internal/fileerror"
)

// maxPath is the longest path of a Unix socket on this system, in bytes: its
// array in the system's address structure, less the final null.
const maxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

func checkPath(op string, t *Target) error {
	if t.Network != "unix" || len(t.Path) <= maxPath {
		return nil
	}
	return &Error{Op: op, Addr: fileerror.Quote(t.Path), Kind: PathTooLong,
		Text: "socket path of " + strconv.Itoa(len(t.Path)) + " bytes, the system's limit is " + strconv.Itoa(maxPath),
		Hint: "use a shorter path, or a relative one"}
}

// The meanings of the systems' error numbers are defined only here. Code that
// compares them itself, such as errors.Is(err, syscall.ECONNRESET), works on
// Unix but not on Windows, where package syscall has invented a number for that
// name, and a reset is Winsock's 10054.

// IsReset reports whether a connection was reset by the peer or by something in
// between, or was written to after the peer had closed it. A stream that ends
// with io.EOF is not reset, and neither is TLS that ends without its
// close_notify (io.ErrUnexpectedEOF), which many peers omit.
func IsReset(err error) bool { return KindOf(err) == Reset }

// IsClosedPipe reports whether a write failed because there is no reader: the
// other end of the pipe or of the socket is closed.
func IsClosedPipe(err error) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && closedPipe(runtime.GOOS, errno)
}

// IsRefused reports whether a connection was refused because nothing listens
// there.
func IsRefused(err error) bool { return KindOf(err) == Refused }

// IsUnreachable reports whether there was no route to the host or its network.
func IsUnreachable(err error) bool { return KindOf(err) == NoRoute }

// IsEnd reports whether err is the end of a connection and not an error about
// the data received: the end of the stream, in TLS also without its
// close_notify, a reset, or a Close frame of the peer's WebSocket, with any
// status. The peer closed the connection without a reason other than that
// status. The end of a command in place of a connection is not included, nor
// are timeouts.
func IsEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, WebSocketClosed) || IsReset(err)
}

// KindOf returns the kind of an [*Error], or of an error of the operating
// system; Other if err is neither.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != Other {
		return e.Kind
	}
	return systemKind("tcp", err)
}

// SystemText returns the text of an error of the operating system, without the
// addresses and calls that package net adds. If the error has a kind with a
// text, that is the same on all systems. It returns "" for other errors.
func SystemText(err error) string {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return ""
	}
	if kind := errnoKindOf(runtime.GOOS, errno); kind != Other {
		return kind.String()
	}
	return errno.Error()
}

// systemKind returns the kind of an error of the operating system.
func systemKind(network string, err error) Kind {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		if kind := errnoKindOf(runtime.GOOS, errno); kind != Other {
			return kind
		}
	}
	switch {
	case network == "unix" && errors.Is(err, fs.ErrNotExist):
		return SocketMissing
	case errors.Is(err, fs.ErrPermission):
		return Permission
	}
	return Other
}

type errnoKind struct {
	errno syscall.Errno
	kind  Kind
}

// errnoKinds uses the POSIX names. On Windows these are numbers that package
// syscall made up: only connections in memory return them, not the system.
var errnoKinds = [...]errnoKind{
	{syscall.ECONNREFUSED, Refused},
	{syscall.ETIMEDOUT, Timeout},
	{syscall.EHOSTUNREACH, NoRoute},
	{syscall.ENETUNREACH, NoRoute},
	{syscall.EHOSTDOWN, NoRoute},
	{syscall.ENETDOWN, NoRoute},
	{syscall.ECONNRESET, Reset},
	{syscall.ECONNABORTED, Reset},
	{syscall.ENETRESET, Reset},
	{syscall.EPIPE, Reset},
	{syscall.EADDRINUSE, AddrInUse},
	{syscall.EADDRNOTAVAIL, AddrNotAvailable},
	{syscall.EMFILE, TooManyFiles},
	{syscall.ENFILE, TooManyFiles},
	{syscall.ENOBUFS, NoMemory},
	{syscall.ENOMEM, NoMemory},
	{syscall.ENOTSOCK, NotSocket},
	{syscall.EPROTOTYPE, NotSocket},
}

// Windows error numbers that have no name in package syscall.
const (
	winNetGone    = 64  // ERROR_NETNAME_DELETED: returned by some overlapped reads of a reset socket
	winBrokenPipe = 109 // ERROR_BROKEN_PIPE: the other end of a pipe is closed
	winNoData     = 232 // ERROR_NO_DATA: returned by writes to such a pipe
	winNoPipe     = 233 // ERROR_PIPE_NOT_CONNECTED: the same after the pipe was disconnected
)

// windowsKinds are the Windows error numbers; those from 10000 up are
// Winsock's.
var windowsKinds = [...]errnoKind{
	{winNetGone, Reset},
	{winBrokenPipe, Reset},
	{winNoData, Reset},
	{winNoPipe, Reset},
	{10013, Permission},       // WSAEACCES
	{10024, TooManyFiles},     // WSAEMFILE
	{10038, NotSocket},        // WSAENOTSOCK
	{10041, NotSocket},        // WSAEPROTOTYPE
	{10048, AddrInUse},        // WSAEADDRINUSE
	{10049, AddrNotAvailable}, // WSAEADDRNOTAVAIL
	{10050, NoRoute},          // WSAENETDOWN
	{10051, NoRoute},          // WSAENETUNREACH
	{10052, Reset},            // WSAENETRESET
	{10053, Reset},            // WSAECONNABORTED
	{10054, Reset},            // WSAECONNRESET
	{10055, NoMemory},         // WSAENOBUFS
	{10060, Timeout},          // WSAETIMEDOUT
	{10061, Refused},          // WSAECONNREFUSED
	{10064, NoRoute},          // WSAEHOSTDOWN
	{10065, NoRoute},          // WSAEHOSTUNREACH
}

// errnoKindOf returns the kind of an error number on a system, given as in
// runtime.GOOS.
func errnoKindOf(goos string, errno syscall.Errno) Kind {
	is := func(k errnoKind) bool { return k.errno == errno }
	if goos == "windows" {
		if i := slices.IndexFunc(windowsKinds[:], is); i >= 0 {
			return windowsKinds[i].kind
		}
	}
	if i := slices.IndexFunc(errnoKinds[:], is); i >= 0 {
		return errnoKinds[i].kind
	}
	return Other
}

// closedPipe reports whether an error number means that there is no reader any
// more. A reset of a socket does not: the reader may have crashed.
func closedPipe(goos string, errno syscall.Errno) bool {
	return errno == syscall.EPIPE || goos == "windows" && (errno == winBrokenPipe || errno == winNoData || errno == winNoPipe)
}

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

// maxPath is the longest path of a Unix socket here, in bytes: its array in
// the system's address structure, less the final null.
const maxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

func checkPath(op string, t *Target) error {
	if t.Network != "unix" || len(t.Path) <= maxPath {
		return nil
	}
	return &Error{Op: op, Addr: fileerror.Quote(t.Path), Kind: PathTooLong,
		Text: "socket path of " + strconv.Itoa(len(t.Path)) + " bytes, the system's limit is " + strconv.Itoa(maxPath),
		Hint: "use a shorter path, or a relative one"}
}

// What the numbers of the systems mean stands here and nowhere else: code that
// compares them itself, as errors.Is(err, syscall.ECONNRESET), is right on Unix
// and blind on Windows, where package syscall has invented a number for that
// name, and a reset is Winsock's 10054.

// IsReset reports whether a connection was broken off: reset by the peer or by
// something on the way, or written to after the peer had left. A stream that
// ends, io.EOF, is not reset, and neither is TLS that ends without its
// close_notify (io.ErrUnexpectedEOF), which many peers leave out.
func IsReset(err error) bool { return KindOf(err) == Reset }

// IsClosedPipe reports whether a write failed for want of a reader: the other end
// of the pipe or of the socket is closed.
func IsClosedPipe(err error) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && closedPipe(runtime.GOOS, errno)
}

// IsRefused reports whether a connection was refused: nobody listens there.
func IsRefused(err error) bool { return KindOf(err) == Refused }

// IsUnreachable reports whether there was no way to the host or its network.
func IsUnreachable(err error) bool { return KindOf(err) == NoRoute }

// IsEnd reports whether err is the end of a connection and no complaint about
// what came over it: the end of the stream, in TLS also without its close_notify,
// a reset, or a Close frame of the peer's WebSocket, whatever its status. The
// peer hung up, and any other reason than the status is to be guessed. The end
// of a command in place of a connection is not meant, nor that time ran out.
func IsEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, WebSocketClosed) || IsReset(err)
}

// KindOf is the kind of an [*Error], or of what the operating system said; Other
// if err is neither.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != Other {
		return e.Kind
	}
	return systemKind("tcp", err)
}

// SystemText is what the operating system said, in words that are the same on
// all systems where a kind has them, without the addresses and calls that
// package net puts around it. It is empty if err is of other origin.
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

// systemKind finds the kind of an error of the operating system.
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

// errnoKinds go by POSIX's names. On Windows these are numbers that package
// syscall made up: no call of the system's has them, but connections in memory.
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

// The numbers of Windows that have no name in package syscall.
const (
	winNetGone    = 64  // ERROR_NETNAME_DELETED: what overlapped reads of a reset socket may get
	winBrokenPipe = 109 // ERROR_BROKEN_PIPE: the other end of a pipe is closed
	winNoData     = 232 // ERROR_NO_DATA: what a write to such a pipe gets
	winNoPipe     = 233 // ERROR_PIPE_NOT_CONNECTED: the same where the pipe was taken apart
)

// windowsKinds are Windows' own numbers, those from 10000 up Winsock's.
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

// errnoKindOf is the kind of a number on a system, as runtime.GOOS names it.
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

// closedPipe reports whether a number means that nobody reads any more. A reset on
// a socket is no such: the reader may have crashed.
func closedPipe(goos string, errno syscall.Errno) bool {
	return errno == syscall.EPIPE || goos == "windows" && (errno == winBrokenPipe || errno == winNoData || errno == winNoPipe)
}

package transport

import (
	"errors"
	"io/fs"
	"strconv"
	"syscall"
)

// maxPath is the longest path of a Unix socket here, in bytes: its array in
// the system's address structure, less the final null.
const maxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

func checkPath(op string, t *Target) error {
	if t.Network != "unix" || len(t.Path) <= maxPath {
		return nil
	}
	return &Error{Op: op, Addr: strconv.Quote(t.Path), Kind: PathTooLong,
		Text: "socket path of " + strconv.Itoa(len(t.Path)) + " bytes, the system's limit is " + strconv.Itoa(maxPath),
		Hint: "use a shorter path, or a relative one"}
}

// systemKind finds the kind of an error of the operating system.
func systemKind(network string, err error) Kind {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		for _, k := range errnoKinds {
			if k.errno == errno {
				return k.kind
			}
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

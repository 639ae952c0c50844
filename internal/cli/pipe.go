package cli

import (
	"context"
	"os"
)

// WatchClosedPipe returns a channel that is closed when f has lost its reader. It does not
// write to f. It is for `mqsub | head -1`, which must exit when head does, not at the next
// message. It applies to pipes, and on Unix also to sockets; for anything else, and if f
// cannot be watched, the channel stays open. Its goroutine ends when ctx is done.
func WatchClosedPipe(ctx context.Context, f *os.File) <-chan struct{} {
	closed := make(chan struct{})
	if f != nil {
		watchPipe(ctx, f, closed)
	}
	return closed
}

// controls calls do with the descriptor or handle of f, and reports whether do was called
// and returned true. It does not use f.Fd, which would put the file, which may be shared
// with other processes, into blocking mode.
func controls(f *os.File, do func(fd uintptr) bool) (ok bool) {
	raw, err := f.SyscallConn()
	return err == nil && raw.Control(func(fd uintptr) { ok = do(fd) }) == nil && ok
}

package cli

import (
	"context"
	"os"
)

// WatchClosedPipe returns a channel that is closed when nobody can read any
// more what is written to f, without writing to it: for `mqsub | head -1`, which
// must end when head does and not at the next message. It applies to pipes, and on
// Unix to sockets; for anything else, and when f cannot be watched, the channel
// stays open. The goroutine behind it ends with ctx.
func WatchClosedPipe(ctx context.Context, f *os.File) <-chan struct{} {
	closed := make(chan struct{})
	if f != nil {
		watchPipe(ctx, f, closed)
	}
	return closed
}

// controls calls do with the descriptor or handle of f, and reports whether it was called
// and is content. Not f.Fd, which would put the file, perhaps shared with other
// processes, into blocking mode.
func controls(f *os.File, do func(fd uintptr) bool) (ok bool) {
	raw, err := f.SyscallConn()
	return err == nil && raw.Control(func(fd uintptr) { ok = do(fd) }) == nil && ok
}

//go:build unix

package cli

import (
	"context"
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// WatchClosedPipe returns a channel that is closed when nobody can read any
// more what is written to f, without writing to it: for `mqsub | head -1`, which
// must end when head does and not at the next message. It applies to pipes and
// sockets; for anything else, and when f cannot be watched, the channel stays
// open. The goroutine behind it sleeps in poll(2) and ends with ctx.
//
// It polls a duplicate of the descriptor, so a reader sees the end of the data
// only when f is closed and ctx is done.
func WatchClosedPipe(ctx context.Context, f *os.File) <-chan struct{} {
	closed := make(chan struct{})
	fd, ok := duplicatePipe(f)
	if !ok {
		return closed
	}
	awake, wake, err := os.Pipe()
	if err != nil {
		_ = unix.Close(fd)
		return closed
	}
	var once sync.Once
	endWait := func() { once.Do(func() { _ = wake.Close() }) }
	stop := context.AfterFunc(ctx, endWait)
	go func() {
		if pollClosed(fd, int(awake.Fd())) {
			close(closed)
		}
		stop()
		endWait()
		_ = awake.Close()
		_ = unix.Close(fd)
	}()
	return closed
}

// duplicatePipe duplicates the descriptor of a pipe or socket.
func duplicatePipe(f *os.File) (fd int, ok bool) {
	if f == nil {
		return 0, false
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, false
	}
	// Not f.Fd, which would put the file into blocking mode.
	controlErr := raw.Control(func(orig uintptr) {
		var st unix.Stat_t
		if err = unix.Fstat(int(orig), &st); err != nil {
			return
		}
		if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFIFO && kind != unix.S_IFSOCK {
			return
		}
		fd, err = unix.FcntlInt(orig, unix.F_DUPFD_CLOEXEC, 3)
		ok = err == nil
	})
	return fd, ok && controlErr == nil
}

// pollClosed sleeps until the reader of fd is gone (true) or wake is readable
// or closed (false).
func pollClosed(fd, wake int) bool {
	set := []unix.PollFd{{Fd: int32(fd)}, {Fd: int32(wake), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(set, -1)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return false
		case set[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0:
			return true
		}
		// Not ours to interpret, as POLLNVAL; asking again would spin.
		return false
	}
}

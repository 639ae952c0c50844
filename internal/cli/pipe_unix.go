//go:build unix

package cli

import (
	"context"
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// watchPipe closes closed when the pipe or socket f has lost its reader. Its goroutine
// sleeps in poll(2).
//
// It polls a duplicate of the descriptor, so a reader gets EOF only when f is closed and
// ctx is done.
func watchPipe(ctx context.Context, f *os.File, closed chan<- struct{}) {
	fd, ok := duplicatePipe(f)
	if !ok {
		return
	}
	awake, wake, err := os.Pipe()
	if err != nil {
		_ = unix.Close(fd)
		return
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
}

// duplicatePipe duplicates the descriptor of a pipe or socket.
func duplicatePipe(f *os.File) (fd int, ok bool) {
	ok = controls(f, func(orig uintptr) bool {
		var st unix.Stat_t
		if unix.Fstat(int(orig), &st) != nil {
			return false
		}
		if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFIFO && kind != unix.S_IFSOCK {
			return false
		}
		var err error
		fd, err = unix.FcntlInt(orig, unix.F_DUPFD_CLOEXEC, 3)
		return err == nil
	})
	return fd, ok
}

// pollClosed sleeps until the reader of fd is gone (true) or until wake is readable or
// closed (false).
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
		// Other events, such as POLLNVAL, are not handled here; polling again would spin.
		return false
	}
}

package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mqtools/mqtools/internal/option"
)

// stream is standard output or standard error. It knows whether a write is in progress,
// because the reader of a pipe may stay without reading.
type stream struct {
	w        io.Writer
	terminal bool
	writing  atomic.Int32 // writes in progress
	since    atomic.Int64 // start of the first of them, in Unix nanoseconds
}

func (s *stream) Write(b []byte) (int, error) {
	if s.writing.Add(1) == 1 {
		s.since.Store(time.Now().UnixNano())
	}
	defer s.writing.Add(-1)
	n, err := s.w.Write(b)
	if s.terminal {
		err = hangup(err)
	}
	return n, err
}

// hangup returns err, or errHungUp if err means that the terminal is closed.
func hangup(err error) error {
	if errors.Is(err, syscall.EIO) {
		return errHungUp
	}
	return err
}

// blocked reports whether a write has been in progress for long.
func (s *stream) blocked() bool {
	return s.writing.Load() > 0 && time.Now().UnixNano()-s.since.Load() > int64(blockedTime/2)
}

// blockedTime is how long a stream may delay the exit.
const blockedTime = 2 * time.Second

// streams wraps the output streams, so that blocked writes are noticed.
func (e *Env) streams() {
	if e.Stdout != nil {
		e.Stdout = &stream{w: e.Stdout, terminal: e.StdoutIsTerminal}
	}
	e.Stderr = &stream{w: &catchFirst{e, e.Stderr}}
}

// Watched returns w wrapped like standard output: if w is a pipe whose reader stops
// reading, it delays the exit no longer than standard output does.
func (inv *Invocation) Watched(w io.Writer) io.Writer {
	s := &stream{w: w}
	inv.watched.Lock()
	defer inv.watched.Unlock()
	inv.watched.streams = append(inv.watched.streams, s)
	return s
}

// StdoutFile returns the file behind Stdout, or nil if there is none.
func (e *Env) StdoutFile() *os.File {
	w := e.Stdout
	if s, ok := w.(*stream); ok {
		w = s.w
	}
	f, _ := w.(*os.File)
	return f
}

// endInTime ends the process some time after a signal or the time limit has ended ctx, if a
// stream that is not being read still delays the exit then.
func (inv *Invocation) endInTime(ctx context.Context) {
	context.AfterFunc(ctx, func() {
		if context.Cause(ctx) != context.Canceled { // Run has returned
			time.AfterFunc(blockedTime, func() { inv.unblock(ctx) })
		}
	})
}

// unblock ends the process if one of its streams is blocked. Otherwise it checks again
// later, because Run may still write.
func (inv *Invocation) unblock(ctx context.Context) {
	if inv.exit == nil { // there is no process to end
		return
	}
	cause := context.Cause(ctx)
	blocked := ""
	inv.watched.Lock()
	if slices.ContainsFunc(inv.watched.streams, (*stream).blocked) {
		blocked = "the file of --out"
	}
	inv.watched.Unlock()
	if stdout, ok := inv.Stdout.(*stream); ok && stdout.blocked() {
		blocked = "standard output"
	}
	switch stderr := inv.Stderr.(*stream); {
	case stderr.blocked(): // the error cannot be printed
		if errors.Is(cause, ErrTimeout) {
			cause = ExitSilently(option.ExitTimeLimit)
		}
		inv.exit(CodeOf(ctx, cause))
	case blocked == "":
		time.AfterFunc(blockedTime/2, func() { inv.unblock(ctx) })
	case errors.Is(cause, ErrTimeout):
		inv.Abandon(ctx, inv.TimedOut(blocked+" is blocked"))
	default:
		left := "the rest was not written"
		if inv.Tool.Bit&option.PubSub != 0 {
			left = "QoS 1 and 2 messages not written are left unacknowledged"
		}
		inv.Errorf("%s is blocked; %s", blocked, left)
		inv.Abandon(ctx, cause)
	}
}

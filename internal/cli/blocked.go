package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mqtools/mqtools/internal/option"
)

// stream is standard output or standard error, and knows whether a write is under
// way: whoever reads may stay and read nothing.
type stream struct {
	w        io.Writer
	terminal bool
	writing  atomic.Int32 // writes under way
	since    atomic.Int64 // when the first of them began, Unix nanoseconds
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

// hangup is an error of a terminal, or that of one that is closed.
func hangup(err error) error {
	if errors.Is(err, syscall.EIO) {
		return errHungUp
	}
	return err
}

// blocked reports whether a write is under way that has taken long.
func (s *stream) blocked() bool {
	return s.writing.Load() > 0 && time.Now().UnixNano()-s.since.Load() > int64(blockedTime/2)
}

// blockedTime is how long a stream may hold up the end.
const blockedTime = 2 * time.Second

// streams puts an eye on the streams that are written to.
func (e *Env) streams() {
	if e.Stdout != nil {
		e.Stdout = &stream{w: e.Stdout, terminal: e.StdoutIsTerminal}
	}
	e.Stderr = &stream{w: &catchFirst{e, e.Stderr}}
}

// Watched returns w with an eye on it: it may be a pipe whose reader reads nothing, and
// holds up the end no longer than standard output.
func (inv *Invocation) Watched(w io.Writer) io.Writer {
	s := &stream{w: w}
	inv.watched.Lock()
	defer inv.watched.Unlock()
	inv.watched.streams = append(inv.watched.streams, s)
	return s
}

// StdoutFile returns the file behind Stdout, nil if there is none.
func (e *Env) StdoutFile() *os.File {
	w := e.Stdout
	if s, ok := w.(*stream); ok {
		w = s.w
	}
	f, _ := w.(*os.File)
	return f
}

// endInTime ends the process some time after ctx was ended by a signal or by the time
// limit, if a stream that nobody reads still holds up the end then.
func (inv *Invocation) endInTime(ctx context.Context) {
	context.AfterFunc(ctx, func() {
		if context.Cause(ctx) != context.Canceled { // the work is done
			time.AfterFunc(blockedTime, func() { inv.unblock(ctx) })
		}
	})
}

// unblock ends the process if one of its streams is blocked, and looks again later if
// none is: the work may write yet.
func (inv *Invocation) unblock(ctx context.Context) {
	if inv.exit == nil { // no process to end
		return
	}
	cause := context.Cause(ctx)
	blocked := ""
	inv.watched.Lock()
	for _, s := range inv.watched.streams {
		if s.blocked() {
			blocked = "the file of --out"
		}
	}
	inv.watched.Unlock()
	if stdout, ok := inv.Stdout.(*stream); ok && stdout.blocked() {
		blocked = "standard output"
	}
	switch stderr := inv.Stderr.(*stream); {
	case stderr.blocked(): // there is nobody to tell
		if errors.Is(cause, ErrTimeout) {
			cause = Quietly(option.ExitTimeLimit)
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

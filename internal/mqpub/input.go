package mqpub

import (
	"context"
	"io"
	"time"
)

// blockSize is how much of standard input is read at once, in bytes.
const blockSize = 128 << 10

// input reads a stream in a separate goroutine, one block ahead, so that a signal or a lost
// broker is noticed while there is no input. It is an io.Reader and also returns whole
// blocks.
type input struct {
	ctx    context.Context
	lost   <-chan struct{} // closed when the client has ended
	full   chan block
	free   chan []byte
	turn   func() time.Duration // called while it waits; returns the time until the next call, 0 for never
	failed error
	cur    []byte // unread rest of the current block
	held   []byte // the current block
}

type block struct {
	b   []byte
	err error
}

func newInput(ctx context.Context, r io.Reader, lost <-chan struct{}, turn func() time.Duration) *input {
	in := &input{ctx: ctx, lost: lost, turn: turn, full: make(chan block), free: make(chan []byte, 2)}
	in.free <- make([]byte, blockSize)
	in.free <- make([]byte, blockSize)
	// The goroutine may be stuck in Read until the process ends: a blocked read of a
	// terminal or a pipe cannot be interrupted.
	go func() {
		for b := range in.free {
			n, err := r.Read(b[:blockSize])
			if n == 0 && err == nil {
				in.free <- b
				continue
			}
			select {
			case in.full <- block{b[:n], err}:
			case <-ctx.Done():
				return
			case <-lost:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return in
}

// next returns the next block, which is valid until the following call. The error is
// io.EOF, the stream's or the context's error, or errLost.
func (in *input) next() ([]byte, error) {
	if in.held != nil {
		in.free <- in.held
		in.held = nil
	}
	if in.failed != nil {
		return nil, in.failed
	}
	for {
		var again <-chan time.Time
		if due := in.turn(); due > 0 {
			again = time.After(due)
		}
		select {
		case b := <-in.full:
			in.failed = b.err
			if len(b.b) == 0 {
				return nil, in.failed
			}
			in.held = b.b[:cap(b.b)]
			return b.b, nil
		case <-in.ctx.Done():
			return nil, in.ctx.Err()
		case <-in.lost:
			return nil, errLost
		case <-again:
		}
	}
}

// Read implements io.Reader.
func (in *input) Read(p []byte) (int, error) {
	if len(in.cur) == 0 {
		b, err := in.next()
		if err != nil {
			return 0, err
		}
		in.cur = b
	}
	n := copy(p, in.cur)
	in.cur = in.cur[n:]
	return n, nil
}

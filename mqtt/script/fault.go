package script

import (
	"context"
	"errors"
	"net"
	"time"
)

// fault is a disturbance of the byte stream.
type fault struct {
	// In force until "fault: none".
	delay time.Duration // before every write
	split int           // most bytes of a write

	// For the next packet or raw bytes.
	truncate  int // bytes to keep; -1 keeps all
	corrupt   int // offset of the byte to invert; -1 for none
	duplicate bool

	// Immediate.
	stall     time.Duration // read nothing for this long
	none      bool
	halfClose bool
	reset     bool
	refuse    bool
}

// stream writes to a connection and applies faults.
type stream struct {
	nc       net.Conn
	lasting  fault
	once     fault
	patience time.Duration
}

func newStream(nc net.Conn, patience time.Duration) *stream {
	return &stream{nc: nc, patience: patience, once: noFault}
}

var noFault = fault{truncate: -1, corrupt: -1}

// arm puts a fault in force.
func (s *stream) arm(f fault) {
	switch {
	case f.none:
		s.lasting, s.once = fault{}, noFault
	case f.delay > 0 || f.split > 0:
		if f.delay > 0 {
			s.lasting.delay = f.delay
		}
		if f.split > 0 {
			s.lasting.split = f.split
		}
	case f.truncate >= 0:
		s.once.truncate = f.truncate
	case f.corrupt >= 0:
		s.once.corrupt = f.corrupt
	case f.duplicate:
		s.once.duplicate = true
	}
}

// disturb returns the bytes of one packet with its faults applied.
func (s *stream) disturb(b []byte) ([]byte, error) {
	f := s.once
	s.once = noFault
	out := append([]byte(nil), b...)
	if f.corrupt >= 0 {
		if f.corrupt >= len(out) {
			return nil, errors.New("there is no such byte to corrupt")
		}
		out[f.corrupt] ^= 0xff
	}
	if f.truncate >= 0 && f.truncate < len(out) {
		out = out[:f.truncate]
	}
	if f.duplicate {
		out = append(out, out...)
	}
	return out, nil
}

// write writes b under the faults in force. It returns an error if the peer does not read for the
// patience.
func (s *stream) write(ctx context.Context, b []byte) error {
	piece := len(b)
	if s.lasting.split > 0 {
		piece = s.lasting.split
	}
	for len(b) > 0 {
		if err := sleep(ctx, s.lasting.delay); err != nil {
			return err
		}
		n := min(piece, len(b))
		if err := s.nc.SetWriteDeadline(time.Now().Add(s.patience)); err != nil {
			return err
		}
		if _, err := s.nc.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// halfClose closes the connection for writing.
func halfClose(nc net.Conn) error {
	half, ok := nc.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("this kind of connection cannot be half-closed")
	}
	return half.CloseWrite()
}

// reset closes a connection so that its peer sees a reset, if the connection allows that.
func reset(nc net.Conn) {
	under := nc
	for {
		inner, ok := under.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		under = inner.NetConn()
	}
	if l, ok := under.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0) // otherwise the peer sees a FIN
	}
	under.Close()
	if under != nc {
		nc.Close()
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// The WebSocket protocol (RFC 6455) is implemented here: the maintained
// libraries for it use net/http, which costs a one-shot mqpub two megabytes and
// a sixteenth of its time.

// The opcodes of frames (RFC 6455, 5.2).
const (
	wsContinuation = 0x0
	wsText         = 0x1
	wsBinary       = 0x2
	wsClose        = 0x8
	wsPing         = 0x9
	wsPong         = 0xa

	wsFin    = 0x80
	wsMasked = 0x80
)

// The status codes of Close frames that are used here (RFC 6455, 7.4.1).
const (
	wsNormal        = 1000
	wsGoingAway     = 1001
	wsProtocolError = 1002
	wsUnsupported   = 1003
	wsNoStatus      = 1005
)

// wsFrameAim is the payload, in bytes, up to which MQTT packets are combined
// into one frame. A larger packet gets its own frame.
const wsFrameAim = 32 << 10

// wsConn is a WebSocket as a stream of bytes. It writes binary frames of whole
// MQTT packets, never empty ones: some brokers lose packets that span frames,
// or the session at an empty frame. It reads frames of any kind.
//
// Read and Write may run at the same time; a Read never waits for a write.
// CloseWrite sends a Close frame; the stream then ends with the peer's, or with
// the connection.
type wsConn struct {
	net.Conn // underlying; only this type may call its Read and Write
	client   bool

	// Used by the reader:
	early  []byte // bytes that followed the handshake
	header [14]byte
	have   int // bytes of header
	op     byte
	left   uint64 // bytes of the frame's payload that are still to come
	mask   [4]byte
	at     int // position in mask
	inside bool
	more   bool   // the message continues in further frames
	ctl    []byte // payload of a control frame
	end    error  // why there is no more to read

	// Used by writers; wmu must be held:
	wmu   sync.Mutex
	wbuf  []byte
	wmask [4]byte
	wat   int
	open  int    // bytes of a packet that the current frame still needs
	held  []byte // a packet's first bytes, too few to know its length

	// Control frames to be sent; cmu must be held:
	cmu     sync.Mutex
	pong    []byte
	ponging bool
	closing []byte // payload of the Close frame
	closed  bool   // it was sent, or is about to be
	sending bool   // a goroutine is about to send them

	settled atomic.Bool // all but the control frames that came last is known to be with the peer
}

func newWSConn(c net.Conn, client bool, early []byte) *wsConn {
	return &wsConn{Conn: c, client: client, early: early}
}

// NetConn returns the underlying connection: TLS or TCP.
func (w *wsConn) NetConn() net.Conn { return w.Conn }

// Read reads into p and removes the frame headers in place.
func (w *wsConn) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if w.end != nil {
			return 0, w.end
		}
		var n int
		var err error
		if len(w.early) > 0 {
			n = copy(p, w.early)
			w.early = w.early[n:]
		} else if n, err = w.Conn.Read(p); err != nil && n == 0 {
			return 0, err
		}
		if n = w.deframe(p[:n]); n > 0 {
			return n, nil
		}
	}
	return 0, nil
}

// deframe moves the payload of binary messages to the front of b and returns
// its length. It records the end of the stream in w.end; what follows that is
// ignored.
func (w *wsConn) deframe(b []byte) (n int) {
	for i := 0; i < len(b) && w.end == nil; {
		if !w.inside {
			i += w.takeHeader(b[i:])
			continue
		}
		part := b[i : i+int(min(w.left, uint64(len(b)-i)))]
		i += len(part)
		w.left -= uint64(len(part))
		if !w.client {
			w.at = maskBytes(part, w.mask, w.at)
		}
		if w.op >= wsClose {
			w.ctl = append(w.ctl, part...)
		} else {
			n += copy(b[n:], part)
		}
		if w.left == 0 {
			w.frameEnd()
		}
	}
	return n
}

// takeHeader reads as much of a frame's header as b has, and checks it when it
// is complete.
func (w *wsConn) takeHeader(b []byte) (n int) {
	for n < len(b) {
		w.header[w.have] = b[n]
		w.have++
		n++
		h := w.header[:w.have]
		if w.have < 2 || w.have < wsHeaderLen(h) {
			continue
		}
		w.have = 0
		if err := w.startFrame(h); err != nil {
			w.fail(wsProtocolError, err)
		} else if w.left == 0 {
			w.frameEnd()
		}
		break
	}
	return n
}

// wsHeaderLen returns the length of the header whose first two bytes are h.
func wsHeaderLen(h []byte) int {
	n := 2
	switch h[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if h[1]&wsMasked != 0 {
		n += 4
	}
	return n
}

func (w *wsConn) startFrame(h []byte) error {
	op, fin := h[0]&0x0f, h[0]&wsFin != 0
	masked := h[1]&wsMasked != 0
	w.left = uint64(h[1] & 0x7f)
	switch w.left {
	case 126:
		w.left = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		w.left = binary.BigEndian.Uint64(h[2:])
	}
	if masked {
		w.mask, w.at = [4]byte(h[len(h)-4:]), 0
	}
	switch {
	case h[0]&0x70 != 0:
		return errors.New("a frame with reserved bits, but no extension was negotiated")
	case op > wsBinary && op < wsClose || op > wsPong:
		return fmt.Errorf("a frame of unknown kind %d", op)
	case w.left>>63 != 0:
		return errors.New("a frame of more than 2^63 bytes")
	case w.client && masked:
		return errors.New("a masked frame, which only clients send")
	case !w.client && !masked:
		return errors.New("a frame that is not masked")
	case op >= wsClose && (!fin || w.left > 125):
		return errors.New("a control frame that is fragmented or above 125 bytes")
	case op == wsContinuation && !w.more:
		return errors.New("a continuation without a message")
	case (op == wsText || op == wsBinary) && w.more:
		return errors.New("a new message before the end of the last")
	case op == wsText:
		w.fail(wsUnsupported, errors.New("a text message, which is not MQTT [MQTT-6.0.0-1]"))
		return nil
	}
	if op < wsClose {
		w.more = !fin
	}
	w.op, w.inside, w.ctl = op, true, w.ctl[:0]
	return nil
}

// frameEnd handles the end of a frame's payload.
func (w *wsConn) frameEnd() {
	if w.end != nil {
		return
	}
	w.inside = false
	switch w.op {
	case wsPing:
		w.cmu.Lock()
		w.pong, w.ponging = append(w.pong[:0], w.ctl...), true
		w.cmu.Unlock()
		w.sendSoon()
	case wsClose:
		w.peerCloses()
	}
}

// peerCloses answers a Close frame and ends the stream.
func (w *wsConn) peerCloses() {
	code, reason := wsNoStatus, ""
	switch {
	case len(w.ctl) == 1 || len(w.ctl) > 1 && !utf8.Valid(w.ctl[2:]):
		w.fail(wsProtocolError, errors.New("a Close frame that is not a status and a text"))
		return
	case len(w.ctl) > 1:
		code, reason = int(binary.BigEndian.Uint16(w.ctl)), string(w.ctl[2:])
	}
	w.end = io.EOF
	if first := w.close(w.ctl[:min(len(w.ctl), 2)]); first && code != wsNormal && code != wsGoingAway && code != wsNoStatus {
		w.end = &Error{Op: OpWebSocket, Kind: WebSocketClosed, Text: wsCloseText(code, reason)}
	}
	w.sendSoon()
}

func wsCloseText(code int, reason string) string {
	text := "closed by the peer with status " + strconv.Itoa(code)
	if name := map[int]string{wsProtocolError: "protocol error", wsUnsupported: "unsupported data", 1007: "invalid data", 1008: "policy violation",
		1009: "message too big", 1011: "internal error", 1012: "restart", 1013: "try again later"}[code]; name != "" {
		text += " (" + name + ")"
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

// fail ends the stream because of an error of the peer, and sends it the
// status.
func (w *wsConn) fail(status uint16, err error) {
	w.end = &Error{Op: OpWebSocket, Kind: WebSocketBroken, Text: "the peer sent " + err.Error()}
	w.close(binary.BigEndian.AppendUint16(nil, status))
	w.sendSoon()
}

// close records that a Close frame is to be sent. Only the first one is.
func (w *wsConn) close(payload []byte) (first bool) {
	w.cmu.Lock()
	defer w.cmu.Unlock()
	if w.closed {
		return false
	}
	w.closed, w.closing = true, append(make([]byte, 0, 2), payload...)
	return true
}

// sendSoon sends control frames from a goroutine that may wait for its turn;
// the reader must not wait.
func (w *wsConn) sendSoon() {
	w.cmu.Lock()
	start := !w.sending
	w.sending = true
	w.cmu.Unlock()
	if start {
		go func() {
			w.wmu.Lock()
			defer w.wmu.Unlock()
			w.cmu.Lock()
			w.sending = false
			w.cmu.Unlock()
			if w.open == 0 { // otherwise the end of the frame sends them
				_ = w.flushLocked(nil)
			}
		}()
	}
}

// flushLocked writes b and, between frames, the control frames that are due.
// w.wmu must be held.
func (w *wsConn) flushLocked(b []byte) error {
	data := len(b) > 0
	if w.open == 0 {
		w.cmu.Lock()
		if w.ponging {
			w.ponging = false
			b = w.frame(b, wsPong, w.pong)
		}
		if w.closing != nil {
			b = w.frame(b, wsClose, w.closing)
			w.closing = nil
		}
		w.cmu.Unlock()
	}
	if len(b) == 0 {
		return nil
	}
	if data {
		w.settled.Store(false)
	} else if !w.settled.Load() {
		n, known := unacknowledged(UnderlyingConn(w.Conn))
		w.settled.Store(known && n == 0)
	}
	_, err := w.Conn.Write(b)
	return err
}

// frame appends a frame.
func (w *wsConn) frame(b []byte, op byte, payload []byte) []byte {
	return w.mingle(w.frameHeader(b, op, len(payload)), payload)
}

// frameHeader appends a header, and chooses the mask of the frame.
func (w *wsConn) frameHeader(b []byte, op byte, n int) []byte {
	b = append(b, wsFin|op)
	masked := byte(0)
	if w.client {
		masked = wsMasked
	}
	switch {
	case n < 126:
		b = append(b, masked|byte(n))
	case n < 1<<16:
		b = append(b, masked|126, byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), uint64(n))
	}
	if w.client {
		binary.LittleEndian.PutUint32(w.wmask[:], rand.Uint32())
		w.wat = 0
		b = append(b, w.wmask[:]...)
	}
	return b
}

// mingle appends payload, masked on the client's side.
func (w *wsConn) mingle(b, payload []byte) []byte {
	at := len(b)
	b = append(b, payload...)
	if w.client {
		w.wat = maskBytes(b[at:], w.wmask, w.wat)
	}
	return b
}

// Write sends p, part of a stream of MQTT packets, in frames of whole packets.
func (w *wsConn) Write(p []byte) (int, error) { return w.write(p, false) }

// WriteLast is Write and CloseWrite in one write to the underlying connection.
// A server that closes as soon as it has read a DISCONNECT has then read the
// Close frame as well, and does not reset the connection because of it.
func (w *wsConn) WriteLast(p []byte) (int, error) { return w.write(p, true) }

func (w *wsConn) write(p []byte, last bool) (int, error) {
	w.wmu.Lock()
	defer w.wmu.Unlock()
	w.cmu.Lock()
	closed := w.closed
	w.cmu.Unlock()
	if closed {
		return 0, net.ErrClosed
	}
	if last {
		w.close(normalClose[:])
	}
	n := len(p)
	if len(w.held) > 0 {
		p = append(w.held, p...)
		w.held = nil
	}
	b := w.wbuf[:0]
	for len(p) > 0 {
		if w.open > 0 {
			k := min(w.open, len(p))
			b = w.mingle(b, p[:k])
			w.open -= k
			p = p[k:]
			continue
		}
		whole, next := wholePackets(p)
		switch {
		case whole > 0:
			b = w.frame(b, wsBinary, p[:whole])
			p = p[whole:]
		case next > 0:
			b = w.frameHeader(b, wsBinary, next)
			w.open = next
		default:
			w.held, p = append([]byte(nil), p...), nil
		}
	}
	err := w.flushLocked(b)
	if cap(b) <= 1<<20 {
		w.wbuf = b
	} else {
		w.wbuf = nil
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

// wholePackets returns how many bytes of p are whole packets for one frame, at
// least one packet if p has one. If it has none, next is the size of the packet
// at the start of p, or 0 if p is too short to know it. Bytes that are not MQTT
// count as one packet.
func wholePackets(p []byte) (whole, next int) {
	for whole < len(p) {
		size, ok := packetSize(p[whole:])
		switch {
		case !ok:
			return whole, 0
		case size < 0:
			return len(p), 0
		case whole > 0 && whole+size > wsFrameAim:
			return whole, 0
		case whole+size > len(p):
			return whole, size
		}
		whole += size
	}
	return whole, 0
}

// packetSize returns the size of the packet at the start of p; ok is false if p
// is too short to know it. It is negative for a length of five bytes.
func packetSize(p []byte) (size int, ok bool) {
	for i := 1; i < len(p); i++ {
		size |= int(p[i]&0x7f) << (7 * (i - 1))
		if p[i] < 0x80 {
			return 1 + i + size, true
		}
		if i == 4 {
			return -1, true
		}
	}
	return 0, false
}

// normalClose is the payload of the Close frame of a normal end.
var normalClose = [...]byte{wsNormal >> 8, wsNormal & 0xff}

// CloseWrite sends a Close frame. The stream continues until the peer's.
func (w *wsConn) CloseWrite() error {
	w.close(normalClose[:])
	w.wmu.Lock()
	defer w.wmu.Unlock()
	return w.flushLocked(nil)
}

// maskBytes XORs b with the mask from position at on, and returns the position
// after it (RFC 6455, 5.3).
func maskBytes(b []byte, mask [4]byte, at int) int {
	after := (at + len(b)) & 3
	m := uint64(0)
	for i := range 8 {
		m |= uint64(mask[(at+i)&3]) << (8 * i)
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^m)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(m >> (8 * i))
	}
	return after
}

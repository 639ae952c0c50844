package script

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// frame returns b as one binary frame of a WebSocket (RFC 6455, 5.2). A client's frame is masked,
// with a key that changes nothing.
func frame(b []byte, masked bool) []byte {
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	out := []byte{0x82}
	switch {
	case len(b) < 126:
		out = append(out, mask|byte(len(b)))
	case len(b) < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, mask|126), uint16(len(b)))
	default:
		out = binary.BigEndian.AppendUint64(append(out, mask|127), uint64(len(b)))
	}
	if masked {
		out = append(out, 0, 0, 0, 0)
	}
	return append(out, b...)
}

// deframer extracts the payload of data frames from a stream. A Close frame ends the stream; pings
// and pongs are skipped.
type deframer struct{ held []byte }

var (
	errFrame = errors.New("no WebSocket frame of this version")
	errText  = errors.New("a text frame, where MQTT has binary ones (MQTT-6.0.0-1)")
)

func (d *deframer) add(dst, b []byte) ([]byte, error) {
	d.held = append(d.held, b...)
	for {
		h := d.held
		if len(h) < 2 {
			return dst, nil
		}
		size, head := uint64(h[1]&127), 2
		switch {
		case size == 126 && len(h) >= 4:
			size, head = uint64(binary.BigEndian.Uint16(h[2:])), 4
		case size == 127 && len(h) >= 10:
			size, head = binary.BigEndian.Uint64(h[2:]), 10
		case size >= 126:
			return dst, nil
		}
		var mask []byte
		if h[1]&0x80 != 0 {
			if len(h) < head+4 {
				return dst, nil
			}
			mask, head = h[head:head+4], head+4
		}
		if size > maxRaw {
			return dst, errFrame
		}
		end := head + int(size)
		if len(h) < end {
			return dst, nil
		}
		payload := bytes.Clone(h[head:end])
		for i := range payload {
			if mask != nil {
				payload[i] ^= mask[i&3]
			}
		}
		op := h[0]
		d.held = h[end:]
		switch {
		case op&0x70 != 0:
			return dst, errFrame
		case op&15 == 8:
			return dst, io.EOF
		case op&15 == 1:
			return dst, errText
		case op&15 <= 2:
			dst = append(dst, payload...)
		}
	}
}

// webSocketGUID is part of the response to a key (RFC 6455, 1.3).
const webSocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// expectHead expects the head of an HTTP message: from a server, one with a status; from a client,
// the request of an upgrade, and the response to its key becomes the variable accept. In a
// WebSocket script the bytes after it are frames.
func (p *play) expectHead(s *step) error {
	head, err := p.peer.head(p.ctx, p.deadline(s))
	if err != nil {
		return p.fail(s, "no HTTP head", nil, err)
	}
	first, _, _ := strings.Cut(head, "\r\n")
	words := strings.Fields(first)
	if p.s.Role == Client {
		if len(words) < 2 || words[1] != strconv.Itoa(s.status) {
			return p.fail(s, fmt.Sprintf("got %q", first), nil, nil)
		}
	} else {
		if len(words) != 3 || words[0] != "GET" {
			return p.fail(s, fmt.Sprintf("got %q", first), nil, nil)
		}
		sum := sha1.Sum([]byte(header(head, "Sec-WebSocket-Key") + webSocketGUID))
		p.vars["accept"] = value{kind: kindText, b: []byte(base64.StdEncoding.EncodeToString(sum[:]))}
	}
	p.note(Received, first)
	if s.status != 101 {
		return nil
	}
	// A client may offer several; a server answers with one.
	got := header(head, "Sec-WebSocket-Protocol")
	if got != "mqtt" && (p.s.Role == Client || !slices.Contains(strings.Split(strings.ReplaceAll(got, " ", ""), ","), "mqtt")) {
		return p.fail(s, "another subprotocol (MQTT-6.0.0-3, MQTT-6.0.0-4)", []Diff{{"Sec-WebSocket-Protocol", "mqtt", got}}, nil)
	}
	p.peer.framed()
	return nil
}

// header returns the value of a field of an HTTP head; empty if it is missing.
func header(head, name string) string {
	for line := range strings.SplitSeq(head, "\r\n") {
		if n, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(n, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// framed makes the stream after this point frames.
func (p *peer) framed() {
	p.mu.Lock()
	early := p.buf
	p.buf, p.frames = nil, &deframer{}
	p.takeLocked(early)
	p.mu.Unlock()
}

// head consumes bytes up to an empty line.
func (p *peer) head(ctx context.Context, deadline time.Time) (string, error) {
	n := -1
	var end error
	err := p.await(ctx, deadline, func() bool {
		n, end = bytes.Index(p.buf, []byte("\r\n\r\n")), p.err
		return n >= 0 || end != nil
	})
	switch {
	case err != nil:
		return "", err
	case n < 0:
		return "", fmt.Errorf("the stream ended (%s)", endText(end))
	}
	p.mu.Lock()
	head := string(p.buf[:n])
	p.mu.Unlock()
	p.skip(n + 4)
	return head, nil
}

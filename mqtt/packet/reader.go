package packet

import (
	"encoding/binary"
	"strconv"
)

// reader reads a packet's body. The first error is kept: later reads return
// zero values, so that decoders check err once. All reads of untrusted bytes in
// this package use it; n never exceeds what is left.
type reader struct {
	b   []byte
	off int
	typ Type
	err error
}

func (r *reader) left() int { return len(r.b) - r.off }

func (r *reader) fail(rule, text string) {
	if r.err == nil {
		r.err = malformed(r.typ, rule, text, r.off)
	}
	r.off = len(r.b)
}

func (r *reader) failProtocol(rule, text string) {
	if r.err == nil {
		r.err = protocol(r.typ, rule, text, r.off)
	}
	r.off = len(r.b)
}

func (r *reader) byte(what string) byte {
	if r.off >= len(r.b) {
		r.fail("", "ends before "+what)
		return 0
	}
	c := r.b[r.off]
	r.off++
	return c
}

func (r *reader) uint16(what string) uint16 {
	if r.left() < 2 {
		r.fail("", "ends before "+what)
		return 0
	}
	n := binary.BigEndian.Uint16(r.b[r.off:])
	r.off += 2
	return n
}

func (r *reader) uint32(what string) uint32 {
	if r.left() < 4 {
		r.fail("", "ends before "+what)
		return 0
	}
	n := binary.BigEndian.Uint32(r.b[r.off:])
	r.off += 4
	return n
}

// varint reads a variable byte integer (MQTT 5.0 section 1.5.5).
func (r *reader) varint(what string) int {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		if r.off >= len(r.b) {
			r.fail("", "ends before "+what)
			return 0
		}
		c := r.b[r.off]
		r.off++
		n |= int(c&127) << shift
		if c < 128 {
			if c == 0 && shift > 0 {
				r.fail("MQTT-1.5.5-1", what+" is not in its shortest form")
				return 0
			}
			return n
		}
	}
	r.fail("MQTT-1.5.5", what+" has more than four bytes")
	return 0
}

// binary reads length-prefixed binary data (section 1.5.6).
func (r *reader) binary(what string) []byte {
	n := int(r.uint16(what))
	if r.err != nil {
		return nil
	}
	if r.left() < n {
		r.fail("", what+" of "+strconv.Itoa(n)+" bytes ends after "+strconv.Itoa(r.left()))
		return nil
	}
	s := r.b[r.off : r.off+n : r.off+n]
	r.off += n
	return s
}

// text reads a UTF-8 encoded string (section 1.5.4).
func (r *reader) text(what string) []byte {
	s := r.binary(what)
	if r.err == nil {
		if rule, why := checkUTF8(s); rule != "" {
			r.off -= len(s)
			r.fail(rule, what+" "+why)
			return nil
		}
	}
	return s
}

// packetID reads a packet identifier, which is never 0 (MQTT-2.2.1-3).
func (r *reader) packetID() uint16 {
	id := r.uint16("the packet identifier")
	if id == 0 && r.err == nil {
		r.failProtocol("MQTT-2.2.1-3", "packet identifier is 0")
	}
	return id
}

// rest returns everything that is left.
func (r *reader) rest() []byte {
	s := r.b[r.off:len(r.b):len(r.b)]
	r.off = len(r.b)
	return s
}

// end refuses trailing bytes and returns the error that was kept.
func (r *reader) end() error {
	if r.err == nil && r.left() > 0 {
		r.fail("", strconv.Itoa(r.left())+" bytes too many")
	}
	return r.err
}

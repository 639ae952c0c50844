package packet

import (
	"bytes"
	"errors"
	"testing"
)

// seeds adds the packets that the other tests spell out, valid and invalid.
func seeds(add func(v Version, b []byte)) {
	for _, w := range fixtures() {
		add(w.v, unhex(w.hex))
	}
	for _, r := range refusals {
		add(r.v, unhex(r.hex))
	}
}

// fuzzVersion maps any byte to one of the versions, or to 0 for an unknown one.
func fuzzVersion(b byte) Version { return [4]Version{0, V31, V311, V5}[b&3] }

func versionByte(v Version) byte {
	if v == 0 {
		return 0
	}
	return byte(v) - 2
}

func FuzzSplit(f *testing.F) {
	seeds(func(v Version, b []byte) {
		f.Add(versionByte(v), uint32(0), b)
		f.Add(versionByte(v), uint32(len(b)), b)
		f.Add(versionByte(v), uint32(len(b)-1), append(b, b...))
		f.Add(versionByte(v), uint32(0), b[:len(b)-1])
	})
	f.Fuzz(func(t *testing.T, vb byte, limit32 uint32, b []byte) {
		v, limit := fuzzVersion(vb), int(limit32)
		if limit > 0 {
			limit = max(limit, 5) // room for any header
		}
		frame, n, err := Split(b, v, limit)
		longer, m, longerErr := Split(append(bytes.Clone(b), 0x80), v, limit)
		switch {
		case err != nil:
			var e *Error
			if !errors.As(err, &e) || n != 0 {
				t.Fatalf("%x: n=%d with %#v", b, n, err)
			}
			if longerErr == nil || longerErr.Error() != err.Error() {
				t.Fatalf("%x: refused for %v, and with a byte more %v", b, err, longerErr)
			}
		case n == 0:
			if frame.Need <= len(b) || frame.Need > MaxRemainingLength+5 || limit > 0 && frame.Need > limit {
				t.Fatalf("%x, limit %d: need %d", b, limit, frame.Need)
			}
			if m > 0 && m != frame.Need {
				t.Fatalf("%x: needed %d but was complete at %d", b, frame.Need, m)
			}
		default:
			head := n - len(frame.Body)
			if n > len(b) || limit > 0 && n > limit || head < 2 || head > 5 || cap(frame.Body) != len(frame.Body) {
				t.Fatalf("%x, limit %d: n=%d, body of %d, capacity %d", b, limit, n, len(frame.Body), cap(frame.Body))
			}
			if !bytes.Equal(appendHeader(nil, b[0], len(frame.Body)), b[:head]) || !bytes.Equal(frame.Body, b[head:n]) ||
				byte(frame.Type)<<4|frame.Flags != b[0] {
				t.Fatalf("%x: %v, flags %x, body %x", b, frame.Type, frame.Flags, frame.Body)
			}
			if m != n || longerErr != nil || !bytes.Equal(longer.Body, frame.Body) {
				t.Fatalf("%x: n=%d, and with a byte more n=%d, %v", b, n, m, longerErr)
			}
			if f, k, err := Split(b[:n-1], v, limit); k != 0 || err != nil || f.Need <= n-1 || f.Need > n {
				t.Fatalf("%x: n=%d, and with a byte less n=%d, need %d, %v", b, n, k, f.Need, err)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	seeds(func(v Version, b []byte) { f.Add(versionByte(v), b) })
	f.Fuzz(func(t *testing.T, vb byte, b []byte) {
		v := fuzzVersion(vb)
		frame, n, err := Split(b, v, 0)
		if n == 0 || err != nil {
			return
		}
		p := newPacket(frame.Type)
		input := bytes.Clone(frame.Body)
		err = p.Parse(frame, v)
		if !bytes.Equal(input, frame.Body) {
			t.Fatalf("%x: Parse wrote into its input", b[:n])
		}
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || !e.Reason.Failed() || e.Text == "" || e.Offset < -1 || e.Offset > len(frame.Body) {
				t.Fatalf("%x: %#v", b[:n], err)
			}
			return
		}
		if c, ok := p.(*Connect); ok {
			v = c.Version // the version argument is ignored
		}
		again, err := p.AppendTo(nil, v)
		if err != nil {
			t.Fatalf("%x: %s has no encoding: %v", b[:n], show(p), err)
		}
		// A refusal of an old server is the only packet that grows.
		if extra := len(again) - n; extra > 0 && (frame.Type != CONNACK || v < V5 || extra > 1) {
			t.Fatalf("%x: encodes longer, as %x", b[:n], again)
		}
		if m, ok := p.(*Publish); ok && m.Size(v) != len(again) {
			t.Fatalf("%x: Size is %d, encoded %d", b[:n], m.Size(v), len(again))
		}
		q := newPacket(frame.Type)
		second, m, err := Split(again, v, 0)
		if m != len(again) || err != nil {
			t.Fatalf("%x: encodes as %x, which splits at %d, %v", b[:n], again, m, err)
		}
		if err := q.Parse(second, v); err != nil {
			t.Fatalf("%x: encodes as %x: %v", b[:n], again, err)
		}
		if show(p) != show(q) {
			t.Fatalf("%x:\nfirst %s\n then %s", b[:n], show(p), show(q))
		}
	})
}

func FuzzProperties(f *testing.F) {
	for _, w := range fixtures() {
		for typ, block := range blocks(w.p) {
			f.Add(byte(typ), []byte(block))
		}
	}
	for id := range PropertyID(0x30) {
		if id.Type() != TypeNone {
			f.Add(byte(PUBLISH), []byte(sample(id)))
		}
	}
	f.Fuzz(func(t *testing.T, typ byte, b []byte) {
		// Iteration is safe over any bytes.
		n := 0
		for range Properties(b).All() {
			n++
		}
		if n > len(b) {
			t.Fatalf("%x: %d properties", b, n)
		}
		in := Type(typ & 15)
		p, err := ParseProperties(b, in)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(b) {
				t.Fatalf("%x in %v: %#v", b, in, err)
			}
			return
		}
		var again Properties
		first := map[PropertyID]Property{}
		for q := range p.All() {
			if !q.ID.AllowedIn(in) {
				t.Fatalf("%x: %v in %v", b, q.ID, in)
			}
			if _, seen := first[q.ID]; !seen {
				first[q.ID] = q
			} else if !q.ID.RepeatableIn(in) {
				t.Fatalf("%x: %v twice in %v", b, q.ID, in)
			}
			if again, err = again.Append(q); err != nil {
				t.Fatalf("%x: %v has no encoding: %v", b, q.ID, err)
			}
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%x is rebuilt as %x", b, again)
		}
		for id := range PropertyID(0x30) {
			q, has := first[id]
			n, found := p.Uint(id)
			s, found2 := p.Bytes(id)
			if found != has || found2 != has || n != q.Uint || !bytes.Equal(s, q.Bytes) || p.Text(id) != string(q.Bytes) ||
				!has && p.UintOr(id, 7) != 7 || has && p.UintOr(id, 7) != q.Uint {
				t.Fatalf("%x: %v is %d, %x, found %v", b, id, n, s, found)
			}
			rest := p.Without(nil, id)
			if _, still := rest.Uint(id); still || has == (len(rest) == len(p)) {
				t.Fatalf("%x without %v is %x", b, id, rest)
			}
		}
	})
}

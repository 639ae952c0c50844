package packet

import (
	"bytes"
	"testing"
)

func seeds(add func(b []byte, v byte)) {
	for _, w := range fixtures() {
		add(unhex(w.hex), byte(w.v))
	}
	for _, c := range refusals() {
		add(unhex(c.hex), byte(c.v))
	}
}

func FuzzSplit(f *testing.F) {
	seeds(func(b []byte, v byte) { f.Add(b, v, uint16(0)) })
	f.Fuzz(func(t *testing.T, b []byte, v byte, limit uint16) {
		fr, n, err := Split(b, Version(v), int(limit))
		switch {
		case err != nil:
		case n == 0:
			if fr.Need <= len(b) || limit > 1 && fr.Need > max(int(limit), 5) {
				t.Errorf("% x needs %d bytes with limit %d", b, fr.Need, limit)
			}
		case n > len(b) || limit > 0 && n > int(limit) || len(fr.Body) > n-2 || cap(fr.Body) != len(fr.Body):
			t.Errorf("% x: n %d, body %d of %d", b, n, len(fr.Body), cap(fr.Body))
		}
	})
}

// FuzzParse shows that decoding never panics, and that what decodes encodes
// to bytes that decode to the same.
func FuzzParse(f *testing.F) {
	seeds(func(b []byte, v byte) { f.Add(b, v) })
	f.Fuzz(func(t *testing.T, b []byte, version byte) {
		v := V31 + Version(version%3)
		fr, n, err := Split(b, v, 0)
		if err != nil || n == 0 {
			return
		}
		_ = AppendSummary(nil, fr, v)
		p := newPacket(fr.Type)
		if p.Parse(fr, v) != nil {
			return
		}
		if c, ok := p.(*Connect); ok {
			v = c.Version
		}
		again, err := p.AppendTo(nil, v)
		if err != nil {
			t.Fatalf("% x decodes to %s and does not encode: %v", b[:n], show(p), err)
		}
		if len(again) > n+4 {
			t.Errorf("% x becomes longer: % x", b[:n], again)
		}
		q, err := parse(again, v)
		if err != nil || q == nil || show(q) != show(p) {
			t.Errorf("% x decodes to %s, encodes to % x, decodes to %v, %v", b[:n], show(p), again, q, err)
		}
	})
}

func FuzzProperties(f *testing.F) {
	for _, w := range fixtures() {
		if p, ok := w.p.(*Publish); ok {
			f.Add([]byte(p.Properties), byte(PUBLISH))
		}
		if p, ok := w.p.(*Connect); ok {
			f.Add([]byte(p.Properties), byte(CONNECT))
			f.Add([]byte(p.Will.Properties), byte(WillProperties))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, typ byte) {
		p, err := ParseProperties(b, Type(typ&15))
		if err != nil {
			return
		}
		var q Properties
		for prop := range p.All() {
			if q, err = q.Append(prop); err != nil {
				t.Fatalf("% x: %v does not encode: %v", b, prop, err)
			}
		}
		if !bytes.Equal(p, q) {
			t.Errorf("% x becomes % x", []byte(p), []byte(q))
		}
		for prop := range p.All() {
			if w := p.Without(nil, prop.ID); len(w) >= len(p) {
				t.Errorf("% x without %v: % x", []byte(p), prop.ID, []byte(w))
			}
		}
	})
}

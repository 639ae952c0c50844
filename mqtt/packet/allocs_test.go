package packet

import (
	"bytes"
	"fmt"
	"testing"
)

func noAllocs(t *testing.T, name string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%s: %v allocations, want 0", name, n)
	}
}

func mustFrame(tb testing.TB, b []byte, v Version) Frame {
	tb.Helper()
	f, n, err := Split(b, v, 0)
	if n != len(b) || err != nil {
		tb.Fatalf("%x: n=%d, %v", b, n, err)
	}
	return f
}

func TestPacketsAreEncodedAndDecodedWithoutAllocating(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	buf := make([]byte, 0, 1<<10)
	for _, w := range fixtures() {
		b := unhex(w.hex)
		f := mustFrame(t, b, w.v)
		p := newPacket(f.Type)
		noAllocs(t, w.name+": Parse", func() {
			if err := p.Parse(f, w.v); err != nil {
				t.Fatal(err)
			}
		})
		noAllocs(t, w.name+": AppendTo", func() {
			if _, err := w.p.AppendTo(buf[:0], w.v); err != nil {
				t.Fatal(err)
			}
		})
		noAllocs(t, w.name+": Split", func() {
			if _, n, err := Split(b, w.v, 1<<20); n == 0 || err != nil {
				t.Fatal(n, err)
			}
		})
		noAllocs(t, w.name+": Split of a part", func() {
			if _, n, err := Split(b[:len(b)-1], w.v, 1<<20); n != 0 || err != nil {
				t.Fatal(n, err)
			}
		})
		if m, ok := w.p.(*Publish); ok {
			noAllocs(t, w.name+": Size", func() { _ = m.Size(w.v) })
		}
	}
	noAllocs(t, "AppendAck", func() { _ = AppendAck(buf[:0], PUBACK, 1) })
}

func TestPropertiesAreReadAndBuiltWithoutAllocating(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	block := Properties(unhex("01 01 02 00000e10 23 0003 08 0003 722f31 09 0002 00ff 26 0001 6b 0001 76 0b 01 0b ffffff7f 03 0002 7470"))
	sum := uint32(0)
	noAllocs(t, "All", func() {
		for q := range block.All() {
			sum += q.Uint + uint32(len(q.Bytes))
		}
	})
	noAllocs(t, "Uint", func() { n, _ := block.Uint(TopicAlias); sum += n })
	noAllocs(t, "UintOr", func() { sum += block.UintOr(ReceiveMaximum, 65535) })
	noAllocs(t, "Bytes", func() { s, _ := block.Bytes(ContentType); sum += uint32(len(s)) })
	noAllocs(t, "ParseProperties", func() {
		if _, err := ParseProperties(block, PUBLISH); err != nil {
			t.Fatal(err)
		}
	})
	buf := make(Properties, 0, 128)
	name, value := []byte("name"), []byte("value")
	noAllocs(t, "Without", func() { _ = block.Without(buf[:0], TopicAlias) })
	noAllocs(t, "AppendUint, AppendBytes and AppendUser", func() {
		p, err := buf[:0].AppendUint(TopicAlias, 7)
		if err == nil {
			p, err = p.AppendBytes(ContentType, value)
		}
		if err == nil {
			_, err = p.AppendUser(name, value)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if sum == 0 {
		t.Error("nothing was read")
	}
}

// shapes returns the messages of the benchmarks.
func shapes() []struct {
	name string
	v    Version
	p    Publish
} {
	topic, payload := []byte("plant/3/line/7/temperature"), bytes.Repeat([]byte("x"), 64)
	return []struct {
		name string
		v    Version
		p    Publish
	}{
		{"3.1.1-qos0-64B", V311, Publish{Topic: topic, Payload: payload}},
		{"3.1.1-qos1-64B", V311, Publish{QoS: 1, PacketID: 7, Topic: topic, Payload: payload}},
		{"5.0-qos0-64B", V5, Publish{Topic: topic, Payload: payload}},
		{"5.0-qos1-64B-properties", V5, Publish{QoS: 1, PacketID: 7, Topic: topic, Payload: payload,
			Properties: unhex("01 01 02 00000e10 03 0004 6a736f6e 26 0001 6b 0001 76")}},
		{"5.0-qos0-64KiB", V5, Publish{Topic: topic, Payload: make([]byte, 64<<10)}},
	}
}

func BenchmarkPublishAppend(b *testing.B) {
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			buf := make([]byte, 0, s.p.Size(s.v))
			b.SetBytes(int64(s.p.Size(s.v)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.p.AppendTo(buf[:0], s.v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPublishParse(b *testing.B) {
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			wire, err := s.p.AppendTo(nil, s.v)
			if err != nil {
				b.Fatal(err)
			}
			f := mustFrame(b, wire, s.v)
			b.ReportAllocs()
			var p Publish
			for b.Loop() {
				if err := p.Parse(f, s.v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	for _, length := range []int{2, 100, 10_000} {
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			p := Publish{Topic: []byte("a"), Payload: make([]byte, length)}
			wire, err := p.AppendTo(nil, V311)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, n, err := Split(wire, V311, 1<<20); n == 0 || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

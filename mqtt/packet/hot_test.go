package packet

import "testing"

// hot are the PUBLISH packets of the gates: 64 bytes of payload.
func hot(v Version) (p Publish, wire []byte) {
	p = Publish{QoS: 1, PacketID: 1, Topic: []byte("sensors/kitchen/temperature"), Payload: make([]byte, 64)}
	if v == V5 {
		p.Properties = Properties(unhex("02 0000003c 26 0003 6b6579 0005 76616c7565"))
	}
	wire, err := p.AppendTo(nil, v)
	if err != nil {
		panic(err)
	}
	return p, wire
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	for _, v := range []Version{V311, V5} {
		p, wire := hot(v)
		buf := make([]byte, 0, 1024)
		var q Publish
		var ack Ack
		puback := unhex("40 02 0001")
		for name, f := range map[string]func(){
			"encode PUBLISH": func() { buf, _ = p.AppendTo(buf[:0], v) },
			"decode PUBLISH": func() {
				f, _, _ := Split(wire, v, 0)
				if q.Parse(f, v) != nil {
					t.Fatal("does not parse")
				}
			},
			"properties": func() {
				for prop := range q.Properties.All() {
					_ = prop.ID
				}
				_, _ = q.Properties.Uint(MessageExpiryInterval)
			},
			"PUBACK": func() {
				f, _, _ := Split(puback, v, 0)
				_ = ack.Parse(f, v)
				buf = AppendAck(buf[:0], PUBACK, ack.PacketID)
			},
		} {
			if n := testing.AllocsPerRun(100, f); n != 0 {
				t.Errorf("%s in %v: %v allocations", name, v, n)
			}
		}
	}
}

func BenchmarkEncodePublish(b *testing.B) {
	for _, v := range []Version{V311, V5} {
		b.Run(v.String(), func(b *testing.B) {
			p, wire := hot(v)
			buf := make([]byte, 0, 1024)
			b.SetBytes(int64(len(wire)))
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = p.AppendTo(buf[:0], v)
			}
		})
	}
}

func BenchmarkDecodePublish(b *testing.B) {
	for _, v := range []Version{V311, V5} {
		b.Run(v.String(), func(b *testing.B) {
			_, wire := hot(v)
			var p Publish
			b.SetBytes(int64(len(wire)))
			b.ReportAllocs()
			for b.Loop() {
				f, _, _ := Split(wire, v, 0)
				if err := p.Parse(f, v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

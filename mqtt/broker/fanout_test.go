package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// sink is a connection whose client subscribes and then takes everything: a write costs
// nothing and is counted, and the packets themselves produce the acknowledgements of
// QoS 1.
type sink struct {
	net.Conn // a pipe, for the addresses and deadlines
	in       chan []byte
	rest     []byte
	got      func(n int) // bytes
	acks     bool
}

func (s *sink) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		b, ok := <-s.in
		if !ok {
			return 0, io.EOF
		}
		s.rest = b
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *sink) Write(p []byte) (int, error) {
	s.got(len(p))
	if s.acks {
		var out []byte
		for b := p; ; {
			f, n, err := packet.Split(b, packet.V311, 0)
			if err != nil || n == 0 {
				break
			}
			if f.Type == packet.PUBLISH {
				at := 2 + int(f.Body[0])<<8 + int(f.Body[1])
				out = append(out, 0x40, 2, f.Body[at], f.Body[at+1])
			}
			b = b[n:]
		}
		if len(out) > 0 {
			s.in <- out
		}
	}
	return len(p), nil
}

func (s *sink) Close() error { return nil }

// BenchmarkFanOut is one publisher and a thousand subscribers, without a network. An
// operation is a message.
func BenchmarkFanOut(b *testing.B) {
	for _, v := range []byte{4, 5} {
		for qos := range byte(2) {
			b.Run(fmt.Sprintf("v%d/qos%d", v, qos), func(b *testing.B) { fanOut(b, v, qos, 1000) })
		}
	}
}

func fanOut(b *testing.B, v, qos byte, subscribers int) {
	br := broker.New(broker.Options{MaxConnections: 2 * subscribers})
	props := ""
	if v == 5 {
		props = "\x00"
	}
	var mu sync.Mutex
	left, all := 0, make(chan struct{}, 1)
	expect := func(n int) { mu.Lock(); left += n; mu.Unlock() }
	got := func(n int) {
		mu.Lock()
		if left -= n; left == 0 {
			all <- struct{}{}
		}
		mu.Unlock()
	}
	str := func(s string) string { return string([]byte{0, byte(len(s))}) + s }
	pack := func(first byte, body string) []byte { return append([]byte{first, byte(len(body))}, body...) }
	var sinks []*sink
	expect(subscribers * map[byte]int{4: 4 + 5, 5: 16 + 6}[v]) // CONNACK and SUBACK
	for i := range subscribers {
		pipe, _ := net.Pipe()
		s := &sink{Conn: pipe, in: make(chan []byte, 1000), got: got, acks: qos > 0}
		sinks = append(sinks, s)
		id := fmt.Sprintf("s%d", i)
		s.in <- append(pack(0x10, str("MQTT")+string([]byte{v, 2, 0, 0})+props+str(id)), pack(0x82, "\x00\x01"+props+str("bench/topic")+string([]byte{qos}))...)
		br.ServeConn(s)
	}
	<-all
	mine, theirs := net.Pipe()
	br.ServeConn(theirs)
	go func() { _, _ = io.Copy(io.Discard, mine) }()
	w := bufio.NewWriterSize(mine, 64<<10)
	_, _ = w.Write(pack(0x10, str("MQTT")+string([]byte{v, 2, 0, 0})+props+str("p")))
	id := ""
	if qos > 0 {
		id = "\x00\x01"
	}
	pub := pack(0x30|qos<<1, str("bench/topic")+id+props+"0123456789012345678901234567890123456789012345678901234567890123")
	_ = w.Flush()
	b.ReportAllocs()
	b.ResetTimer()
	const batch = 32
	for n := 0; n < b.N; n += batch {
		k := min(batch, b.N-n)
		expect(k * subscribers * len(pub))
		for range k {
			_, _ = w.Write(pub)
		}
		_ = w.Flush()
		<-all
	}
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*subscribers), "ns/delivery")
	_ = mine.Close()
	for _, s := range sinks {
		close(s.in)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_ = br.Close(ctx)
}

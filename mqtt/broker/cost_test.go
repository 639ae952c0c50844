package broker_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// socketPeer is a client on a Unix socket, which the broker serves as it does TCP.
type socketPeer struct {
	t  testing.TB
	nc net.Conn
}

// startOnSocket starts a broker and returns a function that connects a client to it.
func startOnSocket(t testing.TB, o broker.Options) (connect func(id string) *socketPeer) {
	t.Helper()
	_, path := brokertest.StartOn(t, "unix:"+filepath.Join(t.TempDir(), "s"), nil, o)
	return func(id string) *socketPeer {
		t.Helper()
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		p := &socketPeer{t, nc}
		p.send(append([]byte{0x10, byte(12 + len(id)), 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, byte(len(id))}, id...))
		p.expect([]byte{0x20, 2, 0, 0})
		return p
	}
}

func (p *socketPeer) send(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *socketPeer) expect(want []byte) {
	p.t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(p.nc, got); err != nil || !bytes.Equal(got, want) {
		p.t.Fatalf("got % x, %v, want % x", got, err, want)
	}
}

// subscribe subscribes to the topic t.
func (p *socketPeer) subscribe(qos byte) {
	p.t.Helper()
	p.send([]byte{0x82, 6, 0, 1, 0, 1, 't', qos})
	p.expect([]byte{0x90, 3, 0, 1, qos})
}

// message returns a PUBLISH to the topic t.
func message(qos packet.QoS, id uint16, payload []byte) []byte {
	p := packet.Publish{Topic: []byte("t"), QoS: qos, PacketID: id, Payload: payload}
	b, err := p.AppendTo(nil, packet.V311)
	if err != nil {
		panic(err)
	}
	return b
}

// footprint returns the memory in use for data and stacks, in bytes.
func footprint() int {
	var m runtime.MemStats
	for range 3 { // pools release what has not been used for two collections
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// TestAnIdleConnectionIsSmall includes the client's end of each connection, about 600
// bytes.
func TestAnIdleConnectionIsSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector needs extra memory")
	}
	// Background work of the runtime can only add to it.
	var worst string
	for range 5 {
		if worst = idleConnection(t); worst == "" {
			return
		}
	}
	t.Error(worst)
}

// idleConnection returns a text if a connection took too much memory, else "".
func idleConnection(t *testing.T) (worst string) {
	const n, limit = 500, 8 << 10
	connect := startOnSocket(t, broker.Options{})
	pub := connect("pub")
	before := footprint()
	peers := make([]*socketPeer, n)
	check := func(state string) {
		t.Helper()
		if each := (footprint() - before) / n; each > limit {
			worst = fmt.Sprintf("%s: %d bytes for a connection, want %d at most", state, each, limit)
		} else {
			t.Logf("%s: %d bytes", state, each)
		}
	}
	for i := range peers {
		peers[i] = connect(fmt.Sprintf("c%d", i))
	}
	check("connected")
	for _, p := range peers {
		p.subscribe(1)
	}
	check("subscribed")
	large := message(1, 1, make([]byte, 30_000))
	pub.send(large)
	pub.expect([]byte{0x40, 2, 0, 1})
	for _, p := range peers {
		p.expect(large)
		p.send([]byte{0x40, 2, 0, 1})
		p.subscribe(1) // memory is checked then, and when a client sends something after a second
	}
	check("after a message of 30 kB")
	for _, p := range peers {
		p.send(bytes.Replace(large, []byte("\x00\x01t"), []byte("\x00\x01u"), 1))
		p.expect([]byte{0x40, 2, 0, 1})
	}
	check("after a message of 30 kB from it")
	return worst
}

// TestADeliveryAllocatesNothing: the cost of a batch does not grow with its messages.
func TestADeliveryAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools")
	}
	for qos := range packet.QoS(2) {
		for _, subscribers := range []int{1, 100} {
			t.Run(fmt.Sprintf("QoS %d to %d", qos, subscribers), func(t *testing.T) {
				const batch = 50
				connect := startOnSocket(t, broker.Options{})
				pub := connect("pub")
				peers := make([]*socketPeer, subscribers)
				for i := range peers {
					peers[i] = connect(fmt.Sprintf("c%d", i))
					peers[i].subscribe(byte(qos))
				}
				var out, acks []byte
				for i := range batch {
					out = append(out, message(qos, uint16(i+1), make([]byte, 64))...)
					acks = packet.AppendAck(acks, packet.PUBACK, 0)
				}
				in, size := make([]byte, len(out)), len(out)/batch
				each := testing.AllocsPerRun(20, func() {
					pub.send(out)
					if qos > 0 {
						_, _ = io.ReadFull(pub.nc, in[:len(acks)])
					}
					for _, p := range peers {
						if _, err := io.ReadFull(p.nc, in); err != nil {
							t.Fatal(err)
						}
						for i := range batch { // a packet is 0x32, length, topic name, identifier
							copy(acks[4*i+2:], in[size*i+5:size*i+7])
						}
						if qos > 0 {
							p.send(acks)
						}
					}
				}) / float64(batch*subscribers)
				t.Logf("%.4f allocations for a delivery", each)
				if each > 0.1 {
					t.Errorf("%.3f allocations for a delivery, want 0.1 at most", each)
				}
			})
		}
	}
}

// TestASlowReaderGetsEverything: what the socket does not take at once is sent later,
// in order.
func TestASlowReaderGetsEverything(t *testing.T) {
	t.Parallel()
	for _, subscribers := range []int{1, 3} {
		t.Run(fmt.Sprint(subscribers, " subscribers"), func(t *testing.T) {
			const n = 3000 // of 1 kB, more than a socket holds and less than a queue
			connect := startOnSocket(t, broker.Options{QueueMessages: 2 * n})
			pub := connect("pub")
			peers := make([]*socketPeer, subscribers)
			for i := range peers {
				peers[i] = connect(fmt.Sprintf("c%d", i))
				peers[i].subscribe(0)
			}
			payload := make([]byte, 1000)
			for i := range uint32(n) {
				binary.BigEndian.PutUint32(payload, i)
				pub.send(message(0, 0, payload))
			}
			pub.send([]byte{0xc0, 0})
			pub.expect([]byte{0xd0, 0}) // the broker has received everything
			for _, p := range peers {
				for i := range uint32(n) {
					binary.BigEndian.PutUint32(payload, i)
					p.expect(message(0, 0, payload))
				}
			}
		})
	}
}

// TestPacketsInPieces: packets of all sizes, cut at arbitrary places, arrive unchanged.
func TestPacketsInPieces(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 100, 4000, 4090, 4100, 5000, 16_000, 65_000, 65_536, 70_000, 300_000, 10, 2_000_000, 0}
	for _, piece := range []int{1, 7, 1000, 4096, 65_536, 100_000} {
		t.Run(fmt.Sprint(piece, " bytes"), func(t *testing.T) {
			t.Parallel()
			connect := startOnSocket(t, broker.Options{})
			p := connect("a")
			p.subscribe(0)
			var all []byte
			for i, size := range sizes {
				if piece > 100 || size <= 5000 {
					all = append(all, message(0, 0, bytes.Repeat([]byte{byte(i)}, size))...)
				}
			}
			wrote := make(chan error, 1)
			go func() {
				for b := all; len(b) > 0; {
					n, err := p.nc.Write(b[:min(piece, len(b))])
					if err != nil {
						wrote <- err
						return
					}
					b = b[n:]
				}
				wrote <- nil
			}()
			p.expect(all)
			if err := <-wrote; err != nil {
				t.Error(err)
			}
		})
	}
}

// BenchmarkDelivery is one message to one subscriber over sockets, in batches of a
// hundred. An operation is a message.
func BenchmarkDelivery(b *testing.B) {
	connect := startOnSocket(b, broker.Options{})
	pub, sub := connect("pub"), connect("sub")
	sub.subscribe(0)
	one := message(0, 0, make([]byte, 64))
	out := bytes.Repeat(one, 100)
	in := make([]byte, len(out))
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += 100 {
		k := min(100, b.N-n) * len(one)
		pub.send(out[:k])
		if _, err := io.ReadFull(sub.nc, in[:k]); err != nil {
			b.Fatal(err)
		}
	}
}

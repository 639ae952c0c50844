package broker_test

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// program is a fuzz input, interpreted as the actions of clients.
type program []byte

func (p *program) next() byte {
	if b := p.take(1); len(b) > 0 {
		return b[0]
	}
	return 0
}

func (p *program) take(n byte) []byte {
	b := (*p)[:min(int(n), len(*p))]
	*p = (*p)[len(b):]
	return b
}

// fuzzClient is a client that a program drives.
type fuzzClient struct {
	t      *testing.T
	b      *broker.Broker
	id     byte
	nc     net.Conn
	v      packet.Version
	fresh  bool         // nothing has been sent
	loose  *atomic.Bool // the meaning of the first packet is unknown
	reader sync.WaitGroup
}

func (c *fuzzClient) open(v packet.Version) {
	c.close()
	mine, theirs := net.Pipe()
	c.b.ServeConn(theirs)
	c.nc, c.v, c.fresh, c.loose = mine, v, true, new(atomic.Bool)
	loose := c.loose
	c.reader.Go(func() { c.read(mine, v, loose) })
}

func (c *fuzzClient) close() {
	if c.nc != nil {
		_ = c.nc.Close()
		c.reader.Wait()
		c.nc = nil
	}
}

// read checks that the broker sends only complete, legal packets.
func (c *fuzzClient) read(nc net.Conn, v packet.Version, loose *atomic.Bool) {
	in := make([]byte, 0, 4096)
	for {
		in = slices.Grow(in, 1)
		n, err := nc.Read(in[len(in):cap(in)])
		in = in[:len(in)+n]
		for len(in) > 0 && !loose.Load() {
			f, n, err := packet.Split(in, v, 0)
			if err == nil && n == 0 {
				break
			}
			p := serverPacket(f.Type)
			if err == nil && p != nil {
				err = p.Parse(f, v)
			}
			if err != nil || p == nil {
				c.t.Errorf("client %c got % x: %v", c.id, in, err)
				loose.Store(true)
				break
			}
			in = slices.Delete(in, 0, n)
		}
		if loose.Load() {
			in = in[:0]
		}
		if err != nil {
			return
		}
	}
}

// serverPacket returns an empty packet of a type that a server may send, else nil.
func serverPacket(t packet.Type) packet.Packet {
	switch t {
	case packet.CONNACK:
		return new(packet.Connack)
	case packet.PUBLISH:
		return new(packet.Publish)
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		return new(packet.Ack)
	case packet.SUBACK, packet.UNSUBACK:
		return new(packet.Suback)
	case packet.PINGRESP:
		return new(packet.Ping)
	case packet.DISCONNECT:
		return new(packet.Disconnect)
	}
	return nil
}

var (
	fuzzFilters = []string{"t", "#", "+", "u/#", "$share/g/t", "$share/g/#", "$SYS/#", "u/+", "t#"}
	fuzzTopics  = []string{"t", "u/1", "$x", "$SYS/t", "u/+"}
)

// packet builds a packet; CONNECT opens a new connection for it.
func (c *fuzzClient) packet(p *program, op byte) []byte {
	pack := func(first byte, parts ...[]byte) []byte {
		body := slices.Concat(parts...)
		return append([]byte{first, byte(len(body))}, body...)
	}
	str := func(s string) []byte { return append([]byte{0, byte(len(s))}, s...) }
	connect := func(v packet.Version, flags byte, more ...[]byte) []byte {
		c.open(v)
		return pack(0x10, str("MQTT"), []byte{byte(v), flags, 0, 0}, slices.Concat(more...))
	}
	id, none := str(string(c.id)), []byte(nil) // none: an empty property block
	if c.v == packet.V5 {
		none = []byte{0}
	}
	arg := op >> 4
	switch op & 15 {
	case 0:
		return connect(packet.V311, arg&2, id)
	case 1: // a session, a receive maximum, a maximum packet size, topic aliases
		return connect(packet.V5, arg&2, []byte{16, 0x11, 0, 0, 0, p.next(), 0x21, 0, 1 + arg, 0x27, 0, 0, 0, 20 + 8*arg, 0x22, 0, arg}, id)
	case 2: // a will, perhaps delayed
		return connect(packet.V5, 4|8*(arg%3)|2*(arg&1)|32*(arg>>3), []byte{5, 0x11, 0, 0, 0, 60}, id, []byte{5, 0x18, 0, 0, 0, arg}, str("t"), str("w"))
	case 3:
		return pack(0x82, []byte{0, 1 + arg}, none, str(fuzzFilters[int(p.next())%len(fuzzFilters)]), []byte{p.next() & 0x2f})
	case 4:
		return pack(0xa2, []byte{0, 1 + arg}, none, str(fuzzFilters[int(p.next())%len(fuzzFilters)]))
	case 5:
		return pack(0x30|arg&1, str(fuzzTopics[int(p.next())%len(fuzzTopics)]), none, p.take(p.next()&63))
	case 6, 7:
		return pack(0x30|(op&15-5)<<1|arg&9, str(fuzzTopics[int(p.next())%len(fuzzTopics)]), []byte{0, 1 + arg>>1}, none, p.take(p.next()&63))
	case 8: // with properties, and an alias that may stand for the topic
		return pack(0x32, str([]string{"t", ""}[arg&1]), []byte{0, 1 + arg, 22, 0x23, 0, arg & 3, 0x02, 0, 0, 0, p.next() & 3, 0x26, 0, 1, 'k', 0, 1, 'v', 0x08, 0, 1, 'r', 0x01, 1}, []byte("hi"))
	case 9:
		return pack([]byte{0x40, 0x50, 0x62, 0x70}[arg&3], []byte{0, p.next()})
	case 10:
		return pack(0xc0)
	default:
		if c.v == packet.V5 && arg > 0 {
			return pack(0xe0, []byte{arg})
		}
		return pack(0xe0)
	}
}

// step plays one operation of a program.
func (c *fuzzClient) step(p *program, op byte) {
	switch op & 15 {
	case 12:
		c.close()
	case 13:
		c.write(p.take(p.next()), true)
	case 14: // a packet with a wrong bit
		at, bit := int(p.next()), p.next()&7
		out := c.packet(p, p.next())
		out[at%len(out)] ^= 1 << bit
		c.write(out, true)
	case 15:
		time.Sleep(time.Duration(p.next()) * time.Second)
	default:
		c.write(c.packet(p, op), false)
	}
}

func (c *fuzzClient) write(b []byte, broken bool) {
	if c.nc == nil || len(b) == 0 {
		return
	}
	if c.fresh && (broken || b[0] != 0x10) {
		c.loose.Store(true)
	}
	c.fresh = false
	_, _ = c.nc.Write(b) // the broker may have closed
}

// FuzzClients has two clients that subscribe, publish, acknowledge, reconnect and break
// all rules, and a third one that must not be affected. The broker sends only legal
// packets, does not crash, counts correctly and leaves nothing behind.
func FuzzClients(f *testing.F) {
	for _, s := range []string{
		// two clients, a subscription, a message at QoS 1, PUBACK
		"\x00\x80\x03\x00\x01\x86\x00\x02hi\x09\x01",
		"\x01\x3c\x80\x03\x01\x02\x87\x00\x02hi\x19\x01\x39\x01\xa9\x01",
		// a session that waits
		"\x01\x3c\x03\x00\x02\x0c\x80\x86\x00\x02hi\x87\x00\x02ho\x0f\x05\x01\x3c\x19\x02",
		"\x02\x80\x83\x00\x00\x0c\x0f\x01", // a will
		// a shared subscription
		"\x01\x00\x81\x10\x03\x04\x01\x83\x04\x02\x86\x00\x00",
		"\x01\x3c\x08\x00\x18\x00\x28\x01\x38\x02\x80\x03\x00\x00\x88\x00",
		"\x00\x0e\x00\x03\x05\x00\x02hi\x80\x8d\x05\x30\x05\x00\x01t",
		"\x20\x15\x00\x05hello\x80\x83\x00\x01\x0b\x8a\x84\x00", // a retained message
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 1000 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			b := broker.New(broker.Options{MaxPacketSize: 1 << 12, QueueMessages: 4, QueueBytes: 2000, MaxQueuedBytes: 4000, MaxInflight: 3, Log: func(e broker.Event) {
				if e.Kind == broker.EventPanic {
					t.Error(e)
				}
			}})
			by := connectPipe(t, b)
			by.send(`10 16 0004 "MQTT" 04 02 0000 000a "bystanding"`)
			by.expect("{ok4}")
			by.send(`82 0f 0001 000a "bystanding" 01`)
			by.expect("90 03 0001 01")
			clients := [2]*fuzzClient{{t: t, b: b, id: 'a'}, {t: t, b: b, id: 'b'}}
			for p := program(in); len(p) > 0; {
				op := p.next()
				clients[op>>7].step(&p, op&0x7f)
			}
			by.send(`32 0f 000a "bystanding" 0002 "x"`)
			by.expect(`32 0f 000a "bystanding" 0001 "x" 40 02 0002`)
			by.send("40 02 0001 {ping}")
			by.expect("{pong}")
			time.Sleep(time.Minute) // past every timeout
			if st := b.Stats(); st.Clients > st.Connections || st.Clients > st.Sessions || st.Connections > 3 || st.Queued > 20_000 {
				t.Errorf("%+v", st)
			}
			for _, c := range clients { // a clean start ends what is left
				c.open(packet.V311)
				c.write([]byte("\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01"+string(c.id)+"\xe0\x00"), false)
				synctest.Wait()
				c.close()
			}
			_ = by.nc.Close()
			closeBroker(t, b)
			if st := b.Stats(); st.Clients+st.Connections != 0 || st.Sessions == 0 && st.Queued != 0 || st.Queued < 0 {
				t.Errorf("at the end: %+v", st)
			}
		})
	})
}

package broker_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// The log says which protocol a stranger seems to speak.
func TestStrangersAreRecognized(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	for _, c := range []struct{ first, says string }{
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS, and the port is one of plain MQTT"},
		{"GET / HTTP/1.1\r\n\r\n", "HTTP, and the port is one of plain MQTT"},
		{"SSH-2.0-OpenSSH\r\n", "SSH, and the port is one of plain MQTT"},
		{"PROXY TCP4 192.0.2.1 198.51.100.1 56324 1883\r\n", "PROXY, and the port is one of plain MQTT"},
		{"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a", "MQTT, and the port is one of TLS"},
		{"GET / HTTP/1.1\r\n\r\n", "HTTP, and the port is one of TLS"},
	} {
		var j journal
		cfg := certs.ServerConfig()
		if strings.Contains(c.says, "plain") {
			cfg = nil
		}
		_, addr := brokertest.StartOn(t, "127.0.0.1:0", cfg, broker.Options{Log: j.log})
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(nc, c.first)
		_, _ = io.Copy(io.Discard, nc) // a TLS alert at most
		_ = nc.Close()
		if got := j.of(broker.EventRejected); len(got) != 1 || !strings.HasSuffix(got[0], ": this looks like "+c.says) {
			t.Errorf("%q: logged %q", c.first, got)
		}
	}
}

// A subscriber that acknowledges nothing gets as many messages as there are packet
// identifiers, each with a different one, and then one for each that it acknowledges.
func TestAllPacketIdentifiersInFlight(t *testing.T) {
	t.Parallel()
	const all = 65534 // the engine reserves one
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{MaxInflight: 65535, QueueMessages: 1000, StallTimeout: time.Hour})
		defer closeBroker(t, b)
		sub, pub := connectPipe(t, b), connectPipe(t, b)
		sub.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "s"`)
		sub.expect("{ok4}")
		sub.send(`82 06 0001 0001 "t" 01`)
		sub.expect("90 03 0001 01")
		pub.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "p"`)
		pub.expect("{ok4}")
		go func() { _, _ = io.Copy(io.Discard, pub.nc) }()
		go func() {
			var out []byte
			for i := range all + 10 {
				out = append(out, 0x32, 5, 0, 1, 't', byte((i%65535+1)>>8), byte(i%65535+1))
			}
			_, _ = pub.nc.Write(out)
		}()
		var seen [1 << 16]bool
		one := make([]byte, 7)
		take := func() uint16 {
			t.Helper()
			if _, err := io.ReadFull(sub.nc, one); err != nil || !bytes.Equal(one[:5], []byte{0x32, 5, 0, 1, 't'}) {
				t.Fatalf("got % x, %v", one, err)
			}
			return binary.BigEndian.Uint16(one[5:])
		}
		for n := range all {
			id := take()
			if id == 0 || seen[id] {
				t.Fatalf("message %d has packet identifier %d again", n, id)
			}
			seen[id] = true
		}
		quiet := func() {
			t.Helper()
			_ = sub.nc.SetReadDeadline(time.Now().Add(time.Second))
			if n, err := sub.nc.Read(one); n > 0 {
				t.Fatalf("got % x, %v; want nothing, with %d in flight", one[:n], err, all)
			}
			_ = sub.nc.SetReadDeadline(time.Time{})
		}
		quiet()
		sub.send("40 02 7000")
		if id := take(); id != 0x7000 && seen[id] {
			t.Errorf("the next message has packet identifier %#04x, which is in use", id)
		}
		quiet()
		_, _ = sub.nc.Close(), pub.nc.Close()
		synctest.Wait()
	})
}

// memory returns the size of the process's heap and stacks.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

func TestTenThousandIdleConnections(t *testing.T) { // not parallel: it measures memory
	const n = 10_000
	b := broker.New(broker.Options{MaxConnections: n + 1, MaxSessions: n + 1})
	before := memory()
	var all [n]net.Conn
	for i := range all {
		mine, theirs := net.Pipe()
		b.ServeConn(theirs)
		all[i] = mine
		if _, err := mine.Write(fmt.Appendf([]byte("\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05"), "%05d", i)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(mine, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
	}
	each := (memory() - before) / n
	t.Logf("%d bytes for each connection", each)
	if each > 32<<10 {
		t.Errorf("%d bytes for each connection", each)
	}
	p := connectPipe(t, b)
	p.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "a" 82 06 0001 0001 "t" 00 30 04 0001 "tx"`)
	p.expect(`{ok4} 90 03 0001 00 30 04 0001 "tx"`)
	if st := b.Stats(); st.Clients != n+1 || st.Connections != n+1 {
		t.Errorf("%+v", st)
	}
	for _, nc := range all {
		_ = nc.Close()
	}
	_ = p.nc.Close()
	closeBroker(t, b)
	if st := b.Stats(); st.Clients+st.Connections+st.Sessions != 0 {
		t.Errorf("%+v", st)
	}
}

// Bytes that are announced but never arrive take no memory.
func TestAnnouncedBytesTakeNoMemory(t *testing.T) { // not parallel: it measures memory
	const n = 100
	b := broker.New(broker.Options{})
	before := memory()
	for i := range n {
		p := connectPipe(t, b)
		defer p.nc.Close()
		p.send(fmt.Sprintf(`10 0e 0004 "MQTT" 04 02 0000 0002 "%02d"`, i))
		p.expect("{ok4}")
		p.send(`30 f0ffff07 0001 "t" 1000*"x"`) // 16 MiB less a few bytes
	}
	if each := (memory() - before) / n; each > 128<<10 {
		t.Errorf("%d bytes for each", each)
	}
	closeBroker(t, b)
}

// whole is a conversation with something of everything in it.
const whole = `10 20 0004 "MQTT" 05 06 0000 05 11 0000003c 0001 "a" 05 18 00000000 0001 "w" 0002 "up" ` +
	`82 10 0001 00 000a "$share/g/t" 02 82 07 0002 00 0001 "u" 01 ` +
	`32 07 0001 "u" 0003 00 "x" 34 07 0001 "t" 0004 00 "x" 62 02 0004 31 06 0001 "r" 00 "rr" 31 04 0001 "r" 00 ` +
	`40 02 0001 50 02 0002 70 02 0002 a2 06 0005 00 0001 "u" {ping}`

// A connection may be closed after every byte, by FIN and by RST.
func TestAConnectionMayEndAfterEveryByte(t *testing.T) {
	t.Parallel()
	_, good := brokertest.Start(t)
	talk(t, good, `a> `+whole+`
		a< {ok5} 90 04 0001 00 02 90 04 0002 00 01 32 07 0001 "u" 0001 00 "x" 40 02 0003 34 07 0001 "t" 0002 00 "x" 50 02 0004
		a< 70 02 0004 62 02 0002 b0 04 0005 00 00 {pong}`)
	all := wireBytes(t, whole)
	for _, reset := range []bool{false, true} {
		var j journal
		b, addr := brokertest.StartWith(t, broker.Options{Log: j.log})
		for n := range len(all) + 1 {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = nc.Write(all[:n])
			if reset {
				_ = nc.(*net.TCPConn).SetLinger(0)
			}
			_ = nc.Close()
		}
		talk(t, addr, b5+`b> 82 09 0001 00 0003 "own" 01 {ping}
			b< 90 04 0001 00 01 {pong}`)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
		if st := b.Stats(); st.Connections+st.Clients != 0 {
			t.Errorf("%+v", st)
		}
	}
}

// A retained message that is deleted while it waits for a subscriber is still
// delivered: it was due when the subscription was made.
func TestARetainedMessageIsClearedWhileItWaits(t *testing.T) {
	t.Parallel()
	_, addr := brokertest.Start(t)
	talk(t, addr, b5+`
		b> 33 08 0003 "r/1" 0001 00 33 09 0003 "r/2" 0002 00 "x"
		b< 40 03 0001 10 40 03 0002 10
		b> 33 09 0003 "r/1" 0003 00 "x"
		b< 40 03 0003 10
		a> 10 11 0004 "MQTT" 05 02 0000 03 21 0001 0001 "a"
		a< {ok5}
		a> 82 09 0001 00 0003 "r/1" 01 82 09 0002 00 0003 "r/2" 01
		a< 90 04 0001 00 01 33 09 0003 "r/1" 0001 00 "x" 90 04 0002 00 01
		b> 33 08 0003 "r/1" 0004 00 33 08 0003 "r/2" 0005 00
		b< 40 02 0004 40 02 0005
		a> 40 02 0001
		a< 33 09 0003 "r/2" 0002 00 "x"
		a> 40 02 0002
		a< 32 08 0003 "r/1" 0003 00
		a> 40 02 0003
		a< 32 08 0003 "r/2" 0004 00
		a> 40 02 0004 82 09 0003 00 0003 "r/+" 01
		a< 90 04 0003 00 01
		a> {ping}
		a< {pong}`)
}

// Filters that share all their wildcards are matched quickly: a filter with a wildcard
// at each level does not double the work at each level.
func TestManyWildcardsTakeNoTime(t *testing.T) {
	t.Parallel()
	_, addr := brokertest.Start(t)
	const levels = 20
	p, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_ = p.SetDeadline(time.Now().Add(20 * time.Second))
	name := strings.TrimSuffix(strings.Repeat("a/", levels), "/")
	// 999 filters out of a and + at each level, which all match, and one more.
	out := wireBytes(t, `10 0d 0004 "MQTT" 04 02 0000 0001 "a"`)
	for i := range 1000 {
		filter := []byte(name)
		for bit := range 10 {
			if i>>bit&1 != 0 {
				filter[4*bit] = '+'
			}
		}
		out = append(out, 0x82, byte(5+len(filter)), 0, 1, 0, byte(len(filter)))
		out = append(append(out, filter...), 0)
	}
	pub := append([]byte{0x30, byte(2 + len(name)), 0, byte(len(name))}, name...)
	out = append(append(append(out, pub...), pub...), 0xc0, 0)
	go func() { _, _ = p.Write(out) }()
	want := append(wireBytes(t, "{ok4} 1000*9003000100"), append(append(bytes.Clone(pub), pub...), 0xd0, 0)...)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got % x, %v", got[max(n-10, 0):n], err)
	}
}

// A client that takes a byte a second is disconnected, and its session remains.
func TestAReaderOfAByteASecondIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		b := broker.New(broker.Options{Log: j.log})
		defer closeBroker(t, b)
		slow, pub := connectPipe(t, b), connectPipe(t, b)
		slow.send(`10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "s"`)
		slow.expect("{ok5}")
		slow.send(`82 07 0001 00 0001 "t" 01`)
		slow.expect("90 04 0001 00 01")
		pub.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "p"`)
		pub.expect("{ok4}")
		pub.send(`32 69 0001 "t" 0001 100*"x"`)
		pub.expect("40 02 0001")
		start, n := time.Now(), 0
		for one := make([]byte, 1); ; n++ {
			if _, err := slow.nc.Read(one); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if d := time.Since(start); d < 10*time.Second || d > 12*time.Second || n > 12 {
			t.Errorf("cut off after %v and %d bytes", d, n)
		}
		synctest.Wait()
		if got := j.of(broker.EventDisconnected); len(got) != 1 || got[0] != `"s" lost: it does not read` {
			t.Errorf("logged %q", got)
		}
		pub.send("{ping}")
		pub.expect("{pong}")
		if st := b.Stats(); st.Sessions != 2 {
			t.Errorf("%+v", st)
		}
		_ = pub.nc.Close()
		synctest.Wait()
	})
}

// A client that sends a byte a second is disconnected by its keep alive, and before
// CONNECT by the time limit.
func TestAWriterOfAByteASecondIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{})
		defer closeBroker(t, b)
		drip := func(p *pipePeer, script string) time.Duration {
			start, all, done := time.Now(), wireBytes(t, script), make(chan struct{})
			go func() {
				defer close(done)
				for _, c := range all {
					if _, err := p.nc.Write([]byte{c}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			rest, err := io.ReadAll(p.nc)
			took := time.Since(start)
			<-done
			if err != nil && !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			if len(rest) > 0 && !bytes.Equal(rest, []byte{0xe0, 1, 0x8d}) {
				t.Errorf("got % x", rest)
			}
			return took
		}
		if d := drip(connectPipe(t, b), `10 0d 0004 "MQTT" 04 02 0000 0001 "a"`); d != 5*time.Second {
			t.Errorf("CONNECT: cut off after %v", d)
		}
		p := connectPipe(t, b)
		p.send(`10 0e 0004 "MQTT" 05 02 000a 00 0001 "a"`)
		p.expect("{ok5}")
		if d := drip(p, `30 70 0001 "t" 00 100*"x"`); d != 15*time.Second {
			t.Errorf("PUBLISH: cut off after %v", d)
		}
		synctest.Wait()
	})
}

// An unfinished TLS handshake has the time limit of CONNECT.
func TestAHandshakeHasATimeLimit(t *testing.T) {
	t.Parallel()
	cfg := certtest.New(t).ServerConfig()
	for _, first := range []string{"", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"} {
		synctest.Test(t, func(t *testing.T) {
			var j journal
			b := broker.New(broker.Options{Log: j.log})
			defer closeBroker(t, b)
			mine, theirs := net.Pipe()
			b.ServeConn(tls.Server(theirs, cfg))
			_, _ = io.WriteString(mine, first)
			start := time.Now()
			if rest, _ := io.ReadAll(mine); time.Since(start) != 5*time.Second {
				t.Errorf("%q: cut off after %v with % x", first, time.Since(start), rest)
			}
			synctest.Wait()
			if got := j.of(broker.EventRejected); len(got) != 1 || !strings.Contains(got[0], "within the timeout") {
				t.Errorf("%q: logged %q", first, got)
			}
		})
	}
}

// Connections that come and go leave nothing behind.
func TestChurnLeavesNothing(t *testing.T) { // not parallel: it measures memory
	b := broker.New(broker.Options{})
	w := connectPipe(t, b)
	w.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "w"`)
	w.expect("{ok4}")
	round := func(n int) {
		for i := range n {
			p := connectPipe(t, b)
			p.send(fmt.Sprintf(`10 11 0004 "MQTT" 04 02 0000 0005 "%05d" 82 06 0001 0001 "t" 01 33 06 0001 "t" 0001 "x"`, i))
			p.expect("{ok4} 90 03 0001 01")
			p.send("e0 00")
			_, _ = io.Copy(io.Discard, p.nc)
			_ = p.nc.Close()
		}
	}
	round(100)
	before := memory()
	round(3000)
	if grown := memory() - before; grown > 8<<20 {
		t.Errorf("3000 connections leave %d KiB", grown>>10)
	}
	w.send("{ping}")
	w.expect("{pong}")
	_ = w.nc.Close()
	closeBroker(t, b)
	if st := b.Stats(); st.Sessions+st.Connections+st.Clients+st.Queued != 0 || st.Retained != 1 {
		t.Errorf("%+v", st)
	}
}

package e2e

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// rawPeer is a server of a few hand-written bytes, one connection of it.
type rawPeer struct {
	*net.TCPConn
	r  *bufio.Reader
	v5 bool
}

// next reads a packet: its first byte and its body.
func (p *rawPeer) next() (first byte, body []byte, ok bool) {
	first, err := p.r.ReadByte()
	if err != nil {
		return 0, nil, false
	}
	n := 0
	for shift := 0; ; shift += 7 {
		b, err := p.r.ReadByte()
		if err != nil {
			return 0, nil, false
		}
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	body = make([]byte, n)
	_, err = io.ReadFull(p.r, body)
	return first, body, err == nil
}

func (p *rawPeer) say(b ...byte) { _, _ = p.Write(b) }

// peer serves each connection, after CONNECT, with f, and returns the address.
func peer(t *testing.T, f func(p *rawPeer, connect []byte)) (args []string) {
	t.Helper()
	return at(accepting(t, func(c net.Conn) {
		p := &rawPeer{TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c)}
		if first, body, ok := p.next(); ok && first == 0x10 {
			p.v5 = body[6] == 5
			f(p, body)
		}
	}))
}

// accepting is a server that serves each connection with f, and its address.
func accepting(t *testing.T, f func(net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return ln.Addr().String()
}

func (p *rawPeer) connack() {
	if p.v5 {
		p.say(0x20, 3, 0, 0, 0)
	} else {
		p.say(0x20, 2, 0, 0)
	}
}

func TestASignalWhileAcknowledgementsAreDueEndsInTime(t *testing.T) {
	t.Parallel()
	published := make(chan struct{}, 1)
	addr := peer(t, func(p *rawPeer, _ []byte) {
		p.connack()
		for {
			first, _, ok := p.next()
			if !ok {
				return
			}
			if first>>4 == 3 {
				published <- struct{}{} // and no PUBACK
			}
			if first == 0xc0 {
				p.say(0xd0, 0)
			}
		}
	})
	r := start(t, strings.NewReader("a\n"), "mqpub", append(addr, "-l", "-q", "1", "-t", "t")...)
	<-published
	r.cancel(&cli.SignalError{Signal: syscall.SIGTERM})
	got := r.wait()
	if want := "terminated: 1 of 1 message not delivered: 1 unacknowledged"; got.code != 143 || !strings.Contains(got.err, want) {
		t.Errorf("code %d, %q; want 143 and %q", got.code, got.err, want)
	}
}

func TestAResetIsNoSuccess(t *testing.T) {
	t.Parallel()
	addr := peer(t, func(p *rawPeer, _ []byte) {
		p.connack()
		if first, _, _ := p.next(); first>>4 == 3 {
			_ = p.SetLinger(0)
		}
	})
	for _, args := range [][]string{{"-m", "a"}, {"-m", "a", "-q", "1"}, {"-l", "--no-reconnect"}} {
		got := run(t, "a\n", "mqpub", append(append(addr, "-t", "t"), args...)...)
		if got.code != 7 || !strings.Contains(got.err, "lost") {
			t.Errorf("%q: code %d, %q; want 7 and the loss", args, got.code, got.err)
		}
	}
}

func TestAMessageThatEndsConnectionsIsNotDenied(t *testing.T) {
	t.Parallel()
	addr := peer(t, func(p *rawPeer, _ []byte) {
		p.connack()
		for { // closes at what is no PINGREQ
			if first, _, ok := p.next(); !ok || first != 0xc0 {
				return
			}
			p.say(0xd0, 0)
		}
	})
	got := run(t, "a\n", "mqpub", append(addr, "-l", "-q", "1", "-t", "t", "--reconnect-delay", "10ms")...)
	if want := "1 of 1 message not delivered: 1 unacknowledged"; got.code != 7 || !strings.Contains(got.err, want) {
		t.Errorf("code %d, %q; want 7 and %q", got.code, got.err, want)
	}
}

func TestInputThatIsNotReadIsMentioned(t *testing.T) {
	t.Parallel()
	addr := peer(t, func(p *rawPeer, _ []byte) {
		p.connack()
		p.next() // the first message, then closes
	})
	got := run(t, strings.Repeat("line\n", 10_000), "mqpub", append(addr, "-l", "-q", "1", "-M", "1", "--no-reconnect", "-t", "t")...)
	if want := "; the rest of the input was not read"; got.code != 7 || !strings.Contains(got.err, want) {
		t.Errorf("code %d, %q; want 7 and %q", got.code, got.err, want)
	}
}

// Before 5.0 a session that no clean start begins is kept for ever; a stream
// that was meant to end its own leaves none.
func TestAStreamLeavesNoSessionOnOldBrokers(t *testing.T) {
	t.Parallel()
	flags := make(chan byte, 1)
	addr := peer(t, func(p *rawPeer, connect []byte) {
		if p.v5 {
			p.say(0x20, 2, 0, 1) // unacceptable protocol version
			return
		}
		flags <- connect[7]
		p.connack()
		for {
			first, body, ok := p.next()
			if !ok || first == 0xe0 {
				return
			}
			if first>>4 == 3 {
				p.say(0x40, 2, body[3], body[4])
			}
		}
	})
	ok(t, "a\n", "mqpub", append(addr, "-l", "-q", "1", "-t", "t")...)
	if f := <-flags; f&2 == 0 {
		t.Errorf("connect flags %08b: the session is not clean", f)
	}
}

// Live messages do not count, however many come.
func TestRetainedOnlyEndsAlsoUnderTraffic(t *testing.T) {
	t.Parallel()
	_, addr := brokertest.Start(t)
	c, err := mqtt.Dial(t.Context(), "mqtt://"+addr, &mqtt.Options{PublishOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for c.Publish(ctx, &mqtt.Message{Topic: "live", QoS: 1}) == nil {
		}
	}()
	defer func() { stop(); c.Abort(); <-done }()
	if got := run(t, "", "mqsub", append(at(addr), "-t", "#", "--retained-only", "-W", "20")...); got.code != 28 {
		t.Errorf("nothing retained: code %d, %q, want 28", got.code, got.err)
	}
	ok(t, "", "mqpub", append(at(addr), "-t", "kept", "-m", "x", "-r")...)
	if got := run(t, "", "mqsub", append(at(addr), "-t", "#", "--retained-only", "-W", "20")...); got.code != 0 || got.out != "x\n" {
		t.Errorf("one retained: code %d, %q, %q", got.code, got.out, got.err)
	}
}

// A broker before 5.0 cannot say how many messages at QoS 2 it takes, and
// mosquitto takes 20.
func TestFewMessagesAtQoS2AreOnTheWayToOldBrokers(t *testing.T) {
	t.Parallel()
	const window, total = 20, 30
	most := make(chan int, 1)
	addr := peer(t, func(p *rawPeer, _ []byte) {
		p.connack()
		open, done, answered := [][]byte{}, 0, 0
		for done < total {
			// What must come may take its time. Nothing more does without an answer.
			_ = p.SetReadDeadline(time.Time{})
			if answered == done && len(open) >= min(window, total-done) {
				_ = p.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			}
			first, body, ok := p.next()
			switch {
			case ok && first>>4 == 3:
				open = append(open, []byte{body[3], body[4]})
			case ok && first == 0x62:
				p.say(0x70, 2, body[0], body[1])
				done++
			default:
				if done == 0 {
					most <- len(open)
				}
				for _, id := range open {
					p.say(0x50, 2, id[0], id[1])
				}
				answered += len(open)
				open = nil
			}
		}
		_ = p.SetReadDeadline(time.Time{})
		p.next()
	})
	r := run(t, strings.Repeat("x\n", total), "mqpub", append(addr, "-l", "-q", "2", "-V", "311", "-t", "t")...)
	if n := <-most; r.code != 0 || r.err != "" || n != window {
		t.Errorf("%d at once, want %d; code %d, %q", n, window, r.code, r.err)
	}
}

// A broker that has lost its session uses packet identifiers again: every message
// is printed, and the loss is reported once.
func TestIdentifiersThatAreUsedAgainAreReported(t *testing.T) {
	t.Parallel()
	addr := peer(t, func(p *rawPeer, _ []byte) {
		p.connack()
		if _, body, ok := p.next(); !ok {
			return
		} else if p.v5 {
			p.say(0x90, 4, body[0], body[1], 0, 2)
		} else {
			p.say(0x90, 3, body[0], body[1], 2)
		}
		for _, c := range []byte("123") {
			if p.v5 {
				p.say(0x34, 7, 0, 1, 't', 0, 7, 0, c)
			} else {
				p.say(0x34, 6, 0, 1, 't', 0, 7, c)
			}
			p.next() // PUBREC
		}
		p.next() // DISCONNECT
	})
	for _, v := range []string{"5", "311"} {
		got := run(t, "", "mqsub", append(addr, "-V", v, "-q", "2", "-t", "t", "-C", "3")...)
		if n := strings.Count(got.err, "packet identifiers still in use"); got.code != 0 || got.out != "1\n2\n3\n" || n != 1 {
			t.Errorf("-V %s: code %d, printed %q, reported %d times: %q", v, got.code, got.out, n, got.err)
		}
	}
}

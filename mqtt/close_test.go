package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// overWebSocket makes WebSocket connections over loopback TCP.
func overWebSocket(t *testing.T) (dialFunc, func() *peer) {
	t.Helper()
	ln, err := transport.Listen(t.Context(), "ws://127.0.0.1:0/mqtt", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	target, err := transport.ParseURL("ws://" + ln.Addr().String() + "/mqtt")
	if err != nil {
		t.Fatal(err)
	}
	var d transport.Dialer
	return func(ctx context.Context) (net.Conn, error) { return d.Dial(ctx, target) }, func() *peer {
		nc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return &peer{t, nc}
	}
}

// eachStream runs f over every kind of stream.
func eachStream(t *testing.T, f func(t *testing.T, dial dialFunc, accept func() *peer)) {
	certs := certtest.New(t)
	for _, name := range []string{"TCP", "TLS", "WebSocket"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dial, accept := tcpPair(t)
			switch name {
			case "TLS":
				dial, accept = overTLS(certs, dial, accept)
			case "WebSocket":
				dial, accept = overWebSocket(t)
			}
			f(t, dial, accept)
		})
	}
}

// take reads n bytes, whatever they are.
func (p *peer) take(n int) {
	p.t.Helper()
	p.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.CopyN(io.Discard, p.nc, int64(n)); err != nil {
		p.t.Errorf("the client's bytes: %v", err)
	}
}

// Messages at QoS 0 are not acknowledged, but a server that ends the connection
// before it has read the DISCONNECT may not have read the message either.
func TestTheLastMessageIsInDoubtUnlessTheServerReadDisconnect(t *testing.T) {
	t.Parallel()
	const bye = 2 // bytes of DISCONNECT
	eachStream(t, func(t *testing.T, dial dialFunc, accept func() *peer) {
		for _, size := range []int{50_000, 700_000} { // in one write that the system takes as a whole, and in several
			total := 1 + 3 + 3 + size // bytes of PUBLISH
			for _, read := range []int{0, 1, 10, 64 << 10, 256<<10 - 1, 256 << 10, 256<<10 + 1, 512 << 10, total - 1, total, total + 1, total + bye} {
				if left := total + bye - read; left < 0 || left > 0 && left < 20<<10 && strings.HasSuffix(t.Name(), "TLS") {
					continue // data in the server's TLS buffers looks as if it had been read
				}
				for _, version := range []packet.Version{packet.V311, packet.V5} {
					name := fmt.Sprintf("%d bytes, read %d, %v", size, read, version)
					connect, connack, extra := connect4, connack4, 0
					if version == packet.V5 {
						connect, connack, extra = connect5, connack5, 1 // the property length of 0
					}
					c, p := connectedOver(t, dial, accept, Options{Version: version}, connect, connack)
					errs := make(chan error, 2)
					go func() {
						errs <- c.Publish(t.Context(), &Message{Topic: "t", Payload: make([]byte, size)})
						errs <- c.Close(t.Context())
					}()
					p.take(read + extra)
					whole := read == total+bye
					if size < 64<<10 && !whole {
						locked(t, c, func() bool { return c.farewell.bye || c.nc == nil }) // normally after 0.2 s
					}
					if end, ok := p.nc.(interface{ CloseWrite() error }); ok && whole {
						_ = end.CloseWrite()
						if strings.HasSuffix(t.Name(), "WebSocket") {
							_, _ = io.Copy(io.Discard, p.nc) // the Close frame
						}
					}
					p.nc.Close()
					published, err := <-errs, <-errs
					unwritten := c.Stats().Unwritten
					switch {
					case whole && (published != nil || err != nil || unwritten != 0):
						t.Errorf("%s: Publish %v, Close %v, %d unwritten; want success", name, published, err, unwritten)
					case !whole && published == nil && (!errors.Is(err, ErrInDoubt) || unwritten != 1):
						t.Errorf("%s: Close %v, %d unwritten; want ErrInDoubt and 1", name, err, unwritten)
					case !whole && published == nil && !errors.Is(c.Err(), ErrLost) && !strings.Contains(fmt.Sprint(err), "1 message at QoS 0 may not have arrived"):
						t.Errorf("%s: Close %v, ended with %v", name, err, c.Err())
					}
				}
			}
		}
	})
}

// A server that closes its side and still reads has not answered the
// DISCONNECT.
func TestAServerThatClosedItsSideBeforeHasNotAnswered(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	if err := c.Publish(t.Context(), &Message{Topic: "t"}); err != nil {
		t.Fatal(err)
	}
	if err := p.nc.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	if err := c.Close(t.Context()); !errors.Is(err, ErrInDoubt) || c.Stats().Unwritten != 1 {
		t.Errorf("Close: %v, %+v, want ErrInDoubt and one message", err, c.Stats())
	}
}

func TestAResetAfterDisconnectProvesNothing(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V5}, connect5, connack5)
	errs := make(chan error, 1)
	for range 2 {
		if err := c.Publish(t.Context(), &Message{Topic: "t"}); err != nil {
			t.Fatal(err)
		}
	}
	p.expect("30 04 0001 74 00  30 04 0001 74 00")
	go func() { errs <- c.Close(t.Context()) }()
	p.expect(disconn)
	transport.Abort(p.nc)
	err := <-errs
	if !errors.Is(err, ErrInDoubt) || !strings.Contains(err.Error(), "close: in doubt: 2 messages at QoS 0 may not have arrived") || c.Stats().Unwritten != 2 {
		t.Errorf("Close: %v, %+v", err, c.Stats())
	}
}

// A server that sends nothing more has not shown that it read the last message.
func TestAServerThatNeverClosesLeavesTheLastMessageInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct {
			it      string
			message *Message
			answer  string
			within  time.Duration
			want    string
		}{
			{"nothing", nil, "", time.Second, ""},
			{"QoS 1 that is acknowledged", &Message{Topic: "t", QoS: 1}, "40 02 0001", time.Second, ""},
			{"QoS 0", &Message{Topic: "t"}, "", 5 * time.Second, "close: in doubt: 1 message at QoS 0 may not have arrived: the server did not close the connection after DISCONNECT"},
		} {
			ps := newPipes()
			clients := make(chan *Client, 1)
			go func() {
				c, err := connectOver(t.Context(), ps.dial, &Options{Version: packet.V311, ClientID: "a", KeepAlive: time.Hour})
				if err != nil {
					t.Error(err)
				}
				clients <- c
			}()
			p := &peer{t, <-ps.conns}
			p.expect("10 0d 0004 4d515454 04 02 0e10 0001 61")
			p.send(connack4)
			c := <-clients
			if m := row.message; m != nil {
				errs := make(chan error, 1)
				go func() { errs <- c.Publish(t.Context(), m) }()
				p.take(5 + 2*int(m.QoS))
				p.send(row.answer)
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
			errs := make(chan error, 1)
			start := time.Now()
			go func() { errs <- c.Close(context.Background()) }()
			p.expect(disconn)
			err := <-errs
			if took := time.Since(start); took != row.within {
				t.Errorf("%s: Close took %v, want %v", row.it, took, row.within)
			}
			if got := fmt.Sprint(err); row.want == "" && err != nil || row.want != "" && got != row.want {
				t.Errorf("%s: Close: %q, want %q", row.it, got, row.want)
			}
			if got, want := c.Stats().Unwritten, uint64(min(1, len(row.want))); got != want {
				t.Errorf("%s: %d unwritten, want %d", row.it, got, want)
			}
			p.nc.Close()
		}
	})
}

// Messages that Close did not wait for are counted as well.
func TestCloseSaysWhatItsContextLeftUnwritten(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	if err := c.Publish(t.Context(), &Message{Topic: "t", Payload: make([]byte, 20<<20)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := c.Close(ctx)
	if !errors.Is(err, ErrInDoubt) || !errors.Is(err, context.DeadlineExceeded) || c.Stats().Unwritten != 1 {
		t.Errorf("Close: %v, %+v, want ErrInDoubt with the context's error", err, c.Stats())
	}
	p.nc.Close()
}

// Close first refuses new messages, so that it does not wait for those.
func TestCloseTakesNoMoreMessages(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311, MaxInflight: 1}, connect4, connack4)
	if err := c.Send(t.Context(), &Message{Topic: "t", QoS: 1}, 0); err != nil {
		t.Fatal(err)
	}
	p.expect("32 05 0001 74 0001")
	waits := make(chan error, 1)
	go func() { waits <- c.Send(t.Context(), &Message{Topic: "t", QoS: 1}, 0) }()
	locked(t, c, func() bool { return len(c.waiters.windowWaiters) == 1 })
	errs := make(chan error, 1)
	go func() { errs <- c.Close(t.Context()) }()
	if err := <-waits; !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrClosed) {
		t.Errorf("a message that waited: %v, want ErrNotSent and ErrClosed", err)
	}
	if err := c.Publish(t.Context(), &Message{Topic: "t"}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrClosed) {
		t.Errorf("Publish: %v, want ErrNotSent and ErrClosed", err)
	}
	if _, err := c.Subscribe(t.Context(), Subscription{Filter: "t"}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrClosed) {
		t.Errorf("Subscribe: %v, want ErrNotSent and ErrClosed", err)
	}
	p.send("40 02 0001")
	p.expect(disconn)
	p.nc.Close()
	if err := <-errs; err != nil {
		t.Error(err)
	}
}

// gated delays the return of a Write until the test allows it, after the peer
// has received the bytes.
type gated struct {
	net.Conn
	shut atomic.Bool
	gate chan struct{}
	over context.Context // of a waiting Write
	end  context.CancelFunc
}

// gatedPipe returns a dialFunc for one gated connection.
func gatedPipe() (*gated, *pipes, dialFunc) {
	g, pipes := &gated{gate: make(chan struct{})}, newPipes()
	g.over, g.end = context.WithCancel(context.Background())
	return g, pipes, func(ctx context.Context) (nc net.Conn, err error) {
		g.Conn, err = pipes.dial(ctx)
		return g, err
	}
}

func (g *gated) Close() error {
	g.end()
	return g.Conn.Close()
}

func (g *gated) Write(p []byte) (int, error) {
	n, err := g.Conn.Write(p)
	if g.shut.Load() {
		select {
		case <-g.gate:
		case <-g.over.Done():
			return n, net.ErrClosed
		}
	}
	return n, err
}

// The DISCONNECT may be part of a batch of the writer, and the server's end may
// arrive before that write returns.
func TestADisconnectInABatchIsAnsweredByTheServersEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, pipes, dial := gatedPipe()
		c, p := connectedOver(t, dial, func() *peer { return pipes.accept(t) }, Options{Version: packet.V311}, connect4, connack4)
		g.shut.Store(true)
		if err := c.Send(t.Context(), &Message{Topic: "t"}, 0); err != nil {
			t.Fatal(err)
		}
		p.expect("30 03 0001 74")
		errs := make(chan error, 1)
		go func() { errs <- c.Close(t.Context()) }()
		synctest.Wait()
		g.gate <- struct{}{} // of the message
		p.expect(disconn)
		p.nc.Close()
		synctest.Wait() // the reader has seen that
		g.gate <- struct{}{}
		g.shut.Store(false)
		if err := <-errs; err != nil || c.Stats().Unwritten != 0 {
			t.Errorf("Close: %v, %d unwritten", err, c.Stats().Unwritten)
		}
	})
}

// Close does not wait for a server that has closed its side and reads no more.
func TestAServerThatEndsBeforeTheBatchIsReadIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, pipes, dial := gatedPipe()
		c, p := connectedOver(t, dial, func() *peer { return pipes.accept(t) }, Options{Version: packet.V311}, connect4, connack4)
		g.shut.Store(true)
		if err := c.Send(t.Context(), &Message{Topic: "t"}, 0); err != nil {
			t.Fatal(err)
		}
		p.expect("30 03 0001 74")
		errs := make(chan error, 1)
		go func() { errs <- c.Close(t.Context()) }()
		synctest.Wait()
		start := time.Now()
		p.nc.Close()
		<-c.done
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
		if err := <-errs; !errors.Is(err, ErrInDoubt) {
			t.Errorf("Close: %v", err)
		}
	})
}

// A proxy may close a connection cleanly when the server has died, and the
// stream does not show it: through a proxy, only a PINGRESP proves that a
// message has arrived.
func TestThroughAProxyItsEndProvesNothing(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		answer string // to PINGREQ
		want   error
	}{
		{"the server answers", "d0 00", nil},
		{"the server is gone", "", ErrInDoubt},
	} {
		for _, kind := range []string{"http", "socks5h"} {
			t.Run(kind+", "+row.name, func(t *testing.T) {
				t.Parallel()
				toProxy, accept := tcpPair(t)
				probe, err := toProxy(t.Context()) // for the address
				if err != nil {
					t.Fatal(err)
				}
				accept().nc.Close()
				at := probe.RemoteAddr().(*net.TCPAddr)
				probe.Close()
				d := transport.Dialer{Proxy: &transport.Proxy{Kind: kind, Host: at.IP.String(), Port: at.Port}}
				dial := func(ctx context.Context) (net.Conn, error) {
					return d.Dial(ctx, &transport.Target{Network: "tcp", Host: "broker", Port: 1883})
				}
				c, p := connectedOver(t, dial, func() *peer {
					p := accept()
					if kind == "http" {
						p.take(len("CONNECT broker:1883 HTTP/1.1\r\nHost: broker:1883\r\n\r\n"))
						_, _ = io.WriteString(p.nc, "HTTP/1.1 200 OK\r\n\r\n")
					} else {
						p.expect("05 01 00")
						p.send("05 00")
						p.expect("05 01 00 03 06 62726f6b6572 075b")
						p.send("05 00 00 01 00000000 0000")
					}
					return p
				}, Options{Version: packet.V311}, connect4, connack4)
				if err := c.Publish(t.Context(), &Message{Topic: "t"}); err != nil {
					t.Fatal(err)
				}
				closed := make(chan error, 1)
				go func() { closed <- c.Close(t.Context()) }()
				p.expect("30 03 0001 74 c0 00")
				if row.answer != "" {
					p.send(row.answer)
					p.expect(disconn)
				}
				p.nc.Close()
				lost := uint64(0)
				if row.want != nil {
					lost = 1
				}
				if err := <-closed; !errors.Is(err, row.want) || c.Stats().Unwritten != lost {
					t.Errorf("got %v, %d unwritten; want %v, %d", err, c.Stats().Unwritten, row.want, lost)
				}
			})
		}
	}
}

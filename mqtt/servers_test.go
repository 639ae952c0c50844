package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// town is a network in memory with several servers, by host.
type town struct {
	t      *testing.T
	mu     sync.Mutex // guards hosts
	hosts  map[string]*memtest.Network
	dialed []string // addresses, in order
	events []Event  // read after synctest.Wait
	c      *Client
	err    error
	done   chan struct{}
}

// inTown runs f with a client that connects to url, where servers run on hosts.
func inTown(t *testing.T, hosts []string, url string, o Options, f func(w *town)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &town{t: t, hosts: map[string]*memtest.Network{}, done: make(chan struct{})}
		for _, h := range hosts {
			w.hosts[h] = memtest.New()
		}
		o.Version, o.ClientID, o.KeepAlive = packet.V5, "a", NoKeepAlive
		o.OnEvent = func(e Event) { w.events = append(w.events, e) }
		o.Dial = func(ctx context.Context, to *transport.Target) (net.Conn, error) {
			w.dialed = append(w.dialed, to.String())
			if n := w.host(to.Host); n != nil {
				return n.Dial(ctx)
			}
			return nil, &transport.Error{Op: transport.OpConnect, Addr: to.Address(), Kind: transport.Refused}
		}
		go func() {
			w.c, w.err = Connect(t.Context(), url, &o)
			close(w.done)
		}()
		defer func() {
			for _, n := range w.hosts {
				n.Close()
			}
			if <-w.done; w.c != nil {
				w.c.Abort()
			}
		}()
		f(w)
	})
}

// host returns the network of a host, or nil.
func (w *town) host(name string) *memtest.Network {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hosts[name]
}

// open starts a server on a host.
func (w *town) open(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts[name] = memtest.New()
}

// accept accepts the next connection at a host.
func (w *town) accept(host string) *peer {
	w.t.Helper()
	nc, err := w.host(host).Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	p := &peer{w.t, nc}
	p.expect(connect5)
	return p
}

// saw checks which addresses were dialed, and which kinds of events came.
func (w *town) saw(dialed string, kinds ...EventKind) {
	w.t.Helper()
	synctest.Wait()
	if got := strings.Join(w.dialed, " "); got != dialed {
		w.t.Errorf("dialed %s, want %s", got, dialed)
	}
	var got []EventKind
	for _, e := range w.events {
		got = append(got, e.Kind)
	}
	if !slices.Equal(got, kinds) {
		w.t.Errorf("events %v, want %v", got, kinds)
	}
}

func TestTheNextServerIsTriedWhereOneIsNotReached(t *testing.T) {
	inTown(t, []string{"two"}, "mqtt://one", Options{Servers: []string{"mqtt://two:1884", "mqtt://three"}}, func(w *town) {
		w.accept("two").send(connack5)
		<-w.done
		w.saw("mqtt://one:1883 mqtt://two:1884", EventFailover)
		if got := w.c.Server().Address(); got != "two:1884" {
			t.Errorf("Server: %s", got)
		}
	})
}

func TestTheNextServerIsTriedWhereOneIsBusy(t *testing.T) {
	inTown(t, []string{"one", "two"}, "mqtt://one", Options{Servers: []string{"mqtt://two"}}, func(w *town) {
		w.accept("one").send("20 03 00 89 00 (server busy)")
		w.accept("two").send(connack5)
		<-w.done
		w.saw("mqtt://one:1883 mqtt://two:1883", EventFailover)
	})
}

func TestARefusalOfTheClientIsNotTriedElsewhere(t *testing.T) {
	inTown(t, []string{"one", "two"}, "mqtt://one", Options{Servers: []string{"mqtt://two"}}, func(w *town) {
		w.accept("one").send("20 03 00 86 00 (bad user name or password)")
		<-w.done
		w.saw("mqtt://one:1883")
		if !errors.Is(w.err, ErrRefused) || !errors.Is(w.err, packet.BadUserNameOrPassword) {
			t.Errorf("got %v", w.err)
		}
	})
}

func TestAReconnectBeginsWithTheServerThatAnsweredLast(t *testing.T) {
	inTown(t, []string{"two"}, "mqtt://one", Options{Servers: []string{"mqtt://two"}, Reconnect: atOnce}, func(w *town) {
		p := w.accept("two")
		p.send(connack5)
		<-w.done
		p.nc.Close()
		w.accept("two").send(connack5)
		w.saw("mqtt://one:1883 mqtt://two:1883 mqtt://two:1883", EventFailover, EventDown, EventUp)
	})
}

// With no server reached, the error is one that may pass: the policy for
// retries depends on it.
func TestTheErrorOfAllServersIsOneThatMayPass(t *testing.T) {
	broken := &transport.Error{Op: transport.OpTLS, Kind: transport.WrongHost}
	passing := &transport.Error{Op: transport.OpConnect, Kind: transport.Refused}
	for _, errs := range [][]error{{passing, broken}, {broken, passing}, {broken, passing, broken}} {
		n := 0
		_, err := Connect(t.Context(), "mqtt://a", &Options{Servers: []string{"mqtt://b", "mqtt://c"}[:len(errs)-1],
			Dial: func(context.Context, *transport.Target) (net.Conn, error) { n++; return nil, errs[n-1] }})
		if n != len(errs) || !errors.Is(err, ErrUnreached) || !errors.Is(err, transport.Refused) || Permanent(err) {
			t.Errorf("%v: %v after %d attempts", errs, err, n)
		}
	}
}

func TestTheCredentialsOfAURLAreForItsServer(t *testing.T) {
	for _, row := range []struct {
		opt  Options
		want [2]string // what CONNECT ends with, from the client identifier on
	}{
		{Options{}, [2]string{"0001 61 0001 75 0001 70", "0001 61 0001 76"}},
		{Options{Username: "x", Password: []byte("y")}, [2]string{"0001 61 0001 78 0001 79", "0001 61 0001 78 0001 79"}},
	} {
		var got []string
		row.opt.Servers, row.opt.ClientID, row.opt.Version, row.opt.KeepAlive = []string{"mqtt://v@two"}, "a", packet.V311, NoKeepAlive
		row.opt.Dial = func(context.Context, *transport.Target) (net.Conn, error) {
			mine, theirs := net.Pipe()
			go func() {
				b := make([]byte, 64)
				n, _ := theirs.Read(b)
				got = append(got, fmt.Sprintf("%x", b[12:n]))
				theirs.Write(unhex(t, "20 02 00 03 (server unavailable)"))
				theirs.Close()
			}()
			return mine, nil
		}
		_, err := Connect(t.Context(), "mqtt://u:p@one", &row.opt)
		if !errors.Is(err, packet.ServerUnavailable) || len(got) != 2 {
			t.Fatalf("got %v after %q", err, got)
		}
		for i, want := range row.want {
			if got[i] != strings.ReplaceAll(want, " ", "") {
				t.Errorf("server %d: credentials %s, want %s", i+1, got[i], want)
			}
		}
	}
}

func TestConnectIsToldWhatToConnectTo(t *testing.T) {
	dial := func(context.Context, *transport.Target) (net.Conn, error) { return nil, errors.New("dialed") }
	for _, row := range []struct {
		url  string
		opt  *Options
		says string
	}{
		{"", nil, "no server is given"},
		{"localhost", nil, "no scheme"},
		{"mqtt://a", &Options{Servers: []string{"mqtt://b", "http://c"}}, "unknown scheme"},
		{"mqtts://a", &Options{Dial: dial, TLS: &tls.Config{}}, "Options.TLS has no effect with Options.Dial"},
		{"mqtt://a", &Options{TLS: &tls.Config{}}, "Options.TLS has no effect"},
		{"mqtt://a", &Options{Dial: func(context.Context, *transport.Target) (net.Conn, error) { return nil, nil }}, "neither a connection nor an error"},
		{"", &Options{Dial: dial, Targets: []*transport.Target{{Network: "tcp", Host: "h", SRV: true}}}, "dialed"},
	} {
		c, err := Connect(t.Context(), row.url, row.opt)
		if c != nil || !errors.Is(err, ErrNotSent) || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%q: %v, want %q", row.url, err, row.says)
		}
	}
}

// The first connection is made as often as RetryFirst says, as long as the
// context allows.
func TestRetryFirst(t *testing.T) {
	t.Run("until the server is there", func(t *testing.T) {
		passwords := 0
		o := Options{RetryFirst: func(n int, err error) (time.Duration, bool) {
			if !errors.Is(err, ErrUnreached) {
				t.Errorf("asked about %v", err)
			}
			return time.Duration(n) * time.Second, true
		}, NewPassword: func(context.Context) ([]byte, error) { passwords++; return nil, errors.New("as before") }}
		inTown(t, nil, "mqtt://one", o, func(w *town) {
			start := time.Now()
			time.AfterFunc(5*time.Second, func() { w.open("one") })
			time.Sleep(5500 * time.Millisecond)
			w.accept("one").send(connack5)
			<-w.done
			w.saw("mqtt://one:1883 mqtt://one:1883 mqtt://one:1883 mqtt://one:1883", EventRetry, EventRetry, EventRetry)
			if took := time.Since(start); w.err != nil || took != 6*time.Second || passwords != 3 {
				t.Errorf("%v after %v with %d passwords", w.err, took, passwords)
			}
		})
	})
	t.Run("until the policy gives up", func(t *testing.T) {
		o := Options{RetryFirst: func(n int, _ error) (time.Duration, bool) { return time.Second, n < 3 }}
		inTown(t, nil, "mqtt://one", o, func(w *town) {
			<-w.done
			w.saw("mqtt://one:1883 mqtt://one:1883 mqtt://one:1883", EventRetry, EventRetry)
			if !errors.Is(w.err, ErrNotSent) || !errors.Is(w.err, transport.Refused) {
				t.Errorf("got %v", w.err)
			}
		})
	})
	t.Run("until the context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			start := time.Now()
			_, err := Connect(ctx, "mqtt://one", &Options{RetryFirst: func(int, error) (time.Duration, bool) { return time.Hour, true },
				Dial: func(context.Context, *transport.Target) (net.Conn, error) { return nil, errors.New("away") }})
			if !errors.Is(err, ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 90*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
}

func TestServerReferencesAreFollowedWhenAsked(t *testing.T) {
	const useTwo = "20 09 00 9c 06 1c 0003 74776f (use another server: two)"
	const moved = "20 09 00 9d 06 1c 0003 74776f (server moved: two)"
	follow := Options{FollowReferences: true, Reconnect: atOnce}
	t.Run("not unless asked", func(t *testing.T) {
		inTown(t, []string{"one", "two"}, "mqtt://one", Options{}, func(w *town) {
			w.accept("one").send(useTwo)
			<-w.done
			w.saw("mqtt://one:1883")
			var e *Error
			if !errors.As(w.err, &e) || e.Reason != packet.UseAnotherServer || e.Ref != "two" {
				t.Errorf("got %v", w.err)
			}
		})
	})
	t.Run("for now", func(t *testing.T) {
		inTown(t, []string{"one", "two"}, "mqtt://one", follow, func(w *town) {
			w.accept("one").send(useTwo)
			p := w.accept("two")
			p.send(connack5)
			<-w.done
			p.nc.Close()
			w.accept("one").send(connack5)
			w.saw("mqtt://one:1883 mqtt://two:1883 mqtt://one:1883", EventReferred, EventDown, EventUp)
		})
	})
	t.Run("for good", func(t *testing.T) {
		inTown(t, []string{"one", "two"}, "mqtt://one", follow, func(w *town) {
			w.accept("one").send(moved)
			p := w.accept("two")
			p.send(connack5)
			<-w.done
			p.nc.Close()
			w.accept("two").send(connack5)
			w.saw("mqtt://one:1883 mqtt://two:1883 mqtt://two:1883", EventReferred, EventDown, EventUp)
		})
	})
	t.Run("in a DISCONNECT", func(t *testing.T) {
		inTown(t, []string{"one", "two"}, "mqtt://one", Options{FollowReferences: true, Reconnect: Backoff(0, 0)}, func(w *town) {
			p := w.accept("one")
			p.send(connack5)
			<-w.done
			p.send("e0 08 9d 06 1c 0003 74776f (server moved: two)")
			w.accept("two").send(connack5)
			w.saw("mqtt://one:1883 mqtt://two:1883", EventReferred, EventDown, EventUp)
		})
	})
	t.Run("back to the list if there is no answer", func(t *testing.T) {
		inTown(t, []string{"one"}, "mqtt://one", follow, func(w *town) {
			w.accept("one").send(useTwo)
			w.accept("one").send(connack5)
			<-w.done
			w.saw("mqtt://one:1883 mqtt://two:1883 mqtt://one:1883", EventReferred, EventFailover)
		})
	})
	t.Run("not in a circle", func(t *testing.T) {
		inTown(t, []string{"two"}, "mqtt://two", Options{FollowReferences: true}, func(w *town) {
			for range 1 + maxReferences {
				w.accept("two").send(useTwo)
			}
			<-w.done
			if !errors.Is(w.err, packet.UseAnotherServer) {
				t.Errorf("got %v", w.err)
			}
		})
	})
}

// What a reference leaves open is taken from the server that sent it, and it
// never leads from TLS to an open connection (section 4.11).
func TestServerReferencesAreRead(t *testing.T) {
	for _, row := range []struct{ from, ref, want string }{
		{"mqtt://u:p@one:1000", "two", "mqtt://u:***@two:1883"},
		{"mqtts://one", "two three:1000", "mqtts://two:8883 mqtts://three:1000"},
		{"mqtt://one", "fe80::1 [fe80::2] [fe80::3]:1000", "mqtt://[fe80::1]:1883 mqtt://[fe80::2]:1883 mqtt://[fe80::3]:1000"},
		{"wss://one/broker", "two", "wss://two:443/broker"},
		{"unix:///run/socket", "two", "mqtt://two:1883"},
		{"mqtts://u@one", "mqtt://two mqtts://three wss://v@four/x", "mqtts://u@three:8883 wss://v@four:443/x"},
		{"mqtt://one", "mqtts://two", "mqtts://two:8883"},
		{"mqtt://one", "two/three a b:x http://c %", "mqtt://a:1883"},
		{"mqtt://one", "", ""},
	} {
		from, err := transport.ParseURL(row.from)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, to := range references(row.ref, from) {
			got = append(got, to.String())
		}
		if text := strings.Join(got, " "); text != row.want {
			t.Errorf("%q from %s: %s, want %s", row.ref, row.from, text, row.want)
		}
	}
}

// Options.TLS has certificates in memory, and verifies the host of the URL.
func TestTLSWithCertificatesInMemory(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	for _, row := range []struct {
		host string
		cfg  *tls.Config
		want error
	}{
		{"127.0.0.1", &tls.Config{RootCAs: certs.CAPool, Certificates: []tls.Certificate{certs.Client.TLS}}, nil},
		{"127.0.0.1", &tls.Config{RootCAs: certs.CAPool, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certs.Client.TLS, nil }}, nil},
		{"127.0.0.1", &tls.Config{RootCAs: certs.CAPool, ServerName: "elsewhere.example", Certificates: []tls.Certificate{certs.Client.TLS}}, transport.WrongHost},
		{"127.0.0.1", &tls.Config{RootCAs: certs.CAPool}, transport.ClientCertificateMissing},
		{"127.0.0.1", nil, transport.UnknownAuthority},
	} {
		ln, err := tls.Listen("tcp", "127.0.0.1:0", certs.MutualConfig())
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			defer nc.Close()
			b := make([]byte, 64)
			if n, _ := nc.Read(b); n > 0 {
				nc.Write([]byte{0x20, 2, 0, 0})
				nc.Read(b)
			}
		}()
		c, err := Connect(t.Context(), "mqtts://"+ln.Addr().String(), &Options{Version: packet.V311, TLS: row.cfg})
		if row.want == nil && err != nil || row.want != nil && !errors.Is(err, row.want) {
			t.Errorf("%+v: %v, want %v", row.cfg, err, row.want)
		}
		if c != nil {
			c.Abort()
		}
		ln.Close()
		<-served
	}
}

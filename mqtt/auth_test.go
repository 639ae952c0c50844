package mqtt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// twoSteps is an authentication by method M with one question: it sends 1, gets
// the question 2, answers 3, and expects 4 as the server's proof.
type twoSteps struct{}

func (twoSteps) Method() string { return "M" }

func (twoSteps) Start() ([]byte, error) { return []byte("1"), nil }

func (twoSteps) Continue(data []byte) ([]byte, error) {
	if string(data) != "2" {
		return nil, errors.New("unexpected question")
	}
	return []byte("3"), nil
}

func (twoSteps) Finish(data []byte) error {
	if string(data) != "4" {
		return errors.New("no proof")
	}
	return nil
}

func inTwoSteps(context.Context) (Authenticator, error) { return twoSteps{}, nil }

const (
	connectM  = "10 16 0004 4d515454 05 02 0000 08 15 0001 4d 16 0001 31 0001 61 (method M, data 1)"
	connackM  = "20 0b 00 00 08 15 0001 4d 16 0001 34 (method M, data 4)"
	reauthM   = "f0 0a 19 08 15 0001 4d 16 0001 31 (re-authenticate)"
	questionM = "f0 0a 18 08 15 0001 4d 16 0001 32 (continue)"
	answerM   = "f0 0a 18 08 15 0001 4d 16 0001 33 (continue)"
	successM  = "f0 0a 00 08 15 0001 4d 16 0001 34 (success)"
	unproved  = "e0 01 80 (unspecified error)"
	erring    = "e0 01 82 (protocol error)"
)

// It shows MQTT-3.1.2-30, MQTT-3.15.2-1, MQTT-4.12.0-3.
func TestEnhancedAuthentication(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it, question, answer, connack string
		bye                           string // the client's DISCONNECT
		says                          string // "" for success
		class                         error
	}{
		{"succeeds", questionM, answerM, connackM, "", "", nil},
		{"needs no method in CONNACK", questionM, answerM, "20 07 00 00 04 16 0001 34", "", "", nil},
		{"wants the server's proof", questionM, answerM, "20 03 00 00 00", unproved, "no proof", ErrAuthentication},
		{"is refused", "", "", "20 03 00 87 00", "", "not authorized", ErrRefused},
		{"ends at a strange question", "f0 0a 18 08 15 0001 4d 16 0001 39", "", "", unproved, "unexpected question", ErrAuthentication},
		{"ends at another method", "f0 0a 18 08 15 0001 4e 16 0001 32", "", "", erring, "MQTT-4.12.0-5", ErrNotSent},
		{"ends at another method of CONNACK", questionM, answerM, "20 0b 00 00 08 15 0001 4e 16 0001 34", erring, "MQTT-4.12.0-5", ErrNotSent},
		{"ends at success before CONNACK", successM, "", "", erring, "MQTT-4.12.0-2", ErrNotSent},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			client, p, err := authenticated(t, Options{Authenticate: inTwoSteps}, func(p *peer) {
				if c.question != "" {
					p.send(c.question)
				}
				if c.answer != "" {
					p.expect(c.answer)
				}
				if c.connack != "" {
					p.send(c.connack)
				}
				if c.bye != "" {
					p.expect(c.bye)
					p.expectEnd()
				}
			})
			if c.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				closed(t, client, p)
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || !errors.Is(err, c.class) {
				t.Errorf("got %v, want %q of class %v", err, c.says, c.class)
			}
		})
	}
}

// authenticated connects to a server that runs serve after CONNECT.
func authenticated(t *testing.T, opt Options, serve func(*peer)) (*Client, *peer, error) {
	t.Helper()
	dial, accept := tcpPair(t)
	opt.ClientID, opt.KeepAlive = "a", NoKeepAlive
	type result struct {
		c   *Client
		err error
	}
	done := make(chan result, 1)
	go func() {
		c, err := connectOver(t.Context(), dial, &opt)
		done <- result{c, err}
	}()
	p := accept()
	p.expect(connectM)
	serve(p)
	r := <-done
	return r.c, p, r.err
}

func TestAnUnaskedAuthenticationIsRefused(t *testing.T) {
	t.Parallel()
	dial, accept := tcpPair(t)
	errs := make(chan error, 1)
	go func() {
		_, err := connectOver(t.Context(), dial, &Options{ClientID: "a", KeepAlive: NoKeepAlive, Version: packet.V5})
		errs <- err
	}()
	p := accept()
	p.expect(connect5)
	p.send(questionM)
	p.expect(erring)
	if err := <-errs; err == nil || !strings.Contains(err.Error(), "MQTT-4.12.0-6") {
		t.Errorf("got %v, want MQTT-4.12.0-6", err)
	}
}

// An AUTH fills the buffer of the handshake to its last byte and has been
// handled: the next packet needs room.
func TestAnAuthOfTheHandshakesBuffer(t *testing.T) {
	t.Parallel()
	const size = 4096
	got := make(chan int, 1)
	c, p, err := authenticated(t, Options{Authenticate: func(context.Context) (Authenticator, error) { return anything{got: got}, nil }}, func(p *peer) {
		n := size - 3 - 1 - 2 - 4 - 3 // header, reason, length of the properties, method, head of the data
		p.send(fmt.Sprintf("f0 %02x %02x 18 %02x %02x 15 0001 4d 16 %04x ", (size-3)&0x7f|0x80, (size-3)>>7, (4+3+n)&0x7f|0x80, (4+3+n)>>7, n) +
			strings.Repeat("78", n))
		if g := <-got; g != n {
			t.Errorf("%d bytes of data, want %d", g, n)
		}
		p.expect("f0 06 18 04 15 0001 4d")
		p.send(connackM)
	})
	if err != nil {
		t.Fatal(err)
	}
	closed(t, c, p)
}

// anything starts like twoSteps and accepts everything.
type anything struct {
	twoSteps
	got chan int
}

func (a anything) Continue(data []byte) ([]byte, error) { a.got <- len(data); return nil, nil }
func (a anything) Finish([]byte) error                  { return nil }

// upM returns a client that has authenticated by M.
func upM(t *testing.T, opt Options) (*Client, *peer, func() *peer) {
	t.Helper()
	if opt.Authenticate == nil {
		opt.Authenticate = inTwoSteps
	}
	return connected(t, opt, connectM, connackM)
}

// reauthenticating starts a re-authentication and returns a channel for its
// outcome.
func reauthenticating(c *Client, ctx context.Context) <-chan error {
	errs := make(chan error, 1)
	go func() { errs <- c.Reauthenticate(ctx) }()
	return errs
}

// It shows MQTT-3.15.2-1, MQTT-4.12.0-5, MQTT-4.12.1-1.
func TestReauthenticate(t *testing.T) {
	t.Parallel()
	c, p, _ := upM(t, Options{})
	errs := reauthenticating(c, t.Context())
	p.expect(reauthM)
	if err := c.Reauthenticate(t.Context()); !errors.Is(err, ErrNotSent) || !strings.Contains(err.Error(), "in progress") {
		t.Errorf("the second at once: %v, want one in progress", err)
	}
	// Messages continue to flow in both directions.
	p.send("32 06 0001 74 0007 00 (PUBLISH, QoS 1)")
	b, err := c.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Ack(1)
	p.expect("40 02 0007")
	sent := make(chan error, 1)
	go func() { sent <- c.Publish(t.Context(), &Message{Topic: "t", QoS: 1}) }()
	p.expect("32 06 0001 74 0001 00")
	p.send(questionM)
	p.expect(answerM)
	p.send("40 02 0001")
	if err := <-sent; err != nil {
		t.Errorf("Publish in between: %v", err)
	}
	p.send(successM)
	if err := <-errs; err != nil {
		t.Errorf("got %v", err)
	}
	// A second time, with a server that asks nothing.
	errs = reauthenticating(c, t.Context())
	p.expect(reauthM)
	p.send(successM)
	if err := <-errs; err != nil {
		t.Errorf("got %v", err)
	}
	closed(t, c, p)
}

// It shows MQTT-4.12.1-2.
func TestReauthenticationThatFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it    string
		say   []string // packets of the server and the client, in turn
		bye   string   // the client's DISCONNECT
		is    []error
		says  string
		ended string // text of the error with which the client ends
	}{
		{"is refused by DISCONNECT", []string{"e0 09 87 07 1f 0004 6e6f7065 (not authorized, nope)"}, "", []error{ErrRefused, packet.NotAuthorized},
			"reauthenticate refused: not authorized (0x87): nope", "connection ended by the broker: not authorized (0x87): nope"},
		{"is refused after a question", []string{questionM, answerM, "e0 01 87"}, "", []error{ErrRefused, packet.NotAuthorized}, "not authorized", "not authorized"},
		{"ends with the connection", []string{""}, "", []error{ErrInDoubt, ErrLost}, "reauthenticate: in doubt: connection lost", "lost"},
		{"ends at a strange question", []string{"f0 0a 18 08 15 0001 4d 16 0001 39"}, unproved, []error{ErrInDoubt, ErrAuthentication}, "unexpected question",
			"re-authentication: unexpected question"},
		{"ends at a wrong proof", []string{"f0 0a 00 08 15 0001 4d 16 0001 39"}, unproved, []error{ErrInDoubt, ErrAuthentication}, "no proof", "no proof"},
		{"wants a proof from the shortest form too", []string{"f0 00"}, unproved, []error{ErrInDoubt, ErrAuthentication}, "no proof", "no proof"},
		{"ends at another method", []string{"f0 0a 18 08 15 0001 4e 16 0001 32"}, erring, []error{ErrInDoubt, packet.ProtocolError}, "MQTT-4.12.0-5", "MQTT-4.12.0-5"},
		{"ends at another method that succeeds", []string{"f0 0a 00 08 15 0001 4e 16 0001 34"}, erring, []error{ErrInDoubt, packet.ProtocolError}, "MQTT-4.12.0-5", "MQTT-4.12.0-5"},
		{"ends at a question without method", []string{"f0 06 18 04 16 0001 32"}, erring, []error{ErrInDoubt, packet.ProtocolError}, "method", "method"},
		{"ends at a server that wants it too", []string{reauthM}, erring, []error{ErrInDoubt, packet.ProtocolError}, "only a client", "only a client"},
		{"ends at a second question at once", []string{questionM + questionM}, erring, []error{ErrInDoubt, packet.ProtocolError}, "answers nothing", "answers nothing"},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			opt := Options{}
			if strings.Contains(c.says, "answers nothing") {
				// The second comes before any answer to the first.
				opt.Authenticate = func(ctx context.Context) (Authenticator, error) { return slow{ctx: ctx}, nil }
			}
			client, p, _ := upM(t, opt)
			errs := reauthenticating(client, t.Context())
			p.expect(reauthM)
			for i, s := range c.say {
				switch {
				case s == "":
					p.nc.Close()
				case i%2 == 0:
					p.send(s)
				default:
					p.expect(s)
				}
			}
			if c.bye != "" {
				p.expect(c.bye)
				p.expectEnd()
			}
			err := <-errs
			for _, is := range c.is {
				if !errors.Is(err, is) {
					t.Errorf("got %v, which is not %v", err, is)
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			<-client.Done()
			if err := client.Err(); err == nil || !strings.Contains(err.Error(), c.ended) {
				t.Errorf("the client ended with %v, want %q", err, c.ended)
			}
		})
	}
}

// slow is a twoSteps that answers when its context ends.
type slow struct {
	twoSteps
	ctx context.Context
}

func (s slow) Continue([]byte) ([]byte, error) { <-s.ctx.Done(); return nil, s.ctx.Err() }

func TestUnaskedAuthEndsTheConnection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ it, connect, connack, auth, rule string }{
		{"with a method in CONNECT", connectM, connackM, questionM, "MQTT-4.12.1"},
		{"after success", connectM, connackM, successM, "MQTT-4.12.1"},
		{"without a method in CONNECT", connect5, connack5, questionM, "MQTT-4.12.0-6"},
		{"in its shortest form", connect5, connack5, "f0 00", "MQTT-4.12.0-6"},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			opt := Options{Version: packet.V5}
			if c.connect == connectM {
				opt.Authenticate = inTwoSteps
			}
			client, p, _ := connected(t, opt, c.connect, c.connack)
			p.send(c.auth)
			p.expect(erring)
			p.expectEnd()
			<-client.Done()
			if err := client.Err(); !errors.Is(err, packet.ProtocolError) || !strings.Contains(err.Error(), c.rule) {
				t.Errorf("ended with %v, want %s", err, c.rule)
			}
		})
	}
}

// Where re-authentication is not allowed, nothing is sent and the connection
// stays.
//
// It shows MQTT-3.15.2-2, MQTT-3.15.2-3.
func TestReauthenticationThatIsNotBegun(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		it, connect, connack string
		opt                  Options
		ctx                  context.Context
		says                 string
	}{
		{"without enhanced authentication", connect5, connack5, Options{Version: packet.V5}, t.Context(), "MQTT-4.12.0-7"},
		{"before 5.0", connect4, connack4, Options{Version: packet.V311}, t.Context(), "needs MQTT 5.0"},
		{"when ctx has ended", connectM, connackM, Options{Authenticate: inTwoSteps}, ended, "context canceled"},
		{"when there is no authenticator", connectM, connackM, Options{Authenticate: once(nil, errors.New("no token"))}, t.Context(), "no token"},
		{"when it does not start", connectM, connackM, Options{Authenticate: once(stuck{}, nil)}, t.Context(), "does not start"},
		{"by another method", connectM, connackM, Options{Authenticate: once(other{}, nil)}, t.Context(), "MQTT-4.12.1-1"},
		{"beyond the server's maximum packet size", connectM, "20 0c 00 00 09 15 0001 4d 27 00000008", Options{Authenticate: func(context.Context) (Authenticator, error) { return anything{}, nil }},
			t.Context(), "a packet of 12 bytes is too large: at most 8 are accepted"},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			client, p, _ := connected(t, c.opt, c.connect, c.connack)
			if err := client.Reauthenticate(c.ctx); !errors.Is(err, ErrNotSent) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q, not sent", err, c.says)
			}
			closed(t, client, p)
			if err := client.Reauthenticate(c.ctx); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrClosed) {
				t.Errorf("after Close: got %v", err)
			}
		})
	}
}

// once returns twoSteps for the first connection, and then a and err.
func once(a Authenticator, err error) func(context.Context) (Authenticator, error) {
	var calls atomic.Int32
	return func(context.Context) (Authenticator, error) {
		if calls.Add(1) == 1 {
			return twoSteps{}, nil
		}
		return a, err
	}
}

type stuck struct{ twoSteps }

func (stuck) Start() ([]byte, error) { return nil, errors.New("does not start") }

type other struct{ twoSteps }

func (other) Method() string { return "N" }

// numbered authenticates with its number, from 1 on, and accepts everything.
func numbered(n *atomic.Int32) func(context.Context) (Authenticator, error) {
	return func(context.Context) (Authenticator, error) { return token{byte('0' + n.Add(1))}, nil }
}

type token struct{ n byte }

func (token) Method() string                  { return "M" }
func (a token) Start() ([]byte, error)        { return []byte{a.n}, nil }
func (token) Continue([]byte) ([]byte, error) { return nil, errors.New("a question") }
func (token) Finish([]byte) error             { return nil }

// A server that does not answer within the timeout has failed; the next
// connection authenticates from the start.
//
// It shows MQTT-4.12.1-2.
func TestReauthenticationThatIsGivenUp(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	c, p, accept := upM(t, Options{Authenticate: numbered(&n), Reconnect: atOnce})
	ctx, cancel := context.WithCancelCause(t.Context())
	errs := reauthenticating(c, ctx)
	p.expect("f0 0a 19 08 15 0001 4d 16 0001 32")
	cancel(errors.New("no answer"))
	p.expect(unproved)
	p.expectEnd()
	if err := <-errs; !errors.Is(err, ErrInDoubt) || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("got %v, want no answer", err)
	}
	p = accept()
	p.expect("10 16 0004 4d515454 05 02 0000 08 15 0001 4d 16 0001 33 0001 61")
	p.send(connackM)
	waitFor(t, func() bool { return c.Stats().Reconnects == 1 })
	// The new connection can be re-authenticated like the old one.
	errs = reauthenticating(c, t.Context())
	p.expect("f0 0a 19 08 15 0001 4d 16 0001 34")
	p.send(successM)
	if err := <-errs; err != nil {
		t.Error(err)
	}
	closed(t, c, p)
}

// Close ends a re-authentication with a normal DISCONNECT; an error code would
// publish the will.
func TestCloseDuringReauthentication(t *testing.T) {
	t.Parallel()
	c, p, _ := upM(t, Options{})
	errs := reauthenticating(c, t.Context())
	p.expect(reauthM)
	closed(t, c, p)
	if err := <-errs; !errors.Is(err, ErrClosed) || !errors.Is(err, ErrInDoubt) {
		t.Errorf("got %v, want closed", err)
	}
}

// The context of an Authenticator ends with the exchange.
func TestTheContextOfAnAuthenticatorEnds(t *testing.T) {
	t.Parallel()
	contexts := make(chan context.Context, 4)
	c, p, _ := upM(t, Options{Authenticate: func(ctx context.Context) (Authenticator, error) {
		contexts <- ctx
		if len(contexts) == 3 {
			return slow{ctx: ctx}, nil
		}
		return twoSteps{}, nil
	}})
	errs := reauthenticating(c, t.Context())
	p.expect(reauthM)
	p.send(successM)
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	errs = reauthenticating(c, t.Context())
	p.expect(reauthM)
	p.send(questionM) // the answer takes time
	p.nc.Close()
	if err := <-errs; !errors.Is(err, ErrLost) {
		t.Errorf("got %v, want the loss", err)
	}
	for range 3 {
		if (<-contexts).Err() == nil {
			t.Error("a context has not ended")
		}
	}
	<-c.Done()
}

// The server's answer follows messages that the application has not taken yet.
func TestReauthenticationWhileTheApplicationIsBehind(t *testing.T) {
	t.Parallel()
	c, p, _ := upM(t, Options{})
	for range 2 * queueLow {
		p.send("30 06 0001 74 00 7878")
		waitFor(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.inbox.waiting || len(c.inbox.queue) > 0 })
	}
	errs := reauthenticating(c, t.Context())
	p.expect(reauthM)
	p.send(strings.Repeat("30 06 0001 74 00 7878", 100) + successM)
	if err := <-errs; err != nil {
		t.Error(err)
	}
	for n := 0; n < 2*queueLow+100; {
		b, err := c.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n += len(b.Messages)
		b.Release()
	}
	closed(t, c, p)
}

// A server may end a connection whose token has expired; the client then
// authenticates from the start.
func TestAnExpiredAuthenticationIsRenewed(t *testing.T) {
	t.Parallel()
	for _, bye := range []string{"e0 01 98 (administrative action)", "e0 01 87 (not authorized)", "e0 01 a0 (maximum connect time)", "e0 01 87 (again)"} {
		t.Run(bye, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			events := make(chan Event, 8)
			c, p, accept := upM(t, Options{Authenticate: numbered(&n), Reconnect: Backoff(time.Millisecond, time.Millisecond),
				OnEvent: func(e Event) { events <- e }})
			p.send(bye)
			p = accept()
			p.expect("10 16 0004 4d515454 05 02 0000 08 15 0001 4d 16 0001 32 0001 61")
			p.send(connackM)
			if e := <-events; e.Kind != EventDown || errors.Is(e.Err, ErrExpired) != strings.Contains(bye, "87") {
				t.Errorf("event %+v", e)
			}
			waitFor(t, func() bool { return c.Stats().Reconnects == 1 })
			closed(t, c, p)
		})
	}
}

// "Not authorized" ends a client that cannot renew its authentication, and one
// that gets it repeatedly.
func TestNotAuthorizedIsNotExpiry(t *testing.T) {
	t.Parallel()
	policy := Backoff(time.Millisecond, time.Millisecond)
	t.Run("without enhanced authentication", func(t *testing.T) {
		t.Parallel()
		c, p, _ := connected(t, Options{Version: packet.V5, Reconnect: policy}, connect5, connack5)
		p.send("e0 01 87")
		<-c.Done()
		if err := c.Err(); !errors.Is(err, packet.NotAuthorized) || errors.Is(err, ErrExpired) {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("while it is being renewed", func(t *testing.T) {
		t.Parallel()
		c, p, _ := upM(t, Options{Reconnect: policy})
		errs := reauthenticating(c, t.Context())
		p.expect(reauthM)
		p.send("e0 01 87")
		<-c.Done()
		if err := c.Err(); !errors.Is(err, packet.NotAuthorized) || errors.Is(err, ErrExpired) {
			t.Errorf("ended with %v", err)
		}
		<-errs
	})
	t.Run("at every connection", func(t *testing.T) {
		t.Parallel()
		c, p, accept := upM(t, Options{Reconnect: policy})
		for range expiries {
			p.send("e0 01 87")
			p = accept()
			p.expect(connectM)
			p.send(connackM)
		}
		p.send("e0 01 87")
		<-c.Done()
		if err := c.Err(); !errors.Is(err, packet.NotAuthorized) || errors.Is(err, ErrExpired) {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("in CONNACK", func(t *testing.T) {
		t.Parallel()
		c, p, accept := upM(t, Options{Reconnect: policy})
		p.send("e0 01 87")
		p = accept()
		p.expect(connectM)
		p.send("20 03 00 87 00")
		<-c.Done()
		if err := c.Err(); !errors.Is(err, packet.NotAuthorized) || errors.Is(err, ErrExpired) {
			t.Errorf("ended with %v", err)
		}
	})
}

package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/mqsub"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/xdg-go/scram"
)

// guard adds enhanced authentication to a mochi server, with another SCRAM
// implementation than ours. The exchange before CONNACK runs in OnConnectAuthenticate.
type guard struct {
	broker.HookBase
	method string
	server *scram.Server
	tamper func(proof string) string // changes the server's proof; may be nil

	mu      sync.Mutex
	proofs  map[string]string                    // for CONNACK, by client ID
	running map[string]*scram.ServerConversation // re-authentications in progress, by client ID
	renewed chan string                          // user names that have re-authenticated
}

func (g *guard) ID() string { return "guard" }

func (g *guard) Provides(b byte) bool {
	return b == broker.OnConnectAuthenticate || b == broker.OnACLCheck || b == broker.OnAuthPacket || b == broker.OnPacketEncode
}

func (g *guard) OnACLCheck(*broker.Client, string, bool) bool { return true }

// say sends an AUTH.
func (g *guard) say(cl *broker.Client, reason packets.Code, data string) error {
	return cl.WritePacket(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Auth}, ReasonCode: reason.Code,
		Properties: packets.Properties{AuthenticationMethod: g.method, AuthenticationData: []byte(data)}})
}

func (g *guard) OnConnectAuthenticate(cl *broker.Client, pk packets.Packet) bool {
	if pk.Properties.AuthenticationMethod != g.method {
		return false
	}
	conv := g.server.NewConversation()
	answer, err := conv.Step(string(pk.Properties.AuthenticationData))
	if err != nil || g.say(cl, packets.CodeContinueAuthentication, answer) != nil {
		return false
	}
	var head packets.FixedHeader
	if cl.ReadFixedHeader(&head) != nil || head.Type != packets.Auth {
		return false
	}
	pk, err = cl.ReadPacket(&head)
	if err != nil || pk.ReasonCode != packets.CodeContinueAuthentication.Code || pk.Properties.AuthenticationMethod != g.method {
		return false
	}
	if answer, err = conv.Step(string(pk.Properties.AuthenticationData)); err != nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.proofs[cl.ID] = g.proof(answer)
	return conv.Valid()
}

func (g *guard) proof(s string) string {
	if g.tamper != nil {
		return g.tamper(s)
	}
	return s
}

// OnPacketEncode adds the method and the proof to CONNACK.
func (g *guard) OnPacketEncode(cl *broker.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type == packets.Connack && pk.ReasonCode == 0 {
		g.mu.Lock()
		pk.Properties.AuthenticationMethod, pk.Properties.AuthenticationData = g.method, []byte(g.proofs[cl.ID])
		g.mu.Unlock()
	}
	return pk
}

// OnAuthPacket is the server side of re-authentication (4.12.1).
func (g *guard) OnAuthPacket(cl *broker.Client, pk packets.Packet) (packets.Packet, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	conv := g.running[cl.ID]
	switch {
	case pk.Properties.AuthenticationMethod != g.method:
		return pk, packets.ErrProtocolViolation
	case pk.ReasonCode == packets.CodeReAuthenticate.Code && conv == nil:
		conv = g.server.NewConversation()
		g.running[cl.ID] = conv
	case pk.ReasonCode != packets.CodeContinueAuthentication.Code || conv == nil:
		return pk, packets.ErrProtocolViolation
	}
	answer, err := conv.Step(string(pk.Properties.AuthenticationData))
	switch {
	case err != nil:
		delete(g.running, cl.ID)
		return pk, packets.ErrNotAuthorized
	case !conv.Done():
		return pk, g.say(cl, packets.CodeContinueAuthentication, answer)
	}
	delete(g.running, cl.ID)
	select {
	case g.renewed <- conv.Username():
	default:
	}
	return pk, g.say(cl, packets.CodeSuccess, g.proof(answer))
}

// mochi starts a server and returns its address.
func mochi(t *testing.T, method string, accounts ...account) (*guard, *broker.Server, string) {
	t.Helper()
	g := &guard{method: method, server: scramServer(t, method, accounts...), proofs: map[string]string{},
		running: map[string]*scram.ServerConversation{}, renewed: make(chan string, 64)}
	s := broker.New(&broker.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := s.AddHook(g, nil); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddListener(listeners.NewNet("t", ln)); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return g, s, ln.Addr().String()
}

// as returns an Options.Authenticate that authenticates as a by SCRAM.
func as(method string, a account) func(context.Context) (mqtt.Authenticator, error) {
	return func(context.Context) (mqtt.Authenticator, error) { return auth.SCRAM(method, a.user, a.password) }
}

func dial(t *testing.T, addr string, opt mqtt.Options) (*mqtt.Client, error) {
	t.Helper()
	c, err := mqtt.Connect(t.Context(), "mqtt://"+addr, &opt)
	if err == nil {
		t.Cleanup(c.Abort)
	}
	return c, err
}

func TestSCRAMOverMQTTAgainstMochi(t *testing.T) {
	t.Parallel()
	a := account{"m\u00fcller=,", "p\u00e4ss, =2C"}
	for method := range hashes {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			g, _, addr := mochi(t, method, a)
			c, err := dial(t, addr, mqtt.Options{ClientID: "c", Authenticate: as(method, a)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Subscribe(t.Context(), mqtt.Subscription{Filter: "t", QoS: 1}); err != nil {
				t.Fatal(err)
			}
			// Messages are published during the re-authentications.
			const messages, renewals = 300, 10
			sent := make(chan error, 1)
			go func() {
				for i := range messages {
					if err := c.Publish(t.Context(), &mqtt.Message{Topic: "t", QoS: 1, Payload: fmt.Append(nil, i)}); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			renewed := make(chan error, 1)
			go func() {
				for range renewals {
					if err := c.Reauthenticate(t.Context()); err != nil {
						renewed <- err
						return
					}
				}
				renewed <- nil
			}()
			n := 0
			for m, err := range c.Messages(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				if want := fmt.Sprint(n); string(m.Payload) != want {
					t.Fatalf("message %q, want %q", m.Payload, want)
				}
				if n++; n == messages {
					break
				}
			}
			if err := <-sent; err != nil {
				t.Errorf("Publish: %v", err)
			}
			if err := <-renewed; err != nil {
				t.Errorf("Reauthenticate: %v", err)
			}
			for range renewals {
				if name := <-g.renewed; name != a.user {
					t.Errorf("renewed as %q, want %q", name, a.user)
				}
			}
			if err := c.Close(t.Context()); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

func TestMochiRefuses(t *testing.T) {
	t.Parallel()
	const method = "SCRAM-SHA-256"
	a := account{"user", "pencil"}
	_, _, addr := mochi(t, method, a)
	for it, authenticate := range map[string]func(context.Context) (mqtt.Authenticator, error){
		"a wrong password": as(method, account{a.user, "pen"}),
		"another user":     as(method, account{"resu", a.password}),
		"another method":   as("SCRAM-SHA-512", a),
		"no method":        nil,
	} {
		_, err := dial(t, addr, mqtt.Options{Version: packet.V5, Authenticate: authenticate})
		if !errors.Is(err, packet.BadUserNameOrPassword) || !mqtt.Permanent(err) {
			t.Errorf("%s: got %v, want a refusal", it, err)
		}
	}
}

// The password has changed since the connection was made: the server closes it.
func TestMochiRefusesToRenew(t *testing.T) {
	t.Parallel()
	const method = "SCRAM-SHA-256"
	a := account{"user", "pencil"}
	_, _, addr := mochi(t, method, a)
	proof := a
	c, err := dial(t, addr, mqtt.Options{Reconnect: mqtt.Backoff(time.Millisecond, time.Millisecond),
		Authenticate: func(ctx context.Context) (mqtt.Authenticator, error) { return as(method, proof)(ctx) }})
	if err != nil {
		t.Fatal(err)
	}
	proof.password = "old"
	if err := c.Reauthenticate(t.Context()); !errors.Is(err, mqtt.ErrRefused) || !errors.Is(err, packet.NotAuthorized) {
		t.Fatalf("got %v, want not authorized", err)
	}
	<-c.Done()
	if err := c.Err(); !errors.Is(err, packet.NotAuthorized) {
		t.Errorf("Err: got %v, want not authorized", err)
	}
}

// The client disconnects from a server that does not know the password.
func TestAMochiWithoutProof(t *testing.T) {
	t.Parallel()
	const method = "SCRAM-SHA-256"
	a := account{"user", "pencil"}
	g, _, addr := mochi(t, method, a)
	c, err := dial(t, addr, mqtt.Options{Authenticate: as(method, a)})
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	g.tamper = func(s string) string { return strings.ToLower(s) }
	g.mu.Unlock()
	if err := c.Reauthenticate(t.Context()); !errors.Is(err, mqtt.ErrAuthentication) {
		t.Fatalf("Reauthenticate: got %v, want %v", err, mqtt.ErrAuthentication)
	}
	<-c.Done()
	if _, err := dial(t, addr, mqtt.Options{Authenticate: as(method, a)}); !errors.Is(err, mqtt.ErrAuthentication) {
		t.Errorf("Connect: got %v, want %v", err, mqtt.ErrAuthentication)
	}
}

// After a server has closed a connection as not authorized, the client reconnects and
// authenticates again.
func TestMochiEndsAnAuthentication(t *testing.T) {
	t.Parallel()
	const method = "SCRAM-SHA-256"
	a := account{"user", "pencil"}
	_, s, addr := mochi(t, method, a)
	up := make(chan struct{}, 1)
	c, err := dial(t, addr, mqtt.Options{ClientID: "c", Authenticate: as(method, a), Reconnect: mqtt.Backoff(time.Millisecond, time.Millisecond),
		OnEvent: func(e mqtt.Event) {
			if e.Kind == mqtt.EventUp {
				up <- struct{}{}
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	if cl, ok := s.Clients.Get("c"); ok {
		_ = s.DisconnectClient(cl, packets.ErrNotAuthorized)
	}
	<-up
	if err := c.Reauthenticate(t.Context()); err != nil {
		t.Errorf("on the new connection: %v", err)
	}
}

// mqsub re-authenticates at the interval of --reauthenticate-every.
func TestMqsubRenewsAtMochi(t *testing.T) {
	t.Parallel()
	const method = "SCRAM-SHA-512"
	a := account{"user", "pencil"}
	g, _, addr := mochi(t, method, a)
	host, port, _ := net.SplitHostPort(addr)
	var out, talk strings.Builder
	done := make(chan int, 1)
	go func() {
		done <- cli.Run(t.Context(), cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk,
			Args: []string{"-h", host, "-p", port, "-t", "t", "-C", "1", "--auth", "scram-sha-512", "-u", a.user, "-P", a.password,
				"--reauthenticate-every", "100ms"}}, mqsub.Tool())
	}()
	for range 3 {
		select {
		case <-g.renewed:
		case code := <-done:
			t.Fatalf("status %d, %s", code, talk.String())
		}
	}
	pub, err := dial(t, addr, mqtt.Options{Authenticate: as(method, a)})
	if err != nil {
		t.Fatal(err)
	}
	if err := pub.Publish(t.Context(), &mqtt.Message{Topic: "t", Payload: []byte("hi"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code != 0 || out.String() != "hi\n" || talk.String() != "" {
		t.Errorf("status %d, %q, %q", code, out.String(), talk.String())
	}
}

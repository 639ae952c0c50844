package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/script"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// clientScripts reads the client's test conversations.
func clientScripts(t *testing.T) []*script.Script {
	t.Helper()
	paths, err := filepath.Glob("../scripts/client/*.yaml")
	if err != nil || len(paths) < 75 {
		t.Fatalf("%d scripts, %v", len(paths), err)
	}
	var all []*script.Script
	for _, path := range paths {
		s, err := script.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Command) == 0 { // those are for the tools
			all = append(all, s)
		}
	}
	return all
}

// actor makes a client perform the actions of a script.
type actor struct {
	dial    script.DialFunc
	version packet.Version
	c       *mqtt.Client
	batch   *mqtt.Batch // received messages
	next    int         // index in batch
}

// run performs all actions. The error names the position of the action that did
// not go as expected.
func (a *actor) run(ctx context.Context, actions []script.Action) error {
	for i := range actions {
		act := &actions[i]
		if a.c == nil && act.Verb != "connect" && act.Verb != "pause" {
			return fmt.Errorf("%s: %s without a client", act.Place, act.Verb)
		}
		for range act.Times {
			if err := checkAction(act, a.do(ctx, act)); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkAction compares an action's error with the expected one.
func checkAction(act *script.Action, err error) error {
	var ok bool
	switch act.Fails {
	case "":
		ok = err == nil
	case "refused":
		ok = errors.Is(err, mqtt.ErrRefused)
	case "not sent":
		ok = errors.Is(err, mqtt.ErrNotSent)
	case "in doubt":
		ok = errors.Is(err, mqtt.ErrInDoubt)
	case "kept":
		ok = errors.Is(err, mqtt.ErrKept)
	case "lost":
		ok = errors.Is(err, mqtt.ErrLost)
	default: // a reason code
		for r := range 256 {
			if reason := packet.ReasonCode(r); reason.String() == act.Fails && errors.Is(err, reason) {
				ok = true
			}
		}
	}
	switch {
	case ok:
		return nil
	case act.Fails == "":
		return fmt.Errorf("%s: %s: %w", act.Place, act, err)
	}
	return fmt.Errorf("%s: %s: got error %v, want it to fail: %s", act.Place, act, err, act.Fails)
}

func (a *actor) do(ctx context.Context, act *script.Action) error {
	switch act.Verb {
	case "connect":
		return a.connect(ctx, act)
	case "publish":
		p := act.Packet.(*packet.Publish)
		m := &mqtt.Message{Topic: string(p.Topic), Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, Properties: p.Properties}
		if act.Async {
			return a.c.Send(ctx, m, 0)
		}
		return a.c.Publish(ctx, m)
	case "subscribe":
		p := act.Packet.(*packet.Subscribe)
		var subs []mqtt.Subscription
		id, _ := p.Properties.Uint(packet.SubscriptionIdentifier)
		for _, s := range p.Subscriptions {
			subs = append(subs, mqtt.Subscription{Filter: string(s.Filter), QoS: s.Options.QoS(), ID: id,
				NoLocal: s.Options&packet.NoLocal != 0, RetainAsPublished: s.Options&packet.RetainAsPublished != 0, RetainHandling: mqtt.RetainHandling(s.Options >> 4 & 3)})
		}
		_, err := a.c.Subscribe(ctx, subs...)
		return err
	case "unsubscribe":
		var filters []string
		for _, f := range act.Packet.(*packet.Unsubscribe).Filters {
			filters = append(filters, string(f))
		}
		_, err := a.c.Unsubscribe(ctx, filters...)
		return err
	case "receive":
		return a.receive(ctx, act)
	case "ping":
		return a.c.Ping(ctx)
	case "disconnect":
		return a.c.Close(ctx, func(p *packet.Disconnect) { *p = *act.Packet.(*packet.Disconnect) })
	case "abort":
		a.c.Abort()
		return nil
	case "ended":
		select {
		case <-a.c.Done():
			return a.c.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	case "pause":
		time.Sleep(act.Span) // in a bubble
		return nil
	}
	return fmt.Errorf("%s: the test knows no action %q", act.Place, act.Verb)
}

// receive takes the next message, acknowledges it and compares it.
func (a *actor) receive(ctx context.Context, act *script.Action) error {
	for a.batch == nil || a.next == len(a.batch.Messages) {
		if a.batch != nil {
			a.batch.Release()
			a.batch = nil
		}
		b, err := a.c.Receive(ctx)
		if err != nil {
			return err
		}
		a.batch, a.next = b, 0
	}
	m := &a.batch.Messages[a.next]
	err := act.Check(&packet.Publish{Topic: []byte(m.Topic), Payload: m.Payload, QoS: m.QoS, Retain: m.Retain, Dup: m.Dup,
		PacketID: m.PacketID, Properties: m.Properties})
	a.next++
	a.batch.Ack(a.next)
	return err
}

func (a *actor) connect(ctx context.Context, act *script.Action) error {
	p := act.Packet.(*packet.Connect)
	o := &mqtt.Options{Version: a.version, ClientID: string(p.ClientID), Session: mqtt.Session{Resume: !p.CleanStart}, KeepAlive: time.Duration(p.KeepAlive) * time.Second,
		Properties: p.Properties, SendAliases: act.SendAliases, MaxInflight: act.MaxInflight}
	if seconds, has := p.Properties.Uint(packet.SessionExpiryInterval); has {
		o.Session.Expiry = time.Duration(seconds) * time.Second
		o.Properties = p.Properties.Without(nil, packet.SessionExpiryInterval)
	}
	o.NewClientID = o.ClientID == "" && o.Session.Expiry > 0
	if p.KeepAlive == 0 {
		o.KeepAlive = mqtt.NoKeepAlive
	}
	if act.Fallback {
		o.Version = 0
	}
	if p.HasUsername {
		o.Username = string(p.Username)
	}
	if p.HasPassword {
		o.Password = p.Password
	}
	if p.HasWill {
		o.Will = &mqtt.Will{Message: mqtt.Message{Topic: string(p.Will.Topic), Payload: p.Will.Payload, QoS: p.Will.QoS, Retain: p.Will.Retain,
			Properties: p.Will.Properties}}
	}
	if act.Reconnect > 0 {
		o.Reconnect = func(int, error) (time.Duration, bool) { return act.Reconnect, true }
	}
	o.Dial = func(ctx context.Context, _ *transport.Target) (net.Conn, error) { return a.dial(ctx) }
	c, err := mqtt.Connect(ctx, "mqtt://server.test", o)
	if err == nil {
		if a.c != nil {
			a.c.Abort()
		}
		a.c = c
	}
	return err
}

// perform plays a script to a client that performs its actions.
func perform(t *testing.T, s *script.Script, v packet.Version, ln net.Listener, dial script.DialFunc, patience time.Duration) {
	t.Helper()
	a := &actor{dial: dial, version: v}
	ctx, cancel := context.WithCancel(context.Background())
	acted := make(chan error, 1)
	go func() { acted <- a.run(ctx, s.Actions) }()
	err := s.Serve(t.Context(), ln, &script.Options{Version: v, Strict: true, Patience: patience})
	// The script's last packets may still be on their way to the client.
	limit := time.AfterFunc(patience, cancel)
	actErr := <-acted
	limit.Stop()
	cancel()
	if a.c != nil {
		a.c.Abort()
	}
	failed := errors.Join(err, actErr)
	switch {
	case failed != nil && s.KnownFailure == "":
		t.Error(failed)
	case failed == nil && s.KnownFailure != "":
		t.Errorf("%s: it passes, but is known to fail: %s", s.Path, s.KnownFailure)
	}
}

// TestScripts plays the brokers of scripts/client to the client, over pipes and
// in virtual time.
func TestScripts(t *testing.T) {
	t.Parallel()
	for _, s := range clientScripts(t) {
		for _, v := range s.Versions {
			if s.WebSocket {
				continue // these run over TCP
			}
			t.Run(strings.TrimSuffix(filepath.Base(s.Path), ".yaml")+"/"+v.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					m := memtest.New()
					perform(t, s, v, m, m.Dial, 5*time.Second)
				})
			})
		}
	}
}

// TestScriptsOverTCP plays the scripts that do not wait, and those below
// WebSocket, over sockets.
//
// It shows MQTT-4.2-1, and MQTT-7.1.2-1 of 3.1.1.
func TestScriptsOverTCP(t *testing.T) {
	t.Parallel()
	n := 0
	for _, s := range clientScripts(t) {
		if s.Waits() > 100*time.Millisecond || pauses(s) {
			continue
		}
		n++
		for _, v := range s.Versions {
			t.Run(strings.TrimSuffix(filepath.Base(s.Path), ".yaml")+"/"+v.String(), func(t *testing.T) {
				t.Parallel()
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				scheme := "mqtt://"
				if s.WebSocket {
					scheme = "ws://"
				}
				target, err := transport.ParseURL(scheme + ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				var d transport.Dialer
				perform(t, s, v, ln, func(ctx context.Context) (net.Conn, error) { return d.Dial(ctx, target) }, 20*time.Second)
			})
		}
	}
	if n < 30 {
		t.Errorf("only %d scripts do not wait", n)
	}
}

// pauses reports whether the actions or the client wait for time to pass.
func pauses(s *script.Script) bool {
	for i := range s.Actions {
		a := &s.Actions[i]
		if p, ok := a.Packet.(*packet.Connect); a.Span > 0 || a.Reconnect > 50*time.Millisecond || ok && p.KeepAlive > 0 {
			return true
		}
	}
	return false
}

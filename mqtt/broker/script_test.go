package broker_test

import (
	"bytes"
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/script"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// scripts reads all conversations that the broker is tested with.
func scripts(t *testing.T) []*script.Script {
	t.Helper()
	paths, err := filepath.Glob("../../scripts/broker/*.yaml")
	if err != nil || len(paths) < 75 {
		t.Fatalf("%d scripts, %v", len(paths), err)
	}
	all := make([]*script.Script, len(paths))
	for i, path := range paths {
		if all[i], err = script.Read(path); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// options returns the options that a script needs.
func options(t *testing.T, n *script.Needs) broker.Options {
	o := broker.Options{
		ReceiveMaximum: n.ReceiveMaximum, TopicAliasMaximum: n.TopicAliasMaximum, MaxPacketSize: n.MaximumPacketSize,
		MaxKeepAlive: n.MaximumKeepAlive, MaxSessionExpiry: n.MaximumExpiry, MaxConnections: n.MaximumClients,
		DisableRetain: n.NoRetain, DisableSharedGroups: n.NoShared, DisableWildcards: n.NoWildcards,
		ReasonStrings: true, // scripts check these limits
		Log: func(e broker.Event) {
			if e.Kind == broker.EventPanic {
				t.Error(e)
			}
		},
	}
	if n.MaximumQoS >= 0 {
		o.LimitQoS, o.MaximumQoS = true, packet.QoS(n.MaximumQoS)
	}
	if n.RefuseClientID != "" {
		o.Authenticate = func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
			if string(p.ClientID) == n.RefuseClientID {
				return packet.ClientIdentifierNotValid
			}
			return packet.Success
		}
	}
	if n.Username != "" {
		o.Authenticate = func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
			if string(p.Username) != n.Username || !bytes.Equal(p.Password, []byte(n.Password)) {
				return packet.BadUserNameOrPassword
			}
			return packet.Success
		}
	}
	if n.Deny != "" {
		o.Authorize = func(_, _, topic string, _ bool) bool { return topic != n.Deny }
	}
	return o
}

// compare compares the outcome of a script with what is known about it.
func compare(t *testing.T, s *script.Script, err error) {
	t.Helper()
	switch {
	case err != nil && s.KnownFailure == "":
		t.Error(err)
	case err == nil && s.KnownFailure != "":
		t.Errorf("%s: it passes, but is known to fail: %s", s.Path, s.KnownFailure)
	}
}

// TestScripts plays the clients of scripts/broker to the broker, over pipes and in
// virtual time.
func TestScripts(t *testing.T) {
	t.Parallel()
	for _, s := range scripts(t) {
		for _, v := range s.Versions {
			if s.WebSocket {
				continue // over TCP
			}
			t.Run(strings.TrimSuffix(filepath.Base(s.Path), ".yaml")+"/"+v.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					m := memtest.New()
					b := broker.New(options(t, &s.Needs))
					done := make(chan error, 1)
					go func() { done <- b.Serve(m) }()
					compare(t, s, s.Dial(t.Context(), m.Dial, &script.Options{Version: v, Strict: true}))
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
					defer cancel()
					if err := b.Close(ctx); err != nil {
						t.Errorf("the broker does not close: %v", err)
					}
					<-done
				})
			})
		}
	}
}

// TestScriptsOverTCP plays the scripts that do not wait, and those below WebSocket,
// over sockets.
//
// It shows MQTT-4.2-1, and MQTT-7.1.1-1 of 3.1.1.
func TestScriptsOverTCP(t *testing.T) {
	t.Parallel()
	n := 0
	for _, s := range scripts(t) {
		if s.Waits() > 100*time.Millisecond {
			continue
		}
		n++
		for _, v := range s.Versions {
			t.Run(strings.TrimSuffix(filepath.Base(s.Path), ".yaml")+"/"+v.String(), func(t *testing.T) {
				t.Parallel()
				addr := "127.0.0.1:0"
				if s.WebSocket {
					addr = "ws://127.0.0.1:0"
				}
				ln, err := transport.Listen(t.Context(), addr, nil)
				if err != nil {
					t.Fatal(err)
				}
				b := broker.New(options(t, &s.Needs))
				done := make(chan error, 1)
				go func() { done <- b.Serve(ln) }()
				dial := func(ctx context.Context) (net.Conn, error) {
					var d net.Dialer
					return d.DialContext(ctx, "tcp", ln.Addr().String())
				}
				compare(t, s, s.Dial(t.Context(), dial, &script.Options{Version: v, Strict: true, Patience: 20 * time.Second}))
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				if err := b.Close(ctx); err != nil {
					t.Errorf("the broker does not close: %v", err)
				}
				<-done
			})
		}
	}
	if n < 30 {
		t.Errorf("only %d scripts do not wait", n)
	}
}

// TestScriptsLeaveNothingBehind plays all scripts that have no special needs to one
// broker, one after the other.
func TestScriptsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := memtest.New()
		b := broker.New(broker.Options{})
		done := make(chan error, 1)
		go func() { done <- b.Serve(m) }()
		for _, s := range scripts(t) {
			if s.Needs != (script.Needs{MaximumQoS: -1}) || s.WebSocket {
				continue
			}
			for _, v := range s.Versions {
				compare(t, s, s.Dial(t.Context(), m.Dial, &script.Options{Version: v, CleanUp: true}))
				synctest.Wait()
				if st := b.Stats(); st.Sessions+st.Retained+st.Connections > 0 {
					t.Errorf("%s leaves %+v", s.Path, st)
				}
			}
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		<-done
	})
}

package connection

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Connection is what the options say about the broker and how to reach it.
// Tools adjust Options before they call Connect.
type Connection struct {
	Options    mqtt.Options
	Properties PacketProperties

	// Hold has the broker of --serve let clients wait until Admit: whoever finds
	// it there finds this one subscribed. It is set before Connect.
	Hold bool

	inv     *cli.Invocation
	ctx     context.Context // of what is run to find options
	targets []*transport.Target
	last    atomic.Int32 // the index of the target that answered last
	dialer  transport.Dialer
	proxies []*transport.Proxy // of the environment, one for each target; nil without
	reached bool               // a first connection was made
	needs   *option.Value      // what needs MQTT 5 where the version is open; nil without
	serving *server

	up       chan struct{}  // 1 slot: a connection was restored; nil unless somebody wants to know
	reused   bool           // it has been told that the broker uses packet identifiers again
	stop     func()         // ends what runs beside the client; nil when nothing does
	children sync.WaitGroup // what runs beside the client
}

// New reads and checks the connection options. The end of ctx ends the
// commands that it runs for them.
func New(ctx context.Context, inv *cli.Invocation) (*Connection, error) {
	return To(ctx, inv, nil)
}

// To is New to brokers that the options do not name; nil: those of the
// options.
func To(ctx context.Context, inv *cli.Invocation, brokers []*transport.Target) (*Connection, error) {
	c := &Connection{inv: inv, ctx: ctx, targets: brokers}
	for _, step := range []func() error{c.readTargets, c.readTLS, c.readWay, c.readVersion, c.readIdentity, c.readSession, c.readProperties, c.readWill} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Answered notes which of the targets has answered: errors are about it.
func (c *Connection) Answered(t *transport.Target) {
	if n := slices.Index(c.targets, t); n >= 0 {
		c.last.Store(int32(n))
	}
}

// Broker is the address that was reached last, for a heading.
func (c *Connection) Broker() string { return c.targets[c.last.Load()].Address() }

// Targets are the addresses of the broker; with --serve they are known when it
// serves.
func (c *Connection) Targets() []*transport.Target { return c.targets }

// Connect makes the first connection, again and again as far as --wait-for
// and --retry say. reconnect reports whether the tool wants lost connections
// restored when the user did not say.
func (c *Connection) Connect(ctx context.Context, reconnect bool) (*mqtt.Client, error) {
	v, o := c.inv.Values, &c.Options
	if v.Serve.IsSet() {
		if err := c.serve(ctx, nil); err != nil {
			return nil, err
		}
	}
	most := v.ReconnectDelay.Duration()
	backoff := mqtt.Backoff(min(500*time.Millisecond, most), most)
	if (reconnect || v.Retry.On()) && !v.NoReconnect.On() {
		o.Reconnect = c.retrying(backoff)
	}
	o.NewPassword = c.newPassword()
	if reconnect {
		c.inv.CatchSignals()
	} else {
		c.inv.BeginBriefly()
	}
	o.OnEvent = c.tell(o.OnEvent)
	switch {
	case c.inv.Trace != nil:
		o.Trace = c.inv.Trace
	case c.inv.Debugging():
		o.Trace = c.trace
	}
	deadline := time.Now().Add(v.WaitFor.Duration())
	for attempt := 1; ; attempt++ {
		client, err := mqtt.Connect(ctx, c.dial, o)
		if err == nil {
			c.reached = true
			c.connected()
			c.keepAuthenticated(client)
			return client, nil
		}
		if hasEnded(ctx) {
			return nil, context.Cause(ctx)
		}
		wait, again := backoff(attempt, err)
		left := time.Until(deadline)
		if !again || !v.Retry.On() && left <= 0 {
			return nil, c.connectError(err)
		}
		if !v.Retry.On() {
			wait = min(wait, left)
		}
		if refused, ok := errors.AsType[*mqtt.Error](err); ok && refused.Reason.Failed() && o.NewPassword != nil {
			if b, err := o.NewPassword(ctx); err == nil {
				o.Password = b
			}
		}
		if v.Retry.On() {
			c.inform("%v; retrying in %s", c.connectError(err), units.Short(wait.Round(100*time.Millisecond)))
		} else {
			c.inform("%v; retrying in %s (until %s, --wait-for)", c.connectError(err), units.Short(wait.Round(100*time.Millisecond)), deadline.Format(time.TimeOnly))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// hasEnded reports whether ctx has ended, or ends now: package net keeps its deadline
// by a timer of its own, which may be the first.
func hasEnded(ctx context.Context) bool {
	if deadline, has := ctx.Deadline(); has && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

// retrying returns the policy for connections that are lost. What the first connect
// takes for permanent is not so any more: a broker that has let this client in and
// refuses it now may have lost its users for a while. It is tried again for
// --retry-for, and for ever with --retry.
func (c *Connection) retrying(backoff func(int, error) (time.Duration, bool)) func(int, error) (time.Duration, bool) {
	limit, forever := c.inv.Values.RetryFor.Duration(), c.inv.Values.Retry.On()
	var since, latest time.Time // when such refusals in a row began, and the latest
	return func(attempt int, err error) (time.Duration, bool) {
		e, ok := errors.AsType[*mqtt.Error](err)
		letIn := ok && e.Op == "connection"
		if !mqtt.Permanent(err) || letIn && e.Reason != packet.NotAuthorized { // as when its password has expired
			since = time.Time{}
			return backoff(attempt, err)
		}
		now := time.Now()
		if since.IsZero() || letIn && now.Sub(latest) > limit { // and was up in between
			since = now
		}
		latest = now
		wait, _ := backoff(attempt, nil)
		return wait, forever || now.Sub(since)+wait <= limit
	}
}

// LeaveTime is how long a client may take to say goodbye.
const LeaveTime = 2 * time.Second

// Leave says goodbye for a client that has nothing left to lose. early tells
// that a signal or a time limit ended its work, for tools that then want the
// will to be published.
func (c *Connection) Leave(client *mqtt.Client, early bool) {
	ctx, cancel := context.WithTimeout(context.Background(), LeaveTime)
	defer cancel()
	c.inv.Service.Stopping()
	bye := c.Properties.Bye(client.Version())
	if early && client.Version() >= packet.V5 && c.inv.Habits().WillAtEnd {
		bye.Reason = packet.DisconnectWithWill
	}
	if err := client.CloseWith(ctx, &bye); Disapproved(err) {
		c.inv.Farewell = cli.Failed(option.ExitLost, bareError(err))
	}
}

// DiscardSession has the broker forget the session of a client that has ended, and
// warns if it may not have.
func (c *Connection) DiscardSession(client *mqtt.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), LeaveTime)
	defer cancel()
	if err := client.DiscardSession(ctx); err != nil {
		c.inv.Warnf("%s may still have the session of %q, until that connects clean: %v", c.Broker(), client.ClientID(), bareError(err))
	}
}

// Close ends what Connect started beside the client.
func (c *Connection) Close() {
	if c.stop != nil {
		c.stop()
	}
	c.children.Wait()
	c.StopServing()
}

// Admit lets clients of the broker of --serve in, if there is one that holds
// them.
func (c *Connection) Admit() {
	if c.serving != nil {
		c.serving.admit()
	}
}

// StopServing ends the broker of --serve, if it runs. Way begins another one.
func (c *Connection) StopServing() {
	if c.serving != nil {
		c.serving.close()
		c.serving = nil
	}
}

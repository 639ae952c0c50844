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
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Connection is the broker and the way to it, as the options describe them. Tools adjust
// Options before they call Connect.
type Connection struct {
	Options    mqtt.Options
	Properties PacketProperties

	// DeferClients makes the broker of --serve hold back clients until AcceptClients, so
	// that they find this client subscribed. It must be set before Connect.
	DeferClients bool
	// Patient makes the first connection be tried again like later ones, except after a
	// refusal, unless --no-reconnect is set. It must be set before Connect.
	Patient bool

	inv      *cli.Invocation
	ctx      context.Context // for what runs to obtain option values
	targets  []*transport.Target
	used     atomic.Pointer[transport.Target] // the server that was reached last; nil: none yet
	dialer   transport.Dialer
	deadline time.Time     // of the first connection
	reached  atomic.Bool   // a first connection was established
	needs    *option.Value // the option that needs MQTT 5 if the version is not fixed; nil: none
	serving  *server

	up       chan struct{}  // capacity 1: a connection was restored; nil if not needed
	reused   bool           // it was reported that the broker reuses packet identifiers
	stop     func()         // stops the goroutines that run along with the client; nil if there are none
	children sync.WaitGroup // the goroutines that run along with the client
}

// New reads and checks the connection options. When ctx is done, the commands that it runs
// for them are killed.
func New(ctx context.Context, inv *cli.Invocation) (*Connection, error) {
	return To(ctx, inv, nil)
}

// To is New for brokers that the options do not name; if brokers is nil, it uses those of
// the options.
func To(ctx context.Context, inv *cli.Invocation, brokers []*transport.Target) (*Connection, error) {
	c := &Connection{inv: inv, ctx: ctx, targets: brokers}
	c.Options.DropProperties = true // which properties have no effect is reported by fellBack
	for _, step := range []func() error{c.readTargets, c.readTLS, c.readWay, c.readVersion, c.readIdentity, c.readSession, c.readProperties, c.readWill} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Answered records the target that has answered, which errors then name if it is one of
// Targets.
func (c *Connection) Answered(t *transport.Target) {
	if slices.Contains(c.targets, t) {
		c.used.Store(t)
	}
}

// Target returns the target that was reached last, or the first one.
func (c *Connection) Target() *transport.Target {
	if t := c.used.Load(); t != nil {
		return t
	}
	return c.targets[0]
}

// Broker returns the address that was reached last, for a heading.
func (c *Connection) Broker() string { return c.Target().Address() }

// Targets returns the addresses of the broker; with --serve they are known when it is
// serving.
func (c *Connection) Targets() []*transport.Target { return c.targets }

// Connect makes the first connection, with as many attempts as --wait-for and --retry
// allow. reconnect is the default for restoring lost connections, if the user has not set
// it.
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
	o.OnEvent = c.reportEvents(o.OnEvent)
	switch {
	case c.inv.Trace != nil:
		o.Trace = c.inv.Trace
	case c.inv.DebugEnabled():
		o.Trace = c.trace
	}
	c.deadline = time.Now().Add(v.WaitFor.Duration())
	o.RetryFirst, o.FollowReferences = c.retryingFirst(backoff), v.FollowReferences.On()
	o.Targets, o.Dial = c.targets, c.dial
	client, err := mqtt.Connect(ctx, "", o)
	switch {
	case err == nil:
		c.reached.Store(true)
		c.connected()
		c.keepAuthenticated(client)
		return client, nil
	case hasEnded(ctx):
		return nil, context.Cause(ctx)
	}
	return nil, c.connectError(err)
}

// retryingFirst returns the policy for the first connection: --retry and --wait-for.
func (c *Connection) retryingFirst(backoff func(int, error) (time.Duration, bool)) func(int, error) (time.Duration, bool) {
	return func(attempt int, err error) (time.Duration, bool) {
		wait, again := backoff(attempt, err)
		if c.inv.Values.Retry.On() || c.waits() && !errors.Is(err, mqtt.ErrRefused) {
			return wait, again
		}
		left := time.Until(c.deadline)
		return min(wait, left), again && left > 0
	}
}

// waits reports whether the first connection is tried again without a limit because the
// tool asked for it.
func (c *Connection) waits() bool { return c.Patient && !c.inv.Values.NoReconnect.On() }

// hasEnded reports whether ctx is done or about to be: package net has its own timer for
// the same deadline, which may fire first.
func hasEnded(ctx context.Context) bool {
	if deadline, has := ctx.Deadline(); has && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

// retrying returns the policy for lost connections. Errors that are permanent at the first
// connect are not permanent here: a broker that has accepted this client and refuses it now
// may have lost its users for a while. Such errors are retried for --retry-for, and forever
// with --retry.
func (c *Connection) retrying(backoff func(int, error) (time.Duration, bool)) func(int, error) (time.Duration, bool) {
	limit, forever := c.inv.Values.RetryFor.Duration(), c.inv.Values.Retry.On()
	var since, latest time.Time // the first of such refusals in a row, and the latest
	return func(attempt int, err error) (time.Duration, bool) {
		e, ok := errors.AsType[*mqtt.Error](err)
		letIn := ok && e.Op == "connection"
		if !mqtt.Permanent(err) || letIn && e.Reason != packet.NotAuthorized { // such as an expired password
			since = time.Time{}
			return backoff(attempt, err)
		}
		now := time.Now()
		if since.IsZero() || letIn && now.Sub(latest) > limit { // the connection was up in between
			since = now
		}
		latest = now
		wait, _ := backoff(attempt, nil)
		return wait, forever || now.Sub(since)+wait <= limit
	}
}

// DisconnectTime is how long a client may take to disconnect.
const DisconnectTime = 2 * time.Second

// Disconnect closes the connection of a client that has nothing left to lose. early is set
// if a signal or a time limit ended its work, for tools that then want the will to be
// published.
func (c *Connection) Disconnect(client *mqtt.Client, early bool) {
	ctx, cancel := context.WithTimeout(context.Background(), DisconnectTime)
	defer cancel()
	c.inv.Service.Stopping()
	err := client.Close(ctx, c.Properties.Bye, func(bye *packet.Disconnect) {
		if early && c.inv.CompatBehavior().WillAtEnd {
			mqtt.PublishWill(bye)
		}
	})
	if Disapproved(err) {
		c.inv.Farewell = cli.Failed(option.ExitLost, bareError(err))
	}
}

// DiscardSession makes the broker discard the session of a client that has ended, and warns
// if that may have failed.
func (c *Connection) DiscardSession(client *mqtt.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), DisconnectTime)
	defer cancel()
	if err := client.DiscardSession(ctx); err != nil {
		c.inv.Warnf("%s may still have the session of %q, until that connects clean: %v", c.Broker(), client.ClientID(), bareError(err))
	}
}

// Close stops what Connect started along with the client.
func (c *Connection) Close() {
	if c.stop != nil {
		c.stop()
	}
	c.children.Wait()
	c.StopServing()
}

// AcceptClients accepts the clients of the broker of --serve, if it holds them back.
func (c *Connection) AcceptClients() {
	if c.serving != nil {
		c.serving.admit()
	}
}

// StopServing stops the broker of --serve, if it runs. Endpoints starts another one.
func (c *Connection) StopServing() {
	if c.serving != nil {
		c.serving.close()
		c.serving = nil
	}
}

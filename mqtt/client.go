package mqtt

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
)

// Client is a connection to a server. With Options.Reconnect it is restored
// when it is lost. Create a Client with Connect, and end it with Close.
type Client struct {
	opt   Options
	epoch time.Time
	ctx   context.Context // canceled when the client ends
	stop  context.CancelCauseFunc

	done   chan struct{} // closed when reader and writer have ended
	living atomic.Int32  // number of the two goroutines that are running
	rbuf   []byte        // bytes that followed CONNACK; used only by the goroutine that connects and reads

	eventScratch []Event // used only by the reader

	// mu guards everything below. It is never held across I/O, a channel
	// operation that can block, or a callback. Functions that require it end in
	// Locked; those that unlock it, for a time or finally, say so.
	mu           sync.Mutex
	conn         session.Conn
	sess         session.Session
	nc           net.Conn // nil while there is no connection
	gen          uint64   // counts connections
	sessionGen   uint64   // gen of the connection on which the server's session began
	fail         error    // why nc was given up, until the reader has seen it
	ended        error    // why the client ended; once set, nothing more is sent
	early        int      // connections in a row that were lost within 30 s
	timer        *time.Timer
	stats        Stats
	topicScratch []byte
	givenUp      []uint64 // tags of the messages that Options.InDoubt has just given up

	// The parts, each in a file with its methods. They do no locking: mu must
	// be held unless they say otherwise.
	agreed   agreement      // connect.go
	choice   choice         // version.go
	servers  servers        // servers.go
	auth     authentication // auth.go
	farewell farewell       // close.go
	out      output         // writer.go
	waiters  waiters        // waiter.go
	window   window         // window.go
	proof    proof          // ping.go
	subs     subscriptions  // ask.go
	inbox    inbox          // receive.go
	replies  replies        // request.go
	names    names          // reader.go
	doubt    doubt          // undeliverable.go
}

// highWater is the size of the output buffer, in bytes, at which publishing
// waits for the writer.
const highWater = 256 << 10

// Connect connects to the server of a URL, which is parsed by
// transport.ParseURL, and blocks until the server accepts the connection. url may
// be empty if the options name servers, and opt may be nil. ctx limits the first
// connection only, with the attempts that Options.RetryFirst adds.
//
// An error is an *Error: ErrRefused if the server refused, otherwise ErrNotSent
// with the cause, which matches ErrUnreached if no MQTT server was reached.
func Connect(ctx context.Context, url string, opt *Options) (*Client, error) {
	c := &Client{epoch: time.Now(),
		out: output{wakeWriter: make(chan struct{}, 1)}, inbox: inbox{readerGo: make(chan struct{}, 1)}, done: make(chan struct{})}
	if opt != nil {
		c.opt = *opt
	}
	if err := c.opt.check(); err != nil {
		return nil, &Error{Op: "connect", Class: ErrNotSent, Err: err}
	}
	if err := c.servers.read(url, &c.opt); err != nil {
		return nil, &Error{Op: "connect", Class: ErrNotSent, Err: err}
	}
	c.opt.defaults()
	c.agreed.version, c.agreed.clientID, c.window.size = c.opt.Version, c.opt.ClientID, c.opt.MaxInflight
	if err := c.restore(); err != nil {
		return nil, err
	}
	c.watchDoubt()
	c.choice.fixed = c.agreed.version != 0
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	c.out.patience.timer = time.AfterFunc(time.Hour, c.stalled)
	c.out.patience.timer.Stop()
	if err := c.firstConnection(ctx); err != nil {
		c.stop(ErrClosed)
		return nil, err
	}
	c.living.Store(2)
	go c.run()
	go c.write()
	return c, nil
}

// leave is called when the reader or the writer ends.
func (c *Client) leave() {
	if c.living.Add(-1) == 0 {
		close(c.done)
	}
}

func (c *Client) now() time.Duration { return time.Since(c.epoch) }

// Version returns the protocol version in use.
func (c *Client) Version() packet.Version {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agreed.version
}

// ClientID returns the client ID in use, which may have been assigned by the
// server.
func (c *Client) ClientID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agreed.clientID
}

// SessionPresent reports whether the server had a session at the latest
// connect. That may be a new one: a server that has lost the session says so in
// one CONNACK, and if the connection fails before that arrives, the next CONNACK
// reports the session that began then.
func (c *Client) SessionPresent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agreed.present
}

// ConnackProperties returns a copy of the properties of the latest CONNACK.
func (c *Client) ConnackProperties() packet.Properties {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(packet.Properties(nil), c.agreed.props...)
}

// Stats returns what the client has done so far.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.stats
	st.Unfinished = c.sess.Open()
	return st
}

// Done returns a channel that is closed when the client has ended, by Close or
// because the connection was lost for good. Err then returns the reason.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns nil while the client is running, ErrClosed after Close, and
// otherwise why the client ended.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// eventOutcome is the kind of an event for Options.OnOutcome.
const eventOutcome EventKind = 0

func (c *Client) event(e Event) {
	if e.Kind == eventOutcome {
		c.opt.OnOutcome(e.Tag, e.Err)
		return
	}
	if c.opt.OnEvent != nil {
		c.opt.OnEvent(e)
	}
}

// breakConn gives up connection gen because of err; the reader does the rest.
func (c *Client) breakConn(gen uint64, err error) {
	c.mu.Lock()
	var nc net.Conn
	if c.gen == gen && c.nc != nil {
		c.failLocked(err)
		nc = c.nc
	}
	c.mu.Unlock()
	if nc != nil {
		nc.Close()
	}
}

// failLocked sets err as the reason for giving up the connection, unless there
// is one already or the client itself has closed the connection.
func (c *Client) failLocked(err error) {
	if c.fail == nil && c.ctx.Err() == nil {
		c.fail = err
	}
}

// tick runs when a protocol deadline may have passed.
func (c *Client) tick() {
	c.mu.Lock()
	if c.nc == nil || c.ended != nil {
		c.mu.Unlock()
		return
	}
	gen, nc := c.gen, c.nc
	err := c.tickLocked()
	if err != nil {
		c.conn.Fail(err)
		err = &Error{Op: "connection", Class: ErrInDoubt, Err: err}
		c.failLocked(err) // takes precedence over any error the reader sees until the close
		c.mu.Unlock()
		c.lastWords(gen, nc, true)
		c.breakConn(gen, err)
		return
	}
	wake := c.wakeLocked()
	c.mu.Unlock()
	c.out.wake(wake)
}

// tickLocked passes the time to the session and sets the timer for its next
// deadline.
func (c *Client) tickLocked() error {
	before, now := c.conn.Pending(), c.now()
	if c.out.writing && (c.out.pingUnder || c.conn.PingWaits()) {
		// The server cannot answer what it has not received. Whether it accepts
		// what is being written is for patience to check.
		if wait := c.conn.KeepAlive(); wait > 0 {
			c.timer.Reset(wait)
		}
		return nil
	}
	next, err := c.conn.Tick(now, c.inbox.reading)
	if c.conn.Pending() > before {
		c.proof.ping(none, false)
	}
	if wait := next - now; err == nil && wait < 365*24*time.Hour {
		c.timer.Reset(max(wait, time.Millisecond))
	}
	return err
}

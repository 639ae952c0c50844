package mqtt

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Client is a connection to a server that, with Options.Reconnect, is
// restored when it breaks. Make one with Dial or Connect, end it with Close.
type Client struct {
	opt   Options
	dial  DialFunc
	epoch time.Time
	ctx   context.Context // ends with the client
	stop  context.CancelCauseFunc

	done   chan struct{} // closed when reader and writer have ended
	living atomic.Int32  // of the two goroutines
	rbuf   []byte        // what came behind CONNACK; of the goroutine that connects and reads

	// mu guards everything below. It is never held across I/O, a channel
	// operation that can block, or a callback. Functions that are called with it
	// end in Locked; those that let it go meanwhile, or for good, say so.
	mu           sync.Mutex
	conn         session.Conn
	sess         session.Session
	nc           net.Conn // nil while down
	gen          uint64   // counts connections
	born         uint64   // gen of the one with which the server's session began
	fail         error    // why nc was given up, until the reader has seen it
	ended        error    // the client is over; nothing will be sent any more
	early        int      // connections in a row that broke within 30 s
	timer        *time.Timer
	stats        Stats
	topicScratch []byte

	// The parts, each in a file with its methods. These know of no lock, and are
	// called with mu if they do not say otherwise.
	agreed   agreement      // connect.go
	choice   choice         // version.go
	auth     authentication // auth.go
	farewell farewell       // close.go
	out      output         // writer.go
	waiters  waiters        // waiter.go
	window   window         // window.go
	proof    proof          // ping.go
	subs     subscriptions  // ask.go
	inbox    inbox          // receive.go
	names    names          // reader.go
	doubt    doubt          // undeliverable.go
}

// highWater is the size of the output buffer, in bytes, at which publishing
// waits for the writer.
const highWater = 256 << 10

// Dial connects to the server of a URL as transport.ParseURL reads it. TLS is
// verified with the system's authorities; for other wishes use Connect. opt
// may be nil.
func Dial(ctx context.Context, url string, opt *Options) (*Client, error) {
	target, err := transport.ParseURL(url)
	if err != nil {
		return nil, &Error{Op: "connect", Class: ErrNotSent, Err: err}
	}
	o := Options{}
	if opt != nil {
		o = *opt
	}
	if target.HasUsername && o.Username == nil {
		o.Username = &target.Username
	}
	if target.HasPassword && o.Password == nil {
		o.Password = []byte(target.Password)
	}
	var d transport.Dialer
	return Connect(ctx, func(ctx context.Context) (net.Conn, error) { return d.Dial(ctx, target) }, &o)
}

// Connect dials and waits for the server's acceptance. ctx bounds the first
// connection only. An error is an *Error: refused by the server, or not sent
// with the cause, which then matches ErrUnreached if there was no MQTT server
// to talk to.
func Connect(ctx context.Context, dial DialFunc, opt *Options) (*Client, error) {
	c := &Client{dial: dial, epoch: time.Now(),
		out: output{wakeWriter: make(chan struct{}, 1)}, inbox: inbox{readerGo: make(chan struct{}, 1)}, done: make(chan struct{})}
	if opt != nil {
		c.opt = *opt
	}
	if err := c.opt.check(); err != nil {
		return nil, &Error{Op: "connect", Class: ErrNotSent, Err: err}
	}
	c.opt.defaults()
	c.agreed.version, c.agreed.clientID, c.window.size = c.opt.Version, c.opt.ClientID, c.opt.MaxInflight
	if err := c.restore(); err != nil {
		return nil, err
	}
	c.choice.fixed = c.agreed.version != 0
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	c.out.patience.timer = time.AfterFunc(time.Hour, c.stalled)
	c.out.patience.timer.Stop()
	if err := c.establish(ctx, true); err != nil {
		c.stop(ErrClosed)
		return nil, err
	}
	c.living.Store(2)
	go c.run()
	go c.write()
	return c, nil
}

// leave is the end of reader and writer.
func (c *Client) leave() {
	if c.living.Add(-1) == 0 {
		close(c.done)
	}
}

func (c *Client) now() time.Duration { return time.Since(c.epoch) }

// Version is the protocol version in use.
func (c *Client) Version() packet.Version {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agreed.version
}

// ClientID is the client identifier in use, which may be the server's choice.
func (c *Client) ClientID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agreed.clientID
}

// SessionPresent reports whether the server had a session at the latest
// connect.
func (c *Client) SessionPresent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agreed.present
}

// ConnackProperties is a copy of the properties of the latest CONNACK.
func (c *Client) ConnackProperties() packet.Properties {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(packet.Properties(nil), c.agreed.props...)
}

// Stats is what the client did so far.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.stats
	st.Unfinished = c.sess.Open()
	return st
}

// Done is closed when the client has ended, by Close or because the
// connection is lost for good. Err then says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is nil while the client lives, ErrClosed after Close, and otherwise why
// it ended.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

func (c *Client) event(e Event) {
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

// failLocked makes err the reason for which the connection is given up, unless
// there is one, or the client itself has closed it.
func (c *Client) failLocked(err error) {
	if c.fail == nil && c.ctx.Err() == nil {
		c.fail = err
	}
}

// tick runs when a deadline of the protocol may have come.
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
		c.failLocked(err) // whatever the reader may come upon until it is closed
		c.mu.Unlock()
		c.lastWords(gen, nc, true)
		c.breakConn(gen, err)
		return
	}
	wake := c.wakeLocked()
	c.mu.Unlock()
	c.out.wake(wake)
}

// tickLocked shows the session the clock and sets the timer for its next
// deadline.
func (c *Client) tickLocked() error {
	before, now := c.conn.Pending(), c.now()
	if c.out.writing && (c.out.pingUnder || c.conn.PingWaits()) {
		// The server cannot answer what it has not got. That it takes what is
		// being written is for patience to see.
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

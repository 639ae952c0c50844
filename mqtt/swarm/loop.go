package swarm

import (
	"errors"
	"io"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// news is what is to be reported at the end of a batch.
type news struct {
	c    *Client
	err  error
	kind newsKind
}

type newsKind uint8

const (
	newsFailed newsKind = iota
	newsClosed
	newsWritable
)

// enter takes the lock and begins a batch.
func (l *Loop) enter() {
	l.mu.Lock()
	l.now = l.swarm.opts.now()
}

// leave ends a batch that does not run in the loop's own goroutine.
func (l *Loop) leave() {
	if !l.closed {
		l.finish()
		if l.asleep > 0 && l.wanted() < l.asleep {
			l.asleep = 0 // once is enough
			l.driver.wake()
		}
	}
	l.mu.Unlock()
}

// finish ends a batch: it sends what is left to send, reports the news, and begins
// attempts to connect. The work that results is left to the next batch, which is then
// due at once, so that one client's trouble does not delay another.
func (l *Loop) finish() {
	l.settleAll()
	if len(l.news) > 0 {
		l.report()
		l.settleAll()
	}
	for range connectsPerBatch {
		if l.half >= l.halfOpen || l.queueAt == len(l.queue) {
			break
		}
		c := l.queue[l.queueAt]
		l.queueAt++
		if c.state != queued {
			continue
		}
		l.half++
		c.state = connecting
		l.now = l.swarm.opts.now()
		c.timing = Timing{Begun: l.now}
		c.deadline = l.now + l.swarm.opts.ConnectTimeout
		l.wheel.arm(l, c, c.deadline)
		l.driver.start(c)
	}
	switch {
	case l.queueAt == len(l.queue):
		l.queue, l.queueAt = l.queue[:0], 0
		if cap(l.queue) > 4*connectsPerBatch {
			l.queue = nil
		}
	case l.queueAt > len(l.queue)/2:
		l.queue, l.queueAt = l.queue[:copy(l.queue, l.queue[l.queueAt:])], 0
	}
}

// connectsPerBatch bounds how long new connections keep the others waiting.
const connectsPerBatch = 16

// wanted returns when the loop's goroutine must run again; 0 is at once.
func (l *Loop) wanted() time.Duration {
	if len(l.news) > 0 || len(l.dirty) > 0 || l.queueAt < len(l.queue) && l.half < l.halfOpen {
		return 0
	}
	return max(0, min(l.due, l.wheel.deadline()))
}

// timers handles what is due by the clock.
func (l *Loop) timers() {
	if l.now >= l.due {
		l.due = Never
		next := l.handler.Due(l.now)
		l.due = min(l.due, next) // Due may have called Wake
		l.settleAll()
	}
	l.wheel.expire(l, l.now, l.expired)
}

// expired handles the deadline of a client.
func (l *Loop) expired(c *Client) {
	switch c.state {
	case connecting, opening, closing:
		switch {
		case l.now < c.deadline:
			l.wheel.arm(l, c, c.deadline)
			if c.state == connecting {
				l.driver.waited(c)
			}
		case c.state == closing:
			l.lose(c, nil)
		default:
			l.lose(c, l.tooLate(c))
		}
	case up:
		l.touch(c)
		next, err := c.conn.Tick(l.now, c.wantsInput())
		if err != nil {
			l.fail(c, err)
		} else if next != Never {
			l.wheel.arm(l, c, next)
		}
	}
}

// touch lends a client what it needs, a buffer for its output and a session, and notes
// it for the end of the batch.
func (l *Loop) touch(c *Client) {
	if !c.touched {
		l.lend(c)
		l.dirty = append(l.dirty, c)
	}
}

func (l *Loop) lend(c *Client) {
	c.touched = true
	if !c.holds {
		c.holds = true
		c.conn.Swap(l.buffer(), l.now)
	}
	if c.conn.Session() == nil {
		c.conn.Attach(l.session())
	}
}

// settleAll settles all clients that were touched.
func (l *Loop) settleAll() {
	for _, c := range l.dirty {
		if c.touched {
			l.settle(c)
		}
	}
	l.dirty = l.dirty[:0]
}

// settle sends what a client has to send, and takes back what it does not need.
func (l *Loop) settle(c *Client) {
	c.touched = false
	if c.state >= opening {
		l.driver.flush(c)
	}
	l.release(c)
}

// release takes back what was lent, except what is in use.
func (l *Loop) release(c *Client) {
	if c.conn.Pending() == 0 && c.holds {
		c.holds = false
		l.recycle(c.conn.Swap(nil, l.now))
	}
	if c.full && c.unsent() == 0 {
		c.full = false
		l.news = append(l.news, news{c, nil, newsWritable})
	}
	if s := c.conn.Detach(); s != nil && len(l.sessions) < maxSessions {
		l.sessions = append(l.sessions, s)
	}
}

// Limits of the pools: enough for a batch that concerns very many clients, and large
// buffers for batches that bring much to few.
const (
	maxSessions = 1 << 16
	newBuffer   = 512
	smallBuffer = 4 << 10
	largeBuffer = 1 << 20
	maxSmall    = 1 << 14
	maxLarge    = 64
)

func (l *Loop) buffer() []byte {
	for _, pool := range [...]*[][]byte{&l.large, &l.small} {
		if n := len(*pool); n > 0 {
			b := (*pool)[n-1]
			*pool = (*pool)[:n-1]
			return b
		}
	}
	return make([]byte, 0, newBuffer)
}

func (l *Loop) recycle(b []byte) {
	switch n := cap(b); {
	case n == 0:
	case n <= smallBuffer && len(l.small) < maxSmall:
		l.small = append(l.small, b[:0])
	case n > smallBuffer && n <= largeBuffer && len(l.large) < maxLarge:
		l.large = append(l.large, b[:0])
	}
}

func (l *Loop) session() *session.Session {
	if n := len(l.sessions); n > 0 {
		s := l.sessions[n-1]
		l.sessions = l.sessions[:n-1]
		return s
	}
	return new(session.Session)
}

// report reports the news to the handler.
func (l *Loop) report() {
	list := l.news
	l.news = l.spare[:0]
	for _, n := range list {
		switch n.kind {
		case newsWritable:
			if n.c.state == up {
				l.handler.Writable(n.c)
			}
		case newsFailed:
			n.c.state = idle
			l.handler.Failed(n.c, n.err)
		case newsClosed:
			n.c.state = idle
			l.handler.Closed(n.c, n.err)
		}
	}
	clear(list)
	l.spare = list[:0]
}

// opened continues an attempt whose connection is open.
func (l *Loop) opened(c *Client) {
	c.state = opening
	l.connect = packet.Connect{}
	c.spec.Connect(c, &l.connect)
	if s := c.conn.Session(); s != nil && l.connect.CleanStart {
		s.Clear(nil)
	}
	l.touch(c)
	s := c.conn.Session()
	if err := c.conn.Open(s, &l.connect, c.spec.Session, l.now); err != nil {
		l.lose(c, err)
	}
}

// fail ends a connection after an error of this side or of the server, and sends the
// server the reason if MQTT has one.
func (l *Loop) fail(c *Client, err error) {
	if c.state < opening || c.state == ended {
		return
	}
	l.touch(c)
	c.conn.Fail(err)
	l.driver.flush(c)
	if c.conn.NoQoS2 {
		err = noQoS2{err}
	}
	l.lose(c, err)
}

// lose ends an attempt or a connection, which is reported at the end of the batch.
func (l *Loop) lose(c *Client, err error) {
	kind := newsFailed
	switch c.state {
	case idle, ended:
		return
	case queued:
		l.stats.Connecting--
	case connecting, opening:
		l.half--
		l.stats.Connecting--
	case up:
		l.stats.Connected--
		kind = newsClosed
	case closing:
		kind = newsClosed
	}
	if c.leaving && !(c.state == closing && transport.IsReset(err)) {
		err = nil
	}
	l.wheel.disarm(l, c)
	if c.state != queued {
		l.driver.shut(c)
	}
	c.conn.Lost(nil)
	l.recycle(c.partial)
	c.partial, c.need, c.blocked, c.state = nil, 0, false, ended
	if !c.touched {
		l.release(c)
	}
	l.news = append(l.news, news{c, err, kind})
}

// input handles received bytes.
func (l *Loop) input(c *Client, b []byte) {
	if c.state == closing {
		return
	}
	l.stats.Reads++
	l.stats.BytesRead += int64(len(b))
	c.conn.Heard(l.now)
	if !c.touched {
		l.lend(c)
	}
	for len(c.partial) > 0 && len(b) > 0 {
		n := min(len(b), c.need-len(c.partial))
		c.partial = append(c.partial, b[:n]...)
		b = b[n:]
		if len(c.partial) < c.need {
			break
		}
		part := c.partial
		c.partial = nil
		n, ok := l.packet(c, part)
		if ok && n == 0 {
			c.partial = part
			continue
		}
		l.recycle(part)
		if !ok {
			return
		}
	}
	for len(b) > 0 {
		n, ok := l.packet(c, b)
		if !ok {
			return
		}
		if n == 0 {
			c.partial = append(l.buffer(), b...)
			return
		}
		b = b[n:]
	}
}

// packet handles the first packet of b and returns its length, 0 if b holds only a part
// of one. If ok is false the connection is over.
func (l *Loop) packet(c *Client, b []byte) (n int, ok bool) {
	if c.state == opening {
		is, wait := transport.IsForeign(b, c.conn.Version(), true)
		switch {
		case is:
			l.fail(c, transport.NoMQTT(c.Target().Address(), b))
			return 0, false
		case wait:
			c.need = len(b) + 1
			return 0, true
		}
	}
	ev, reused := &l.event, c.conn.Reused
	n, err := c.conn.Next(b, l.now, ev)
	if err != nil {
		l.fail(c, err)
		return 0, false
	}
	if n == 0 {
		c.need = ev.Need
		return 0, true
	}
	switch ev.Kind {
	case session.Publish:
		c.useful = true
		p := &ev.Publish
		qos, id := p.QoS, p.PacketID
		l.stats.Reused += int64(c.conn.Reused - reused)
		l.hold = false
		l.handler.Message(c, p, l.now)
		if qos > 0 && !l.hold && c.state == up {
			c.conn.Ack(qos, id, packet.Success)
		}
	case session.Done:
		c.useful = true
		l.handler.Acked(c, ev.Tag, ev.QoS, ev.Reason)
	case session.Suback:
		l.handler.Subscribed(c, ev.Tag, &ev.Suback)
	case session.Connack:
		l.connack(c, &ev.Connack)
	case session.Disconnect:
		l.lose(c, &Refusal{packet.DISCONNECT, ev.Disconnect.Reason, ev.Disconnect.Properties.Text(packet.ReasonString)})
	case session.Pong:
		if l.ponger != nil {
			l.ponger.Pong(c, l.now-c.conn.PingTime())
		}
	case session.Auth:
		l.fail(c, errAuth)
	}
	return n, c.state == opening || c.state == up
}

func (l *Loop) connack(c *Client, p *packet.Connack) {
	if p.Reason.Failed() {
		l.lose(c, &Refusal{packet.CONNACK, p.Reason, p.Properties.Text(packet.ReasonString)})
		return
	}
	t := &c.timing
	t.Connack = l.now - t.Begun - t.TCP - t.TLS - t.Upgrade
	l.resuming = c
	c.conn.Resume(p.SessionPresent, l.resumed)
	if c.state != opening {
		return // Acked has given the attempt up
	}
	c.state = up
	l.half--
	l.stats.Connecting--
	l.stats.Connected++
	l.wheel.disarm(l, c)
	if k := c.conn.KeepAlive(); k > 0 {
		l.wheel.arm(l, c, l.now+k)
	}
	l.handler.Connected(c, p, t)
}

// wantsInput reports whether the driver should read. It should not while the client is
// paused, nor while more output waits than a server that follows the protocol can cause
// without reading.
func (c *Client) wantsInput() bool {
	return !c.paused && c.unsent() < c.loop.swarm.opts.Buffer+maxAnswers
}

// maxAnswers is room for an acknowledgement of every packet identifier.
const maxAnswers = 512 << 10

// hungUp ends a connection that the server or the system has closed.
func (l *Loop) hungUp(c *Client, err error) {
	if err != io.EOF {
		var known *transport.Error
		if err = transport.Explain(c.Target().Address(), err); !errors.As(err, &known) {
			err = c.explain(transport.OpStream, err)
		}
	}
	if c.state == opening {
		err = c.unanswered(c.partial, err)
	}
	l.lose(c, err)
}

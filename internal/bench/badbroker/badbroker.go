// Package badbroker is a small MQTT server for tests that violates the protocol as
// configured, and counts how often it did. Without flaws it follows the protocol: QoS 0
// to 2, sessions that survive their connections, resumption. It has no retained
// messages and no wills. Without Share it treats shared subscriptions as normal ones:
// each member gets all messages.
package badbroker

import (
	"cmp"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Flaws is what a broker does wrong. A number n applies the flaw to one delivery in n;
// 0 is never.
type Flaws struct {
	Drop      int // not delivered
	Duplicate int // delivered twice, as two messages
	Reorder   int // delivered after the next message of the same client
	Corrupt   int // delivered with a bit flipped at the end of the payload

	// Forget drops the QoS 1 messages that a client has not acknowledged when its
	// connection closes.
	Forget bool
	// Repeat sends the QoS 2 messages that a client has received but not completed as
	// new messages when it reconnects.
	Repeat bool
	// Reverse sends the messages that wait for a client in reverse order when it
	// reconnects.
	Reverse bool

	// Stall stops everything for a time, once in each Every.
	Stall, Every time.Duration

	// Delay returns how long delivery n (0, 1, ...) of all is held back; later ones of
	// the same client follow it. nil: no delay.
	Delay func(n int) time.Duration

	// NoQoS2 answers QoS 2 messages with PUBACK, as RabbitMQ does.
	NoQoS2 bool

	// Refuse answers CONNECT with this code.
	Refuse packet.ReasonCode

	// Each of these n refuses one request in n, with 0x97 where MQTT 5 has a code.
	RefuseConnect, RefuseSubscribe, RefusePublish int
	Kill                                          int // after one message in n, close the connection
	Foreign                                       int // after one delivery in n, send a message of no client
	NoAck                                         int // do not acknowledge one message in n at QoS 1 and 2

	AckDelay, ConnackDelay, SubackDelay time.Duration
	Capacity                            int // deliveries per second of all clients; others wait

	Share      bool // a message goes to one member of a shared subscription, in turns
	Deaf       bool // PINGREQ is not answered
	NoTakeover bool // a second connection with a client ID does not close the first
	Amnesia    bool // sessions end with their connections
	Dead       bool // after the first connections of all clients, CONNECT is not answered
}

// Counts is how often a broker did what.
type Counts struct {
	Published                                 int // messages received, without repetitions at QoS 2
	Delivered                                 int // deliveries begun, except the second ones of Duplicate
	Dropped, Duplicated, Reordered, Corrupted int
	Held                                      int // not delivered yet, waiting for a message to follow
	Forgotten, Repeated, Reversed             int
	RefusedConnects, RefusedSubscribes        int
	RefusedPublishes, Kills, Foreigns         int
	Ignored                                   int             // messages without an acknowledgement
	Connects                                  int             // CONNECT packets
	Delays                                    []time.Duration // real duration of each delivery, in order
}

// Broker is a flawed MQTT server.
type Broker struct {
	ln    net.Listener
	flaws Flaws
	done  chan struct{}
	wait  sync.WaitGroup

	mu       sync.Mutex
	sessions map[string]*session
	turn     int // among the members of shared subscriptions
	conns    map[*conn]struct{}
	counts   Counts
	seen     int       // deliveries
	asked    int       // subscriptions
	next     time.Time // earliest time of the next delivery, given Capacity
	known    map[string]bool
	still    chan struct{} // closed when the stall ends; nil: no stall
}

// Start runs a broker on a port of the loopback interface until the test ends.
func Start(t testing.TB, f Flaws) *Broker {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return Serve(t, ln, f)
}

// Serve runs a broker on a listener, which it closes, until the test ends. It blocks
// only in ways that are durable in a bubble of testing/synctest.
func Serve(t testing.TB, ln net.Listener, f Flaws) *Broker {
	b := &Broker{ln: ln, flaws: f, done: make(chan struct{}), sessions: map[string]*session{}, known: map[string]bool{}, conns: map[*conn]struct{}{}}
	b.wait.Go(b.accept)
	if f.Stall > 0 {
		b.wait.Go(b.stall)
	}
	t.Cleanup(b.Close)
	return b
}

// Addr returns the address that a broker of Start listens on.
func (b *Broker) Addr() *net.TCPAddr { return b.ln.Addr().(*net.TCPAddr) }

// Counts returns what the broker has counted until now.
func (b *Broker) Counts() Counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.counts
	c.Delays = slices.Clone(c.Delays)
	for _, s := range b.sessions {
		if s.held != nil {
			c.Held++
		}
	}
	return c
}

// Close resets all connections and stops the broker. It may be called more than once.
func (b *Broker) Close() {
	b.mu.Lock()
	select {
	case <-b.done:
	default:
		close(b.done)
		_ = b.ln.Close()
		for c := range b.conns {
			c.reset()
		}
	}
	b.mu.Unlock()
	b.wait.Wait()
}

func (b *Broker) accept() {
	for {
		nc, err := b.ln.Accept()
		if err != nil {
			return
		}
		c := &conn{b: b, nc: nc, more: make(chan struct{}, 1), gone: make(chan struct{})}
		b.mu.Lock()
		select {
		case <-b.done:
			_ = nc.Close()
		default:
			b.conns[c] = struct{}{}
			b.wait.Go(c.read)
			b.wait.Go(c.write)
		}
		b.mu.Unlock()
	}
}

// stall stalls the broker for Flaws.Stall, once in each Flaws.Every.
func (b *Broker) stall() {
	for b.waits(b.flaws.Every - b.flaws.Stall) {
		still := make(chan struct{})
		b.mu.Lock()
		b.still = still
		b.mu.Unlock()
		b.waits(b.flaws.Stall)
		b.mu.Lock()
		b.still = nil
		b.mu.Unlock()
		close(still)
	}
}

// waits waits for d. It returns false when the broker is closed.
func (b *Broker) waits(d time.Duration) bool {
	select {
	case <-b.done:
		return false
	case <-time.After(d):
		return true
	}
}

// enter takes the lock when no stall is in progress.
func (b *Broker) enter() {
	for {
		b.mu.Lock()
		still := b.still
		if still == nil {
			return
		}
		b.mu.Unlock()
		<-still
	}
}

// session is what the broker keeps about a client.
type session struct {
	version packet.Version
	subs    []subscription
	conn    *conn // nil: not connected
	lasts   bool  // survives the connection
	window  int
	nextID  uint16
	out     []*outgoing // at QoS 1 and 2, in order
	in      map[uint16]bool
	held    *message
}

type subscription struct {
	filter string
	qos    packet.QoS
}

type message struct {
	topic, payload []byte
	qos            packet.QoS
	come           time.Time
}

// outgoing is a message whose delivery to a client is not complete.
type outgoing struct {
	message
	id       uint16 // 0: not sent yet
	received bool   // PUBREC has arrived
}

// conn is a connection. The broker's lock guards its fields.
type conn struct {
	b       *Broker
	nc      net.Conn
	s       *session       // nil before CONNECT; guarded by Broker.mu, since other connections change it
	version packet.Version // used by the reader only
	out     []parcel
	more    chan struct{} // buffered: there is something to write
	gone    chan struct{} // closed by the reader
}

// parcel is what one write sends.
type parcel struct {
	data     []byte
	due      time.Time
	delivery time.Time // when the message arrived; zero: not a delivery
}

func (c *conn) reset() { transport.Abort(c.nc) }

func (c *conn) read() {
	defer func() {
		c.b.mu.Lock()
		c.end()
		c.b.mu.Unlock()
		close(c.gone)
		_ = c.nc.Close()
	}()
	buf := make([]byte, 0, 64<<10)
	c.version = packet.V5
	for {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, cap(buf))
		}
		n, err := c.nc.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		for {
			f, used, ferr := packet.Split(buf, c.version, 16<<20)
			if ferr != nil {
				return
			}
			if used == 0 {
				break
			}
			c.b.enter()
			ok := c.handle(f)
			c.b.mu.Unlock()
			if !ok {
				return
			}
			buf = buf[:copy(buf, buf[used:])]
		}
		if err != nil {
			return
		}
	}
}

func (c *conn) write() {
	for {
		c.b.enter()
		out := c.out
		c.out = nil
		c.b.mu.Unlock()
		for _, p := range out {
			if wait := time.Until(p.due); wait > 0 {
				select {
				case <-time.After(wait):
				case <-c.gone:
					return
				}
			}
			c.b.enter()
			c.b.mu.Unlock()
			took := time.Since(p.delivery)
			if _, err := c.nc.Write(p.data); err != nil {
				return
			}
			if !p.delivery.IsZero() {
				c.b.mu.Lock()
				c.b.counts.Delays = append(c.b.counts.Delays, took)
				c.b.mu.Unlock()
			}
		}
		if len(out) > 0 {
			continue
		}
		select {
		case <-c.more:
		case <-c.gone:
			return
		}
	}
}

// end ends the connection. The broker's lock must be held.
func (c *conn) end() {
	delete(c.b.conns, c)
	s := c.s
	if s == nil || s.conn != c {
		return
	}
	s.conn = nil
	if !s.lasts {
		if s.held != nil {
			c.b.counts.Held++
		}
		for id, x := range c.b.sessions {
			if x == s {
				delete(c.b.sessions, id)
			}
		}
		return
	}
	if c.b.flaws.Forget {
		kept := slices.DeleteFunc(s.out, func(o *outgoing) bool { return o.qos == 1 && o.id != 0 })
		c.b.counts.Forgotten += len(s.out) - len(kept)
		s.out = kept
	}
}

func (c *conn) send(p packet.Packet) { c.push(p, parcel{}) }

func (c *conn) push(p packet.Packet, at parcel) {
	var err error
	if at.data, err = p.AppendTo(nil, c.s.version); err != nil {
		panic(err)
	}
	c.out = append(c.out, at)
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// handle handles a packet. The broker's lock must be held. It returns false to close
// the connection.
func (c *conn) handle(f packet.Frame) bool {
	if c.s == nil {
		return c.connect(f)
	}
	s, v := c.s, c.s.version
	switch f.Type {
	case packet.PUBLISH:
		var p packet.Publish
		if p.Parse(f, v) != nil {
			return false
		}
		if p.QoS == 2 && s.in[p.PacketID] {
			c.send(&packet.Ack{Type: packet.PUBREC, PacketID: p.PacketID})
			return true
		}
		b := c.b
		b.counts.Published++
		due := func(one int) bool { return one > 0 && b.counts.Published%one == 0 }
		ack := packet.Ack{Type: packet.PUBACK, PacketID: p.PacketID}
		twice := p.QoS == 2 && !b.flaws.NoQoS2
		if twice {
			ack.Type = packet.PUBREC
		}
		late := parcel{due: time.Now().Add(b.flaws.AckDelay)}
		switch {
		case due(b.flaws.Kill):
			b.counts.Kills++
			return false
		case due(b.flaws.RefusePublish) && p.QoS > 0 && v == packet.V5:
			b.counts.RefusedPublishes++
			ack.Reason = packet.QuotaExceeded
			c.push(&ack, late)
			return true
		case due(b.flaws.NoAck) && p.QoS > 0:
			b.counts.Ignored++
		case p.QoS > 0:
			c.push(&ack, late)
		}
		if twice {
			s.in[p.PacketID] = true
		}
		b.route(&p)
	case packet.PUBREL:
		var a packet.Ack
		if a.Parse(f, v) != nil {
			return false
		}
		delete(s.in, a.PacketID)
		c.send(&packet.Ack{Type: packet.PUBCOMP, PacketID: a.PacketID})
	case packet.PUBACK, packet.PUBREC, packet.PUBCOMP:
		var a packet.Ack
		if a.Parse(f, v) != nil {
			return false
		}
		i := slices.IndexFunc(s.out, func(o *outgoing) bool { return o.id == a.PacketID })
		switch {
		case f.Type == packet.PUBREC:
			if i >= 0 {
				s.out[i].received = true
			}
			c.send(&packet.Ack{Type: packet.PUBREL, PacketID: a.PacketID})
		case i >= 0:
			s.out = slices.Delete(s.out, i, i+1)
			s.fill()
		}
	case packet.SUBSCRIBE:
		var p packet.Subscribe
		if p.Parse(f, v) != nil {
			return false
		}
		ack := packet.Suback{Type: packet.SUBACK, PacketID: p.PacketID}
		for _, x := range p.Subscriptions {
			filter := string(x.Filter)
			if c.b.asked++; c.b.flaws.RefuseSubscribe > 0 && c.b.asked%c.b.flaws.RefuseSubscribe == 0 {
				c.b.counts.RefusedSubscribes++
				ack.Codes = append(ack.Codes, byte(packet.NotAuthorized))
				continue
			}
			s.subs = slices.DeleteFunc(s.subs, func(old subscription) bool { return old.filter == filter })
			s.subs = append(s.subs, subscription{filter, x.Options.QoS()})
			ack.Codes = append(ack.Codes, byte(x.Options.QoS()))
		}
		c.push(&ack, parcel{due: time.Now().Add(c.b.flaws.SubackDelay)})
	case packet.UNSUBSCRIBE:
		var p packet.Unsubscribe
		if p.Parse(f, v) != nil {
			return false
		}
		ack := packet.Suback{Type: packet.UNSUBACK, PacketID: p.PacketID}
		for _, x := range p.Filters {
			s.subs = slices.DeleteFunc(s.subs, func(old subscription) bool { return old.filter == string(x) })
			if v == packet.V5 {
				ack.Codes = append(ack.Codes, 0)
			}
		}
		c.send(&ack)
	case packet.PINGREQ:
		if c.b.flaws.Deaf {
			return true
		}
		c.send(&packet.Ping{Type: packet.PINGRESP})
	default:
		return false
	}
	return true
}

func (c *conn) connect(f packet.Frame) bool {
	var p packet.Connect
	if f.Type != packet.CONNECT || p.Parse(f, packet.V5) != nil {
		return false
	}
	b, id := c.b, string(p.ClientID)
	b.counts.Connects++
	if b.flaws.Dead && b.known[id] {
		return true
	}
	b.known[id] = true
	s := b.sessions[id]
	if s != nil && s.conn != nil && b.flaws.NoTakeover {
		s.conn.s = &session{version: s.version, in: map[uint16]bool{}, conn: s.conn}
		s.conn = nil
	}
	if s != nil && s.conn != nil {
		s.conn.reset()
		s.conn.end()
		s = b.sessions[id]
	}
	present := s != nil && !p.CleanStart && !b.flaws.Amnesia
	if !present {
		s = &session{in: map[uint16]bool{}}
	}
	s.version, s.window, s.lasts = p.Version, 65535, !p.CleanStart
	if p.Version == packet.V5 {
		s.window = int(p.Properties.UintOr(packet.ReceiveMaximum, 65535))
		s.lasts = p.Properties.UintOr(packet.SessionExpiryInterval, 0) > 0
	}
	c.s, c.version = s, p.Version
	if b.flaws.Refuse != 0 {
		c.send(&packet.Connack{Reason: b.flaws.Refuse})
		return true
	}
	if b.flaws.RefuseConnect > 0 && b.counts.Connects%b.flaws.RefuseConnect == 0 {
		b.counts.RefusedConnects++
		c.send(&packet.Connack{Reason: packet.QuotaExceeded})
		return true
	}
	b.sessions[id], s.conn = s, c
	c.push(&packet.Connack{SessionPresent: present}, parcel{due: time.Now().Add(b.flaws.ConnackDelay)})
	s.resume()
	return true
}

// resume resends what the client has not acknowledged.
func (s *session) resume() {
	b := s.conn.b
	if b.flaws.Reverse && len(s.out) > 1 {
		b.counts.Reversed++
		slices.Reverse(s.out)
	}
	for _, o := range s.out {
		switch {
		case o.id == 0:
		case o.received && b.flaws.Repeat:
			b.counts.Repeated++
			o.id, o.received = 0, false
		case o.received:
			s.conn.send(&packet.Ack{Type: packet.PUBREL, PacketID: o.id})
		default:
			s.conn.deliver(o, true)
		}
	}
	s.fill()
}

// fill sends waiting messages as far as the client's window has room.
func (s *session) fill() {
	if s.conn == nil {
		return
	}
	under := 0
	for _, o := range s.out {
		if o.id != 0 {
			under++
		}
	}
	for _, o := range s.out {
		if under >= s.window {
			return
		}
		if o.id == 0 {
			under++
			o.id = s.freeID()
			s.conn.deliver(o, false)
		}
	}
}

func (s *session) freeID() uint16 {
	for {
		if s.nextID++; s.nextID != 0 && !slices.ContainsFunc(s.out, func(o *outgoing) bool { return o.id == s.nextID }) {
			return s.nextID
		}
	}
}

func (c *conn) deliver(o *outgoing, dup bool) {
	p := packet.Publish{Dup: dup, QoS: o.qos, PacketID: o.id, Topic: o.topic, Payload: o.payload}
	at := parcel{due: o.come.Add(c.b.delay()), delivery: o.come}
	if b := c.b; b.flaws.Capacity > 0 {
		if b.next.Before(at.due) {
			b.next = at.due
		}
		at.due = b.next
		b.next = b.next.Add(time.Second / time.Duration(b.flaws.Capacity))
	}
	c.push(&p, at)
}

func (b *Broker) delay() time.Duration {
	if b.flaws.Delay == nil {
		return 0
	}
	return b.flaws.Delay(b.seen)
}

// route delivers a message to all its subscribers.
func (b *Broker) route(p *packet.Publish) {
	members := map[string][]*session{} // of shared subscriptions
	for _, id := range slices.Sorted(maps.Keys(b.sessions)) {
		s := b.sessions[id]
		qos, wanted := packet.QoS(0), false
		for _, sub := range s.subs {
			_, filter, shared := topic.ParseShare(sub.filter)
			switch {
			case !topic.MatchBytes(filter, p.Topic):
			case shared && b.flaws.Share:
				members[sub.filter] = append(members[sub.filter], s)
			default:
				qos, wanted = max(qos, sub.qos), true
			}
		}
		if wanted {
			s.accept(b, &message{slices.Clone(p.Topic), slices.Clone(p.Payload), min(qos, p.QoS), time.Now()})
		}
	}
	for filter, of := range members {
		s := of[b.turn%len(of)]
		b.turn++
		at := slices.IndexFunc(s.subs, func(sub subscription) bool { return sub.filter == filter })
		s.accept(b, &message{slices.Clone(p.Topic), slices.Clone(p.Payload), min(s.subs[at].qos, p.QoS), time.Now()})
	}
}

// accept delivers a message to a client, with the flaws that are due.
func (s *session) accept(b *Broker, m *message) {
	b.seen++
	b.counts.Delivered++
	due := func(one int) bool { return one > 0 && b.seen%one == 0 }
	f := &b.flaws
	if due(f.Foreign) {
		defer func() {
			b.counts.Foreigns++
			s.put(&message{m.topic, []byte("hello"), 0, time.Now()})
		}()
	}
	switch {
	case due(f.Drop):
		b.counts.Dropped++
		return
	case due(f.Corrupt):
		b.counts.Corrupted++
		m.payload[len(m.payload)-1] ^= 1
		s.put(m)
		return // it must not release a held message, which it would not put out of order
	case due(f.Reorder) && s.held == nil:
		s.held = m
		return
	case due(f.Duplicate):
		b.counts.Duplicated++
		s.put(m)
	}
	s.put(m)
	if s.held != nil {
		b.counts.Reordered++
		s.put(s.held)
		s.held = nil
	}
}

func (s *session) put(m *message) {
	o := &outgoing{message: *m}
	if m.qos == 0 {
		if s.conn != nil {
			s.conn.deliver(o, false)
		}
		return
	}
	s.out = append(s.out, o)
	s.fill()
}

// Percentile returns the p-th percentile (0 to 100) of the delays of all deliveries.
func (c *Counts) Percentile(p float64) time.Duration {
	sorted := slices.SortedFunc(slices.Values(c.Delays), cmp.Compare[time.Duration])
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(p/100*float64(len(sorted))), len(sorted)-1)]
}

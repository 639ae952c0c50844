package session

import (
	"errors"
	"strconv"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Errors of the commands. A command that returns one of them has not changed
// the state.
var (
	ErrQuota    = errors.New("too many unacknowledged messages for the peer or the session")
	ErrNotUp    = errors.New("not connected")
	ErrTooLarge = errors.New("message is larger than the peer's maximum packet size")
	ErrQoS      = errors.New("QoS is above the server's maximum")
	ErrRetain   = errors.New("server does not support retained messages")
	ErrAlias    = errors.New("topic aliases are assigned by the session")
	ErrPeerCan  = errors.New("server does not support this kind of subscription")
)

// Errors about a server, shared by all kinds of clients.
var (
	// ErrNoAnswer means that the connection ended where CONNACK was due.
	ErrNoAnswer = errors.New("connection closed before CONNACK")
	// ErrNoQoS2 describes the state reported by Conn.NoQoS2.
	ErrNoQoS2 = errors.New("acknowledged as if it were at QoS 1: the broker does not seem to support QoS 2")
)

// ErrKeepAlive is Tick's error when the peer has been silent for too long.
var ErrKeepAlive = errors.New("no answer within the keep alive time")

// ErrConnectTimeout is Tick's error when CONNECT or CONNACK did not come within
// the timeout.
var ErrConnectTimeout = errors.New("no CONNECT or CONNACK within the timeout")

// TooLarge is an ErrTooLarge with the sizes in bytes.
type TooLarge struct {
	Size int // of the packet
	Most int // that the peer accepts
}

func (e *TooLarge) Error() string {
	return "a packet of " + strconv.Itoa(e.Size) + " bytes is too large: at most " + strconv.Itoa(e.Most) + " are accepted"
}

// Is reports whether target is ErrTooLarge.
func (e *TooLarge) Is(target error) bool { return target == ErrTooLarge }

// Config is what this side announces to its peer and enforces, and the limits
// of what it sends. A zero value selects the default given in the comment.
type Config struct {
	MaxPacket         int           // in bytes; default: the protocol's limit, 1 MiB before a server's Accept
	ReceiveMaximum    uint16        // unacknowledged inbound messages; default 65,535, and always before 5.0
	ReceiveLimit      uint16        // unacknowledged inbound messages that are accepted; default, and at least, ReceiveMaximum
	TopicAliasMaximum uint16        // inbound topic aliases; default none
	MaximumQoS        packet.QoS    // S: of inbound messages; used if LimitQoS is set
	LimitQoS          bool          // S
	Explain           bool          // Fail also sends the reason as text where MQTT 5.0 has a property for it
	SendWindow        int           // outbound unacknowledged messages; default 65,534
	QoS2Window        int           // those of them at QoS 2; default SendWindow
	SendBytes         int           // bytes held for resending; default 16 MiB; one message always fits
	SendAliases       uint16        // outbound topic aliases used, if the peer allows; default none
	ConnectTimeout    time.Duration // for the first packet of the peer; default none

	// Due, if not nil, is called with each message that is written later than
	// it was published, because the Receive Maximum was used up or, if sent is
	// true, because an earlier connection has sent it. It returns false to give
	// up a message, such as one that has expired. It may change the packet, a
	// PUBLISH of version v, but not its length.
	Due func(tag uint64, v packet.Version, publish []byte, sent bool) bool
}

// Peer is what the peer announced in CONNECT or CONNACK.
type Peer struct {
	ReceiveMaximum    uint16     // default 65,535
	TopicAliasMaximum uint16     // default 0
	MaximumPacketSize int        // in bytes; default: the protocol's limit
	MaximumQoS        packet.QoS // default 2
	RetainAvailable   bool       // default true
	Wildcards         bool       // default true
	SubscriptionIDs   bool       // default true
	Shared            bool       // default true
}

type phase uint8

const (
	idle       phase = iota
	connecting       // C: CONNECT written, waiting for CONNACK
	opening          // S: waiting for CONNECT
	deciding         // S: CONNECT received, waiting for Accept or Refuse
	accepted         // CONNACK received or sent, session not resumed yet: only DISCONNECT can be sent
	up
	closed
)

// Conn is one network connection. It must not be copied while in use. Open and
// Serve reset it for the next connection and keep its buffers.
type Conn struct {
	version packet.Version
	server  bool
	phase   phase
	clean   bool // C: CONNECT requested a clean start
	brief   bool // CONNECT had a session expiry interval of 0 or none
	cfg     Config
	peer    Peer
	s       *Session

	out     []byte
	cursor  uint32 // next slot of the session to write
	sent    int    // PUBLISH slots that count against the peer's Receive Maximum
	held    bool   // Hold is in force
	most    uint32 // the limit of Hold
	waiting int    // inbound messages that count against our Receive Maximum

	alias *aliases // nil until the first topic alias

	keepAlive       time.Duration
	lastIn, lastOut time.Duration
	pingAt          time.Duration // when PINGREQ was written, or queued while it waits in out
	pingOut         int           // bytes of out up to its end; 0 if it is not in out
	pinging         bool

	// Reused counts PUBLISH packets at QoS 2 without DUP under a packet
	// identifier whose PUBREL had not come: their sender has lost its session.
	// They are new messages (MQTT-3.3.1-1) and are delivered, except copies on
	// the same connection.
	Reused int
	// NoQoS2 is set when PUBACK has answered the oldest message, which is at
	// QoS 2: some servers treat that as QoS 1.
	NoQoS2 bool

	// Stray counts acknowledgements for packet identifiers that are not in use.
	// They are legal after a resume and otherwise harmless.
	Stray int
}

// aliases is the state of topic aliases, which most connections do not use.
type aliases struct {
	in  [][]byte          // by alias - 1
	out map[string]uint16 // assigned aliases

	scratch packet.Properties
	resent  packet.Publish
}

func (c *Conn) aliases() *aliases {
	if c.alias == nil {
		c.alias = &aliases{}
	}
	return c.alias
}

func (c *Conn) reset(cfg Config, server bool, now time.Duration) {
	*c = Conn{server: server, cfg: cfg, out: c.out[:0], alias: c.alias, lastIn: now, lastOut: now}
	if a := c.alias; a != nil {
		a.in = a.in[:0]
		clear(a.out)
	}
	c.peer = Peer{65535, 0, packet.MaxSize, 2, true, true, true, true}
	if c.cfg.ReceiveMaximum == 0 {
		c.cfg.ReceiveMaximum = 65535
	}
	if c.cfg.SendWindow <= 0 || c.cfg.SendWindow >= maxSpan {
		c.cfg.SendWindow = maxSpan - 1
	}
	if c.cfg.QoS2Window <= 0 {
		c.cfg.QoS2Window = maxSpan
	}
	if c.cfg.SendBytes <= 0 {
		c.cfg.SendBytes = 16 << 20
	}
}

// Open begins a client's connection: it appends the CONNECT packet p, whose
// Version sets the protocol. The limits of cfg that MQTT 5.0 announces in
// CONNECT are added to p's properties unless p has them.
func (c *Conn) Open(s *Session, p *packet.Connect, cfg Config, now time.Duration) error {
	c.reset(cfg, false, now)
	c.s, c.version, c.clean = s, p.Version, p.CleanStart
	c.keepAlive = time.Duration(p.KeepAlive) * time.Second
	q := *p
	if p.Version >= packet.V5 {
		q.Properties = p.Properties[:len(p.Properties):len(p.Properties)] // announce must copy and not change p
		q.Properties = announce(q.Properties, packet.ReceiveMaximum, uint32(cfg.ReceiveMaximum))
		q.Properties = announce(q.Properties, packet.TopicAliasMaximum, uint32(cfg.TopicAliasMaximum))
		q.Properties = announce(q.Properties, packet.MaximumPacketSize, uint32(min(max(cfg.MaxPacket, 0), packet.MaxSize)))
		c.cfg.ReceiveMaximum = uint16(q.Properties.UintOr(packet.ReceiveMaximum, 65535))
		c.cfg.TopicAliasMaximum = uint16(q.Properties.UintOr(packet.TopicAliasMaximum, 0))
		c.cfg.MaxPacket = int(min(q.Properties.UintOr(packet.MaximumPacketSize, 0), packet.MaxSize))
		c.brief = q.Properties.UintOr(packet.SessionExpiryInterval, 0) == 0
	} else {
		c.cfg.ReceiveMaximum = 65535
	}
	out, err := q.AppendTo(c.out, q.Version)
	if err != nil {
		return err
	}
	c.out, c.phase = out, connecting
	return nil
}

// announce adds a limit that is not the default, unless the properties have it.
func announce(p packet.Properties, id packet.PropertyID, n uint32) packet.Properties {
	if n == 0 {
		return p
	}
	if _, has := p.Uint(id); !has {
		p, _ = p.AppendUint(id, n)
	}
	return p
}

// Serve begins the server side of a connection, which waits for CONNECT.
func (c *Conn) Serve(cfg Config, now time.Duration) {
	c.reset(cfg, true, now)
	c.phase = opening
}

// Accept accepts CONNECT with ack, whose limits must be those of the Config,
// and continues s, which the caller has cleared if the client requested a clean
// start. keepAlive is the time of the client or of the server, or 0 for none.
func (c *Conn) Accept(s *Session, ack *packet.Connack, keepAlive, now time.Duration) error {
	if c.phase != deciding {
		return ErrNotUp
	}
	if err := c.put(ack); err != nil {
		return err
	}
	c.s, c.phase = s, accepted
	c.keepAlive = keepAlive
	c.lastIn = now
	c.begin(func(uint64, packet.ReasonCode) {})
	return nil
}

// Refuse answers CONNECT with a CONNACK that carries a failure, and ends the
// connection once that is written. Properties that exceed the peer's maximum
// packet size are omitted, the reason string first (MQTT-3.2.2-19). If the
// CONNACK is still too large, it is not sent (MQTT-3.1.2-24).
func (c *Conn) Refuse(ack *packet.Connack) {
	if c.phase != deciding && c.phase != opening {
		return
	}
	if c.version == 0 {
		c.version = packet.V311
	}
	for _, p := range [...]packet.Properties{ack.Properties, ack.Properties.Without(nil, packet.ReasonString), nil} {
		q := packet.Connack{Reason: ack.Reason, Properties: p}
		if c.put(&q) == nil {
			break
		}
	}
	c.phase = closed
}

// put appends a packet, or returns ErrTooLarge if it exceeds the peer's maximum
// packet size (MQTT-3.1.2-24, MQTT-3.2.2-15).
func (c *Conn) put(p packet.Packet) error {
	out, err := p.AppendTo(c.out, c.version)
	if err != nil {
		return err
	}
	if n := len(out) - len(c.out); n > c.peer.MaximumPacketSize {
		return &TooLarge{n, c.peer.MaximumPacketSize}
	}
	c.out = out
	return nil
}

// Resume continues the session after a successful CONNACK: with the same
// packets if the server kept the session, with new packet identifiers if it did
// not. over, if not nil, is called with the tag of every message that this
// finishes, with Success if the server had received it and it cannot be sent
// again, or PacketTooLarge, QoSNotSupported or RetainNotSupported if it exceeds
// what the server announces now (MQTT-3.2.2-11, -14, -15).
//
// The CONNACK of MQTT 3.1 does not report whether the server kept the session:
// without a clean session Resume assumes it, as 3.1 clients do. kept reports
// whether the session continues.
//
// Until Resume the connection is accepted but not up: Publish at QoS 1 and 2
// only queues, Ack acts as AckLate, Disconnect and Fail end the connection, and
// what does not outlive a connection fails with ErrNotUp, as it does without
// one. That holds for calls from over as well. Next must not be called. If the
// connection is over, Resume only remembers, for the next one, that the server
// had no session.
func (c *Conn) Resume(sessionPresent bool, over func(tag uint64, reason packet.ReasonCode)) (kept bool) {
	if c.version == packet.V31 && !c.clean {
		sessionPresent = true
	}
	if c.phase != accepted {
		return sessionPresent
	}
	if over == nil {
		over = func(uint64, packet.ReasonCode) {}
	}
	if sessionPresent = sessionPresent && !c.s.forgotten; !sessionPresent {
		c.s.renumber(over)
	}
	c.begin(over)
	return sessionPresent
}

// begin sets the cursor to the first slot and writes what the peer's limits
// allow. Only then is the connection up: over may publish, which queues, or
// disconnect.
func (c *Conn) begin(over func(tag uint64, reason packet.ReasonCode)) {
	s := c.s
	c.sent, c.waiting = 0, 0
	for id, m := range s.inbound {
		s.inbound[id] = inbound{state: m.state & inboundAcked, sum: m.sum, late: max(m.late, m.late+m.now)}
	}
	for n, end := s.head, s.tail; n != end; n++ {
		sl := s.at(n)
		sl.counted = false
		if sl.state != slotPuback && sl.state != slotPubrec {
			continue
		}
		if reason := c.unsendable(sl); reason != packet.Success {
			tag := sl.tag
			s.finish(sl)
			over(tag, reason)
		}
	}
	if c.phase != accepted {
		return
	}
	c.phase, c.cursor = up, s.head
	c.pump(true)
}

// unsendable returns why the peer's limits, which may have changed since
// Publish, forbid a message.
func (c *Conn) unsendable(sl *slot) packet.ReasonCode {
	first := c.s.bytes(sl)[0]
	switch {
	case int(sl.size) > c.peer.MaximumPacketSize:
		return packet.PacketTooLarge
	case packet.QoS(first>>1&3) > c.peer.MaximumQoS:
		return packet.QoSNotSupported
	case first&1 != 0 && !c.peer.RetainAvailable:
		return packet.RetainNotSupported
	}
	return packet.Success
}

// Lost ends the connection without a DISCONNECT. Unanswered requests are
// dropped from the session, and drop, if not nil, is called with the tag of
// each; publishes stay.
func (c *Conn) Lost(drop func(tag uint64)) {
	c.phase = closed
	c.out = c.out[:0]
	if c.s == nil {
		return
	}
	for n, end := c.s.head, c.s.tail; n != end; n++ {
		if sl := c.s.at(n); sl.state == slotSuback || sl.state == slotUnsuback {
			tag := sl.tag
			c.s.finish(sl)
			if drop != nil {
				drop(tag)
			}
		}
	}
}

// Up reports whether the connection has been accepted and resumed, and has not
// ended.
func (c *Conn) Up() bool { return c.phase == up }

// Version returns the connection's protocol version, or 0 before CONNECT.
func (c *Conn) Version() packet.Version { return c.version }

// Peer returns what the peer announced; it is meaningful while up.
func (c *Conn) Peer() *Peer { return &c.peer }

// KeepAlive returns the keep alive in force, which the server may have changed.
func (c *Conn) KeepAlive() time.Duration { return c.keepAlive }

// Heard records that bytes were received, for a packet that takes long to
// arrive. Before the connection is up it has no effect: the timeout of the
// first packet is not extended by one that arrives slowly.
func (c *Conn) Heard(now time.Duration) {
	if c.phase == up {
		c.lastIn = now
	}
}

// Pending returns the number of bytes that wait to be written.
func (c *Conn) Pending() int { return len(c.out) }

// Attach gives the connection an empty session in place of the one that Detach
// has returned.
func (c *Conn) Attach(s *Session) { c.s, c.cursor = s, s.tail }

// Detach detaches and returns the session if nothing is unfinished in it: then
// any empty session serves as well. Otherwise, and if the connection has none,
// it returns nil. Without a session only QoS 0 can be published, and Next must
// not be called. Detach is for drivers of very many connections.
func (c *Conn) Detach() *Session {
	s := c.s
	if s == nil || s.span() > 0 || len(s.inbound) > 0 || c.phase == accepted {
		return nil
	}
	c.s, s.forgotten = nil, false
	return s
}

// Session returns the connection's session, or nil.
func (c *Conn) Session() *Session { return c.s }

// Window returns how many messages at QoS 1 and 2 may be published and sent at
// once: the room left by the peer's Receive Maximum and SendWindow.
func (c *Conn) Window() int {
	n := min(int(c.peer.ReceiveMaximum), c.cfg.SendWindow)
	if c.s != nil {
		n -= c.s.open
	}
	return max(n, 0)
}

// SetSendWindow changes Config.SendWindow to n, which must be positive.
func (c *Conn) SetSendWindow(n int) {
	c.cfg.SendWindow = min(n, maxSpan-1)
	if c.phase == up {
		c.pump(true)
	}
}

// Output returns a view of the bytes that wait to be written; see Wrote.
func (c *Conn) Output() []byte { return c.out }

// Wrote records that the first n bytes of Output are written. It is for drivers
// that write without waiting; others use Swap.
func (c *Conn) Wrote(n int, now time.Duration) {
	if n > 0 {
		c.out = c.out[:copy(c.out, c.out[n:])]
		c.left(n, now)
	}
}

// left records that n bytes were written, possibly with the PINGREQ.
func (c *Conn) left(n int, now time.Duration) {
	c.lastOut = now
	if c.pingOut > 0 {
		if c.pingOut -= n; c.pingOut <= 0 {
			c.pingOut, c.pingAt = 0, now
		}
	}
}

// Swap returns the bytes that wait to be written and continues with the empty
// buffer spare.
func (c *Conn) Swap(spare []byte, now time.Duration) []byte {
	b := c.out
	c.out = spare[:0]
	if len(b) > 0 {
		c.left(len(b), now)
	}
	return b
}

// PingWaits reports whether a PINGREQ is among the bytes that wait to be
// written.
func (c *Conn) PingWaits() bool { return c.pingOut > 0 }

// Pinged records that a PINGREQ has been written only now: the peer's time to
// answer starts then. It is for drivers that take long to write what Swap
// returns.
func (c *Conn) Pinged(now time.Duration) { c.pingAt = now }

package interop

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// patience is how long a test waits for a client before it fails.
const patience = 2 * time.Minute

// command is a command from a test to a client. The client answers it, with a result
// or an error, before it gets the next command, except for authenticate.
type command struct {
	Client int    `json:"client"`
	Do     string `json:"do"` // connect, subscribe, unsubscribe, publish, disconnect, abort, authenticate; and shown in a browser

	// Fields of connect. A client that reconnects with Clean false still has its own
	// half of the session.
	URL       string   `json:"url,omitempty"`
	CA        string   `json:"ca,omitempty"` // file with the certificate of the server's authority
	Version   byte     `json:"version,omitempty"`
	ID        string   `json:"id"`
	Clean     bool     `json:"clean"` // clean start, before 5.0 clean session
	KeepAlive int      `json:"keepAlive"`
	Reconnect bool     `json:"reconnect"`
	User      string   `json:"user,omitempty"`
	Password  string   `json:"password,omitempty"`
	Will      *message `json:"will,omitempty"`

	Properties *properties `json:"properties,omitempty"` // connect and subscribe
	Filters    []filter    `json:"filters,omitempty"`    // subscribe and unsubscribe
	Message    *message    `json:"message,omitempty"`    // publish
	Count      int         `json:"count,omitempty"`      // publish: this many messages without waiting, with the payloads 0, 1, ...
	Reason     byte        `json:"reason"`               // disconnect
	Data       []byte      `json:"data,omitempty"`       // authenticate
}

type filter struct {
	Filter            string `json:"filter"`
	QoS               byte   `json:"qos"`
	NoLocal           bool   `json:"noLocal"`
	RetainAsPublished bool   `json:"retainAsPublished"`
	RetainHandling    byte   `json:"retainHandling"`
}

type message struct {
	Topic      string      `json:"topic"`
	Payload    []byte      `json:"payload"`
	QoS        byte        `json:"qos"`
	Retain     bool        `json:"retain"`
	Properties *properties `json:"properties,omitempty"`
}

// properties holds the properties of a packet; zero values are absent.
type properties struct {
	PayloadFormat        bool        `json:"payloadFormatIndicator,omitempty"`
	MessageExpiry        uint32      `json:"messageExpiryInterval,omitempty"`
	ContentType          string      `json:"contentType,omitempty"`
	ResponseTopic        string      `json:"responseTopic,omitempty"`
	CorrelationData      []byte      `json:"correlationData,omitempty"`
	UserProperties       [][2]string `json:"userProperties,omitempty"`
	TopicAlias           uint16      `json:"topicAlias,omitempty"`
	SubscriptionIDs      []uint32    `json:"subscriptionIdentifiers,omitempty"`
	WillDelay            uint32      `json:"willDelayInterval,omitempty"`
	SessionExpiry        uint32      `json:"sessionExpiryInterval,omitempty"`
	ReceiveMaximum       uint16      `json:"receiveMaximum,omitempty"`
	TopicAliasMaximum    uint16      `json:"topicAliasMaximum,omitempty"`
	MaximumPacketSize    uint32      `json:"maximumPacketSize,omitempty"`
	AuthenticationMethod string      `json:"authenticationMethod,omitempty"`
	AuthenticationData   []byte      `json:"authenticationData,omitempty"`
	AssignedClientID     string      `json:"assignedClientIdentifier,omitempty"`
}

// answer is the result of a command.
type answer struct {
	Error          string      `json:"error,omitempty"`
	Reason         byte        `json:"reason,omitempty"`  // why the server refused, if the client reports it
	Reasons        []int       `json:"reasons,omitempty"` // from SUBACK and UNSUBACK
	SessionPresent bool        `json:"sessionPresent,omitempty"`
	Properties     *properties `json:"properties,omitempty"` // from CONNACK
	Text           string      `json:"text,omitempty"`       // for shown
}

// event is a notification from a client; in JSON it also carries answers.
type event struct {
	Client    int      `json:"client"`
	Answer    *answer  `json:"answer,omitempty"`
	Message   *message `json:"message,omitempty"`   // received
	Up        *answer  `json:"up,omitempty"`        // reconnected
	Lost      *answer  `json:"lost,omitempty"`      // connection lost, with the reason of the server's DISCONNECT
	Challenge []byte   `json:"challenge,omitempty"` // the server's authentication data; the answer is the command authenticate
}

// client is an MQTT client that carries out commands. Except for authenticate, do is
// called by one goroutine at a time.
type client interface{ do(command) answer }

// kind describes one client implementation.
type kind struct {
	versions []packet.Version
	schemes  []string // URL schemes, the default first
	// open makes a client without a connection. The client may call event from any
	// goroutine.
	open func(event func(event)) client
	// cannot maps the claims that the client cannot meet to the reason.
	cannot map[string]string
	// habits lists peculiarities of the client that the claims allow for, see has.
	habits []string
	certs  *certtest.Set // for servers
}

func (k *kind) has(habit string) bool { return strings.Contains(strings.Join(k.habits, "\n"), habit) }

// stage is the environment of one claim, with a broker of ours.
type stage struct {
	*testing.T
	kind    *kind
	version packet.Version
	broker  *broker.Broker
	url     string
	names   atomic.Int32
	over    chan string // IDs of clients whose connection has ended at the broker
}

// serve starts the broker.
func (s *stage) serve(o broker.Options) { s.serveAt(s.kind.schemes[0], s.kind.certs, o) }

func (s *stage) serveAt(scheme string, certs *certtest.Set, o broker.Options) {
	s.Helper()
	listen, cfg := scheme+"://127.0.0.1:0", certs.ServerConfig()
	if !strings.HasSuffix(scheme, "s") || scheme == "ws" {
		cfg = nil
	}
	var addr string
	over := make(chan string, 5000)
	s.over = over
	o.Log = func(e broker.Event) {
		if e.Kind == broker.EventDisconnected {
			over <- e.ClientID
		}
	}
	s.broker, addr = brokertest.StartOn(s, listen, cfg, o)
	s.url = scheme + "://" + addr
	if strings.HasPrefix(scheme, "ws") {
		s.url += "/mqtt"
	}
}

// peer is a client connected to the broker of a stage.
type peer struct {
	*stage
	client   client
	version  packet.Version
	id       string
	messages chan message
	ups      chan answer
	lost     chan answer
	prove    func(challenge []byte) []byte
}

func (s *stage) peer(k *kind, v packet.Version) *peer {
	p := &peer{stage: s, version: v, id: fmt.Sprintf("client%d", s.names.Add(1)),
		messages: make(chan message, 5000), ups: make(chan answer, 100), lost: make(chan answer, 100)}
	p.client = k.open(func(e event) {
		switch {
		case e.Message != nil:
			p.messages <- *e.Message
		case e.Up != nil:
			p.ups <- *e.Up
		case e.Lost != nil:
			p.lost <- *e.Lost
		case e.Challenge != nil:
			go p.client.do(command{Do: "authenticate", Data: p.prove(e.Challenge)})
		}
	})
	return p
}

// them makes a client of the kind under test, us one of ours.
func (s *stage) them() *peer { return s.peer(s.kind, s.version) }
func (s *stage) us() *peer   { return s.peer(ours, packet.V5) }

// do carries out a command, and fails the test if the client does not answer in time.
func (p *peer) do(c command) answer {
	p.Helper()
	done := make(chan answer, 1)
	go func() { done <- p.client.do(c) }()
	return await(p, done, "answer to "+c.Do)
}

// try connects, with defaults for the fields that c leaves empty.
func (p *peer) try(c command) answer {
	c.Do, c.Version, c.ID = "connect", byte(p.version), cmp.Or(c.ID, p.id)
	c.URL, c.CA = cmp.Or(c.URL, p.url), p.kind.certs.CA.CertFile
	c.KeepAlive = cmp.Or(c.KeepAlive, 60)
	return p.do(c)
}

// connect is like try with a clean session, and must succeed.
func (p *peer) connect(c command) *peer {
	p.Helper()
	c.Clean = true
	p.must(p.try(c))
	return p
}

// resume is like connect, but must resume a session.
func (p *peer) resume(c command) {
	p.Helper()
	if a := p.must(p.try(c)); !a.SessionPresent && p.version != packet.V31 { // 3.1 has no session present flag
		p.Fatal("no session to resume")
	}
}

// durable returns the properties of a durable session.
func durable() *properties { return &properties{SessionExpiry: 1000} }

func (p *peer) must(a answer) answer {
	p.Helper()
	if a.Error != "" {
		p.Fatalf("%s: %s (0x%02x)", p.id, a.Error, a.Reason)
	}
	return a
}

func (p *peer) subscribe(name string, qos byte) *peer {
	p.Helper()
	if a := p.subscribeTo(nil, filter{Filter: name, QoS: qos}); len(a.Reasons) != 1 || a.Reasons[0] != int(qos) {
		p.Fatalf("SUBACK for %q has %v, want %d", name, a.Reasons, qos)
	}
	return p
}

func (p *peer) subscribeTo(props *properties, filters ...filter) answer {
	p.Helper()
	return p.must(p.do(command{Do: "subscribe", Filters: filters, Properties: props}))
}

func (p *peer) unsubscribe(names ...string) answer {
	p.Helper()
	c := command{Do: "unsubscribe"}
	for _, name := range names {
		c.Filters = append(c.Filters, filter{Filter: name})
	}
	return p.must(p.do(c))
}

func (p *peer) publish(m message) {
	p.Helper()
	p.must(p.do(command{Do: "publish", Message: &m}))
}

// burst publishes n numbered messages without waiting for their acknowledgements.
func (p *peer) burst(topic string, qos byte, n int) answer {
	return p.do(command{Do: "publish", Message: &message{Topic: topic, QoS: qos}, Count: n})
}

func (p *peer) say(topic, payload string, qos byte) {
	p.Helper()
	p.publish(text(topic, payload, qos))
}

func (p *peer) disconnect() {
	p.Helper()
	p.must(p.do(command{Do: "disconnect"}))
}

// leave disconnects and waits until the broker has read DISCONNECT. Before that, the
// order relative to other connections is undefined.
func (p *peer) leave() {
	p.Helper()
	p.disconnect()
	for await(p, p.over, "end of the connection") != p.id {
	}
}

// abort ends the connection without DISCONNECT.
func (p *peer) abort() {
	p.Helper()
	p.must(p.do(command{Do: "abort"}))
}

// await waits for a value from a client.
func await[T any](p *peer, c <-chan T, what string) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	select {
	case v := <-c:
		return v
	case <-ctx.Done():
		p.Fatalf("%s: no %s", p.id, what)
	}
	panic("not reached")
}

func (p *peer) next() message {
	p.Helper()
	return await(p, p.messages, "message")
}

// expect receives the next message, which must equal want.
func (p *peer) expect(want message) {
	p.Helper()
	p.check(p.next(), want)
}

// check compares a message that was received.
func (p *peer) check(got, want message) {
	p.Helper()
	if p.version != packet.V5 || want.Properties == nil {
		want.Properties, got.Properties = nil, nil
	} else if got.Properties != nil {
		got.Properties.TopicAlias = 0 // belongs to the connection, not to the message
	}
	if !reflect.DeepEqual(got, want) {
		p.Errorf("%s got\n%s, want\n%s", p.id, got, want)
	}
}

func (p *peer) hears(topic, payload string, qos byte) {
	p.Helper()
	p.expect(text(topic, payload, qos))
}

// loses waits for the end of the connection; in MQTT 5.0 the reason must be want.
func (p *peer) loses(want packet.ReasonCode) {
	p.Helper()
	if p.version != packet.V5 || p.kind.has("reads the reason of a DISCONNECT only if properties follow") {
		want = 0
	}
	if a := await(p, p.lost, "loss"); a.Reason != byte(want) {
		p.Errorf("lost with reason 0x%02x, want 0x%02x", a.Reason, byte(want))
	}
}

func text(topic, payload string, qos byte) message {
	return message{Topic: topic, Payload: []byte(payload), QoS: qos}
}

func (m message) String() string {
	s := fmt.Sprintf("topic %q, QoS %d, retain %v, %d bytes %.100q", m.Topic, m.QoS, m.Retain, len(m.Payload), m.Payload)
	if m.Properties != nil {
		s += fmt.Sprintf(", %+v", *m.Properties)
	}
	return s
}

// aSecond waits for more than a second on the broker's clock, by means of a delayed
// will.
func (s *stage) aSecond() {
	s.Helper()
	watch := s.us().connect(command{}).subscribe("a/second", 0)
	s.us().connect(command{Properties: durable(), Will: &message{Topic: "a/second", Payload: []byte("over"), Properties: &properties{WillDelay: 1}}}).abort()
	watch.hears("a/second", "over", 0)
	watch.disconnect()
}

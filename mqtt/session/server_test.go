package session

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

const (
	connect311 = "10 0d 0004 4d515454 04 02 0000 0001 61"
	connect5   = "10 0e 0004 4d515454 05 02 0000 00 0001 61"
)

// server is an engine in the server's role, driven by hand-written bytes.
type server struct {
	t *testing.T
	Conn
	s    Session
	ev   Event
	done []uint64
}

// serve returns a server that has accepted a CONNECT.
func serve(t *testing.T, cfg Config, connect string) *server {
	t.Helper()
	v := &server{t: t}
	v.again(cfg, connect, false)
	return v
}

func (v *server) again(cfg Config, connect string, present bool) {
	v.t.Helper()
	v.Serve(cfg, 0)
	v.in(connect, "")
	if v.ev.Kind != Connect {
		v.t.Fatalf("event %d, want Connect", v.ev.Kind)
	}
	if err := v.Accept(&v.s, &packet.Connack{SessionPresent: present}, 0, 0); err != nil {
		v.t.Fatal(err)
	}
}

func (v *server) in(s, want string) {
	v.t.Helper()
	for b := unhex(v.t, s); len(b) > 0; {
		n, err := v.Next(b, 0, &v.ev)
		if err != nil || n == 0 {
			v.t.Fatalf("%s: %d, %v", s, n, err)
		}
		b = b[n:]
		if v.ev.Kind == Done {
			v.done = append(v.done, v.ev.Tag)
		}
	}
	v.out(want)
}

func (v *server) out(want string) {
	v.t.Helper()
	if got := v.Swap(nil, 0); !bytes.Equal(got, unhex(v.t, want)) {
		v.t.Fatalf("writes %x, want %s", got, want)
	}
}

// fails feeds packets, of which the last is refused, and returns the last
// packet sent.
func (v *server) fails(s string) (reason packet.ReasonCode, bye []byte) {
	v.t.Helper()
	v.Swap(nil, 0)
	var err error
	for b := unhex(v.t, s); err == nil; {
		n := 0
		if n, err = v.Next(b, 0, &v.ev); err == nil && n == 0 {
			v.t.Fatalf("%s is accepted", s)
		}
		b = b[n:]
	}
	var e *packet.Error
	if errors.As(err, &e) {
		reason = e.Reason
	}
	v.Fail(err)
	if v.Up() {
		v.t.Errorf("%s: up after Fail", s)
	}
	return reason, v.Swap(nil, 0)
}

// A peer that is not accepted may announce a megabyte, and afterwards what the
// configuration says.
func TestAStrangerSendsLessThanAClient(t *testing.T) {
	t.Parallel()
	for _, most := range []int{0, 1000, 2 << 20} {
		var c Conn
		var ev Event
		c.Serve(Config{MaxPacket: most}, 0)
		// fc ff 3f with a fixed header of 4 bytes means a megabyte.
		if n, err := c.Next([]byte{0x10, 0xfc, 0xff, 0x3f}, 0, &ev); n != 0 || (err == nil) != (most != 1000) {
			t.Errorf("%d: a CONNECT of 1 MiB: %d, %v", most, n, err)
		}
		if n, err := c.Next([]byte{0x10, 0xfd, 0xff, 0x3f}, 0, &ev); n != 0 || !tooLarge(err) {
			t.Errorf("%d: a CONNECT of a byte more: %d, %v", most, n, err)
		}
		if _, err := c.Next([]byte("\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a"), 0, &ev); err != nil {
			t.Fatal(err)
		}
		if err := c.Accept(new(Session), new(packet.Connack), 0, 0); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Next([]byte{0x30, 0xfd, 0xff, 0x3f}, 0, &ev); n != 0 || (err == nil) != (most != 1000) {
			t.Errorf("%d: a PUBLISH of a byte more: %d, %v", most, n, err)
		}
	}
}

func tooLarge(err error) bool {
	var pe *packet.Error
	return errors.As(err, &pe) && pe.Reason == packet.PacketTooLarge
}

func TestAServerTakesMessagesAndAcknowledgesThem(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, connect, connack, none string }{
		{"3.1.1", connect311, "20 02 00 00", ""},
		{"5.0", connect5, "20 03 00 00 00", "00"},
	} {
		v := serve(t, Config{}, row.connect)
		v.out(row.connack)
		length := func(n string, n5 string) string {
			if row.none == "" {
				return n
			}
			return n5
		}
		v.in("30 "+length("04", "05")+" 0001 74 "+row.none+" 30", "")
		v.Ack(0, 0, packet.Success)
		v.out("")
		v.in("32 "+length("06", "07")+" 0001 74 0001 "+row.none+" 31", "")
		v.Ack(1, 1, packet.Success)
		v.out("40 02 0001")
		v.in("34 "+length("06", "07")+" 0001 74 0002 "+row.none+" 32", "")
		if v.ev.Kind != Publish || string(v.ev.Publish.Payload) != "2" {
			t.Errorf("%s: event %d with payload %q", row.name, v.ev.Kind, v.ev.Publish.Payload)
		}
		v.Ack(2, 2, packet.Success)
		v.out("50 02 0002")
		// A repetition is answered, not delivered.
		v.in("3c "+length("06", "07")+" 0001 74 0002 "+row.none+" 32", "50 02 0002")
		if v.ev.Kind != None {
			t.Errorf("%s: a repeated message is event %d", row.name, v.ev.Kind)
		}
		v.in("62 02 0002", "70 02 0002")
		v.in("c0 00", "d0 00")
		for id := range v.s.Inbound {
			t.Errorf("%s: identifier %d stays open", row.name, id)
		}
	}
}

func TestAServerSendsAndResends(t *testing.T) {
	t.Parallel()
	v := serve(t, Config{}, connect5)
	v.out("20 03 00 00 00")
	for i := range uint64(3) {
		p := packet.Publish{QoS: packet.QoS(i), Topic: []byte("t")}
		if err := v.Publish(&p, i); err != nil {
			t.Fatal(err)
		}
	}
	v.out("30 04 0001 74 00  32 06 0001 74 0001 00  34 06 0001 74 0002 00")
	v.in("50 02 0002", "62 02 0002")
	v.Lost(nil)
	if err := v.Publish(&packet.Publish{QoS: 1, Topic: []byte("t")}, 3); err != nil {
		t.Errorf("publish while down: %v", err)
	}
	v.again(Config{}, "10 0e 0004 4d515454 05 00 0000 00 0001 61", true)
	v.out("20 03 01 00 00  3a 06 0001 74 0001 00  62 02 0002  32 06 0001 74 0003 00")
	v.in("40 02 0001 70 02 0002 40 02 0003", "")
	if len(v.done) != 3 || v.s.Open() != 0 || v.s.Held() != 0 {
		t.Errorf("over: %d, open %d, held %d", v.done, v.s.Open(), v.s.Held())
	}
}

func TestStrayAcknowledgementsAreHarmless(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ connect, in, want string }{
		{connect311, "40 02 0009", ""},
		{connect311, "50 02 0009", "62 02 0009"},
		{connect311, "70 02 0009", ""},
		{connect311, "62 02 0009", "70 02 0009"},
		{connect5, "40 02 0009", ""},
		{connect5, "50 02 0009", "62 03 0009 92"},
		{connect5, "50 03 0009 97", ""},
		{connect5, "70 02 0009", ""},
		{connect5, "62 02 0009", "70 03 0009 92"},
	} {
		v := serve(t, Config{}, row.connect)
		v.Swap(nil, 0)
		v.in(row.in, row.want)
		if v.Stray != 1 || v.ev.Kind != None {
			t.Errorf("%s: %d strays, event %d", row.in, v.Stray, v.ev.Kind)
		}
	}
}

func TestSubscribeIsAnswered(t *testing.T) {
	t.Parallel()
	v := serve(t, Config{}, connect311)
	v.out("20 02 00 00")
	v.in("82 06 0007 0001 74 01", "")
	if v.ev.Kind != Subscribe || v.ev.Subscribe.PacketID != 7 {
		t.Errorf("event %d with identifier %d", v.ev.Kind, v.ev.Subscribe.PacketID)
	}
	if err := v.Suback(&packet.Suback{Type: packet.SUBACK, PacketID: 7, Codes: []byte{0x87}}); err != nil {
		t.Fatal(err)
	}
	v.out("90 03 0007 80") // the only failure code of 3.1.1
	v.in("a2 05 0008 0001 74", "")
	if v.ev.Kind != Unsubscribe {
		t.Errorf("event %d, want Unsubscribe", v.ev.Kind)
	}
	if err := v.Suback(&packet.Suback{Type: packet.UNSUBACK, PacketID: 8, Codes: []byte{0}}); err != nil {
		t.Fatal(err)
	}
	v.out("b0 02 0008")
}

func TestWhatAClientMayNotSend(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, in string
		reason   packet.ReasonCode
		bye5     string
	}{
		{"a second CONNECT", connect5, packet.ProtocolError, "e0 01 82"},
		{"CONNACK", "20 03 00 00 00", packet.ProtocolError, "e0 01 82"},
		{"SUBACK", "90 04 0001 00 00", packet.ProtocolError, "e0 01 82"},
		{"UNSUBACK", "b0 04 0001 00 00", packet.ProtocolError, "e0 01 82"},
		{"PINGRESP", "d0 00", packet.ProtocolError, "e0 01 82"},
		{"packet type 0", "00 00", packet.MalformedPacket, "e0 01 81"},
		{"PUBREL before PUBREC", "34 06 0001 74 0001 00 62 02 0001", packet.ProtocolError, "e0 01 82"},
		{"topic alias 0", "30 07 0001 74 03 23 0000", packet.TopicAliasInvalid, "e0 01 94"},
		{"topic alias above the maximum", "30 07 0001 74 03 23 0003", packet.TopicAliasInvalid, "e0 01 94"},
		{"topic alias never set", "30 07 0001 74 03 23 0002 30 06 0000 03 23 0001", packet.ProtocolError, "e0 01 82"},
		{"a subscription identifier", "30 06 0001 74 02 0b 01", packet.ProtocolError, "e0 01 82"},
		{"more than the receive maximum", "34 06 0001 74 0001 00 34 06 0001 74 0002 00 34 06 0001 74 0003 00", packet.ReceiveMaximumExceeded, "e0 01 93"},
		{"a packet too large", "30 ff 01", packet.PacketTooLarge, "e0 01 95"},
		{"a session expiry interval after none", "e0 07 00 05 11 00000001", packet.ProtocolError, "e0 01 82"},
		{"anything after DISCONNECT", "e0 00 c0 00", 0, ""},
	} {
		v := serve(t, Config{MaxPacket: 100, ReceiveMaximum: 2, TopicAliasMaximum: 2}, connect5)
		reason, bye := v.fails(row.in)
		if reason != row.reason || !bytes.Equal(bye, unhex(t, row.bye5)) {
			t.Errorf("%s: %v, goodbye %x; want %v, %s", row.name, reason, bye, row.reason, row.bye5)
		}
	}
}

func TestBefore5NothingIsSaidToAnErringPeer(t *testing.T) {
	t.Parallel()
	v := serve(t, Config{}, connect311)
	if _, bye := v.fails("36 05 0001 74 0001"); len(bye) != 0 {
		t.Errorf("a server's goodbye is %x", bye)
	}
	c := &client{t: t}
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	c.refuses("36 05 0001 74 0001", packet.MalformedPacket, "")
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	c.refuses("e0 00", packet.ProtocolError, "") // DISCONNECT from a server
}

func TestARefusedQoSHasItsReason(t *testing.T) {
	t.Parallel()
	v := serve(t, Config{LimitQoS: true, MaximumQoS: 1}, connect5)
	if reason, bye := v.fails("34 06 0001 74 0001 00"); reason != packet.QoSNotSupported || !bytes.Equal(bye, []byte{0xe0, 1, 0x9b}) {
		t.Errorf("%v, goodbye %x", reason, bye)
	}
}

func TestARefusedConnectIsAnsweredInItsVersion(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, in, want string }{
		{"HTTP", "47 45 54 20", ""},
		{"PUBLISH", "30 03 0001 74", ""},
		{"level 6", "10 0d 0004 4d515454 06 02 0000 0001 61", "20 03 00 84 00"},
		{"level 2", "10 0d 0004 4d515454 02 02 0000 0001 61", "20 02 00 01"},
		{"3.1.1 with an empty client identifier", "10 0c 0004 4d515454 04 00 0000 0000", "20 02 00 02"},
		{"5.0 with the reserved flag", "10 0e 0004 4d515454 05 03 0000 00 0001 61", "20 03 00 81 00"},
	} {
		v := &server{t: t}
		v.Serve(Config{}, 0)
		if _, bye := v.fails(row.in); !bytes.Equal(bye, unhex(t, row.want)) {
			t.Errorf("%s: writes %x, want %s", row.name, bye, row.want)
		}
	}
	for connect, want := range map[string]string{connect311: "20 02 00 05", connect5: "20 03 00 87 00"} {
		v := &server{t: t}
		v.Serve(Config{}, 0)
		v.in(connect, "")
		v.Refuse(&packet.Connack{Reason: packet.NotAuthorized})
		v.out(want)
		if err := v.Accept(&v.s, &packet.Connack{}, 0, 0); err != ErrNotUp {
			t.Errorf("Accept after Refuse: %v", err)
		}
	}
}

func TestAFragmentSaysHowMuchIsNeeded(t *testing.T) {
	t.Parallel()
	for _, connect := range []string{connect311, connect5} {
		v := &server{t: t}
		v.Serve(Config{}, 0)
		b := unhex(t, connect)
		for i := range b {
			n, err := v.Next(b[:i:i], 0, &v.ev)
			if n != 0 || err != nil || v.ev.Need <= i || v.ev.Need > len(b) {
				t.Fatalf("%d bytes: n %d, need %d, %v", i, n, v.ev.Need, err)
			}
		}
		if n, err := v.Next(b, 0, &v.ev); n != len(b) || err != nil || v.ev.Kind != Connect {
			t.Fatalf("n %d, event %d, %v", n, v.ev.Kind, err)
		}
	}
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	v := serve(t, Config{}, connect311)
	v.out("20 02 00 00")
	v.in("e0 00", "")
	if v.ev.Kind != Disconnect || v.Up() {
		t.Errorf("event %d, up %v", v.ev.Kind, v.Up())
	}
	v = serve(t, Config{}, connect311)
	v.out("20 02 00 00")
	v.Disconnect(&packet.Disconnect{Reason: packet.ServerShuttingDown})
	v.out("") // a server has none before 5.0
	v = serve(t, Config{}, connect5)
	v.out("20 03 00 00 00")
	v.Disconnect(&packet.Disconnect{Reason: packet.ServerShuttingDown})
	v.out("e0 01 8b")
	v.Disconnect(&packet.Disconnect{})
	v.out("")
	if err := v.Publish(&packet.Publish{Topic: []byte("t")}, 0); err != ErrNotUp {
		t.Errorf("publish after DISCONNECT: %v", err)
	}
	c := &client{t: t}
	c.open(packet.V5, Config{})
	c.in("20 03 00 00 00 e0 01 8e", "")
	if c.ev.Kind != Disconnect || c.ev.Disconnect.Reason != packet.SessionTakenOver || c.Up() {
		t.Errorf("event %d: %v", c.ev.Kind, c.ev.Disconnect.Reason)
	}
}

func TestRequestsAreDroppedWithTheConnection(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	if err := c.Subscribe(&packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: []byte("t")}}}, 8); err != nil {
		t.Fatal(err)
	}
	c.publish(1, "", 9)
	if err := c.Unsubscribe(&packet.Unsubscribe{Filters: [][]byte{[]byte("t")}}, 10); err != nil {
		t.Fatal(err)
	}
	c.out("82 06 0001 0001 74 00  32 05 0001 74 0002  a2 05 0003 0001 74")
	c.in("b0 02 0003", "")
	if c.ev.Kind != Suback || c.ev.Tag != 10 {
		t.Errorf("event %d of %d", c.ev.Kind, c.ev.Tag)
	}
	var dropped []uint64
	c.Lost(func(tag uint64) { dropped = append(dropped, tag) })
	if len(dropped) != 1 || dropped[0] != 8 || c.s.Open() != 1 {
		t.Errorf("dropped %d, open %d", dropped, c.s.Open())
	}
	c.open(packet.V311, Config{})
	c.in("20 02 01 00", "3a 05 0001 74 0002")
}

func TestCommandsRespectTheServersLimits(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{SendWindow: 1})
	c.in("20 0d 00 00 0a 24 00 25 00 28 00 29 00 2a 00", "")
	id, _ := packet.Properties(nil).AppendUint(packet.SubscriptionIdentifier, 1)
	alias, _ := packet.Properties(nil).AppendUint(packet.TopicAlias, 1)
	sub := func(filter string, p packet.Properties) error {
		return c.Subscribe(&packet.Subscribe{Properties: p, Subscriptions: []packet.Subscription{{Filter: []byte(filter)}}}, 0)
	}
	topic := []byte("t")
	for _, row := range []struct {
		name      string
		got, want error
	}{
		{"QoS 1", c.Publish(&packet.Publish{QoS: 1, Topic: topic}, 0), ErrQoS},
		{"retained", c.Publish(&packet.Publish{Retain: true, Topic: topic}, 0), ErrRetain},
		{"topic alias", c.Publish(&packet.Publish{Topic: topic, Properties: alias}, 0), ErrAlias},
		{"+", sub("a/+", nil), ErrPeerCan},
		{"#", sub("#", nil), ErrPeerCan},
		{"shared", sub("$share/g/t", nil), ErrPeerCan},
		{"subscription identifier", sub("t", id), ErrPeerCan},
	} {
		if row.got != row.want {
			t.Errorf("%s: %v, want %v", row.name, row.got, row.want)
		}
	}
	c.out("")
	c.open(packet.V5, Config{SendWindow: 1})
	c.in("20 03 00 00 00", "")
	if !c.CanPublish(10) {
		t.Error("no room for the first message")
	}
	c.publish(1, "", 1)
	if err := c.Publish(&packet.Publish{QoS: 1, Topic: topic}, 2); err != ErrQuota || c.CanPublish(10) {
		t.Errorf("beyond the window: %v", err)
	}
}

func TestServerKeepAliveReplacesTheClients(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{})
	c.in("20 06 00 00 03 13 0005", "")
	if c.KeepAlive() != 5*time.Second {
		t.Errorf("keep alive %v", c.KeepAlive())
	}
}

func TestAFailedConnackEndsTheConnection(t *testing.T) {
	t.Parallel()
	for v, in := range map[packet.Version]string{packet.V311: "20 02 00 05", packet.V5: "20 03 00 87 00"} {
		c := &client{t: t}
		c.open(v, Config{})
		if _, err := c.Next(unhex(t, in), 0, &c.ev); err != nil {
			t.Fatal(err)
		}
		if c.ev.Kind != Connack || c.ev.Reason != packet.NotAuthorized || c.Up() {
			t.Errorf("%v: event %d, %v, up %v", v, c.ev.Kind, c.ev.Reason, c.Up())
		}
	}
}

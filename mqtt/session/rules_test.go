package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

func TestResumeGivesUpWhatTheServerNoLongerTakes(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{})
	c.in("20 03 00 00 00", "")
	c.publish(2, "", 1)
	c.publish(1, "", 2)
	if err := c.Publish(&packet.Publish{QoS: 1, Retain: true, Topic: []byte("t")}, 3); err != nil {
		t.Fatal(err)
	}
	c.Lost(nil)
	over := map[uint64]packet.ReasonCode{}
	c.open(packet.V5, Config{})
	if _, err := c.Next(unhex(t, "20 07 01 00 04 24 01 25 00"), 0, &c.ev); err != nil {
		t.Fatal(err)
	}
	c.Resume(true, func(tag uint64, r packet.ReasonCode) { over[tag] = r })
	c.out("3a 06 0001 74 0002 00")
	if len(over) != 2 || over[1] != packet.QoSNotSupported || over[3] != packet.RetainNotSupported {
		t.Errorf("given up: %v", over)
	}
}

// A message that waited for the peer's Receive Maximum was not sent, so that the
// server cannot have delivered it before it lost the session.
func TestOnlyWhatWasSentIsInDoubt(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{})
	c.in("20 06 00 00 03 21 0001", "") // Receive Maximum 1
	c.publish(2, "a", 1)
	c.publish(2, "b", 2)
	c.publish(1, "c", 3)
	c.Swap(nil, 0)
	c.Lost(nil)
	var asked []uint64
	c.s.Doubt = func(tag uint64, publish []byte) bool {
		asked = append(asked, tag)
		return false
	}
	c.open(packet.V5, Config{})
	if _, err := c.Next(unhex(t, "20 03 00 00 00"), 0, &c.ev); err != nil {
		t.Fatal(err)
	}
	c.Resume(false, nil)
	if !slices.Equal(asked, []uint64{1}) || c.s.Open() != 2 {
		t.Errorf("asked about %v, %d messages open", asked, c.s.Open())
	}
}

func TestResumeNeedsNoCallback(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	if err := c.s.Restore(ChangeReceived, 1, 1, nil); err != nil {
		t.Fatal(err)
	}
	c.open(packet.V311, Config{})
	if _, err := c.Next(unhex(t, "20 02 00 00"), 0, &c.ev); err != nil {
		t.Fatal(err)
	}
	c.Resume(false, nil)
}

func TestAnAliasDoesNotLiftAPacketAboveThePeersMaximum(t *testing.T) {
	t.Parallel()
	for qos := range packet.QoS(2) {
		c := &client{t: t}
		c.open(packet.V5, Config{SendAliases: 1})
		c.in("20 0b 00 00 08 22 0001 27 00000014", "") // 20 bytes
		c.publish(qos, "", 0)
		c.Swap(nil, 0)
		size := 20 - 6 - 2*int(qos)
		c.publish(qos, strings.Repeat("x", size), 0)
		if b := c.Swap(nil, 0); len(b) > 20 {
			t.Errorf("QoS %d: a packet of %d bytes: %x", qos, len(b), b)
		}
	}
}

func TestBefore5OurReceiveMaximumIsUnknownToThePeer(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V311, Config{ReceiveMaximum: 1})
	c.in("20 02 00 00 32 05 0001 74 0001 34 05 0001 74 0002 34 05 0001 74 0003", "")
	v := serve(t, Config{ReceiveMaximum: 1}, connect311)
	v.in("32 05 0001 74 0001 34 05 0001 74 0002 34 05 0001 74 0003", "20 02 00 00")
}

func TestAnAckAfterDisconnectIsRemembered(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{})
	c.in("20 03 00 00 00 34 06 0001 74 0001 00", "")
	c.in("e0 01 8b", "")
	c.Ack(2, 1, packet.Success)
	c.Lost(nil)
	c.open(packet.V5, Config{})
	c.in("20 03 01 00 00 3c 06 0001 74 0001 00", "50 02 0001")
}

func TestALatePubrecDoesNotReleaseAMessageToBeResent(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{})
	c.in("20 03 00 00 00", "")
	c.publish(1, "", 1)
	c.publish(2, "", 2)
	c.Lost(nil)
	c.open(packet.V5, Config{})
	c.in("20 06 01 00 03 21 0001", "3a 06 0001 74 0001 00")
	// The server acknowledges a message of the last connection. A PUBREL would
	// make it forget the identifier and take the repetition for a new message.
	c.in("50 02 0002", "")
	c.in("40 02 0001", "3c 06 0001 74 0002 00")
}

func TestBefore5AMalformedConnectIsNotAnswered(t *testing.T) {
	t.Parallel()
	v := &server{t: t}
	v.Serve(Config{}, 0)
	if _, bye := v.fails("10 0d 0004 4d515454 04 03 0000 0001 61"); len(bye) != 0 {
		t.Errorf("writes %x", bye) // MQTT-3.2.2-6 of 3.1.1
	}
}

func TestAGoodbyeIsSaidWithoutWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	props, _ := packet.Properties(nil).AppendBytes(packet.ReasonString, []byte("see you"))
	c := &client{t: t}
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	c.Disconnect(&packet.Disconnect{Properties: props})
	c.out("e0 00")
	c.open(packet.V5, Config{})
	c.in("20 08 00 00 05 27 00000008", "")
	c.Disconnect(&packet.Disconnect{Reason: packet.DisconnectWithWill, Properties: props})
	c.out("e0 01 04")
}

func TestAServerWithoutASessionRefusesToPublish(t *testing.T) {
	t.Parallel()
	var c Conn
	c.Serve(Config{}, 0)
	for qos := range packet.QoS(3) {
		if err := c.Publish(&packet.Publish{QoS: qos, Topic: []byte("t")}, 0); err != ErrNotUp {
			t.Errorf("QoS %d: %v", qos, err)
		}
	}
	if c.CanPublish(1) {
		t.Error("there is room in no session")
	}
}

func TestRestoreRefusesOtherPackets(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "32", "32 ffffffff7f", "32 02 0001", "32 05 0001 74 0002", "30 03 0001 74", "36 05 0001 74 0001",
		"32 05 0001 74 0001 00", "32 05 ffff 74 0001", "32 04 0001 74 00", "40 02 0001",
	} {
		func() {
			defer func() {
				if e := recover(); e != nil {
					t.Errorf("%s: %v", in, e)
				}
			}()
			c := &client{t: t}
			if err := c.s.Restore(ChangeSent, 1, 1, unhex(t, in)); err == nil {
				t.Errorf("%s is restored", in)
			}
			c.open(packet.V311, Config{})
			if _, err := c.Next(unhex(t, "20 02 00 00"), 0, &c.ev); err != nil {
				t.Fatal(err)
			}
			c.Resume(false, func(uint64, packet.ReasonCode) {})
		}()
	}
	var s Session
	if err := s.Restore(ChangeSent, 1, 1, unhex(t, "32 05 0001 74 0001")); err != nil {
		t.Error(err)
	}
}

// It shows MQTT-3.15.2-2, MQTT-3.15.2-3.
func TestAnAuthKeepsToThePeersMaximum(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	p := &packet.Auth{Reason: packet.ReAuthenticate, Properties: unhex(t, "15 0001 6d 16 0001 64")}
	if err := c.Auth(p); err != ErrNotUp {
		t.Errorf("before CONNECT: got %v, want %v", err, ErrNotUp)
	}
	c.open(packet.V5, Config{})
	if err := c.Auth(p); err != nil {
		t.Errorf("before CONNACK: %v", err)
	}
	c.out("f0 0a 19 08 15 0001 6d 16 0001 64")
	c.in("20 08 00 00 05 27 0000000b", "")
	if err := c.Auth(p); !errors.Is(err, ErrTooLarge) {
		t.Errorf("12 bytes where 11 are allowed: got %v, want %v", err, ErrTooLarge)
	}
	c.out("")
}

// Whatever a peer announces, up to 4,294,967,295, there is room for a message.
// Most of these values are negative in an int of 32 bits, with which the tests
// also run.
func TestAMaximumPacketSizeIsCutToTheProtocols(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		said string
		want int
	}{
		{"0000000f", 15}, {"10000003", packet.MaxSize - 1}, {"10000004", packet.MaxSize}, {"10000005", packet.MaxSize},
		{"7fffffff", packet.MaxSize}, {"80000000", packet.MaxSize}, {"ffffffff", packet.MaxSize},
	} {
		c := &client{t: t}
		c.open(packet.V5, Config{})
		c.in("20 08 00 00 05 27 "+row.said, "")
		if got := c.Peer().MaximumPacketSize; got != row.want {
			t.Errorf("a server's %s: %d, want %d", row.said, got, row.want)
		}
		c.publish(1, "", 1)
		c.out("32 06 0001 74 0001 00")
		v := serve(t, Config{}, "10 13 0004 4d515454 05 02 0000 05 27 "+row.said+" 0001 61")
		if got := v.Peer().MaximumPacketSize; got != row.want {
			t.Errorf("a client's %s: %d, want %d", row.said, got, row.want)
		}
		// Limits that the caller has put into CONNECT.
		o := &client{t: t}
		p := &packet.Connect{Version: packet.V5, ClientID: []byte("c"), Properties: unhex(t, "27 "+row.said)}
		if err := o.Open(&o.s, p, Config{}, 0); err != nil {
			t.Fatal(err)
		}
		if got := o.limit(); got != row.want {
			t.Errorf("our own %s: %d, want %d", row.said, got, row.want)
		}
	}
}

// A limit that no packet reaches is announced as the largest, and a limit
// without effect is not announced.
func TestALimitOfOursIsAnnouncedAsItHolds(t *testing.T) {
	t.Parallel()
	huge := int64(1)<<32 + 5 // in 32 bits: 5
	for _, row := range []struct {
		limit int64
		want  string
	}{
		{-1, "10 0e 0004 4d515454 05 00 0000 00 0001 63"},
		{0, "10 0e 0004 4d515454 05 00 0000 00 0001 63"},
		{1, "10 13 0004 4d515454 05 00 0000 05 27 00000001 0001 63"},
		{packet.MaxSize, "10 13 0004 4d515454 05 00 0000 05 27 10000004 0001 63"},
		{packet.MaxSize + 1, "10 13 0004 4d515454 05 00 0000 05 27 10000004 0001 63"},
		{huge, "10 13 0004 4d515454 05 00 0000 05 27 10000004 0001 63"},
	} {
		if int64(int(row.limit)) != row.limit {
			continue // not on this machine
		}
		c := &client{t: t}
		if err := c.Open(&c.s, &packet.Connect{Version: packet.V5, ClientID: []byte("c")}, Config{MaxPacket: int(row.limit)}, 0); err != nil {
			t.Fatal(err)
		}
		c.out(row.want)
	}
}

// Hold sends only the oldest packets, including PUBREL, and the next when one
// of them is done.
func TestHoldLetsTheOldestPacketsLeaveOnly(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	c.publish(2, "", 1)
	c.in("50 02 0001", "34 05 0001 74 0001 62 02 0001")
	c.publish(1, "", 2)
	c.publish(1, "", 3)
	c.out("32 05 0001 74 0002 32 05 0001 74 0003")
	c.Lost(nil)
	if o, n := c.Oldest(); n != 3 || o.Tag != 1 || !o.Released || o.Serial != 0 {
		t.Errorf("%d on the way, the oldest is %+v", n, o)
	}

	c.open(packet.V311, Config{})
	if _, err := c.Next(unhex(t, "20 02 01 00"), 0, &c.ev); err != nil {
		t.Fatal(err)
	}
	c.Hold(0)
	c.Resume(true, nil)
	c.publish(1, "", 4)
	c.out("")
	if _, n := c.Oldest(); n != 0 {
		t.Errorf("%d on the way, want none", n)
	}
	c.Hold(1)
	c.out("62 02 0001")
	c.Hold(1)
	c.in("70 02 0001", "3a 05 0001 74 0002")
	if o, n := c.Oldest(); n != 1 || o.Tag != 2 || o.Released || o.Serial != 1 || string(o.Publish) != "\x32\x05\x00\x01t\x00\x02" {
		t.Errorf("%d on the way, the oldest is %+v", n, o)
	}
	c.Hold(-1)
	c.out("3a 05 0001 74 0003 32 05 0001 74 0004")
}

// A message keeps its serial number when a session that the server has lost
// starts over, and Drop finds it by that.
func TestASerialNumberOutlivesPacketIdentifiers(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	for tag := uint64(1); tag <= 3; tag++ {
		c.publish(1, "", tag)
	}
	c.Swap(nil, 0)
	c.in("40 02 0001", "")
	c.Lost(nil)
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "32 05 0001 74 0004 32 05 0001 74 0005")
	c.Lost(nil)
	if o, n := c.Oldest(); n != 2 || o.Tag != 2 || o.Serial != 1 {
		t.Errorf("%d on the way, the oldest is %+v", n, o)
	}
	for _, drop := range []struct {
		serial uint32
		tag    uint64
		ok     bool
	}{{0, 0, false}, {1, 2, true}, {1, 0, false}, {9, 0, false}} {
		if tag, ok := c.s.Drop(drop.serial); tag != drop.tag || ok != drop.ok {
			t.Errorf("Drop(%d) = %d, %v; want %d, %v", drop.serial, tag, ok, drop.tag, drop.ok)
		}
	}
	if c.s.Open() != 1 {
		t.Errorf("%d open, want 1", c.s.Open())
	}
}

// Messages that are dropped by their content leave the others unchanged: their
// identifiers, and PUBREL for those that the peer has received.
func TestWhatIsDroppedLeavesTheOthers(t *testing.T) {
	t.Parallel()
	for drop := range 1 << 3 {
		c := &client{t: t}
		c.open(packet.V311, Config{})
		c.in("20 02 00 00", "")
		for i, qos := range []packet.QoS{1, 2, 2, 2} {
			if err := c.Publish(&packet.Publish{QoS: qos, Topic: []byte{'a' + byte(i)}}, uint64(i)); err != nil {
				t.Fatal(err)
			}
		}
		c.Swap(nil, 0)
		c.in("50 02 0004", "62 02 0004")
		c.Lost(nil)
		want, most := "", 0
		for i, again := range []string{"3a 05 0001 61 0001", "3c 05 0001 62 0002", "3c 05 0001 63 0003"} {
			if drop>>i&1 == 1 {
				most++
			} else {
				want += again
			}
		}
		n := c.s.DropIf(func(publish []byte) bool { return publish[4] <= 'c' && drop>>(publish[4]-'a')&1 == 1 })
		if n != most || c.s.Open() != 4-most {
			t.Errorf("drop %b: %d dropped, %d open; want %d, %d", drop, n, c.s.Open(), most, 4-most)
		}
		c.open(packet.V311, Config{})
		c.in("20 02 01 00", want+"62 02 0004")
	}
}

// Every reason code of every acknowledgement (table 2-6), and what is reported
// for the message.
func TestWhatAcknowledgementsSay(t *testing.T) {
	t.Parallel()
	for code := range 256 {
		reason := packet.ReasonCode(code)
		for _, typ := range []packet.Type{packet.PUBACK, packet.PUBREC, packet.PUBCOMP} {
			if !reason.AllowedIn(typ) {
				continue
			}
			name := fmt.Sprintf("%v %v", typ, reason)
			c := &client{t: t}
			c.open(packet.V5, Config{})
			c.in("20 03 00 00 00", "")
			qos, first := packet.QoS(2), "34"
			if typ == packet.PUBACK {
				qos, first = 1, "32"
			}
			c.publish(qos, "", 7)
			c.out(first + " 06 0001 74 0001 00")
			if typ == packet.PUBCOMP {
				c.in("50 02 0001", "62 02 0001")
			}
			ack := fmt.Sprintf("%x0 03 0001 %02x", byte(typ), code)
			if typ == packet.PUBREC && !reason.Failed() {
				c.in(ack, "62 02 0001")
				if c.ev.Kind != None || c.s.Open() != 1 {
					t.Errorf("%s: event %d, %d open", name, c.ev.Kind, c.s.Open())
				}
				continue
			}
			c.in(ack, "")
			if typ == packet.PUBCOMP { // 0x92: the receiver had completed it before
				reason = packet.Success
			}
			if c.ev.Kind != Done || c.ev.Tag != 7 || c.ev.QoS != qos || c.ev.Reason != reason || c.s.Open() != 0 {
				t.Errorf("%s: event %d of %d at QoS %d: %v, %d open", name, c.ev.Kind, c.ev.Tag, c.ev.QoS, c.ev.Reason, c.s.Open())
			}
		}
	}
}

// MQTT-3.8.4-5 and MQTT-3.11.3-1: one code for each filter.
func TestARequestHasACodeForEachFilter(t *testing.T) {
	t.Parallel()
	filters := [][]byte{[]byte("a"), []byte("b")}
	for version, props := range map[packet.Version]string{packet.V31: "", packet.V311: "", packet.V5: "00"} {
		for codes := 1; codes <= 3; codes++ {
			for _, unsubscribe := range []bool{false, true} {
				if unsubscribe && version < packet.V5 {
					continue // its UNSUBACK has no codes
				}
				c := &client{t: t}
				c.open(version, Config{})
				c.in(map[bool]string{false: "20 02 00 00", true: "20 03 00 00 00"}[version == packet.V5], "")
				answer := fmt.Sprintf("90 %02x 0001 %s %s", 2+len(props)/2+codes, props, strings.Repeat("00", codes))
				var err error
				if unsubscribe {
					answer = "b" + answer[1:]
					err = c.Unsubscribe(&packet.Unsubscribe{Filters: filters}, 5)
				} else {
					err = c.Subscribe(&packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: filters[0]}, {Filter: filters[1]}}}, 5)
				}
				if err != nil {
					t.Fatal(err)
				}
				c.Swap(nil, 0)
				if codes == 2 {
					c.in(answer, "")
					if c.ev.Kind != Suback || c.ev.Tag != 5 {
						t.Errorf("%v, %s: event %d of %d", version, answer, c.ev.Kind, c.ev.Tag)
					}
				} else {
					c.refuses(answer, packet.ProtocolError, map[bool]string{true: "e0 01 82"}[version == packet.V5])
				}
			}
		}
	}
}

// MQTT-3.2.2-2: after a clean start there is no session. MQTT 3.1 has no flag
// for it.
func TestNoSessionIsPresentAfterACleanStart(t *testing.T) {
	t.Parallel()
	for version, connack := range map[packet.Version]string{packet.V31: "20 02 01 00", packet.V311: "20 02 01 00", packet.V5: "20 03 01 00 00"} {
		for _, clean := range []bool{false, true} {
			c := &client{t: t}
			if err := c.Open(&c.s, &packet.Connect{Version: version, ClientID: []byte("c"), CleanStart: clean}, Config{}, 0); err != nil {
				t.Fatal(err)
			}
			c.Swap(nil, 0)
			if clean && version != packet.V31 {
				c.refuses(connack, packet.ProtocolError, map[bool]string{true: "e0 01 82"}[version == packet.V5])
				continue
			}
			c.in(connack, "")
			if want := version != packet.V31; c.ev.Kind != Connack || c.ev.Connack.SessionPresent != want {
				t.Errorf("%v, clean %v: event %d, session present %v", version, clean, c.ev.Kind, c.ev.Connack.SessionPresent)
			}
		}
	}
}

// Section 3.14.2.2.2: after a session expiry interval of 0 in CONNECT another one in
// DISCONNECT is a protocol error, for which the server would publish the will.
func TestAGoodbyeKeepsToTheSessionExpiryOfConnect(t *testing.T) {
	t.Parallel()
	expiry := func(n uint32) (p packet.Properties) {
		p, _ = p.AppendUint(packet.SessionExpiryInterval, n)
		return p
	}
	for _, row := range []struct {
		name    string
		connect packet.Properties
		bye     packet.Properties
		want    string
	}{
		{"none, then 9", nil, expiry(9), "e0 00"},
		{"0, then 9", expiry(0), expiry(9), "e0 00"},
		{"none, then 0", nil, expiry(0), "e0 00"}, // which changes nothing
		{"1, then 9", expiry(1), expiry(9), "e0 07 00 05 11 00000009"},
		{"1, then 0", expiry(1), expiry(0), "e0 07 00 05 11 00000000"},
		{"none, then 9 and more", nil, append(expiry(9), 0x1f, 0, 1, 'x'), "e0 06 00 04 1f 0001 78"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := &client{t: t}
			if err := c.Open(&c.s, &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: []byte("a"), Properties: row.connect}, Config{}, 0); err != nil {
				t.Fatal(err)
			}
			c.Swap(nil, 0)
			c.in("20 03 00 00 00", "")
			c.Disconnect(&packet.Disconnect{Properties: row.bye})
			c.out(row.want)
		})
	}
}

// Another encoding changes the packets and nothing else, however often it is
// applied and whatever has been acknowledged in between.
func TestAnotherEncodingKeepsIdentifiers(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	for i, qos := range []packet.QoS{1, 2, 1, 2} {
		if err := c.Publish(&packet.Publish{QoS: qos, Topic: []byte("t")}, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	c.Swap(nil, 0)
	c.in("40 02 0003 50 02 0004", "62 02 0004")
	c.Lost(nil)
	to := func(v packet.Version, want string) {
		t.Helper()
		from := c.Version()
		c.s.Reencode(func(dst []byte, _ uint64, publish []byte) []byte {
			var p packet.Publish
			f, _, err := packet.Split(publish, from, 0)
			if err == nil {
				err = p.Parse(f, from)
			}
			if err == nil {
				dst, err = p.AppendTo(dst, v)
			}
			if err != nil {
				t.Error(err)
			}
			return dst
		})
		c.open(v, Config{})
		connack := "20 02 01 00"
		if v == packet.V5 {
			connack = "20 03 01 00 00"
		}
		c.in(connack, want)
	}
	to(packet.V5, "3a 06 0001 74 0001 00 3c 06 0001 74 0002 00 62 02 0004")
	c.in("40 02 0001", "")
	if err := c.Publish(&packet.Publish{QoS: 1, Topic: []byte("u")}, 9); err != nil {
		t.Fatal(err)
	}
	c.out("32 06 0001 75 0005 00")
	c.Lost(nil)
	to(packet.V311, "3c 05 0001 74 0002 62 02 0004 3a 05 0001 75 0005")
	c.in("70 02 0004 50 02 0002", "62 02 0002")
	c.Lost(nil)
	to(packet.V5, "62 02 0002 3a 06 0001 75 0005 00")
	c.in("70 02 0002 40 02 0005", "")
	if c.s.Open() != 0 || c.s.Held() != 0 {
		t.Errorf("%d open, %d bytes held", c.s.Open(), c.s.Held())
	}
}

package packet

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// unhex reads hex digits; blanks and text in parentheses are comments.
func unhex(s string) []byte {
	for {
		start := strings.IndexByte(s, '(')
		if start < 0 {
			break
		}
		end := strings.IndexByte(s[start:], ')')
		s = s[:start] + s[start+end+1:]
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(fmt.Sprintf("bad hex %q: %v", s, err))
	}
	return b
}

// newPacket returns an empty packet of type t.
func newPacket(t Type) Packet {
	switch t {
	case CONNECT:
		return new(Connect)
	case CONNACK:
		return new(Connack)
	case PUBLISH:
		return new(Publish)
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		return new(Ack)
	case SUBSCRIBE:
		return new(Subscribe)
	case SUBACK, UNSUBACK:
		return new(Suback)
	case UNSUBSCRIBE:
		return new(Unsubscribe)
	case PINGREQ, PINGRESP:
		return new(Ping)
	case DISCONNECT:
		return new(Disconnect)
	case AUTH:
		return new(Auth)
	}
	return nil
}

// show formats packets for comparison: nil and empty slices are equal.
func show(p Packet) string { return fmt.Sprintf("%T%+v", p, reflect.Indirect(reflect.ValueOf(p))) }

// wire is a packet with its bytes, which were written by hand from the
// specifications.
type wire struct {
	name string
	v    Version
	hex  string
	p    Packet
	// variant marks bytes that a peer may send and that our encoder writes in a
	// shorter or newer form.
	variant bool
}

var (
	noReason   = Properties(unhex("1f 0003 6e6f21"))
	userKV     = Properties(unhex("26 0001 6b 0001 76"))
	noReasonHx = "06 (properties) 1f 0003 6e6f21 (reason string \"no!\")"
	userKVHx   = "07 (properties) 26 0001 6b 0001 76 (user property k=v)"
)

func fixtures() []wire {
	all := []wire{
		// 3.1 CONNECT
		{"CONNECT with nothing optional", V311, "10 0c 0004 4d515454 04 02 0000 0000",
			&Connect{Version: V311, CleanStart: true}, false},
		{"CONNECT as in figure 3.6", V311,
			"10 1d 0004 4d515454 04 ce 000a 0001 61 (client id) 0003 772f74 (will topic) 0002 00ff (will message) 0001 75 (user) 0002 7077 (password)",
			&Connect{Version: V311, CleanStart: true, HasWill: true, HasUsername: true, HasPassword: true, KeepAlive: 10,
				ClientID: []byte("a"), Will: Will{QoS: 1, Topic: []byte("w/t"), Payload: []byte{0, 0xff}},
				Username: []byte("u"), Password: []byte("pw")}, false},
		{"CONNECT with empty user name and password", V311, "10 11 0004 4d515454 04 c0 0000 0001 61 0000 0000",
			&Connect{Version: V311, HasUsername: true, HasPassword: true, ClientID: []byte("a")}, false},
		{"CONNECT of 3.1", V31, "10 0f 0006 4d5149736470 03 00 003c 0001 61",
			&Connect{Version: V31, KeepAlive: 60, ClientID: []byte("a")}, false},
		{"CONNECT of 3.1 with everything", V31,
			"10 1a 0006 4d5149736470 03 f6 ffff 0001 61 0001 77 (will topic) 0000 (will message) 0001 75 0001 70",
			&Connect{Version: V31, CleanStart: true, HasWill: true, HasUsername: true, HasPassword: true, KeepAlive: 65535,
				ClientID: []byte("a"), Will: Will{QoS: 2, Retain: true, Topic: []byte("w")},
				Username: []byte("u"), Password: []byte("p")}, false},
		{"CONNECT of 3.1 with will QoS and retain but no will, which are disregarded", V31, "10 0f 0006 4d5149736470 03 38 003c 0001 61",
			&Connect{Version: V31, KeepAlive: 60, ClientID: []byte("a")}, true},
		{"CONNECT of 3.1 with a user name flag and a packet that ends before it", V31, "10 0f 0006 4d5149736470 03 c0 003c 0001 61",
			&Connect{Version: V31, KeepAlive: 60, ClientID: []byte("a")}, true},
		{"CONNECT of 3.1 with a password flag and a packet that ends before it", V31, "10 12 0006 4d5149736470 03 c0 003c 0001 61 0001 75",
			&Connect{Version: V31, KeepAlive: 60, ClientID: []byte("a"), HasUsername: true, Username: []byte("u")}, true},
		{"CONNECT of 3.1 with the unused flag", V31, "10 0f 0006 4d5149736470 03 01 003c 0001 61",
			&Connect{Version: V31, KeepAlive: 60, ClientID: []byte("a")}, true},
		{"CONNECT of 5.0 with nothing optional", V5, "10 0d 0004 4d515454 05 02 0000 00 (properties) 0000",
			&Connect{Version: V5, CleanStart: true}, false},
		{"CONNECT of 5.0 as in figure 3-6", V5,
			"10 1f 0004 4d515454 05 ce 000a 05 (properties) 11 0000000a 0001 61 00 (will properties) 0001 77 0000 0001 75 0001 70",
			&Connect{Version: V5, CleanStart: true, HasWill: true, HasUsername: true, HasPassword: true, KeepAlive: 10,
				Properties: unhex("11 0000000a"), ClientID: []byte("a"), Will: Will{QoS: 1, Topic: []byte("w")},
				Username: []byte("u"), Password: []byte("p")}, false},
		{"CONNECT of 5.0 with every property, and a password without user name", V5,
			"10 62 0004 4d515454 05 66 0000 2e (properties) 11 00000078 21 000a 27 00001000 22 0005 19 01 17 00" +
				"26 0001 6b 0001 76 26 0001 6b 0000 15 0005 534352414d 16 0002 00ff 0000 (client id)" +
				"1d (will properties) 18 0000001e 01 01 02 0000003c 03 0001 74 08 0001 72 09 0001 63 26 0000 0000" +
				"0001 77 (will topic) 0001 01 (will payload) 0001 70 (password)",
			&Connect{Version: V5, CleanStart: true, HasWill: true, HasPassword: true,
				Properties: unhex("11 00000078 21 000a 27 00001000 22 0005 19 01 17 00 26 0001 6b 0001 76 26 0001 6b 0000 15 0005 534352414d 16 0002 00ff"),
				Will: Will{Retain: true, Topic: []byte("w"), Payload: []byte{1},
					Properties: unhex("18 0000001e 01 01 02 0000003c 03 0001 74 08 0001 72 09 0001 63 26 0000 0000")},
				Password: []byte("p")}, false},

		// 3.2 CONNACK
		{"CONNACK", V311, "20 02 00 00", &Connack{}, false},
		{"CONNACK with session present", V311, "20 02 01 00", &Connack{SessionPresent: true}, false},
		{"CONNACK, return code 1", V311, "20 02 00 01", &Connack{Reason: UnsupportedProtocolVersion}, false},
		{"CONNACK, return code 2", V311, "20 02 00 02", &Connack{Reason: ClientIdentifierNotValid}, false},
		{"CONNACK, return code 3", V311, "20 02 00 03", &Connack{Reason: ServerUnavailable}, false},
		{"CONNACK, return code 4", V311, "20 02 00 04", &Connack{Reason: BadUserNameOrPassword}, false},
		{"CONNACK, return code 5", V311, "20 02 00 05", &Connack{Reason: NotAuthorized}, false},
		{"CONNACK of 3.1", V31, "20 02 00 05", &Connack{Reason: NotAuthorized}, false},
		{"CONNACK of 3.1 with the reserved first byte set", V31, "20 02 ff 00", &Connack{}, true},
		{"CONNACK of 5.0", V5, "20 03 00 00 00", &Connack{}, false},
		{"CONNACK of 5.0 with session present", V5, "20 03 01 00 00", &Connack{SessionPresent: true}, false},
		{"CONNACK of 5.0 with every property", V5,
			"20 41 00 00 3e 11 0000000a 21 0014 24 01 25 00 27 00000400 12 0002 6964 22 000a 1f 0002 6f6b 26 0001 6b 0001 76" +
				"28 00 29 01 2a 00 13 003c 1a 0001 69 1c 0001 73 15 0001 6d 16 0001 64",
			&Connack{Properties: unhex("11 0000000a 21 0014 24 01 25 00 27 00000400 12 0002 6964 22 000a 1f 0002 6f6b 26 0001 6b 0001 76" +
				"28 00 29 01 2a 00 13 003c 1a 0001 69 1c 0001 73 15 0001 6d 16 0001 64")}, false},
		{"CONNACK of 5.0 with a redirection", V5, "20 09 00 9d 06 1c 0003 622e63",
			&Connack{Reason: ServerMoved, Properties: unhex("1c 0003 622e63")}, false},
		{"CONNACK of a 3.1.1 server to a 5.0 client", V5, "20 02 00 01", &Connack{Reason: UnsupportedProtocolVersion}, true},

		// 3.3 PUBLISH
		{"PUBLISH", V311, "30 07 0003 612f62 6869", &Publish{Topic: []byte("a/b"), Payload: []byte("hi")}, false},
		{"PUBLISH of QoS 1 with DUP, as in figure 3.11", V311, "3a 09 0003 612f62 000a 6869",
			&Publish{Dup: true, QoS: 1, Topic: []byte("a/b"), PacketID: 10, Payload: []byte("hi")}, false},
		{"PUBLISH of QoS 2 with RETAIN", V311, "35 08 0001 74 ffff 000102",
			&Publish{QoS: 2, Retain: true, Topic: []byte("t"), PacketID: 65535, Payload: []byte{0, 1, 2}}, false},
		{"PUBLISH without payload", V311, "31 03 0001 74", &Publish{Retain: true, Topic: []byte("t")}, false},
		{"PUBLISH with a byte order mark and a noncharacter, which are kept", V311, "30 08 0006 efbbbf (U+FEFF) efbfbf (U+FFFF)",
			&Publish{Topic: []byte("\ufeff\uffff")}, false},
		{"PUBLISH of 128 bytes", V311, "30 80 01 0001 61" + strings.Repeat("2a", 125),
			&Publish{Topic: []byte("a"), Payload: bytes.Repeat([]byte("*"), 125)}, false},
		{"PUBLISH of 3.1", V31, "33 06 0001 61 0001 01",
			&Publish{QoS: 1, Retain: true, Topic: []byte("a"), PacketID: 1, Payload: []byte{1}}, false},
		{"PUBLISH of 3.1 with DUP at QoS 0", V31, "38 03 0001 61", &Publish{Dup: true, Topic: []byte("a")}, false},
		{"PUBLISH of 5.0", V5, "30 04 0001 74 00", &Publish{Topic: []byte("t")}, false},
		{"PUBLISH of 5.0 as in figure 3-9", V5, "32 08 0003 612f62 000a 00", &Publish{QoS: 1, Topic: []byte("a/b"), PacketID: 10}, false},
		{"PUBLISH of 5.0 with every property", V5,
			"33 2f 0001 74 0001 28 01 01 02 00000e10 23 0003 08 0003 722f31 09 0002 00ff 26 0001 6b 0001 76 0b 01 0b ffffff7f 03 0002 7470 01",
			&Publish{QoS: 1, Retain: true, Topic: []byte("t"), PacketID: 1, Payload: []byte{1},
				Properties: unhex("01 01 02 00000e10 23 0003 08 0003 722f31 09 0002 00ff 26 0001 6b 0001 76 0b 01 0b ffffff7f 03 0002 7470")}, false},
		{"PUBLISH of 5.0 with a topic alias for a name", V5, "30 06 0000 03 23 0001", &Publish{Properties: unhex("23 0001")}, false},

		// 3.8 SUBSCRIBE to 3.11 UNSUBACK
		{"SUBSCRIBE as in figures 3.21 and 3.23", V311, "82 0e 000a 0003 612f62 01 0003 632f64 02",
			&Subscribe{PacketID: 10, Subscriptions: []Subscription{{[]byte("a/b"), 1}, {[]byte("c/d"), 2}}}, false},
		{"SUBSCRIBE of 3.1", V31, "82 06 0001 0001 61 00", &Subscribe{PacketID: 1, Subscriptions: []Subscription{{[]byte("a"), 0}}}, false},
		{"SUBSCRIBE of 3.1 with DUP", V31, "8a 06 0001 0001 61 00", &Subscribe{PacketID: 1, Subscriptions: []Subscription{{[]byte("a"), 0}}}, true},
		{"SUBSCRIBE of 3.1 with unused bits beside the QoS", V31, "82 06 0001 0001 61 fd", &Subscribe{PacketID: 1, Subscriptions: []Subscription{{[]byte("a"), 1}}}, true},
		{"SUBSCRIBE of 5.0 as in figures 3-19 and 3-21", V5, "82 0f 000a 00 0003 612f62 01 0003 632f64 02",
			&Subscribe{PacketID: 10, Subscriptions: []Subscription{{[]byte("a/b"), 1}, {[]byte("c/d"), 2}}}, false},
		{"SUBSCRIBE of 5.0 with everything", V5,
			"82 1d 0001 09 0b 05 26 0001 6b 0001 76 000a 2473686172652f672f74 2a 0001 23 1d",
			&Subscribe{PacketID: 1, Properties: unhex("0b 05 26 0001 6b 0001 76"), Subscriptions: []Subscription{
				{[]byte("$share/g/t"), 2 | RetainAsPublished | RetainHandlingNone},
				{[]byte("#"), 1 | NoLocal | RetainAsPublished | RetainHandlingNew}}}, false},
		{"SUBACK as in figure 3.27", V311, "90 05 000a 00 02 80", &Suback{Type: SUBACK, PacketID: 10, Codes: []byte{0, 2, 0x80}}, false},
		{"SUBACK of 3.1", V31, "90 03 0001 01", &Suback{Type: SUBACK, PacketID: 1, Codes: []byte{1}}, false},
		{"SUBACK of 5.0", V5, "90 05 0001 00 01 87", &Suback{Type: SUBACK, PacketID: 1, Codes: []byte{1, 0x87}}, false},
		{"SUBACK of 5.0 with every property", V5, "90 11 0001 0d 1f 0003 6e6f21 26 0001 6b 0001 76 00",
			&Suback{Type: SUBACK, PacketID: 1, Properties: unhex("1f 0003 6e6f21 26 0001 6b 0001 76"), Codes: []byte{0}}, false},
		{"UNSUBSCRIBE as in figure 3.30", V311, "a2 0c 000a 0003 612f62 0003 632f64",
			&Unsubscribe{PacketID: 10, Filters: [][]byte{[]byte("a/b"), []byte("c/d")}}, false},
		{"UNSUBSCRIBE of 3.1", V31, "a2 05 0001 0001 61", &Unsubscribe{PacketID: 1, Filters: [][]byte{[]byte("a")}}, false},
		{"UNSUBSCRIBE of 3.1 with DUP", V31, "aa 05 0001 0001 61", &Unsubscribe{PacketID: 1, Filters: [][]byte{[]byte("a")}}, true},
		{"UNSUBSCRIBE of 5.0", V5, "a2 0d 000a 00 0003 612f62 0003 632f64",
			&Unsubscribe{PacketID: 10, Filters: [][]byte{[]byte("a/b"), []byte("c/d")}}, false},
		{"UNSUBSCRIBE of 5.0 with a property", V5, "a2 0d 0001" + userKVHx + "0001 61",
			&Unsubscribe{PacketID: 1, Properties: userKV, Filters: [][]byte{[]byte("a")}}, false},
		{"UNSUBACK", V311, "b0 02 000a", &Suback{Type: UNSUBACK, PacketID: 10}, false},
		{"UNSUBACK of 3.1", V31, "b0 02 000a", &Suback{Type: UNSUBACK, PacketID: 10}, false},
		{"UNSUBACK of 5.0", V5, "b0 05 000a 00 00 11", &Suback{Type: UNSUBACK, PacketID: 10, Codes: []byte{0, 0x11}}, false},
		{"UNSUBACK of 5.0 with every property", V5, "b0 11 0001 0d 1f 0003 6e6f21 26 0001 6b 0001 76 8f",
			&Suback{Type: UNSUBACK, PacketID: 1, Properties: unhex("1f 0003 6e6f21 26 0001 6b 0001 76"), Codes: []byte{0x8f}}, false},

		// 3.14 DISCONNECT, 3.15 AUTH
		{"DISCONNECT of 5.0 with a reason", V5, "e0 01 04", &Disconnect{Reason: DisconnectWithWill}, false},
		{"DISCONNECT of 5.0 as in figure 3-24", V5, "e0 07 00 05 11 00000000", &Disconnect{Properties: unhex("11 00000000")}, false},
		{"DISCONNECT of 5.0 with every property", V5, "e0 14 9c 12 11 00000005 1f 0001 72 26 0000 0000 1c 0001 73",
			&Disconnect{Reason: UseAnotherServer, Properties: unhex("11 00000005 1f 0001 72 26 0000 0000 1c 0001 73")}, false},
		{"DISCONNECT of 5.0 with reason 0 in full", V5, "e0 01 00", &Disconnect{}, true},
		{"DISCONNECT of 5.0 with no properties in full", V5, "e0 02 8b 00", &Disconnect{Reason: ServerShuttingDown}, true},
		{"AUTH with nothing", V5, "f0 00", &Auth{}, false},
		{"AUTH with method and data", V5, "f0 0a 18 08 15 0001 6d 16 0001 64", &Auth{Reason: ContinueAuthentication, Properties: unhex("15 0001 6d 16 0001 64")}, false},
		{"AUTH with every property", V5, "f0 12 19 10 15 0001 6d 16 0000 1f 0000 26 0001 6b 0000",
			&Auth{Reason: ReAuthenticate, Properties: unhex("15 0001 6d 16 0000 1f 0000 26 0001 6b 0000")}, false},
		{"AUTH with nothing in full", V5, "f0 02 00 00", &Auth{}, true},
		{"AUTH of success", V5, "f0 06 00 04 15 0001 6d", &Auth{Properties: unhex("15 0001 6d")}, false},
	}
	for _, v := range []Version{V31, V311, V5} {
		all = append(all,
			wire{"DISCONNECT", v, "e0 00", &Disconnect{}, false},
			wire{"PINGREQ", v, "c0 00", &Ping{Type: PINGREQ}, false},
			wire{"PINGRESP", v, "d0 00", &Ping{Type: PINGRESP}, false})
		for _, a := range []struct {
			t    Type
			head string
			code string
			r    ReasonCode
		}{{PUBACK, "40", "10", NoMatchingSubscribers}, {PUBREC, "50", "97", QuotaExceeded},
			{PUBREL, "62", "92", PacketIdentifierNotFound}, {PUBCOMP, "70", "92", PacketIdentifierNotFound}} {
			all = append(all, wire{a.t.String(), v, a.head + "02 1234", &Ack{Type: a.t, PacketID: 0x1234}, false})
			if v == V5 {
				all = append(all,
					wire{a.t.String() + " with a reason", v, a.head + "03 1234" + a.code, &Ack{Type: a.t, PacketID: 0x1234, Reason: a.r}, false},
					wire{a.t.String() + " with reason string", v, a.head + "0a 1234" + a.code + noReasonHx, &Ack{Type: a.t, PacketID: 0x1234, Reason: a.r, Properties: noReason}, false},
					wire{a.t.String() + " of success with user property", v, a.head + "0b 1234 00" + userKVHx, &Ack{Type: a.t, PacketID: 0x1234, Properties: userKV}, false},
					wire{a.t.String() + " with reason 0 in full", v, a.head + "03 1234 00", &Ack{Type: a.t, PacketID: 0x1234}, true},
					wire{a.t.String() + " with no properties in full", v, a.head + "04 1234 00 00", &Ack{Type: a.t, PacketID: 0x1234}, true})
			}
		}
	}
	return append(all, wire{"PUBREL of 3.1 with DUP", V31, "6a 02 0001", &Ack{Type: PUBREL, PacketID: 1}, true})
}

func TestFixturesCoverEveryPacket(t *testing.T) {
	seen := map[Version]map[Type]bool{V31: {}, V311: {}, V5: {}}
	for _, w := range fixtures() {
		seen[w.v][Type(unhex(w.hex)[0]>>4)] = true
	}
	for v, types := range seen {
		for typ := CONNECT; typ <= AUTH; typ++ {
			if want := typ != AUTH || v == V5; types[typ] != want {
				t.Errorf("%v %v: a fixture exists: %v, want %v", typ, v, types[typ], want)
			}
		}
	}
}

// blocks returns the property blocks of p by packet type.
func blocks(p Packet) map[Type]Properties {
	switch p := p.(type) {
	case *Connect:
		return map[Type]Properties{CONNECT: p.Properties, WillProperties: p.Will.Properties}
	case *Connack:
		return map[Type]Properties{CONNACK: p.Properties}
	case *Publish:
		return map[Type]Properties{PUBLISH: p.Properties}
	case *Ack:
		return map[Type]Properties{p.Type: p.Properties}
	case *Subscribe:
		return map[Type]Properties{SUBSCRIBE: p.Properties}
	case *Suback:
		return map[Type]Properties{p.Type: p.Properties}
	case *Unsubscribe:
		return map[Type]Properties{UNSUBSCRIBE: p.Properties}
	case *Disconnect:
		return map[Type]Properties{DISCONNECT: p.Properties}
	case *Auth:
		return map[Type]Properties{AUTH: p.Properties}
	}
	return nil
}

func TestFixturesCoverEveryPropertyOfEveryPacket(t *testing.T) {
	seen := map[Type]map[PropertyID]bool{}
	for _, w := range fixtures() {
		for typ, block := range blocks(w.p) {
			if seen[typ] == nil {
				seen[typ] = map[PropertyID]bool{}
			}
			for q := range block.All() {
				seen[typ][q.ID] = true
			}
		}
	}
	for typ := WillProperties; typ <= AUTH; typ++ {
		for id := PropertyID(0); id < 0x7f; id++ {
			if id.AllowedIn(typ) != seen[typ][id] {
				t.Errorf("%v in %v: a fixture exists: %v", id, typ, seen[typ][id])
			}
		}
	}
}

func TestDecode(t *testing.T) {
	for _, w := range fixtures() {
		b := unhex(w.hex)
		f, n, err := Split(b, w.v, 0)
		if err != nil || n != len(b) {
			t.Errorf("%s: Split gave n=%d, %v, want n=%d", w.name, n, err, len(b))
			continue
		}
		p := newPacket(f.Type)
		if err := p.Parse(f, w.v); err != nil {
			t.Errorf("%s: Parse: %v", w.name, err)
		} else if got, want := show(p), show(w.p); got != want {
			t.Errorf("%s:\n got %s\nwant %s", w.name, got, want)
		}
	}
}

func TestParseOverwritesEveryField(t *testing.T) {
	full := map[Type][]byte{}
	for _, w := range fixtures() {
		if b := unhex(w.hex); w.v == V5 && len(b) > len(full[Type(b[0]>>4)]) {
			full[Type(b[0]>>4)] = b
		}
	}
	for _, w := range fixtures() {
		b := unhex(w.hex)
		p := newPacket(Type(b[0] >> 4))
		dirty, n, err := Split(full[Type(b[0]>>4)], V5, 0)
		if n == 0 || err != nil {
			t.Fatalf("%s: no frame: n=%d, %v", w.name, n, err)
		}
		if err := p.Parse(dirty, V5); err != nil {
			t.Fatal(err)
		}
		f, _, _ := Split(b, w.v, 0)
		if err := p.Parse(f, w.v); err != nil {
			t.Errorf("%s: %v", w.name, err)
		} else if got, want := show(p), show(w.p); got != want {
			t.Errorf("%s into a used struct:\n got %s\nwant %s", w.name, got, want)
		}
	}
}

func TestEncode(t *testing.T) {
	for _, w := range fixtures() {
		if w.variant {
			continue
		}
		prefix := []byte("before")
		got, err := w.p.AppendTo(prefix, w.v)
		if want := append([]byte("before"), unhex(w.hex)...); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v:\n got %x, %v\nwant %x", w.name, w.v, got, err, want)
		}
		if p, ok := w.p.(*Publish); ok && p.Size(w.v) != len(got)-len(prefix) {
			t.Errorf("%s: Size is %d, want %d", w.name, p.Size(w.v), len(got)-len(prefix))
		}
	}
}

func TestEncodeSaysInOldVersionsWhatTheyCan(t *testing.T) {
	for _, row := range []struct {
		name string
		v    Version
		p    Packet
		hex  string
	}{
		{"banned", V311, &Connack{Reason: Banned}, "20 02 00 05"},
		{"bad authentication method", V311, &Connack{Reason: BadAuthenticationMethod}, "20 02 00 05"},
		{"server busy", V311, &Connack{Reason: ServerBusy}, "20 02 00 03"},
		{"session present, which 3.1 lacks", V31, &Connack{SessionPresent: true}, "20 02 00 00"},
		{"failure of an acknowledgement", V311, &Ack{Type: PUBACK, PacketID: 1, Reason: QuotaExceeded}, "40 02 0001"},
		{"failures of subscriptions", V311, &Suback{Type: SUBACK, PacketID: 1, Codes: []byte{2, 0x87, 0xa2}}, "90 05 0001 02 80 80"},
		{"codes of an UNSUBACK", V311, &Suback{Type: UNSUBACK, PacketID: 1, Codes: []byte{0x11}}, "b0 02 0001"},
		{"reason of a DISCONNECT", V311, &Disconnect{Reason: ServerShuttingDown}, "e0 00"},
	} {
		got, err := row.p.AppendTo(nil, row.v)
		if want := unhex(row.hex); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, %v, want %x", row.name, got, err, want)
		}
	}
}

func TestEncodeOnTheBordersOfTheLengthField(t *testing.T) {
	for _, row := range []struct {
		n    int // remaining length
		head string
	}{{127, "30 7f"}, {128, "30 80 01"}, {16383, "30 ff 7f"}, {16384, "30 80 80 01"}, {2097151, "30 ff ff 7f"}, {2097152, "30 80 80 80 01"}} {
		p := Publish{Topic: []byte("a"), Payload: make([]byte, row.n-3)}
		got, err := p.AppendTo(nil, V311)
		want := append(unhex(row.head+"0001 61"), p.Payload...)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("remaining length %d: got %x..., %v, want %x...", row.n, got[:8], err, want[:8])
		}
		f, n, err := Split(got, V311, 0)
		if err != nil || n != len(want) || len(f.Body) != row.n {
			t.Errorf("remaining length %d: Split gave n=%d, %d bytes, %v", row.n, n, len(f.Body), err)
		}
	}
}

func TestSplitOfAProperPrefixAsksForMore(t *testing.T) {
	for _, w := range fixtures() {
		b := unhex(w.hex)
		for i := range b {
			f, n, err := Split(b[:i], w.v, len(b))
			if err != nil || n != 0 || f.Need <= i || f.Need > len(b) {
				t.Errorf("%s: first %d of %d bytes: n=%d, need=%d, %v", w.name, i, len(b), n, f.Need, err)
			}
		}
	}
}

func TestSplitGivesTheSameFramesHoweverTheBytesCome(t *testing.T) {
	for _, v := range []Version{V31, V311, V5} {
		var stream []byte
		var want []string
		for _, w := range fixtures() {
			if w.v == v {
				b := unhex(w.hex)
				stream = append(stream, b...)
				head := 2
				if b[1] >= 128 {
					head = 3
				}
				want = append(want, fmt.Sprintf("%v %x %x", Type(b[0]>>4), b[0]&15, b[head:]))
			}
		}
		for _, chunk := range []int{1, 2, 3, 7, len(stream)} {
			var buf []byte
			var got []string
			for rest := stream; len(rest) > 0; {
				n := min(chunk, len(rest))
				buf, rest = append(buf, rest[:n]...), rest[n:]
				for {
					f, n, err := Split(buf, v, 0)
					if err != nil {
						t.Fatalf("%v in chunks of %d: %v", v, chunk, err)
					}
					if n == 0 {
						if f.Need <= len(buf) {
							t.Fatalf("%v: %d bytes need %d", v, len(buf), f.Need)
						}
						break
					}
					got = append(got, fmt.Sprintf("%v %x %x", f.Type, f.Flags, f.Body))
					buf = buf[n:]
				}
			}
			if len(buf) > 0 || strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%v in chunks of %d: %d frames, %d bytes left, want %d frames", v, chunk, len(got), len(buf), len(want))
			}
		}
	}
}

// ejabberd sends these; the input is not modified.
func TestOldSubacksWithCodesOf5AreRefusals(t *testing.T) {
	for _, v := range []Version{V31, V311} {
		b := unhex("90 06 0001 8f 01 87 80")
		f, _, err := Split(b, v, 0)
		if err != nil {
			t.Fatal(err)
		}
		var p Suback
		err = p.Parse(f, v)
		want := &Suback{Type: SUBACK, PacketID: 1, Codes: []byte{0x80, 1, 0x80, 0x80}}
		if err != nil || show(&p) != show(want) || b[4] != 0x8f {
			t.Errorf("%v: got %s, %v, want %s; input %x", v, show(&p), err, show(want), b)
		}
	}
}

func TestFramesDoNotReachIntoTheNextPacket(t *testing.T) {
	b := unhex("30 03 0001 61 c0 00")
	f, n, err := Split(b, V311, 0)
	if err != nil || n != 5 || len(f.Body) != cap(f.Body) {
		t.Errorf("n=%d, body %d of %d bytes, %v, want a body without spare capacity", n, len(f.Body), cap(f.Body), err)
	}
}

package packet

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// bad is a packet that no peer may send, written by hand.
type bad struct {
	name   string
	v      Version
	hex    string
	reason ReasonCode
	says   string // part of the error text
}

func refusals() []bad {
	long := strings.Repeat("61", 70000)
	return []bad{
		// The fixed header.
		{"type 0", V5, "00 00", MalformedPacket, "type 0"},
		{"AUTH before 5.0", V311, "f0 00", MalformedPacket, "type 15"},
		{"five byte length", V5, "30 ff ff ff ff 7f", MalformedPacket, "MQTT-2.1.4"},
		{"overlong length", V5, "c0 80 00", MalformedPacket, "MQTT-1.5.5-1"},
		{"overlong length of 1", V5, "c0 81 00", MalformedPacket, "MQTT-1.5.5-1"},
		{"flags of CONNECT", V311, "11 00", MalformedPacket, "MQTT-2.1.3-1"},
		{"flags of CONNACK", V5, "21 00", MalformedPacket, "MQTT-2.1.3-1"},
		{"flags of PUBACK", V5, "42 02 0001", MalformedPacket, "MQTT-2.1.3-1"},
		{"flags of PUBREC", V5, "52 02 0001", MalformedPacket, "MQTT-2.1.3-1"},
		{"flags of PUBREL", V5, "60 02 0001", MalformedPacket, "MQTT-2.1.3-1"},
		{"flags of PUBCOMP", V5, "72 02 0001", MalformedPacket, "MQTT-2.1.3-1"},
		{"flags of SUBSCRIBE", V5, "80 06 0001 00 0001 61 00", MalformedPacket, "MQTT-2.1.3-1"},
		{"flags of SUBACK", V5, "92 04 0001 00 00", MalformedPacket, "MQTT-2.1.3-1"},
		{"flags of UNSUBSCRIBE", V5, "a0 06 0001 00 0001 61", MalformedPacket, "MQTT-2.1.3-1"},
		{"flags of UNSUBACK", V5, "b1 04 0001 00 00", MalformedPacket, "MQTT-2.1.3-1"},
		{"flags of PINGREQ", V5, "c8 00", MalformedPacket, "MQTT-2.1.3-1"},
		{"flags of PINGRESP", V5, "d1 00", MalformedPacket, "MQTT-2.1.3-1"},
		{"flags of DISCONNECT", V5, "e4 00", MalformedPacket, "MQTT-2.1.3-1"},
		{"flags of AUTH", V5, "f2 00", MalformedPacket, "MQTT-2.1.3-1"},
		{"PINGREQ with a body", V311, "c0 01 00", MalformedPacket, "too many"},
		{"PINGRESP with a body", V5, "d0 01 00", MalformedPacket, "too many"},
		{"DISCONNECT with a body in 3.1.1", V311, "e0 01 00", MalformedPacket, "too many"},

		// CONNECT.
		{"unknown name", V5, "10 0c 0004 6d717474 05 02 0000 00 0000", UnsupportedProtocolVersion, "MQTT-3.1.2-1"},
		{"name of 3.1 with level 4", V311, "10 0e 0006 4d5149736470 04 02 0000 0000", UnsupportedProtocolVersion, "MQTT-3.1.2-2"},
		{"name of 5 with level 3", V311, "10 0c 0004 4d515454 03 02 0000 0000", UnsupportedProtocolVersion, "MQTT-3.1.2-2"},
		{"level 6", V5, "10 0d 0004 4d515454 06 02 0000 00 0000", UnsupportedProtocolVersion, "level 6"},
		{"level 0", V5, "10 0c 0004 4d515454 00 02 0000 0000", UnsupportedProtocolVersion, "level 0"},
		{"bridge bit", V311, "10 0c 0004 4d515454 84 02 0000 0000", UnsupportedProtocolVersion, "level 132"},
		{"reserved flag", V311, "10 0c 0004 4d515454 04 03 0000 0000", MalformedPacket, "MQTT-3.1.2-3"},
		{"will QoS without will", V311, "10 0c 0004 4d515454 04 0a 0000 0000", MalformedPacket, "MQTT-3.1.2-11"},
		{"will retain without will", V311, "10 0c 0004 4d515454 04 22 0000 0000", MalformedPacket, "MQTT-3.1.2-11"},
		{"will QoS 3", V311, "10 11 0004 4d515454 04 1e 0000 0000 0001 77 0000", MalformedPacket, "MQTT-3.1.2-12"},
		{"password without user name in 3.1.1", V311, "10 0f 0004 4d515454 04 42 0000 0000 0001 70", MalformedPacket, "MQTT-3.1.2-22"},
		{"user name flag without the field", V311, "10 0c 0004 4d515454 04 82 0000 0000", MalformedPacket, "user name"},
		{"empty client identifier without clean session", V311, "10 0c 0004 4d515454 04 00 0000 0000", ClientIdentifierNotValid, "MQTT-3.1.3-8"},
		{"will topic with a wildcard", V311, "10 11 0004 4d515454 04 06 0000 0000 0001 23 0000", TopicNameInvalid, "MQTT-3.3.2-2"},
		{"authentication data without method", V5, "10 11 0004 4d515454 05 02 0000 04 16 0001 00 0000", ProtocolError, "authentication method"},
		{"receive maximum 0", V5, "10 10 0004 4d515454 05 02 0000 03 21 0000 0000", ProtocolError, "receive-maximum is 0"},
		{"maximum packet size 0", V5, "10 12 0004 4d515454 05 02 0000 05 27 00000000 0000", ProtocolError, "maximum-packet-size is 0"},
		{"request problem information 2", V5, "10 0f 0004 4d515454 05 02 0000 02 17 02 0000", ProtocolError, "not 0 or 1"},
		{"will delay in CONNECT's own properties", V5, "10 12 0004 4d515454 05 02 0000 05 18 00000001 0000", ProtocolError, "not allowed here"},

		// CONNACK.
		{"reserved acknowledge flags", V311, "20 02 02 00", MalformedPacket, "MQTT-3.2.2-1"},
		{"return code 6", V311, "20 02 00 06", ProtocolError, "return code 6"},
		{"session present on a refusal", V5, "20 03 01 87 00", ProtocolError, "MQTT-3.2.2-6"},
		{"reason code of another packet", V5, "20 03 00 92 00", ProtocolError, "MQTT-2.4"},
		{"maximum QoS 2", V5, "20 05 00 00 02 24 02", ProtocolError, "not 0 or 1"},

		// PUBLISH.
		{"QoS 3", V5, "36 05 0001 61 0001 00", MalformedPacket, "MQTT-3.3.1-4"},
		{"DUP at QoS 0", V5, "38 04 0001 61 00", MalformedPacket, "MQTT-3.3.1-2"},
		{"no body", V311, "30 00", MalformedPacket, "topic name"},
		{"topic longer than the packet", V311, "30 03 0002 61", MalformedPacket, "topic name"},
		{"packet identifier 0", V311, "32 05 0001 61 0000", ProtocolError, "MQTT-2.2.1-3"},
		{"cut before the packet identifier", V311, "32 03 0001 61", MalformedPacket, "packet identifier"},
		{"empty topic in 3.1.1", V311, "30 02 0000", MalformedPacket, "MQTT-4.7.3-1"},
		{"neither topic nor alias", V5, "30 03 0000 00", ProtocolError, "MQTT-3.3.2-8"},
		{"+ in the topic", V311, "30 05 0003 612f2b", TopicNameInvalid, "MQTT-3.3.2-2"},
		{"# in the topic", V311, "30 03 0001 23", TopicNameInvalid, "MQTT-3.3.2-2"},
		{"NUL in the topic", V311, "30 03 0001 00", MalformedPacket, "MQTT-1.5.4-2"},
		{"a lone surrogate", V311, "30 05 0003 eda080", MalformedPacket, "MQTT-1.5.4-1"},
		{"overlong UTF-8", V311, "30 04 0002 c0af", MalformedPacket, "MQTT-1.5.4-1"},
		{"cut UTF-8", V311, "30 03 0001 c3", MalformedPacket, "MQTT-1.5.4-1"},
		{"above U+10FFFF", V311, "30 06 0004 f4908080", MalformedPacket, "MQTT-1.5.4-1"},
		{"properties past the end", V5, "30 05 0001 61 05 01", MalformedPacket, ""},
		{"length of properties past four bytes", V5, "30 08 0001 61 ffffffff7f", MalformedPacket, "four bytes"},
		{"a property cut", V5, "30 06 0001 61 02 02 00", MalformedPacket, "message-expiry-interval"},
		{"unknown property", V5, "30 06 0001 61 02 7f 00", MalformedPacket, "0x7f"},
		{"unknown property of two bytes", V5, "30 07 0001 61 03 8001 00", MalformedPacket, "0x80"},
		{"a property twice", V5, "30 08 0001 61 04 01 00 01 00", ProtocolError, "twice"},
		{"a property of CONNECT", V5, "30 07 0001 61 03 21 0001", ProtocolError, "not allowed here"},
		{"payload format 2", V5, "30 06 0001 61 02 01 02", ProtocolError, "not 0 or 1"},
		{"subscription identifier 0", V5, "30 06 0001 61 02 0b 00", ProtocolError, "is 0"},
		{"response topic with a wildcard", V5, "30 08 0001 61 04 08 0001 23", ProtocolError, "MQTT-3.3.2-14"},
		{"user property without a value", V5, "30 07 0001 61 03 26 0000", MalformedPacket, "user-property value"},

		// Acknowledgements.
		{"PUBACK without an identifier", V311, "40 00", MalformedPacket, "packet identifier"},
		{"PUBACK of 0", V311, "40 02 0000", ProtocolError, "MQTT-2.2.1-3"},
		{"PUBACK with a reason in 3.1.1", V311, "40 03 0001 00", MalformedPacket, "too many"},
		{"PUBACK with a reason of PUBREL", V5, "40 03 0001 92", ProtocolError, "MQTT-2.4"},
		{"PUBREL with a reason of PUBACK", V5, "62 03 0001 10", ProtocolError, "MQTT-2.4"},
		{"PUBCOMP with an unknown reason", V5, "70 03 0001 ff", ProtocolError, "MQTT-2.4"},

		// SUBSCRIBE, UNSUBSCRIBE and their answers.
		{"no filter", V311, "82 02 0001", ProtocolError, "MQTT-3.8.3-2"},
		{"cut before the options", V311, "82 05 0001 0001 61", MalformedPacket, "options"},
		{"QoS 3", V311, "82 06 0001 0001 61 03", MalformedPacket, "MQTT-3.8.3-4"},
		{"options in 3.1.1", V311, "82 06 0001 0001 61 04", MalformedPacket, "MQTT-3.8.3-5"},
		{"reserved options", V5, "82 07 0001 00 0001 61 40", MalformedPacket, "MQTT-3.8.3-5"},
		{"retain handling 3", V5, "82 07 0001 00 0001 61 30", ProtocolError, "retain handling"},
		{"no local on a shared subscription", V5, "82 10 0001 00 000a 2473686172652f672f74 04", ProtocolError, "MQTT-3.8.3-4"},
		{"SUBSCRIBE of identifier 0", V5, "82 07 0000 00 0001 61 00", ProtocolError, "MQTT-2.2.1-3"},
		{"two subscription identifiers", V5, "82 0b 0001 04 0b01 0b02 0001 61 00", ProtocolError, "twice"},
		{"UNSUBSCRIBE without a filter", V5, "a2 03 0001 00", ProtocolError, "MQTT-3.10.3-2"},
		{"SUBACK without codes", V311, "90 02 0001", ProtocolError, "no reason code"},
		{"SUBACK with code 3", V311, "90 03 0001 03", ProtocolError, "MQTT-3.9.3-2"},
		{"UNSUBACK with QoS 1", V5, "b0 04 0001 00 01", ProtocolError, "UNSUBACK"},

		// DISCONNECT and AUTH.
		{"DISCONNECT with a reason of CONNACK", V5, "e0 01 86", ProtocolError, "MQTT-2.4"},
		{"DISCONNECT with a property of AUTH", V5, "e0 06 00 04 15 0001 6d", ProtocolError, "not allowed here"},
		{"AUTH with a reason of DISCONNECT", V5, "f0 06 04 04 15 0001 6d", ProtocolError, "MQTT-2.4"},
		{"AUTH that continues nothing", V5, "f0 02 18 00", ProtocolError, "authentication method"},
		{"a string above the packet", V5, "e0 07 00 05 1f ffff 6161", MalformedPacket, "reason-string"},
		{"too long for its length field", V311, "30 f0 a2 04" + long[:2*10], 0, ""},
	}
}

// parse is Split and Parse.
func parse(b []byte, v Version) (Packet, error) {
	f, n, err := Split(b, v, 0)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, nil
	}
	p := newPacket(f.Type)
	return p, p.Parse(f, v)
}

func TestBadPacketsAreRefusedWithTheRule(t *testing.T) {
	t.Parallel()
	for _, c := range refusals() {
		p, err := parse(unhex(c.hex), c.v)
		if c.reason == 0 { // only a beginning: not to be judged yet
			if p != nil || err != nil {
				t.Errorf("%s: %v, %v", c.name, p, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %s: accepted or unfinished: %+v, %v", c.name, c.hex, p, err)
			continue
		}
		if e.Reason != c.reason || !strings.Contains(e.Error(), c.says) {
			t.Errorf("%s: %s: %v with reason %v, want %v and %q", c.name, c.hex, e, e.Reason, c.reason, c.says)
		}
		if !errors.Is(err, c.reason) || strings.ContainsAny(e.Error(), "\n\x00") {
			t.Errorf("%s: %q", c.name, e.Error())
		}
	}
}

func TestTheLimitIsCheckedBeforeTheBodyComes(t *testing.T) {
	t.Parallel()
	var e *Error
	_, _, err := Split(unhex("30 80 80 80 01"), V5, 2097152)
	if !errors.As(err, &e) || e.Reason != PacketTooLarge {
		t.Errorf("got %v", err)
	}
	if f, n, err := Split(unhex("30 80 80 80 01"), V5, 2097157); err != nil || n != 0 || f.Need != 2097157 {
		t.Errorf("exactly the limit: need %d, n %d, %v", f.Need, n, err)
	}
}

func TestEncodersRefuseWhatHasNoEncoding(t *testing.T) {
	t.Parallel()
	long := make([]byte, MaxString+1)
	for _, c := range []struct {
		name string
		p    Packet
		v    Version
		want error
	}{
		{"long topic", &Publish{Topic: long}, V5, ErrStringTooLong},
		{"QoS 3", &Publish{QoS: 3, PacketID: 1, Topic: long[:1]}, V5, ErrQoS},
		{"no identifier", &Publish{QoS: 1, Topic: long[:1]}, V5, ErrPacketID},
		{"properties in 3.1.1", &Publish{Topic: long[:1], Properties: userKV}, V311, ErrNeedsV5},
		{"huge payload", &Publish{Topic: long[:1], Payload: make([]byte, MaxRemainingLength)}, V311, ErrPacketTooLong},
		{"long client identifier", &Connect{ClientID: long}, V311, ErrStringTooLong},
		{"long will", &Connect{HasWill: true, Will: Will{Payload: long}}, V311, ErrStringTooLong},
		{"long password", &Connect{HasPassword: true, Password: long}, V5, ErrStringTooLong},
		{"properties in 3.1.1", &Connect{Properties: userKV}, V311, ErrNeedsV5},
		{"level 6", &Connect{}, 6, ErrUnknownVersion},
		{"no filter", &Subscribe{PacketID: 1}, V5, ErrNoFilters},
		{"long filter", &Subscribe{PacketID: 1, Subscriptions: []Subscription{{Filter: long}}}, V5, ErrStringTooLong},
		{"options in 3.1.1", &Subscribe{PacketID: 1, Subscriptions: []Subscription{{long[:1], NoLocal}}}, V311, ErrNeedsV5},
		{"no identifier", &Unsubscribe{Filters: [][]byte{long[:1]}}, V5, ErrPacketID},
		{"no identifier", &Ack{Type: PUBACK}, V5, ErrPacketID},
		{"no identifier", &Suback{Type: SUBACK}, V5, ErrPacketID},
		{"AUTH before 5.0", &Auth{}, V311, ErrNeedsV5},
		{"properties in 3.1.1", &Disconnect{Properties: userKV}, V311, ErrNeedsV5},
	} {
		before := []byte("before")
		got, err := c.p.AppendTo(before, c.v)
		if !errors.Is(err, c.want) || string(got) != "before" {
			t.Errorf("%T: %s: %q, %v, want %v and nothing written", c.p, c.name, got[:min(len(got), 20)], err, c.want)
		}
	}
}

var ruleForm = regexp.MustCompile(`\[MQTT-\d+(\.\d+)+(-\d+)?\]$|\[MQTT-\d\.\d+\]$`)

func TestRulesHaveTheSpecificationsForm(t *testing.T) {
	t.Parallel()
	for _, c := range refusals() {
		var e *Error
		if _, err := parse(unhex(c.hex), c.v); errors.As(err, &e) && e.Rule != "" && !ruleForm.MatchString(e.Error()) {
			t.Errorf("%s: %v", c.name, e)
		}
	}
}

func TestSummariesAreOneLineWithoutSecrets(t *testing.T) {
	t.Parallel()
	for _, w := range fixtures() {
		f, _, err := Split(unhex(w.hex), w.v, 0)
		if err != nil {
			t.Fatal(err)
		}
		s := string(AppendSummary(nil, f, w.v))
		if !strings.HasPrefix(s, f.Type.String()) || strings.ContainsAny(s, "\n\r\x1b\x00") {
			t.Errorf("%s: %q", w.name, s)
		}
	}
	p := Connect{HasUsername: true, Username: []byte("joe"), HasPassword: true, Password: []byte("hunter2"), ClientID: []byte("\x1b[2J\u202e"),
		Properties: Properties(unhex("15 0001 6d 16 0007 68756e74657232"))}
	b, err := p.AppendTo(nil, V5)
	if err != nil {
		t.Fatal(err)
	}
	f, _, _ := Split(b, V5, 0)
	s := string(AppendSummary(nil, f, V5))
	want := `CONNECT MQTT 5.0 as '\x1b[2J\u202e' keepalive 0 user 'joe' with a password authentication-method='m' authentication-data=...`
	if s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	if s := string(AppendSummary(nil, Frame{Type: PUBACK, Body: []byte{0}}, V5)); !strings.Contains(s, "malformed") {
		t.Errorf("a broken packet: %q", s)
	}
}

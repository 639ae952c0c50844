package packet

import (
	"bytes"
	"errors"
	"testing"
)

// frameOf splits a hand-written packet, and fails the test if that does not
// work.
func frameOf(t *testing.T, b string, v Version) Frame {
	t.Helper()
	f, n, err := Split([]byte(b), v, 0)
	if err != nil || n != len(b) {
		t.Fatalf("%x: %d bytes, %v", b, n, err)
	}
	return f
}

// A server of 3.1.1 refuses a CONNECT of 5.0 in its own format: two bytes,
// codes 1 to 5 (section 3.2.2.3 of 3.1.1). Success has a property length in
// 5.0, and higher codes are not defined.
func TestOldServersRefuseAConnectOf5InTwoBytes(t *testing.T) {
	t.Parallel()
	want := []ReasonCode{1: UnsupportedProtocolVersion, 2: ClientIdentifierNotValid, 3: ServerUnavailable, 4: BadUserNameOrPassword, 5: NotAuthorized}
	for code := range 256 {
		var p Connack
		err := p.Parse(frameOf(t, "\x20\x02\x00"+string([]byte{byte(code)}), V5), V5)
		if old := code >= 1 && code <= 5; old != (err == nil) || old && p.Reason != want[code] {
			t.Errorf("code %d: %v, %v", code, p.Reason, err)
		}
	}
}

// A field that is too long is refused, whatever else the CONNECT contains.
func TestAConnectIsRefusedForAnyOfItsFields(t *testing.T) {
	t.Parallel()
	whole := func() *Connect {
		return &Connect{Version: V5, ClientID: []byte("c"), HasWill: true, Will: Will{Topic: []byte("t")},
			HasUsername: true, Username: []byte("u"), HasPassword: true, Password: []byte("p")}
	}
	for name, field := range map[string]func(*Connect) *[]byte{
		"client identifier": func(p *Connect) *[]byte { return &p.ClientID },
		"will topic":        func(p *Connect) *[]byte { return &p.Will.Topic },
		"will payload":      func(p *Connect) *[]byte { return &p.Will.Payload },
		"user name":         func(p *Connect) *[]byte { return &p.Username },
		"password":          func(p *Connect) *[]byte { return &p.Password },
	} {
		for n, want := range map[int]error{65535: nil, 65536: ErrStringTooLong} {
			p := whole()
			*field(p) = bytes.Repeat([]byte("a"), n)
			b, err := p.AppendTo(nil, V5)
			if !errors.Is(err, want) || (len(b) == 0) != (want != nil) {
				t.Errorf("%s of %d bytes: %d bytes, %v, want %v", name, n, len(b), err, want)
			}
		}
	}
}

// The property length of AUTH is not optional after a reason code (section
// 3.15.2).
func TestAnAuthWithAReasonHasAPropertyLength(t *testing.T) {
	t.Parallel()
	for reason, want := range map[ReasonCode]string{Success: "\xf0\x00", ContinueAuthentication: "\xf0\x02\x18\x00", ReAuthenticate: "\xf0\x02\x19\x00"} {
		if b, err := (&Auth{Reason: reason}).AppendTo(nil, V5); err != nil || string(b) != want {
			t.Errorf("%v: %x, %v, want %x", reason, b, err, want)
		}
	}
}

// The reported position is the first byte of the string.
func TestAMalformedStringIsReportedWhereItBegins(t *testing.T) {
	t.Parallel()
	for packet, want := range map[string]int{
		"\x82\x08\x00\x01\x00\x03a\xffb\x00":                       4, // a topic filter
		"\xa2\x07\x00\x01\x00\x03a\x00b":                           4,
		"\x10\x0f\x00\x04MQTT\x04\x02\x00\x00\x00\x03\xff\xff\xff": 12, // a client identifier
	} {
		f := frameOf(t, packet, V311)
		var err error
		switch f.Type {
		case SUBSCRIBE:
			err = new(Subscribe).Parse(f, V311)
		case UNSUBSCRIBE:
			err = new(Unsubscribe).Parse(f, V311)
		case CONNECT:
			err = new(Connect).Parse(f, V311)
		}
		var e *Error
		if !errors.As(err, &e) || e.Offset != want {
			t.Errorf("%x: %v, want offset %d", packet, err, want)
		}
	}
}

// Features of 5.0 are refused in both of the older versions, and encoded in
// 5.0.
func TestWhatNeeds5IsRefusedInBothOlderVersions(t *testing.T) {
	t.Parallel()
	a, props := []byte("a"), Properties("\x26\x00\x00\x00\x00")
	for name, p := range map[string]Packet{
		"CONNECT":                    &Connect{Properties: props, ClientID: a},
		"a will":                     &Connect{HasWill: true, ClientID: a, Will: Will{Topic: a, Properties: props}},
		"CONNACK":                    &Connack{Properties: props},
		"PUBLISH":                    &Publish{Topic: a, Properties: props},
		"PUBACK":                     &Ack{Type: PUBACK, PacketID: 1, Properties: props},
		"PUBREC":                     &Ack{Type: PUBREC, PacketID: 1, Properties: props},
		"PUBREL":                     &Ack{Type: PUBREL, PacketID: 1, Properties: props},
		"PUBCOMP":                    &Ack{Type: PUBCOMP, PacketID: 1, Properties: props},
		"SUBSCRIBE":                  &Subscribe{PacketID: 1, Properties: props, Subscriptions: []Subscription{{a, 0}}},
		"SUBACK":                     &Suback{Type: SUBACK, PacketID: 1, Properties: props, Codes: []byte{0}},
		"UNSUBSCRIBE":                &Unsubscribe{PacketID: 1, Properties: props, Filters: [][]byte{a}},
		"UNSUBACK":                   &Suback{Type: UNSUBACK, PacketID: 1, Properties: props},
		"DISCONNECT":                 &Disconnect{Properties: props},
		"AUTH":                       &Auth{},
		"no local":                   &Subscribe{PacketID: 1, Subscriptions: []Subscription{{a, NoLocal}}},
		"retain as published":        &Subscribe{PacketID: 1, Subscriptions: []Subscription{{a, RetainAsPublished}}},
		"retain handling":            &Subscribe{PacketID: 1, Subscriptions: []Subscription{{a, 2}, {a, RetainHandlingNew}}},
		"retain handling, no others": &Subscribe{PacketID: 1, Subscriptions: []Subscription{{a, RetainHandlingNone}}},
	} {
		for v, want := range map[Version]error{V31: ErrNeedsV5, V311: ErrNeedsV5, V5: nil} {
			if b, err := p.AppendTo(nil, v); !errors.Is(err, want) || (len(b) == 0) != (want != nil) {
				t.Errorf("%s in %v: %x, %v, want %v", name, v, b, err, want)
			}
		}
	}
}

// MQTT-3.3.1-2 was introduced in 3.1.1; 3.1 allows DUP at QoS 0.
func TestDUPAtQoS0IsLegalIn31Only(t *testing.T) {
	t.Parallel()
	for v, body := range map[Version]string{V31: "\x38\x03\x00\x01a", V311: "\x38\x03\x00\x01a", V5: "\x38\x04\x00\x01a\x00"} {
		b, err := (&Publish{Topic: []byte("a"), Dup: true}).AppendTo(nil, v)
		if (v == V31) != (err == nil && string(b) == body) || v != V31 && !errors.Is(err, ErrDup) {
			t.Errorf("%v: encoded %x, %v", v, b, err)
		}
		if err := new(Publish).Parse(frameOf(t, body, v), v); (v == V31) != (err == nil) {
			t.Errorf("%v: decoded with %v", v, err)
		}
	}
}

// Only the topic alias property can replace the topic.
func TestAPublishWithoutTopicNeedsAnAlias(t *testing.T) {
	t.Parallel()
	for props, legal := range map[string]bool{
		"\x03\x23\x00\x01":                     true,
		"\x08\x26\x00\x00\x00\x00\x23\x00\x01": true,
		"\x00":                                 false,
		"\x02\x01\x00":                         false,
		"\x05\x02\x00\x00\x00\x23":             false, // a message expiry interval of 35 seconds
		"\x03\x03\x00\x00":                     false,
		"\x04\x08\x00\x01r":                    false,
		"\x03\x09\x00\x00":                     false,
		"\x02\x0b\x23":                         false,
		"\x07\x26\x00\x01\x23\x00\x01\x23":     false,
	} {
		b := "\x30" + string([]byte{byte(2 + len(props))}) + "\x00\x00" + props
		err := new(Publish).Parse(frameOf(t, b, V5), V5)
		if legal && err != nil || !legal && !errors.Is(err, ProtocolError) {
			t.Errorf("%x: %v", b, err)
		}
	}
}

// Texts are checked eight bytes at a time: each character is found at each
// position.
func TestBadCharactersAreFoundAtEveryPlace(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 20; n++ {
		for at := range n {
			for bad, want := range map[byte]string{0: "MQTT-1.5.4-2", 0x80: "MQTT-1.5.4-1", 0xff: "MQTT-1.5.4-1", '+': "MQTT-3.3.2-2", '#': "MQTT-3.3.2-2"} {
				name := bytes.Repeat([]byte{'a'}, n)
				name[at] = bad
				if rule, _ := checkTopicName(name); rule != want {
					t.Errorf("%q: %q, want %q", name, rule, want)
				}
				if want == "MQTT-3.3.2-2" {
					want = ""
				}
				if rule, _ := checkUTF8(name); rule != want {
					t.Errorf("%q as a string: %q, want %q", name, rule, want)
				}
			}
			for _, good := range []byte{1, '"', '$', '*', ',', 0x7f} { // next to the bad ones
				name := bytes.Repeat([]byte{'a'}, n)
				name[at] = good
				if rule, _ := checkTopicName(name); rule != "" {
					t.Errorf("%q: %q", name, rule)
				}
			}
		}
	}
}

// MQTT-3.8.3-4: only $share/ begins a shared subscription.
func TestNoLocalIsIllegalOnSharedSubscriptionsOnly(t *testing.T) {
	t.Parallel()
	for filter, legal := range map[string]bool{
		"$share/g/t": false, "$share/": false, "$share": true, "$shar/g/t": true, "$shared/g/t": true, "$SHARE/g/t": true, "a/$share/g": true, "a": true,
	} {
		b := "\x82" + string([]byte{byte(6 + len(filter))}) + "\x00\x01\x00\x00" + string([]byte{byte(len(filter))}) + filter + "\x04"
		err := new(Subscribe).Parse(frameOf(t, b, V5), V5)
		if legal && err != nil || !legal && !errors.Is(err, ProtocolError) {
			t.Errorf("%s: %v", filter, err)
		}
	}
}

// Each of the eight bits of the options (section 3.8.3.1), in each version.
func TestOptionsOfASubscription(t *testing.T) {
	t.Parallel()
	for o := range 256 {
		for v, props := range map[Version]string{V31: "", V311: "", V5: "\x00"} {
			b := "\x82" + string([]byte{byte(6 + len(props))}) + "\x00\x01" + props + "\x00\x01a" + string([]byte{byte(o)})
			var p Subscribe
			err := p.Parse(frameOf(t, b, v), v)
			legal := map[Version]bool{V31: o&3 < 3, V311: o < 3, V5: o < 0x30 && o&3 < 3}[v]
			if legal != (err == nil) {
				t.Errorf("options 0x%02x in %v: %v", o, v, err)
			}
			if legal && v != V31 && p.Subscriptions[0].Options != SubscribeOptions(o) {
				t.Errorf("options 0x%02x in %v are read as 0x%02x", o, v, p.Subscriptions[0].Options)
			}
		}
	}
}

func TestASummaryShows256BytesOfAText(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{255: "a' (0 bytes)", 256: "a' (0 bytes)", 257: "a'... (0 bytes)"} {
		p := Publish{Topic: bytes.Repeat([]byte("a"), n)}
		b, err := p.AppendTo(nil, V311)
		if err != nil {
			t.Fatal(err)
		}
		got := string(AppendSummary(nil, frameOf(t, string(b), V311), V311))
		if wantLen := len("PUBLISH q0 '") + min(n, 256) - 1 + len(want); len(got) != wantLen || got[len(got)-len(want):] != want {
			t.Errorf("%d bytes: %s", n, got)
		}
	}
}

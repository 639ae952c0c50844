package packet

import (
	"bytes"
	"errors"
	"testing"
)

// frameOf cuts a packet, written by hand, and fails if that does not work.
func frameOf(t *testing.T, b string, v Version) Frame {
	t.Helper()
	f, n, err := Split([]byte(b), v, 0)
	if err != nil || n != len(b) {
		t.Fatalf("%x: %d bytes, %v", b, n, err)
	}
	return f
}

// A server of 3.1.1 refuses a CONNECT of 5.0 in its own form: two bytes, codes 1 to
// 5 (section 3.2.2.3 of 3.1.1). Success has a property length in 5.0, and the code
// behind those is none.
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

// A field that is too long is refused whatever else a CONNECT has.
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

// The property length of AUTH is not optional beside a reason code (section 3.15.2).
func TestAnAuthWithAReasonHasAPropertyLength(t *testing.T) {
	t.Parallel()
	for reason, want := range map[ReasonCode]string{Success: "\xf0\x00", ContinueAuthentication: "\xf0\x02\x18\x00", ReAuthenticate: "\xf0\x02\x19\x00"} {
		if b, err := (&Auth{Reason: reason}).AppendTo(nil, V5); err != nil || string(b) != want {
			t.Errorf("%v: %x, %v, want %x", reason, b, err, want)
		}
	}
}

// Whoever looks for the fault finds it at the string's first byte.
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

package packet

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// TestTheRemainingLengthGrowsByABytePer7Bits checks Size, AppendTo and Split
// (table 2-4 of 3.1.1, section 1.5.5 of 5.0).
func TestTheRemainingLengthGrowsByABytePer7Bits(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		remaining int
		head      string // after the first byte
	}{
		{127, "\x7f"}, {128, "\x80\x01"}, {16383, "\xff\x7f"}, {16384, "\x80\x80\x01"},
		{2097151, "\xff\xff\x7f"}, {2097152, "\x80\x80\x80\x01"},
	} {
		p := Publish{Topic: []byte("t"), Payload: make([]byte, row.remaining-3)}
		b, err := p.AppendTo(nil, V311)
		if err != nil {
			t.Fatal(err)
		}
		if want := 1 + len(row.head) + row.remaining; len(b) != want || p.Size(V311) != want {
			t.Errorf("%d: %d bytes, Size %d, want %d", row.remaining, len(b), p.Size(V311), want)
		}
		if got := string(b[1 : 1+len(row.head)]); got != row.head {
			t.Errorf("%d: length %x, want %x", row.remaining, got, row.head)
		}
		if _, n, err := Split(b, V311, len(b)); n != len(b) || err != nil {
			t.Errorf("%d: at the limit: %d, %v", row.remaining, n, err)
		}
		if _, _, err := Split(b, V311, len(b)-1); !errors.Is(err, PacketTooLarge) {
			t.Errorf("%d: a byte above the limit: %v", row.remaining, err)
		}
	}
}

// TestAStringHasAtMost65535Bytes also checks that it may have as many (section
// 1.5.4).
func TestAStringHasAtMost65535Bytes(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]error{65535: nil, 65536: ErrStringTooLong} {
		s := bytes.Repeat([]byte("a"), n)
		for name, append := range map[string]func() error{
			"topic name": func() error { _, err := (&Publish{Topic: s}).AppendTo(nil, V311); return err },
			"topic filter": func() error {
				_, err := (&Subscribe{PacketID: 1, Subscriptions: []Subscription{{Filter: s}}}).AppendTo(nil, V311)
				return err
			},
			"filter to end": func() error {
				_, err := (&Unsubscribe{PacketID: 1, Filters: [][]byte{s}}).AppendTo(nil, V311)
				return err
			},
			"client identifier": func() error { _, err := (&Connect{Version: V311, ClientID: s}).AppendTo(nil, V311); return err },
			"will payload": func() error {
				_, err := (&Connect{Version: V311, ClientID: s[:1], HasWill: true, Will: Will{Topic: s[:1], Payload: s}}).AppendTo(nil, V311)
				return err
			},
			"password": func() error {
				_, err := (&Connect{Version: V311, ClientID: s[:1], HasUsername: true, HasPassword: true, Password: s}).AppendTo(nil, V311)
				return err
			},
			"property":      func() error { _, err := Properties(nil).AppendBytes(ContentType, s); return err },
			"user property": func() error { _, err := Properties(nil).AppendUser(s, s); return err },
		} {
			if err := append(); !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("%s of %d bytes: %v, want %v", name, n, err, want)
			}
		}
	}
}

// TestAVariableByteIntegerHasAtMost268435455 (section 1.5.5).
func TestAVariableByteIntegerHasAtMost268435455(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		n    uint32
		want string
		err  error
	}{
		{0, "", ErrPropertyValue}, {1, "0b01", nil}, {127, "0b7f", nil}, {128, "0b8001", nil}, {16383, "0bff7f", nil}, {16384, "0b808001", nil},
		{268435455, "0bffffff7f", nil}, {268435456, "", ErrPropertyValue},
	} {
		p, err := Properties(nil).AppendUint(SubscriptionIdentifier, row.n)
		if !errors.Is(err, row.err) || fmt.Sprintf("%x", []byte(p)) != row.want {
			t.Errorf("%d: %x, %v; want %s, %v", row.n, []byte(p), err, row.want, row.err)
		}
		if row.err == nil {
			if n, ok := p.Uint(SubscriptionIdentifier); !ok || n != row.n {
				t.Errorf("%d is read as %d", row.n, n)
			}
		}
	}
}

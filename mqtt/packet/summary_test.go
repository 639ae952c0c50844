package packet

import (
	"strings"
	"testing"
)

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

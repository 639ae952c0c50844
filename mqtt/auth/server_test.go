package auth

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func knows(t testing.TB, method, user, password, salt string) func() *ServerExchange {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		t.Fatal(err)
	}
	k, err := KeysOf(method, password, raw, 4096)
	if err != nil {
		t.Fatal(err)
	}
	make, err := SCRAMServer(method, func(name string) (Keys, bool) { return k, name == user })
	if err != nil {
		t.Fatal(err)
	}
	return make
}

// The server's side of the exchanges of RFC 5802 section 5 and RFC 7677
// section 3.
func TestSCRAMServerOfTheSpecifications(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, salt, nonce, first, server, final, proof string }{
		{"SCRAM-SHA-1", "QSXCR+Q6sek8bf92", "3rfcNHYJY1ZVvWVs7j", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
		{"SCRAM-SHA-256", "W22ZaJ0SNY7soEsUEjb6gQ==", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	} {
		s := knows(t, c.method, "user", "pencil", c.salt)()
		s.nonce = c.nonce
		if got, done, err := s.Step([]byte(c.first)); string(got) != c.server || done || err != nil {
			t.Errorf("%s: %q, %v, %v, want %q", c.method, got, done, err, c.server)
		}
		if got, done, err := s.Step([]byte(c.final)); string(got) != c.proof || !done || err != nil || s.User() != "user" {
			t.Errorf("%s: %q, %v, %v, want %q", c.method, got, done, err, c.proof)
		}
		if _, done, err := s.Step([]byte(c.final)); done || err == nil {
			t.Errorf("%s: a third step", c.method)
		}
	}
}

func TestSCRAMServerRefuses(t *testing.T) {
	t.Parallel()
	server := knows(t, "SCRAM-SHA-256", "user", "pencil", "W22ZaJ0SNY7soEsUEjb6gQ==")
	for _, first := range []string{
		"", "n", "n,,", "n,,n=user", "n,,r=x,n=user", "n,,n=user,r=", "n,,n=user,r=a b", "n,,n=,r=x", "n,,n=us=er,r=x", "n,,n=us=2cer,r=x",
		"x,,n=user,r=x", "p=tls-unique,,n=user,r=x", "n,a=other,n=user,r=x", "n,b=user,n=user,r=x", "n,,m=ext,n=user,r=x", "n,,n=user,r=" + strings.Repeat("x", 1025),
	} {
		if got, done, err := server().Step([]byte(first)); err == nil || done || got != nil {
			t.Errorf("%q: %q, %v, %v", first, got, done, err)
		}
	}
	for _, first := range []string{"n,,n=user,r=x", "y,,n=user,r=x", "n,a=user,n=user,r=x", "n,,n=user,r=x,e=ext"} {
		if _, _, err := server().Step([]byte(first)); err != nil {
			t.Errorf("%q: %v", first, err)
		}
	}
	for _, final := range []string{
		"", "c=biws,r=xN", "c=biws,r=xN,p=", "c=biws,r=xN,p=!", "c=eSws,r=xN,p=" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"c=biws,r=yN,p=" + base64.StdEncoding.EncodeToString(make([]byte, 32)), "c=biws,r=xN,p=" + base64.StdEncoding.EncodeToString(make([]byte, 20)),
		"c=biws,r=xN,p=" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
	} {
		s := server()
		s.nonce = "N"
		_, _, _ = s.Step([]byte("n,,n=user,r=x"))
		if got, done, err := s.Step([]byte(final)); err == nil || done || got != nil {
			t.Errorf("%q: %q, %v, %v", final, got, done, err)
		}
	}
}

// Unknown users get the same answers as existing ones.
func TestSCRAMServerKeepsItsUsersToItself(t *testing.T) {
	t.Parallel()
	server := knows(t, "SCRAM-SHA-256", "user", "pencil", "W22ZaJ0SNY7soEsUEjb6gQ==")
	salt := func(user string) string {
		got, _, err := server().Step([]byte("n,,n=" + user + ",r=x"))
		if err != nil {
			t.Fatal(err)
		}
		_, s, _ := strings.Cut(string(got), ",s=")
		return s
	}
	if first, again, other := salt("unknown"), salt("unknown"), salt("noone"); first != again || first == other {
		t.Errorf("salts of users that there are not: %s, %s, %s", first, again, other)
	}
	s := server()
	client, _ := SCRAM("SCRAM-SHA-256", "unknown", "")
	first, _ := client.Start()
	answer, _, _ := s.Step(first)
	final, err := client.Continue(answer)
	if err != nil {
		t.Fatal(err)
	}
	if _, done, err := s.Step(final); done || !errors.Is(err, ErrProof) {
		t.Errorf("unknown user: %v, %v", done, err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, method := range Methods() {
		k, err := KeysOf(method, "pencil", []byte("salt"), 4096)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseKeys(k.String())
		if err != nil || again.String() != k.String() {
			t.Errorf("%s: %v, %v", k, again, err)
		}
		if !again.Matches("pencil") || again.Matches("pencil ") || again.Matches("") {
			t.Errorf("%s does not match the password, or matches another", method)
		}
	}
	// From the exchange of RFC 7677.
	const known = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if k, err := ParseKeys(known); err != nil || !k.Matches("pencil") {
		t.Errorf("%v, %v", k, err)
	}
	for _, bad := range []string{"", "pencil", "$$", "PLAIN$1:a$b:c", "SCRAM-SHA-256$1:W22ZaJ0SNY7soEsUEjb6gQ==$a:b", "SCRAM-SHA-256$4096$a:b", "SCRAM-SHA-256$4096:$a:b",
		strings.Replace(known, "256", "512", 1), strings.Replace(known, "4096", "99999999", 1)} {
		if _, err := ParseKeys(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if _, err := NewKeys("PLAIN", "x"); err == nil {
		t.Error("an unknown method is accepted")
	}
}

// FuzzSCRAMServer checks that no message authenticates a client without the
// password.
func FuzzSCRAMServer(f *testing.F) {
	f.Add("n,,n=user,r=x", "c=biws,r=xN,p=AAAA")
	f.Add("y,a=user,n=user,r=x,e=f", "c=eSxhPXVzZXIs,r=xN,p=AAAA")
	server := knows(f, "SCRAM-SHA-256", "user", "pencil", "W22ZaJ0SNY7soEsUEjb6gQ==")
	f.Fuzz(func(t *testing.T, first, final string) {
		s := server()
		s.nonce = "N"
		_, _, _ = s.Step([]byte(first))
		if _, done, _ := s.Step([]byte(final)); done {
			t.Errorf("%q, %q", first, final)
		}
	})
}

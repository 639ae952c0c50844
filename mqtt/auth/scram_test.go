package auth

import (
	"strings"
	"testing"
)

// The exchanges of RFC 5802 section 5 and RFC 7677 section 3.
func TestSCRAMOfTheSpecifications(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, nonce, first, server, final, proof string }{
		{"SCRAM-SHA-1", "fyko+d2lbbFgONRv9qkxdawL", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
		{"SCRAM-SHA-256", "rOprNGfwEbeRWgbNEkqO", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	} {
		for _, last := range []string{"CONNACK", "AUTH"} {
			s, err := SCRAM(c.method, "user", "pencil")
			if err != nil {
				t.Fatal(err)
			}
			s.nonce = c.nonce
			if got, _ := s.Start(); string(got) != c.first || s.Method() != c.method {
				t.Errorf("%s: first %q, want %q", c.method, got, c.first)
			}
			if got, err := s.Continue([]byte(c.server)); err != nil || string(got) != c.final {
				t.Errorf("%s: final %q, %v, want %q", c.method, got, err, c.final)
			}
			data := []byte(c.proof)
			if last == "AUTH" {
				if got, err := s.Continue(data); err != nil || len(got) > 0 {
					t.Errorf("%s: proof in AUTH: %q, %v", c.method, got, err)
				}
				data = nil
			}
			if err := s.Finish(data); err != nil {
				t.Errorf("%s: proof in %s: %v", c.method, last, err)
			}
		}
	}
}

func TestSCRAMRefuses(t *testing.T) {
	t.Parallel()
	const nonce = "rOprNGfwEbeRWgbNEkqO"
	for server, says := range map[string]string{
		"r=" + nonce + "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1":          `"1" iterations`,
		"r=" + nonce + "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1000000000": "iterations",
		"r=" + nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096":        "nonce",
		"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096":                "nonce",
		"r=" + nonce + "x,s=!,i=4096":                              "salt",
		"m=ext,r=" + nonce + "x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096": "extension",
		"nonsense": "malformed",
		"":         "malformed",
	} {
		s, _ := SCRAM("SCRAM-SHA-256", "user", "pencil")
		s.nonce = nonce
		_, _ = s.Start()
		if _, err := s.Continue([]byte(server)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %q", server, err, says)
		}
	}
	s, _ := SCRAM("SCRAM-SHA-512", "a=b,c", "p")
	if first, _ := s.Start(); !strings.HasPrefix(string(first), "n,,n=a=3Db=2Cc,r=") {
		t.Errorf("first message %q", first)
	}
	for _, data := range []string{"", "v=", "v=AAAA", "e=invalid-proof"} {
		if err := s.Finish([]byte(data)); err == nil {
			t.Errorf("a server that says %q is believed", data)
		}
	}
	if _, err := SCRAM("PLAIN", "u", "p"); err == nil {
		t.Error("an unknown method is accepted")
	}
}

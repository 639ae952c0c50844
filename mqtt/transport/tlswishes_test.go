package transport

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

func TestParseCiphers(t *testing.T) {
	const rsa, ecdsa = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
	for _, c := range []struct {
		list string
		want []uint16
	}{
		{"ECDHE-RSA-AES128-GCM-SHA256", []uint16{rsa}},
		{"ecdhe-rsa-aes128-gcm-sha256:ECDHE-ECDSA-AES256-GCM-SHA384", []uint16{rsa, ecdsa}},
		{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, ECDHE-ECDSA-AES256-GCM-SHA384", []uint16{rsa, ecdsa}},
		{"ECDHE-RSA-AES128-GCM-SHA256:!aNULL:!MD5:@STRENGTH:+HIGH", []uint16{rsa}},
		{"ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA:-AES128-SHA", []uint16{rsa}},
	} {
		if got, err := ParseCiphers(c.list); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %x, %v, want %x", c.list, got, err, c.want)
		}
	}
	all, err := ParseCiphers("DEFAULT:!ECDHE-RSA-AES128-GCM-SHA256")
	if err != nil || len(all) < 5 || slices.Contains(all, rsa) {
		t.Errorf("DEFAULT without one: got %x, %v", all, err)
	}
	for list, text := range map[string]string{
		"": "no cipher suite", "!AES128-SHA": "no cipher suite", "ROT13": `unknown cipher suite "ROT13"`,
		"TLS_AES_128_GCM_SHA256": "cannot be chosen",
	} {
		_, err := ParseCiphers(list)
		if e := wantError(t, err, OpTLS, BadOption, text); e.Hint == "" {
			t.Errorf("%q: no hint", list)
		}
	}
	// The names are those of crypto/tls, each exactly once.
	seen := map[uint16]bool{}
	for _, c := range cipherNames {
		if seen[c.id] || strings.HasPrefix(tls.CipherSuiteName(c.id), "0x") {
			t.Errorf("%s: twice, or unknown to crypto/tls", c.openSSL)
		}
		seen[c.id] = true
	}
	for _, s := range tls.CipherSuites() {
		if !slices.Contains(s.SupportedVersions, tls.VersionTLS13) && !seen[s.ID] {
			t.Errorf("%s has no name of OpenSSL's", s.Name)
		}
	}
}

func TestCiphersAreNegotiated(t *testing.T) {
	s := certtest.New(t)
	server := s.ServerConfig()
	server.MaxVersion = tls.VersionTLS12
	port := serveTLS(t, server)
	ids, err := ParseCiphers("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384")
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&Dialer{TLS: &TLSOptions{CAFile: s.CA.CertFile, CipherSuites: ids}}).Dial(t.Context(), loopback(port, true))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.(*tls.Conn).ConnectionState().CipherSuite; !slices.Contains(ids, got) {
		t.Errorf("negotiated %s", tls.CipherSuiteName(got))
	}
	_ = c.Close()
}

func TestPins(t *testing.T) {
	s := certtest.New(t)
	port := serveTLS(t, s.ServerConfig())
	sum := sha256.Sum256(s.Server.Leaf.Raw)
	key := sha256.Sum256(s.Server.Leaf.RawSubjectPublicKeyInfo)
	digits := strings.ToUpper(hex.EncodeToString(sum[:]))
	colons := ""
	for i := 0; i < len(digits); i += 2 {
		colons += ":" + digits[i:i+2]
	}
	other := strings.Repeat("00", 32)
	for _, c := range []struct {
		pins     []string
		insecure bool
		ca       string
		kind     Kind
	}{
		{[]string{digits}, false, s.CA.CertFile, 0},
		{[]string{"SHA256 Fingerprint=" + colons[1:]}, false, s.CA.CertFile, 0},
		{[]string{"sha256//" + base64.StdEncoding.EncodeToString(key[:])}, false, s.CA.CertFile, 0},
		{[]string{other, digits}, false, s.CA.CertFile, 0},
		{[]string{digits}, true, "", 0}, // only the pin is checked
		{[]string{digits}, false, "", 0},
		{[]string{other}, false, "", WrongPin},
		{[]string{digits}, true, s.OtherCA.CertFile, UnknownAuthority},
		{[]string{other}, false, s.CA.CertFile, WrongPin},
		{[]string{other}, true, "", WrongPin},
		{[]string{digits}, false, s.OtherCA.CertFile, UnknownAuthority}, // a pin is not an authority
	} {
		o := &TLSOptions{CAFile: c.ca, Insecure: c.insecure}
		for _, p := range c.pins {
			pin, err := ParsePin(p)
			if err != nil {
				t.Fatal(err)
			}
			o.Pins = append(o.Pins, pin)
		}
		conn, err := (&Dialer{TLS: o}).Dial(t.Context(), loopback(port, true))
		if c.kind == 0 {
			if err != nil {
				t.Errorf("%q: %v", c.pins, err)
				continue
			}
			_ = conn.Close()
			continue
		}
		e := wantError(t, err, OpTLS, c.kind)
		if c.kind == WrongPin && !strings.Contains(e.Text, hex.EncodeToString(sum[:])) {
			t.Errorf("%q: the fingerprint to pin is not in %q", c.pins, e.Text)
		}
	}
	for _, p := range []string{"", "00", "sha256//", "sha256//AAAA", other + "00", "zz" + other[2:]} {
		if _, err := ParsePin(p); err == nil {
			t.Errorf("%q: no error", p)
		}
	}
}

func TestKeyLog(t *testing.T) {
	s := certtest.New(t)
	port := serveTLS(t, s.ServerConfig())
	file := filepath.Join(t.TempDir(), "keys")
	d := &Dialer{TLS: &TLSOptions{CAFile: s.CA.CertFile, KeyLogFile: file}}
	for range 2 {
		c, err := d.Dial(t.Context(), loopback(port, true))
		if err != nil {
			t.Fatal(err)
		}
		_ = readByte(c)
		_ = c.Close()
	}
	b, err := os.ReadFile(file)
	if n := strings.Count(string(b), "CLIENT_TRAFFIC_SECRET_0 "); err != nil || n != 2 {
		t.Errorf("%d secrets, %v, want one of each connection", n, err)
	}
	if st, err := os.Stat(file); err == nil && runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("permissions %v", st.Mode())
	}
	_, err = TLSOptions{KeyLogFile: t.TempDir()}.Config("h")
	wantError(t, err, OpTLS, BadFile, "cannot write ")
}

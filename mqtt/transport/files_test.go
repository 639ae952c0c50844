package transport

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

func writeFile(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigDefaults(t *testing.T) {
	cfg, err := TLSOptions{}.Config("h")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.RootCAs != nil || cfg.InsecureSkipVerify || cfg.MinVersion != tls.VersionTLS12 || cfg.ServerName != "h" {
		t.Errorf("got %+v, want the system's roots, verification, TLS 1.2, name h", cfg)
	}
	s := certtest.New(t)
	cfg, err = TLSOptions{CertFile: s.Client.CertFile, KeyFile: s.Client.KeyFile}.Config("h")
	if err != nil || cfg.RootCAs != nil || len(cfg.Certificates) != 1 {
		t.Errorf("a client certificate with the system's roots: got %v, %v", cfg, err)
	}
}

func TestConfigRefuses(t *testing.T) {
	s := certtest.New(t)
	missing := filepath.Join(t.TempDir(), "missing.pem")
	empty := writeFile(t, []byte(" \n"))
	text := writeFile(t, []byte("hello"))
	der := writeFile(t, s.CA.Leaf.Raw)
	cut := writeFile(t, s.CA.CertPEM[:100])
	junk := writeFile(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1, 2}}))
	big := writeFile(t, make([]byte, maxFile+1))
	for _, c := range []struct {
		it   string
		opts TLSOptions
		kind Kind
		text []string
	}{
		{"a missing CA file", TLSOptions{CAFile: missing}, BadFile, []string{missing, "no such file"}},
		{"an empty CA file", TLSOptions{CAFile: empty}, BadFile, []string{empty, "is empty"}},
		{"a CA file of text", TLSOptions{CAFile: text}, BadFile, []string{text, "is not PEM"}},
		{"a CA file in DER", TLSOptions{CAFile: der}, BadFile, []string{der, "looks like DER"}},
		{"a CA file cut off", TLSOptions{CAFile: cut}, BadFile, []string{cut, "damaged or cut off"}},
		{"a CA file of junk in PEM", TLSOptions{CAFile: junk}, BadFile, []string{junk, "PEM block 1 is not a certificate"}},
		{"a CA file with a key", TLSOptions{CAFile: s.CA.KeyFile}, BadFile, []string{s.CA.KeyFile, `"PRIVATE KEY" but no certificate`}},
		{"a directory as CA file", TLSOptions{CAFile: s.CADir}, BadFile, []string{s.CADir, "is a directory"}},
		{"a huge CA file", TLSOptions{CAFile: big}, BadFile, []string{big, "larger than 8 MiB"}},
		{"a missing CA directory", TLSOptions{CAPath: missing}, BadFile, []string{missing, "no such file"}},
		{"a CA directory without certificates", TLSOptions{CAPath: filepath.Dir(text)}, BadFile, []string{filepath.Dir(text), "no PEM certificate"}},
		{"a missing certificate", TLSOptions{CertFile: missing, KeyFile: s.Client.KeyFile}, BadFile, []string{missing}},
		{"a missing key", TLSOptions{CertFile: s.Client.CertFile, KeyFile: missing}, BadFile, []string{missing}},
		{"a certificate without a key", TLSOptions{CertFile: s.Client.CertFile}, BadFile, []string{s.Client.CertFile, "no private key"}},
		{"a certificate as a key", TLSOptions{CertFile: s.Client.CertFile, KeyFile: s.Client.CertFile}, BadFile, []string{`"CERTIFICATE" but no private key`}},
		{"another certificate's key", TLSOptions{CertFile: s.Client.CertFile, KeyFile: s.Server.KeyFile}, BadFile,
			[]string{s.Server.KeyFile, "does not match the certificate in " + s.Client.CertFile}},
		{"a key without a certificate", TLSOptions{KeyFile: s.Client.KeyFile}, BadOption, []string{"without a certificate"}},
		{"TLS 1.1", TLSOptions{MinVersion: tls.VersionTLS11}, BadOption, []string{"before 1.2"}},
		{"at most TLS 1.0", TLSOptions{MaxVersion: tls.VersionTLS10}, BadOption, []string{"before 1.2"}},
		{"versions upside down", TLSOptions{MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12}, BadOption, []string{"above the highest"}},
	} {
		t.Run("it refuses "+c.it, func(t *testing.T) {
			_, err := c.opts.Config("h")
			wantError(t, err, OpTLS, c.kind, c.text...)
		})
	}
	_, err := TLSOptions{}.Config("")
	wantError(t, err, OpTLS, BadOption, "no server name")
}

func TestCADirectorySkipsOtherFiles(t *testing.T) {
	s := certtest.New(t)
	dir := s.CADir
	for name, data := range map[string]string{
		"README": "hello", "key.pem": string(s.CA.KeyPEM), "5ed36f99.0": string(s.OtherCA.CertPEM),
		"bad.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_ = os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "dangling.pem"))
	if err := os.Mkdir(filepath.Join(dir, "sub.pem"), 0o700); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if err := AddAuthorities(pool, "", dir); err != nil {
		t.Fatal(err)
	}
	want := x509.NewCertPool()
	want.AddCert(s.CA.Leaf)
	want.AddCert(s.OtherCA.Leaf)
	if !pool.Equal(want) {
		t.Error("got another set of authorities than the two in the directory")
	}
}

func TestAByteOrderMarkBeforeACertificateIsSkipped(t *testing.T) {
	t.Parallel()
	text := certtest.New(t).CA.CertPEM
	if certs, err := readCertificates(writeFile(t, append([]byte("\ufeff"), text...)), true); len(certs) != 1 || err != nil {
		t.Errorf("got %d certificates, %v", len(certs), err)
	}
	if _, err := readCertificates(writeFile(t, append([]byte("\xff\xfe"), text...)), true); err == nil || !strings.Contains(err.Error(), "UTF-16") {
		t.Errorf("UTF-16: got %v", err)
	}
}

func TestCertificateAndKeyInOneFile(t *testing.T) {
	s := certtest.New(t)
	both := writeFile(t, append(append([]byte("Bag Attributes\n"), s.Client.KeyPEM...), s.Client.CertPEM...))
	cert, err := LoadCertificate(both, "", "")
	if err != nil || !cert.Leaf.Equal(s.Client.Leaf) {
		t.Errorf("got %v, %v", cert.Leaf, err)
	}
}

// The keys and certificates below were made with OpenSSL 3, password "hunter2".
func TestKeyFormats(t *testing.T) {
	files, err := filepath.Glob("testdata/keys/*.key")
	if err != nil || len(files) < 8 {
		t.Fatalf("got %d key files, %v; want at least 8", len(files), err)
	}
	for _, key := range files {
		name := strings.TrimSuffix(filepath.Base(key), ".key")
		algorithm, kind, _ := strings.Cut(name, "-")
		cert := filepath.Join("testdata/keys", algorithm+".pem")
		encrypted := strings.HasPrefix(kind, "enc")
		t.Run(name, func(t *testing.T) {
			_, err := LoadCertificate(cert, key, "hunter2")
			if strings.HasSuffix(kind, "unsupported") {
				wantError(t, err, OpTLS, BadFile, key, "not supported")
				return
			}
			if err != nil {
				t.Fatalf("right password: got %v", err)
			}
			_, err = LoadCertificate(cert, key, "")
			if !encrypted {
				if err != nil {
					t.Errorf("plain key without password: got %v", err)
				}
				return
			}
			if e := wantError(t, err, OpTLS, BadFile, key, "encrypted, but no password"); e.Hint == "" {
				t.Error("got no hint")
			}
			for _, wrong := range []string{"hunter3", "x", "\x00", strings.Repeat("a", 1000)} {
				_, err = LoadCertificate(cert, key, wrong)
				wantError(t, err, OpTLS, BadFile, key, "password of the key is wrong")
			}
		})
	}
}

func FuzzParseKey(f *testing.F) {
	files, _ := filepath.Glob("testdata/keys/*.key")
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if b, _ := pem.Decode(data); b != nil {
			f.Add(b.Type, b.Headers["DEK-Info"], b.Bytes)
		}
	}
	f.Fuzz(func(t *testing.T, kind, dek string, der []byte) {
		b := &pem.Block{Type: kind, Bytes: der, Headers: map[string]string{}}
		if dek != "" {
			b.Headers["DEK-Info"] = dek
		}
		key, err := parseKey(b, "hunter2")
		if (key == nil) != (err != nil) {
			t.Fatalf("got %T, %v", key, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Fatalf("the password is in %v", err)
		}
	})
}

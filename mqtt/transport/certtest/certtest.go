// Package certtest creates certificates for tests: an authority and
// certificates that it signed, valid and invalid, new for each test, in memory
// and as files.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Pair is a certificate and its key. The files are PEM (key: PKCS #8) in the
// test's temporary directory.
type Pair struct {
	TLS      tls.Certificate
	Leaf     *x509.Certificate
	CertPEM  []byte
	KeyPEM   []byte
	CertFile string
	KeyFile  string
}

// Set holds the certificates of one authority. Unless the name says otherwise,
// certificates are for localhost, 127.0.0.1 and ::1, and valid for an hour.
type Set struct {
	CA     Pair           // the authority itself; CA.CertFile is the CA file
	CAPool *x509.CertPool // contains only CA
	CADir  string         // a directory with only the CA file, for CAPath

	Server      Pair
	Client      Pair // for client authentication, common name "client"
	Expired     Pair // since 2020-01-02 03:04:05 UTC
	NotYetValid Pair // until 2200-01-02 03:04:05 UTC
	WrongHost   Pair // for "elsewhere.example" and "other.example"
	NoName      Pair // with a common name only
	SelfSigned  Pair // not signed by CA

	OtherCA     Pair // another authority with another name
	OtherClient Pair // a client certificate signed by OtherCA
}

// The dates of Expired and NotYetValid.
var (
	ExpiredAt  = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	ValidAfter = time.Date(2200, 1, 2, 3, 4, 5, 0, time.UTC)
)

// New returns a new Set. It fails the test on any error.
func New(t testing.TB) *Set {
	t.Helper()
	m := maker{t: t, dir: t.TempDir()}
	s := &Set{CAPool: x509.NewCertPool()}
	s.CA = m.authority("ca", "mqtools test CA")
	s.CAPool.AddCert(s.CA.Leaf)
	s.OtherCA = m.authority("other-ca", "another test CA")

	s.Server = m.sign("server", m.template("localhost"), &s.CA)
	s.Client = m.sign("client", m.client(), &s.CA)
	s.OtherClient = m.sign("other-client", m.client(), &s.OtherCA)
	s.SelfSigned = m.sign("self-signed", m.template("self"), nil)

	c := m.template("localhost")
	c.NotBefore, c.NotAfter = ExpiredAt.AddDate(-1, 0, 0), ExpiredAt
	s.Expired = m.sign("expired", c, &s.CA)

	c = m.template("localhost")
	c.NotBefore, c.NotAfter = ValidAfter, ValidAfter.AddDate(1, 0, 0)
	s.NotYetValid = m.sign("not-yet-valid", c, &s.CA)

	c = m.template("elsewhere.example")
	c.DNSNames, c.IPAddresses = []string{"elsewhere.example", "other.example"}, nil
	s.WrongHost = m.sign("wrong-host", c, &s.CA)

	c = m.template("localhost")
	c.DNSNames, c.IPAddresses = nil, nil
	s.NoName = m.sign("no-name", c, &s.CA)

	s.CADir = t.TempDir()
	m.write(filepath.Join(s.CADir, "ca.pem"), s.CA.CertPEM)
	return s
}

// ServerConfig returns the configuration of a server that presents Server and
// does not request a client certificate.
func (s *Set) ServerConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{s.Server.TLS}, MinVersion: tls.VersionTLS12}
}

// MutualConfig returns the configuration of a server that presents Server and
// requires a client certificate signed by CA.
func (s *Set) MutualConfig() *tls.Config {
	c := s.ServerConfig()
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, s.CAPool
	return c
}

// ClientConfig returns the configuration of a client that trusts CA and expects
// "localhost".
func (s *Set) ClientConfig() *tls.Config {
	return &tls.Config{RootCAs: s.CAPool, ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

type maker struct {
	t   testing.TB
	dir string
}

func (m maker) template(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	m.check(err)
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: []string{"mqtools test"}},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},

		BasicConstraintsValid: true,
	}
}

func (m maker) client() *x509.Certificate {
	c := m.template("client")
	c.DNSNames, c.IPAddresses = nil, nil
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return c
}

func (m maker) authority(file, name string) Pair {
	c := m.template(name)
	c.DNSNames, c.IPAddresses, c.ExtKeyUsage = nil, nil, nil
	c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
	return m.sign(file, c, nil)
}

// sign returns a certificate signed by ca, or self-signed if ca is nil.
func (m maker) sign(file string, c *x509.Certificate, ca *Pair) Pair {
	m.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	m.check(err)
	parent, signer := c, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.TLS.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	m.check(err)
	leaf, err := x509.ParseCertificate(der)
	m.check(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	m.check(err)
	p := Pair{
		TLS:      tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf},
		Leaf:     leaf,
		CertPEM:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		KeyPEM:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		CertFile: filepath.Join(m.dir, file+".pem"),
		KeyFile:  filepath.Join(m.dir, file+".key"),
	}
	m.write(p.CertFile, p.CertPEM)
	m.write(p.KeyFile, p.KeyPEM)
	return p
}

func (m maker) write(path string, data []byte) {
	m.t.Helper()
	m.check(os.WriteFile(path, data, 0o600))
}

func (m maker) check(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatalf("certtest: %v", err)
	}
}

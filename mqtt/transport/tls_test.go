package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

func TestDialTLS(t *testing.T) {
	s := certtest.New(t)
	for _, c := range []struct {
		it     string
		server *tls.Config
		opts   TLSOptions
	}{
		{"trusts a CA file", s.ServerConfig(), TLSOptions{CAFile: s.CA.CertFile}},
		{"trusts a CA directory", s.ServerConfig(), TLSOptions{CAPath: s.CADir}},
		{"trusts both", s.ServerConfig(), TLSOptions{CAFile: s.OtherCA.CertFile, CAPath: s.CADir}},
		{"trusts a CA besides the system's", s.ServerConfig(), TLSOptions{CAFile: s.CA.CertFile, UseSystemRoots: true}},
		{"trusts a self-signed certificate given as CA", with(s.ServerConfig(), s.SelfSigned), TLSOptions{CAFile: s.SelfSigned.CertFile}},
		{"accepts anything if configured", with(s.ServerConfig(), s.Expired), TLSOptions{Insecure: true}},
		{"ignores the name if configured", with(s.ServerConfig(), s.WrongHost), TLSOptions{Insecure: true, CAFile: s.CA.CertFile}},
		{"looks away from the name by a directory", with(s.ServerConfig(), s.WrongHost), TLSOptions{Insecure: true, CAPath: s.CADir}},
		{"looks away from the name of a self-signed certificate", with(s.ServerConfig(), s.SelfSigned), TLSOptions{Insecure: true, CAFile: s.SelfSigned.CertFile, ServerName: "x"}},
		{"expects another name if configured", with(s.ServerConfig(), s.WrongHost), TLSOptions{CAFile: s.CA.CertFile, ServerName: "other.example"}},
		{"shows a client certificate", s.MutualConfig(), TLSOptions{CAFile: s.CA.CertFile, CertFile: s.Client.CertFile, KeyFile: s.Client.KeyFile}},
		{"shows a client certificate in TLS 1.2", s.MutualConfig(), TLSOptions{CAFile: s.CA.CertFile, CertFile: s.Client.CertFile, KeyFile: s.Client.KeyFile, MaxVersion: tls.VersionTLS12}},
		{"speaks TLS 1.3 only", s.ServerConfig(), TLSOptions{CAFile: s.CA.CertFile, MinVersion: tls.VersionTLS13}},
		{"offers ALPN to a server without", s.ServerConfig(), TLSOptions{CAFile: s.CA.CertFile, ALPN: []string{"mqtt"}}},
	} {
		t.Run(c.it, func(t *testing.T) {
			conn, err := (&Dialer{TLS: &c.opts}).Dial(t.Context(), loopback(serveTLS(t, c.server), true))
			if err != nil {
				t.Fatalf("dial: got %v", err)
			}
			if err := readByte(conn); err != nil {
				t.Errorf("read: got %v", err)
			}
			_ = conn.Close()
		})
	}
}

func with(c *tls.Config, p certtest.Pair) *tls.Config {
	c.Certificates = []tls.Certificate{p.TLS}
	return c
}

func TestDialTLSRefuses(t *testing.T) {
	s := certtest.New(t)
	ca := TLSOptions{CAFile: s.CA.CertFile}
	tls13 := s.ServerConfig()
	tls13.MinVersion = tls.VersionTLS13
	tls11 := s.ServerConfig()
	tls11.MinVersion, tls11.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	alpn := s.ServerConfig()
	alpn.NextProtos = []string{"mqtt"}
	mutual12 := s.MutualConfig()
	mutual12.MaxVersion = tls.VersionTLS12
	for _, c := range []struct {
		it     string
		server *tls.Config
		opts   TLSOptions
		kind   Kind
		texts  []string
	}{
		{"an unknown authority", s.ServerConfig(), TLSOptions{}, UnknownAuthority, []string{"mqtools test CA"}},
		{"an authority other than the one given", s.ServerConfig(), TLSOptions{CAFile: s.OtherCA.CertFile}, UnknownAuthority, nil},
		{"a self-signed certificate", with(s.ServerConfig(), s.SelfSigned), ca, SelfSigned, []string{"self-signed", "CN=self"}},
		{"an expired certificate", with(s.ServerConfig(), s.Expired), ca, Expired, []string{"expired on 2020-01-02 03:04:05 UTC"}},
		{"a certificate of the future", with(s.ServerConfig(), s.NotYetValid), ca, NotYetValid, []string{"not valid before 2200-01-02 03:04:05 UTC"}},
		{"another host's certificate", with(s.ServerConfig(), s.WrongHost), ca, WrongHost, []string{`"elsewhere.example", "other.example"`, `not for "localhost"`}},
		{"a certificate without names", with(s.ServerConfig(), s.NoName), ca, WrongHost, []string{"no host name at all", "CN=localhost"}},
		{"a client certificate as the server's", with(s.ServerConfig(), s.Client), TLSOptions{CAFile: s.CA.CertFile, ServerName: "localhost"}, WrongHost, nil},
		{"another authority's certificate, whatever its name", s.ServerConfig(), TLSOptions{Insecure: true, CAFile: s.OtherCA.CertFile}, UnknownAuthority, nil},
		{"a stranger by the system's authorities, whatever its name", s.ServerConfig(), TLSOptions{Insecure: true, UseSystemRoots: true}, UnknownAuthority, nil},
		{"a self-signed certificate, whatever its name", with(s.ServerConfig(), s.SelfSigned), TLSOptions{Insecure: true, CAFile: s.CA.CertFile}, SelfSigned, nil},
		{"an expired certificate, whatever its name", with(s.ServerConfig(), s.Expired), TLSOptions{Insecure: true, CAFile: s.CA.CertFile}, Expired, nil},
		{"a server of TLS 1.3 only", tls13, TLSOptions{CAFile: s.CA.CertFile, MaxVersion: tls.VersionTLS12}, VersionMismatch, []string{"TLS version"}},
		{"a server of TLS 1.1", tls11, ca, VersionMismatch, []string{"TLS 1.2 is the oldest"}},
		{"a server with another ALPN protocol", alpn, TLSOptions{CAFile: s.CA.CertFile, ALPN: []string{"x"}}, ProtocolMismatch, []string{"ALPN"}},
		{"to go without a client certificate (TLS 1.2)", mutual12, ca, ClientCertificateMissing, []string{"requires a client certificate"}},
		{"the wrong client certificate (TLS 1.2)", mutual12, TLSOptions{CAFile: s.CA.CertFile, CertFile: s.OtherClient.CertFile, KeyFile: s.OtherClient.KeyFile},
			ClientCertificateRefused, []string{"refused the client certificate"}},
	} {
		t.Run("it refuses "+c.it, func(t *testing.T) {
			conn, err := (&Dialer{TLS: &c.opts}).Dial(t.Context(), loopback(serveTLS(t, c.server), true))
			if err == nil {
				_ = conn.Close()
				t.Fatal("got a connection, want an error")
			}
			e := wantError(t, err, OpTLS, c.kind, append(c.texts, "localhost:")...)
			if e.Err == nil {
				t.Error("got no inner error")
			}
		})
	}
}

// With TLS 1.3 the client's handshake is complete before the server has seen
// its certificate.
func TestExplain(t *testing.T) {
	s := certtest.New(t)
	port := serveTLS(t, s.MutualConfig())
	for _, c := range []struct {
		it   string
		opts TLSOptions
		kind Kind
	}{
		{"says that a certificate is wanted", TLSOptions{CAFile: s.CA.CertFile}, ClientCertificateMissing},
		{"says that the certificate is refused", TLSOptions{CAFile: s.CA.CertFile, CertFile: s.OtherClient.CertFile, KeyFile: s.OtherClient.KeyFile}, ClientCertificateRefused},
	} {
		conn, err := (&Dialer{TLS: &c.opts}).Dial(t.Context(), loopback(port, true))
		if err != nil {
			t.Fatalf("it %s: dial: got %v", c.it, err)
		}
		err = Explain("here", readByte(conn))
		wantError(t, err, OpTLS, c.kind, "here re")
		if again := Explain("there", err); again != err {
			t.Errorf("it %s: explained twice: got %v", c.it, again)
		}
		_ = conn.Close()
	}
	if got := Explain("x", nil); got != nil {
		t.Errorf("nil: got %v", got)
	}
	if got := Explain("x", io.EOF); got != io.EOF {
		t.Errorf("EOF: got %v", got)
	}
}

// resetConn is a connection that the peer has closed: what it sent can still be
// read, writing fails.
type resetConn struct{ net.Conn }

func (resetConn) Write([]byte) (int, error) { return 0, syscall.ECONNRESET }

// The server's alert comes as the answer to the upgrade or, if it closed before
// that, when the request has failed already.
func TestWebSocketExplainsAlerts(t *testing.T) {
	s := certtest.New(t)
	opts := TLSOptions{CAFile: s.CA.CertFile}
	to := loopback(serveTLS(t, s.MutualConfig()), true)
	conn, err := (&Dialer{TLS: &opts}).Dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	to.WebSocket, to.Resource = true, "/mqtt"
	_, err = new(Dialer).upgrade(t.Context(), resetConn{conn}, to, time.Now())
	wantError(t, err, OpTLS, ClientCertificateMissing, to.Address()+" requires a client certificate")
	_, err = (&Dialer{TLS: &opts}).Dial(t.Context(), to)
	wantError(t, err, OpTLS, ClientCertificateMissing, to.Address()+" requires a client certificate")
}

func TestDialTLSToPlainPort(t *testing.T) {
	for _, c := range []struct {
		it, answer string
		text       string
	}{
		{"knows an MQTT answer", "\x20\x02\x00\x01", "closed the connection"},
		{"knows an answer of five bytes", "\x20\x03\x00\x84\x00", `speaks MQTT, not TLS (it answered " \x03\x00\x84\x00")`},
		{"knows an HTTP answer", "HTTP/1.1 400 Bad Request\r\n\r\n", `speaks HTTP, not TLS (it answered "HTTP/")`},
		{"knows a peer that closes", "", "localhost:"},
	} {
		t.Run(c.it, func(t *testing.T) {
			port := serve(t, func(conn net.Conn) {
				_ = readByte(conn)
				_, _ = conn.Write([]byte(c.answer))
				_ = conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
			})
			_, err := (&Dialer{}).Dial(t.Context(), loopback(port, true))
			e := wantError(t, err, OpTLS, NotTLS, c.text)
			if e.Hint == "" && e.Speaks == ProtocolUndecided {
				t.Error("got no hint")
			}
		})
	}
}

func TestDialTLSToResettingPort(t *testing.T) {
	port := serve(t, func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) })
	_, err := (&Dialer{}).Dial(t.Context(), loopback(port, true))
	var e *Error
	if !errors.As(err, &e) || e.Kind != NotTLS && e.Kind != Reset {
		t.Errorf("got %v, want kind NotTLS or, where the reset was first, Reset", err)
	}
}

// The alert that the server gets if its certificate cannot be verified.
func TestAlertSentOnFailedVerification(t *testing.T) {
	s := certtest.New(t)
	alerts := make(chan error, 1)
	for _, p := range []certtest.Pair{s.Server, s.Expired, s.WrongHost} {
		opts := TLSOptions{CAFile: s.CA.CertFile}
		if p.Leaf == s.Server.Leaf {
			opts.CAFile = s.OtherCA.CertFile
		}
		port := serve(t, func(c net.Conn) {
			tc := tls.Server(c, with(s.ServerConfig(), p))
			err := tc.Handshake()
			if err == nil {
				err = readByte(tc)
			}
			alerts <- err
		})
		if _, err := (&Dialer{TLS: &opts}).Dial(t.Context(), loopback(port, true)); err == nil {
			t.Fatal("got a connection, want an error")
		}
		if code, ok := peerAlert(<-alerts); !ok || code != alertBadCertificate {
			t.Errorf("the server got alert %d, %v; want %d", code, ok, alertBadCertificate)
		}
	}
}

func TestNamesOfManyNames(t *testing.T) {
	c := &x509.Certificate{DNSNames: []string{"a", "b", "c", "d", "e\x1b", "f", "g"}}
	if got, want := names(c), `"a", "b", "c", "d", "e\x1b" and 2 more`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDialALPN(t *testing.T) {
	s := certtest.New(t)
	server := s.ServerConfig()
	server.NextProtos = []string{"mqtt"}
	opts := TLSOptions{CAFile: s.CA.CertFile, ALPN: []string{"x-amzn-mqtt-ca", "mqtt"}}
	conn, err := (&Dialer{TLS: &opts}).Dial(t.Context(), loopback(serveTLS(t, server), true))
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "mqtt" {
		t.Errorf("got protocol %q, want mqtt", got)
	}
	_ = conn.Close()
	cfg, err := opts.Config("h")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.NextProtos[0] = "changed"; slices.Contains(opts.ALPN, "changed") {
		t.Error("the configuration shares its slice with the options")
	}
}

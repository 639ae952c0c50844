package transport

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// rootsVar makes the test binary run a test in a separate process, in which the
// system's authorities are those of a file: they are read once.
const rootsVar = "MQTOOLS_TRANSPORT_TEST_ROOTS"

// withSystemRoots runs f in a process whose only system authority is s.CA.
func withSystemRoots(t *testing.T, f func(t *testing.T, s *certtest.Set)) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("the system's authorities are no file")
	}
	if os.Getenv(rootsVar) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		cmd.Env = append(os.Environ(), rootsVar+"=1", "SSL_CERT_DIR="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	s := certtest.New(t)
	t.Setenv("SSL_CERT_FILE", s.CA.CertFile)
	f(t, s)
}

func TestTheSystemsAuthoritiesAreNotTrustedBesideACAFile(t *testing.T) {
	withSystemRoots(t, func(t *testing.T, s *certtest.Set) {
		port := serveTLS(t, s.ServerConfig())
		other, dir := s.OtherCA.CertFile, t.TempDir()
		pem, err := os.ReadFile(other)
		if err == nil {
			err = os.WriteFile(dir+"/other.pem", pem, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			it   string
			opts *TLSOptions
			ok   bool
		}{
			{"no options", nil, true},
			{"none named", &TLSOptions{}, true},
			{"the system's beside another", &TLSOptions{CAFile: other, UseSystemRoots: true}, true},
			{"the system's beside another's directory", &TLSOptions{CAPath: dir, UseSystemRoots: true}, true},
			{"another file", &TLSOptions{CAFile: other}, false},
			{"another directory", &TLSOptions{CAPath: dir}, false},
		} {
			conn, err := (&Dialer{TLS: c.opts}).Dial(t.Context(), loopback(port, true))
			if err == nil {
				_ = conn.Close()
			}
			if c.ok && err != nil || !c.ok && err == nil {
				t.Errorf("%s: got %v, want a connection %v", c.it, err, c.ok)
			}
			if !c.ok && err != nil {
				wantError(t, err, OpTLS, UnknownAuthority)
			}
		}
	})
}

// The proxy's certificate is verified against the system's authorities;
// settings for the broker's certificate do not apply. The password is not sent
// to any other server.
func TestTheCertificateOfAProxyIsVerified(t *testing.T) {
	withSystemRoots(t, func(t *testing.T, s *certtest.Set) {
		old := s.ServerConfig()
		old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		for _, c := range []struct {
			it     string
			server *tls.Config
			host   string
			kind   Kind // Other: it connects
		}{
			{"a proxy with a good certificate", s.ServerConfig(), "localhost", Other},
			{"one by its address", s.ServerConfig(), "127.0.0.1", Other},
			{"a self-signed one", with(s.ServerConfig(), s.SelfSigned), "localhost", SelfSigned},
			{"another host's", with(s.ServerConfig(), s.WrongHost), "localhost", WrongHost},
			{"an expired one", with(s.ServerConfig(), s.Expired), "localhost", Expired},
			{"TLS 1.1", old, "localhost", VersionMismatch},
		} {
			var asked atomic.Bool
			port := serve(t, func(nc net.Conn) {
				tc := tls.Server(nc, c.server)
				if head, _, err := readHead(tc); err == nil {
					asked.Store(true)
					if got := head.get("Proxy-Authorization"); got != "Basic dTpwdw==" {
						t.Errorf("%s: got the credentials %q", c.it, got)
					}
					_, _ = io.WriteString(tc, "HTTP/1.1 200 OK\r\n\r\n")
				}
				_, _ = io.Copy(tc, tc)
			})
			d := Dialer{
				Proxy: &Proxy{Kind: "https", Host: c.host, Port: port, Username: "u", Password: "pw", HasUsername: true},
				TLS:   &TLSOptions{Insecure: true, CAFile: s.SelfSigned.CertFile, ServerName: "elsewhere.example"},
			}
			conn, err := d.Dial(t.Context(), &Target{Network: "tcp", Host: "broker", Port: 1883})
			if c.kind != Other {
				wantError(t, err, OpTLS, c.kind)
				if asked.Load() {
					t.Errorf("%s: it was asked for a tunnel", c.it)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", c.it, err)
				continue
			}
			_, _ = conn.Write([]byte("x"))
			if err := readByte(conn); err != nil {
				t.Errorf("%s: %v", c.it, err)
			}
			_ = conn.Close()
		}
	})
}

// Dial has a limit even if the context has none.
func TestDialIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		timeout, ctx, want time.Duration // want 0: no limit
	}{
		{0, 0, 10 * time.Second},
		{3 * time.Second, 0, 3 * time.Second},
		{-1, 0, 0},
		{-1, time.Second, time.Second},
		{0, time.Second, time.Second},
		{time.Second, time.Minute, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			if c.ctx > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.ctx)
				defer cancel()
			}
			ctx, cancel := (&Dialer{Timeout: c.timeout}).bounded(ctx)
			defer cancel()
			end, limited := ctx.Deadline()
			if got := time.Until(end); limited != (c.want > 0) || limited && got != c.want {
				t.Errorf("%v in a context of %v: got %v, want %v", c.timeout, c.ctx, got, c.want)
			}
		})
	}
}

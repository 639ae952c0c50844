package transport

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers questions for SRV records over UDP, and returns the
// loopback address for all names below test.
func nameServer(t *testing.T, records map[string][]dnsmessage.SRVResource) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			name := strings.TrimSuffix(q.Name.String(), ".")
			switch srv, known := records[name]; {
			case q.Type == dnsmessage.TypeSRV && known:
				for _, r := range srv {
					m.Answers = append(m.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &r})
				}
			case q.Type == dnsmessage.TypeA && strings.HasSuffix(name, ".test"):
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
					Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
			case q.Type == dnsmessage.TypeAAAA && strings.HasSuffix(name, ".test"):
			default:
				m.RCode = dnsmessage.RCodeNameError
			}
			if out, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func srv(priority uint16, target string, port int) dnsmessage.SRVResource {
	return dnsmessage.SRVResource{Priority: priority, Weight: 1, Port: uint16(port), Target: dnsmessage.MustNewName(target)}
}

func TestDialByServiceRecords(t *testing.T) {
	certs := certtest.New(t)
	plain := serve(t, func(c net.Conn) { _, _ = c.Write([]byte{'!'}) })
	secure := serveTLS(t, certs.ServerConfig())
	d := &Dialer{
		Resolver: nameServer(t, map[string][]dnsmessage.SRVResource{
			"_mqtt._tcp.example.test":         {srv(2, "good.test.", plain), srv(1, "bad.test.", unusedPort(t))},
			"_secure-mqtt._tcp.localhost":     {srv(1, "tls.test.", secure)},
			"_secure-mqtt._tcp.elsewhere.com": {srv(1, "localhost.", secure)},
			"_mqtt._tcp.none.test":            {srv(0, ".", 0)},
		}),
		TLS: &TLSOptions{CAFile: certs.CA.CertFile},
	}
	c, err := d.Dial(t.Context(), &Target{Network: "tcp", Host: "example.test", SRV: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := readByte(c); err != nil || c.RemoteAddr().String() != "127.0.0.1:"+strconv.Itoa(plain) {
		t.Errorf("reached %s, %v, want the second record", c.RemoteAddr(), err)
	}
	_ = c.Close()
	// The certificate must be for the domain, and not for the name in the SRV
	// record.
	if c, err = d.Dial(t.Context(), &Target{Network: "tcp", Host: "localhost", SRV: true, TLS: true}); err != nil {
		t.Errorf("a certificate for the domain: %v", err)
	} else {
		_ = c.Close()
	}
	_, err = d.Dial(t.Context(), &Target{Network: "tcp", Host: "elsewhere.com", SRV: true, TLS: true})
	wantError(t, err, OpTLS, WrongHost, `"elsewhere.com"`)
	_, err = d.Dial(t.Context(), &Target{Network: "tcp", Host: "unknown.test", SRV: true})
	wantError(t, err, OpLookup, NotFound, "_mqtt._tcp.unknown.test", "no such SRV record")
	_, err = d.Dial(t.Context(), &Target{Network: "tcp", Host: "none.test", SRV: true})
	wantError(t, err, OpLookup, NotFound, "has no such service")
}

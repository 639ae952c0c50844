package cli

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Every kind that has a remedy has one here, and a more specific hint of package transport
// takes precedence.
func TestErrorsOfTheTransportHaveAWayOut(t *testing.T) {
	t.Parallel()
	wrongHost := func(names ...string) error {
		return &tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{DNSNames: names}, Host: "h"}}
	}
	for _, row := range []struct {
		e    transport.Error
		want string
	}{
		{transport.Error{Op: transport.OpConnect, Kind: transport.Refused, Unix: true, Hint: "start it"}, "start it"},
		{transport.Error{Op: transport.OpWebSocket, Kind: transport.Timeout}, speaksWebSocket},
		{transport.Error{Op: transport.OpTLS, Kind: transport.WrongHost, Err: wrongHost("a.example", "b")}, "connect to a.example, or pass --tls-server-name a.example"},
		{transport.Error{Op: transport.OpTLS, Kind: transport.WrongHost, Err: wrongHost("*.example", "x; rm -rf ~", "\x1b[31m", "c.example")}, "connect to c.example, or pass --tls-server-name c.example"},
		{transport.Error{Op: transport.OpTLS, Kind: transport.WrongHost, Err: wrongHost()}, "the certificate names no host; --insecure with --cafile FILE verifies all but the name"},
		{transport.Error{Kind: transport.NotMQTT, Speaks: transport.ProtocolNATS}, "use the MQTT port (usually 1883): check -h, -p or -L"},
		{transport.Error{Op: transport.OpConnect, Kind: transport.Canceled}, ""},
	} {
		if got := remedyOf(&row.e); got != row.want {
			t.Errorf("%s, %v: %q, want %q", row.e.Op, row.e.Kind, got, row.want)
		}
	}
	// Every tool has the options that the remedies name.
	for _, tools := range []option.ToolSet{option.Pub, option.Sub, option.Bench} {
		for _, r := range remedies {
			for _, word := range strings.Fields(r.help) {
				if word = strings.Trim(word, ",;:?()"); strings.HasPrefix(word, "-") && option.Table(tools).Find(word) == nil && word != "--bind-address" {
					t.Errorf("tool %d has no %s: %q", tools, word, r.help)
				}
			}
		}
	}
}

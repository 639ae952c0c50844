package cli

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/mqtools/mqtools/internal/fileerror"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// JournalError returns the error for a journal on disk that cannot be used, with its exit
// status and a remedy. name is that of the journal in the error.
func JournalError(name string, err error) error {
	exit := &Exit{Code: option.ExitLocalIO, Err: fmt.Errorf("%s: %w", name, fileerror.Writing(err))}
	if _, damaged := errors.AsType[*journal.DamagedError](err); damaged {
		exit.Help = "--repair removes what follows the damage"
	} else if errors.Is(err, journal.ErrLogInUse) {
		exit.Err, exit.Help = fmt.Errorf("%s: %w", name, journal.ErrLogInUse), "stop that process, or choose another place"
	}
	return exit
}

// remedies are what the user can do about errors of package transport, which as a library
// has no options. If there is no remedy for a kind, the error's own hint is used.
var remedies = [...]struct {
	op     string // "": any
	kind   transport.Kind
	speaks transport.Protocol // 0: any
	help   string
}{
	{transport.OpConnect, transport.Refused, 0, "is a broker running there? check -h, -p or -L"},
	{transport.OpLookup, transport.NotFound, 0, "check the spelling of -h or -L"},
	{transport.OpLookup, transport.Timeout, 0, "try again, or use an IP address; --connect-timeout sets the limit"},
	{transport.OpConnect, transport.Timeout, 0, "check the address and any firewall; --connect-timeout sets the limit"},
	{transport.OpConnect, transport.SocketMissing, 0, "is the broker running? check --unix"},
	{transport.OpConnect, transport.AddrNotAvailable, 0, "check --bind-address, -4 and -6"},
	{transport.OpTLS, transport.Timeout, 0, "try again; --connect-timeout sets the limit"},
	{"", transport.NotTLS, 0, "use the TLS port (usually 8883), or drop --tls and --cafile"},
	{"", transport.UnknownAuthority, 0, "pass that CA's certificate: --cafile FILE"},
	{"", transport.SelfSigned, 0, "if you trust it, pass it: --cafile FILE"},
	{"", transport.ClientCertificateMissing, 0, "pass --cert FILE and --key FILE"},
	{"", transport.NotMQTT, transport.ProtocolHTTP, "use --ws for WebSocket, or the MQTT port (usually 1883)"},
	{"", transport.NotMQTT, transport.ProtocolTLS, "add --tls or --cafile FILE"},
	{"", transport.NotMQTT, 0, "use the MQTT port (usually 1883): check -h, -p or -L"},
	{"", transport.UpgradeRefused, 0, "check --ws-path; many brokers use /mqtt"},
	{"", transport.NotWebSocket, 0, speaksWebSocket},
	{transport.OpWebSocket, transport.Reset, 0, speaksWebSocket},
	{transport.OpWebSocket, transport.Timeout, 0, speaksWebSocket},
	{transport.OpListen, transport.AddrInUse, 0, "stop that program, or pass --serve another port"},
	{transport.OpListen, transport.BadOption, 0, "add --serve-cert FILE"},
}

const speaksWebSocket = "does this port speak WebSocket? for plain MQTT drop --ws"

// remedyOf returns what to do about an error of package transport, or "".
func remedyOf(e *transport.Error) string {
	if e.Hint != "" {
		return e.Hint
	}
	if host, ok := errors.AsType[x509.HostnameError](e); ok && e.Kind == transport.WrongHost {
		if name := nameOf(host.Certificate); name != "" {
			return "connect to " + name + ", or pass --tls-server-name " + name
		}
		return "the certificate names no host; --insecure with --cafile FILE verifies all but the name"
	}
	for _, r := range remedies {
		if r.kind == e.Kind && (r.op == "" || r.op == e.Op) && (r.speaks == 0 || r.speaks == e.Speaks) {
			return r.help
		}
	}
	return ""
}

// nameOf returns a name of a certificate that can be pasted, or "".
func nameOf(c *x509.Certificate) string {
	for _, name := range c.DNSNames {
		if isHostName(name) {
			return name
		}
	}
	if len(c.IPAddresses) > 0 {
		return c.IPAddresses[0].String()
	}
	return ""
}

// isHostName reports whether a name consists of letters, digits, dots and hyphens; a name
// in a certificate may be anything.
func isHostName(name string) bool {
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-') {
			return false
		}
	}
	return name != ""
}

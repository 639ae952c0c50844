package transport

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Target is the address to connect to, as given by an MQTT URL. The strings are
// decoded. A Target prints as its redacted URL in every format.
type Target struct {
	Network string // "tcp" or "unix"
	Host    string // for tcp: name or IP address, without brackets, with zone
	Port    int    // for tcp: 1 to 65535
	Path    string // for unix: path of the socket; a leading @ means Linux's abstract namespace
	TLS     bool   // mqtts and its other names, wss

	// SRV means that Host is a domain whose SRV records name the brokers (RFC
	// 2782). Port is then ignored.
	SRV  bool
	name string // the certificate must be for this name instead of Host, if not empty

	WebSocket bool   // ws and wss
	Resource  string // for WebSocket: encoded path and query of the request

	Username    string // UTF-8 without U+0000
	Password    string // any bytes
	HasUsername bool   // the URL has a user name
	HasPassword bool   // the URL has a password, which may be empty

	Topic string // path of the URL without its first '/'; not validated; may be empty
}

// DefaultResource is the path of WebSocket URLs that have none.
const DefaultResource = "/mqtt"

// Address returns the address to dial: host:port with brackets where needed, or
// the socket path.
func (t Target) Address() string {
	if t.Network == "unix" {
		return t.Path
	}
	return net.JoinHostPort(t.Host, strconv.Itoa(t.Port))
}

// String returns the URL in its shortest standard form, including the port,
// with *** for the password and for a WebSocket's query. If it has neither,
// ParseURL returns the same Target for it.
func (t Target) String() string {
	var b strings.Builder
	switch {
	case t.Network == "unix":
		b.WriteString("unix:")
		if t.hasUser() || strings.HasPrefix(t.Path, "/") {
			b.WriteString("//")
		}
	case t.WebSocket && t.TLS:
		b.WriteString("wss://")
	case t.WebSocket:
		b.WriteString("ws://")
	case t.TLS:
		b.WriteString("mqtts://")
	default:
		b.WriteString("mqtt://")
	}
	if t.hasUser() {
		b.WriteString(escape(t.Username, ""))
		if t.HasPassword {
			b.WriteString(":***")
		}
		b.WriteByte('@')
	}
	if t.Network == "unix" {
		b.WriteString(escape(t.Path, "/"))
		return b.String()
	}
	b.WriteString(t.hostPort())
	if path, _, has := strings.Cut(t.Resource, "?"); t.WebSocket {
		b.WriteString(path)
		if has {
			b.WriteString("?***")
		}
		return b.String()
	}
	if t.Topic != "" {
		b.WriteByte('/')
		b.WriteString(escape(t.Topic, "/+$:;,=!*'()&"))
	}
	return b.String()
}

// Redacted returns String; the name says why it is safe to print.
func (t Target) Redacted() string { return t.String() }

// GoString keeps %#v from printing the password.
func (t Target) GoString() string { return "transport.Target(" + t.String() + ")" }

// MarshalText keeps encoding/json and log/slog from printing the password.
func (t Target) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// DefaultPort returns the port of a URL that has none.
func (t Target) DefaultPort() int {
	for _, s := range schemes {
		if s.network == t.Network && s.tls == t.TLS && s.webSocket == t.WebSocket {
			return s.port
		}
	}
	return 0
}

func (t Target) hasUser() bool { return t.HasUsername || t.HasPassword }

// hostPort returns the authority of the URL. The % of a zone becomes %25 (RFC
// 6874).
func (t Target) hostPort() string {
	host := t.Host
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		host = strings.Replace(host, "%", "%25", 1)
	}
	return net.JoinHostPort(host, strconv.Itoa(t.Port))
}

// escape percent-encodes all characters except RFC 3986's unreserved ones and
// those in keep.
func escape(s, keep string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if isAlnum(c) || strings.IndexByte("-._~", c) >= 0 || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

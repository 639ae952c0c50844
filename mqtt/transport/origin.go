package transport

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Browsers allow any web page to open a WebSocket to any address, including
// this machine's loopback, and send the page's origin in the header field
// Origin (RFC 6455, sections 4.1 and 10.2). Comparing it with the field Host is
// not safe: a name that resolves first to the page's server and then to
// 127.0.0.1 (DNS rebinding) is in both fields. So only origins are accepted
// that an attacker cannot have: a loopback name, which is never resolved by DNS
// (RFC 6761, section 6.3), or the very address that the connection was made to.
// The port is ignored, because development servers use others.

// OriginError is the Err of an [*Error] of kind OriginRefused: the origin of a
// web page, as its browser sent it.
type OriginError string

func (e OriginError) Error() string { return "the origin " + string(e) + " is not allowed" }

// CheckOrigin returns why s cannot be an element of ListenConfig.Origins, or
// nil.
func CheckOrigin(s string) error {
	if s == "*" || s == "null" {
		return nil
	}
	if _, ok := parseOrigin(s); !ok {
		return errors.New("is not an origin: write scheme://host or scheme://host:port without a path, null, or * for all")
	}
	return nil
}

// origin is the origin of a page. Two are the same if all three parts are (RFC
// 6454, section 5).
type origin struct {
	scheme, host string // in lower case; an address in its shortest form
	port         int    // 0 for the default of an unknown scheme
}

// parseOrigin parses one origin: no list, no user, no path.
func parseOrigin(s string) (o origin, ok bool) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !isSchemeName(scheme) || strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/\?#@%`, r) }) {
		return origin{}, false
	}
	o.scheme = strings.ToLower(scheme)
	var t Target
	var p urlParser
	if p.hostPort(&t, rest, map[string]int{"http": 80, "https": 443}[o.scheme]) != nil {
		return origin{}, false
	}
	// A trailing dot does not make it another host.
	o.host, o.port = strings.TrimSuffix(strings.ToLower(t.Host), "."), t.Port
	if a, err := netip.ParseAddr(o.host); err == nil {
		o.host = a.Unmap().String()
	}
	return o, o.host != "" && !strings.HasPrefix(o.host, ".")
}

// mayConnect reports whether pages of an origin may open a WebSocket to own,
// the address of this side of a connection. name is the host that the listener
// was given, and allowed what the user has configured.
func mayConnect(s string, own net.Addr, name string, allowed []string) bool {
	if slices.Contains(allowed, "*") || s == "null" && slices.Contains(allowed, "null") {
		return true
	}
	o, ok := parseOrigin(s)
	if !ok {
		return false
	}
	if o.host == "localhost" || strings.HasSuffix(o.host, ".localhost") {
		return true
	}
	if a, err := netip.ParseAddr(o.host); err == nil {
		here, _ := own.(*net.TCPAddr)
		if a.IsLoopback() || here != nil && here.AddrPort().Addr().Unmap().WithZone("") == a {
			return true
		}
	}
	if name != "" && strings.EqualFold(strings.TrimSuffix(name, "."), o.host) {
		return true
	}
	return slices.ContainsFunc(allowed, func(one string) bool {
		a, ok := parseOrigin(one)
		return ok && a == o
	})
}

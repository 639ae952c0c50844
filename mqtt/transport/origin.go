package transport

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// A browser lets any web page open a WebSocket to any address, this machine's
// loopback too, and says in the field Origin whose page it is (RFC 6455, sections
// 4.1 and 10.2). Who compares that with the field Host is deceived by a name that
// first is the page's server and then 127.0.0.1 (DNS rebinding), for both fields
// have it. So what counts is what an attacker cannot have: a loopback name, which
// no DNS server is asked for (RFC 6761, section 6.3), or the very address that the
// connection came to. The port does not count: development servers have others.

// OriginError is the Err of an [*Error] of kind OriginRefused: the origin of a web
// page, as its browser sent it.
type OriginError string

func (e OriginError) Error() string { return "the origin " + string(e) + " is not allowed" }

// CheckOrigin tells why s cannot stand in ListenConfig.Origins.
func CheckOrigin(s string) error {
	if s == "*" || s == "null" {
		return nil
	}
	if _, ok := parseOrigin(s); !ok {
		return errors.New("is not an origin: write scheme://host or scheme://host:port without a path, null, or * for all")
	}
	return nil
}

// origin is whose page it is. Two are the same if all three are (RFC 6454,
// section 5).
type origin struct {
	scheme, host string // in small letters; an address in its shortest form
	port         int    // 0 for that of an unknown scheme
}

// parseOrigin reads one origin and nothing else: no list, no user, no path.
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
	// The root's dot makes no other host.
	o.host, o.port = strings.TrimSuffix(strings.ToLower(t.Host), "."), t.Port
	if a, err := netip.ParseAddr(o.host); err == nil {
		o.host = a.Unmap().String()
	}
	return o, o.host != "" && !strings.HasPrefix(o.host, ".")
}

// mayConnect reports whether pages of an origin may open a WebSocket to own, the
// address of this side of a connection. Name is the host that the listener was
// given, and allowed what the user said.
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

package transport

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/units"
)

// hostPort parses host:port into t; port is the default.
func (p *urlParser) hostPort(t *Target, s string, port int) error {
	host, digits, hasPort := s, "", false
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return p.fail("no ] after the IPv6 address", "write [::1]:1883")
		}
		addr, err := ipv6(s[1:end])
		if err != "" {
			return p.fail(strconv.Quote(s[1:end])+" "+err, "write [::1] or [fe80::1%25eth0]")
		}
		host = addr
		if after := s[end+1:]; after != "" {
			if after[0] != ':' {
				return p.fail(strconv.Quote(after)+" after the ]", "write [::1]:1883")
			}
			digits, hasPort = after[1:], true
		}
	} else {
		if strings.Count(s, ":") > 1 {
			return p.fail("more than one ':' in "+strconv.Quote(s), "put an IPv6 address in brackets: [::1]:1883")
		}
		host, digits, hasPort = strings.Cut(s, ":")
		if host == "" && !p.listen {
			return p.fail("no host", "write mqtt://host")
		}
		if i := strings.IndexFunc(host, notHostRune); i >= 0 {
			r, _ := utf8.DecodeRuneInString(host[i:])
			return p.fail(strconv.QuoteRune(r)+" in the host name "+strconv.Quote(host), "")
		}
	}
	if hasPort {
		var ok bool
		if port, ok = parsePort(digits, p.listen); !ok {
			return p.fail(units.Invalid("port", strconv.Quote(digits), "want 1 to 65535"), "")
		}
	}
	t.Host, t.Port = host, port
	return nil
}

// notHostRune is deliberately permissive: names that only a resolver can check
// pass.
func notHostRune(r rune) bool {
	return r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) &&
		r != '-' && r != '.' && r != '_'
}

// parsePort accepts only decimal digits: no sign, no space, no leading zero.
func parsePort(s string, zero bool) (int, bool) {
	if len(s) < 1 || len(s) > 5 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, n <= 65535 && (n > 0 || zero)
}

// ipv6 parses the text in brackets, with the zone after %25 (RFC 6874) or, as
// is common, after %. The second result is what is wrong, or "".
func ipv6(s string) (string, string) {
	addr, zone, hasZone := strings.Cut(s, "%")
	a, err := netip.ParseAddr(addr)
	if err != nil || !a.Is6() {
		return "", "is not an IPv6 address"
	}
	if !hasZone {
		return addr, ""
	}
	if len(zone) > 2 {
		zone = strings.TrimPrefix(zone, "25")
	}
	for i := 0; i < len(zone); i++ {
		if !isAlnum(zone[i]) && strings.IndexByte("-._~", zone[i]) < 0 {
			return "", "has a zone with characters other than letters, digits and -._~"
		}
	}
	if zone == "" || a.Is4In6() {
		return "", "has an empty or misplaced zone"
	}
	return addr + "%" + zone, ""
}

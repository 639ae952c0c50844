package transport

import "strings"

// scheme is a row of the scheme table.
type scheme struct {
	name      string
	network   string
	tls       bool
	port      int // default; 0 if there are no ports
	webSocket bool
}

// schemes are all schemes of ParseURL; Target.String uses the first of a kind.
var schemes = [...]scheme{
	{"mqtt", "tcp", false, 1883, false},
	{"tcp", "tcp", false, 1883, false},
	{"mqtts", "tcp", true, 8883, false},
	{"ssl", "tcp", true, 8883, false},
	{"tls", "tcp", true, 8883, false},
	{"tcps", "tcp", true, 8883, false},
	{"mqtt+ssl", "tcp", true, 8883, false},
	{"unix", "unix", false, 0, false},
	{"mqtt+unix", "unix", false, 0, false},
	{"ws", "tcp", false, 80, true},
	{"wss", "tcp", true, 443, true},
}

func findScheme(name string) (scheme, bool) {
	for _, s := range schemes {
		if strings.EqualFold(s.name, name) {
			return s, true
		}
	}
	return scheme{}, false
}

// Scheme is the meaning of an address's scheme.
type Scheme struct {
	Network        string // tcp or unix
	TLS, WebSocket bool
}

// SchemeOf returns the scheme of an address to listen on; host:port has none.
func SchemeOf(addr string) (s Scheme, ok bool) {
	name, rest, ok := strings.Cut(addr, ":")
	row, known := findScheme(name)
	if !ok || !known || row.network == "tcp" && !strings.HasPrefix(rest, "//") {
		return Scheme{}, false
	}
	return Scheme{row.network, row.tls, row.webSocket}, true
}

// schemeNames lists all schemes.
func schemeNames() string {
	names := make([]string, len(schemes))
	for i, s := range schemes {
		names[i] = s.name
	}
	return strings.Join(names, ", ")
}

// isSchemeName reports whether s is a valid scheme name (RFC 3986, 3.1).
func isSchemeName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := isAlnum(c) && (c < '0' || c > '9')
		if !letter && (i == 0 || !isAlnum(c) && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}

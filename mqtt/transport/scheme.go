package transport

import "strings"

// scheme is a row of the scheme table.
type scheme struct {
	name    string
	network string // empty: recognised, not available yet
	tls     bool
	port    int // default; 0 where ports have no meaning
}

// schemes are all that ParseURL knows; the first of a kind is what
// Target.String prints.
var schemes = [...]scheme{
	{"mqtt", "tcp", false, 1883},
	{"tcp", "tcp", false, 1883},
	{"mqtts", "tcp", true, 8883},
	{"ssl", "tcp", true, 8883},
	{"tls", "tcp", true, 8883},
	{"tcps", "tcp", true, 8883},
	{"mqtt+ssl", "tcp", true, 8883},
	{"unix", "unix", false, 0},
	{"mqtt+unix", "unix", false, 0},
	{"ws", "", false, 80},
	{"wss", "", true, 443},
}

func findScheme(name string) (scheme, bool) {
	for _, s := range schemes {
		if strings.EqualFold(s.name, name) {
			return s, true
		}
	}
	return scheme{}, false
}

// schemeNames are those that can be used.
func schemeNames() string {
	var names []string
	for _, s := range schemes {
		if s.network != "" {
			names = append(names, s.name)
		}
	}
	return strings.Join(names, ", ")
}

// isSchemeName tells whether s has the form of a scheme (RFC 3986, 3.1).
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

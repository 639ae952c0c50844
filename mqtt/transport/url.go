package transport

import (
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseURL parses an MQTT URL:
//
//	mqtt://[user[:password]@]host[:port][/topic]    also tcp; port 1883
//	mqtts://...                                     also ssl, tls, tcps, mqtt+ssl; port 8883
//	unix://[user[:password]@]/run/mqtt.sock         also mqtt+unix; unix:relative.sock
//	ws://[user[:password]@]host[:port][/path]       port 80; wss: TLS, port 443
//
// User, password, topic and socket path are percent-decoded. A topic may
// contain + and
// # unencoded; ? and @ must be written %3F and %40. IPv6 addresses
// are in brackets, with a zone after %25. The path and the query of ws and wss
// are sent unchanged; the default path is /mqtt. The other schemes do not
// support queries and refuse them.
//
// The error is an [*Error] of kind InvalidURL or UnsupportedScheme that repeats
// the URL with *** for what may be a password. To be sure of that, a URL with
// an unencoded @ after its host is refused: it may be a password with an
// unencoded '/', '?' or '#'.
func ParseURL(s string) (*Target, error) { return parse(s, false) }

// parse parses a URL. For listening, port 0 and an empty host are allowed.
func parse(s string, listen bool) (*Target, error) {
	p := urlParser{url: s, listen: listen}
	name, rest, ok := strings.Cut(s, ":")
	if !ok || !isSchemeName(name) {
		return nil, p.fail("no scheme", "write mqtt://host or mqtts://host")
	}
	sch, known := findScheme(name)
	authority := strings.HasPrefix(rest, "//")
	if !known && !authority {
		// Likely host:port; the part before the colon is not a scheme.
		return nil, p.fail("no scheme", "write mqtt://host or mqtts://host")
	}
	if !known {
		return nil, p.unsupported("unknown scheme "+strconv.Quote(name), "use one of "+schemeNames())
	}
	switch {
	case authority:
		return p.hierarchical(sch, rest[2:])
	case sch.network == "unix":
		return p.socket(sch, Target{}, rest)
	}
	return nil, p.fail("no // after the scheme", "write "+sch.name+"://host")
}

type urlParser struct {
	url    string
	listen bool
}

// IsURL reports whether an address is a URL and not host:port. Only the schemes
// of Unix sockets may omit "//".
func IsURL(addr string) bool {
	scheme, _, _ := strings.Cut(addr, ":")
	return strings.Contains(addr, "://") || len(scheme) < len(addr) && (strings.EqualFold(scheme, "unix") || strings.EqualFold(scheme, "mqtt+unix"))
}

// hierarchical parses what follows scheme://.
func (p *urlParser) hierarchical(sch scheme, rest string) (*Target, error) {
	host, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	// Check this first, before any part is repeated in an error text.
	if strings.Contains(path, "@") {
		return nil, p.fail("unencoded @ after the host",
			"in a user name or password write %2F for '/', %3F for '?', %23 for '#'; in a topic write %40 for '@'")
	}
	var t Target
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		if err := p.userinfo(&t, host[:i]); err != nil {
			return nil, err
		}
		host = host[i+1:]
	}
	if sch.network == "unix" {
		if whole := drivePath(runtime.GOOS, host+path); whole != "" {
			return p.socket(sch, t, whole)
		}
		if host != "" {
			return nil, p.fail("a Unix socket has no host, but the URL has "+strconv.Quote(host),
				"write unix:///absolute/path, or unix:path for a relative one")
		}
		if path != "" && path[0] != '/' {
			return nil, p.fail("no '/' where the socket path begins", "write unix:///absolute/path, or unix:path for a relative one")
		}
		return p.socket(sch, t, path)
	}
	t.Network, t.TLS, t.WebSocket = sch.network, sch.tls, sch.webSocket
	if err := p.hostPort(&t, host, sch.port); err != nil {
		return nil, err
	}
	if t.WebSocket {
		return &t, p.resource(&t, path)
	}
	path, err := p.query(path)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(path, "#") {
		return nil, p.fail("'#' after the host", "write /# for the topic filter '#'")
	}
	if t.Topic, err = url.PathUnescape(strings.TrimPrefix(path, "/")); err != nil {
		return nil, p.fail("percent-encoding of the topic: "+err.Error(), "write %25 for '%'")
	}
	return &t, nil
}

// resource parses path and query of a WebSocket.
func (p *urlParser) resource(t *Target, s string) error {
	if err := CheckResource(s); err != nil {
		return p.fail("the path "+err.Error(), "a WebSocket URL has no topic; write %23 for a '#' in the path")
	}
	path := s
	switch {
	case strings.HasPrefix(path, "?"):
		path = "/" + path
	case path == "" && !p.listen:
		path = DefaultResource
	}
	t.Resource = path
	return nil
}

// CheckResource returns why a path with its query cannot be requested, or nil.
func CheckResource(s string) error {
	for _, r := range s {
		if r <= ' ' || r >= 0x7f {
			return fmt.Errorf("has the character %q, which must be percent-encoded", r)
		}
		if r == '#' {
			return errors.New("has a fragment ('#'), which is never sent to a server")
		}
	}
	return nil
}

// drivePath returns s as a path that begins with a Windows drive, C:\dir or
// /C:/dir as in URLs, or "".
func drivePath(goos, s string) string {
	s = strings.TrimPrefix(s, "/")
	if goos != "windows" || len(s) < 3 || s[1] != ':' || s[2] != '\\' && s[2] != '/' ||
		(s[0]|0x20) < 'a' || (s[0]|0x20) > 'z' {
		return ""
	}
	return s
}

// socket parses the path of a Unix socket.
func (p *urlParser) socket(sch scheme, t Target, path string) (*Target, error) {
	if strings.Contains(path, "@") {
		return nil, p.fail("unencoded @ in the path", "write %40")
	}
	path, err := p.query(path)
	if err != nil {
		return nil, err
	}
	if path, err = url.PathUnescape(path); err != nil {
		return nil, p.fail("percent-encoding of the path: "+err.Error(), "write %25 for '%'")
	}
	switch {
	case path == "" || path == "/" || path == "@":
		return nil, p.fail("no socket path", "write unix:///absolute/path")
	case strings.Contains(path, "\x00"):
		return nil, p.fail("null character in the socket path", "")
	}
	t.Network, t.Path = sch.network, path
	return &t, nil
}

// query removes the query from path. An empty one, a lone '?', is ignored.
func (p *urlParser) query(path string) (string, error) {
	path, query, _ := strings.Cut(path, "?")
	if query != "" {
		key, _, _ := strings.Cut(query, "=")
		return "", p.fail("unknown query key "+strconv.Quote(key), "write %3F for a '?' that is part of a topic")
	}
	return path, nil
}

func (p *urlParser) userinfo(t *Target, s string) error {
	user, password, hasPassword := strings.Cut(s, ":")
	var err error
	if t.Username, err = url.PathUnescape(user); err != nil {
		return p.fail("percent-encoding of the user name: "+err.Error(), "write %25 for '%'")
	}
	if !utf8.ValidString(t.Username) || strings.Contains(t.Username, "\x00") {
		return p.fail("the user name is not UTF-8 without null characters [MQTT-1.5.4-1]", "")
	}
	// The decoder's error would repeat a piece of the password.
	if t.Password, err = url.PathUnescape(password); err != nil {
		return p.fail("percent-encoding of the password", "write %25 for '%'")
	}
	t.HasUsername, t.HasPassword = user != "", hasPassword
	return nil
}

func (p *urlParser) fail(text, hint string) error {
	return &Error{Op: OpURL, Addr: strconv.Quote(redact(p.url)), Kind: InvalidURL, Text: text, Hint: hint}
}

func (p *urlParser) unsupported(text, hint string) error {
	return &Error{Op: OpURL, Addr: strconv.Quote(redact(p.url)), Kind: UnsupportedScheme, Text: text, Hint: hint}
}

// redact replaces possible secrets in text that may not be a URL: everything
// between the first colon after the scheme and the last @, and the values of a
// query.
func redact(s string) string {
	start := 0
	if name, rest, ok := strings.Cut(s, "://"); ok && isSchemeName(name) {
		start = len(s) - len(rest)
	}
	if at := strings.LastIndexByte(s, '@'); at >= start {
		if colon := strings.IndexByte(s[start:at], ':'); colon >= 0 {
			s = s[:start+colon+1] + "***" + s[at:]
		}
	}
	if path, query, ok := strings.Cut(s, "?"); ok {
		if key, _, ok := strings.Cut(query, "="); ok {
			s = path + "?" + key + "=***"
		}
	}
	return s
}

package transport

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/proxy"
)

// Proxy is a server that makes connections for us. Its printed form omits the
// password.
type Proxy struct {
	Kind        string // "socks5", "socks5h", "http" or "https"
	Host        string
	Port        int
	Username    string
	Password    string
	HasUsername bool
}

// ParseProxy parses the URL of a proxy:
//
//	socks5h://[user[:password]@]host[:port]    the proxy looks the name up; port 1080
//	socks5://...                               this side looks it up
//	http://[user[:password]@]host[:port]       by the method CONNECT; port 8080
//	https://...                                the same over TLS; port 443
//
// User and password are percent-decoded. The error is an [*Error] without the
// password.
func ParseProxy(s string) (*Proxy, error) {
	p := urlParser{url: s}
	name, rest, ok := strings.Cut(s, "://")
	if !ok || !isSchemeName(name) {
		return nil, p.fail("no scheme", "write socks5h://host:1080 or http://host:8080")
	}
	x := &Proxy{Kind: strings.ToLower(name)}
	port, known := map[string]int{"socks5": 1080, "socks5h": 1080, "http": 8080, "https": 443}[x.Kind]
	if !known {
		return nil, p.unsupported("unknown kind of proxy "+strconv.Quote(name), "use one of socks5h, socks5, http, https")
	}
	rest = strings.TrimSuffix(rest, "/")
	if strings.ContainsAny(rest, "/?#") {
		return nil, p.fail("a path after the host of a proxy", "in a user name or password write %2F for '/', %3F for '?', %23 for '#'")
	}
	var t Target
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		if err := p.userinfo(&t, rest[:i]); err != nil {
			return nil, err
		}
		rest = rest[i+1:]
	}
	if err := p.hostPort(&t, rest, port); err != nil {
		return nil, err
	}
	x.Host, x.Port = t.Host, t.Port
	x.Username, x.Password, x.HasUsername = t.Username, t.Password, t.HasUsername || t.HasPassword
	if len(x.Username) > 255 || len(x.Password) > 255 {
		return nil, p.fail("a user name or password longer than 255 bytes", "")
	}
	return x, nil
}

// String returns the URL with *** for user and password.
func (p *Proxy) String() string {
	user := ""
	if p.HasUsername {
		user = "***@"
	}
	return p.Kind + "://" + user + p.address()
}

// GoString keeps %#v from printing the password.
func (p *Proxy) GoString() string { return "transport.Proxy(" + p.String() + ")" }

func (p *Proxy) address() string { return net.JoinHostPort(p.Host, strconv.Itoa(p.Port)) }

// ProxyFromEnvironment returns the proxy for t from the variables ALL_PROXY and
// NO_PROXY, in upper or lower case, or nil for none. NO_PROXY is a list of
// hosts separated by commas: names, which include their subdomains, IP
// addresses, networks such as 10.0.0.0/8, each optionally with :port, or *.
// Loopback addresses never use a proxy.
func ProxyFromEnvironment(lookup func(string) (string, bool), t *Target) (*Proxy, error) {
	get := func(name string) string {
		for _, n := range [...]string{name, strings.ToLower(name)} {
			if v, _ := lookup(n); v != "" {
				return v
			}
		}
		return ""
	}
	all := get("ALL_PROXY")
	if all == "" || t.Network != "tcp" || isLoopback(t.Host) {
		return nil, nil
	}
	for entry := range strings.SplitSeq(get("NO_PROXY"), ",") {
		if entry = strings.TrimSpace(entry); entry != "" && excepts(entry, t) {
			return nil, nil
		}
	}
	return ParseProxy(all)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// excepts reports whether an entry of NO_PROXY covers a target.
func excepts(entry string, t *Target) bool {
	if entry == "*" {
		return true
	}
	addr, addrErr := netip.ParseAddr(t.Host)
	if net, err := netip.ParsePrefix(entry); err == nil {
		return addrErr == nil && net.Contains(addr)
	}
	if a, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil { // an IPv6 address contains colons
		return addrErr == nil && a == addr
	}
	if i := strings.LastIndexByte(entry, ':'); i >= 0 {
		if entry[i+1:] != strconv.Itoa(t.Port) {
			return false
		}
		entry = entry[:i]
	}
	if a, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
		return addrErr == nil && a == addr
	}
	entry = strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(entry, "*"), "."))
	host := strings.ToLower(strings.TrimSuffix(t.Host, "."))
	return entry != "" && (host == entry || strings.HasSuffix(host, "."+entry))
}

// dialProxy opens the connection to t through p.
func (d *Dialer) dialProxy(ctx context.Context, nd *net.Dialer, p *Proxy, t *Target) (net.Conn, error) {
	start := time.Now()
	reach := &Target{Network: "tcp", Host: p.Host, Port: p.Port}
	open := func() (net.Conn, error) {
		conn, err := d.dial(ctx, nd, reach)
		if err != nil {
			err = d.connectError(ctx, reach, err, spent(ctx, start))
			var e *Error
			if errors.As(err, &e) {
				e.Hint = "check the proxy, " + p.String()
			}
		}
		return conn, err
	}
	if p.Kind == "http" || p.Kind == "https" {
		conn, err := open()
		if err != nil {
			return nil, err
		}
		if p.Kind == "https" {
			if conn, err = handshake(ctx, conn, &tls.Config{ServerName: p.Host, MinVersion: tls.VersionTLS12}, reach, start); err != nil {
				return nil, err
			}
		}
		return connectThrough(ctx, conn, p, t, start)
	}
	dest := t.Address()
	if p.Kind == "socks5" {
		ips, err := nd.Resolver.LookupNetIP(ctx, d.network("ip"), t.Host)
		if err != nil {
			return nil, connectError(ctx, t, err, spent(ctx, start))
		}
		dest = net.JoinHostPort(ips[0].Unmap().String(), strconv.Itoa(t.Port))
	}
	conn, err := open()
	if err != nil {
		return nil, err
	}
	return socksThrough(ctx, conn, p, dest, start)
}

// socksThrough requests a connection to dest from a SOCKS proxy, or closes
// conn.
func socksThrough(ctx context.Context, conn net.Conn, p *Proxy, dest string, start time.Time) (net.Conn, error) {
	var auth *proxy.Auth
	if p.HasUsername {
		auth = &proxy.Auth{User: p.Username, Password: p.Password}
	}
	sd, err := proxy.SOCKS5("tcp", p.address(), auth, dialed{conn})
	if err != nil {
		return nil, p.failure(err.Error(), err)
	}
	err = within(ctx, conn, func() error {
		_, err := sd.(proxy.ContextDialer).DialContext(ctx, "tcp", dest)
		return err
	})
	if err == nil {
		return conn, nil // not the wrapper of package proxy, which cannot be half-closed
	}
	_ = conn.Close()
	if ctx.Err() != nil || timedOut(err) {
		e := p.failure("", err)
		ended(ctx, e, spent(ctx, start), "no answer from the proxy")
		return nil, e
	}
	return nil, p.socksError(err, dest)
}

// dialed is the dialer that package proxy needs; it returns an open connection.
type dialed struct{ conn net.Conn }

func (d dialed) Dial(_, _ string) (net.Conn, error) { return d.conn, nil }

func (d dialed) DialContext(context.Context, string, string) (net.Conn, error) { return d.conn, nil }

func (p *Proxy) failure(text string, err error) *Error {
	return &Error{Op: OpProxy, Addr: p.String(), Kind: ProxyFailed, Text: text, Err: err}
}

// credentialsHint returns the remedy if the proxy rejects the credentials.
func (p *Proxy) credentialsHint() string {
	if p.HasUsername {
		return "check user and password in the URL of the proxy"
	}
	return "give user and password in the URL: " + p.Kind + "://user:password@host"
}

// socksError translates an error of package socks, whose type is internal. Its
// text ends in that of the answer (RFC 1928, section 6).
func (p *Proxy) socksError(err error, dest string) error {
	text := err.Error()
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		text = op.Err.Error()
	}
	text = strings.TrimPrefix(text, "unknown error ")
	e := p.failure(text, err)
	switch {
	case IsReset(err):
		e.Text, e.temporary = "the proxy closed the connection", true
	case strings.Contains(text, "authentication"):
		e.Hint = p.credentialsHint()
	case strings.Contains(text, "unreachable"), strings.Contains(text, "refused"), strings.Contains(text, "TTL"), strings.Contains(text, "general"):
		e.Text = "no connection to " + dest + ": " + text
		e.temporary = true
	case strings.Contains(text, "not allowed"):
		e.Text = "no connection to " + dest + ": " + text
	case strings.Contains(text, "EOF"), strings.Contains(text, "unexpected protocol version"):
		e.Text, e.Hint = "the peer does not speak SOCKS 5", "check the proxy's port"
	}
	return e
}

// connectThrough requests a tunnel from an HTTP proxy (RFC 9110, section
// 9.3.6), or closes conn.
func connectThrough(ctx context.Context, conn net.Conn, p *Proxy, t *Target, start time.Time) (net.Conn, error) {
	var rest []byte
	err := within(ctx, conn, func() (err error) {
		rest, err = askTunnel(conn, p, t)
		return err
	})
	if err == nil {
		if len(rest) == 0 {
			return conn, nil
		}
		return &prefixed{Conn: conn, early: rest}, nil
	}
	_ = conn.Close()
	if e, ok := err.(*Error); ok {
		return nil, e
	}
	e := p.failure("", err)
	var other *noHTTP
	switch {
	case timedOut(err) || ctx.Err() != nil:
		ended(ctx, e, spent(ctx, start), "no answer from the proxy")
	case errors.As(err, &other):
		said := foreign(OpProxy, "", ProxyFailed, "HTTP", other.begin)
		e.Text, e.Speaks, e.Hint = "the peer "+said.Text, said.Speaks, "check the proxy's port"
	default:
		e.Text, e.temporary = "the proxy closed the connection", true
	}
	return nil, e
}

func askTunnel(conn net.Conn, p *Proxy, t *Target) (rest []byte, err error) {
	request := "CONNECT " + t.Address() + " HTTP/1.1\r\nHost: " + t.Address() + "\r\n"
	if p.HasUsername {
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(p.Username+":"+p.Password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return nil, err
	}
	head, rest, err := readHead(conn)
	switch {
	case err != nil:
		return nil, err
	case head.status >= 200 && head.status < 300:
		return rest, nil
	}
	e := p.failure("the proxy answers "+strings.TrimSpace(strconv.Itoa(head.status)+" "+head.reason), nil)
	switch {
	case head.status == 407, head.status == 401: // tinyproxy answers wrong credentials with 401
		e.Hint = p.credentialsHint()
	case head.status == 403 || head.status == 405:
		e.Hint = "the proxy may allow only certain ports, such as 443"
	case head.temporary():
		e.temporary = true
	}
	return nil, e
}

// relayed is a connection through a proxy.
type relayed struct{ net.Conn }

// NetConn returns the underlying connection.
func (c *relayed) NetConn() net.Conn { return c.Conn }

// CloseWrite half-closes the underlying connection.
func (c *relayed) CloseWrite() error { return closeWrite(c.Conn) }

// Relayed reports whether a connection goes through a proxy or a command.
// Events at its far end are then visible only as far as the proxy passes them
// on: many close both sides cleanly, however one of them ended.
func Relayed(conn net.Conn) bool {
	for {
		switch conn.(type) {
		case *relayed, *commandConn:
			return true
		}
		over, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return false
		}
		conn = over.NetConn()
	}
}

// closeWrite half-closes conn if that is possible.
func closeWrite(conn net.Conn) error {
	if half, ok := conn.(halfCloser); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// prefixed is a connection of which some bytes have been read already.
type prefixed struct {
	net.Conn
	early []byte
}

func (c *prefixed) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// NetConn returns the underlying connection.
func (c *prefixed) NetConn() net.Conn { return c.Conn }

// CloseWrite half-closes the underlying connection.
func (c *prefixed) CloseWrite() error { return closeWrite(c.Conn) }

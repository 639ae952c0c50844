package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/mqtools/mqtools/internal/fileerror"
)

// ListenConfig opens listeners. The zero value is ready to use.
type ListenConfig struct {
	// TLS, if not nil, enables TLS on the listener; it needs a certificate.
	// Files can be loaded with LoadCertificate.
	TLS *tls.Config

	// SocketMode is the permissions of a Unix socket; 0 means 0600. Linux
	// requires write permission to connect. The mode is set after the socket is
	// created: until then only the umask applies.
	SocketMode fs.FileMode

	// ProxyProtocol is for a listener behind a proxy that sends a header of the
	// PROXY protocol, version 1 or 2, first on each connection. If none arrives
	// within 5 seconds, the first Read of the connection fails. RemoteAddr of a
	// connection waits for the header and returns the client's address from it.
	// Only the proxy should be able to connect: any other peer could choose its
	// address.
	ProxyProtocol bool

	// Origins are those whose web pages may open a WebSocket to the listener,
	// in the form that CheckOrigin accepts: scheme://host[:port], null, or *
	// for all. Pages of this machine's loopback names and addresses, and of the
	// address or name of the listener, are allowed at any port. A client that
	// sends no Origin is not a browser, and is not checked.
	Origins []string
}

// Listen is short for ListenConfig{TLS: cfg}.Listen.
func Listen(ctx context.Context, addr string, cfg *tls.Config) (net.Listener, error) {
	return ListenConfig{TLS: cfg}.Listen(ctx, addr)
}

// Listen opens a listener on addr: an MQTT URL without user and topic, or
// host:port. The port may be 0, which lets the system choose, and the host
// empty, which means all addresses. If a WebSocket URL has a path, clients must
// request that path, with any query. A TLS scheme needs a TLS configuration,
// and a plain TCP scheme refuses one; host:port and unix: use TLS if there is
// one.
//
// Close removes the file of a Unix socket if it is still the same one. A stale
// socket without a listener is replaced. Two programs that do so at the same
// time can remove each other's; Listen does no locking.
//
// ctx limits only the lookup of the host. The error is an [*Error].
func (l ListenConfig) Listen(ctx context.Context, addr string) (net.Listener, error) {
	t, err := l.Target(addr)
	if err != nil {
		return nil, err
	}
	if err := checkPath(OpListen, t); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, listenError(t, err) // a quick lookup would not notice
	}
	var ln net.Listener
	if t.Network == "unix" {
		ln, err = l.listenUnix(ctx, t)
	} else {
		var lc net.ListenConfig
		if ln, err = lc.Listen(ctx, "tcp", t.Address()); err != nil {
			err = listenError(t, err)
		}
	}
	if err != nil {
		return nil, err
	}
	if l.ProxyProtocol {
		ln = proxyListener{ln}
	}
	if l.TLS != nil {
		ln = tls.NewListener(ln, l.TLS)
	}
	if t.WebSocket {
		ws := &wsListener{Listener: ln, resource: t.Resource, origins: l.Origins}
		if _, err := netip.ParseAddr(t.Host); err != nil {
			ws.host = t.Host
		}
		ln = ws
	}
	return ln, nil
}

// TargetFor returns the target for connecting to a listener of ListenConfig without
// TLS.
func TargetFor(ln net.Listener) *Target {
	t := &Target{Network: "tcp"}
	if ws, ok := ln.(*wsListener); ok {
		t.WebSocket, t.Resource = true, ws.resource
		if t.Resource == "" {
			t.Resource = DefaultResource
		}
	}
	switch a := ln.Addr().(type) {
	case *net.TCPAddr:
		t.Host, t.Port = a.IP.String(), a.Port
		if a.Zone != "" {
			t.Host += "%" + a.Zone
		}
	default:
		t.Network, t.Path = "unix", a.String()
	}
	return t
}

// Target returns what Listen would listen on: it parses addr and checks it
// against the configuration. The error is an [*Error].
func (l ListenConfig) Target(addr string) (*Target, error) {
	p := urlParser{url: addr, listen: true}
	t := &Target{Network: "tcp", TLS: l.TLS != nil}
	var err error
	if !IsURL(addr) {
		if strings.ContainsAny(addr, "/?#@") {
			return nil, p.fail("not host:port", "write 127.0.0.1:1883 or mqtt://127.0.0.1:1883")
		}
		port := 1883
		if t.TLS {
			port = 8883
		}
		err = p.hostPort(t, addr, port)
	} else {
		t, err = parse(addr, true)
	}
	switch {
	case err != nil:
		return nil, err
	case t.hasUser():
		return nil, p.fail("a user name in an address to listen on", "users belong in the broker's configuration")
	case strings.Contains(t.Resource, "?"):
		return nil, p.fail("a query in an address to listen on", "omit it: clients may send any query")
	case t.Topic != "":
		return nil, p.fail("a topic in an address to listen on", "")
	case t.TLS && l.TLS == nil:
		return nil, &Error{Op: OpListen, Addr: t.String(), Kind: BadOption, Text: "TLS without a certificate"}
	case t.Network == "tcp" && !t.TLS && l.TLS != nil:
		return nil, &Error{Op: OpListen, Addr: t.String(), Kind: BadOption, Text: "a TLS configuration for an address without TLS", Hint: "write mqtts:// or wss://"}
	}
	if c := l.TLS; c != nil && len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil {
		return nil, &Error{Op: OpListen, Addr: t.String(), Kind: BadOption, Text: "TLS without a certificate"}
	}
	return t, nil
}

func (l ListenConfig) listenUnix(ctx context.Context, t *Target) (net.Listener, error) {
	abstract := strings.HasPrefix(t.Path, "@")
	if !abstract {
		if err := removeStale(ctx, t); err != nil {
			return nil, err
		}
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "unix", t.Path)
	if err != nil {
		return nil, listenError(t, err)
	}
	if abstract {
		return ln, nil
	}
	mode := l.SocketMode
	if mode == 0 {
		mode = 0o600
	}
	u := &unixListener{UnixListener: ln.(*net.UnixListener), path: t.Path}
	u.SetUnlinkOnClose(false)
	if u.info, err = os.Lstat(t.Path); err == nil {
		err = os.Chmod(t.Path, mode.Perm())
	}
	if err != nil {
		_ = u.Close()
		return nil, listenError(t, err)
	}
	return u, nil
}

// unixListener removes its socket at Close, but not one that replaced it.
type unixListener struct {
	*net.UnixListener
	path string
	info fs.FileInfo
	once sync.Once
}

// Close closes the socket and removes its file.
func (u *unixListener) Close() error {
	u.once.Do(func() {
		if now, err := os.Lstat(u.path); err == nil && u.info != nil && os.SameFile(now, u.info) {
			_ = os.Remove(u.path)
		}
	})
	return u.UnixListener.Close()
}

// removeStale removes a socket without a listener, and nothing else.
func removeStale(ctx context.Context, t *Target) error {
	info, err := os.Lstat(t.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return listenError(t, err)
	case info.Mode().Type() != fs.ModeSocket:
		return &Error{Op: OpListen, Addr: fileerror.Quote(t.Path), Kind: NotSocket,
			Text: "the path exists and is not a socket", Hint: "choose another path; nothing was removed"}
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", t.Path)
	if err == nil {
		_ = conn.Close()
	}
	switch kind := systemKind("unix", err); {
	case err != nil && (ctx.Err() != nil || kind == Permission):
		return listenError(t, err)
	case kind != Refused:
		return &Error{Op: OpListen, Addr: fileerror.Quote(t.Path), Kind: AddrInUse, Err: err,
			Text: "the socket is in use", Hint: "stop the program that listens on it, or choose another path"}
	}
	if err := os.Remove(t.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return listenError(t, err)
	}
	return nil
}

func listenError(t *Target, err error) error {
	e := &Error{Op: OpListen, Addr: t.Address(), Err: err, Kind: systemKind(t.Network, err)}
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		e.Kind = Canceled
	case timedOut(err):
		e.Kind = Timeout
	case errors.As(err, &dns):
		lookupError(e, t, dns)
	case e.Kind == AddrInUse:
		e.Text, e.Hint = "address already in use", ""
	case e.Kind == AddrNotAvailable:
		e.Hint = "write an IP address of this machine, or none for all"
	case e.Kind == Permission && t.Network == "tcp" && t.Port < 1024:
		e.Text, e.Hint = "permission denied: ports below 1024 are privileged", "choose a port from 1024 up"
	case e.Kind == Permission:
		e.Hint = "check the permissions of the directory"
	case e.Kind == SocketMissing:
		e.Text, e.Hint = "no such directory", "make the directory first"
	}
	return e
}

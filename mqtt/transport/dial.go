package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Dialer opens connections to targets. The zero value is ready to use. A Dialer
// is safe for concurrent use.
type Dialer struct {
	// Timeout limits all of Dial, from the lookup to the end of the TLS
	// handshake. 0 means DefaultTimeout; if negative, only the context limits
	// it.
	Timeout time.Duration

	// LocalAddr is the address to connect from: an IP address, address:port, or
	// a host name, whose addresses are tried in turn. If it is empty, the
	// system chooses. It is not used for Unix sockets.
	LocalAddr string

	// Family is the version of the Internet Protocol whose addresses are used: 4,
	// 6, or 0 for both. With a SOCKS proxy that does not resolve names, it is
	// also that of the target's address.
	Family int

	// Delay allows the system to delay small writes (Nagle's algorithm). By
	// default they are sent at once (TCP_NODELAY).
	Delay bool

	// Proxy, if not nil, makes the connections, except those to Unix sockets.
	Proxy *Proxy

	// Command, if not empty, is run for each connection, and its standard input
	// and output are the stream. %h is the host, %p the port, %% a percent
	// sign.
	Command string

	// Resolver resolves names; nil means the system's resolver.
	Resolver *net.Resolver

	// TLS applies to targets with TLS. nil means the zero value, which verifies
	// the server against the system's authorities. Its files are read for each
	// Dial, so that a certificate renewed on disk is used at the next
	// reconnect.
	TLS *TLSOptions

	// Config, if not nil, is used instead of TLS, for certificates in memory. If
	// its ServerName is empty, the server's certificate must be for the host of
	// the target.
	Config *tls.Config

	// Opened, if not nil, is called when a connection is open, before TLS and
	// the upgrade to WebSocket; with a proxy, when the proxy has opened it.
	Opened func()

	// Secured, if not nil, is called when the TLS handshake is complete, before
	// the upgrade to WebSocket.
	Secured func()

	// Headers are additional header fields of the upgrade to WebSocket, which
	// must pass CheckHeader. Host replaces the default.
	Headers []Header
}

// Dial connects to t. If a name has several addresses, they are tried as in RFC
// 6555 (happy eyeballs); localhost is [::1], and 127.0.0.1 if that does not
// answer. When ctx ends Dial returns soon, even during the TLS handshake. After
// it has returned, ctx has no effect on the connection.
//
// The connection is a *net.TCPConn, *net.UnixConn or *tls.Conn, or a WebSocket
// over one of them, whose CloseWrite sends a Close frame. With TLS 1.3 a server
// that rejects our certificate reports that after the handshake, at the first
// Read: see [Explain]. The error is an [*Error].
func (d *Dialer) Dial(ctx context.Context, t *Target) (net.Conn, error) {
	if err := checkPath(OpConnect, t); err != nil {
		return nil, err
	}
	var cfg *tls.Config
	if t.TLS {
		// Load the files before anything is sent: a missing one is a local
		// error.
		var err error
		if cfg, err = d.tlsConfig(t); err != nil {
			return nil, err
		}
	}
	nd := net.Dialer{Resolver: d.Resolver}
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	start := time.Now()
	if t.SRV {
		return d.dialService(ctx, t, start)
	}
	var conn net.Conn
	var err error
	if d.LocalAddr == "" || t.Network != "tcp" || d.Command != "" {
		conn, err = d.stream(ctx, &nd, t, start)
	} else {
		var locals []*net.TCPAddr
		if locals, err = d.locals(ctx, start); err != nil {
			return nil, err
		}
		nd.Control = lateBind
		for _, nd.LocalAddr = range asAddrs(locals) {
			if conn, err = d.stream(ctx, &nd, t, start); err == nil || ctx.Err() != nil {
				break
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok && d.Delay {
		_ = tcp.SetNoDelay(false)
	}
	if d.Opened != nil {
		d.Opened()
	}
	if cfg != nil {
		if conn, err = handshake(ctx, conn, cfg, t, start); err != nil {
			return nil, err
		}
		if d.Secured != nil {
			d.Secured()
		}
	}
	if t.WebSocket {
		return d.upgrade(ctx, conn, t, start)
	}
	return conn, nil
}

// bounded returns ctx with the limit of Timeout.
func (d *Dialer) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	switch {
	case d.Timeout < 0:
		return context.WithCancel(ctx)
	case d.Timeout == 0:
		return context.WithTimeout(ctx, DefaultTimeout)
	}
	return context.WithTimeout(ctx, d.Timeout)
}

// dialService connects to the first broker of a domain's SRV records that
// answers: in the order of priority, then randomly by weight. The certificate
// must be for the requested domain, because unsigned DNS cannot be trusted (RFC
// 6125, section 6.2.1).
func (d *Dialer) dialService(ctx context.Context, t *Target, start time.Time) (net.Conn, error) {
	service := "mqtt"
	if t.TLS {
		service = "secure-mqtt"
	}
	fail := func(kind Kind, text string, err error) error {
		return &Error{Op: OpLookup, Addr: "_" + service + "._tcp." + t.Host, Kind: kind, Text: text, Err: err,
			Hint: "without SRV the host itself is dialed"}
	}
	_, records, err := d.Resolver.LookupSRV(ctx, service, "tcp", t.Host)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return nil, fail(NotFound, "the domain has no such SRV record", err)
	case err != nil:
		return nil, connectError(ctx, t, err, spent(ctx, start))
	case len(records) == 0, len(records) == 1 && records[0].Target == ".":
		return nil, fail(NotFound, "the domain says that it has no such service", nil)
	}
	for _, r := range records {
		one := *t
		one.SRV, one.Host, one.Port, one.name = false, strings.TrimSuffix(r.Target, "."), int(r.Port), t.Host
		var conn net.Conn
		if conn, err = d.Dial(ctx, &one); err == nil || ctx.Err() != nil {
			return conn, err
		}
	}
	return nil, err
}

// stream opens the connection below TLS, through the configured proxy or
// command.
func (d *Dialer) stream(ctx context.Context, nd *net.Dialer, t *Target, start time.Time) (net.Conn, error) {
	switch {
	case d.Command != "":
		return dialCommand(ctx, d.Command, t)
	case d.Proxy != nil && t.Network == "tcp":
		conn, err := d.dialProxy(ctx, nd, d.Proxy, t)
		if err != nil {
			return nil, err
		}
		return &relayed{conn}, nil
	}
	conn, err := d.dial(ctx, nd, t)
	if err != nil {
		return nil, d.connectError(ctx, t, err, spent(ctx, start))
	}
	return conn, nil
}

// network returns the network of package net for a lookup ("ip") or a connection
// ("tcp").
func (d *Dialer) network(name string) string {
	if d.Family == 0 || name == "unix" {
		return name
	}
	return name + strconv.Itoa(d.Family)
}

// noSuitable is the text of package net for a host without an address of the
// family that is wanted.
const noSuitable = "no suitable address found"

// connectError is connectError that knows the family.
func (d *Dialer) connectError(ctx context.Context, t *Target, err error, took time.Duration) *Error {
	e := connectError(ctx, t, err, took)
	if d.Family != 0 && e.Kind == AddrNotAvailable && strings.Contains(err.Error(), noSuitable) {
		e.Text = "no IPv" + strconv.Itoa(d.Family) + " address"
	}
	return e
}

// dial opens a direct connection. localhost means the loopback addresses by
// definition (RFC 6761 section 6.3): reading the system's files about it, as
// package net does, takes longer than connecting.
func (d *Dialer) dial(ctx context.Context, nd *net.Dialer, t *Target) (net.Conn, error) {
	if t.Network != "tcp" || t.Host != "localhost" {
		return nd.DialContext(ctx, d.network(t.Network), t.Address())
	}
	port := strconv.Itoa(t.Port)
	local, bound := nd.LocalAddr.(*net.TCPAddr)
	six, four := d.Family != 4, d.Family != 6
	if bound && d.Family == 0 {
		six = local.IP.To4() == nil
		four = !six
	}
	if !four {
		return nd.DialContext(ctx, d.network(t.Network), net.JoinHostPort("::1", port))
	}
	if six {
		limited, cancel := context.WithTimeout(ctx, FallbackDelay)
		conn, err := nd.DialContext(limited, t.Network, net.JoinHostPort("::1", port))
		cancel()
		if err == nil {
			return conn, nil
		}
	}
	return nd.DialContext(ctx, d.network(t.Network), net.JoinHostPort("127.0.0.1", port))
}

// Addresses returns the addresses that Dial would try for t, in the same order,
// for callers that create the sockets themselves. The error is an [*Error].
func (d *Dialer) Addresses(ctx context.Context, t *Target) ([]netip.AddrPort, error) {
	start := time.Now()
	var ips []netip.Addr
	if t.Host == "localhost" {
		for _, a := range [...]netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})} {
			if d.Family == 0 || a.Is4() == (d.Family == 4) {
				ips = append(ips, a)
			}
		}
	} else if a, err := netip.ParseAddr(t.Host); err == nil {
		if d.Family != 0 && a.Unmap().Is4() != (d.Family == 4) {
			return nil, d.connectError(ctx, t, &net.AddrError{Err: noSuitable, Addr: t.Host}, spent(ctx, start))
		}
		ips = []netip.Addr{a}
	} else if ips, err = d.Resolver.LookupNetIP(ctx, d.network("ip"), t.Host); err != nil {
		return nil, connectError(ctx, t, err, spent(ctx, start))
	}
	all := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		all[i] = netip.AddrPortFrom(ip.Unmap(), uint16(t.Port))
	}
	return all, nil
}

// FallbackDelay is how long localhost's IPv6 address may be silent, as it is
// behind some packet filters, before the IPv4 address is tried.
const FallbackDelay = 300 * time.Millisecond

func (d *Dialer) tlsConfig(t *Target) (*tls.Config, error) {
	name, _, _ := strings.Cut(t.Host, "%") // certificates have no zone
	if t.name != "" {
		name = t.name
	}
	if d.Config != nil {
		cfg := d.Config.Clone()
		cfg.ServerName = cmp.Or(cfg.ServerName, name)
		return cfg, nil
	}
	var opts TLSOptions
	if d.TLS != nil {
		opts = *d.TLS
	}
	return opts.Config(name)
}

// handshake turns conn into a TLS connection, or closes it. start is when Dial
// began.
func handshake(ctx context.Context, conn net.Conn, cfg *tls.Config, t *Target, start time.Time) (net.Conn, error) {
	var asked atomic.Bool
	certs, get := cfg.Certificates, cfg.GetClientCertificate
	cfg.GetClientCertificate = func(req *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked.Store(true)
		if get != nil {
			return get(req)
		}
		for i := range certs {
			if req.SupportsCertificate(&certs[i]) == nil {
				return &certs[i], nil
			}
		}
		if len(certs) > 0 {
			// The certificate is not signed by an authority that the server
			// lists. Send it anyway: the server's refusal is clear, sending
			// nothing is not.
			return &certs[0], nil
		}
		return new(tls.Certificate), nil
	}
	tc := tls.Client(conn, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		heard := tc.ConnectionState().Version != 0 // a ServerHello was received
		_ = conn.Close()
		h := hello{heard: heard, asked: asked.Load(), sent: len(certs) > 0 || get != nil, name: cfg.ServerName}
		return nil, h.explain(ctx, t.Address(), err, spent(ctx, start))
	}
	return tc, nil
}

// locals returns the addresses to connect from.
func (d *Dialer) locals(ctx context.Context, start time.Time) ([]*net.TCPAddr, error) {
	if a, err := netip.ParseAddr(d.LocalAddr); err == nil {
		return []*net.TCPAddr{net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0))}, nil
	}
	if ap, err := netip.ParseAddrPort(d.LocalAddr); err == nil {
		return []*net.TCPAddr{net.TCPAddrFromAddrPort(ap)}, nil
	}
	ips, err := d.Resolver.LookupNetIP(ctx, "ip", d.LocalAddr)
	if err != nil {
		return nil, connectError(ctx, &Target{Network: "tcp", Host: d.LocalAddr}, err, spent(ctx, start))
	}
	locals := make([]*net.TCPAddr, len(ips))
	for i, ip := range ips {
		locals[i] = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip.Unmap(), 0))
	}
	return locals, nil
}

func asAddrs(locals []*net.TCPAddr) []net.Addr {
	all := make([]net.Addr, len(locals))
	for i, l := range locals {
		all[i] = l
	}
	return all
}

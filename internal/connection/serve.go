package connection

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/mqtools/mqtools/internal/brokerfile"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// server is the development broker of --serve.
type server struct {
	b       *broker.Broker
	lns     []net.Listener
	open    sync.Once
	serving sync.WaitGroup // one Serve per listener
	piped   bool           // this process connects without the network
	hangup  func()
}

// serve starts the development broker in this process and makes it the only target. adjust,
// if not nil, makes the last changes to its options.
func (c *Connection) serve(ctx context.Context, adjust func(*broker.Options)) error {
	v := c.inv.Values
	o := broker.Options{Version: cli.VersionLine("mqtools"), ReasonStrings: true, MaxSessionExpiry: brokerfile.DefaultSessionExpiry, Log: c.logBroker()}
	cfg, err := c.serveTLS(&o)
	if err != nil {
		return err
	}
	if cfg != nil {
		c.warnKey(cmp.Or(v.ServeKey.Text(), v.ServeCert.Text()))
	}
	all := v.Serve.Texts()
	secure := secured(all, cfg != nil)
	if err := c.checkOpen(cfg, all, secure); err != nil {
		return err
	}
	if err := c.checkOrigins(all); err != nil {
		return err
	}
	var users *brokerfile.File
	if paths := v.ServeUsers.Texts(); len(paths) > 0 {
		if users, err = brokerfile.Open(paths...); err == nil {
			err = users.Apply(&o)
		}
		if err != nil {
			return option.FileUsage(v.ServeUsers.Name(), err)
		}
	}
	if users != nil && users.HoldsHashes() {
		for _, path := range v.ServeUsers.Texts() {
			c.inv.WarnExposed(c.inv.Talk, path, "hashes of passwords", cli.NotPublic)
		}
	}
	if adjust != nil {
		adjust(&o)
	}
	c.inv.CatchSignals()
	lns, err := c.listen(ctx, all, secure, cfg)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return cli.Failed(option.ExitUnreached, err)
	}
	s := &server{b: broker.New(o), lns: lns, piped: secure[0] || c.proxied() || c.DeferClients}
	if users != nil {
		s.hangup = c.inv.OnHangup(func() {
			switch kept, err := users.Reload(s.b); {
			case err != nil:
				c.inv.Warnf("%v; users and rules unchanged", err)
			case kept:
				c.inv.Warnf("users and rules reloaded; new limits take effect when the broker is restarted")
			default:
				c.inv.Infof("users and rules reloaded")
			}
		})
	}
	c.serving = s
	c.targets = []*transport.Target{transport.TargetFor(lns[0])}
	if !c.DeferClients {
		s.admit()
	}
	for i, ln := range lns {
		at := transport.TargetFor(ln)
		if !at.WebSocket {
			c.inv.Infof("serving MQTT on %s", ln.Addr())
			continue
		}
		at.TLS = secure[i]
		c.inv.Infof("serving MQTT on %s", at)
	}
	if users == nil {
		c.warnOpen(secure)
	}
	return nil
}

// logBroker returns a function that logs what happens in the broker of --serve.
func (c *Connection) logBroker() func(broker.Event) {
	refused := refusals{talk: c.inv.Talk}
	return func(e broker.Event) {
		c.inv.Debugf("broker: %v", e)
		refused.take(e)
	}
}

// ServeAlone runs the broker of --serve, without a connection from this process, until ctx
// is done.
func (c *Connection) ServeAlone(ctx context.Context) error {
	if err := c.serve(ctx, nil); err != nil {
		return err
	}
	c.inv.Service.Ready()
	defer c.inv.Service.Stopping()
	for {
		var due <-chan time.Time // of the service manager's watchdog
		if wait := c.inv.Service.Alive(); wait > 0 {
			due = time.After(wait)
		}
		select {
		case <-due:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// warnOpen warns of a listener that is reachable from other machines and accepts anyone.
func (c *Connection) warnOpen(secure []bool) {
	for i, ln := range c.serving.lns {
		tcp, ok := ln.Addr().(*net.TCPAddr)
		if !ok || tcp.IP.IsLoopback() || secure[i] && c.inv.Values.ServeClientCA.IsSet() {
			continue
		}
		c.inv.Warnf("anyone on the network can use this broker")
		c.inv.Infof("add --serve-users FILE, or --serve 127.0.0.1:%d", tcp.Port)
		return
	}
}

// Serves returns the target by which this process will reach the broker of --serve, without
// its port. The error is that of serving.
func (c *Connection) Serves() (*transport.Target, error) {
	cfg, err := c.serveTLS(new(broker.Options))
	if err != nil {
		return nil, err
	}
	all := c.inv.Values.Serve.Texts()
	if !secured(all, cfg != nil)[0] {
		cfg = nil
	}
	return transport.ListenConfig{TLS: cfg}.Target(all[0])
}

// admit accepts clients, once.
func (s *server) admit() {
	s.open.Do(func() {
		for _, ln := range s.lns {
			s.serving.Go(func() { _ = s.b.Serve(ln) }) // until Close
		}
	})
}

// proxied reports whether --serve is behind a proxy.
func (c *Connection) proxied() bool {
	return c.inv.Values.ServeProxyProtocol.On()
}

// secured returns, for each address, whether it uses the certificate of --serve-cert. If
// any scheme says TLS, only those addresses do; otherwise those without a scheme,
// host:port; otherwise all of them, sockets included. An address with a plain scheme causes
// an error if the certificate would be unused.
func secured(all []string, cert bool) []bool {
	rank := func(addr string) int {
		s, ok := transport.SchemeOf(addr)
		switch {
		case s.TLS:
			return 2
		case !ok:
			return 1
		}
		return 0
	}
	most := 0
	for _, addr := range all {
		most = max(most, rank(addr))
	}
	secure := make([]bool, len(all))
	for i, addr := range all {
		secure[i] = cert && rank(addr) == most || rank(addr) == 2 // without a certificate it is refused
	}
	return secure
}

// listen opens a listener for each address, or for none if one fails.
func (c *Connection) listen(ctx context.Context, all []string, secure []bool, cfg *tls.Config) (lns []net.Listener, err error) {
	for i, addr := range all {
		l := transport.ListenConfig{ProxyProtocol: c.proxied(), Origins: c.inv.Values.ServeOrigin.Texts()}
		if secure[i] {
			l.TLS = cfg
		}
		ln, err := l.Listen(ctx, addr)
		if err != nil {
			for _, ln := range lns {
				_ = ln.Close()
			}
			return nil, err
		}
		lns = append(lns, ln)
	}
	return lns, nil
}

// checkOpen refuses to accept anyone at one address if another requires certificates.
func (c *Connection) checkOpen(cfg *tls.Config, all []string, secure []bool) error {
	v := c.inv.Values
	if cfg == nil || cfg.ClientCAs == nil || v.ServeUsers.IsSet() {
		return nil
	}
	for i, addr := range all {
		if s, _ := transport.SchemeOf(addr); !secure[i] && s.Network != "unix" { // only this user can open the socket's file
			return option.Usagef("%s leaves %s %s open to anyone", v.ServeClientCA.Name(), v.Serve.Name(), addr).WithHint("restrict it with --serve-users FILE")
		}
	}
	return nil
}

// checkOrigins checks --serve-origin.
func (c *Connection) checkOrigins(all []string) error {
	v := c.inv.Values
	for _, origin := range v.ServeOrigin.Texts() {
		if err := transport.CheckOrigin(origin); err != nil {
			return v.ServeOrigin.Invalid("value", origin, "want scheme://HOST or scheme://HOST:PORT, null or *")
		}
	}
	if v.ServeOrigin.Origin() >= option.OriginFile && !slices.ContainsFunc(all, func(addr string) bool {
		s, _ := transport.SchemeOf(addr)
		return s.WebSocket
	}) {
		return v.ServeOrigin.Lacks("WebSocket").WithHint("add --serve ws://127.0.0.1:9001")
	}
	return nil
}

// serveTLS returns the TLS configuration of a listener with --serve-cert, or nil.
func (c *Connection) serveTLS(o *broker.Options) (*tls.Config, error) {
	v := c.inv.Values
	if !v.ServeCert.IsSet() {
		return nil, nil
	}
	cert, err := transport.LoadCertificate(v.ServeCert.Text(), v.ServeKey.Text(), "")
	if err != nil {
		return nil, fileOf(v, err, "serve-cert", "serve-key")
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if file := v.ServeClientCA.Text(); file != "" {
		cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if err := transport.AddAuthorities(cfg.ClientCAs, file, ""); err != nil {
			return nil, option.Usagef("%s: %v", v.ServeClientCA.Name(), err)
		}
		o.CertificateUser = true
	}
	return cfg, nil
}

// dial connects this process to its broker, without TLS and certificates.
func (s *server) dial() net.Conn {
	mine, theirs := net.Pipe()
	s.b.ServeConn(theirs)
	return mine
}

func (s *server) close() {
	if s.hangup != nil {
		s.hangup()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = s.b.Close(ctx)
	for _, ln := range s.lns { // if no clients were accepted
		_ = ln.Close()
	}
	s.serving.Wait()
}

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
	serving sync.WaitGroup // a Serve for each listener
	piped   bool           // this process's own connection does not go over the network
	hangup  func()
}

// serve starts the development broker inside this process and makes it the
// only target. adjust, unless nil, changes its options last.
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
	s := &server{b: broker.New(o), lns: lns, piped: secure[0] || c.proxied() || c.Hold}
	if users != nil {
		s.hangup = c.inv.OnHangup(func() {
			switch kept, err := users.Reload(s.b); {
			case err != nil:
				c.inv.Warnf("%v; the users and rules stay as they were", err)
			case kept:
				c.inv.Warnf("users and rules read again; the limits stay as they were until the broker is started again")
			default:
				c.inv.Infof("users and rules read again")
			}
		})
	}
	c.serving = s
	c.targets = []*transport.Target{transport.TargetFor(lns[0])}
	if !c.Hold {
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

// logBroker tells what happens in the broker of --serve.
func (c *Connection) logBroker() func(broker.Event) {
	refused := refusals{talk: c.inv.Talk}
	return func(e broker.Event) {
		c.inv.Debugf("broker: %v", e)
		refused.take(e)
	}
}

// ServeAlone is the broker of --serve without a connection of this process's
// own, until ctx ends.
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

// warnOpen warns of a listener that is not for this machine alone and lets
// everybody in.
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

// Serves is how this process will reach the broker of --serve, but for the port. The
// error is that of serving.
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

// admit lets clients in, once.
func (s *server) admit() {
	s.open.Do(func() {
		for _, ln := range s.lns {
			s.serving.Go(func() { _ = s.b.Serve(ln) }) // ends with Close
		}
	})
}

// proxied reports whether --serve is behind a proxy.
func (c *Connection) proxied() bool {
	return c.inv.Values.ServeProxyProtocol.On()
}

// secured tells which addresses the certificate of --serve-cert is for, if there
// is one: those whose scheme says TLS. Only where none does it is for what says
// nothing, host:port, and then for a socket; an address that says it is plain
// refuses one that would be of no use.
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

// listen opens a listener for each address, or none.
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

// checkOpen refuses to let everybody in by one address where another asks for
// certificates.
func (c *Connection) checkOpen(cfg *tls.Config, all []string, secure []bool) error {
	v := c.inv.Values
	if cfg == nil || cfg.ClientCAs == nil || v.ServeUsers.IsSet() {
		return nil
	}
	for i, addr := range all {
		if s, _ := transport.SchemeOf(addr); !secure[i] && s.Network != "unix" { // a socket's file is this user's alone
			return option.Usagef("%s leaves %s %s open to everybody", v.ServeClientCA.Name(), v.Serve.Name(), addr).WithHint("say with --serve-users who may come by it")
		}
	}
	return nil
}

// checkOrigins judges --serve-origin.
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

// serveTLS is the configuration of a listener with --serve-cert; nil without.
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

// dial connects this process to its broker, past TLS and its certificates.
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
	for _, ln := range s.lns { // if nobody was let in
		_ = ln.Close()
	}
	s.serving.Wait()
}

package connection

import (
	"context"
	"net"
	"strings"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// readWay reads how connections are made: WebSocket headers and proxies.
func (c *Connection) readWay() error {
	v := c.inv.Values
	webSocket := false
	for _, t := range c.targets {
		webSocket = webSocket || t.WebSocket
	}
	for _, s := range v.WSHeader.Texts() {
		name, value, ok := strings.Cut(s, ":")
		h := transport.Header{Name: name, Value: strings.TrimSpace(value)}
		if !ok {
			return option.Usagef("%s: invalid value (want NAME: VALUE)", v.WSHeader.Name())
		}
		if err := transport.CheckHeader(h); err != nil {
			return v.WSHeader.Invalid("name", name, "it %v", err)
		}
		c.dialer.Headers = append(c.dialer.Headers, h)
	}
	if v.WSHeader.Origin() >= option.OriginFile && !webSocket {
		return v.WSHeader.Lacks("WebSocket").WithHint("add --ws, or use a ws: or wss: URL")
	}
	c.dialer.Command = v.ProxyCommand.Text()
	proxy := v.Proxy.Text()
	if c.dialer.Command != "" || proxy == "none" {
		return nil
	}
	if proxy != "" {
		p, err := transport.ParseProxy(proxy)
		if err != nil {
			return option.Usagef("%s: %v", v.Proxy.Name(), err)
		}
		c.dialer.Proxy = p
		return nil
	}
	for _, t := range c.targets {
		if _, err := c.proxyOf(t); err != nil {
			return &option.UsageError{Text: "ALL_PROXY: " + err.Error(), Help: "--proxy none ignores the variable"}
		}
	}
	return nil
}

// proxyOf returns the proxy to a target, or nil if the connection is direct.
func (c *Connection) proxyOf(t *transport.Target) (*transport.Proxy, error) {
	if c.dialer.Command != "" || c.inv.Values.Proxy.Text() != "" {
		return c.dialer.Proxy, nil
	}
	return transport.ProxyFromEnvironment(c.inv.Variable, t)
}

// dial opens the stream to a target, and records that it was reached.
func (c *Connection) dial(ctx context.Context, t *transport.Target) (nc net.Conn, err error) {
	switch {
	case c.serving != nil && c.serving.piped:
		nc = c.serving.dial()
	case c.inv.Dial != nil:
		nc, err = c.inv.Dial(ctx)
	default:
		d := c.dialer
		if d.Proxy, err = c.proxyOf(t); err == nil {
			nc, err = d.Dial(ctx, t)
		}
	}
	if err == nil {
		c.used.Store(t)
	}
	return nc, err
}

// Endpoints returns the targets and the dialer for a tool that opens its own connections. It
// starts the broker of --serve, with room for the number of connections.
func (c *Connection) Endpoints(ctx context.Context, connections int) ([]*transport.Target, *transport.Dialer, error) {
	if c.inv.Values.Serve.IsSet() {
		err := c.serve(ctx, func(o *broker.Options) {
			o.MaxConnections = max(o.MaxConnections, connections)
			o.MaxSessions = max(o.MaxSessions, connections)
			o.ConnectRate = -1
		})
		if err != nil {
			return nil, nil, err
		}
	}
	d := c.dialer
	var err error
	if d.Proxy, err = c.proxyOf(c.targets[0]); err != nil {
		return nil, nil, err
	}
	if c.serving != nil && c.serving.piped { // it has a certificate and is in this process
		o := transport.TLSOptions{}
		if d.TLS != nil {
			o = *d.TLS
		}
		o.Insecure, d.TLS = true, &o
		o.CAFile, o.CAPath, o.UseSystemRoots = "", "", false
		c.targets[0].TLS = true
	}
	return c.targets, &d, nil
}

// Direct reports whether the connections of Endpoints use neither a proxy nor a command.
func (c *Connection) Direct() bool {
	p, _ := c.proxyOf(c.targets[0])
	return c.dialer.Command == "" && p == nil
}

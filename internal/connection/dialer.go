package connection

import (
	"context"
	"net"
	"strings"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
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
		p, err := transport.ProxyFromEnvironment(c.inv.Variable, t)
		if err != nil {
			return &option.UsageError{Text: "ALL_PROXY: " + err.Error(), Help: "--proxy none ignores the variable"}
		}
		c.proxies = append(c.proxies, p)
	}
	return nil
}

// dial opens the stream, to the target that answered last first, then to the others. If all
// fail, it returns a temporary error if there is one, and reports the others.
func (c *Connection) dial(ctx context.Context) (net.Conn, error) {
	var errs []error
	for i := range c.targets {
		n := (int(c.last.Load()) + i) % len(c.targets)
		nc, err := c.dialTarget(ctx, n)
		if err == nil {
			for _, e := range errs {
				c.inv.Infof("%v", e)
			}
			c.last.Store(int32(n))
			return nc, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	chosen := len(errs) - 1
	for i, err := range errs {
		if !mqtt.Permanent(err) {
			chosen = i
		}
	}
	for i, err := range errs {
		if i != chosen {
			c.inv.Infof("%v", err)
		}
	}
	return nil, errs[chosen]
}

// dialTarget opens the stream to one of the targets.
func (c *Connection) dialTarget(ctx context.Context, n int) (net.Conn, error) {
	if c.serving != nil && c.serving.piped {
		return c.serving.dial(), nil
	}
	if c.inv.Dial != nil {
		return c.inv.Dial(ctx)
	}
	d := c.dialer
	if c.proxies != nil {
		d.Proxy = c.proxies[n]
	}
	return d.Dial(ctx, c.targets[n])
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
	if c.proxies != nil {
		d.Proxy = c.proxies[0]
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
	return c.dialer.Command == "" && c.dialer.Proxy == nil && (len(c.proxies) == 0 || c.proxies[0] == nil)
}

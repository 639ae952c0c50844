package connection

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Resolve is the broker that the options lead to, as a run would find it, and the
// option that says so; a cli.Tool's Resolve.
func Resolve(ctx context.Context, inv *cli.Invocation) (broker, from string, err error) {
	c, err := New(ctx, inv)
	if err != nil {
		return "", "", err
	}
	var all []string
	for _, t := range c.targets {
		all = append(all, strconv.Quote(t.Redacted()))
	}
	if from = "default"; inv.Values.IsSet("serve") {
		all = []string{"this program"}
	}
	for _, name := range [...]string{"host", "unix", "url", "serve"} {
		if inv.Values.Origin(name) != option.OriginDefault {
			from = "--" + name
		}
	}
	return strings.Join(all, " "), from, nil
}

// URLTopic is the topic of the first --url that has one.
func (c *Connection) URLTopic() string {
	for _, t := range c.targets {
		if t.Topic != "" {
			return t.Topic
		}
	}
	return ""
}

// checkServe refuses options that need --serve, and with it those about a broker that
// is another program: this process reaches its own one as it wants.
func (c *Connection) checkServe() error {
	v := c.inv.Values
	serving := v.IsSet("serve")
	for _, o := range option.Table(c.inv.Tool.Bit) {
		if v.Origin(o.Name) < option.OriginFile || !v.Given(o.Name) {
			continue
		}
		switch {
		case !serving && strings.HasPrefix(o.Name, "serve-"):
			return option.Usagef("%s needs --serve", v.Name(o.Name)).WithHint("add --serve, which runs a broker on %s", option.DefaultServeAddr)
		case serving && o.Name == "insecure":
			return option.Usagef("%s has no effect with --serve", v.Name(o.Name)).WithHint("drop it: the broker of --serve is this program, and needs no verifying")
		case serving && o.Group == option.GroupTLS:
			return option.Usagef("%s has no effect with --serve", v.Name(o.Name)).WithHint("to serve TLS: --serve mqtts://127.0.0.1 --serve-cert FILE --serve-key FILE")
		case serving && slices.Contains(reaching[:], o.Name):
			return option.Usagef("%s has no effect with --serve", v.Name(o.Name)).WithHint("drop it: the broker of --serve is this program")
		}
	}
	return nil
}

// reaching are options for the way to another broker.
var reaching = [...]string{"srv", "ws", "ws-path", "ws-header", "proxy", "proxy-command", "bind-address"}

func (c *Connection) readTargets() error {
	v := c.inv.Values
	if err := c.checkServe(); err != nil || c.targets != nil {
		return err
	}
	v.Yield("serve", "host", "port", "url", "unix")
	if v.Has("srv") {
		v.Yield("srv", "port", "url", "unix", "ws", "ws-path")
	}
	if v.Has("srv") && v.Bool("srv") {
		for _, other := range [...]string{"port", "url", "unix", "ws", "ws-path"} {
			if v.Clash("srv", other) {
				return option.Usagef("%s and %s cannot be used together", v.Name("srv"), v.Name(other))
			}
		}
		host := v.String("host")
		if strings.ContainsAny(host, "/: \t\n") {
			return v.Invalid("host", "value", host, "want a domain, with --srv")
		}
		c.targets = []*transport.Target{{Network: "tcp", Host: host, SRV: true, TLS: !v.Bool("no-tls") && c.wantsTLS()}}
		return nil
	}
	// A port or path alone leads to no other broker, and is an error beside a URL.
	v.Yield("url", "host", "unix")
	v.Yield("unix", "url", "host")
	for _, name := range [...]string{"host", "port", "ws", "ws-path"} {
		v.Yield(name, "url", "unix")
	}
	if v.IsSet("url") {
		for _, other := range [...]string{"host", "port", "unix", "ws", "ws-path"} {
			if v.Clash("url", other) || other != "host" && v.Above(other, "url") {
				return option.Usagef("%s and %s cannot be used together", v.Name("url"), v.Name(other))
			}
			if v.Given(other) {
				c.inv.Warnf("%s has no effect beside %s", v.Name(other), v.Name("url"))
			}
		}
		for _, s := range v.Strings("url") {
			t, err := transport.ParseURL(s)
			if err != nil {
				return option.Usagef("%s: %v", v.Name("url"), err)
			}
			if t.TLS && v.Bool("no-tls") && v.Origin("no-tls") >= v.Origin("url") {
				return option.Usagef("%s and the URL %s cannot be used together", v.Name("no-tls"), t.Redacted())
			}
			c.targets = append(c.targets, t)
		}
		return nil
	}
	if path := v.String("unix"); path != "" {
		for _, other := range [...]string{"host", "port", "ws", "ws-path"} {
			if v.Given(other) && (other != "host" || v.Clash("unix", other)) {
				return option.Usagef("%s and %s cannot be used together", v.Name("unix"), v.Name(other))
			}
		}
		c.targets = []*transport.Target{{Network: "unix", Path: path}}
		return nil
	}
	host, port := v.String("host"), v.Int("port")
	if host == "" {
		return v.Invalid("host", "value", host, "%v", option.ErrEmpty)
	}
	if strings.Contains(host, "://") {
		switch t, err := transport.ParseURL(host); {
		case err != nil:
			host = host[:strings.Index(host, "://")+3] + "..."
		case t.HasPassword:
			host = t.Redacted()
		}
		return option.Usagef("%s takes a host, not a URL: %q", v.Name("host"), host).WithHint("use -L %s", host)
	}
	// HOST:PORT and [IPV6]:PORT; a bare IPv6 address has several colons.
	if strings.HasPrefix(host, "[") || strings.Count(host, ":") == 1 {
		h, p, err := net.SplitHostPort(host)
		if err == nil {
			n, err := strconv.Atoi(p)
			if err != nil || n < 1 || n > 65535 {
				return v.Invalid("host", "value", host, "want a port from 1 to 65535")
			}
			switch {
			case !v.IsSet("port") || n == port || v.Origin("host") > v.Origin("port"):
				port = n
			case v.Origin("host") == v.Origin("port"):
				return option.Usagef("%s %q and %s %d disagree", v.Name("host"), host, v.Name("port"), port)
			}
			host = h
		} else if strings.HasSuffix(host, "]") {
			host = strings.Trim(host, "[]")
		} else {
			return v.Invalid("host", "value", host, "want HOST, HOST:PORT or [IPV6]:PORT")
		}
	}
	if strings.ContainsAny(host, "/ \t\n") {
		return v.Invalid("host", "value", host, "want a host name or address").WithHint("a URL goes after --url, a socket's path after --unix")
	}
	t := &transport.Target{Network: "tcp", Host: host, TLS: !v.Bool("no-tls") && (port == 8883 || c.wantsTLS())}
	if v.Bool("ws") || v.IsSet("ws-path") {
		t.WebSocket, t.Resource = true, transport.DefaultResource
		if v.IsSet("ws-path") {
			t.Resource = v.String("ws-path")
		}
		if !strings.HasPrefix(t.Resource, "/") {
			t.Resource = "/" + t.Resource
		}
		if err := transport.CheckResource(t.Resource); err != nil {
			return v.Invalid("ws-path", "value", v.String("ws-path"), "it %v", err)
		}
	}
	if t.Port = port; port == 0 {
		t.Port = t.DefaultPort()
	}
	c.targets = []*transport.Target{t}
	return nil
}

// wantsTLS tells whether an option turns TLS on.
func (c *Connection) wantsTLS() bool {
	v := c.inv.Values
	return v.Bool("tls") || v.IsSet("tls-pin") || v.IsSet("cafile") || v.IsSet("capath") || v.Bool("tls-use-os-certs") || v.IsSet("cert")
}

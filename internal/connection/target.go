package connection

import (
	"context"
	"net"
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

func (c *Connection) readTargets() error {
	v := c.inv.Values
	if c.targets != nil {
		return nil
	}
	if v.Has("srv") && v.Bool("srv") {
		host := v.String("host")
		if strings.ContainsAny(host, "/: \t\n") {
			return v.Invalid("host", "value", host, "want a domain, with --srv")
		}
		c.targets = []*transport.Target{{Network: "tcp", Host: host, SRV: true, TLS: !v.Bool("no-tls") && c.wantsTLS()}}
		return nil
	}
	if v.IsSet("url") {
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

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

// Resolve returns the broker that a run would connect to, and the option that selects it.
// It is the Resolve of a cli.Tool.
func Resolve(ctx context.Context, inv *cli.Invocation) (broker, from string, err error) {
	c, err := New(ctx, inv)
	if err != nil {
		return "", "", err
	}
	var all []string
	for _, t := range c.targets {
		all = append(all, strconv.Quote(t.Redacted()))
	}
	if from = "default"; inv.Values.Serve.IsSet() {
		all = []string{"this program"}
	}
	for _, name := range [...]string{"host", "unix", "url", "serve"} {
		if inv.Values.Of(name).Origin() != option.OriginDefault {
			from = "--" + name
		}
	}
	return strings.Join(all, " "), from, nil
}

// URLTopic returns the topic of the first --url that has one.
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
	if v.SRV.On() {
		host := v.Host.Text()
		if strings.ContainsAny(host, "/: \t\n") {
			return v.Host.Invalid("value", host, "want a domain, with --srv")
		}
		c.targets = []*transport.Target{{Network: "tcp", Host: host, SRV: true, TLS: !v.NoTLS.On() && c.wantsTLS()}}
		return nil
	}
	if v.URL.IsSet() {
		for _, s := range v.URL.Texts() {
			t, err := transport.ParseURL(s)
			if err != nil {
				return option.Usagef("%s: %v", v.URL.Name(), err)
			}
			if t.TLS && v.NoTLS.On() && v.NoTLS.Origin() >= v.URL.Origin() {
				return option.Usagef("%s and the URL %s cannot be used together", v.NoTLS.Name(), t.Redacted())
			}
			if t.Network == "unix" {
				for _, name := range option.NotOverUnix {
					if o := v.Of(name); o.Given() && o.Origin() >= v.URL.Origin() {
						return option.Usagef("%s and the URL %s cannot be used together", o.Name(), t.Redacted()).WithHint("drop it: a Unix socket does not leave this machine")
					}
				}
			}
			c.targets = append(c.targets, t)
		}
		return nil
	}
	if path := v.Unix.Text(); path != "" {
		c.targets = []*transport.Target{{Network: "unix", Path: path}}
		return nil
	}
	host, port, err := readHost(v)
	if err != nil {
		return err
	}
	t := &transport.Target{Network: "tcp", Host: host, TLS: !v.NoTLS.On() && (port == 8883 || c.wantsTLS())}
	if v.WS.On() || v.WSPath.IsSet() {
		t.WebSocket, t.Resource = true, transport.DefaultResource
		if v.WSPath.IsSet() {
			t.Resource = v.WSPath.Text()
		}
		if !strings.HasPrefix(t.Resource, "/") {
			t.Resource = "/" + t.Resource
		}
		if err := transport.CheckResource(t.Resource); err != nil {
			return v.WSPath.Invalid("value", v.WSPath.Text(), "it %v", err)
		}
	}
	if t.Port = port; port == 0 {
		t.Port = t.DefaultPort()
	}
	c.targets = []*transport.Target{t}
	return nil
}

// readHost reads --host, which may include the port, and --port; port 0 means none.
func readHost(v *option.Values) (host string, port int, err error) {
	host, port = v.Host.Text(), v.Port.Int()
	if host == "" {
		return "", 0, v.Host.Invalid("value", host, "%v", option.ErrEmpty)
	}
	if strings.Contains(host, "://") {
		switch t, err := transport.ParseURL(host); {
		case err != nil:
			host = host[:strings.Index(host, "://")+3] + "..."
		case t.HasPassword:
			host = t.Redacted()
		}
		return "", 0, option.Usagef("%s takes a host, not a URL: %q", v.Host.Name(), host).WithHint("use -L %s", host)
	}
	// HOST:PORT and [IPV6]:PORT; a bare IPv6 address has more than one colon.
	if strings.HasPrefix(host, "[") || strings.Count(host, ":") == 1 {
		h, p, err := net.SplitHostPort(host)
		if err == nil {
			n, err := strconv.Atoi(p)
			if err != nil || n < 1 || n > 65535 {
				return "", 0, v.Host.Invalid("value", host, "want a port from 1 to 65535")
			}
			switch {
			case !v.Port.IsSet() || n == port || v.Host.Origin() > v.Port.Origin():
				port = n
			case v.Host.Origin() == v.Port.Origin():
				return "", 0, option.Usagef("%s %q and %s %d disagree", v.Host.Name(), host, v.Port.Name(), port)
			}
			host = h
		} else if strings.HasSuffix(host, "]") {
			host = strings.Trim(host, "[]")
		} else {
			return "", 0, v.Host.Invalid("value", host, "want HOST, HOST:PORT or [IPV6]:PORT")
		}
	}
	if strings.ContainsAny(host, "/ \t\n") {
		return "", 0, v.Host.Invalid("value", host, "want a host name or address").WithHint("a URL goes after --url, a socket's path after --unix")
	}
	return host, port, nil
}

// wantsTLS reports whether an option turns on TLS.
func (c *Connection) wantsTLS() bool {
	v := c.inv.Values
	return v.TLS.On() || v.TLSPin.IsSet() || v.CAFile.IsSet() || v.CAPath.IsSet() || v.TLSUseOSCerts.On() || v.Cert.IsSet()
}

package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// newMicrosocks starts the SOCKS 5 proxy microsocks and returns its port; user
// and password are wanted unless they are empty.
func newMicrosocks(t *testing.T, name, password string) string {
	t.Helper()
	port := freePort(t)
	args := []string{"-i", "127.0.0.1", "-p", port}
	if name != "" {
		args = append(args, "-u", name, "-P", password)
	}
	startDaemon(t, exec.Command(program(t, "microsocks"), args...), port)
	return port
}

// newDante starts the SOCKS 5 server dante, which does not connect to the port
// denied, and returns its port.
func newDante(t *testing.T, denied string) string {
	t.Helper()
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir, port := t.TempDir(), freePort(t)
	config := writeFile(t, filepath.Join(dir, "danted.conf"),
		"logoutput: stderr", "internal: 127.0.0.1 port = "+port, "external: 127.0.0.1", "clientmethod: none", "socksmethod: none",
		"user.privileged: "+who.Username, "user.unprivileged: "+who.Username,
		"client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }",
		"socks block { from: 0.0.0.0/0 to: 127.0.0.0/8 port = "+denied+" }",
		"socks pass { from: 0.0.0.0/0 to: 127.0.0.0/8 }")
	startDaemon(t, exec.Command(program(t, "danted"), "-p", filepath.Join(dir, "pid"), "-f", config), port)
	return port
}

// newTinyproxy starts the HTTP proxy tinyproxy with further lines of
// configuration, and returns its port.
func newTinyproxy(t *testing.T, lines ...string) string {
	t.Helper()
	port := freePort(t)
	config := writeFile(t, filepath.Join(t.TempDir(), "tinyproxy.conf"), append([]string{
		"Port " + port, "Listen 127.0.0.1", "Allow 127.0.0.1", "Timeout 600", "LogLevel Warning", "DisableViaHeader Yes"}, lines...)...)
	startDaemon(t, exec.Command(program(t, "tinyproxy"), "-d", "-c", config), port)
	return port
}

// everyProxy names what useProxy can start.
var everyProxy = []string{"microsocks", "microsocks, user", "dante", "tinyproxy", "tinyproxy, user"}

// useProxy starts a proxy that connects to the port open at least, and returns
// its URL with the credentials that it wants.
func useProxy(t *testing.T, name, open string) (url string) {
	t.Helper()
	switch name {
	case "microsocks":
		return "socks5h://127.0.0.1:" + newMicrosocks(t, "", "")
	case "microsocks, user":
		return "socks5://joe:hunter2@127.0.0.1:" + newMicrosocks(t, "joe", "hunter2")
	case "dante":
		return "socks5h://127.0.0.1:" + newDante(t, "1")
	case "tinyproxy":
		return "http://127.0.0.1:" + newTinyproxy(t)
	}
	return "http://joe:hunter2@127.0.0.1:" + newTinyproxy(t, "BasicAuth joe hunter2", "ConnectPort "+open)
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// TestExchangeThroughProxies has the tools exchange messages through every
// proxy; the clients that are killed die behind it.
func TestExchangeThroughProxies(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	for _, name := range everyProxy {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// microsocks ends both connections with the first side that ends.
			most := limits{large: 1 << 20, kept: 2, early: strings.HasPrefix(name, "microsocks")}
			w := append(way{"--proxy", useProxy(t, name, h.addr[3])}, h.addr...)
			for _, version := range []string{"311", "5"} {
				t.Run("v"+version, func(t *testing.T) { exchange(t, w, version, most) })
			}
		})
	}
}

// TestProxiesTellWhatFails has every proxy refuse.
func TestProxiesTellWhatFails(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	host, good, dead, denied := "127.0.0.1", h.addr[3], freePort(t), newSilent(t)
	for _, c := range []struct {
		name  string
		proxy func(t *testing.T) string // its port
		url   string                    // before the port, with the word PORT
		port  string
		args  []string
		says  string // with the word PORT
	}{
		{name: "microsocks: dead broker", proxy: func(t *testing.T) string { return newMicrosocks(t, "", "") }, url: "socks5h://127.0.0.1:PORT", port: dead,
			says: "proxy socks5h://127.0.0.1:PORT: no connection to 127.0.0.1:" + dead + ": connection refused\n"},
		{name: "microsocks: no such broker", proxy: func(t *testing.T) string { return newMicrosocks(t, "", "") }, url: "socks5h://127.0.0.1:PORT", port: dead,
			args: []string{"-h", "broker.invalid"}, says: "proxy socks5h://127.0.0.1:PORT: no connection to broker.invalid:" + dead},
		{name: "microsocks: credentials missing", proxy: func(t *testing.T) string { return newMicrosocks(t, "joe", "hunter2") }, url: "socks5h://127.0.0.1:PORT", port: good,
			says: "proxy socks5h://127.0.0.1:PORT: no acceptable authentication methods\nmqpub: give user and password in the URL: socks5h://user:password@host\n"},
		{name: "microsocks: credentials wrong", proxy: func(t *testing.T) string { return newMicrosocks(t, "joe", "hunter2") }, url: "socks5h://joe:hunter22@127.0.0.1:PORT", port: good,
			says: "proxy socks5h://***@127.0.0.1:PORT: username/password authentication failed\nmqpub: check user and password in the URL of the proxy\n"},
		{name: "dante: dead broker", proxy: func(t *testing.T) string { return newDante(t, denied) }, url: "socks5://127.0.0.1:PORT", port: dead,
			says: "proxy socks5://127.0.0.1:PORT: no connection to 127.0.0.1:" + dead + ": connection refused\n"},
		{name: "dante: denied broker", proxy: func(t *testing.T) string { return newDante(t, denied) }, url: "socks5h://127.0.0.1:PORT", port: denied,
			says: "proxy socks5h://127.0.0.1:PORT: no connection to 127.0.0.1:" + denied + ": connection not allowed by ruleset\n"},
		{name: "tinyproxy: dead broker", proxy: func(t *testing.T) string { return newTinyproxy(t) }, url: "http://127.0.0.1:PORT", port: dead,
			says: "proxy http://127.0.0.1:PORT: the proxy answers 500 Unable to connect\n"},
		{name: "tinyproxy: denied port", proxy: func(t *testing.T) string { return newTinyproxy(t, "ConnectPort 443") }, url: "http://127.0.0.1:PORT", port: good,
			says: "proxy http://127.0.0.1:PORT: the proxy answers 403 Access violation\nmqpub: the proxy may allow only certain ports, such as 443\n"},
		{name: "tinyproxy: credentials missing", proxy: func(t *testing.T) string { return newTinyproxy(t, "BasicAuth joe hunter2") }, url: "http://127.0.0.1:PORT", port: good,
			says: "proxy http://127.0.0.1:PORT: the proxy answers 407 Proxy Authentication Required\nmqpub: give user and password in the URL: http://user:password@host\n"},
		{name: "tinyproxy: credentials wrong", proxy: func(t *testing.T) string { return newTinyproxy(t, "BasicAuth joe hunter2") }, url: "http://joe:hunter22@127.0.0.1:PORT", port: good,
			says: "proxy http://***@127.0.0.1:PORT: the proxy answers 401 Unauthorized\nmqpub: check user and password in the URL of the proxy\n"},
		{name: "SOCKS to tinyproxy", proxy: func(t *testing.T) string { return newTinyproxy(t) }, url: "socks5h://127.0.0.1:PORT", port: good,
			args: []string{"--connect-timeout", "0.5"}, says: "proxy socks5h://127.0.0.1:PORT: no answer from the proxy within "},
		{name: "HTTP to microsocks", proxy: func(t *testing.T) string { return newMicrosocks(t, "", "") }, url: "http://127.0.0.1:PORT", port: good,
			says: "proxy http://127.0.0.1:PORT: the peer does not speak HTTP (it answered \"\\x05\\xff\")\nmqpub: check the proxy's port\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			port := c.proxy(t)
			r := run(t, "", "mqpub", append([]string{"-h", host, "-p", c.port, "--proxy", strings.ReplaceAll(c.url, "PORT", port), "-t", "t", "-m", "x"}, c.args...)...)
			if want := "mqpub: " + strings.ReplaceAll(c.says, "PORT", port); r.code != 3 || !strings.HasPrefix(r.err, want) {
				t.Errorf("code %d, stderr %q; want code 3 and %q", r.code, r.err, want)
			}
		})
	}
}

// newSilent is the port of a listener that says nothing.
func newSilent(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return portOf(ln.Addr().String())
}

// TestConnectSurvivesEveryTransport looks, at the broker, at what CONNECT says
// after each way to it: no way may alter a byte.
func TestConnectSurvivesEveryTransport(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	var mu sync.Mutex
	seen := map[string]string{} // by client identifier
	o := broker.Options{Authenticate: func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
		var b strings.Builder
		for q := range p.Properties.All() {
			fmt.Fprintf(&b, "%v=%d%s%s;", q.ID, q.Uint, q.Bytes, q.Value)
		}
		b.WriteString(string(p.Username) + ";" + string(p.Password) + ";" + string(p.Will.Topic) + ";" + string(p.Will.Payload))
		mu.Lock()
		defer mu.Unlock()
		seen[string(p.ClientID)] = b.String()
		return packet.Success
	}}
	socket := filepath.Join(tempDir(t), "s")
	_, plain := brokertest.StartWith(t, o)
	_, secure := brokertest.StartOn(t, "127.0.0.1:0", certs.ServerConfig(), o)
	_, ws := brokertest.StartOn(t, "ws://127.0.0.1:0/mqtt", nil, o)
	_, wss := brokertest.StartOn(t, "wss://127.0.0.1:0/mqtt", certs.ServerConfig(), o)
	_, _ = brokertest.StartOn(t, "unix://"+socket, nil, o)
	ca := []string{"--cafile", certs.CA.CertFile}
	transports := map[string]way{
		"tcp": {"-h", plain},
		"TLS": append(way{"-h", secure}, ca...),
		"ws":  {"-L", "ws://" + ws},
		"wss": append(way{"-L", "wss://" + wss}, ca...),
	}
	check := func(t *testing.T, w way) {
		t.Helper()
		id := strings.ReplaceAll(t.Name(), "/", "-")
		ok(t, "", "mqsub", w.with("-V", "5", "-t", "t", "-E", "-i", id, "-x", "77", "-u", "joe", "-P", "hunter2", "--will-topic", "w", "--will-payload", "gone",
			"--receive-maximum", "5", "--max-packet-size", "70000", "--topic-alias-maximum", "9",
			"-D", "connect", "user-property", "a", "1", "-D", "connect", "user-property", "a", "2", "-D", "connect", "request-response-information", "1")...)
		mu.Lock()
		defer mu.Unlock()
		got := strings.Split(seen[id], ";")
		for _, want := range []string{"session-expiry-interval=77", "receive-maximum=5", "maximum-packet-size=70000", "topic-alias-maximum=9",
			"user-property=0a1", "user-property=0a2", "request-response-information=1", "joe", "hunter2", "w", "gone"} {
			if !slices.Contains(got, want) {
				t.Errorf("the broker sees %q, without %q", got, want)
			}
		}
	}
	t.Run("unix", func(t *testing.T) { check(t, way{"--unix", socket}) })
	for name, w := range transports {
		t.Run(name, func(t *testing.T) { check(t, w) })
	}
	for _, name := range everyProxy {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for transport, w := range transports {
				addr := strings.TrimPrefix(strings.TrimPrefix(w[1], "wss://"), "ws://")
				t.Run(transport, func(t *testing.T) {
					check(t, append(way{"--proxy", useProxy(t, name, portOf(addr))}, w...))
				})
			}
		})
	}
}

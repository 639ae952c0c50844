package e2e

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// socksServer is a SOCKS 5 proxy without authentication, for tests: it connects
// to where it is asked, by IPv4 address or name.
func socksServer(t *testing.T) (addr string) {
	t.Helper()
	return accepting(t, func(c net.Conn) {
		b := make([]byte, 3)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "\x05\x01\x00" {
			return
		}
		_, _ = c.Write([]byte{5, 0})
		if b = make([]byte, 4); !fill(c, b) {
			return
		}
		host := ""
		if b[3] == 1 {
			ip := make([]byte, 4)
			fill(c, ip)
			host = net.IP(ip).String()
		} else {
			n := make([]byte, 1)
			fill(c, n)
			name := make([]byte, n[0])
			fill(c, name)
			host = string(name)
		}
		port := make([]byte, 2)
		if !fill(c, port) {
			return
		}
		out, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(int(port[0])<<8|int(port[1]))))
		if err != nil {
			_, _ = c.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
			return
		}
		defer out.Close()
		_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		go func() { _, _ = io.Copy(out, c); _ = out.(*net.TCPConn).CloseWrite() }()
		_, _ = io.Copy(c, out)
	})
}

func fill(r io.Reader, b []byte) bool { _, err := io.ReadFull(r, b); return err == nil }

func TestEveryWayToTheBroker(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	_, plain := brokertest.Start(t)
	_, ws := brokertest.StartOn(t, "ws://127.0.0.1:0/broker", nil, broker.Options{})
	_, wss := brokertest.StartOn(t, "wss://127.0.0.1:0", certs.ServerConfig(), broker.Options{})
	socks := socksServer(t)
	host, port, _ := net.SplitHostPort(ws)
	ways := map[string][]string{
		"ws URL":                  {"-L", "ws://" + ws + "/broker"},
		"ws options":              {"-h", host, "-p", port, "--ws", "--ws-path", "broker"},
		"wss URL":                 {"-L", "wss://" + wss, "--cafile", certs.CA.CertFile},
		"wss options":             {"-h", wss, "--ws", "--cafile", certs.CA.CertFile, "--ws-header", "X-Token: secret"},
		"SOCKS":                   {"-h", plain, "--proxy", "socks5h://" + socks},
		"SOCKS, own lookup":       {"-h", plain, "--proxy", "socks5://" + socks},
		"WebSocket through SOCKS": {"-L", "wss://" + wss, "--cafile", certs.CA.CertFile, "--proxy", "socks5h://" + socks},
	}
	if bash, err := exec.LookPath("bash"); err == nil {
		ways["a command"] = []string{"-h", plain, "--proxy-command", bash + " -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & cat >&3'"}
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := strings.ReplaceAll(name, " ", "/")
			lines := strings.Repeat("0123456789\n", 900)
			// The properties of CONNECT survive every way: the session does.
			session := append([]string{"-t", topic, "-q", "2", "-c", "-i", topic, "-x", "60"}, way...)
			ok(t, "", "mqsub", append(session, "-E")...)
			ok(t, lines, "mqpub", append([]string{"-t", topic, "-q", "1", "-l"}, way...)...)
			if got := ok(t, "", "mqsub", append(session, "-C", "900")...); got != lines {
				t.Errorf("%d bytes arrived, want %d", len(got), len(lines))
			}
		})
	}
	t.Run("failures", func(t *testing.T) {
		for _, c := range []struct {
			args []string
			code int
			says string
		}{
			{[]string{"-h", plain, "--proxy", "socks5h://" + plain}, 3, "does not speak SOCKS 5"},
			{[]string{"-h", "127.0.0.1:1", "--proxy", "socks5h://" + socks}, 3, "no connection to 127.0.0.1:1: connection refused"},
		} {
			r := run(t, "", "mqpub", append([]string{"-t", "t", "-m", "x"}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.err, c.says) || strings.Count(r.err, "\n") > 2 {
				t.Errorf("%q: code %d, stderr %q; want %d and %q", c.args, r.code, r.err, c.code, c.says)
			}
		}
	})
}

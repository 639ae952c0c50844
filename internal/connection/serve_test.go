package connection

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// TestHeldClientsWait has a client that reaches the broker of --serve first but is accepted
// second.
func TestHeldClientsWait(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "mq")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	tool := cli.Tool{Program: option.Program{Name: "mqsub", Bit: option.Sub}, Run: func(ctx context.Context, inv *cli.Invocation) error {
		c, err := New(context.Background(), inv)
		if err != nil {
			return err
		}
		defer c.Close()
		c.DeferClients = true
		client, err := c.Connect(ctx, true)
		if err != nil {
			return err
		}
		defer c.Disconnect(client, false)
		nc, err := net.Dial("unix", path)
		if err != nil {
			return err
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a") // CONNECT of 3.1.1 as "a"
		var b [4]byte
		_ = nc.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := nc.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("before AcceptClients comes % x, %v", b[:n], err)
		}
		if err := client.Ping(ctx); err != nil {
			t.Errorf("the tool's own connection: %v", err)
		}
		c.AcceptClients()
		c.AcceptClients() // has no further effect
		_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(nc, b[:]); err != nil || string(b[:]) != "\x20\x02\x00\x00" {
			t.Errorf("after AcceptClients comes % x, %v", b, err)
		}
		return nil
	}}
	var stderr strings.Builder
	env := cli.Env{Args: []string{"--serve", "unix://" + path}, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &stderr}
	if code := cli.Run(t.Context(), env, tool); code != 0 {
		t.Errorf("code %d, %q", code, stderr.String())
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left")
	}
	// A tool that ends before AcceptClients leaves nothing behind either.
	tool.Run = func(ctx context.Context, inv *cli.Invocation) error {
		c, err := New(context.Background(), inv)
		if err != nil {
			return err
		}
		defer c.Close()
		c.DeferClients = true
		client, err := c.Connect(ctx, true)
		if err == nil {
			c.Disconnect(client, false)
		}
		return err
	}
	if code := cli.Run(t.Context(), env, tool); code != 0 {
		t.Errorf("code %d, %q", code, stderr.String())
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left")
	}
}

func TestTheCertificateIsForWhoSaysTLS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		addrs string
		want  []bool // with a certificate
	}{
		{":1883", []bool{true}},
		{"127.0.0.1:0 [::1]:0", []bool{true, true}},
		{":1883 mqtts://:8883", []bool{false, true}},
		{"wss://:0 :1883 ws://:0 unix:/x", []bool{true, false, false, false}},
		{"MQTTS://:0 :1883", []bool{true, false}},
		{":8883 mqtt://:1883 unix:/x", []bool{true, false, false}},
		{"mqtt:1883 tls://:0", []bool{false, true}}, // mqtt is a host name here
		{"unix:/x", []bool{true}},
		{"mqtt://:1883", []bool{true}}, // Listen refuses it
	} {
		got := secured(strings.Fields(c.addrs), true)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.addrs, got, c.want)
		}
		for i, addr := range strings.Fields(c.addrs) {
			s, _ := transport.SchemeOf(addr)
			if got := secured(strings.Fields(c.addrs), false); got[i] != s.TLS {
				t.Errorf("%s without a certificate: got %v", c.addrs, got)
			}
		}
	}
}

// A broker that is reachable from other machines and accepts anyone causes one warning,
// which names the ways to restrict it.
func TestAnOpenBrokerIsWarnedOfOnce(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	users := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(users, []byte("anonymous: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mutual := []string{"--serve-cert", certs.Server.CertFile, "--serve-key", certs.Server.KeyFile, "--serve-client-ca", certs.CA.CertFile}
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"--serve", ":0"}, 1},
		{[]string{"--serve", "0.0.0.0:0"}, 1},
		{[]string{"--serve", "[::]:0"}, 1},
		{[]string{"--serve", "ws://0.0.0.0:0"}, 1},
		{[]string{"--serve", ":0", "--serve", "ws://:0"}, 1},
		{[]string{"--serve", "127.0.0.1:0", "--serve", ":0"}, 1},
		{[]string{"--serve", "127.0.0.1:0"}, 0},
		{[]string{"--serve", "ws://127.0.0.1:0"}, 0},
		{[]string{"--serve", "unix:" + filepath.Join(t.TempDir(), "s")}, 0},
		{[]string{"--serve", ":0", "--serve-users", users}, 0},
		{append(mutual, "--serve", "mqtts://:0"), 0},
	} {
		tool := cli.Tool{Program: option.Program{Name: "mqsub", Bit: option.Sub}, Run: func(ctx context.Context, inv *cli.Invocation) error {
			conn, err := New(context.Background(), inv)
			if err != nil {
				return err
			}
			defer conn.Close()
			return conn.serve(ctx, nil)
		}}
		var stderr strings.Builder
		env := cli.Env{Args: c.args, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &stderr}
		code := cli.Run(t.Context(), env, tool)
		if got := strings.Count(stderr.String(), "mqsub: warning: anyone on the network can use this broker\n"); code != 0 || got != c.want {
			t.Errorf("%q: status %d, %d warnings, want %d:\n%s", c.args, code, got, c.want, stderr.String())
		}
		if c.want > 0 && (!strings.Contains(stderr.String(), "--serve 127.0.0.1:") || !strings.Contains(stderr.String(), "--serve-users")) {
			t.Errorf("%q: %s names no way out", c.args, stderr.String())
		}
	}
}

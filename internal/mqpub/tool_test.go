package mqpub

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// peer accepts one connection, reads n bytes after CONNECT, or until EOF if n is negative,
// and closes.
func peer(t *testing.T, n int64) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		b := make([]byte, 2)
		_, _ = io.ReadFull(nc, b)
		_, _ = io.ReadFull(nc, make([]byte, b[1]))
		_, _ = nc.Write([]byte{0x20, 2, 0, 0})
		if n < 0 {
			_, _ = io.Copy(io.Discard, nc)
		} else {
			_, _ = io.CopyN(io.Discard, nc, n)
		}
	}()
	return ln.Addr().String()
}

func TestAMessageThatIsCutOffIsNoSuccess(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		it     string
		size   int
		reads  int64
		args   []string
		status int
		says   string
	}{
		{"is read", 30 << 20, -1, nil, 0, ""},
		{"is read three times", 1000, -1, []string{"--repeat", "3"}, 0, ""},
		{"is cut off at once", 30 << 20, 10, nil, option.ExitLost, `topic "a": the message may not have arrived: connection lost`},
		{"is cut off in the middle", 30 << 20, 15 << 20, nil, option.ExitLost, `topic "a": the message may not have arrived: connection lost`},
		{"is cut off near its end", 30 << 20, 30<<20 - 1000, nil, option.ExitLost, `topic "a": the message may not have arrived: connection lost`},
	} {
		t.Run(row.it, func(t *testing.T) {
			t.Parallel()
			addr := peer(t, row.reads)
			var stdout, stderr bytes.Buffer
			args := append([]string{"-V", "311", "-L", "mqtt://" + addr, "-t", "a", "-s"}, row.args...)
			status := cli.Run(context.Background(), cli.Env{Args: args, Stdin: bytes.NewReader(make([]byte, row.size)),
				Stdout: &stdout, Stderr: &stderr, Lookup: option.MapEnv(nil)}, Tool())
			if status != row.status || !strings.Contains(stderr.String(), row.says) || row.says == "" && stderr.Len() > 0 {
				t.Errorf("status %d, %q, want %d, %q", status, stderr.String(), row.status, row.says)
			}
		})
	}
}

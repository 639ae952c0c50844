package mqsub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
)

// full is an output that takes the first n bytes.
type full struct {
	bytes.Buffer
	n int
}

func (w *full) Write(b []byte) (int, error) {
	if len(b) > w.n {
		return 0, errors.New("no space left on device")
	}
	w.n -= len(b)
	return w.Buffer.Write(b)
}

// peer serves one connection by hand: behind SUBACK it sends messages 1 to 3 at QoS 1
// in one piece, and hands out what the client says to that.
func peer(t *testing.T) (addr string, said <-chan []byte) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	heard := make(chan []byte, 1)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		packet := func() {
			b := make([]byte, 2)
			_, _ = io.ReadFull(nc, b)
			_, _ = io.ReadFull(nc, make([]byte, b[1]))
		}
		packet() // CONNECT
		_, _ = nc.Write([]byte{0x20, 2, 0, 0})
		packet() // SUBSCRIBE
		_, _ = nc.Write([]byte{0x90, 3, 0, 1, 1,
			0x32, 6, 0, 1, 'a', 0, 1, '1', 0x32, 6, 0, 1, 'a', 0, 2, '2', 0x32, 6, 0, 1, 'a', 0, 3, '3'})
		rest, _ := io.ReadAll(nc)
		heard <- rest
	}()
	return ln.Addr().String(), heard
}

// What is not written stays the session's: it comes again.
func TestOnlyWhatIsWrittenIsAcknowledged(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		it     string
		args   []string
		room   int
		out    string
		acked  int // of the three messages
		status int
	}{
		{"-C 1", []string{"-C", "1"}, 100, "1\n", 1, 0},
		{"-C 2", []string{"-C", "2"}, 100, "1\n2\n", 2, 0},
		{"-C 3", []string{"-C", "3"}, 100, "1\n2\n3\n", 3, 0},
		{"-C 1 to a full disk", []string{"-C", "1"}, 0, "", 0, cli.ExitLocalIO},
		{"no limit and a full disk", nil, 3, "", 0, cli.ExitLocalIO},
	} {
		t.Run(row.it, func(t *testing.T) {
			t.Parallel()
			addr, said := peer(t)
			stdout, stderr := &full{n: row.room}, &bytes.Buffer{}
			args := append([]string{"-V", "311", "-L", "mqtt://" + addr, "-q", "1", "-t", "a"}, row.args...)
			status := cli.Run(context.Background(), cli.Env{Args: args, Stdout: stdout, Stderr: stderr, Lookup: cli.MapEnv(nil)}, Tool())
			if status != row.status || stdout.String() != row.out {
				t.Errorf("status %d, output %q, want %d, %q; %s", status, stdout.String(), row.status, row.out, stderr)
			}
			want := ""
			for i := range row.acked {
				want += fmt.Sprintf("\x40\x02\x00%c", i+1)
			}
			if got := string(<-said); got != want+"\xe0\x00" {
				t.Errorf("the client said %x, want %x and DISCONNECT", got, want)
			}
		})
	}
}

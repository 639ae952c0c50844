package mqsub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// full is an output that accepts the first n bytes.
type full struct {
	bytes.Buffer
	n int
}

func (w *full) Write(b []byte) (int, error) {
	n, _ := w.Buffer.Write(b[:min(len(b), w.n)])
	if w.n -= n; n < len(b) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

// peer serves one connection: after SUBACK it sends messages 1 to 3 at QoS 1 in one piece,
// and sends what the client answers to said.
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

// A message that is not written stays in the session and is delivered again.
func TestOnlyWhatIsWrittenIsAcknowledged(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		it     string
		args   []string
		room   int
		out    string
		acked  int // of the three messages
		status int
		says   string
	}{
		{"-C 1", []string{"-C", "1"}, 100, "1\n", 1, 0, ""},
		{"-C 2", []string{"-C", "2"}, 100, "1\n2\n", 2, 0, ""},
		{"-C 3", []string{"-C", "3"}, 100, "1\n2\n3\n", 3, 0, ""},
		{"-C 1 to a full disk", []string{"-C", "1"}, 0, "", 0, option.ExitLocalIO, "mqsub: standard output: no space left on device\n"},
		{"a disk that is full within the second", nil, 3, "1\n2", 1, option.ExitLocalIO,
			"mqsub: standard output: the last message is cut off: byte 3 to 3 of what was written; it is not acknowledged\nmqsub: standard output: no space left on device\n"},
		{"a disk that is full behind the second", nil, 4, "1\n2\n", 2, option.ExitLocalIO, "mqsub: standard output: no space left on device\n"},
		{"a disk that is full within the first", []string{"-C", "2", "-v"}, 3, "a 1", 0, option.ExitLocalIO,
			"mqsub: standard output: the last message is cut off: byte 1 to 3 of what was written; it is not acknowledged\nmqsub: standard output: no space left on device\n"},
	} {
		t.Run(row.it, func(t *testing.T) {
			t.Parallel()
			addr, said := peer(t)
			stdout, stderr := &full{n: row.room}, &bytes.Buffer{}
			args := append([]string{"-V", "311", "-L", "mqtt://" + addr, "-q", "1", "-t", "a"}, row.args...)
			status := cli.Run(context.Background(), cli.Env{Args: args, Stdout: stdout, Stderr: stderr, Lookup: option.MapEnv(nil)}, Tool())
			if stderr.String() != row.says {
				t.Errorf("it said %q, want %q", stderr.String(), row.says)
			}
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

// A large record is written in pieces, and the messages before it are written first.
func TestALargeRecordIsAcknowledgedWhenItIsWhole(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte{1}, 100<<10)
	for _, row := range []struct {
		it    string
		room  int
		acked int
		count string
	}{
		{"whole", 10 << 20, 3, ""},
		{"cut off in the large one", 500 << 10, 1, "the last message is cut off: byte "},
	} {
		synctest.Test(t, func(t *testing.T) {
			network := memtest.New()
			defer network.Close()
			heard := make(chan []byte, 1)
			go func() {
				nc, err := network.Accept()
				if err != nil {
					return
				}
				defer nc.Close()
				b := make([]byte, 14)
				_, _ = io.ReadFull(nc, b[:2])
				_, _ = io.ReadFull(nc, b[:b[1]])
				p := []byte{0x20, 2, 0, 0, 0x32, 6, 0, 1, 'a', 0, 1, '1'}
				n := len(large) + 5
				p = append(p, 0x32, byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14), 0, 1, 'a', 0, 2)
				p = append(append(p, large...), 0x32, 6, 0, 1, 'a', 0, 3, '3')
				go func() { _, _ = nc.Write(p) }()
				rest, _ := io.ReadAll(nc)
				heard <- rest
			}()
			client, err := mqtt.Connect(t.Context(), "mqtt://server.test", &mqtt.Options{Dial: over(network), Version: packet.V311, KeepAlive: mqtt.NoKeepAlive})
			if err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			stdout := &full{n: row.room}
			j := &job{inv: &cli.Invocation{Talk: cli.NewTalk(&stderr, "mqsub", false, false, false)}, client: client, form: &format.Record{}, limit: 3}
			j.out.w = stdout
			err = j.follow(t.Context())
			if whole := errors.Is(err, errDone); whole != (row.count == "") || !strings.Contains(stderr.String(), row.count) || j.count != int64(row.acked) {
				t.Errorf("%s: %v, %d messages, %s", row.it, err, j.count, &stderr)
			}
			_ = client.Close(t.Context())
			want := ""
			for i := range row.acked {
				want += fmt.Sprintf("\x40\x02\x00%c", i+1)
			}
			if got := string(<-heard); got != want+"\xe0\x00" {
				t.Errorf("%s: the client said %x, want %x and DISCONNECT", row.it, got, want)
			}
		})
	}
}

// over returns an Options.Dial that connects over a network in memory.
func over(n *memtest.Network) func(context.Context, *transport.Target) (net.Conn, error) {
	return func(ctx context.Context, _ *transport.Target) (net.Conn, error) { return n.Dial(ctx) }
}

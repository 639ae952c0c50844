package mqbench

import (
	"io"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// answering listens, and calls do for each connection whose CONNECT it has read. It returns
// the port.
func answering(t *testing.T, do func(nc net.Conn, connect []byte)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				b := make([]byte, 512)
				n, err := nc.Read(b)
				if err != nil {
					return
				}
				do(nc, b[:n])
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// only311 returns the port of a broker that closes connections of MQTT 5, with or without
// an answer, and a counter of those connections.
func only311(t *testing.T, answer string) (port string, fives *atomic.Int64) {
	t.Helper()
	_, addr := brokertest.StartWith(t, broker.Options{})
	fives = new(atomic.Int64)
	return answering(t, func(nc net.Conn, connect []byte) {
		if len(connect) > 8 && connect[8] == 5 {
			fives.Add(1)
			_, _ = io.WriteString(nc, answer)
			return
		}
		back, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		defer back.Close()
		_, _ = back.Write(connect)
		go func() { _, _ = io.Copy(back, nc); _ = back.(*net.TCPConn).CloseWrite() }()
		_, _ = io.Copy(nc, back)
	}), fives
}

// TestTheVersionIsDecidedOncePerRun checks that -V auto falls back to 3.1.1 if the broker
// does not accept 5.0, and that the clients of the plan do not try 5.0.
func TestTheVersionIsDecidedOncePerRun(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"in words": "\x20\x03\x00\x84\x00", "in words of 3.1.1": "\x20\x02\x00\x01", "by closing": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, line := range []string{"pubsub --clients 10 --rate 100 -q 2 --duration 0.3 -c", "run FILE", "verify --clients 2 --duration 0.5 -q 1 --faults none"} {
				port, fives := only311(t, answer)
				line = strings.Replace(line, "FILE", file(t, "x.yaml", "phases: {settle: 0s, warm-up: 0s, measure: 300ms}\ngroups: {g: {clients: 10}}"), 1)
				r := mqbench(t, append(words(line), "-p", port)...)
				if n := fives.Load(); r.code != option.ExitDone || n < 1 || n > 2 {
					t.Errorf("%s: status %d, %d connections of MQTT 5: %s", line, r.code, n, r.err)
				}
			}
		})
	}
	port, _ := only311(t, "\x20\x03\x00\x84\x00")
	chosen := file(t, "five.yaml", "version: 5.0\ngroups: {g: {clients: 10}}")
	for _, line := range []string{"conn --clients 10 -V 5", "run " + chosen} {
		r := mqbench(t, append(words(line), "-p", port, "--duration", "0.1")...)
		if r.code != option.ExitIncomplete || !strings.Contains(r.err, " not supported (0x84)") {
			t.Errorf("%s: status %d, %s", line, r.code, r.err)
		}
	}
	// Options that the broker's version lacks are refused.
	port, _ = only311(t, "\x20\x03\x00\x84\x00")
	refused(t, "session-expiry: needs MQTT 5, and group \"sub\" speaks 3.1.1\n", "sub", "-x", "60", "-p", port)
}

// TestWhatIsWrongWithAServerIsReportedOnce checks that the error has the address, the cause
// and the remedy, and appears once for any number of clients.
func TestWhatIsWrongWithAServerIsReportedOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, answer, options string
		code                  int
		says                  []string
	}{
		{"a web server", "HTTP/1.1 400 Bad Request\r\n\r\n", "", option.ExitUnreached, []string{"127.0.0.1:PORT speaks HTTP, not MQTT (it answered \"HTTP/1.1 400", "use --ws"}},
		{"TLS on a plain port", "\x15\x03\x03\x00\x02\x02\x46", "", option.ExitUnreached, []string{"127.0.0.1:PORT speaks TLS, not MQTT (it answered", "add --tls"}},
		{"TLS to a plain port", "\x20\x02\x00\x01", "--tls --insecure", option.ExitUnreached, []string{"127.0.0.1:PORT closed the connection during the TLS handshake\n", "does this port speak TLS?"}},
		{"WebSocket to a plain port", "\x20\x02\x00\x01", "--ws", option.ExitUnreached, []string{"speaks MQTT, not WebSocket", "plain MQTT"}},
		{"NATS", "INFO {\"server_id\"}\r\n", "", option.ExitUnreached, []string{"127.0.0.1:PORT speaks NATS, not MQTT (it answered \"INFO {"}},
		{"a wrong password", "\x20\x02\x00\x04", "-V 311", option.ExitIncomplete, []string{"40 clients: 127.0.0.1:PORT refused the connection: bad user name or password (0x86) (check --username and --password-file)\n"}},
		{"nothing at all", "", "-V 311", option.ExitUnreached, []string{"40 clients: 127.0.0.1:PORT closed the connection before CONNACK (if the port expects TLS, add --tls"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			port := answering(t, func(nc net.Conn, _ []byte) { _, _ = io.WriteString(nc, c.answer) })
			r := mqbench(t, append(words("conn --clients 40 --duration 0.1 -h 127.0.0.1 "+c.options), "-p", port)...)
			if r.code != c.code {
				t.Errorf("status %d, want %d", r.code, c.code)
			}
			for _, says := range c.says {
				if says = strings.ReplaceAll(says, "PORT", port); !strings.Contains(r.err, says) {
					t.Errorf("it does not say %q:\n%s", says, r.err)
				}
			}
			if n := strings.Count(r.err, "\n"); n > 5 {
				t.Errorf("%d lines:\n%s", n, r.err)
			}
		})
	}
}

// TestASilentServerIsReportedSoon checks that this happens long before the connect timeout.
func TestASilentServerIsReportedSoon(t *testing.T) {
	t.Parallel()
	port := answering(t, func(nc net.Conn, _ []byte) { _, _ = io.Copy(io.Discard, nc) })
	start := time.Now()
	r := mqbench(t, "conn", "--clients", "40", "--duration", "0.1", "-h", "127.0.0.1", "-p", port, "--connect-timeout", "1s", "-V", "311")
	if r.code != option.ExitUnreached || !strings.Contains(r.err, "127.0.0.1:"+port+" accepts connections and does not answer: no CONNACK within 1s; is it an MQTT broker?") ||
		!strings.Contains(r.err, "40 clients: cannot connect to 127.0.0.1:"+port+": no CONNACK within 1s") {
		t.Errorf("status %d after %v, %s", r.code, time.Since(start), r.err)
	}
}

// TestABrokerThatAcceptsAndEndsIsNotHammered checks that connections that end without
// progress are retried ever more slowly.
func TestABrokerThatAcceptsAndEndsIsNotHammered(t *testing.T) {
	t.Parallel()
	var connects atomic.Int64
	port := answering(t, func(nc net.Conn, _ []byte) {
		connects.Add(1)
		_, _ = io.WriteString(nc, "\x20\x02\x00\x00")
		b := make([]byte, 512)
		_, _ = nc.Read(b) // the message, which it does not accept
	})
	plan := file(t, "x.yaml", `phases: {settle: 0s, warm-up: 0s, measure: 2s, drain: 0s}
groups: {p: {clients: 1, version: 3.1.1, reconnect: {first: 10ms, max: 10s}, publish: {topic: a, qos: 2, rate: 10/s}}}`)
	r := mqbench(t, "run", plan, "-p", port)
	// 10 ms, 20, 40 ... 1.28 s, each up to half shorter: at most ten in two seconds, and
	// the probe.
	if n := connects.Load(); n > 11 || n < 3 {
		t.Errorf("%d connections in two seconds: %s", n, r.err)
	}
	if n := strings.Count(r.err, "closed the connection"); n != 1 {
		t.Errorf("reported %d times: %s", n, r.err)
	}
}

// A plan whose clients were all refused or disconnected is incomplete. verify reaches the
// broker through its own proxy, which errors must not mention.
func TestAPlanThatIsNotCarriedOutIsIncomplete(t *testing.T) {
	t.Parallel()
	const refusal, ok = "\x20\x02\x00\x05", "\x20\x02\x00\x00"
	for _, c := range []struct {
		line, answer string
		code         int
		says         string
	}{
		{"conn --clients 4", refusal, option.ExitIncomplete, "no client could connect: ADDR refused the connection: not authorized (0x87) (check "},
		{"search pubsub --clients 4", refusal, option.ExitIncomplete, "no client could connect: ADDR refused the connection: not authorized (0x87) (check "},
		{"verify --clients 4", refusal, option.ExitIncomplete, "no client could connect: ADDR refused the connection: not authorized (0x87) (check "},
		{"conn --clients 4 --procs 2", refusal, option.ExitIncomplete, "no client could connect: ADDR refused the connection: not authorized (0x87) (check "},
		{"verify --clients 4", "", option.ExitUnreached, "no client could connect: ADDR closed the connection before CONNACK (if "},
		{"conn --clients 4", ok, option.ExitIncomplete, "all connections were lost: "},
		{"sub --clients 4", ok, option.ExitIncomplete, "all connections were lost: "},
	} {
		t.Run(c.line, func(t *testing.T) {
			t.Parallel()
			port := answering(t, func(nc net.Conn, _ []byte) { _, _ = io.WriteString(nc, c.answer) })
			r := mqbench(t, append(words(c.line), "-h", "127.0.0.1", "-p", port, "-V", "311")...)
			if says := strings.ReplaceAll(c.says, "ADDR", "127.0.0.1:"+port); r.code != c.code || !strings.Contains(r.err, says) {
				t.Errorf("status %d, want %d with %q:\n%s", r.code, c.code, says, r.err)
			}
			for _, addr := range regexp.MustCompile(`127\.0\.0\.1:\d+`).FindAllString(r.err, -1) {
				if addr != "127.0.0.1:"+port {
					t.Errorf("it mentions %s:\n%s", addr, r.err)
				}
			}
		})
	}
}

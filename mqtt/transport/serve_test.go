package transport

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"testing"
	"time"
)

// serve answers each connection to a loopback port with f, until the test ends.
// It returns the port.
func serve(t *testing.T, f func(net.Conn)) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			// A client that waits forever fails its test before the package
			// times out.
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			f(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return ln.Addr().(*net.TCPAddr).Port
}

// silent listens on a port whose connections are never answered. The context
// times out when the first byte has arrived, even on a busy machine.
func silent(t *testing.T) (ctx context.Context, port int) {
	t.Helper()
	c := &outOfTime{t.Context(), make(chan struct{})}
	return c, serve(t, func(nc net.Conn) {
		if readByte(nc) == nil {
			close(c.up)
		}
		_, _ = io.Copy(io.Discard, nc)
	})
}

// outOfTime is a context whose deadline is an event.
type outOfTime struct {
	context.Context
	up chan struct{}
}

func (c *outOfTime) Done() <-chan struct{} { return c.up }

func (c *outOfTime) Err() error {
	select {
	case <-c.up:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// serveTLS sends one byte to every client that completes the handshake, then
// waits for the end.
func serveTLS(t *testing.T, cfg *tls.Config) int {
	t.Helper()
	return serve(t, func(c net.Conn) {
		tc := tls.Server(c, cfg)
		if tc.Handshake() != nil {
			// Read the client's alert, so that closing does not reset what the
			// client has yet to read.
			_, _ = io.Copy(io.Discard, c)
			return
		}
		_, _ = tc.Write([]byte{'!'})
		_, _ = io.Copy(io.Discard, tc)
	})
}

func loopback(port int, secure bool) *Target {
	return &Target{Network: "tcp", Host: "localhost", Port: port, TLS: secure}
}

// unusedPort returns a port that had a listener a moment ago.
func unusedPort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	n, _ := strconv.Atoi(port)
	return n
}

func readByte(c net.Conn) error {
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

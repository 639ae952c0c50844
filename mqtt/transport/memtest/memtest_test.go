package memtest

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/transport"
)

func TestConnectionsInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New()
		a, err := m.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Accept()
		if err != nil {
			t.Fatal(err)
		}
		// Half-closed: one direction ends, the other continues.
		if _, err := a.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if err := a.(*conn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(b); string(got) != "hello" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		if _, err := b.Write([]byte("world")); err != nil {
			t.Fatal(err)
		}
		b.Close()
		if got, err := io.ReadAll(a); string(got) != "world" || err != nil {
			t.Errorf("behind a half-close: read %q, %v", got, err)
		}
		if _, err := a.Write([]byte("x")); err == nil {
			t.Error("it writes behind a half-close")
		}
		a.Close()

		// A deadline ends a read, and a reset ends everything.
		a, _ = m.Dial(t.Context())
		b, _ = m.Accept()
		start := time.Now()
		a.SetReadDeadline(start.Add(time.Hour))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("deadline: %v after %v", err, time.Since(start))
		}
		a.SetReadDeadline(time.Time{})
		// If one side does not read, the other blocks.
		b.SetWriteDeadline(time.Now().Add(time.Minute))
		if n, err := b.Write([]byte(strings.Repeat("x", bufferSize+1))); n != bufferSize || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d bytes, %v", n, err)
		}
		b.(*conn).reset()
		if _, err := a.Read(make([]byte, 1)); !transport.IsReset(err) {
			t.Errorf("reset: %v", err)
		}
		a.Close()

		m.Close()
		if _, err := m.Dial(context.Background()); !transport.IsRefused(err) {
			t.Errorf("no listener: %v", err)
		}
	})
}

package mqtt

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// bareConn has no deadlines, like an SSH channel or the pipes of a command on
// Windows.
type bareConn struct{ net.Conn }

func (bareConn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (bareConn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (bareConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

func TestAConnectionNeedsNoDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := memtest.New()
		defer m.Close()
		go func() {
			nc, err := m.Accept()
			if err != nil {
				return
			}
			defer nc.Close()
			b := make([]byte, 1024)
			for _, answer := range []string{"\x20\x03\x00\x00\x00", "\x40\x02\x00\x01"} { // CONNACK, PUBACK
				if _, err := nc.Read(b); err != nil {
					t.Error(err)
				}
				_, _ = nc.Write([]byte(answer))
			}
			_, _ = nc.Read(b) // DISCONNECT
		}()
		c, err := connectOver(t.Context(), func(ctx context.Context) (net.Conn, error) {
			nc, err := m.Dial(ctx)
			return bareConn{nc}, err
		}, &Options{Version: packet.V5, KeepAlive: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Publish(t.Context(), &Message{Topic: "t", QoS: 1}); err != nil {
			t.Error(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestASilentServerIsBoundedWithoutDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := memtest.New()
		defer m.Close()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := connectOver(ctx, func(ctx context.Context) (net.Conn, error) {
			nc, err := m.Dial(ctx)
			return bareConn{nc}, err
		}, &Options{Version: packet.V5})
		if took := time.Since(start); err == nil || took != 3*time.Second || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrNoConnack) {
			t.Errorf("got %v after %v", err, took)
		}
	})
}

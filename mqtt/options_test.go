package mqtt

import (
	"context"
	"errors"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// A number meant in another unit, as 30 for 30 s, must not turn into none.
func TestWhatMQTTCannotSayIsRefused(t *testing.T) {
	t.Parallel()
	const never = math.MaxUint32 * time.Second
	delay := func(d time.Duration) *Will { return &Will{Message: Message{Topic: "w"}, Delay: d} }
	for _, row := range []struct {
		it   string
		opt  Options
		says string // "" is that it is taken
	}{
		{"a keep alive of 30 ns", Options{KeepAlive: 30}, "KeepAlive of 30ns: MQTT counts in whole seconds"},
		{"a keep alive of half a second", Options{KeepAlive: 500 * time.Millisecond}, "KeepAlive of 500ms: MQTT counts in whole seconds"},
		{"a keep alive of a second and a half", Options{KeepAlive: 1500 * time.Millisecond}, "whole seconds"},
		{"a keep alive of -1 s", Options{KeepAlive: -time.Second}, "KeepAlive of -1s: it is negative"},
		{"a keep alive of -2 ns", Options{KeepAlive: -2}, "KeepAlive of -2ns: it is negative"},
		{"a keep alive of 65536 s", Options{KeepAlive: 65536 * time.Second}, "KeepAlive of 18h12m16s: the most is 18h12m15s"},
		{"a keep alive of 65535 s", Options{KeepAlive: 65535 * time.Second}, ""},
		{"a keep alive of 1 s", Options{KeepAlive: time.Second}, ""},
		{"no keep alive", Options{KeepAlive: NoKeepAlive}, ""},
		{"a session expiry of 60 ns", Options{SessionExpiry: 60}, "SessionExpiry of 60ns: MQTT counts in whole seconds"},
		{"a session expiry of -1 s", Options{SessionExpiry: -time.Second}, "SessionExpiry of -1s: it is negative"},
		{"a session expiry for ever", Options{SessionExpiry: math.MaxInt64}, ""},
		{"a session expiry of the most", Options{SessionExpiry: never}, ""},
		{"a session expiry just below", Options{SessionExpiry: never - 1}, "whole seconds"},
		{"a will delay of 5 ns", Options{Will: delay(5)}, "Will.Delay of 5ns: MQTT counts in whole seconds"},
		{"a will delay of -1 s", Options{Will: delay(-time.Second)}, "Will.Delay of -1s: it is negative"},
		{"a will delay of the most", Options{Will: delay(never)}, ""},
		{"a will delay above", Options{Will: delay(never + time.Second)}, "Will.Delay of 1193046h28m16s: the most is 1193046h28m15s"},
		{"a window of -1", Options{MaxInflight: -1}, "MaxInflight is negative"},
		{"an older window of -1", Options{OldInflight: -1}, "OldInflight is negative"},
		{"-1 bytes held", Options{MaxHeld: -1}, "MaxHeld is negative"},
		{"a largest packet of -1", Options{MaxPacket: -1}, "MaxPacket is negative"},
		{"a timeout of -1 s", Options{ConnectTimeout: -time.Second}, "ConnectTimeout is negative"},
		{"a timeout of half a second", Options{ConnectTimeout: 500 * time.Millisecond}, ""},
	} {
		dialled := errors.New("dialled")
		_, err := Connect(t.Context(), func(context.Context) (net.Conn, error) { return nil, dialled }, &row.opt)
		switch {
		case row.says == "" && !errors.Is(err, dialled):
			t.Errorf("%s: %v, want it to be taken", row.it, err)
		case row.says != "" && (!errors.Is(err, ErrNotSent) || errors.Is(err, ErrUnreached) || !strings.Contains(err.Error(), row.says)):
			t.Errorf("%s: %v, want %q", row.it, err, row.says)
		}
	}
}

func TestTheKeepAliveOnTheWire(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		keepAlive time.Duration
		wire      string
	}{{0, "003c"}, {NoKeepAlive, "0000"}, {time.Second, "0001"}, {65535 * time.Second, "ffff"}} {
		ps := newPipes()
		go func() {
			_, _ = Connect(t.Context(), ps.dial, &Options{Version: packet.V311, ClientID: "a", KeepAlive: row.keepAlive})
		}()
		p := ps.accept(t)
		p.expect("10 0d 0004 4d515454 04 02 " + row.wire + " 0001 61")
		p.nc.Close()
	}
}

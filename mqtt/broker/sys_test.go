package broker_test

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
)

// Each of the $SYS values counts what its name says.
func TestTheValuesOfTheBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{Version: "v", QueueMessages: 1})
		defer closeBroker(t, b)
		// a is connected, c is absent with a session and a full queue, d is gone.
		for _, connect := range []string{
			`10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "c"`,
			`10 0e 0004 "MQTT" 05 02 0000 00 0001 "d"`,
		} {
			p := connectPipe(t, b)
			p.send(connect)
			p.expect("{ok5}")
			p.send(`82 0c 0001 00 0001 "t" 01 0002 "u/" 01`) // again below: it counts once
			p.expect("90 05 0001 00 01 01")
			p.send(`82 07 0001 00 0001 "t" 01`)
			p.expect("90 04 0001 00 01")
			_ = p.nc.Close()
			synctest.Wait()
		}
		a := connectPipe(t, b)
		a.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`)
		a.expect("{ok5}")
		a.send(`82 10 0001 00 000a "$share/g/v" 00`)
		a.expect("90 04 0001 00 00")
		for _, m := range []string{
			`32 06 0001 "t" 0001 00`, // waits for c
			`32 06 0001 "t" 0002 00`, // is dropped
			`32 06 0001 "t" 0003 00`, // is dropped too
		} {
			a.send(m)
			a.expect("40 02 " + m[15:19])
		}
		a.send(`30 05 0001 "v" 00 "x"`)
		a.expect(`30 05 0001 "v" 00 "x"`)
		a.send(`31 05 0001 "x" 00 "1" 31 05 0001 "y" 00 "1" 31 05 0001 "z" 00 "1" 31 05 0001 "z" 00 "2" 31 04 0001 "y" 00 {ping}`)
		a.expect("{pong}")
		time.Sleep(90*time.Second - time.Nanosecond) // c's session has then expired
		check := func(values map[string]string) {
			t.Helper()
			for name, value := range values {
				name = "$SYS/broker/" + name
				a.send(fmt.Sprintf(`82 %02x 0009 00 00%02x "%s" 00`, 6+len(name), len(name), name))
				a.expect("90 04 0009 00 00")
				want := fmt.Sprintf(`31 %02x 00%02x "%s" 00 "%s"`, 3+len(name)+len(value), len(name), name, value)
				got := make([]byte, len(wireBytes(t, want)))
				if _, err := io.ReadFull(a.nc, got); err != nil || string(got) != string(wireBytes(t, want)) {
					t.Errorf("%s: got %q, %v, want %q", name, got, err, value)
				}
				a.send(fmt.Sprintf(`a2 %02x 000a 00 00%02x "%s"`, 5+len(name), len(name), name))
				a.expect("b0 04 000a 00 00")
			}
		}
		check(map[string]string{"version": "v", "uptime": "89 seconds"})
		check(map[string]string{"subscriptions/count": "2"}) // itself and the shared one
		check(map[string]string{"clients/connected": "1", "clients/total": "1"})
		check(map[string]string{"retained messages/count": "2"})
		check(map[string]string{"messages/received": "9", "publish/messages/dropped": "2"})
		c := connectPipe(t, b)
		c.send(`10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "c"`)
		c.expect("{ok5}")
		check(map[string]string{"clients/connected": "2", "clients/total": "2"})
		_ = c.nc.Close()
		synctest.Wait()
		check(map[string]string{"clients/connected": "1"})
		check(map[string]string{"clients/total": "2"})
		_ = a.nc.Close()
		synctest.Wait()
	})
}

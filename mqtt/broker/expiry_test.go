package broker_test

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
)

// TestMessageExpiryCountsDownInFlight breaks the connections of subscribers with
// unacknowledged messages (MQTT-3.3.2-6). A line of seconds waits; the rest is as for
// talk.
func TestMessageExpiryCountsDownInFlight(t *testing.T) {
	t.Parallel()
	const (
		connect = `a> 10 13 0004 "MQTT" 05 00 0000 05 11 00000258 0001 "a"`
		narrow  = `a> 10 16 0004 "MQTT" 05 00 0000 08 11 00000258 21 0001 0001 "a"`
		sub     = connect + "\na< {ok5}\na> 82 07 0001 00 0001 \"t\" 02\na< 90 04 0001 00 02\n" + b5
		again   = "a> x\n" + connect + "\na< {ok5 present}\n"
		// One, for 60 s, and two, for 10 s.
		one  = "b> 32 0c 0001 \"t\" 0001 05 02 0000003c \"1\"\nb< 40 02 0001\n"
		two  = "b> 32 0c 0001 \"t\" 0001 05 02 0000000a \"2\"\nb< 40 02 0001\n"
		ends = "a> {ping}\na< {pong}\n"
	)
	for _, c := range []conversation{
		{"at each redelivery, and no further", sub + one + `
			a< 32 0c 0001 "t" 0001 05 02 0000003c "1"
			4s
			` + again + `
			a< 3a 0c 0001 "t" 0001 05 02 00000038 "1"
			500ms
			` + again + `
			a< 3a 0c 0001 "t" 0001 05 02 00000038 "1"
			500ms
			` + again + `
			a< 3a 0c 0001 "t" 0001 05 02 00000037 "1"
			56s
			` + again + ends},
		{"beside one that lives on", sub + two + one + `
			a< 32 0c 0001 "t" 0001 05 02 0000000a "2" 32 0c 0001 "t" 0002 05 02 0000003c "1"
			11s
			` + again + `
			a< 3a 0c 0001 "t" 0002 05 02 00000031 "1"
			a> 40 02 0002
			` + ends},
		{"with other properties", sub + `
			b> 32 13 0001 "t" 0001 0c 01 01 02 0000003c 03 0002 6869 "1"
			b< 40 02 0001
			a< 32 13 0001 "t" 0001 0c 01 01 02 0000003c 03 0002 6869 "1"
			1s
			` + again + `
			a< 3a 13 0001 "t" 0001 0c 01 01 03 0002 6869 02 0000003b "1"`},
		{"and one at QoS 2 that was sent is finished", sub + `
			b> 34 0c 0001 "t" 0001 05 02 0000000a "2" 62 02 0001
			b< 50 02 0001 70 02 0001
			a< 34 0c 0001 "t" 0001 05 02 0000000a "2"
			11s
			` + again + `
			a< 3c 0c 0001 "t" 0001 05 02 00000000 "2"
			a> 50 02 0001
			a< 62 02 0001`},
		{"while the Receive Maximum is used up", sub + one + one + two + `
			a< 32 0c 0001 "t" 0001 05 02 0000003c "1" 32 0c 0001 "t" 0002 05 02 0000003c "1" 32 0c 0001 "t" 0003 05 02 0000000a "2"
			a> x
			` + narrow + `
			a< {ok5 present} 3a 0c 0001 "t" 0001 05 02 0000003c "1"
			20s
			a> 40 02 0001
			a< 3a 0c 0001 "t" 0002 05 02 00000028 "1"
			a> 40 02 0002
			` + one + `
			a< 32 0c 0001 "t" 0004 05 02 0000003c "1"`},
		{"to 3.1.1, whose packets have no expiry", `
			a> 10 0d 0004 "MQTT" 04 00 0000 0001 "a"
			a< {ok4}
			a> 82 06 0001 0001 "t" 01
			a< 90 03 0001 01
			` + b5 + two + one + `
			a< 32 06 0001 "t" 0001 "2" 32 06 0001 "t" 0002 "1"
			11s
			a> x
			a> 10 0d 0004 "MQTT" 04 00 0000 0001 "a"
			a< {ok4 present} 3a 06 0001 "t" 0002 "1"
			` + ends},
		{"from 3.1.1 to 5.0", `
			a> 10 0d 0004 "MQTT" 04 00 0000 0001 "a"
			a< {ok4}
			a> 82 06 0001 0001 "t" 01
			a< 90 03 0001 01
			` + b5 + two + one + `
			a< 32 06 0001 "t" 0001 "2" 32 06 0001 "t" 0002 "1"
			11s
			` + again + `
			a< 3a 0c 0001 "t" 0002 05 02 00000031 "1"
			` + ends},
		{"over a shared subscription's lost member", b5 + `
			a> 10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"
			a< {ok5}
			a> 82 10 0001 00 000a "$share/g/t" 01
			a< 90 04 0001 00 01
			` + one + `
			a< 32 0c 0001 "t" 0001 05 02 0000003c "1"
			c> 10 0e 0004 "MQTT" 05 02 0000 00 0001 "c"
			c< {ok5}
			c> 82 10 0001 00 000a "$share/g/t" 01
			c< 90 04 0001 00 01
			4s
			a> x
			c< 32 0c 0001 "t" 0001 05 02 00000038 "1"
			c> 40 02 0001`},
		{"of a will from its publishing on", b5 + `
			b> 82 07 0001 00 0001 "w" 01
			b< 90 04 0001 00 01
			a> 10 25 0004 "MQTT" 05 06 0000 05 11 00000258 0001 "a" 0a 18 00000005 02 0000003c 0001 "w" 0002 "up"
			a< {ok5}
			a> x
			6s
			b< 30 0b 0001 "w" 05 02 0000003c "up"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := broker.New(broker.Options{})
				defer closeBroker(t, b)
				var script []string
				peers := make(map[string]net.Conn)
				play := func() {
					talkWith(t, peers, func() (net.Conn, error) { return connectPipe(t, b).nc, nil }, strings.Join(script, "\n"))
					script = nil
				}
				for line := range strings.SplitSeq(c.script, "\n") {
					if d, err := time.ParseDuration(strings.TrimSpace(line)); err == nil {
						play()
						time.Sleep(d)
						for _, nc := range peers {
							_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
						}
						continue
					}
					script = append(script, line)
				}
				play()
				for _, nc := range peers {
					_ = nc.Close()
				}
				synctest.Wait()
			})
		})
	}
}

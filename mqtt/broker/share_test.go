package broker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
)

// TestAMemberOfASharedSubscriptionDies has two members, a and b; a ends while it owes
// an acknowledgement (section 4.8.2).
//
// It shows MQTT-3.3.2-6.
func TestAMemberOfASharedSubscriptionDies(t *testing.T) {
	t.Parallel()
	const (
		short = `10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`
		long  = `10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "a"`
		one   = `10 11 0004 "MQTT" 05 02 0000 03 21 0001 0001 "a"` // receive maximum 1
	)
	for _, c := range []struct {
		name, connect, qos string
		publish            []string // to a, b, a and so on
		reach              []string // a, of publish
		refuse             string   // a's acknowledgement
		after              time.Duration
		adopted            string
	}{
		{"QoS 1 goes to the other", short, "01", []string{`32 07 0001 "t" 0001 00 "1"`}, []string{`32 07 0001 "t" 0001 00 "1"`}, "", 0,
			`32 07 0001 "t" 0001 00 "1"`},
		{"QoS 1 waits for a session that may come back, and its expiry goes on", long, "01", []string{`32 0c 0001 "t" 0001 05 02 00000064 "1"`},
			[]string{`32 0c 0001 "t" 0001 05 02 00000064 "1"`}, "", time.Minute, `32 0c 0001 "t" 0001 05 02 00000028 "1"`},
		{"a begun QoS 2 does not (MQTT-4.8.2-5)", short, "02", []string{`34 07 0001 "t" 0001 00 "1"`}, []string{`34 07 0001 "t" 0001 00 "1"`}, "", 0, ""},
		{"a refused one does not (MQTT-4.8.2-6)", short, "01", []string{`32 07 0001 "t" 0001 00 "1"`}, []string{`32 07 0001 "t" 0001 00 "1"`},
			"40 03 0001 80", 0, ""},
		{"a QoS 2 that has not begun does", one, "02", []string{`34 07 0001 "t" 0001 00 "1"`, `30 05 0001 "t" 00 "2"`, `34 07 0001 "t" 0003 00 "3"`},
			[]string{`34 07 0001 "t" 0001 00 "1"`}, "", 0, `34 07 0001 "t" 0001 00 "3"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := broker.New(broker.Options{})
				defer closeBroker(t, b)
				join := func(connect string) *pipePeer {
					p := connectPipe(t, b)
					p.send(connect)
					p.expect("{ok5}")
					p.send(`82 10 0001 00 000a "$share/g/t" ` + c.qos)
					p.expect("90 04 0001 00 " + c.qos)
					return p
				}
				dying, other := join(c.connect), join(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "b"`)
				pub := connectPipe(t, b)
				pub.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "p"`)
				pub.expect("{ok5}")
				for i, m := range c.publish {
					pub.send(m)
					switch m[:2] {
					case "32":
						pub.expect("40 02 0001")
					case "34":
						pub.expect([]string{"50 02 0001", "", "50 02 0003"}[i])
					}
					if i%2 == 1 {
						other.expect(m)
					}
				}
				for _, m := range c.reach {
					dying.expect(m)
				}
				if c.refuse != "" {
					dying.send(c.refuse)
				}
				dying.send("{ping}")
				dying.expect("{pong}")
				start := time.Now()
				_ = dying.nc.Close()
				if c.adopted != "" {
					other.expect(c.adopted)
					if d := time.Since(start); d != c.after {
						t.Errorf("the other member got the message after %v, want %v", d, c.after)
					}
				}
				synctest.Wait()
				other.send("{ping}")
				other.expect("{pong}")
				_, _ = other.nc.Close(), pub.nc.Close()
				synctest.Wait()
			})
		})
	}
}

// A message that moves has the subscription identifier of the member that gets it, and
// never that of the one that did not take it (MQTT-3.3.4-3), whether it was sent or
// waited. Retain As Published, too, is that of the new member.
func TestAMovedMessageIsTheNewMembers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, id, moved string }{
		{"with an identifier", "02 0b07", `32 09 0001 "t" 0001 02 0b07 "1" 32 09 0001 "t" 0002 02 0b07 "3"`},
		{"without one", "00", `32 07 0001 "t" 0001 00 "1" 32 07 0001 "t" 0002 00 "3"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := broker.New(broker.Options{})
				defer closeBroker(t, b)
				a, other, pub := connectPipe(t, b), connectPipe(t, b), connectPipe(t, b)
				a.send(`10 11 0004 "MQTT" 05 02 0000 03 21 0001 0001 "a"`) // receive maximum 1
				a.expect("{ok5}")
				a.send(`82 12 0001 02 0b05 000a "$share/g/t" 09`)
				a.expect("90 04 0001 00 01")
				other.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "b"`)
				other.expect("{ok5}")
				size := map[string]string{"00": "10", "02 0b07": "12"}[c.id]
				other.send(`82 ` + size + ` 0001 ` + c.id + ` 000a "$share/g/t" 01`)
				other.expect("90 04 0001 00 01")
				pub.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "p"`)
				pub.expect("{ok5}")
				pub.send(`33 07 0001 "t" 0001 00 "1"`) // a's
				pub.expect("40 02 0001")
				a.expect(`33 09 0001 "t" 0001 02 0b05 "1"`)
				pub.send(`30 05 0001 "t" 00 "2"`) // b's
				other.expect(map[string]string{"00": `30 05 0001 "t" 00 "2"`, "02 0b07": `30 07 0001 "t" 02 0b07 "2"`}[c.id])
				pub.send(`33 07 0001 "t" 0003 00 "3"`) // a's, and waits
				pub.expect("40 02 0003")
				_ = a.nc.Close()
				other.expect(c.moved)
				_, _ = other.nc.Close(), pub.nc.Close()
				synctest.Wait()
			})
		})
	}
}

func TestTheBrokerPublishesItsValues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{})
		defer closeBroker(t, b)
		p := connectPipe(t, b)
		p.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`)
		p.expect("{ok5}")
		p.send(`82 07 0001 00 0001 "#" 00`)
		p.expect("90 04 0001 00 00")
		p.send(`82 18 0002 00 0012 "$SYS/broker/uptime" 00 82 23 0003 00 001d "$SYS/broker/clients/connected" 08`)
		p.expect(`90 04 0002 00 00 31 1e 0012 "$SYS/broker/uptime" 00 "0 seconds"`)
		p.expect(`90 04 0003 00 00 31 21 001d "$SYS/broker/clients/connected" 00 "1"`)
		// by virtual time; the other value is unchanged
		p.expect(`30 1f 0012 "$SYS/broker/uptime" 00 "10 seconds"`)
		q := connectPipe(t, b)
		q.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "b"`)
		q.expect("{ok5}")
		p.send(`a2 17 0004 00 0012 "$SYS/broker/uptime"`)
		p.expect("b0 04 0004 00 00")
		p.expect(`31 21 001d "$SYS/broker/clients/connected" 00 "2"`) // retain as published
		p.send(`a2 22 0005 00 001d "$SYS/broker/clients/connected"`)
		p.expect("b0 04 0005 00 00")
		if n := b.Stats().Retained; n != 0 {
			t.Errorf("%d retained messages", n)
		}
		time.Sleep(time.Minute)
		p.send("{ping}")
		p.expect("{pong}")
		_, _ = p.nc.Close(), q.nc.Close()
		synctest.Wait()
	})
	t.Run("off", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := broker.New(broker.Options{SysInterval: -1})
			defer closeBroker(t, b)
			p := connectPipe(t, b)
			p.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`)
			p.expect("{ok5}")
			p.send(`82 0c 0001 00 0006 "$SYS/#" 00 {ping}`)
			p.expect("90 04 0001 00 00 {pong}")
			time.Sleep(time.Minute)
			p.send("{ping}")
			p.expect("{pong}")
			_ = p.nc.Close()
			synctest.Wait()
		})
	})
}

package broker_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
)

const connectW = `10 0e 0004 "MQTT" 05 02 0000 00 0001 "w"`

// inBubble runs f with a publisher of MQTT 5 in virtual time.
func inBubble(t *testing.T, o broker.Options, f func(b *broker.Broker, w *pipePeer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(o)
		defer closeBroker(t, b)
		w := connectPipe(t, b)
		w.send(connectW)
		w.expect("{ok5}")
		f(b, w)
		_ = w.nc.Close()
		synctest.Wait()
	})
}

// connectKept connects a client that keeps its session. present says whether one must
// exist.
func connectKept(t *testing.T, b *broker.Broker, present bool) *pipePeer {
	t.Helper()
	p := connectPipe(t, b)
	p.send(`10 13 0004 "MQTT" 05 00 0000 05 11 00000e10 0001 "a"`)
	if present {
		p.expect("{ok5 present}")
	} else {
		p.expect("{ok5}")
	}
	return p
}

// leaveSubscribed connects a client with a session, subscribes to t at QoS 1, and
// closes.
func leaveSubscribed(t *testing.T, b *broker.Broker) {
	t.Helper()
	p := connectKept(t, b, false)
	p.send(`82 07 0001 00 0001 "t" 01`)
	p.expect("90 04 0001 00 01")
	_ = p.nc.Close()
	synctest.Wait()
}

func TestAFullStoreReplacesWhatATopicHas(t *testing.T) {
	t.Parallel()
	inBubble(t, broker.Options{MaxRetained: 1}, func(_ *broker.Broker, w *pipePeer) {
		w.send(`33 07 0001 "r" 0001 00 "1"`)
		w.expect("40 03 0001 10")
		w.send(`33 07 0001 "s" 0002 00 "1"`)
		w.expect("40 03 0002 97")
		w.send(`33 07 0001 "r" 0003 00 "2"`)
		w.expect("40 03 0003 10")
		w.send(`82 07 0004 00 0001 "r" 00`)
		w.expect(`90 04 0004 00 00 31 05 0001 "r" 00 "2"`)
	})
}

func TestAReplacementThatDoesNotFitLeavesTheOldMessage(t *testing.T) {
	t.Parallel()
	inBubble(t, broker.Options{MaxRetainedBytes: 4000}, func(_ *broker.Broker, w *pipePeer) {
		w.send(`33 07 0001 "r" 0001 00 "1"`)
		w.expect("40 03 0001 10")
		w.send(fmt.Sprintf(`33 c6 3e 0001 "r" 0002 00 %x`, bytes.Repeat([]byte("x"), 8000)))
		w.expect("40 03 0002 97")
		w.send(`82 07 0003 00 0001 "r" 00`)
		w.expect(`90 04 0003 00 00 31 05 0001 "r" 00 "1"`)
	})
}

func TestTopicsBesideSysAreTheClients(t *testing.T) {
	t.Parallel()
	inBubble(t, broker.Options{}, func(_ *broker.Broker, w *pipePeer) {
		w.send(`32 0a 0004 "$SYS" 0001 00 "1"`)
		w.expect("40 03 0001 10")
		w.send(`32 0b 0005 "$SYST" 0002 00 "1"`)
		w.expect("40 03 0002 10")
		w.send(`32 0c 0006 "$SYS/a" 0003 00 "1"`)
		w.expect("40 03 0003 87")
	})
}

// The interval begins when the will is published (MQTT-3.3.2-5, section 3.1.3.2.4).
func TestTheExpiryOfADelayedWillBeginsLate(t *testing.T) {
	t.Parallel()
	inBubble(t, broker.Options{}, func(b *broker.Broker, _ *pipePeer) {
		leaveSubscribed(t, b)
		v := connectPipe(t, b)
		v.send(`10 24 0004 "MQTT" 05 0e 0000 05 11 0000003c 0001 "v" 0a 18 0000000a 02 00000005 0001 "t" 0001 "x"`)
		v.expect("{ok5}")
		_ = v.nc.Close()
		time.Sleep(13 * time.Second)
		a := connectKept(t, b, true)
		a.expect(`32 0c 0001 "t" 0001 05 02 00000002 "x"`)
		_ = a.nc.Close()
	})
}

func TestAMessageExpiresWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	for waits, comes := range map[time.Duration]bool{4 * time.Second: true, 5 * time.Second: false} {
		inBubble(t, broker.Options{}, func(b *broker.Broker, w *pipePeer) {
			leaveSubscribed(t, b)
			w.send(`32 0c 0001 "t" 0002 05 02 00000005 "1"`)
			w.expect("40 02 0002")
			time.Sleep(waits)
			a := connectKept(t, b, true)
			if comes {
				a.expect(`32 0c 0001 "t" 0001 05 02 00000001 "1"`)
			}
			a.send("{ping}")
			a.expect("{pong}")
			_ = a.nc.Close()
		})
	}
}

func TestSettingsThatAreZeroGetTheirDefaults(t *testing.T) {
	t.Parallel()
	var o broker.Options
	o.Fill()
	for name, same := range map[string]bool{
		"ConnectRate is 1000":      o.ConnectRate == 1000,
		"ReceiveMaximum is 1024":   o.ReceiveMaximum == 1024,
		"TopicAliasMaximum is 64":  o.TopicAliasMaximum == 64,
		"SendAliases is 64":        o.SendAliases == 64,
		"SysInterval is 10 s":      o.SysInterval == 10*time.Second,
		"ConnectTimeout is 5 s":    o.ConnectTimeout == 5*time.Second,
		"StallTimeout is 10 s":     o.StallTimeout == 10*time.Second,
		"MaxConnections is 50,000": o.MaxConnections == 50_000,
	} {
		if !same {
			t.Errorf("not so: %s", name)
		}
	}
	off := broker.Options{ConnectRate: -1, SendAliases: -1, SysInterval: -1, DisableTopicAliases: true}
	off.Fill()
	if off.ConnectRate != -1 || off.SendAliases != 0 || off.SysInterval != -1 || off.TopicAliasMaximum != 0 {
		t.Errorf("what is off is on: %+v", off)
	}
}

func TestASubscriptionIsReplacedAtTheLimit(t *testing.T) {
	t.Parallel()
	inBubble(t, broker.Options{MaxSubscriptions: 1}, func(_ *broker.Broker, w *pipePeer) {
		w.send(`82 07 0001 00 0001 "t" 00`)
		w.expect("90 04 0001 00 00")
		w.send(`82 07 0002 00 0001 "u" 00`)
		w.expect("90 04 0002 00 97")
		w.send(`82 07 0003 00 0001 "t" 01`)
		w.expect("90 04 0003 00 01")
	})
}

func TestAMemberThatSubscribesAgainIsThereOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, broker.Options{}, func(_ *broker.Broker, w *pipePeer) {
		w.send(`82 10 0001 00 000a "$share/g/t" 00`)
		w.expect("90 04 0001 00 00")
		w.send(`82 10 0002 00 000a "$share/g/t" 00`)
		w.expect("90 04 0002 00 00")
		w.send(`a2 0f 0003 00 000a "$share/g/t"`)
		w.expect("b0 04 0003 00 00")
		w.send(`32 07 0001 "t" 0004 00 "x"`)
		w.expect("40 03 0004 10") // no member is left
	})
}

func TestAnAdoptedMessageHasTheQoSOfItsNewMember(t *testing.T) {
	t.Parallel()
	inBubble(t, broker.Options{}, func(b *broker.Broker, w *pipePeer) {
		a := connectPipe(t, b)
		a.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`)
		a.expect("{ok5}")
		a.send(`82 10 0001 00 000a "$share/g/t" 01`)
		a.expect("90 04 0001 00 01")
		w.send(`32 07 0001 "t" 0001 00 "x"`)
		w.expect("40 02 0001")
		a.expect(`32 07 0001 "t" 0001 00 "x"`)
		w.send(`82 10 0002 00 000a "$share/g/t" 00`)
		w.expect("90 04 0002 00 00")
		_ = a.nc.Close() // unacknowledged
		w.expect(`30 05 0001 "t" 00 "x"`)
	})
}

func TestAnExpiryOf0IsAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, broker.Options{}, func(b *broker.Broker, w *pipePeer) {
		leaveSubscribed(t, b)
		w.send(`32 0c 0001 "t" 0002 05 02 00000000 "1"`)
		w.expect("40 02 0002")
		time.Sleep(time.Second)
		a := connectKept(t, b, true)
		a.send("{ping}")
		a.expect("{pong}")
		_ = a.nc.Close()
	})
}

func TestAMemberThatSubscribesAgainHasOneTurn(t *testing.T) {
	t.Parallel()
	inBubble(t, broker.Options{}, func(b *broker.Broker, w *pipePeer) {
		a := connectPipe(t, b)
		a.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`)
		a.expect("{ok5}")
		w.send(`82 10 0001 00 000a "$share/g/t" 00`)
		w.expect("90 04 0001 00 00")
		a.send(`82 10 0001 00 000a "$share/g/t" 00`)
		a.expect("90 04 0001 00 00")
		w.send(`82 10 0002 00 000a "$share/g/t" 00`)
		w.expect("90 04 0002 00 00")
		for _, n := range []int{1, 3, 5} {
			w.send(fmt.Sprintf(`30 05 0001 "t" 00 "%d" 30 05 0001 "t" 00 "%d"`, n, n+1))
			w.expect(fmt.Sprintf(`30 05 0001 "t" 00 "%d"`, n))
			a.expect(fmt.Sprintf(`30 05 0001 "t" 00 "%d"`, n+1))
		}
		_ = a.nc.Close()
	})
}

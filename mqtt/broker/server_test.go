package broker_test

import (
	"testing"
	"testing/synctest"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// TestSettings has conversations with brokers whose options are not the defaults.
func TestSettings(t *testing.T) {
	t.Parallel()
	elsewhere := &broker.Redirect{Reason: packet.UseAnotherServer, Reference: "other:1883"}
	for _, c := range []struct {
		name   string
		o      broker.Options
		script string
	}{
		{"a client too narrow for CONNACK is refused", broker.Options{}, `
			a> 10 13 0004 "MQTT" 05 02 0000 05 27 0000000f 0001 "a"
			a< 20 03 00 95 00
			a< x`},
		{"a reason string that does not fit stays away", broker.Options{MaxConnections: 1}, a5 + `
			b> 10 13 0004 "MQTT" 05 02 0000 05 27 00000010 0001 "b"
			b< 20 03 00 89 00
			b< x`},
		{"a SUBACK that does not fit ends the connection", broker.Options{}, `
			a> 10 13 0004 "MQTT" 05 02 0000 05 27 00000010 0001 "a"
			a< {ok5}
			a> 82 33 0001 00 12*00017400
			a< e0 01 95
			a< x`},
		{"a will on $SYS is refused", broker.Options{}, `
			a> 10 1b 0004 "MQTT" 05 06 0000 00 0001 "a" 00 0006 "$SYS/w" 0002 "up"
			a< 20 30 00 87 2d 1f 002a "the will: $SYS topics are the server's own"
			a< x`},
		{"a will that may not be published is refused", broker.Options{Authorize: func(_, _, topic string, write bool) bool { return !write || topic != "w" }}, `
			a> 10 16 0004 "MQTT" 05 06 0000 00 0001 "a" 00 0001 "w" 0002 "up"
			a< 20 23 00 87 20 1f 001d "the will may not be published"
			a< x`},
		{"redirected at CONNECT", broker.Options{Redirect: elsewhere}, `
			a> 10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"
			a< 20 10 00 9c 0d 1c 000a "other:1883"
			a< x
			b> 10 0d 0004 "MQTT" 04 02 0000 0001 "b"
			b< 20 02 00 03
			b< x`},
		{"response information for who asks", broker.Options{ResponsePrefix: "reply/"}, a5 + `
			b> 10 10 0004 "MQTT" 05 02 0000 02 1901 0001 "b"
			b< 20 18 00 00 15 21 0400 27 01000000 22 0040 1a 0007 "reply/b"
			c> 10 12 0004 "MQTT" 05 02 0000 02 1901 0003 "c/#"
			c< 20 1e 00 00 1b 21 0400 27 01000000 22 0040 1a 000d "reply/c%2F%23"`},
		{"no response information without a setting", broker.Options{}, `
			a> 10 10 0004 "MQTT" 05 02 0000 02 1901 0001 "a"
			a< {ok5}`},
		{"a topic alias of ours from the second message on, if it saves bytes", broker.Options{}, a5 + `
			b> 10 11 0004 "MQTT" 05 02 0000 03 22 0005 0001 "b"
			b< {ok5}
			b> 82 0b 0001 00 0001 "#" 00 0001 "t" 00
			b< 90 05 0001 00 00 00
			a> 30 07 0003 "top" 00 "1" 30 07 0003 "top" 00 "2"
			b< 30 07 0003 "top" 00 "1" 30 07 0003 "top" 00 "2"
			a> 30 09 0005 "topic" 00 "1" 30 09 0005 "topic" 00 "2"
			b< 30 0c 0005 "topic" 03 23 0001 "1" 30 07 0000 03 23 0001 "2"`},
		{"no topic aliases to clients", broker.Options{SendAliases: -1}, a5 + `
			b> 10 11 0004 "MQTT" 05 02 0000 03 22 0005 0001 "b"
			b< {ok5}
			b> 82 07 0001 00 0001 "#" 00
			b< 90 04 0001 00 00
			a> 30 09 0005 "topic" 00 "1"
			b< 30 09 0005 "topic" 00 "1"`},
		{"no topic aliases from clients", broker.Options{DisableTopicAliases: true}, `
			a> 10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"
			a< 20 0b 00 00 08 21 0400 27 01000000
			a> 30 07 0001 "t" 03 23 0001
			a< e0 01 94
			a< x`},
		{"neither wildcards nor subscription identifiers nor shared ones", broker.Options{DisableWildcards: true, DisableSubscriptionIDs: true, DisableSharedGroups: true}, `
			a> 10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"
			a< 20 14 00 00 11 21 0400 27 01000000 22 0040 28 00 29 00 2a 00
			a> 82 0d 0001 00 0003 "t/+" 00 0001 "t" 00
			a< 90 05 0001 00 a2 00
			a> 82 10 0002 00 000a "$share/g/t" 00
			a< 90 04 0002 00 9e
			a> 82 09 0003 02 0b05 0001 "t" 00
			a< 90 04 0003 00 a1
			b> 10 0d 0004 "MQTT" 04 02 0000 0001 "b"
			b< {ok4}
			b> 82 06 0001 0001 "#" 00
			b< 90 03 0001 80`},
		{"reason strings", broker.Options{ReasonStrings: true, MaxTopicBytes: 6}, a5 + `
			a> 32 0b 0006 "$SYS/a" 0001 00
			a< 40 27 0001 87 23 1f 0020 "$SYS topics are the server's own"
			a> 82 0d 0002 00 0007 "a/b/c/d" 00
			a< 90 3b 0002 37 1f 0034 22 "a/b/c/d" 22 " is longer than this server's topic filters" 8f
			a> 30 06 0001 "t" 02 0b01
			a< e0 4c 82 4a 1f 0047 "illegal PUBLISH: a subscription identifier from a client [MQTT-3.3.4-6]"
			a< x`},
		{"no reason strings in acknowledgements for who does not want them", broker.Options{ReasonStrings: true, MaxTopicBytes: 6}, `
			a> 10 10 0004 "MQTT" 05 02 0000 02 1700 0001 "a"
			a< {ok5}
			a> 32 0b 0006 "$SYS/a" 0001 00
			a< 40 03 0001 87
			a> 82 0d 0002 00 0007 "a/b/c/d" 00
			a< 90 04 0002 00 8f`},
		{"no local includes the client's own retained messages", broker.Options{}, a5 + b5 + `
			a> 31 06 0001 "t" 00 "me"
			b> 31 06 0001 "u" 00 "it"
			b> {ping}
			b< {pong}
			a> 82 07 0001 00 0001 "+" 04
			a< 90 04 0001 00 00 31 06 0001 "u" 00 "it"
			a> {ping}
			a< {pong}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, addr := brokertest.StartWith(t, c.o)
			talk(t, addr, c.script)
		})
	}
}

func TestShutdownNamesAnotherServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{ShutdownRedirect: &broker.Redirect{Reason: packet.ServerMoved, Reference: "other:1883"}})
		p := connectPipe(t, b)
		p.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`)
		p.expect("{ok5}")
		go closeBroker(t, b)
		p.expect(`e0 0f 9d 0d 1c 000a "other:1883"`)
		p.end()
		synctest.Wait()
	})
}

// MQTT-3.1.3-6, -7: MQTT 5.0 allows an empty client ID without a clean start.
func TestAnAssignedClientIdentifierIsReturned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{})
		defer closeBroker(t, b)
		p := connectPipe(t, b)
		p.send(`10 0d 0004 "MQTT" 05 00 0000 00 0000`)
		p.expect(`20 28 00 00 25 12 0017 "auto-"`)
		_ = p.nc.Close()
		synctest.Wait()
	})
}

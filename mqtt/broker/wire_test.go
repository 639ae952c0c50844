package broker_test

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// The openings of conversations, written by hand from the specifications.
var macros = strings.NewReplacer(
	"{ok4}", "20 02 00 00",
	"{ok4 present}", "20 02 01 00",
	// receive maximum 1024, maximum packet size 16 MiB, topic alias maximum 64
	"{ok5}", "20 0e 00 00 0b 21 0400 27 01000000 22 0040",
	"{ok5 present}", "20 0e 01 00 0b 21 0400 27 01000000 22 0040",
	"{ping}", "c0 00", "{pong}", "d0 00",
)

// wireBytes parses hex digits and texts in double quotes. A number with a star repeats
// the token after it.
func wireBytes(t *testing.T, s string) []byte {
	t.Helper()
	var out []byte
	s = macros.Replace(s)
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		if s[0] == '(' {
			s = s[strings.IndexByte(s, ')')+1:]
			continue
		}
		times := 1
		if i := strings.IndexByte(s, '*'); i > 0 && i < 7 && !strings.ContainsAny(s[:i], " \"") {
			n, err := strconv.Atoi(s[:i])
			if err != nil {
				t.Fatal(err)
			}
			times, s = n, s[i+1:]
		}
		var part []byte
		if s[0] == '"' {
			end := 1 + strings.IndexByte(s[1:], '"')
			part, s = []byte(s[1:end]), s[end+1:]
		} else {
			end := strings.IndexAny(s, " \t")
			if end < 0 {
				end = len(s)
			}
			b, err := hex.DecodeString(s[:end])
			if err != nil {
				t.Fatalf("%q: %v", s, err)
			}
			part, s = b, s[end:]
		}
		out = append(out, bytes.Repeat(part, times)...)
	}
	return out
}

// ways are how bad bytes arrive: whole, byte by byte, after a valid packet, or over
// TLS, where the end of the stream is a separate message.
var ways = []string{"whole", "byte by byte", "behind a PINGREQ", "over TLS", "over WebSocket"}

// inWay rewrites the last sending line of a conversation for a way. The way after a
// PINGREQ needs a connection that is up.
func inWay(script, way string) (rewritten string, ok bool) {
	at := strings.LastIndex(script, "a> ")
	if strings.HasSuffix(script, "{pong}") { // the line before the closing ping
		at = strings.LastIndex(script[:at], "a> ")
	}
	end := at + strings.IndexByte(script[at:], '\n')
	switch way {
	case "byte by byte":
		return script[:at] + "a: " + script[at+3:end] + script[end:], true
	case "behind a PINGREQ":
		return script[:at] + "a> {ping} " + script[at+3:end] + "\na< {pong}" + script[end:], strings.Contains(script, "{ok")
	}
	return script, true
}

// talk plays a conversation. Each line is a peer's letter, an arrow, and bytes: > sends
// them, : sends them one by one, < expects them, and "x" stands for the end of the
// stream. A peer connects when it is first named.
func talk(t *testing.T, addr, script string) {
	t.Helper()
	talkOver(t, func() (net.Conn, error) { return net.Dial("tcp", addr) }, script)
}

// talkOver is talk over connections of any kind.
func talkOver(t *testing.T, dial func() (net.Conn, error), script string) {
	t.Helper()
	peers := map[string]net.Conn{}
	defer func() {
		for _, nc := range peers {
			_ = nc.Close()
		}
	}()
	talkWith(t, peers, dial, script)
}

// talkWith plays a part of a conversation with the given peers.
func talkWith(t *testing.T, peers map[string]net.Conn, dial func() (net.Conn, error), script string) {
	t.Helper()
	for n, line := range strings.Split(script, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, rest := line[:1], strings.TrimSpace(line[2:])
		nc := peers[name]
		if nc == nil {
			var err error
			if nc, err = dial(); err != nil {
				t.Fatal(err)
			}
			_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
			peers[name] = nc
		}
		switch {
		case line[1] == '>' && rest == "x":
			_ = nc.Close()
			delete(peers, name)
		case line[1] == ':':
			for _, b := range wireBytes(t, rest) {
				if _, err := nc.Write([]byte{b}); err != nil {
					break // ended at an earlier byte already
				}
			}
		case line[1] == '>':
			if _, err := nc.Write(wireBytes(t, rest)); err != nil {
				t.Fatalf("line %d: %s: %v", n+1, line, err)
			}
		case rest == "x":
			if b, err := io.ReadAll(nc); err != nil || len(b) > 0 {
				t.Fatalf("line %d: %s: got % x, %v, want the end of the stream", n+1, line, b, err)
			}
			delete(peers, name)
			_ = nc.Close()
		default:
			want := wireBytes(t, rest)
			got := make([]byte, len(want))
			k, err := io.ReadFull(nc, got)
			if !bytes.Equal(got[:k], want) || err != nil {
				t.Fatalf("line %d: %s:\n got % x, %v\nwant % x", n+1, line, got[:k], err, want)
			}
		}
	}
}

const (
	a4     = "\na> 10 0d 0004 \"MQTT\" 04 02 0000 0001 \"a\"\na< {ok4}\n"
	b4     = "\nb> 10 0d 0004 \"MQTT\" 04 02 0000 0001 \"b\"\nb< {ok4}\n"
	a5     = "\na> 10 0e 0004 \"MQTT\" 05 02 0000 00 0001 \"a\"\na< {ok5}\n"
	b5     = "\nb> 10 0e 0004 \"MQTT\" 05 02 0000 00 0001 \"b\"\nb< {ok5}\n"
	c5     = "\nc> 10 0e 0004 \"MQTT\" 05 02 0000 00 0001 \"c\"\nc< {ok5}\n"
	a5keep = "\na> 10 13 0004 \"MQTT\" 05 00 0000 05 11 0000003c 0001 \"a\"\n"
)

func TestConversations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script string }{
		{"QoS 0 from 3.1.1 to 3.1.1", a4 + b4 + `
			a> 82 08 0001 0003 "t/+" 00
			a< 90 03 0001 00
			b> 30 07 0003 "t/x" "hi"
			a< 30 07 0003 "t/x" "hi"`},
		{"3.1 is spoken", `
			a> 10 0f 0006 "MQIsdp" 03 02 0000 0001 "a"
			a< {ok4}
			a> 82 06 0001 0001 "t" 00
			a< 90 03 0001 00
			a> 30 05 0001 "t" "hi"
			a< 30 05 0001 "t" "hi"`},
		{"QoS 1 to QoS 1, and the publisher learns of missing subscribers", a5 + b5 + `
			b> 32 06 0001 "t" 0001 00
			b< 40 03 0001 10
			a> 82 07 0009 00 0001 "t" 01
			a< 90 04 0009 00 01
			b> 32 08 0001 "t" 0002 00 "hi"
			a< 32 08 0001 "t" 0001 00 "hi"
			b< 40 02 0002
			a> 40 02 0001
			a> {ping}
			a< {pong}`},
		{"QoS 2 whole, with a duplicate that is not delivered", a4 + b4 + `
			a> 82 06 0001 0001 "t" 02
			a< 90 03 0001 02
			b> 34 07 0001 "t" 0005 "hi"
			b< 50 02 0005
			b> 3c 07 0001 "t" 0005 "hi"
			b< 50 02 0005
			b> 62 02 0005
			b< 70 02 0005
			a< 34 07 0001 "t" 0001 "hi"
			a> 50 02 0001
			a< 62 02 0001
			a> 70 02 0001
			a> {ping}
			a< {pong}`},
		{"the lower QoS wins", a4 + b4 + `
			a> 82 06 0001 0001 "t" 00
			a< 90 03 0001 00
			b> 34 07 0001 "t" 0005 "hi"
			b< 50 02 0005
			a< 30 05 0001 "t" "hi"`},
		{"retained: kept, replaced, sent with the flag, and live ones without", b4 + `
			b> 31 05 0001 "t" "v1"
			b> 31 05 0001 "t" "v2"
			b> {ping}
			b< {pong}` + a4 + `
			a> 82 06 0001 0001 "t" 00
			a< 90 03 0001 00
			a< 31 05 0001 "t" "v2"
			b> 31 05 0001 "t" "v3"
			a< 30 05 0001 "t" "v3"
			b> 31 03 0001 "t"
			a< 30 03 0001 "t"
			a> 82 06 0002 0001 "t" 00
			a< 90 03 0002 00
			a> {ping}
			a< {pong}`},
		{"retain handling 1 and 2, retain as published", b5 + `
			b> 31 06 0001 "t" 00 "v1"
			b> {ping}
			b< {pong}` + a5 + `
			# 2: never
			a> 82 07 0001 00 0001 "t" 20
			a< 90 04 0001 00 00
			# 1: not for a subscription that exists
			a> 82 07 0002 00 0001 "t" 18
			a< 90 04 0002 00 00
			a> {ping}
			a< {pong}
			b> 31 06 0001 "t" 00 "v2"
			a< 31 06 0001 "t" 00 "v2"
			a> a2 06 0003 00 0001 "t"
			a< b0 04 0003 00 00
			a> 82 07 0004 00 0001 "t" 18
			a< 90 04 0004 00 00
			a< 31 06 0001 "t" 00 "v2"`},
		{"no local", a5 + `
			a> 82 07 0001 00 0001 "t" 04
			a< 90 04 0001 00 00
			a> 30 04 0001 "t" 00
			a> {ping}
			a< {pong}`},
		{"overlapping subscriptions: one copy, highest QoS, all identifiers", a5 + b5 + `
			a> 82 09 0001 02 0b05 0001 "t" 00
			a< 90 04 0001 00 00
			a> 82 09 0002 02 0b07 0001 "#" 01
			a< 90 04 0002 00 01
			b> 32 08 0001 "t" 0001 00 "hi"
			a< 32 0c 0001 "t" 0001 04 0b07 0b05 "hi"
			b< 40 02 0001
			a> {ping}
			a< {pong}`},
		{"overlapping subscriptions: retained as published if one of them has it", a5 + b5 + `
			a> 82 0b 0001 00 0001 "t" 20 0001 "#" 28
			a< 90 05 0001 00 00 00
			b> 31 06 0001 "t" 00 "v1"
			a< 31 06 0001 "t" 00 "v1"
			a> 82 0b 0002 00 0001 "t" 28 0001 "#" 20
			a< 90 05 0002 00 00 00
			b> 31 06 0001 "t" 00 "v2" 30 06 0001 "t" 00 "v3"
			a< 31 06 0001 "t" 00 "v2" 30 06 0001 "t" 00 "v3"
			a> 82 07 0003 00 0001 "t" 20
			a< 90 04 0003 00 00
			b> 31 06 0001 "t" 00 "v4"
			a< 30 06 0001 "t" 00 "v4"
			a> {ping}
			a< {pong}`},
		{"properties pass through, in order", a5 + b5 + `
			a> 82 07 0001 00 0001 "t" 00
			a< 90 04 0001 00 00
			b> 30 14 0001 "t" 0f 26 0001 "k" 0001 "1" 26 0001 "k" 0000 01 01 "x"
			a< 30 14 0001 "t" 0f 26 0001 "k" 0001 "1" 26 0001 "k" 0000 01 01 "x"`},
		{"a topic alias of the publisher, and one of ours", a5 + `
			b> 10 11 0004 "MQTT" 05 02 0000 03 22 0001 0001 "b"
			b< {ok5}
			b> 82 0a 0001 00 0004 "long" 00
			b< 90 04 0001 00 00
			a> 30 0b 0004 "long" 03 23 0005 "1"
			b< 30 0b 0004 "long" 03 23 0001 "1"
			a> 30 07 0000 03 23 0005 "2"
			b< 30 07 0000 03 23 0001 "2"`},
		{"shared: each message to one member", a5 + b5 + c5 + `
			a> 82 10 0001 00 000a "$share/g/t" 00
			a< 90 04 0001 00 00
			b> 82 10 0001 00 000a "$share/g/t" 00
			b< 90 04 0001 00 00
			c> 30 05 0001 "t" 00 "1"
			c> 30 05 0001 "t" 00 "2"
			a< 30 05 0001 "t" 00 "1"
			b< 30 05 0001 "t" 00 "2"
			a> {ping}
			a< {pong}`},
		{"a will at once, and none after DISCONNECT", b4 + `
			b> 82 06 0001 0001 "w" 00
			b< 90 03 0001 00
			a> 10 14 0004 "MQTT" 04 06 0000 0001 "a" 0001 "w" 0002 "up"
			a< {ok4}
			a> e0 00
			a< x
			b> {ping}
			b< {pong}
			a> 10 14 0004 "MQTT" 04 06 0000 0001 "a" 0001 "w" 0002 "up"
			a< {ok4}
			a> x
			b< 30 05 0001 "w" "up"`},
		{"DISCONNECT with will message", b5 + `
			b> 82 07 0001 00 0001 "w" 00
			b< 90 04 0001 00 00
			a> 10 16 0004 "MQTT" 05 06 0000 00 0001 "a" 00 0001 "w" 0002 "up"
			a< {ok5}
			a> e0 01 04
			a< x
			b< 30 06 0001 "w" 00 "up"`},
		{"a session waits, and goes on", a5keep + `
			a< {ok5}
			a> 82 07 0001 00 0001 "t" 01
			a< 90 04 0001 00 01
			a> e0 00
			a< x` + b5 + `
			b> 32 08 0001 "t" 0001 00 "m1"
			b< 40 02 0001
			b> 32 08 0001 "t" 0002 00 "m2"
			b< 40 02 0002` + a5keep + `
			a< {ok5 present}
			a< 32 08 0001 "t" 0001 00 "m1"
			a< 32 08 0001 "t" 0002 00 "m2"
			a> 40 02 0001 {ping}
			a< {pong}
			a> x` + a5keep + `
			a< {ok5 present}
			a< 3a 08 0001 "t" 0002 00 "m2"
			a> 40 02 0002
			a> e0 00
			a< x` + a5 + `
			a> {ping}
			a< {pong}`},
		{"a client that comes back with another version gets its messages in that", a5keep + `
			a< {ok5}
			a> 82 07 0001 00 0001 "t" 01
			a< 90 04 0001 00 01` + b5 + `
			b> 32 08 0001 "t" 0001 00 "m1"
			b< 40 02 0001
			a< 32 08 0001 "t" 0001 00 "m1"
			b> 32 08 0001 "t" 0002 00 "m2"
			b< 40 02 0002
			a< 32 08 0001 "t" 0002 00 "m2"
			a> x
			a> 10 0d 0004 "MQTT" 04 00 0000 0001 "a"
			a< {ok4 present}
			a< 3a 07 0001 "t" 0001 "m1"
			a< 3a 07 0001 "t" 0002 "m2"`},
		{"a client that comes back with another version gets no QoS 2 message twice", a5keep + `
			a< {ok5}
			a> 82 07 0001 00 0001 "t" 02
			a< 90 04 0001 00 02` + b5 + `
			b> 34 08 0001 "t" 0001 00 "m1"
			b< 50 02 0001
			a< 34 08 0001 "t" 0001 00 "m1"
			b> 34 10 0001 "t" 0002 08 26 0001 "k" 0002 "vv" "m2"
			b< 50 02 0002
			a< 34 10 0001 "t" 0002 08 26 0001 "k" 0002 "vv" "m2"
			b> 34 08 0001 "t" 0003 00 "m3"
			b< 50 02 0003
			a< 34 08 0001 "t" 0003 00 "m3"
			a> 50 02 0001
			a< 62 02 0001
			a> x
			a> 10 0d 0004 "MQTT" 04 00 0000 0001 "a"
			a< {ok4 present} 62 02 0001 3c 07 0001 "t" 0002 "m2" 3c 07 0001 "t" 0003 "m3"
			a> 50 02 0002
			a< 62 02 0002
			a> x
			a> 10 0f 0006 "MQIsdp" 03 00 0000 0001 "a"
			a< {ok4} 62 02 0001 62 02 0002 3c 07 0001 "t" 0003 "m3"
			a> x
			a> 10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "a"
			a< {ok5 present} 62 02 0001 62 02 0002 3c 08 0001 "t" 0003 00 "m3"
			a> 50 02 0003 70 02 0001 70 02 0002
			a< 62 02 0003
			a> 70 02 0003 {ping}
			a< {pong}`},
		{"another version does not make a QoS 2 message new", a5keep + `
			a< {ok5}
			a> 82 07 0001 00 0001 "u" 01
			a< 90 04 0001 00 01` + b5 + `
			b> 82 07 0001 00 0001 "t" 00
			b< 90 04 0001 00 00
			b> 32 06 0001 "u" 0001 00
			b< 40 02 0001
			a< 32 06 0001 "u" 0001 00
			a> 34 08 0001 "t" 0005 00 "hi"
			a< 50 02 0005
			b< 30 06 0001 "t" 00 "hi"
			a> x
			a> 10 0d 0004 "MQTT" 04 00 0000 0001 "a"
			a< {ok4 present}
			a< 3a 05 0001 "u" 0001
			a> 3c 07 0001 "t" 0005 "hi"
			a< 50 02 0005
			a> 62 02 0005
			a< 70 02 0005
			b> {ping}
			b< {pong}`},
		{"takeover", a5 + `
			b> 10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"
			b< {ok5}
			a< e0 01 8e
			a< x
			b> {ping}
			b< {pong}`},
		{"the client's receive maximum is kept", b5 + `
			a> 10 11 0004 "MQTT" 05 02 0000 03 21 0001 0001 "a"
			a< {ok5}
			a> 82 07 0001 00 0001 "t" 01
			a< 90 04 0001 00 01
			b> 32 07 0001 "t" 0001 00 "1"
			b< 40 02 0001
			b> 32 07 0001 "t" 0002 00 "2"
			b< 40 02 0002
			a< 32 07 0001 "t" 0001 00 "1"
			a> {ping}
			a< {pong}
			a> 40 02 0001
			a< 32 07 0001 "t" 0002 00 "2"`},
		{"the client's maximum packet size is kept", b5 + `
			a> 10 13 0004 "MQTT" 05 02 0000 05 27 00000010 0001 "a"
			a< {ok5}
			a> 82 07 0001 00 0001 "t" 00
			a< 90 04 0001 00 00
			b> 30 0f 0001 "t" 00 11*"x"
			b> 30 0e 0001 "t" 00 10*"y"
			a< 30 0e 0001 "t" 00 10*"y"`},
		{"an assigned client identifier is only for clean starts", `
			a> 10 0c 0004 "MQTT" 04 00 0000 0000
			a< 20 02 00 02
			a< x
			b> 10 0c 0004 "MQTT" 04 02 0000 0000
			b< {ok4}`},
		{"several packets in one write, and one in many", a4 + `
			a> 82 06 0001 0001 "t" 00 30 05 0001 "t" "hi" c0 00
			a< 90 03 0001 00 30 05 0001 "t" "hi" d0 00
			a> 30
			a> 05 00
			a> 01 "t"
			a> "hi"
			a< 30 05 0001 "t" "hi"`},
		{"unsubscribe", a5 + `
			a> 82 07 0001 00 0001 "t" 00
			a< 90 04 0001 00 00
			a> a2 09 0002 00 0001 "t" 0001 "u"
			a< b0 05 0002 00 00 11
			a> 30 04 0001 "t" 00
			a> {ping}
			a< {pong}`},
		{"$SYS is not for clients, and # does not match it", a5 + `
			a> 32 0a 0006 "$SYS/a" 0001
			a< e0 01 81
			a< x` + b5 + `
			b> 32 0b 0006 "$SYS/a" 0001 00
			b< 40 03 0001 87`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, addr := brokertest.Start(t)
			talk(t, addr, c.script)
		})
	}
}

// TestBadClientsGetTheReason sends what no client may send. The broker answers with the
// reason and keeps serving others.
func TestBadClientsGetTheReason(t *testing.T) {
	t.Parallel()
	tellBadClients(t, []conversation{
		// Group 1: remaining length.
		{"five byte length", a5 + "a> c0 ff ff ff ff 7f\na< e0 01 81\na< x"},
		{"overlong length", a5 + "a> c0 80 00\na< e0 01 81\na< x"},
		{"larger than the maximum", a5 + "a> 30 ff ff ff 7f\na< e0 01 95\na< x"},
		{"PINGREQ with a body", a5 + "a> c0 01 00\na< e0 01 81\na< x"},
		{"no body where one is needed", a5 + "a> 82 00\na< e0 01 81\na< x"},
		// Group 2: the wrong packet.
		{"PINGREQ first", "a> c0 00\na< x"},
		{"PUBLISH first", "a> 30 03 0001 \"t\"\na< x"},
		{"type 0 first", "a> 00 00\na< x"},
		{"HTTP", "a> \"GET / HTTP/1.1\" 0d0a 0d0a\na< x"},
		{"TLS", "a> 16 03 01 02 00 01 00 01 fc 03 03\na< x"},
		{"second CONNECT", a5 + "a> 10 0e 0004 \"MQTT\" 05 02 0000 00 0001 \"a\"\na< e0 01 82\na< x"},
		{"CONNACK from a client", a5 + "a> 20 03 00 00 00\na< e0 01 82\na< x"},
		{"SUBACK from a client", a5 + "a> 90 04 0001 00 00\na< e0 01 82\na< x"},
		{"AUTH without a method", a5 + "a> f0 00\na< e0 01 82\na< x"},
		{"reserved type 15 in 3.1.1", a4 + "a> f0 00\na< x"},
		// Group 3: CONNECT.
		{"unknown protocol name", "a> 10 0d 0004 \"mqtt\" 04 02 0000 0001 \"a\"\na< 20 02 00 01\na< x"},
		{"level 6", "a> 10 0e 0004 \"MQTT\" 06 02 0000 00 0001 \"a\"\na< 20 03 00 84 00\na< x"},
		{"level 2", "a> 10 0d 0004 \"MQTT\" 02 02 0000 0001 \"a\"\na< 20 02 00 01\na< x"},
		{"reserved flag", "a> 10 0e 0004 \"MQTT\" 05 03 0000 00 0001 \"a\"\na< 20 03 00 81 00\na< x"},
		{"will QoS without will", "a> 10 0e 0004 \"MQTT\" 05 0a 0000 00 0001 \"a\"\na< 20 03 00 81 00\na< x"},
		{"authentication method", "a> 10 12 0004 \"MQTT\" 05 02 0000 04 15 0001 \"m\" 0001 \"a\"\na< 20 2d 00 8c 2a 1f 0027 \"no such authentication method here: \" 22 \"m\" 22\na< x"},
		// Group 4: properties.
		{"unknown property", a5 + "a> 30 06 0001 \"t\" 02 7f 00\na< e0 01 81\na< x"},
		{"a property twice", a5 + "a> 30 08 0001 \"t\" 04 0100 0100\na< e0 01 82\na< x"},
		{"subscription identifier from a client", a5 + "a> 30 06 0001 \"t\" 02 0b01\na< e0 01 82\na< x"},
		// Groups 5 to 7: strings, topics, PUBLISH.
		{"bad UTF-8 in the topic", a5 + "a> 30 04 0001 ff 00\na< e0 01 81\na< x"},
		{"NUL in the topic", a5 + "a> 30 04 0001 00 00\na< e0 01 81\na< x"},
		{"wildcard in the topic", a5 + "a> 30 04 0001 \"#\" 00\na< e0 01 81\na< x"},
		{"QoS 3", a5 + "a> 36 06 0001 \"t\" 0001 00\na< e0 01 81\na< x"},
		{"packet identifier 0", a5 + "a> 32 06 0001 \"t\" 0000 00\na< e0 01 82\na< x"},
		{"alias 0", a5 + "a> 30 07 0001 \"t\" 03 23 0000\na< e0 01 94\na< x"},
		{"alias above the maximum", a5 + "a> 30 07 0001 \"t\" 03 23 0041\na< e0 01 94\na< x"},
		{"alias never set", a5 + "a> 30 06 0000 03 23 0001\na< e0 01 82\na< x"},
		{"neither topic nor alias", a5 + "a> 30 03 0000 00\na< e0 01 82\na< x"},
		// Group 8: SUBSCRIBE.
		{"flags of SUBSCRIBE", a5 + "a> 80 07 0001 00 0001 \"t\" 00\na< e0 01 81\na< x"},
		{"no filter", a5 + "a> 82 03 0001 00\na< e0 01 82\na< x"},
		{"cut before the options", a5 + "a> 82 06 0001 00 0001 \"t\"\na< e0 01 81\na< x"},
		{"retain handling 3", a5 + "a> 82 07 0001 00 0001 \"t\" 30\na< e0 01 82\na< x"},
		{"a bad filter ends the connection", a5 + "a> 82 0e 0001 00 0004 \"a/#b\" 00 0001 \"t\" 01\na< e0 01 81\na< x"},
		{"an empty share name", a5 + "a> 82 0f 0001 00 0009 \"$share//t\" 00\na< e0 01 81\na< x"},
		// Group 9: acknowledgements.
		{"stray acknowledgements are harmless", a5 + "a> 40 02 0007 70 02 0008 50 02 0009\na< 62 03 0009 92\na> {ping}\na< {pong}"},
		{"PUBREL that was never due", a5 + "a> 62 02 0007\na< 70 03 0007 92\na> {ping}\na< {pong}"},
		{"session expiry that comes late", a5 + "a> e0 07 00 05 11 0000003c\na< e0 01 82\na< x"},
	})
}

type conversation struct{ name, script string }

// tellBadClients plays each conversation in all ways.
func tellBadClients(t *testing.T, all []conversation) {
	t.Helper()
	certs := certtest.New(t)
	for _, c := range all {
		for _, way := range ways {
			script, ok := inWay(c.script, way)
			if !ok {
				continue
			}
			// Another client is not affected.
			script = "o> 10 0d 0004 \"MQTT\" 04 02 0000 0001 \"o\" 82 08 0001 0003 \"own\" 01\no< {ok4} 90 03 0001 01\n" + script +
				"\no> 32 08 0003 \"own\" 0001 \"x\"\no< 32 08 0003 \"own\" 0001 \"x\" 40 02 0001\no> 40 02 0001 {ping}\no< {pong}"
			t.Run(c.name+" "+way, func(t *testing.T) {
				t.Parallel()
				switch way {
				case "over TLS":
					_, own := brokertest.StartOn(t, "127.0.0.1:0", certs.ServerConfig(), broker.Options{})
					talkOver(t, func() (net.Conn, error) { return tls.Dial("tcp", own, certs.ClientConfig()) }, script)
				case "over WebSocket":
					_, own := brokertest.StartOn(t, "ws://127.0.0.1:0", nil, broker.Options{})
					to, err := transport.ParseURL("ws://" + own)
					if err != nil {
						t.Fatal(err)
					}
					talkOver(t, func() (net.Conn, error) { return (&transport.Dialer{}).Dial(t.Context(), to) }, script)
				default:
					_, own := brokertest.Start(t)
					talk(t, own, script)
				}
			})
		}
	}
}

func TestLimitsAreAnnouncedAndKept(t *testing.T) {
	t.Parallel()
	t.Run("receive maximum", func(t *testing.T) {
		t.Parallel()
		_, addr := brokertest.StartWith(t, broker.Options{ReceiveMaximum: 1, TopicAliasMaximum: 1})
		talk(t, addr, `
			a> 10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"
			a< 20 0e 00 00 0b 21 0001 27 01000000 22 0001
			a> 34 06 0001 "t" 0001 00 34 06 0001 "t" 0002 00
			a< 50 03 0001 10
			a< e0 01 93
			a< x`)
	})
	t.Run("maximum QoS and no retain", func(t *testing.T) {
		t.Parallel()
		_, addr := brokertest.StartWith(t, broker.Options{LimitQoS: true, MaximumQoS: 1, DisableRetain: true})
		talk(t, addr, `
			a> 10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"
			a< 20 12 00 00 0f 21 0400 27 01000000 22 0040 24 01 25 00
			a> 82 07 0001 00 0001 "t" 02
			a< 90 04 0001 00 01
			a> 34 06 0001 "t" 0001 00
			a< e0 01 9b
			a< x
			b> 10 0e 0004 "MQTT" 05 02 0000 00 0001 "b"
			b< 20 12 00 00 0f 21 0400 27 01000000 22 0040 24 01 25 00
			b> 31 04 0001 "t" 00
			b< e0 01 9a
			b< x`)
	})
	t.Run("connections", func(t *testing.T) {
		t.Parallel()
		_, addr := brokertest.StartWith(t, broker.Options{MaxConnections: 1})
		talk(t, addr, a5+`
			b> 10 0e 0004 "MQTT" 05 02 0000 00 0001 "b"
			b< 20 1a 00 89 17 1f 0014 "too many connections"
			b< x`)
	})
}

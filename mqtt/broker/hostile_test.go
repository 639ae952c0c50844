package broker_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// TestMoreBadClientsGetTheReason continues TestBadClientsGetTheReason.
func TestMoreBadClientsGetTheReason(t *testing.T) {
	t.Parallel()
	tellBadClients(t, []conversation{
		// Length and flags.
		{"trailing bytes after PUBACK", a5 + "a> 40 05 0001 00 00 00\na< e0 01 81\na< x"},
		{"trailing bytes after PUBREC", a5 + "a> 50 05 0001 00 00 00\na< e0 01 81\na< x"},
		{"trailing bytes after PUBREL", a5 + "a> 62 05 0001 00 00 00\na< e0 01 81\na< x"},
		{"trailing bytes after PUBCOMP", a5 + "a> 70 05 0001 00 00 00\na< e0 01 81\na< x"},
		{"trailing bytes after PUBACK in 3.1.1", a4 + "a> 40 03 0001 00\na< x"},
		{"trailing bytes after AUTH", a5 + "a> f0 07 18 04 15 0001 \"m\" 00\na< e0 01 81\na< x"},
		{"trailing bytes after SUBSCRIBE", a5 + "a> 82 08 0001 00 0001 \"t\" 00 00\na< e0 01 81\na< x"},
		{"trailing bytes after UNSUBSCRIBE", a5 + "a> a2 07 0001 00 0001 \"t\" 00\na< e0 01 81\na< x"},
		{"trailing bytes after DISCONNECT", a5 + "a> e0 03 00 00 00\na< e0 01 81\na< x"},
		{"a topic longer than the packet", a5 + "a> 30 03 0005 \"t\"\na< e0 01 81\na< x"},
		{"flags of PINGREQ", a5 + "a> c1 00\na< e0 01 81\na< x"},
		{"flags of PUBREL", a5 + "a> 60 02 0001\na< e0 01 81\na< x"},
		{"flags of UNSUBSCRIBE", a5 + "a> a0 06 0001 00 0001 \"t\"\na< e0 01 81\na< x"},
		{"flags of DISCONNECT", a5 + "a> e1 00\na< e0 01 81\na< x"},
		{"PINGRESP from a client", a5 + "a> d0 00\na< e0 01 82\na< x"},
		{"UNSUBACK from a client of 3.1.1", a4 + "a> b0 02 0001\na< x"},
		// CONNECT.
		{"will QoS 3", "a> 10 16 0004 \"MQTT\" 05 1e 0000 00 0001 \"a\" 00 0001 \"w\" 0002 \"up\"\na< 20 03 00 81 00\na< x"},
		{"will retain without will", "a> 10 0e 0004 \"MQTT\" 05 22 0000 00 0001 \"a\"\na< 20 03 00 81 00\na< x"},
		{"user name flag without user name", "a> 10 0e 0004 \"MQTT\" 05 82 0000 00 0001 \"a\"\na< 20 03 00 81 00\na< x"},
		{"password without user name in 3.1.1", "a> 10 10 0004 \"MQTT\" 04 42 0000 0001 \"a\" 0001 \"p\"\na< x"},
		{"level 0", "a> 10 0d 0004 \"MQTT\" 00 02 0000 0001 \"a\"\na< 20 02 00 01\na< x"},
		{"level 128, a bridge's", "a> 10 0e 0004 \"MQTT\" 84 02 0000 00 0001 \"a\"\na< 20 03 00 84 00\na< x"},
		{"receive maximum 0", "a> 10 11 0004 \"MQTT\" 05 02 0000 03 21 0000 0001 \"a\"\na< 20 03 00 82 00\na< x"},
		{"maximum packet size 0", "a> 10 13 0004 \"MQTT\" 05 02 0000 05 27 00000000 0001 \"a\"\na< 20 03 00 82 00\na< x"},
		{"request-problem-information 2", "a> 10 10 0004 \"MQTT\" 05 02 0000 02 1702 0001 \"a\"\na< 20 03 00 82 00\na< x"},
		{"authentication data without a method", "a> 10 12 0004 \"MQTT\" 05 02 0000 04 16 0001 \"x\" 0001 \"a\"\na< 20 03 00 82 00\na< x"},
		{"a topic alias among the will's properties", "a> 10 19 0004 \"MQTT\" 05 06 0000 00 0001 \"a\" 03 23 0001 0001 \"w\" 0002 \"up\"\na< 20 03 00 81 00\na< x"},
		// Properties.
		{"properties longer than the packet", a5 + "a> 30 05 0001 \"t\" 05 01\na< e0 01 81\na< x"},
		{"a property cut", a5 + "a> 30 06 0001 \"t\" 02 02 00\na< e0 01 81\na< x"},
		{"a property of another packet", a5 + "a> 30 09 0001 \"t\" 05 11 0000003c\na< e0 01 81\na< x"},
		{"payload format 2", a5 + "a> 30 06 0001 \"t\" 02 0102\na< e0 01 82\na< x"},
		{"subscription identifier 0", a5 + "a> 82 09 0001 02 0b00 0001 \"t\" 00\na< e0 01 82\na< x"},
		{"two subscription identifiers", a5 + "a> 82 0b 0001 04 0b01 0b02 0001 \"t\" 00\na< e0 01 82\na< x"},
		{"an identifier of several bytes", a5 + "a> 30 07 0001 \"t\" 03 ff01 00\na< e0 01 81\na< x"},
		// Strings and topics.
		{"overlong UTF-8", a5 + "a> 30 05 0002 c080 00\na< e0 01 81\na< x"},
		{"a surrogate", a5 + "a> 30 06 0003 eda080 00\na< e0 01 81\na< x"},
		{"UTF-8 cut", a5 + "a> 30 05 0002 e282 00\na< e0 01 81\na< x"},
		{"a byte order mark is kept", a5 + "a> 82 0a 0001 00 0004 efbbbf \"t\" 00 30 07 0004 efbbbf \"t\" 00\na< 90 04 0001 00 00 30 07 0004 efbbbf \"t\" 00"},
		{"bad UTF-8 in a user property", a5 + "a> 30 0a 0001 \"t\" 06 26 0001 ff 0000\na< e0 01 81\na< x"},
		{"no topic in 3.1.1", a4 + "a> 30 02 0000\na< x"},
		{"more levels than the limit", a5 + "a> 32 85 01 0080 128*2f 0001 00\na< 40 03 0001 90\na> {ping}\na< {pong}"},
		{"a filter with more levels than the limit", a5 + "a> 82 86 01 0001 00 0080 128*2f 00\na< 90 04 0001 00 8f\na> {ping}\na< {pong}"},
		// An invalid filter makes the packet malformed, whatever else is in it.
		{"a plus behind a name", a5 + "a> 82 0b 0001 00 0001 \"t\" 00 0002 \"a+\" 00\na< e0 01 81\na< x"},
		{"a plus before a name", a5 + "a> 82 0b 0001 00 0005 \"ab/+e\" 00\na< e0 01 81\na< x"},
		{"a hash behind a name", a5 + "a> 82 08 0001 00 0002 \"a#\" 00\na< e0 01 81\na< x"},
		{"a hash before a name", a5 + "a> 82 08 0001 00 0002 \"#a\" 00\na< e0 01 81\na< x"},
		{"a hash that is not the last", a5 + "a> 82 0b 0001 00 0005 \"a/#/b\" 00\na< e0 01 81\na< x"},
		{"two hashes", a5 + "a> 82 08 0001 00 0002 \"##\" 00\na< e0 01 81\na< x"},
		{"an empty filter", a5 + "a> 82 06 0001 00 0000 00\na< e0 01 81\na< x"},
		{"a plus behind a name in 3.1.1", a4 + "a> 82 0a 0001 0001 \"t\" 00 0002 \"a+\" 00\na< x"},
		{"a hash behind a name in 3.1.1", a4 + "a> 82 07 0001 0002 \"a#\" 00\na< x"},
		{"an empty filter in 3.1.1", a4 + "a> 82 05 0001 0000 00\na< x"},
		{"an empty filter in 3.1", "a> 10 0f 0006 \"MQIsdp\" 03 02 0000 0001 \"a\"\na< {ok4}\na> 82 05 0001 0000 00\na< x"},
		{"a bad filter of UNSUBSCRIBE", a5 + "a> a2 07 0001 00 0002 \"a+\"\na< e0 01 81\na< x"},
		{"an empty filter of UNSUBSCRIBE", a5 + "a> a2 08 0001 00 0001 \"t\" 0000\na< e0 01 81\na< x"},
		{"a bad filter of UNSUBSCRIBE in 3.1.1", a4 + "a> a2 06 0001 0002 \"a#\"\na< x"},
		{"an empty share name", a5 + "a> 82 0f 0001 00 0009 \"$share//x\" 00\na< e0 01 81\na< x"},
		{"a wildcard in a share name", a5 + "a> 82 11 0001 00 000b \"$share/g+/x\" 00\na< e0 01 81\na< x"},
		{"a share name and no filter", a5 + "a> 82 0e 0001 00 0008 \"$share/g\" 00\na< e0 01 81\na< x"},
		{"a share name and an empty filter", a5 + "a> 82 0f 0001 00 0009 \"$share/g/\" 00\na< e0 01 81\na< x"},
		{"a share name and a bad filter", a5 + "a> 82 11 0001 00 000b \"$share/g/a#\" 00\na< e0 01 81\na< x"},
		{"an empty share name of UNSUBSCRIBE", a5 + "a> a2 0e 0001 00 0009 \"$share//x\"\na< e0 01 81\na< x"},
		{"share names are nothing of 3.1.1", a4 + "a> 82 1d 0001 0009 \"$share//x\" 00 0008 \"$share/g\" 00 0001 \"u\" 00\na< 90 05 0001 80 80 00\na> a2 0d 0002 0009 \"$share//x\"\na< b0 02 0002\na> {ping}\na< {pong}"},
		{"a wildcard in a level of 3.1.1", a4 + "a> 82 10 0001 000b \"$share/g+/x\" 00\na< x"},
		{"a hash in a topic name", a5 + "a> 30 05 0002 \"a#\" 00\na< e0 01 81\na< x"},
		{"a will topic with a wildcard", "a> 10 15 0004 \"MQTT\" 05 06 0000 00 0001 \"a\" 00 0001 \"+\" 0001 \"x\"\na< 20 03 00 81 00\na< x"},
		{"an empty will topic", "a> 10 14 0004 \"MQTT\" 05 06 0000 00 0001 \"a\" 00 0000 0001 \"x\"\na< 20 03 00 81 00\na< x"},
		{"a will topic with a wildcard in 3.1.1", "a> 10 13 0004 \"MQTT\" 04 06 0000 0001 \"a\" 0001 \"#\" 0001 \"x\"\na< x"},
		// PUBLISH.
		{"DUP at QoS 0", a5 + "a> 38 04 0001 \"t\" 00\na< e0 01 81\na< x"},
		{"cut before the packet identifier", a5 + "a> 32 03 0001 \"t\"\na< e0 01 81\na< x"},
		{"a response topic with a wildcard", a5 + "a> 30 08 0001 \"t\" 04 08 0001 \"#\"\na< e0 01 82\na< x"},
		{"an alias in 3.1.1 is payload", a4 + "a> 82 06 0001 0001 \"t\" 00 30 07 0001 \"t\" 03 23 0001\na< 90 03 0001 00 30 07 0001 \"t\" 03 23 0001"},
		// SUBSCRIBE and UNSUBSCRIBE.
		{"reserved bits of the options", a5 + "a> 82 07 0001 00 0001 \"t\" 40\na< e0 01 81\na< x"},
		{"QoS 3 asked", a5 + "a> 82 07 0001 00 0001 \"t\" 03\na< e0 01 82\na< x"},
		{"options of 5.0 in 3.1.1", a4 + "a> 82 06 0001 0001 \"t\" 04\na< x"},
		{"no local and shared", a5 + "a> 82 10 0001 00 000a \"$share/g/t\" 04\na< e0 01 82\na< x"},
		{"packet identifier 0 of SUBSCRIBE", a5 + "a> 82 07 0000 00 0001 \"t\" 00\na< e0 01 82\na< x"},
		{"UNSUBSCRIBE of nothing", a5 + "a> a2 03 0001 00\na< e0 01 82\na< x"},
		{"the same filter twice in one packet", a5 + "a> 82 0b 0001 00 0001 \"t\" 00 0001 \"t\" 01\na< 90 05 0001 00 00 01\na> 30 04 0001 \"t\" 00\na< 30 04 0001 \"t\" 00\na> {ping}\na< {pong}"},
		// Acknowledgements.
		{"PUBACK for QoS 2", a5 + "a> 82 07 0001 00 0001 \"t\" 02 34 06 0001 \"t\" 0001 00\na< 90 04 0001 00 02 34 06 0001 \"t\" 0001 00 50 02 0001\na> 40 02 0001\na< e0 01 82\na< x"},
		{"packet identifier 0 of PUBACK", a5 + "a> 40 02 0000\na< e0 01 82\na< x"},
		{"a reason that PUBACK has not", a5 + "a> 40 04 0001 92 00\na< e0 01 82\na< x"},
		{"QoS 2 again and again is one message", a5 + "a> 82 07 0001 00 0001 \"t\" 00 34 06 0001 \"t\" 0001 00 3c 06 0001 \"t\" 0001 00 3c 06 0001 \"t\" 0001 00\na< 90 04 0001 00 00 30 04 0001 \"t\" 00 50 02 0001 50 02 0001 50 02 0001\na> 62 02 0001 62 02 0001\na< 70 02 0001 70 03 0001 92"},
		{"AUTH that continues nothing", a5 + "a> f0 06 18 04 15 0001 \"m\"\na< e0 01 82\na< x"},
	})
}

// Every first byte except that of CONNECT closes the connection without a reply
// (MQTT-3.1.0-1).
func TestNothingButCONNECTBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{})
		defer closeBroker(t, b)
		for first := range 256 {
			if first == 0x10 {
				continue
			}
			p := connectPipe(t, b)
			go func() { _, _ = p.nc.Write([]byte{byte(first), 2, 0, 1}) }()
			if d := p.end(); d != 0 {
				t.Errorf("%#02x: ended after %v", first, d)
			}
		}
	})
}

func TestALargePacketOfSmallThingsPassesThrough(t *testing.T) {
	t.Parallel()
	const n = 100_000
	_, addr := brokertest.StartWith(t, broker.Options{MaxUserProperties: n})
	props := bytes.Repeat([]byte{0x26, 0, 1, 'k', 0, 0}, n)
	body := append([]byte{0, 1, 't', byte(len(props) | 128), byte(len(props)>>7 | 128), byte(len(props) >> 14)}, props...)
	pub := append([]byte{0x30, byte(len(body) | 128), byte(len(body)>>7 | 128), byte(len(body) >> 14)}, body...)
	talk(t, addr, a5+b5+`
		a> 82 07 0001 00 0001 "t" 00
		a< 90 04 0001 00 00
		b> `+hex.EncodeToString(pub)+`
		a< `+hex.EncodeToString(pub)+`
		b> {ping}
		b< {pong}`)
}

func TestSubscriptionsHaveALimit(t *testing.T) {
	t.Parallel()
	_, addr := brokertest.StartWith(t, broker.Options{MaxSubscriptions: 2})
	var filters, codes strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&filters, "0004%x00", fmt.Sprintf("%04d", i))
		codes.WriteString([]string{"00", "00", "97"}[min(i, 2)])
	}
	talk(t, addr, a5+`
		a> 82 f3a204 0001 00 `+filters.String()+`
		a< 90 934e 0001 00 `+codes.String()+`
		a> {ping}
		a< {pong}`)
}

// A thousand connections with one client ID: one stays.
func TestATakeoverStorm(t *testing.T) {
	t.Parallel()
	b, addr := brokertest.Start(t)
	connect := wireBytes(t, `10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "a"`)
	var wg sync.WaitGroup
	stays := make(chan net.Conn, 1)
	for range 10 {
		wg.Go(func() {
			for range 100 {
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = nc.Write(connect)
				var head [2]byte
				_, _ = io.ReadFull(nc, head[:])
				if head[0] != 0x20 {
					t.Errorf("CONNACK is %x", head)
				}
				_ = nc.Close()
			}
		})
	}
	wg.Wait()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = nc.Write(connect)
	if _, err := io.ReadFull(nc, make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	stays <- nc
	// The broker may not have noticed the end of the others yet.
	deadline := time.Now().Add(10 * time.Second)
	for s := b.Stats(); s.Sessions != 1 || s.Clients != 1; s = b.Stats() {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", s)
		}
		runtime.Gosched()
	}
	_ = (<-stays).Close()
}

// A client that closes its half of the connection is gone, and its will is published.
func TestHalfClosedIsClosed(t *testing.T) {
	t.Parallel()
	_, addr := brokertest.Start(t)
	w, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_ = w.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = w.Write(wireBytes(t, `10 0d 0004 "MQTT" 04 02 0000 0001 "w" 82 06 0001 0001 "w" 00`))
	if _, err := io.ReadFull(w, make([]byte, 9)); err != nil {
		t.Fatal(err)
	}
	a, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	// and an incomplete packet
	_, _ = a.Write(wireBytes(t, `10 14 0004 "MQTT" 04 06 0000 0001 "a" 0001 "w" 0002 "up" 30 05`))
	_ = a.(*net.TCPConn).CloseWrite()
	got := make([]byte, 7)
	if _, err := io.ReadFull(w, got); err != nil || !bytes.Equal(got, wireBytes(t, `30 05 0001 "w" "up"`)) {
		t.Errorf("the will: % x, %v", got, err)
	}
}

// TestTwoParties covers the effects of one client on another.
func TestTwoParties(t *testing.T) {
	t.Parallel()
	for _, c := range []conversation{
		{"UNSUBSCRIBE finishes a begun delivery", a5 + b5 + `
			a> 82 07 0001 00 0001 "t" 02
			a< 90 04 0001 00 02
			b> 34 06 0001 "t" 0001 00
			b< 50 02 0001
			a< 34 06 0001 "t" 0001 00
			a> a2 06 0002 00 0001 "t"
			a< b0 04 0002 00 00
			a> 50 02 0001
			a< 62 02 0001
			a> 70 02 0001 {ping}
			a< {pong}`},
		{"password without user name in 5.0", "a> 10 11 0004 \"MQTT\" 05 42 0000 00 0001 \"a\" 0001 \"p\"\na< {ok5}"},
		{"a will with its properties, without its delay", a5 + `
			a> 82 07 0001 00 0001 "w" 00
			a< 90 04 0001 00 00
			b> 10 29 0004 "MQTT" 05 06 0000 00 0001 "b" 13 18 00000000 01 01 26 0001 "k" 0002 "v1" 03 0001 "c" 0001 "w" 0002 "up"
			b< {ok5}
			b> x
			a< 30 14 0001 "w" 0e 01 01 26 0001 "k" 0002 "v1" 03 0001 "c" "up"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, addr := brokertest.Start(t)
			talk(t, addr, c.script)
		})
	}
}

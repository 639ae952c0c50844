package script

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func parsed(t *testing.T, text string) *Script {
	t.Helper()
	s, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	connect5 = "10 0e 0004 4d515454 05 02 0000 00 0001 61"
	connack5 = "20 03 00 00 00"
)

// serve plays a script to a client that sends bytes and reads to the end.
func serve(t *testing.T, steps, sends string, o *Options) (got []byte, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := parsed(t, head+steps)
		m := memtest.New()
		done := make(chan error, 1)
		go func() { done <- s.Serve(t.Context(), m, o) }()
		nc, dialErr := m.Dial(t.Context())
		if dialErr != nil {
			t.Fatal(dialErr)
		}
		if sends != "" {
			if _, err := nc.Write(unhex(t, sends)); err != nil {
				t.Error(err)
			}
		}
		nc.SetReadDeadline(time.Now().Add(time.Minute))
		got, _ = io.ReadAll(nc)
		nc.Close()
		err = <-done
	})
	return got, err
}

func TestExpectations(t *testing.T) {
	t.Parallel()
	const hi = " 32 08 0001 74 0007 00 6869" // PUBLISH q1 id 7 't' "hi"
	for _, c := range []struct{ it, steps, sends, want string }{
		{"takes what it names", "steps: [{expect: CONNECT, client-id: a, clean: true, username: null, will: null}]\n", connect5, ""},
		{"compares each field", "steps: [{expect: CONNECT, client-id: b, keep-alive: 5, receive-maximum: 7}]\n", connect5,
			"4:9: a: expect CONNECT: got another\n    client-id: want \"b\", got \"a\"\n    keep-alive: want 5, got 0\n    receive-maximum: want 7, got absent"},
		{"knows the version of the script", "steps: [{expect: CONNECT}]\n", "10 0d 0004 4d515454 04 02 0000 0001 61", "version: want 5.0, got 3.1.1"},
		{"takes another version that it names", "steps: [{expect: CONNECT, version: 3.1.1}]\n", "10 0d 0004 4d515454 04 02 0000 0001 61", ""},
		{"reports another packet", "steps: [{expect: PUBLISH}]\n", "c0 00", "expect PUBLISH: got PINGREQ"},
		{"reports bytes that are no packet", "steps: [{expect: PUBLISH}]\n", "30 03 0009 74", "expect PUBLISH: got PUBLISH: malformed PUBLISH"},
		{"reports a type that does not exist", "steps: [{expect: PUBLISH}]\n", "00 00", "got no packet: malformed packet: packet type 0 is reserved [MQTT-2.1.2]: 00 00"},
		{"is not patient for ever", "steps: [{expect: CONNECT, within: 3s}]\n", "", "nothing came within 3s"},
		{"takes one of several values", "steps: [{expect: PUBLISH, id: [1, 7], topic: [t, u]}]\n", hi, ""},
		{"reports all of several values", "steps: [{expect: PUBLISH, id: [1, 8]}]\n", hi, "id: want 1 or 8, got 7"},
		{"compares with a captured value", "steps: [{expect: PUBLISH, id: <p>}, {expect: PUBLISH, id: <p>}]\n", hi + " 32 08 0001 74 0008 00 6869", "id: want 7 <p>, got 8"},
		{"refuses an unexpected packet at the end", "steps: [{expect: CONNECT}]\n", connect5 + hi, "after the last step came PUBLISH q1 id 7 't' (2 bytes)"},
		{"refuses an unexpected packet before a close", "steps: [{expect: CONNECT}, {pause: 1s}, close]\n", connect5 + hi, "close: before it came PUBLISH"},
		{"finds silence broken", "steps: [{expect: CONNECT}, {silence: 1s}]\n", connect5 + hi, "silence: got PUBLISH"},
		{"takes any order", "steps: [{any-order: [{expect: PINGREQ}, {expect: PUBLISH, id: 7}]}]\n", hi + "c0 00", ""},
		{"finds a stranger in any order", "steps: [{any-order: [{expect: PINGREQ}, {expect: PUBLISH, id: 8}]}]\n", hi + "c0 00", "of 2 packets outstanding none is like PUBLISH"},
		{"misses one in any order", "steps: [{any-order: [{expect: PINGREQ}, {expect: PUBLISH, id: 8}]}]\n", "c0 00", "expect PUBLISH: nothing came within 5s"},
		{"finds distinct values", "steps: [{expect: PUBLISH, id: <p>}, {expect: PUBLISH, id: <q>}, {expect: PUBLISH, id: <r>}, {distinct: [<p>, <q>, <r>]}]\n",
			hi + " 32 08 0001 74 0008 00 6869" + " 32 08 0001 74 0009 00 6869", ""},
		{"reports equal values", "steps: [{expect: PUBLISH, id: <p>}, {expect: PUBLISH, id: <q>}, {expect: PUBLISH, id: <r>}, {distinct: [<p>, <q>, <r>]}]\n",
			hi + " 32 08 0001 74 0008 00 6869" + hi, "distinct: <p> and <r> are both 7"},
		{"takes a number for its digits", "steps: [{repeat: 2, steps: [{expect: PUBLISH, payload: <round>}]}]\n", "30 05 0001 74 00 31  30 05 0001 74 00 32", ""},
		{"reports other digits", "steps: [{repeat: 2, steps: [{expect: PUBLISH, payload: <round>}]}]\n", "30 05 0001 74 00 31  30 05 0001 74 00 31", "payload: want 2 <round>, got \"1\""},
		{"takes bytes", "steps: [{expect-raw: 'c0 00 (a ping)'}]\n", "c0 00", ""},
		{"reports other bytes", "steps: [{expect-raw: c0 00}]\n", "c0 01 00", "expect-raw: other bytes\n    bytes: want c0 00, got c0 01 00"},
		{"reports missing bytes", "steps: [{expect-raw: c0 00}]\n", "c0", "bytes: want c0 00, got c0"},
		{"does without an optional packet", "steps: [{expect: PINGREQ, optional: true}, {expect: CONNECT}]\n", connect5, ""},
		{"does not see the end", "steps: [{expect-close: , within: 1s}]\n", "", "expect-close: nothing came within 1s"},
		{"repeats", "steps: [{repeat: 2, steps: [{expect: PINGREQ}]}]\n", "c0 00 c0 00", ""},
		{"counts what it repeats", "steps: [{repeat: 3, steps: [{expect: PINGREQ, within: 1s}]}]\n", "c0 00 c0 00", "nothing came within 1s"},
		{"wants user properties in order", "steps: [{expect: PUBLISH, user-property: [[a, b], [c, d]]}]\n",
			"30 12 0001 74 0e 26 0001 63 0001 64 26 0001 61 0001 62", "user-property[0].name: want \"a\", got \"c\""},
		{"wants all user properties", "steps: [{expect: PUBLISH, user-property: [[a, b]]}]\n",
			"30 12 0001 74 0e 26 0001 61 0001 62 26 0001 63 0001 64", "user-property: want 1, got 2"},
		{"takes subscription identifiers in any order", "steps: [{expect: PUBLISH, subscription-identifier: [2, 1]}]\n", "30 08 0001 74 04 0b01 0b02", ""},
		{"wants no more subscription identifiers", "steps: [{expect: PUBLISH, subscription-identifier: 2}]\n", "30 08 0001 74 04 0b01 0b02", "subscription-identifier: want 1, got 2"},
	} {
		_, err := serve(t, c.steps, c.sends, nil)
		var f *Failure
		switch {
		case c.want == "" && err != nil:
			t.Errorf("it %s: %v", c.it, err)
		case c.want != "" && !errors.As(err, &f):
			t.Errorf("it %s: no failure: %v", c.it, err)
		case c.want != "" && (!strings.Contains(err.Error(), c.want) || !strings.HasPrefix(f.Place, "x.yaml:4:")):
			t.Errorf("it %s:\n got %v\nwant %s", c.it, err, c.want)
		}
	}
}

// A broker that refuses every client passes only the scripts about that.
func TestAConnackThatRefusesIsExpectedByItsReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version, step, answer, want string
	}{
		{"5.0", "expect: CONNACK", "20 03 00 87 00", "reason: want success (0x00), got not authorized (0x87)"},
		{"3.1.1", "expect: CONNACK", "20 02 00 05", "reason: want success (0x00), got not authorized (0x87)"},
		{"5.0", "{expect: CONNACK, session-present: false}", "20 03 00 87 00", "reason: want success (0x00), got not authorized (0x87)"},
		{"5.0", "{expect: CONNACK, session-present: false}", "20 03 00 00 00", ""},
		{"5.0", "{expect: CONNACK, reason: [not authorized, server busy]}", "20 03 00 87 00", ""},
		{"5.0", "{expect: CONNACK, reason: server busy}", "20 03 00 87 00", "reason: want server busy (0x89), got not authorized (0x87)"},
		{"3.1.1", "{expect: CONNACK, code: 5}", "20 02 00 05", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := parsed(t, "name: n\nrole: client\nversion: "+c.version+"\nsteps: [send: CONNECT, "+c.step+"]\n")
			err := s.Dial(t.Context(), func(context.Context) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go func() {
					defer theirs.Close()
					_, _ = theirs.Read(make([]byte, 100))
					_, _ = theirs.Write(unhex(t, c.answer))
					_, _ = io.Copy(io.Discard, theirs)
				}()
				return ours, nil
			}, nil)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s to %s (%s): got %v, want %q", c.answer, c.step, c.version, err, c.want)
			}
		})
	}
}

func TestShouldIsForTheStrict(t *testing.T) {
	t.Parallel()
	const steps = "steps: [{expect: PINGREQ, should: true}, {expect: CONNECT}]\n"
	if _, err := serve(t, steps, connect5, nil); err != nil {
		t.Errorf("not strict: %v", err)
	}
	if _, err := serve(t, steps, connect5, &Options{Strict: true}); err == nil {
		t.Error("strict: no failure")
	}
}

func TestSending(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ it, steps, want string }{
		{"encodes", "steps: [{send: CONNACK}]\n", connack5},
		{"sends properties in the order of the file", "steps: [{send: CONNACK, topic-alias-maximum: 5, receive-maximum: 1}]\n", "20 09 00 00 06 22 0005 21 0001"},
		{"sends raw bytes", "steps: [{raw: '00 ff \"x\"'}]\n", "00 ff 78"},
		{"sends the digits of a number", "steps: [{repeat: 2, steps: [{send: PUBLISH, topic: t, payload: <round>}]}]\n", "30 05 0001 74 00 31 30 05 0001 74 00 32"},
		{"truncates the next packet only", "steps: [{fault: {truncate: 1}}, {send: PINGRESP}, {send: PINGRESP}]\n", "d0 d0 00"},
		{"corrupts a byte", "steps: [{fault: {corrupt: 1}}, {send: PINGRESP}]\n", "d0 ff"},
		{"doubles the next packet only", "steps: [{fault: duplicate}, {send: PINGRESP}, {send: CONNACK}]\n", "d0 00 d0 00 20 03 00 00 00"},
		{"leaves the bytes alone when it splits", "steps: [{fault: {split: 1}}, {send: CONNACK}]\n", connack5},
		{"closes in good order", "steps: [{send: CONNACK}, close]\n", connack5},
		{"half-closes in good order", "steps: [{send: CONNACK}, {fault: half-close}]\n", connack5},
	} {
		got, err := serve(t, c.steps, "", nil)
		if err != nil || !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("it %s: got %x, %v, want %s", c.it, got, err, c.want)
		}
	}
}

// TestFaultsTakeTime looks at the times at which bytes come.
func TestFaultsTakeTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := parsed(t, head+"steps: [{fault: {split: 2, delay: 1s}}, {send: CONNACK}, {fault: none}, {send: PINGRESP}, {fault: {stall: 10s}}, {expect: PINGREQ}]\n")
		m := memtest.New()
		done := make(chan error, 1)
		go func() { done <- s.Serve(t.Context(), m, nil) }()
		nc, err := m.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		start := time.Now()
		b := make([]byte, 16)
		for i, want := range []string{"20 03", "00 00", "00"} {
			n, err := nc.Read(b)
			if at := time.Since(start); err != nil || !bytes.HasPrefix(b[:n], unhex(t, want)) || at != time.Duration(i+1)*time.Second {
				t.Errorf("piece %d: %x, %v after %v", i, b[:n], err, at)
			}
		}
		// Nothing is read for ten seconds: 64 KiB fill the way.
		nc.SetWriteDeadline(time.Now().Add(9 * time.Second))
		synctest.Wait()
		if n, err := nc.Write(make([]byte, 1<<20)); n > 64<<10+32<<10 || err == nil {
			t.Errorf("wrote %d bytes, %v", n, err)
		}
		nc.Close()
		if err := <-done; err == nil {
			t.Error("the script has seen a PINGREQ in zeros")
		}
	})
}

func TestResetAndRefuse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := parsed(t, head+"connections: [{one: [{fault: refuse}]}, {two: [{expect: CONNECT}, {fault: reset}]}]\n")
		m := memtest.New()
		done := make(chan error, 1)
		go func() { done <- s.Serve(t.Context(), m, nil) }()
		for range 2 {
			nc, err := m.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = nc.Write(unhex(t, connect5)) // the first may be refused already
			if _, err := nc.Read(make([]byte, 1)); !transport.IsReset(err) {
				t.Errorf("got %v, want a reset", err)
			}
			nc.Close()
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestResetOverTCP(t *testing.T) {
	t.Parallel()
	s := parsed(t, head+"steps: [{expect: CONNECT}, {fault: reset}]\n")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(t.Context(), ln, nil) }()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write(unhex(t, connect5)); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Read(make([]byte, 1)); !transport.IsReset(err) {
		t.Errorf("got %v, want a reset", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTheEndIsNotForAWrongRole(t *testing.T) {
	t.Parallel()
	s := parsed(t, head+"steps: [close]\n")
	if err := s.Dial(t.Context(), memtest.New().Dial, nil); err == nil || !strings.Contains(err.Error(), "is for a client") {
		t.Errorf("Dial: %v", err)
	}
	m := memtest.New()
	if err := s.Serve(t.Context(), m, &Options{Version: packet.V31}); err == nil || !strings.Contains(err.Error(), "not for MQTT 3.1") {
		t.Errorf("another version: %v", err)
	}
	if _, err := m.Dial(t.Context()); err == nil {
		t.Error("the listener is open")
	}
}

func TestNobodyConnects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := parsed(t, head+"steps: [{expect: CONNECT}]\n")
		start := time.Now()
		err := s.Serve(t.Context(), memtest.New(), &Options{Patience: time.Minute})
		if err == nil || !strings.Contains(err.Error(), "no connection within 1m0s") || time.Since(start) != time.Minute {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err = s.Serve(ctx, memtest.New(), &Options{FirstPatience: -1})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with all patience: %v", err)
		}
	})
}

func TestTranscript(t *testing.T) {
	t.Parallel()
	var lines []string
	_, err := serve(t, "steps: [{expect: CONNECT}, {send: CONNACK}, {silence: 1500ms}, {expect: PUBLISH}]\n", connect5,
		&Options{Trace: func(l Line) { lines = append(lines, l.String()) }})
	var f *Failure
	if !errors.As(err, &f) || len(f.Transcript) != 3 || f.Script != "n" || f.Connection != "a" {
		t.Fatalf("%v", err)
	}
	want := `     0.000s a -- connected
     0.000s a <- CONNECT MQTT 5.0 as 'a' clean keepalive 0
     0.000s a -> CONNACK success`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFramesOfAWebSocket(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 125, 126, 65535, 65536} {
		for _, masked := range []bool{false, true} {
			payload := bytes.Repeat([]byte("x"), size)
			in := append(frame(payload, masked), 0x89, 0, 0x02, 1, 'a', 0x80, 1, 'b')
			var d deframer
			var out []byte
			for i := range in { // byte by byte
				var err error
				if out, err = d.add(out, in[i:i+1]); err != nil {
					t.Fatal(err)
				}
			}
			if string(out) != string(payload)+"ab" {
				t.Errorf("size %d, masked %v: %d bytes", size, masked, len(out))
			}
		}
	}
	var d deframer
	if out, err := d.add(nil, []byte{0x82, 1, 'x', 0x88, 0}); err != io.EOF || string(out) != "x" {
		t.Errorf("Close: %q, %v", out, err)
	}
	if _, err := (&deframer{}).add(nil, []byte{0xC2, 0}); err == nil {
		t.Error("reserved bits are accepted")
	}
	if _, err := (&deframer{}).add(nil, []byte{0x81, 1, 'x'}); err == nil {
		t.Error("a text frame is accepted")
	}
	if _, err := (&deframer{}).add(nil, unhex(t, "827fffffffffffffffff")); err == nil {
		t.Error("a length of 64 bits is accepted")
	}
	// A mask is taken off.
	if out, err := (&deframer{}).add(nil, unhex(t, "828201020304 6062")); err != nil || string(out) != "a`" {
		t.Errorf("masked: %q, %v", out, err)
	}
}

func TestTheSubprotocolOfAWebSocket(t *testing.T) {
	t.Parallel()
	const steps = "transport: websocket\nsteps: [{expect-head: 101}]\n"
	for offer, want := range map[string]string{
		"Sec-WebSocket-Protocol: mqtt\r\n":           "",
		"sec-websocket-protocol: mqttv3.1, mqtt\r\n": "",
		"Sec-WebSocket-Protocol: mqttv3.1\r\n":       `Sec-WebSocket-Protocol: want mqtt, got mqttv3.1`,
		"":                                           `Sec-WebSocket-Protocol: want mqtt, got `,
	} {
		_, err := serve(t, steps, hex.EncodeToString([]byte("GET / HTTP/1.1\r\n"+offer+"\r\n")), nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", offer, err, want)
		}
	}
}

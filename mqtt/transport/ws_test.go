package transport

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wsPair returns a WebSocket end of the given role over a pipe, and the bare
// other end.
func wsPair(t testing.TB, client bool) (*wsConn, net.Conn) {
	a, b := net.Pipe()
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	_ = b.SetDeadline(time.Now().Add(10 * time.Second))
	_ = a.SetDeadline(time.Now().Add(10 * time.Second))
	return newWSConn(a, client, nil), b
}

// The peer may close as soon as it has read the last packet: later data would
// reset the connection.
func TestWebSocketWritesTheLastPacketAndCloseAtOnce(t *testing.T) {
	w, peer := wsPair(t, false)
	done := make(chan error, 1)
	go func() {
		_, err := w.WriteLast(fromHex(t, "e0 00"))
		if err == nil {
			err = w.CloseWrite() // sends nothing more
		}
		done <- err
	}()
	b := make([]byte, 100)
	n, err := peer.Read(b) // of a pipe: the data of one Write
	if want := "8202e000880203e8"; err != nil || hex.EncodeToString(b[:n]) != want {
		t.Errorf("got %x, %v, want %s in one write", b[:n], err, want)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := w.Write([]byte{0xc0, 0}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a packet after the last: %v, want ErrClosed", err)
	}
}

// TestWebSocketReads uses hand-written frames, after RFC 6455 section 5.7.
func TestWebSocketReads(t *testing.T) {
	for _, c := range []struct {
		it     string
		client bool
		in     string // frames, up to the end of the stream
		want   string
		answer string // what the end writes back
		err    string // "" for a normal end
	}{
		{"an unmasked frame", true, "82 05 48656c6c6f", "Hello", "", ""},
		{"a masked frame", false, "82 85 37fa213d 7f9f4d5158", "Hello", "", ""},
		{"a message in two frames", true, "02 03 48656c 80 02 6c6f", "Hello", "", ""},
		{"empty frames", true, "82 00 02 00 00 00 80 01 21", "!", "", ""},
		{"a length of 16 bits", true, "82 7e 0003 616263", "abc", "", ""},
		{"a length of 64 bits", true, "82 7f 0000000000000003 616263", "abc", "", ""},
		{"a ping within a message", true, "02 03 48656c 89 05 48656c6c6f 80 02 6c6f", "Hello", "8a 85 MASK 48656c6c6f", ""},
		{"a ping of a client", false, "89 85 37fa213d 7f9f4d5158", "", "8a 05 48656c6c6f", ""},
		{"an unsolicited pong", true, "8a 01 00 82 01 21", "!", "", ""},
		{"a plain Close", true, "82 01 21 88 02 03e8 ff", "!", "88 82 MASK 03e8", ""},
		{"a Close without status", false, "88 80 00000000", "", "88 00", ""},
		{"a Close that says why", true, "88 08 03f0 6261642069 64", "", "88 82 MASK 03f0", "closed by the peer with status 1008 (policy violation): bad id"},
		{"a Close of one byte", true, "88 01 03", "", "88 82 MASK 03ea", "a Close frame that is not a status and a text"},
		{"a text frame", true, "81 01 61", "", "88 82 MASK 03eb", "a text message, which is not MQTT [MQTT-6.0.0-1]"},
		{"a frame with a reserved bit", true, "c2 01 61", "", "88 82 MASK 03ea", "reserved bits"},
		{"a frame of unknown kind", true, "83 01 61", "", "88 82 MASK 03ea", "unknown kind 3"},
		{"an unmasked frame of a client", false, "82 01 61", "", "88 02 03ea", "not masked"},
		{"a masked frame of a server", true, "82 81 00000000 61", "", "88 82 MASK 03ea", "masked"},
		{"a fragmented ping", true, "09 00", "", "88 82 MASK 03ea", "control frame"},
		{"a ping above 125 bytes", true, "89 7e 007e", "", "88 82 MASK 03ea", "control frame"},
		{"a continuation without a message", true, "80 01 61", "", "88 82 MASK 03ea", "continuation without a message"},
		{"a message within a message", true, "02 01 61 82 01 61", "a", "88 82 MASK 03ea", "before the end of the last"},
		{"a length of 2^63", true, "82 7f 8000000000000000", "", "88 82 MASK 03ea", "2^63"},
	} {
		for _, way := range []string{"whole", "byte by byte"} {
			t.Run(c.it+" "+way, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w, raw := wsPair(t, c.client)
					var ends sync.WaitGroup
					ends.Go(func() {
						in := fromHex(t, c.in)
						if way == "whole" {
							_, _ = raw.Write(in)
						} else {
							for i := range in {
								_, _ = raw.Write(in[i : i+1])
							}
						}
					})
					answered := make(chan []byte, 1)
					ends.Go(func() {
						b := make([]byte, len(strings.ReplaceAll(strings.ReplaceAll(c.answer, "MASK", "00000000"), " ", ""))/2)
						_, _ = io.ReadFull(raw, b)
						answered <- b
					})
					go func() {
						ends.Wait()
						_ = raw.Close()
					}()
					got, err := io.ReadAll(w)
					if string(got) != c.want {
						t.Errorf("got %q, want %q", got, c.want)
					}
					if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
						t.Errorf("ended with %v, want %q", err, c.err)
					}
					b := <-answered
					if before, after, masked := strings.Cut(c.answer, "MASK"); masked {
						head, tail := fromHex(t, before), fromHex(t, after)
						maskBytes(b[len(head)+4:], [4]byte(b[len(head):]), 0)
						if !bytes.Equal(b[:len(head)], head) || !bytes.Equal(b[len(head)+4:], tail) {
							t.Errorf("answered % x unmasked, want %s", b, c.answer)
						}
					} else if !bytes.Equal(b, fromHex(t, c.answer)) {
						t.Errorf("answered % x, want %s", b, c.answer)
					}
				})
			})
		}
	}
}

// TestWebSocketWritesWholePackets writes a stream of packets in pieces of every
// size, and checks the frames.
func TestWebSocketWritesWholePackets(t *testing.T) {
	var stream []byte
	var sizes []int
	for _, body := range []int{0, 1, 127, 128, 20_000, 20_000, 40_000, 0, 5} { // the length field has 1, 2 and 3 bytes
		p := []byte{0x30}
		for n := body; ; {
			d := byte(n & 0x7f)
			if n >>= 7; n > 0 {
				p = append(p, d|0x80)
				continue
			}
			p = append(p, d)
			break
		}
		p = append(p, make([]byte, body)...)
		for i := range body {
			p[len(p)-1-i] = byte(i)
		}
		stream, sizes = append(stream, p...), append(sizes, len(p))
	}
	for _, client := range []bool{true, false} {
		for _, piece := range []int{1, 2, 3, 7, 1000, 30_000, len(stream)} {
			w, raw := wsPair(t, client)
			go func() {
				for b := stream; len(b) > 0; {
					k := min(piece, len(b))
					if n, err := w.Write(b[:k]); n != k || err != nil {
						t.Errorf("Write of %d: %d, %v", k, n, err)
					}
					b = b[k:]
				}
				_ = w.CloseWrite()
			}()
			var got []byte
			frames := 0
			for {
				op, payload, masked := readFrame(t, raw)
				if op == wsFin|wsClose {
					break
				}
				frames++
				if op != wsFin|wsBinary || masked != client || len(payload) == 0 {
					t.Fatalf("frame %d: first byte %x, masked %v, %d bytes", frames, op, masked, len(payload))
				}
				// It ends at the end of a packet.
				at, border := 0, false
				for _, s := range sizes {
					at += s
					border = border || at == len(got)+len(payload)
				}
				if !border {
					t.Fatalf("in pieces of %d: frame %d ends within a packet", piece, frames)
				}
				if len(payload) > wsFrameAim && len(payload) != 40_004 {
					t.Errorf("frame %d has %d bytes", frames, len(payload))
				}
				got = append(got, payload...)
			}
			if !bytes.Equal(got, stream) {
				t.Errorf("in pieces of %d: the stream is not the same", piece)
			}
			if piece == len(stream) && frames != 4 {
				t.Errorf("%d frames for one Write, want 4", frames)
			}
		}
	}
	w, _ := wsPair(t, true)
	if n, err := w.Write(nil); n != 0 || err != nil { // would block if it wrote an empty frame
		t.Errorf("empty Write: %d, %v", n, err)
	}
}

// readFrame reads a frame without using our own code.
func readFrame(t testing.TB, r io.Reader) (first byte, payload []byte, masked bool) {
	t.Helper()
	read := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	h := read(2)
	n := int(h[1] & 0x7f)
	switch n {
	case 126:
		b := read(2)
		n = int(b[0])<<8 | int(b[1])
	case 127:
		n = 0
		for _, c := range read(8) {
			n = n<<8 | int(c)
		}
	}
	masked = h[1]&0x80 != 0
	mask := make([]byte, 4)
	if masked {
		mask = read(4)
	}
	payload = read(n)
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return h[0], payload, masked
}

// A ping is answered even if the answer is not read: the reader continues.
func TestWebSocketReadingDoesNotWaitForPongs(t *testing.T) {
	w, raw := wsPair(t, true)
	go func() {
		for range 1000 {
			_, _ = raw.Write([]byte{0x89, 0})
		}
		_, _ = raw.Write([]byte{0x82, 1, '!'})
	}()
	if err := readByte(w); err != nil {
		t.Fatal(err)
	}
	_ = raw.Close()
}

func TestWebSocketBothWaysAtOnce(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	for _, url := range []string{"ws://127.0.0.1:0", "wss://127.0.0.1:0/mqtt"} {
		cfg := certs.ServerConfig()
		if strings.HasPrefix(url, "ws:") {
			cfg = nil
		}
		ln, err := Listen(t.Context(), url, cfg)
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, 3<<20)
		r := rand.New(rand.NewPCG(1, 2))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		stream := []byte{0x30}
		for n := len(data); n > 0; n >>= 7 {
			d := byte(n & 0x7f)
			if n > 0x7f {
				d |= 0x80
			}
			stream = append(stream, d)
		}
		stream = append(stream, data...)
		both := func(c net.Conn) error {
			wrote := make(chan error, 1)
			go func() {
				_, err := c.Write(stream)
				wrote <- err
			}()
			got := make([]byte, len(stream))
			if _, err := io.ReadFull(c, got); err != nil {
				return err
			}
			if !bytes.Equal(got, stream) {
				return errors.New("the stream is not the same")
			}
			return <-wrote
		}
		served := make(chan error, 1)
		go func() {
			c, err := ln.Accept()
			if err == nil {
				defer c.Close()
				if err = both(c); err == nil {
					_, err = io.Copy(io.Discard, c)
				}
			}
			served <- err
		}()
		d := Dialer{TLS: &TLSOptions{CAFile: certs.CA.CertFile}}
		c, err := d.Dial(t.Context(), &Target{Network: "tcp", Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port,
			TLS: cfg != nil, WebSocket: true, Resource: "/mqtt"})
		if err != nil {
			t.Fatal(err)
		}
		if err := both(c); err != nil {
			t.Errorf("client: %v", err)
		}
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Errorf("CloseWrite: %v", err)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the Close frames: %v, want the end", err)
		}
		if err := <-served; err != nil {
			t.Errorf("server: %v", err)
		}
		_ = c.Close()
		_ = ln.Close()
	}
}

func TestWebSocketUpgradeRequest(t *testing.T) {
	requests := make(chan string, 1)
	port := serve(t, func(c net.Conn) {
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		requests <- string(b[:n])
		// This is the answer to the key of RFC 6455 section 1.3; ours is
		// random.
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n"+
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
	})
	if got := wsAccept("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("the answer to the specification's key is %s", got)
	}
	d := Dialer{Headers: []Header{{"Authorization", "Bearer x"}, {"Origin", "https://h"}}}
	_, err := d.Dial(t.Context(), &Target{Network: "tcp", Host: "localhost", Port: port, WebSocket: true, Resource: "/a?b=c"})
	wantError(t, err, OpWebSocket, NotWebSocket, "does not match the request")
	got := <-requests
	before, after, _ := strings.Cut(got, "Sec-WebSocket-Key: ")
	want := fmt.Sprintf("GET /a?b=c HTTP/1.1\r\nHost: localhost:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", port)
	wantAfter := "==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\nAuthorization: Bearer x\r\nOrigin: https://h\r\n\r\n"
	if before != want || len(after) < 22 || after[22:] != wantAfter {
		t.Errorf("request:\n%s\nwant:\n%s…%s", got, want, wantAfter)
	}
}

func TestWebSocketUpgradeRefused(t *testing.T) {
	const ok = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
	for _, c := range []struct {
		it, answer string
		kind       Kind
		text       string
		hint       string
		temporary  bool
	}{
		{"401", "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nno token\n", UpgradeRefused, ": broker answered 401 Unauthorized: no token", "--ws-header", false},
		{"404", "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>", UpgradeRefused, ": broker answered 404 Not Found", "", false},
		{"200", "HTTP/1.1 200 OK\r\n\r\n", UpgradeRefused, ": broker answered 200 OK", "", false},
		{"a redirection", "HTTP/1.1 308 Permanent Redirect\r\nLocation: wss://other/\r\n\r\n", UpgradeRefused, "points to wss://other/", "connect there", false},
		{"an overloaded proxy", "HTTP/1.1 503 Service Unavailable\r\n\r\n", UpgradeRefused, "503", "", true},
		{"another subprotocol", ok + "Sec-WebSocket-Protocol: chat\r\n\r\n", NotWebSocket, `requires the subprotocol "chat"`, "", false},
		{"no subprotocol", ok + "\r\n", NotWebSocket, "does not accept the subprotocol mqtt [MQTT-6.0.0-4]", "", false},
		{"an extension", ok + "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", NotWebSocket, "extension", "", false},
		{"another upgrade", "HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", NotWebSocket, "another protocol", "", false},
		{"an MQTT broker", "\x20\x02\x00\x00", NotWebSocket, `speaks MQTT, not WebSocket (it answered " \x02\x00\x00")`, "", false},
		{"a header that is none", "HTTP/1.1 101\r\nUpgrade\r\n\r\n", NotWebSocket, "speaks HTTP, not WebSocket", "", false},
		{"an endless header", "HTTP/1.1 101 X\r\n" + strings.Repeat("A: b\r\n", 4000), Other, "16 KiB", "", false},
		{"a hang-up", "", NotWebSocket, ": connection closed during the WebSocket handshake", "", false},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			port := serve(t, func(nc net.Conn) {
				head, _, err := readHead(nc)
				if err != nil {
					t.Error(err)
					return
				}
				answer := c.answer
				if strings.Contains(answer, "%s") {
					answer = fmt.Sprintf(answer, wsAccept(head.get("Sec-WebSocket-Key")))
				}
				_, _ = io.WriteString(nc, answer)
				if c.answer != "" {
					_, _ = io.Copy(io.Discard, nc)
				}
			})
			_, err := (&Dialer{}).Dial(t.Context(), &Target{Network: "tcp", Host: "127.0.0.1", Port: port, WebSocket: true, Resource: "/mqtt"})
			e := wantError(t, err, OpWebSocket, c.kind, c.text)
			if !strings.Contains(e.Hint, c.hint) || e.Temporary() != c.temporary {
				t.Errorf("got hint %q, temporary %v", e.Hint, e.Temporary())
			}
		})
	}
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		ctx, port := silent(t)
		_, err := (&Dialer{}).Dial(ctx, &Target{Network: "tcp", Host: "127.0.0.1", Port: port, WebSocket: true, Resource: "/"})
		wantError(t, err, OpWebSocket, Timeout, "no answer to the WebSocket handshake within")
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		port := serve(t, func(nc net.Conn) {
			_ = readByte(nc)
			cancel()
			_, _ = io.Copy(io.Discard, nc)
		})
		_, err := (&Dialer{}).Dial(ctx, &Target{Network: "tcp", Host: "127.0.0.1", Port: port, WebSocket: true, Resource: "/"})
		wantError(t, err, OpWebSocket, Canceled)
	})
}

func TestWebSocketServerAnswers(t *testing.T) {
	const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	const up = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	ln, err := Listen(t.Context(), "ws://127.0.0.1:0/mqtt", nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 16)
			if n, err := c.Read(b); err == nil {
				_, _ = c.Write(b[:n])
			}
			_ = c.Close()
		}
	}()
	defer func() { _ = ln.Close(); <-done }()
	for _, c := range []struct{ it, request, status, more string }{
		{"the handshake", "GET /mqtt HTTP/1.1\r\nHost: h\r\n" + up + key + "Sec-WebSocket-Protocol: chat, mqtt\r\n\r\n",
			"HTTP/1.1 101 Switching Protocols", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"},
		{"MQTT 3.1's name", "GET /mqtt HTTP/1.1\r\n" + up + key + "Sec-WebSocket-Protocol: mqttv3.1\r\n\r\n", "HTTP/1.1 101", "Protocol: mqttv3.1\r\n\r\n"},
		{"both names", "GET /mqtt HTTP/1.1\r\n" + up + key + "Sec-WebSocket-Protocol: mqtt, mqttv3.1\r\n\r\n", "HTTP/1.1 101", "Protocol: mqtt\r\n\r\n"},
		{"both names, the old one first", "GET /mqtt HTTP/1.1\r\n" + up + key + "Sec-WebSocket-Protocol: mqttv3.1,mqtt\r\n\r\n", "HTTP/1.1 101", "Protocol: mqtt\r\n\r\n"},
		{"a key of 15 bytes", "GET /mqtt HTTP/1.1\r\n" + up + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", "HTTP/1.1 400", "not 16 bytes"},
		{"a frame behind it at once", "GET /mqtt HTTP/1.1\r\n" + up + key + "Sec-WebSocket-Protocol: mqtt\r\n\r\n\x82\x82\x00\x00\x00\x00\xc0\x00",
			"HTTP/1.1 101", "\x82\x02\xc0\x00"},
		{"a browser", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 426 Upgrade Required", "connect by WebSocket"},
		{"another path", "GET /ws HTTP/1.1\r\n" + up + key + "Sec-WebSocket-Protocol: mqtt\r\n\r\n", "HTTP/1.1 404", "MQTT is at /mqtt"},
		{"another version", "GET /mqtt HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n" + key + "\r\n", "HTTP/1.1 426", "Sec-WebSocket-Version: 13\r\n"},
		{"no key", "GET /mqtt HTTP/1.1\r\n" + up + "Sec-WebSocket-Protocol: mqtt\r\n\r\n", "HTTP/1.1 400", "not 16 bytes"},
		{"no subprotocol", "GET /mqtt HTTP/1.1\r\n" + up + key + "\r\n", "HTTP/1.1 400", "MQTT-6.0.0-3"},
		{"a POST", "POST /mqtt HTTP/1.1\r\n" + up + key + "\r\n", "HTTP/1.1 426", ""},
		{"plain MQTT", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00", "", ""},
	} {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(nc, c.request)
		if strings.HasSuffix(c.request, "mqtt\r\n\r\n") || strings.HasSuffix(c.request, "3.1\r\n\r\n") || strings.HasSuffix(c.request, ",mqtt\r\n\r\n") {
			_ = nc.(*net.TCPConn).CloseWrite()
		}
		got, _ := io.ReadAll(nc)
		if !strings.HasPrefix(string(got), c.status) || !strings.Contains(string(got), c.more) {
			t.Errorf("%s: got %q, want %q and %q", c.it, got, c.status, c.more)
		}
		_ = nc.Close()
	}
}

func TestCheckHeader(t *testing.T) {
	for _, c := range []struct {
		h  Header
		ok bool
	}{
		{Header{"Authorization", "Bearer a b"}, true}, {Header{"X-Ł", "a"}, false}, {Header{"Host", "h"}, true}, {Header{"Cookie", "ł\t;"}, true},
		{Header{"", "a"}, false}, {Header{"A b", "a"}, false}, {Header{"A:", "a"}, false}, {Header{"A", "a\r\nB: c"}, false},
		{Header{"sec-websocket-key", "a"}, false}, {Header{"Upgrade", "h2c"}, false},
	} {
		if err := CheckHeader(c.h); (err == nil) != c.ok {
			t.Errorf("%q: got %v", c.h, err)
		}
	}
}

// FuzzWebSocketFrames checks that the same bytes have the same meaning however
// they are split, and that only bytes of the input come out.
func FuzzWebSocketFrames(f *testing.F) {
	for _, s := range []string{"8205 48656c6c6f", "8285 37fa213d 7f9f4d5158", "0203 48656c 8905 48656c6c6f 8002 6c6f", "8802 03e8", "827f 8000000000000000", "827e 0003 616263"} {
		f.Add(fromHex(f, s), uint8(1), true)
		f.Add(fromHex(f, s), uint8(3), false)
	}
	f.Fuzz(func(t *testing.T, in []byte, piece uint8, client bool) {
		read := func(piece int) (out []byte, end error) {
			w := newWSConn(discard{}, client, nil)
			for b := bytes.Clone(in); len(b) > 0 && w.end == nil; {
				k := min(piece, len(b))
				n := w.deframe(b[:k])
				out = append(out, b[:n]...)
				b = b[k:]
			}
			return out, w.end
		}
		whole, end := read(len(in) + 1)
		parts, end2 := read(int(piece) + 1)
		if !bytes.Equal(whole, parts) || fmt.Sprint(end) != fmt.Sprint(end2) {
			t.Errorf("whole: %x, %v; in pieces: %x, %v", whole, end, parts, end2)
		}
		if len(whole) > len(in) {
			t.Errorf("%d bytes out of %d", len(whole), len(in))
		}
	})
}

// discard is a connection that discards everything written.
type discard struct{ net.Conn }

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func BenchmarkWebSocketWrite(b *testing.B) {
	w := newWSConn(discard{}, true, nil)
	batch := bytes.Repeat(append([]byte{0x30, 66, 0, 4, 'a', '/', 'b', 'c'}, make([]byte, 60)...), 900)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Write(batch); err != nil {
			b.Fatal(err)
		}
	}
}

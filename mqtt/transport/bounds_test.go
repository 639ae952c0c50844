package transport

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// frameOf splits a frame into its header, as in RFC 6455, section 5.2, and its
// payload.
func frameOf(t *testing.T, b []byte) (header []byte, mask [4]byte, payload, rest []byte) {
	t.Helper()
	n, at := uint64(b[1]&0x7f), 2
	switch n {
	case 126:
		n, at = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		n, at = binary.BigEndian.Uint64(b[2:]), 10
	}
	header = b[:at]
	if b[1]&0x80 != 0 {
		mask = [4]byte(b[at:])
		at += 4
	}
	payload = bytes.Clone(b[at : at+int(n)])
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return header, mask, payload, b[at+int(n):]
}

// The length of a frame is encoded in the shortest form (RFC 6455, section
// 5.2).
func TestFrameLengthsAreTheShortest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n      int
		header string // of a server, in hexadecimal
	}{
		{0, "8a 00"}, {1, "8a 01"}, {125, "8a 7d"},
		{126, "8a 7e 007e"}, {127, "8a 7e 007f"}, {65_535, "8a 7e ffff"},
		{65_536, "8a 7f 0000000000010000"},
	} {
		for _, client := range []bool{false, true} {
			payload := make([]byte, c.n)
			for i := range payload {
				payload[i] = byte(i)
			}
			w := newWSConn(nil, client, nil)
			b := w.frame(nil, wsPong, payload)
			want := fromHex(t, c.header)
			if client {
				want[1] |= 0x80
			}
			header, mask, got, rest := frameOf(t, b)
			if !bytes.Equal(header, want) || !bytes.Equal(got, payload) || len(rest) > 0 {
				t.Errorf("%d bytes, client %v: header % x, want % x; payload equal %v", c.n, client, header, want, bytes.Equal(got, payload))
			}
			if client && c.n == 126 {
				masks := map[[4]byte]bool{mask: true} // each frame has a new one (section 5.3)
				for range 63 {
					_, mask, _, _ := frameOf(t, w.frame(nil, wsPong, payload))
					masks[mask] = true
				}
				if len(masks) < 60 { // of 2^32: a duplicate has a chance of one in two million
					t.Errorf("64 frames have %d masks", len(masks))
				}
			}
		}
	}
}

// deframed feeds frames to an end of the given role, split in two at each
// position.
func deframed(t *testing.T, client bool, in []byte, each func(w *wsConn, got []byte)) {
	t.Helper()
	for cut := range min(len(in), 40) {
		a, b := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, b) }()
		w := newWSConn(a, client, nil)
		var got []byte
		for _, part := range [][]byte{in[:cut], in[cut:]} {
			p := bytes.Clone(part)
			got = append(got, p[:w.deframe(p)]...)
		}
		each(w, got)
		_ = a.Close()
		_ = b.Close()
	}
}

func TestFramesAreReadUpToTheirBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it     string
		client bool
		in     string
		want   string // the data
		ctl    int    // bytes of the last control frame
		bad    string
	}{
		{"a ping of 125 bytes", true, "82 01 21 89 7d" + strings.Repeat("61", 125), "!", 125, ""},
		{"a ping of 126 bytes", true, "89 7e 007e", "", 0, "above 125 bytes"},
		{"a fragmented Close", true, "08 02 03e8", "", 0, "fragmented"},
		{"a length of 2^63-1", true, "82 7f 7fffffffffffffff 6162", "ab", 0, ""},
		{"a length of 2^62", true, "82 7f 4000000000000000 6162", "ab", 0, ""},
		{"a length of 2^63", true, "82 7f 8000000000000000", "", 0, "2^63"},
		{"two masks, after three bytes", false, "82 83 01020304 606060 82 82 01020304 6060", "abcab", 0, ""},
		{"opcode 11", true, "8b 00", "", 0, "unknown kind 11"},
		{"opcode 15", true, "8f 00", "", 0, "unknown kind 15"},
		{"opcode 7", true, "87 00", "", 0, "unknown kind 7"},
		{"reserved bit 1", true, "c2 00", "", 0, "reserved"},
		{"reserved bit 2", true, "a2 00", "", 0, "reserved"},
		{"reserved bit 3", true, "92 00", "", 0, "reserved"},
		{"a message behind one in three frames", true, "02 01 61 00 01 62 80 01 63 82 01 64", "abcd", 0, ""},
		{"a continuation behind the end", true, "02 01 61 80 01 62 80 01 63", "ab", 0, "continuation without a message"},
		{"a Close whose text is no UTF-8", true, "88 04 03e8 c328", "", 4, "not a status and a text"},
		{"a Close of one byte", true, "88 01 03", "", 1, "not a status and a text"},
	} {
		deframed(t, c.client, fromHex(t, c.in), func(w *wsConn, got []byte) {
			if string(got) != c.want || len(w.ctl) != c.ctl {
				t.Errorf("%s: got %q and %d bytes of control, want %q and %d", c.it, got, len(w.ctl), c.want, c.ctl)
			}
			if c.bad == "" && w.end != nil || c.bad != "" && (w.end == nil || !strings.Contains(w.end.Error(), c.bad)) {
				t.Errorf("%s: ended with %v, want %q", c.it, w.end, c.bad)
			}
		})
	}
}

func TestWhatACloseMeans(t *testing.T) {
	t.Parallel()
	for status, good := range map[int]bool{1000: true, 1001: true, 1002: false, 1003: false, 1008: false, 1009: false, 1011: false, 1012: false, 1013: false, 4000: false} {
		in := []byte{0x88, 0x02, byte(status >> 8), byte(status)}
		deframed(t, true, in, func(w *wsConn, _ []byte) {
			if got := w.end == io.EOF; got != good || !IsEnd(w.end) {
				t.Errorf("%d: ended with %v, want a good end %v, and an end in any case", status, w.end, good)
			}
		})
	}
	deframed(t, true, []byte{0x88, 0x00}, func(w *wsConn, _ []byte) {
		if w.end != io.EOF {
			t.Errorf("without a status: ended with %v", w.end)
		}
	})
}

// A pong has the payload of the last ping only, and is sent once.
func TestEachPingHasItsPong(t *testing.T) {
	t.Parallel()
	w, peer := wsPair(t, false)
	go func() { _, _ = io.ReadAll(w) }()
	for _, ping := range []string{"one", "", "three"} {
		frame := append([]byte{0x89, 0x80 | byte(len(ping)), 0, 0, 0, 0}, ping...)
		if _, err := peer.Write(frame); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 2+len(ping))
		if _, err := io.ReadFull(peer, got); err != nil || string(got) != "\x8a"+string(rune(len(ping)))+ping {
			t.Errorf("got %q, %v, want the pong of %q", got, err, ping)
		}
	}
	if _, err := peer.Write(fromHex(t, "88 80 00000000")); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(io.LimitReader(peer, 2)); string(rest) != "\x88\x00" {
		t.Errorf("after the pongs comes % x, want the Close alone", rest)
	}
}

func TestPacketsShareAFrameUpToItsAim(t *testing.T) {
	t.Parallel()
	packet := func(size int) []byte { // an MQTT packet with a length field of three bytes
		p := make([]byte, size)
		n := size - 4
		p[0], p[1], p[2], p[3] = 0x30, byte(n&0x7f|0x80), byte(n>>7&0x7f|0x80), byte(n>>14)
		return p
	}
	for _, c := range []struct {
		second, whole int
	}{{wsFrameAim - 20_000, wsFrameAim}, {wsFrameAim - 20_000 + 1, 20_000}} {
		b := append(packet(20_000), packet(c.second)...)
		if whole, next := wholePackets(b); whole != c.whole || next != 0 {
			t.Errorf("20,000 and %d bytes: got %d and %d, want %d in one frame", c.second, whole, next, c.whole)
		}
	}
	for in, want := range map[string][2]int{ // size, and 1 if it is known
		"\x30":                     {0, 0},
		"\x30\x00":                 {2, 1},
		"\x30\xff\xff\xff":         {0, 0},
		"\x30\xff\xff\xff\x7f":     {268_435_460, 1}, // the largest packet
		"\x30\xff\xff\xff\xff":     {-1, 1},
		"\x30\x80\x80\x80\x80\x01": {-1, 1},
	} {
		size, ok := packetSize([]byte(in))
		if size != want[0] || ok != (want[1] == 1) {
			t.Errorf("% x: got %d, %v, want %v", in, size, ok, want)
		}
	}
}

// filler returns a handshake of size bytes including its empty line.
func filler(start string, size int) string {
	const name, end = "X: ", "\r\n\r\n"
	return start + name + strings.Repeat("x", size-len(start)-len(name)-len(end)) + end
}

func TestAHandshakeHasAtMost16KiB(t *testing.T) {
	t.Parallel()
	const start = "GET /mqtt HTTP/1.1\r\n"
	for size, ok := range map[int]bool{1000: true, 1024: true, 1025: true, 16 << 10: true, 16<<10 + 1: false, 17 << 10: false, 1 << 20: false} {
		head, rest, err := readHead(strings.NewReader(filler(start, size) + "rest"))
		switch {
		case ok && (err != nil || head.resource != "/mqtt" || !strings.HasPrefix("rest", string(rest))):
			t.Errorf("%d bytes: got %+v, %q, %v", size, head, rest, err)
		case !ok && err != errLongHTTP:
			t.Errorf("%d bytes: got %v, want %v", size, err, errLongHTTP)
		}
	}
}

func TestHostLeavesOutTheDefaultPortAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url, want string
	}{
		{"ws://h", "h"}, {"ws://h:80", "h"}, {"ws://h:443", "h:443"}, {"ws://h:8080", "h:8080"},
		{"wss://h", "h"}, {"wss://h:443", "h"}, {"wss://h:80", "h:80"}, {"wss://[::1]", "[::1]"}, {"ws://[::1]:9001", "[::1]:9001"},
	} {
		target, err := ParseURL(c.url)
		if err != nil {
			t.Fatal(err)
		}
		here, peer := net.Pipe()
		go func() { _, _ = (&Dialer{}).askUpgrade(here, target) }()
		head, _, err := readHead(peer)
		if err != nil || head.get("Host") != c.want {
			t.Errorf("%s: got the Host %q, %v, want %q", c.url, head.get("Host"), err, c.want)
		}
		_ = peer.Close()
		_ = here.Close()
	}
}

func TestWhichRefusalsMayPass(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{200: false, 301: false, 400: false, 401: false, 403: false, 404: false, 426: false, 428: false,
		429: true, 430: false, 499: false, 500: true, 501: false, 502: true, 503: true, 504: true, 599: true} {
		if got := (&httpHead{status: status}).temporary(); got != want {
			t.Errorf("%d: got %v, want %v", status, got, want)
		}
	}
}

func TestDefaultPorts(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]int{
		"mqtt://h": 1883, "tcp://h": 1883, "mqtts://h": 8883, "ssl://h": 8883, "tls://h": 8883, "tcps://h": 8883, "mqtt+ssl://h": 8883,
		"ws://h": 80, "wss://h": 443, "mqtt://h:1": 1, "mqtt://h:65535": 65535,
	} {
		if got, err := ParseURL(url); err != nil || got.Port != want {
			t.Errorf("%s: got %+v, %v, want port %d", url, got, err, want)
		}
	}
	for _, url := range []string{"mqtt://h:0", "mqtt://h:65536", "mqtt://h:00001", "mqtt://h:+1", "mqtt://h:"} {
		_, err := ParseURL(url)
		wantError(t, err, OpURL, InvalidURL, "port")
	}
	for url, want := range map[string]int{"socks5://h": 1080, "socks5h://h": 1080, "http://h": 8080, "https://h": 443} {
		if got, err := ParseProxy(url); err != nil || got.Port != want {
			t.Errorf("%s: got %+v, %v, want port %d", url, got, err, want)
		}
	}
	long := strings.Repeat("x", 255) // RFC 1929 has one byte for the length
	if _, err := ParseProxy("socks5://" + long + ":" + long + "@h"); err != nil {
		t.Error(err)
	}
	for _, user := range []string{long + "x:y", "x:" + long + "y"} {
		_, err := ParseProxy("socks5://" + user + "@h")
		wantError(t, err, OpURL, InvalidURL, "255")
	}
}

func TestZonesAreReadAndWritten(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"mqtt://[fe80::1%25eth0]": "fe80::1%eth0",
		"mqtt://[fe80::1%eth0]":   "fe80::1%eth0",
		"mqtt://[fe80::1%25]":     "fe80::1%25", // a zone of that name, not an empty one
		"mqtt://[fe80::1%2525]":   "fe80::1%25",
		"mqtt://[fe80::1%251]":    "fe80::1%1",
	} {
		got, err := ParseURL(in)
		if err != nil || got.Host != want {
			t.Errorf("%s: got %+v, %v, want %s", in, got, err, want)
			continue
		}
		again, err := ParseURL(got.String())
		if err != nil || again.Host != want {
			t.Errorf("%s: written as %s, read as %+v, %v", in, got, again, err)
		}
		// Certificates have no zones (nor has RFC 6125).
		cfg, err := (&Dialer{}).tlsConfig(got)
		if err != nil || cfg.ServerName != "fe80::1" {
			t.Errorf("%s: the certificate is to be for %q, %v", in, cfg.ServerName, err)
		}
	}
	for _, in := range []string{"mqtt://[fe80::1%]", "mqtt://[::ffff:192.0.2.1%25eth0]", "mqtt://[fe80::1%25e/th]", "mqtt://[192.0.2.1]"} {
		_, err := ParseURL(in)
		wantError(t, err, OpURL, InvalidURL)
	}
}

// What a server sees of the client's TLS settings.
func TestWhatTLSOffers(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	for _, c := range []struct {
		it   string
		opts TLSOptions
		host string
		want string // SNI, ALPN, lowest version
	}{
		{"the host", TLSOptions{}, "localhost", `"localhost" [] 0x303`},
		{"another name", TLSOptions{ServerName: "other.example"}, "localhost", `"other.example" [] 0x303`},
		{"an address, which is no SNI", TLSOptions{}, "127.0.0.1", `"" [] 0x303`},
		{"ALPN in its order", TLSOptions{ALPN: []string{"mqtt", "x"}}, "localhost", `"localhost" [mqtt x] 0x303`},
		{"TLS 1.3 only", TLSOptions{MinVersion: tls.VersionTLS13}, "localhost", `"localhost" [] 0x304`},
	} {
		saw := make(chan string, 1)
		cfg := certs.ServerConfig()
		cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			lowest := uint16(0xffff)
			for _, v := range h.SupportedVersions {
				if v>>8 == 3 { // not a GREASE value
					lowest = min(lowest, v)
				}
			}
			saw <- fmt.Sprintf("%q %v %#x", h.ServerName, h.SupportedProtos, lowest)
			return nil, nil
		}
		port := serveTLS(t, cfg)
		c.opts.Insecure = true
		conn, err := (&Dialer{TLS: &c.opts}).Dial(t.Context(), &Target{Network: "tcp", Host: c.host, Port: port, TLS: true})
		if err != nil {
			t.Errorf("%s: %v", c.it, err)
			continue
		}
		_ = conn.Close()
		if got := <-saw; got != c.want {
			t.Errorf("%s: the server saw %s, want %s", c.it, got, c.want)
		}
	}
}

func TestThePROXYLineHasAtMost107Bytes(t *testing.T) {
	t.Parallel()
	for size, ok := range map[int]bool{15: true, 106: true, 107: true, 108: false} {
		line := "PROXY UNKNOWN" + strings.Repeat(" ", size-15) + "\r\n"
		_, n, err := parseProxy([]byte(line))
		if ok && (n != size || err != nil) || !ok && err == nil {
			t.Errorf("%d bytes: got %d, %v", size, n, err)
		}
	}
	// The shortest header of version 2, and one that is a byte too short.
	for length, ok := range map[byte]bool{11: false, 12: true, 13: true} {
		b := append([]byte(proxySignature+"\x21\x11\x00"), length)
		b = append(b, "\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x07\x5b\x00"...)
		from, n, err := parseProxy(b)
		if ok && (err != nil || n != 16+int(length) || from.String() != "192.0.2.1:56324") || !ok && err == nil {
			t.Errorf("a length of %d: got %v, %d, %v", length, from, n, err)
		}
	}
}

package transport

import "testing"

func TestSniff(t *testing.T) {
	for _, c := range []struct {
		it, bytes string
		want      Protocol
	}{
		{"waits for bytes", "", ProtocolUndecided},
		{"knows CONNECT by one byte", "\x10", ProtocolMQTT},
		{"knows CONNECT", "\x10\x0c\x00\x04MQTT", ProtocolMQTT},
		{"knows a ClientHello", "\x16\x03\x01\x02\x00", ProtocolTLS},
		{"waits for a ClientHello's second byte", "\x16", ProtocolUndecided},
		{"does not take 0x16 alone for TLS", "\x16\x00", ProtocolUnknown},
		{"knows GET", "GET /mqtt HTTP/1.1", ProtocolHTTP},
		{"waits for a method's end", "GE", ProtocolUndecided},
		{"knows POST", "POST /", ProtocolHTTP},
		{"knows HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ProtocolHTTP},
		{"waits where methods share a start", "P", ProtocolUndecided},
		{"tells PROXY from PRI", "PROXY TCP4 ", ProtocolProxy},
		{"knows PROXY version 2", "\r\n\r\n\x00\r\nQUIT\n\x21", ProtocolProxy},
		{"knows SSH", "SSH-2.0-OpenSSH", ProtocolSSH},
		{"knows when it is none", "GETX", ProtocolUnknown},
		{"does not take other packets for CONNECT", "\x30\x00", ProtocolUnknown},
		{"does not take CONNECT with flags for CONNECT", "\x11\x00", ProtocolUnknown},
		{"does not take a bare line for HTTP", "hello\r\n", ProtocolUnknown},
	} {
		if got := Sniff([]byte(c.bytes)); got != c.want {
			t.Errorf("it %s: got %v, want %v", c.it, got, c.want)
		}
	}
	for _, s := range signatures {
		if len(s.start) > 12 {
			t.Errorf("%q needs %d bytes, the comment promises 12", s.start, len(s.start))
		}
		for i := range len(s.start) {
			if got := Sniff([]byte(s.start[:i])); got != ProtocolUndecided {
				t.Errorf("%q: got %v, want undecided", s.start[:i], got)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { Sniff([]byte("OPTIONX /")) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

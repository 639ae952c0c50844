package transport

import "testing"

// sniffed is an expected result for some first bytes.
type sniffed struct {
	it, bytes string
	want      Protocol
}

// testSniff tests a table, and that each signature is undecided until its end,
// within the number of bytes that the doc comment promises.
func testSniff(t *testing.T, sniff func([]byte) Protocol, signatures []signature, most int, table []sniffed) {
	t.Helper()
	for _, c := range table {
		if got := sniff([]byte(c.bytes)); got != c.want {
			t.Errorf("it %s: got %v, want %v", c.it, got, c.want)
		}
	}
	for _, s := range signatures {
		if len(s.start) > most {
			t.Errorf("%q needs %d bytes, the comment promises %d", s.start, len(s.start), most)
		}
		for i := range len(s.start) {
			if got := sniff([]byte(s.start[:i])); got != ProtocolUndecided {
				t.Errorf("%q: got %v, want undecided", s.start[:i], got)
			}
		}
		if name := s.protocol.String(); name == "" || name == "unknown" {
			t.Errorf("%q has no name", s.start)
		}
	}
}

func TestSniff(t *testing.T) {
	testSniff(t, Sniff, clients[:], 12, []sniffed{
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
		{"distinguishes PROXY from PRI", "PROXY TCP4 ", ProtocolProxy},
		{"knows PROXY version 2", "\r\n\r\n\x00\r\nQUIT\n\x21", ProtocolProxy},
		{"knows SSH", "SSH-2.0-OpenSSH", ProtocolSSH},
		{"knows when it is none", "GETX", ProtocolUnknown},
		{"does not take other packets for CONNECT", "\x30\x00", ProtocolUnknown},
		{"does not take CONNECT with flags for CONNECT", "\x11\x00", ProtocolUnknown},
		{"does not take a bare line for HTTP", "hello\r\n", ProtocolUnknown},
	})
	if n := testing.AllocsPerRun(100, func() { Sniff([]byte("OPTIONX /")) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func TestSniffServer(t *testing.T) {
	testSniff(t, SniffServer, servers[:], 10, []sniffed{
		{"waits for bytes", "", ProtocolUndecided},
		{"knows CONNACK by one byte", "\x20", ProtocolMQTT},
		{"knows a response", "HTTP/1.1 400 Bad Request\r\n", ProtocolHTTP},
		{"knows an alert", "\x15\x03\x01\x00\x02\x02\x46", ProtocolTLS},
		{"waits for an alert's second byte", "\x15", ProtocolUndecided},
		{"knows NATS", "INFO {\"server_id\":\"N\"}\r\n", ProtocolNATS},
		{"knows AMQP", "AMQP\x00\x00\x09\x01", ProtocolAMQP},
		{"knows a mail server", "220 mx.example ESMTP\r\n", ProtocolMail},
		{"knows POP3", "+OK ready\r\n", ProtocolPOP3},
		{"knows IMAP", "* OK [CAPABILITY IMAP4rev1]\r\n", ProtocolIMAP},
		{"knows Redis", "-ERR unknown command\r\n", ProtocolRedis},
		{"knows SSH", "SSH-2.0-OpenSSH_9.2\r\n", ProtocolSSH},
		{"knows a greeting of VNC", "RFB 003.008\n", ProtocolVNC},
		{"knows when it is none", "hello\r\n", ProtocolUnknown},
		{"does not take a request for a response", "GET / HTTP/1.1", ProtocolUnknown},
	})
}

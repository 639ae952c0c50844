package transport

import "strings"

// Protocol is what the first bytes of a connection look like.
type Protocol uint8

// The protocols that Sniff knows.
const (
	ProtocolUndecided Protocol = iota // too few bytes to tell
	ProtocolUnknown                   // none of the below
	ProtocolMQTT                      // a CONNECT packet
	ProtocolTLS                       // a TLS record with a handshake
	ProtocolHTTP                      // an HTTP request, or the preface of HTTP/2
	ProtocolProxy                     // a PROXY protocol header, version 1 or 2
	ProtocolSSH                       // an SSH banner
)

// String names the protocol.
func (p Protocol) String() string {
	switch p {
	case ProtocolUndecided:
		return "undecided"
	case ProtocolMQTT:
		return "MQTT"
	case ProtocolTLS:
		return "TLS"
	case ProtocolHTTP:
		return "HTTP"
	case ProtocolProxy:
		return "PROXY"
	case ProtocolSSH:
		return "SSH"
	}
	return "unknown"
}

// signature is how a protocol begins.
type signature struct {
	start    string
	protocol Protocol
}

var signatures = [...]signature{
	{"\x10", ProtocolMQTT}, // CONNECT with its reserved flags 0 (MQTT-3.1.2-3)
	{"\x16\x03", ProtocolTLS},
	{"GET ", ProtocolHTTP},
	{"HEAD ", ProtocolHTTP},
	{"POST ", ProtocolHTTP},
	{"PUT ", ProtocolHTTP},
	{"DELETE ", ProtocolHTTP},
	{"OPTIONS ", ProtocolHTTP},
	{"CONNECT ", ProtocolHTTP},
	{"PRI * HTTP/2", ProtocolHTTP},
	{"PROXY ", ProtocolProxy},
	{"\r\n\r\n\x00\r\nQUIT\n", ProtocolProxy},
	{"SSH-", ProtocolSSH},
}

// Sniff recognises what a client speaks from the first bytes that it sent, so
// that a server can say what is wrong with "TLS on the plain port". Twelve
// bytes always suffice. It looks at bytes only and keeps none.
func Sniff(b []byte) Protocol {
	undecided := false
	for _, s := range signatures {
		switch {
		case len(b) >= len(s.start):
			if string(b[:len(s.start)]) == s.start {
				return s.protocol
			}
		case strings.HasPrefix(s.start, string(b)):
			undecided = true
		}
	}
	if undecided {
		return ProtocolUndecided
	}
	return ProtocolUnknown
}

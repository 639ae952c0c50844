package transport

import (
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Protocol is the protocol that the first bytes of a connection look like.
type Protocol uint8

// The protocols that Sniff and SniffServer recognize.
const (
	ProtocolUndecided Protocol = iota // not enough bytes to decide
	ProtocolUnknown                   // none of the below
	ProtocolMQTT                      // a CONNECT packet
	ProtocolTLS                       // a TLS record with a handshake
	ProtocolHTTP                      // an HTTP request, or the preface of HTTP/2
	ProtocolProxy                     // a PROXY protocol header, version 1 or 2
	ProtocolSSH                       // an SSH banner
	ProtocolNATS                      // the rest are used by other servers
	ProtocolAMQP
	ProtocolMail // SMTP, FTP and others that greet with 220
	ProtocolPOP3
	ProtocolIMAP
	ProtocolRedis
	ProtocolSTOMP
	ProtocolXMPP
	ProtocolVNC
	ProtocolZMTP
)

var protocolNames = [...]string{
	ProtocolUndecided: "undecided",
	ProtocolUnknown:   "unknown",
	ProtocolMQTT:      "MQTT",
	ProtocolTLS:       "TLS",
	ProtocolHTTP:      "HTTP",
	ProtocolProxy:     "PROXY",
	ProtocolSSH:       "SSH",
	ProtocolNATS:      "NATS",
	ProtocolAMQP:      "AMQP",
	ProtocolMail:      "SMTP or FTP",
	ProtocolPOP3:      "POP3",
	ProtocolIMAP:      "IMAP",
	ProtocolRedis:     "Redis",
	ProtocolSTOMP:     "STOMP",
	ProtocolXMPP:      "XMPP",
	ProtocolVNC:       "VNC",
	ProtocolZMTP:      "ZeroMQ",
}

// String returns the name of the protocol.
func (p Protocol) String() string {
	if int(p) < len(protocolNames) {
		return protocolNames[p]
	}
	return "unknown"
}

// signature is the beginning of a protocol.
type signature struct {
	start    string
	protocol Protocol
}

// clients are the first bytes that clients send.
var clients = [...]signature{
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
	{"AMQP", ProtocolAMQP},
	{"STOMP\n", ProtocolSTOMP},
}

// servers are the first bytes that servers send: a greeting, or the answer to
// CONNECT.
var servers = [...]signature{
	{"\x20", ProtocolMQTT}, // CONNACK
	{"HTTP/", ProtocolHTTP},
	{"\x15\x03", ProtocolTLS}, // an alert
	{"\x16\x03", ProtocolTLS},
	{"SSH-", ProtocolSSH},
	{"INFO ", ProtocolNATS},
	{"AMQP", ProtocolAMQP},
	{"220 ", ProtocolMail},
	{"220-", ProtocolMail},
	{"+OK", ProtocolPOP3},
	{"* OK", ProtocolIMAP},
	{"* BYE", ProtocolIMAP},
	{"-ERR", ProtocolRedis},
	{"-NOAUTH", ProtocolRedis},
	{"-DENIED", ProtocolRedis},
	{"ERROR\n", ProtocolSTOMP},
	{"<?xml", ProtocolXMPP},
	{"<stream:", ProtocolXMPP},
	{"RFB 00", ProtocolVNC},
	{"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f", ProtocolZMTP},
}

// Sniff recognizes a client's protocol by the first bytes that it sent, so that
// a server can report, for example, TLS on the plain port. Twelve bytes always
// suffice. It does not keep b.
func Sniff(b []byte) Protocol { return recognise(clients[:], b) }

// SniffServer recognizes a server's protocol by the first bytes that it sent,
// as Sniff does for clients. Ten bytes always suffice.
func SniffServer(b []byte) Protocol { return recognise(servers[:], b) }

func recognise(signatures []signature, b []byte) Protocol {
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

// IsForeign reports whether the first bytes show that a peer is not an MQTT
// server, whose first packet is CONNACK, or AUTH (MQTT-3.2.0-1, section 4.12),
// or DISCONNECT from one that does not send CONNACK. wait reports that more
// bytes are needed; more must be set if more may come.
func IsForeign(b []byte, v packet.Version, more bool) (is, wait bool) {
	switch b[0] {
	case byte(packet.CONNACK) << 4, byte(packet.AUTH) << 4, byte(packet.DISCONNECT) << 4:
		return false, false
	}
	speaks := SniffServer(b)
	if speaks == ProtocolUndecided && more {
		return false, true
	}
	// Otherwise it may be a packet that comes too early.
	return !(more && speaks <= ProtocolUnknown && !isText(b) && isPacket(b[0], v)), false
}

// isPacket reports whether a packet can begin with first. MQTT 3.1 allows any
// flags in CONNACK.
func isPacket(first byte, v packet.Version) bool {
	_, _, err := packet.Split([]byte{first}, packet.V5, 0)
	return err == nil || v == packet.V31 && packet.Type(first>>4) == packet.CONNACK
}

// isText reports whether b may be the beginning of a line-based protocol.
func isText(b []byte) bool {
	for _, c := range b {
		if c >= 0x7f || c < ' ' && c != '\t' && c != '\r' && c != '\n' {
			return false
		}
	}
	return len(b) >= 4
}

// NoMQTT returns the error for a server whose first bytes are b, which are not
// MQTT.
func NoMQTT(addr string, b []byte) *Error {
	return foreign(OpStream, addr, NotMQTT, "MQTT", b)
}

// foreign returns the error for a peer that uses another protocol than it
// should; b is what it sent first.
func foreign(op, addr string, kind Kind, wanted string, b []byte) *Error {
	e := &Error{Op: op, Addr: addr, Kind: kind, form: formVerb}
	if p := SniffServer(b); p > ProtocolUnknown && p.String() != wanted {
		e.Speaks, e.Text = p, "speaks "+p.String()+", not "+wanted
	} else {
		e.Text = "does not speak " + wanted
	}
	e.Text += " (it answered " + quoteFirst(b) + ")"
	return e
}

// quoteFirst quotes the first bytes that a peer sent.
func quoteFirst(b []byte) string {
	const most = 32
	if len(b) > most {
		return strconv.QuoteToASCII(string(b[:most])) + "..."
	}
	return strconv.QuoteToASCII(string(b))
}

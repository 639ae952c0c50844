package mosquitto

import (
	"fmt"
	"io"
	"sync"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// tracer logs packets in the programs' format.
type tracer struct {
	mu sync.Mutex
	w  io.Writer
	id string // client identifier, as far as it is known

	// latest is the latest packet identifier. The programs also assign one to messages at
	// QoS 0, and log it.
	latest uint16
}

func trace(w io.Writer) func(sent bool, f packet.Frame, v packet.Version) {
	return (&tracer{w: w, id: "null"}).log
}

// log writes the lines of a packet in one write.
func (t *tracer) log(sent bool, f packet.Frame, v packet.Version) {
	t.mu.Lock()
	defer t.mu.Unlock()
	verb := " received "
	if sent {
		verb = " sending "
	}
	var out []byte
	line := func(format string, args ...any) {
		out = append(out, "Client "+t.id+verb+f.Type.String()...)
		out = append(fmt.Appendf(out, format, args...), '\n')
	}
	switch f.Type {
	case packet.CONNECT:
		var p packet.Connect
		t.id = "null"
		if p.Parse(f, v) == nil && len(p.ClientID) > 0 {
			t.id = safe(p.ClientID)
		}
		line("")
	case packet.CONNACK:
		var p packet.Connack
		if p.Parse(f, v) != nil {
			line("")
			break
		}
		if id := p.Properties.Text(packet.AssignedClientIdentifier); id != "" {
			t.id = safe([]byte(id))
		}
		code := byte(p.Reason)
		if v < packet.V5 {
			code = p.Reason.ReturnCode()
		}
		line(" (%d)", code)
	case packet.PUBLISH:
		var p packet.Publish
		if p.Parse(f, v) == nil {
			id := p.PacketID
			if sent {
				id = t.next(id)
			}
			line(" (d%d, q%d, r%d, m%d, '%s', ... (%d bytes))", bit(p.Dup), p.QoS, bit(p.Retain), id, safe(p.Topic), len(p.Payload))
		}
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		t.ack(sent, f, v, line)
	case packet.SUBSCRIBE:
		var p packet.Subscribe
		if p.Parse(f, v) == nil {
			t.next(p.PacketID)
			for _, s := range p.Subscriptions {
				line(" (Mid: %d, Topic: %s, QoS: %d, Options: 0x%02x)", p.PacketID, safe(s.Filter), s.Options.QoS(), byte(s.Options)&^3)
			}
		}
	case packet.UNSUBSCRIBE:
		var p packet.Unsubscribe
		if p.Parse(f, v) == nil {
			t.next(p.PacketID)
			for _, filter := range p.Filters {
				line(" (Mid: %d, Topic: %s)", p.PacketID, safe(filter))
			}
		}
	case packet.SUBACK:
		line("")
		var p packet.Suback
		if p.Parse(f, v) == nil {
			out = fmt.Appendf(out, "Subscribed (mid: %d)", p.PacketID)
			for i, code := range p.Codes {
				out = fmt.Appendf(out, "%s %d", [...]string{":", ","}[min(i, 1)], code)
			}
			out = append(out, '\n')
		}
	case packet.DISCONNECT:
		var p packet.Disconnect
		if !sent && p.Parse(f, v) == nil {
			line(" (%d)", byte(p.Reason))
			break
		}
		line("")
	default:
		line("")
	}
	_, _ = t.w.Write(out)
}

// next returns the packet identifier to log for what is sent with id, which is 0 at QoS 0.
func (t *tracer) next(id uint16) uint16 {
	if id == 0 {
		id = max(t.latest+1, 1)
	}
	t.latest = id
	return id
}

// ack logs an acknowledgement; each kind has its own format.
func (t *tracer) ack(sent bool, f packet.Frame, v packet.Version, line func(string, ...any)) {
	var p packet.Ack
	if p.Parse(f, v) != nil {
		return
	}
	switch {
	case sent && f.Type != packet.PUBREL && f.Type != packet.PUBCOMP:
		line(" (m%d, rc%d)", p.PacketID, byte(p.Reason))
	case sent:
		line(" (m%d)", p.PacketID)
	case f.Type == packet.PUBACK, f.Type == packet.PUBCOMP:
		line(" (Mid: %d, RC:%d)", p.PacketID, byte(p.Reason))
	default:
		line(" (Mid: %d)", p.PacketID)
	}
}

func bit(on bool) int {
	if on {
		return 1
	}
	return 0
}

// safe escapes text of a packet that must not control the terminal.
func safe(b []byte) string { return string(format.AppendEscaped(nil, b)) }

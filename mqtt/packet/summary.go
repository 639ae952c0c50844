package packet

import (
	"strconv"
	"unicode/utf8"
)

// summaryText is how many bytes of a text a summary includes.
const summaryText = 256

// AppendSummary appends one line of text that describes f as a packet of
// version v, for a trace: "PUBLISH q1 id 7 retain 'a/b' (5 bytes)". Passwords
// and authentication data are never included; control characters are escaped. A
// body that cannot be decoded is described by its error.
func AppendSummary(dst []byte, f Frame, v Version) []byte {
	dst = append(dst, f.Type.String()...)
	var err error
	switch f.Type {
	case CONNECT:
		var p Connect
		if err = p.Parse(f, v); err == nil {
			dst = p.appendSummary(dst)
		}
	case CONNACK:
		var p Connack
		if err = p.Parse(f, v); err == nil {
			if p.SessionPresent {
				dst = append(dst, " session present"...)
			}
			dst = appendReason(dst, p.Reason)
			dst = appendPropsSummary(dst, p.Properties)
		}
	case PUBLISH:
		var p Publish
		if err = p.Parse(f, v); err == nil {
			dst = p.appendSummary(dst)
		}
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		var p Ack
		if err = p.Parse(f, v); err == nil {
			dst = appendField(dst, "id", uint64(p.PacketID))
			if p.Reason != Success {
				dst = appendReason(dst, p.Reason)
			}
			dst = appendPropsSummary(dst, p.Properties)
		}
	case SUBSCRIBE:
		var p Subscribe
		if err = p.Parse(f, v); err == nil {
			dst = appendField(dst, "id", uint64(p.PacketID))
			for _, s := range p.Subscriptions {
				dst = appendText(append(dst, ' '), s.Filter)
				dst = append(dst, " q"...)
				dst = strconv.AppendUint(dst, uint64(s.Options.QoS()), 10)
				if s.Options&NoLocal != 0 {
					dst = append(dst, " no-local"...)
				}
				if s.Options&RetainAsPublished != 0 {
					dst = append(dst, " retain-as-published"...)
				}
				if h := s.Options.RetainHandling(); h != 0 {
					dst = appendField(dst, "retain-handling", uint64(h))
				}
			}
			dst = appendPropsSummary(dst, p.Properties)
		}
	case UNSUBSCRIBE:
		var p Unsubscribe
		if err = p.Parse(f, v); err == nil {
			dst = appendField(dst, "id", uint64(p.PacketID))
			for _, s := range p.Filters {
				dst = appendText(append(dst, ' '), s)
			}
			dst = appendPropsSummary(dst, p.Properties)
		}
	case SUBACK, UNSUBACK:
		var p Suback
		if err = p.Parse(f, v); err == nil {
			dst = appendField(dst, "id", uint64(p.PacketID))
			for i := range p.Codes {
				dst = appendReason(dst, p.Reason(i))
			}
			dst = appendPropsSummary(dst, p.Properties)
		}
	case DISCONNECT:
		var p Disconnect
		if err = p.Parse(f, v); err == nil && v >= V5 {
			reason := p.Reason.String()
			if p.Reason == Success {
				reason = "normal disconnection"
			}
			dst = append(append(dst, ' '), reason...)
			dst = appendPropsSummary(dst, p.Properties)
		}
	case AUTH:
		var p Auth
		if err = p.Parse(f, v); err == nil {
			dst = appendReason(dst, p.Reason)
			dst = appendPropsSummary(dst, p.Properties)
		}
	}
	if err != nil {
		dst = append(append(dst, ": "...), err.Error()...)
	}
	return dst
}

func (p *Connect) appendSummary(dst []byte) []byte {
	dst = append(append(dst, " MQTT "...), p.Version.String()...)
	dst = appendText(append(dst, " as "...), p.ClientID)
	if p.CleanStart {
		dst = append(dst, " clean"...)
	}
	dst = appendField(dst, "keepalive", uint64(p.KeepAlive))
	if p.HasUsername {
		dst = appendText(append(dst, " user "...), p.Username)
	}
	if p.HasPassword {
		dst = append(dst, " with a password"...)
	}
	dst = appendPropsSummary(dst, p.Properties)
	if p.HasWill {
		dst = append(dst, ", will"...)
		w := Publish{QoS: p.Will.QoS, Retain: p.Will.Retain, Topic: p.Will.Topic, Properties: p.Will.Properties, Payload: p.Will.Payload}
		dst = w.appendSummary(dst)
	}
	return dst
}

func (p *Publish) appendSummary(dst []byte) []byte {
	dst = append(dst, " q"...)
	dst = strconv.AppendUint(dst, uint64(p.QoS), 10)
	if p.QoS > 0 && p.PacketID != 0 {
		dst = appendField(dst, "id", uint64(p.PacketID))
	}
	if p.Dup {
		dst = append(dst, " dup"...)
	}
	if p.Retain {
		dst = append(dst, " retain"...)
	}
	dst = appendText(append(dst, ' '), p.Topic)
	dst = append(dst, " ("...)
	dst = strconv.AppendInt(dst, int64(len(p.Payload)), 10)
	dst = append(dst, " bytes)"...)
	return appendPropsSummary(dst, p.Properties)
}

func appendPropsSummary(dst []byte, p Properties) []byte {
	for q := range p.All() {
		dst = append(append(append(dst, ' '), q.ID.String()...), '=')
		switch {
		case q.ID == AuthenticationData:
			dst = append(dst, "..."...)
		case q.ID.Type() == TypePair:
			dst = appendText(dst, q.Bytes)
			dst = appendText(append(dst, ':'), q.Value)
		case q.Bytes != nil:
			dst = appendText(dst, q.Bytes)
		default:
			dst = strconv.AppendUint(dst, uint64(q.Uint), 10)
		}
	}
	return dst
}

func appendField(dst []byte, name string, n uint64) []byte {
	dst = append(append(append(dst, ' '), name...), ' ')
	return strconv.AppendUint(dst, n, 10)
}

func appendReason(dst []byte, r ReasonCode) []byte {
	dst = append(append(dst, ' '), r.String()...)
	if r != Success {
		const digits = "0123456789abcdef"
		dst = append(dst, " (0x"...)
		dst = append(dst, digits[r>>4], digits[r&15], ')')
	}
	return dst
}

// appendText appends s in single quotes, without control characters.
func appendText(dst, s []byte) []byte {
	cut := len(s) > summaryText
	if cut {
		s = s[:summaryText]
	}
	dst = append(dst, '\'')
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		if r == utf8.RuneError && n == 1 || !strconv.IsPrint(r) || r == '\\' {
			q := strconv.AppendQuoteToASCII(nil, string(s[:n]))
			dst = append(dst, q[1:len(q)-1]...)
		} else {
			dst = append(dst, s[:n]...)
		}
		s = s[n:]
	}
	dst = append(dst, '\'')
	if cut {
		dst = append(dst, "..."...)
	}
	return dst
}

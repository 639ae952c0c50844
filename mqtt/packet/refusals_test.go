package packet

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// refusal is a packet that must be refused.
type refusal struct {
	name   string
	v      Version
	hex    string
	reason ReasonCode
	rule   string
	text   string // start of the error text
}

// decode splits and parses the one packet in b.
func decode(b []byte, v Version) (Packet, error) {
	f, n, err := Split(b, v, 0)
	if err != nil {
		return nil, err
	}
	if n != len(b) {
		return nil, errors.New("not one whole frame")
	}
	p := newPacket(f.Type)
	return p, p.Parse(f, v)
}

const (
	mal = MalformedPacket
	pro = ProtocolError
	ver = UnsupportedProtocolVersion
)

var refusals = []refusal{
	// 2.1.4 remaining length
	{"remaining length of five bytes", V311, "30 80808080 01", mal, "MQTT-2.1.4", "remaining length has more than four bytes"},
	{"remaining length of five bytes, all ones", V5, "30 ffffffff 7f", mal, "MQTT-2.1.4", "remaining length has more than four bytes"},
	{"remaining length with a continuation bit in the fourth byte and nothing after it", V5, "30 ffffffff", mal, "MQTT-2.1.4", "remaining length has more"},
	{"remaining length 0 in two bytes", V311, "c0 8000", mal, "MQTT-1.5.5-1", "remaining length is not in its shortest form"},
	{"remaining length 3 in three bytes", V5, "30 838000 0001 61 00", mal, "MQTT-1.5.5-1", "remaining length is not in its shortest form"},
	{"remaining length 0 in four bytes", V5, "d0 80808000", mal, "MQTT-1.5.5-1", "remaining length is not in its shortest form"},
	{"PINGREQ with a body", V311, "c0 01 00", mal, "", "1 bytes too many"},
	{"PINGRESP with a body", V5, "d0 02 0000", mal, "", "2 bytes too many"},
	{"PINGREQ of 3.1 with a body", V31, "c0 01 00", mal, "", "1 bytes too many"},
	{"CONNECT without body", V311, "10 00", mal, "", "ends before the protocol name"},
	{"CONNACK without body", V311, "20 00", mal, "", "ends before the acknowledge flags"},
	{"CONNACK without code", V311, "20 01 00", mal, "", "ends before the return code"},
	{"CONNACK of 5.0 without code", V5, "20 01 00", mal, "", "ends before the reason code"},
	{"CONNACK of 5.0 without property length", V5, "20 02 00 00", mal, "", "ends before the property length"},
	{"CONNACK of 5.0 with a failure of 5.0 and without property length", V5, "20 02 00 87", mal, "", "ends before the property length"},
	{"PUBLISH without body", V311, "30 00", mal, "", "ends before the topic name"},
	{"PUBLISH cut in the length of the topic name", V311, "30 01 00", mal, "", "ends before the topic name"},
	{"PUBLISH of a topic name longer than the packet", V311, "30 03 0005 61", mal, "", "the topic name of 5 bytes ends after 1"},
	{"PUBLISH of a topic name of 65535 bytes in a packet of three", V5, "30 03 ffff 61", mal, "", "the topic name of 65535 bytes ends after 1"},
	{"PUBLISH of QoS 1 cut before the packet identifier", V311, "32 03 0001 61", mal, "", "ends before the packet identifier"},
	{"PUBLISH of QoS 2 cut in the packet identifier", V5, "34 04 0001 61 00", mal, "", "ends before the packet identifier"},
	{"PUBLISH of 5.0 without property length", V5, "30 03 0001 61", mal, "", "ends before the property length"},
	{"PUBACK without body", V311, "40 00", mal, "", "ends before the packet identifier"},
	{"PUBREC cut in the packet identifier", V311, "50 01 00", mal, "", "ends before the packet identifier"},
	{"PUBREL without body", V5, "62 00", mal, "", "ends before the packet identifier"},
	{"PUBCOMP without body", V5, "70 00", mal, "", "ends before the packet identifier"},
	{"PUBACK of 3.1.1 with a reason code", V311, "40 03 0001 00", mal, "", "1 bytes too many"},
	{"PUBACK of 5.0 with a byte after the properties", V5, "40 05 0001 00 00 00", mal, "", "1 bytes too many"},
	{"SUBSCRIBE without body", V311, "82 00", mal, "", "ends before the packet identifier"},
	{"SUBSCRIBE of 5.0 without property length", V5, "82 02 0001", mal, "", "ends before the property length"},
	{"SUBACK without body", V311, "90 00", mal, "", "ends before the packet identifier"},
	{"UNSUBSCRIBE without body", V311, "a2 00", mal, "", "ends before the packet identifier"},
	{"UNSUBACK without body", V311, "b0 00", mal, "", "ends before the packet identifier"},
	{"UNSUBACK of 3.1.1 with a code", V311, "b0 03 0001 00", mal, "", "1 bytes too many"},
	{"DISCONNECT of 3.1.1 with a reason code", V311, "e0 01 00", mal, "", "1 bytes too many"},
	{"DISCONNECT of 5.0 with a byte after the properties", V5, "e0 03 00 00 00", mal, "", "1 bytes too many"},

	// 2.1.2, 2.1.3 packet type and flags; the others have their own test
	{"packet type 0", V311, "00 00", mal, "MQTT-2.1.2", "packet type 0 is reserved"},
	{"AUTH of 3.1.1", V311, "f0 00", mal, "MQTT-2.1.2", "packet type 15 is reserved before MQTT 5.0"},
	{"AUTH of 3.1", V31, "f0 00", mal, "MQTT-2.1.2", "packet type 15 is reserved before MQTT 5.0"},
	{"a TLS ClientHello", V5, "16 03 01 0200", mal, "MQTT-2.1.3-1", "reserved flags are 0x6"},
	{"an HTTP request", V5, "47 45 54 20", mal, "MQTT-2.1.3-1", "reserved flags are 0x7"},
	{"SUBSCRIBE without its flag", V5, "80 07 0001 00 0001 61 00", mal, "MQTT-2.1.3-1", "reserved flags are 0x0"},
	{"SUBSCRIBE of 3.1 at QoS 0", V31, "80 06 0001 0001 61 00", mal, "MQTT-2.1.3-1", "reserved flags are 0x0"},

	// 3.1 CONNECT
	{"protocol name in lower case", V311, "10 0c 0004 6d717474 04 02 0000 0000", ver, "MQTT-3.1.2-1", `protocol name "mqtt"`},
	{"protocol name too short", V311, "10 0b 0003 4d5154 04 02 0000 0000", ver, "MQTT-3.1.2-1", `protocol name "MQT"`},
	{"protocol name too long", V311, "10 0d 0005 4d51545454 04 02 0000 0000", ver, "MQTT-3.1.2-1", `protocol name "MQTTT"`},
	{"protocol name with control characters", V311, "10 0c 0004 1b5b316d 04 02 0000 0000", ver, "MQTT-3.1.2-1", `protocol name "\x1b[1m"`},
	{"no protocol name", V5, "10 08 0000 05 02 0000 0000", ver, "MQTT-3.1.2-1", `protocol name ""`},
	{"protocol name cut", V5, "10 04 0004 4d51", mal, "", "the protocol name of 4 bytes ends after 2"},
	{"no protocol level", V5, "10 06 0004 4d515454", mal, "", "ends before the protocol level"},
	{"level 0", V5, "10 0c 0004 4d515454 00 02 0000 0000", ver, "MQTT-3.1.2-2", "protocol MQTT level 0"},
	{"level 1", V5, "10 0c 0004 4d515454 01 02 0000 0000", ver, "MQTT-3.1.2-2", "protocol MQTT level 1"},
	{"level 2", V5, "10 0c 0004 4d515454 02 02 0000 0000", ver, "MQTT-3.1.2-2", "protocol MQTT level 2"},
	{"level 3 with the name of 3.1.1", V5, "10 0c 0004 4d515454 03 02 0000 0000", ver, "MQTT-3.1.2-2", "protocol MQTT level 3"},
	{"level 6", V5, "10 0d 0004 4d515454 06 02 0000 00 0000", ver, "MQTT-3.1.2-2", "protocol MQTT level 6"},
	{"level 4 with the bit of a bridge", V5, "10 0c 0004 4d515454 84 02 0000 0000", ver, "MQTT-3.1.2-2", "protocol MQTT level 132"},
	{"level 4 with the name of 3.1", V5, "10 0f 0006 4d5149736470 04 02 0000 0001 61", ver, "MQTT-3.1.2-2", "protocol MQIsdp level 4"},
	{"level 3 with the bit of a bridge", V5, "10 0f 0006 4d5149736470 83 02 0000 0001 61", ver, "MQTT-3.1.2-2", "protocol MQIsdp level 131"},
	{"CONNECT cut before the flags", V311, "10 07 0004 4d515454 04", mal, "", "ends before the connect flags"},
	{"CONNECT cut in the keep alive", V311, "10 09 0004 4d515454 04 02 00", mal, "", "ends before the keep alive"},
	{"CONNECT of 5.0 cut before the property length", V5, "10 0a 0004 4d515454 05 02 0000", mal, "", "ends before the property length"},
	{"CONNECT cut before the client identifier", V311, "10 0a 0004 4d515454 04 02 0000", mal, "", "ends before the client identifier"},
	{"the reserved connect flag", V311, "10 0c 0004 4d515454 04 03 0000 0000", mal, "MQTT-3.1.2-3", "the reserved connect flag is set"},
	{"the reserved connect flag of 5.0", V5, "10 0d 0004 4d515454 05 03 0000 00 0000", mal, "MQTT-3.1.2-3", "the reserved connect flag is set"},
	{"will QoS without will", V311, "10 0c 0004 4d515454 04 0a 0000 0000", mal, "MQTT-3.1.2-11", "will QoS or will retain is set without a will"},
	{"will retain without will", V5, "10 0d 0004 4d515454 05 22 0000 00 0000", mal, "MQTT-3.1.2-11", "will QoS or will retain is set without a will"},
	{"will QoS 3", V311, "10 11 0004 4d515454 04 1e 0000 0000 0001 77 0000", mal, "MQTT-3.1.2-12", "will QoS is 3"},
	{"will QoS 3 of 5.0", V5, "10 13 0004 4d515454 05 1e 0000 00 0000 00 0001 77 0000", mal, "MQTT-3.1.2-12", "will QoS is 3"},
	{"will QoS 3 of 3.1", V31, "10 14 0006 4d5149736470 03 1e 0000 0001 61 0001 77 0000", mal, "MQTT-3.1.2-12", "will QoS is 3"},
	{"password without user name", V311, "10 0f 0004 4d515454 04 42 0000 0000 0001 70", mal, "MQTT-3.1.2-22", "a password without a user name"},
	{"password without user name of 3.1", V31, "10 12 0006 4d5149736470 03 42 0000 0001 61 0001 70", mal, "MQTT-3.1.2-22", "a password without a user name"},
	{"user name flag without user name", V311, "10 0d 0004 4d515454 04 82 0000 0001 61", mal, "", "ends before the user name"},
	{"password flag without password", V311, "10 10 0004 4d515454 04 c2 0000 0001 61 0001 75", mal, "", "ends before the password"},
	{"user name of 3.1 that is cut", V31, "10 11 0006 4d5149736470 03 82 003c 0001 61 0001", mal, "", "the user name of 1 bytes ends after 0"},
	{"user name without user name flag", V311, "10 10 0004 4d515454 04 02 0000 0001 61 0001 75", mal, "", "3 bytes too many"},
	{"no client identifier with clean session 0", V311, "10 0c 0004 4d515454 04 00 0000 0000", ClientIdentifierNotValid, "MQTT-3.1.3-8", "no client identifier with clean session 0"},
	{"no client identifier in 3.1", V31, "10 0e 0006 4d5149736470 03 02 0000 0000", ClientIdentifierNotValid, "MQTT-3.1.3-9", "MQTT 3.1 needs a client identifier"},
	{"empty will topic", V311, "10 11 0004 4d515454 04 06 0000 0001 61 0000 0000", mal, "MQTT-4.7.3-1", "the will topic is empty"},
	{"wildcard in the will topic", V311, "10 12 0004 4d515454 04 06 0000 0001 61 0001 23 0000", mal, "MQTT-3.3.2-2", "the will topic contains the wildcard #"},
	{"will without payload", V311, "10 10 0004 4d515454 04 06 0000 0001 61 0001 77", mal, "", "ends before the will payload"},

	// 1.5.4 strings
	{"client identifier with U+0000", V311, "10 0f 0004 4d515454 04 02 0000 0003 610062", mal, "MQTT-1.5.4-2", "the client identifier contains U+0000"},
	{"client identifier with a surrogate", V311, "10 0f 0004 4d515454 04 02 0000 0003 eda080", mal, "MQTT-1.5.4-1", "the client identifier is not well-formed UTF-8"},
	{"user name with invalid UTF-8", V311, "10 10 0004 4d515454 04 82 0000 0001 61 0001 80", mal, "MQTT-1.5.4-1", "the user name is not well-formed UTF-8"},
	{"will topic with U+0000", V5, "10 14 0004 4d515454 05 06 0000 00 0001 61 00 0001 00 0000", mal, "MQTT-1.5.4-2", "the will topic contains U+0000"},
	{"topic name with U+0000", V311, "30 05 0003 610062", mal, "MQTT-1.5.4-2", "the topic name contains U+0000"},
	{"topic name with U+0000 far in", V311, "30 13 0011 6161616161616161616161616161616100", mal, "MQTT-1.5.4-2", "the topic name contains U+0000"},
	{"topic name with the highest surrogate", V311, "30 05 0003 edbfbf", mal, "MQTT-1.5.4-1", "the topic name is not well-formed UTF-8"},
	{"topic name with a surrogate pair", V311, "30 08 0006 eda080edb080", mal, "MQTT-1.5.4-1", "the topic name is not well-formed UTF-8"},
	{"topic name with an overlong slash", V311, "30 04 0002 c0af", mal, "MQTT-1.5.4-1", "the topic name is not well-formed UTF-8"},
	{"topic name with an overlong U+0000", V311, "30 04 0002 c080", mal, "MQTT-1.5.4-1", "the topic name is not well-formed UTF-8"},
	{"topic name with a character cut in two", V311, "30 04 0002 61c3", mal, "MQTT-1.5.4-1", "the topic name is not well-formed UTF-8"},
	{"topic name with a stray continuation byte", V5, "30 04 0001 80 00", mal, "MQTT-1.5.4-1", "the topic name is not well-formed UTF-8"},
	{"topic name above U+10FFFF", V311, "30 06 0004 f4908080", mal, "MQTT-1.5.4-1", "the topic name is not well-formed UTF-8"},
	{"topic name with the byte 0xFF", V311, "30 03 0001 ff", mal, "MQTT-1.5.4-1", "the topic name is not well-formed UTF-8"},
	{"topic filter with U+0000", V311, "82 06 0001 0001 00 00", mal, "MQTT-1.5.4-2", "a topic filter contains U+0000"},
	{"topic filter to unsubscribe with a surrogate", V311, "a2 07 0001 0003 eda080", mal, "MQTT-1.5.4-1", "a topic filter is not well-formed UTF-8"},
	{"user property with invalid UTF-8 in its name", V5, "30 0b 0001 61 06 26 0001 ff 0000 00", mal, "MQTT-1.5.4-1", "user-property name is not well-formed UTF-8"},
	{"user property with U+0000 in its value", V5, "30 0a 0001 61 06 26 0000 0001 00", mal, "MQTT-1.5.4-2", "user-property value contains U+0000"},
	{"content type with a surrogate", V5, "30 0a 0001 61 06 03 0003 eda080", mal, "MQTT-1.5.4-1", "content-type is not well-formed UTF-8"},
	{"reason string with U+0000", V5, "e0 06 00 04 1f 0001 00", mal, "MQTT-1.5.4-2", "reason-string contains U+0000"},

	// 2.2.1 packet identifiers
	{"PUBLISH of QoS 1 with identifier 0", V311, "32 05 0001 61 0000", pro, "MQTT-2.2.1-3", "packet identifier is 0"},
	{"PUBLISH of QoS 2 with identifier 0", V5, "34 06 0001 61 0000 00", pro, "MQTT-2.2.1-3", "packet identifier is 0"},
	{"PUBACK of identifier 0", V311, "40 02 0000", pro, "MQTT-2.2.1-3", "packet identifier is 0"},
	{"PUBREC of identifier 0", V5, "50 02 0000", pro, "MQTT-2.2.1-3", "packet identifier is 0"},
	{"PUBREL of identifier 0", V31, "62 02 0000", pro, "MQTT-2.2.1-3", "packet identifier is 0"},
	{"PUBCOMP of identifier 0", V5, "70 04 0000 00 00", pro, "MQTT-2.2.1-3", "packet identifier is 0"},
	{"SUBSCRIBE with identifier 0", V311, "82 06 0000 0001 61 00", pro, "MQTT-2.2.1-3", "packet identifier is 0"},
	{"SUBACK of identifier 0", V5, "90 04 0000 00 00", pro, "MQTT-2.2.1-3", "packet identifier is 0"},
	{"UNSUBSCRIBE with identifier 0", V5, "a2 06 0000 00 0001 61", pro, "MQTT-2.2.1-3", "packet identifier is 0"},
	{"UNSUBACK of identifier 0", V311, "b0 02 0000", pro, "MQTT-2.2.1-3", "packet identifier is 0"},

	// 3.3 PUBLISH
	{"PUBLISH of QoS 3", V311, "36 05 0001 61 0001", mal, "MQTT-3.3.1-4", "QoS 3"},
	{"PUBLISH of QoS 3 with DUP and RETAIN", V5, "3f 06 0001 61 0001 00", mal, "MQTT-3.3.1-4", "QoS 3"},
	{"PUBLISH of QoS 3 in 3.1", V31, "36 05 0001 61 0001", mal, "MQTT-3.3.1-4", "QoS 3"},
	{"PUBLISH of QoS 0 with DUP", V311, "38 03 0001 61", mal, "MQTT-3.3.1-2", "DUP is set at QoS 0"},
	{"PUBLISH of QoS 0 with DUP in 5.0", V5, "38 04 0001 61 00", mal, "MQTT-3.3.1-2", "DUP is set at QoS 0"},
	{"PUBLISH to a + wildcard", V311, "30 05 0003 612f2b", mal, "MQTT-3.3.2-2", "the topic name contains the wildcard +"},
	{"PUBLISH to a # wildcard", V5, "30 04 0001 23 00", mal, "MQTT-3.3.2-2", "the topic name contains the wildcard #"},
	{"PUBLISH to a # wildcard far in", V311, "30 0c 000a 61616161616161612f23", mal, "MQTT-3.3.2-2", "the topic name contains the wildcard #"},
	{"PUBLISH to a wildcard among the first eight bytes", V311, "30 0a 0008 6161612b61616161", mal, "MQTT-3.3.2-2", "the topic name contains the wildcard +"},
	{"PUBLISH with a wildcard beside other characters", V311, "30 05 0003 c3a92b", mal, "MQTT-3.3.2-2", "the topic name contains the wildcard +"},
	{"PUBLISH to an empty topic", V311, "30 02 0000", mal, "MQTT-4.7.3-1", "the topic name is empty"},
	{"PUBLISH to an empty topic in 3.1", V31, "30 02 0000", mal, "MQTT-4.7.3-1", "the topic name is empty"},
	{"PUBLISH without topic name and alias", V5, "30 03 0000 00", pro, "MQTT-3.3.2.1", "neither topic name nor topic alias"},
	{"topic alias 0", V5, "30 07 0001 61 03 23 0000", TopicAliasInvalid, "MQTT-3.3.2-8", "topic-alias is 0"},
	{"response topic with a wildcard", V5, "30 08 0001 61 04 08 0001 2b", pro, "MQTT-3.3.2-14", "response-topic contains the wildcard +"},
	{"response topic with the other wildcard", V5, "30 0a 0001 61 06 08 0003 612f23", pro, "MQTT-3.3.2-14", "response-topic contains the wildcard #"},
	{"empty response topic", V5, "30 07 0001 61 03 08 0000", pro, "MQTT-4.7.3-1", "response-topic is empty"},
	{"empty response topic behind another property", V5, "30 09 0001 61 05 01 01 08 0000", pro, "MQTT-4.7.3-1", "response-topic is empty"},
	{"empty response topic of a will", V5, "10 17 0004 4d515454 05 06 0000 00 0001 61 03 08 0000 0001 77 0000", pro, "MQTT-4.7.3-1", "response-topic is empty"},
	{"response topic of a will with a wildcard", V5, "10 18 0004 4d515454 05 06 0000 00 0001 61 04 08 0001 2b 0001 77 0000", pro, "MQTT-3.3.2-14", "response-topic contains the wildcard +"},

	// 2.2.2 properties
	{"property length past the end", V5, "30 05 0001 61 02 01", mal, "MQTT-2.2.2.1", "property length 2 with 1 bytes left"},
	{"property length far past the end", V5, "20 06 00 00 ffffff7f", mal, "MQTT-2.2.2.1", "property length 268435455 with 0 bytes left"},
	{"property length of will properties past the end", V5, "10 10 0004 4d515454 05 06 0000 00 0000 7f 0000", mal, "MQTT-2.2.2.1", "property length 127 with 2 bytes left"},
	{"property length not in its shortest form", V5, "30 05 0001 61 8000", mal, "MQTT-1.5.5-1", "the property length is not in its shortest form"},
	{"property length of five bytes", V5, "30 08 0001 61 8080808001", mal, "MQTT-1.5.5", "the property length has more than four bytes"},
	{"property length that cuts a property", V5, "30 06 0001 61 01 01 01", mal, "", "ends before payload-format-indicator"},
	{"property length that cuts a two byte integer", V5, "30 07 0001 61 02 23 0001", mal, "", "ends before topic-alias"},
	{"property length that cuts a four byte integer", V5, "30 08 0001 61 04 02 000000", mal, "", "ends before message-expiry-interval"},
	{"property length that cuts a variable byte integer", V5, "30 06 0001 61 02 0b ff", mal, "", "ends before subscription-identifier"},
	{"property length that cuts a string", V5, "30 08 0001 61 03 03 0001 61", mal, "", "content-type of 1 bytes ends after 0"},
	{"property length that cuts binary data", V5, "30 07 0001 61 03 09 ffff", mal, "", "correlation-data of 65535 bytes ends after 0"},
	{"property length that cuts the value of a user property", V5, "30 07 0001 61 03 26 0000", mal, "", "ends before user-property value"},
	{"unknown property", V5, "30 06 0001 61 02 04 00", mal, "MQTT-2.2.2.2", "unknown property identifier 0x4"},
	{"property 0", V5, "30 06 0001 61 02 00 00", mal, "MQTT-2.2.2.2", "unknown property identifier 0x0"},
	{"property 0x2B", V5, "30 06 0001 61 02 2b 00", mal, "MQTT-2.2.2.2", "unknown property identifier 0x2b"},
	{"property identifier of two bytes", V5, "30 07 0001 61 03 8101 00", mal, "MQTT-2.2.2.2", "unknown property identifier 0x81"},
	{"property identifier not in its shortest form", V5, "30 07 0001 61 03 8100 01", mal, "MQTT-1.5.5-1", "the property identifier is not in its shortest form"},
	{"payload format indicator twice", V5, "30 08 0001 61 04 01 01 01 01", pro, "MQTT-2.2.2.2", "payload-format-indicator appears twice"},
	{"content type twice", V5, "30 0a 0001 61 06 03 0000 03 0000", pro, "MQTT-2.2.2.2", "content-type appears twice"},
	{"session expiry interval twice", V5, "10 17 0004 4d515454 05 02 0000 0a 11 00000000 11 00000000 0000", pro, "MQTT-2.2.2.2", "session-expiry-interval appears twice"},
	{"will delay interval twice", V5, "10 1d 0004 4d515454 05 06 0000 00 0000 0a 18 00000000 18 00000000 0001 77 0000", pro, "MQTT-2.2.2.2", "will-delay-interval appears twice"},
	{"subscription identifier twice in SUBSCRIBE", V5, "82 0b 0001 04 0b 01 0b 02 0001 61 00", pro, "MQTT-2.2.2.2", "subscription-identifier appears twice"},
	{"reason string twice", V5, "40 0a 0001 00 06 1f 0000 1f 0000", pro, "MQTT-2.2.2.2", "reason-string appears twice"},
	{"subscription identifier 0", V5, "82 09 0001 02 0b 00 0001 61 00", pro, "MQTT-2.2.2.2", "subscription-identifier is 0"},
	{"subscription identifier 0 in PUBLISH", V5, "30 06 0001 61 02 0b 00", pro, "MQTT-2.2.2.2", "subscription-identifier is 0"},
	{"subscription identifier not in its shortest form", V5, "30 07 0001 61 03 0b 8100", mal, "MQTT-1.5.5-1", "subscription-identifier is not in its shortest form"},
	{"subscription identifier of five bytes", V5, "30 0a 0001 61 06 0b 8080808001", mal, "MQTT-1.5.5", "subscription-identifier has more than four bytes"},
	{"payload format indicator 2", V5, "30 06 0001 61 02 01 02", pro, "MQTT-2.2.2.2", "payload-format-indicator is 2, not 0 or 1"},
	{"receive maximum 0", V5, "10 10 0004 4d515454 05 02 0000 03 21 0000 0000", pro, "MQTT-2.2.2.2", "receive-maximum is 0"},
	{"receive maximum 0 in CONNACK", V5, "20 06 00 00 03 21 0000", pro, "MQTT-2.2.2.2", "receive-maximum is 0"},
	{"maximum packet size 0", V5, "10 12 0004 4d515454 05 02 0000 05 27 00000000 0000", pro, "MQTT-2.2.2.2", "maximum-packet-size is 0"},
	{"request problem information 2", V5, "10 0f 0004 4d515454 05 02 0000 02 17 02 0000", pro, "MQTT-2.2.2.2", "request-problem-information is 2"},
	{"request response information 255", V5, "10 0f 0004 4d515454 05 02 0000 02 19 ff 0000", pro, "MQTT-2.2.2.2", "request-response-information is 255"},
	{"maximum QoS 2", V5, "20 05 00 00 02 24 02", pro, "MQTT-2.2.2.2", "maximum-qos is 2"},
	{"retain available 2", V5, "20 05 00 00 02 25 02", pro, "MQTT-2.2.2.2", "retain-available is 2"},
	{"wildcard subscription available 2", V5, "20 05 00 00 02 28 02", pro, "MQTT-2.2.2.2", "wildcard-subscription-available is 2"},
	{"subscription identifier available 2", V5, "20 05 00 00 02 29 02", pro, "MQTT-2.2.2.2", "subscription-identifier-available is 2"},
	{"shared subscription available 2", V5, "20 05 00 00 02 2a 02", pro, "MQTT-2.2.2.2", "shared-subscription-available is 2"},
	{"topic alias in CONNECT", V5, "10 10 0004 4d515454 05 02 0000 03 23 0001 0000", mal, "MQTT-2.2.2.2", "topic-alias is not allowed here"},
	{"will delay interval in CONNECT", V5, "10 12 0004 4d515454 05 02 0000 05 18 00000001 0000", mal, "MQTT-2.2.2.2", "will-delay-interval is not allowed here"},
	{"session expiry interval in will properties", V5, "10 18 0004 4d515454 05 06 0000 00 0000 05 11 00000001 0001 77 0000", mal, "MQTT-2.2.2.2", "session-expiry-interval is not allowed here"},
	{"receive maximum in PUBLISH", V5, "30 07 0001 61 03 21 0001", mal, "MQTT-2.2.2.2", "receive-maximum is not allowed here"},
	{"reason string in PUBLISH", V5, "30 07 0001 61 03 1f 0000", mal, "MQTT-2.2.2.2", "reason-string is not allowed here"},
	{"server reference in PUBACK", V5, "40 07 0001 00 03 1c 0000", mal, "MQTT-2.2.2.2", "server-reference is not allowed here"},
	{"subscription identifier in UNSUBSCRIBE", V5, "a2 08 0001 02 0b 01 0001 61", mal, "MQTT-2.2.2.2", "subscription-identifier is not allowed here"},
	{"server keep alive in DISCONNECT", V5, "e0 05 00 03 13 0001", mal, "MQTT-2.2.2.2", "server-keep-alive is not allowed here"},
	{"authentication data without method", V5, "10 10 0004 4d515454 05 02 0000 03 16 0000 0000", pro, "MQTT-3.1.2.11.10", "authentication data without authentication method"},

	// 3.2 CONNACK
	{"reserved acknowledge flags", V311, "20 02 02 00", mal, "MQTT-3.2.2-1", "the reserved acknowledge flags are 0x2"},
	{"reserved acknowledge flags in 5.0", V5, "20 03 81 00 00", mal, "MQTT-3.2.2-1", "the reserved acknowledge flags are 0x81"},
	{"return code 6", V311, "20 02 00 06", pro, "MQTT-3.2.2-6", "return code 6 is reserved"},
	{"return code 255 in 3.1", V31, "20 02 00 ff", pro, "MQTT-3.2.2-6", "return code 255 is reserved"},
	{"session present on a refusal", V311, "20 02 01 05", pro, "MQTT-3.2.2-6", "session present is set on a refusal"},
	{"session present on a refusal in 5.0", V5, "20 03 01 87 00", pro, "MQTT-3.2.2-6", "session present is set on a refusal"},
	{"CONNACK with a byte after the code", V311, "20 03 00 00 00", mal, "", "1 bytes too many"},
	{"CONNACK with a byte after the properties", V5, "20 04 00 00 00 00", mal, "", "1 bytes too many"},

	// 2.4 reason codes
	{"CONNACK of 5.0 with a return code of 3.1.1 and properties", V5, "20 03 00 05 00", pro, "MQTT-2.4", "reason code 0x5 is not one of CONNACK's"},
	{"CONNACK with a code of DISCONNECT", V5, "20 03 00 8e 00", pro, "MQTT-2.4", "reason code 0x8e is not one of CONNACK's"},
	{"PUBACK with an unknown code", V5, "40 03 0001 03", pro, "MQTT-2.4", "reason code 0x3 is not one of PUBACK's"},
	{"PUBREC with a code of PUBREL", V5, "50 03 0001 92", pro, "MQTT-2.4", "reason code 0x92 is not one of PUBREC's"},
	{"PUBREL with a code of PUBACK", V5, "62 03 0001 10", pro, "MQTT-2.4", "reason code 0x10 is not one of PUBREL's"},
	{"PUBCOMP with code 255", V5, "70 03 0001 ff", pro, "MQTT-2.4", "reason code 0xff is not one of PUBCOMP's"},
	{"DISCONNECT with a code of CONNACK", V5, "e0 01 86", pro, "MQTT-2.4", "reason code 0x86 is not one of DISCONNECT's"},
	{"AUTH with a failure", V5, "f0 02 87 00", pro, "MQTT-2.4", "reason code 0x87 is not one of AUTH's"},
	{"SUBACK with a code that was never granted", V5, "90 04 0001 00 03", pro, "MQTT-3.9.3-2", "reason code 0x3 is not one of SUBACK's"},
	{"SUBACK of 3.1.1 with a code of no version", V311, "90 03 0001 88", pro, "MQTT-3.9.3-2", "reason code 0x88 is not one of SUBACK's"},
	{"SUBACK with a bad code after a good one", V311, "90 04 0001 02 03", pro, "MQTT-3.9.3-2", "reason code 0x3 is not one of SUBACK's"},
	{"SUBACK without codes", V311, "90 02 0001", pro, "MQTT-3.9.3-1", "no reason code"},
	{"SUBACK of 5.0 without codes", V5, "90 03 0001 00", pro, "MQTT-3.9.3-1", "no reason code"},
	{"UNSUBACK with a code of SUBACK", V5, "b0 04 0001 00 01", pro, "MQTT-3.11.3-2", "reason code 0x1 is not one of UNSUBACK's"},
	{"UNSUBACK of 5.0 without codes", V5, "b0 03 0001 00", pro, "MQTT-3.11.3-1", "no reason code"},

	// 3.8 SUBSCRIBE, 3.10 UNSUBSCRIBE
	{"SUBSCRIBE without filters", V311, "82 02 0001", pro, "MQTT-3.8.3-2", "no topic filter"},
	{"SUBSCRIBE of 5.0 without filters", V5, "82 03 0001 00", pro, "MQTT-3.8.3-2", "no topic filter"},
	{"SUBSCRIBE cut before the options", V311, "82 05 0001 0001 61", mal, "", "ends before the subscription options"},
	{"SUBSCRIBE cut before the options of the second filter", V5, "82 0a 0001 00 0001 61 00 0001 62", mal, "", "ends before the subscription options"},
	{"SUBSCRIBE cut in a filter", V311, "82 05 0001 0002 61", mal, "", "a topic filter of 2 bytes ends after 1"},
	{"subscription of QoS 3", V311, "82 06 0001 0001 61 03", mal, "MQTT-3.8.3-4", "subscription QoS is 3"},
	{"subscription of QoS 3 in 3.1", V31, "82 06 0001 0001 61 03", mal, "MQTT-3.8.3-4", "subscription QoS is 3"},
	{"subscription of QoS 3 in 5.0", V5, "82 07 0001 00 0001 61 03", pro, "MQTT-3.8.3.1", "subscription QoS is 3"},
	{"no local in 3.1.1", V311, "82 06 0001 0001 61 04", mal, "MQTT-3.8.3-4", "reserved subscription options are set in 0x4"},
	{"the highest option in 3.1.1", V311, "82 06 0001 0001 61 80", mal, "MQTT-3.8.3-4", "reserved subscription options are set in 0x80"},
	{"reserved options in 5.0", V5, "82 07 0001 00 0001 61 40", mal, "MQTT-3.8.3-5", "reserved subscription options are set in 0x40"},
	{"the highest option in 5.0", V5, "82 07 0001 00 0001 61 81", mal, "MQTT-3.8.3-5", "reserved subscription options are set in 0x81"},
	{"retain handling 3", V5, "82 07 0001 00 0001 61 30", pro, "MQTT-3.8.3.1", "retain handling is 3"},
	{"no local on a shared subscription", V5, "82 10 0001 00 000a 2473686172652f672f74 04", pro, "MQTT-3.8.3-4", "no local on a shared subscription"},
	{"UNSUBSCRIBE without filters", V311, "a2 02 0001", pro, "MQTT-3.10.3-2", "no topic filter"},
	{"UNSUBSCRIBE of 5.0 without filters", V5, "a2 03 0001 00", pro, "MQTT-3.10.3-2", "no topic filter"},
	{"UNSUBSCRIBE cut in a filter", V311, "a2 05 0001 0002 61", mal, "", "a topic filter of 2 bytes ends after 1"},

	// 3.15 AUTH
	{"AUTH without property length", V5, "f0 01 18", mal, "", "ends before the property length"},
	{"AUTH without method", V5, "f0 02 18 00", pro, "MQTT-3.15.2.2.2", "no authentication method"},
	{"AUTH of success with data and without method", V5, "f0 05 00 03 16 0000", pro, "MQTT-3.15.2.2.2", "no authentication method"},
	{"AUTH with a method twice", V5, "f0 08 18 06 15 0000 15 0000", pro, "MQTT-2.2.2.2", "authentication-method appears twice"},
	{"AUTH with a byte after the properties", V5, "f0 07 18 04 15 0001 6d 00", mal, "", "1 bytes too many"},
}

func TestRefusalsCarryTheirReasonAndRule(t *testing.T) {
	for _, r := range refusals {
		_, err := decode(unhex(r.hex), r.v)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v, want an *Error", r.name, err)
			continue
		}
		if e.Reason != r.reason || e.Rule != r.rule || !strings.HasPrefix(e.Text, r.text) {
			t.Errorf("%s:\n got %v, %q, %q\nwant %v, %q, %q...", r.name, e.Reason, e.Rule, e.Text, r.reason, r.rule, r.text)
		}
		if !errors.Is(err, r.reason) || errors.Is(err, Success) {
			t.Errorf("%s: errors.Is does not match its reason", r.name)
		}
		if e.Offset < -1 || e.Offset > len(unhex(r.hex)) {
			t.Errorf("%s: at byte %d of %d", r.name, e.Offset, len(unhex(r.hex)))
		}
		s := err.Error()
		if !strings.Contains(s, e.Text) || r.rule != "" && !strings.HasSuffix(s, " ["+r.rule+"]") || r.rule == "" && strings.Contains(s, "[]") {
			t.Errorf("%s: the message %q lacks the text or the rule", r.name, s)
		}
		if typ := Type(unhex(r.hex)[0] >> 4); e.Type != 0 && (e.Type != typ || !strings.Contains(s, " "+typ.String()+": ")) {
			t.Errorf("%s: the message %q does not name %v", r.name, s, typ)
		}
		for _, c := range s {
			if c < ' ' || c > '~' {
				t.Errorf("%s: the message %q contains %q", r.name, s, c)
			}
		}
	}
}

func TestMessagesNameThePacketThePlaceAndTheRule(t *testing.T) {
	for _, row := range []struct {
		v    Version
		hex  string
		want string
	}{
		{V311, "00 00", "malformed packet: packet type 0 is reserved [MQTT-2.1.2]"},
		{V311, "36 05 0001 61 0001", "malformed PUBLISH: QoS 3 [MQTT-3.3.1-4]"},
		{V311, "82 02 0001", "illegal SUBSCRIBE: no topic filter at byte 2 [MQTT-3.8.3-2]"},
		{V311, "c0 01 00", "malformed PINGREQ: 1 bytes too many"},
		{V311, "10 0c 0004 4d515454 04 00 0000 0000", "unacceptable CONNECT: no client identifier with clean session 0 [MQTT-3.1.3-8]"},
	} {
		if _, err := decode(unhex(row.hex), row.v); err == nil || err.Error() != row.want {
			t.Errorf("got %v, want %s", err, row.want)
		}
	}
}

func TestReservedFlagsAreRefusedFromTheFirstByte(t *testing.T) {
	for _, v := range []Version{0, V31, V311, V5} {
		for first := range 256 {
			typ, flags := Type(first>>4), byte(first&15)
			want := "MQTT-2.1.3-1"
			switch {
			case typ == 0, typ == AUTH && v != 0 && v < V5:
				want = "MQTT-2.1.2"
			case typ == PUBLISH:
				want = ""
				if flags&6 == 6 {
					want = "MQTT-3.3.1-4"
				}
			case typ == PUBREL, typ == SUBSCRIBE, typ == UNSUBSCRIBE:
				if flags == 2 || v == V31 && flags == 10 {
					want = ""
				}
			case flags == 0, v == V31: // unused according to 3.1
				want = ""
			}
			for _, b := range [][]byte{{byte(first)}, {byte(first), 0}, {byte(first), 0x80}} {
				_, _, err := Split(b, v, 0)
				got := ""
				if e := (*Error)(nil); errors.As(err, &e) {
					got = e.Rule
					if e.Reason != MalformedPacket {
						t.Errorf("%x in version %d: reason %v", b, v, e.Reason)
					}
				}
				if got != want {
					t.Errorf("%x in version %d: got rule %q, want %q", b, v, got, want)
				}
			}
		}
	}
}

func TestPacketsAboveTheLimitAreRefusedFromTheirHeader(t *testing.T) {
	for _, row := range []struct {
		hex   string
		limit int
		need  int // 0 if refused
	}{
		{"30 7f", 129, 129},
		{"30 7f", 128, 0},
		{"30 8001", 131, 131},
		{"30 8001", 130, 0},
		{"30 ffff7f", 2097155, 2097155},
		{"30 ffff7f", 2097154, 0},
		{"30 ffffff7f", 1 << 20, 0},
		{"30 ffffff7f", 268435460, 268435460},
		{"30 ffffff7f", 268435459, 0},
		{"30 ffffff7f", 0, 268435460},
		{"30 04 0001", 6, 6},
		{"30 04 0001", 5, 0},
		{"30 04 0001 6100", 5, 0},
	} {
		f, n, err := Split(unhex(row.hex), V5, row.limit)
		if row.need > 0 {
			if err != nil || n != 0 || f.Need != row.need {
				t.Errorf("%s, limit %d: n=%d, need=%d, %v, want need=%d", row.hex, row.limit, n, f.Need, err, row.need)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Reason != PacketTooLarge || e.Rule != "MQTT-3.1.2-24" || e.Type != PUBLISH || n != 0 {
			t.Errorf("%s, limit %d: n=%d, need=%d, %v, want a refusal", row.hex, row.limit, n, f.Need, err)
		}
	}
}

func TestUnknownPropertiesAreRefusedInEveryPacket(t *testing.T) {
	for typ := WillProperties; typ <= AUTH; typ++ {
		for id := range 256 {
			if PropertyID(id).Type() != TypeNone {
				continue
			}
			block := appendVarint(nil, id)
			_, err := ParseProperties(append(block, make([]byte, 8)...), typ)
			if !errors.Is(err, MalformedPacket) {
				t.Errorf("property 0x%x in %v: %v", id, typ, err)
			}
		}
	}
}

// sample returns one property of each identifier with a legal value.
func sample(id PropertyID) Properties {
	var p Properties
	var err error
	switch id.Type() {
	case TypeString, TypeBinary:
		p, err = p.AppendBytes(id, []byte("s"))
	case TypePair:
		p, err = p.AppendUser([]byte("k"), []byte("v"))
	default:
		p, err = p.AppendUint(id, 1)
	}
	if err != nil {
		panic(err)
	}
	return p
}

func TestPropertiesAreRefusedInWrongPacketsAndWhenRepeated(t *testing.T) {
	for id := PropertyID(1); id < 0x2b; id++ {
		if id.Type() == TypeNone {
			continue
		}
		one := sample(id)
		two := append(bytes.Clone(one), one...)
		for typ := WillProperties; typ <= AUTH; typ++ {
			_, err := ParseProperties(one, typ)
			if !id.AllowedIn(typ) {
				if !errors.Is(err, MalformedPacket) {
					t.Errorf("%v in %v: %v", id, typ, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%v in %v: %v", id, typ, err)
			}
			_, err = ParseProperties(two, typ)
			if repeats := id == UserProperty || id == SubscriptionIdentifier && typ == PUBLISH; repeats != (err == nil) || !repeats && !errors.Is(err, ProtocolError) {
				t.Errorf("%v twice in %v: %v", id, typ, err)
			}
			for i := 1; i < len(one); i++ {
				if _, err := ParseProperties(one[:i], typ); !errors.Is(err, MalformedPacket) {
					t.Errorf("%v in %v cut to %d bytes: %v", id, typ, i, err)
				}
			}
		}
	}
}

func TestExtremeButLegalPacketsAreAccepted(t *testing.T) {
	long := bytes.Repeat([]byte("/"), MaxString)
	props := Properties(bytes.Repeat(unhex("26 0000 0000"), 100_000))
	many := Subscribe{PacketID: 1, Subscriptions: make([]Subscription, 10_000)}
	for _, row := range []struct {
		name string
		v    Version
		p    Packet
	}{
		{"client identifier of 65535 bytes", V311, &Connect{Version: V311, ClientID: long}},
		{"keep alive 65535", V5, &Connect{Version: V5, KeepAlive: 65535}},
		{"keep alive 1", V31, &Connect{Version: V31, KeepAlive: 1, ClientID: []byte("a")}},
		{"binary will payload", V311, &Connect{Version: V311, CleanStart: true, HasWill: true, Will: Will{Topic: []byte("w"), Payload: []byte("\x00\xff\xed\xa0\x80")}}},
		{"binary password", V311, &Connect{Version: V311, CleanStart: true, HasUsername: true, HasPassword: true, Password: []byte("\x00\xff")}},
		{"topic of 65535 slashes", V311, &Publish{Topic: long}},
		{"topic of spaces, control characters and noncharacters", V5, &Publish{Topic: []byte(" \x01\x7f\u0085\ufffe\U0010ffff\u202e")}},
		{"100,000 user properties", V5, &Publish{Topic: []byte("a"), Properties: props}},
		{"10,000 subscriptions", V5, &many},
		{"the same filter twice", V311, &Unsubscribe{PacketID: 1, Filters: [][]byte{[]byte("a"), []byte("a")}}},
		{"reason string of 65535 bytes", V5, &Ack{Type: PUBACK, PacketID: 1, Properties: appendString([]byte{byte(ReasonString)}, long)}},
		{"message expiry 0", V5, &Publish{Topic: []byte("a"), Properties: unhex("02 00000000")}},
		{"message expiry 4294967295", V5, &Publish{Topic: []byte("a"), Properties: unhex("02 ffffffff")}},
		{"payload that is no UTF-8 although it says so", V5, &Publish{Topic: []byte("a"), Properties: unhex("01 01"), Payload: []byte{0xff}}},
	} {
		b, err := row.p.AppendTo(nil, row.v)
		if err != nil {
			t.Errorf("%s: encode: %v", row.name, err)
			continue
		}
		p, err := decode(b, row.v)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
		} else if again, err := p.AppendTo(nil, row.v); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: %d bytes encode again as %d, %v", row.name, len(b), len(again), err)
		}
	}
}

// mayEndAt reports whether MQTT 3.1 allows a CONNECT to end here: its remaining
// length takes precedence over the user name and password flags.
func mayEndAt(w wire, body []byte) bool {
	c, ok := w.p.(*Connect)
	if !ok || w.v != V31 {
		return false
	}
	user, pass := 2+len(c.Username), 2+len(c.Password)
	left := len(unhex(w.hex)) - 2 - len(body)
	return c.HasPassword && left == pass || c.HasUsername && c.HasPassword && left == user+pass || c.HasUsername && !c.HasPassword && left == user
}

func TestTruncatedBodiesAreRefused(t *testing.T) {
	for _, w := range fixtures() {
		b := unhex(w.hex)
		f, n, err := Split(b, w.v, 0)
		if n == 0 || err != nil {
			t.Fatalf("%s: no frame: n=%d, %v", w.name, n, err)
		}
		short := f
		for i := range f.Body {
			short.Body = f.Body[:i:i]
			p := newPacket(f.Type)
			if err := p.Parse(short, w.v); err != nil || mayEndAt(w, short.Body) {
				continue
			}
			// These may be missing without an error: the payload of a PUBLISH,
			// whole entries of a list, and the optional end of a 5.0 packet.
			switch p := p.(type) {
			case *Publish:
				if whole := w.p.(*Publish); i >= len(f.Body)-len(whole.Payload) {
					continue
				}
			case *Subscribe:
				if n := len(p.Subscriptions); n > 0 && n < len(w.p.(*Subscribe).Subscriptions) {
					continue
				}
			case *Unsubscribe:
				if n := len(p.Filters); n > 0 && n < len(w.p.(*Unsubscribe).Filters) {
					continue
				}
			case *Suback:
				if n := len(p.Codes); n > 0 && n < len(w.p.(*Suback).Codes) {
					continue
				}
			case *Ack:
				if w.v == V5 && (i == 2 || i == 3) {
					continue
				}
			case *Disconnect:
				if w.v == V5 && i < 2 {
					continue
				}
			case *Auth:
				if i == 0 {
					continue
				}
			case *Connack:
				if w.variant || w.v == V5 && i == 2 && f.Body[1] > 0 && f.Body[1] < 6 {
					continue
				}
			}
			t.Errorf("%s: a body of %d bytes cut to %d parses as %s", w.name, len(f.Body), i, show(p))
		}
	}
}

func TestTrailingBytesAreRefused(t *testing.T) {
	for _, w := range fixtures() {
		f, n, err := Split(unhex(w.hex), w.v, 0)
		if n == 0 || err != nil {
			t.Fatalf("%s: no frame: n=%d, %v", w.name, n, err)
		}
		for _, tail := range [][]byte{{0xff}, {0x7f, 0xff}, {3, 1, 2}} {
			long := f
			long.Body = append(f.Body[:len(f.Body):len(f.Body)], tail...)
			p := newPacket(f.Type)
			if err := p.Parse(long, w.v); err == nil && f.Type != PUBLISH {
				t.Errorf("%s with %x after it parses as %s", w.name, tail, show(p))
			}
		}
	}
}

func TestEncodersRefuseWhatHasNoEncoding(t *testing.T) {
	long := make([]byte, MaxString+1)
	for i := range long {
		long[i] = 'a'
	}
	a := []byte("a")
	subs, filters := make([]Subscription, 4097), make([][]byte, 4097)
	for i := range subs {
		subs[i].Filter, filters[i] = long[1:], long[1:]
	}
	user := Properties(unhex("26 0000 0000"))
	for _, row := range []struct {
		name string
		v    Version
		p    Packet
		want error
	}{
		{"topic name of 65536 bytes", V5, &Publish{Topic: long}, ErrStringTooLong},
		{"client identifier of 65536 bytes", V311, &Connect{ClientID: long}, ErrStringTooLong},
		{"will topic of 65536 bytes", V311, &Connect{HasWill: true, Will: Will{Topic: long}}, ErrStringTooLong},
		{"will payload of 65536 bytes", V5, &Connect{HasWill: true, Will: Will{Topic: a, Payload: long}}, ErrStringTooLong},
		{"user name of 65536 bytes", V31, &Connect{HasUsername: true, Username: long}, ErrStringTooLong},
		{"password of 65536 bytes", V5, &Connect{HasPassword: true, Password: long}, ErrStringTooLong},
		{"filter of 65536 bytes", V311, &Subscribe{PacketID: 1, Subscriptions: []Subscription{{Filter: long}}}, ErrStringTooLong},
		{"filter of 65536 bytes to unsubscribe", V311, &Unsubscribe{PacketID: 1, Filters: [][]byte{long}}, ErrStringTooLong},
		{"SUBSCRIBE above 256 MiB", V311, &Subscribe{PacketID: 1, Subscriptions: subs}, ErrPacketTooLong},
		{"UNSUBSCRIBE above 256 MiB", V5, &Unsubscribe{PacketID: 1, Filters: filters}, ErrPacketTooLong},
		{"PUBLISH above 256 MiB", V311, &Publish{Topic: a, Payload: make([]byte, MaxRemainingLength-2)}, ErrPacketTooLong},
		{"PUBLISH of QoS 0 with DUP", V5, &Publish{Topic: a, Dup: true}, ErrDup},
		{"PUBLISH of QoS 3", V311, &Publish{QoS: 3, Topic: a, PacketID: 1}, ErrQoS},
		{"will of QoS 3", V311, &Connect{HasWill: true, Will: Will{QoS: 3, Topic: a}}, ErrQoS},
		{"subscription of QoS 3", V5, &Subscribe{PacketID: 1, Subscriptions: []Subscription{{a, 3}}}, ErrQoS},
		{"PUBLISH of QoS 1 without identifier", V311, &Publish{QoS: 1, Topic: a}, ErrPacketID},
		{"PUBACK without identifier", V311, &Ack{Type: PUBACK}, ErrPacketID},
		{"SUBSCRIBE without identifier", V311, &Subscribe{Subscriptions: []Subscription{{a, 0}}}, ErrPacketID},
		{"SUBACK without identifier", V311, &Suback{Type: SUBACK, Codes: []byte{0}}, ErrPacketID},
		{"UNSUBSCRIBE without identifier", V311, &Unsubscribe{Filters: [][]byte{a}}, ErrPacketID},
		{"SUBSCRIBE without filters", V311, &Subscribe{PacketID: 1}, ErrNoFilters},
		{"UNSUBSCRIBE without filters", V5, &Unsubscribe{PacketID: 1}, ErrNoFilters},
		{"unknown version", 6, &Connect{}, ErrUnknownVersion},
		{"AUTH of 3.1.1", V311, &Auth{}, ErrNeedsV5},
		{"no local in 3.1.1", V311, &Subscribe{PacketID: 1, Subscriptions: []Subscription{{a, NoLocal}}}, ErrNeedsV5},
		{"properties of CONNECT in 3.1.1", V311, &Connect{Properties: user}, ErrNeedsV5},
		{"properties of a will in 3.1.1", V311, &Connect{HasWill: true, Will: Will{Topic: a, Properties: user}}, ErrNeedsV5},
		{"properties of CONNACK in 3.1.1", V311, &Connack{Properties: user}, ErrNeedsV5},
		{"properties of PUBLISH in 3.1", V31, &Publish{Topic: a, Properties: user}, ErrNeedsV5},
		{"properties of SUBSCRIBE in 3.1.1", V311, &Subscribe{PacketID: 1, Properties: user, Subscriptions: []Subscription{{a, 0}}}, ErrNeedsV5},
		{"properties of SUBACK in 3.1.1", V311, &Suback{Type: SUBACK, PacketID: 1, Properties: user, Codes: []byte{0}}, ErrNeedsV5},
		{"properties of UNSUBSCRIBE in 3.1.1", V311, &Unsubscribe{PacketID: 1, Properties: user, Filters: [][]byte{a}}, ErrNeedsV5},
		{"properties of PUBACK in 3.1.1", V311, &Ack{Type: PUBACK, PacketID: 1, Properties: user}, ErrNeedsV5},
		{"properties of DISCONNECT in 3.1.1", V311, &Disconnect{Properties: user}, ErrNeedsV5},
	} {
		got, err := row.p.AppendTo([]byte("before"), row.v)
		if !errors.Is(err, row.want) || string(got) != "before" {
			t.Errorf("%s: got %.20q, %v, want %v and nothing appended", row.name, got, err, row.want)
		}
	}
}

func TestPropertyBuildersRefuseWhatHasNoEncoding(t *testing.T) {
	long := bytes.Repeat([]byte("a"), MaxString+1)
	before := Properties(unhex("01 01"))
	uint32s := func(id PropertyID, n uint32) func() (Properties, error) {
		return func() (Properties, error) { return before.AppendUint(id, n) }
	}
	text := func(id PropertyID, b []byte) func() (Properties, error) {
		return func() (Properties, error) { return before.AppendBytes(id, b) }
	}
	user := func(name, value []byte) func() (Properties, error) {
		return func() (Properties, error) { return before.AppendUser(name, value) }
	}
	for _, row := range []struct {
		name string
		f    func() (Properties, error)
		want error
	}{
		{"payload format indicator 2", uint32s(PayloadFormatIndicator, 2), ErrPropertyValue},
		{"receive maximum 0", uint32s(ReceiveMaximum, 0), ErrPropertyValue},
		{"receive maximum 65536", uint32s(ReceiveMaximum, 65536), ErrPropertyValue},
		{"topic alias 0", uint32s(TopicAlias, 0), ErrPropertyValue},
		{"maximum packet size 0", uint32s(MaximumPacketSize, 0), ErrPropertyValue},
		{"subscription identifier 0", uint32s(SubscriptionIdentifier, 0), ErrPropertyValue},
		{"subscription identifier 268435456", uint32s(SubscriptionIdentifier, 1<<28), ErrPropertyValue},
		{"number for a string", uint32s(ContentType, 1), ErrPropertyType},
		{"number for an unknown property", uint32s(0x7f, 1), ErrPropertyType},
		{"string for a number", text(TopicAlias, nil), ErrPropertyType},
		{"string for a user property", text(UserProperty, nil), ErrPropertyType},
		{"string of 65536 bytes", text(ContentType, long), ErrStringTooLong},
		{"binary data of 65536 bytes", text(CorrelationData, long), ErrStringTooLong},
		{"string with U+0000", text(ReasonString, []byte{0}), MalformedPacket},
		{"string with a surrogate", text(ReasonString, []byte("\xed\xa0\x80")), MalformedPacket},
		{"user property with a name of 65536 bytes", user(long, nil), ErrStringTooLong},
		{"user property with a value of 65536 bytes", user(nil, long), ErrStringTooLong},
		{"user property with a name with U+0000", user([]byte{0}, nil), MalformedPacket},
		{"user property with an invalid value", user(nil, []byte{0xff}), MalformedPacket},
	} {
		got, err := row.f()
		if !errors.Is(err, row.want) || !bytes.Equal(got, before) {
			t.Errorf("%s: got %.20x, %v, want %v and nothing appended", row.name, got, err, row.want)
		}
	}
}

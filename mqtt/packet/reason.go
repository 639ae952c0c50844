package packet

import "strconv"

// ReasonCode is a one-byte result (MQTT 5.0 section 2.4). Codes from 0x80 on
// are failures. It is an error, so that errors.Is(err, NotAuthorized) works for
// every version: CONNACK return codes of MQTT 3.1 and 3.1.1 are mapped to the
// equivalent code of 5.0.
type ReasonCode byte

// The reason codes of MQTT 5.0. Success also means "normal disconnection" and
// "granted QoS 0".
const (
	Success                             ReasonCode = 0x00
	GrantedQoS1                         ReasonCode = 0x01
	GrantedQoS2                         ReasonCode = 0x02
	DisconnectWithWill                  ReasonCode = 0x04
	NoMatchingSubscribers               ReasonCode = 0x10
	NoSubscriptionExisted               ReasonCode = 0x11
	ContinueAuthentication              ReasonCode = 0x18
	ReAuthenticate                      ReasonCode = 0x19
	UnspecifiedError                    ReasonCode = 0x80
	MalformedPacket                     ReasonCode = 0x81
	ProtocolError                       ReasonCode = 0x82
	ImplementationSpecificError         ReasonCode = 0x83
	UnsupportedProtocolVersion          ReasonCode = 0x84
	ClientIdentifierNotValid            ReasonCode = 0x85
	BadUserNameOrPassword               ReasonCode = 0x86
	NotAuthorized                       ReasonCode = 0x87
	ServerUnavailable                   ReasonCode = 0x88
	ServerBusy                          ReasonCode = 0x89
	Banned                              ReasonCode = 0x8A
	ServerShuttingDown                  ReasonCode = 0x8B
	BadAuthenticationMethod             ReasonCode = 0x8C
	KeepAliveTimeout                    ReasonCode = 0x8D
	SessionTakenOver                    ReasonCode = 0x8E
	TopicFilterInvalid                  ReasonCode = 0x8F
	TopicNameInvalid                    ReasonCode = 0x90
	PacketIdentifierInUse               ReasonCode = 0x91
	PacketIdentifierNotFound            ReasonCode = 0x92
	ReceiveMaximumExceeded              ReasonCode = 0x93
	TopicAliasInvalid                   ReasonCode = 0x94
	PacketTooLarge                      ReasonCode = 0x95
	MessageRateTooHigh                  ReasonCode = 0x96
	QuotaExceeded                       ReasonCode = 0x97
	AdministrativeAction                ReasonCode = 0x98
	PayloadFormatInvalid                ReasonCode = 0x99
	RetainNotSupported                  ReasonCode = 0x9A
	QoSNotSupported                     ReasonCode = 0x9B
	UseAnotherServer                    ReasonCode = 0x9C
	ServerMoved                         ReasonCode = 0x9D
	SharedSubscriptionsNotSupported     ReasonCode = 0x9E
	ConnectionRateExceeded              ReasonCode = 0x9F
	MaximumConnectTime                  ReasonCode = 0xA0
	SubscriptionIdentifiersNotSupported ReasonCode = 0xA1
	WildcardSubscriptionsNotSupported   ReasonCode = 0xA2
)

const (
	inCONNACK    = 1 << CONNACK
	inPUBACK     = 1<<PUBACK | 1<<PUBREC
	inPUBREL     = 1<<PUBREL | 1<<PUBCOMP
	inSUBACK     = 1 << SUBACK
	inUNSUBACK   = 1 << UNSUBACK
	inDISCONNECT = 1 << DISCONNECT
	inAUTH       = 1 << AUTH
)

type reasonInfo struct {
	name    string // as in the specification, lower case
	packets uint16 // bit t: allowed in packets of type t
}

// reasonTable is table 2-6 of MQTT 5.0.
var reasonTable = [0xA3]reasonInfo{
	0x00: {"success", inCONNACK | inPUBACK | inPUBREL | inSUBACK | inUNSUBACK | inDISCONNECT | inAUTH},
	0x01: {"granted QoS 1", inSUBACK},
	0x02: {"granted QoS 2", inSUBACK},
	0x04: {"disconnect with will message", inDISCONNECT},
	0x10: {"no matching subscribers", inPUBACK},
	0x11: {"no subscription existed", inUNSUBACK},
	0x18: {"continue authentication", inAUTH},
	0x19: {"re-authenticate", inAUTH},
	0x80: {"unspecified error", inCONNACK | inPUBACK | inSUBACK | inUNSUBACK | inDISCONNECT},
	0x81: {"malformed packet", inCONNACK | inDISCONNECT},
	0x82: {"protocol error", inCONNACK | inDISCONNECT},
	0x83: {"implementation specific error", inCONNACK | inPUBACK | inSUBACK | inUNSUBACK | inDISCONNECT},
	0x84: {"unsupported protocol version", inCONNACK},
	0x85: {"client identifier not valid", inCONNACK},
	0x86: {"bad user name or password", inCONNACK},
	0x87: {"not authorized", inCONNACK | inPUBACK | inSUBACK | inUNSUBACK | inDISCONNECT},
	0x88: {"server unavailable", inCONNACK},
	0x89: {"server busy", inCONNACK | inDISCONNECT},
	0x8A: {"banned", inCONNACK},
	0x8B: {"server shutting down", inDISCONNECT},
	0x8C: {"bad authentication method", inCONNACK | inDISCONNECT},
	0x8D: {"keep alive timeout", inDISCONNECT},
	0x8E: {"session taken over", inDISCONNECT},
	0x8F: {"topic filter invalid", inSUBACK | inUNSUBACK | inDISCONNECT},
	0x90: {"topic name invalid", inCONNACK | inPUBACK | inDISCONNECT},
	0x91: {"packet identifier in use", inPUBACK | inSUBACK | inUNSUBACK},
	0x92: {"packet identifier not found", inPUBREL},
	0x93: {"receive maximum exceeded", inDISCONNECT},
	0x94: {"topic alias invalid", inDISCONNECT},
	0x95: {"packet too large", inCONNACK | inDISCONNECT},
	0x96: {"message rate too high", inDISCONNECT},
	0x97: {"quota exceeded", inCONNACK | inPUBACK | inSUBACK | inDISCONNECT},
	0x98: {"administrative action", inDISCONNECT},
	0x99: {"payload format invalid", inCONNACK | inPUBACK | inDISCONNECT},
	0x9A: {"retain not supported", inCONNACK | inDISCONNECT},
	0x9B: {"QoS not supported", inCONNACK | inDISCONNECT},
	0x9C: {"use another server", inCONNACK | inDISCONNECT},
	0x9D: {"server moved", inCONNACK | inDISCONNECT},
	0x9E: {"shared subscriptions not supported", inSUBACK | inDISCONNECT},
	0x9F: {"connection rate exceeded", inCONNACK | inDISCONNECT},
	0xA0: {"maximum connect time", inDISCONNECT},
	0xA1: {"subscription identifiers not supported", inSUBACK | inDISCONNECT},
	0xA2: {"wildcard subscriptions not supported", inSUBACK | inDISCONNECT},
}

// String returns the code's name in the specification, in lower case.
func (r ReasonCode) String() string {
	if int(r) < len(reasonTable) && reasonTable[r].name != "" {
		return reasonTable[r].name
	}
	return "unknown reason code 0x" + strconv.FormatUint(uint64(r), 16)
}

// Error returns the name with the code: "not authorized (0x87)".
func (r ReasonCode) Error() string {
	return r.String() + " (0x" + strconv.FormatUint(uint64(r)>>4, 16) + strconv.FormatUint(uint64(r)&15, 16) + ")"
}

// Failed reports whether the code means failure, as those from 0x80 on do.
func (r ReasonCode) Failed() bool { return r >= 0x80 }

// AllowedIn reports whether the specification lists the code for packet type t.
func (r ReasonCode) AllowedIn(t Type) bool {
	return int(r) < len(reasonTable) && reasonTable[r].packets&(1<<t) != 0
}

// adjective returns the start of the text of an Error with this reason.
func (r ReasonCode) adjective() string {
	switch r {
	case MalformedPacket:
		return "malformed"
	case ProtocolError:
		return "illegal"
	}
	return "unacceptable"
}

// connackReason maps a CONNACK return code of MQTT 3.1 and 3.1.1 (section
// 3.2.2.3 of 3.1.1) to the reason code of 5.0.
var connackReason = [6]ReasonCode{Success, UnsupportedProtocolVersion, ClientIdentifierNotValid,
	ServerUnavailable, BadUserNameOrPassword, NotAuthorized}

// ReturnCode returns the CONNACK return code of MQTT 3.1.1 that is nearest to
// r.
func (r ReasonCode) ReturnCode() byte {
	for i, c := range connackReason {
		if c == r {
			return byte(i)
		}
	}
	switch r {
	case BadAuthenticationMethod, Banned:
		return 5
	}
	return 3
}

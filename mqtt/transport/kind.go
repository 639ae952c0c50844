package transport

// Kind is the cause of a failure, as far as programs may need to distinguish
// it. It is an error, so that errors.Is(err, transport.Refused) works.
type Kind uint8

// The kinds of failure.
const (
	Other                    Kind = iota // none of the below; see Error.Err
	InvalidURL                           // not an address that ParseURL or Listen can parse
	UnsupportedScheme                    // a scheme that is unknown, or not available yet
	NotFound                             // the host name has no address
	LookupFailed                         // the name service failed or gave no usable answer
	Refused                              // connection refused; nothing listens there
	Timeout                              // no answer within the timeout
	Canceled                             // the context was canceled
	NoRoute                              // network or host unreachable
	Reset                                // the peer reset the connection
	SocketMissing                        // no such Unix socket
	NotSocket                            // the path exists and is not a socket
	Permission                           // the system does not permit it
	PathTooLong                          // Unix socket path longer than the system's limit
	AddrInUse                            // another listener uses the address
	AddrNotAvailable                     // not an address of this machine
	TooManyFiles                         // out of file descriptors
	NoMemory                             // the system has no memory for more sockets
	BadFile                              // a certificate, key or CA file cannot be used
	BadOption                            // options that contradict each other
	NotTLS                               // the peer does not speak TLS on this port
	NotMQTT                              // the peer does not speak MQTT on this port
	UnknownAuthority                     // certificate signed by an authority that is not trusted
	SelfSigned                           // self-signed certificate
	Expired                              // certificate expired
	NotYetValid                          // certificate not valid yet
	WrongHost                            // certificate for other names
	WrongPin                             // certificate other than the pinned one
	BadCertificate                       // certificate not acceptable for another reason
	ClientCertificateMissing             // the peer requires a certificate and got none
	ClientCertificateRefused             // the peer does not accept our certificate
	VersionMismatch                      // no TLS version in common
	ProtocolMismatch                     // no ALPN protocol in common
	PeerAlert                            // the peer ended TLS with another alert
	ProxyFailed                          // a proxy, or the command in its place, did not open the connection
	UpgradeRefused                       // the server answered HTTP but did not upgrade to WebSocket
	NotWebSocket                         // the server did not answer HTTP at all
	WebSocketClosed                      // the peer closed the WebSocket and gave a reason
	OriginRefused                        // a web page of a foreign origin may not connect
	WebSocketBroken                      // the peer violated the WebSocket protocol
)

var kindText = [...]string{
	Other:                    "failed",
	InvalidURL:               "invalid address",
	UnsupportedScheme:        "unsupported scheme",
	NotFound:                 "name not found",
	LookupFailed:             "name lookup failed",
	Refused:                  "connection refused",
	Timeout:                  "timed out",
	Canceled:                 "canceled",
	NoRoute:                  "no route to host",
	Reset:                    "connection reset by peer",
	SocketMissing:            "no such socket",
	NotSocket:                "not a socket",
	Permission:               "permission denied",
	PathTooLong:              "socket path too long",
	AddrInUse:                "address in use",
	AddrNotAvailable:         "not an address of this machine",
	TooManyFiles:             "too many open files",
	NoMemory:                 "no memory for more sockets",
	BadFile:                  "file not usable",
	BadOption:                "options contradict each other",
	NotTLS:                   "the peer does not speak TLS",
	NotMQTT:                  "the peer does not speak MQTT",
	UnknownAuthority:         "certificate signed by an unknown CA",
	SelfSigned:               "self-signed certificate",
	Expired:                  "certificate expired",
	NotYetValid:              "certificate not yet valid",
	WrongHost:                "certificate for another host",
	WrongPin:                 "certificate other than the pinned one",
	BadCertificate:           "certificate not acceptable",
	ClientCertificateMissing: "the peer requires a client certificate",
	ClientCertificateRefused: "the peer refused the client certificate",
	VersionMismatch:          "no TLS version in common",
	ProtocolMismatch:         "no application protocol in common",
	PeerAlert:                "the peer refused TLS",
	ProxyFailed:              "no connection through the proxy",
	UpgradeRefused:           "upgrade to WebSocket refused",
	NotWebSocket:             "the peer does not speak WebSocket",
	WebSocketClosed:          "closed by the peer",
	OriginRefused:            "web pages of this origin may not connect",
	WebSocketBroken:          "the peer violated the WebSocket protocol",
}

// String returns the cause in a few words.
func (k Kind) String() string {
	if int(k) < len(kindText) {
		return kindText[k]
	}
	return kindText[Other]
}

// Error returns String.
func (k Kind) Error() string { return k.String() }

package cli

import "github.com/mqtools/mqtools/mqtt/transport"

// remedyOf returns what the user of a tool can do about an error of the transport,
// which as a library knows no options: its own hint is for programs.
func remedyOf(e *transport.Error) string {
	if e.Kind == transport.NotMQTT {
		switch e.Speaks {
		case transport.ProtocolHTTP:
			return "use --ws for WebSocket, or the MQTT port (usually 1883)"
		case transport.ProtocolTLS:
			return "add --tls or --cafile FILE"
		}
		return "use the MQTT port (usually 1883): check -h, -p or -L"
	}
	return e.Hint
}

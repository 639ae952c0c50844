package e2e

import (
	"net"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// onlyUser lets in who gives one user name, or none.
func onlyUser(name string) func(*packet.Connect, net.Addr) packet.ReasonCode {
	return func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
		if p.HasUsername && string(p.Username) != name {
			return packet.BadUserNameOrPassword
		}
		return packet.Success
	}
}

var brokerDefaults = broker.Options{}

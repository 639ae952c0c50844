package plan

import (
	"math"
	"time"
)

// AppendClientID appends the client ID of a group's client.
func (g *Group) AppendClientID(dst []byte, index uint32) []byte {
	return g.ClientID.Append(dst, index, 0, 0)
}

// AppendUsername appends the user name of a group's client; ok is false if it has none.
func (g *Group) AppendUsername(dst []byte, index uint32) (b []byte, ok bool) {
	switch {
	case g.Credentials != nil:
		return append(dst, g.Credentials.user(index)...), true
	case g.Username != nil:
		return g.Username.Append(dst, index, 0, 0), true
	}
	return dst, false
}

// AppendPassword appends the password of a group's client; ok is false if it has none.
func (g *Group) AppendPassword(dst []byte, index uint32) (b []byte, ok bool) {
	switch {
	case g.Credentials != nil:
		return append(dst, g.Credentials.password(index)...), true
	case g.Password != nil:
		return g.Password.Append(dst, index, 0, 0), true
	}
	return dst, false
}

// AppendTopic appends the topic of message seq of a client in the stream.
func (p *Publish) AppendTopic(dst []byte, index, seq uint32) []byte {
	n := uint32(len(p.Topics))
	if n == 1 {
		return p.Topics[0].Append(dst, index, seq, 0)
	}
	return p.Topics[seq%n].Append(dst, index, seq/n, 0)
}

// AppendFilter appends the topic filter of a client.
func (s *Subscribe) AppendFilter(dst []byte, index uint32) []byte {
	return s.Filter.Append(dst, index, 0, 0)
}

// unit returns a random number from 0 to below 1 that is the same in every run.
func (g *Group) unit(index, n uint32, salt uint64) float64 {
	return float64(mix(g.ClientID.seed, uint64(index)<<32|uint64(n), salt)>>11) / (1 << 53)
}

// Life returns how long connection n (0, 1, ...) of a client lasts from its CONNACK; 0 is no
// limit. The group must have a Churn.
func (g *Group) Life(index, n uint32) time.Duration {
	c := g.Churn
	if c.Lifetime == 0 {
		return 0
	}
	f := 1 + c.Jitter*(2*g.unit(index, n, 3)-1)
	return max(time.Duration(f*float64(c.Lifetime)), 1)
}

// Backoff returns how long a client waits before consecutive attempt n (0, 1, ...) to reconnect.
// The group must have a Reconnect.
func (g *Group) Backoff(index, n uint32) time.Duration {
	r := g.Reconnect
	d := math.Min(math.Ldexp(float64(r.First), int(min(n, 60))), float64(r.Max))
	return time.Duration(d * (1 - g.unit(index, n, 4)/2))
}

// ConnectAt returns when a group's client connects, from the beginning of the connect phase; ok is
// false if an action connects it. The clients of the plan connect in the order of the groups.
func (p *Plan) ConnectAt(g *Group, index uint32) (at time.Duration, ok bool) {
	if g.Deferred {
		return 0, false
	}
	before := uint64(0)
	for _, other := range p.Groups[:g.Number] {
		if !other.Deferred {
			before += uint64(other.Clients)
		}
	}
	return p.Phases.Connect.At(before + uint64(index)), true
}

package swarm

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"os"

	"github.com/mqtools/mqtools/mqtt/transport"
	"golang.org/x/sys/unix"
)

// ports chooses the local address and port of each connection. The system's own range
// has 28,232 ports by default, and a port that is bound before the connection is made
// is reserved for all destinations. Ports chosen here, with SO_REUSEADDR, are shared by
// all destinations and may be outside that range. Each loop has its part of the ports,
// so that no two try the same.
type ports struct {
	sources []netip.Addr
	first   int // port of this loop
	step    int // to its next one
	count   int // its ports of each source; 0 leaves the choice to the system
	at      int // the next of count * len(sources)
}

func (p *ports) init(o *Options, loop int) {
	p.sources = o.Sources
	if o.FirstPort == 0 {
		p.at = loop
		return
	}
	if len(p.sources) == 0 {
		p.sources = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	p.first, p.step = int(o.FirstPort)+loop, o.Loops
	p.count = max(0, (int(o.LastPort)-p.first+p.step)/p.step)
	// A run after another begins at another port: the ports used last may be in
	// TIME-WAIT.
	p.at = rand.IntN(max(1, p.count*len(p.sources)))
}

// portsTried is how many of its own ports a connection tries before it takes what the
// system gives.
const portsTried = 64

// connect opens a socket and begins to connect it to a; done reports that it is already
// connected.
func (p *ports) connect(a netip.AddrPort) (fd int, done bool, err error) {
	for range min(p.count, portsTried) {
		from, ok := p.next(a.Addr())
		if !ok {
			break
		}
		fd, done, err = connect(from, a)
		if err == nil || transport.KindOf(err) != transport.AddrInUse && transport.KindOf(err) != transport.AddrNotAvailable {
			return fd, done, err
		}
	}
	if len(p.sources) == 0 {
		return connect(netip.AddrPort{}, a)
	}
	for range p.sources {
		p.at++
		s := p.sources[p.at%len(p.sources)]
		if s.Is4() != a.Addr().Is4() {
			continue
		}
		fd, done, err = connect(netip.AddrPortFrom(s, 0), a)
		if err == nil || transport.KindOf(err) != transport.AddrNotAvailable {
			return fd, done, err
		}
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.EADDRNOTAVAIL) // no source of this family
	}
	return -1, false, err
}

// next returns the next source and port of the family of to.
func (p *ports) next(to netip.Addr) (netip.AddrPort, bool) {
	for range p.sources {
		n := p.at % (p.count * len(p.sources))
		p.at++
		if s := p.sources[n%len(p.sources)]; s.Is4() == to.Is4() {
			return netip.AddrPortFrom(s, uint16(p.first+n/len(p.sources)*p.step)), true
		}
	}
	return netip.AddrPort{}, false
}

// connect opens a socket and begins to connect it, from an address if that is valid.
func connect(from, to netip.AddrPort) (fd int, done bool, err error) {
	family := unix.AF_INET6
	if to.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, false, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
			fd = -1
		}
	}()
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fd, false, os.NewSyscallError("setsockopt", err)
	}
	if from.IsValid() {
		if from.Port() == 0 {
			// The port is chosen when the destination is known. Systems before Linux
			// 4.2 do not have this and choose the port when binding.
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		} else {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		}
		if err := unix.Bind(fd, sockaddr(from)); err != nil {
			return fd, false, os.NewSyscallError("bind", err)
		}
	}
	switch err := unix.Connect(fd, sockaddr(to)); err {
	case nil:
		return fd, true, nil
	case unix.EINPROGRESS, unix.EINTR:
		return fd, false, nil
	default:
		return fd, false, os.NewSyscallError("connect", err)
	}
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	s := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if zone := a.Addr().Zone(); zone != "" {
		if i, err := net.InterfaceByName(zone); err == nil {
			s.ZoneId = uint32(i.Index)
		}
	}
	return s
}

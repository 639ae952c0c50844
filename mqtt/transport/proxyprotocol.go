package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// In the PROXY protocol a proxy sends the client's address before the client's
// first byte: version 1 as a line of text, version 2 in binary.

const (
	proxyLine      = 107 // maximum bytes of a version 1 line, including its end
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyFixed     = 16 // bytes of version 2 before the addresses
	proxyUnix      = 108
)

// proxyTime is how long to wait for a header.
const proxyTime = 5 * time.Second

// proxyListener requires a PROXY protocol header on each connection.
type proxyListener struct{ net.Listener }

func (l proxyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &proxyConn{prefixed: prefixed{Conn: WithDeadlines(c)}}, nil
}

// proxyConn is a connection through a proxy. The header is read by the first
// Read or RemoteAddr, so that a silent peer blocks only its own connection.
type proxyConn struct {
	prefixed
	once sync.Once
	from net.Addr // nil for that of Conn
	err  error

	mu       sync.Mutex
	deadline time.Time // read deadline, as set by the user
}

// RemoteAddr returns the client's address from the header. It waits for the
// header; without one it returns the proxy's address.
func (c *proxyConn) RemoteAddr() net.Addr {
	c.once.Do(c.header)
	if c.from != nil {
		return c.from
	}
	return c.Conn.RemoteAddr()
}

func (c *proxyConn) Read(p []byte) (int, error) {
	c.once.Do(c.header)
	if c.err != nil {
		return 0, c.err
	}
	return c.prefixed.Read(p)
}

func (c *proxyConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *proxyConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.Conn.SetReadDeadline(t)
}

// limit sets the read deadline for the header, unless there is an earlier one,
// or restores it. Its failure shows in reading.
func (c *proxyConn) limit(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.IsZero() || !c.deadline.IsZero() && c.deadline.Before(t) {
		t = c.deadline
	}
	_ = c.Conn.SetReadDeadline(t)
}

func (c *proxyConn) header() {
	c.limit(time.Now().Add(proxyTime))
	err := c.readHeader()
	c.limit(time.Time{})
	switch {
	case err == nil, err == io.EOF:
		c.err = err
		return
	case timedOut(err):
		err = errors.New("not received in time") // not the user's deadline
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("truncated")
	}
	c.err = &Error{Op: OpProxy, Kind: ProxyFailed, Text: "PROXY protocol header: " + err.Error(), Err: err}
}

func (c *proxyConn) readHeader() error {
	buf, have := make([]byte, 512), 0
	for {
		n, err := c.Conn.Read(buf[have:])
		have += n
		from, size, perr := parseProxy(buf[:have])
		switch {
		case perr != nil:
			return perr
		case size > have:
			// What follows the addresses is ignored, and may be long.
			if _, err := io.CopyN(io.Discard, c.Conn, int64(size-have)); err != nil {
				return unexpected(err)
			}
			have = size
			fallthrough
		case size > 0:
			c.from, c.early = from, buf[min(size, len(buf)):min(have, len(buf))]
			return nil
		case err != nil && have > 0:
			return unexpected(err)
		case err != nil:
			return err
		}
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseProxy parses the beginning of a connection. size is the length of the
// header, or 0 if more bytes are needed; from is nil if the header does not
// contain a client address.
func parseProxy(b []byte) (from net.Addr, size int, err error) {
	start := min(len(b), len(proxySignature))
	if string(b[:start]) == proxySignature[:start] {
		return parseProxy2(b)
	}
	const word = "PROXY "
	if start = min(len(b), len(word)); string(b[:start]) == word[:start] {
		return parseProxy1(b)
	}
	text := "there is none"
	if p := Sniff(b); p > ProtocolUnknown {
		text += ": this looks like " + p.String()
	}
	return nil, 0, errors.New(text)
}

func parseProxy1(b []byte) (from net.Addr, size int, err error) {
	end := bytes.Index(b[:min(len(b), proxyLine)], []byte("\r\n"))
	if end < 0 {
		if len(b) >= proxyLine {
			return nil, 0, errors.New("the line does not end")
		}
		return nil, 0, nil
	}
	line := string(b[:end])
	f := strings.Split(line, " ")
	if f[1] == "UNKNOWN" {
		return nil, end + 2, nil
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return nil, 0, fmt.Errorf("%q is not of version 1", line)
	}
	var ips [2]netip.Addr
	var ports [2]uint16
	for i := range ips {
		ip, err := netip.ParseAddr(f[2+i])
		port, perr := strconv.ParseUint(f[4+i], 10, 16)
		if err != nil || ip.Is4() != (f[1] == "TCP4") || ip.Zone() != "" || perr != nil || f[4+i] != strconv.FormatUint(port, 10) {
			return nil, 0, fmt.Errorf("%q has a bad address", line)
		}
		ips[i], ports[i] = ip, uint16(port)
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ips[0], ports[0])), end + 2, nil
}

func parseProxy2(b []byte) (from net.Addr, size int, err error) {
	if len(b) < proxyFixed {
		return nil, 0, nil
	}
	version, command, family := b[12]>>4, b[12]&15, b[13]
	length := int(binary.BigEndian.Uint16(b[14:]))
	if version != 2 || command > 1 {
		return nil, 0, fmt.Errorf("version and command %#02x are unknown", b[12])
	}
	least := 0
	switch family {
	case 0x00:
	case 0x11, 0x12:
		least = 2 * (4 + 2)
	case 0x21, 0x22:
		least = 2 * (16 + 2)
	case 0x31, 0x32:
		least = 2 * proxyUnix
	default:
		if command != 0 { // whose family is ignored
			return nil, 0, fmt.Errorf("address family %#02x is unknown", family)
		}
	}
	switch {
	case command == 0 || least == 0: // LOCAL, or unspecified: the connection is the proxy's own
		return nil, proxyFixed + length, nil
	case length < least:
		return nil, 0, fmt.Errorf("%d bytes are too few for address family %#02x", length, family)
	case len(b) < proxyFixed+least:
		return nil, 0, nil
	}
	a := b[proxyFixed : proxyFixed+least]
	if family>>4 == 3 {
		return unixAddr(a[:proxyUnix]), proxyFixed + length, nil
	}
	ip, _ := netip.AddrFromSlice(a[:least/2-2])
	port := binary.BigEndian.Uint16(a[least-4:])
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, port)), proxyFixed + length, nil
}

// unixAddr parses a socket's path, which ends at a zero byte; an abstract path
// begins with one.
func unixAddr(b []byte) net.Addr {
	name := string(bytes.TrimRight(b, "\x00"))
	if strings.HasPrefix(name, "\x00") {
		name = "@" + name[1:]
	}
	name, _, _ = strings.Cut(name, "\x00")
	return &net.UnixAddr{Name: name, Net: "unix"}
}

// Package notifytest is a service manager for tests: the socket that NOTIFY_SOCKET leads to.
package notifytest

import (
	"io"
	"net"
	"time"
)

// Manager receives the notifications of services.
type Manager struct {
	Path string // the value of NOTIFY_SOCKET
	conn *net.UnixConn
}

// Listen returns a Manager whose socket is at path.
func Listen(path string) (*Manager, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	return &Manager{path, conn}, nil
}

// Next returns the next notification. It waits for it until patience has passed.
func (m *Manager) Next(patience time.Duration) (string, error) {
	var b [4096]byte
	_ = m.conn.SetReadDeadline(time.Now().Add(patience))
	n, err := m.conn.Read(b[:])
	return string(b[:n]), err
}

// Mark sends a notification of the test's own. Those that a service sent before come first.
func (m *Manager) Mark(text string) error {
	c, err := net.Dial("unixgram", m.Path)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.WriteString(c, text)
	return err
}

// Close closes the socket.
func (m *Manager) Close() error { return m.conn.Close() }

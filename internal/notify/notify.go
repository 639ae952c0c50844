// Package notify tells a service manager how the service is, by the protocol of
// sd_notify(3): datagrams to the Unix socket that NOTIFY_SOCKET names.
package notify

import (
	"fmt"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Variables are those that the service manager sets for this process, and that
// are not for its children.
var Variables = [...]string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}

// sendTime is how long the service manager may take to make room for a message.
const sendTime = time.Second

// Service is a program that has a service manager. A nil one has none, and its
// methods do nothing. Methods but Alive may be called from any goroutine.
type Service struct {
	addr  net.UnixAddr
	fail  func(error)   // told of the first failure
	every time.Duration // between two signs of life; 0: none are wanted
	last  time.Time     // the latest sign of life
	ready atomic.Bool
	once  struct{ fail, ready, stopping sync.Once }
}

// New makes a Service of the variables; nil if there is no NOTIFY_SOCKET. What
// goes wrong, now or later, is told to fail, and only once: it is no reason to
// end.
func New(lookup func(name string) (string, bool), fail func(error)) *Service {
	socket, _ := lookup(Variables[0])
	if socket == "" {
		return nil
	}
	s := &Service{addr: net.UnixAddr{Name: socket, Net: "unixgram"}, fail: fail}
	if socket[0] != '/' && socket[0] != '@' {
		s.failed(fmt.Errorf("%q is neither a path nor an abstract address", socket))
		return nil
	}
	usec, wanted := lookup(Variables[1])
	if pid, named := lookup(Variables[2]); !wanted || named && pid != strconv.Itoa(os.Getpid()) {
		return s
	}
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/int64(time.Microsecond) {
		s.failed(fmt.Errorf("%s %q is no time in microseconds", Variables[1], usec))
		return s
	}
	s.every = time.Duration(n) * time.Microsecond / 2
	return s
}

// Ready tells that the start is complete, once.
func (s *Service) Ready() {
	if s != nil {
		s.once.ready.Do(func() {
			s.ready.Store(true)
			s.send("READY=1")
		})
	}
}

// Stopping tells that the end has begun, once, of a service that was ready.
func (s *Service) Stopping() {
	if s != nil && s.ready.Load() {
		s.once.stopping.Do(func() { s.send("STOPPING=1") })
	}
}

// Status tells in one line for people what the service does.
func (s *Service) Status(format string, args ...any) {
	if s == nil {
		return
	}
	line := strings.ToValidUTF8(fmt.Sprintf(format, args...), "?")
	s.send("STATUS=" + strings.Map(func(r rune) rune { // a new line would be another assignment
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, line))
}

// Alive gives the service manager's watchdog a sign of life if it is time for
// one, and returns when the next is due; 0 if none ever is. The loop that does
// the work calls it, from one goroutine: a timer would go on when that hangs.
func (s *Service) Alive() time.Duration {
	if s == nil || s.every == 0 {
		return 0
	}
	now := time.Now()
	if now.Sub(s.last) >= s.every {
		s.last = now
		s.send("WATCHDOG=1")
	}
	return s.last.Add(s.every).Sub(now)
}

// send sends one message, by a socket of its own: they are rare, and the service
// manager's may have been made anew.
func (s *Service) send(message string) {
	conn, err := net.DialUnix(s.addr.Net, nil, &s.addr)
	if err != nil {
		s.failed(err)
		return
	}
	defer func() { _ = conn.Close() }()
	err = conn.SetWriteDeadline(time.Now().Add(sendTime))
	if err == nil {
		_, err = conn.Write([]byte(message))
	}
	if err != nil {
		s.failed(err)
	}
}

func (s *Service) failed(err error) {
	s.once.fail.Do(func() { s.fail(fmt.Errorf("the service manager is not told: %s: %w", Variables[0], err)) })
}

// Package notify reports the state of a service to its service manager with the protocol of
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

// Variables are the variables that the service manager sets for this process, and that must
// not be passed to its children.
var Variables = [...]string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}

// sendTime is how long the service manager may take to accept a message.
const sendTime = time.Second

// Service is a program with a service manager. The methods of a nil Service do nothing. All
// methods except Alive are safe for concurrent use.
type Service struct {
	addr  net.UnixAddr
	fail  func(error)   // called with the first failure
	every time.Duration // interval of the watchdog; 0: there is none
	last  time.Time     // the latest sign of life
	ready atomic.Bool
	once  struct{ fail, ready, stopping sync.Once }
}

// New returns a Service that the variables describe, or nil without NOTIFY_SOCKET. It calls
// fail with the first error, now or later, and only once: such an error is no reason to
// exit.
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
		s.failed(fmt.Errorf("%s %q is not a time in microseconds", Variables[1], usec))
		return s
	}
	s.every = time.Duration(n) * time.Microsecond / 2
	return s
}

// Ready reports, once, that the start is complete.
func (s *Service) Ready() {
	if s != nil {
		s.once.ready.Do(func() {
			s.ready.Store(true)
			s.send("READY=1")
		})
	}
}

// Stopping reports, once, that a service that was ready begins to stop.
func (s *Service) Stopping() {
	if s != nil && s.ready.Load() {
		s.once.stopping.Do(func() { s.send("STOPPING=1") })
	}
}

// Status reports in one line what the service does, for people.
func (s *Service) Status(format string, args ...any) {
	if s == nil {
		return
	}
	line := strings.ToValidUTF8(fmt.Sprintf(format, args...), "?")
	s.send("STATUS=" + strings.Map(func(r rune) rune { // a newline would start another assignment
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, line))
}

// Alive sends a sign of life to the service manager's watchdog if one is due, and returns
// the time until the next one; 0 if there is no watchdog. The loop that does the work calls
// it, from one goroutine: a timer would keep running when that loop hangs.
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

// send sends one message, over a new socket: messages are rare, and the service manager may
// have recreated its own.
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
	s.once.fail.Do(func() { s.fail(fmt.Errorf("cannot notify the service manager: %s: %w", Variables[0], err)) })
}

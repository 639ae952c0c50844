package mqtt

import (
	"errors"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// window is the maximum number of messages in flight before 5.0, where the
// server cannot announce its limit. Client.mu must be held.
type window struct {
	size        int
	ackedBefore uint64 // stats.Acked when the connection began
	narrowings  int    // how often the window was reduced
	widenAt     uint64 // settled messages at which it grows
}

// narrowWindow is how many messages any server is assumed to take at once. It
// is the usual limit of servers before 5.0, which cannot announce theirs.
const narrowWindow = 20

// narrow reduces the window to its minimum.
func (w *window) narrow(settled uint64) {
	w.size = narrowWindow
	w.widenAt = settled + narrowWindow<<min(3*w.narrowings, 30)
	w.narrowings++
}

// widen doubles a reduced window, up to most, once as many messages as it holds
// have been settled since its last change. After each further loss that takes
// eight times as many.
func (w *window) widen(settled uint64, most int) (wider bool) {
	if w.size >= most || settled < w.widenAt {
		return false
	}
	w.size = min(2*w.size, most)
	w.widenAt = settled + uint64(w.size)<<min(3*max(w.narrowings-1, 0), 30)
	return true
}

// narrowLocked reduces the window when a connection before 5.0 has ended with
// more than narrowWindow messages in flight and none acknowledged: some servers
// close when they receive too many.
func (c *Client) narrowLocked(err error) bool {
	if c.conn.Version() >= packet.V5 || c.window.size <= narrowWindow || c.sess.Open() <= narrowWindow ||
		c.stats.Acked != c.window.ackedBefore || !errors.Is(err, ErrLost) {
		return false
	}
	c.window.narrow(c.stats.settled())
	return true
}

// widenLocked lets a reduced window grow, up to MaxInflight: the connection may
// have ended for another reason. It grows more slowly after each loss, so that
// a server with a limit is not driven into it again and again.
func (c *Client) widenLocked() {
	if c.conn.Version() < packet.V5 && c.window.widen(c.stats.settled(), c.opt.MaxInflight) {
		c.conn.SetSendWindow(c.window.size)
	}
}

// settled returns the number of messages at QoS 1 and 2 whose outcome is known.
func (s *Stats) settled() uint64 { return s.Acked + s.Refused }

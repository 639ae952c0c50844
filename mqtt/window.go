package mqtt

import (
	"errors"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// window is how many messages are in flight at most before 5.0, where the server
// cannot say how many it takes. Guarded by Client.mu.
type window struct {
	size        int
	ackedBefore uint64 // stats.Acked when the connection began
	narrowings  int    // how often the window was made smaller
	widenAt     uint64 // settled messages at which it grows
}

// narrowWindow is how many messages any server takes at once; it is the usual
// limit of servers before 5.0, which have no way to announce theirs.
const narrowWindow = 20

// narrow makes the window as small as it gets.
func (w *window) narrow(settled uint64) {
	w.size = narrowWindow
	w.widenAt = settled + narrowWindow<<min(3*w.narrowings, 30)
	w.narrowings++
}

// widen doubles a narrow window, up to most, when as many messages as it holds have
// been settled since it became what it is; after each further loss that takes eight
// times as many.
func (w *window) widen(settled uint64, most int) (wider bool) {
	if w.size >= most || settled < w.widenAt {
		return false
	}
	w.size = min(2*w.size, most)
	w.widenAt = settled + uint64(w.size)<<min(3*max(w.narrowings-1, 0), 30)
	return true
}

// narrowLocked makes the window smaller when a connection before 5.0 has ended with more
// than that on the way and nothing acknowledged: some servers close rather than
// read on.
func (c *Client) narrowLocked(err error) bool {
	if c.conn.Version() >= packet.V5 || c.window.size <= narrowWindow || c.sess.Open() <= narrowWindow ||
		c.stats.Acked != c.window.ackedBefore || !errors.Is(err, ErrLost) {
		return false
	}
	c.window.narrow(c.stats.settled())
	return true
}

// widenLocked lets a narrow window grow, up to what was asked for: the connection may
// have ended for another reason. A server with a limit is not driven into it again and
// again.
func (c *Client) widenLocked() {
	if c.conn.Version() < packet.V5 && c.window.widen(c.stats.settled(), c.opt.MaxInflight) {
		c.conn.SetSendWindow(c.window.size)
	}
}

// settled counts the messages at QoS 1 and 2 that have their outcome.
func (s *Stats) settled() uint64 { return s.Acked + s.Refused }

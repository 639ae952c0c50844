package mqtt

import (
	"context"
	"slices"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// waiter is a blocked call. Waiters are kept in a table and identified by
// index, so that the tag of a session slot can refer to one and no call
// allocates one.
type waiter struct {
	ch        chan error          // 1 slot
	abandoned bool                // the call has returned; free the waiter when its answer comes
	codes     []packet.ReasonCode // answer to SUBSCRIBE and UNSUBSCRIBE
	mark      uint32              // of Flush: the session's mark
}

const none = ^uint32(0)

// syncTag marks session tags that refer to a waiter; other tags come from Send.
const syncTag = 1 << 63

// waiters holds the blocked calls by what they wait for. Client.mu must be
// held.
type waiters struct {
	all  []waiter // by index
	free []uint32

	windowWaiters []uint32 // waiting for the window or the connection
	bufferWaiters []uint32 // waiting for the output buffer
	flushers      []uint32 // waiting for the outcome of messages, in Flush
	writeWaiters  []uint32 // waiting for a write to finish
	receivers     []uint32 // waiting for messages, in Receive

	onReader int // number of calls that wait for the reader to make progress
}

// park allocates a waiter.
func (w *waiters) park() uint32 {
	if n := len(w.free); n > 0 {
		i := w.free[n-1]
		w.free = w.free[:n-1]
		w.all[i] = waiter{ch: w.all[i].ch}
		return i
	}
	w.all = append(w.all, waiter{ch: make(chan error, 1)})
	return uint32(len(w.all) - 1)
}

// answer wakes a waiter. It cannot block although the lock is held: the channel
// has a free slot, because each waiter is answered once.
func (w *waiters) answer(i uint32, err error) {
	if i == none {
		return
	}
	one := &w.all[i]
	if one.abandoned {
		w.release(i)
		return
	}
	one.ch <- err
}

// answerAll wakes a list of waiters and empties it.
func (w *waiters) answerAll(list *[]uint32) {
	for _, i := range *list {
		w.answer(i, nil)
	}
	*list = (*list)[:0]
}

// unlist removes a waiter from its list, if it is on one, and reports whether
// it was; then no answer comes.
func (w *waiters) unlist(i uint32) bool {
	for _, list := range [...]*[]uint32{&w.windowWaiters, &w.bufferWaiters, &w.flushers, &w.writeWaiters, &w.receivers} {
		if at := slices.Index(*list, i); at >= 0 {
			*list = slices.Delete(*list, at, at+1)
			return true
		}
	}
	return false
}

// release returns an answered waiter to the table.
func (w *waiters) release(i uint32) { w.free = append(w.free, i) }

// await waits for the answer to waiter i. If ctx ends first, it abandons the
// waiter and answered is false.
func (c *Client) await(ctx context.Context, i uint32) (answered bool, err error) {
	c.mu.Lock()
	ch := c.waiters.all[i].ch
	c.mu.Unlock()
	select {
	case err = <-ch:
	default:
		select {
		case err = <-ch:
		case <-ctx.Done():
			c.mu.Lock()
			select {
			case err = <-ch:
				c.mu.Unlock()
			default:
				if c.waiters.unlist(i) {
					c.waiters.release(i)
				} else {
					c.waiters.all[i].abandoned = true
				}
				c.mu.Unlock()
				return false, ctx.Err()
			}
		}
	}
	return true, err
}

// awaitAnswerLocked writes the pending output and waits for the server's answer
// to waiter i, which it frees. While it waits, the reader reads ahead of the
// application. It unlocks c.mu while it waits.
func (c *Client) awaitAnswerLocked(ctx context.Context, i uint32) (answered bool, err error) {
	c.waiters.onReader++
	c.inbox.letReader()
	c.flushInlineLocked() // unlocks c.mu
	answered, err = c.await(ctx, i)
	c.mu.Lock()
	c.waiters.onReader--
	if answered {
		c.waiters.release(i)
	}
	return answered, err
}

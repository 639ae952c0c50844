package mqtt

import (
	"context"
	"slices"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// waiter is a parked call. Waiters stand in a table and are named by index,
// so that a session slot's tag can name one and none is allocated per call.
type waiter struct {
	ch    chan error          // 1 slot
	left  bool                // the call has gone; free the waiter when its answer comes
	codes []packet.ReasonCode // answer to SUBSCRIBE and UNSUBSCRIBE
	mark  uint32              // of Flush: the session's
}

const none = ^uint32(0)

// syncTag marks session tags that name a waiter; other tags are Send's.
const syncTag = 1 << 63

// waiters are the calls that wait, and what each of them waits for. Guarded by Client.mu.
type waiters struct {
	all  []waiter // by index
	free []uint32

	roomers   []uint32 // waiting for the window or the connection
	drainers  []uint32 // for the output buffer
	flushers  []uint32 // for the outcome of messages, in Flush
	idlers    []uint32 // for a write under way
	receivers []uint32 // for messages, in Receive

	onReader int // calls that wait for the reader to make progress
}

// park takes a waiter.
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

// answer wakes a waiter; the slot of its channel is free, for each waiter is
// answered once. The lock is no danger: the send cannot block.
func (w *waiters) answer(i uint32, err error) {
	if i == none {
		return
	}
	one := &w.all[i]
	if one.left {
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

// unlist takes a waiter off the list in which it stands, if it is on one; then
// no answer will come.
func (w *waiters) unlist(i uint32) bool {
	for _, list := range [...]*[]uint32{&w.roomers, &w.drainers, &w.flushers, &w.idlers, &w.receivers} {
		if at := slices.Index(*list, i); at >= 0 {
			*list = slices.Delete(*list, at, at+1)
			return true
		}
	}
	return false
}

// release returns an answered waiter to the table.
func (w *waiters) release(i uint32) { w.free = append(w.free, i) }

// await waits for the answer to waiter i. On ctx's end it leaves, and
// answered is false.
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
					c.waiters.all[i].left = true
				}
				c.mu.Unlock()
				return false, ctx.Err()
			}
		}
	}
	return true, err
}

// awaitAnswerLocked writes what there is and awaits the server's answer to waiter i,
// which it frees. While it waits, the reader reads ahead of the application.
// It gives mu up meanwhile.
func (c *Client) awaitAnswerLocked(ctx context.Context, i uint32) (answered bool, err error) {
	c.waiters.onReader++
	c.inbox.letReader()
	c.flushInlineLocked() // unlocks
	answered, err = c.await(ctx, i)
	c.mu.Lock()
	c.waiters.onReader--
	if answered {
		c.waiters.release(i)
	}
	return answered, err
}

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

type ping struct {
	mark    uint64 // QoS 0 messages accepted before it
	waiter  uint32
	control bool // of the rule in undeliverable.go
}

// park takes a waiter. Called with mu.
func (c *Client) park() uint32 {
	if n := len(c.free); n > 0 {
		i := c.free[n-1]
		c.free = c.free[:n-1]
		c.waiters[i] = waiter{ch: c.waiters[i].ch}
		return i
	}
	c.waiters = append(c.waiters, waiter{ch: make(chan error, 1)})
	return uint32(len(c.waiters) - 1)
}

// answer wakes a waiter; the slot of its channel is free, for each waiter is
// answered once. Called with mu, which is no danger: the send cannot block.
func (c *Client) answer(i uint32, err error) {
	if i == none {
		return
	}
	w := &c.waiters[i]
	if w.left {
		c.freeLocked(i)
		return
	}
	w.ch <- err
}

// await waits for the answer to waiter i. On ctx's end it leaves, and
// answered is false. Called without mu.
func (c *Client) await(ctx context.Context, i uint32) (answered bool, err error) {
	c.mu.Lock()
	ch := c.waiters[i].ch
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
				if c.unlist(i) {
					c.freeLocked(i)
				} else {
					c.waiters[i].left = true
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
	c.acksAwait++
	c.letReaderLocked()
	c.flushInlineLocked() // unlocks
	answered, err = c.await(ctx, i)
	c.mu.Lock()
	c.acksAwait--
	if answered {
		c.freeLocked(i)
	}
	return answered, err
}

// unlist takes a waiter off the list in which it stands, if it is on one; then
// no answer will come. Called with mu.
func (c *Client) unlist(i uint32) bool {
	for _, list := range [...]*[]uint32{&c.roomers, &c.drainers, &c.flushers, &c.idlers, &c.recv} {
		if at := slices.Index(*list, i); at >= 0 {
			*list = slices.Delete(*list, at, at+1)
			return true
		}
	}
	return false
}

// freeLocked returns an answered waiter to the table.
func (c *Client) freeLocked(i uint32) { c.free = append(c.free, i) }

// answerAll wakes a list of waiters and empties it. Called with mu.
func (c *Client) answerAll(list *[]uint32) {
	for _, i := range *list {
		c.answer(i, nil)
	}
	*list = (*list)[:0]
}

package mqpub

import (
	"errors"
	"fmt"
	"sync"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
)

// report collects the messages that did not arrive. Its methods are safe for concurrent
// use.
type report struct {
	mu       sync.Mutex
	inv      *cli.Invocation
	reported int    // messages reported individually
	hint     string // printed last
	tally
	inputUnread bool   // the input was not read to its end
	barred      uint64 // of the denied, those that were never sent
	notSent     uint64 // taken from the input but not sent at the end

	keep func(tally) // if not nil, called with mu held after each change of the tally
}

// tally counts messages that were not delivered exactly once.
type tally struct {
	denied     uint64 // refused by the broker
	lost       uint64 // undeliverable, and dropped
	unsendable uint64 // could not be sent at all
	expired    uint64 // before they were sent
	resent     uint64 // after the broker lost the session: may have arrived twice
	skipped    uint64 // after the broker lost the session: may not have arrived
}

// counts returns the counts in the order in which a spool keeps them.
func (t *tally) counts() [6]*uint64 {
	return [...]*uint64{&t.denied, &t.lost, &t.unsendable, &t.expired, &t.resent, &t.skipped}
}

// keepIn makes keep be called from now on, also for what was counted before.
func (r *report) keepIn(keep func(tally)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keep = keep; r.tally != (tally{}) {
		keep(r.tally)
	}
}

// add adds to the tally.
func (r *report) add(t tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, n := range t.counts() {
		*r.counts()[i] += *n
	}
	if r.keep != nil {
		r.keep(r.tally)
	}
}

// maxReported is how many messages are reported individually.
const maxReported = 10

// event is the client's OnEvent.
func (r *report) event(e mqtt.Event) {
	switch e.Kind {
	case mqtt.EventRefused:
		r.add(tally{denied: 1})
		r.printNumbered(e.Tag, e.Err)
	case mqtt.EventUndeliverable:
		u := asUndeliverable(e.Err)
		if u == nil || len(u.Filters) > 0 {
			return // a subscription
		}
		if !e.Dropped {
			r.inv.Warnf("%s; still trying", describe(u))
			return
		}
		if u.Count == 0 { // the others are counted as unwritten
			r.add(tally{lost: 1})
		}
		r.print(errors.New(describe(u)))
	}
}

// rejected counts a message that the client could not send, because of its content or
// because the broker has announced not to accept such messages.
func (r *report) rejected(number uint64, err error) {
	if mqtt.Unsupported(err) {
		r.mu.Lock()
		r.barred++
		r.mu.Unlock()
		r.add(tally{denied: 1})
	} else {
		r.add(tally{unsendable: 1})
	}
	r.printNumbered(number, err)
}

// invalid counts input that is not a message.
func (r *report) invalid(err error) {
	r.add(tally{unsendable: 1})
	r.print(err)
}

func (r *report) unsent(n uint64) {
	r.mu.Lock()
	r.notSent += n
	r.mu.Unlock()
}

func (r *report) printNumbered(number uint64, err error) {
	r.print(fmt.Errorf("message %d: %w", number, err))
}

// print reports a message, up to a limit, with its hint, unless that was just printed.
func (r *report) print(err error) {
	r.mu.Lock()
	r.reported++
	reported, inv, hint := r.reported, r.inv, r.hint
	r.mu.Unlock()
	switch {
	case inv == nil || reported > maxReported+1:
	case reported > maxReported:
		inv.Errorf("more errors follow; they are counted, not printed")
	default:
		hint = inv.Problem(err, hint)
		r.mu.Lock()
		r.hint = hint
		r.mu.Unlock()
	}
}

func (r *report) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.denied > 0 || r.lost > 0 || r.unsendable > 0
}

// verdict returns the error that says how many messages did not arrive, or nil.
func (r *report) verdict(st mqtt.Stats) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	total := st.Sent + r.unsendable + r.barred + r.notSent
	open := uint64(st.Unfinished)
	if open == 0 && r.denied == 0 && r.lost == 0 && r.unsendable == 0 && r.notSent == 0 && st.Unwritten == 0 {
		return nil
	}
	failed := open + r.denied + r.lost + r.unsendable + r.notSent + st.Unwritten
	text := fmt.Sprintf("%d of %s not delivered", failed, units.Count(total, "message"))
	sep := ": "
	for _, part := range [...]struct {
		n    uint64
		what string
	}{
		{r.denied, "refused"}, {r.lost, "undeliverable"}, {r.unsendable, "invalid"}, {open, "unacknowledged (may have arrived)"},
		{r.notSent, "not sent"}, {st.Unwritten, "at QoS 0 that may not have arrived"},
	} {
		if part.n > 0 {
			text += sep + fmt.Sprintf("%d %s", part.n, part.what)
			sep = ", "
		}
	}
	if r.inputUnread {
		text += "; the rest of the input was not read"
	}
	code := option.ExitLost
	switch {
	case open > 0 || r.lost > 0 || r.notSent > 0 || st.Unwritten > 0:
	case r.denied > 0:
		code = option.ExitDenied
	default:
		code = option.ExitLocalIO
	}
	return cli.Failed(code, fmt.Errorf("%s", text))
}

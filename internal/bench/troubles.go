package bench

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/topic"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Failure is the kind of operation that has failed.
type Failure uint8

// The failures.
const (
	FailConnect   Failure = iota
	FailLost              // a connection that was up
	FailSubscribe         // subscribing or unsubscribing
	FailPublish
)

// Denied is a refusal of a client's request: of a subscription, which it names, or of a
// message.
type Denied struct {
	*swarm.Refusal
	Filter string
}

func (d *Denied) Error() string {
	what := "a message"
	if d.Type == packet.SUBACK || d.Type == packet.UNSUBACK {
		what = "the subscription " + topic.Quote(d.Filter)
	}
	return fmt.Sprintf("broker refused %s: %v", what, d.Reason)
}

func (d *Denied) Unwrap() error { return d.Refusal }

// troubles holds errors to be reported: the first of each kind, with their number at
// the time of the report. Actions are reported in the same way.
type troubles struct {
	mu      sync.Mutex
	all     map[string]*trouble
	news    []*trouble
	actions []result.Note
}

type trouble struct {
	what     Failure
	err      error
	at       *transport.Target
	count    int
	reported int // the count that was reported
}

const (
	maxReported = 20                     // kinds of errors
	troubleTime = 250 * time.Millisecond // how long to collect equal errors into one line
)

// note queues an error of a client for the report, unless one of its kind is queued.
func (w *worker) note(cl *client, what Failure, err error) {
	r, at := w.run, cl.c.Target()
	t := &r.news
	if r.o.fatal != nil {
		if end := r.o.fatal(what, err); end != nil {
			r.abandon(end)
			return
		}
	}
	if r.o.expected != nil && r.o.expected(what) {
		return
	}
	kind := fmt.Sprint(what, at.Address(), swarm.ErrorCategory(err))
	t.mu.Lock()
	defer t.mu.Unlock()
	if x := t.all[kind]; x != nil {
		x.count++
		return
	}
	if len(t.all) >= maxReported {
		return
	}
	if t.all == nil {
		t.all = map[string]*trouble{}
	}
	x := &trouble{what: what, err: err, at: at, count: 1}
	t.all[kind] = x
	t.news = append(t.news, x)
}

// noteAction queues the beginning of an action for the report.
func (r *run) noteAction(a *plan.Action, round int, at time.Duration) {
	text := fmt.Sprintf("%s: %s of %s", a.Do, units.Count(a.Clients, "client"), a.Group.Name)
	if a.Do == plan.Burst {
		text += fmt.Sprintf(", %s each", units.Count(a.Messages, "message"))
	}
	if a.Times > 1 {
		text += fmt.Sprintf(" (%d of %d)", round+1, a.Times)
	}
	t := &r.news
	t.mu.Lock()
	defer t.mu.Unlock()
	t.actions = append(t.actions, result.Note{At: at, Shard: r.shard.Index, Kind: result.NoteAction, Text: text})
}

// reportTroubles reports what has not been reported yet.
func (r *run) reportTroubles() {
	t := &r.news
	t.mu.Lock()
	notes := t.actions
	for _, x := range t.news {
		notes = append(notes, result.Note{At: r.now(), Shard: r.shard.Index, Kind: result.NoteError, Text: r.line(x)})
		x.reported = x.count
	}
	t.news, t.actions = nil, nil
	t.mu.Unlock()
	for _, n := range notes {
		r.tellNote(n)
	}
}

// sumTroubles reports the final number of each kind of error that has grown since its
// report. It is for a run that has failed and gets no other report.
func (r *run) sumTroubles() {
	r.reportTroubles()
	t := &r.news
	t.mu.Lock()
	t.news = nil
	for _, kind := range slices.Sorted(maps.Keys(t.all)) {
		if x := t.all[kind]; x.count > x.reported {
			t.news = append(t.news, x)
		}
	}
	t.mu.Unlock()
	r.reportTroubles()
}

func (r *run) line(x *trouble) string {
	text := r.explain(x)
	if x.count > 1 {
		text = fmt.Sprintf("%s: %s", units.Count(x.count, [...]string{FailConnect: "client", FailLost: "client", FailSubscribe: "subscription", FailPublish: "message"}[x.what]), text)
	}
	return text
}

// explain returns the text of an error for the user.
func (r *run) explain(x *trouble) string {
	if r.o.Explain != nil {
		return r.o.Explain(x.what, x.err, x.at)
	}
	return x.err.Error()
}

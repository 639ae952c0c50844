package bench

import (
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Answers on the connection that was taken over do not count for the one that replaced
// it.
func TestAnswersToTheOldConnectionAreNotThoseOfTheNew(t *testing.T) {
	t.Parallel()
	r := idle(t, `
groups:
  a: {clients: 1, subscribe: {filter: a, deferred: true}, subscription-churn: {filter: b/%s, rate: 10/s}}
actions:
  - {at: measure, do: subscribe, group: a}
  - {at: measure, do: takeover, group: a}
`)
	w := r.workers[0]
	w.loop.Do(func() {
		cl := &w.clients[0]
		old := cl.c
		cl.state, cl.extras.churning, w.asking = ready, 2, 2
		suback := &packet.Suback{Type: packet.SUBACK, Codes: []byte{0}}
		w.Subscribed(old, tagChurn, suback)
		if w.asking != 1 || cl.extras.churning != 1 {
			t.Errorf("an answer leaves %d questions of %d", w.asking, cl.extras.churning)
		}
		w.takeOver(cl, 0)
		if cl.c == old || cl.state != underway {
			t.Fatalf("the takeover has not begun: state %d", cl.state)
		}
		if w.asking != 0 {
			t.Errorf("%d questions to the old connection prolong the drain", w.asking)
		}
		w.Subscribed(old, tagSubscribe, suback)
		if cl.state != underway {
			t.Errorf("a SUBACK to the old connection brings the new one to state %d", cl.state)
		}
		w.Subscribed(old, tagChurn, suback)
		if w.asking != 0 || cl.extras.churning != 0 {
			t.Errorf("a late answer leaves %d questions of %d", w.asking, cl.extras.churning)
		}
	})
}

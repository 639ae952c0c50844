package mqtt

import (
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// life is what a connection does, as the rule sees it.
type life struct {
	// control is how far the connection gets as a control: 0 before the quiet
	// time is over, 1 after the PINGREQ is sent, 2 after the suspect was sent
	// alone.
	control int
	lasts   time.Duration // until its end, after all that
	ending                // at and exposed are filled in
	proven  bool          // what ended must return
}

// The states of the rule, one connection after the other.
func TestTheRuleOfMessageOrLink(t *testing.T) {
	t.Parallel()
	const s = time.Second
	one, two := subject{packet.PUBLISH, 1}, subject{packet.PUBLISH, 2}
	at := func(q subject, lasts time.Duration) life { return life{lasts: lasts, ending: ending{oldest: q, n: 1}} }
	tried := func(q subject) life { return life{control: 2, lasts: s, ending: ending{oldest: q, n: 1}} }
	proof := func(l life) life { l.proven = true; return l }
	with := func(l life, change func(*life)) life { change(&l); return l }
	idle := life{lasts: s}
	first := []life{at(one, s), at(one, s), at(one, s)} // makes one a suspect
	then := func(more ...life) []life { return append(append([]life{}, first...), more...) }

	for _, row := range []struct {
		name  string
		lives []life
		phase caution // of the next connection
	}{
		{"nothing has ended", nil, free},
		{"two ends are no suspicion", first[:2], free},
		{"three ends are", first, quiet},
		{"three ends at different packets are not", []life{at(one, s), at(two, s), at(one, s)}, free},
		{"two controls prove nothing", then(tried(one), tried(one)), quiet},
		{"three controls prove it", then(tried(one), tried(one), proof(tried(one))), quiet},
		{"an idle end acquits", then(with(idle, func(l *life) { l.control = 0 })), free},
		{"an end before the PINGRESP acquits", then(with(idle, func(l *life) { l.control = 1 })), free},
		{"an end without a packet acquits", []life{first[0], first[1], idle, first[0], first[1]}, free},
		{"an end that says nothing acquits", []life{first[0], first[1], with(at(one, s), func(l *life) { l.blind = true }), first[0]}, free},
		{"a life of more than a minute acquits", []life{first[0], first[1], at(one, time.Minute+1)}, free},
		{"a life of a minute does not", []life{first[0], first[1], at(one, time.Minute)}, quiet},

		{"a reason code proves the only packet", []life{proof(with(at(one, s), func(l *life) { l.named = true }))}, free},
		{"a reason code about one of two does not, and they go one by one", []life{with(at(one, s), func(l *life) { l.named, l.n = true, 2 })}, single},
		{"a reason code beside messages at QoS 0 does not", []life{with(at(one, s), func(l *life) { l.named, l.unsure = true, true })}, single},
		{"alone, one end is enough for a suspicion", []life{with(at(one, s), func(l *life) { l.named, l.n = true, 2 }), at(one, s)}, quiet},
		{"alone but for QoS 0 it is not", []life{with(at(one, s), func(l *life) { l.named, l.n = true, 2 }), with(at(one, s), func(l *life) { l.unsure = true })}, single},

		// The link fails by itself: each sign requires three more controls.
		{"after an idle end three controls are not enough", then(with(idle, func(l *life) { l.control = 1 }), first[0], first[1], first[2], tried(one), tried(one), tried(one), tried(one), tried(one)), quiet},
		{"but six are", then(with(idle, func(l *life) { l.control = 1 }), first[0], first[1], first[2], tried(one), tried(one), tried(one), tried(one), tried(one), proof(tried(one))), quiet},
		{"a life of a minute forgets the idle end", then(with(idle, func(l *life) { l.control = 1 }), at(two, time.Minute+1), first[0], first[1], first[2], tried(one), tried(one), proof(tried(one))), quiet},
	} {
		var d suspicion
		now := time.Duration(0)
		for i, l := range row.lives {
			now += s
			d.begin(now)
			if d.phase == quiet && l.control > 0 {
				now, _ = d.due()
				if !d.tick(now) {
					t.Fatalf("%s: %d: the control sends no PINGREQ", row.name, i)
				}
				for n := controlPings; l.control == 2 && n > 0; n-- {
					if again := d.pong(now); again != (n > 1) {
						t.Fatalf("%s: %d: another PINGREQ: %v", row.name, i, again)
					}
				}
			}
			l.exposed = now
			now += l.lasts
			l.at = now
			if got := d.ended(l.ending); got != l.proven {
				t.Errorf("%s: end %d: proven %v, want %v", row.name, i, got, l.proven)
			}
		}
		d.begin(now)
		if d.phase != row.phase {
			t.Errorf("%s: the next connection is in phase %d, want %d", row.name, d.phase, row.phase)
		}
	}
}

// A control lasts half as long again as the longest life at the suspect plus a
// tenth of a second, in whatever order the lives came; only then is a PINGREQ
// sent. A connection that lasts that long after it acquits the suspect.
func TestAControlOutlastsTheLongestLife(t *testing.T) {
	t.Parallel()
	one := subject{packet.PUBLISH, 1}
	for _, lives := range [][3]time.Duration{{8, 2, 4}, {2, 8, 4}, {2, 4, 8}} {
		var d suspicion
		for _, l := range lives {
			d.begin(0)
			d.ended(ending{at: l * time.Second, oldest: one, n: 1})
		}
		const start, long = 100 * time.Second, 12*time.Second + 100*time.Millisecond
		d.begin(start)
		if at, ok := d.due(); !ok || at != start+long {
			t.Fatalf("%v: the control is over at %v, want %v", lives, at, start+long)
		}
		if d.most() != 0 || d.mayAsk(subject{packet.SUBSCRIBE, 1}, 0) {
			t.Error("something may leave before the PINGREQ")
		}
		if d.tick(start+long-1) || d.phase != quiet || !d.tick(start+long) || d.phase != pinging {
			t.Errorf("%v: phase %d", lives, d.phase)
		}
		for range controlPings {
			d.pong(start + long)
		}
		if d.phase != alone || d.most() != 1 || d.mayAsk(subject{packet.SUBSCRIBE, 1}, 0) {
			t.Errorf("after the last PINGRESP: phase %d, %d messages", d.phase, d.most())
		}
		if d.tick(start + 2*long - 1); d.phase != alone {
			t.Error("acquitted too early")
		}
		if d.tick(start + 2*long); d.phase != free || d.most() != -1 {
			t.Error("not acquitted by a life that is longer than any other")
		}
	}
}

// A control waits half a minute for a server that answers no PINGREQ; then the
// suspect is sent with the rest.
func TestAControlWithoutPingrespEnds(t *testing.T) {
	t.Parallel()
	var d suspicion
	for range suspectEnds {
		d.begin(0)
		d.ended(ending{at: time.Second, oldest: subject{packet.PUBLISH, 1}, n: 1})
	}
	d.begin(0)
	now, _ := d.due()
	d.tick(now)
	if d.tick(now + 30*time.Second - 1); d.phase != pinging {
		t.Errorf("phase %d", d.phase)
	}
	if d.tick(now + 30*time.Second); d.phase != free {
		t.Errorf("phase %d", d.phase)
	}
}

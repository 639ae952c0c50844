package broker

import "testing"

// The topics of $SYS cost nothing without subscribers.
func TestSysTicksOnlyForSubscribers(t *testing.T) {
	t.Parallel()
	b := New(Options{})
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range []struct {
		filter string
		n      int
		ticks  bool
	}{
		{"a/#", 1, false}, {"$SYS/#", 1, true}, {"$share/g/$SYS/a", 1, true}, {"$SYS/#", -1, true}, {"$share/g/$SYS/a", -1, false}, {"$SYS/a", 1, true}, {"$SYS/a", -1, false},
	} {
		if b.countedLocked(c.filter, c.n); (b.sys.timer != nil) != c.ticks {
			t.Errorf("%s %+d: it ticks: %v", c.filter, c.n, !c.ticks)
		}
	}
}

package mqsub

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt"
)

// quiet returns an invocation that prints to w.
func quiet(w *strings.Builder) *cli.Invocation {
	return &cli.Invocation{Talk: cli.NewTalk(w, "mqsub", false, false, false)}
}

func textOn(name, payload string) *mqtt.Message {
	return &mqtt.Message{Topic: name, Payload: []byte(payload)}
}

var noon = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)

// TestThrottle has ten messages a second for three seconds, of two topics that share the
// times.
func TestThrottle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		last bool
		want []string
	}{
		{false, []string{"a0", "b0", "a10", "b10", "a20", "b20"}},
		{true, []string{"a9", "b9", "a19", "b19", "a29", "b29"}},
	} {
		s := &stages{throttle: time.Second, last: c.last, inv: quiet(&strings.Builder{})}
		var got []string
		release := func(now time.Time) {
			if !s.due(now) {
				return
			}
			s.tick = time.Time{}
			if err := s.topics.release(func(m *mqtt.Message, _ time.Time) error {
				got = append(got, string(m.Payload))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 30 {
			now := noon.Add(time.Duration(i) * 100 * time.Millisecond)
			release(now)
			for _, name := range []string{"a", "b"} {
				m := textOn(name, fmt.Sprint(name, i))
				pass, last, err := s.admit(m, now)
				if err != nil || last {
					t.Fatal(last, err)
				}
				if pass {
					got = append(got, string(m.Payload))
				}
				copy(m.Payload, "xxx") // the memory is used again
			}
		}
		release(noon.Add(3 * time.Second))
		if !slices.Equal(got, c.want) {
			t.Errorf("last %v: %v, want %v", c.last, got, c.want)
		}
		if s.wait(noon.Add(3*time.Second)) != 0 {
			t.Errorf("last %v: a time is waited for, and nothing is held", c.last)
		}
	}
}

// TestTicksAreWholeMultiples has messages at odd times: ticks do not drift.
func TestTicksAreWholeMultiples(t *testing.T) {
	t.Parallel()
	s := &stages{throttle: time.Second, last: true, inv: quiet(&strings.Builder{})}
	for _, at := range []struct{ ms, wait int }{{0, 1000}, {1300, 700}, {5999, 1}, {6000, 1000}} {
		now := noon.Add(time.Duration(at.ms) * time.Millisecond)
		s.tick = time.Time{}
		if _, _, err := s.admit(textOn("a", "x"), now); err != nil {
			t.Fatal(err)
		}
		if got := s.wait(now); got != time.Duration(at.wait)*time.Millisecond {
			t.Errorf("at %d ms: waits for %v, want %d ms", at.ms, got, at.wait)
		}
	}
}

// TestAChangeThatIsThrottledIsNotLost: what --throttle leaves out has not passed.
func TestAChangeThatIsThrottledIsNotLost(t *testing.T) {
	t.Parallel()
	s := &stages{throttle: time.Second, changed: true, inv: quiet(&strings.Builder{})}
	for i, c := range []struct {
		ms      int
		payload string
		pass    bool
	}{{0, "1", true}, {100, "2", false}, {1100, "2", true}, {2200, "2", false}, {2300, "3", true}} {
		pass, _, err := s.admit(textOn("a", c.payload), noon.Add(time.Duration(c.ms)*time.Millisecond))
		if err != nil || pass != c.pass {
			t.Errorf("message %d: %v, %v, want %v", i, pass, err, c.pass)
		}
	}
}

// TestTopicsAreBounded has more topics than are kept: memory is bounded, and there is one
// warning.
func TestTopicsAreBounded(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := &stages{changed: true, inv: quiet(&out)}
	for i := range topicsMost + 500 {
		if pass, _, err := s.admit(textOn(fmt.Sprint("t", i), "x"), noon); !pass || err != nil {
			t.Fatal(i, pass, err)
		}
	}
	if len(s.topics.at) != topicsMost || s.topics.used.Len() != topicsMost {
		t.Errorf("%d topics are kept, %d in order", len(s.topics.at), s.topics.used.Len())
	}
	want := "mqsub: warning: more than 100000 topics: those that are silent longest are forgotten and begin again\n"
	if out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	for _, c := range []struct {
		name string
		pass bool
	}{{"t0", true}, {"t2000", false}, {fmt.Sprint("t", topicsMost), false}} {
		if pass, _, _ := s.admit(textOn(c.name, "x"), noon); pass != c.pass {
			t.Errorf("topic %s: %v, want %v", c.name, pass, c.pass)
		}
	}
}

// TestHeldMessagesAreBounded holds large messages of many topics: they are due early.
func TestHeldMessagesAreBounded(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := &stages{throttle: time.Hour, last: true, inv: quiet(&out)}
	large := strings.Repeat("x", 1<<20)
	n := 0
	for ; !s.due(noon); n++ {
		if n > 100 {
			t.Fatal("more than 100 MiB are held")
		}
		if _, _, err := s.admit(textOn(fmt.Sprint("t", n), large), noon); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.admit(textOn("same", large), noon); err != nil { // takes the place of the last
			t.Fatal(err)
		}
	}
	if n < 60 {
		t.Errorf("%d messages of 1 MiB are too much", n)
	}
	if want := "mqsub: warning: --throttle: too much waits for the next 1h: it is printed early\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

func TestExactTopics(t *testing.T) {
	t.Parallel()
	for filters, want := range map[string]int{"a b": 2, "a a": 1, "a/+ b": 0, "#": 0, "$share/g/a b": 2, "$share/g/#": 0} {
		var subs []mqtt.Subscription
		for _, f := range strings.Fields(filters) {
			subs = append(subs, mqtt.Subscription{Filter: f})
		}
		if got := exactTopics(subs); len(got) != want {
			t.Errorf("%s: %v", filters, got)
		}
	}
}

func TestAFileIsNotAFormat(t *testing.T) {
	t.Parallel()
	for text, isFile := range map[string]bool{"csv": false, "csv \"x\"": false, "text|.": false, "program.jq": true, "./csv": true, "csv.jq": true, "base64d": false, "": true} {
		if startsPath(text) != isFile {
			t.Errorf("@%s: a file is %v", text, !isFile)
		}
	}
}

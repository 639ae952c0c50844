package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// record is what the log of the witness says of the publisher.
type record struct {
	texts     []string // of the messages that were accepted
	open      int      // QoS 2 messages whose PUBREL has not come
	completed int      // deliveries to a subscriber
	connects  int      // of the publisher
	secret    int      // QoS 2 messages that were accepted twice although the publisher cannot know it
}

// bytes returns the messages as lines.
func (l *record) bytes() []byte { return []byte(strings.Join(l.texts, "\n") + "\n") }

// readLog reads the log of the witness. A publisher that misses the CONNACK that says that its
// session was lost has a session at the next connect: what it sends again then, as the rules
// of that session want it, is accepted twice.
func readLog(path string) (l record, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return l, err
	}
	open, missed := map[string]string{}, map[string]bool{} // by packet identifier; texts
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 6)
		switch {
		case f[0] == "P" && f[1] == "pub":
			l.connects++
		case f[0] == "S" && f[1] == "pub":
			for _, text := range open {
				missed[text] = true
			}
			clear(open)
		case f[0] == "K" && f[1] == "pub":
			clear(missed)
		case f[0] == "M" && len(f) == 6 && strings.HasSuffix(line, "\n"):
			l.texts = append(l.texts, f[5])
			if f[2] == "2" {
				open[f[3]] = f[5]
			}
			if missed[f[5]] {
				l.secret++
				delete(missed, f[5])
			}
		case f[0] == "R":
			delete(open, f[2])
		case f[0] == "A":
			l.completed++
		}
	}
	l.open = len(open)
	return l, nil
}

// check compares what has arrived with what was written.
func (t *trial) check() error {
	all, err := os.ReadFile(t.file("all"))
	if err != nil {
		return err
	}
	got, err := os.ReadFile(filepath.Join(t.disk, "out"))
	if err != nil {
		return err
	}
	l, err := readLog(t.file("log"))
	if err != nil {
		return err
	}
	accepted := l.bytes()
	published, received := compare(all, accepted), compare(accepted, got)
	whole := compare(all, got)
	t.twice = published.repeated
	if whole.wrong() {
		t.fails("from end to end: %v; at the broker: %v; from there: %v", whole, published, received)
	}
	switch {
	case t.qos < 2:
	case t.losses == 0 && whole.repeated > 0:
		t.fails("at QoS 2: %v; at the broker: %v", whole, published)
	case received.repeated > published.repeated:
		t.fails("mqsub has repeated messages at QoS 2: %v", received)
	case t.doubt < published.repeated-l.secret:
		t.fails("%d messages were sent twice, %d of them in secret, but mqpub has reported only %d", published.repeated, l.secret, t.doubt)
	}
	if len(t.wrongs) > 0 {
		return fmt.Errorf("%v:\n  %s", t.plan, strings.Join(t.wrongs, "\n  "))
	}
	return nil
}

// comparison is how lines that have arrived differ from those that were sent.
type comparison struct {
	lost, repeated, foreign, disordered int
	first                               string // the first that is wrong
}

func (c comparison) wrong() bool { return c.lost+c.foreign+c.disordered > 0 }

func (c comparison) String() string {
	return fmt.Sprintf("%d lost, %d repeated, %d never sent, %d out of order%s", c.lost, c.repeated, c.foreign, c.disordered, c.first)
}

// compare compares lines. Of those that were sent more than once, or have arrived more than
// once, the first counts.
func compare(sent, got []byte) (c comparison) {
	note := func(line []byte, what string) {
		if c.first == "" {
			c.first = fmt.Sprintf("; first %q %s", line, what)
		}
	}
	number := map[string]int{}
	for line := range bytes.Lines(sent) {
		if _, again := number[string(line)]; !again {
			number[string(line)] = len(number)
		}
	}
	seen, last := map[string]bool{}, -1
	for line := range bytes.Lines(got) {
		n, known := number[string(line)]
		switch {
		case !known:
			c.foreign++
			note(line, "was never sent")
		case seen[string(line)]:
			c.repeated++
		default:
			if n < last {
				c.disordered++
				note(line, "is out of order")
			}
			last = max(last, n)
			seen[string(line)] = true
		}
	}
	for line := range bytes.Lines(sent) {
		if !seen[string(line)] {
			c.lost++
			note(line, "is lost")
			seen[string(line)] = true
		}
	}
	return c
}

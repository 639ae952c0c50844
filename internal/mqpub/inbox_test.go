package mqpub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/packet"
)

func message(text string) *packet.Publish {
	return &packet.Publish{QoS: 1, Topic: []byte("t"), Payload: []byte(text)}
}

// leave leaves a file with messages.
func leave(t *testing.T, b *inbox, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := b.add(message(text), time.UnixMilli(1234)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.flush(); err != nil {
		t.Fatal(err)
	}
}

// taken takes all messages; after the one with the text end, the process ends before it is
// synced, or after that.
func taken(b *inbox, end string, synced bool) (texts []string, err error) {
	stop := errors.New("ends")
	err = b.take(func(p *packet.Publish, stored time.Time) error {
		if string(p.Topic) != "t" || p.QoS != 1 || !stored.Equal(time.UnixMilli(1234)) {
			return fmt.Errorf("%+v, stored at %v", p, stored)
		}
		texts = append(texts, string(p.Payload))
		if string(p.Payload) == end && !synced {
			return stop
		}
		return nil
	}, func() error {
		if synced && slices.Contains(texts, end) {
			return stop
		}
		return nil
	})
	if errors.Is(err, stop) {
		err = nil
	}
	return texts, err
}

func TestWhatIsLeftIsTakenInOrder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "in")
	b := &inbox{dir: dir, limit: 1 << 20, sync: true}
	if texts, err := taken(b, "", false); len(texts) > 0 || err != nil {
		t.Errorf("of no directory: %q, %v", texts, err)
	}
	leave(t, b)
	leave(t, b, "a", "b", "c")
	leave(t, b, "d")
	if n, err := b.left(); n != 4 || err != nil {
		t.Errorf("%d left, %v", n, err)
	}
	// The process ends while it takes, and another one goes on behind what is in its queue.
	texts, err := taken(b, "b", false)
	if err != nil || strings.Join(texts, "") != "ab" {
		t.Fatalf("%q, %v", texts, err)
	}
	b = &inbox{dir: dir, taken: b.taken, n: b.n}
	if n, err := b.left(); n != 2 || err != nil {
		t.Errorf("%d left, %v", n, err)
	}
	if texts, err = taken(b, "c", true); err != nil || strings.Join(texts, "") != "c" {
		t.Fatalf("%q, %v", texts, err)
	}
	b = &inbox{dir: dir, taken: b.taken, n: b.n}
	if texts, err = taken(b, "", false); err != nil || strings.Join(texts, "") != "d" {
		t.Errorf("%q, %v", texts, err)
	}
	if names, err := b.names(); len(names) > 0 || err != nil {
		t.Errorf("still there: %q, %v", names, err)
	}
}

func TestOrderWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	before := time.Now().Add(time.Hour).UnixNano() // the time of a file before
	b := &inbox{dir: filepath.Join(t.TempDir(), "in"), limit: 1 << 20, last: before}
	leave(t, b, "a")
	leave(t, b, "b")
	if names, err := b.names(); err != nil || names[0] < fmt.Sprintf("%016x", before) {
		t.Errorf("%q, %v", names, err)
	}
	if texts, err := taken(b, "", false); err != nil || strings.Join(texts, "") != "ab" {
		t.Errorf("%q, %v", texts, err)
	}
}

// What could not be left is not added to, counted, or left again.
func TestAnInboxThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "in")
	b := &inbox{dir: filepath.Join(dir, "in"), limit: 1 << 20}
	if err := b.add(message("a"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := b.flush(); !errors.Is(err, fs.ErrNotExist) || b.handed != 0 {
		t.Errorf("without a directory: %v, %d handed over", err, b.handed)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := b.add(message("b"), time.Now()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the next message: %v", err)
	}
	if err := b.flush(); !errors.Is(err, fs.ErrNotExist) || b.handed != 0 {
		t.Errorf("again: %v, %d handed over", err, b.handed)
	}
}

func TestAnInboxIsBounded(t *testing.T) {
	t.Parallel()
	b := &inbox{dir: filepath.Join(t.TempDir(), "in"), limit: 1000}
	n := 0
	for ; ; n++ {
		err := b.add(message(strings.Repeat("x", 100)), time.Now())
		if errors.Is(err, errInboxFull) {
			break
		}
		if err == nil {
			err = b.flush()
		}
		if err != nil || n > 10 {
			t.Fatalf("message %d: %v", n, err)
		}
	}
	if n < 7 {
		t.Errorf("full after %d messages", n)
	}
	// What the queue would refuse later must not be left for it.
	if err := b.add(message(strings.Repeat("x", 500)), time.Now()); !errors.Is(err, journal.ErrTooLarge) {
		t.Errorf("a message of half the limit: %v", err)
	}
	other := &inbox{dir: b.dir, limit: 1000}
	if err := other.add(message("x"), time.Now()); err != nil {
		t.Error(err) // it finds out when it has something in the directory
	}
	other.size = 1001
	if err := other.add(message("x"), time.Now()); !errors.Is(err, errInboxFull) {
		t.Error(err)
	}
}

// Every byte of a file is flipped, and the file cut at every byte: there is an error, or with
// repair the messages before the damage, and never another one.
func TestADamagedFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "in")
	b := &inbox{dir: dir, limit: 1 << 20}
	leave(t, b, "a", "b", "c")
	names, err := b.names()
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	path := filepath.Join(dir, names[0])
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, data []byte, cut bool) {
		t.Helper()
		for _, repair := range []bool{false, true} {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			b := &inbox{dir: dir, repair: repair}
			texts, err := taken(b, "", false)
			if !strings.HasPrefix("abc", strings.Join(texts, "")) {
				t.Errorf("%s: %q is taken", what, texts)
			}
			boundary := cut && (len(data)-len(inboxMagic))%((len(whole)-len(inboxMagic))/3) == 0 && len(data) >= len(inboxMagic)
			if !boundary && repair != (err == nil) || repair && b.damaged == 0 && !boundary && len(data) > 0 {
				t.Errorf("%s, repair %v: %v, %d bytes damaged", what, repair, err, b.damaged)
			}
		}
	}
	for i := range whole {
		flipped := slices.Clone(whole)
		flipped[i] ^= 0x10
		try(fmt.Sprintf("byte %d flipped", i), flipped, false)
		try(fmt.Sprintf("cut at %d", i), whole[:i], true)
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	for _, want := range []spoolNote{{}, {place: []byte("place")}, {taken: "file", n: 7}, {[]byte("place"), "file", 300}} {
		got, err := parseNote(want.encode())
		if err != nil || string(got.place) != string(want.place) || got.taken != want.taken || got.n != want.n {
			t.Errorf("%+v becomes %+v, %v", want, got, err)
		}
		for n := 1; n < len(want.encode())-len(want.taken); n++ {
			if _, err := parseNote(want.encode()[:n]); err == nil {
				t.Errorf("%d bytes of %+v are a note", n, want)
			}
		}
	}
	if _, err := parseNote([]byte{1, 0, 0}); err == nil {
		t.Error("a note of another version is accepted")
	}
}

package journal

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// life makes random changes to a journal until it fails, and records in states
// what it contains at each Sync. It returns how many of these the journal has
// reported to be durable.
func life(t *testing.T, f *File, r *rand.Rand, states *[]string) (durable int) {
	t.Helper()
	durable = len(*states)
	for range 30 {
		f.Group(func() {
			for range 1 + r.IntN(3) {
				id := uint16(1 + r.IntN(5))
				switch r.IntN(12) {
				case 0:
					f.Append(Record{Kind: Cleared})
				case 1, 2, 3:
					f.Append(Record{Kind: Sent, PacketID: id, Tag: r.Uint64(), Version: 5, Packet: []byte(word(r.Uint64N(90)))})
				case 4, 5:
					f.Append(Record{Kind: Received, PacketID: id})
				case 6, 7:
					f.Append(Record{Kind: Done, PacketID: id})
				case 8, 9:
					f.Append(Record{Kind: Arrived, PacketID: id})
				case 10:
					f.Append(Record{Kind: Released, PacketID: id})
				case 11:
					f.Note([]byte(word(r.Uint64N(90))))
				}
			}
		})
		*states = append(*states, stateOf(t, f))
		if f.Sync() != nil {
			return durable
		}
		durable = len(*states)
	}
	return durable
}

func stateOf(t *testing.T, f *File) string {
	return fmt.Sprintf("%snote %s", contents(t, f), f.LastNote())
}

// A journal contains after a crash what it contained at a Sync: at the last
// one that succeeded, or at one that was tried after it.
func TestAFileRestoresAllChangesOfASyncOrNone(t *testing.T) {
	t.Parallel()
	snapshots := 0
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 2))
		d := newDisk()
		states, durable := []string{"note "}, 0
		for n := range 4 {
			d.calls, d.failAt, d.failure, d.torn = 0, 1+r.IntN(60), errDisk, r.IntN(2) == 0
			f, _, err := openFile(d, FileOptions{LogOptions: LogOptions{SegmentSize: 300}})
			if err == nil {
				got, at := stateOf(t, f), -1
				for i := max(durable-1, 0); i < len(states); i++ {
					if states[i] == got {
						at = i
					}
				}
				if at < 0 {
					t.Fatalf("seed %d, life %d: restored %q; the last that was durable is %q, the last that was tried %q", seed, n, got, states[max(durable-1, 0)], states[len(states)-1])
				}
				states = states[:at+1]
				durable = life(t, f, r, &states)
				if f.log.segments[0].first > 1 {
					snapshots++
				}
			} else if !errors.Is(err, errDisk) {
				t.Fatalf("seed %d, life %d: %v", seed, n, err)
			}
			if r.IntN(2) == 0 {
				d = d.crash(r)
			} else {
				d = d.killed()
			}
		}
	}
	if snapshots < 100 {
		t.Errorf("only %d logs were replaced by a snapshot", snapshots)
	}
}

func TestAFileDoesNotGrowWithWhatIsOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, _, err := OpenFile(dir, FileOptions{LogOptions: LogOptions{SegmentSize: 10000, Sync: SyncNever}})
	if err != nil {
		t.Fatal(err)
	}
	payload := bytes.Repeat([]byte("x"), 1000)
	f.Note([]byte("kept"))
	f.Append(Record{Kind: Sent, PacketID: 9, Tag: 90, Version: 4, Packet: payload})
	f.Append(Record{Kind: Received, PacketID: 9})
	for i := range 3000 {
		f.Append(Record{Kind: Sent, PacketID: 1, Tag: uint64(i), Version: 5, Packet: payload})
		f.Append(Record{Kind: Done, PacketID: 1})
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		if n := f.log.Size(); n > 40000 {
			t.Fatalf("%d bytes after %d messages", n, i)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if f, _, err = OpenFile(dir, FileOptions{}); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, want := stateOf(t, f), fmt.Sprintf("2:9:90:%s note kept", payload); got != want {
		t.Errorf("restored %.100q", got)
	}
}

// What a group appends is one record: a Sync that begins meanwhile waits for its
// end.
func TestASyncWaitsForTheEndOfAGroup(t *testing.T) {
	t.Parallel()
	f, _, err := openFile(newDisk(), FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	synced := make(chan error)
	f.Group(func() {
		f.Append(Record{Kind: Arrived, PacketID: 1})
		began := make(chan struct{})
		go func() {
			close(began)
			synced <- f.Sync()
		}()
		<-began
		for range 1000 { // it has its chance, and without the lock it is done by now
			runtime.Gosched()
		}
		f.Append(Record{Kind: Arrived, PacketID: 2})
	})
	if err := cmp.Or(<-synced, f.Sync()); err != nil {
		t.Fatal(err)
	}
	if got := f.log.Next() - 1; got != 1 {
		t.Errorf("%d records", got)
	}
}

// What BeforeSync makes durable is there before the changes that depend on it,
// and changes that come meanwhile are left to the next Sync.
func TestBeforeSyncDecidesFirst(t *testing.T) {
	t.Parallel()
	d := newDisk()
	var f *File
	var fail error
	f, _, err := openFile(d, FileOptions{BeforeSync: func() error {
		f.Append(Record{Kind: Arrived, PacketID: 2})
		return fail
	}})
	if err != nil {
		t.Fatal(err)
	}
	f.Append(Record{Kind: Arrived, PacketID: 1})
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	after, _, err := openFile(d.killed(), FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := contents(t, after); got != "4:1:0: " {
		t.Errorf("restored %q", got)
	}
	fail = errDisk
	if err := f.Sync(); !errors.Is(err, errDisk) {
		t.Errorf("Sync: %v", err)
	}
	fail = nil
	if err := f.Sync(); !errors.Is(err, errDisk) {
		t.Errorf("Sync after an error: %v", err)
	}
}

func TestIntervalSyncsWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		l, _, err := openLog(d, LogOptions{Sync: SyncInterval})
		if err != nil {
			t.Fatal(err)
		}
		safe := func() int {
			l.writing.Lock()
			defer l.writing.Unlock()
			return len(d.files[segmentName(1)].safe)
		}
		var sizes []int
		for range 3 {
			if _, err := l.Append([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := l.Sync(); err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, safe())
		}
		const one = recordSize + 1
		if sizes[0] != headerSize+one || sizes[2] != sizes[0] {
			t.Errorf("on the disk after each Sync: %d", sizes)
		}
		synctest.Wait()
		time.Sleep(syncInterval)
		synctest.Wait()
		if got := safe(); got != headerSize+3*one {
			t.Errorf("on the disk after a second: %d bytes", got)
		}
		for _, fails := range []bool{false, true} {
			l.writing.Lock()
			if fails {
				d.failAt, d.failure = d.calls+2, errDisk // after the write
			}
			l.writing.Unlock()
			if _, err := l.Append([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := l.Sync(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(syncInterval)
			synctest.Wait()
		}
		if _, err := l.Append([]byte("x")); !errors.Is(err, errDisk) {
			t.Errorf("appended after a sync that failed: %v", err)
		}
	})
}

func FuzzChanges(f *testing.F) {
	f.Add([]byte{1, 0, 7, 9, 5, 2, 'a', 'b', 2, 0, 7, 4, 0, 1, 6, 100, 1, 'n', 3, 0, 7})
	f.Add([]byte{1, 0, 7, 9, 5, 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			r, n, err := decodeChange(b)
			if err != nil {
				return
			}
			if n <= 0 || n > len(b) {
				t.Fatalf("%d of %d bytes", n, len(b))
			}
			again, _, err := decodeChange(appendChange(nil, &r))
			if err != nil || fmt.Sprint(again) != fmt.Sprint(r) {
				t.Fatalf("%v became %v, %v", r, again, err)
			}
			b = b[n:]
		}
	})
}

package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// word is the data of a record, of a length that depends on its number.
func word(seq uint64) string { return fmt.Sprintf("%d-%s", seq, strings.Repeat("x", int(seq*7%40))) }

// fill appends n records, and syncs after each batch of 3.
func fill(l *Log, n int) error {
	for i := range n {
		if _, err := l.Append([]byte(word(l.Next()))); err != nil {
			return err
		}
		if i%3 == 2 || i == n-1 {
			if err := l.Sync(); err != nil {
				return err
			}
		}
	}
	return nil
}

// filled returns a log with n records, and its disk.
func filled(tb testing.TB, opt LogOptions, n int) (*disk, *Log) {
	tb.Helper()
	d := newDisk()
	l, _, err := openLog(d, opt)
	if err == nil {
		err = fill(l, n)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return d, l
}

func TestALogReturnsItsRecordsInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, found, err := OpenLog(dir, LogOptions{SegmentSize: 200})
	if err != nil || found != (Recovery{}) {
		t.Fatal(found, err)
	}
	if err := fill(l, 50); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append([]byte("last")); err != nil { // Close writes it
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(nil); !errors.Is(err, ErrLogClosed) {
		t.Errorf("appended to a closed log: %v", err)
	}
	if err := l.Range(1, nil); !errors.Is(err, ErrLogClosed) {
		t.Errorf("read a closed log: %v", err)
	}
	l, found, err = OpenLog(dir, LogOptions{SegmentSize: 200})
	if err != nil || found != (Recovery{}) {
		t.Fatal(found, err)
	}
	defer l.Close()
	got, err := recordsOf(l, 1)
	if err != nil || len(got) != 51 || got[0] != word(1) || got[49] != word(50) || got[50] != "last" {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if got, err = recordsOf(l, 48); err != nil || len(got) != 4 || got[0] != word(48) {
		t.Errorf("from 48: %q, %v", got, err)
	}
	before := l.Size()
	if err := l.Trim(40); err != nil {
		t.Fatal(err)
	}
	if got, err = recordsOf(l, 40); err != nil || len(got) != 12 || l.Size() >= before {
		t.Errorf("trimmed: %d records, %v, %d of %d bytes", len(got), err, l.Size(), before)
	}
	if err := l.Trim(1000); err != nil || l.Next() != 52 {
		t.Errorf("trimmed to the last segment: %v, next is %d", err, l.Next())
	}
	names, _ := os.ReadDir(dir)
	for _, e := range names {
		if st, err := e.Info(); err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read %s: %v, %v", e.Name(), st.Mode(), err)
		}
	}
}

// TestACrashLosesNothingThatSyncReported cuts the power after each call that
// changes the disk, which keeps any part of what was not synced.
func TestACrashLosesNothingThatSyncReported(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := newDisk()
		appended, durable := uint64(0), uint64(0)
		for life := range 4 {
			d.calls, d.failAt, d.failure, d.torn = 0, 1+r.IntN(30), errDisk, r.IntN(2) == 0
			l, _, err := openLog(d, LogOptions{SegmentSize: 150})
			if err == nil {
				got, err := recordsOf(l, 1)
				if err != nil {
					t.Fatalf("seed %d, life %d: %v", seed, life, err)
				}
				if uint64(len(got)) < durable || uint64(len(got)) > appended {
					t.Fatalf("seed %d, life %d: %d records, %d were synced and %d appended", seed, life, len(got), durable, appended)
				}
				for i, text := range got {
					if text != word(uint64(i+1)) {
						t.Fatalf("seed %d, life %d: record %d is %q", seed, life, i+1, text)
					}
				}
				durable = uint64(len(got)) // what was seen must not be lost later
				for {
					seq, err := l.Append([]byte(word(l.Next())))
					if err != nil {
						break
					}
					appended = seq
					if r.IntN(3) == 0 {
						if err := l.Sync(); err != nil {
							if again := l.Sync(); again != err {
								t.Fatalf("seed %d: a failed sync was followed by %v", seed, again)
							}
							break
						}
						durable = seq
					}
				}
			} else if !errors.Is(err, errDisk) {
				t.Fatalf("seed %d, life %d: %v", seed, life, err)
			}
			if r.IntN(2) == 0 {
				d = d.killed()
			} else {
				d = d.crash(r)
			}
		}
	}
}

// TestACrashIsNoDamageWithoutSyncs cuts the power under a log that leaves
// syncing to the system: any of its last segment may be lost, and the log opens
// with what is whole.
func TestACrashIsNoDamageWithoutSyncs(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		opt := LogOptions{SegmentSize: 1000, Sync: SyncNever}
		d, l := filled(t, opt, 38)
		full := l.segments[len(l.segments)-1].first - 1 // records in full segments
		again, _, err := openLog(d.crash(rand.New(rand.NewPCG(seed, 2))), opt)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		got, err := recordsOf(again, 1)
		if err != nil || uint64(len(got)) < full {
			t.Fatalf("seed %d: %d records, %d are in full segments, %v", seed, len(got), full, err)
		}
		for i, text := range got {
			if text != word(uint64(i+1)) {
				t.Fatalf("seed %d: record %d is %q", seed, i+1, text)
			}
		}
	}
}

// TestNoFlippedBitChangesARecord flips each bit of a small log: it is found, or
// it is in the last batch, which may be torn.
func TestNoFlippedBitChangesARecord(t *testing.T) {
	t.Parallel()
	for _, segmentSize := range []int64{150, 1 << 20} {
		d, _ := filled(t, LogOptions{SegmentSize: segmentSize}, 9)
		for name, f := range d.files {
			for at := range f.cache {
				for bit := range 8 {
					bad := d.killed()
					bad.files[name].cache[at] ^= 1 << bit
					checkDamaged(t, bad, fmt.Sprintf("%s, byte %d, bit %d", name, at, bit), 6)
				}
			}
			for size := range f.cache {
				bad := d.killed()
				bad.files[name].cache = bad.files[name].cache[:size]
				checkDamaged(t, bad, fmt.Sprintf("%s cut to %d bytes", name, size), 0)
			}
			bad := d.killed()
			delete(bad.files, name)
			checkDamaged(t, bad, name+" removed", 0)
		}
	}
}

// checkDamaged opens a damaged log of 9 records, and repairs it. Without repair
// it must return at least least records.
func checkDamaged(t *testing.T, d *disk, what string, least int) {
	t.Helper()
	for _, repair := range []bool{false, true} {
		d := d.killed()
		l, found, err := openLog(d, LogOptions{SegmentSize: 150, Repair: repair})
		if err != nil {
			var damaged *DamagedError
			if !errors.As(err, &damaged) && !errors.Is(err, ErrLogVersion) || repair && !errors.Is(err, ErrLogVersion) {
				t.Errorf("%s, repair %v: %v", what, repair, err)
			}
			if d.calls != 0 {
				t.Errorf("%s: a log that was refused is changed", what)
			}
			continue
		}
		var got []string
		err = l.Range(0, func(seq uint64, data []byte) error {
			if string(data) != word(seq) {
				t.Errorf("%s: record %d is %q", what, seq, data)
			}
			got = append(got, string(data))
			return nil
		})
		if err != nil || !repair && len(got) < least {
			t.Errorf("%s, repair %v: %d records, %v, %+v", what, repair, len(got), err, found)
		}
		if err := fill(l, 4); err != nil {
			t.Errorf("%s: cannot go on: %v", what, err)
		}
	}
}

func TestALogIsOpenOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _, err := OpenLog(dir, LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenLog(dir, LogOptions{}); !errors.Is(err, ErrLogInUse) {
		t.Errorf("opened twice: %v", err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if l, _, err = OpenLog(dir, LogOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestDataCannotPassForARecord(t *testing.T) {
	t.Parallel()
	d, l := filled(t, LogOptions{}, 3)
	other, _ := filled(t, LogOptions{}, 30)
	forged := slices.Clone(other.files[segmentName(1)].cache)
	if _, err := l.Append(forged); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	after := d.killed()
	f := after.files[l.segments[0].name]
	f.cache = f.cache[:len(f.cache)-1] // the record is torn
	again, found, err := openLog(after, LogOptions{})
	if err != nil || found.Torn != int64(recordSize+len(forged)-1) {
		t.Fatal(found, err)
	}
	if got, err := recordsOf(again, 1); err != nil || len(got) != 3 {
		t.Errorf("%d records, %v", len(got), err)
	}
}

func TestALogRefusesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	name := segmentName(1)
	for _, row := range []struct {
		it   string
		make func(path string) error
		want error
	}{
		{"a directory", func(p string) error { return os.Mkdir(p, 0o700) }, nil},
		{"a text", func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("hello ", 9)), 0o600) }, &DamagedError{}},
		{"another version", func(p string) error {
			b := header(1, 7)
			b[7]++
			return os.WriteFile(p, b, 0o600)
		}, ErrLogVersion},
	} {
		dir := t.TempDir()
		if err := row.make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		_, _, err := OpenLog(dir, LogOptions{})
		var damaged *DamagedError
		switch {
		case err == nil:
			t.Errorf("%s was taken for a log", row.it)
		case row.want == ErrLogVersion && !errors.Is(err, ErrLogVersion), row.want != nil && row.want != ErrLogVersion && !errors.As(err, &damaged):
			t.Errorf("%s: %v", row.it, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, _, err := OpenLog(dir, LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "notes.txt")); err != nil || string(b) != "mine" {
		t.Errorf("another file was changed: %q, %v", b, err)
	}
	if _, _, err := OpenLog(filepath.Join(dir, "none"), LogOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestAFullDiskEndsALogAndLosesNothing(t *testing.T) {
	t.Parallel()
	for failAt := 1; failAt < 20; failAt++ {
		d, l := filled(t, LogOptions{SegmentSize: 150}, 3)
		d.calls, d.failAt, d.failure, d.torn = 0, failAt, errFull, true
		var failed error
		durable := uint64(3)
		for range 20 {
			seq, err := l.Append([]byte(word(l.Next())))
			if err == nil {
				err = l.Sync()
			}
			if err != nil {
				failed = err
				break
			}
			durable = seq
		}
		if !errors.Is(failed, errFull) {
			t.Fatalf("call %d: %v", failAt, failed)
		}
		if _, err := l.Append(nil); !errors.Is(err, errFull) {
			t.Errorf("call %d: appended after a failure: %v", failAt, err)
		}
		d = d.killed()
		again, _, err := openLog(d, LogOptions{SegmentSize: 150})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := recordsOf(again, 1); err != nil || uint64(len(got)) < durable {
			t.Errorf("call %d: %d records of %d, %v", failAt, len(got), durable, err)
		}
	}
}

func FuzzSegment(f *testing.F) {
	d, _ := filled(f, LogOptions{}, 5)
	f.Add(d.files[segmentName(1)].cache)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, repair := range []bool{false, true} {
			d := newDisk()
			d.files[segmentName(1)] = &diskFile{d: d, cache: slices.Clone(b)}
			l, _, err := openLog(d, LogOptions{Repair: repair})
			if err != nil {
				if repair && !errors.Is(err, ErrLogVersion) {
					t.Errorf("not repaired: %v", err)
				}
				continue
			}
			if _, err := recordsOf(l, 1); err != nil {
				t.Error(err)
			}
			if err := fill(l, 2); err != nil {
				t.Error(err)
			}
		}
	})
}

func BenchmarkLog(b *testing.B) {
	l, _, err := OpenLog(b.TempDir(), LogOptions{})
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 80)
	for i := 0; b.Loop(); i++ {
		if _, err := l.Append(data); err != nil {
			b.Fatal(err)
		}
		if i%32 == 31 {
			if err := l.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

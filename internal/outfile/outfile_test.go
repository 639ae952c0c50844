package outfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/fileid"
	"github.com/mqtools/mqtools/mqtt/journal"
)

const owner = `client ID "r" at b`

func mustOpen(t *testing.T, path string, o Options) (*File, Found) {
	t.Helper()
	f, found, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return f, found
}

// record writes a record and commits it with a packet identifier.
func record(t *testing.T, f *File, text string, id uint16) {
	t.Helper()
	if _, err := f.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(func() { f.Append(journal.Record{Kind: journal.Arrived, PacketID: id}) }); err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, path, want string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || string(b) != want {
		t.Errorf("the file is %q, %v; want %q", b, err, want)
	}
}

// Each state in which a start may find the file: only what is behind the last commit of this
// very file is cut off, and only if the broker has the session.
func TestStarts(t *testing.T) {
	t.Parallel()
	const committed = "one\ntwo\n"
	long := strings.Repeat("x", 3*blockSize)
	for _, row := range []struct {
		it      string
		before  string
		change  func(path string) error
		changed string // part of Found.Changed
		behind  int64
		resumed string // the file after Begin(true)
		lost    string // the file after Begin(false)
	}{
		{"as it was", committed, func(string) error { return nil }, "", 0, committed, committed},
		{"longer", committed, func(p string) error { return add(p, "thr") }, "", 3, committed, committed + "thr"},
		{"longer by blocks", long, func(p string) error { return add(p, long) }, "", int64(len(long)), long, long + long},
		{"shorter", committed, func(p string) error { return os.Truncate(p, 5) }, "has 5 bytes, and had 8", 0, "one\nt", "one\nt"},
		{"empty", committed, func(p string) error { return os.Truncate(p, 0) }, "has 0 bytes, and had 8", 0, "", ""},
		{"changed", committed, func(p string) error { return set(p, "one\nTwo\nthree") }, "it was changed", 0, "one\nTwo\nthree", "one\nTwo\nthree"},
		{"missing", committed, os.Remove, "it ", 0, "", ""},
		{"replaced", committed, func(p string) error {
			if err := os.WriteFile(p+".new", []byte(committed+"three"), 0o600); err != nil {
				return err
			}
			return os.Rename(p+".new", p)
		}, "it is another file", 0, committed + "three", committed + "three"},
	} {
		for _, resumed := range []bool{true, false} {
			path := filepath.Join(t.TempDir(), "f")
			f, found := mustOpen(t, path, Options{Owner: owner})
			if found.Committed || found.Changed != "" || f.Begin(true) != nil {
				t.Fatalf("a new file: %+v", found)
			}
			record(t, f, row.before, 7)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if err := row.change(path); err != nil {
				t.Fatal(err)
			}
			f, found = mustOpen(t, path, Options{Owner: owner})
			if !found.Committed || found.Behind != row.behind || !strings.Contains(found.Changed, row.changed) || row.changed == "" && found.Changed != "" {
				t.Errorf("%s: found %+v", row.it, found)
			}
			if f.Len() != 1 {
				t.Errorf("%s: %d identifiers, want 1", row.it, f.Len())
			}
			if err := f.Begin(resumed); err != nil {
				t.Error(err)
			}
			want := row.lost
			if resumed {
				want = row.resumed
			}
			has(t, path, want)
			record(t, f, "next\n", 8)
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			has(t, path, want+"next\n")
			f, found = mustOpen(t, path, Options{Owner: owner})
			if found.Changed != "" || found.Behind != 0 {
				t.Errorf("%s: a start later: %+v", row.it, found)
			}
			_ = f.Close()
		}
	}
}

func add(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

func set(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// The journal has one process and one session.
func TestTheJournalIsNotShared(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	f, _ := mustOpen(t, path, Options{Owner: owner})
	if err := f.Begin(false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(path, Options{Owner: owner}); !errors.Is(err, journal.ErrLogInUse) {
		t.Errorf("a second process: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, err := Open(path, Options{Owner: "another"})
	if e, ok := errors.AsType[*OwnerError](err); !ok || e.Owner != owner {
		t.Errorf("another session: %v", err)
	}
}

// After a repair, nothing is cut off: the lost commits may have acknowledged it.
func TestARepairedJournalCutsNothingOff(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	f, _ := mustOpen(t, path, Options{Owner: owner})
	if err := f.Begin(false); err != nil {
		t.Fatal(err)
	}
	for id := range uint16(3) {
		record(t, f, "one\n", id+1)
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(path + ".journal/*.log")
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	b, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(logs[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(path, Options{Owner: owner}); !isDamaged(err) {
		t.Errorf("without a repair: %v", err)
	}
	f, found := mustOpen(t, path, Options{Owner: owner, Repair: true})
	if found.Journal.Damaged == 0 || !strings.Contains(found.Changed, "repaired") {
		t.Errorf("found %+v", found)
	}
	if err := f.Begin(true); err != nil {
		t.Error(err)
	}
	has(t, path, "one\none\none\n")
	_ = f.Close()
}

func isDamaged(err error) bool {
	_, ok := errors.AsType[*journal.DamagedError](err)
	return ok
}

// fake is a file in memory with room for some bytes, which counts its syncs.
type fake struct {
	bytes []byte
	room  int
	syncs int
	fail  error // of Sync
}

func (f *fake) Write(b []byte) (int, error) {
	n := min(len(b), f.room)
	f.room -= n
	f.bytes = append(f.bytes, b[:n]...)
	if n < len(b) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

func (f *fake) ReadAt(b []byte, at int64) (int, error) { return bytes.NewReader(f.bytes).ReadAt(b, at) }
func (f *fake) Size() (int64, error)                   { return int64(len(f.bytes)), nil }
func (f *fake) Truncate(size int64) error              { f.bytes = f.bytes[:size]; return nil }
func (f *fake) Sync() error                            { f.syncs++; return f.fail }
func (f *fake) Close() error                           { return nil }

// A record that was written in part is removed, and what is before it is committed.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	disk := &fake{room: 6}
	f, _, err := open(place{path: path}, disk, fileid.ID{}, Options{Owner: owner})
	if err != nil || f.Begin(true) != nil {
		t.Fatal(err)
	}
	n, err := f.Write([]byte("one\ntwo\n"))
	if n != 6 || err == nil {
		t.Fatal(n, err)
	}
	if !f.Cut(2) || string(disk.bytes) != "one\n" {
		t.Errorf("the file is %q", disk.bytes)
	}
	if err := f.Commit(func() {}); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	f, found, err := open(place{path: path}, disk, fileid.ID{}, Options{Owner: owner})
	if err != nil || found.Changed != "" || found.Behind != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	disk.bytes = append(disk.bytes, "other"...) // of another program
	if f.Cut(1) {
		t.Error("cut off what another program has written")
	}
	_ = f.Close()
}

// The file is on the disk before an acknowledgement for it goes out, if the policy is so.
func TestPolicies(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		policy journal.SyncPolicy
		most   int // syncs of ten commits
		least  int
	}{{journal.SyncAlways, 10, 10}, {journal.SyncInterval, 2, 1}, {journal.SyncNever, 0, 0}} {
		disk := &fake{room: 100}
		f, _, err := open(place{path: "f"}, disk, fileid.ID{}, Options{Sync: row.policy})
		if err != nil {
			t.Fatal(err)
		}
		acked := 0
		for range 10 {
			if _, err := f.Write([]byte("x")); err != nil {
				t.Error(err)
			}
			if err := f.Commit(func() { acked++ }); err != nil {
				t.Error(err)
			}
		}
		f.mu.Lock()
		syncs := disk.syncs
		f.mu.Unlock()
		if syncs < row.least || syncs > row.most || acked != 10 {
			t.Errorf("policy %d: %d syncs, %d acknowledged", row.policy, syncs, acked)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	disk := &fake{room: 100, fail: errors.New("I/O error")}
	f, _, err := open(place{path: "f"}, disk, fileid.ID{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(func() { t.Error("acknowledged what is not on the disk") }); err == nil {
		t.Error("no error")
	}
}

// With a journal, a sync of the journal syncs the file first, and both fail together.
func TestTheFileIsSyncedBeforeTheJournal(t *testing.T) {
	t.Parallel()
	disk := &fake{room: 100}
	path := filepath.Join(t.TempDir(), "f")
	f, _, err := open(place{path: path}, disk, fileid.ID{}, Options{Owner: owner})
	if err != nil || f.Begin(true) != nil {
		t.Fatal(err)
	}
	disk.fail = errors.New("I/O error")
	record(t, f, "one\n", 1)
	if err := f.Sync(); err == nil {
		t.Error("the journal refers to what is not on the disk")
	}
	if err := f.Commit(nil); err == nil {
		t.Error("a commit after that")
	}
	if err := f.Close(); err == nil {
		t.Error("closed as if nothing was lost")
	}
	disk.fail = nil
	_, found, err := open(place{path: path}, disk, fileid.ID{}, Options{Owner: owner})
	if err != nil || found.Behind != 4 {
		t.Errorf("a start later: %+v, %v", found, err)
	}
}

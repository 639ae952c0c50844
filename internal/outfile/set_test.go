package outfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/journal"
)

func newSet(t *testing.T, o Options) (*Set, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new", "dir")
	s, err := NewSet(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func write(t *testing.T, s *Set, name, text string) {
	t.Helper()
	f, err := s.File([]byte(name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, s *Set) {
	t.Helper()
	acked := false
	if err := s.Commit(func() { acked = true }); err != nil || !acked {
		t.Fatal(err, acked)
	}
}

// Of 10,000 files, few are open, which is reported once, and every record is in its file.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	const files = 10_000
	s, dir := newSet(t, Options{Sync: journal.SyncNever, Header: []byte("head\n")})
	reports := 0
	s.Bounded = func(open int) {
		if reports++; open != maxOpen {
			t.Error(open)
		}
	}
	for round := range 2 {
		for i := range files {
			write(t, s, fmt.Sprintf("%d/%d.log", i%100, i), fmt.Sprintf("%d %d\n", round, i))
			if len(s.files) > maxOpen || s.used.Len() != len(s.files) {
				t.Fatal(len(s.files), s.used.Len())
			}
			if i%100 == 0 {
				commit(t, s)
			}
		}
	}
	commit(t, s)
	if err := s.Close(); err != nil || reports != 1 {
		t.Error(err, reports)
	}
	for i := range files {
		has(t, filepath.Join(dir, fmt.Sprintf("%d/%d.log", i%100, i)), fmt.Sprintf("head\n0 %d\n1 %d\n", i, i))
	}
}

// The file that was used least recently is closed.
func TestTheOldestFileIsClosed(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	s.max = 2
	for _, name := range []string{"a", "b", "a", "c"} {
		write(t, s, name, "x")
	}
	if s.files["a"] == nil || s.files["b"] != nil || s.files["c"] == nil {
		t.Error(s.files)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// What cannot be synced is not acknowledged, and nothing after it, even if the file was closed
// for another one in between.
func TestASyncThatFailsIsFinal(t *testing.T) {
	t.Parallel()
	for _, closed := range []bool{false, true} {
		s, _ := newSet(t, Options{})
		write(t, s, "a", "x")
		s.files["a"].f = &fake{fail: errors.New("I/O error")}
		if closed {
			if err := s.closeOldest(); err == nil {
				t.Error("closed as if it was synced")
			}
		}
		for range 2 {
			if err := s.Commit(func() { t.Error("acknowledged") }); err == nil {
				t.Error("committed")
			}
		}
		if _, err := s.File([]byte("b")); err == nil {
			t.Error("goes on")
		}
		if err := s.Close(); err == nil {
			t.Error("closed as if nothing had failed")
		}
	}
}

// Files are synced as the policy says: once for each commit of what was written.
func TestPoliciesOfASet(t *testing.T) {
	t.Parallel()
	for policy, want := range map[journal.SyncPolicy]int{journal.SyncAlways: 2, journal.SyncNever: 0} {
		s, _ := newSet(t, Options{Sync: policy})
		disk := &fake{room: 10}
		for range 2 {
			write(t, s, "a", "")
			s.files["a"].f = disk
			write(t, s, "a", "x")
			commit(t, s)
			commit(t, s)
		}
		if disk.syncs != want || string(disk.bytes) != "xx" {
			t.Errorf("policy %d: %d syncs", policy, disk.syncs)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Files with one record are closed when it is committed.
func TestFilesOfOneRecord(t *testing.T) {
	t.Parallel()
	s, dir := newSet(t, Options{})
	s.Once = true
	write(t, s, "a", "x")
	write(t, s, "b", "y")
	commit(t, s)
	if len(s.files) != 0 {
		t.Error(s.files)
	}
	has(t, filepath.Join(dir, "a"), "x")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A file with one record is a new one, also after a restart.
func TestAFileOfOneRecordIsNew(t *testing.T) {
	t.Parallel()
	_, dir := newSet(t, Options{})
	for i, name := range []string{"a/1.txt", "a/1~1.txt", "a/1~2.txt"} {
		s, err := NewSet(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.Once = true
		write(t, s, "a/1.txt", fmt.Sprint(i))
		write(t, s, "b"+fmt.Sprint(i), "y")
		commit(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		has(t, filepath.Join(dir, name), fmt.Sprint(i))
	}
}

// Strangers cannot make more files and directories in a day than there may be.
func TestNewFilesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := newSet(t, Options{})
		write(t, s, "d/a.log", "x") // with its directory
		s.made += maxMade - 3
		time.Sleep(makePeriod - 1)
		write(t, s, "d/b.log", "x")
		write(t, s, "d/a.log", "y")
		commit(t, s)
		time.Sleep(time.Nanosecond)
		write(t, s, "d/c.log", "x")
		s.made = maxMade - 1
		write(t, s, "d/c.log", "y")
		commit(t, s)
		if _, err := s.File([]byte("e/d.log")); !errors.Is(err, ErrTooMany) {
			t.Error(err) // the directory was the last
		}
		if _, err := s.File([]byte("d/a.log")); !errors.Is(err, ErrTooMany) {
			t.Error("it is final", err)
		}
		if err := s.Close(); !errors.Is(err, ErrTooMany) {
			t.Error(err)
		}
		has(t, filepath.Join(dir, "d/c.log"), "xy")
		if _, err := os.Stat(filepath.Join(dir, "e/d.log")); err == nil {
			t.Error("the file was made")
		}
	})
}

// Nothing leads out of the directory, and what stands in the way is left alone.
func TestNothingIsWrittenOutside(t *testing.T) {
	t.Parallel()
	s, dir := newSet(t, Options{})
	out := t.TempDir()
	for from, to := range map[string]string{"abs": out, "rel": "../..", "file": filepath.Join(out, "f")} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Skip(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../f", "abs/f", "rel/f", "file", "abs/d/f", "plain/f", "/f"} {
		if _, err := s.File([]byte(name)); err == nil {
			t.Errorf("%s is written", name)
		} else if !strings.Contains(err.Error(), filepath.Join(dir, name)) && !strings.Contains(err.Error(), "escapes") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, d := range []string{out, filepath.Dir(filepath.Dir(dir)), filepath.Dir(dir)} {
		names, err := os.ReadDir(d)
		if err != nil || len(names) > 1 || len(names) == 1 && names[0].Name() != "new" && names[0].Name() != "dir" {
			t.Error(d, names, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Files of a set are rotated, too, and their numbers are known after one look at a directory.
func TestASetRotates(t *testing.T) {
	t.Parallel()
	s, dir := newSet(t, Options{Rotate: Rotation{Size: 3}, Header: []byte("h")})
	if err := os.MkdirAll(filepath.Join(dir, "d"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.1", "a.02", "a.20260101", "b.3x", "c.4", "a.1000001"} {
		if err := os.WriteFile(filepath.Join(dir, "d", name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	for i, name := range []string{"a", "a", "b", "a", "b", "b"} {
		name = "d/" + name
		if i == 3 { // of another program, after the look
			if err := os.WriteFile(filepath.Join(dir, "d", "a.3"), []byte("a.3"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f, err := s.File([]byte(name))
		if err != nil {
			t.Fatal(err)
		}
		if f.Due(0, 2, now) {
			commit(t, s)
			if err := s.Rotate(f); err != nil {
				t.Fatal(err)
			}
			if f.Due(0, 2, now) {
				t.Error("still due")
			}
		}
		write(t, s, name, fmt.Sprint(i, "."))
		commit(t, s)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"a": "h3.", "a.4": "h1.", "a.3": "a.3", "a.2": "h0.", "a.1": "a.1", "a.02": "a.02", "b": "h5.", "b.1": "h2.", "b.2": "h4."} {
		has(t, filepath.Join(dir, "d", name), want)
	}
}

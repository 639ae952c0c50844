package outfile

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
)

// Periods begin at full ones of local time, and only a later one makes a file due.
func TestPeriods(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 5400)
	at := func(text string) time.Time {
		tm, err := time.ParseInLocation("2006-01-02 15:04:05", text, zone)
		if err != nil {
			t.Fatal(err)
		}
		return tm
	}
	for _, row := range []struct {
		every   time.Duration
		written string
		now     string
		due     bool
	}{
		{time.Hour, "2026-01-05 10:00:00", "2026-01-05 10:59:59", false},
		{time.Hour, "2026-01-05 10:59:59", "2026-01-05 11:00:00", true},
		{time.Hour, "2026-01-05 11:00:00", "2026-01-05 10:59:59", false}, // the clock was set back
		{24 * time.Hour, "2026-01-05 00:00:00", "2026-01-05 23:59:59", false},
		{24 * time.Hour, "2026-01-04 23:59:59", "2026-01-05 00:00:00", true},
		{7 * 24 * time.Hour, "2026-01-05 00:00:00", "2026-01-11 23:59:59", false}, // Monday to Sunday
		{7 * 24 * time.Hour, "2026-01-04 23:59:59", "2026-01-05 00:00:00", true},
		{0, "2026-01-05 10:00:00", "2027-01-05 10:00:00", false},
	} {
		f := &File{opt: Options{Rotate: Rotation{Every: row.every}}}
		if f.Due(0, 1, at(row.written)) {
			t.Errorf("%+v: due while empty", row)
		}
		f.size = 1
		if f.Due(0, 1, at(row.now)) != row.due {
			t.Errorf("%+v: not so", row)
		}
	}
	f := &File{opt: Options{Rotate: Rotation{Size: 10}}}
	now := time.Now()
	if f.Due(0, 11, now) || f.Due(10, 0, now) || !f.Due(10, 1, now) || f.Due(4, 6, now) {
		t.Error("sizes")
	}
}

// A copy of a directory at any moment is what a crash leaves.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// crashes are the states between the steps of a rotation: each changes a directory from the
// one before.
var crashes = []struct {
	it   string
	step func(path string) error
}{
	{"before it", func(string) error { return nil }},
	{"renamed", func(path string) error { return os.Rename(path, path+".1") }},
	{"a new file", func(path string) error { return os.WriteFile(path, nil, 0o600) }},
}

// A crash at any step of a rotation leaves what a start recognizes: nothing is cut off that
// was committed, nothing is kept that was not, and there is no warning.
func TestACrashWhileRotating(t *testing.T) {
	t.Parallel()
	for steps := range crashes {
		for _, resumed := range []bool{true, false} {
			path := filepath.Join(t.TempDir(), "f")
			f, _ := mustOpen(t, path, Options{Owner: owner, Rotate: Rotation{Size: 8}})
			if err := f.Begin(true); err != nil {
				t.Fatal(err)
			}
			record(t, f, "one\n", 1)
			record(t, f, "two\n", 2)
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			for _, c := range crashes[:steps+1] {
				if err := c.step(path); err != nil {
					t.Fatal(err)
				}
			}
			it := crashes[steps].it
			f, found := mustOpen(t, path, Options{Owner: owner})
			if found.Changed != "" || found.Behind != 0 || !found.Committed || f.Len() != 2 {
				t.Errorf("%s: %+v, %d identifiers", it, found, f.Len())
			}
			if err := f.Begin(resumed); err != nil {
				t.Fatal(it, err)
			}
			record(t, f, "three\n", 3)
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if steps == 0 {
				has(t, path, "one\ntwo\nthree\n")
			} else {
				has(t, path, "three\n")
				has(t, path+".1", "one\ntwo\n")
			}
			if _, found = mustClose(t, path, Options{Owner: owner}); found.Changed != "" || found.Behind != 0 {
				t.Errorf("%s, and a start later: %+v", it, found)
			}
		}
	}
}

func mustClose(t *testing.T, path string, o Options) (*File, Found) {
	t.Helper()
	f, found := mustOpen(t, path, o)
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	return f, found
}

// A file that is renamed and is not as it was committed is reported.
func TestARotatedFileThatIsAnother(t *testing.T) {
	t.Parallel()
	for it, change := range map[string]func(path string) error{
		"it is longer":    func(path string) error { return add(path+".1", "x") },
		"it is removed":   func(path string) error { return os.Remove(path + ".1") },
		"it is changed":   func(path string) error { return os.WriteFile(path+".1", []byte("onx\n"), 0o600) },
		"another follows": func(path string) error { return os.WriteFile(path+".2", []byte("one\n"), 0o600) },
		"new bytes":       func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) },
	} {
		path := filepath.Join(t.TempDir(), "f")
		f, _ := mustOpen(t, path, Options{Owner: owner})
		if err := f.Begin(true); err != nil {
			t.Fatal(err)
		}
		record(t, f, "one\n", 1)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		if _, found := mustClose(t, path, Options{Owner: owner}); found.Changed == "" {
			t.Errorf("%s: %+v", it, found)
		}
	}
}

// The bytes of rotated files and the file are those of all records, at every moment: a start
// from a copy that was made then neither loses nor repeats a committed one.
func TestRotatedFilesHaveEachRecordOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	f, _ := mustOpen(t, path, Options{Owner: owner, Rotate: Rotation{Size: 8}, Sync: journal.SyncNever, Header: []byte("h\n")})
	if err := f.Begin(true); err != nil {
		t.Fatal(err)
	}
	want := ""
	for i := range 20 {
		text := fmt.Sprintf("%d\n", i)
		if f.Due(0, len(text), time.Now()) {
			if err := f.Rotate(); err != nil {
				t.Fatal(err)
			}
		}
		record(t, f, text, uint16(i+1))
		want += text
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		if got := all(t, path); got != want {
			t.Errorf("after %d: %q", i, got)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if got := all(t, filepath.Join(snapshot(t, dir), "f")); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// all returns the records of the rotated files and the file, each of which has a header.
func all(t *testing.T, path string) string {
	t.Helper()
	var b strings.Builder
	for i := 1; ; i++ {
		text, err := os.ReadFile(fmt.Sprintf("%s.%d", path, i))
		last := errors.Is(err, fs.ErrNotExist)
		if last {
			text, err = os.ReadFile(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		records, ok := strings.CutPrefix(string(text), "h\n")
		if !ok || len(text) > 8 {
			t.Errorf("file %d is %q", i, text)
		}
		b.WriteString(records)
		if last {
			return b.String()
		}
	}
}

// A file that another process has rotated already is opened again under its name.
func TestAFileThatLostItsName(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	one, _ := mustOpen(t, path, Options{Rotate: Rotation{Size: 4}})
	two, _ := mustOpen(t, path, Options{Rotate: Rotation{Size: 4}})
	for i, f := range []*File{one, two, two} {
		if f.Due(0, 4, time.Now()) {
			if err := f.Rotate(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := fmt.Fprintf(f, "no%d\n", i); err != nil {
			t.Fatal(err)
		}
		if err := f.Commit(func() {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := one.Rotate(); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Write([]byte("last\n")); err != nil {
		t.Fatal(err)
	}
	has(t, path, "no2\nlast\n")
	for _, f := range []*File{one, two} {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	names, err := filepath.Glob(path + "*")
	if slices.Sort(names); err != nil || len(names) != 2 {
		t.Error(names, err)
	}
}

// A header that does not fit is removed again.
func TestAHeaderOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := &fake{room: 3}
	f := &File{f: disk, opt: Options{Header: []byte("head\n")}}
	if n, err := f.Write([]byte("one\n")); n != 0 || err == nil || len(disk.bytes) != 0 {
		t.Errorf("%d, %v, %q", n, err, disk.bytes)
	}
}

package wholefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

// is checks the contents of path, and that it is alone in its directory.
func is(t *testing.T, path, want string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && want != "" || string(b) != want {
		t.Errorf("%s is %q, %v; want %q", path, b, err, want)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) > 1 || len(entries) == 1 && entries[0].Name() != filepath.Base(path) {
		t.Errorf("%v, %v beside it", entries, err)
	}
}

func TestAFileIsInItsPlaceWhenItIsWhole(t *testing.T) {
	t.Parallel()
	for _, old := range []string{"", "what was there"} {
		path := filepath.Join(t.TempDir(), "f")
		if old != "" {
			write(t, path, old)
		}
		for _, text := range []string{"new", "newer"} {
			f, err := Create(path, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range []byte(text) {
				if _, err := f.Write([]byte{b}); err != nil {
					t.Fatal(err)
				}
				if now, _ := os.ReadFile(path); string(now) != old {
					t.Errorf("%q stands there before all is written", now)
				}
			}
			if err := f.Commit(); err != nil {
				t.Error(err)
			}
			f.Discard()
			is(t, path, text)
			old = text
		}
		f, err := Create(path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("half")); err != nil {
			t.Error(err)
		}
		f.Discard()
		is(t, path, old)
	}
}

func TestModesAreThoseOfTheOldFile(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("has no modes")
	}
	path := filepath.Join(t.TempDir(), "f")
	for _, want := range []fs.FileMode{0o600, 0o604} {
		f, err := Create(path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Commit(); err != nil {
			t.Error(err)
		}
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%v, %v; want %v", st.Mode(), err, want)
		}
		if err := os.Chmod(path, 0o604); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsNotReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/read-only", "x")
	if err := os.Chmod(dir+"/read-only", 0o400); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                "is a directory",
		os.DevNull:         "is no regular file",
		dir + "/read-only": "is read-only",
		dir + "/none/f":    fs.ErrNotExist.Error(),
	} {
		f, err := Create(path, 0o600)
		if e, ok := errors.AsType[*fs.PathError](err); !ok || e.Path != path || !strings.Contains(e.Err.Error(), want) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, %v; want %q with this path", path, f, err, want)
		}
	}
}

// A link works like any other name.
func TestALinkStaysOne(t *testing.T) {
	t.Parallel()
	dir, links := t.TempDir(), t.TempDir()
	write(t, dir+"/f", "old")
	if err := os.Symlink(dir+"/f", links+"/a"); err != nil {
		t.Skip(err)
	}
	for link, to := range map[string]string{"b": "a", "loop": "loop"} {
		if err := os.Symlink(to, links+"/"+link); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Create(links+"/b", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("new")); err != nil {
		t.Error(err)
	}
	if err := f.Commit(); err != nil {
		t.Error(err)
	}
	is(t, dir+"/f", "new")
	if to, err := os.Readlink(links + "/a"); to != dir+"/f" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if _, err := Create(links+"/loop", 0o600); err == nil || !strings.Contains(err.Error(), "too many symbolic links") {
		t.Errorf("a loop: %v", err)
	}
}

package fileerror

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestErrorsOfFilesAreInPlainWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, missing := os.ReadFile(filepath.Join(dir, "no"))
	_, isDir := os.ReadFile(dir)
	_, below := os.Create(filepath.Join(dir, "no", "x"))
	for _, row := range []struct {
		it         string
		err        error
		text, hint string
	}{
		{"a missing file", missing, `cannot read ` + Quote(filepath.Join(dir, "no")) + `: no such file`, "check the path"},
		{"one within a text", fmt.Errorf("users: %w (twice)", missing), `users: cannot read ` + Quote(filepath.Join(dir, "no")) + `: no such file (twice)`, "check the path"},
		{"a directory", isDir, `cannot read ` + Quote(dir) + `: is a directory`, ""},
		{"a missing directory", Writing(below), `cannot write ` + Quote(filepath.Join(dir, "no", "x")) + `: no such directory`, "make the directory first"},
		{"no permission", &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, `cannot read "x": permission denied`, "check the permissions of the file and its directory"},
		{"a full disk", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, `cannot write "x": no space left on device`, ""},
		{"a name taken", &os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EACCES}, `cannot write "b": permission denied`, "check the permissions of the file and its directory"},
	} {
		got := Explain(row.err)
		h, ok := got.(interface{ Hint() string })
		if !ok || got.Error() != row.text || h.Hint() != row.hint || !errors.Is(got, row.err) && !errors.Is(row.err, got) {
			t.Errorf("%s: got %q, %v, want %q and %q", row.it, got, got, row.text, row.hint)
		}
		if again := Explain(fmt.Errorf("%w", got)); again.Error() != got.Error() {
			t.Errorf("%s: explained twice it is %q", row.it, again)
		}
	}
	if plain := errors.New("open x: something"); Explain(plain) != plain || Explain(nil) != nil {
		t.Error("an error of other kinds has changed")
	}
	for _, goos := range []string{"linux", "windows"} {
		if got := quote(goos, `C:\a`); strings.Contains(got, `\\`) != (goos == "linux") {
			t.Errorf("%s: %s", goos, got)
		}
	}
}

package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mqtools/mqtools/internal/wholefile"
)

// ErrChanged is returned by Write if the file has changed since it was read.
var ErrChanged = errors.New("has changed since it was read; try again")

// Write replaces the file as a whole or not at all. A new file, and a new directory, is accessible
// to the user only; an existing file keeps its mode unless private is set. Write returns
// ErrChanged and changes nothing if the file has changed since it was read.
func (f *File) Write(private bool) error {
	path, err := wholefile.Target(f.Path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	unlock, err := lock(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	const mode = 0o600
	w, err := wholefile.Create(f.Path, mode)
	if err != nil {
		return err
	}
	defer w.Discard()
	if err := f.unchanged(path); err != nil {
		return err
	}
	if private {
		if err := w.Chmod(mode); err != nil {
			return err
		}
	}
	if _, err := w.Write(f.data); err != nil {
		return err
	}
	if err := w.Commit(); err != nil {
		return err
	}
	if st, err := os.Stat(path); err == nil {
		f.Mode = st.Mode()
	}
	f.read = f.data
	return nil
}

// unchanged returns an error if the file at path is not the one that was read.
func (f *File) unchanged(path string) error {
	now, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if f.Mode != 0 {
			return fmt.Errorf("%s %w", f.Path, ErrChanged)
		}
	case err != nil:
		return err
	case !bytes.Equal(now, f.read):
		return fmt.Errorf("%s %w", f.Path, ErrChanged)
	}
	return nil
}

package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrChanged is the error of Write when the file is not what was read.
var ErrChanged = errors.New("has been changed meanwhile; try again")

// Write puts the file into its place as a whole or not at all: a new file beside
// it takes its name. A symbolic link stays one, and what it leads to is
// replaced. A new file is for the user alone, and so is its directory; an old
// one keeps its mode, unless private is set. A file without write permission,
// and one that has changed since it was read, are left alone.
func (f *File) Write(private bool) error {
	path, err := target(f.Path)
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
	mode := fs.FileMode(0o600)
	old, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if f.Mode != 0 {
			return fmt.Errorf("%s %w", f.Path, ErrChanged)
		}
	case err != nil:
		return err
	case !old.Mode().IsRegular():
		return &fs.PathError{Op: "write", Path: path, Err: errors.New("is no regular file")}
	case old.Mode().Perm()&0o200 == 0:
		return &fs.PathError{Op: "write", Path: path, Err: errors.New("is read-only")}
	default:
		now, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.Equal(now, f.read) {
			return fmt.Errorf("%s %w", f.Path, ErrChanged)
		}
		if !private {
			mode = old.Mode().Perm()
		}
	}
	w, err := os.CreateTemp(filepath.Dir(path), ".config-*")
	if err != nil {
		return err
	}
	err = fill(w, f.data, mode, old)
	if closeErr := w.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(w.Name(), path)
	}
	if err != nil {
		_ = os.Remove(w.Name())
		return err
	}
	f.Mode, f.read = mode, f.data
	return nil
}

func fill(w *os.File, data []byte, mode fs.FileMode, old fs.FileInfo) error {
	if _, err := w.Write(data); err != nil {
		return err
	}
	if old != nil {
		keepOwner(w, old)
	}
	if err := w.Chmod(mode); err != nil {
		return err
	}
	return w.Sync()
}

// target follows symbolic links, also one that leads to nothing yet.
func target(path string) (string, error) {
	for range 40 {
		to, err := os.Readlink(path)
		if err != nil {
			return path, nil // no link
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", &fs.PathError{Op: "write", Path: path, Err: errors.New("too many symbolic links")}
}

// Package wholefile replaces a file as a whole or not at all: until all of the new file is
// on the disk, it has another name in the same directory, and the old file is unchanged.
package wholefile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
)

// File is a file that is not in its place yet. Commit puts it there; Discard removes it.
type File struct {
	f    *os.File
	path string // the place, in the caller's words
	to   string // the place after following symbolic links
}

// Create starts the file that is to replace path. A symbolic link is kept, and its target
// is replaced. An existing file keeps its mode and its owner; a new one gets mode, less the
// umask. Create returns an error if the existing file is not writable or not a regular
// file.
func Create(path string, mode fs.FileMode) (*File, error) {
	to, err := Target(path)
	if err != nil {
		return nil, err
	}
	old, err := writable(to)
	if err != nil {
		return nil, named(err, path)
	}
	f := &File{path: path, to: to}
	for {
		name := filepath.Join(filepath.Dir(to), fmt.Sprintf(".%s-%08x", filepath.Base(to), rand.Uint32()))
		f.f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		return nil, named(err, path)
	}
	if old != nil {
		keepOwner(f.f, old)
		if err := f.Chmod(old.Mode().Perm()); err != nil {
			f.Discard()
			return nil, err
		}
	}
	return f, nil
}

// writable returns a file that may be replaced, or nil if there is none.
func writable(path string) (old fs.FileInfo, err error) {
	refused := func(why string) error { return &fs.PathError{Op: "write", Path: path, Err: errors.New(why)} }
	switch old, err = os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case old.IsDir():
		return nil, refused("is a directory")
	case !old.Mode().IsRegular():
		return nil, refused("is no regular file")
	case old.Mode().Perm()&0o200 == 0: // root could write it
		return nil, refused("is read-only")
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		err = f.Close()
	}
	return old, err
}

// Write appends to the file.
func (f *File) Write(b []byte) (int, error) {
	n, err := f.f.Write(b)
	return n, named(err, f.path)
}

// Chmod changes the mode of the file.
func (f *File) Chmod(mode fs.FileMode) error { return named(f.f.Chmod(mode), f.path) }

// Commit puts the file into its place. After a loss of power there is the old file or the
// new one; SyncDir makes sure of the new one.
func (f *File) Commit() error {
	err := f.f.Sync()
	if closeErr := f.f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.f.Name(), f.to)
	}
	if err != nil {
		f.Discard()
	}
	return named(err, f.path)
}

// SyncDir makes the names in a directory durable: those of files that were created, renamed
// or removed.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" { // it cannot sync a directory, and journals its names
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Discard removes the file and leaves the old one in place. It may be called after Commit.
func (f *File) Discard() {
	_ = f.f.Close()
	_ = os.Remove(f.f.Name()) // it does not exist after Commit
}

// named returns err with the name of the place instead of the temporary file's.
func named(err error, path string) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "write", Path: path, Err: e.Err}
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return &fs.PathError{Op: "write", Path: path, Err: e.Err}
	}
	return err
}

// Target follows symbolic links, even if the last target does not exist.
func Target(path string) (string, error) {
	to := path
	for range 40 {
		next, err := os.Readlink(to)
		if err != nil {
			return to, nil // not a link
		}
		if !filepath.IsAbs(next) {
			next = filepath.Join(filepath.Dir(to), next)
		}
		to = next
	}
	return "", &fs.PathError{Op: "write", Path: path, Err: errors.New("too many symbolic links")}
}

// Package wholefile puts a file into its place as a whole or not at all: until all of
// it is on the disk, it has another name beside that place, and what was there before
// is still there.
package wholefile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// File is a file that is not in its place yet. Commit puts it there, or Discard
// removes it.
type File struct {
	f    *os.File
	path string // the place, as the caller calls it
	to   string // the place behind symbolic links
}

// Create begins the file that is to stand at path. A symbolic link stays one, and what
// it leads to is replaced. An old file keeps its mode and its owner; a new one has mode,
// less the umask. An old one that may not be written is an error, and so is what is no
// regular file.
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

// writable looks at a file that may be replaced; nil where there is none.
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
	case old.Mode().Perm()&0o200 == 0: // which root could
		return nil, refused("is read-only")
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		err = f.Close()
	}
	return old, err
}

// Write adds to the file.
func (f *File) Write(b []byte) (int, error) {
	n, err := f.f.Write(b)
	return n, named(err, f.path)
}

// Chmod changes the mode of the file.
func (f *File) Chmod(mode fs.FileMode) error { return named(f.f.Chmod(mode), f.path) }

// Commit puts the file into its place.
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

// Discard removes the file. What was in its place stays there. It may follow Commit.
func (f *File) Discard() {
	_ = f.f.Close()
	_ = os.Remove(f.f.Name()) // no longer there once it is in its place
}

// named is err with the name of the place in it, for that of the file on its way.
func named(err error, path string) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "write", Path: path, Err: e.Err}
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return &fs.PathError{Op: "write", Path: path, Err: e.Err}
	}
	return err
}

// Target follows symbolic links, also one that leads to nothing yet.
func Target(path string) (string, error) {
	to := path
	for range 40 {
		next, err := os.Readlink(to)
		if err != nil {
			return to, nil // no link
		}
		if !filepath.IsAbs(next) {
			next = filepath.Join(filepath.Dir(to), next)
		}
		to = next
	}
	return "", &fs.PathError{Op: "write", Path: path, Err: errors.New("too many symbolic links")}
}

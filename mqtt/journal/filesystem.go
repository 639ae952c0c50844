package journal

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mqtools/mqtools/internal/wholefile"
)

// fileSystem is what a Log needs of the operating system. Tests put one below
// it that fails, and that forgets what was not synced. Names are those of
// files in one directory.
type fileSystem interface {
	// Names returns the names of the files in the directory, in order.
	Names() ([]string, error)
	// Open opens a file for reading and writing. With create, it must not exist
	// yet.
	Open(name string, create bool) (file, error)
	Remove(name string) error
	// Lock refuses other processes the directory until unlock is called. Its
	// error matches ErrLogInUse if another process has the lock.
	Lock() (unlock func(), err error)
	// SyncNames makes created and removed names durable.
	SyncNames() error
}

// file is one open file of a fileSystem.
type file interface {
	io.ReaderAt
	io.WriterAt
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// directory is the fileSystem of a directory.
type directory string

func (d directory) Names() (names []string, err error) {
	entries, err := os.ReadDir(string(d))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (d directory) Open(name string, create bool) (file, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE | os.O_EXCL
	}
	f, err := os.OpenFile(filepath.Join(string(d), name), flags, 0o600)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.Name(), Err: errNotRegular}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return osFile{f}, nil
}

func (d directory) Remove(name string) error { return os.Remove(filepath.Join(string(d), name)) }

func (d directory) SyncNames() error { return wholefile.SyncDir(string(d)) }

// osFile is a file of the operating system.
type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

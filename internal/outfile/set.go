package outfile

import (
	"container/list"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// maxOpen is the number of files that a Set has open at most.
const maxOpen = 256

// spare is the number of files that are closed at once when the process has no descriptor
// left, so that there are some for other purposes.
const spare = 8

// maxMade is the number of files and directories that a Set makes in makePeriod at most, because
// strangers choose the topics that name them.
const (
	maxMade    = 100_000
	makePeriod = 24 * time.Hour
)

// ErrTooMany is the error of Set.File for more new files than a Set makes in a day.
var ErrTooMany = fmt.Errorf("more than %d new files and directories in %d hours", maxMade, makePeriod/time.Hour)

// Set are files in a directory and below it, without a journal. Nothing is written outside: a
// symbolic link that leads out is refused. Its methods must be called from one goroutine, and
// an error of one is final.
type Set struct {
	// Bounded, if not nil, is called once when there are more files than may be open, with
	// that number.
	Bounded func(open int)
	// Once gives each record a new file, which is closed when it is committed. If there is one
	// of that name, a tilde and a number stand before its extension. Their number is not
	// bounded.
	Once bool

	root    *os.Root
	opt     Options
	max     int
	files   map[string]*setFile
	used    list.List // of *setFile, the latest first
	touched []*setFile
	numbers numbers
	made    int       // files and directories since
	since   time.Time // the first of them
	failed  error
}

// setFile is an open file.
type setFile struct {
	*File
	name    string
	element *list.Element
	touched bool // written since the last commit
}

// NewSet returns the files below a directory, which it makes if there is none. The options
// have no owner.
func NewSet(dir string, opt Options) (*Set, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Set{root: root, opt: opt, max: maxOpen, files: map[string]*setFile{}}, nil
}

// File returns the file of a name, to write to it before the next call of a method of the Set.
// The parts of the name are separated by slashes; directories are made.
func (s *Set) File(name []byte) (*File, error) {
	if s.failed != nil {
		return nil, s.failed
	}
	f := s.files[string(name)]
	if f == nil {
		var err error
		if f, err = s.open(string(name)); err != nil {
			return nil, err
		}
	}
	s.used.MoveToFront(f.element)
	if !f.touched {
		f.touched = true
		s.touched = append(s.touched, f)
	}
	return f.File, nil
}

func (s *Set) open(name string) (*setFile, error) {
	for len(s.files) >= s.max {
		if err := s.closeOldest(); err != nil {
			return nil, err
		}
	}
	at := place{s.root, name}
	osf, st, err := s.openOrMake(&at)
	if err != nil {
		return nil, err
	}
	f := &setFile{name: name, File: &File{at: at, f: osFile{osf}, opt: s.opt, size: st.Size(), committed: st.Size(),
		numbers: &s.numbers, period: s.opt.Rotate.period(st.ModTime())}}
	f.element = s.used.PushFront(f)
	s.files[name] = f
	return f, nil
}

// openOrMake opens a file, and makes it and its directories if there are none. Under Once, it
// changes at to the name of a new file.
func (s *Set) openOrMake(at *place) (f *os.File, st fs.FileInfo, err error) {
	open := func(create int) error {
		return s.retry(func() (err error) {
			f, st, err = at.open(create)
			return err
		})
	}
	if !s.Once {
		if err := open(0); !errors.Is(err, fs.ErrNotExist) {
			return f, st, err
		}
	}
	if err := s.makeDir(at.dir()); err != nil {
		return nil, nil, err
	}
	if err := s.count(); err != nil {
		return nil, nil, err
	}
	create := os.O_CREATE
	if s.Once {
		create |= os.O_EXCL
	}
	err = open(create)
	first := *at
	for i := 1; s.Once && errors.Is(err, fs.ErrExist); i++ {
		ext := path.Ext(first.base())
		*at = first.as(fmt.Sprintf("%s~%d%s", strings.TrimSuffix(first.base(), ext), i, ext))
		err = open(create)
	}
	if err != nil {
		return nil, nil, err
	}
	if s.opt.Sync == journal.SyncAlways {
		if err := s.retry(at.syncDir); err != nil {
			_ = f.Close()
			return nil, nil, err
		}
	}
	return f, st, nil
}

// count counts a file or directory that is to be made.
func (s *Set) count() error {
	if s.Once {
		return nil
	}
	if now := time.Now(); now.Sub(s.since) >= makePeriod {
		s.made, s.since = 0, now
	}
	if s.made == maxMade {
		s.failed = ErrTooMany
		return s.failed
	}
	s.made++
	return nil
}

// makeDir makes a directory and those above it.
func (s *Set) makeDir(dir string) error {
	if dir == "." {
		return nil
	}
	mkdir := func() error { return place{s.root, dir}.named(s.root.Mkdir(dir, 0o777)) }
	err := s.retry(mkdir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.makeDir(path.Dir(dir)); err != nil {
			return err
		}
		err = s.retry(mkdir)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // or it is a file: then what follows fails
	}
	if err != nil {
		return err
	}
	if s.opt.Sync == journal.SyncAlways {
		if err := s.retry(place{s.root, dir}.syncDir); err != nil {
			return err
		}
	}
	return s.count()
}

// retry calls op, and if the process has no descriptor left for it, closes files and calls it
// again.
func (s *Set) retry(op func() error) error {
	for {
		err := op()
		if err == nil || len(s.files) == 0 || transport.KindOf(err) != transport.TooManyFiles {
			return err
		}
		s.max = max(1, len(s.files)-spare)
		for len(s.files) > 0 && len(s.files) >= s.max {
			if err := s.closeOldest(); err != nil {
				return err
			}
		}
	}
}

// closeOldest closes the file that was used least recently. What was written to it is made as
// durable as the policy says.
func (s *Set) closeOldest() error {
	if s.Bounded != nil {
		s.Bounded(s.max)
		s.Bounded = nil
	}
	return s.close(s.used.Back().Value.(*setFile))
}

func (s *Set) close(f *setFile) error {
	var err error
	if f.touched {
		err = f.sync()
		f.touched = false
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	s.used.Remove(f.element)
	delete(s.files, f.name)
	if err != nil && s.failed == nil {
		s.failed = err
	}
	return err
}

// Rotate is File.Rotate of a file that File has returned.
func (s *Set) Rotate(f *File) error {
	if len(s.files) > spare {
		if err := s.retry(s.probe); err != nil {
			return err
		}
	}
	err := f.Rotate()
	if err != nil && s.failed == nil {
		s.failed = err
	}
	return err
}

// probe returns an error if the process has not the descriptors left that Rotate needs.
func (s *Set) probe() error {
	var open [4]*os.File
	var err error
	for i := range open {
		if open[i], err = s.root.Open("."); err != nil {
			break
		}
		defer open[i].Close()
	}
	return err
}

// Commit makes what was written as durable as the policy says, and then calls ack.
func (s *Set) Commit(ack func()) error {
	for _, f := range s.touched {
		if !f.touched || s.failed != nil {
			continue // closed already, and maybe opened again
		}
		if s.Once {
			_ = s.close(f) // its error is s.failed
			continue
		}
		f.touched = false
		s.failed = f.sync()
	}
	clear(s.touched)
	s.touched = s.touched[:0]
	if s.failed != nil {
		return s.failed
	}
	ack()
	return nil
}

// Close closes the files, and makes what was written to them as durable as the policy says.
func (s *Set) Close() error {
	err := s.failed
	for s.used.Len() > 0 {
		if closeErr := s.close(s.used.Front().Value.(*setFile)); err == nil {
			err = closeErr
		}
	}
	_ = s.root.Close()
	return err
}

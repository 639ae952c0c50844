package journal

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"syscall"
)

// disk is a fileSystem in memory that forgets in a crash what was not synced,
// or keeps some of it, and that fails at chosen calls.
type disk struct {
	files   map[string]*diskFile
	durable map[string]*diskFile // names that a crash keeps
	calls   int
	failAt  int   // number of the call that fails; 0: none
	failure error // its error
	torn    bool  // a failing write writes its first half
}

// diskFile is a file of a disk. cache is what reads return, safe what a crash
// keeps in any case.
type diskFile struct {
	d           *disk
	cache, safe []byte
}

func newDisk() *disk {
	return &disk{files: map[string]*diskFile{}, durable: map[string]*diskFile{}}
}

// call counts a call that changes something, and returns its error.
func (d *disk) call() error {
	d.calls++
	if d.failAt > 0 && d.calls == d.failAt {
		return d.failure
	}
	return nil
}

// crash returns the disk after a loss of power: names and bytes that were not
// synced are lost, kept, or kept in part and out of order, as r decides.
func (d *disk) crash(r *rand.Rand) *disk {
	after := newDisk()
	names := map[string]*diskFile{}
	for name, f := range d.durable {
		names[name] = f
	}
	for name, f := range d.files {
		if d.durable[name] == nil && r.IntN(2) == 0 {
			names[name] = f
		}
	}
	for name := range d.durable {
		if d.files[name] == nil && r.IntN(2) == 0 {
			delete(names, name)
		}
	}
	for name, f := range names {
		kept := slices.Clone(f.safe)
		if r.IntN(3) > 0 { // sectors of what was written since; the length may be changed by any of them
			const sector = 16
			for at := 0; at < len(f.cache); at += sector {
				end := min(at+sector, len(f.cache))
				if r.IntN(2) == 0 {
					continue
				}
				if len(kept) < end {
					kept = append(kept, make([]byte, end-len(kept))...)
				}
				copy(kept[at:end], f.cache[at:end])
			}
		}
		g := &diskFile{d: after, cache: kept, safe: slices.Clone(kept)}
		after.files[name], after.durable[name] = g, g
	}
	return after
}

// killed returns the disk after the death of the program: the system keeps all
// that was written.
func (d *disk) killed() *disk {
	after := newDisk()
	for name, f := range d.files {
		g := &diskFile{d: after, cache: slices.Clone(f.cache), safe: slices.Clone(f.safe)}
		after.files[name] = g
		if d.durable[name] != nil {
			after.durable[name] = g
		}
	}
	return after
}

func (d *disk) Names() (names []string, err error) {
	for name := range d.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (d *disk) Open(name string, create bool) (file, error) {
	if !create {
		if f := d.files[name]; f != nil {
			return f, nil
		}
		return nil, syscall.ENOENT
	}
	if err := d.call(); err != nil {
		return nil, err
	}
	if d.files[name] != nil {
		return nil, syscall.EEXIST
	}
	f := &diskFile{d: d}
	d.files[name] = f
	return f, nil
}

func (d *disk) Lock() (unlock func(), err error) { return func() {}, nil }

func (d *disk) Remove(name string) error {
	if err := d.call(); err != nil {
		return err
	}
	delete(d.files, name)
	return nil
}

func (d *disk) SyncNames() error {
	if err := d.call(); err != nil {
		return err
	}
	clear(d.durable)
	for name, f := range d.files {
		d.durable[name] = f
	}
	return nil
}

func (f *diskFile) ReadAt(b []byte, at int64) (int, error) {
	if at >= int64(len(f.cache)) {
		return 0, io.EOF
	}
	n := copy(b, f.cache[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *diskFile) WriteAt(b []byte, at int64) (int, error) {
	err := f.d.call()
	if err != nil {
		if !f.d.torn {
			return 0, err
		}
		b = b[:len(b)/2]
	}
	if end := int(at) + len(b); end > len(f.cache) {
		f.cache = append(f.cache, make([]byte, end-len(f.cache))...)
	}
	return copy(f.cache[at:], b), err
}

func (f *diskFile) Size() (int64, error) { return int64(len(f.cache)), nil }

func (f *diskFile) Truncate(size int64) error {
	if err := f.d.call(); err != nil {
		return err
	}
	f.cache = f.cache[:size]
	return nil
}

// Sync makes the file durable. If it fails, the system forgets that it had
// something to write: the next Sync would succeed without it.
func (f *diskFile) Sync() error {
	if err := f.d.call(); err != nil {
		return err
	}
	f.safe = slices.Clone(f.cache)
	return nil
}

func (f *diskFile) Close() error { return nil }

// recordsOf returns the records of a log.
func recordsOf(l *Log, from uint64) (texts []string, err error) {
	next := from
	err = l.Range(from, func(seq uint64, data []byte) error {
		if seq != next {
			return fmt.Errorf("record %d where %d was to come", seq, next)
		}
		next++
		texts = append(texts, string(data))
		return nil
	})
	return texts, err
}

var (
	errDisk = errors.New("input/output error")
	errFull = errors.New("no space left on device")
)

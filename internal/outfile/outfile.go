// Package outfile appends records to a file. With a journal beside it, the file and the
// session of an MQTT client change together: after a crash, what the client has not
// acknowledged is cut off, because the broker sends it again, and what it has acknowledged
// is there.
//
// The journal is a directory with the name of the file and ".journal". Each commit adds to it
// the length of the file, and with that the packet identifiers which the client acknowledges
// for it.
//
// A File may be rotated: it gets another name, and a new one begins. A Set has many files, of
// which some are open.
package outfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/mqtools/mqtools/internal/fileid"
	"github.com/mqtools/mqtools/mqtt/journal"
)

// Options configures a File.
type Options struct {
	// Owner names the session that is kept, such as its client ID and broker. If it is
	// empty, there is no journal, and several processes may append to the file.
	Owner string
	Sync  journal.SyncPolicy
	// Repair opens a damaged journal, and loses what is behind the damage.
	Repair bool
	// Header is written at the beginning of an empty file, before the first record.
	Header []byte
	Rotate Rotation
}

// Found is what Open has found.
type Found struct {
	Journal   journal.Recovery
	Committed bool   // there was a commit of an earlier process
	Behind    int64  // bytes behind the last commit, which were not acknowledged
	Changed   string // why the file is not the one that was committed, or ""
}

// OwnerError is the error of Open for a journal of another session.
type OwnerError struct{ Path, Owner string }

func (e *OwnerError) Error() string { return fmt.Sprintf("%s belongs to %s", e.Path, e.Owner) }

// file is what a File needs of the operating system. Tests put another one below it.
type file interface {
	io.Writer // appends
	io.ReaderAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error
}

// blockSize is how many bytes before the committed length are compared at a start.
const blockSize = 4 << 10

// File is a file that records are appended to. Its methods, except those of journal.Journal,
// must be called from one goroutine.
type File struct {
	at      place
	f       file // changed with mu held
	opt     Options
	journal *journal.File // nil: none
	id      fileid.ID
	numbers *numbers
	period  int64 // of Rotate.Every, in which the records of the file were written

	size      int64  // bytes, as far as this process knows
	committed int64  // bytes
	last      []byte // the last block before size
	note      []byte // reused
	found     Found

	kick chan struct{} // 1 slot: there is something to sync
	done chan struct{} // closed when the goroutine that syncs has ended

	mu     sync.Mutex
	synced time.Time   // under SyncInterval
	later  *time.Timer // the sync to come, or nil
	failed error       // of a sync
}

var _ journal.Journal = (*File)(nil)

// Open opens the file, which it creates if there is none, and its journal. It changes nothing
// in the file: see Begin. The errors of the journal are those of journal.OpenFile, and
// *OwnerError.
func Open(path string, opt Options) (*File, Found, error) {
	real, created, err := resolve(path)
	if err != nil {
		return nil, Found{}, err
	}
	at := place{path: real}
	osf, st, err := at.open(os.O_CREATE)
	if err != nil {
		return nil, Found{}, err
	}
	if created && opt.Sync == journal.SyncAlways {
		if err := at.syncDir(); err != nil {
			_ = osf.Close()
			return nil, Found{}, err
		}
	}
	f, found, err := open(at, osFile{osf}, fileid.Of(st), opt)
	if err != nil {
		_ = osf.Close()
		return nil, found, err
	}
	f.period = opt.Rotate.period(st.ModTime())
	return f, found, nil
}

// resolve follows symbolic links, and reports whether the file is still to be created.
func resolve(path string) (real string, create bool, err error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if link, err := os.Lstat(path); err == nil && link.Mode()&fs.ModeSymlink != 0 {
			return "", false, refused(path, "a symbolic link to a file that does not exist")
		}
		return path, true, nil
	case err != nil:
		return "", false, err
	case st.IsDir():
		return "", false, refused(path, "is a directory")
	case !st.Mode().IsRegular():
		return "", false, refused(path, "not a regular file")
	}
	real, err = filepath.EvalSymlinks(path)
	return real, false, err
}

func refused(path, why string) error {
	return &fs.PathError{Op: "write", Path: path, Err: errors.New(why)}
}

// open is Open for a file that is open already.
func open(at place, under file, id fileid.ID, opt Options) (f *File, found Found, err error) {
	f = &File{at: at, f: under, opt: opt, id: id, numbers: &numbers{}}
	if f.size, err = under.Size(); err == nil {
		err = f.readLast()
	}
	if err != nil || opt.Owner == "" {
		f.committed = f.size
		return f, found, err
	}
	dir := at.path + ".journal"
	if err := os.Mkdir(dir, 0o700); err == nil {
		if err := at.syncDir(); err != nil {
			return nil, found, err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, found, err
	}
	f.journal, found.Journal, err = journal.OpenFile(dir, journal.FileOptions{
		LogOptions: journal.LogOptions{Sync: opt.Sync, Repair: opt.Repair}, BeforeSync: f.sync})
	if err != nil {
		return nil, found, fmt.Errorf("%s: %w", dir, err)
	}
	err = f.compare(dir, &found)
	if err != nil {
		_ = f.journal.Close() // nothing was appended
		return nil, found, err
	}
	f.found = found
	return f, found, nil
}

// compare compares the file with the last commit.
func (f *File) compare(dir string, found *Found) error {
	b := f.journal.LastNote()
	if b == nil {
		if found.Journal.Damaged > 0 {
			found.Changed = "the journal was repaired"
		}
		f.committed = f.size
		return nil
	}
	n, ok := decodeNote(b)
	if !ok {
		return fmt.Errorf("%s: not the journal of an output file", dir)
	}
	if n.owner != f.opt.Owner {
		return &OwnerError{dir, n.owner}
	}
	found.Committed, f.committed = true, n.length
	block := make([]byte, min(n.length, blockSize))
	switch {
	case found.Journal.Damaged > 0: // later commits may be lost
		found.Changed = "the journal was repaired"
	case f.size == 0 && n.length > 0 && f.rotatedAs(&n): // a crash came before the first commit of a new file
		f.committed = 0
	case n.id != f.id:
		found.Changed = "it is another file"
	case f.size < n.length:
		found.Changed = fmt.Sprintf("it has %d bytes, and had %d", f.size, n.length)
	default:
		if _, err := f.f.ReadAt(block, n.length-int64(len(block))); err != nil {
			return err
		}
		if crc32.ChecksumIEEE(block) != n.sum {
			found.Changed = "it was changed"
		} else {
			found.Behind = f.size - n.length
		}
	}
	return nil
}

// Begin begins to write. resumed reports that the broker has kept the session: then what is
// behind the last commit is cut off, because the broker sends it again. Otherwise all of the
// file stays, and the next commit is at its end.
func (f *File) Begin(resumed bool) error {
	if f.journal == nil {
		return nil
	}
	if resumed && f.found.Changed == "" && f.found.Behind > 0 {
		err := f.f.Truncate(f.committed)
		if err == nil {
			f.size = f.committed
			err = f.readLast()
		}
		if err == nil && f.opt.Sync != journal.SyncNever {
			err = f.f.Sync()
		}
		if err != nil {
			return err
		}
	}
	f.commit(nil)
	if err := f.journal.Sync(); err != nil {
		return err
	}
	f.kick, f.done = make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(f.done)
		for range f.kick {
			_ = f.journal.Sync() // its error is final, and that of Commit
		}
	}()
	return nil
}

// readLast reads the last block, which only the journal needs.
func (f *File) readLast() error {
	if f.opt.Owner == "" {
		return nil
	}
	f.last = append(f.last[:0], make([]byte, min(f.size, blockSize))...)
	if len(f.last) == 0 {
		return nil
	}
	_, err := f.f.ReadAt(f.last, f.size-int64(len(f.last)))
	return err
}

// Write appends b to the file, and the header before it if the file is empty. It returns how
// many bytes of b were written.
func (f *File) Write(b []byte) (n int, err error) {
	if f.size == 0 && len(f.opt.Header) > 0 {
		if n, err := f.append(f.opt.Header); err != nil {
			f.Cut(int64(n))
			return 0, err
		}
	}
	return f.append(b)
}

func (f *File) append(b []byte) (n int, err error) {
	n, err = f.f.Write(b)
	end, sizeErr := f.f.Size()
	switch {
	case sizeErr != nil:
		if err == nil {
			err = sizeErr
		}
	case end == f.size+int64(n):
		f.size = end
		f.remember(b[:n])
	default: // another program has appended too
		f.size = end
		if readErr := f.readLast(); err == nil {
			err = readErr
		}
	}
	return n, err
}

// remember adds what was written to the last block.
func (f *File) remember(b []byte) {
	if f.opt.Owner == "" {
		return
	}
	if len(b) >= blockSize {
		f.last = append(f.last[:0], b[len(b)-blockSize:]...)
		return
	}
	if over := len(f.last) + len(b) - blockSize; over > 0 {
		f.last = f.last[:copy(f.last, f.last[over:])]
	}
	f.last = append(f.last, b...)
}

// Path returns where the file stands.
func (f *File) Path() string { return f.at.String() }

// Size returns the size of the file in bytes.
func (f *File) Size() int64 { return f.size }

// Cut removes the last n bytes, which Write has just written, unless another program has
// appended something behind them. It reports whether they are removed.
func (f *File) Cut(n int64) bool {
	end, err := f.f.Size()
	if err != nil || end != f.size || n > f.size || f.f.Truncate(f.size-n) != nil {
		return false
	}
	f.size -= n
	return f.readLast() == nil
}

// Commit calls ack, which acknowledges the messages that were written, so that neither
// becomes durable without the other. Without a journal, it makes the file as durable as the
// policy says before it calls ack. Its error is final, and ack is not called.
func (f *File) Commit(ack func()) error {
	if f.journal == nil {
		if err := f.sync(); err != nil {
			return err
		}
		ack()
		return nil
	}
	f.mu.Lock()
	err := f.failed
	f.mu.Unlock()
	if err != nil {
		return err
	}
	f.commit(ack)
	select { // messages that need no acknowledgement are committed soon, too
	case f.kick <- struct{}{}:
	default:
	}
	return nil
}

func (f *File) commit(ack func()) {
	f.committed = f.size
	f.note = appendNote(f.note[:0], &note{f.id, f.size, crc32.ChecksumIEEE(f.last), f.opt.Owner})
	f.journal.Group(func() {
		f.journal.Note(f.note)
		if ack != nil {
			ack()
		}
	})
}

// sync makes the file as durable as the policy says.
func (f *File) sync() error {
	if f.opt.Sync == journal.SyncNever {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.opt.Sync == journal.SyncInterval && f.failed == nil {
		if wait := syncInterval - time.Since(f.synced); wait > 0 {
			if f.later == nil {
				f.later = time.AfterFunc(wait, f.syncLater)
			}
			return nil
		}
	}
	f.syncLocked()
	return f.failed
}

// syncInterval is the time between two syncs under SyncInterval.
const syncInterval = time.Second

func (f *File) syncLater() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.later != nil {
		f.later = nil
		f.syncLocked()
	}
}

func (f *File) syncLocked() {
	if f.failed == nil {
		f.synced = time.Now()
		f.failed = f.f.Sync()
	}
}

// Close commits what was acknowledged, and closes the files.
func (f *File) Close() error {
	if f.done != nil {
		close(f.kick)
		<-f.done
	}
	var err error
	if f.journal != nil {
		err = f.journal.Close()
	}
	f.mu.Lock()
	if f.later != nil {
		f.later.Stop()
		f.later = nil
		f.syncLocked()
	}
	if err == nil {
		err = f.failed
	}
	f.mu.Unlock()
	if closeErr := f.f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Journaled reports whether the file has a journal, and is a journal.Journal.
func (f *File) Journaled() bool { return f.journal != nil }

// Append implements journal.Journal. Messages that the client sends are not kept.
func (f *File) Append(r journal.Record) {
	switch r.Kind {
	case journal.Arrived, journal.Released, journal.Cleared:
		f.journal.Append(r)
	}
}

// Sync implements journal.Journal.
func (f *File) Sync() error { return f.journal.Sync() }

// Load implements journal.Journal.
func (f *File) Load(yield func(journal.Record) error) error { return f.journal.Load(yield) }

// Len returns the number of packet identifiers that the broker has not released.
func (f *File) Len() int { return f.journal.Len() }

// note is a commit.
type note struct {
	id     fileid.ID
	length int64
	sum    uint32 // of the last block
	owner  string
}

const (
	noteVersion = 1
	noteSize    = 1 + 8 + 8 + 8 + 4 // without the owner
)

func appendNote(dst []byte, n *note) []byte {
	dst = append(dst, noteVersion)
	dst = binary.LittleEndian.AppendUint64(dst, n.id.Device)
	dst = binary.LittleEndian.AppendUint64(dst, n.id.Inode)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(n.length))
	dst = binary.LittleEndian.AppendUint32(dst, n.sum)
	return append(dst, n.owner...)
}

func decodeNote(b []byte) (n note, ok bool) {
	if len(b) < noteSize || b[0] != noteVersion {
		return n, false
	}
	n.id.Device = binary.LittleEndian.Uint64(b[1:])
	n.id.Inode = binary.LittleEndian.Uint64(b[9:])
	n.length = int64(binary.LittleEndian.Uint64(b[17:]))
	n.sum = binary.LittleEndian.Uint32(b[25:])
	n.owner = string(b[noteSize:])
	return n, n.length >= 0
}

// osFile is a file of the operating system.
type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) { return f.Seek(0, io.SeekEnd) }

func (f osFile) Truncate(size int64) error {
	if runtime.GOOS == "windows" { // a handle for appending cannot truncate
		return os.Truncate(f.Name(), size)
	}
	return f.File.Truncate(size)
}

package outfile

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"runtime"
	"time"

	"github.com/mqtools/mqtools/internal/fileid"
	"github.com/mqtools/mqtools/mqtt/journal"
)

// Rotation says when a file gets another name, and a new one begins. The zero value: never.
type Rotation struct {
	Size  int64         // in bytes: before the record that would exceed it
	Every time.Duration // before the first record of another period, such as an hour
}

// period returns the number of the period that t is in. They begin at full ones of the zone
// of t: periods of a day at midnight, and of a week on Monday.
func (r Rotation) period(t time.Time) int64 {
	if r.Every == 0 {
		return 0
	}
	_, offset := t.Zone()
	return t.Add(time.Duration(offset) * time.Second).Truncate(r.Every).Unix()
}

// Due reports whether the file is to be rotated before a record of n bytes, which is to follow
// others of some bytes that are not written yet. It must be called before each record, with
// the time of the write.
func (f *File) Due(before, n int, now time.Time) bool {
	r, size := f.opt.Rotate, f.size+int64(before)
	if size == 0 {
		f.period = r.period(now)
		return false
	}
	return r.Size > 0 && size+int64(n) > r.Size || r.period(now) > f.period
}

// Rotate renames the file, and begins a new one. What was written must be committed. If the
// file has lost its name already, that is left alone. An error is final.
//
// With a journal, the renamed file ends where the last commit does, and that commit is durable
// before. So a start after a crash finds either the file as it was committed, or an empty one,
// or none, beside a renamed one that is as it was committed.
func (f *File) Rotate() error {
	if f.opt.Sync != journal.SyncNever {
		f.mu.Lock()
		f.syncLocked()
		err := f.failed
		f.mu.Unlock()
		if err != nil {
			return err
		}
	}
	if f.journal != nil {
		if f.committed != f.size {
			return errors.New("rotated before a commit")
		}
		if err := f.journal.Sync(); err != nil {
			return err
		}
	}
	f.mu.Lock()
	err := f.renew()
	if err != nil && f.failed == nil {
		f.failed = err
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	if f.opt.Sync != journal.SyncNever {
		if err := f.at.syncDir(); err != nil {
			return err
		}
	}
	if f.journal == nil {
		return nil
	}
	f.commit(nil)
	return f.journal.Sync()
}

// renew puts a new file in the place of the old one.
func (f *File) renew() error {
	if f.later != nil { // the old file is synced
		f.later.Stop()
		f.later = nil
	}
	same, err := f.inPlace()
	if err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // a file that is open cannot be renamed
		_ = f.f.Close()
	}
	if same {
		to, err := f.numbers.next(f.at)
		if err == nil {
			err = f.at.rename(to)
		}
		if err != nil {
			return err
		}
	}
	osf, st, err := f.at.open(os.O_CREATE)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" {
		err = f.f.Close()
	}
	f.f, f.id, f.size, f.period = osFile{osf}, fileid.Of(st), st.Size(), f.opt.Rotate.period(st.ModTime())
	if err == nil {
		err = f.readLast()
	}
	return err
}

// inPlace reports whether the file still has its name.
func (f *File) inPlace() (bool, error) {
	old, ok := f.f.(osFile)
	if !ok {
		return false, fmt.Errorf("%s cannot be rotated", f.at)
	}
	st, err := f.at.stat()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	was, err := old.Stat()
	return err == nil && os.SameFile(st, was), err
}

// rotatedAs reports whether the last commit was to the file that was renamed last, which is
// unchanged.
func (f *File) rotatedAs(n *note) bool {
	seen, err := rotated(f.at)
	if err != nil || seen[f.at.base()] == 0 {
		return false
	}
	old, st, err := f.at.as(fmt.Sprintf("%s.%d", f.at.base(), seen[f.at.base()])).open(0)
	if err != nil {
		return false
	}
	defer old.Close()
	block := make([]byte, min(n.length, blockSize))
	if st.Size() != n.length || fileid.Of(st) != n.id {
		return false
	}
	_, err = old.ReadAt(block, n.length-int64(len(block)))
	return err == nil && crc32.ChecksumIEEE(block) == n.sum
}

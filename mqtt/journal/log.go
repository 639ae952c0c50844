package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Log is a directory of segments, files named by the sequence number of their
// first record in 16 hexadecimal digits. A segment is a header and records;
// numbers are little-endian, and each checksum covers what follows it up to the
// end of the header or record:
//
//	header: magic 8, checksum 4, salt 4, first sequence number 8
//	record: checksum 4, length of data 4, sequence number 8, synced 8, data
//
// The checksum of a record begins with the salt, a random number that all
// segments of a log share, so that nothing in the data passes for a record.
// Sequence numbers have no gaps, also between segments, so that a missing
// segment is noticed. synced is the sequence number up to which the log was on
// the disk when the record was written. It is the difference between a crash and damage: a
// broken record is damaged if a later one says that it was on the disk;
// otherwise a crash came before it was synced.
const (
	magic      = "mqtlog\x00\x01" // the last byte is the version of the format
	headerSize = 24
	recordSize = 24 // without data
	suffix     = ".log"
)

// MaxData is the largest size of a record, in bytes: a PUBLISH packet of the
// largest size and some room.
const MaxData = 1<<28 + 1<<16

// SyncPolicy says when a Log waits for the disk.
type SyncPolicy uint8

const (
	// SyncAlways waits at each Sync. Nothing that Sync has reported is lost
	// by a crash of the program or of the machine.
	SyncAlways SyncPolicy = iota
	// SyncInterval waits at a Sync if the last wait was a second ago, and has
	// the rest synced within a second. A crash of the program loses nothing
	// that Sync has reported, a crash of the machine what came in the last
	// second.
	SyncInterval
	// SyncNever leaves that to the operating system. A crash of the program
	// loses nothing that Sync has reported, a crash of the machine may.
	SyncNever
)

// ParseSyncPolicy returns the policy with a name: always, interval or never.
func ParseSyncPolicy(name string) (p SyncPolicy, ok bool) {
	i := slices.Index([]string{"always", "interval", "never"}, name)
	return SyncPolicy(max(i, 0)), i >= 0
}

// LogOptions configures a Log. The zero value is ready to use.
type LogOptions struct {
	Sync        SyncPolicy
	SegmentSize int64 // bytes at which a new segment begins; the default is 8 MiB
	// Repair cuts a log off before the first damaged record. Without it such a
	// log is not opened, and nothing is changed.
	Repair bool
}

// Recovery is what OpenLog has found.
type Recovery struct {
	Torn    int64 // bytes behind the last whole record, removed: a crash came while they were written
	Damaged int64 // bytes from the first damaged record on, removed by LogOptions.Repair
}

// DamagedError is the error of OpenLog for a log that was changed or cut by
// something else than a crash.
type DamagedError struct {
	File   string // name in the directory
	Offset int64  // in bytes
	Why    string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %s", e.File, e.Offset, e.Why)
}

// ErrLogVersion is matched by the error of OpenLog for the log of another
// version of the format.
var ErrLogVersion = errors.New("written by another version")

// ErrLogInUse is matched by the error of OpenLog for a log that another process
// has open, or this one.
var ErrLogInUse = errors.New("in use by another process")

// ErrLogClosed is the error of calls after Close.
var ErrLogClosed = errors.New("the log is closed")

var (
	errNotRegular = errors.New("is no regular file")
	errTooLarge   = errors.New("a record is too large for the log")
)

// castagnoli is made when it is first needed: most programs that link this
// package have no log.
var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

// Log is an append-only log of records on disk. Its methods may be called from
// several goroutines; one process may have the directory open.
type Log struct {
	fs     fileSystem
	opt    LogOptions
	unlock func()

	writing  sync.Mutex  // held while files are changed; locked before mu
	lastSync time.Time   // under SyncInterval; writing must be held
	later    *time.Timer // the sync to come, or nil; writing must be held

	mu       sync.Mutex
	salt     uint32    // never changes once the log is open
	segments []segment // never empty while the log is open
	buf      []byte    // records that are appended and not written
	spare    []byte    // used by Sync alone
	next     uint64    // sequence number of the next record
	synced   uint64    // records before it are on the disk
	failed   error     // why nothing can be written any more
}

// segment is one file. f and size are used by the goroutine that holds
// Log.writing, and by reads of what was written.
type segment struct {
	name  string
	first uint64 // sequence number of its first record
	f     file
	size  int64
}

// OpenLog opens the log in a directory, which must exist; an empty directory
// becomes an empty log, whose first sequence number is 1. After a crash it
// removes an incomplete last record. If it finds damage, the error matches
// *DamagedError, and if the log is open already, ErrLogInUse.
func OpenLog(dir string, opt LogOptions) (*Log, Recovery, error) {
	return openLog(directory(dir), opt)
}

func openLog(fs fileSystem, opt LogOptions) (*Log, Recovery, error) {
	if opt.SegmentSize <= 0 {
		opt.SegmentSize = 8 << 20
	}
	l := &Log{fs: fs, opt: opt, next: 1, salt: rand.Uint32()}
	var err error
	if l.unlock, err = fs.Lock(); err != nil {
		return nil, Recovery{}, err
	}
	found, err := l.recover()
	if err == nil && len(l.segments) == 0 {
		err = l.begin(1)
	}
	if err != nil {
		l.closeFiles()
		return nil, found, err
	}
	l.synced = l.next
	return l, found, nil
}

// recover opens the segments, finds the end of the log and makes it durable.
func (l *Log) recover() (found Recovery, err error) {
	names, err := l.fs.Names()
	if err != nil {
		return found, err
	}
	for _, name := range names {
		hex, is := strings.CutSuffix(name, suffix)
		first, err := strconv.ParseUint(hex, 16, 64)
		if !is || err != nil || name != segmentName(first) {
			continue // another program's
		}
		f, err := l.fs.Open(name, false)
		if err != nil {
			return found, err
		}
		l.segments = append(l.segments, segment{name: name, first: first, f: f})
		if l.segments[len(l.segments)-1].size, err = f.Size(); err != nil {
			return found, err
		}
	}
	for i := range l.segments {
		s, last := &l.segments[i], i == len(l.segments)-1
		if i == 0 {
			l.next = s.first
		}
		end, broken, err := l.scan(s, last)
		if err != nil {
			return found, err
		}
		if broken != nil {
			if !l.opt.Repair || errors.Is(broken, ErrLogVersion) {
				return found, broken
			}
			return l.cut(i, end)
		}
		found.Torn = s.size - end
		switch {
		case end == 0: // not even the header was written: no record can be lost
			return found, l.drop(i)
		case end < s.size:
			err = l.shorten(s, end)
		case last: // what a crash of the program has left may not be on the disk yet
			err = s.f.Sync()
		}
		if err != nil {
			return found, err
		}
	}
	return found, l.fs.SyncNames()
}

// scan reads a segment, counts its records in l.next, and returns the offset
// behind the last whole one. If more follows that no crash explains, broken
// says so.
func (l *Log) scan(s *segment, last bool) (end int64, broken, err error) {
	damaged := func(at int64, why string) error { return &DamagedError{File: s.name, Offset: at, Why: why} }
	head := make([]byte, min(s.size, headerSize))
	if _, err := s.f.ReadAt(head, 0); err != nil && len(head) > 0 {
		return 0, nil, err
	}
	switch n := len(magic) - 1; {
	case len(head) == headerSize && bytes.Equal(head, header(s.first, binary.LittleEndian.Uint32(head[12:]))):
		salt := binary.LittleEndian.Uint32(head[12:])
		if s.first != l.segments[0].first && salt != l.salt {
			return 0, damaged(12, "a segment of another log"), nil
		}
		l.salt = salt
	case len(head) == headerSize && string(head[:n]) == magic[:n] && head[n] != magic[n]:
		return 0, fmt.Errorf("%s: %w: format %d, want %d", s.name, ErrLogVersion, head[n], magic[n]), nil
	case last && s.size <= headerSize: // a header that was not synced; records come after its sync
		return 0, nil, nil
	default:
		return 0, damaged(0, "not the header of a log"), nil
	}
	if s.first != l.next {
		return 0, damaged(0, fmt.Sprintf("record %d is missing before it", l.next)), nil
	}
	end = headerSize
	r := reader{f: s.f, size: s.size, salt: l.salt}
	for end < s.size {
		rec, ok, err := r.record(end)
		if err != nil {
			return 0, nil, err
		}
		if ok && rec.seq == l.next {
			l.next++
			end += recordSize + int64(len(rec.data))
			continue
		}
		if !last {
			return end, damaged(end, fmt.Sprintf("record %d is broken", l.next)), nil
		}
		was, err := r.wasSynced(end+1, l.next)
		if was {
			broken = damaged(end, fmt.Sprintf("record %d is broken, and was on the disk", l.next))
		}
		return end, broken, err
	}
	return end, nil, nil
}

// cut is the repair: it removes what comes from offset end of segment i on.
func (l *Log) cut(i int, end int64) (found Recovery, err error) {
	for n := len(l.segments) - 1; n > i; n-- { // the last first: a crash leaves no gap
		found.Damaged += l.segments[n].size
		if err := l.drop(n); err != nil {
			return found, err
		}
	}
	found.Damaged += l.segments[i].size - end
	if end == 0 {
		return found, l.drop(i)
	}
	return found, l.shorten(&l.segments[i], end)
}

// drop removes the last segment, n.
func (l *Log) drop(n int) error {
	s := l.segments[n]
	l.segments = l.segments[:n]
	_ = s.f.Close() // it was only read
	if err := l.fs.Remove(s.name); err != nil {
		return err
	}
	if err := l.fs.SyncNames(); err != nil {
		return err
	}
	if n == 0 { // its name is all that is known of earlier records
		return l.begin(s.first)
	}
	return nil
}

func (l *Log) shorten(s *segment, size int64) error {
	if err := s.f.Truncate(size); err != nil {
		return err
	}
	s.size = size
	return s.f.Sync()
}

func segmentName(first uint64) string { return fmt.Sprintf("%016x%s", first, suffix) }

func header(first uint64, salt uint32) []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[12:], salt)
	binary.LittleEndian.PutUint64(b[16:], first)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[12:], castagnoli()))
	return b
}

// begin starts a segment. Its header and its name are on the disk before it
// gets a record.
func (l *Log) begin(first uint64) error {
	name := segmentName(first)
	f, err := l.fs.Open(name, true)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(header(first, l.salt), 0); err == nil {
		if err = f.Sync(); err == nil {
			err = l.fs.SyncNames()
		}
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments = append(l.segments, segment{name: name, first: first, f: f, size: headerSize})
	return nil
}

// Append adds a record and returns its sequence number. It does no I/O: the
// record is written by the next Sync, whose error reports that it is not. data
// is not kept.
func (l *Log) Append(data []byte) (seq uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failed != nil:
		return 0, l.failed
	case len(data) > MaxData:
		return 0, errTooLarge
	}
	seq = l.next
	l.next++
	at := len(l.buf)
	l.buf = slices.Grow(l.buf, recordSize+len(data))[:at+recordSize]
	b := l.buf[at:]
	binary.LittleEndian.PutUint32(b[4:], uint32(len(data)))
	binary.LittleEndian.PutUint64(b[8:], seq)
	binary.LittleEndian.PutUint64(b[16:], l.synced)
	l.buf = append(l.buf, data...)
	b = l.buf[at:]
	binary.LittleEndian.PutUint32(b, crc32.Update(l.salt, castagnoli(), b[4:]))
	return seq, nil
}

// keepBuffer is the largest buffer, in bytes, that is kept for the next batch.
const keepBuffer = 1 << 20

// Sync writes what was appended and waits until it is as durable as the policy
// says. Meanwhile more may be appended. After an error nothing is certain about
// the end of the file: the disk may have dropped what it could not write, and
// reports that once. So that error is final; a new OpenLog finds what there
// is.
func (l *Log) Sync() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	if l.failed != nil || len(l.buf) == 0 {
		defer l.mu.Unlock()
		return l.failed
	}
	buf, next := l.buf, l.next
	l.buf, l.spare = l.spare[:0], nil
	s := &l.segments[len(l.segments)-1]
	l.mu.Unlock()

	err := l.store(s, buf, next)
	if cap(buf) > keepBuffer {
		buf = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spare = buf[:0]
	l.failed = err
	return err
}

// store writes records to s, and begins the next segment before them if s is
// full. A full segment is on the disk before there is another. next is the
// sequence number behind the records.
func (l *Log) store(s *segment, buf []byte, next uint64) error {
	if s.size > headerSize && s.size+int64(len(buf)) > l.opt.SegmentSize {
		first := binary.LittleEndian.Uint64(buf[8:])
		if l.opt.Sync != SyncAlways {
			if err := l.toDisk(s, first); err != nil {
				return err
			}
		}
		if err := l.begin(first); err != nil {
			return err
		}
		s = &l.segments[len(l.segments)-1]
	}
	if _, err := s.f.WriteAt(buf, s.size); err != nil {
		return err
	}
	l.mu.Lock()
	s.size += int64(len(buf))
	l.mu.Unlock()
	if l.opt.Sync == SyncAlways || l.opt.Sync == SyncInterval && l.due() {
		return l.toDisk(s, next)
	}
	return nil
}

// syncInterval is the time between two syncs under SyncInterval.
const syncInterval = time.Second

// due reports whether a sync is due under SyncInterval. If not, it arranges for
// one.
func (l *Log) due() bool {
	now := time.Now()
	if now.Sub(l.lastSync) >= syncInterval {
		l.lastSync = now
		return true
	}
	if l.later == nil {
		l.later = time.AfterFunc(syncInterval-now.Sub(l.lastSync), l.syncLater)
	}
	return false
}

// syncLater is the sync that due has arranged.
func (l *Log) syncLater() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.later = nil
	l.mu.Lock()
	ended := l.failed != nil || len(l.segments) == 0
	next := l.next
	if len(l.buf) > 0 {
		next = binary.LittleEndian.Uint64(l.buf[8:]) // of the first record that is not written
	}
	l.mu.Unlock()
	if ended {
		return
	}
	l.lastSync = time.Now()
	if err := l.toDisk(&l.segments[len(l.segments)-1], next); err != nil {
		l.mu.Lock()
		l.failed = err
		l.mu.Unlock()
	}
}

// toDisk makes s durable, the last segment, with all records before next.
func (l *Log) toDisk(s *segment, next uint64) error {
	if err := s.f.Sync(); err != nil {
		return err
	}
	l.mu.Lock()
	l.synced = next
	l.mu.Unlock()
	return nil
}

// first returns the sequence number of the first record that is kept.
func (l *Log) first() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return l.next
	}
	return l.segments[0].first
}

// Next returns the sequence number that the next record will get.
func (l *Log) Next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// Size returns the size of the log in bytes, with what is not written yet.
func (l *Log) Size() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.segments {
		n += l.segments[i].size
	}
	return n + int64(len(l.buf))
}

// unwritten returns the number of bytes that the next Sync writes.
func (l *Log) unwritten() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buf)
}

// Range calls yield for the records that Sync has written, from sequence number
// from on, in order, until it returns an error, which Range returns. data is
// valid only during the call. yield must not call Sync, Trim or Close.
func (l *Log) Range(from uint64, yield func(seq uint64, data []byte) error) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.segments == nil {
		return ErrLogClosed
	}
	for i := range l.segments {
		s := &l.segments[i]
		if i+1 < len(l.segments) && l.segments[i+1].first <= from {
			continue
		}
		r := reader{f: s.f, size: s.size, salt: l.salt}
		for at := int64(headerSize); at < s.size; {
			rec, ok, err := r.record(at)
			if err == nil && !ok {
				err = &DamagedError{File: s.name, Offset: at, Why: "it was changed while it was open"}
			}
			if err == nil && rec.seq >= from {
				err = yield(rec.seq, rec.data)
			}
			if err != nil {
				return err
			}
			at += recordSize + int64(len(rec.data))
		}
	}
	return nil
}

// Trim removes the segments that hold only records before a sequence number.
// The last segment stays.
func (l *Log) Trim(before uint64) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	for len(l.segments) > 1 && l.segments[1].first <= before {
		s := l.segments[0]
		if err := l.fs.Remove(s.name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := l.fs.SyncNames(); err != nil { // one by one: a crash leaves no gap
			return err
		}
		_ = s.f.Close() // nothing of it is needed
		l.mu.Lock()
		l.segments = slices.Delete(l.segments, 0, 1)
		l.mu.Unlock()
	}
	return nil
}

// Close writes what was appended, and closes the files.
func (l *Log) Close() error {
	err := l.Sync()
	l.writing.Lock()
	defer l.writing.Unlock()
	if errors.Is(err, ErrLogClosed) {
		return nil
	}
	if l.later != nil {
		l.later.Stop()
		if err == nil {
			err = l.toDisk(&l.segments[len(l.segments)-1], l.Next())
		}
	}
	l.mu.Lock()
	l.failed = ErrLogClosed
	l.mu.Unlock()
	l.closeFiles()
	return err
}

func (l *Log) closeFiles() {
	for i := range l.segments {
		_ = l.segments[i].f.Close() // what matters is synced
	}
	l.mu.Lock()
	l.segments = nil
	l.mu.Unlock()
	l.unlock()
}

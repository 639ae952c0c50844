package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// FileOptions configures a File. The zero value is ready to use.
type FileOptions struct {
	LogOptions
	// BeforeSync, if not nil, is called by Sync between the moment that
	// decides which changes are made durable and the write of them. What the
	// changes depend on can be made durable there. Its error is that of Sync,
	// and final.
	BeforeSync func() error
}

// File is a Journal on disk, which outlives the program and the machine's
// power. All changes between two calls of Sync are restored or none of them.
// Its methods may be called from several goroutines.
type File struct {
	log *Log
	opt FileOptions

	syncing sync.Mutex // held by Sync; locked before group
	group   sync.Mutex // held while changes are appended that must not be torn apart; locked before mu

	mu      sync.Mutex
	state   Memory
	note    []byte
	changes []byte // encoded, since the last Sync
	written int64  // bytes since the last snapshot
	due     int64  // number of such bytes from which on the state is written as a whole
	failed  error
}

// The kinds of records in the log of a File: their first byte.
const (
	blockChanges  = 1
	blockSnapshot = 2 // the changes make up the whole state
)

// changeNote is the encoded kind of a note, beside those of Kind.
const changeNote Kind = 100

// OpenFile opens the journal in a directory, which must exist; an empty
// directory becomes an empty journal. Its errors are those of OpenLog.
func OpenFile(dir string, opt FileOptions) (*File, Recovery, error) {
	return openFile(directory(dir), opt)
}

func openFile(fs fileSystem, opt FileOptions) (*File, Recovery, error) {
	log, found, err := openLog(fs, opt.LogOptions)
	if err != nil {
		return nil, found, err
	}
	f := &File{log: log, opt: opt, due: log.opt.SegmentSize / 2}
	if err = log.Range(0, f.replay); err != nil {
		_ = log.Close() // nothing was appended
		return nil, found, err
	}
	return f, found, nil
}

var errChange = errors.New("not a change of a session")

// replay applies a record of the log.
func (f *File) replay(seq uint64, data []byte) error {
	if len(data) == 0 || data[0] != blockChanges && data[0] != blockSnapshot {
		return fmt.Errorf("record %d: %w", seq, errChange)
	}
	if data[0] == blockSnapshot {
		f.state, f.note, f.written = Memory{}, nil, 0
	}
	f.written += int64(len(data))
	for data = data[1:]; len(data) > 0; {
		r, n, err := decodeChange(data)
		if err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		if data = data[n:]; r.Kind == changeNote {
			f.note = append(f.note[:0], r.Packet...)
		} else {
			f.state.Append(r)
		}
	}
	return nil
}

// appendChange encodes a change: its kind, packet identifier, and for Sent the
// tag, the version, and the packet with its length. A note is a packet without
// the rest.
func appendChange(dst []byte, r *Record) []byte {
	dst = append(dst, byte(r.Kind))
	switch r.Kind {
	case Cleared:
	case changeNote:
		dst = binary.AppendUvarint(dst, uint64(len(r.Packet)))
		dst = append(dst, r.Packet...)
	case Sent:
		dst = binary.BigEndian.AppendUint16(dst, r.PacketID)
		dst = binary.AppendUvarint(dst, r.Tag)
		dst = append(dst, byte(r.Version))
		dst = binary.AppendUvarint(dst, uint64(len(r.Packet)))
		dst = append(dst, r.Packet...)
	default:
		dst = binary.BigEndian.AppendUint16(dst, r.PacketID)
	}
	return dst
}

// decodeChange decodes the change at the start of b, and returns its size. The
// packet is part of b.
func decodeChange(b []byte) (r Record, n int, err error) {
	r.Kind, n = Kind(b[0]), 1
	if r.Kind == 0 || r.Kind > Cleared && r.Kind != changeNote {
		return r, 0, errChange
	}
	if r.Kind != Cleared && r.Kind != changeNote {
		if len(b) < n+2 {
			return r, 0, errChange
		}
		r.PacketID = binary.BigEndian.Uint16(b[n:])
		n += 2
	}
	if r.Kind == Sent {
		tag, k := binary.Uvarint(b[n:])
		if k <= 0 || len(b) == n+k {
			return r, 0, errChange
		}
		r.Tag, r.Version = tag, packet.Version(b[n+k])
		n += k + 1
	}
	if r.Kind == Sent || r.Kind == changeNote {
		size, k := binary.Uvarint(b[n:])
		if k <= 0 || size > uint64(len(b)-n-k) {
			return r, 0, errChange
		}
		n += k
		r.Packet = b[n : n+int(size)]
		n += int(size)
	}
	return r, n, nil
}

// Append implements Journal.
func (f *File) Append(r Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.Append(r)
	f.changes = appendChange(f.changes, &r)
}

// Note stores data of the owner together with the changes: after a restart
// LastNote returns the latest one that was made durable. data is not kept.
func (f *File) Note(data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note = append(f.note[:0], data...)
	f.changes = appendChange(f.changes, &Record{Kind: changeNote, Packet: data})
}

// LastNote returns a copy of the latest note, or nil.
func (f *File) LastNote() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.note)
}

// Group calls change, and keeps what it appends together: no Sync comes between.
// It may call Client methods that append to the journal, but not Sync.
func (f *File) Group(change func()) {
	f.group.Lock()
	defer f.group.Unlock()
	change()
}

// Sync implements Journal: it writes all changes so far and waits until they
// are as durable as the policy says. An error is final.
func (f *File) Sync() error {
	f.syncing.Lock()
	defer f.syncing.Unlock()
	block, whole := f.take()
	if f.failed != nil || block == nil {
		return f.failed // only changed below
	}
	f.failed = f.store(block, whole)
	return f.failed
}

// take returns the record for the changes that are not written yet, or nil if
// there are none. whole reports that it contains the whole state.
func (f *File) take() (block []byte, whole bool) {
	f.group.Lock()
	defer f.group.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.changes) == 0 {
		return nil, false
	}
	block = append(make([]byte, 0, 1+len(f.changes)), blockChanges)
	block = append(block, f.changes...)
	if f.written += int64(len(block)); f.written >= f.due {
		all := f.snapshotLocked()
		f.due = max(4*int64(len(all)), f.log.opt.SegmentSize/2) // the state costs at most a third more than its changes
		if f.written >= f.due && len(all) <= MaxData {
			block, whole, f.written = all, true, int64(len(all))
		}
	}
	if cap(f.changes) > keepBuffer {
		f.changes = nil
	}
	f.changes = f.changes[:0]
	return block, whole
}

// snapshotLocked returns a record of the whole state.
func (f *File) snapshotLocked() []byte {
	b := []byte{blockSnapshot}
	_ = f.state.Load(func(r Record) error { // no error comes from here
		if r.Kind == Received {
			r.Kind = Sent
			b = appendChange(b, &r)
			r.Kind = Received
		}
		b = appendChange(b, &r)
		return nil
	})
	if f.note != nil {
		b = appendChange(b, &Record{Kind: changeNote, Packet: f.note})
	}
	return b
}

// store makes a record durable. Once that is done, a whole one replaces those
// before it.
func (f *File) store(block []byte, whole bool) error {
	if f.opt.BeforeSync != nil {
		if err := f.opt.BeforeSync(); err != nil {
			return err
		}
	}
	seq, err := f.log.Append(block)
	if err == nil {
		err = f.log.Sync()
	}
	if err == nil && whole {
		err = f.log.Trim(seq)
	}
	return err
}

// Load implements Journal.
func (f *File) Load(yield func(Record) error) error { return f.state.Load(yield) }

// Len returns the number of open messages in both directions.
func (f *File) Len() int { return f.state.Len() }

// Close writes the last changes and closes the files.
func (f *File) Close() error {
	err := f.Sync()
	if closeErr := f.log.Close(); err == nil {
		err = closeErr
	}
	return err
}

package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// stored is a record as it stands in a file. data is valid until the next call
// of the reader.
type stored struct {
	seq, synced uint64
	data        []byte
}

// reader reads the records of a segment through a buffer.
type reader struct {
	f    file
	size int64 // of the file
	salt uint32
	buf  []byte
	at   int64 // offset of buf in the file
}

// readSize is how many bytes are read at least at once.
const readSize = 256 << 10

// view returns n bytes of the file at an offset. There must be so many.
func (r *reader) view(at int64, n int) ([]byte, error) {
	if at < r.at || at+int64(n) > r.at+int64(len(r.buf)) {
		want := int(min(max(int64(n), readSize), r.size-at))
		if cap(r.buf) < want {
			r.buf = make([]byte, want)
		}
		r.buf, r.at = r.buf[:want], at
		if got, err := r.f.ReadAt(r.buf, at); got < want {
			r.buf = r.buf[:0]
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	from := at - r.at
	return r.buf[from : from+int64(n)], nil
}

// record reads the record at an offset; ok is false if there is no whole one.
func (r *reader) record(at int64) (rec stored, ok bool, err error) {
	if r.size-at < recordSize {
		return rec, false, nil
	}
	head, err := r.view(at, recordSize)
	if err != nil {
		return rec, false, err
	}
	n := int64(binary.LittleEndian.Uint32(head[4:]))
	if n > MaxData || n > r.size-at-recordSize {
		return rec, false, nil
	}
	b, err := r.view(at, recordSize+int(n))
	if err != nil || crc32.Update(r.salt, castagnoli(), b[4:]) != binary.LittleEndian.Uint32(b) {
		return rec, false, err
	}
	return stored{binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:]), b[recordSize:]}, true, nil
}

// wasSynced reports whether a whole record at or behind an offset shows that
// the record seq was on the disk. Where a record is broken, its length may be
// as well, so that every offset is tried; the checksum is computed only where
// the numbers fit.
func (r *reader) wasSynced(at int64, seq uint64) (bool, error) {
	for ; at+recordSize <= r.size; at++ {
		head, err := r.view(at, recordSize)
		if err != nil {
			return false, err
		}
		number, synced := binary.LittleEndian.Uint64(head[8:]), binary.LittleEndian.Uint64(head[16:])
		if number <= seq || synced <= seq || synced > number || number-seq > uint64(r.size) {
			continue
		}
		if _, ok, err := r.record(at); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

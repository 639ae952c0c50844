package mqpub

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/fileerror"
	"github.com/mqtools/mqtools/internal/fileid"
	"github.com/mqtools/mqtools/internal/option"
)

// notOfFollow are the options that have no effect on the lines of a file.
var notOfFollow = []string{
	"message", "file", "stdin-file", "null-message", "stdin-line", "input", "strict", "ack-report", "repeat", "repeat-delay",
	"request", "response-topic", "replies", "latency",
	"verbose", "no-newline", "format", "json", "pretty", "json-payload", "as", "fields", "raw",
}

// place is how far a file was published. It is stored with each line, so that a later run
// goes on behind the last one that is in the spool.
type place struct {
	id     fileid.ID
	offset int64  // in bytes, behind the line and its delimiter
	head   uint16 // number of the first bytes that sum covers
	sum    uint32
}

const (
	placeVersion = 1
	placeSize    = 1 + 8 + 8 + 8 + 2 + 4
	// maxHead is how many of the first bytes of a file are compared: a file with the same
	// number may be another one.
	maxHead = 1024
)

func (p *place) appendTo(b []byte) []byte {
	b = append(b, placeVersion)
	b = binary.LittleEndian.AppendUint64(b, p.id.Device)
	b = binary.LittleEndian.AppendUint64(b, p.id.Inode)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.offset))
	b = binary.LittleEndian.AppendUint16(b, p.head)
	return binary.LittleEndian.AppendUint32(b, p.sum)
}

func parsePlace(b []byte) (p place, ok bool) {
	if len(b) != placeSize || b[0] != placeVersion {
		return p, false
	}
	p.id = fileid.ID{Device: binary.LittleEndian.Uint64(b[1:]), Inode: binary.LittleEndian.Uint64(b[9:])}
	p.offset = int64(binary.LittleEndian.Uint64(b[17:]))
	p.head, p.sum = binary.LittleEndian.Uint16(b[25:]), binary.LittleEndian.Uint32(b[27:])
	return p, p.offset >= int64(p.head)
}

// sumOf returns the checksum of the first n bytes of a file.
func sumOf(f io.ReaderAt, n uint16) (uint32, error) {
	b := make([]byte, n)
	if _, err := f.ReadAt(b, 0); err != nil && n > 0 {
		return 0, err
	}
	return crc32.ChecksumIEEE(b), nil
}

// continues reports whether a file still begins with the bytes that were published, and has
// all that was read: up to carry bytes behind the place.
func (p *place) continues(f *os.File, carry int64) (bool, error) {
	st, err := f.Stat()
	if err != nil || st.Size() < p.offset+carry {
		return false, err
	}
	sum, err := sumOf(f, p.head)
	return sum == p.sum, err
}

// follower reads a file that grows.
type follower struct {
	path  string
	f     *os.File
	place place
}

func (w *follower) failed(err error) error {
	return cli.Failed(option.ExitLocalIO, err)
}

// openRegular opens a file for reading; other kinds of files, which cannot be read again,
// are refused.
func openRegular(path string) (*os.File, error) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case st.IsDir():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("is a directory")}
	case !st.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	return os.Open(path)
}

// use goes on with another file.
func (w *follower) use(f *os.File, p place) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if w.f != nil {
		_ = w.f.Close() // it was only read
	}
	p.id = fileid.Of(st)
	w.f, w.place = f, p
	return nil
}

// open opens the file of the path at an offset; from the end if end is set.
func (w *follower) open(end bool) error {
	f, err := openRegular(w.path)
	if err != nil {
		return err
	}
	var p place
	if end {
		if p.offset, err = f.Seek(0, io.SeekEnd); err != nil {
			return err
		}
	}
	return w.use(f, p)
}

// resume goes on at the place of an earlier run, if the file is still there: under the path
// or, if it was renamed since, under another name in the same directory. Otherwise lost says
// why not.
func (w *follower) resume(p place) (lost string, err error) {
	names := []string{w.path}
	if entries, err := os.ReadDir(filepath.Dir(w.path)); err == nil {
		for _, e := range entries {
			names = append(names, filepath.Join(filepath.Dir(w.path), e.Name()))
		}
	}
	for _, name := range names {
		st, err := os.Stat(name)
		if err != nil || !st.Mode().IsRegular() || fileid.Of(st) != p.id {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		switch same, err := p.continues(f, 0); {
		case same:
			return "", w.use(f, p)
		case err != nil:
			return "", err
		}
		_ = f.Close() // it was only read
		if name == w.path {
			return "was truncated", nil
		}
	}
	return "is another file, and the earlier one is gone", nil
}

// follow publishes the lines of the file, and waits for more until ctx ends; with --end it
// ends at the end of the file.
func (j *job) follow(ctx context.Context) error {
	v := j.inv.Values
	delim, err := j.delimiter()
	if err != nil {
		return err
	}
	w, first := &follower{path: j.path}, true
	if j.spool != nil {
		if p, ok := parsePlace(j.spool.note.place); ok {
			first = false
			lost, err := w.resume(p)
			if err != nil {
				return w.failed(err)
			}
			if lost != "" {
				j.inv.Warnf("%s %s; lines behind those in the spool may be missing", fileerror.Quote(w.path), lost)
			}
		}
	}
	if w.f == nil {
		switch err := w.open(first && v.From.Text() == "end"); {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist) && !v.End.On():
			j.inv.Infof("%s does not exist yet; waiting for it", fileerror.Quote(w.path))
		default:
			return w.failed(err)
		}
	}
	defer func() {
		if w.f != nil {
			_ = w.f.Close() // it was only read
		}
	}()
	return j.followFrom(ctx, w, delim)
}

// pollInterval is how often a file is checked for more, and quietTime how long a file that
// was renamed must not grow before the next one is read: its writer may still have it open.
const (
	pollInterval = 100 * time.Millisecond
	quietTime    = time.Second
)

// followFrom publishes what w reads.
func (j *job) followFrom(ctx context.Context, w *follower, delim []byte) error {
	end, skip := j.inv.Values.End.On(), j.inv.Values.SkipBlank.On()
	number := uint64(0)
	take := func(line []byte, size int) error {
		number++
		if err := w.advance(size); err != nil {
			return w.failed(err)
		}
		if skip && len(line) == 0 {
			return nil
		}
		j.place = w.place.appendTo(j.place[:0])
		j.msg.Payload = line
		return j.toTopics(ctx, number)
	}
	cut := splitter{delim: delim}
	whole := func(line []byte) error { return take(line, len(line)+len(delim)) }
	rest := func() error { // a last line without delimiter
		if len(cut.carry) == 0 {
			return nil
		}
		line := cut.carry
		cut.carry = nil
		return take(line, len(line))
	}
	buf := make([]byte, blockSize)
	quiet := time.Duration(0)
	for ctx.Err() == nil {
		n := 0
		if w.f != nil {
			var err error
			if n, err = w.f.ReadAt(buf, w.place.offset+int64(len(cut.carry))); err != nil && !errors.Is(err, io.EOF) {
				return w.failed(err)
			}
		}
		if n > 0 {
			quiet = 0
			if err := cut.feed(buf[:n], whole); err != nil {
				return err
			}
			if len(cut.carry) > maxPayload {
				return errLineTooLong(number + 1)
			}
			continue
		}
		switch state, err := w.look(int64(len(cut.carry))); {
		case err != nil:
			return w.failed(err)
		case state == truncated:
			j.inv.Warnf("%s was truncated and is read from its start; lines written just before may be missing", fileerror.Quote(w.path))
			cut.carry = nil
			w.place = place{id: w.place.id}
			continue
		case state == replaced && (w.f == nil || quiet >= quietTime):
			if err := rest(); err != nil {
				return err
			}
			if err := w.open(false); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return w.failed(err)
			}
			continue
		case end && (state == current || state == gone && quiet >= quietTime):
			return rest()
		}
		j.inv.Service.Alive()
		select {
		case <-time.After(pollInterval):
			quiet += pollInterval
		case <-ctx.Done():
		case <-j.lost():
			return j.inputEnd(errLost)
		}
	}
	return nil
}

// advance moves the place behind a line of size bytes.
func (w *follower) advance(size int) error {
	w.place.offset += int64(size)
	if w.place.head == maxHead {
		return nil
	}
	w.place.head = uint16(min(w.place.offset, maxHead))
	var err error
	w.place.sum, err = sumOf(w.f, w.place.head)
	return err
}

// fileState is what became of a file at whose end the reading is.
type fileState int

const (
	current   fileState = iota // the path leads to it
	truncated                  // it was cut off, or written from the start
	replaced                   // the path leads to another file
	gone                       // the path leads nowhere, for now
)

// look compares the file that is read with that of the path. carry is how many bytes behind
// the place were read.
func (w *follower) look(carry int64) (fileState, error) {
	now, err := os.Stat(w.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gone, nil
	case err != nil:
		return gone, err
	case w.f == nil:
		return replaced, nil
	}
	if same, err := w.place.continues(w.f, carry); err != nil || !same {
		return truncated, err
	}
	st, err := w.f.Stat()
	if err != nil {
		return gone, err
	}
	if !os.SameFile(st, now) {
		return replaced, nil
	}
	return current, nil
}

// delimiter returns the delimiter of lines.
func (j *job) delimiter() ([]byte, error) {
	v := j.inv.Values
	delim := []byte(v.Delimiter.Text())
	if v.Null.On() {
		delim = []byte{0}
	}
	if len(delim) == 0 {
		return nil, v.Delimiter.Invalid("value", "", "must not be empty")
	}
	return bytes.Clone(delim), nil
}

package mqpub

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/mqtools/mqtools/internal/wholefile"
	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// inbox is the directory in a spool in which processes leave messages for the one that uses
// the spool: whole files, each with the messages of a moment. That one takes them into its
// queue in the order of their names, which begin with the time, and remembers how far it has
// come in the note of each message, so that a crash loses none and takes none twice.
type inbox struct {
	dir   string
	limit int64 // bytes in the directory above which add refuses
	sync  bool  // wait for the disk
	// repair makes read skip the rest of a damaged file, and add its bytes to damaged.
	repair  bool
	damaged int
	buf     []byte
	added   int    // messages in buf
	handed  int    // messages in the files that flush has left
	failed  error  // of flush
	size    int64  // bytes in the directory when that was last looked up
	last    int64  // time in the name of the last file
	taken   string // file of the message that was taken last, or ""
	n       uint64 // its number in the file, from 1
}

// A file begins with inboxMagic; each message is its length in bytes, the checksum of what
// follows (CRC-32), the time in milliseconds since 1970, and a PUBLISH of MQTT 5.0.
const (
	inboxMagic  = "mqpubin\x01" // the last byte is the version of the format
	inboxHeader = 4 + 4
)

var (
	inboxName = regexp.MustCompile(`^[0-9a-f]{16}-[0-9a-f]{8}$`)

	errInboxFull    = errors.New("the spool is full")
	errInboxFile    = errors.New("not a file of messages")
	errInboxDamaged = errors.New("damaged")
)

// add adds a message to those that flush leaves.
func (b *inbox) add(p *packet.Publish, now time.Time) error {
	if b.failed != nil {
		return b.failed
	}
	m := *p
	m.Dup, m.PacketID = false, 1
	at := len(b.buf)
	buf := append(b.buf, make([]byte, inboxHeader)...)
	buf = binary.BigEndian.AppendUint64(buf, uint64(now.UnixMilli()))
	buf, err := m.AppendTo(buf, packet.V5)
	if err != nil {
		return err
	}
	body := buf[at+inboxHeader:]
	if int64(len(body)+noteRoom) > b.limit/2 {
		return journal.ErrTooLarge // the queue would refuse it
	}
	if b.size+int64(at) > b.limit {
		b.size = b.used()
		if b.size+int64(at) > b.limit {
			return errInboxFull
		}
	}
	binary.BigEndian.PutUint32(buf[at:], uint32(len(body)))
	binary.BigEndian.PutUint32(buf[at+4:], crc32.ChecksumIEEE(body))
	b.buf = buf
	b.added++
	return nil
}

// flush leaves what was added. When it has returned nil, the messages are in the spool for
// good. After an error it is not known what is; add and flush return that error from then on.
func (b *inbox) flush() error {
	if len(b.buf) > 0 && b.failed == nil {
		if b.failed = b.write(); b.failed == nil {
			b.size += int64(len(b.buf))
			b.handed += b.added
			b.buf, b.added = b.buf[:0], 0
		}
	}
	return b.failed
}

// write writes buf to a new file.
func (b *inbox) write() error {
	if err := os.Mkdir(b.dir, 0o700); err == nil {
		if err := wholefile.SyncDir(filepath.Dir(b.dir)); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	b.last = max(b.last+1, time.Now().UnixNano()) // in order even if the clock is set back
	f, err := wholefile.Create(filepath.Join(b.dir, fmt.Sprintf("%016x-%08x", b.last, rand.Uint32())), 0o600)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err = f.Write(append([]byte(inboxMagic), b.buf...)); err == nil {
		err = f.Commit()
	}
	if err == nil && b.sync {
		err = wholefile.SyncDir(b.dir)
	}
	return err
}

// names returns the names of the files, in order.
func (b *inbox) names() (names []string, err error) {
	all, err := os.ReadDir(b.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range all {
		if inboxName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// used returns the number of bytes in the directory.
func (b *inbox) used() (n int64) {
	all, _ := os.ReadDir(b.dir) // without it there is nothing
	for _, e := range all {
		if st, err := e.Info(); err == nil {
			n += st.Size()
		}
	}
	return n
}

// left returns the number of messages that were not taken.
func (b *inbox) left() (n int, err error) {
	names, err := b.names()
	for _, name := range names {
		if err == nil {
			err = b.read(name, func(uint64, *packet.Publish, time.Time) error { n++; return nil })
		}
	}
	return n, err
}

// read calls yield for the messages of a file that were not taken, with their number. What
// the message refers to is valid until the next call.
func (b *inbox) read(name string, yield func(i uint64, p *packet.Publish, stored time.Time) error) error {
	data, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		return err
	}
	failed := func(err error) error {
		if b.repair {
			b.damaged += len(data)
			return nil
		}
		return fmt.Errorf("file %s: %w", filepath.Join(filepath.Base(b.dir), name), err)
	}
	if len(data) < len(inboxMagic) || string(data[:len(inboxMagic)]) != inboxMagic {
		return failed(errInboxFile)
	}
	data = data[len(inboxMagic):]
	for i := uint64(1); len(data) > 0; i++ {
		if len(data) < inboxHeader+8 {
			return failed(errInboxDamaged)
		}
		size, sum := binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:])
		body := data[inboxHeader:]
		if uint64(size) > uint64(len(body)) || size < 8 || crc32.ChecksumIEEE(body[:size]) != sum {
			return failed(errInboxDamaged)
		}
		body = body[:size]
		if name == b.taken && i <= b.n {
			data = data[inboxHeader+size:]
			continue
		}
		var p packet.Publish
		f, n, err := packet.Split(body[8:], packet.V5, 0)
		if err == nil {
			err = p.Parse(f, packet.V5)
		}
		if err != nil || n != len(body)-8 {
			return failed(errInboxDamaged)
		}
		data = data[inboxHeader+size:]
		if err := yield(i, &p, time.UnixMilli(int64(binary.BigEndian.Uint64(body)))); err != nil {
			return err
		}
	}
	return nil
}

// take gives put all messages, in order; each file is removed after sync. While put is
// called, taken and n name the message.
func (b *inbox) take(put func(*packet.Publish, time.Time) error, sync func() error) error {
	names, err := b.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		err := b.read(name, func(i uint64, p *packet.Publish, stored time.Time) error {
			b.taken, b.n = name, i
			return put(p, stored)
		})
		if err == nil {
			err = sync()
		}
		if err == nil {
			err = os.Remove(filepath.Join(b.dir, name))
		}
		if err == nil && b.sync { // before another file is the last that was taken
			err = wholefile.SyncDir(b.dir)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// spoolNote is what stands with a message in the queue: how far mqpub follow has come, and
// how far the inbox was taken.
type spoolNote struct {
	place []byte
	taken string
	n     uint64
}

const (
	spoolNoteVersion = 2
	// noteRoom is more than a note of the inbox adds to a message in the queue.
	noteRoom = 64
)

func (s *spoolNote) encode() []byte {
	b := binary.AppendUvarint([]byte{spoolNoteVersion}, uint64(len(s.place)))
	b = binary.AppendUvarint(append(b, s.place...), s.n)
	return append(b, s.taken...)
}

// parseNote is the reverse of encode. Nothing is an empty note.
func parseNote(b []byte) (s spoolNote, err error) {
	if len(b) == 0 {
		return s, nil
	}
	bad := errors.New("has a note of another kind")
	if b[0] != spoolNoteVersion {
		return s, bad
	}
	size, k := binary.Uvarint(b[1:])
	if k <= 0 || size > uint64(len(b)-1-k) {
		return s, bad
	}
	s.place, b = b[1+k:1+k+int(size)], b[1+k+int(size):]
	if s.n, k = binary.Uvarint(b); k <= 0 {
		return s, bad
	}
	s.taken = string(b[k:])
	return s, nil
}

package mqsub

import (
	"bytes"
	"time"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/outfile"
	"github.com/mqtools/mqtools/mqtt"
)

// files is output to the files that a template names, or to one file that is rotated.
type files struct {
	template *format.FileName // nil: one file, which is job.file
	set      *outfile.Set
	names    []byte // of the files of the messages in job.batched, one behind the other
	ends     []int  // where they end; a message without output has none
}

// openFiles opens the directory of the files that a template names.
func (j *job) openFiles(template *format.FileName, o outfile.Options) error {
	if template.Times() {
		j.inv.WarnZone()
	}
	set, err := outfile.NewSet(template.Dir(), o)
	if err != nil {
		return fileFailed(err)
	}
	set.Once = template.Once()
	set.Bounded = func(open int) {
		j.inv.Warnf("--output-file: more than %d files: those not used for the longest time are closed, and opened again when needed", open)
	}
	j.files = &files{template: template, set: set}
	return nil
}

// name keeps the name of the file of a message that was appended to the output.
func (f *files) name(m *mqtt.Message, at time.Time, output bool) {
	if f.template == nil {
		return
	}
	if output {
		f.names = f.template.Append(f.names, m, at)
	}
	f.ends = append(f.ends, len(f.names))
}

// nameAt returns the name of the file of message i of the output.
func (f *files) nameAt(i int) []byte {
	switch {
	case f.template == nil:
		return nil
	case i == 0:
		return f.names[:f.ends[0]]
	}
	return f.names[f.ends[i-1]:f.ends[i]]
}

// fileOf returns the file of message i of the output.
func (j *job) fileOf(i int) (*outfile.File, error) {
	if j.files.template == nil {
		return j.file, nil
	}
	return j.files.set.File(j.files.nameAt(i))
}

// flushFiles is flush for files: it writes the messages in their order, so that those before
// an error are acknowledged, and with one write those in a row that go to one file. Before a
// file is rotated, what was written is committed.
func (j *job) flushFiles() error {
	p, now := &j.batched, time.Now()
	from := 0 // in p.buf
	for i := 0; i < len(p.ends); {
		if p.ends[i].size == from {
			i++
			continue
		}
		f, err := j.fileOf(i)
		if err != nil {
			return j.filesFailed(i, i, 0, f, err)
		}
		if f.Due(0, p.ends[i].size-from, now) {
			if err := j.rotate(i); err != nil {
				return err
			}
			continue
		}
		name, to, next := j.files.nameAt(i), p.ends[i].size, i+1
		for ; next < len(p.ends) && bytes.Equal(j.files.nameAt(next), name); next++ {
			if f.Due(to-from, p.ends[next].size-to, now) {
				break
			}
			to = p.ends[next].size
		}
		n, err := f.Write(p.buf[from:to])
		if err != nil {
			return j.filesFailed(i, next, n, f, err)
		}
		i, from = next, to
	}
	p.buf, p.ends = p.buf[:0], p.ends[:0]
	j.files.names, j.files.ends = j.files.names[:0], j.files.ends[:0]
	return j.ack(p.b, p.taken)
}

// rotate rotates the file of message i, after those before it are committed.
func (j *job) rotate(i int) error {
	taken := 0
	if i > 0 {
		taken = j.batched.ends[i-1].taken
	}
	if err := j.ack(j.batched.b, taken); err != nil {
		return err
	}
	f, err := j.fileOf(i)
	switch {
	case err != nil:
	case j.files.template == nil:
		err = f.Rotate()
	default:
		err = j.files.set.Rotate(f)
	}
	if err != nil {
		return j.filesFailed(i, i, 0, f, err)
	}
	return nil
}

// filesFailed ends the work after n bytes of the messages from first to next were written to f:
// it acknowledges those that were written completely.
func (j *job) filesFailed(first, next, n int, f *outfile.File, err error) error {
	p := &j.batched
	from := 0
	if first > 0 {
		from = p.ends[first-1].size
	}
	whole, torn := first, n
	for ; whole < next && p.ends[whole].size <= from+n; whole++ {
		torn = from + n - p.ends[whole].size
	}
	j.count -= int64(len(p.ends) - whole)
	cut := j.cutFile(f, int64(torn), fileFailed(err))
	if whole > 0 {
		if err := j.ack(p.b, p.ends[whole-1].taken); err != nil {
			return err
		}
	}
	return cut
}

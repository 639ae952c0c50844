package result

import (
	"bufio"
	"errors"
	"io"
)

// Follower reads one result while it is being written.
type Follower struct{ f fileReader }

// Line is what a Follower has read: one of its fields is set, or none.
type Line struct {
	Interval *Interval
	Note     *Note
}

// Follow waits for the header of a result. path is for errors, as in [Read]. The
// intervals may take as much memory as those of a Read divided by share. If there is no
// header the error is ErrNoResult.
func Follow(r io.Reader, path string, share int) (*Follower, error) {
	w := &Follower{fileReader{lines: &lineReader{r: bufio.NewReaderSize(r, 64<<10), path: path}, limit: maxMemory / int64(share)}}
	header, err := w.f.lines.next()
	if err == io.EOF {
		return nil, ErrNoResult
	}
	if err == nil {
		err = w.f.header(header)
	}
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Next waits for a line. It returns io.EOF after the last one, and another error for a
// line that does not belong to a result.
func (w *Follower) Next() (Line, error) {
	if w.f.ended {
		return Line{}, io.EOF
	}
	line, err := w.f.next()
	if err == nil && w.f.lines.back {
		return Line{}, errors.New(w.f.lines.path + ": a second result")
	}
	return line, err
}

// Result returns what was read so far. Next must not be called after it.
func (w *Follower) Result() *Result { return w.f.finish() }

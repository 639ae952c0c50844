package result

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

const (
	linePrefix  = "MQBENCH-RESULT-1:"
	maxUnpacked = 256 << 20 // bytes
)

// AppendLine appends a result as one line of text, without the line end, for when only
// a log can be retrieved, as with kubectl logs. Read finds it among other lines, and
// after time stamps. Intervals are coarsened to at most the given number. Those of
// different phases are not combined, so there may be a few more.
func AppendLine(dst []byte, r *Result, intervals int) ([]byte, error) {
	for len(r.Intervals) > intervals && r.Run.Step < maxStep {
		r = r.Coarsen(min(2*r.Run.Step, maxStep))
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if err := Write(z, r); err != nil {
		return dst, err
	}
	if err := z.Close(); err != nil {
		return dst, err
	}
	dst = append(dst, linePrefix...)
	return base64.StdEncoding.AppendEncode(dst, packed.Bytes()), nil
}

// unpack makes file read the result of one line; place is its path:line.
func unpack(line []byte, place string, file *fileReader) (*Result, error) {
	line, _, _ = bytes.Cut(line, []byte("\r"))
	packed, err := base64.StdEncoding.DecodeString(string(bytes.TrimRight(line, " \t")))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, errDamaged)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, errDamaged)
	}
	text := io.LimitReader(z, maxUnpacked)
	lines := &lineReader{r: bufio.NewReaderSize(text, 64<<10), path: place + ", unpacked"}
	header, err := lines.next()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, errDamaged)
	}
	file.lines = lines
	r, err := file.read(header)
	if err == nil {
		_, err = lines.next() // read to the end, where the packing has its check
		if err == io.EOF {
			return r, nil
		}
		if err == nil {
			return nil, lines.errorf("a line after the last one")
		}
	}
	if packing(err) {
		err = fmt.Errorf("%s: %w", place, errDamaged)
	}
	return nil, err
}

// errDamaged is returned if the line of a result is not as it was written.
var errDamaged = errors.New("the line of the result is cut off or damaged")

// packing reports whether an error is in the packing, and not in what is packed.
func packing(err error) bool {
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	return corrupt || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader)
}

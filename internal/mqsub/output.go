package mqsub

import (
	"io"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// flushSize is how many bytes of output are collected at most before they are written.
const flushSize = 64 << 10

// output writes to stdout or a file, with one write for all messages of one read.
type output struct {
	w       io.Writer
	buf     []byte // reused
	written int64  // in bytes
	file    bool   // w is not stdout
}

// Write writes b, and returns how many bytes of it were written. An error ends the tool.
func (o *output) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := o.w.Write(b)
	o.written += int64(n)
	if o.file {
		return n, fileFailed(err)
	}
	return n, cli.OutputError(option.Sub, err)
}

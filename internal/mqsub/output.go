package mqsub

import (
	"io"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// flushSize is how many bytes of output are collected at most before they are written.
const flushSize = 64 << 10

// output writes to stdout, with one write for all messages of one read.
type output struct {
	w       io.Writer
	buf     []byte // reused
	written int64  // in bytes
}

// Write writes b, and returns how many bytes of it were written. An error ends the tool.
func (o *output) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := o.w.Write(b)
	o.written += int64(n)
	return n, cli.OutputError(option.Sub, err)
}

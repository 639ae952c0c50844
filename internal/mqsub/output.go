package mqsub

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
)

// flushSize is how many bytes of output are collected at most before they are
// written.
const flushSize = 64 << 10

// output writes to stdout, one write for all messages of one read.
type output struct {
	w       io.Writer
	buf     []byte       // reused
	written int64        // bytes
	since   atomic.Int64 // when the write under way began, Unix nanoseconds; 0 without
}

// blocked tells whether a write is under way that has taken long.
func (o *output) blocked() bool {
	since := o.since.Load()
	return since != 0 && time.Now().UnixNano()-since > int64(blockedTime/2)
}

// Write writes b, and returns how many bytes of it stand in the output. Its error
// ends the tool.
func (o *output) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	o.since.Store(time.Now().UnixNano())
	n, err := o.w.Write(b)
	o.since.Store(0)
	o.written += int64(n)
	return n, cli.Sub.OutputError(err)
}

//go:build !unix && !windows

package cli

import (
	"context"
	"os"
)

// WatchClosedPipe returns a channel that never closes: this system has no way
// to see a closed pipe without writing to it.
func WatchClosedPipe(context.Context, *os.File) <-chan struct{} {
	return make(chan struct{})
}

//go:build !unix && !windows

package cli

import (
	"context"
	"os"
)

// watchPipe does nothing: this system has no way to see a closed pipe without writing
// to it.
func watchPipe(context.Context, *os.File, chan<- struct{}) {}

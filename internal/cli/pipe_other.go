//go:build !unix && !windows

package cli

import (
	"context"
	"os"
)

// watchPipe does nothing: this system cannot detect a closed pipe without writing to it.
func watchPipe(context.Context, *os.File, chan<- struct{}) {}

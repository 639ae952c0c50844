//go:build unix

package fileid

import (
	"io/fs"
	"syscall"
)

// Of returns the ID of a file.
func Of(st fs.FileInfo) ID {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return ID{uint64(s.Dev), uint64(s.Ino)} //nolint:unconvert // the types differ by system
	}
	return ID{}
}

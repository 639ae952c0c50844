//go:build unix

package outfile

import (
	"io/fs"
	"syscall"
)

func identityOf(st fs.FileInfo) identity {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return identity{uint64(s.Dev), uint64(s.Ino)} //nolint:unconvert // the types differ by system
	}
	return identity{}
}

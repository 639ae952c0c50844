//go:build unix

package wholefile

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives w the owner of the file it replaces, if permitted, so that an edit by
// root does not change the owner of a user's file.
func keepOwner(w *os.File, old fs.FileInfo) {
	if st, ok := old.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		_ = w.Chown(int(st.Uid), int(st.Gid)) // not every file system has owners
	}
}

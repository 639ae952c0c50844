//go:build unix

package journal

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestALockEndsThoughAChildHasItsFile has another descriptor of the locked file, as a child
// has between fork and exec.
func TestALockEndsThoughAChildHasItsFile(t *testing.T) {
	t.Parallel()
	dir := directory(t.TempDir())
	unlock, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no list of the open files")
	}
	copied := false
	for _, e := range open {
		if path, _ := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); path != string(dir) {
			continue
		}
		fd, _ := strconv.Atoi(e.Name())
		if fd, err = syscall.Dup(fd); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Close(fd) }()
		copied = true
	}
	if !copied {
		t.Fatal("the locked file is not open")
	}
	unlock()
	if unlock, err = dir.Lock(); err != nil {
		t.Fatal(err)
	}
	unlock()
}

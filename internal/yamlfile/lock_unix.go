//go:build unix && !aix && !illumos && !solaris

package yamlfile

import (
	"os"
	"syscall"
)

// lock blocks other processes that write files of the directory until unlock is called or the
// process exits. On a file system without locks it does nothing.
func lock(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			return func() { d.Close() }, nil
		}
	}
}

//go:build unix && !aix && !illumos && !solaris

package yamlfile

import (
	"os"
	"syscall"
)

// lock keeps other processes that write files of the directory out until unlock
// is called, which the end of the process does too. Where the file system knows
// no locks there is none.
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

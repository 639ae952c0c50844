//go:build unix && !aix && !illumos && !solaris

package journal

import (
	"os"
	"syscall"
)

// Lock locks the directory for this process. The lock ends with the process,
// however that ends.
func (d directory) Lock() (unlock func(), err error) {
	f, err := os.Open(string(d))
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			break
		}
	}
	if err == syscall.EWOULDBLOCK {
		err = ErrLogInUse
	}
	if err != nil {
		_ = f.Close()
		return nil, &os.PathError{Op: "lock", Path: string(d), Err: err}
	}
	return func() {
		// Closing alone leaves the lock to a child between fork and exec.
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
		_ = f.Close()
	}, nil
}

package journal

import (
	"os"
	"path/filepath"
	"syscall"
)

// errSharing is ERROR_SHARING_VIOLATION.
const errSharing syscall.Errno = 32

// Lock locks the directory for this process: it opens a file there that no
// other process can open meanwhile.
func (d directory) Lock() (unlock func(), err error) {
	path := filepath.Join(string(d), "lock")
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	const notShared = 0
	h, err := syscall.CreateFile(name, syscall.GENERIC_WRITE, notShared, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if err == errSharing {
		err = ErrLogInUse
	}
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: string(d), Err: err}
	}
	return func() { _ = syscall.CloseHandle(h) }, nil
}

//go:build linux || darwin

package result

import "golang.org/x/sys/unix"

// noFile returns the soft and the hard limit of open files.
func noFile() (soft, hard uint64) {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0, 0
	}
	return limit.Cur, limit.Max
}

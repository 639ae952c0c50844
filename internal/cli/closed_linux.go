package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// closedAtStart reports whether descriptor fd, 0, 1 or 2, was closed when this process
// started. Go's runtime then has opened /dev/null in its place, for reading and
// writing, which a shell's >/dev/null and </dev/null are not. Others start programs
// with such a /dev/null, too: daemon(3), Python and most have it at several
// descriptors, and what two share was not opened by the runtime. What is left is a
// parent that has discarded this one descriptor by O_RDWR. That cannot be told from a
// closed one, and counts as one: it is told so before anything is lost, and can open
// /dev/null for one direction, while messages written nowhere would not be missed.
func closedAtStart(fd int) bool {
	var st unix.Stat_t
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return true
	}
	if flags&unix.O_ACCMODE != unix.O_RDWR || unix.Fstat(fd, &st) != nil ||
		st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3) {
		return false
	}
	for other := range 3 {
		if other != fd && sameFile(fd, other) {
			return false
		}
	}
	return true
}

// sameFile reports whether two descriptors are one open file.
func sameFile(a, b int) bool {
	const kcmpFile = 0
	pid := uintptr(os.Getpid())
	order, _, errno := unix.Syscall6(unix.SYS_KCMP, pid, pid, kcmpFile, uintptr(a), uintptr(b), 0)
	return errno == 0 && order == 0
}

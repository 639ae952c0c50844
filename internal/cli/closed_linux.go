package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// closedAtStart reports whether descriptor fd, 0, 1 or 2, was closed when this process
// started. In that case Go's runtime has opened /dev/null in its place, for reading and
// writing, unlike a shell's >/dev/null and </dev/null. Other programs also start their
// children with such a /dev/null: daemon(3), Python and most others have it at several
// descriptors, and descriptors that share an open file were not opened by the runtime. What
// remains is a parent that has redirected this one descriptor to a /dev/null opened with
// O_RDWR. It cannot be distinguished from a closed descriptor and counts as closed. The
// resulting error comes before anything is lost, and the parent can open /dev/null for one
// direction; messages written to nowhere would go unnoticed.
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

// sameFile reports whether two descriptors share one open file.
func sameFile(a, b int) bool {
	const kcmpFile = 0
	pid := uintptr(os.Getpid())
	order, _, errno := unix.Syscall6(unix.SYS_KCMP, pid, pid, kcmpFile, uintptr(a), uintptr(b), 0)
	return errno == 0 && order == 0
}

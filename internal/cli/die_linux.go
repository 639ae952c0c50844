package cli

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// die ends the process by sig, with the kernel's default action. os/signal does not provide
// that: it prints a trace for SIGQUIT and does nothing for SIGPIPE.
func die(sig syscall.Signal) {
	if _, ok := byDefault(sig); !ok || unix.Kill(unix.Getpid(), sig) != nil {
		return
	}
	time.Sleep(dieTime) // the signal may be delivered to another thread first
}

// sigaction is at least as large as the kernel's struct on any architecture.
type sigaction [8]uint64

// byDefault gives sig the kernel's default action until undo is called.
func byDefault(sig syscall.Signal) (undo func(), ok bool) {
	var old sigaction
	set := func(to, old *sigaction) bool {
		const maskSize = 8
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(old)), maskSize, 0, 0)
		return errno == 0
	}
	ok = set(new(sigaction), &old) // all members are 0: SIG_DFL
	return func() { set(&old, nil) }, ok
}

// dieTime is how long the process may take to end by a signal.
const dieTime = 100 * time.Millisecond

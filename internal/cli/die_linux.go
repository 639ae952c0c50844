package cli

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// die ends the process by sig, with the action that the kernel takes by default. Not
// by os/signal: to that, SIGQUIT is a wish for a trace, and SIGPIPE nothing.
func die(sig syscall.Signal) {
	if _, ok := byDefault(sig); !ok || unix.Kill(unix.Getpid(), sig) != nil {
		return
	}
	time.Sleep(dieTime) // the signal may reach another thread first
}

// sigaction is at least as large as the kernel's struct of any architecture.
type sigaction [8]uint64

// byDefault gives sig the action that the kernel takes by default, until undo.
func byDefault(sig syscall.Signal) (undo func(), ok bool) {
	var old sigaction
	set := func(to, old *sigaction) bool {
		const maskSize = 8
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(old)), maskSize, 0, 0)
		return errno == 0
	}
	ok = set(new(sigaction), &old) // all of whose members are 0: SIG_DFL
	return func() { set(&old, nil) }, ok
}

// dieTime is how long the process may take to end by a signal.
const dieTime = 100 * time.Millisecond

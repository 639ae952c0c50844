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
	// A struct sigaction of the kernel's, all of whose members are 0: SIG_DFL. It
	// is larger than that of any architecture.
	var byDefault [8]uint64
	const maskSize = 8
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&byDefault)), 0, maskSize, 0, 0)
	if errno != 0 || unix.Kill(unix.Getpid(), sig) != nil {
		return
	}
	time.Sleep(dieTime) // the signal may reach another thread first
}

// dieTime is how long the process may take to end by a signal.
const dieTime = 100 * time.Millisecond

//go:build !unix

package cli

import "syscall"

// die does nothing: this system has no signals to die by.
func die(syscall.Signal) {}

// byDefault does nothing here: SIGQUIT before signals are caught prints a trace.
func byDefault(syscall.Signal) (undo func(), ok bool) { return func() {}, false }

//go:build !unix

package cli

import "syscall"

// die does nothing: this system has no signals that end a process.
func die(syscall.Signal) {}

// byDefault does nothing here: SIGQUIT prints a trace until signals are caught.
func byDefault(syscall.Signal) (undo func(), ok bool) { return func() {}, false }

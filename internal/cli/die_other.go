//go:build !unix

package cli

import "syscall"

// die does nothing: this system has no signals to die by.
func die(syscall.Signal) {}

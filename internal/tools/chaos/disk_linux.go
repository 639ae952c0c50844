package main

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// mounted is set in the environment of a campaign that may mount file systems.
const mounted = "MQTOOLS_CHAOS_MAY_MOUNT"

// canMount is whether trials may have a small disk of their own.
var canMount = os.Getenv(mounted) != ""

// inside runs the campaign again in name spaces in which it may mount file systems, if the
// system allows that, and returns its status.
func inside() (status int, done bool) {
	if canMount {
		return 0, false
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), mounted+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
	if cmd.Start() != nil {
		return 0, false
	}
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), true
}

// mount mounts a disk of 4 MiB.
func mount(dir string) error { return syscall.Mount("none", dir, "tmpfs", 0, "size=4m") }

func unmount(dir string) { _ = syscall.Unmount(dir, 0) }

// limitFiles limits the length of the files that a process writes: a write that goes beyond
// ends there, and the next one fails.
func limitFiles(pid int, size uint64) error {
	return unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil)
}

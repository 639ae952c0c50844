package e2e

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// daemon is a foreign program that runs for a test: a broker or a proxy.
type daemon struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   buffer // what it writes to both streams
	ended chan struct{}
}

// program is the path of a foreign program. A test whose program is missing is
// skipped; CI installs them all.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil { // servers are in no ordinary user's PATH
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		t.Skip(name + " is not installed")
	}
	return path
}

// freePort reserves a port of 127.0.0.1 for a program: a socket is bound to it
// until the test ends, so the system gives it to no program that asks for any port,
// and none answers on it until the program does. Linux still lets the program
// listen, as servers set SO_REUSEADDR; elsewhere the port is only
// known to have been free.
func freePort(t *testing.T) string {
	t.Helper()
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	release := func() { _ = syscall.Close(fd) }
	if runtime.GOOS == "linux" {
		t.Cleanup(release)
	} else {
		defer release()
	}
	err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if err == nil { // only now: the system chooses a port that has no socket at all
		err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(name.(*syscall.SockaddrInet4).Port)
}

// startDaemon runs cmd until the test ends, and returns once all of addrs,
// ports of 127.0.0.1 or paths of sockets, accept connections.
func startDaemon(t *testing.T, cmd *exec.Cmd, addrs ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &d.log, &d.log
	cmd.WaitDelay = patience // for children of it that outlive it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(d.stop)
	for _, addr := range addrs {
		network := "unix"
		if !strings.Contains(addr, "/") {
			network, addr = "tcp", net.JoinHostPort("127.0.0.1", addr)
		}
		d.await("connection to "+addr, func() bool {
			nc, err := net.Dial(network, addr)
			if err == nil {
				_ = nc.Close()
			}
			return err == nil
		})
	}
	return d
}

// await polls until cond holds.
func (d *daemon) await(what string, cond func() bool) {
	d.t.Helper()
	if !poll(d.ended, cond) {
		d.t.Fatalf("%s: no %s; it says\n%s", d.cmd.Path, what, d.log.String())
	}
}

// stop ends the program as an administrator would, who asks again: a signal
// that comes right before a program waits for events may have no effect.
func (d *daemon) stop() {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-d.ended:
			return
		case <-again.C:
		}
	}
	_ = d.cmd.Process.Kill()
	<-d.ended
	d.t.Errorf("%s did not end; it says\n%s", d.cmd.Path, d.log.String())
}

// poll asks until cond holds, and reports whether it did: before patience and,
// unless nil, before ended was closed.
func poll(ended <-chan struct{}, cond func() bool) bool {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !cond(); <-tick.C {
		select {
		case <-ended:
			return cond()
		default:
		}
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// tempDir is t.TempDir with a path short enough for Unix sockets.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mq")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// writeFile writes lines to a file that only its owner may read.
func writeFile(t *testing.T, path string, lines ...string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a broker that can be started.
type server struct {
	name    string
	words   []string // the command line; {port} is replaced
	conf    string   // file to write first; "" for none
	text    string   // its text; {port} is replaced
	profile string   // directory; for our own broker only
}

const mosquittoConf = `listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_dest none
log_type none
sys_interval 0
max_inflight_messages 0
max_queued_messages 0
`

func findMosquitto() (string, error) {
	if path, err := exec.LookPath("mosquitto"); err == nil {
		return path, nil
	}
	const path = "/usr/sbin/mosquitto" // not in PATH of ordinary users in Debian
	_, err := os.Stat(path)
	return path, err
}

// process is a running broker.
type process struct {
	cmd     *exec.Cmd
	stdin   io.Closer
	port    int
	profile bool // it ends when stdin does
	exited  chan struct{}
}

// start starts the broker and waits until it listens.
func (s *server) start(name string) (*process, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &process{port: ln.Addr().(*net.TCPAddr).Port, profile: s.profile != "", exited: make(chan struct{})}
	_ = ln.Close()
	port := func(s string) string { return strings.ReplaceAll(s, "{port}", strconv.Itoa(p.port)) }
	if s.conf != "" {
		if err := os.WriteFile(s.conf, []byte(port(s.text)), 0o644); err != nil {
			return nil, err
		}
	}
	var words []string
	for _, w := range s.words {
		words = append(words, port(w))
	}
	if p.profile {
		words = append(words, "-profile", filepath.Join(s.profile, strings.ReplaceAll(name, " ", "-")))
	}
	p.cmd = exec.Command(words[0], words[1:]...)
	said := &bytes.Buffer{}
	p.cmd.Stderr = said
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		nc, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)))
		if err == nil {
			return p, nc.Close()
		}
		select {
		case <-p.exited:
			return nil, fmt.Errorf("it ended at once: %s", said)
		default:
		}
		if time.Now().After(deadline) {
			p.stop()
			return nil, errors.New("it does not listen")
		}
	}
}

func (p *process) stop() {
	_ = p.stdin.Close()
	if !p.profile {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	select {
	case <-p.exited:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// cpu returns the processor time that the broker has used, in clock ticks of 10 ms.
func (p *process) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may contain blanks; utime and stime are fields 14 and 15,
	// counted from 1.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	sum := 0
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * 10 * time.Millisecond, nil
}

// memory returns a figure of /proc/PID/status in bytes: VmRSS or its peak, VmHWM.
func (p *process) memory(name string) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name+":" && f[2] == "kB" {
			n, err := strconv.Atoi(f[1])
			return n << 10, err
		}
	}
	return 0, errors.New("no " + name + " in /proc")
}

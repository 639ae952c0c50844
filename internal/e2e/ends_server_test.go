//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A server is what a command meets. The zero server does all that it is asked for,
// and knows no message.
type server struct {
	away   bool   // nobody listens there
	refuse string // numbers of the connections that it refuses: "1", "2+", "1+"
	cut    string // of those that it resets at the first SUBSCRIBE or PUBLISH
	last   int    // the connection after which nobody listens any more; 0: none
	nth    int    // the connection by which it is reached; 0 is the first
	mute   bool   // it acknowledges no message
	denies bool   // it refuses each subscription and each message
	deaf   bool   // it answers nothing but CONNECT
	stalls bool   // it reads nothing behind its first SUBSCRIBE or PUBLISH
	floods bool   // messages without end follow each SUBACK
	tells  string // a message that follows each SUBACK and PUBLISH
}

// among tells whether connection n is one of those.
func among(which string, n int) bool {
	from, more := strings.CutSuffix(which, "+")
	var first int
	_, err := fmt.Sscan(from, &first)
	return err == nil && (n == first || more && n > first)
}

// start serves, and returns the options that lead there. reached is closed once the
// command has sent its first SUBSCRIBE or PUBLISH.
func (s server) start(t *testing.T) (args []string, reached <-chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	if s.away {
		_ = ln.Close()
	}
	at1st := make(chan struct{})
	work := sync.OnceFunc(func() { close(at1st) })
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	go func() {
		for n := 1; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if n == s.last {
				_ = ln.Close()
			}
			go func() {
				defer c.Close()
				s.serve(&rawPeer{TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c)}, n, work, over)
			}()
		}
	}()
	return at(ln.Addr().String()), at1st
}

// serve is connection n.
func (s server) serve(p *rawPeer, n int, reached func(), over <-chan struct{}) {
	first, body, ok := p.next()
	if !ok || first != 0x10 {
		return
	}
	p.v5 = body[len("\x00\x04MQTT")] == 5
	none := ""
	if p.v5 {
		none = "\x00" // no properties
	}
	if among(s.refuse, n) {
		if p.v5 {
			p.say(0x20, 3, 0, 0x87, 0)
		} else {
			p.say(0x20, 2, 0, 5)
		}
		return
	}
	p.connack()
	tell := func() {
		if s.tells != "" {
			p.say([]byte("\x30" + string([]byte{byte(3 + len(none) + len(s.tells))}) + "\x00\x01t" + none + s.tells)...)
		}
	}
	for {
		first, body, ok := p.next()
		if !ok || first == 0xe0 {
			return
		}
		kind, qos := first>>4, first>>1&3
		if kind == 3 || kind == 8 || kind == 10 {
			if n >= s.nth {
				reached()
			}
			switch {
			case among(s.cut, n):
				_ = p.SetLinger(0)
				return
			case s.stalls:
				<-over
				return
			}
		}
		switch {
		case s.deaf:
		case kind == 8:
			code := string([]byte{body[len(body)-1] & 3})
			if s.denies {
				code = "\x80"
			}
			p.say([]byte(string([]byte{0x90, byte(3 + len(none)), body[0], body[1]}) + none + code)...)
			tell()
			if s.floods {
				go func() {
					for block := bytes.Repeat(append([]byte("\x30\x0a\x00\x01t"+none), "1234567"[len(none):]...), 1000); ; {
						if _, err := p.Write(block); err != nil {
							return
						}
					}
				}()
			}
		case kind == 10:
			p.say([]byte(string([]byte{0xb0, byte(2 + 2*len(none)), body[0], body[1]}) + none + none)...)
		case first == 0xc0:
			p.say(0xd0, 0)
		case kind == 3 && qos > 0 && !s.mute:
			id := body[2+int(body[0])<<8+int(body[1]):]
			if s.denies && p.v5 {
				p.say([]byte{0, 0x40, 0x50}[qos], 4, id[0], id[1], 0x87, 0)
			} else {
				p.say([]byte{0, 0x40, 0x50}[qos], 2, id[0], id[1])
			}
		case kind == 3:
			tell()
		case first == 0x62:
			p.say(0x70, 2, body[0], body[1])
		}
	}
}

// An end is what ends a command, and what becomes of it.
type end struct {
	name    string
	server  server
	script  string   // what the shell runs; "$@" is the command; empty: the command alone
	words   string   // further ones of the command
	stdin   string   // what comes from there; an end that is "..." leaves it open
	stdout  string   // what it is: "" is read, "stalled" not (a pipe, which has to be full before the signals), "terminal"
	typed   string   // at the terminal, at once
	signals []any    // sent in turn once the server is reached: a syscall.Signal, or what is typed
	started string   // or once standard error has this
	first   bool     // the command is the first process of a PID namespace
	status  int      // as a shell says it
	says    []string // the lines of standard error, but for --debug's; an end that is "*" is any, and the line "..." any lines
}

// command is one run of a command.
type command struct {
	*exec.Cmd
	out, err buffer
	terminal *os.File // our end of it
	over     chan struct{}
}

// run runs words to the end.
func (e *end) run(t *testing.T, words []string, dir string) (status int, says string) {
	t.Helper()
	args, reached := e.server.start(t)
	if !slices.ContainsFunc(words, func(w string) bool { return w == "--serve" || w == "presets" || w == "play" }) {
		words = append(words, args...)
	}
	words = append(words, strings.Fields(e.words)...)
	script := e.script
	if script == "" {
		script = `exec "$@"`
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	c := &command{Cmd: exec.CommandContext(ctx, "bash", append([]string{"-c", script, "bash"}, words...)...), over: make(chan struct{})}
	c.Env = []string{"MQ_CONFIG=none", "PATH=/usr/bin:/bin"}
	c.Dir = dir
	c.Stdout, c.Stderr = &c.out, &c.err
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	if e.first {
		c.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	var ours, theirs []*os.File // closed at the end, and at the start
	full := func() bool { return true }
	text, open := strings.CutSuffix(e.stdin, "...")
	if c.Stdin = strings.NewReader(text); open {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, text)
		c.Stdin, ours, theirs = r, append(ours, w), append(theirs, r)
	}
	switch e.stdout {
	case "stalled":
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c.Stdout, ours = w, append(ours, r, w)
		full = func() bool { return isFull(w) }
	case "terminal":
		master, slave := openTerminal(t)
		if c.Stdout, c.terminal = slave, master; e.stdin == "" {
			c.Stdin = slave
			c.SysProcAttr.Setsid, c.SysProcAttr.Setctty, c.SysProcAttr.Setpgid = true, true, false
		}
		theirs = append(theirs, slave)
		go func() { _, _ = io.Copy(&c.out, master) }()
		_, _ = io.WriteString(master, e.typed)
		defer master.Close()
	}
	err := c.Start()
	for _, f := range theirs {
		_ = f.Close()
	}
	defer func() {
		for _, f := range ours {
			_ = f.Close()
		}
	}()
	if errors.Is(err, fs.ErrPermission) && e.first {
		t.Skip("no PID namespace may be made here")
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() { // the signals, when it is at work
		up := func() bool {
			if e.started != "" {
				return strings.Contains(c.err.String(), e.started)
			}
			select {
			case <-reached:
				return full()
			default:
				return false
			}
		}
		if len(e.signals) == 0 || !poll(c.over, up) {
			return
		}
		for _, s := range e.signals {
			switch s := s.(type) {
			case syscall.Signal:
				_ = c.Process.Signal(s)
			case string:
				if s == "closed" {
					_ = c.terminal.Close()
				} else {
					_, _ = io.WriteString(c.terminal, s)
				}
			}
		}
	}()
	err = c.Wait()
	close(c.over)
	if ctx.Err() != nil {
		t.Error("it does not end")
	}
	if ee := new(exec.ExitError); err != nil && !errors.As(err, &ee) {
		t.Fatal(err)
	}
	status = c.ProcessState.ExitCode()
	if ws, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		if status = 128 + int(ws.Signal()); e.first {
			t.Errorf("it died by %v, which the first process cannot", ws.Signal())
		}
	} else if len(e.signals) > 0 && e.status > 128 && !e.first && e.script == "" {
		t.Errorf("it has exited with %d, want death by the signal", status)
	}
	var kept strings.Builder
	for line := range strings.Lines(c.err.String()) {
		if _, rest, _ := strings.Cut(line, ": "); strings.HasPrefix(rest, "sent ") || strings.HasPrefix(rest, "received ") {
			continue
		}
		kept.WriteString(strings.ReplaceAll(line, args[3], "PORT"))
	}
	return status, kept.String()
}

// said tells whether lines are as they should.
func said(lines string, want []string) bool {
	for i, w := range want {
		if w == "..." {
			for lines != "" && !said(lines, want[i+1:]) {
				_, lines, _ = strings.Cut(lines, "\n")
			}
			return said(lines, want[i+1:])
		}
		line, rest, _ := strings.Cut(lines, "\n")
		if begin, open := strings.CutSuffix(w, "*"); open && !strings.HasPrefix(line, begin) || !open && line != w {
			return false
		}
		lines = rest
	}
	return lines == ""
}

// isFull tells whether a pipe has no room.
func isFull(w *os.File) (yes bool) {
	if raw, err := w.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
			yes = err == nil && n == 0
		})
	}
	return yes
}

// openTerminal makes a pseudo-terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	_ = raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
	Away   bool   // no server listens there
	Drops  string // numbers of the connections that it resets behind CONNACK: "1", "2+", "1+"
	Refuse string // of those that it refuses
	Cut    string // of those that it resets at the first SUBSCRIBE or PUBLISH
	Last   int    // the connection after which the server stops listening; 0: none
	Nth    int    // the connection by which it is reached; 0 is the first
	Mute   bool   // it acknowledges no message
	Denies bool   // it refuses each subscription and each message
	Deaf   bool   // it answers nothing but CONNECT
	Dumb   bool   // it answers nothing at all
	Stalls bool   // it reads nothing from the first SUBSCRIBE or PUBLISH on
	Floods bool   // messages without end follow each SUBACK
	Tells  string // a message that follows each SUBACK and PUBLISH
	Retain bool   // it is a retained one
}

// among reports whether connection n is one of those.
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
	if s.Away {
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
			if n == s.Last {
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
	if s.Dumb {
		reached()
		<-over
		return
	}
	if among(s.Refuse, n) {
		if p.v5 {
			p.say(0x20, 3, 0, 0x87, 0)
		} else {
			p.say(0x20, 2, 0, 5)
		}
		return
	}
	p.connack()
	if among(s.Drops, n) {
		_ = p.SetLinger(0)
		reached()
		return
	}
	tell := func() {
		if s.Tells != "" {
			publish := "\x30"
			if s.Retain {
				publish = "\x31"
			}
			p.say([]byte(publish + string([]byte{byte(3 + len(none) + len(s.Tells))}) + "\x00\x01t" + none + s.Tells)...)
		}
	}
	for {
		if b, err := p.r.Peek(1); err == nil && s.Stalls && (b[0]>>4 == 3 || b[0]>>4 == 8) {
			reached()
			<-over
			return
		}
		first, body, ok := p.next()
		if !ok || first == 0xe0 {
			return
		}
		kind, qos := first>>4, first>>1&3
		if kind == 3 || kind == 8 || kind == 10 {
			if n >= s.Nth {
				reached()
			}
			switch {
			case among(s.Cut, n):
				_ = p.SetLinger(0)
				return
			}
		}
		switch {
		case s.Deaf:
		case kind == 8:
			code := string([]byte{body[len(body)-1] & 3})
			if s.Denies {
				code = "\x80"
			}
			p.say([]byte(string([]byte{0x90, byte(3 + len(none)), body[0], body[1]}) + none + code)...)
			tell()
			if s.Floods {
				go func() {
					body := "\x00\x01t" + none + strings.Repeat("x", 1000) // so that a pipe is soon full, even on a busy machine
					head := []byte{0x30, byte(len(body)) | 0x80, byte(len(body) >> 7)}
					for block := bytes.Repeat(append(head, body...), 20); ; {
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
		case kind == 3 && qos > 0 && !s.Mute:
			id := body[2+int(body[0])<<8+int(body[1]):]
			if s.Denies && p.v5 {
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
	Each    string  // "signal": in place of this end there is one for each signal
	All     endList // in place of this end there are these, with its words and streams
	Name    string
	Server  server
	Script  string   // what the shell runs, if one does; "$@" is the command
	Words   string   // further ones of the command
	Input   string   // what IN is
	Stdin   string   // what comes from there; an end that is "..." leaves it open
	Stdout  string   // see startIO
	Typed   string   // at the terminal, at once
	Signals []string // sent in turn once the server is reached: SIGTERM and so on, what is typed, or "closed"
	Started string   // or once it has written this
	First   bool     // the command is the first process of a PID namespace
	Status  int      // as a shell says it
	Or      int      // another that it may be
	Says    []string // the lines of standard error, but for --debug's; an end that is "*" is any, and the line "..." any lines
	Writes  string   // the file that it changes; others it leaves alone, and makes none
}

// kind is the end's name in the list of ends, "" for others.
func (e *end) kind() (kind string) {
	for _, k := range ends {
		if rest, ok := strings.CutPrefix(e.Name, k); ok && len(k) > len(kind) && (rest == "" || rest[0] == ' ' || rest[0] == ',') {
			kind = k
		}
	}
	return kind
}

// fifo is an input without a writer. Every word that begins so means it.
const fifo = "fifo.yaml"

// command is one run of a command.
type command struct {
	*exec.Cmd
	out, err buffer
	terminal *os.File   // our end of it
	ours     []*os.File // closed at the end
	theirs   []*os.File // closed at the start
	up       []func() bool
	over     chan struct{}
}

// run runs the command of a row to this end, in a directory of its own with files.
func (e *end) run(t *testing.T, r *row, bin string, files map[string][]byte) (status int, says string) {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		if !strings.Contains(r.Command+r.Input+e.Input+e.Words+".", name) {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	addr, reached := e.Server.start(t)
	words := e.line(r, bin, addr)
	if e.Script != "" {
		words = append([]string{"bash", "-c", e.Script, "bash"}, words...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := &command{Cmd: exec.CommandContext(ctx, words[0], words[1:]...), over: make(chan struct{})}
	c.Dir = dir
	c.Env = []string{"MQ_CONFIG=none", "PATH=" + dir + ":/usr/bin:/bin"}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	if e.First {
		c.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	c.pipes(t, e, cmp.Or(e.Stdin, r.Stdin))
	before, _ := c.modes()
	alive := c.pipe(t, true) // open as long as one of its processes is
	c.theirs, c.ExtraFiles = append(c.theirs, alive[1]), []*os.File{alive[1]}
	opened := c.fifo(t)
	switch {
	case e.Started != "":
		c.up = append(c.up, func() bool { return strings.Contains(c.err.String()+c.out.String(), e.Started) })
	case strings.Contains(e.Words, "--out "+fifo): // a pipe without a reader
		c.up = append(c.up, c.waits(unix.SYS_OPENAT, unix.AT_FDCWD))
	case slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "fifo") }):
		c.up = append(c.up, opened)
	case e.Stdout == "full", strings.HasSuffix(e.Stdin, "..."):
	default:
		c.up = append(c.up, func() bool {
			select {
			case <-reached:
				return true
			default:
				return false
			}
		})
	}
	err := c.Start()
	for _, f := range c.theirs {
		_ = f.Close()
	}
	defer func() {
		for _, f := range c.ours {
			_ = f.Close()
		}
	}()
	if errors.Is(err, fs.ErrPermission) && e.First {
		t.Skip("no PID namespace may be made here")
	}
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.send(e.Signals)
	}()
	err = c.Wait()
	close(c.over)
	<-sent
	if ctx.Err() != nil {
		t.Error("it does not end")
	}
	if ee := new(exec.ExitError); err != nil && !errors.As(err, &ee) {
		t.Fatal(err)
	}
	status = c.ProcessState.ExitCode()
	if ws, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		if status = 128 + int(ws.Signal()); e.First {
			t.Errorf("it died by %v, which the first process cannot", ws.Signal())
		}
	} else if e.Status > 128 && !e.First && e.Script == "" {
		t.Errorf("it has exited with %d, want death by the signal", status)
	}
	_ = alive[0].SetReadDeadline(time.Now().Add(patience))
	if _, err := alive[0].Read(make([]byte, 1)); err != io.EOF {
		t.Error("it has left a process behind")
	}
	if after, there := c.modes(); there && after != before {
		t.Errorf("it has left the terminal with other modes: %+v, and before %+v", after, before)
	}
	e.left(t, dir, files)
	var kept strings.Builder
	for line := range strings.Lines(c.err.String()) {
		if _, rest, _ := strings.Cut(line, ": "); strings.HasPrefix(rest, "sent ") || strings.HasPrefix(rest, "received ") {
			continue
		}
		kept.WriteString(strings.ReplaceAll(line, addr[3], "PORT"))
	}
	return status, kept.String()
}

// line is the command line.
func (e *end) line(r *row, bin string, addr []string) (words []string) {
	for i, w := range strings.Fields(r.Command + " " + e.Words) {
		switch {
		case i == 0:
			w = bin + "/" + w
		case w == "ADDR":
			w = addr[1] + ":" + addr[3]
		case w == "IN":
			w = cmp.Or(e.Input, r.Input)
		}
		words = append(words, w)
	}
	connects := r.omits("broker away") == 0
	if connects && !strings.Contains(r.Command, "ADDR") && !slices.Contains(words, "--serve") {
		words = append(words, addr...)
	}
	return words
}

// left reports what became of the files.
func (e *end) left(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if name == fifo {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		was, there := files[name]
		switch {
		case err != nil:
			t.Error(err)
		case !there:
			t.Errorf("it has left %s behind: %.100q", name, b)
		case bytes.Equal(b, was) != (name != e.Writes):
			t.Errorf("%s is now %.100q, %d bytes", name, b, len(b))
		}
	}
}

// send sends the signals, when the command is at work.
func (c *command) send(signals []string) {
	up := func() bool { return !slices.ContainsFunc(c.up, func(f func() bool) bool { return !f() }) }
	if len(signals) == 0 || !poll(c.over, up) {
		return
	}
	for _, s := range signals {
		switch sig := unix.SignalNum(s); {
		case sig != 0:
			_ = c.Process.Signal(sig)
		case s == "closed":
			_ = c.terminal.Close()
		default:
			_, _ = io.WriteString(c.terminal, s)
		}
	}
}

// pipes opens the streams. Standard output is read unless e.Stdout says what it is:
// "stalled", a pipe that is not read, and that has to be full before the signals;
// "full", one that is full already, and the command has to wait for it; "gone", one
// whose reader is; "terminal".
func (c *command) pipes(t *testing.T, e *end, stdin string) {
	t.Helper()
	c.Stdout, c.Stderr = &c.out, &c.err
	text, open := strings.CutSuffix(stdin, "...")
	if c.Stdin = strings.NewReader(text); open {
		in := c.pipe(t, false)
		_, _ = io.WriteString(in[1], text)
		c.Stdin, c.ours, c.theirs = in[0], append(c.ours, in[1]), append(c.theirs, in[0])
		if strings.HasSuffix(e.Stdin, "...") && e.Started == "" {
			c.up = append(c.up, c.waits(unix.SYS_READ, 0))
		}
	}
	switch e.Stdout {
	case "stalled", "full":
		out := c.pipe(t, false)
		c.Stdout, c.ours = out[1], append(c.ours, out[0], out[1])
		if e.Stdout == "stalled" {
			c.up = append(c.up, func() bool { return isFull(out[1]) })
			return
		}
		for block := make([]byte, 4096); !isFull(out[1]); {
			_, _ = out[1].Write(block)
		}
		c.up = append(c.up, c.waits(unix.SYS_WRITE, 1))
	case "gone":
		out := c.pipe(t, false)
		_ = out[0].Close()
		c.Stdout, c.theirs = out[1], append(c.theirs, out[1])
	case "terminal":
		master, slave := openTerminal(t)
		if c.Stdout, c.terminal = slave, master; e.Stdin == "" {
			c.Stdin = slave
			c.SysProcAttr.Setsid, c.SysProcAttr.Setctty, c.SysProcAttr.Setpgid = true, true, false
		}
		c.theirs, c.ours = append(c.theirs, slave), append(c.ours, master)
		go func() { _, _ = io.Copy(&c.out, master) }()
		_, _ = io.WriteString(master, e.Typed)
	}
}

// pipe makes a pipe, whose ends are blocking ones for the command.
func (c *command) pipe(t *testing.T, polled bool) [2]*os.File {
	t.Helper()
	var fds [2]int
	flags := unix.O_CLOEXEC
	if polled {
		flags |= unix.O_NONBLOCK
	}
	if err := unix.Pipe2(fds[:], flags); err != nil {
		t.Fatal(err)
	}
	return [2]*os.File{os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe")}
}

// fifo makes an input without a writer; the function reports whether it is being read.
func (c *command) fifo(t *testing.T) (read func() bool) {
	t.Helper()
	path := filepath.Join(c.Dir, fifo)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	opened := false
	return func() bool {
		if opened {
			return true
		}
		w, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if opened = err == nil; opened {
			c.ours = append(c.ours, w)
		}
		return opened
	}
}

// waits reports whether a thread of the command waits in a system call on a descriptor; at
// once, where that cannot be known.
func (c *command) waits(call, fd int) func() bool {
	want := fmt.Sprintf("%d 0x%x ", call, uint64(fd))
	return func() bool {
		if c.Process == nil {
			return false
		}
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", c.Process.Pid))
		return slices.ContainsFunc(tasks, func(task string) bool {
			b, err := os.ReadFile(task)
			return strings.HasPrefix(string(b), want) || errors.Is(err, fs.ErrPermission)
		})
	}
}

// modes are those of the terminal, if there is one.
func (c *command) modes() (m unix.Termios, there bool) {
	if c.terminal == nil {
		return m, false
	}
	if raw, err := c.terminal.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			if now, err := unix.IoctlGetTermios(int(fd), unix.TCGETS); err == nil {
				m, there = *now, true
			}
		})
	}
	return m, there
}

// said reports whether lines are as they should.
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

// isFull reports whether a pipe has no room.
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

package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mqtools/mqtools/internal/process"
)

// dialCommand runs a command and uses its standard input and output as the
// stream, like ssh's ProxyCommand: %h and %p in it are the host and the port,
// %% is a percent sign. It runs in the system's shell; its standard error is
// ours. A signal from the terminal does not reach it: the stream lasts while we
// drain.
func dialCommand(ctx context.Context, command string, t *Target) (net.Conn, error) {
	fail := func(text string, err error) error {
		return &Error{Op: OpProxy, Addr: "command", Kind: ProxyFailed, Text: text, Err: err}
	}
	line, err := expandCommand(command, t)
	if err != nil {
		return nil, fail(err.Error(), err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fail(err.Error(), err)
	}
	cmd := process.Shell(line) // ctx limits the start, not the connection
	cmd.Stderr = os.Stderr
	p, err := process.Start(cmd)
	if err != nil {
		return nil, fail(err.Error(), err)
	}
	return WithDeadlines(&commandConn{p: p, target: t.Address()}), nil // on Windows, pipes have no deadlines
}

// expandCommand replaces host and port.
func expandCommand(command string, t *Target) (string, error) {
	if t.Network != "tcp" {
		return "", errors.New("a command connects to a host and a port, not to a Unix socket")
	}
	if strings.HasPrefix(t.Host, "-") {
		return "", fmt.Errorf("host %q begins with a hyphen", t.Host) // it would be taken for an option
	}
	var b strings.Builder
	for i := 0; i < len(command); i++ {
		if command[i] != '%' {
			b.WriteByte(command[i])
			continue
		}
		i++
		switch {
		case i == len(command):
			return "", errors.New("a lone % at the end; write %% for it")
		case command[i] == '%':
			b.WriteByte('%')
		case command[i] == 'h':
			b.WriteString(shellQuote(t.Host))
		case command[i] == 'p':
			b.WriteString(strconv.Itoa(t.Port))
		default:
			return "", fmt.Errorf("%%%c is neither %%h, %%p nor %%%%", command[i])
		}
	}
	return b.String(), nil
}

// shellQuote quotes characters that the shell would interpret; host names have
// none.
func shellQuote(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < 0x80 && !isAlnum(byte(r)) && !strings.ContainsRune("-._:%", r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// commandConn is a running command as a connection.
type commandConn struct {
	p      *process.Process
	target string
	once   sync.Once
}

// Read reads the command's output. If the command failed, the error at the end
// of the stream says how.
func (c *commandConn) Read(p []byte) (int, error) {
	n, err := c.p.Out.Read(p)
	if n > 0 || err == nil || !errors.Is(err, io.EOF) {
		return n, err
	}
	if c.p.Gone(time.Second) && c.p.Err() != nil { // otherwise it closed its output and is still running
		return 0, &Error{Op: OpProxy, Addr: "command", Kind: ProxyFailed, Text: "ended with " + c.p.Err().Error(), temporary: true}
	}
	return 0, io.EOF
}

func (c *commandConn) Write(p []byte) (int, error) { return c.p.In.Write(p) }

// CloseWrite closes the command's input.
func (c *commandConn) CloseWrite() error { return c.p.In.Close() }

// Close closes both streams, and terminates the command if it does not exit by
// itself.
func (c *commandConn) Close() error {
	c.once.Do(func() {
		c.p.Close()
		if !c.p.Gone(200 * time.Millisecond) {
			c.p.Kill()
		}
	})
	return nil
}

// commandAddr is the address to which a command was asked to connect.
type commandAddr string

func (a commandAddr) Network() string { return "command" }

func (a commandAddr) String() string { return string(a) }

func (c *commandConn) LocalAddr() net.Addr { return commandAddr("command") }

func (c *commandConn) RemoteAddr() net.Addr { return commandAddr(c.target) }

func (c *commandConn) SetDeadline(t time.Time) error {
	return errors.Join(c.p.In.SetWriteDeadline(t), c.p.Out.SetReadDeadline(t))
}

func (c *commandConn) SetReadDeadline(t time.Time) error { return c.p.Out.SetReadDeadline(t) }

func (c *commandConn) SetWriteDeadline(t time.Time) error { return c.p.In.SetWriteDeadline(t) }

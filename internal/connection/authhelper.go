package connection

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mqtools/mqtools/internal/process"
	"github.com/mqtools/mqtools/internal/textfile"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// The conversation with an --auth-command; each process handles one authentication:
//
//	helper:  DATA               for CONNECT, or the AUTH that asks for re-authentication
//	tool:    continue [BASE64]  the broker's AUTH, with its data
//	helper:  DATA               for the AUTH that answers
//	...
//	tool:    success [BASE64]   the broker accepts, with its last data
//
// DATA is a line of text, or binary data after base64: or hex:, as in --property; an empty
// line is a packet without data. The exit status accepts or rejects the broker's last data.
// A helper may exit after its first line, for methods without a challenge. If its input
// ends without success, the authentication has ended in another way.

const (
	// helperLine is the longest line of a helper, in bytes: the most data, in hex.
	helperLine = len("base64:") + 2*packet.MaxString + len("\r\n")
	// helperGrace is how long a helper may run after the end of its input.
	helperGrace = 200 * time.Millisecond
)

// helperError describes what is wrong with an --auth-command, or that the command rejected
// the broker. It contains nothing that the command prints.
type helperError struct {
	text   string
	denies bool // the command rejects the broker, which has accepted us
}

func (e *helperError) Error() string { return "--auth-command: " + e.text }

func helperErrorf(format string, args ...any) error {
	return &helperError{text: fmt.Sprintf(format, args...)}
}

// helper runs a command as an authenticator.
type helper struct {
	ctx    context.Context
	method string
	p      *process.Process
	out    *bufio.Reader
	ended  atomic.Bool // the output has ended
}

// startHelper starts the command. It ends with ctx, and Close waits for it.
func (c *Connection) startHelper(ctx context.Context, method, command string) (mqtt.Authenticator, error) {
	c.inv.CatchSignals() // the command does not receive them
	cmd := process.Shell(command)
	cmd.Env = append(cmd.Env, c.helperEnv(method)...)
	cmd.Stderr = c.inv.Stderr
	cmd.WaitDelay = helperGrace // for a descendant that keeps standard error open
	p, err := process.Start(cmd)
	if err != nil {
		return nil, helperErrorf("%v", err)
	}
	h := &helper{ctx: ctx, method: method, p: p, out: bufio.NewReader(p.Out)}
	c.children.Go(func() { // until the command has exited
		<-ctx.Done()
		h.end()
	})
	return h, nil
}

// helperEnv returns the environment of the command, which describes the connection and has
// no secrets.
func (c *Connection) helperEnv(method string) []string {
	env := []string{"MQ_AUTH_METHOD=" + method}
	if c.Options.Username != "" {
		env = append(env, "MQ_USERNAME="+c.Options.Username)
	}
	t := c.Target()
	if t.Network == "unix" {
		return append(env, "MQ_UNIX="+t.Path)
	}
	env = append(env, "MQ_HOST="+t.Host)
	if t.Port > 0 {
		env = append(env, "MQ_PORT="+strconv.Itoa(t.Port))
	}
	return env
}

// end closes the streams, and kills a command that does not exit.
func (h *helper) end() {
	h.p.Close()
	if h.p.Gone(helperGrace) && h.ended.Load() {
		return // and has no descendant that keeps its output open
	}
	h.p.Kill()
}

func (h *helper) Method() string { return h.method }

// Start returns the data in the helper's first line.
func (h *helper) Start() ([]byte, error) {
	data, err := h.read()
	if !errors.Is(err, io.EOF) {
		return data, err
	}
	if err := h.wait(); err != nil {
		return nil, err
	}
	return nil, helperErrorf("the command printed nothing")
}

// Continue passes the server's data to the helper and returns the data in its next line.
func (h *helper) Continue(data []byte) ([]byte, error) {
	err := h.write("continue", data)
	if err == nil {
		data, err = h.read()
	}
	if err == nil || h.ctx.Err() != nil || errors.As(err, new(*helperError)) {
		return data, err
	}
	if err := h.wait(); err != nil {
		return nil, err
	}
	return nil, helperErrorf("the command ended, and the broker asks for more")
}

// Finish passes the server's last data to the helper and waits for its exit status.
func (h *helper) Finish(data []byte) error {
	_ = h.write("success", data) // the helper may have exited
	_ = h.p.In.Close()
	for {
		line, err := h.line()
		if errors.Is(err, io.EOF) {
			err := h.wait()
			if e, ok := errors.AsType[*helperError](err); ok && h.ctx.Err() == nil {
				e.denies = true
			}
			return err
		}
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			return helperErrorf("the command printed more than it was asked for")
		}
	}
}

func (h *helper) write(word string, data []byte) error {
	line := []byte(word)
	if data != nil {
		line = base64.StdEncoding.AppendEncode(append(line, ' '), data)
	}
	_, err := h.p.In.Write(append(line, '\n'))
	return h.orTime(err)
}

// read returns the data of one line, or io.EOF at the end.
func (h *helper) read() ([]byte, error) {
	line, err := h.line()
	if err != nil || len(line) == 0 {
		return nil, err
	}
	data, err := parseBinary(string(line))
	switch {
	case err != nil:
		return nil, helperErrorf("what the command printed %v", err)
	case len(data) > packet.MaxString:
		return nil, helperErrorf("the command printed %d bytes, at most %d fit", len(data), packet.MaxString)
	}
	return data, nil
}

// line returns one line without its line ending, or io.EOF at the end.
func (h *helper) line() ([]byte, error) {
	var line []byte
	for {
		part, err := h.out.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > helperLine:
			return nil, helperErrorf("the command printed a line of more than %d bytes", helperLine)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			h.ended.Store(true)
			if len(line) == 0 {
				return nil, err
			}
		case err != nil:
			return nil, h.orTime(err)
		}
		return textfile.TrimLine(line), nil
	}
}

// wait waits until the command exits and returns an error if it failed.
func (h *helper) wait() error {
	select {
	case <-h.p.Exited():
	case <-h.ctx.Done():
		return h.orTime(h.ctx.Err())
	}
	if err := h.p.Err(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return helperErrorf("%v", err)
	}
	return nil
}

// orTime returns err, or the cause of the context if the time for the exchange is over.
func (h *helper) orTime(err error) error {
	switch {
	case err == nil || h.ctx.Err() == nil:
		return err
	case errors.Is(h.ctx.Err(), context.DeadlineExceeded):
		return helperErrorf("timed out: the command has not answered")
	}
	return context.Cause(h.ctx)
}

package connection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/process"
	"github.com/mqtools/mqtools/internal/textfile"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// findPassword obtains the password from the source that the options select; nil means
// none.
func (c *Connection) findPassword() ([]byte, error) {
	v := c.inv.Values
	given := func(name string) bool { return v.Of(name).Given() }
	switch { // at most one is set, as their relations require
	case c.inv.Dry && slices.ContainsFunc(option.PasswordSources[:], given):
		return []byte{}, nil
	case v.Password.Given():
		return []byte(v.Password.Text()), nil
	case v.PasswordFile.Given():
		return c.readSecret(v.PasswordFile)
	case v.PasswordCommand.Given():
		defer c.inv.Begin()()
		b, err := runForSecret(c.ctx, v.PasswordCommand.Text(), true, os.Stderr)
		if err != nil {
			if c.ctx.Err() != nil {
				return nil, context.Cause(c.ctx)
			}
			return nil, cli.Failed(option.ExitUsage, fmt.Errorf("%s: %w", v.PasswordCommand.Name(), err))
		}
		return b, nil
	case v.AskPassword.Given():
		return c.inv.AskFor(c.ctx, "ask-password", "password: ")
	}
	return nil, nil
}

// newPassword returns a function that obtains a password that may have expired, for a later
// connection. It never prompts, because the terminal may be unattended by then. nil means
// that nothing can change.
func (c *Connection) newPassword() func(context.Context) ([]byte, error) {
	v := c.inv.Values
	if !v.PasswordCommand.IsSet() || c.Options.Password == nil {
		return nil
	}
	command := v.PasswordCommand.Text()
	return func(ctx context.Context) ([]byte, error) {
		b, err := runForSecret(ctx, command, false, c.inv.Stderr)
		if err != nil && ctx.Err() == nil {
			c.inv.Warnf("--password-command: %v; using the password that it printed before", err)
		}
		return b, err
	}
}

// readKeyPassword obtains the password of an encrypted private key.
func (c *Connection) readKeyPassword(o *transport.TLSOptions) error {
	v := c.inv.Values
	if v.KeyPasswordFile.Given() {
		b, err := c.readSecret(v.KeyPasswordFile)
		o.KeyPassword = string(b)
		return err
	}
	if o.CertFile == "" || c.inv.Dry || !c.inv.CanAsk() {
		return nil
	}
	_, err := transport.LoadCertificate(o.CertFile, o.KeyFile, "")
	if !errors.Is(err, transport.ErrKeyEncrypted) {
		return nil // Config reports what else is wrong
	}
	b, err := c.inv.Ask(c.ctx, fmt.Sprintf("password of the key %s: ", v.Key.Text()))
	o.KeyPassword = string(b)
	return err
}

// readSecret reads the file that an option names, or standard input, and removes one
// newline at the end.
func (c *Connection) readSecret(val *option.Value) ([]byte, error) {
	r, name := c.inv.Stdin, val.Text()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, option.Usagef("%s: %v", val.Name(), err)
		}
		defer f.Close()
		c.inv.WarnExposed(c.inv.Talk, name, "a password", cli.OwnersOnly)
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(textfile.NewReader(r), packet.MaxString+3))
	if err != nil {
		return nil, option.Usagef("%s: %v", val.Name(), err)
	}
	return textfile.TrimLine(b), nil
}

// secretTime is how long a command may take to print a secret: it may prompt the user.
const secretTime = 2 * time.Minute

// runForSecret runs a command in the shell and returns its output. The error contains
// nothing of the output. If asks is set, the command may prompt on the terminal.
func runForSecret(ctx context.Context, command string, asks bool, stderr io.Writer) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, secretTime, errSecretTime)
	defer cancel()
	cmd, run := process.Shell(command), process.Output
	if asks {
		cmd.Stdin, run = os.Stdin, process.Ask
	}
	cmd.Stderr = stderr
	out, err := run(ctx, cmd, packet.MaxString+len("\r\n"))
	if out = textfile.TrimLine(out); err == nil && len(out) == 0 {
		err = errors.New("the command printed nothing")
	}
	return out, err
}

var errSecretTime = errors.New("timed out after " + units.Short(secretTime))

// refuseOpenSSL refuses what only OpenSSL supports, after the checks that the mosquitto
// clients make.
func (c *Connection) refuseOpenSSL() error {
	v := c.inv.Values
	const opensslRemedy = "--proxy-command 'openssl s_client -quiet -connect %h:%p ...' can do it"
	switch {
	case v.PSK.IsSet():
		return option.Usagef("TLS with pre-shared keys is not supported: Go's TLS has none").WithHint("%s", opensslRemedy)
	case v.TLSEngine.IsSet(), v.Keyform.Text() == "engine":
		return option.Usagef("OpenSSL engines are not supported: this program uses Go's TLS").WithHint("%s", opensslRemedy)
	}
	return nil
}

package connection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// readAuth reads the options for enhanced authentication (MQTT 5.0 section 4.12).
func (c *Connection) readAuth() error {
	v, o := c.inv.Values, &c.Options
	if !v.Auth.Known() {
		return nil
	}
	name, command := v.Auth.Text(), v.AuthCommand.Text()
	if name == "" {
		return nil
	}
	if command != "" {
		if len(name) > packet.MaxString || !validText(name) {
			return v.Auth.Invalid("value", name, "want UTF-8 text of up to 65535 bytes")
		}
		o.Authenticate = func(ctx context.Context) (mqtt.Authenticator, error) { return c.startHelper(ctx, name, command) }
		return nil
	}
	method := strings.ToUpper(name)
	switch {
	case !slices.Contains(auth.Methods(), method):
		return v.Auth.Invalid("value", name, "want %s", strings.ToLower(units.OrList(auth.Methods()...))).
			WithHint("--auth-command makes any other")
	case o.Username == "" || o.Password == nil:
		return v.Auth.Lacks("a user name and a password").WithHint("give them with -u and --password-file")
	}
	user, password := o.Username, string(o.Password)
	o.Username, o.Password = "", nil // they would be sent in clear text
	o.Authenticate = func(context.Context) (mqtt.Authenticator, error) { return auth.SCRAM(method, user, password) }
	return nil
}

// authError returns the error of a first connection whose authentication failed on our
// side. A command that fails is a configuration error; a server whose proof is missing or
// is rejected by a command counts as a refusal.
func authError(err error) error {
	var local *helperError
	if errors.As(err, &local) {
		if local.denies {
			return &cli.Exit{Code: option.ExitRefused, Err: local, Help: "the broker has accepted us, and the command did not accept the broker"}
		}
		return &cli.Exit{Code: option.ExitUsage, Err: local}
	}
	return &cli.Exit{Code: option.ExitRefused, Err: bareError(err)}
}

// renewRetry is the longest pause after a re-authentication that could not start.
const renewRetry = 10 * time.Second

// keepAuthenticated authenticates again at the interval of --reauthenticate-every, counted
// from the latest authentication, until Close or the end of the client.
func (c *Connection) keepAuthenticated(client *mqtt.Client) {
	v := c.inv.Values
	if c.Options.Authenticate == nil || !v.ReauthenticateEvery.IsSet() {
		return
	}
	every := v.ReauthenticateEvery.Duration()
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.children.Go(func() {
		defer stop()
		timer := time.NewTimer(every)
		defer timer.Stop()
		for {
			select {
			case <-c.up: // a new connection has authenticated
				timer.Reset(every)
			case <-timer.C:
				timer.Reset(c.reauthenticate(ctx, client, every))
			case <-client.Done():
				return
			case <-ctx.Done():
				return
			}
		}
	})
}

// reauthenticate authenticates once and returns the time until the next re-authentication.
func (c *Connection) reauthenticate(ctx context.Context, client *mqtt.Client, every time.Duration) time.Duration {
	limit := c.Options.ConnectTimeout
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the broker has not answered within %v", limit))
	defer cancel()
	err := client.Reauthenticate(ctx)
	switch {
	case err == nil:
		c.inv.Debugf("authenticated again")
	case errors.Is(err, mqtt.ErrRefused):
		c.inv.Warnf("%v", err)
	case !errors.Is(err, mqtt.ErrNotSent), errors.Is(err, mqtt.ErrLost), errors.Is(err, mqtt.ErrClosed), client.Err() != nil:
		// The connection is lost, which is reported elsewhere with its reason.
	default:
		again := min(every, renewRetry)
		c.inv.Warnf("cannot re-authenticate: %v; retrying in %v", bareError(err), again)
		return again
	}
	return every
}

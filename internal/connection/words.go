package connection

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Explain words an error of a connection that a tool has made itself, in one line
// with the way out: a *mqtt.Error, a *transport.Error, mqtt.ErrNoAnswer.
func (c *Connection) Explain(err error) string {
	err = c.connectError(err)
	if hint := cli.HintOf(err); hint != "" {
		return fmt.Sprintf("%v (%s)", err, hint)
	}
	return err.Error()
}

// Disapproved reports whether a broker answered our DISCONNECT with an error that is
// about what we sent. That it stops or is busy says nothing of us.
func Disapproved(err error) bool {
	e, ok := errors.AsType[*mqtt.Error](err)
	if !ok {
		return false
	}
	switch e.Reason {
	case packet.MalformedPacket, packet.ProtocolError, packet.ImplementationSpecificError, packet.NotAuthorized, packet.PacketTooLarge:
		return true
	}
	return false
}

// lossOf words the loss of a connection.
func (c *Connection) lossOf(err error) string {
	text := bareError(err).Error()
	if rest, ok := strings.CutPrefix(text, "connection "); ok { // lost, or ended by the broker
		return "connection to " + c.Broker() + " " + rest
	}
	return "connection to " + c.Broker() + " lost: " + text
}

// bareError strips the engine's frames off errors that speak for themselves.
func bareError(err error) error {
	var te *transport.Error
	if errors.As(err, &te) {
		return te
	}
	var me *mqtt.Error
	for errors.As(err, &me) && me.Err != nil && !me.Reason.Failed() {
		err = me.Err
	}
	return err
}

// connectError gives a failed first connection its exit code and hint.
func (c *Connection) connectError(err error) error {
	var e *mqtt.Error
	if errors.As(err, &e) && e.Reason.Failed() {
		return c.refused(e)
	}
	if errors.Is(err, mqtt.ErrAuthentication) {
		return authError(err)
	}
	if errors.Is(err, mqtt.ErrNoAnswer) {
		t := c.targets[c.last.Load()]
		exit := &cli.Exit{Code: option.ExitUnreached, Err: reworded(mqtt.ErrNoAnswer, "%s closed the connection before CONNACK", t.Address())}
		switch {
		case c.Options.Version == packet.V5 || c.Options.Authenticate != nil: // others have been tried in 3.1.1, too
			exit.Help = "the broker may not support MQTT 5: " + c.otherVersion()
		case t.Network == "tcp" && !t.TLS:
			exit.Help = "if the port expects TLS, add --tls or --cafile FILE"
		}
		return exit
	}
	if errors.Is(err, mqtt.ErrNoConnack) {
		return &cli.Exit{Code: option.ExitUnreached, Help: "is it an MQTT port? --connect-timeout sets the limit",
			Err: reworded(mqtt.ErrNoConnack, "%s accepted the connection but sent no CONNACK within %s", c.Broker(), units.Short(c.Options.ConnectTimeout))}
	}
	if bad, ok := errors.AsType[*packet.Error](err); ok && bad.Type == packet.CONNACK && bad.Rule == "MQTT-3.2.2-2" {
		return &cli.Exit{Code: option.ExitUnreached, Err: fmt.Errorf("connect to %s: the broker has a session of %q after a clean start, which breaks MQTT: %w", c.Broker(), c.Options.ClientID, bad),
			Help: "pass another --id, or end that session at the broker"}
	}
	return &cli.Exit{Code: option.ExitUnreached, Err: c.dialed(bareError(err))}
}

// dialed is err with the address that the user has given, where the engine only knows
// what it led to.
func (c *Connection) dialed(err error) error {
	e, ok := err.(*transport.Error)
	if !ok || e.Kind != transport.NotMQTT {
		return err
	}
	named := *e
	if named.Addr = c.Broker(); e.Addr != "" && e.Addr != named.Addr {
		named.Addr += " (" + e.Addr + ")"
	}
	return &named
}

// otherVersion says what to try when the broker does not speak this one.
func (c *Connection) otherVersion() string {
	v := c.inv.Values
	switch o := &c.Options; {
	case o.Authenticate != nil && v.Auth.Known():
		return v.Auth.Name() + " needs MQTT 5"
	case c.needs != nil:
		return c.needs.Name() + " needs MQTT 5"
	case o.Version == packet.V5:
		return "try -V 311"
	case o.Version == 0:
		return "try -V 31"
	}
	return "try another -V, or -V auto"
}

// refused words a CONNACK that refuses.
func (c *Connection) refused(e *mqtt.Error) *cli.Exit {
	v, o := c.inv.Values, &c.Options
	exit := &cli.Exit{Code: option.ExitRefused}
	text := c.Broker() + " refused the connection: " + e.Reason.Error()
	code := fmt.Sprintf(" (0x%02x)", byte(e.Reason))
	switch e.Reason {
	case packet.BadUserNameOrPassword:
		exit.Help = "check --username and --password-file"
	case packet.NotAuthorized:
		exit.Help = "check --username and --password-file, and the broker's access rules"
	case packet.BadAuthenticationMethod:
		exit.Help = "it wants another way to authenticate, or none"
		if v.Auth.IsSet() {
			text = c.Broker() + " does not support --auth " + v.Auth.Text() + code
			exit.Help = "drop --auth, or ask the broker's operator which methods it has"
		} else if v.Auth.Known() {
			exit.Help = "it may want --auth METHOD"
		}
	case packet.UnsupportedProtocolVersion:
		version := "MQTT 5 and 3.1.1" // of auto
		switch {
		case o.Version != 0:
			version = "MQTT " + strings.TrimSuffix(o.Version.String(), ".0")
		case c.inv.Tool.Bit == option.Bench: // where a scenario may say
			version = "this version of MQTT"
		}
		text = c.Broker() + " refused the connection: " + version + " not supported" + code
		exit.Help = c.otherVersion()
	case packet.ClientIdentifierNotValid:
		text = c.Broker() + " refused the client ID " + strconv.Quote(o.ClientID) + code
		if exit.Help = "pass another --id"; o.ClientID == "" {
			text = c.Broker() + " wants a client ID" + code
			exit.Help = "pass --id NAME"
		}
	}
	if v.AuthCommand.IsSet() && (e.Reason == packet.BadUserNameOrPassword || e.Reason == packet.NotAuthorized) {
		exit.Help = "check what --auth-command prints"
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	if e.Ref != "" {
		text += ": use " + e.Ref
	}
	exit.Err = reworded(e, "%s", text)
	return exit
}

// reworded is err with a text of its own.
func reworded(err error, format string, args ...any) error {
	return &wording{fmt.Sprintf(format, args...), err}
}

type wording struct {
	text string
	err  error
}

func (w *wording) Error() string { return w.text }

func (w *wording) Unwrap() error { return w.err }

// WorkError gives an error of a running client its exit code: 5 for a
// refusal, 7 for a connection that was lost or that the broker has ended. A
// subscription that ends every connection is refused in that way. A connection that
// was refused, or not made, has the words and the code of the first one.
func (c *Connection) WorkError(err error) error {
	var e *mqtt.Error
	u, undeliverable := errors.AsType[*mqtt.Undeliverable](err)
	switch {
	case err == nil:
		return nil
	case undeliverable && len(u.Filters) > 0:
		return &cli.Exit{Code: option.ExitDenied, Err: u, Help: "check the broker's access rules"}
	case undeliverable && u.NoQoS2:
		return &cli.Exit{Code: option.ExitLost, Err: u, Help: "use -q 1"}
	case undeliverable:
		return &cli.Exit{Code: option.ExitLost, Err: u, Help: "check the broker's access rules, and which messages it takes"}
	case !errors.As(err, &e):
		return err
	case c.NotReconnected(err):
		return c.connectError(bareError(err))
	case e.Reason.Failed() && e.Op != "connection":
		return cli.Failed(option.ExitDenied, err)
	case mqtt.Unsupported(err):
		return cli.Failed(option.ExitDenied, bareError(err))
	case e.Op == "publish" && errors.Is(err, mqtt.ErrInDoubt):
		return &cli.Exit{Code: option.ExitLost, Err: fmt.Errorf("message not acknowledged: %w", bareError(err)), Help: "it may have been delivered"}
	}
	return cli.Failed(option.ExitLost, bareError(err))
}

// NotReconnected reports whether err is that the broker refused a later connection.
func (c *Connection) NotReconnected(err error) bool {
	e, ok := bareError(err).(*mqtt.Error)
	return ok && e.Op == "connect" && e.Reason.Failed()
}

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

// Explain returns one line, with the remedy, for an error of a connection that a tool has
// made itself: a *mqtt.Error, a *transport.Error or mqtt.ErrNoAnswer.
func (c *Connection) Explain(err error) string {
	err = c.connectError(err)
	if hint := cli.HintOf(err); hint != "" {
		return fmt.Sprintf("%v (%s)", err, hint)
	}
	return err.Error()
}

// Disapproved reports whether a broker answered our DISCONNECT with an error about what we
// sent. A broker that shuts down or is busy does not blame us.
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

// lossOf describes the loss of a connection.
func (c *Connection) lossOf(err error) string {
	text := bareError(err).Error()
	if rest, ok := strings.CutPrefix(text, "connection "); ok { // lost, or closed by the broker
		return "connection to " + c.Broker() + " " + rest
	}
	return "connection to " + c.Broker() + " lost: " + text
}

// bareError removes the engine's prefixes from errors that are clear without them.
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

// connectError adds the exit code and the hint to the error of a failed first connection.
func (c *Connection) connectError(err error) error {
	var e *mqtt.Error
	if errors.As(err, &e) && e.Reason.Failed() {
		return c.refused(e)
	}
	if errors.Is(err, mqtt.ErrAuthentication) {
		return authError(err)
	}
	if errors.Is(err, mqtt.ErrNoAnswer) {
		t := c.Target()
		exit := &cli.Exit{Code: option.ExitUnreached, Err: reworded(mqtt.ErrNoAnswer, "%s closed the connection before CONNACK", t.Address())}
		switch {
		case c.Options.Version == packet.V5 || c.Options.Authenticate != nil: // the others were also tried with 3.1.1
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

// dialed returns err with the address that the user has set, if the engine only knows what
// it resolved to.
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

// otherVersion returns what to try if the broker does not speak this version.
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

// refused returns the error for a CONNACK that refuses the connection.
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
		case c.inv.Tool.Bit == option.Bench: // a scenario may set the version
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
	if e.Ref != "" && v.FollowReferences.Known() && !v.FollowReferences.On() {
		exit.Help = "--follow-references connects there"
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

// reworded returns err with a different text.
func reworded(err error, format string, args ...any) error {
	return &wording{fmt.Sprintf(format, args...), err}
}

type wording struct {
	text string
	err  error
}

func (w *wording) Error() string { return w.text }

func (w *wording) Unwrap() error { return w.err }

// OperationError adds the exit code to an error of a running client: 5 for a refusal, 7 for a
// connection that was lost or that the broker closed. A subscription that ends every
// connection counts as refused. A later connection that was refused or failed has the text
// and the code of a first one.
func (c *Connection) OperationError(err error) error {
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

// NotReconnected reports whether err means that the broker refused a later connection.
func (c *Connection) NotReconnected(err error) bool {
	e, ok := bareError(err).(*mqtt.Error)
	return ok && e.Op == "connect" && e.Reason.Failed()
}

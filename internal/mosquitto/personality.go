// Package mosquitto makes our tools imitate the mosquitto clients: their command lines,
// messages and exit codes.
package mosquitto

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// The version of the clients that are imitated.
const version = "2.1.2"

// Publishers returns the programs that the publishing tool can imitate.
func Publishers() []cli.Personality {
	return []cli.Personality{
		personality("mosquitto_pub", "mosquitto", pub, cli.CompatBehavior{NeedsInput: true}),
		personality("mosquitto_rr", "mosquitto_rr", rr, cli.CompatBehavior{NeedsInput: true, WillAtEnd: true, PlainRequest: true, PrettyFormat: true}),
	}
}

// Subscribers returns the programs that the subscribing tool can imitate.
func Subscribers() []cli.Personality {
	return []cli.Personality{personality("mosquitto_sub", "mosquitto", sub, cli.CompatBehavior{WillAtEnd: true, PrettyFormat: true})}
}

func personality(name, flag string, in client, habits cli.CompatBehavior) cli.Personality {
	return cli.Personality{
		Name: name, Flag: flag, CompatBehavior: habits,
		Read: func(line *cli.CommandLine) *cli.FixedOutput { return read(line, in, name) },
		Verdict: func(inv *cli.Invocation, err error, native int) (string, int) {
			return verdict(inv, in, err, native)
		},
		Trace: trace,
	}
}

// read parses the options file and the words.
func read(line *cli.CommandLine, in client, name string) *cli.FixedOutput {
	c := &config{client: in, line: line, table: option.Table(option.PubSub)}
	err := c.all(name)
	switch {
	case err == nil:
	case err.page == "--help":
		return &cli.FixedOutput{Out: help(line, in, name), Code: 1}
	case err.page == "--version":
		return &cli.FixedOutput{Out: versionLine(name) + "\n", Code: 1}
	default:
		text := "Error: " + safe([]byte(err.text)) + "\n"
		if !err.tight {
			text += "\n"
		}
		return &cli.FixedOutput{Err: text + "\nUse '" + line.Name + " --help' to see usage.\n", Code: 1}
	}
	switch {
	case in == pub && (!c.mode || c.topics == 0):
		return &cli.FixedOutput{Err: "Error: Both topic and message must be supplied.\n", Out: help(line, in, name), Code: 1}
	case in == rr && (!c.mode || c.topics == 0 || !c.has("response-topic")):
		return &cli.FixedOutput{Err: "Error: All of topic, message, and response topic must be supplied.\n\nUse '" + line.Name + " --help' to see usage.\n", Code: 1}
	case in == sub && c.has("skip-retained") && c.has("retained-only"):
		return &cli.FixedOutput{Err: "\nError: Combining '-R' and '--retained-only' makes no sense.\n", Code: 1}
	case c.has("id") && c.get("id") == "":
		return &cli.FixedOutput{Err: "Error: Invalid id.\n", Code: 1}
	}
	c.settle()
	return nil
}

// all parses everything, and then checks it.
func (c *config) all(name string) *failure {
	path, err := c.optionsFile(c.line.Args)
	if err != nil {
		return err
	}
	if path != "" {
		err = c.file(path, false)
	} else if path = defaultFile(name, c.line.Env.Variable); path != "" {
		err = c.file(path, true)
	}
	if err != nil {
		return err
	}
	if err := c.words(c.line.Args); err != nil {
		return err
	}
	return c.finish()
}

func versionLine(name string) string {
	return fmt.Sprintf("%s version %s, as mqtools %s plays it.", name, version, cli.Version())
}

// refusals are the programs' texts for the return codes of CONNACK before 5.0.
var refusals = [...]string{
	1: "unacceptable protocol version", 2: "identifier rejected", 3: "broker unavailable",
	4: "bad user name or password", 5: "not authorised",
}

// verdict converts our result to theirs.
func verdict(inv *cli.Invocation, in client, err error, native int) (line string, code int) {
	refused, isError := errors.AsType[*mqtt.Error](err)
	switch native {
	case option.ExitDone, option.ExitNothing: // all retained messages were seen
		return "", 0
	case option.ExitInterrupt, option.ExitTerminated:
		if in == sub { // before there was a connection
			return "", 255
		}
		return "", native
	case option.ExitHangup, option.ExitQuit, option.ExitPipe, option.ExitDenied:
		return "", native
	case option.ExitRefused:
		if !isError {
			break
		}
		if inv.Values.ProtocolVersion.Text() == "5" {
			return "Connection error: " + sentence(refused), int(refused.Reason)
		}
		code := int(refused.Reason.ReturnCode())
		return fmt.Sprintf("Connection error: Connection Refused: %s.", refusals[min(max(code, 1), len(refusals)-1)]), code
	case option.ExitTimeLimit:
		return "Timed out", option.ExitTimeLimit
	case option.ExitLost:
		if isError && refused.Op == "connection" && refused.Reason.Failed() && in == pub {
			return "", 4
		}
		return "", option.ExitLost
	case option.ExitUnreached:
		return "", unreached(err)
	}
	return "", 1
}

// unreached returns the exit code for a broker that was not reached.
func unreached(err error) int {
	e, ok := errors.AsType[*transport.Error](err)
	switch {
	case errors.Is(err, mqtt.ErrNoConnack):
		return 19
	case errors.Is(err, mqtt.ErrNoAnswer):
		return 7
	case !ok:
		return 1
	case e.Op == transport.OpWebSocket:
		return 13
	case e.Op == transport.OpProxy:
		return 16
	case e.Kind == transport.ClientCertificateMissing, e.Kind == transport.ClientCertificateRefused, e.Kind == transport.PeerAlert:
		return 7
	}
	return 1
}

// sentence returns the text of a reason code with its reason string.
func sentence(e *mqtt.Error) string {
	text := e.Reason.String()
	text = strings.ToUpper(text[:1]) + text[1:]
	if e.Reason == packet.UnsupportedProtocolVersion {
		text += ". Try connecting to an MQTT v5 broker, or use MQTT v3.x mode."
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

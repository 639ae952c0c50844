package script

import (
	"time"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Action is something that the client under test does: one of
//
//	connect      Packet is the *packet.Connect that comes of it
//	publish      Packet is a *packet.Publish
//	subscribe    Packet is a *packet.Subscribe
//	unsubscribe  Packet is a *packet.Unsubscribe
//	receive      takes the next message, which Check judges
//	ping         sends a PINGREQ and awaits the answer
//	disconnect   Packet is the *packet.Disconnect; the client ends
//	abort        ends the client without DISCONNECT
//	ended        awaits the end of the client
//	pause        lets Span pass
type Action struct {
	Verb   string
	Place  string // path:line:column
	Packet packet.Packet

	// Fails is how the action fails: "refused", "not sent", "in doubt", "kept",
	// "lost", or the name of a reason code; empty if it must not.
	Fails string

	Times int           // of publish: this many messages, one behind the other
	Async bool          // of publish: the acknowledgement is not awaited
	Span  time.Duration // of pause

	// Of connect: how the client is set up beyond CONNECT.
	Reconnect   time.Duration // the wait before each attempt to connect again; 0: none is made
	Fallback    bool          // 5.0 is tried, and 3.1.1 if that is not known
	SendAliases uint16        // topic aliases that it may use
	MaxInflight int           // unacknowledged messages at most; 0: its default

	fields []field // of receive
}

// String is the action in a word or two.
func (a *Action) String() string {
	if p, ok := a.Packet.(*packet.Publish); ok && a.Verb == "publish" {
		return a.Verb + " " + string(p.Topic)
	}
	return a.Verb
}

// failures are the words for Fails beside the names of reason codes.
var failures = [...]string{"refused", "not sent", "in doubt", "kept", "lost"}

// action reads one action: a verb, or a mapping of the verb to its fields.
func (p *parser) action(n *yamlfile.Node) (Action, error) {
	a := Action{Place: place(p.file.Path, n), Times: 1}
	if n.Kind == yamlfile.Scalar {
		switch n.Text {
		case "connect":
			return a, p.packetAction(&a, "connect", packet.CONNECT, &yamlfile.Node{Kind: yamlfile.Mapping, Line: n.Line, Column: n.Column})
		case "disconnect":
			a.Packet = &packet.Disconnect{}
		case "ping", "abort", "ended", "receive":
		default:
			return a, p.file.Invalid(n, "", "action", "e.g. connect, or a mapping")
		}
		a.Verb = n.Text
		return a, nil
	}
	if n.Kind != yamlfile.Mapping || len(n.Entries) == 0 {
		return a, p.want(n, "", "an action")
	}
	for i := range n.Entries {
		key, v := n.Entries[i].Key, n.Entries[i].Value
		var err error
		verb := key.Text
		typ := packet.Type(0)
		switch verb {
		case "fails":
			a.Fails, err = p.failure(v)
			if err != nil {
				return a, err
			}
			continue
		case "connect":
			typ = packet.CONNECT
		case "publish", "receive":
			typ = packet.PUBLISH
		case "subscribe":
			typ = packet.SUBSCRIBE
		case "unsubscribe":
			typ = packet.UNSUBSCRIBE
		case "disconnect":
			typ = packet.DISCONNECT
		case "ping", "abort", "ended", "pause":
		default:
			return a, p.file.UnknownKey(key)
		}
		if a.Verb != "" {
			return a, p.errorf(key, "%s and %s are two actions", a.Verb, verb)
		}
		a.Verb = verb
		switch {
		case verb == "pause":
			a.Span, err = p.duration(v, verb)
		case typ == 0 && !(v.Kind == yamlfile.Scalar && v.Null):
			err = p.errorf(v, "%s takes no value", verb)
		case typ == 0:
		case v.Kind == yamlfile.Scalar && v.Null:
			err = p.packetAction(&a, verb, typ, &yamlfile.Node{Kind: yamlfile.Mapping, Line: v.Line, Column: v.Column})
		case v.Kind != yamlfile.Mapping:
			err = p.want(v, verb, "a mapping of fields")
		default:
			err = p.packetAction(&a, verb, typ, v)
		}
		if err != nil {
			return a, err
		}
	}
	if a.Verb == "" {
		return a, p.errorf(n, "an action without a verb")
	}
	return a, nil
}

func (p *parser) failure(n *yamlfile.Node) (string, error) {
	for _, f := range failures {
		if n.Text == f {
			return f, nil
		}
	}
	if _, ok := reasonByName(n.Text); ok {
		return n.Text, nil
	}
	return "", p.invalid(n, "fails", units.OrList(append(failures[:], "the name of a reason code")...))
}

// packetAction reads the fields of an action that is about a packet.
func (p *parser) packetAction(a *Action, verb string, typ packet.Type, n *yamlfile.Node) (err error) {
	a.Verb = verb
	r := fieldReader{p: p, typ: typ, send: verb != "receive"}
	for i := range n.Entries {
		e := &n.Entries[i]
		switch key := verb + " " + e.Key.Text; key {
		case "publish times":
			a.Times, err = p.count(e.Value, maxRounds)
		case "publish wait":
			if e.Value.Text != "false" {
				return p.invalid(e.Value, "wait", "false")
			}
			a.Async = true
		case "connect reconnect":
			a.Reconnect, err = p.duration(e.Value, e.Key.Text)
		case "connect fallback":
			if e.Value.Text != "true" {
				return p.invalid(e.Value, "fallback", "true")
			}
			a.Fallback = true
		case "connect send-aliases":
			var k int
			k, err = p.count(e.Value, 65535)
			a.SendAliases = uint16(k)
		case "connect max-inflight":
			a.MaxInflight, err = p.count(e.Value, 65535)
		default:
			err = r.one(e)
		}
		if err != nil {
			return err
		}
	}
	for i := range r.out {
		if r.out[i].ref != "" {
			return p.errorf(r.out[i].node, "an action has no variables")
		}
	}
	if verb == "receive" {
		a.fields = r.out
		return nil
	}
	b := builder{fields: r.out}
	if _, has := b.get("clean"); typ == packet.CONNECT && !has {
		b.fields = append(b.fields, field{name: "clean", vals: []value{{kind: kindBool, n: 1}}})
	}
	if a.Packet = b.packet(typ); b.err != nil {
		return p.errorf(n, "%v", b.err)
	}
	return nil
}

// Check judges a message that the client under test has received: nil if it is
// as the action says. Its packet identifier is not looked at.
func (a *Action) Check(m *packet.Publish) error {
	var d decoder
	d.publish(m)
	if diff := compare(a.fields, d.out, map[string]value{}); len(diff) > 0 {
		return &Failure{Place: a.Place, Step: a.Verb, Text: "another message", Diff: diff}
	}
	return nil
}

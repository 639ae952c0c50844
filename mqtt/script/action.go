package script

import (
	"maps"
	"slices"
	"time"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Action is something that the client under test does. Its verb is one of:
//
//	connect      Packet is the *packet.Connect that the client sends
//	publish      Packet is a *packet.Publish
//	subscribe    Packet is a *packet.Subscribe
//	unsubscribe  Packet is a *packet.Unsubscribe
//	receive      take the next message, and pass it to Check
//	ping         send a PINGREQ and wait for the response
//	disconnect   Packet is the *packet.Disconnect; the client stops
//	abort        stop the client without DISCONNECT
//	ended        wait until the client has stopped
//	pause        wait for Span
type Action struct {
	Verb   string
	Place  string // path:line:column
	Packet packet.Packet

	// Fails is how the action must fail: "refused", "not sent", "in doubt", "kept", "lost", or the
	// name of a reason code; empty if it must succeed.
	Fails string

	Times int           // of publish: number of messages, one after another
	Async bool          // of publish: don't wait for the acknowledgment
	Span  time.Duration // of pause

	// Settings of connect beyond CONNECT.
	Reconnect   time.Duration // wait before each attempt to reconnect; 0: make none
	Fallback    bool          // try 5.0, then 3.1.1 if the broker does not know 5.0
	SendAliases uint16        // topic aliases that the client may use
	MaxInflight int           // most unacknowledged messages; 0: the default of the client

	fields []field // of receive
}

// String returns the action in a word or two.
func (a *Action) String() string {
	if p, ok := a.Packet.(*packet.Publish); ok && a.Verb == "publish" {
		return a.Verb + " " + string(p.Topic)
	}
	return a.Verb
}

// failures are the words for Fails other than the names of reason codes.
var failures = [...]string{"refused", "not sent", "in doubt", "kept", "lost"}

// actions maps the verbs to the packets that their fields describe, 0 for none.
var actions = map[string]packet.Type{
	"connect": packet.CONNECT, "publish": packet.PUBLISH, "receive": packet.PUBLISH, "subscribe": packet.SUBSCRIBE,
	"unsubscribe": packet.UNSUBSCRIBE, "disconnect": packet.DISCONNECT, "ping": 0, "abort": 0, "ended": 0, "pause": 0,
}

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
		if verb == "fails" {
			if a.Fails, err = p.failure(v); err != nil {
				return a, err
			}
			continue
		}
		typ, known := actions[verb]
		if !known {
			return a, p.file.UnknownKey(key, append(slices.Sorted(maps.Keys(actions)), "fails")...)
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

// extras returns the keys of an action that are not fields of its packet.
func (p *parser) extras(a *Action) yamlfile.Schema {
	switch a.Verb {
	case "publish":
		return yamlfile.Schema{
			numeral(p, "times", &a.Times, 1, maxRounds, "number of messages (default 1)"),
			p.switched("wait", "false", &a.Async, "don't wait for the acknowledgment"),
		}
	case "connect":
		return yamlfile.Schema{
			p.span("reconnect", &a.Reconnect, "wait before each attempt to reconnect; without it none is made"),
			p.switched("fallback", "true", &a.Fallback, "use MQTT 3.1.1 where 5.0 is not known"),
			numeral(p, "send-aliases", &a.SendAliases, 1, 65535, "topic aliases that the client may use"),
			numeral(p, "max-inflight", &a.MaxInflight, 1, 65535, "most unacknowledged messages"),
		}
	}
	return nil
}

// packetAction reads the fields of an action with a packet.
func (p *parser) packetAction(a *Action, verb string, typ packet.Type, n *yamlfile.Node) (err error) {
	a.Verb = verb
	extras := p.extras(a)
	r := fieldReader{p: p, typ: typ, send: verb != "receive", also: extras.Keys()}
	for i := range n.Entries {
		e := &n.Entries[i]
		if x := extras.Find(e.Key.Text); x != nil {
			err = x.Read(p.file, e.Value)
		} else {
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

// Check compares a message that the client under test has received with the action. It returns nil
// if they agree, and otherwise a *Failure. It ignores the packet identifier.
func (a *Action) Check(m *packet.Publish) error {
	var d decoder
	d.publish(m)
	if diff := compare(a.fields, d.out, map[string]value{}); len(diff) > 0 {
		return &Failure{Place: a.Place, Step: a.Verb, Text: "another message", Diff: diff}
	}
	return nil
}

package script

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// maxRounds bounds how often a repeat goes round.
const maxRounds = 100_000

// Read reads the script in a file. The error of a file that cannot be read is
// the system's; what is wrong with a script is told as path:line:column:
// message.
func Read(path string) (*Script, error) {
	f, err := yamlfile.Read(path)
	if err != nil {
		return nil, err
	}
	return parse(f)
}

// Parse reads the text of a script; path is for errors.
func Parse(path string, data []byte) (*Script, error) {
	f, err := yamlfile.Parse(path, data)
	if err != nil {
		return nil, err
	}
	return parse(f)
}

type parser struct {
	file   *yamlfile.File
	script *Script
	root   *yamlfile.Node
}

func parse(f *yamlfile.File) (*Script, error) {
	p := &parser{file: f, root: f.Root, script: &Script{Path: f.Path, Shows: map[packet.Version][]string{}, Breaks: map[packet.Version][]string{}, Needs: Needs{MaximumQoS: -1}}}
	if err := p.known(f.Root, "name", "role", "version", "shows", "breaks", "section", "needs", "actions", "command", "exit", "transport", "known-failure", "steps", "connections"); err != nil {
		return nil, err
	}
	for _, part := range []func() error{p.header, p.statements, p.needs, p.task, p.play} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	for _, v := range p.script.Versions {
		if err := p.check(v); err != nil {
			return nil, err
		}
	}
	return p.script, nil
}

func (p *parser) errorf(n *yamlfile.Node, format string, args ...any) error {
	return p.file.Errorf(n, format, args...)
}

// known refuses keys that have no meaning.
func (p *parser) known(n *yamlfile.Node, keys ...string) error {
	for i := range n.Entries {
		if k := n.Entries[i].Key; !slices.Contains(keys, k.Text) {
			return p.file.UnknownKey(k, keys...)
		}
	}
	return nil
}

// want is the error of a node of another kind than is wanted.
func (p *parser) want(n *yamlfile.Node, name, want string) error { return p.file.Want(n, name, want) }

// invalid is the error of a value that is none of those wanted.
func (p *parser) invalid(n *yamlfile.Node, name, want string, args ...any) error {
	return p.file.Invalid(n, name, "value", fmt.Sprintf("want "+want, args...))
}

// word reads a text that is not empty.
func (p *parser) word(n *yamlfile.Node, what string) (string, error) {
	if n.Kind != yamlfile.Scalar || n.Text == "" || n.Null {
		return "", p.want(n, what, "a text")
	}
	return n.Text, nil
}

func (p *parser) count(n *yamlfile.Node, most int) (int, error) {
	u, ok := parseNumber(n.Text)
	if n.Kind != yamlfile.Scalar || !ok || u < 1 || u > uint64(most) {
		return 0, p.file.Invalid(n, "", "value", units.WantNumber(1, int64(most)))
	}
	return int(u), nil
}

// wantVersion says which versions there are.
const wantVersion = "3.1, 3.1.1 or 5.0"

// duration reads 250ms, 1.5s, 2m or 24h.
func (p *parser) duration(n *yamlfile.Node, what string) (time.Duration, error) {
	d, err := time.ParseDuration(n.Text)
	if n.Kind != yamlfile.Scalar || err != nil || d <= 0 || d > math.MaxInt64/4 {
		return 0, p.file.Invalid(n, what, "duration", "e.g. 250ms, 1.5s, 2m")
	}
	return d, nil
}

func (p *parser) versions(n *yamlfile.Node) ([]packet.Version, error) {
	var all []packet.Version
	for _, item := range n.AsList() {
		v, ok := packet.ParseVersion(item.Text)
		if !ok {
			return nil, p.invalid(item, "version", wantVersion)
		}
		if slices.Contains(all, v) {
			return nil, p.errorf(item, "%s is there twice", v)
		}
		all = append(all, v)
	}
	if len(all) == 0 {
		return nil, p.errorf(n, "no version")
	}
	return all, nil
}

func (p *parser) header() (err error) {
	s := p.script
	for _, key := range [...]string{"name", "role", "version"} {
		if p.root.Get(key) == nil {
			return p.errorf(p.root, "%s is missing", key)
		}
	}
	if s.Name, err = p.word(p.root.Get("name").Value, "name"); err != nil {
		return err
	}
	role := p.root.Get("role").Value
	switch role.Text {
	case "broker":
	case "client":
		s.Role = Client
	default:
		return p.invalid(role, "role", "broker or client")
	}
	if s.Versions, err = p.versions(p.root.Get("version").Value); err != nil {
		return err
	}
	if e := p.root.Get("known-failure"); e != nil {
		if s.KnownFailure, err = p.word(e.Value, "known-failure"); err != nil {
			return err
		}
	}
	if e := p.root.Get("transport"); e != nil {
		if e.Value.Text != "websocket" {
			return p.invalid(e.Value, "transport", "websocket")
		}
		s.WebSocket = true
	}
	return nil
}

// statements reads what the script shows, and what it breaks to do so.
func (p *parser) statements() error {
	if e := p.root.Get("section"); e != nil {
		var err error
		if p.script.Section, err = p.word(e.Value, "section"); err != nil {
			return err
		}
	}
	if err := p.lists("shows", p.script.Shows); err != nil {
		return err
	}
	return p.lists("breaks", p.script.Breaks)
}

// lists reads a list of statements, or one for each version.
func (p *parser) lists(key string, into map[packet.Version][]string) error {
	e := p.root.Get(key)
	if e == nil {
		return nil
	}
	if e.Value.Kind == yamlfile.Mapping {
		for i := range e.Value.Entries {
			sub := &e.Value.Entries[i]
			v, ok := packet.ParseVersion(sub.Key.Text)
			if !ok || !slices.Contains(p.script.Versions, v) {
				return p.invalid(sub.Key, key, "one of the script's versions")
			}
			list, err := p.list(sub.Value)
			if err != nil {
				return err
			}
			into[v] = list
		}
		return nil
	}
	list, err := p.list(e.Value)
	for _, v := range p.script.Versions {
		into[v] = list
	}
	return err
}

func (p *parser) list(n *yamlfile.Node) (all []string, err error) {
	if n.Kind != yamlfile.List {
		return nil, p.want(n, "", "a list of statements, such as [MQTT-3.3.1-2]")
	}
	for _, item := range n.Items {
		if !strings.HasPrefix(item.Text, "MQTT-") || strings.Count(item.Text, "-") != 2 {
			return nil, p.file.Invalid(item, "", "statement", "e.g. MQTT-3.3.1-2")
		}
		all = append(all, item.Text)
	}
	return all, nil
}

func (p *parser) needs() error {
	e := p.root.Get("needs")
	if e == nil {
		return nil
	}
	if p.script.Role != Client {
		return p.errorf(e.Key, "needs are those of a broker under test, and this script plays one")
	}
	n := &p.script.Needs
	for i := range e.Value.Entries {
		key, v := e.Value.Entries[i].Key, e.Value.Entries[i].Value
		var err error
		number := func(most int) (k int) {
			if v.Text == "0" && key.Text == "maximum-qos" {
				return 0
			}
			k, err = p.count(v, most)
			return k
		}
		switch key.Text {
		case "maximum-qos":
			n.MaximumQoS = number(1)
		case "receive-maximum":
			n.ReceiveMaximum = uint16(number(65535))
		case "topic-alias-maximum":
			n.TopicAliasMaximum = uint16(number(65535))
		case "maximum-packet-size":
			n.MaximumPacketSize = number(packet.MaxRemainingLength)
		case "clients":
			n.MaximumClients = number(65535)
		case "keep-alive":
			n.MaximumKeepAlive, err = p.duration(v, key.Text)
		case "session-expiry":
			n.MaximumExpiry, err = p.duration(v, key.Text)
		case "retain", "shared", "wildcards":
			if v.Text != "false" {
				return p.invalid(v, key.Text, "false")
			}
			n.NoRetain = n.NoRetain || key.Text == "retain"
			n.NoShared = n.NoShared || key.Text == "shared"
			n.NoWildcards = n.NoWildcards || key.Text == "wildcards"
		case "username":
			n.Username, err = p.word(v, key.Text)
		case "password":
			n.Password, err = p.word(v, key.Text)
		case "deny":
			n.Deny, err = p.word(v, key.Text)
		case "refuse-client-id":
			n.RefuseClientID, err = p.word(v, key.Text)
		default:
			return p.file.UnknownKey(key)
		}
		if err != nil {
			return err
		}
		if i > 0 {
			n.Text += ", "
		}
		n.Text += key.Text + ": " + v.Text
	}
	return nil
}

// task reads what a client under test has to do.
func (p *parser) task() error {
	actions, command, exit := p.root.Get("actions"), p.root.Get("command"), p.root.Get("exit")
	for _, e := range [...]*yamlfile.Entry{actions, command, exit} {
		if e != nil && p.script.Role != Broker {
			return p.errorf(e.Key, "%s is for clients under test, and this script plays clients", e.Key.Text)
		}
	}
	if exit != nil {
		if command == nil {
			return p.errorf(exit.Key, "exit is the status of a command, and there is none")
		}
		code, ok := parseNumber(exit.Value.Text)
		if !ok || code > 255 {
			return p.file.Invalid(exit.Value, "exit", "value", units.WantNumber(0, 255))
		}
		p.script.Exit = int(code)
	}
	if command != nil {
		if actions != nil {
			return p.errorf(command.Key, "command and actions cannot be used together")
		}
		line, err := p.word(command.Value, "command")
		if err != nil {
			return err
		}
		if p.script.Command = splitWords(line); len(p.script.Command) == 0 {
			return p.errorf(command.Value, "command is empty")
		}
	}
	if actions == nil {
		return nil
	}
	if actions.Value.Kind != yamlfile.List {
		return p.want(actions.Value, "actions", "a list")
	}
	for _, item := range actions.Value.Items {
		a, err := p.action(item)
		if err != nil {
			return err
		}
		p.script.Actions = append(p.script.Actions, a)
	}
	return nil
}

// splitWords splits a command line at blanks; single quotes keep them.
func splitWords(s string) (words []string) {
	word, has, quoted := "", false, false
	for _, c := range s {
		switch {
		case c == '\'':
			quoted, has = !quoted, true
		case c == ' ' && !quoted:
			if has {
				words = append(words, word)
			}
			word, has = "", false
		default:
			word, has = word+string(c), true
		}
	}
	if has {
		words = append(words, word)
	}
	return words
}

// play reads the conversation.
func (p *parser) play() error {
	steps, connections := p.root.Get("steps"), p.root.Get("connections")
	switch {
	case steps == nil && connections == nil:
		return p.errorf(p.root, "steps or connections are missing")
	case steps != nil && connections != nil:
		return p.errorf(connections.Key, "steps and connections cannot be used together")
	case steps != nil:
		list, err := p.steps(steps.Value)
		if err != nil {
			return err
		}
		p.script.scenes = []scene{{"a", list}}
		return nil
	case connections.Value.Kind != yamlfile.List || len(connections.Value.Items) == 0:
		return p.errorf(connections.Value, "connections: want a list of 'NAME: steps', not an empty one")
	}
	for _, item := range connections.Value.Items {
		if item.Kind != yamlfile.Mapping || len(item.Entries) != 1 {
			return p.errorf(item, "want one 'NAME: steps'")
		}
		name := item.Entries[0].Key
		if !isName(name.Text) {
			return p.file.Invalid(name, "", "name", "want lower-case letters, digits and hyphens")
		}
		list, err := p.steps(item.Entries[0].Value)
		if err != nil {
			return err
		}
		p.script.scenes = append(p.script.scenes, scene{name.Text, list})
	}
	return nil
}

func (p *parser) steps(n *yamlfile.Node) ([]step, error) {
	if n.Kind != yamlfile.List || len(n.Items) == 0 {
		return nil, p.errorf(n, "want a list of steps, not an empty one")
	}
	list := make([]step, 0, len(n.Items))
	for _, item := range n.Items {
		s, err := p.step(item)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

var verbs = [...]struct {
	word string
	verb verb
}{
	{"expect", verbExpect}, {"expect-raw", verbExpectRaw}, {"expect-head", verbExpectHead}, {"expect-close", verbExpectClose},
	{"send", verbSend}, {"raw", verbRaw}, {"pause", verbPause}, {"silence", verbSilence},
	{"fault", verbFault}, {"close", verbClose}, {"any-order", verbAnyOrder}, {"repeat", verbRepeat},
	{"distinct", verbDistinct},
}

func verbOf(word string) verb {
	for _, v := range verbs {
		if v.word == word {
			return v.verb
		}
	}
	return 0
}

// step reads one step: a mapping whose one verb says what it does, or the verb
// alone.
func (p *parser) step(n *yamlfile.Node) (step, error) {
	s := step{node: n, fault: fault{}}
	var what *yamlfile.Node
	if n.Kind == yamlfile.Scalar {
		s.verb, s.text = verbOf(n.Text), n.Text
		if s.verb != verbClose && s.verb != verbExpectClose {
			return s, p.file.Invalid(n, "", "step", "want a mapping, close or expect-close")
		}
		return s, nil
	}
	if n.Kind != yamlfile.Mapping {
		return s, p.want(n, "", "a step")
	}
	for i := range n.Entries {
		e := &n.Entries[i]
		v := verbOf(e.Key.Text)
		if v == 0 {
			continue
		}
		if s.verb != 0 {
			return s, p.errorf(e.Key, "%s and %s are two steps", s.text, e.Key.Text)
		}
		s.verb, s.text, what = v, e.Key.Text, e.Value
	}
	if s.verb == 0 {
		return s, p.errorf(n, "a step without a verb: expect, send, raw, pause, silence, fault, close, expect-close, ...")
	}
	var err error
	switch s.verb {
	case verbExpect, verbSend:
		var ok bool
		if s.typ, ok = typeByName(what.Text); !ok || what.Kind != yamlfile.Scalar {
			return s, p.file.Invalid(what, s.text, "packet", "e.g. PUBLISH")
		}
		s.text += " " + s.typ.String()
	case verbExpectRaw, verbRaw:
		s.raw, err = p.raw(what)
	case verbExpectHead:
		s.status, err = p.count(what, 999)
	case verbPause, verbSilence:
		s.span, err = p.duration(what, s.text)
	case verbFault:
		s.fault, err = p.fault(what)
	case verbClose, verbExpectClose:
		if what.Kind != yamlfile.Scalar || !what.Null {
			return s, p.errorf(what, "%s takes no value", s.text)
		}
	case verbAnyOrder:
		s.steps, err = p.steps(what)
		for i := range s.steps {
			if err == nil && (s.steps[i].verb != verbExpect || s.steps[i].optional || s.steps[i].should || s.steps[i].within != 0) {
				err = p.errorf(s.steps[i].node, "in any-order stands nothing but plain expect")
			}
		}
	case verbDistinct:
		s.refs, err = p.variables(what)
	case verbRepeat:
		if s.times, err = p.count(what, maxRounds); err == nil {
			if e := n.Get("steps"); e != nil {
				s.steps, err = p.steps(e.Value)
			} else {
				err = p.errorf(n, "repeat without steps")
			}
		}
	}
	if err != nil {
		return s, err
	}
	return s, p.rest(n, &s)
}

// variables reads a list of two or more.
func (p *parser) variables(n *yamlfile.Node) (names []string, err error) {
	if n.Kind != yamlfile.List || len(n.Items) < 2 {
		return nil, p.errorf(n, "distinct: want a list of two variables or more, such as [<a>, <b>]")
	}
	for _, item := range n.Items {
		name, ok := variable(item)
		if !ok {
			return nil, p.want(item, "distinct", "a variable, such as <a>")
		}
		names = append(names, name)
	}
	return names, nil
}

// rest reads what stands beside the verb: the fields of a packet, and
// modifiers.
func (p *parser) rest(n *yamlfile.Node, s *step) (err error) {
	r := fieldReader{p: p, typ: s.typ, send: s.verb == verbSend}
	waits := s.verb == verbExpect || s.verb == verbExpectRaw || s.verb == verbExpectHead || s.verb == verbExpectClose || s.verb == verbAnyOrder
	for i := range n.Entries {
		e := &n.Entries[i]
		switch key := e.Key.Text; {
		case verbOf(key) != 0, key == "steps" && s.verb == verbRepeat:
		case key == "only":
			if s.only, err = p.versions(e.Value); err != nil {
				return err
			}
			for _, v := range s.only {
				if !slices.Contains(p.script.Versions, v) {
					return p.invalid(e.Value, "only", "versions of the script")
				}
			}
		case key == "within" && waits:
			if s.within, err = p.duration(e.Value, key); err != nil {
				return err
			}
		case (key == "optional" || key == "should") && s.verb == verbExpect:
			if !e.Value.Bool || e.Value.Text != "true" || s.optional || s.should {
				return p.errorf(e.Value, "%s: want true, and optional and should cannot be used together", key)
			}
			s.optional, s.should = key == "optional", key == "should"
		case s.typ != 0:
			if err := r.one(e); err != nil {
				return err
			}
		default:
			return p.file.UnknownKey(e.Key)
		}
	}
	s.fields = r.out
	if len(s.only) == 0 && s.typ == packet.AUTH {
		for _, v := range p.script.Versions {
			if v < packet.V5 && s.verb == verbExpect {
				return p.errorf(n, "AUTH needs MQTT 5.0")
			}
		}
	}
	return nil
}

// fault reads a fault: a word, or one or two of its parameters.
func (p *parser) fault(n *yamlfile.Node) (fault, error) {
	f := noFault
	if n.Kind == yamlfile.Scalar {
		switch n.Text {
		case "none":
			f.none = true
		case "duplicate":
			f.duplicate = true
		case "half-close":
			f.halfClose = true
		case "reset":
			f.reset = true
		case "refuse":
			if p.script.Role != Broker {
				return f, p.errorf(n, "refuse is for who accepts connections, and this script makes them")
			}
			f.refuse = true
		default:
			return f, p.invalid(n, "fault", "duplicate, half-close, reset, refuse or none, or a mapping")
		}
		return f, nil
	}
	if n.Kind != yamlfile.Mapping || len(n.Entries) == 0 {
		return f, p.want(n, "fault", "a word or a mapping")
	}
	for i := range n.Entries {
		key, v := n.Entries[i].Key, n.Entries[i].Value
		var err error
		switch key.Text {
		case "delay":
			f.delay, err = p.duration(v, key.Text)
		case "stall":
			f.stall, err = p.duration(v, key.Text)
		case "split":
			f.split, err = p.count(v, maxRaw)
		case "truncate", "corrupt":
			u, ok := parseNumber(v.Text)
			if !ok || u > maxRaw {
				err = p.invalid(v, key.Text, "a number of bytes up to %d", maxRaw)
			}
			if key.Text == "truncate" {
				f.truncate = int(u)
			} else {
				f.corrupt = int(u)
			}
		default:
			err = p.file.UnknownKey(key)
		}
		if err != nil {
			return f, err
		}
	}
	if len(n.Entries) > 1 && (f.delay == 0 || f.split == 0 || len(n.Entries) > 2) {
		return f, p.errorf(n, "fault: only delay and split can be used together")
	}
	return f, nil
}

package script

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// maxRounds is the most rounds of a repeat.
const maxRounds = 100_000

// Read reads the script in a file. It returns the error of the system if the file cannot be read;
// an error in the script begins with path:line:column.
func Read(path string) (*Script, error) {
	f, err := yamlfile.Read(path)
	if err != nil {
		return nil, err
	}
	return parse(f)
}

// Parse parses the text of a script. path is for errors.
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
	if err := p.head().Read(f, f.Root, ""); err != nil {
		return nil, err
	}
	for _, part := range []func() error{p.statements, p.needs, p.task, p.play} {
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

// known returns an error for a key that is not one of keys.
func (p *parser) known(n *yamlfile.Node, keys ...string) error {
	for i := range n.Entries {
		if k := n.Entries[i].Key; !slices.Contains(keys, k.Text) {
			return p.file.UnknownKey(k, keys...)
		}
	}
	return nil
}

// want returns the error of a node of the wrong kind.
func (p *parser) want(n *yamlfile.Node, name, want string) error { return p.file.Want(n, name, want) }

// invalid returns the error of a value that is not valid.
func (p *parser) invalid(n *yamlfile.Node, name, want string) error {
	return p.file.Invalid(n, name, "value", "want "+want)
}

// word reads a text that is not empty.
func (p *parser) word(n *yamlfile.Node, what string) (string, error) {
	if n.Kind != yamlfile.Scalar || n.Text == "" || n.Null {
		return "", p.want(n, what, "a text")
	}
	return n.Text, nil
}

// number reads a whole number, which may be hexadecimal, from least to most.
func (p *parser) number(n *yamlfile.Node, name string, least, most int) (int, error) {
	u, ok := parseNumber(n.Text)
	if n.Kind != yamlfile.Scalar || !ok || u < uint64(least) || u > uint64(most) {
		return 0, p.file.Invalid(n, name, "value", units.WantNumber(int64(least), int64(most)))
	}
	return int(u), nil
}

// wantVersion lists the versions, for errors.
const wantVersion = "3.1, 3.1.1 or 5.0"

// maxSpan is the longest duration: no sum of a few overflows.
const maxSpan = math.MaxInt64 / 4

// duration reads a duration above 0, and also what time.ParseDuration accepts beyond
// units.Duration: +5s and .5s.
func (p *parser) duration(n *yamlfile.Node, name string) (time.Duration, error) {
	d, err := p.file.Duration(n, name, 1, maxSpan)
	if other, no := time.ParseDuration(n.Text); err != nil && no == nil && n.Kind == yamlfile.Scalar && other > 0 && other <= maxSpan {
		return other, nil
	}
	return d, err
}

// span returns the field of a duration.
func (p *parser) span(key string, d *time.Duration, doc string) yamlfile.Field {
	return yamlfile.Var(key, "DURATION", d, func(n *yamlfile.Node) (time.Duration, error) { return p.duration(n, key) }, doc)
}

// numeral returns the field of a whole number from least to most.
func numeral[T int | uint16](p *parser, key string, to *T, least, most int, doc string) yamlfile.Field {
	return yamlfile.Var(key, "N", to, func(n *yamlfile.Node) (T, error) {
		v, err := p.number(n, key, least, most)
		return T(v), err
	}, doc)
}

// words returns the field of a text that is not empty.
func (p *parser) words(key string, to *string, doc string) yamlfile.Field {
	return yamlfile.Var(key, "TEXT", to, func(n *yamlfile.Node) (string, error) { return p.word(n, key) }, doc)
}

// switched returns the field of a switch that only has the value word.
func (p *parser) switched(key, word string, to *bool, doc string) yamlfile.Field {
	return yamlfile.Var(key, word, to, func(n *yamlfile.Node) (bool, error) {
		_, err := p.file.Word(n, key, word)
		return true, err
	}, doc)
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

// head returns the keys of a script. Those that depend on others are read later.
func (p *parser) head() yamlfile.Schema {
	s := p.script
	later := func(key, doc string) yamlfile.Field {
		return yamlfile.Func(key, "", func(*yamlfile.Node) error { return nil }, doc)
	}
	return yamlfile.Schema{
		p.words("name", &s.Name, "what the script is about").Needed(),
		yamlfile.Word("role", &s.Role, []string{"broker", "client"}, "the side that the script plays").Needed(),
		yamlfile.Var("version", "VERSION", &s.Versions, p.versions, "version of MQTT, or list of versions").Needed(),
		later("shows", "statements that the script shows, as a list, or as a mapping of versions to lists"),
		later("breaks", "statements that the script breaks itself"),
		p.words("section", &s.Section, "section of the specification"),
		later("needs", "settings of the broker under test"),
		later("actions", "what the client under test does"),
		later("command", "command line that does the same"),
		later("exit", "exit status of the command (default 0)"),
		p.switched("transport", "websocket", &s.WebSocket, "play the HTTP upgrade and WebSocket frames below MQTT"),
		p.words("known-failure", &s.KnownFailure, "why this module's engine fails the script"),
		later("steps", "steps of the only connection"),
		later("connections", "list of connections and their steps"),
	}
}

// statements reads which statements the script shows, and which it breaks to do so.
func (p *parser) statements() error {
	if err := p.lists("shows", p.script.Shows); err != nil {
		return err
	}
	return p.lists("breaks", p.script.Breaks)
}

// lists reads a list of statements for all versions, or a mapping of versions to lists.
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
			list, err := p.list(sub.Value, key)
			if err != nil {
				return err
			}
			into[v] = list
		}
		return nil
	}
	list, err := p.list(e.Value, key)
	for _, v := range p.script.Versions {
		into[v] = list
	}
	return err
}

func (p *parser) list(n *yamlfile.Node, name string) (all []string, err error) {
	if n.Kind != yamlfile.List {
		return nil, p.want(n, name, "a list of statements, such as [MQTT-3.3.1-2]")
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
	if e.Value.Null {
		return nil
	}
	n := &p.script.Needs
	if err := p.settings(n).Read(p.file, e.Value, "needs"); err != nil {
		return err
	}
	texts := make([]string, len(e.Value.Entries))
	for i, x := range e.Value.Entries {
		texts[i] = x.Key.Text + ": " + x.Value.Text
	}
	n.Text = strings.Join(texts, ", ")
	return nil
}

// settings returns the keys of needs.
func (p *parser) settings(n *Needs) yamlfile.Schema {
	return yamlfile.Schema{
		numeral(p, "maximum-qos", &n.MaximumQoS, 0, 1, "highest QoS that the broker grants"),
		numeral(p, "receive-maximum", &n.ReceiveMaximum, 1, 65535, "receive maximum of the broker"),
		numeral(p, "topic-alias-maximum", &n.TopicAliasMaximum, 1, 65535, "topic alias maximum of the broker"),
		numeral(p, "maximum-packet-size", &n.MaximumPacketSize, 1, packet.MaxRemainingLength, "largest packet in bytes"),
		numeral(p, "clients", &n.MaximumClients, 1, 65535, "most connections at a time"),
		p.span("keep-alive", &n.MaximumKeepAlive, "longest keep-alive interval"),
		p.span("session-expiry", &n.MaximumExpiry, "longest session expiry interval"),
		p.switched("retain", "false", &n.NoRetain, "no retained messages"),
		p.switched("shared", "false", &n.NoShared, "no shared subscriptions"),
		p.switched("wildcards", "false", &n.NoWildcards, "no wildcards in topic filters"),
		p.words("username", &n.Username, "the only user"),
		p.words("password", &n.Password, "the user's password"),
		p.words("deny", &n.Deny, "topic name or filter that every client is denied"),
		p.words("refuse-client-id", &n.RefuseClientID, "client ID that the broker refuses"),
	}
}

// task reads what a client under test must do.
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
		var err error
		if p.script.Exit, err = p.number(exit.Value, "exit", 0, 255); err != nil {
			return err
		}
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

// splitWords splits a command line at spaces. A text in single quotes may have spaces.
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
		return p.want(connections.Value, "connections", "a list of 'NAME: steps'")
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
		return nil, p.want(n, "", "a list of steps")
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

// step reads one step: a mapping that has exactly one verb, or the verb alone.
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
		s.status, err = p.number(what, s.text, 1, 999)
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
		if s.times, err = p.number(what, s.text, 1, maxRounds); err == nil {
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

// variables reads a list of at least two variables.
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

// rest reads the other keys of a step: the fields of a packet, and modifiers.
func (p *parser) rest(n *yamlfile.Node, s *step) (err error) {
	r := fieldReader{p: p, typ: s.typ, send: s.verb == verbSend}
	if r.also = []string{"only"}; s.verb == verbExpect {
		r.also = append(r.also, "optional", "should")
	}
	waits := s.verb == verbExpect || s.verb == verbExpectRaw || s.verb == verbExpectHead || s.verb == verbExpectClose || s.verb == verbAnyOrder
	if waits {
		r.also = append(r.also, "within")
	}
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
			return p.file.UnknownKey(e.Key, r.also...)
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

// fault reads a fault: a word, or a mapping of one or two parameters.
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
	if err := p.disturbances(&f).Read(p.file, n, "fault"); err != nil {
		return f, err
	}
	if len(n.Entries) > 1 && (f.delay == 0 || f.split == 0 || len(n.Entries) > 2) {
		return f, p.errorf(n, "fault: only delay and split can be used together")
	}
	return f, nil
}

// disturbances returns the keys of a fault that is a mapping.
func (p *parser) disturbances(f *fault) yamlfile.Schema {
	return yamlfile.Schema{
		p.span("delay", &f.delay, "wait before every write"),
		p.span("stall", &f.stall, "read nothing for this long"),
		numeral(p, "split", &f.split, 1, maxRaw, "most bytes of a write"),
		numeral(p, "truncate", &f.truncate, 0, maxRaw, "bytes to keep of the next packet"),
		numeral(p, "corrupt", &f.corrupt, 0, maxRaw, "offset of the byte of the next packet that is inverted"),
	}
}

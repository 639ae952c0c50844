package plan

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/spelling"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Options change a plan before it is made. The zero value changes nothing.
type Options struct {
	// Scale multiplies the numbers of clients, to at least 1 in each group. Rates
	// per client stay, so that those of groups change with it; numbers of
	// messages, too. 0 is 1.
	Scale float64
	// Load multiplies all rates; numbers of messages stay. Bursts and traces have
	// no rate and are refused. 0 is 1.
	Load    float64
	Seed    *uint64
	Brokers []string       // in place of those of the plan
	Version packet.Version // of all groups; 0: as the plan says
	// Default is the version of groups whose plan does not say; 0 is 5.0.
	Default        packet.Version
	ConnectTimeout *time.Duration // of the phases
	// Username, a template, and Password, a text as it is, are those of the groups
	// that have no credentials of their own; nil: none.
	Username, Password *string
	WarmUp             *time.Duration
	Measure            *time.Duration
	// TopicPrefix, a template, is put before all topics, topic filters, response
	// topics and topics of wills, except those that begin with a dollar sign; in
	// shared subscriptions it follows the share name. "" for none.
	TopicPrefix string
	// Run names the run of a plan with this hash, by letters, digits, - and _; nil
	// makes a name of the hash, the same in every run.
	Run func(hash string) string
	// ReadFile reads the files that a scenario names; nil is os.ReadFile, with
	// relative names looked up beside the scenario.
	ReadFile func(name string) ([]byte, error)
}

// Read reads the scenario in a file. The error of a file that cannot be read is
// the system's; what is wrong with a scenario is told as path:line:column:
// message.
func Read(path string, o Options) (*Plan, error) {
	f, err := yamlfile.Read(path)
	if err != nil {
		return nil, err
	}
	return parse(f, o)
}

// Parse reads the text of a scenario; path is for errors.
func Parse(path string, data []byte, o Options) (*Plan, error) {
	f, err := yamlfile.Parse(path, data)
	if err != nil {
		return nil, err
	}
	return parse(f, o)
}

func parse(f *yamlfile.File, o Options) (*Plan, error) {
	if o.ReadFile == nil {
		o.ReadFile = func(name string) ([]byte, error) {
			if !filepath.IsAbs(name) {
				name = filepath.Join(filepath.Dir(f.Path), name)
			}
			return os.ReadFile(name)
		}
	}
	r := &reader{file: f, readFile: o.ReadFile, draft: newDraft()}
	r.scenario()
	if r.err != nil {
		return nil, r.err
	}
	p, err := r.draft.finish(o)
	if flaw, ok := err.(*flaw); ok {
		node := r.draft.places[flaw.about]
		if node == nil {
			node = f.Root
		}
		return nil, f.Errorf(node, "%s", flaw.text)
	}
	return p, err
}

// reader reads a scenario into a draft. It remembers its first error, and goes
// on with values that mean nothing.
type reader struct {
	file     *yamlfile.File
	readFile func(string) ([]byte, error)
	draft    *draft
	defaults Group // what groups begin with
	err      error
}

func (r *reader) fail(n *yamlfile.Node, format string, args ...any) {
	if r.err == nil {
		r.err = r.file.Errorf(n, format, args...)
	}
}

// refuse is fail with an error that is worded as those of other files are.
func (r *reader) refuse(err *yamlfile.Error) {
	if r.err == nil {
		r.err = err
	}
}

// keys are what a mapping may have.
type keys map[string]func(n *yamlfile.Node)

// mapping reads a mapping, in the order of the file.
func (r *reader) mapping(n *yamlfile.Node, what string, k keys) {
	if n.Kind != yamlfile.Mapping {
		r.refuse(r.file.Want(n, what, "a mapping"))
		return
	}
	for _, e := range n.Entries {
		if r.err != nil {
			return
		}
		if read := k[e.Key.Text]; read != nil {
			read(e.Value)
			continue
		}
		r.refuse(r.file.UnknownKey(e.Key, slices.Sorted(maps.Keys(k))...))
	}
}

func (r *reader) need(n *yamlfile.Node, what string, names ...string) {
	for _, name := range names {
		if n.Get(name) == nil {
			r.fail(n, "%s has no %s", what, name)
		}
	}
}

func (r *reader) text(n *yamlfile.Node, what string) string {
	if n.Kind != yamlfile.Scalar || n.Null {
		r.refuse(r.file.Want(n, what, "a text"))
		return ""
	}
	return n.Text
}

func (r *reader) bool(n *yamlfile.Node, what string) bool {
	if !n.Bool {
		r.refuse(r.file.Want(n, what, "true or false"))
	}
	return n.Text == "true"
}

func (r *reader) int(n *yamlfile.Node, what string, least, most int64) int64 {
	s := r.text(n, what)
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || strings.Trim(s, "0123456789") != "" || v < least || v > most {
		r.refuse(r.file.Invalid(n, what, "value", units.WantNumber(least, most)))
		return least
	}
	return v
}

func (r *reader) float(n *yamlfile.Node, what string, least, most float64) float64 {
	s := r.text(n, what)
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.Trim(s, "0123456789.e-+") != "" || !(v >= least && v <= most) {
		r.refuse(r.file.Invalid(n, what, "value", fmt.Sprintf("want a number from %g to %g", least, most)))
		return least
	}
	return v
}

// maxDuration is the longest time in a plan: no sum of a few overflows.
const maxDuration = 10 * 365 * 24 * time.Hour

func (r *reader) duration(n *yamlfile.Node, what string, least time.Duration) time.Duration {
	s := r.text(n, what)
	d, err := units.Duration(s)
	if err == nil && d > maxDuration {
		err = units.ErrTooLarge
	}
	if err != nil {
		hint := "e.g. 5, 250ms, 2m"
		if err == units.ErrTooLarge {
			hint = "want at most ten years"
		}
		r.refuse(r.file.Invalid(n, what, "duration", hint))
		return least
	}
	if d < least {
		r.fail(n, "%s: %v is less than %v", what, d, least)
	}
	return d
}

// seconds reads a duration that MQTT has in whole seconds.
func (r *reader) seconds(n *yamlfile.Node, what string, most int64) time.Duration {
	d := r.duration(n, what, 0)
	if d%time.Second != 0 || d > time.Duration(most)*time.Second {
		r.fail(n, "%s: %v is not a whole number of seconds up to %d", what, d, most)
	}
	return d
}

func (r *reader) size(n *yamlfile.Node, what string) int {
	s := r.text(n, what)
	v, err := units.Size(s)
	if err == nil && v > MaxPayload {
		err = fmt.Errorf("is above %d bytes", MaxPayload)
	}
	if err != nil {
		r.fail(n, "%s: %q %v", what, s, err)
	}
	return int(v)
}

func (r *reader) rate(n *yamlfile.Node, what string) Rate {
	s := r.text(n, what)
	v, err := ParseRate(s)
	if err != nil {
		r.fail(n, "%s: %q %v", what, s, err)
	}
	return v
}

// some is a rate above 0.
func (r *reader) some(n *yamlfile.Node, what string) Rate {
	v := r.rate(n, what)
	if v.Events == 0 {
		r.fail(n, "%s is 0: nothing would ever happen", what)
	}
	return v
}

func (r *reader) template(n *yamlfile.Node, what string) *Template {
	t, err := parseTemplate(r.text(n, what))
	if err != nil {
		r.fail(n, "%s %q %v", what, n.Text, err)
		return &Template{}
	}
	return t
}

// word is the number of a word in a list.
func (r *reader) word(n *yamlfile.Node, what string, words []string) int {
	s := r.text(n, what)
	i := slices.Index(words, s)
	if i < 0 {
		e := r.file.Invalid(n, what, "value", "want "+units.OrList(words...))
		if near := spelling.Nearest(s, words); near != "" {
			e.Help = fmt.Sprintf("did you mean %s?", near)
		}
		r.refuse(e)
		return 0
	}
	return i
}

func (r *reader) qos(n *yamlfile.Node) packet.QoS { return packet.QoS(r.int(n, "qos", 0, 2)) }

// when reads "measure+10s".
func (r *reader) when(n *yamlfile.Node, what string) When {
	s := r.text(n, what)
	name, offset, later := strings.Cut(s, "+")
	w := When{Phase: Phase(r.word(&yamlfile.Node{Line: n.Line, Column: n.Column, Text: name}, what, phases))}
	if later {
		w.Offset = r.duration(&yamlfile.Node{Line: n.Line, Column: n.Column, Text: offset}, what, 0)
	}
	return w
}

// maxFile is the largest file that a scenario may name, in bytes.
const maxFile = 256 << 20

// data reads a file that the scenario names: its path, or a mapping with the
// path and the SHA-256 that what is used of it must have. digest is that of the
// data as it is used.
func (r *reader) data(n *yamlfile.Node, what string, use func(data []byte) (digest []byte, err error)) fileRef {
	var ref fileRef
	if n.Kind == yamlfile.Mapping {
		r.need(n, what, "file")
		r.mapping(n, what, keys{
			"file":   func(n *yamlfile.Node) { ref.path = r.text(n, "file") },
			"sha256": func(n *yamlfile.Node) { ref.sum = r.text(n, "sha256") },
		})
	} else {
		ref.path = r.text(n, what)
	}
	if r.err != nil {
		return ref
	}
	data, err := r.readFile(ref.path)
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", ref.path, maxFile)
	}
	if err == nil {
		data, err = use(data)
	}
	if err != nil {
		r.fail(n, "%s: %v", what, err)
		return ref
	}
	got := newFileRef(ref.path, data)
	if ref.sum != "" && ref.sum != got.sum {
		r.fail(n, "%s: %s is not the file of this plan: its SHA-256 is %s, not %s", what, ref.path, got.sum, yamlfile.ShownKey(ref.sum))
	}
	return got
}

func (r *reader) scenario() {
	p := r.draft.plan
	r.defaults = Group{Together: 1, Connection: Connection{KeepAlive: 60 * time.Second, CleanStart: true}}
	for _, e := range r.file.Root.Entries {
		if k := r.groupDefaults(&r.defaults)[e.Key.Text]; k != nil {
			k(e.Value)
		}
	}
	known := keys{
		"name":        func(n *yamlfile.Node) { p.Name = r.line(n, "name") },
		"description": func(n *yamlfile.Node) { p.Description = r.line(n, "description") },
		"source":      func(n *yamlfile.Node) { p.Source = r.line(n, "source") },
		"origin":      r.origin,
		"seed": func(n *yamlfile.Node) {
			v, err := strconv.ParseUint(r.text(n, "seed"), 10, 64)
			if err != nil {
				r.fail(n, "seed: %q is not a whole number from 0 to %d", n.Text, uint64(1<<64-1))
			}
			p.Seed = v
		},
		"brokers": func(n *yamlfile.Node) {
			for _, item := range n.AsList() {
				p.Brokers = append(p.Brokers, r.broker(item))
			}
		},
		"phases": r.phases,
		"groups": r.groups,
		"actions": func(n *yamlfile.Node) {
			if n.Kind != yamlfile.List {
				r.fail(n, "actions are %s, and a list is wanted", n.What())
				return
			}
			for _, item := range n.Items {
				r.action(item)
			}
		},
	}
	for key := range r.groupDefaults(&r.defaults) {
		known[key] = func(*yamlfile.Node) {}
	}
	r.mapping(r.file.Root, "the scenario", known)
	r.need(r.file.Root, "the scenario", "groups")
	if p.Name == "" {
		p.Name = strings.TrimSuffix(filepath.Base(r.file.Path), filepath.Ext(r.file.Path))
	}
}

// line reads a text for reports.
func (r *reader) line(n *yamlfile.Node, what string) string {
	s := r.text(n, what)
	if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' }) {
		r.fail(n, "%s has more than one line, or control characters", what)
	}
	return s
}

func (r *reader) broker(n *yamlfile.Node) string {
	s := r.text(n, "broker")
	if _, err := transport.ParseURL(s); err != nil {
		r.fail(n, "broker: %v", err) // which does not repeat a password
	}
	return s
}

// origin is the record of what a plan was made of; it changes nothing.
func (r *reader) origin(n *yamlfile.Node) {
	p := r.draft.plan
	r.mapping(n, "origin", keys{
		"preset": func(n *yamlfile.Node) { p.Preset = r.line(n, "preset") },
		"scale":  func(n *yamlfile.Node) { p.Scale = r.float(n, "scale", 1e-9, 1e9) },
	})
}

func (r *reader) phases(n *yamlfile.Node) {
	ph := &r.draft.plan.Phases
	r.draft.places[ph] = n
	r.mapping(n, "phases", keys{
		"connect": func(n *yamlfile.Node) {
			r.mapping(n, "connect", keys{
				"rate":      func(n *yamlfile.Node) { ph.Connect = r.some(n, "rate") },
				"half-open": func(n *yamlfile.Node) { ph.HalfOpen = int(r.int(n, "half-open", 1, 1<<20)) },
				"timeout":   func(n *yamlfile.Node) { ph.ConnectTimeout = r.duration(n, "timeout", time.Millisecond) },
			})
		},
		"settle":     func(n *yamlfile.Node) { ph.Settle = r.duration(n, "settle", 0) },
		"warm-up":    func(n *yamlfile.Node) { ph.WarmUp = r.duration(n, "warm-up", 0) },
		"measure":    func(n *yamlfile.Node) { ph.Measure = r.duration(n, "measure", 0) },
		"until-done": func(n *yamlfile.Node) { r.draft.plan.UntilDone = r.bool(n, "until-done") },
		"drain":      func(n *yamlfile.Node) { ph.Drain = r.duration(n, "drain", 0) },
	})
}

func (r *reader) groups(n *yamlfile.Node) {
	switch {
	case n.Kind != yamlfile.Mapping:
		r.fail(n, "groups are %s, and a mapping of names is wanted", n.What())
		return
	case len(n.Entries) == 0:
		r.fail(n, "the scenario has no groups")
		return
	}
	for _, e := range n.Entries {
		g := r.defaults
		g.Name = e.Key.Text
		if !isName(g.Name) {
			r.fail(e.Key, "%q is no name of a group: up to 40 letters, digits and - _", yamlfile.ShownKey(g.Name))
		}
		r.draft.plan.Groups = append(r.draft.plan.Groups, &g)
		r.draft.places[&g] = e.Key
		r.group(e.Value, &g)
	}
}

func isName(s string) bool {
	return s != "" && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// groupDefaults are the keys that also stand at the top of a scenario, for all
// groups.
func (r *reader) groupDefaults(g *Group) keys {
	return keys{
		"version": func(n *yamlfile.Node) {
			var ok bool
			if g.Version, ok = packet.ParseVersion(r.text(n, "version")); n.Text == "5" {
				g.Version = packet.V5
			} else if !ok {
				r.refuse(r.file.Invalid(n, "version", "value", "want 3.1, 3.1.1 or 5.0"))
			}
		},
		"keepalive":   func(n *yamlfile.Node) { g.KeepAlive = r.seconds(n, "keepalive", 65535) },
		"clean-start": func(n *yamlfile.Node) { g.CleanStart = r.bool(n, "clean-start") },
		"session-expiry": func(n *yamlfile.Node) {
			if g.SessionExpiry = NeverExpires; n.Text != "never" {
				g.SessionExpiry = r.seconds(n, "session-expiry", 0xFFFFFFFE)
			}
		},
		"receive-maximum": func(n *yamlfile.Node) { g.ReceiveMaximum = uint16(r.int(n, "receive-maximum", 1, 65535)) },
		"client-id":       func(n *yamlfile.Node) { g.ClientID = r.template(n, "client-id") },
		"username":        func(n *yamlfile.Node) { g.Username = r.template(n, "username") },
		"password": func(n *yamlfile.Node) {
			t, err := parseTemplate(r.text(n, "password"))
			if err != nil { // which may repeat a part of it
				r.fail(n, "the password is no template: fields begin with %%, and %%%% is a percent sign")
			}
			g.Password = t
		},
		"credentials": func(n *yamlfile.Node) {
			c := &Credentials{}
			c.file = r.data(n, "credentials", c.read)
			g.Credentials = c
		},
		"reconnect": func(n *yamlfile.Node) {
			g.Reconnect = &Reconnect{First: time.Second, Max: 30 * time.Second}
			if n.Bool {
				if n.Text == "false" {
					g.Reconnect = nil
				}
				return
			}
			r.mapping(n, "reconnect", keys{
				"first": func(n *yamlfile.Node) { g.Reconnect.First = r.duration(n, "first", 0) },
				"max":   func(n *yamlfile.Node) { g.Reconnect.Max = r.duration(n, "max", 0) },
			})
		},
	}
}

func (r *reader) group(n *yamlfile.Node, g *Group) {
	what := "group " + g.Name
	k := r.groupDefaults(g)
	maps.Copy(k, keys{
		"clients":  func(n *yamlfile.Node) { g.Clients = int(r.int(n, "clients", 1, maxClients)) },
		"first":    func(n *yamlfile.Node) { g.First = uint64(r.int(n, "first", 0, 1<<40)) },
		"together": func(n *yamlfile.Node) { g.Together = int(r.int(n, "together", 1, 1<<20)) },
		"deferred": func(n *yamlfile.Node) { g.Deferred = r.bool(n, "deferred") },
		"publish": func(n *yamlfile.Node) {
			for _, item := range n.AsList() {
				r.publish(item, g)
			}
		},
		"subscribe": func(n *yamlfile.Node) {
			for _, item := range n.AsList() {
				r.subscribe(item, g)
			}
		},
		"respond": func(n *yamlfile.Node) {
			g.Respond = &Respond{}
			if n.Bool && n.Text == "true" {
				return
			}
			r.mapping(n, "respond", keys{
				"qos":   func(n *yamlfile.Node) { g.Respond.QoS = r.qos(n) },
				"delay": func(n *yamlfile.Node) { g.Respond.Delay = r.duration(n, "delay", 0) },
			})
		},
		"slow": func(n *yamlfile.Node) {
			g.Slow = &Slow{}
			r.mapping(n, "slow", keys{
				"delay": func(n *yamlfile.Node) { g.Slow.Delay = r.duration(n, "delay", 1) },
				"pause": func(n *yamlfile.Node) { g.Slow.Pause = r.duration(n, "pause", 1) },
				"every": func(n *yamlfile.Node) { g.Slow.Every = r.duration(n, "every", 1) },
			})
		},
		"churn": func(n *yamlfile.Node) {
			g.Churn = &Churn{}
			r.mapping(n, "churn", keys{
				"lifetime": func(n *yamlfile.Node) { g.Churn.Lifetime = r.duration(n, "lifetime", 1) },
				"jitter":   func(n *yamlfile.Node) { g.Churn.Jitter = r.float(n, "jitter", 0, 1) },
				"messages": func(n *yamlfile.Node) { g.Churn.Messages = int(r.int(n, "messages", 1, math.MaxInt32)) },
				"pause":    func(n *yamlfile.Node) { g.Churn.Pause = r.duration(n, "pause", 0) },
				"end":      func(n *yamlfile.Node) { g.Churn.End = End(r.word(n, "end", ends)) },
			})
		},
		"subscription-churn": func(n *yamlfile.Node) {
			s := &SubscriptionChurn{Start: When{Phase: PhaseWarmUp}}
			g.SubChurn = s
			d := r.draft.stream(s, n)
			r.need(n, "subscription-churn", "filter")
			k := r.paceKeys(d)
			maps.Copy(k, keys{
				"filter": func(n *yamlfile.Node) { s.Filter = r.template(n, "filter") },
				"qos":    func(n *yamlfile.Node) { s.QoS = r.qos(n) },
				"start":  func(n *yamlfile.Node) { s.Start = r.when(n, "start") },
			})
			r.mapping(n, "subscription-churn", k)
			r.onePace(n, "subscription-churn")
		},
		"will": func(n *yamlfile.Node) {
			w := &Will{Payload: newPayload()}
			g.Will = w
			r.need(n, "will", "topic")
			r.mapping(n, "will", keys{
				"topic":   func(n *yamlfile.Node) { w.Topic = r.template(n, "topic") },
				"qos":     func(n *yamlfile.Node) { w.QoS = r.qos(n) },
				"retain":  func(n *yamlfile.Node) { w.Retain = r.bool(n, "retain") },
				"delay":   func(n *yamlfile.Node) { w.Delay = r.seconds(n, "delay", 0xFFFFFFFF) },
				"payload": func(n *yamlfile.Node) { r.payload(n, w.Payload) },
			})
		},
	})
	r.mapping(n, what, k)
	r.need(n, what, "clients")
}

func (r *reader) publish(n *yamlfile.Node, g *Group) {
	p := &Publish{Group: g, Number: len(g.Publish), Start: When{Phase: PhaseWarmUp}, Payload: newPayload(), Window: 64}
	g.Publish = append(g.Publish, p)
	d := r.draft.stream(p, n)
	r.streamKeys(n, p, d)
	r.need(n, "publish", "topic")
	r.onePace(n, "publish")
	if d.messages > 0 && d.messagesEach > 0 {
		r.fail(n, "messages and messages-each cannot be used together")
	}
	if len(p.Topics) == 0 {
		r.fail(n, "publish has an empty list of topics")
	}
}

func (r *reader) streamKeys(n *yamlfile.Node, p *Publish, d *stream) {
	k := r.paceKeys(d)
	maps.Copy(k, keys{
		"topic": func(n *yamlfile.Node) {
			for _, item := range n.AsList() {
				p.Topics = append(p.Topics, r.template(item, "topic"))
			}
		},
		"qos":           func(n *yamlfile.Node) { p.QoS = r.qos(n) },
		"retain":        func(n *yamlfile.Node) { p.Retain = r.bool(n, "retain") },
		"payload":       func(n *yamlfile.Node) { r.payload(n, p.Payload) },
		"start":         func(n *yamlfile.Node) { p.Start = r.when(n, "start") },
		"messages":      func(n *yamlfile.Node) { d.messages = uint64(r.int(n, "messages", 1, 1<<62)) },
		"messages-each": func(n *yamlfile.Node) { d.messagesEach = uint64(r.int(n, "messages-each", 1, 1<<32)) },
		"window":        func(n *yamlfile.Node) { p.Window = int(r.int(n, "window", 1, 65535)) },
		"fill":          func(n *yamlfile.Node) { p.Fill = r.bool(n, "fill") },
		"properties":    func(n *yamlfile.Node) { r.properties(n, p) },
		"topic-alias":   func(n *yamlfile.Node) { p.TopicAlias = r.bool(n, "topic-alias") },
		"request": func(n *yamlfile.Node) {
			q := &Request{Timeout: 30 * time.Second}
			p.Request = q
			r.need(n, "request", "response-topic")
			r.mapping(n, "request", keys{
				"response-topic": func(n *yamlfile.Node) { q.ResponseTopic = r.template(n, "response-topic") },
				"qos":            func(n *yamlfile.Node) { q.QoS = r.qos(n) },
				"timeout":        func(n *yamlfile.Node) { q.Timeout = r.duration(n, "timeout", time.Millisecond) },
			})
		},
	})
	r.mapping(n, "publish", k)
}

// properties reads properties of PUBLISH by their names, and user properties.
func (r *reader) properties(n *yamlfile.Node, p *Publish) {
	r.mapping(n, "properties", keys{
		"content-type": func(n *yamlfile.Node) { p.addProperty(packet.ContentType, "content-type", r.text(n, "content-type")) },
		"message-expiry": func(n *yamlfile.Node) {
			r.propertyUint(p, n, packet.MessageExpiryInterval, "message-expiry", 0xFFFFFFFF)
		},
		"payload-format": func(n *yamlfile.Node) { r.propertyUint(p, n, packet.PayloadFormatIndicator, "payload-format", 1) },
		"correlation-data": func(n *yamlfile.Node) {
			p.addProperty(packet.CorrelationData, "correlation-data", r.text(n, "correlation-data"))
		},
		"user": func(n *yamlfile.Node) {
			if n.Kind != yamlfile.Mapping {
				r.fail(n, "user is %s, and a mapping of names is wanted", n.What())
				return
			}
			var all object
			for _, e := range n.Entries {
				v := r.text(e.Value, "user property")
				var err error
				if p.Properties, err = p.Properties.AppendUser([]byte(e.Key.Text), []byte(v)); err != nil {
					r.fail(e.Key, "user property: %v", err)
				}
				all = append(all, pair{e.Key.Text, v})
			}
			p.properties = append(p.properties, pair{"user", all})
		},
	})
	if _, err := packet.ParseProperties(p.Properties, packet.PUBLISH); err != nil {
		r.fail(n, "properties: %v", err)
	}
	p.sortProperties()
}

func (r *reader) propertyUint(p *Publish, n *yamlfile.Node, id packet.PropertyID, name string, most int64) {
	v := r.int(n, name, 0, most)
	p.Properties, _ = p.Properties.AppendUint(id, uint32(v)) // in range
	p.properties = append(p.properties, pair{name, v})
}

func (r *reader) subscribe(n *yamlfile.Node, g *Group) {
	s := &Subscribe{Group: g}
	g.Subscribe = append(g.Subscribe, s)
	r.draft.places[s] = n
	if n.Kind == yamlfile.Scalar {
		s.Filter = r.template(n, "filter")
		return
	}
	r.need(n, "subscribe", "filter")
	r.mapping(n, "subscribe", keys{
		"filter":              func(n *yamlfile.Node) { s.Filter = r.template(n, "filter") },
		"qos":                 func(n *yamlfile.Node) { s.QoS = r.qos(n) },
		"no-local":            func(n *yamlfile.Node) { s.NoLocal = r.bool(n, "no-local") },
		"retain-as-published": func(n *yamlfile.Node) { s.RetainAsPublished = r.bool(n, "retain-as-published") },
		"retain-handling":     func(n *yamlfile.Node) { s.RetainHandling = uint8(r.int(n, "retain-handling", 0, 2)) },
		"deferred":            func(n *yamlfile.Node) { s.Deferred = r.bool(n, "deferred") },
	})
}

// paceKeys are the three ways to give a pace.
func (r *reader) paceKeys(d *stream) keys {
	return keys{
		"rate": func(n *yamlfile.Node) { d.pace = paceSpec{kind: paceConstant, rate: r.some(n, "rate")} },
		"rate-each": func(n *yamlfile.Node) {
			d.pace = paceSpec{kind: paceConstant, rate: r.some(n, "rate-each"), each: true}
		},
		"pace": func(n *yamlfile.Node) { r.pace(n, &d.pace) },
	}
}

func (r *reader) onePace(n *yamlfile.Node, what string) {
	found := 0
	for _, key := range [...]string{"rate", "rate-each", "pace"} {
		if n.Get(key) != nil {
			found++
		}
	}
	if found != 1 {
		r.fail(n, "%s has %d of rate, rate-each and pace, and one is wanted", what, found)
	}
}

func (r *reader) pace(n *yamlfile.Node, s *paceSpec) {
	if n.Kind == yamlfile.Scalar && (n.Text == "unlimited" || n.Text == "none") {
		if s.kind = paceUnlimited; n.Text == "none" {
			s.kind = paceNone
		}
		return
	}
	kinds := 0
	kind := func(k paceKind, read func(n *yamlfile.Node)) func(n *yamlfile.Node) {
		return func(n *yamlfile.Node) {
			if kinds++; kinds > 1 {
				r.fail(n, "a pace is one of constant, ramp, stages, sine, poisson, burst, trace, unlimited, none")
			}
			s.kind = k
			read(n)
		}
	}
	r.mapping(n, "pace", keys{
		"each":      func(n *yamlfile.Node) { s.each = r.bool(n, "each") },
		"repeat":    func(n *yamlfile.Node) { s.repeat = r.bool(n, "repeat") },
		"constant":  kind(paceConstant, func(n *yamlfile.Node) { s.rate = r.some(n, "constant") }),
		"poisson":   kind(pacePoisson, func(n *yamlfile.Node) { s.rate = r.some(n, "poisson") }),
		"unlimited": kind(paceUnlimited, func(n *yamlfile.Node) { r.only(n, "unlimited") }),
		"none":      kind(paceNone, func(n *yamlfile.Node) { r.only(n, "none") }),
		"ramp": kind(paceStages, func(n *yamlfile.Node) {
			s.stages = []Stage{r.stage(n, "ramp")}
			if n.Get("rate") != nil {
				r.fail(n, "a ramp goes from one rate to another")
			}
		}),
		"stages": kind(paceStages, func(n *yamlfile.Node) {
			if n.Kind != yamlfile.List || len(n.Items) == 0 {
				r.fail(n, "stages are %s, and a list is wanted that is not empty", n.What())
				return
			}
			for _, item := range n.Items {
				s.stages = append(s.stages, r.stage(item, "stage"))
			}
		}),
		"sine": kind(paceSine, func(n *yamlfile.Node) {
			r.need(n, "sine", "mean", "swing", "period")
			r.mapping(n, "sine", keys{
				"mean":   func(n *yamlfile.Node) { s.rate = r.some(n, "mean") },
				"swing":  func(n *yamlfile.Node) { s.swing = r.rate(n, "swing") },
				"period": func(n *yamlfile.Node) { s.period = r.duration(n, "period", time.Millisecond) },
			})
			if s.swing.PerSecond() > s.rate.PerSecond() {
				r.fail(n, "the swing of %s is above the mean of %s: rates below 0", s.swing, s.rate)
			}
		}),
		"burst": kind(paceBurst, func(n *yamlfile.Node) {
			r.need(n, "burst", "messages", "every")
			r.mapping(n, "burst", keys{
				"messages": func(n *yamlfile.Node) { s.messages = uint64(r.int(n, "messages", 1, 1<<40)) },
				"every":    func(n *yamlfile.Node) { s.period = r.duration(n, "every", time.Microsecond) },
				"over":     func(n *yamlfile.Node) { s.over = r.duration(n, "over", 0) },
			})
			if s.over > s.period {
				r.fail(n, "a burst over %v does not fit in %v", s.over, s.period)
			}
		}),
		"trace": kind(paceTrace, func(n *yamlfile.Node) { s.file = r.data(n, "trace", s.readTrace) }),
	})
	if kinds == 0 {
		r.fail(n, "a pace is one of constant, ramp, stages, sine, poisson, burst, trace, unlimited, none")
	}
	if s.repeat && s.kind != paceStages {
		r.fail(n, "only stages repeat")
	}
	if s.each && s.kind >= paceTrace {
		r.fail(n, "trace, unlimited and none are not for each client")
	}
	if s.kind == paceStages && r.err == nil && !slices.ContainsFunc(s.stages, func(s Stage) bool { return s.From.Events+s.To.Events > 0 }) {
		r.fail(n, "all rates are 0: nothing would ever happen")
	}
}

// only reads a key that says all.
func (r *reader) only(n *yamlfile.Node, what string) {
	if !r.bool(n, what) {
		r.fail(n, "%s is true, or is not there", what)
	}
}

func (r *reader) stage(n *yamlfile.Node, what string) (s Stage) {
	r.need(n, what, "for")
	r.mapping(n, what, keys{
		"rate": func(n *yamlfile.Node) { s.From = r.rate(n, "rate"); s.To = s.From },
		"from": func(n *yamlfile.Node) { s.From = r.rate(n, "from") },
		"to":   func(n *yamlfile.Node) { s.To = r.rate(n, "to") },
		"for":  func(n *yamlfile.Node) { s.For = r.duration(n, "for", time.Millisecond) },
	})
	constant, from, to := n.Get("rate") != nil, n.Get("from") != nil, n.Get("to") != nil
	if constant == (from || to) || from != to {
		r.fail(n, "a %s has a rate, or from and to", what)
	}
	return s
}

func (r *reader) payload(n *yamlfile.Node, p *Payload) {
	if n.Kind == yamlfile.Scalar {
		n := r.size(n, "payload")
		p.sizes = sizes{low: n, high: n}
		return
	}
	kinds := 0
	r.mapping(n, "payload", keys{
		"size":   func(n *yamlfile.Node) { kinds++; r.sizes(n, &p.sizes) },
		"fill":   func(n *yamlfile.Node) { p.fill = fill(r.word(n, "fill", fills)) },
		"header": func(n *yamlfile.Node) { p.header = r.bool(n, "header") },
		"template": func(n *yamlfile.Node) {
			kinds++
			p.sizes = sizes{}
			p.template = r.template(n, "template")
		},
		"lines": func(n *yamlfile.Node) {
			kinds++
			p.sizes = sizes{}
			p.file = r.data(n, "lines", p.readLines)
		},
	})
	if kinds > 1 || kinds == 0 && n.Get("fill") == nil {
		r.fail(n, "a payload is one of size, template and lines")
	}
	if p.whole() && n.Get("fill") != nil {
		r.fail(n, "fill is for payloads of a size")
	}
	if !p.whole() && n.Get("header") != nil {
		r.fail(n, "header is for template and lines: a payload of a size has it wherever there is room")
	}
}

func (r *reader) sizes(n *yamlfile.Node, s *sizes) {
	*s = sizes{}
	if n.Kind == yamlfile.Scalar {
		s.low = r.size(n, "size")
		s.high = s.low
		return
	}
	if n.Kind != yamlfile.Mapping || len(n.Entries) != 1 {
		r.fail(n, "size is a number of bytes, or one of uniform, normal, weighted")
		return
	}
	r.mapping(n, "size", keys{
		"uniform": func(n *yamlfile.Node) {
			s.kind = uniform
			if n.Kind != yamlfile.List || len(n.Items) != 2 {
				r.fail(n, "uniform is [LEAST, MOST]")
				return
			}
			s.low, s.high = r.size(n.Items[0], "uniform"), r.size(n.Items[1], "uniform")
			if s.low > s.high {
				r.fail(n, "uniform: %d is above %d", s.low, s.high)
			}
		},
		"normal": func(n *yamlfile.Node) {
			s.kind = normal
			r.need(n, "normal", "mean", "deviation")
			r.mapping(n, "normal", keys{
				"mean":      func(n *yamlfile.Node) { s.mean = float64(r.size(n, "mean")) },
				"deviation": func(n *yamlfile.Node) { s.deviation = float64(r.size(n, "deviation")) },
				"min":       func(n *yamlfile.Node) { s.low = r.size(n, "min") },
				"max":       func(n *yamlfile.Node) { s.high = r.size(n, "max") },
			})
			if n.Get("min") == nil {
				s.low = min(HeaderSize, int(s.mean))
			}
			if n.Get("max") == nil {
				s.high = min(int(s.mean+4*s.deviation), MaxPayload)
			}
			if s.low > s.high || s.mean < float64(s.low) || s.mean > float64(s.high) {
				r.fail(n, "normal: the mean of %g is not between %d and %d", s.mean, s.low, s.high)
			}
		},
		"weighted": func(n *yamlfile.Node) {
			s.kind, s.low = weighted, MaxPayload
			if n.Kind != yamlfile.Mapping || len(n.Entries) == 0 {
				r.fail(n, "weighted is a mapping of sizes to weights")
				return
			}
			sum := uint64(0)
			for _, e := range n.Entries {
				size, weight := r.size(e.Key, "weighted"), uint64(r.int(e.Value, "weight", 1, 1<<40))
				sum += weight
				s.list, s.weights, s.sum = append(s.list, size), append(s.weights, weight), append(s.sum, sum)
				s.low, s.high = min(s.low, size), max(s.high, size)
			}
		},
	})
}

func (r *reader) action(n *yamlfile.Node) {
	a := &Action{Times: 1}
	d := &actionDraft{}
	r.draft.actions[a] = d
	r.draft.plan.Actions = append(r.draft.plan.Actions, a)
	r.draft.places[a] = n
	r.need(n, "an action", "at", "do", "group")
	r.mapping(n, "an action", keys{
		"at":       func(n *yamlfile.Node) { a.At = r.when(n, "at") },
		"do":       func(n *yamlfile.Node) { a.Do = Verb(r.word(n, "do", verbs)) },
		"group":    func(n *yamlfile.Node) { d.group = r.text(n, "group") },
		"clients":  func(n *yamlfile.Node) { d.clients = int(r.int(n, "clients", 1, maxClients)) },
		"fraction": func(n *yamlfile.Node) { d.fraction = r.fraction(n) },
		"over":     func(n *yamlfile.Node) { a.Over = r.duration(n, "over", 0) },
		"rate":     func(n *yamlfile.Node) { d.rate = r.some(n, "rate") },
		"messages": func(n *yamlfile.Node) { a.Messages = int(r.int(n, "messages", 1, math.MaxInt32)) },
		"times":    func(n *yamlfile.Node) { a.Times = int(r.int(n, "times", 1, 1<<20)) },
		"every":    func(n *yamlfile.Node) { a.Every = r.duration(n, "every", 1) },
	})
	if n.Get("clients") != nil && n.Get("fraction") != nil {
		r.fail(n, "clients and fraction cannot be used together")
	}
	if n.Get("over") != nil && n.Get("rate") != nil {
		r.fail(n, "over and rate cannot be used together")
	}
	if (n.Get("times") == nil) != (n.Get("every") == nil) {
		r.fail(n, "times and every belong together")
	}
}

// fraction reads 0.5 or 50%.
func (r *reader) fraction(n *yamlfile.Node) float64 {
	s, percent := strings.CutSuffix(r.text(n, "fraction"), "%")
	v, err := strconv.ParseFloat(s, 64)
	if percent {
		v /= 100
	}
	if err != nil || strings.Trim(s, "0123456789.") != "" || !(v > 0 && v <= 1) {
		r.fail(n, "fraction: %q is not above 0 and at most 1, as 0.5 or 50%%", n.Text)
	}
	return v
}

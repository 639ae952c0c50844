package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Options change a plan before it is made. The zero value changes nothing.
type Options struct {
	// Scale multiplies the numbers of clients, to at least 1 in each group. Rates per client stay,
	// so those of groups change with it, as do numbers of messages. 0 is 1.
	Scale float64
	// Load multiplies all rates; numbers of messages stay. Bursts and traces have no rate, and a
	// plan with them is refused. 0 is 1.
	Load    float64
	Seed    *uint64
	Brokers []string       // override those of the plan
	Version packet.Version // of all groups; 0: as the plan says
	// Default is the version of groups for which the plan has none; 0 is 5.0.
	Default        packet.Version
	ConnectTimeout *time.Duration // of the phases
	// Username, a template, and Password, a literal text, are for the groups that have no
	// credentials of their own; nil: none.
	Username, Password *string
	WarmUp             *time.Duration
	Measure            *time.Duration
	// TopicPrefix, a template, is put before all topics, topic filters, response topics and topics
	// of wills, except those that begin with a dollar sign; in shared subscriptions it follows the
	// share name. "" for none.
	TopicPrefix string
	// Run returns the name of the run of a plan with this hash: letters, digits, - and _. If Run
	// is nil, the name is derived from the hash and the same in every run.
	Run func(hash string) string
	// ReadFile reads the files that a scenario names. If it is nil, os.ReadFile does, and relative
	// names are resolved against the directory of the scenario.
	ReadFile func(name string) ([]byte, error)
}

// Read returns the plan of the scenario in a file. It returns the error of the system if the file
// cannot be read; an error in the scenario begins with path:line:column.
func Read(path string, o Options) (*Plan, error) {
	f, err := yamlfile.Read(path)
	if err != nil {
		return nil, err
	}
	return parse(f, o)
}

// Parse returns the plan of the text of a scenario. path is for errors.
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
	r := &reader{File: f, readFile: o.ReadFile, draft: newDraft()}
	if err := r.readScenario(); err != nil {
		return nil, err
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

// reader reads a scenario into a draft.
type reader struct {
	*yamlfile.File
	readFile func(string) ([]byte, error)
	draft    *draft
	groups   *yamlfile.Node
}

func (r *reader) readScenario() error {
	p := r.draft.plan
	defaults := &Group{Together: 1, Connection: Connection{KeepAlive: 60 * time.Second, CleanStart: true}}
	if err := append(r.scenario(p), r.defaults(defaults)...).Read(r.File, r.Root, ""); err != nil {
		return err
	}
	if p.Name == "" {
		p.Name = strings.TrimSuffix(filepath.Base(r.Path), filepath.Ext(r.Path))
	}
	if e := r.Root.Get("phases"); e != nil {
		r.draft.places[&p.Phases] = e.Value
	}
	n := r.groups
	if n.Kind != yamlfile.Mapping || len(n.Entries) == 0 {
		return r.Want(n, "groups", "a mapping of names")
	}
	for _, e := range n.Entries {
		g := *defaults
		g.Name = e.Key.Text
		if !isName(g.Name) {
			return r.Errorf(e.Key, "groups: %s", units.Invalid("name", strconv.Quote(yamlfile.ShownKey(g.Name)), "want up to 40 letters, digits, - and _"))
		}
		p.Groups = append(p.Groups, &g)
		r.draft.places[&g] = e.Key
		if err := r.group(&g).Read(r.File, e.Value, "group "+g.Name); err != nil {
			return err
		}
	}
	return nil
}

func isName(s string) bool {
	return s != "" && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// maxFile is the largest file that a scenario may name, in bytes.
const maxFile = 256 << 20

// data reads a file that the scenario names by its path, or by a mapping with the path and the
// SHA-256 of what use returns: the part of the file that the plan depends on.
func (r *reader) data(n *yamlfile.Node, name string, use func(data []byte) (digest []byte, err error)) (ref fileRef, err error) {
	if n.Kind == yamlfile.Mapping {
		err = yamlfile.Schema{
			yamlfile.Text("file", &ref.path, "path of the file").Needed(),
			yamlfile.Text("sha256", &ref.sum, "SHA-256 that the file must have"),
		}.Read(r.File, n, name)
	} else {
		ref.path, err = r.Text(n, name)
	}
	if err != nil {
		return ref, err
	}
	data, err := r.readFile(ref.path)
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", ref.path, maxFile)
	}
	if err == nil {
		data, err = use(data)
	}
	if err != nil {
		return ref, r.Errorf(n, "%s: %v", name, err)
	}
	got := newFileRef(ref.path, data)
	if ref.sum != "" && ref.sum != got.sum {
		return ref, r.Errorf(n, "%s: %s is not the file of this plan: its SHA-256 is %s, not %s", name, ref.path, got.sum, yamlfile.ShownKey(ref.sum))
	}
	return got, nil
}

func (r *reader) readPublish(n *yamlfile.Node, g *Group) error {
	p := &Publish{Group: g, Number: len(g.Publish), Start: When{Phase: PhaseWarmUp}, Payload: newPayload(), Window: 64}
	g.Publish = append(g.Publish, p)
	d := r.draft.stream(p, n)
	if err := r.publish(p, d).Read(r.File, n, "publish"); err != nil {
		return err
	}
	if d.messages > 0 && d.messagesEach > 0 {
		return r.Errorf(n, "messages and messages-each cannot be used together")
	}
	return r.onePace(n, "publish")
}

// onePace returns an error unless n has exactly one of the keys of a pace.
func (r *reader) onePace(n *yamlfile.Node, name string) error {
	found := 0
	for _, key := range [...]string{"rate", "rate-each", "pace"} {
		if n.Get(key) != nil {
			found++
		}
	}
	if found != 1 {
		return r.Errorf(n, "%s: want one of rate, rate-each and pace, not %d", name, found)
	}
	return nil
}

func (r *reader) readProperties(n *yamlfile.Node, p *Publish) error {
	if err := r.properties(p).Read(r.File, n, "properties"); err != nil {
		return err
	}
	if _, err := packet.ParseProperties(p.Properties, packet.PUBLISH); err != nil {
		return r.Errorf(n, "properties: %v", err)
	}
	p.sortProperties()
	return nil
}

func (r *reader) readUserProperties(n *yamlfile.Node, p *Publish) error {
	var all object
	err := r.Each(n, "user", func(e yamlfile.Entry) error {
		v, err := r.Text(e.Value, "user property")
		if err != nil {
			return err
		}
		if p.Properties, err = p.Properties.AppendUser([]byte(e.Key.Text), []byte(v)); err != nil {
			return r.Errorf(e.Key, "user property: %v", err)
		}
		all = append(all, pair{e.Key.Text, v})
		return nil
	})
	p.properties = append(p.properties, pair{"user", all})
	return err
}

func (r *reader) readSubscribe(n *yamlfile.Node, g *Group) (err error) {
	s := &Subscribe{Group: g}
	g.Subscribe = append(g.Subscribe, s)
	r.draft.places[s] = n
	if n.Kind == yamlfile.Scalar {
		s.Filter, err = r.parseTemplate(n, "filter")
		return err
	}
	return r.subscribe(s).Read(r.File, n, "subscribe")
}

// paceForms is the error of a pace that is not of one form.
const paceForms = "pace: want one of constant, ramp, stages, sine, poisson, burst, trace, unlimited and none"

func (r *reader) readPace(n *yamlfile.Node, s *paceSpec) error {
	if n.Kind == yamlfile.Scalar && (n.Text == "unlimited" || n.Text == "none") {
		if s.kind = paceUnlimited; n.Text == "none" {
			s.kind = paceNone
		}
		return nil
	}
	kinds := 0
	if err := r.pace(s, &kinds).Read(r.File, n, "pace"); err != nil {
		return err
	}
	switch {
	case kinds == 0:
		return r.Errorf(n, "%s", paceForms)
	case s.kind == paceSine && s.swing.PerSecond() > s.rate.PerSecond():
		return r.Errorf(n, "the swing of %s is above the mean of %s: rates below 0", s.swing, s.rate)
	case s.kind == paceBurst && s.over > s.period:
		return r.Errorf(n, "a burst over %v does not fit in %v", s.over, s.period)
	case s.repeat && s.kind != paceStages:
		return r.Errorf(n, "only stages repeat")
	case s.each && s.kind >= paceTrace:
		return r.Errorf(n, "trace, unlimited and none are not for each client")
	case s.kind == paceStages && !slices.ContainsFunc(s.stages, func(s Stage) bool { return s.From.Events+s.To.Events > 0 }):
		return r.Errorf(n, "all rates are 0: nothing would ever happen")
	}
	return nil
}

func (r *reader) readStage(n *yamlfile.Node, name string) (s Stage, err error) {
	var both Rate
	err = yamlfile.Schema{
		r.rate("rate", &both, false, "constant rate"),
		r.rate("from", &s.From, false, "rate at the beginning"),
		r.rate("to", &s.To, false, "rate at the end"),
		duration("for", &s.For, time.Millisecond, "length of the stage").Needed(),
	}.Read(r.File, n, name)
	if err != nil {
		return s, err
	}
	constant, from, to := n.Get("rate") != nil, n.Get("from") != nil, n.Get("to") != nil
	if constant == (from || to) || from != to {
		return s, r.Errorf(n, "a %s has a rate, or from and to", name)
	}
	if constant {
		s.From, s.To = both, both
	}
	return s, nil
}

func (r *reader) readPayload(n *yamlfile.Node, p *Payload) error {
	if n.Kind == yamlfile.Scalar {
		return r.readSize(n, "payload", &p.sizes)
	}
	if err := r.payloadKeys(p).Read(r.File, n, "payload"); err != nil {
		return err
	}
	kinds := 0
	for _, key := range [...]string{"size", "template", "lines"} {
		if n.Get(key) != nil {
			kinds++
		}
	}
	if p.whole() {
		p.sizes = sizes{}
	}
	switch {
	case kinds > 1 || kinds == 0 && n.Get("fill") == nil:
		return r.Errorf(n, "payload: want one of size, template and lines")
	case p.whole() && n.Get("fill") != nil:
		return r.Errorf(n, "fill is for payloads of a size")
	case !p.whole() && n.Get("header") != nil:
		return r.Errorf(n, "header is for template and lines: a payload of a size has it wherever there is room")
	}
	return nil
}

// readSize reads a fixed size of payloads.
func (r *reader) readSize(n *yamlfile.Node, name string, s *sizes) error {
	size, err := r.Size(n, name, MaxPayload)
	*s = sizes{low: int(size), high: int(size)}
	return err
}

func (r *reader) readSizes(n *yamlfile.Node, s *sizes) error {
	if n.Kind == yamlfile.Scalar {
		return r.readSize(n, "size", s)
	}
	if n.Kind != yamlfile.Mapping || len(n.Entries) != 1 {
		return r.Errorf(n, "size is a number of bytes, or one of uniform, normal, weighted")
	}
	*s = sizes{}
	return r.sizes(s).Read(r.File, n, "size")
}

func (r *reader) readAction(n *yamlfile.Node) error {
	a, d := &Action{Times: 1}, &actionDraft{}
	r.draft.actions[a] = d
	r.draft.plan.Actions = append(r.draft.plan.Actions, a)
	r.draft.places[a] = n
	if err := r.action(a, d).Read(r.File, n, "action"); err != nil {
		return err
	}
	for _, keys := range [...][2]string{{"clients", "fraction"}, {"over", "rate"}} {
		if n.Get(keys[0]) != nil && n.Get(keys[1]) != nil {
			return r.Errorf(n, "%s and %s cannot be used together", keys[0], keys[1])
		}
	}
	if (n.Get("times") == nil) != (n.Get("every") == nil) {
		return r.Errorf(n, "times needs every, and every needs times")
	}
	return nil
}

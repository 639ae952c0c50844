package plan

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// maxClients is the most clients of a group, and of a plan.
const maxClients = 1_000_000_000

// draft is a plan before it is scaled, calculated and checked.
type draft struct {
	plan    *Plan
	streams map[any]*stream // by *Publish and *SubscriptionChurn
	actions map[*Action]*actionDraft
	places  map[any]*yamlfile.Node // places of errors
	before  map[*Group]uint64      // numbers of clients before scaling
	bound   []*Template
	prefix  string // of topics
	salt    uint64
	random  []byte
}

type stream struct {
	pace                   paceSpec
	messages, messagesEach uint64
}

type actionDraft struct {
	group    string
	clients  int
	fraction float64
	rate     Rate
}

type paceKind uint8

const (
	paceConstant paceKind = iota
	paceStages
	paceSine
	pacePoisson
	paceBurst
	paceTrace
	paceUnlimited
	paceNone
)

// paceSpec is a pace as the scenario has it.
type paceSpec struct {
	kind     paceKind
	each     bool // for each client
	rate     Rate
	stages   []Stage
	repeat   bool
	swing    Rate
	messages uint64
	period   time.Duration // of a sine, or the interval of bursts
	over     time.Duration
	times    []time.Duration
	file     fileRef
}

// flaw is the error of a plan that is impossible.
type flaw struct {
	about any // the *Group, *Publish ...
	text  string
}

func (f *flaw) Error() string { return f.text }

func flawf(about any, format string, args ...any) error {
	return &flaw{about, fmt.Sprintf(format, args...)}
}

// defaultClientID is the template of client IDs in plans that have no other.
const defaultClientID = "mqbench-%{run}-%g-%i"

func newDraft() *draft {
	return &draft{
		plan: &Plan{Seed: 1, Scale: 1, Phases: Phases{HalfOpen: 1000, ConnectTimeout: 30 * time.Second, Settle: time.Second,
			WarmUp: 5 * time.Second, Measure: 30 * time.Second, Drain: 30 * time.Second}},
		streams: map[any]*stream{}, actions: map[*Action]*actionDraft{}, places: map[any]*yamlfile.Node{}, before: map[*Group]uint64{},
	}
}

func (d *draft) stream(key any, n *yamlfile.Node) *stream {
	s := &stream{}
	d.streams[key], d.places[key] = s, n
	return s
}

// newPayload returns the default payload.
func newPayload() *Payload { return &Payload{sizes: sizes{low: 256, high: 256}} }

// readTrace reads the times of a trace: one duration per line, never decreasing.
func (s *paceSpec) readTrace(data []byte) ([]byte, error) {
	sc := bufio.NewScanner(bytes.NewReader(data))
	for line := 1; sc.Scan(); line++ {
		text := strings.TrimSpace(sc.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		at, err := units.Duration(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s", line, units.Invalid("duration", strconv.Quote(text), units.DurationHint))
		}
		if n := len(s.times); n > 0 && at < s.times[n-1] {
			return nil, fmt.Errorf("line %d: %v is before %v", line, at, s.times[n-1])
		}
		s.times = append(s.times, at)
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	if len(s.times) == 0 {
		return nil, errors.New("no times")
	}
	return data, nil
}

// readLines makes each line of a file, without its end, a payload.
func (p *Payload) readLines(data []byte) ([]byte, error) {
	for line := range bytes.Lines(data) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		p.lines = append(p.lines, line)
	}
	if len(p.lines) == 0 {
		return nil, errors.New("no lines")
	}
	return data, nil
}

// read reads rows of a user name and a password. A first row of exactly these words, username and
// password, is a heading. It returns the user names for the digest: the passwords must not show in
// the plan.
func (c *Credentials) read(data []byte) ([]byte, error) {
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = 2
	rows, err := r.ReadAll()
	if err != nil {
		// A csv.ParseError does not repeat the row.
		return nil, err
	}
	if len(rows) > 0 && rows[0][0] == "username" && rows[0][1] == "password" {
		rows = rows[1:]
	}
	if len(rows) == 0 {
		return nil, errors.New("no rows")
	}
	for _, row := range rows {
		c.users, c.passwords = append(c.users, row[0]), append(c.passwords, row[1])
	}
	return []byte(strings.Join(c.users, "\n")), nil
}

func (p *Publish) addProperty(id packet.PropertyID, name, value string) {
	p.Properties, _ = p.Properties.AppendBytes(id, []byte(value)) // ParseProperties checks all of them
	p.properties = append(p.properties, pair{name, value})
}

// sortProperties sorts the properties for the canonical text.
func (p *Publish) sortProperties() {
	slices.SortStableFunc(p.properties, func(a, b pair) int { return strings.Compare(a.key, b.key) })
}

// ratio is a number as a fraction n/d.
type ratio struct{ n, d uint64 }

func newRatio(x float64) (ratio, bool) {
	const d = 1_000_000_000
	if !(x > 0) || x > 1e9 {
		return ratio{}, false
	}
	n := uint64(math.Round(x * d))
	g := gcd(n, d)
	return ratio{n / g, d / g}, n > 0
}

// finish returns the complete plan.
func (d *draft) finish(o Options) (*Plan, error) {
	p := d.plan
	load := ratio{1, 1}
	if o.Load != 0 {
		var ok bool
		if load, ok = newRatio(o.Load); !ok {
			return nil, flawf(nil, "the load of %g is not from 0.000000001 to 1000000000", o.Load)
		}
	}
	if err := d.override(o); err != nil {
		return nil, err
	}
	if err := d.scale(o.Scale); err != nil {
		return nil, err
	}
	d.random, d.prefix = randomFiller(p.Seed), o.TopicPrefix
	for _, g := range p.Groups {
		if err := d.bindGroup(g, load); err != nil {
			return nil, err
		}
	}
	for _, a := range p.Actions {
		if err := d.resolveAction(a); err != nil {
			return nil, err
		}
	}
	if o.Run == nil {
		o.Run = func(hash string) string { return RunName(hash) }
	}
	p.Run = o.Run(p.Hash())
	for _, t := range d.bound {
		t.name(p.Run)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, nil
}

func (d *draft) override(o Options) error {
	p := d.plan
	if err := d.login(o.Username, o.Password); err != nil {
		return err
	}
	if o.Seed != nil {
		p.Seed = *o.Seed
	}
	if o.Brokers != nil {
		p.Brokers = o.Brokers
	}
	if o.WarmUp != nil {
		d.shorten(PhaseWarmUp, p.Phases.WarmUp, *o.WarmUp)
		p.Phases.WarmUp = *o.WarmUp
	}
	if o.Measure != nil {
		d.shorten(PhaseMeasure, p.Phases.Measure, *o.Measure)
		p.Phases.Measure = *o.Measure
	}
	if o.ConnectTimeout != nil {
		p.Phases.ConnectTimeout = *o.ConnectTimeout
	}
	for _, g := range p.Groups {
		if g.Version = cmp.Or(o.Version, g.Version); g.Version == 0 {
			p.Open = true
			g.Version = cmp.Or(o.Default, packet.V5)
		}
	}
	return nil
}

// shorten scales the times within a phase with the phase if it gets shorter: otherwise some of
// them would never come.
func (d *draft) shorten(ph Phase, from, to time.Duration) {
	if to >= from {
		return
	}
	keep := func(t *time.Duration) { *t = mulDiv(uint64(*t), uint64(to), uint64(from)) }
	for _, a := range d.plan.Actions {
		if a.At.Phase == ph {
			keep(&a.At.Offset)
			keep(&a.Every)
			keep(&a.Over)
		}
	}
	for _, g := range d.plan.Groups {
		if c := g.SubChurn; c != nil && c.Start.Phase == ph {
			keep(&c.Start.Offset)
		}
		for _, s := range g.Publish {
			if s.Start.Phase == ph {
				keep(&s.Start.Offset)
			}
		}
	}
}

// login sets the user name and password of groups without credentials.
func (d *draft) login(username, password *string) error {
	for _, g := range d.plan.Groups {
		if g.Username != nil || g.Password != nil || g.Credentials != nil {
			continue
		}
		var err error
		if username != nil {
			if g.Username, err = parseTemplate(*username); err != nil {
				return flawf(g, "user name %q %v", *username, err)
			}
		}
		if password != nil {
			if g.Password, err = parseTemplate(strings.ReplaceAll(*password, "%", "%%")); err != nil {
				return flawf(g, "the password cannot be used")
			}
		}
	}
	return nil
}

// scale multiplies the numbers of clients.
func (d *draft) scale(by float64) error {
	p := d.plan
	if by == 0 {
		by = 1
	}
	if !(by > 0) || by > 1e6 {
		return flawf(nil, "the scale of %g is not above 0 and at most 1000000", by)
	}
	p.Scale *= by
	base := 0
	for i, g := range p.Groups {
		d.before[g] = uint64(g.Clients)
		n := math.Round(float64(g.Clients) * by)
		if n > maxClients || base+int(n) > maxClients {
			return flawf(g, "more than %d clients", maxClients)
		}
		g.Clients = max(int(n), 1)
		g.Number, g.Base = i, uint32(base)
		base += g.Clients
	}
	return nil
}

// scaled returns a number of a whole group after scaling.
func (d *draft) scaled(g *Group, n uint64) uint64 {
	return max(uint64(mulDiv(n, uint64(g.Clients), d.before[g])), 1)
}

func (d *draft) bind(t *Template, g *Group, about any, what, without string) error {
	if t == nil {
		return nil
	}
	if t.uses(without) {
		return flawf(about, "%s %q has a field that has no meaning there: one of %%%s", what, t.source, strings.Join(strings.Split(without, ""), " %"))
	}
	d.salt++
	if err := t.bind(g, d.plan.Groups, d.plan.Seed, d.salt); err != nil {
		return flawf(about, "%s %q %v", what, t.source, err)
	}
	d.bound = append(d.bound, t)
	return nil
}

// bindTopic is bind for a topic or topic filter, which gets the prefix.
func (d *draft) bindTopic(t **Template, g *Group, about any, what, without string) error {
	if *t != nil && d.prefix != "" {
		p, err := parseTemplate(withPrefix((*t).source, d.prefix))
		if err != nil {
			return flawf(about, "%s %q with the prefix %q %v", what, (*t).source, d.prefix, err)
		}
		*t = p
	}
	return d.bind(*t, g, about, what, without)
}

// withPrefix returns a topic or topic filter with a prefix. A name that begins with a dollar sign
// is the broker's own (section 4.7.2) and gets no prefix, except for the filter of a shared
// subscription.
func withPrefix(s, prefix string) string {
	if inner, shared := strings.CutPrefix(s, "$share/"); shared {
		if name, filter, ok := strings.Cut(inner, "/"); ok {
			return "$share/" + name + "/" + prefix + filter
		}
	}
	if strings.HasPrefix(s, "$") {
		return s
	}
	return prefix + s
}

func (d *draft) bindPayload(p *Payload, g *Group, about any) error {
	d.salt++
	p.clients, p.seed, p.random = uint64(g.Clients), mix(d.plan.Seed, d.salt, 1), d.random
	if !p.whole() {
		p.header = p.sizes.low >= HeaderSize
		if !p.header && p.sizes.high >= HeaderSize {
			return flawf(about, "payload sizes from %d to %d: with and without room for the header of %d bytes; choose one", p.sizes.low, p.sizes.high, HeaderSize)
		}
	}
	if err := d.bind(p.template, g, about, "payload", ""); err != nil { // before Max uses it
		return err
	}
	if p.Max() > MaxPayload {
		return flawf(about, "a payload of %d bytes is above %d", p.Max(), MaxPayload)
	}
	return nil
}

func (d *draft) bindGroup(g *Group, load ratio) error {
	// Until here the groups share their defaults.
	g.ClientID, g.Username, g.Password = g.ClientID.clone(), g.Username.clone(), g.Password.clone()
	if g.ClientID == nil {
		g.ClientID, _ = parseTemplate(defaultClientID)
	}
	if err := d.bind(g.Username, g, g, "username", "sjtu"); err != nil {
		return err
	}
	if err := d.bind(g.ClientID, g, g, "client-id", "sjtc"); err != nil {
		return err
	}
	if g.Password.uses("sjt") {
		return flawf(g, "the password has a field that has no meaning there: one of %%s %%j %%t")
	}
	d.salt++ // also without a password, which the canonical text does not show
	if g.Password != nil {
		if g.Password.bind(g, d.plan.Groups, d.plan.Seed, d.salt) != nil {
			return flawf(g, "the password has %%u, and there is no user name")
		}
		d.bound = append(d.bound, g.Password)
	}
	for _, p := range g.Publish {
		p.Group = g
		for i := range p.Topics {
			if err := d.bindTopic(&p.Topics[i], g, p, "topic", "t"); err != nil {
				return err
			}
		}
		if err := d.bindPayload(p.Payload, g, p); err != nil {
			return err
		}
		if p.Request != nil {
			if err := d.bindTopic(&p.Request.ResponseTopic, g, p, "response-topic", "sjt"); err != nil {
				return err
			}
		}
		s := d.streams[p]
		var err error
		if p.Pacer, err = d.pacer(&s.pace, g, load); err != nil {
			return flawf(p, "pace: %v", err)
		}
		switch {
		case s.messagesEach > 0:
			p.Messages = s.messagesEach * uint64(g.Clients)
		case s.messages > 0:
			p.Messages = d.scaled(g, s.messages)
		}
	}
	for _, s := range g.Subscribe {
		s.Group = g
		if err := d.bindTopic(&s.Filter, g, s, "filter", "sjt"); err != nil {
			return err
		}
	}
	if w := g.Will; w != nil {
		if err := d.bindTopic(&w.Topic, g, g, "topic of the will", "sjt"); err != nil {
			return err
		}
		if err := d.bindPayload(w.Payload, g, g); err != nil {
			return err
		}
	}
	if s := g.SubChurn; s != nil {
		if err := d.bindTopic(&s.Filter, g, s, "filter", "t"); err != nil {
			return err
		}
		var err error
		if s.Pacer, err = d.pacer(&d.streams[s].pace, g, load); err != nil {
			return flawf(s, "pace: %v", err)
		}
	}
	return nil
}

// clone returns a template that can be bound on its own.
func (t *Template) clone() *Template {
	if t == nil {
		return nil
	}
	return &Template{source: t.source, parts: slices.Clone(t.parts)}
}

// pacer returns the pacer of a group's stream: a pace of each client is multiplied by their
// number, and every pace grows with the group.
func (d *draft) pacer(s *paceSpec, g *Group, load ratio) (Pacer, error) {
	n, before := uint64(g.Clients), uint64(1)
	if !s.each {
		before = d.before[g]
	}
	var failed error
	rate := func(r Rate) Rate {
		r, err := r.times(n, before)
		if err == nil {
			r, err = r.times(load.n, load.d)
		}
		if err != nil && failed == nil {
			failed = fmt.Errorf("a rate %w", err)
		}
		return r
	}
	if load != (ratio{1, 1}) && s.kind >= paceBurst && s.kind != paceNone {
		return nil, errors.New("bursts, traces and closed loops have no rate to multiply")
	}
	var p Pacer
	switch s.kind {
	case paceConstant:
		p = constant{rate(s.rate)}
	case pacePoisson:
		d.salt++
		p = poisson{rate(s.rate), mix(d.plan.Seed, d.salt, 2)}
	case paceSine:
		p = newSine(rate(s.rate), rate(s.swing), s.period)
	case paceStages:
		stages := slices.Clone(s.stages)
		total := time.Duration(0)
		for i := range stages {
			x := &stages[i]
			x.From, x.To = rate(x.From), rate(x.To)
			if total += x.For; total > maxDuration {
				return nil, fmt.Errorf("the stages together are above %v", maxDuration)
			}
		}
		p = newStaged(stages, s.repeat)
	case paceBurst:
		m := s.messages * n
		if !s.each {
			m = d.scaled(g, s.messages)
		}
		p = burst{m, s.period, s.over}
	case paceTrace:
		p = trace{s.times, s.file}
	case paceUnlimited:
		p = unlimited{}
	case paceNone:
		p = none{}
	}
	return p, failed
}

func (d *draft) resolveAction(a *Action) error {
	s := d.actions[a]
	i := slices.IndexFunc(d.plan.Groups, func(g *Group) bool { return g.Name == s.group })
	if i < 0 {
		return flawf(a, "there is no group %q", s.group)
	}
	a.Group = d.plan.Groups[i]
	n := a.Group.Clients
	switch {
	case s.clients > 0:
		if uint64(s.clients) > d.before[a.Group] {
			return flawf(a, "group %q has %d clients, not %d", s.group, d.before[a.Group], s.clients)
		}
		n = min(int(d.scaled(a.Group, uint64(s.clients))), n)
	case s.fraction > 0:
		n = max(int(math.Round(s.fraction*float64(n))), 1)
	}
	a.Clients = n
	if s.rate.Events > 0 {
		a.Over = s.rate.At(uint64(n))
	}
	return nil
}

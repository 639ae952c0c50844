package plan

import (
	"errors"
	"fmt"
	"time"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Short holds the settings of the short forms of the command line. Templates are texts (see
// Template). The comment of each field is the default, which its zero value stands for.
type Short struct {
	Clients     int  // 200
	Subscribers int  // of PubSub; Clients
	ConnectRate Rate // 1000/s

	Topics  []string // "bench/%i"
	Filters []string // of PubSub; the Topics
	QoS     packet.QoS
	Retain  bool
	Size    *int   // of the payload in bytes; 256
	Payload string // overrides Size: a template for the whole payload

	// One of these: Interval is the time between the messages of one client (1s), Rate the rate of
	// all clients together, Unlimited a closed loop.
	Interval  time.Duration
	Rate      Rate
	Unlimited bool
	Window    int           // 64
	Limit     uint64        // messages of all clients together; 0: until Duration ends
	WarmUp    time.Duration // 0, so that a limit counts from the first message
	Duration  time.Duration // of the measurement; 0: until Limit, or 30s without one

	ClientID      string         // "mqbench-%{run}-%g-%i"
	First         uint64         // %i of the first client
	Username      string         // "" for none
	Password      string         // "" for none
	KeepAlive     *time.Duration // whole seconds, 0 for none; 60s
	Persistent    bool           // no clean start
	SessionExpiry time.Duration
	Version       packet.Version // 5.0
}

// Conn only opens connections and holds them.
func Conn(s Short, o Options) (*Plan, error) { return s.plan("conn", o, false, false) }

// Pub publishes.
func Pub(s Short, o Options) (*Plan, error) { return s.plan("pub", o, true, false) }

// Sub subscribes, and counts what other clients publish.
func Sub(s Short, o Options) (*Plan, error) { return s.plan("sub", o, false, true) }

// PubSub publishes and subscribes.
func PubSub(s Short, o Options) (*Plan, error) { return s.plan("pubsub", o, true, true) }

func (s Short) plan(name string, o Options, publish, subscribe bool) (*Plan, error) {
	d := newDraft()
	p := d.plan
	p.Name = name
	p.Phases.WarmUp = s.WarmUp
	p.Phases.Connect = s.ConnectRate
	if s.ConnectRate.Events == 0 {
		p.Phases.Connect = Rate{1000, time.Second}
	}
	if s.Duration > 0 || s.Limit > 0 {
		p.Phases.Measure = s.Duration
	}
	p.UntilDone = publish && s.Limit > 0 && s.Duration > 0
	if s.Clients == 0 {
		s.Clients = 200
	}
	if s.Subscribers == 0 {
		s.Subscribers = s.Clients
	}
	topics := s.Topics
	if len(topics) == 0 {
		topics = []string{"bench/%i"}
	}
	add := func(name string, clients int) (*Group, error) {
		g, err := s.group(name, clients)
		p.Groups = append(p.Groups, g)
		return g, err
	}
	if !publish && !subscribe {
		if _, err := add("conn", s.Clients); err != nil {
			return nil, err
		}
	}
	if subscribe {
		n, filters := s.Clients, topics
		if publish {
			if n = s.Subscribers; len(s.Filters) > 0 {
				filters = s.Filters
			}
		}
		g, err := add("sub", n)
		if err != nil {
			return nil, err
		}
		for _, text := range filters {
			t, err := parseTemplate(text)
			if err != nil {
				return nil, fmt.Errorf("filter %q %w", text, err)
			}
			g.Subscribe = append(g.Subscribe, &Subscribe{Filter: t, QoS: s.QoS})
		}
	}
	if publish {
		g, err := add("pub", s.Clients)
		if err != nil {
			return nil, err
		}
		if err := s.stream(d, g, topics); err != nil {
			return nil, err
		}
	}
	return d.finish(o)
}

func (s *Short) group(name string, clients int) (*Group, error) {
	if clients < 1 || clients > maxClients {
		return nil, fmt.Errorf("%d clients are not from 1 to %d", clients, maxClients)
	}
	keepAlive := 60 * time.Second
	if s.KeepAlive != nil {
		keepAlive = *s.KeepAlive
	}
	g := &Group{Name: name, Clients: clients, First: s.First, Together: 1,
		Connection: Connection{Version: s.Version, KeepAlive: keepAlive, CleanStart: !s.Persistent, SessionExpiry: s.SessionExpiry}}
	for _, x := range [...]struct {
		what, text string
		to         **Template
	}{{"client id", s.ClientID, &g.ClientID}, {"user name", s.Username, &g.Username}, {"password", s.Password, &g.Password}} {
		if x.text == "" {
			continue
		}
		t, err := parseTemplate(x.text)
		if err != nil && x.what == "password" {
			return nil, errors.New("password: " + units.Invalid("template", "", "fields begin with %, and %% is a percent sign"))
		}
		if err != nil {
			return nil, fmt.Errorf("%s %q %w", x.what, x.text, err)
		}
		*x.to = t
	}
	return g, nil
}

func (s *Short) stream(d *draft, g *Group, topics []string) error {
	p := &Publish{QoS: s.QoS, Retain: s.Retain, Start: When{Phase: PhaseWarmUp}, Payload: newPayload(), Window: s.Window}
	if p.Window == 0 {
		p.Window = 64
	}
	if p.Window < 1 || p.Window > 65535 {
		return fmt.Errorf("a window of %d is not from 1 to 65535", p.Window)
	}
	for _, text := range topics {
		t, err := parseTemplate(text)
		if err != nil {
			return fmt.Errorf("topic %q %w", text, err)
		}
		p.Topics = append(p.Topics, t)
	}
	switch {
	case s.Payload != "":
		t, err := parseTemplate(s.Payload)
		if err != nil {
			return fmt.Errorf("payload %q %w", s.Payload, err)
		}
		p.Payload.sizes, p.Payload.template = sizes{}, t
	case s.Size != nil:
		if *s.Size < 0 || *s.Size > MaxPayload {
			return fmt.Errorf("a payload of %d bytes is not from 0 to %d", *s.Size, MaxPayload)
		}
		p.Payload.sizes = sizes{low: *s.Size, high: *s.Size}
	}
	x := d.stream(p, nil)
	x.messages = s.Limit
	chosen := 0
	for _, given := range [...]bool{s.Unlimited, s.Rate.Events > 0, s.Interval != 0} {
		if given {
			chosen++
		}
	}
	switch {
	case chosen > 1:
		return fmt.Errorf("an interval, a rate and no limit cannot be used together")
	case s.Interval < 0:
		return fmt.Errorf("an interval of %v is below 0", s.Interval)
	case s.Unlimited:
		x.pace.kind = paceUnlimited
	case s.Rate.Events > 0:
		x.pace.rate = s.Rate
	case s.Interval > 0:
		x.pace = paceSpec{rate: Rate{1, s.Interval}, each: true}
	default:
		x.pace = paceSpec{rate: Rate{1, time.Second}, each: true}
	}
	g.Publish = []*Publish{p}
	return nil
}

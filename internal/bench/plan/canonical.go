package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"reflect"
	"strconv"
)

// object is a JSON object whose keys keep their order.
type object []pair

type pair struct {
	key   string
	value any
}

// MarshalJSON writes the pairs in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, x := range [...]any{p.key, p.value} {
			if j > 0 {
				b.WriteByte(':')
			}
			text, err := json.Marshal(x)
			if err != nil {
				return nil, err
			}
			b.Write(text)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// with appends a pair unless the value is its type's zero.
func (o object) with(key string, value any) object {
	if reflect.ValueOf(value).IsZero() {
		return o
	}
	if t, ok := value.(*Template); ok {
		value = t.source
	}
	return append(o, pair{key, value})
}

// and appends a pair.
func (o object) and(key string, value any) object { return append(o, pair{key, value}) }

// Canonical is the plan as a scenario file in JSON, with every default filled
// in. Equal plans have equal texts. Passwords are not in it: those of templates
// and files are left out, and so is what broker URLs have before the @.
func (p *Plan) Canonical() []byte {
	var brokers, actions []any
	for _, b := range p.Brokers {
		if u, err := url.Parse(b); err == nil {
			u.User = nil
			b = u.String()
		}
		brokers = append(brokers, b)
	}
	var groups object
	for _, g := range p.Groups {
		groups = append(groups, pair{g.Name, g.spec()})
	}
	for _, a := range p.Actions {
		actions = append(actions, a.spec())
	}
	ph := &p.Phases
	connect := object{}
	if ph.Connect.Events > 0 {
		connect = object{{"rate", ph.Connect.String()}}
	}
	connect = append(connect, pair{"half-open", ph.HalfOpen}, pair{"timeout", ph.ConnectTimeout.String()})
	o := object{{"name", p.Name}}.with("description", p.Description).with("source", p.Source)
	o = append(o, pair{"origin", object{}.with("preset", p.Preset).with("scale", strconv.FormatFloat(p.Scale, 'g', -1, 64))}, pair{"seed", strconv.FormatUint(p.Seed, 10)})
	o = append(o.with("brokers", brokers), pair{"phases", object{{"connect", connect}, {"settle", ph.Settle.String()}, {"warm-up", ph.WarmUp.String()}, {"measure", ph.Measure.String()}}.with("until-done", p.UntilDone).and("drain", ph.Drain.String())},
		pair{"groups", groups})
	text, err := json.Marshal(o.with("actions", actions))
	if err != nil {
		panic(err) // only texts, numbers and truth values are in it
	}
	return text
}

// Hash is the SHA-256 of the canonical text in hexadecimal digits.
func (p *Plan) Hash() string {
	sum := sha256.Sum256(p.Canonical())
	return hex.EncodeToString(sum[:])
}

func (g *Group) spec() object {
	c := &g.Connection
	expiry := c.SessionExpiry.String()
	if c.SessionExpiry == NeverExpires {
		expiry = "never"
	}
	o := object{{"clients", g.Clients}, {"first", g.First}, {"together", g.Together}}.with("deferred", g.Deferred)
	o = append(o, pair{"version", c.Version.String()}, pair{"keepalive", c.KeepAlive.String()}, pair{"clean-start", c.CleanStart}, pair{"session-expiry", expiry})
	o = o.with("receive-maximum", c.ReceiveMaximum).with("client-id", g.ClientID).with("username", g.Username)
	if g.Credentials != nil {
		o = append(o, pair{"credentials", g.Credentials.file.spec()})
	}
	var publish, subscribe []any
	for _, p := range g.Publish {
		publish = append(publish, p.spec())
	}
	for _, s := range g.Subscribe {
		subscribe = append(subscribe, s.spec())
	}
	o = o.with("publish", publish).with("subscribe", subscribe)
	if r := g.Respond; r != nil {
		o = append(o, pair{"respond", object{{"qos", int(r.QoS)}, {"delay", r.Delay.String()}}})
	}
	if s := g.Slow; s != nil && s.Delay > 0 {
		o = append(o, pair{"slow", object{{"delay", s.Delay.String()}}})
	} else if s != nil {
		o = append(o, pair{"slow", object{{"pause", s.Pause.String()}, {"every", s.Every.String()}}})
	}
	if ch := g.Churn; ch != nil {
		x := object{}
		if ch.Lifetime > 0 {
			x = object{{"lifetime", ch.Lifetime.String()}, {"jitter", strconv.FormatFloat(ch.Jitter, 'g', -1, 64)}}
		}
		o = append(o, pair{"churn", append(x.with("messages", ch.Messages), pair{"pause", ch.Pause.String()}, pair{"end", ends[ch.End]})})
	}
	if s := g.SubChurn; s != nil {
		o = append(o, pair{"subscription-churn", object{{"filter", s.Filter.source}, {"qos", int(s.QoS)}, {"start", s.Start.String()}, {"pace", s.Pacer.spec()}}})
	}
	if w := g.Will; w != nil {
		o = append(o, pair{"will", object{{"topic", w.Topic.source}, {"qos", int(w.QoS)}, {"retain", w.Retain}, {"delay", w.Delay.String()}, {"payload", w.Payload.spec()}}})
	}
	if r := g.Reconnect; r != nil {
		o = append(o, pair{"reconnect", object{{"first", r.First.String()}, {"max", r.Max.String()}}})
	}
	return o
}

func (p *Publish) spec() object {
	var topics []any
	for _, t := range p.Topics {
		topics = append(topics, t.source)
	}
	o := object{{"topic", topics}, {"qos", int(p.QoS)}, {"retain", p.Retain}, {"payload", p.Payload.spec()}, {"start", p.Start.String()}, {"pace", p.Pacer.spec()}}
	o = append(o.with("messages", p.Messages), pair{"window", p.Window}).with("fill", p.Fill).with("properties", p.properties).with("topic-alias", p.TopicAlias)
	if r := p.Request; r != nil {
		o = append(o, pair{"request", object{{"response-topic", r.ResponseTopic.source}, {"qos", int(r.QoS)}, {"timeout", r.Timeout.String()}}})
	}
	return o
}

func (s *Subscribe) spec() object {
	o := object{{"filter", s.Filter.source}, {"qos", int(s.QoS)}}
	return o.with("no-local", s.NoLocal).with("retain-as-published", s.RetainAsPublished).with("retain-handling", s.RetainHandling).with("deferred", s.Deferred)
}

func (a *Action) spec() object {
	o := object{{"at", a.At.String()}, {"do", verbs[a.Do]}, {"group", a.Group.Name}, {"clients", a.Clients}, {"over", a.Over.String()}}
	if a.Do == Burst {
		o = append(o, pair{"messages", a.Messages})
	}
	if a.Times > 1 {
		o = append(o, pair{"times", a.Times}, pair{"every", a.Every.String()})
	}
	return o
}

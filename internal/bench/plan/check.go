package plan

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// check returns an error for a plan that is impossible, and notes what cannot be measured.
func (p *Plan) check() error {
	if len(p.Groups) == 0 {
		return flawf(nil, "there is no group of clients")
	}
	for _, g := range p.Groups {
		if err := p.checkGroup(g); err != nil {
			return err
		}
	}
	for _, a := range p.Actions {
		if err := p.checkAction(a); err != nil {
			return err
		}
	}
	if err := p.checkEnd(); err != nil {
		return err
	}
	p.noteIDs()
	return nil
}

// samples returns the indexes of some clients of a group: the first, the middle and the last, or
// one client for each row of a credentials file.
func (g *Group) samples() []uint32 {
	n := uint32(g.Clients)
	if g.Credentials != nil {
		var all []uint32
		for i := range min(n, uint32(g.Credentials.Len())) {
			all = append(all, i)
		}
		return all
	}
	return []uint32{0, n / 2, n - 1}
}

func (p *Plan) checkGroup(g *Group) error {
	for _, x := range [...]struct {
		what    string
		d, most time.Duration
	}{{"keepalive", g.KeepAlive, 65535 * time.Second}, {"session-expiry", g.SessionExpiry, NeverExpires}} {
		if x.d < 0 || x.d > x.most || x.d%time.Second != 0 {
			return flawf(g, "%s: %v is not a whole number of seconds up to %v", x.what, x.d, x.most)
		}
	}
	if g.Credentials != nil && (g.Username != nil || g.Password != nil) {
		return flawf(g, "group %q has credentials, and a username or password besides", g.Name)
	}
	if g.Version != packet.V5 && g.Password != nil && g.Username == nil {
		return flawf(g, "group %q has a password without a user name, which needs MQTT 5", g.Name)
	}
	for _, i := range g.samples() {
		id := g.AppendClientID(nil, i)
		if g.Version == packet.V31 && (len(id) == 0 || len(id) > 23) {
			return flawf(g, "the client id %q has %d bytes, and MQTT 3.1 takes 1 to 23", id, len(id))
		}
		if len(id) > packet.MaxString {
			return flawf(g, "a client id has %d bytes, and MQTT takes %d", len(id), packet.MaxString)
		}
		if len(id) == 0 && !g.CleanStart {
			return flawf(g, "an empty client id needs clean-start (MQTT-3.1.3-7)")
		}
	}
	v5 := func(has bool, about any, what string) error {
		if has && g.Version != packet.V5 {
			return flawf(about, "%s: needs MQTT 5, and group %q speaks %s", what, g.Name, g.Version)
		}
		return nil
	}
	for _, err := range [...]error{
		v5(g.SessionExpiry > 0, g, "session-expiry"),
		v5(g.ReceiveMaximum > 0, g, "receive-maximum"),
		v5(g.Respond != nil, g, "respond"),
		v5(g.Will != nil && g.Will.Delay > 0, g, "will: delay"),
	} {
		if err != nil {
			return err
		}
	}
	for _, s := range g.Publish {
		if err := v5(len(s.Properties) > 0 || s.TopicAlias || s.Request != nil, s, "properties, topic-alias, request"); err != nil {
			return err
		}
		if err := p.checkStream(s); err != nil {
			return err
		}
	}
	for _, s := range g.Subscribe {
		if err := v5(s.NoLocal || s.RetainAsPublished || s.RetainHandling > 0, s, "no-local, retain-as-published, retain-handling"); err != nil {
			return err
		}
		if err := p.checkFilter(g, s.Filter, s, s.NoLocal); err != nil {
			return err
		}
		if s.Deferred && !p.acts(g, Subscribing) {
			return flawf(s, "group %q subscribes to %q by an action only, and there is none", g.Name, s.Filter)
		}
	}
	if g.Deferred && !p.acts(g, Connect) {
		return flawf(g, "group %q is deferred, and no action connects it", g.Name)
	}
	return p.checkBehaviour(g)
}

func (p *Plan) acts(g *Group, v Verb) bool {
	for _, a := range p.Actions {
		if a.Group == g && a.Do == v {
			return true
		}
	}
	return false
}

func (p *Plan) checkBehaviour(g *Group) error {
	switch s := g.Slow; {
	case s == nil:
	case (s.Delay > 0) == (s.Pause > 0):
		return flawf(g, "slow of group %q has a delay, or pause and every", g.Name)
	case s.Pause > 0 && s.Pause >= s.Every:
		return flawf(g, "slow of group %q pauses for %v every %v: it would never read", g.Name, s.Pause, s.Every)
	}
	switch c := g.Churn; {
	case c == nil:
	case c.Lifetime == 0 && c.Messages == 0:
		return flawf(g, "churn of group %q has no lifetime and no messages: nothing ends a connection", g.Name)
	case c.Messages > 0 && len(g.Publish) == 0:
		return flawf(g, "churn of group %q counts messages, and it publishes none", g.Name)
	}
	if r := g.Reconnect; r != nil && r.First > r.Max {
		return flawf(g, "reconnect of group %q begins with %v, above its maximum of %v", g.Name, r.First, r.Max)
	}
	if g.Respond != nil && len(g.Subscribe) == 0 {
		return flawf(g, "group %q responds, and subscribes to nothing", g.Name)
	}
	if w := g.Will; w != nil {
		if err := p.checkName(g, w.Topic, 0, g); err != nil {
			return err
		}
		if w.Payload.Max() > packet.MaxString {
			return flawf(g, "the will of group %q has up to %d bytes, and MQTT takes %d", g.Name, w.Payload.Max(), packet.MaxString)
		}
		p.noteHeader(w.Payload, "the will of group "+g.Name)
	}
	if s := g.SubChurn; s != nil {
		if err := p.checkStart(s.Start, s); err != nil {
			return err
		}
		if s.Pacer.Unlimited() {
			return flawf(s, "subscription-churn has no closed loop: give it a rate")
		}
		return p.checkFilter(g, s.Filter, s, false)
	}
	return nil
}

func (p *Plan) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

func (p *Plan) noteHeader(x *Payload, what string) {
	if !x.header && x.whole() {
		p.note("%s: the payload is given as a whole, without header: deliveries are counted, without latency, order and duplicates.", what)
	} else if !x.header {
		p.note("%s: a payload of %d bytes has no room for the header of %d: deliveries are counted, without latency, order and duplicates.", what, x.Max(), HeaderSize)
	}
}

func (p *Plan) checkName(g *Group, t *Template, seq uint32, about any) error {
	for _, i := range g.samples() {
		if err := topic.ValidateNameBytes(t.Append(nil, i, seq, 0)); err != nil {
			return flawf(about, "%v", err)
		}
	}
	return nil
}

func (p *Plan) checkFilter(g *Group, t *Template, about any, noLocal bool) error {
	for _, i := range g.samples() {
		f := string(t.Append(nil, i, 0, 0))
		if err := topic.ValidateFilter(f); err != nil {
			return flawf(about, "%v", err)
		}
		if topic.Levels(f) > topic.DefaultMaxLevels {
			return flawf(about, "the filter %s has more than %d levels", topic.Quote(f), topic.DefaultMaxLevels)
		}
		if _, _, shared := topic.ParseShare(f); shared && noLocal {
			return flawf(about, "no-local is not for shared subscriptions (MQTT-3.8.3-4)")
		}
	}
	return nil
}

// checkStart returns an error for a time that never comes.
func (p *Plan) checkStart(w When, about any) error {
	if w.Phase == PhaseConnect || w.Phase == PhaseDrain {
		return flawf(about, "a start in the phase %s: publishing goes on in settle, warm-up and measure", w.Phase)
	}
	return p.checkWhen(w, about)
}

func (p *Plan) checkWhen(w When, about any) error {
	if d, ok := p.Phases.length(w.Phase); ok && w.Offset > d {
		return flawf(about, "%s never comes: the phase lasts %v", w, d)
	}
	return nil
}

// publishing returns the time from a start to the end of the measurement; ok is false if the
// measurement has no fixed length.
func (p *Plan) publishing(w When) (d time.Duration, ok bool) {
	if p.Phases.Measure == 0 {
		return 0, false
	}
	d = p.Phases.Measure - w.Offset
	if w.Phase < PhaseMeasure {
		d += p.Phases.WarmUp
	}
	if w.Phase < PhaseWarmUp {
		d += p.Phases.Settle
	}
	return d, true
}

func (p *Plan) checkStream(s *Publish) error {
	g := s.Group
	what := fmt.Sprintf("group %s, stream %d", g.Name, s.Number+1)
	for _, t := range s.Topics {
		for _, seq := range [...]uint32{0, math.MaxUint32} {
			if err := p.checkName(g, t, seq, s); err != nil {
				return err
			}
		}
	}
	if s.Request != nil {
		if err := p.checkName(g, s.Request.ResponseTopic, 0, s); err != nil {
			return err
		}
		if !s.Payload.header {
			return flawf(s, "requests need the header in their payloads: %d bytes or more, or header: true", HeaderSize)
		}
	}
	if err := p.checkStart(s.Start, s); err != nil {
		return err
	}
	if s.Request != nil && slices.ContainsFunc(s.properties, func(x pair) bool { return x.key == "correlation-data" }) {
		return flawf(s, "requests have correlation data of their own")
	}
	if _, never := s.Pacer.(none); never {
		if s.Number > 0 || !p.acts(g, Burst) {
			return flawf(s, "pace none is for the first stream of a group with a burst: nothing else publishes it")
		}
		if s.Messages > 0 {
			return flawf(s, "messages are counted by a pace, and it is none")
		}
	}
	_, traced := s.Pacer.(trace)
	if s.Fill && s.Messages == 0 && !traced {
		return flawf(s, "a stream that fills needs messages: the phase waits for its end")
	}
	p.noteHeader(s.Payload, what)
	if d, ok := p.publishing(s.Start); ok && !s.Closed() && !s.Fill && s.Messages > 0 {
		if at, ok := roughly(s.Pacer).At(s.Messages - 1); !ok || at >= d {
			p.note("%s: not all of the %d messages have their time before the measurement ends.", what, s.Messages)
		}
	}
	if s.Messages == 0 && s.Closed() && p.Phases.WarmUp+p.Phases.Measure == 0 {
		return flawf(s, "a closed loop without a number of messages, and phases without a length: nothing ends it")
	}
	return nil
}

// roughly returns a pacer that is as good for estimates and costs nothing.
func roughly(p Pacer) Pacer {
	if p, ok := p.(poisson); ok {
		return constant{p.rate}
	}
	return p
}

// checkEnd returns an error for a plan that nothing ends.
func (p *Plan) checkEnd() error {
	if p.Phases.Measure > 0 {
		return nil
	}
	streams, ends := 0, false
	for _, g := range p.Groups {
		for _, s := range g.Publish {
			if s.Fill {
				continue
			}
			streams++
			_, traced := s.Pacer.(trace)
			end := traced || s.Messages > 0
			if s.Messages > 0 && !s.Closed() {
				if _, ok := roughly(s.Pacer).At(s.Messages - 1); !ok {
					return flawf(s, "the pace ends before its %d messages, and the measurement has no length", s.Messages)
				}
			}
			ends = ends || end
		}
	}
	if streams > 0 && !ends {
		return flawf(&p.Phases, "nothing ends the measurement: give phases measure, or a stream messages")
	}
	return nil
}

// noteIDs adds a note for clients that take over each other's sessions.
func (p *Plan) noteIDs() {
	seen := map[string]string{}
	for _, g := range p.Groups {
		// A template with a plain index makes a different ID for each client.
		plain, marks := false, make([]string, 0, len(g.ClientID.parts))
		for _, x := range g.ClientID.parts {
			if x.base == 'i' && len(x.ops) == 0 {
				plain = true
			}
			marks = append(marks, fmt.Sprint(x.base, x.literal, x.add, x.ops, x.width))
		}
		if !plain && g.Clients > 1 && len(g.AppendClientID(nil, 0)) > 0 {
			p.note("group %s: several clients may have the same client id, and take each other over.", g.Name)
		}
		key := strings.Join(marks, "|")
		if other, ok := seen[key]; ok {
			p.note("groups %s and %s have the same client ids, and take each other over.", other, g.Name)
		}
		seen[key] = g.Name
	}
}

func (p *Plan) checkAction(a *Action) error {
	g := a.Group
	if err := p.checkWhen(a.At, a); err != nil {
		return err
	}
	if d, ok := p.Phases.length(a.At.Phase); ok && a.Times > 1 && a.Every > (d-a.At.Offset)/time.Duration(a.Times-1) {
		return flawf(a, "not all of the %d times fit in the phase: it lasts %v", a.Times, d)
	}
	if a.Do == Burst {
		if len(g.Publish) == 0 {
			return flawf(a, "group %q has no stream to burst", g.Name)
		}
		if a.Messages == 0 {
			return flawf(a, "a burst needs messages, the number for each client")
		}
	} else if a.Messages > 0 {
		return flawf(a, "messages are for a burst")
	}
	if (a.Do == Subscribing || a.Do == Unsubscribe) && len(g.Subscribe) == 0 {
		return flawf(a, "group %q has no subscriptions", g.Name)
	}
	return nil
}

package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// The broker and a model of the specification do the same things: whatever the clients
// do, each gets the messages of the model, and no others. Time is virtual, so that
// sessions and will delays end exactly on time.

// step is one action of a client. The kind of the step gives its numbers their meaning,
// so that rapid can shrink them freely.
type step struct {
	Kind, Client, Topic, Filter, QoS, A, B int
	Flag, Other                            bool
}

var (
	modelTopics  = []string{"a", "a/b", "a/b/c", "b", "$x", "s/1", "s/2"}
	modelFilters = []string{"a", "a/#", "+", "+/b", "#", "a/+/c", "$x", "$share/g/s/#", "$share/h/s/+", "$share/g/s/1"}
	modelExpiry  = []time.Duration{0, 10 * time.Second, never}
	modelDelays  = []time.Duration{0, 5 * time.Second, 20 * time.Second}
	modelWaits   = []time.Duration{time.Second, 6 * time.Second, 11 * time.Second, 30 * time.Second}
)

// never is the session expiry interval for no expiry.
const never = 0xFFFFFFFF * time.Second

func stepGen() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		n := func(name string, most int) int { return rapid.IntRange(0, most-1).Draw(t, name) }
		return step{n("kind", 12), n("client", 3), n("topic", len(modelTopics)), n("filter", len(modelFilters)), n("qos", 3), n("a", 4), n("b", 4),
			rapid.Bool().Draw(t, "flag"), rapid.Bool().Draw(t, "other")}
	})
}

// copyOf returns a message as one client sees it.
func copyOf(name, payload string, qos packet.QoS, retain bool, ids []uint32) string {
	slices.Sort(ids)
	return fmt.Sprintf("%s=%s q%d r%v %v", name, payload, qos, retain, ids)
}

// modelSub is a subscription of the model.
type modelSub struct {
	options packet.SubscribeOptions
	id      uint32
}

// modelWill is a will that the broker has.
type modelWill struct {
	topic, payload string
	qos            packet.QoS
	retain         bool
	delay          time.Duration
	due            time.Time // zero while the client is connected
}

// modelClient is what the model knows about a client ID.
type modelClient struct {
	session bool
	online  bool
	expiry  time.Duration
	ends    time.Time // of the session; zero: it does not expire
	subs    map[string]modelSub
	queue   []string // while offline
	will    *modelWill
	want    []string // since the last call of look
}

// modelMessage is a retained message.
type modelMessage struct {
	payload string
	qos     packet.QoS
	from    int
}

type model struct {
	clients  []*modelClient
	retained map[string]modelMessage
	maybe    map[string][]int // copies by shared subscriptions, and who may get one
	// copies for a group without a connected member, one of which may get one on
	// reconnecting
	waiting map[string][]int
}

// publish delivers a message in the model.
func (m *model) publish(from int, name, payload string, qos packet.QoS, retain bool) {
	if retain {
		if payload == "" {
			delete(m.retained, name)
		} else {
			m.retained[name] = modelMessage{payload, qos, from}
		}
	}
	groups := map[string][]int{}
	for i, c := range m.clients {
		if !c.session {
			continue
		}
		hit, best, kept := false, packet.QoS(0), false
		var ids []uint32
		for filter, s := range c.subs {
			_, inner, shared := topic.ParseShare(filter)
			if !topic.Match(inner, name) || s.options&packet.NoLocal != 0 && i == from {
				continue
			}
			if shared {
				groups[filter] = append(groups[filter], i)
				continue
			}
			hit = true
			best = max(best, s.options.QoS())
			kept = kept || retain && s.options&packet.RetainAsPublished != 0
			if s.id != 0 {
				ids = append(ids, s.id)
			}
		}
		if hit {
			c.give(copyOf(name, payload, min(best, qos), kept, ids), min(best, qos))
		}
	}
	for filter, members := range groups {
		m.share(filter, members, name, payload, qos, retain)
	}
}

// share gives a message to one of a group, which cannot be predicted: to a connected
// one, if there is any.
func (m *model) share(filter string, members []int, name, payload string, qos packet.QoS, retain bool) {
	some := slices.ContainsFunc(members, func(i int) bool { return m.clients[i].online })
	var who []int
	text := ""
	for _, i := range members {
		c := m.clients[i]
		if some && !c.online {
			continue
		}
		s := c.subs[filter]
		var ids []uint32
		if s.id != 0 {
			ids = []uint32{s.id}
		}
		who = append(who, i)
		text += "|" + copyOf(name, payload, min(s.options.QoS(), qos), retain && s.options&packet.RetainAsPublished != 0, ids)
	}
	if some {
		m.maybe[filter+text] = who
	} else if qos > 0 {
		m.waiting[filter+text] = who
	}
}

// give delivers a copy to a client, or keeps it while the client is offline.
func (c *modelClient) give(text string, qos packet.QoS) {
	switch {
	case c.online:
		c.want = append(c.want, text)
	case qos > 0:
		c.queue = append(c.queue, text)
	}
}

// leave ends a connection, and the session with it if that has no time left.
func (m *model) leave(i int, now time.Time, will bool) {
	c := m.clients[i]
	c.online = false
	if !will {
		c.will = nil
	}
	if c.will != nil {
		c.will.due = now.Add(min(c.will.delay, c.expiry))
	}
	if c.ends = now.Add(c.expiry); c.expiry == never {
		c.ends = time.Time{}
	}
	m.pass(now)
}

// pass does what is due by now, in order of time.
func (m *model) pass(now time.Time) {
	for {
		next, at := -1, now
		for i, c := range m.clients {
			if w := c.will; w != nil && !w.due.IsZero() && !w.due.After(at) && (next < 0 || w.due.Before(at)) {
				next, at = i, w.due
			}
		}
		if next < 0 {
			break
		}
		m.end(at, next)
		w := m.clients[next].will
		m.clients[next].will = nil
		m.publish(next, w.topic, w.payload, w.qos, w.retain)
	}
	m.end(now, -1)
}

// end ends the sessions that have expired, except but, whose will comes first.
func (m *model) end(now time.Time, but int) {
	for i, c := range m.clients {
		if i != but && c.session && !c.online && !c.ends.IsZero() && !c.ends.After(now) {
			c.session, c.subs, c.queue = false, nil, nil
		}
	}
}

// peer5 is a client of MQTT 5.0 over a pipe, which acknowledges everything and records
// what arrives.
type peer5 struct {
	nc net.Conn

	mu      sync.Mutex
	got     []string
	present bool
	refused packet.ReasonCode
}

func (p *peer5) send(b []byte, err error) error {
	if err == nil {
		_, err = p.nc.Write(b)
	}
	return err
}

// read runs until the connection is over.
func (p *peer5) read() {
	r := bufio.NewReader(p.nc)
	var buf []byte
	for {
		first, err := r.ReadByte()
		if err != nil {
			return
		}
		buf = append(buf[:0], first)
		n := 0
		for shift := 0; ; shift += 7 {
			b, err := r.ReadByte()
			if err != nil {
				return
			}
			buf = append(buf, b)
			if n |= int(b&0x7f) << shift; b < 0x80 {
				break
			}
		}
		head := len(buf)
		buf = append(buf, make([]byte, n)...)
		if _, err := io.ReadFull(r, buf[head:]); err != nil {
			return
		}
		f, _, err := packet.Split(buf, packet.V5, 0)
		if err == nil {
			err = p.take(f)
		}
		if err != nil {
			p.note("broken: " + err.Error())
		}
	}
}

func (p *peer5) note(s string) {
	p.mu.Lock()
	p.got = append(p.got, s)
	p.mu.Unlock()
}

func (p *peer5) take(f packet.Frame) error {
	switch f.Type {
	case packet.CONNACK:
		var a packet.Connack
		err := a.Parse(f, packet.V5)
		p.mu.Lock()
		p.present, p.refused = a.SessionPresent, a.Reason
		p.mu.Unlock()
		return err
	case packet.PUBLISH:
		var m packet.Publish
		if err := m.Parse(f, packet.V5); err != nil {
			return err
		}
		var ids []uint32
		for q := range m.Properties.All() {
			if q.ID == packet.SubscriptionIdentifier {
				ids = append(ids, q.Uint)
			}
		}
		p.note(copyOf(string(m.Topic), string(m.Payload), m.QoS, m.Retain, ids))
		switch m.QoS {
		case 1:
			return p.send(packet.AppendAck(nil, packet.PUBACK, m.PacketID), nil)
		case 2:
			return p.send(packet.AppendAck(nil, packet.PUBREC, m.PacketID), nil)
		}
	case packet.PUBREL:
		var a packet.Ack
		if err := a.Parse(f, packet.V5); err != nil {
			return err
		}
		return p.send(packet.AppendAck(nil, packet.PUBCOMP, a.PacketID), nil)
	case packet.PUBREC:
		var a packet.Ack
		if err := a.Parse(f, packet.V5); err != nil {
			return err
		}
		return p.send(packet.AppendAck(nil, packet.PUBREL, a.PacketID), nil)
	}
	return nil
}

// rig is a broker, its clients, and the model of both.
type rig struct {
	b     *broker.Broker
	m     *model
	peers []*peer5
	next  uint16 // packet identifier
	n     int    // messages so far
}

func (r *rig) id() uint16 {
	r.next = r.next%60000 + 1
	return r.next
}

// do performs one step with both the broker and the model.
func (r *rig) do(s step) error {
	i := s.Client
	c, p := r.m.clients[i], r.peers[i]
	now := time.Now()
	switch s.Kind {
	case 0, 1: // connect
		if err := r.connect(s); err != nil {
			return err
		}
	case 2, 3: // subscribe
		if p == nil {
			return nil
		}
		filter := modelFilters[s.Filter]
		o := packet.SubscribeOptions(s.QoS)
		_, _, shared := topic.ParseShare(filter)
		if s.Flag && !shared {
			o |= packet.NoLocal
		}
		if s.Other {
			o |= packet.RetainAsPublished
		}
		handling := s.A % 3
		o |= packet.SubscribeOptions(handling << 4)
		sub := packet.Subscribe{PacketID: r.id(), Subscriptions: []packet.Subscription{{Filter: []byte(filter), Options: o}}}
		id := uint32(s.B)
		if id != 0 {
			sub.Properties, _ = sub.Properties.AppendUint(packet.SubscriptionIdentifier, id)
		}
		_, again := c.subs[filter]
		c.subs[filter] = modelSub{o, id}
		if !shared && (handling == 0 || handling == 1 && !again) {
			for name, m := range r.m.retained {
				if topic.Match(filter, name) && !(o&packet.NoLocal != 0 && m.from == i) {
					var ids []uint32
					if id != 0 {
						ids = []uint32{id}
					}
					c.want = append(c.want, copyOf(name, m.payload, min(m.qos, o.QoS()), true, ids))
				}
			}
		}
		return p.send(sub.AppendTo(nil, packet.V5))
	case 4: // unsubscribe
		if p == nil {
			return nil
		}
		filter := modelFilters[s.Filter]
		delete(c.subs, filter)
		un := packet.Unsubscribe{PacketID: r.id(), Filters: [][]byte{[]byte(filter)}}
		return p.send(un.AppendTo(nil, packet.V5))
	case 5, 6, 7, 8: // publish
		if p == nil {
			return nil
		}
		r.n++
		m := packet.Publish{Topic: []byte(modelTopics[s.Topic]), QoS: packet.QoS(s.QoS), Retain: s.Flag, Payload: fmt.Appendf(nil, "%d", r.n)}
		if s.Other && s.A == 0 {
			m.Payload = nil
		}
		if m.QoS > 0 {
			m.PacketID = r.id()
		}
		r.m.publish(i, string(m.Topic), string(m.Payload), m.QoS, m.Retain)
		return p.send(m.AppendTo(nil, packet.V5))
	case 9: // DISCONNECT
		if p == nil {
			return nil
		}
		bye := packet.Disconnect{}
		if s.Flag {
			bye.Reason = packet.DisconnectWithWill
		}
		if err := p.send(bye.AppendTo(nil, packet.V5)); err != nil {
			return err
		}
		r.peers[i] = nil
		r.m.leave(i, now, s.Flag)
	case 10: // break
		if p == nil {
			return nil
		}
		_ = p.nc.Close()
		r.peers[i] = nil
		r.m.leave(i, now, true)
	case 11: // time passes
		time.Sleep(modelWaits[s.A])
		r.m.pass(time.Now())
	}
	return nil
}

// connect connects a client, in place of the connection that it may have.
func (r *rig) connect(s step) error {
	i := s.Client
	c := r.m.clients[i]
	if r.peers[i] != nil { // otherwise the broker waits for what may be on the way to the old connection
		time.Sleep(100 * time.Millisecond)
		r.m.pass(time.Now())
	}
	now := time.Now()
	clean := s.Flag
	connect := packet.Connect{Version: packet.V5, CleanStart: clean, ClientID: fmt.Appendf(nil, "c%d", i)}
	expiry := modelExpiry[s.A%3]
	if expiry > 0 {
		connect.Properties, _ = connect.Properties.AppendUint(packet.SessionExpiryInterval, uint32(expiry/time.Second))
	}
	var will *modelWill
	if s.Other {
		r.n++
		will = &modelWill{modelTopics[s.Topic], fmt.Sprintf("will %d", r.n), packet.QoS(s.QoS), s.Filter%2 == 0, modelDelays[s.B%3], time.Time{}}
		connect.HasWill = true
		connect.Will = packet.Will{QoS: will.qos, Retain: will.retain, Topic: []byte(will.topic), Payload: []byte(will.payload)}
		if will.delay > 0 {
			connect.Will.Properties, _ = connect.Will.Properties.AppendUint(packet.WillDelayInterval, uint32(will.delay/time.Second))
		}
	}
	var late *modelWill // of the connection that is taken over; published when the new one is accepted
	if r.peers[i] != nil {
		late = r.m.takeOver(i, now, clean)
	} else if clean && c.session { // it ends, and its will with it
		c.ends = now
		if c.will != nil {
			c.will.due = now
		}
		r.m.pass(now)
	}
	if c.will != nil { // its client is back in time
		c.will = nil
	}
	present := c.session && !clean
	if !present {
		c.subs, c.queue = map[string]modelSub{}, nil
	}
	c.session, c.online, c.expiry, c.will, c.ends = true, true, expiry, will, time.Time{}
	c.want, c.queue = append(c.want, c.queue...), nil
	mine, theirs := net.Pipe()
	r.b.ServeConn(theirs)
	p := &peer5{nc: mine, refused: 0xff}
	go p.read()
	r.peers[i] = p
	if err := p.send(connect.AppendTo(nil, packet.V5)); err != nil {
		return err
	}
	if late != nil {
		r.m.publish(i, late.topic, late.payload, late.qos, late.retain)
	}
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused != packet.Success || p.present != present {
		return fmt.Errorf("CONNACK %v, session present %v, want %v", p.refused, p.present, present)
	}
	return nil
}

// takeOver ends a connection because another one takes over. It returns the will that
// is due now, unless it waits for a session that continues.
func (m *model) takeOver(i int, now time.Time, clean bool) *modelWill {
	c := m.clients[i]
	will := c.will
	c.online, c.want, c.will = false, nil, nil
	if will != nil && !clean && c.expiry > 0 && will.delay > 0 {
		will = nil
	}
	if clean || c.expiry == 0 {
		c.ends = now
	}
	m.pass(now)
	return will
}

// look compares what has arrived with the model.
func (r *rig) look() error {
	synctest.Wait()
	for i, c := range r.m.clients {
		var got []string
		if p := r.peers[i]; p != nil {
			p.mu.Lock()
			got, p.got = p.got, nil
			p.mu.Unlock()
		}
		got = slices.Clone(got)
		for _, want := range c.want {
			at := slices.Index(got, want)
			if at < 0 {
				return fmt.Errorf("client %d lacks %q of %q; it has %q", i, want, c.want, got)
			}
			got = slices.Delete(got, at, at+1)
		}
		c.want = nil
		for _, extra := range got {
			if !r.m.mayHave(i, extra) {
				return fmt.Errorf("client %d has %q, which is not for it", i, extra)
			}
		}
	}
	if len(r.m.maybe) > 0 {
		return fmt.Errorf("no member got %q", slices.Sorted(maps.Keys(r.m.maybe)))
	}
	return nil
}

// mayHave reports whether a client may have a copy as a member of a group.
func (m *model) mayHave(i int, text string) bool {
	for _, some := range []map[string][]int{m.maybe, m.waiting} {
		for _, key := range slices.Sorted(maps.Keys(some)) {
			for n, who := range some[key] {
				if who == i && strings.Split(key, "|")[n+1] == text {
					delete(some, key)
					return true
				}
			}
		}
	}
	return false
}

// play performs the steps and returns the first difference.
func play(t *testing.T, steps []step) (err error) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{b: broker.New(broker.Options{}), m: &model{retained: map[string]modelMessage{}, maybe: map[string][]int{}, waiting: map[string][]int{}}, peers: make([]*peer5, 3)}
		for range 3 {
			r.m.clients = append(r.m.clients, &modelClient{})
		}
		for n, s := range steps {
			if err = r.do(s); err == nil {
				err = r.look()
			}
			if err != nil {
				err = fmt.Errorf("step %d, %+v: %w", n, s, err)
				break
			}
		}
		for _, p := range r.peers {
			if p != nil {
				_ = p.nc.Close()
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if closeErr := r.b.Close(ctx); err == nil {
			err = closeErr
		}
	})
	return err
}

func TestBrokerDoesAsTheModel(t *testing.T) {
	for range 20 { // of 100 each; more with -rapid.checks
		rapid.Check(t, func(rt *rapid.T) {
			if err := play(t, rapid.SliceOfN(stepGen(), 1, 40).Draw(rt, "steps")); err != nil {
				rt.Fatal(err)
			}
		})
	}
}

package plan

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mqtools/mqtools/mqtt/topic"
)

// FanOut finds the subscriptions of all clients of the plan that a message matches. The rules:
//
//   - Each client with a matching subscription that is not shared gets one. A
//     broker may send a client whose subscriptions overlap one copy for each
//     (MQTT-3.3.4-2).
//   - Each shared subscription that matches, a share name with a filter, gets one
//     for all of its subscribers.
//   - A client does not get its own message through a no-local subscription.
//
// FanOut does not know which of the subscriptions exist when a message arrives.
//
// Filters are not stored one by one if their template can be inverted: of 50 million filters
// bench/%i, the number in a topic shows which one matches. All others are stored in a tree, at
// most maxStored of them.
//
// A FanOut is immutable and safe for concurrent use.
type FanOut struct {
	plan    *Plan
	table   *fanTable
	reasons []string
}

// Recipient is a subscription that a message matches.
type Recipient struct {
	Sub    *Subscribe // nil for a shared subscription
	Client uint32     // index in the group
	Share  string     // filter of a shared subscription, $share/name/filter
}

const (
	maxStored = 200_000   // filters in the tree
	maxValues = 1 << 20   // entries of a field's histogram
	maxMemory = 16 << 20  // entries of all histograms, of 4 bytes
	maxWork   = 200 << 20 // clients visited to build a FanOut
)

// fanTable holds the subscriptions of a plan.
type fanTable struct {
	groups []groupFilters
	tree   topic.Trie[leaf, struct{}]
	shared topic.Trie[string, struct{}] // of shared subscriptions
	shares []string
	work   int // clients visited
	memory int // entries made
}

// leaf is a filter in the tree.
type leaf struct {
	sub    *Subscribe
	client uint32
}

// groupFilters is the filters of a group that are not in the tree.
type groupFilters struct {
	group   *Group
	filters []*matcher
}

// FanOut returns the FanOut of the subscriptions of the plan.
func (p *Plan) FanOut() *FanOut {
	f := &FanOut{plan: p, table: &fanTable{}}
	for _, g := range p.Groups {
		f.addGroup(g)
	}
	f.findReasons()
	return f
}

// Reasons returns why a subscriber may receive only some of the messages that its filters match,
// one sentence each; nil if every subscriber receives all of them.
func (f *FanOut) Reasons() []string { return f.reasons }

// Shares returns the shared subscriptions, each once.
func (f *FanOut) Shares() []string { return f.table.shares }

// Recipients calls visit with each subscription that matches a message to a topic, published by
// client index of group from. It visits a client once for each of its filters that matches.
func (f *FanOut) Recipients(name []byte, from *Group, index uint32, visit func(Recipient)) {
	t := f.table
	if t.shared.Len() > 0 {
		t.shared.MatchBytes(name, func(filter string, _ struct{}) { visit(Recipient{Share: filter}) })
	}
	own := func(s *Subscribe, client uint32) bool { return s.NoLocal && s.Group == from && client == index }
	for i := range t.groups {
		for _, m := range t.groups[i].filters {
			value, ok := m.matches(name)
			if !ok {
				continue
			}
			m.each(value, func(client uint32) {
				if !own(m.sub, client) {
					visit(Recipient{Sub: m.sub, Client: client})
				}
			})
		}
	}
	if t.tree.Len() > 0 {
		t.tree.MatchBytes(name, func(l leaf, _ struct{}) {
			if !own(l.sub, l.client) {
				visit(Recipient{Sub: l.sub, Client: l.client})
			}
		})
	}
}

// addGroup adds the subscriptions of a group.
func (f *FanOut) addGroup(g *Group) {
	gf := groupFilters{group: g}
	for _, s := range g.Subscribe {
		if strings.HasPrefix(string(s.AppendFilter(nil, 0)), "$share/") {
			f.addShared(s)
		} else if m := f.matcher(s); m != nil {
			gf.filters = append(gf.filters, m)
		} else {
			f.store(s)
		}
	}
	f.table.groups = append(f.table.groups, gf)
}

func (f *FanOut) reason(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(f.reasons, text) {
		f.reasons = append(f.reasons, text)
	}
}

// each calls add with the filter of every client of a subscription, or once with a filter that all
// clients share.
func (f *FanOut) each(s *Subscribe, have int, add func(filter string, index uint32)) bool {
	n := s.Group.Clients
	if !s.Filter.uses("irU") {
		n = 1
	}
	if have+n > maxStored {
		f.reason("group %s: more than %d filters of the form %q, which cannot be calculated backwards.", s.Group.Name, maxStored, s.Filter)
		return false
	}
	for i := range uint32(n) {
		add(string(s.AppendFilter(nil, i)), i)
	}
	return true
}

func (f *FanOut) addShared(s *Subscribe) {
	f.each(s, f.table.shared.Len(), func(filter string, _ uint32) {
		_, inner, shared := topic.ParseShare(filter)
		if !shared {
			return
		}
		replaced, err := f.table.shared.Insert(inner, filter, struct{}{})
		if err != nil {
			f.reason("%v", err)
		} else if !replaced {
			f.table.shares = append(f.table.shares, filter)
		}
	})
}

// store adds the filters of a subscription to the tree. A filter that all clients share is added
// for each of them.
func (f *FanOut) store(s *Subscribe) {
	have := f.table.tree.Len()
	if have+s.Group.Clients > maxStored {
		f.reason("group %s: more than %d filters of the form %q, which cannot be calculated backwards.", s.Group.Name, maxStored, s.Filter)
		return
	}
	for i := range uint32(s.Group.Clients) {
		if _, err := f.table.tree.Insert(string(s.AppendFilter(nil, i)), leaf{s, i}, struct{}{}); err != nil {
			f.reason("%v", err)
		}
	}
}

// findReasons finds what starts and ends subscriptions during the run.
func (f *FanOut) findReasons() {
	for _, g := range f.plan.Groups {
		gone := g.Churn != nil
		for _, a := range f.plan.Actions {
			gone = gone || a.Group == g && (a.Do == Cut || a.Do == Close || a.Do == Disconnect || a.Do == Takeover)
		}
		if g.Deferred && len(g.Subscribe) > 0 && !f.onlyRetained() {
			f.reason("group %s: an action connects it, and subscribes then.", g.Name)
		}
		if gone && len(g.Subscribe) > 0 && !f.kept(g) {
			f.reason("group %s: connections end, and what is published meanwhile is not kept.", g.Name)
		}
		for _, s := range g.Subscribe {
			if (s.Deferred || f.plan.acts(g, Unsubscribe)) && !f.onlyRetained() {
				f.reason("group %s: subscriptions come and go by actions.", g.Name)
			}
		}
		if g.SubChurn != nil && f.reached(g.SubChurn.Filter) {
			f.reason("group %s: its subscription churn matches topics that are published to.", g.Name)
		}
	}
}

// kept reports whether the sessions of a group keep every message while its clients are away.
func (f *FanOut) kept(g *Group) bool {
	if !g.Persistent() || g.CleanStart {
		return false
	}
	return !slices.ContainsFunc(g.Subscribe, func(s *Subscribe) bool { return s.QoS == 0 }) && !f.streams(func(p *Publish) bool { return p.QoS == 0 })
}

// onlyRetained reports whether all messages are retained fills.
func (f *FanOut) onlyRetained() bool {
	return !f.streams(func(p *Publish) bool { return !p.Retain || !p.Fill })
}

// streams reports whether is returns true for some stream.
func (f *FanOut) streams(is func(*Publish) bool) bool {
	return slices.ContainsFunc(f.plan.Groups, func(g *Group) bool { return slices.ContainsFunc(g.Publish, is) })
}

// reached reports whether a filter may match a topic of the plan. It compares the texts before the
// first field or wildcard.
func (f *FanOut) reached(filter *Template) bool {
	a, _, _ := strings.Cut(filter.prefix(), "+")
	a, _, _ = strings.Cut(a, "#")
	return f.streams(func(p *Publish) bool {
		return slices.ContainsFunc(p.Topics, func(t *Template) bool {
			b := t.prefix()
			return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
		})
	})
}

// prefix returns the text before the first field.
func (t *Template) prefix() string {
	if len(t.parts) == 0 || t.parts[0].base != 0 {
		return ""
	}
	return t.parts[0].literal
}

// matcher inverts the filters of one subscription of a group: it finds the value of the field in a
// matching name, and the clients with that value. It is immutable.
type matcher struct {
	sub    *Subscribe
	levels []level
	field  *field // nil: all clients have the same filter
}

// level is a level of a filter: a wildcard, or a text that may contain the field.
type level struct {
	wild          byte // + or #; 0 for none
	before, after string
	field         *field
}

// field is a number in a level.
type field struct {
	part   part
	group  *Group
	top    uint64   // largest value
	counts []uint32 // of clients by value; nil if solve finds the clients
}

// matcher returns the matcher of a subscription. It returns nil if the filter has several fields,
// or digits next to the field, which hide where the field begins.
func (f *FanOut) matcher(s *Subscribe) *matcher {
	m := &matcher{sub: s, levels: []level{{}}}
	for i := range s.Filter.parts {
		p := &s.Filter.parts[i]
		switch {
		case p.base == 0:
			m.literal(p.literal)
		case p.base == 'i' && m.field == nil:
			m.field = &field{part: *p, group: s.Group}
			m.levels[len(m.levels)-1].field = m.field
		default:
			return nil
		}
	}
	for i := range m.levels {
		l := &m.levels[i]
		if l.field == nil && (l.before == "+" || l.before == "#") {
			l.wild = l.before[0]
		}
		if l.field != nil && (endsInDigit(l.before) || l.after != "" && isDigit(l.after[0])) {
			return nil
		}
	}
	if m.field != nil && !m.field.prepare(f.table) {
		return nil
	}
	return m
}

// literal appends a text, which may have several levels.
func (m *matcher) literal(text string) {
	for k, part := range strings.Split(text, "/") {
		if k > 0 {
			m.levels = append(m.levels, level{})
		}
		if last := &m.levels[len(m.levels)-1]; last.field != nil {
			last.after += part
		} else {
			last.before += part
		}
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func endsInDigit(s string) bool { return s != "" && isDigit(s[len(s)-1]) }

// prepare decides how the clients of a value are found: solve inverts an index with sums and
// quotients only; for all other fields the clients of each value are counted.
func (x *field) prepare(t *fanTable) bool {
	first, last := x.part.add, x.part.add+uint64(x.group.Clients)-1
	top, simple := last, true
	for _, o := range x.part.ops {
		switch o.op {
		case '+':
			top += o.by
		case '*':
			if o.by > 0 && top > math.MaxUint64/o.by {
				return false
			}
			top *= o.by
			simple = simple && o.by > 0
		case '/':
			top /= o.by
		case '%':
			if top >= o.by {
				top, simple = o.by-1, false
			}
		}
	}
	x.top = top
	if simple {
		return true
	}
	if top >= maxValues || t.work+x.group.Clients > maxWork || t.memory+int(top) >= maxMemory {
		return false
	}
	t.work += x.group.Clients
	t.memory += int(top) + 1
	x.counts = make([]uint32, top+1)
	for i := first; i <= last; i++ {
		x.counts[x.part.value(i)]++
	}
	return true
}

// solve returns the range of indexes whose field has a value; the range is empty if from is above
// to.
func (x *field) solve(value uint64) (from, to uint64) {
	if value > x.top {
		return 1, 0
	}
	from, to = value, value
	for i := len(x.part.ops) - 1; i >= 0; i-- {
		switch o := x.part.ops[i]; o.op {
		case '+':
			if to < o.by {
				return 1, 0
			}
			from, to = max(from, o.by)-o.by, to-o.by
		case '*':
			from, to = (from+o.by-1)/o.by, to/o.by
		case '/':
			from, to = from*o.by, to*o.by+o.by-1
		} // of % the values are below its operand
		if from > to {
			return 1, 0
		}
	}
	from, to = max(from, x.part.add), min(to, x.part.add+uint64(x.group.Clients)-1)
	if from > to {
		return 1, 0
	}
	return from - x.part.add, to - x.part.add
}

// matches reports whether the name matches the filter of a client that has the returned value.
func (m *matcher) matches(name []byte) (value uint64, ok bool) {
	if len(name) > 0 && name[0] == '$' && m.levels[0].wild != 0 {
		return 0, false // (MQTT-4.7.2-1)
	}
	more := true
	for i := range m.levels {
		l := &m.levels[i]
		if l.wild == '#' {
			return value, true // also of the parent level (section 4.7.1.2)
		}
		if !more {
			return 0, false
		}
		var text []byte
		text, name, more = bytes.Cut(name, []byte{'/'})
		switch {
		case l.wild != 0:
		case l.field == nil:
			if string(text) != l.before {
				return 0, false
			}
		default:
			if value, ok = l.read(text); !ok {
				return 0, false
			}
		}
	}
	return value, !more
}

// read parses the value of the field in a level.
func (l *level) read(text []byte) (value uint64, ok bool) {
	if len(text) <= len(l.before)+len(l.after) || string(text[:len(l.before)]) != l.before || string(text[len(text)-len(l.after):]) != l.after {
		return 0, false
	}
	digits := text[len(l.before) : len(text)-len(l.after)]
	if width := max(l.field.part.width, 1); len(digits) < width || len(digits) > width && digits[0] == '0' {
		return 0, false // 007 is not the same level as 7
	}
	for _, c := range digits {
		if !isDigit(c) || value > (math.MaxUint64-9)/10 {
			return 0, false
		}
		value = value*10 + uint64(c-'0')
	}
	return value, true
}

// each calls visit with the clients that have the value.
func (m *matcher) each(value uint64, visit func(index uint32)) {
	x := m.field
	if x == nil {
		for i := range uint32(m.sub.Group.Clients) {
			visit(i)
		}
		return
	}
	if x.counts == nil {
		for from, to := x.solve(value); from <= to; from++ {
			visit(uint32(from))
		}
		return
	}
	if value >= uint64(len(x.counts)) || x.counts[value] == 0 {
		return
	}
	for i := range uint32(m.sub.Group.Clients) {
		if x.part.value(x.part.add+uint64(i)) == value {
			visit(i)
		}
	}
}

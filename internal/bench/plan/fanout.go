package plan

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"github.com/mqtools/mqtools/mqtt/topic"
)

// FanOut tells how many deliveries a message must cause. The rules:
//
//   - Each client with a matching subscription that is not shared gets one. A
//     broker may send a client whose subscriptions overlap one copy for each
//     (MQTT-3.3.4-2); the copies count as duplicates, not as expected.
//   - Each shared subscription that matches, a share name with a filter, gets one
//     for all of its subscribers.
//   - A client does not get its own message through a no-local subscription.
//
// Subscriptions count as if they were there all the time. Reasons tells where
// the plan makes that untrue.
//
// Filters are not kept one by one where their template can be calculated
// backwards: of 50 million filters bench/%i the number in a topic name tells
// which one matches. The others are kept in a tree, at most maxStored of them.
//
// A FanOut is for one goroutine; Fork makes another one that shares what is big.
type FanOut struct {
	plan    *Plan
	table   *fanTable
	tables  map[*Publish][]uint32 // by client and topic, of streams whose topics have no number of the message
	uniform map[*Publish]int      // where all of them are equal
	reasons []string

	buf   []byte
	memo  []memo
	hits  []hit
	found map[uint32]struct{}
}

// hit is filters of which some match, and what their field must be.
type hit struct {
	*matcher
	value uint64
}

const (
	maxStored = 200_000   // filters in the tree
	maxTable  = 1 << 20   // entries of a stream's table
	maxValues = 1 << 20   // entries of a field's histogram
	maxMemory = 16 << 20  // entries of all tables and histograms, of 4 bytes
	maxWork   = 200 << 20 // clients gone through to build a FanOut
	memoSize  = 1 << 12
)

type memo struct {
	hash  uint64
	count int
	set   bool
}

// fanTable is the subscriptions of a plan.
type fanTable struct {
	groups  []groupFilters
	tree    topic.Trie[uint64, struct{}] // of clients, by group<<32 | index
	shared  topic.Trie[string, struct{}] // of shared subscriptions
	noLocal bool
	work    int // clients gone through
	memory  int // entries made
	seed    maphash.Seed
}

// groupFilters are the filters of a group that are not in the tree.
type groupFilters struct {
	group   *Group
	filters []*matcher
	inTree  bool
}

// FanOut calculates the deliveries of the plan's streams.
func (p *Plan) FanOut() *FanOut {
	f := &FanOut{plan: p, table: &fanTable{seed: maphash.MakeSeed()}, tables: map[*Publish][]uint32{}, uniform: map[*Publish]int{}, found: map[uint32]struct{}{}, memo: make([]memo, memoSize)}
	for _, g := range p.Groups {
		f.addGroup(g)
	}
	for _, g := range p.Groups {
		for _, s := range g.Publish {
			f.addStream(s)
		}
	}
	f.findReasons()
	return f
}

// Fork is a FanOut for another goroutine.
func (f *FanOut) Fork() *FanOut {
	c := *f
	c.buf, c.hits, c.memo, c.found = nil, nil, make([]memo, memoSize), map[uint32]struct{}{}
	return &c
}

// Reasons are why the numbers of Expected are not exact, one sentence each; none
// if they are.
func (f *FanOut) Reasons() []string { return f.reasons }

// Expected is the number of deliveries of a client's message in a stream.
func (f *FanOut) Expected(p *Publish, index, seq uint32) int {
	if n, ok := f.uniform[p]; ok {
		return n
	}
	if t := f.tables[p]; t != nil {
		return int(t[int(index)*len(p.Topics)+int(seq)%len(p.Topics)])
	}
	f.buf = p.AppendTopic(f.buf[:0], index, seq)
	if f.table.noLocal {
		return f.count(f.buf, p.Group, index)
	}
	h := maphash.Bytes(f.table.seed, f.buf)
	m := &f.memo[h%memoSize]
	if !m.set || m.hash != h {
		*m = memo{h, f.count(f.buf, p.Group, index), true}
	}
	return m.count
}

// addGroup takes a group's subscriptions in.
func (f *FanOut) addGroup(g *Group) {
	gf := groupFilters{group: g}
	filters := g.Subscribe
	for _, s := range g.Publish {
		if s.Request != nil {
			filters = append(slices.Clip(filters), &Subscribe{Group: g, Filter: s.Request.ResponseTopic, QoS: s.Request.QoS})
		}
	}
	for _, s := range filters {
		f.table.noLocal = f.table.noLocal || s.NoLocal
		if strings.HasPrefix(string(s.AppendFilter(nil, 0)), "$share/") {
			f.addShared(s)
		} else if m := f.matcher(s); m != nil {
			gf.filters = append(gf.filters, m)
		} else if f.store(s) {
			gf.inTree = true
		}
	}
	f.table.groups = append(f.table.groups, gf)
}

func (f *FanOut) reason(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(f.reasons, text) {
		f.reasons = append(f.reasons, text)
	}
}

// each calls add with the filters of a subscription, all clients' or just the
// one that all have.
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
		if _, inner, shared := topic.ParseShare(filter); shared {
			if _, err := f.table.shared.Insert(inner, filter, struct{}{}); err != nil {
				f.reason("%v", err)
			}
		}
	})
}

// store puts the filters of a subscription into the tree.
func (f *FanOut) store(s *Subscribe) bool {
	return f.each(s, f.table.tree.Len(), func(filter string, i uint32) {
		if _, err := f.table.tree.Insert(filter, uint64(s.Group.Number)<<32|uint64(i), struct{}{}); err != nil {
			f.reason("%v", err)
		}
	})
}

// addStream makes the table of a stream, if it has one.
func (f *FanOut) addStream(s *Publish) {
	entries := s.Group.Clients * len(s.Topics)
	fixedTopics := !slices.ContainsFunc(s.Topics, func(t *Template) bool { return t.uses("sjr") })
	if !fixedTopics || entries > maxTable || f.table.memory+entries > maxMemory {
		return
	}
	f.table.memory += entries
	table := make([]uint32, entries)
	same := true
	for k := range table {
		f.buf = s.Topics[k%len(s.Topics)].Append(f.buf[:0], uint32(k/len(s.Topics)), 0, 0)
		table[k] = uint32(f.count(f.buf, s.Group, uint32(k/len(s.Topics))))
		same = same && table[k] == table[0]
	}
	if same {
		f.uniform[s] = int(table[0])
		return
	}
	f.tables[s] = table
}

// count is the deliveries of one topic name published by a client.
func (f *FanOut) count(name []byte, from *Group, index uint32) int {
	t := f.table
	n := 0
	t.shared.MatchBytes(name, func(string, struct{}) { n++ })
	for i := range t.groups {
		n += f.countGroup(&t.groups[i], name, from, index)
	}
	return n
}

// countGroup is how many clients of a group get a message.
func (f *FanOut) countGroup(gf *groupFilters, name []byte, from *Group, index uint32) int {
	g := gf.group
	hits := f.hits[:0]
	for _, m := range gf.filters {
		if v, ok := m.matches(name); ok {
			hits = append(hits, hit{m, v})
		}
	}
	f.hits = hits
	self := 0 // the publisher does not get its own
	if from == g && f.table.noLocal && f.onlyNoLocal(gf, name, index) {
		self = 1
	}
	if !gf.inTree {
		switch len(hits) {
		case 0:
			return 0
		case 1:
			return max(hits[0].count(hits[0].value)-self, 0)
		}
	}
	for _, m := range hits {
		if m.field == nil {
			return max(g.Clients-self, 0)
		}
	}
	clear(f.found)
	for _, m := range hits {
		m.each(m.value, func(i uint32) { f.found[i] = struct{}{} })
	}
	if gf.inTree {
		f.table.tree.MatchBytes(name, func(key uint64, _ struct{}) {
			if int(key>>32) == g.Number {
				f.found[uint32(key)] = struct{}{}
			}
		})
	}
	return max(len(f.found)-self, 0)
}

// onlyNoLocal tells whether a client has matching subscriptions, and all of them
// are no-local.
func (f *FanOut) onlyNoLocal(gf *groupFilters, name []byte, index uint32) bool {
	any := false
	for _, s := range gf.group.Subscribe {
		filter := string(s.AppendFilter(nil, index))
		if _, _, shared := topic.ParseShare(filter); !shared && topic.MatchBytes(filter, name) {
			if !s.NoLocal {
				return false
			}
			any = true
		}
	}
	return any
}

// findReasons finds what makes subscriptions come and go.
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

// kept tells whether the sessions of a group keep everything while it is away.
func (f *FanOut) kept(g *Group) bool {
	if !g.Persistent() || g.CleanStart {
		return false
	}
	return !slices.ContainsFunc(g.Subscribe, func(s *Subscribe) bool { return s.QoS == 0 }) && !f.streams(func(p *Publish) bool { return p.QoS == 0 })
}

// onlyRetained tells whether all messages are retained fills.
func (f *FanOut) onlyRetained() bool {
	return !f.streams(func(p *Publish) bool { return !p.Retain || !p.Fill })
}

// streams tells whether a stream is so.
func (f *FanOut) streams(is func(*Publish) bool) bool {
	return slices.ContainsFunc(f.plan.Groups, func(g *Group) bool { return slices.ContainsFunc(g.Publish, is) })
}

// reached tells whether a filter may match a topic of the plan, by what stands
// before the first field or wildcard.
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

// prefix is the text before the first field.
func (t *Template) prefix() string {
	if len(t.parts) == 0 || t.parts[0].base != 0 {
		return ""
	}
	return t.parts[0].literal
}

// matcher is the filters of one subscription of a group, calculated backwards:
// the field of a matching name must have a value, and from that the clients
// follow. It is immutable.
type matcher struct {
	group  *Group
	levels []level
	field  *field // nil: all clients have the same filter
}

// level is a level of a filter: a wildcard, or a text that may have the field.
type level struct {
	wild          byte // + or #; 0 for none
	before, after string
	field         *field
}

// field is a number in a level.
type field struct {
	part   part
	group  *Group
	top    uint64   // no value is above it
	counts []uint32 // of clients by value; nil: solved instead
}

// matcher makes the matcher of a subscription; nil if its form is another one:
// several fields, or digits beside the field, so that it is not clear where it
// begins.
func (f *FanOut) matcher(s *Subscribe) *matcher {
	m := &matcher{group: s.Group, levels: []level{{}}}
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

// prepare finds out how to tell the clients of a value: an index with sums and
// quotients alone is solved, of others the values are counted.
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

// solve is the range of indexes whose field has a value; empty if from is above
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

// matches tells whether some of the filters match a name if a client has the
// value.
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

// read takes the value of the field out of a level.
func (l *level) read(text []byte) (value uint64, ok bool) {
	if len(text) <= len(l.before)+len(l.after) || string(text[:len(l.before)]) != l.before || string(text[len(text)-len(l.after):]) != l.after {
		return 0, false
	}
	digits := text[len(l.before) : len(text)-len(l.after)]
	if width := max(l.field.part.width, 1); len(digits) < width || len(digits) > width && digits[0] == '0' {
		return 0, false // 007 is another level than 7
	}
	for _, c := range digits {
		if !isDigit(c) || value > (math.MaxUint64-9)/10 {
			return 0, false
		}
		value = value*10 + uint64(c-'0')
	}
	return value, true
}

// count is how many clients have the value.
func (m *matcher) count(value uint64) int {
	x := m.field
	switch {
	case x == nil:
		return m.group.Clients
	case x.counts != nil && value < uint64(len(x.counts)):
		return int(x.counts[value])
	case x.counts != nil:
		return 0
	}
	from, to := x.solve(value)
	return int(to + 1 - from)
}

// each calls visit with the clients that have the value.
func (m *matcher) each(value uint64, visit func(index uint32)) {
	x := m.field
	if x.counts == nil {
		for from, to := x.solve(value); from <= to; from++ {
			visit(uint32(from))
		}
		return
	}
	for i := range uint32(m.group.Clients) {
		if x.part.value(x.part.add+uint64(i)) == value {
			visit(i)
		}
	}
}

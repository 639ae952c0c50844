package bench

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// ledger records which deliveries are owed and which have arrived. The life of a
// message:
//
//	due -> sent | skipped (its publisher is not connected) | unsent (no room until the end)
//	sent -> accepted (QoS 0: sent) | refused | unaccepted (no acknowledgement)
//	accepted -> for each subscription that was granted then: owed
//	owed -> received | corrupt | voided (the subscription has ended) | lost | dropped | in flight
//
// A message is in one state at a time, and so is each of its deliveries. The ledger has
// an account for each subscriber and one for each shared subscription. The publisher's
// worker enters what an accepted message owes, the subscriber's worker what arrives.
//
// A message is owed to a subscription that was granted before the message was sent and
// still stood when it was accepted. If the subscription or the connection came or went
// in between, or if the broker did not acknowledge the message, it is unknown whether
// the message is owed. It is then kept as a claim, and entered at the end if the
// message arrived. An unexpected delivery therefore never makes up for a lost one.
type ledger struct {
	run     *run
	books   []*book // by the group's number; nil: no subscriptions
	entries map[*plan.Subscribe]int
	shares  map[string]*share
	clock   atomic.Int64 // ticks with each change of a grant
	cached  atomic.Int64 // routes that are cached

	mu       sync.Mutex // guards the fields below
	claims   []claim
	retained map[string]struct{} // topics of retained messages kept for future subscribers
}

// book holds the accounts of a group's clients, by their place in the shard.
type book struct {
	*plan.Group
	accounts []account
	grants   []grant  // for each client, one for each of the group's subscriptions
	shares   []*share // likewise; nil: not shared
	plain    bool     // there is one subscription, and it is not shared
}

// account counts by QoS what is owed to a subscriber and what has arrived.
type account struct {
	owed, got, corrupt, void [3]atomic.Int64
	closed                   [3]atomic.Int64 // the tick after the last balance; 0: never balanced
	replays                  atomic.Int64    // the part of owed that is retained messages, since the grant
}

// grant is a subscription at the broker. Its times are ticks of the ledger's clock.
type grant struct {
	kept    atomic.Int64 // since when messages at QoS 1 and 2 are owed; 0: they are not
	live    atomic.Int64 // likewise at QoS 0, while the subscriber is connected
	changed atomic.Int64 // when kept or live last changed; changing: a change is in progress
	qos     atomic.Uint32
	replays [3]atomic.Int64 // retained messages that become owed when it is granted
}

const changing = -1

// standing says whether a message is owed to a subscription.
type standing uint8

const (
	owesNothing standing = iota
	owesPerhaps
	owes
)

// of returns the standing of a message that was sent at the given tick.
func (g *grant) of(q packet.QoS, sent int64) standing {
	since := g.kept.Load()
	if q == 0 {
		since = g.live.Load()
	}
	switch c := g.changed.Load(); {
	case since != 0 && since <= sent:
		return owes
	case c == changing || c > sent, g.kept.Load() != 0: // a broker may keep QoS 0 messages too
		return owesPerhaps
	}
	return owesNothing
}

// share is a shared subscription. Its members may be in any loop.
type share struct {
	account
	grant
	filter  string
	inner   string
	group   int                   // the first group that has it
	check   *result.SharedChecker // may be common to several shares
	copies  bool                  // a copy for a member's other filter may be mistaken for one of this share
	members sync.Mutex            // guards the fields below and the balancing of the account
	joined  bool                  // it has had a member
	kept    int                   // members whose sessions live
	live    int                   // members that are connected as well
}

// claim is a delivery that is owed only if it has arrived.
type claim struct {
	*account
	group      int
	share      *share // nil: the claim is the subscriber's
	subscriber uint32
	publisher  uint32
	seq        uint32
	qos        packet.QoS
	sent       int64 // tick
}

// maxClaims bounds the number of claims kept.
const maxClaims = 1 << 20

// newLedger opens the accounts of a shard.
func newLedger(r *run) *ledger {
	l := &ledger{run: r, books: make([]*book, len(r.p.Groups)), entries: map[*plan.Subscribe]int{}, shares: map[string]*share{}, retained: map[string]struct{}{}}
	l.clock.Store(1)
	filters := r.fan.Shares()
	own := int64(len(filters))*int64(r.p.Clients()) <= maxShareChecks
	checks := map[*plan.Subscribe]*result.SharedChecker{}
	for _, g := range r.p.Groups {
		n := len(g.Subscribe)
		if n == 0 {
			continue
		}
		clients := r.shard.Clients(g)
		b := &book{Group: g, accounts: make([]account, clients), grants: make([]grant, clients*n), plain: n == 1}
		l.books[g.Number] = b
		for at, s := range g.Subscribe {
			l.entries[s] = at
			if _, _, shared := topic.ParseShare(string(s.AppendFilter(nil, 0))); !shared {
				continue
			}
			b.plain = false
			if b.shares == nil {
				b.shares = make([]*share, clients*n)
			}
			plain := 0
			for _, other := range g.Subscribe {
				if _, _, shared := topic.ParseShare(string(other.AppendFilter(nil, 0))); !shared {
					plain++
				}
			}
			for index := range uint32(g.Clients) {
				filter := string(s.AppendFilter(nil, index))
				sh := l.shares[filter]
				if sh == nil {
					sh = &share{filter: filter, group: g.Number}
					_, sh.inner, _ = topic.ParseShare(filter)
					l.shares[filter] = sh
					if own || checks[s] == nil {
						checks[s] = result.NewSharedChecker(r.p.Clients(), max(maxPages/max(len(filters), 1), 1<<10))
					}
					sh.check = checks[s]
				}
				sh.copies = sh.copies || plain > 1
				if place, ok := r.shard.Place(g, index); ok {
					b.shares[place*n+at] = sh
				}
			}
		}
	}
	return l
}

// maxShareChecks bounds the memory of the checkers of shared subscriptions. Beyond it,
// the shares of one subscription of the plan use one checker together.
const maxShareChecks = 1 << 23

// maxPages bounds what is remembered about the messages of shared subscriptions.
const maxPages = 1 << 20

// each calls f with each of a client's grants, and with the share if the subscription
// is shared.
func (b *book) each(place int, f func(at int, g *grant, sh *share)) {
	n := len(b.Subscribe)
	for at := range n {
		var sh *share
		if b.shares != nil {
			sh = b.shares[place*n+at]
		}
		f(at, &b.grants[place*n+at], sh)
	}
}

// ask notes that a subscription is being requested or withdrawn.
func (l *ledger) ask(g *grant, sh *share) {
	g.changed.Store(changing)
	if sh != nil {
		sh.changed.Store(changing)
	}
}

// allow notes that a subscription was granted. It returns, by QoS, the retained
// messages that become owed.
func (l *ledger) allow(a *account, g *grant, sh *share, qos packet.QoS, replays bool) (more [3]int64) {
	tick := l.clock.Add(1)
	if sh != nil {
		sh.join(g, qos, tick)
		a = nil // a shared subscription gets no retained messages (MQTT 5.0 section 4.8.2)
	}
	g.qos.Store(uint32(qos))
	g.kept.Store(tick)
	g.live.Store(tick)
	g.changed.Store(tick)
	for q := range g.replays {
		if n := g.replays[q].Swap(0); n > 0 && replays && a != nil {
			a.owed[min(packet.QoS(q), qos)].Add(n)
			a.replays.Add(n)
			more[min(packet.QoS(q), qos)] += n
		}
	}
	return more
}

// join adds a member.
func (s *share) join(g *grant, qos packet.QoS, tick int64) {
	s.members.Lock()
	defer s.members.Unlock()
	if g.kept.Load() == 0 {
		if s.kept++; s.kept == 1 {
			s.grant.kept.Store(tick)
		}
	}
	if g.live.Load() == 0 {
		if s.live++; s.live == 1 {
			s.grant.live.Store(tick)
		}
	}
	if !s.joined || uint32(qos) < s.qos.Load() { // the broker may choose the member with the lowest QoS
		s.joined = true
		s.qos.Store(uint32(qos))
	}
	s.changed.Store(tick)
}

// suspend notes that a subscriber's connection is about to close or has closed. If all,
// its session or subscription ends too.
func (l *ledger) suspend(g *grant, sh *share, all bool) {
	kept, live := g.kept.Load() != 0, g.live.Load() != 0
	if !kept && !live && g.changed.Load() != changing {
		return
	}
	if sh != nil {
		sh.members.Lock()
		if live {
			if sh.live--; sh.live == 0 {
				sh.grant.live.Store(0)
			}
		}
		if all && kept {
			if sh.kept--; sh.kept == 0 {
				sh.grant.kept.Store(0)
			}
		}
		sh.changed.Store(changing)
		sh.members.Unlock()
	}
	g.live.Store(0)
	if all {
		g.kept.Store(0)
	}
	g.changed.Store(changing)
}

// over notes that the change begun by suspend is complete.
func (l *ledger) over(g *grant, sh *share) {
	if g.changed.Load() != changing {
		return
	}
	tick := l.clock.Add(1)
	g.changed.Store(tick)
	if sh != nil {
		sh.changed.Store(tick)
	}
}

// live notes that a subscriber with a session is connected again.
func (l *ledger) live(g *grant, sh *share) {
	if g.kept.Load() == 0 {
		return
	}
	tick := l.clock.Add(1)
	if sh != nil {
		sh.join(g, packet.QoS(sh.qos.Load()), tick)
	}
	g.live.Store(tick)
	g.changed.Store(tick)
}

// missing returns how many deliveries are owed at a QoS and have not arrived.
func (a *account) missing(q int) int64 {
	return a.owed[q].Load() - a.void[q].Load() - a.got[q].Load() - a.corrupt[q].Load()
}

// outstanding returns how many deliveries are owed and have not arrived, over all QoS.
func (a *account) outstanding() int64 {
	return max(a.missing(0)+a.missing(1)+a.missing(2), 0)
}

// balance closes an account at a QoS. What is outstanding is no longer owed. If whole,
// the complete account is closed, and unexpected deliveries are entered as owed. Claims
// of messages that were sent before the tick are void.
func (a *account) balance(q int, tick int64, whole bool) (voided, surplus int64) {
	n := a.missing(q)
	voided = max(n, 0)
	if whole {
		surplus = max(-n, 0)
	}
	a.void[q].Add(voided)
	a.owed[q].Add(surplus)
	a.closed[q].Store(tick)
	return voided, surplus
}

// route leads to a recipient.
type route struct {
	*account
	grant      *grant
	share      *share
	subscriber uint32
	group      int
}

// routes holds the recipients of a message. Those with the same account are adjacent.
type routes struct {
	list []route
	away [3]int32 // recipients in other shards, by their QoS
}

// maxRoutes bounds the cached routes, which take 40 bytes each.
const maxRoutes = 2 << 20

// find sets to to the recipients of a message that the client publishes to a topic.
func (w *worker) find(to *routes, name []byte, from *plan.Group, index uint32) {
	r, l := w.run, w.run.ledger
	to.list, to.away = to.list[:0], [3]int32{}
	clear(w.distant)
	r.fan.Recipients(name, from, index, func(rc plan.Recipient) {
		if rc.Sub == nil {
			sh := l.shares[rc.Share]
			if sh == nil || r.shard.Count > 1 {
				to.away[2]++ // the publisher's QoS is lower or equal
				return
			}
			to.list = append(to.list, route{&sh.account, &sh.grant, sh, 0, sh.group})
			return
		}
		g := rc.Sub.Group
		subscriber := g.Base + rc.Client
		place, ok := r.shard.Place(g, rc.Client)
		if !ok {
			if q, known := w.distant[subscriber]; !known || rc.Sub.QoS > q {
				w.distant[subscriber] = rc.Sub.QoS
			}
			return
		}
		b := l.books[g.Number]
		to.list = append(to.list, route{&b.accounts[place], &b.grants[place*len(g.Subscribe)+l.entries[rc.Sub]], nil, subscriber, g.Number})
	})
	for _, q := range w.distant {
		to.away[q]++
	}
	slices.SortStableFunc(to.list, func(a, b route) int {
		switch {
		case a.share == nil && b.share == nil:
			return int(int64(a.subscriber) - int64(b.subscriber))
		case a.share == nil:
			return -1
		case b.share == nil:
			return 1
		}
		return 0
	})
}

// routes returns the recipients of a client's message.
func (w *worker) routes(cl *client, s *stream, seq uint32) *routes {
	l := w.run.ledger
	if s.fixed {
		cs := &cl.extras.streams[s.at]
		slot := int(seq) % len(s.Topics)
		if cs.routes == nil && l.cached.Load() < maxRoutes {
			cs.routes = make([]*routes, len(s.Topics))
		}
		if cs.routes != nil {
			if cs.routes[slot] == nil && l.cached.Load() < maxRoutes {
				to := &routes{}
				w.topic = s.AppendTopic(w.topic[:0], cl.index, seq)
				w.find(to, w.topic, cl.g.Group, cl.index)
				to.list = slices.Clip(to.list)
				l.cached.Add(int64(len(to.list)) + 1)
				cs.routes[slot] = to
			}
			if to := cs.routes[slot]; to != nil {
				return to
			}
		}
	}
	w.topic = s.AppendTopic(w.topic[:0], cl.index, seq)
	w.find(&w.scratch, w.topic, cl.g.Group, cl.index)
	return &w.scratch
}

// sending is a message that was sent.
type sending struct {
	stream uint16
	header uint32 // the number in its header
	seq    uint32
	tick   int64 // when it was sent
}

// owe enters what an accepted message owes its recipients. For a message that was not
// accepted it keeps claims instead.
func (w *worker) owe(rec *result.Recorder, cl *client, m sending, accepted bool) {
	if !w.run.owing {
		return
	}
	s := cl.g.streams[m.stream]
	to := w.routes(cl, s, m.seq)
	var n [3]int64
	for i := 0; i < len(to.list); {
		r := &to.list[i]
		best, at, perhaps := -1, packet.QoS(0), false
		if r.share != nil {
			r.share.members.Lock() // not during a balance
		}
		for ; i < len(to.list) && to.list[i].account == r.account; i++ {
			g := to.list[i].grant
			q := min(s.QoS, packet.QoS(g.qos.Load()))
			st := g.of(q, m.tick)
			switch {
			case r.share != nil && m.tick < r.closed[q].Load(): // see outlives
			case st == owes && accepted:
				best = max(best, int(q))
			case st != owesNothing:
				perhaps, at = true, max(at, q)
			case s.Fill && s.Retain && accepted && to.list[i].share == nil && w.run.ledger.lasts(w, cl, s, m.seq):
				g.replays[s.QoS].Add(1)
			}
		}
		if best >= 0 {
			r.owed[best].Add(1)
			n[best]++
		}
		if r.share != nil {
			r.share.members.Unlock()
		}
		switch {
		case best >= 0:
		case perhaps:
			w.run.ledger.claim(claim{r.account, r.group, r.share, r.subscriber, cl.number, m.header, at, m.tick})
		}
	}
	if !accepted {
		return
	}
	for q, away := range to.away {
		if away > 0 {
			q := min(packet.QoS(q), s.QoS)
			rec.Count(result.ExpectedAway, cl.g.Number, q, int64(away))
			n[q] += int64(away)
			w.expectedAway += int64(away)
		}
	}
	for q, n := range n {
		if n > 0 {
			rec.Count(result.Expected, cl.g.Number, packet.QoS(q), n)
			w.expected += n
		}
	}
}

// lasts reports whether a retained message is the first to its topic. A later message
// replaces it, and a new subscriber gets only one.
func (l *ledger) lasts(w *worker, cl *client, s *stream, seq uint32) bool {
	name := s.AppendTopic(nil, cl.index, seq)
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.lasting == string(name) { // same message, another recipient
		return true
	}
	if _, ok := l.retained[string(name)]; ok || len(l.retained) >= maxClaims {
		return false
	}
	l.retained[string(name)] = struct{}{}
	w.lasting = string(name)
	return true
}

func (l *ledger) claim(c claim) {
	l.mu.Lock()
	if len(l.claims) < maxClaims {
		l.claims = append(l.claims, c)
	}
	l.mu.Unlock()
}

// among returns a share that a delivery may belong to although the member's own shares
// have already had it: a copy for one of them may have been mistaken for one of
// another.
func (l *ledger) among(name []byte, publisher, seq uint32) *share {
	if len(l.shares) < 2 || len(l.shares) > maxAmong {
		return nil
	}
	for _, sh := range l.shares {
		if topic.MatchBytes(sh.inner, name) && sh.check.Check(publisher, seq) == result.Next {
			return sh
		}
	}
	return nil
}

// maxAmong bounds the number of shares that among searches.
const maxAmong = 64

// entitled lists the subscriptions that a delivery to a client may be for.
type entitled struct {
	plain  int  // unshared subscriptions that match
	gone   bool // a subscription that has ended matches
	shares []*share
}

// entitle returns the subscriptions that a delivery to a client may be for.
func (w *worker) entitle(cl *client, name []byte) (e entitled) {
	b := cl.g.book
	switch {
	case b == nil:
		return
	case b.plain:
		e.plain = 1
		return
	}
	w.entitled = w.entitled[:0]
	b.each(int(cl.place), func(at int, g *grant, sh *share) {
		if sh != nil {
			if topic.MatchBytes(sh.inner, name) {
				w.entitled = append(w.entitled, sh)
			}
			return
		}
		changed := g.changed.Load()
		if g.kept.Load() == 0 && changed == 0 { // never requested
			return
		}
		w.filters = b.Subscribe[at].AppendFilter(w.filters[:0], cl.index)
		switch {
		case !topic.MatchBytes(string(w.filters), name):
		case g.kept.Load() == 0 && changed != changing:
			e.gone = true
		default:
			e.plain++
		}
	})
	e.shares = w.entitled
	return e
}

// account returns the client's own account, nil if it has no subscriptions.
func (cl *client) account() *account {
	if cl.g.book == nil {
		return nil
	}
	return &cl.g.book.accounts[cl.place]
}

// came enters a delivery. The account is nil if the delivery is checked after the
// merge.
func (w *worker) came(rec *result.Recorder, cl *client, a *account, q packet.QoS, unowed bool) {
	w.distinct++
	if a == nil {
		return
	}
	a.got[q].Add(1)
	if unowed {
		a.owed[q].Add(1)
		rec.Count(result.Surplus, cl.g.Number, q, 1)
		w.expected++
	}
}

// suspend notes that a client's connection is closing or has closed.
func (w *worker) suspend(cl *client) {
	if cl.g.book == nil {
		return
	}
	l, all := w.run.ledger, !cl.keeps()
	cl.g.book.each(int(cl.place), func(_ int, g *grant, sh *share) { l.suspend(g, sh, all) })
}

// keeps reports whether a client's session outlives its connection.
func (cl *client) keeps() bool {
	return cl.g.Persistent() && !cl.g.CleanStart && cl.origin != cleaning
}

// void cancels what is no longer owed after a client's connection has closed. If all,
// its session has ended too.
func (w *worker) void(cl *client, all bool) {
	if cl.g.book == nil {
		return
	}
	l := w.run.ledger
	now := w.rec(w.loop.Now())
	balance := func(a *account, group int, whole bool) {
		for q := range 3 {
			if q == 0 || all {
				voided, surplus := a.balance(q, l.clock.Add(1), whole)
				now.Count(result.Voided, group, packet.QoS(q), voided)
				now.Count(result.Surplus, group, packet.QoS(q), surplus)
				w.voided, w.expected = w.voided+voided, w.expected+surplus
			}
		}
	}
	balance(cl.account(), cl.g.Number, all)
	if all {
		cl.account().replays.Store(0)
	}
	cl.g.book.each(int(cl.place), func(_ int, g *grant, sh *share) {
		had := g.changed.Load() == changing || g.kept.Load() != 0
		l.suspend(g, sh, all)
		l.over(g, sh)
		if sh != nil && had {
			// The share may have other members. What they get of the messages sent
			// until now is left out of the account: see outlives.
			sh.members.Lock()
			balance(&sh.account, sh.group, true)
			sh.members.Unlock()
		}
	})
}

// outstanding returns how many deliveries are owed and have not arrived, over all
// accounts.
func (l *ledger) outstanding() (n int64) {
	for _, b := range l.books {
		if b != nil {
			for i := range b.accounts {
				n += b.accounts[i].outstanding()
			}
		}
	}
	for _, sh := range l.shares {
		n += sh.outstanding()
	}
	return n
}

// pause returns the shortest interval at which outstanding should be called.
func (l *ledger) pause() time.Duration {
	n := len(l.shares)
	for _, b := range l.books {
		if b != nil {
			n += len(b.accounts)
		}
	}
	return time.Duration(n) * time.Microsecond
}

// settle closes an account. A missing delivery is lost if the drain ended quiet and the
// session lives.
func (a *account) settle(rec *result.Recorder, group int, quiet bool) {
	var short, more [3]int64
	for q := range 3 {
		n := a.missing(q)
		short[q], more[q] = max(n, 0), max(-n, 0)
	}
	for q, n := range more {
		if n > 0 {
			rec.Count(result.Surplus, group, packet.QoS(q), n)
		}
	}
	for q, n := range result.Offset(&short, &more) {
		if n > 0 {
			rec.Count(result.Voided, group, packet.QoS(q), n)
		}
	}
	for q, n := range short {
		what := result.Lost
		switch {
		case !quiet:
			what = result.InFlight
		case q == 0:
			what = result.Dropped
		}
		if n > 0 {
			rec.Count(what, group, packet.QoS(q), n)
		}
	}
}

// resolve enters the claims of messages that have arrived.
func (r *run) resolve() {
	l := r.ledger
	l.mu.Lock()
	claims := l.claims
	l.claims = nil
	l.mu.Unlock()
	if len(claims) == 0 {
		return
	}
	has := make([]bool, len(claims))
	for _, w := range r.workers {
		w.loop.Do(func() {
			for i, c := range claims {
				has[i] = has[i] || c.share == nil && w.check.Has(c.subscriber, c.publisher, c.seq) || c.share != nil && c.share.check.Has(c.publisher, c.seq)
			}
		})
	}
	open := claims[:0]
	w := r.workers[0]
	w.loop.Do(func() {
		rec := w.rec(w.loop.Now())
		for i, c := range claims {
			switch {
			case c.sent < c.closed[c.qos].Load():
			case !has[i]:
				open = append(open, c)
			default:
				c.owed[c.qos].Add(1)
				rec.Count(result.Surplus, c.group, c.qos, 1)
				w.expected++
			}
		}
	})
	l.mu.Lock()
	l.claims = append(l.claims, open...)
	l.mu.Unlock()
}

// settle closes all accounts. The workers count nothing after it.
func (r *run) settle(quiet bool) {
	l := r.ledger
	for _, w := range r.workers {
		w.loop.Do(func() {
			w.settled = true
			for i := range w.clients {
				w.giveUp(&w.clients[i], quiet)
			}
		})
	}
	r.resolve()
	for n, w := range r.workers {
		w.loop.Do(func() {
			rec := w.rec(w.loop.Now())
			for i := range w.clients {
				cl := &w.clients[i]
				if a := cl.account(); a != nil {
					a.settle(rec, cl.g.Number, quiet && w.lives(cl))
				}
			}
			if n > 0 {
				return
			}
			for _, sh := range l.shares {
				sh.settle(rec, sh.group, quiet && sh.kept == sh.live)
			}
			rec.Count(result.Settled, 0, result.NoQoS, 1)
			if !quiet {
				rec.Count(result.Restless, 0, result.NoQoS, 1)
			}
		})
	}
}

// lives reports whether a client's session is known to be alive at the end.
func (w *worker) lives(cl *client) bool {
	return cl.state == ready && cl.c.Up() && !cl.pinged
}

// quietTime returns how long nothing may arrive before a drain has ended quiet, given
// the longest recent gap: a broker that has paused for a while may do so again.
func quietTime(gap time.Duration) time.Duration {
	return min(max(2*time.Second, 4*gap), 10*time.Second)
}

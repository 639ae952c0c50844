package plan

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"sort"
	"time"
)

// Pacer returns the intended time of each message of a stream, from the stream's start. It is
// immutable, and its times never decrease.
type Pacer interface {
	// At returns the time of message j; ok is false if the pace never reaches it. The work of a
	// Poisson pace grows with j.
	At(j uint64) (at time.Duration, ok bool)
	// Count returns the number of messages before d: those with At < d. The work of a Poisson pace
	// grows with d.
	Count(d time.Duration) uint64
	// Unlimited reports whether the pace has no intended times: each client publishes as soon as
	// its window has room (a closed loop).
	Unlimited() bool

	// walk returns a walker at message 0.
	walk() walker
	// spec returns the pace as a scenario has it.
	spec() object
}

// walker iterates over the messages of a pacer, forward only.
type walker interface {
	// skip advances by n messages and returns the time of that message. It must not be called
	// again after the last message.
	skip(n uint64) (at time.Duration, ok bool)
}

// countBy returns Pacer.Count, starting from a guess that is close to it.
func countBy(p Pacer, guess float64, d time.Duration) uint64 {
	n := uint64(0)
	if guess > 0 {
		n = uint64(math.Min(math.Ceil(guess), 1<<62))
	}
	before := func(j uint64) bool { at, ok := p.At(j); return ok && at < d }
	for n > 0 && !before(n-1) {
		n--
	}
	for before(n) {
		n++
	}
	return n
}

// constant is a pace with one rate: message j is at j/rate, exactly, rounded down.
type constant struct{ rate Rate }

func (p constant) At(j uint64) (time.Duration, bool) {
	at := p.rate.At(j)
	return at, at < math.MaxInt64
}

func (p constant) Count(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	// At(j) < d if j*Per/Events < d: j < d*Events/Per, rounded up.
	hi, lo := bits.Mul64(uint64(d), p.rate.Events)
	if hi >= uint64(p.rate.Per) {
		return math.MaxUint64
	}
	n, rest := bits.Div64(hi, lo, uint64(p.rate.Per))
	if rest > 0 {
		n++
	}
	return n
}

func (constant) Unlimited() bool { return false }

func (p constant) spec() object { return object{{"constant", p.rate.String()}} }

func (p constant) walk() walker { return &constantWalker{rate: p.rate} }

// constantWalker adds whole nanoseconds and keeps the remainder, so that it always agrees with At.
// A schedule has at most three step sizes.
type constantWalker struct {
	rate  Rate
	at    time.Duration
	rest  uint64 // of at, in 1/Events ns
	steps [3]struct {
		n, rest uint64
		at      time.Duration
	}
	oldest int
}

func (w *constantWalker) skip(n uint64) (time.Duration, bool) {
	if n == 0 {
		return w.at, true
	}
	s := &w.steps[0]
	if s.n != n {
		if s = &w.steps[1]; s.n != n {
			if s = &w.steps[2]; s.n != n {
				s = &w.steps[w.oldest]
				w.oldest = (w.oldest + 1) % len(w.steps)
				hi, lo := bits.Mul64(uint64(w.rate.Per), n)
				if hi >= w.rate.Events {
					return 0, false
				}
				q, r := bits.Div64(hi, lo, w.rate.Events)
				if q > math.MaxInt64 {
					return 0, false
				}
				s.n, s.at, s.rest = n, time.Duration(q), r
			}
		}
	}
	w.at += s.at
	w.rest += s.rest
	if w.rest >= w.rate.Events {
		w.rest -= w.rate.Events
		w.at++
	}
	return w.at, w.at >= 0 && w.at < math.MaxInt64
}

// Stage is a part of a pace in which the rate changes evenly from From to To.
type Stage struct {
	From, To Rate
	For      time.Duration // above 0
}

// staged is a pace of stages. After the last stage its rate stays, or the stages repeat.
//
// Message j is at the time when the integral of the rate is j: with c messages before the stage
// and x = j-c, at the t for which from*t + slope*t*t/2 = x. Within a stage floating point is right
// to a fraction of a nanosecond, and stages begin at whole nanoseconds, so errors do not add up.
type staged struct {
	stages []Stage
	repeat bool
	named  object // as in the scenario; nil for stages

	segments []segment
	length   time.Duration // of all stages
	total    float64       // messages of all stages
}

type segment struct {
	start  time.Duration
	end    time.Duration
	before float64 // messages before it
	rate   float64 // at its start, per nanosecond
	slope  float64 // per nanosecond squared
}

func newStaged(stages []Stage, repeat bool) *staged {
	p := &staged{stages: stages, repeat: repeat}
	for _, s := range stages {
		from, to := s.From.PerSecond()/1e9, s.To.PerSecond()/1e9
		p.add(from, to, s.For)
	}
	if !repeat { // the rate stays after the last stage
		end := stages[len(stages)-1].To.PerSecond() / 1e9
		p.segments = append(p.segments, segment{p.length, math.MaxInt64, p.total, end, 0})
	}
	return p
}

func (p *staged) add(from, to float64, length time.Duration) {
	p.segments = append(p.segments, segment{p.length, p.length + length, p.total, from, (to - from) / float64(length)})
	p.total += (from + to) / 2 * float64(length)
	p.length += length
}

// sinePieces is the number of straight pieces of one period of a sine.
const sinePieces = 256

// newSine returns a rate of mean + swing*sin(2 pi t / period), in straight pieces.
func newSine(mean, swing Rate, period time.Duration) *staged {
	p := &staged{repeat: true, named: object{{"sine", object{{"mean", mean.String()}, {"swing", swing.String()}, {"period", period.String()}}}}}
	m, s := mean.PerSecond()/1e9, swing.PerSecond()/1e9
	rate := func(k int) float64 { return max(0, m+float64(s*math.Sin(2*math.Pi*float64(k)/sinePieces))) }
	for k := range sinePieces {
		from, to := mulDiv(uint64(period), uint64(k), sinePieces), mulDiv(uint64(period), uint64(k+1), sinePieces)
		p.add(rate(k), rate(k+1), to-from)
	}
	return p
}

// cycle splits j into whole rounds of a repeated pace and the rest.
func (p *staged) cycle(j uint64) (rounds, x float64) {
	x = float64(j)
	if !p.repeat || x < p.total {
		return 0, x
	}
	rounds = math.Floor(x / p.total)
	x = math.FMA(-rounds, p.total, x)
	if x < 0 {
		rounds, x = rounds-1, max(0, x+p.total)
	}
	if x >= p.total {
		rounds, x = rounds+1, x-p.total
	}
	return rounds, x
}

// in returns the time of message x of a round within segment s.
func (p *staged) in(s int, rounds, x float64) (time.Duration, bool) {
	g := &p.segments[s]
	x -= g.before
	t := 0.0
	if x > 0 {
		root := math.Sqrt(max(0, math.FMA(2*g.slope, x, float64(g.rate*g.rate))))
		t = 2 * x / (g.rate + root)
	}
	if whole := rounds*float64(p.length) + float64(g.start) + t; math.IsNaN(whole) || whole >= 1<<62 {
		return 0, false
	}
	at := g.start + time.Duration(t+0.5)
	if at > g.end {
		at = g.end
	}
	return time.Duration(rounds)*p.length + at, true
}

func (p *staged) At(j uint64) (time.Duration, bool) {
	if p.repeat && p.total <= 0 {
		return 0, false
	}
	rounds, x := p.cycle(j)
	s := sort.Search(len(p.segments), func(i int) bool { return p.segments[i].before > x }) - 1
	return p.at(s, rounds, x)
}

func (p *staged) at(s int, rounds, x float64) (time.Duration, bool) {
	if g := &p.segments[s]; g.rate == 0 && g.slope == 0 {
		return 0, false // the rate stays 0
	}
	return p.in(s, rounds, x)
}

func (p *staged) Count(d time.Duration) uint64 {
	if d <= 0 || p.repeat && p.total <= 0 {
		return 0
	}
	n, rest := 0.0, d
	if p.repeat {
		n, rest = p.total*float64(d/p.length), d%p.length
	}
	s := sort.Search(len(p.segments), func(i int) bool { return p.segments[i].start > rest }) - 1
	g := &p.segments[s]
	t := float64(rest - g.start)
	return countBy(p, n+g.before+g.rate*t+g.slope*t*t/2, d)
}

func (*staged) Unlimited() bool { return false }

func (p *staged) spec() object {
	if p.named != nil {
		return p.named
	}
	var list []any
	for _, s := range p.stages {
		list = append(list, object{{"from", s.From.String()}, {"to", s.To.String()}, {"for", s.For.String()}})
	}
	return object{{"stages", list}, {"repeat", p.repeat}}
}

func (p *staged) walk() walker { return &stagedWalker{p: p} }

// stagedWalker is At with the segment remembered.
type stagedWalker struct {
	p       *staged
	j       uint64
	rounds  float64
	segment int
}

func (w *stagedWalker) skip(n uint64) (time.Duration, bool) {
	w.j += n
	if w.p.repeat && w.p.total <= 0 {
		return 0, false
	}
	rounds, x := w.p.cycle(w.j)
	if rounds != w.rounds {
		w.rounds, w.segment = rounds, 0
	}
	for w.segment+1 < len(w.p.segments) && w.p.segments[w.segment+1].before <= x {
		w.segment++
	}
	return w.p.at(w.segment, rounds, x)
}

// burst is a number of messages at the beginning of each interval.
type burst struct {
	messages    uint64
	every, over time.Duration // over is at most every; 0: all at once
}

func (p burst) At(j uint64) (time.Duration, bool) {
	hi, start := bits.Mul64(j/p.messages, uint64(p.every))
	if hi != 0 || start >= math.MaxInt64/2 {
		return 0, false
	}
	return time.Duration(start) + mulDiv(uint64(p.over), j%p.messages, p.messages), true
}

func (p burst) Count(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	whole, rest := uint64(d/p.every), d%p.every
	n := whole * p.messages
	switch {
	case rest > p.over || rest > 0 && p.over == 0:
		n += p.messages
	case rest > 0:
		n += constant{Rate{p.messages, p.over}}.Count(rest)
	}
	return n
}

func (burst) Unlimited() bool { return false }

func (p burst) spec() object {
	return object{{"burst", object{{"messages", p.messages}, {"every", p.every.String()}, {"over", p.over.String()}}}}
}

func (p burst) walk() walker { return &randomWalker{p: p} }

// randomWalker iterates over a pacer whose At is cheap.
type randomWalker struct {
	p Pacer
	j uint64
}

func (w *randomWalker) skip(n uint64) (time.Duration, bool) {
	w.j += n
	return w.p.At(w.j)
}

// poisson has independent, exponentially distributed intervals. They can only be drawn in order,
// so every shard draws all of them.
type poisson struct {
	rate Rate
	seed uint64
}

func (p poisson) walk() walker {
	w := &poissonWalker{random: rand.New(rand.NewPCG(p.seed, 0)), mean: float64(p.rate.Per) / float64(p.rate.Events)}
	w.draw()
	return w
}

type poissonWalker struct {
	random *rand.Rand
	mean   float64 // nanoseconds
	at     float64
}

// draw advances to the next message. The product is rounded before it is added: processors with a
// fused multiply-add must make the same plan.
func (w *poissonWalker) draw() { w.at += float64(w.random.ExpFloat64() * w.mean) }

func (w *poissonWalker) skip(n uint64) (time.Duration, bool) {
	for range n {
		w.draw()
	}
	return time.Duration(w.at), w.at < 1<<62
}

func (p poisson) At(j uint64) (time.Duration, bool) { return p.walk().skip(j) }

func (p poisson) Count(d time.Duration) uint64 {
	w, n := p.walk(), uint64(0)
	for at, ok := w.skip(0); ok && at < d; at, ok = w.skip(1) {
		n++
	}
	return n
}

func (poisson) Unlimited() bool { return false }

func (p poisson) spec() object { return object{{"poisson", p.rate.String()}} }

// unlimited is a closed loop.
type unlimited struct{}

func (unlimited) At(uint64) (time.Duration, bool) { return 0, false }
func (unlimited) Count(time.Duration) uint64      { return 0 }
func (unlimited) Unlimited() bool                 { return true }
func (unlimited) spec() object                    { return object{{"unlimited", true}} }
func (unlimited) walk() walker                    { return &randomWalker{p: unlimited{}} }

// none is the pace of a stream that only publishes in bursts of actions.
type none struct{}

func (none) At(uint64) (time.Duration, bool) { return 0, false }
func (none) Count(time.Duration) uint64      { return 0 }
func (none) Unlimited() bool                 { return false }
func (none) spec() object                    { return object{{"none", true}} }
func (none) walk() walker                    { return &randomWalker{p: none{}} }

// trace is a list of times from a file, in their order. It ends with the last.
type trace struct {
	times []time.Duration
	file  fileRef
}

func (p trace) At(j uint64) (time.Duration, bool) {
	if j >= uint64(len(p.times)) {
		return 0, false
	}
	return p.times[j], true
}

func (p trace) Count(d time.Duration) uint64 {
	return uint64(sort.Search(len(p.times), func(i int) bool { return p.times[i] >= d }))
}

func (trace) Unlimited() bool { return false }
func (p trace) spec() object  { return object{{"trace", p.file.spec()}} }
func (p trace) walk() walker  { return &randomWalker{p: p} }

package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"strconv"
)

// HeaderSize is the length of the header of a payload, in bytes.
const HeaderSize = 16

// MaxPayload is the largest payload of a plan, in bytes.
const MaxPayload = 256_000_000

// Payload is the payload of messages: filler after the header, or a template or the lines of a
// file as a whole. It belongs to a stream or a will and depends on its group.
type Payload struct {
	header   bool
	sizes    sizes
	fill     fill
	template *Template // nil: none
	lines    [][]byte  // nil: none
	file     fileRef   // of the lines

	clients uint64
	seed    uint64
	random  []byte // shared by the plan
}

// fill is the content of filler.
type fill uint8

const (
	fillRandom fill = iota
	fillZeros
	fillPattern
)

var fills = []string{"random", "zeros", "pattern"}

// pattern is the filler that is easy to read in a trace. Its length is a multiple of nothing
// common, so that a shifted payload shows.
const pattern = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"

// randomSize is the amount of random filler of a plan; payloads are slices of it.
const randomSize = 1 << 16

func randomFiller(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, randomSize)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// fileRef is a file that a plan has read, and the SHA-256 of its content.
type fileRef struct{ path, sum string }

func newFileRef(path string, data []byte) fileRef {
	sum := sha256.Sum256(data)
	return fileRef{path, hex.EncodeToString(sum[:])}
}

func (f fileRef) spec() object { return object{{"file", f.path}, {"sha256", f.sum}} }

// distribution is the kind of distribution of payload sizes.
type distribution uint8

const (
	fixed distribution = iota
	uniform
	normal
	weighted
)

// sizes is a distribution of payload sizes, in bytes, including the header.
type sizes struct {
	kind      distribution
	low, high int // of all: the least and the most; equal if fixed
	mean      float64
	deviation float64 // normal
	list      []int   // weighted
	weights   []uint64
	sum       []uint64 // of the weights up to each
}

// size returns the size for a random number h.
func (s *sizes) size(h uint64) int {
	switch s.kind {
	case uniform:
		return s.low + int((h>>32)*uint64(s.high-s.low+1)>>32)
	case normal:
		u, v := float64(h>>32+1)/(1<<32), float64(h&(1<<32-1))/(1<<32)
		x := s.mean + float64(s.deviation*math.Sqrt(-2*math.Log(u))*math.Cos(2*math.Pi*v))
		return min(max(int(math.Round(min(max(x, -1), MaxPayload+1))), s.low), s.high)
	case weighted:
		x := h % s.sum[len(s.sum)-1]
		for i, to := range s.sum {
			if x < to {
				return s.list[i]
			}
		}
	}
	return s.low
}

func (s *sizes) average() float64 {
	switch s.kind {
	case uniform:
		return (float64(s.low) + float64(s.high)) / 2
	case normal:
		return min(max(s.mean, float64(s.low)), float64(s.high))
	case weighted:
		x := 0.0
		for i, n := range s.list {
			x += float64(n) * float64(s.weights[i])
		}
		return x / float64(s.sum[len(s.sum)-1])
	}
	return float64(s.low)
}

// HasHeader reports whether the first HeaderSize bytes of every payload belong to the runner.
// Deliveries of other payloads are only counted.
func (p *Payload) HasHeader() bool { return p.header }

// Max returns the largest size of a payload, in bytes. For a template it is an estimate.
func (p *Payload) Max() int {
	n := p.sizes.high
	if p.template != nil {
		n = len(p.template.Append(nil, math.MaxUint32, math.MaxUint32, math.MaxInt64))
	}
	for _, l := range p.lines {
		n = max(n, len(l))
	}
	return n + p.extra()
}

// Average returns the mean size of payloads, in bytes. For a template it is an estimate.
func (p *Payload) Average() float64 {
	n := p.sizes.average()
	if p.template != nil {
		n = float64(len(p.template.Append(nil, 0, 0, 1e18)))
	}
	if len(p.lines) > 0 {
		for _, l := range p.lines {
			n += float64(len(l))
		}
		n /= float64(len(p.lines))
	}
	return n + float64(p.extra())
}

// whole reports whether the scenario gives the whole payload, as a template or lines.
func (p *Payload) whole() bool { return p.template != nil || p.lines != nil }

// extra returns what the header adds to a payload that the scenario gives.
func (p *Payload) extra() int {
	if p.header && p.whole() {
		return HeaderSize
	}
	return 0
}

// Append appends the payload of a client's message (see Template.Append). With HasHeader it begins
// with HeaderSize zeros for the runner. It does not allocate if dst has room.
func (p *Payload) Append(dst []byte, index, seq uint32, unix int64) []byte {
	if p.header {
		dst = append(dst, make([]byte, HeaderSize)...)
	}
	switch {
	case p.template != nil:
		return p.template.Append(dst, index, seq, unix)
	case p.lines != nil:
		return append(dst, p.lines[(uint64(seq)*p.clients+uint64(index))%uint64(len(p.lines))]...)
	}
	h := uint64(0)
	if p.sizes.kind != fixed || p.fill == fillRandom {
		h = mix(p.seed, uint64(index)<<32|uint64(seq), 0)
	}
	left := p.sizes.size(h)
	if p.header {
		left -= HeaderSize
	}
	from := p.random
	switch p.fill {
	case fillZeros:
		for ; left > 0; left -= HeaderSize {
			dst = append(dst, make([]byte, HeaderSize)[:min(left, HeaderSize)]...)
		}
		return dst
	case fillPattern:
		for ; left > 0; left -= len(pattern) {
			dst = append(dst, pattern[:min(left, len(pattern))]...)
		}
		return dst
	}
	for at := int(h % randomSize); left > 0; at = 0 {
		n := min(left, len(from)-at)
		dst = append(dst, from[at:at+n]...)
		left -= n
	}
	return dst
}

func (p *Payload) spec() object {
	switch {
	case p.template != nil:
		return object{{"template", p.template.source}, {"header", p.header}}
	case p.lines != nil:
		return object{{"lines", p.file.spec()}, {"header", p.header}}
	}
	var size any
	switch s := &p.sizes; s.kind {
	case fixed:
		size = s.low
	case uniform:
		size = object{{"uniform", []any{s.low, s.high}}}
	case normal:
		size = object{{"normal", object{{"mean", int(s.mean)}, {"deviation", int(s.deviation)}, {"min", s.low}, {"max", s.high}}}}
	case weighted:
		var list object
		for i, n := range s.list {
			list = append(list, pair{strconv.Itoa(n), s.weights[i]})
		}
		size = object{{"weighted", list}}
	}
	return object{{"size", size}, {"fill", fills[p.fill]}}
}

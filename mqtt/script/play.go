package script

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Options are settings for playing a script. The zero value is ready to use.
type Options struct {
	// Version is the protocol version, one of the script's; 0 is its first.
	Version packet.Version

	// Patience is how long an expectation without within waits, and how long a peer may take to
	// read (default 5s). FirstPatience is the same for the first connection of a client; 0 is
	// Patience, a negative value is no limit.
	Patience      time.Duration
	FirstPatience time.Duration

	// Strict makes steps with should, which the specification says SHOULD happen, required like
	// all others.
	Strict bool

	// CleanUp is for scripts that play clients: it ends the sessions that the play may have left
	// at the broker and removes its retained messages, also after a failure, so that the next
	// script finds a clean broker.
	CleanUp bool

	// Trace, if not nil, is called with every line of the transcript. It is called on the
	// goroutine that plays, and must not wait for the peer.
	Trace func(Line)
}

// DialFunc opens a connection to the broker under test.
type DialFunc func(ctx context.Context) (net.Conn, error)

// Serve plays the broker to the client that connects to ln. It returns when the script has been
// played or has failed, after it has closed the connections and ln. The error is a *Failure, or
// the reason why the script cannot be played.
func (s *Script) Serve(ctx context.Context, ln net.Listener, o *Options) error {
	defer ln.Close()
	if s.Role != Broker {
		return fmt.Errorf("%s: the script plays clients, and is for a broker", s.Path)
	}
	a := &acceptor{ln: ln, conns: make(chan accepted, 1)}
	defer a.close()
	return s.play(ctx, a.next, o)
}

// Dial plays the clients to the broker that dial connects to. Otherwise it is like Serve.
func (s *Script) Dial(ctx context.Context, dial DialFunc, o *Options) error {
	if s.Role != Client {
		return fmt.Errorf("%s: the script plays a broker, and is for a client", s.Path)
	}
	return s.play(ctx, dial, o)
}

// acceptor accepts a connection on request.
type acceptor struct {
	ln      net.Listener
	conns   chan accepted // 1 slot
	waiting bool          // a goroutine is in Accept
}

type accepted struct {
	nc  net.Conn
	err error
}

func (a *acceptor) next(ctx context.Context) (net.Conn, error) {
	if !a.waiting {
		a.waiting = true
		go func() {
			nc, err := a.ln.Accept()
			a.conns <- accepted{nc, err}
		}()
	}
	select {
	case c := <-a.conns:
		a.waiting = false
		return c.nc, c.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *acceptor) close() {
	a.ln.Close()
	if a.waiting {
		if c := <-a.conns; c.err == nil {
			c.nc.Close()
		}
	}
}

// lines is how many lines of the transcript a failure has.
const lines = 12

// play is one run of a script.
type play struct {
	s       *Script
	o       Options
	ctx     context.Context
	start   time.Time
	connect func(ctx context.Context) (net.Conn, error)
	peers   map[string]*peer
	all     []*peer
	vars    map[string]value
	scene   *scene
	peer    *peer // of the scene; nil until its first step needs one
	last    []Line
	left    traces
}

func (s *Script) play(ctx context.Context, connect func(ctx context.Context) (net.Conn, error), o *Options) error {
	p := &play{s: s, ctx: ctx, connect: connect, start: time.Now(), peers: map[string]*peer{}, vars: map[string]value{}}
	if o != nil {
		p.o = *o
	}
	if p.o.Version == 0 {
		p.o.Version = s.Versions[0]
	}
	if !slices.Contains(s.Versions, p.o.Version) {
		return fmt.Errorf("%s: the script is not for MQTT %s", s.Path, p.o.Version)
	}
	if p.o.Patience <= 0 {
		p.o.Patience = 5 * time.Second
	}
	if p.o.FirstPatience == 0 {
		p.o.FirstPatience = p.o.Patience
	}
	if p.o.CleanUp && s.Role == Client {
		defer p.cleanUp()
	}
	err := p.scenes()
	if err != nil {
		for _, peer := range p.all {
			if !peer.ended {
				peer.cut()
			}
		}
		return err
	}
	for _, peer := range p.all {
		if !peer.ended {
			peer.close()
		}
	}
	return nil
}

func (p *play) scenes() error {
	var last *step
	for i := range p.s.scenes {
		p.scene = &p.s.scenes[i]
		p.peer = p.peers[p.scene.name]
		if p.peer != nil && p.peer.ended {
			p.peer = nil
		}
		last = &p.scene.steps[len(p.scene.steps)-1]
		if err := p.steps(p.scene.steps); err != nil {
			return err
		}
	}
	return p.end(last)
}

// settle is how long after the last step unexpected packets are waited for.
const settle = 5 * time.Millisecond

// end returns an error if something unexpected has arrived.
func (p *play) end(last *step) error {
	open := slices.ContainsFunc(p.all, func(peer *peer) bool { return !peer.ended })
	if !open {
		return nil
	}
	if err := sleep(p.ctx, settle); err != nil {
		return p.fail(last, "the end", nil, err)
	}
	for _, peer := range p.all {
		if peer.ended {
			continue
		}
		p.peer = peer
		it, err := peer.next(p.ctx, time.Now())
		switch {
		case errors.Is(err, errTime), err == nil && it.end != nil && len(it.rest) == 0:
		case err != nil:
			return p.fail(last, "the end", nil, err)
		default:
			p.note(Received, it.describe(peer.version))
			return p.fail(last, "after the last step came "+it.describe(peer.version), nil, nil)
		}
	}
	return nil
}

func (p *play) steps(steps []step) error {
	for i := range steps {
		if s := &steps[i]; s.in(p.o.Version) {
			if err := p.step(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// fail returns the failure of a step.
func (p *play) fail(s *step, text string, diff []Diff, err error) error {
	f := &Failure{Script: p.s.Name, Place: place(p.s.Path, s.node), Connection: p.scene.name, Step: s.text, Text: text, Diff: diff, Err: err}
	if err != nil {
		f.Text += ": " + err.Error()
	}
	if p.peer != nil {
		f.Connection = p.peer.name
		// The transcript includes what has arrived and was not consumed.
		p.peer.mu.Lock()
		rest := p.peer.buf
		for n := 0; len(rest) > 0 && n < 4; n++ {
			fr, size, err := packet.Split(rest, p.peer.version, 0)
			if err != nil || size == 0 {
				p.note(Received, "(not looked at) "+shownBytes(rest))
				break
			}
			p.note(Received, "(not looked at) "+string(packet.AppendSummary(nil, fr, p.peer.version)))
			rest = rest[size:]
		}
		p.peer.mu.Unlock()
	}
	f.Transcript = slices.Clone(p.last)
	return f
}

// maxLine is the longest text of a line, in bytes.
const maxLine = 300

// note adds a line to the transcript.
func (p *play) note(d Direction, text string) {
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + "..."
	}
	name := p.scene.name
	if p.peer != nil {
		name = p.peer.name
	}
	l := Line{time.Since(p.start), name, d, text}
	if len(p.last) == lines {
		p.last = p.last[:copy(p.last, p.last[1:])]
	}
	p.last = append(p.last, l)
	if p.o.Trace != nil {
		p.o.Trace(l)
	}
}

// begin opens the connection of the scene unless it is open.
func (p *play) begin(s *step) error {
	if p.peer != nil {
		return nil
	}
	limit := p.o.Patience
	if len(p.all) == 0 {
		limit = p.o.FirstPatience
	} else if s.within > 0 {
		limit = s.within
	}
	ctx := p.ctx
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	nc, err := p.connect(ctx)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && p.ctx.Err() == nil && p.s.Role == Broker {
			return p.fail(s, fmt.Sprintf("no connection within %v", limit), nil, nil)
		}
		return p.fail(s, "no connection", nil, err)
	}
	p.peer = newPeer(p.scene.name, nc, p.o.Version, p.o.Patience)
	p.peers[p.scene.name] = p.peer
	p.all = append(p.all, p.peer)
	p.note(Note, "connected")
	return nil
}

func (p *play) step(s *step) error {
	if s.verb != verbPause && s.verb != verbRepeat && s.verb != verbDistinct {
		if err := p.begin(s); err != nil {
			return err
		}
	}
	switch s.verb {
	case verbSend:
		b, v, err := s.encode(p.peer.version, p.peer.name, p.vars)
		if err != nil {
			return p.fail(s, "cannot be encoded", nil, err)
		}
		p.peer.version = v
		if p.peer.frames != nil {
			b = frame(b, p.s.Role == Client)
		}
		return p.write(s, b)
	case verbRaw:
		b, err := resolveRaw(s.raw, p.vars)
		if err != nil {
			return p.fail(s, "cannot be sent", nil, err)
		}
		return p.write(s, b)
	case verbExpect:
		return p.expect(s)
	case verbExpectRaw:
		return p.expectRaw(s)
	case verbExpectHead:
		return p.expectHead(s)
	case verbExpectClose:
		return p.expectClose(s)
	case verbAnyOrder:
		return p.anyOrder(s)
	case verbPause:
		if err := sleep(p.ctx, s.span); err != nil {
			return p.fail(s, "interrupted", nil, err)
		}
	case verbSilence:
		return p.silence(s)
	case verbFault:
		return p.fault(s)
	case verbDistinct:
		return p.distinct(s)
	case verbRepeat:
		outer := maps.Clone(p.vars)
		for i := range s.times {
			p.vars = maps.Clone(outer)
			p.vars["round"] = value{n: uint64(i) + 1}
			if err := p.steps(s.steps); err != nil {
				return err
			}
		}
		p.vars = outer
	case verbClose:
		it, err := p.peer.next(p.ctx, time.Now())
		if err == nil && it.end == nil {
			return p.fail(s, "before it came "+it.describe(p.peer.version), nil, nil)
		}
		p.note(Note, "closed")
		p.peer.close()
	}
	return nil
}

// distinct compares all variables with each other.
func (p *play) distinct(s *step) error {
	for i, a := range s.refs {
		for _, b := range s.refs[:i] {
			if v := p.vars[a]; v.equal(p.vars[b]) {
				return p.fail(s, fmt.Sprintf("<%s> and <%s> are both %v", b, a, v), nil, nil)
			}
		}
	}
	return nil
}

// write sends bytes through the faults in force.
func (p *play) write(s *step, b []byte) error {
	out, err := p.peer.out.disturb(b)
	if err != nil {
		return p.fail(s, "fault", nil, err)
	}
	text := ""
	for rest := out; len(rest) > 0; {
		f, n, err := packet.Split(rest, p.peer.version, 0)
		if err != nil || n == 0 || p.peer.frames != nil || p.s.WebSocket {
			text += ", " + shownBytes(rest)
			break
		}
		text += ", " + string(packet.AppendSummary(nil, f, p.peer.version))
		p.left.sent(f, p.peer.version)
		rest = rest[n:]
	}
	if text != "" {
		p.note(Sent, text[2:])
	}
	if err := p.peer.out.write(p.ctx, out); err != nil {
		return p.fail(s, "cannot be written", nil, err)
	}
	return nil
}

// deadline returns when a step's patience ends.
func (p *play) deadline(s *step) time.Time {
	if s.within > 0 {
		return time.Now().Add(s.within)
	}
	return time.Now().Add(p.o.Patience)
}

// take consumes a packet.
func (p *play) take(it *item, version packet.Version) {
	p.note(Received, it.describe(p.peer.version))
	p.left.received(it.frame, p.peer.version)
	p.peer.skip(it.size)
	if version.Valid() {
		p.peer.version = version
	}
}

func (p *play) expect(s *step) error {
	limit := p.deadline(s)
	it, err := p.peer.next(p.ctx, limit)
	if errors.Is(err, errTime) {
		if s.optional || s.should && !p.o.Strict {
			return nil
		}
		return p.late(s)
	}
	if err != nil {
		return p.fail(s, "interrupted", nil, err)
	}
	var diff []Diff
	text := ""
	if it.bad != nil || it.end != nil || it.frame.Type != s.typ {
		text = "got " + it.describe(p.peer.version)
	} else {
		var version packet.Version
		diff, version, err = s.match(it.frame, p.peer.version, p.vars)
		switch {
		case err != nil:
			text = "got " + it.describe(p.peer.version)
		case len(diff) > 0:
			text = "got another"
		default:
			p.take(&it, version)
			return nil
		}
	}
	if s.optional || s.should && !p.o.Strict {
		return nil
	}
	return p.fail(s, text, diff, nil)
}

func (p *play) late(s *step) error {
	limit := p.o.Patience
	if s.within > 0 {
		limit = s.within
	}
	return p.fail(s, fmt.Sprintf("nothing came within %v", limit), nil, nil)
}

func (p *play) expectRaw(s *step) error {
	want, err := resolveRaw(s.raw, p.vars)
	if err != nil {
		return p.fail(s, "cannot be expected", nil, err)
	}
	got, end, err := p.peer.raw(p.ctx, p.deadline(s), want)
	if bytes.HasPrefix(got, want) {
		p.note(Received, shownBytes(want))
		p.peer.skip(len(want))
		return nil
	}
	diff := []Diff{{"bytes", shownBytes(want), shownBytes(got)}}
	switch {
	case errors.Is(err, errTime):
		return p.fail(s, "other bytes, or too few in time", diff, nil)
	case err != nil:
		return p.fail(s, "interrupted", nil, err)
	case end != nil && bytes.HasPrefix(want, got):
		return p.fail(s, "the stream ended ("+endText(end)+")", diff, nil)
	}
	return p.fail(s, "other bytes", diff, nil)
}

func (p *play) expectClose(s *step) error {
	it, err := p.peer.next(p.ctx, p.deadline(s))
	switch {
	case errors.Is(err, errTime):
		return p.late(s)
	case err != nil:
		return p.fail(s, "interrupted", nil, err)
	case it.end == nil || len(it.rest) > 0:
		return p.fail(s, "got "+it.describe(p.peer.version), nil, nil)
	}
	p.note(Received, it.describe(p.peer.version))
	p.peer.drop()
	p.peer.nc.Close()
	<-p.peer.done
	return nil
}

// anyOrder expects all of its packets, in any order.
func (p *play) anyOrder(s *step) error {
	var open []*step
	for i := range s.steps {
		if s.steps[i].in(p.o.Version) {
			open = append(open, &s.steps[i])
		}
	}
	limit := p.deadline(s)
	for len(open) > 0 {
		it, err := p.peer.next(p.ctx, limit)
		switch {
		case errors.Is(err, errTime):
			return p.late(open[0])
		case err != nil:
			return p.fail(s, "interrupted", nil, err)
		}
		found := -1
		for i, want := range open {
			if it.bad != nil || it.end != nil || it.frame.Type != want.typ {
				continue
			}
			if diff, version, err := want.match(it.frame, p.peer.version, p.vars); err == nil && len(diff) == 0 {
				found = i
				p.take(&it, version)
				break
			}
		}
		if found < 0 {
			return p.fail(s, fmt.Sprintf("of %d packets outstanding none is like %s", len(open), it.describe(p.peer.version)), nil, nil)
		}
		open = slices.Delete(open, found, found+1)
	}
	return nil
}

func (p *play) silence(s *step) error {
	it, err := p.peer.next(p.ctx, time.Now().Add(s.span))
	switch {
	case errors.Is(err, errTime):
		return nil
	case err != nil:
		return p.fail(s, "interrupted", nil, err)
	}
	return p.fail(s, "got "+it.describe(p.peer.version), nil, nil)
}

func (p *play) fault(s *step) error {
	f := &s.fault
	switch {
	case f.refuse, f.reset:
		p.note(Note, "reset")
		p.peer.cut()
	case f.halfClose:
		p.note(Note, "half-closed")
		if err := halfClose(p.peer.nc); err != nil {
			return p.fail(s, "half-close", nil, err)
		}
	case f.stall > 0:
		p.note(Note, "reads nothing for "+f.stall.String())
		if err := p.peer.stall(p.ctx, f.stall); err != nil {
			return p.fail(s, "interrupted", nil, err)
		}
	default:
		p.peer.out.arm(*f)
	}
	return nil
}

package mqbench

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// status reports the progress of a run on standard error: as a block of lines that is
// redrawn on a terminal, or as a line for each interval in a pipe.
type status struct {
	inv   *cli.Invocation
	plan  *plan.Plan
	shard *plan.Shard
	live  bool
	size  func() (width, height int) // of the terminal

	mu    sync.Mutex
	board board
	drawn []int // columns of each line of the block on the terminal
}

func newStatus(inv *cli.Invocation, p *plan.Plan, s *plan.Shard) *status {
	st := &status{inv: inv, plan: p, shard: s, size: inv.StderrSize}
	// --debug logs from elsewhere, which would break the block.
	st.live = inv.StderrIsTerminal && !inv.DebugEnabled() && inv.Getenv("TERM") != "dumb"
	st.board.style = plain
	if inv.UTF8() {
		st.board.style = blocks
	}
	return st
}

// begin prints what is run, and against which broker.
func (s *status) begin(targets []*transport.Target) {
	var at []string
	for _, t := range targets {
		at = append(at, t.Address())
	}
	what := s.plan.Name
	if s.plan.Scale != 1 {
		what += fmt.Sprintf(" at scale %g", s.plan.Scale)
	}
	if s.shard.Count > 1 {
		what += fmt.Sprintf(", shard %d of %d", s.shard.Index, s.shard.Count)
	}
	s.inv.Infof("%s on %s: %d clients", what, strings.Join(at, ", "), s.plan.Clients())
	for _, note := range s.plan.Notes {
		s.inv.Warnf("%s", note)
	}
}

// note prints errors, faults and actions; phases are shown in the lines.
func (s *status) note(n result.Note) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n.Kind {
	case result.NoteError:
		s.clear()
		s.inv.Errorf("%s", n.Text)
	case result.NoteFault, result.NoteAction, result.NoteInfo:
		s.clear()
		s.inv.Infof("%s", n.Text)
	default:
		return
	}
	s.draw()
}

// show shows an interval.
func (s *status) show(st bench.Status) {
	if !s.inv.InfoEnabled() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := newFigures(st)
	if !s.live {
		if !f.short() {
			s.inv.Infof("%s", f.line())
		}
		return
	}
	s.board.take(f)
	s.draw()
}

// draw draws the block on the terminal, in place of the previous one. The cursor stands
// below it, so that what the terminal echoes does not break a line.
func (s *status) draw() {
	if !s.live || s.board.latest == nil {
		return
	}
	width, height := s.size()
	all, errors := s.board.lines(width)
	lines := all[:max(min(len(all), height-1), 0)]
	var b strings.Builder
	b.WriteString(s.away(width) + noWrap)
	s.drawn = s.drawn[:0]
	for i, line := range lines {
		s.drawn = append(s.drawn, utf8.RuneCountInString(line))
		if errors && i == len(all)-1 {
			line = s.inv.Red(line)
		}
		b.WriteString(line + "\r\n")
	}
	b.WriteString(wrap)
	_, _ = fmt.Fprint(s.inv.Stderr, b.String())
}

// The control sequences of ECMA-48 and of DEC's terminals that the block needs.
const (
	noWrap = "\x1b[?7l" // for a terminal that has just become narrower
	wrap   = "\x1b[?7h"
	erase  = "\r\x1b[J" // from the start of the line to the end of the screen
)

// away returns the sequence that clears the block on a terminal with width columns. A
// terminal that has become narrower has broken the lines that were longer.
func (s *status) away(width int) string {
	rows := 0
	for _, columns := range s.drawn {
		rows += max((columns+width-1)/width, 1)
	}
	if rows == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA", rows) + erase
}

// clear removes the block from the terminal.
func (s *status) clear() {
	if len(s.drawn) == 0 {
		return
	}
	width, _ := s.size()
	_, _ = fmt.Fprint(s.inv.Stderr, s.away(width))
	s.drawn = s.drawn[:0]
}

// end restores the terminal.
func (s *status) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	s.board.latest = nil
}

package mqbench

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// second returns the status of second n of a measurement with a load.
func second(n int, load int64) bench.Status {
	i := result.NewInterval(result.PhaseMeasure, time.Duration(n)*time.Second, time.Duration(n+1)*time.Second)
	i.Count(result.Offered, "pub", 1, load)
	i.Count(result.Sent, "pub", 1, load)
	i.Count(result.Acked, "pub", 1, load/2)
	i.Count(result.Expected, "sub", 1, load)
	i.Count(result.Delivered, "sub", 1, load/4)
	i.Histogram(result.Key{Op: result.Delivery, Kind: result.Response, Group: "sub"}).Record(2*time.Millisecond, load)
	i.Histogram(result.Key{Op: result.Delivery, Kind: result.Lag, Group: "sub"}).Record(30*time.Microsecond, load)
	i.Gauges[result.GaugeCPU], i.Gauges[result.GaugeRSS] = 123, 20<<20
	return bench.Status{Interval: i, Phase: plan.PhaseMeasure, Left: time.Duration(9-n) * time.Second, Clients: 1000, Connected: 998}
}

func TestBoardAtEightyColumns(t *testing.T) {
	b := board{style: plain}
	for n, load := range []int64{4000, 8000, 4000} {
		b.take(newFigures(second(n, load)))
	}
	lines, errors := b.lines(80)
	want := []string{
		"measure   ============............................  0:03, 0:07 left",
		"clients   998 of 1000 connected",
		"sent      4000/s of 4000/s due  2000/s acked",
		"received  1000/s of 4000/s expected  =@=",
		"delivery  p50 2.00ms  p99 2.00ms  max 2.00ms  @@@",
		"generator CPU 12%  lag p99 30.0us  20 MiB",
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") || errors {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	st := second(3, 4000)
	st.Interval.Count(result.Failures, "pub", result.NoQoS, 2)
	b.take(newFigures(st))
	b.take(newFigures(second(4, 4000)))
	lines, errors = b.lines(80)
	if got, want := lines[len(lines)-1], "errors    2 failed attempts"; got != want || !errors {
		t.Errorf("a second later: got %q, %v, want %q", got, errors, want)
	}
}

// TestBoardNeverWraps checks all widths and large numbers.
func TestBoardNeverWraps(t *testing.T) {
	for _, style := range []style{plain, blocks} {
		b := board{style: style}
		for n := range 100 {
			st := second(n%10, int64(n)*int64(n)*1_000_000)
			st.Clients = 100_000_000
			for _, w := range wrongs {
				st.Interval.Count(w.counter, "pub", result.NoQoS, 1_000_000)
			}
			b.take(newFigures(st))
			if len(b.rates) > history || len(b.p99s) > history {
				t.Fatalf("%d rates are kept", len(b.rates))
			}
			for width := 1; width < 130; width++ {
				lines, _ := b.lines(width)
				for _, line := range lines {
					if n := utf8.RuneCountInString(line); n >= max(width, 11) || strings.ContainsAny(line, "\n\t") {
						t.Fatalf("width %d: %d columns: %q", width, n, line)
					}
				}
			}
		}
	}
}

func TestBoardKeepsRatesWhereAPhaseCutsAnInterval(t *testing.T) {
	b := board{style: plain}
	b.take(newFigures(second(0, 4000)))
	cut := second(1, 0)
	cut.Interval.End = cut.Interval.Start + time.Millisecond
	cut.Interval.Count(result.Sent, "pub", 1, 400)
	b.take(newFigures(cut))
	if lines, _ := b.lines(80); !strings.Contains(strings.Join(lines, "\n"), "4000/s of 4000/s due") || len(b.rates) != 1 {
		t.Errorf("got %q and %d rates", lines, len(b.rates))
	}
}

func TestFiguresHaveWhatCameFromBefore(t *testing.T) {
	st := second(0, 100)
	st.Early = result.NewInterval(result.PhaseWarmUp, st.Interval.Start, st.Interval.End)
	st.Early.Count(result.Delivered, "sub", 1, 7)
	st.Early.Histogram(result.Key{Op: result.Delivery, Kind: result.Response, Group: "sub"}).Record(time.Second, 1)
	f := newFigures(st)
	if n := f.count(result.Delivered); n != 32 || f.latency.Count() != 101 || f.latency.Max() < time.Second {
		t.Errorf("got %d delivered, %d latencies, at most %v", n, f.latency.Count(), f.latency.Max())
	}
	if n := st.Interval.Histograms[result.Key{Op: result.Delivery, Kind: result.Response, Group: "sub"}].Count(); n != 100 {
		t.Errorf("the interval itself has %d now", n)
	}
}

// terminal emulates what the block uses of a terminal.
type terminal struct {
	rows  []string
	below int // index of the row of the cursor
}

func (t *terminal) write(tb testing.TB, s string) {
	for s != "" {
		switch {
		case strings.HasPrefix(s, noWrap), strings.HasPrefix(s, wrap):
			s = s[len(wrap):]
		case strings.HasPrefix(s, erase):
			t.rows, s = t.rows[:t.below], s[len(erase):]
		case strings.HasPrefix(s, "\x1b["):
			up := 0
			if n, err := fmt.Sscanf(s, "\x1b[%dA", &up); n != 1 || err != nil {
				tb.Fatalf("unknown sequence in %q", s)
			}
			t.below -= up
			_, s, _ = strings.Cut(s, "A")
		default:
			line, rest, ok := strings.Cut(s, "\n")
			if !ok || t.below != len(t.rows) {
				tb.Fatalf("%q is written into row %d of %d", s, t.below, len(t.rows))
			}
			t.rows, s = append(t.rows, strings.TrimSuffix(line, "\r")), rest
			t.below++
		}
	}
}

func TestBlockIsDrawnInPlaceAndLeavesNothing(t *testing.T) {
	for _, height := range []int{24, 4, 1} {
		var out bytes.Buffer
		inv := &cli.Invocation{Env: cli.Env{Stderr: &out, StderrIsTerminal: true, Lookup: option.MapEnv(map[string]string{"TERM": "xterm"})},
			Talk: cli.NewTalk(&out, "mqbench", false, false, false)}
		s := newStatus(inv, nil, nil)
		s.size = func() (int, int) { return 80, height }
		var screen terminal
		step := func(want int) {
			t.Helper()
			screen.write(t, out.String())
			out.Reset()
			if len(screen.rows) != want {
				t.Errorf("height %d: got %d rows, want %d: %q", height, len(screen.rows), want, screen.rows)
			}
		}
		block := min(6, height-1)
		s.show(second(0, 1000))
		step(block)
		s.show(second(1, 2000))
		step(block)
		s.note(result.Note{Kind: result.NotePhase, Text: "drain"})
		step(block)
		s.note(result.Note{Kind: result.NoteError, Text: "oops"})
		step(block + 1)
		if screen.rows[0] != "mqbench: oops" {
			t.Errorf("the error is not above the block: %q", screen.rows)
		}
		s.end()
		step(1)
		s.end()
		step(1)
	}
}

func TestNoBlockWhereItHasNoPlace(t *testing.T) {
	for _, c := range []struct {
		name            string
		terminal, quiet bool
		debug           bool
		term            string
		want            string
	}{
		{"in a pipe", false, false, false, "xterm", "mqbench:   0:01 measure  998/1000 up  out 1000/s in 250/s  p50 2.00ms p99 2.00ms\n"},
		{"on a dumb terminal", true, false, false, "dumb", "mqbench:   0:01 measure  998/1000 up  out 1000/s in 250/s  p50 2.00ms p99 2.00ms\n"},
		{"with --debug", true, false, true, "xterm", "mqbench:   0:01 measure  998/1000 up  out 1000/s in 250/s  p50 2.00ms p99 2.00ms\n"},
		{"with --quiet", true, true, false, "xterm", ""},
		{"with --quiet in a pipe", false, true, false, "xterm", ""},
	} {
		var out bytes.Buffer
		inv := &cli.Invocation{Env: cli.Env{Stderr: &out, StderrIsTerminal: c.terminal, Lookup: option.MapEnv(map[string]string{"TERM": c.term})},
			Talk: cli.NewTalk(&out, "mqbench", c.quiet, c.debug, false)}
		s := newStatus(inv, nil, nil)
		s.show(second(0, 1000))
		s.end()
		if out.String() != c.want {
			t.Errorf("%s: got %q, want %q", c.name, out.String(), c.want)
		}
	}
}

package report

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/option"
)

func side(seed uint64, runs int, change func(*load)) []*Summary {
	var list []*Summary
	for i := range runs {
		l := steady()
		l.seed = seed + uint64(i)
		if change != nil {
			change(&l)
		}
		list = append(list, Summarize(l.result()))
	}
	return list
}

func TestDiff(t *testing.T) {
	slower := func(l *load) { l.mean = l.mean * 13 / 10 }
	fewer := func(l *load) { l.rate = 900 }
	for _, c := range []struct {
		name, gates string
		a, b        []*Summary
		want        string // the failures
	}{
		{"passes the same runs", "p99=+10%,rate=-5%", side(1, 3, nil), side(10, 3, nil), ""},
		{"fails on a slower side", "p99=+10%,rate=-5%", side(1, 3, nil), side(10, 3, slower), "p99=+10%: changed by +23.4 %"},
		{"passes a slower side within its gate", "p99=+30%", side(1, 3, nil), side(10, 3, slower), ""},
		{"passes a faster side", "p99=+1%", side(10, 3, slower), side(1, 3, nil), ""},
		{"fails on a lower rate", "rate=-5%", side(1, 1, nil), side(2, 1, fewer), "rate=-5%: changed by -10.0 %"},
		{"passes a higher rate", "rate=-5%", side(1, 1, fewer), side(2, 1, nil), ""},
		{"needs no more than two runs that do not overlap", "p99=+10%", side(1, 2, nil), side(10, 2, slower), "p99=+10%: changed by +25.1 %"},
		{"fails on what two runs do not decide", "p99=+0%", side(1, 2, nil), side(1, 2, nil), "p99=+0%: changed by 0.0 %, which 2 and 2 runs do not decide: it is too close to the gate for any number of runs"},
		{"fails on a partial run", "p99=+10%", side(1, 1, nil), side(1, 1, func(l *load) { l.partial = true }), "a run is partial: the result has no last line: the run was killed, or the file cut off"},
		{"trusts a gate on one run", "p99=+10%", side(1, 1, nil), side(10, 1, slower), "p99=+10%: changed by +30.8 %"},
		{"fails on a rise from nothing", "lost=+10%", side(1, 1, nil), side(1, 1, func(l *load) { l.lost = 2 }), "lost=+10%: it was 0"},
		{"fails when a metric is not known", "p99.999=+10%", side(1, 1, nil), side(2, 1, nil), "p99.999=+10%: 10,000 values are too few for p99.999"},
	} {
		gates, err := ParseGates(c.gates)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Diff(c.a, c.b, gates)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(d.Failed, "; "); got != c.want || (d.ExitCode() == option.ExitThreshold) != (c.want != "") {
			t.Errorf("it %s: got %q, want %q", c.name, got, c.want)
		}
	}
	gates, err := ParseGates("p99=+10%,rate=-5%")
	if err != nil {
		t.Fatal(err)
	}
	other := side(10, 3, slower)
	other[0].Result.Run.Plan.Hash = "other"
	d, err := Diff(side(1, 3, nil), other, gates)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := d.Text(&b, format.Palette{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "diff.txt", b.Bytes())
	if _, err := Diff(nil, other, nil); err == nil {
		t.Error("a side without runs is compared")
	}
}

func TestGateRefusals(t *testing.T) {
	for _, bad := range []string{"", "p99", "p99=10%", "p99=+10", "p99=+x%", "p99=%", "p99=", "foo=+10%", "p99=+NaN%", "p99=+10%,"} {
		if got, err := ParseGates(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

// TestMannWhitney compares with the exact probabilities of published tables, and with
// counting all orders.
func TestMannWhitney(t *testing.T) {
	for _, c := range []struct {
		x, y []float64
		want float64
	}{
		{[]float64{1, 2, 3}, []float64{4, 5, 6}, 2. / 20},
		{[]float64{4, 5, 6}, []float64{1, 2, 3}, 2. / 20},
		{[]float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 2. / 70},
		{[]float64{1, 2, 4}, []float64{3, 5, 6}, 4. / 20},
		{[]float64{1}, []float64{2}, 1},
		{[]float64{7, 7, 7}, []float64{7, 7, 7}, 1},
		{[]float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 2. / 252},
	} {
		if got := mannWhitney(c.x, c.y); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v and %v: got %v, want %v", c.x, c.y, got, c.want)
		}
	}
}

func TestDiffSaysWhatMakesItDoubtful(t *testing.T) {
	a, b := side(1, 1, nil), side(1, 1, func(l *load) { l.cpu, l.partial = 900, true })
	b[0].Result.Shards[0].Environment.CPU = "Other CPU"
	d, err := Diff(a, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(d.Remarks, "; "), "the load came from different machines; a run is GENERATOR LIMITED"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

package result

import (
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

func TestRecorderKeepsEveryValue(t *testing.T) {
	r := NewRecorder("pub", "sub")
	for _, c := range []struct {
		d    time.Duration
		want time.Duration // as recorded
	}{
		{-time.Second, time.Microsecond},
		{0, time.Microsecond},
		{1, time.Microsecond},
		{time.Microsecond, time.Microsecond},
		{time.Microsecond + 1, 2 * time.Microsecond},
		{2047 * time.Microsecond, 2047 * time.Microsecond},
		{MaxValue, 299_892_736 * time.Microsecond}, // the bucket is 262,144 us wide
		{MaxValue + 1, 299_892_736 * time.Microsecond},
		{time.Hour, 299_892_736 * time.Microsecond},
	} {
		r.Record(Delivery, Response, 1, c.d)
		i := NewInterval(PhaseMeasure, 0, time.Second)
		i.Take(r.Swap())
		h := i.Histograms[Key{Delivery, Response, "sub"}]
		if h == nil || h.Count() != 1 || len(i.Histograms) != 1 {
			t.Fatalf("%v: got %v", c.d, i.Histograms)
		}
		for d, n := range h.Buckets {
			if d != c.want || n != 1 {
				t.Errorf("%v is recorded %d times as %v, want once as %v", c.d, n, d, c.want)
			}
		}
		if below, above := c.d < 0, c.d > MaxValue; (h.Below == 1) != below || (h.Above == 1) != above {
			t.Errorf("%v: below %d, above %d", c.d, h.Below, h.Above)
		}
		direct := NewHistogram()
		direct.Record(c.d, 1)
		if direct.Max() != h.Max() || direct.Below != h.Below || direct.Above != h.Above {
			t.Errorf("%v: Histogram.Record differs from Recorder.Record", c.d)
		}
	}
}

func TestSwapSplitsWithoutLoss(t *testing.T) {
	r := NewRecorder("a", "b")
	record := func() {
		r.Record(Puback, Service, 0, time.Millisecond)
		r.Count(Sent, 1, 2, 3)
		r.Count(Connects, 0, NoQoS, 1)
		r.CountReason(1, packet.CONNACK, packet.NotAuthorized)
		r.CountError(0, "connect", "timeout")
	}
	sum := NewInterval(PhaseMeasure, 0, time.Second)
	record()
	first := r.Swap()
	record() // while the first batch is read
	sum.Take(first)
	if got := sum.Counters[CounterKey{"sent", "b", 2}]; got != 3 {
		t.Errorf("after the first batch: sent %d, want 3", got)
	}
	sum.Take(r.Swap())
	sum.Take(r.Swap()) // empty
	record()
	r.Swap() // not taken: comes again
	record()
	sum.Take(r.Swap())
	sum.Take(r.Swap())
	want := map[CounterKey]int64{
		{"sent", "b", 2}:                      12,
		{"connects", "a", NoQoS}:              4,
		{"reason.connack.0x87", "b", NoQoS}:   4,
		{"error.connect.timeout", "a", NoQoS}: 4,
	}
	if len(sum.Counters) != len(want) {
		t.Errorf("got %v", sum.Counters)
	}
	for k, n := range want {
		if sum.Counters[k] != n {
			t.Errorf("%v: got %d, want %d", k, sum.Counters[k], n)
		}
	}
	if h := sum.Histograms[Key{Puback, Service, "a"}]; h == nil || h.Count() != 4 || len(sum.Histograms) != 1 {
		t.Errorf("histograms: %v", sum.Histograms)
	}
}

func TestPercentileNeedsTenAbove(t *testing.T) {
	for _, c := range []struct {
		n    int64
		p    float64
		want bool
	}{{1000, 99, true}, {999, 99, false}, {20, 50, true}, {19, 50, false}, {10_000, 99.9, true}, {9_999, 99.9, false}, {0, 50, false}, {1_000_000, 100, false}} {
		h := NewHistogram()
		h.Record(time.Millisecond, c.n)
		if _, ok := h.Percentile(c.p); ok != c.want {
			t.Errorf("p%v of %d values: known %v, want %v", c.p, c.n, ok, c.want)
		}
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	r := NewRecorder("a", "b")
	r.Record(Delivery, Response, 1, time.Millisecond)
	r.CountReason(0, packet.PUBACK, packet.QuotaExceeded)
	r.CountError(0, "read", "reset")
	if n := testing.AllocsPerRun(100, func() {
		r.Record(Delivery, Response, 1, 3*time.Millisecond)
		r.Record(Delivery, Response, 1, time.Hour)
		r.Count(Delivered, 1, 1, 1)
		r.CountReason(0, packet.PUBACK, packet.QuotaExceeded)
		r.CountError(0, "read", "reset")
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestNames(t *testing.T) {
	for _, o := range Ops() {
		if got, ok := ParseOp(o.String()); !ok || got != o {
			t.Errorf("ParseOp(%q) = %v, %v", o, got, ok)
		}
	}
	for k := range numKinds {
		if got, ok := ParseKind(k.String()); !ok || got != k {
			t.Errorf("ParseKind(%q) = %v, %v", k, got, ok)
		}
	}
	if _, ok := ParseOp("connect.dns"); ok {
		t.Error("connect.dns is an operation")
	}
	for c := range numCounters {
		for q := packet.QoS(0); q <= NoQoS; q++ {
			k := CounterKey{c.String(), "g", q}
			if got, err := parseField("g", k.field()); err != nil || got != k {
				t.Errorf("%q: got %v, %v", k.field(), got, err)
			}
		}
	}
	if _, err := parseField("g", "sent.qos3"); err == nil {
		t.Error("sent.qos3 is a counter")
	}
	name := reasonName(packet.CONNACK, packet.NotAuthorized)
	if p, code, ok := ParseReason(name); name != "reason.connack.0x87" || p != "connack" || code != packet.NotAuthorized || !ok {
		t.Errorf("%q is read as %q, %v, %v", name, p, code, ok)
	}
	for _, bad := range []string{"reason.connack", "reason.connack.0x", "reason.connack.0x8", "reason.connack.0x87a", "sent"} {
		if _, _, ok := ParseReason(bad); ok {
			t.Errorf("%q is a reason code", bad)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	r := NewRecorder("pub", "sub")
	for i := range b.N {
		r.Record(Delivery, Response, 1, time.Duration(i&0xfffff)*10)
	}
}

func BenchmarkCount(b *testing.B) {
	r := NewRecorder("pub", "sub")
	for range b.N {
		r.Count(Delivered, 1, 1, 1)
	}
}

// BenchmarkTake is what the collector does outside the loop's lock, per batch of six
// histograms.
func BenchmarkTake(b *testing.B) {
	r := NewRecorder("pub", "sub")
	for range b.N {
		for i := range 6 {
			for v := range 1000 {
				r.Record(Op(i), Response, 1, time.Duration(v)*time.Microsecond)
			}
		}
		NewInterval(PhaseMeasure, 0, 0).Take(r.Swap())
	}
}

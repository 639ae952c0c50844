package result

import (
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"pgregory.net/rapid"
)

// TestCodecIsHdrHistograms: the library reads what we write and the other way round,
// bucket by bucket.
func TestCodecIsHdrHistograms(t *testing.T) {
	var e encoder
	var d decoder
	rapid.Check(t, func(t *rapid.T) {
		h := NewHistogram()
		for range rapid.IntRange(0, 30).Draw(t, "values") {
			exponent := rapid.IntRange(0, 28).Draw(t, "exponent")
			v := rapid.Int64Range(1, 2<<exponent).Draw(t, "value")
			h.Record(time.Duration(v)*time.Microsecond, rapid.Int64Range(1, 1<<40).Draw(t, "n"))
		}
		encoded, err := e.encode(h)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := hdr.Decode([]byte(encoded))
		if err != nil {
			t.Fatal(err)
		}
		want := hdr.New(lowest, highest, digits)
		h.h.MergeInto(want)
		if !theirs.Equals(want) || theirs.TotalCount() != h.Count() {
			t.Fatalf("they read %v", theirs.Distribution())
		}
		back, err := theirs.EncodeV2()
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{encoded, string(back)} {
			ours, err := d.decode(text)
			if err != nil {
				t.Fatal(err)
			}
			got := hdr.New(lowest, highest, digits)
			ours.h.MergeInto(got)
			if !got.Equals(want) || ours.Count() != h.Count() {
				t.Fatalf("we read %v", got.Distribution())
			}
		}
	})
}

func TestBuckets(t *testing.T) {
	for v := int64(0); v <= highest; v += 1 + v/5000 {
		h := NewHistogram()
		h.h.RecordValue(v)
		for low := range h.h.ForEachBucket {
			if b := bucketOf(v); lowestOf(b) != low || bucketOf(low) != b || b >= numBuckets {
				t.Fatalf("%d: bucket %d begins with %d, want %d", v, b, lowestOf(b), low)
			}
		}
	}
}

func TestEncoderRefusesHugeCounts(t *testing.T) {
	h := NewHistogram()
	h.Record(time.Second, maxCount+1)
	if got, err := h.Encode(); err == nil {
		t.Errorf("got %s", got)
	}
}

// BenchmarkIntervalLine writes an interval of ten histograms.
func BenchmarkIntervalLine(b *testing.B) {
	i := NewInterval(PhaseMeasure, 0, time.Second)
	for op := range Op(10) {
		for v := range 1500 {
			i.Histogram(Key{op, Response, "a"}).Record(time.Duration(v*v/4)*time.Microsecond, int64(1500-v))
		}
	}
	w, err := NewWriter(discard{}, someRun(1), someShard(0))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := w.Interval(i); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

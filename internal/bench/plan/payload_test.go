package plan

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

func payloadOf(t testing.TB, text string) *Payload {
	t.Helper()
	files := map[string]string{"feed.jsonl": "{\"a\":1}\n{\"b\":22}\r\n{}"}
	p := mustParse(t, "groups: {g: {clients: 3, publish: {topic: a, rate: 1, payload: "+text+"}}}", Options{ReadFile: func(name string) ([]byte, error) {
		if s, ok := files[name]; ok {
			return []byte(s), nil
		}
		return nil, os.ErrNotExist
	}})
	return p.Groups[0].Publish[0].Payload
}

func TestPayloads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text   string
		header bool
		want   string // of client 1, message 2; its length if a number of bytes
	}{
		{"0", false, ""},
		{"{size: 5, fill: zeros}", false, "\x00\x00\x00\x00\x00"},
		{"{size: 20, fill: pattern}", true, strings.Repeat("\x00", 16) + "0123"},
		{"{size: 16}", true, strings.Repeat("\x00", 16)},
		{"{template: 'm %i %s %{t/1000000}'}", false, "m 1 2 1700000000123"},
		{"{template: 'm %i', header: true}", true, strings.Repeat("\x00", 16) + "m 1"},
		{"{lines: feed.jsonl}", false, "{\"b\":22}"}, // message 2*3+1 = 7 of 3 lines
		{"{lines: {file: feed.jsonl}, header: true}", true, strings.Repeat("\x00", 16) + "{\"b\":22}"},
	} {
		p := payloadOf(t, c.text)
		got := string(p.Append([]byte("x"), 1, 2, 1700000000123_000000))
		if got != "x"+c.want || p.HasHeader() != c.header {
			t.Errorf("%s: got %q, header %v, want %q, %v", c.text, got[1:], p.HasHeader(), c.want, c.header)
		}
		if p.Max() < len(c.want) {
			t.Errorf("%s: Max is %d, and a payload has %d bytes", c.text, p.Max(), len(c.want))
		}
	}
}

func TestPayloadSizesHaveTheirDistribution(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text       string
		low, high  int
		mean, near float64
	}{
		{"{size: {uniform: [100, 300]}}", 100, 300, 200, 3},
		{"{size: {normal: {mean: 1000, deviation: 50}}}", 16, 1200, 1000, 3},
		{"{size: {normal: {mean: 50, deviation: 1k, min: 20, max: 90}}}", 20, 90, 55, 5},
		{"{size: {weighted: {64: 3, 1k: 1}}}", 64, 1024, 304, 20},
		{"1MiB", 1 << 20, 1 << 20, 1 << 20, 0},
	} {
		p := payloadOf(t, c.text)
		sum, n := 0.0, 4000
		if c.low == c.high {
			n = 3
		}
		for seq := range n {
			size := len(p.Append(nil, 1, uint32(seq), 0))
			if size < c.low || size > c.high {
				t.Fatalf("%s: %d bytes", c.text, size)
			}
			sum += float64(size)
		}
		if got := sum / float64(n); math.Abs(got-c.mean) > c.near {
			t.Errorf("%s: %v bytes on the average, want %v", c.text, got, c.mean)
		}
	}
}

func TestRandomPayloadsDifferAndRepeat(t *testing.T) {
	t.Parallel()
	a, b := payloadOf(t, "200000"), payloadOf(t, "200000")
	x, y, z := a.Append(nil, 1, 2, 0), a.Append(nil, 1, 3, 0), b.Append(nil, 1, 2, 0)
	if bytes.Equal(x, y) || !bytes.Equal(x, z) || len(x) != 200000 {
		t.Errorf("%d bytes; equal to the next: %v; the same in the same plan: %v", len(x), bytes.Equal(x, y), bytes.Equal(x, z))
	}
	if bytes.Count(x[HeaderSize:], []byte{0}) > 2000 {
		t.Error("random bytes with too many zeros")
	}
}

func TestPayloadsDoNotAllocate(t *testing.T) {
	for _, text := range []string{"1k", "{size: {uniform: [100, 300]}}", "{size: {normal: {mean: 1k, deviation: 10}}}", "{size: 1k, fill: zeros}", "{size: 1k, fill: pattern}", "{template: '%i %s %t %r'}", "{lines: feed.jsonl}"} {
		p, buf := payloadOf(t, text), make([]byte, 0, 2000)
		if n := testing.AllocsPerRun(100, func() { buf = p.Append(buf[:0], 1, 2, 3) }); n > 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func BenchmarkPayload(b *testing.B) {
	for _, text := range []string{"64", "1k", "{size: {normal: {mean: 256, deviation: 50}}}"} {
		b.Run(fmt.Sprint(text), func(b *testing.B) {
			p, buf, seq := payloadOf(b, text), make([]byte, 0, 2000), uint32(0)
			for b.Loop() {
				buf = p.Append(buf[:0], 1, seq, 0)
				seq++
			}
		})
	}
}

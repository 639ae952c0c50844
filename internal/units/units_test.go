package units

import (
	"strconv"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{
		"0": 0, "5": 5 * time.Second, "1.5": 1500 * time.Millisecond, "5s": 5 * time.Second, "250ms": 250 * time.Millisecond,
		"2m": 2 * time.Minute, "1h30m": 90 * time.Minute, "08": 8 * time.Second, "0.001": time.Millisecond, "1us": time.Microsecond,
	} {
		if got, err := Duration(s); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", " 5", "5 ", "-5", "+5", ".5", "5.", "5.s", "abc", "5x", "5m3", "1e3", "0x10", "1_000", "5d", "NaN", "∞", "1..5", "٥",
	} {
		if got, err := Duration(s); err != ErrNotDuration {
			t.Errorf("%q: got %v, %v, want a refusal", s, got, err)
		}
	}
	for _, s := range []string{"9223372037", "99999999999999999999", "999999999999999999999h", "3000000h"} {
		if got, err := Duration(s); err != ErrTooLarge {
			t.Errorf("%q: got %v, %v, want too large", s, got, err)
		}
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 250 * time.Millisecond: "250ms", 10 * time.Second: "10s", time.Minute: "1m", 10 * time.Minute: "10m", 90 * time.Second: "1m30s",
		time.Hour: "1h", 90 * time.Minute: "1h30m", time.Hour + time.Second: "1h0m1s", 100 * time.Minute: "1h40m", 1500 * time.Millisecond: "1.5s",
	} {
		if got := Short(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int64{
		"0": 0, "512": 512, "512B": 512, "64k": 65536, "64K": 65536, "64KiB": 65536, "64kB": 64000, "1MiB": 1 << 20, "1m": 1 << 20,
		"2MB": 2000000, "1G": 1 << 30, "010": 10, "8589934591GiB": 8589934591 << 30,
	} {
		if got, err := Size(s); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "k", "-1", "+1", "1.5k", "1 k", "1kk", "0x10", "1T", "1e3", "٥"} {
		if got, err := Size(s); err != ErrNotSize {
			t.Errorf("%q: got %d, %v, want a refusal", s, got, err)
		}
	}
	for _, s := range []string{"99999999999999999999", "8589934592GiB"} {
		if got, err := Size(s); err != ErrTooLarge {
			t.Errorf("%q: got %d, %v, want too large", s, got, err)
		}
	}
}

// FuzzDuration checks that a duration is never negative, and that its printed form parses
// to the same value.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"5", "1.5", "250ms", "2m", "1h30m", "-1", "", "9223372036", "1.s", "5µs", "0x1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := Duration(s)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%q: negative: %v", s, d)
		}
		if again, err := Duration(d.String()); err != nil || again != d {
			t.Fatalf("%q: is %v, which reads as %v, %v", s, d, again, err)
		}
	})
}

// FuzzSize checks that a size is never negative, and that a plain number parses to itself.
func FuzzSize(f *testing.F) {
	for _, s := range []string{"5", "64k", "1MiB", "1MB", "-1", "", "9223372036854775807", "8589934592GiB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Size(s)
		if err != nil {
			return
		}
		if n < 0 {
			t.Fatalf("%q: negative: %d", s, n)
		}
		if again, err := Size(strconv.FormatInt(n, 10)); err != nil || again != n {
			t.Fatalf("%q: is %d, which reads as %d, %v", s, n, again, err)
		}
	})
}

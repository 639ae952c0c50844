package result

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/textfile"
)

// goWords matches words of package json and the like, which users do not understand.
var goWords = regexp.MustCompile(`json|EOF|invalid character|Go struct|gzip|zlib|flate|base64|unmarshal|illegal`)

// whole reads results, and reports whether nothing is wrong with them.
func whole(t *testing.T, what, text string) bool {
	t.Helper()
	results, err := Read(textfile.NewReader(strings.NewReader(text)), "run.mqb")
	if err != nil {
		if goWords.MatchString(strings.ReplaceAll(err.Error(), "JSON", "")) || !strings.HasPrefix(err.Error(), "run.mqb") {
			t.Errorf("%s: %v", what, err)
		}
		return false
	}
	for _, r := range results {
		if why := r.Partial(); why != "" {
			if goWords.MatchString(why) {
				t.Errorf("%s: %s", what, why)
			}
			return false
		}
	}
	return true
}

// repeatedFile returns two repetitions, with lines that carry no counters: notes, and
// an interval in which nothing happened.
func repeatedFile(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	for n := range 2 {
		w, err := NewWriter(&b, Run{Tool: "x", Plan: Plan{Name: "p", Hash: "h", Text: "{}", Scale: 1}, Shards: 1, Repeat: n, Repeats: 2, Step: time.Second}, Shard{Engine: "lite"})
		if err != nil {
			t.Fatal(err)
		}
		for k := range 3 {
			i := NewInterval(PhaseMeasure, time.Duration(k)*time.Second, time.Duration(k+1)*time.Second)
			i.Gauges[GaugeConnected] = int64(k)
			if k != 1 {
				i.Count(Sent, "g", 1, 10)
				i.Histogram(Key{Puback, Response, "g"}).Record(time.Millisecond, 10)
			}
			if err := w.Interval(i); err != nil {
				t.Fatal(err)
			}
		}
		_ = w.Note(Note{At: time.Second, Kind: NoteError, Text: "something"})
		if err := w.End(End{At: 3 * time.Second, Complete: true}); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// TestADamagedResultIsNeverWhole: cut off at any byte, without any of its lines, with
// one twice, with two swapped, with any byte changed. The errors must use our own
// words.
func TestADamagedResultIsNeverWhole(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"two repetitions": repeatedFile(t), "all there is": sampleFile(t)} {
		if !whole(t, name, file) || !whole(t, name+", with a byte order mark", "\ufeff"+file) || !whole(t, name+", with the line ends of Windows", strings.ReplaceAll(file, "\n", "\r\n")) {
			t.Fatalf("%s: it is not whole itself", name)
		}
		for n := range len(file) - 1 { // without the last line's end the file is complete
			if whole(t, fmt.Sprintf("%s, cut off at byte %d", name, n), file[:n]) {
				t.Errorf("%s: cut off at byte %d of %d it is whole", name, n, len(file))
			}
		}
		lines := strings.SplitAfter(strings.TrimSuffix(file, "\n"), "\n")
		lines[len(lines)-1] += "\n"
		for n := range lines {
			for what, text := range map[string]string{
				"without": strings.Join(lines[:n], "") + strings.Join(lines[n+1:], ""),
				"twice":   strings.Join(lines[:n+1], "") + strings.Join(lines[n:], ""),
			} {
				if whole(t, fmt.Sprintf("%s, %s line %d", name, what, n+1), text) {
					t.Errorf("%s: %s line %d it is whole: %.60s", name, what, n+1, lines[n])
				}
			}
			if n > 0 && lines[n] != lines[n-1] {
				swapped := strings.Join(lines[:n-1], "") + lines[n] + lines[n-1] + strings.Join(lines[n+1:], "")
				if whole(t, fmt.Sprintf("%s, lines %d and %d exchanged", name, n, n+1), swapped) {
					t.Errorf("%s: with lines %d and %d exchanged it is whole", name, n, n+1)
				}
			}
		}
		at := 0
		for _, line := range lines {
			if !strings.HasPrefix(line, `{"type":"end"`) { // the end line has no check of itself
				for k := 0; k < len(line)-1; k += 1 + len(file)/2000 {
					b := []byte(file)
					b[at+k] ^= 1
					if whole(t, fmt.Sprintf("%s, with byte %d changed", name, at+k), string(b)) {
						t.Errorf("%s: with byte %d changed it is whole: %.60s", name, at+k, line)
					}
				}
			}
			at += len(line)
		}
	}
}

// TestADamagedLineOfALogIsNeverWhole: a line in the form in which a pod's log returns
// it.
func TestADamagedLineOfALogIsNeverWhole(t *testing.T) {
	t.Parallel()
	r, err := readOne(repeatedFile(t)[:strings.Index(repeatedFile(t)[1:], `{"type":"header"`)+1])
	if err != nil {
		t.Fatal(err)
	}
	r.Run.Repeats, r.Lost = 0, nil
	line, err := AppendLine([]byte("2026-12-01 "), r, 60)
	if err != nil {
		t.Fatal(err)
	}
	text := "some words\n" + string(line) + "\n"
	if !whole(t, "it", text) {
		t.Fatal("it is not whole itself")
	}
	for n := range len(text) - 1 {
		if whole(t, fmt.Sprintf("cut off at byte %d", n), text[:n]) {
			t.Errorf("cut off at byte %d of %d it is whole", n, len(text))
		}
	}
}

// TestWhatIsMissingOfAShardIsMissingOfTheRun: merging does not make it whole.
func TestWhatIsMissingOfAShardIsMissingOfTheRun(t *testing.T) {
	t.Parallel()
	shard := func(n int, lost ...string) *Result {
		return &Result{Run: Run{Plan: Plan{Hash: "h"}, Shards: 2, Step: time.Second}, Shards: []Shard{{Shard: n}}, Ends: []End{{Shard: n, Complete: true}}, Lost: lost}
	}
	whole, err := Merge(shard(0), shard(1))
	if err != nil || !whole.Whole() {
		t.Fatalf("%v, %q", err, whole.Partial())
	}
	damaged, err := Merge(shard(0), shard(1, "lines are missing"))
	if err != nil || damaged.Whole() || damaged.Partial() != "lines are missing" {
		t.Fatalf("%v, %q", err, damaged.Partial())
	}
	var b bytes.Buffer
	if err := Write(&b, damaged); err != nil {
		t.Fatal(err)
	}
	if again, err := readOne(b.String()); err != nil || again.Partial() != "lines are missing" {
		t.Errorf("written and read again: %v, %q", err, again.Partial())
	}
}

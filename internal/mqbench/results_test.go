package mqbench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
)

var deliveries = result.Key{Op: result.Delivery, Kind: result.Response, Group: "subs"}

// made returns the result of a shard with 500 latencies, which it also adds to all.
func made(shard, of int, hash string, all *result.Histogram) *result.Result {
	epoch := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	i := result.NewInterval(result.PhaseMeasure, 0, time.Second)
	random := rand.New(rand.NewPCG(1, uint64(shard)))
	for range 500 {
		d := time.Duration(random.ExpFloat64() * float64(5*time.Millisecond))
		i.Histogram(deliveries).Record(d, 1)
		all.Record(d, 1)
	}
	i.Count(result.Sent, "pubs", 1, 500)
	i.Count(result.Expected, "pubs", 1, 500)
	i.Count(result.Delivered, "subs", 1, 500)
	i.Count(result.Distinct, "subs", 1, 500)
	return &result.Result{
		Run:       result.Run{Tool: "1", Plan: result.Plan{Name: "made", Hash: hash, Scale: 1, Header: true}, Shards: of, Step: time.Second},
		Shards:    []result.Shard{{Shard: shard, Epoch: epoch, Engine: "lite"}},
		Intervals: []*result.Interval{i}, Ends: []result.End{{Shard: shard, At: time.Second, Complete: true}},
	}
}

// save writes a result to a file.
func save(t *testing.T, path string, r *result.Result) string {
	t.Helper()
	var b bytes.Buffer
	if err := result.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// shards writes three shards of a run, and returns the files and all latencies.
func shards(t *testing.T) (dir string, files []string, all *result.Histogram) {
	t.Helper()
	dir, all = t.TempDir(), result.NewHistogram()
	for i := range 3 {
		files = append(files, save(t, filepath.Join(dir, fmt.Sprintf("shard-%d.jsonl", i)), made(i, 3, "abc", all)))
	}
	return dir, files, all
}

// same compares the merged deliveries with all that were recorded.
func same(t *testing.T, path string, all *result.Histogram) {
	t.Helper()
	sum := readOne(t, path).Sum()
	got := sum.Histograms[deliveries]
	for _, p := range []float64{1, 50, 90, 99, 99.9, 100} {
		if got.PercentileOfFew(p) != all.PercentileOfFew(p) {
			t.Errorf("p%g: %v, want %v", p, got.PercentileOfFew(p), all.PercentileOfFew(p))
		}
	}
	if got.Count() != all.Count() || got.Mean() != all.Mean() || sum.Counters[result.CounterKey{Name: "distinct", Group: "subs", QoS: 1}] != 1500 {
		t.Errorf("%d values, mean %v; want %d, %v", got.Count(), got.Mean(), all.Count(), all.Mean())
	}
}

func TestMergeIsExact(t *testing.T) {
	t.Parallel()
	dir, files, all := shards(t)
	out := filepath.Join(dir, "run.jsonl")
	if r := mqbench(t, "merge", files[2], files[0], files[1], "--out", out); r != (outcome{}) {
		t.Fatalf("%+v", r)
	}
	same(t, out, all)
	if r := mqbench(t, "report", out, "--fail-on", "loss>0", "--strict"); r.code != 0 || !strings.Contains(r.out, "3 of 3 shards") {
		t.Errorf("report: status %d, stderr %q, stdout\n%s", r.code, r.err, r.out)
	}
	one, three := mqbench(t, "report", out, "-F", "json"), mqbench(t, append([]string{"report", "-F", "json"}, files...)...)
	if one != three || one.out == "" {
		t.Error("the report of the merged file is not that of its parts")
	}
	if r := mqbench(t, "report", out, "--fail-on", "p99>1ms"); r.code != 4 {
		t.Errorf("a threshold that is missed: status %d", r.code)
	}
}

func TestMergeReportsWhatIsMissing(t *testing.T) {
	t.Parallel()
	dir, files, _ := shards(t)
	out := filepath.Join(dir, "run.jsonl")
	r := mqbench(t, "merge", files[0], files[2], "--out", out)
	if r.code != 1 || r.err != "mqbench: warning: no result of shard 1\n" {
		t.Errorf("%+v", r)
	}
	if got := readOne(t, out).Absent(); len(got) != 1 || got[0] != 1 {
		t.Errorf("absent are %v", got)
	}
}

func TestMergeRefuses(t *testing.T) {
	t.Parallel()
	dir, files, all := shards(t)
	other := made(1, 3, "def", all)
	foreign := save(t, filepath.Join(dir, "foreign"), other)
	other.Run.Plan.Hash, other.Run.Tool = "abc", "2"
	newer := save(t, filepath.Join(dir, "newer"), other)
	few := save(t, filepath.Join(dir, "few"), made(1, 2, "abc", all))
	text := file(t, "text", "nothing\n")
	refused(t, "--out is missing", "merge", files[0])
	refused(t, "no result file is named", "merge", "--out", "-")
	refused(t, files[0]+" and "+foreign+" are of different plans: made (abc) and made (def)", "merge", files[0], foreign, "--out", "-")
	refused(t, "shards were run by different versions: 1 and 2", "merge", files[0], newer, "--out", "-")
	refused(t, "a run of 3 shards and one of 2", "merge", files[0], few, "--out", "-")
	refused(t, "duplicate shard 0: in "+files[0]+" and in "+files[0], "merge", files[0], files[0], "--out", "-")
	refused(t, text+": no result in it", "merge", text, "--out", "-")
	refused(t, `cannot read "`+dir+`/none": no such file`, "merge", dir+"/none", "--out", "-")
}

func TestDiff(t *testing.T) {
	t.Parallel()
	_, files, _ := shards(t)
	if r := mqbench(t, "diff", files[0], files[0], "--gate", "p50=+1%"); r.code != 0 || !strings.Contains(r.out, "ok p50=+1%") {
		t.Errorf("%+v", r)
	}
	refused(t, "diff: two result files are needed", "diff", files[0])
	refused(t, "--gate: ", "diff", files[0], files[1], "--gate", "p50")
	refused(t, "--format: invalid value \"csv\" (want text, json or junit for diff)", "diff", files[0], files[1], "-F", "csv")
}

// logs returns the log lines of three pods, among others.
func logs(t *testing.T) (text string, all *result.Histogram) {
	t.Helper()
	all = result.NewHistogram()
	b := []byte("mqbench: made: 3 clients\n")
	for i := range 3 {
		var err error
		if b, err = result.AppendLine(append(b, "2026-01-02T03:04:05Z "...), made(i, 3, "abc", all), 60); err != nil {
			t.Fatal(err)
		}
		b = append(b, "\nGenerator\n"...)
	}
	return string(b), all
}

func TestCollect(t *testing.T) {
	t.Parallel()
	dir, _, all := shards(t)
	for name, text := range map[string]string{"notes.txt": "some words\n", ".hidden": "{\"type\":\"header\"", "torn.log": "MQBENCH-RESULT-1:H4sI\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "run.jsonl")
	if r := mqbench(t, "collect", dir, "--out", out); r.code != 0 || !strings.HasPrefix(r.err, "mqbench: warning: skipped: "+dir+"/torn.log:1: ") {
		t.Errorf("%+v", r)
	}
	same(t, out, all)
	text, all := logs(t)
	if r := mqbench(t, "collect", file(t, "pods.log", text), "--out", out); r != (outcome{}) {
		t.Errorf("%+v", r)
	}
	same(t, out, all)
	refused(t, `cannot read "`+dir+`/none": no such file`, "collect", dir+"/none", "--out", out)
	empty := t.TempDir()
	refused(t, empty+": no result file found", "collect", empty, "--out", out)
	refused(t, "--namespace has no effect on files", "collect", dir, "--out", out, "--namespace", "x")
	refused(t, "collect k8s: one job is needed", "collect", "k8s", "--out", out)
	refused(t, `collect k8s: invalid name of a job "job/A B" (want`, "collect", "k8s", "job/A B", "--out", out)
	refused(t, `collect k8s: invalid name of a job "--all" (want`, "collect", "--out", out, "--", "k8s", "--all")
	refused(t, "--out is missing", "collect", "k8s", "job/x")
}

// kubectl puts a script of that name first in PATH.
func kubectl(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
}

func TestCollectFromAJob(t *testing.T) {
	text, all := logs(t)
	path := file(t, "pods.log", text)
	out := filepath.Join(t.TempDir(), "run.jsonl")
	kubectl(t, `[ "$*" = "logs --selector=job-name=load --tail=-1 --max-log-requests=4096 --namespace=bench" ] || { echo "words: $*" >&2; exit 9; }
cat `+path+"\n")
	if r := mqbench(t, "collect", "k8s", "job/load", "--namespace", "bench", "--out", out); r != (outcome{}) {
		t.Fatalf("%+v", r)
	}
	same(t, out, all)
	kubectl(t, "echo 'error: no such job' >&2; exit 1\n")
	if r := mqbench(t, "collect", "k8s", "load", "--out", out); r.code != 1 || r.err != "mqbench: kubectl: error: no such job\n" {
		t.Errorf("%+v", r)
	}
	kubectl(t, "echo starting\n")
	if r := mqbench(t, "collect", "k8s", "load", "--out", out); r.code != 1 || !strings.Contains(r.err, "logs of job/load: no result in it") || !strings.Contains(r.err, "kubectl wait") {
		t.Errorf("%+v", r)
	}
	t.Setenv("PATH", t.TempDir())
	if r := mqbench(t, "collect", "k8s", "load", "--out", out); r.code != 1 || !strings.Contains(r.err, "cannot find kubectl") {
		t.Errorf("%+v", r)
	}
}

package mqbench

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// TestRepetitionsAreOneDocument checks the output of the run itself and that of its file.
func TestRepetitionsAreOneDocument(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "runs.mqb")
	check := func(what, format, text string) {
		t.Helper()
		switch format {
		case "json":
			var docs []report.Document
			if err := json.Unmarshal([]byte(text), &docs); err != nil || len(docs) != 2 {
				t.Errorf("%s: %v, %d documents", what, err, len(docs))
			}
		case "csv":
			rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
			if err != nil || rows[0][0] != "run" || rows[1][0] != "1" || rows[len(rows)-1][0] != "2" || strings.Count(text, "start_s") != 1 {
				t.Errorf("%s: %v, %q", what, err, rows)
			}
		case "junit":
			var suites struct {
				XMLName xml.Name
				Suites  []struct{} `xml:"testsuite"`
			}
			if err := xml.Unmarshal([]byte(text), &suites); err != nil || len(suites.Suites) != 2 || strings.Count(text, "<?xml") != 1 {
				t.Errorf("%s: %v: %s", what, err, text)
			}
		}
	}
	for _, format := range []string{"json", "csv", "junit"} {
		r := mqbench(t, words("pubsub --serve 127.0.0.1:0 --clients 2 --rate 100 -q 1 --duration 0.2 --repeat 2 -F "+format+" --out "+out)...)
		if r.code != option.ExitDone {
			t.Fatalf("status %d, %s", r.code, r.err)
		}
		check("run "+format, format, r.out)
		r = mqbench(t, "report", out, "-F", format)
		if r.code != option.ExitDone {
			t.Fatalf("status %d, %s", r.code, r.err)
		}
		check("report "+format, format, r.out)
	}
	// A file cut off after the first repetition must not count as one run.
	whole, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	second := strings.Index(string(whole[1:]), `{"type":"header"`) + 1
	one := file(t, "one.mqb", string(whole[:second]))
	if r := mqbench(t, "report", one, "--strict"); r.code != option.ExitIncomplete || !strings.Contains(r.out, "1 of 2 repetitions are missing") {
		t.Errorf("status %d, %s%s", r.code, r.out, r.err)
	}
	if r := mqbench(t, "diff", out, one, "--gate", "p50=+100000%"); r.code != option.ExitThreshold || !strings.Contains(r.out, "1 of 2 repetitions are missing") {
		t.Errorf("status %d, %s%s", r.code, r.out, r.err)
	}
	if r := mqbench(t, "diff", out, out, "--gate", "p50=+100000%", "-F", "json"); r.code != option.ExitDone || !json.Valid([]byte(r.out)) {
		t.Errorf("status %d, %s%s", r.code, r.out, r.err)
	}
	refused(t, "--format: hgrm holds one run, and there are 2\n", "pubsub", "--repeat", "2", "-F", "hgrm")
	if r := mqbench(t, "report", one, "-F", "hgrm", "--metric", "puback.response"); !strings.HasPrefix(r.out, "#[mqbench pubsub; values are milliseconds]\n") {
		t.Errorf("%+v", r)
	}
}

func TestAFileThatCannotBeReadIsSaidInOurWords(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "none"):                     "no such file",
		file(t, "a", "{\"type\":\"header\",\"format\":1"):      "cut off",
		file(t, "b", "{\"type\":\"header\",\"format\":\"x\"}"): "does not belong in member",
		file(t, "c", "MQBENCH-RESULT-1:%%%"):                   "cut off or damaged",
		file(t, "d", "\xff\xfe{\x00"):                          "UTF-16",
	} {
		r := mqbench(t, "report", path)
		if r.code == option.ExitDone || !strings.Contains(r.err, want) {
			t.Errorf("%s: status %d, %q, want %q", path, r.code, r.err, want)
		}
		for _, words := range []string{"open ", "json:", "Go ", "invalid character", "EOF", "illegal"} {
			if strings.Contains(r.err, words) {
				t.Errorf("it says %q", r.err)
			}
		}
	}
}

// TestOptionsWithoutEffectAreRefused checks each of the short forms.
func TestOptionsWithoutEffectAreRefused(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"pub --subscribers 3", "pub --filter x", "conn -t x", "conn -q 1", "conn --rate 5", "conn --size 20", "conn --limit 5", "conn -r", "conn -m x", "conn -I 1", "conn -M 5", "conn --filter x",
		"sub --rate 5", "sub --limit 3", "sub -m x", "sub -r", "sub --filter x", "sub --subscribers 2", "sub --size 64", "sub -I 2", "sub --load 2", "doctor pub --subscribers 3", "k8s conn -t x",
		"report x --metric p99", "search pub --filter x",
	} {
		r := mqbench(t, words(line)...)
		if r.code != option.ExitUsage || !strings.Contains(r.err, " has no effect ") {
			t.Errorf("%s: status %d, %s", line, r.code, r.err)
		}
	}
}

// TestALimitEndsTheRun also checks a run that has a duration.
func TestALimitEndsTheRun(t *testing.T) {
	t.Parallel()
	start := time.Now()
	r := mqbench(t, words("pub --serve 127.0.0.1:0 --clients 2 --rate 100 -q 1 --limit 50 --duration 60 -F json")...)
	var d report.Document
	if err := json.Unmarshal([]byte(r.out), &d); err != nil {
		t.Fatalf("%v: %s", err, r.err)
	}
	if took := time.Since(start); r.code != option.ExitDone || d.Total.Sent != 50 || took > 30*time.Second || d.MeasuredNS > 10*time.Second {
		t.Errorf("status %d after %v: %d sent in %v", r.code, took, d.Total.Sent, d.MeasuredNS)
	}
	r = mqbench(t, words("pub --serve 127.0.0.1:0 --clients 2 --rate 10 -q 1 --limit 5000 --duration 0.3 -F json")...)
	if err := json.Unmarshal([]byte(r.out), &d); err != nil || d.Total.Sent > 10 {
		t.Errorf("%v: %d sent", err, d.Total.Sent)
	}
}

// TestTheLiveLineShowsOnlyWhatIsKnown: 21 values have no p99.
func TestTheLiveLineShowsOnlyWhatIsKnown(t *testing.T) {
	for n, want := range map[int64]string{1: "max 5.00ms", 19: "max 5.00ms", 21: "p50 5.00ms max 5.00ms", 999: "p50 5.00ms max 5.00ms", 1000: "p50 5.00ms p99 5.00ms"} {
		st := second(1, 100)
		i := result.NewInterval(result.PhaseMeasure, 0, time.Second)
		i.Histogram(result.Key{Op: result.Delivery, Kind: result.Response, Group: "g"}).Record(5*time.Millisecond, n)
		st.Interval = i
		if line := newFigures(st).line(); !strings.HasSuffix(line, "  "+want) {
			t.Errorf("%d values: %q, want %q", n, line, want)
		}
		b := board{style: plain}
		b.take(newFigures(st))
		lines, _ := b.lines(200)
		if text := strings.Join(lines, "\n"); strings.Contains(text, "p99 5.00ms") != strings.Contains(want, "p99") || !strings.Contains(text, "max 5.00ms") {
			t.Errorf("%d values: %s", n, text)
		}
	}
}

// TestPodsServeTheirFigures checks that the port can be reached from outside.
func TestPodsServeTheirFigures(t *testing.T) {
	t.Parallel()
	r := mqbench(t, words("k8s conn -h broker.lan --metrics :9090 --hold 30s")...)
	if r.code != option.ExitDone || !strings.Contains(r.out, "--metrics=:9090") || !strings.Contains(r.out, "--hold=30") || !strings.Contains(r.out, "containerPort: 9090") {
		t.Errorf("%+v", r)
	}
	for _, addr := range []string{"9090", "127.0.0.1:9090", "[::1]:9090", "localhost:9090", ":0", ":x"} {
		refused(t, "--metrics: invalid value \""+addr+"\" (want :PORT, which is reached from outside the pod)\n", "k8s", "conn", "-h", "broker.lan", "--metrics", addr)
	}
	refused(t, "--hold needs --metrics\n", "k8s", "conn", "-h", "broker.lan", "--hold", "5s")
}

// TestVariablesOfOtherFormsRefuseNothing checks that a variable without effect on a form
// does not exclude other options either.
func TestVariablesOfOtherFormsRefuseNothing(t *testing.T) {
	t.Parallel()
	for line, code := range map[string]int{"conn --show-config": 0, "pub --show-config": option.ExitUsage} {
		var out, errs strings.Builder
		got := cli.Run(t.Context(), cli.Env{Args: words(line), Stdout: &out, Stderr: &errs,
			Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none", "MQ_MESSAGE": "x", "MQ_SIZE": "5"})}, Tool())
		if got != code || (code != 0) != strings.Contains(errs.String(), "MQ_MESSAGE and MQ_SIZE cannot be used together") {
			t.Errorf("%s: status %d, %s", line, got, errs.String())
		}
	}
}

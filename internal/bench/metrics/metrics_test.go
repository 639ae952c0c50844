package metrics

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/mqtools/mqtools/internal/bench/result"
)

// serve serves an exporter on a free port.
func serve(t *testing.T, e *Exporter) (addr string) {
	t.Helper()
	ln, err := Listen(t.Context(), "0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(ln, e)
	t.Cleanup(s.Close)
	return ln.Addr().String()
}

// get fetches the metrics in a format.
func get(t *testing.T, addr, accept string) (body, contentType string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("status %d, %v: %s", res.StatusCode, err, b)
	}
	return string(b), res.Header.Get("Content-Type")
}

// scrape reads the metrics as Prometheus does.
func scrape(t *testing.T, addr string) map[string]*dto.MetricFamily {
	t.Helper()
	body, contentType := get(t, addr, "text/plain")
	if !strings.HasPrefix(contentType, "text/plain; version=0.0.4") {
		t.Errorf("content type %q", contentType)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	return families
}

// find returns the metric of a family with these labels.
func find(t *testing.T, families map[string]*dto.MetricFamily, name string, labels map[string]string) *dto.Metric {
	t.Helper()
	f := families[name]
	if f == nil {
		t.Fatalf("there is no %s", name)
	}
	if f.GetHelp() == "" {
		t.Errorf("%s has no help", name)
	}
next:
	for _, m := range f.GetMetric() {
		has := map[string]string{}
		for _, l := range m.GetLabel() {
			has[l.GetName()] = l.GetValue()
		}
		for k, v := range labels {
			if has[k] != v {
				continue next
			}
		}
		return m
	}
	t.Fatalf("%s has none with %v: %v", name, labels, f)
	return nil
}

func TestEveryCounterAndGaugeHasAMetric(t *testing.T) {
	n := 0
	for c := result.Counter(0); result.IsCounter(c.String()); c++ {
		n++
		if counterHelp[c] == "" {
			t.Errorf("counter %s has no metric", c)
		}
	}
	if n != len(counterHelp) || n < 20 {
		t.Errorf("%d counters and %d metrics", n, len(counterHelp))
	}
	for g := range gaugeMetrics {
		if gaugeMetrics[g].unit == 0 {
			t.Errorf("gauge %s has no unit", g)
		}
	}
}

func TestExporterAddsIntervalsUp(t *testing.T) {
	t.Parallel()
	e := New()
	addr := serve(t, e)
	families := scrape(t, addr)
	if families["mqbench_sent_total"] != nil {
		t.Error("messages sent before a run")
	}

	awkward := "a \"b\"\\\nc"
	e.Begin(Run{Tool: "1.2", Plan: awkward, Hash: "abc", Shard: "0/1", Clients: 7})
	for n := range 2 {
		i := result.NewInterval(result.PhaseMeasure, time.Duration(n)*time.Second, time.Duration(n+1)*time.Second)
		i.Count(result.Sent, "pub", 1, 10)
		i.Count(result.Sent, awkward, 0, 1)
		i.Count(result.SentBytes, "pub", 1, 1000)
		i.Count(result.Connects, "pub", result.NoQoS, 3)
		i.Counters[result.CounterKey{Name: "reason.connack.0x87", Group: "pub", QoS: result.NoQoS}] = 2
		i.Counters[result.CounterKey{Name: "error.connect.timeout", Group: "pub", QoS: result.NoQoS}] = 4
		i.Gauges[result.GaugeCPU] = 250
		i.Gauges[result.GaugeConnected] = int64(5 + n)
		h := i.Histogram(result.Key{Op: result.Puback, Kind: result.Response, Group: "pub"})
		h.Record(time.Microsecond, 1)
		h.Record(5*time.Millisecond, 2) // the bound itself
		h.Record(5100*time.Microsecond, 4)
		h.Record(299*time.Second, 8) // above all bounds
		e.Take(i)
	}
	families = scrape(t, addr)
	for _, c := range []struct {
		name   string
		labels map[string]string
		want   float64
	}{
		{"mqbench_sent_total", map[string]string{"group": "pub", "qos": "1"}, 20},
		{"mqbench_sent_total", map[string]string{"group": awkward, "qos": "0"}, 2},
		{"mqbench_sent_bytes_total", map[string]string{"group": "pub", "qos": "1"}, 2000},
		{"mqbench_connects_total", map[string]string{"group": "pub", "qos": ""}, 6},
		{"mqbench_reason_codes_total", map[string]string{"packet": "connack", "code": "0x87", "group": "pub"}, 4},
		{"mqbench_errors_total", map[string]string{"what": "connect", "kind": "timeout", "group": "pub"}, 8},
	} {
		if got := find(t, families, c.name, c.labels).GetCounter().GetValue(); got != c.want {
			t.Errorf("%s %v: got %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	for _, c := range []struct {
		name   string
		labels map[string]string
		want   float64
	}{
		{"mqbench_generator_cpu_ratio", nil, 0.25},
		{"mqbench_connected_clients", nil, 6},
		{"mqbench_clients", nil, 7},
		{"mqbench_phase", map[string]string{"phase": "measure"}, 1},
		{"mqbench_phase", map[string]string{"phase": "drain"}, 0},
		{"mqbench_run_info", map[string]string{"version": "1.2", "plan": awkward, "shard": "0/1"}, 1},
	} {
		if got := find(t, families, c.name, c.labels).GetGauge().GetValue(); got != c.want {
			t.Errorf("%s %v: got %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	h := find(t, families, "mqbench_latency_seconds", map[string]string{"op": "puback", "kind": "response", "group": "pub"}).GetHistogram()
	below := uint64(0)
	for _, b := range h.GetBucket() {
		want := uint64(2)
		switch bound := b.GetUpperBound(); {
		case math.IsInf(bound, 1):
			want = 30
		case bound >= 0.01:
			want = 14
		case bound >= 0.005:
			want = 6
		}
		if got := b.GetCumulativeCount(); got != want || got < below {
			t.Errorf("up to %v: got %d, want %d", b.GetUpperBound(), got, want)
		}
		below = b.GetCumulativeCount()
	}
	sum := 2 * (1e-6 + 2*0.005 + 4*0.0051 + 8*299)
	if h.GetSampleCount() != 30 || math.Abs(h.GetSampleSum()-sum) > sum/1000 {
		t.Errorf("got %d values and %v s, want 30 and %v", h.GetSampleCount(), h.GetSampleSum(), sum)
	}

	e.End()
	families = scrape(t, addr)
	if got := find(t, families, "mqbench_phase", map[string]string{"phase": "measure"}).GetGauge().GetValue(); got != 0 {
		t.Error("measuring goes on behind the end")
	}
	if got := find(t, families, "mqbench_sent_total", map[string]string{"group": "pub"}).GetCounter().GetValue(); got != 20 {
		t.Errorf("behind the end %v were sent", got)
	}
}

func TestOpenMetricsForThoseWhoAskForIt(t *testing.T) {
	t.Parallel()
	e := New()
	i := result.NewInterval(result.PhaseMeasure, 0, time.Second)
	i.Count(result.Sent, "pub", 1, 10)
	e.Take(i)
	body, contentType := get(t, serve(t, e), "application/openmetrics-text;version=1.0.0")
	if !strings.HasPrefix(contentType, "application/openmetrics-text") {
		t.Errorf("content type %q", contentType)
	}
	for _, want := range []string{"# TYPE mqbench_sent counter\n", "mqbench_sent_total{group=\"pub\",qos=\"1\"} 10.0\n"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in\n%s", want, body)
		}
	}
	if !strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("no end in %q", body[max(0, len(body)-40):])
	}
}

func TestEndpointRefuses(t *testing.T) {
	t.Parallel()
	addr := serve(t, New())
	for _, c := range []struct{ name, request, status string }{
		{"what is not HTTP", "\x10\x10\x00\x04MQTT\x05\r\n\r\n", "HTTP/1.1 400"},
		{"another path", "GET /x HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404"},
		{"another method", "POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405"},
		{"a header without end", "GET /metrics HTTP/1.1\r\nX: " + strings.Repeat("x", 64<<10), "HTTP/1.1 431"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, c.request)
			line, err := bufio.NewReader(conn).ReadString('\n')
			if !strings.HasPrefix(line, c.status) {
				t.Errorf("got %q, %v, want %s", line, err, c.status)
			}
		})
	}
}

// TestSilentAndManyClientsDoNotBlock: clients beyond the bound wait, and Close closes
// those that send nothing.
func TestSilentAndManyClientsDoNotBlock(t *testing.T) {
	t.Parallel()
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(ln, New())
	var conns []net.Conn
	for range maxConnections + 3 {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	s.Close()
	for _, conn := range conns {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("a closed server sends")
		}
		conn.Close()
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("the port is still open")
	}
	if h := s.http; h.ReadHeaderTimeout <= 0 || h.ReadTimeout <= 0 || h.WriteTimeout <= 0 || h.IdleTimeout <= 0 {
		t.Error("a client may take forever")
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	taken, err := Listen(t.Context(), "0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if a := taken.Addr().(*net.TCPAddr); !a.IP.IsLoopback() {
		t.Errorf("a bare port listens on %v", a)
	}
	for _, addr := range []string{"", "127.0.0.1:", "a:b:c", "65536", "nonsense", "-1", taken.Addr().String()} {
		if ln, err := Listen(t.Context(), addr); err == nil {
			ln.Close()
			t.Errorf("%q: no error", addr)
		} else if fmt.Sprint(err) == "" {
			t.Errorf("%q: an empty error", addr)
		}
	}
}

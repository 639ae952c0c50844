package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/badbroker"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/broker"
)

// A preset expects something of the broker, and reports it. A broker that does not do
// it must not get a clean result.
var presets = []struct {
	name     string
	scale    float64
	measure  time.Duration // 0: unchanged
	reports  map[string]int64
	op       result.Op
	values   int64
	refusing badbroker.Flaws // a broker that does not do what the preset is about
	want     report.Label
	why      string
}{
	{"will-storm", 0.01, 0, map[string]int64{"wills.due": 50, "wills": 50}, result.Will, 50,
		badbroker.Flaws{}, report.Incomplete, "50 of 50 wills did not arrive"}, // it has no wills
	{"takeover", 0.002, 0, map[string]int64{"takeovers": 20, "taken-over": 20, "takeovers.unannounced": 0}, result.Takeover, 20,
		badbroker.Flaws{NoTakeover: true}, report.Incomplete, "20 of 20 connections that were taken over were not closed"},
	{"takeover", 0.002, 0, nil, result.Takeover, 20,
		// it resets them
		badbroker.Flaws{}, report.Incomplete, "20 of 20 connections that were taken over were closed without DISCONNECT 0x8E"},
	{"rr", 0.005, 5 * time.Second, map[string]int64{"requests": 500, "unreplied": 0}, result.RTT, 250,
		badbroker.Flaws{Drop: 1}, report.Incomplete, "500 of 500 requests had no reply"},
	{"conn-churn", 0.01, 10 * time.Second, map[string]int64{"skipped": 0, "failures": 0, "unready": 0}, result.Puback, -1,
		badbroker.Flaws{Dead: true}, report.Incomplete, "20 of 20 clients were not connected and subscribed at the end"},
	{"idle-keepalive", 0.0002, 0, map[string]int64{"losses": 0, "unready": 0}, result.Ping, -1,
		badbroker.Flaws{Deaf: true}, report.Incomplete, "20 of 20 clients were not connected and subscribed at the end"},
	{"hive-reconnect-storm", 0.002, 0, map[string]int64{"returns": 40, "unready": 0}, result.AllBack, 2,
		badbroker.Flaws{Dead: true}, report.Incomplete, "20 of 20 clients were not connected and subscribed at the end"},
	{"retained-flood", 0.05, 0, map[string]int64{"subscribes": 1}, result.Replay, 5000,
		badbroker.Flaws{}, report.Violated, "5,000 of 5,000 messages lost at QoS 1"}, // it retains nothing
	{"session-resume", 0.01, 0, map[string]int64{"sessions.lost": 0, "distinct": 10000}, result.Backlog, 10000,
		badbroker.Flaws{Amnesia: true}, report.Incomplete, "10 sessions were gone"},
	{"sub-churn", 0.01, 10 * time.Second, nil, result.Unsubscribe, -1,
		badbroker.Flaws{RefuseSubscribe: 1}, report.Incomplete, "subscriptions were refused (0x87)"},
}

// playPreset runs a preset.
func playPreset(t *testing.T, name string, scale float64, measure time.Duration, by Options) *outcome {
	t.Helper()
	o := plan.Options{Scale: scale}
	if measure > 0 {
		o.Measure = &measure
	}
	p, err := plan.Preset(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return attemptPlan(t.Context(), t, p, by)
}

func TestPresetsReportWhatTheyAreFor(t *testing.T) {
	for _, p := range presets {
		if p.reports == nil {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				_, network := ours(t, broker.Options{})
				o := playPreset(t, p.name, p.scale, p.measure, within(network.Dial)).whole()
				if err := o.Err(); err != nil || o.ExitCode(nil) != 0 {
					t.Errorf("status %d, %v, %v", o.ExitCode(nil), err, o.Verdicts)
				}
				for counter, n := range p.reports {
					if got := o.Counters[counter]; got != n {
						t.Errorf("%s: %d, want %d", counter, got, n)
					}
				}
				if got := o.values(p.op, result.Response) + o.values(p.op, result.Service); got < max(p.values, 1) {
					t.Errorf("%v: %d values, want %d", p.op, got, p.values)
				}
			})
		})
	}
}

func TestNoPresetIsGreenWhereItsBrokerRefuses(t *testing.T) {
	for _, p := range presets {
		t.Run(p.name+" "+p.why, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				_, network := flawed(t, p.refusing)
				o := playPreset(t, p.name, p.scale, p.measure, within(network.Dial))
				if !strings.Contains(o.why(p.want), p.why) || o.ExitCode(nil) == 0 || o.Err() != nil {
					t.Errorf("%v, status %d, %v: want %q\n%v", o.Verdicts, o.ExitCode(nil), o.Err(), p.why, o.Counters)
				}
			})
		})
	}
}

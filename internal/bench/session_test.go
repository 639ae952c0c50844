package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// The bytes of one client with a session, by version.
const (
	clean5     = "10 13 0004 4d515454 05 02 003c 05 11 0000003c 0001 63"
	resume5    = "10 13 0004 4d515454 05 00 003c 05 11 0000003c 0001 63"
	clean311   = "10 0d 0004 4d515454 04 02 003c 0001 63"
	resume311  = "10 0d 0004 4d515454 04 00 003c 0001 63"
	clean31    = "10 0f 0006 4d5149736470 03 02 003c 0001 63"
	resume31   = "10 0f 0006 4d5149736470 03 00 003c 0001 63"
	remove5    = "10 0e 0004 4d515454 05 02 003c 00 0001 63" // without an expiry
	bye        = "e0 00"
	byeForGood = "e0 07 00 05 11 00000000" // Session Expiry Interval 0
)

// TestSessionsBeginCleanAndAreRemoved: what a run does with sessions that outlive their
// connections, packet by packet.
func TestSessionsBeginCleanAndAreRemoved(t *testing.T) {
	type talk []string // what the client sends; after >, the answer
	publish := map[string]talk{
		"5.0":   {"32 07 0001 74 0001 00 78", ">40 02 0001"},
		"3.1.1": {"32 06 0001 74 0001 78", ">40 02 0001"},
		"3.1":   {"32 06 0001 74 0001 78", ">40 02 0001"},
	}
	twice := map[string]talk{
		"5.0":   {"34 07 0001 74 0001 00 78", ">50 02 0001", "62 02 0001", ">70 02 0001"},
		"3.1.1": {"34 06 0001 74 0001 78", ">50 02 0001", "62 02 0001", ">70 02 0001"},
		"3.1":   {"34 06 0001 74 0001 78", ">50 02 0001", "62 02 0001", ">70 02 0001"},
	}
	subscribe := talk{"82 07 0001 00 0001 61 01", ">90 04 0001 00 01"}
	subscribe311 := talk{"82 06 0001 0001 61 01", ">90 03 0001 01"}
	for _, c := range []struct {
		name, version, does string
		o                   Options
		talks               []talk // by connection
	}{
		{"MQTT 5 begins clean and ends with the goodbye", "5.0", "publish1", Options{},
			[]talk{append(append(talk{clean5, ">20 03 00 00 00"}, publish["5.0"]...), byeForGood)}},
		{"MQTT 5 always subscribes", "5.0", "subscribe", Options{},
			[]talk{append(append(talk{clean5, ">20 03 00 00 00"}, subscribe...), byeForGood)}},
		{"3.1.1 begins and ends by a separate connection", "3.1.1", "publish1", Options{},
			[]talk{{clean311, ">20 02 00 00", bye}, append(append(talk{resume311, ">20 02 00 00"}, publish["3.1.1"]...), bye), {clean311, ">20 02 00 00", bye}}},
		{"3.1.1 subscribes though the broker has a session", "3.1.1", "subscribe", Options{},
			[]talk{{clean311, ">20 02 00 00", bye}, append(append(talk{resume311, ">20 02 01 00"}, subscribe311...), bye), {clean311, ">20 02 00 00", bye}}},
		{"3.1, whose CONNACK does not report sessions", "3.1", "publish2", Options{},
			[]talk{{clean31, ">20 02 00 00", bye}, append(append(talk{resume31, ">20 02 00 00"}, twice["3.1"]...), bye), {clean31, ">20 02 00 00", bye}}},
		{"kept on purpose", "5.0", "publish1", Options{KeepSessions: true},
			[]talk{append(append(talk{clean5, ">20 03 00 00 00"}, publish["5.0"]...), bye)}},
		{"kept on purpose in 3.1.1", "3.1.1", "publish1", Options{KeepSessions: true},
			[]talk{{clean311, ">20 02 00 00", bye}, append(append(talk{resume311, ">20 02 00 00"}, publish["3.1.1"]...), bye)}},
		{"taken up on purpose", "5.0", "subscribe", Options{Resume: true},
			[]talk{append(append(talk{resume5, ">20 03 01 00 00"}, subscribe...), byeForGood)}},
		{"taken up on purpose and kept", "3.1.1", "publish1", Options{Resume: true, KeepSessions: true},
			[]talk{append(append(talk{resume311, ">20 02 01 00"}, publish["3.1.1"]...), bye)}},
		// A broker that has a session may take a new QoS 2 message for an old one.
		{"never taken up by publishers at QoS 2", "5.0", "publish2", Options{Resume: true},
			[]talk{{resume5, ">20 03 01 00 00", bye}, append(append(talk{clean5, ">20 03 00 00 00"}, twice["5.0"]...), byeForGood)}},
		{"never taken up by publishers at QoS 2 in 3.1.1", "3.1.1", "publish2", Options{Resume: true, KeepSessions: true},
			[]talk{{resume311, ">20 02 01 00", bye}, {clean311, ">20 02 00 00", bye}, append(append(talk{resume311, ">20 02 00 00"}, twice["3.1.1"]...), bye)}},
		{"a goodbye that was not possible is made good", "5.0", "lost", Options{},
			[]talk{{clean5, ">20 03 00 00 00", "32 07 0001 74 0001 00 78", ">40 02 0001"}, {remove5, ">20 03 00 00 00", bye}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, e swarm.Engine) {
				p := newPeer(t)
				var talks []func()
				for _, talk := range c.talks {
					talks = append(talks, func() {
						for _, line := range talk {
							if answer, ok := strings.CutPrefix(line, ">"); ok {
								p.send(answer)
							} else {
								p.expect(line)
							}
						}
					})
				}
				done := p.serve(talks...)
				does, measure := "publish: {topic: t, qos: 1, payload: {template: x}, rate: 100/s, messages: 1}", "1s"
				switch c.does {
				case "publish2":
					does = strings.Replace(does, "qos: 1", "qos: 2", 1)
				case "subscribe":
					does = "subscribe: {filter: a, qos: 1}"
					measure = "50ms"
				}
				if c.does != "lost" && c.does != "subscribe" {
					measure = "0s"
				}
				expiry := ""
				if c.version == "5.0" {
					expiry = "session-expiry: 60s\n"
				}
				by := c.o
				by.Swarm = over(e, at(t, p.ln.Addr().String())).Swarm
				o := attempt(t.Context(), t, fmt.Sprintf("version: %s\nkeepalive: 60s\n%sphases: {settle: 0s, warm-up: 0s, measure: %s, drain: 5s}\ngroups: {g: {clients: 1, client-id: c, clean-start: false, %s}}\n",
					c.version, expiry, measure, does), by)
				<-done
				if c.does != "lost" {
					o.whole()
				}
				o.want("g", map[string]int64{"attempts": 1, "connects": 1})
			})
		})
	}
}

// TestNothingIsLeftAtTheBroker: however a run ends, and whichever clients were
// disconnected then, no session is left. With KeepSessions all are.
func TestNothingIsLeftAtTheBroker(t *testing.T) {
	for _, version := range []string{"5.0", "3.1.1", "3.1"} {
		for _, end := range []string{"as planned", "interrupted while connecting", "interrupted", "kept"} {
			t.Run(version+" "+end, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					b, network := ours(t, broker.Options{})
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					o := within(network.Dial)
					o.KeepSessions = end == "kept"
					expiry, stop := "", errors.New("enough")
					if version == "5.0" {
						expiry = "session-expiry: 60s"
					}
					o.OnNote = func(n result.Note) {
						switch {
						case n.Kind != result.NotePhase:
						case end == "interrupted" && n.Text == string(result.PhaseMeasure):
							time.AfterFunc(700*time.Millisecond, func() { cancel(stop) })
						case end == "interrupted while connecting" && n.Text == string(result.PhaseConnect):
							time.AfterFunc(55*time.Millisecond, func() { cancel(stop) })
						}
					}
					got := attempt(ctx, t, fmt.Sprintf(`
version: %s
%s
clean-start: false
phases: {connect: {rate: 100/s}, settle: 0s, warm-up: 0s, measure: 2s, drain: 1s}
groups:
  here: {clients: 5, subscribe: {filter: a/%%i, qos: 1}}
  away: {clients: 5, subscribe: {filter: a/%%i, qos: 1}}
actions: [{at: measure+500ms, do: cut, group: away}]
`, version, expiry), o)
					if (got.err != nil) != strings.HasPrefix(end, "interrupted") {
						t.Errorf("it ended with %v", got.err)
					}
					want := 0
					if o.KeepSessions {
						want = 10
					}
					if n := sessions(t, b); n != want {
						t.Errorf("%d sessions are left at the broker, want %d", n, want)
					}
				})
			})
		}
	}
}

// TestTwoRunsOfOnePlanDoNotMeet: each has different client IDs.
func TestTwoRunsOfOnePlanDoNotMeet(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, network := ours(t, broker.Options{})
		done := make(chan *result.Result)
		for range 2 {
			go func() {
				p, err := plan.Parse("test.yaml", []byte("phases: {settle: 0s, warm-up: 0s, measure: 2s, drain: 1s}\ngroups: {conns: {clients: 20}}"), plan.Options{Run: func(string) string { return plan.NewRunName() }})
				if err != nil {
					t.Error(err)
				}
				o := within(network.Dial)
				o.Shard, _ = p.Shard(0, 1)
				o.Run.Shards = 1
				res, err := Run(t.Context(), o)
				if err != nil {
					t.Error(err)
				}
				done <- res
			}()
		}
		for range 2 {
			res := <-done
			if sum := res.Sum().Totals(); sum.Of(result.Connects) != 20 || sum.Of(result.Losses) != 0 {
				t.Errorf("%d connected, %d lost", sum.Of(result.Connects), sum.Of(result.Losses))
			}
		}
	})
}

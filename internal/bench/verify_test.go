package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/internal/bench/badbroker"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// checks returns the settings of a short verification of a broker, over networks in
// memory, for use in a bubble.
func checks(t testing.TB, q packet.QoS, b *memtest.Network, faults ...Fault) VerifyOptions {
	return VerifyOptions{QoS: q, Version: packet.V5, Clients: 6, Rate: plan.Rate{Events: 600, Per: time.Second}, Size: 64, Duration: 3 * time.Second, Drain: 30 * time.Second, Seed: 7,
		Faults: faults, Token: "test", Dial: b.Dial, network: memtest.New(),
		Run: Options{Run: result.Run{Shards: 1}, OnNote: func(n result.Note) { t.Log(n.At, n.Kind, n.Text) }}}
}

func verify(t testing.TB, o VerifyOptions) *Verdict {
	t.Helper()
	v, err := Verify(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if v.Leftover != nil {
		t.Errorf("sessions are left: %v", v.Leftover)
	}
	t.Log(v.Text())
	return v
}

var gentle = []Fault{Delay, Stall, Split, Cut, Refuse}

// TestAVerificationOverSockets: the proxy has its own port.
func TestAVerificationOverSockets(t *testing.T) {
	t.Parallel()
	target := serve(t, broker.Options{})
	d := &transport.Dialer{Timeout: 5 * time.Second}
	o := checks(t, 2, memtest.New(), gentle...)
	o.network, o.Dial = nil, func(ctx context.Context) (net.Conn, error) { return d.Dial(ctx, target) }
	o.Rate.Events = 100
	if v := verify(t, o); !v.OK() || v.Sent == 0 || v.Received != v.Sent || len(v.Faults) == 0 {
		t.Errorf("%+v", v)
	}
}

func TestOurBrokerKeepsItsPromises(t *testing.T) {
	for q := range packet.QoS(3) {
		for _, version := range []packet.Version{packet.V311, packet.V5} {
			t.Run(fmt.Sprintf("%v qos%d", version, q), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					_, network := ours(t, broker.Options{})
					o := checks(t, q, network, gentle...)
					o.Version = version
					v := verify(t, o)
					if !v.OK() || v.Sent == 0 || v.Received == 0 || v.Connects <= 12 {
						t.Errorf("%+v", v)
					}
					if q > 0 && v.Received != v.Sent {
						t.Errorf("%d received of %d", v.Received, v.Sent)
					}
					want, all := map[Fault]int{}, 0
					for _, e := range o.schedule() {
						if e.on {
							want[e.fault]++
							all++
						}
					}
					if len(want) != len(gentle) || !maps.Equal(v.Faults, want) {
						t.Errorf("faults: %v, want %v", v.Faults, want)
					}
					reported := 0
					for _, n := range v.Result.Notes {
						if n.Kind == result.NoteFault {
							reported++
						}
					}
					if reported != all {
						t.Errorf("%d faults are noted, want %d", reported, all)
					}
				})
			})
		}
	}
}

func TestOurBrokerKeepsItsPromisesToManyAndOfMany(t *testing.T) {
	for _, shape := range []Shape{FanIn, FanOut, Shared} {
		for q := range packet.QoS(3) {
			t.Run(fmt.Sprintf("%s qos%d", shape, q), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					b, network := ours(t, broker.Options{})
					o := checks(t, q, network, gentle...)
					o.Shape, o.Rate.Events = shape, 200
					v := verify(t, o)
					if !v.OK() || v.Sent == 0 || v.Received == 0 || v.Connects <= int64(o.Publishers()+o.Subscribers()) {
						t.Errorf("%+v", v)
					}
					copies := map[Shape]int64{FanIn: 1, FanOut: 6, Shared: 1}[shape]
					if v.Received+v.Lost != v.Sent*copies || q > 0 && v.Lost != 0 {
						t.Errorf("%d received and %d lost of %d", v.Received, v.Lost, v.Sent*copies)
					}
					if n := sessions(t, b); n != 0 {
						t.Errorf("%d sessions are left at the broker", n)
					}
				})
			})
		}
	}
}

func TestSinsOfEachShapeAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		shape Shape
		qos   packet.QoS
		flaws badbroker.Flaws
		want  string // in a violation; empty: there is none
	}{
		"no loss where many publish":             {FanIn, 1, badbroker.Flaws{}, ""},
		"loss where many publish":                {FanIn, 1, badbroker.Flaws{Drop: 50}, "acknowledged and lost"},
		"loss at one of many subscribers":        {FanOut, 2, badbroker.Flaws{Drop: 500}, "acknowledged and lost"},
		"order at one of many subscribers":       {FanOut, 1, badbroker.Flaws{Reorder: 500}, "out of order"},
		"duplicates at one of many subscribers":  {FanOut, 0, badbroker.Flaws{Duplicate: 500}, "received twice"},
		"a copy for each member of a group":      {Shared, 2, badbroker.Flaws{}, "received twice"},
		"a copy for each member, which is right": {Shared, 1, badbroker.Flaws{}, ""},
		"corruption where members share":         {Shared, 1, badbroker.Flaws{Corrupt: 50}, "corrupt"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				_, network := flawed(t, c.flaws)
				o := checks(t, c.qos, network)
				o.Shape, o.Duration, o.Rate.Events = c.shape, time.Second, 300
				if c.want != "" {
					o.Drain = time.Second // lost messages are waited for
				}
				v := verify(t, o)
				found := slices.ContainsFunc(v.Violations, func(s string) bool { return strings.Contains(s, c.want) })
				if c.want == "" && !v.OK() || c.want != "" && !found {
					t.Errorf("violations: %q, want %q", v.Violations, c.want)
				}
			})
		})
	}
}

func TestABrokerWithoutSharedSubscriptionsIsNotBlamed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, network := ours(t, broker.Options{DisableSharedGroups: true})
		o := checks(t, 1, network)
		o.Shape, o.Duration = Shared, 100*time.Millisecond
		if _, err := Verify(t.Context(), o); !errors.Is(err, ErrSubscriptions) || !strings.Contains(err.Error(), "does not support this kind of subscription") {
			t.Errorf("%v", err)
		}
	})
}

func TestABrokenBrokersSinsAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		qos   packet.QoS
		flaws badbroker.Flaws
		want  string // in a violation; empty: there is none
	}{
		"none at QoS 0":                 {0, badbroker.Flaws{}, ""},
		"none at QoS 1":                 {1, badbroker.Flaws{}, ""},
		"none at QoS 2":                 {2, badbroker.Flaws{}, ""},
		"loss at QoS 0 is allowed":      {0, badbroker.Flaws{Drop: 50}, ""},
		"duplicates at QoS 1 as well":   {1, badbroker.Flaws{Duplicate: 50}, ""},
		"duplicates at QoS 0":           {0, badbroker.Flaws{Duplicate: 50}, "received twice"},
		"duplicates at QoS 2":           {2, badbroker.Flaws{Duplicate: 50}, "received twice"},
		"loss at QoS 1":                 {1, badbroker.Flaws{Drop: 50}, "acknowledged and lost"},
		"loss at QoS 2":                 {2, badbroker.Flaws{Drop: 50}, "acknowledged and lost"},
		"order":                         {1, badbroker.Flaws{Reorder: 50}, "out of order"},
		"corruption":                    {0, badbroker.Flaws{Corrupt: 50}, "corrupt"},
		"forgets QoS 1 when it resumes": {1, badbroker.Flaws{Forget: true}, "acknowledged and lost"},
		"repeats QoS 2 when it resumes": {2, badbroker.Flaws{Repeat: true}, "received twice"},
		"reverses a session's messages": {2, badbroker.Flaws{Reverse: true}, "out of order"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b, network := flawed(t, c.flaws)
				o := checks(t, c.qos, network, gentle...)
				if c.flaws.Forget || c.flaws.Repeat || c.flaws.Reverse {
					o.Duration *= 3 // these need a cut at the right moment
				}
				if c.want != "" {
					o.Drain = 2 * time.Second // lost messages are waited for
				}
				v := verify(t, o)
				n := b.Counts()
				did := n.Dropped + n.Duplicated + n.Reordered + n.Corrupted + n.Forgotten + n.Repeated + n.Reversed
				if !strings.HasPrefix(name, "none") && did == 0 {
					t.Fatalf("the broker did nothing wrong")
				}
				found := slices.ContainsFunc(v.Violations, func(s string) bool { return strings.Contains(s, c.want) })
				if c.want == "" && !v.OK() || c.want != "" && !found {
					t.Errorf("violations: %q, want %q", v.Violations, c.want)
				}
			})
		})
	}
}

// sessions returns how many sessions a broker in the bubble has when all connections
// are closed.
func sessions(t *testing.T, b *broker.Broker) int {
	synctest.Wait()
	if n := b.Stats().Connections; n > 0 {
		t.Errorf("%d connections are left", n)
	}
	return b.Stats().Sessions
}

func TestACancelledVerificationLeavesNoSessions(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, network := ours(t, broker.Options{})
		o := checks(t, 1, network, gentle...)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		left := errors.New("the user left")
		note := o.Run.OnNote
		o.Run.OnNote = func(n result.Note) {
			note(n)
			if n.Kind == result.NotePhase && n.Text == string(result.PhaseMeasure) {
				cancel(left)
			}
		}
		o.Duration = time.Hour
		v, err := Verify(ctx, o)
		if !errors.Is(err, left) || v == nil || v.Leftover != nil {
			t.Errorf("%v, %+v", err, v)
		}
		if n := sessions(t, b); n != 0 {
			t.Errorf("%d sessions are left at the broker", n)
		}
	})
}

func TestABrokerThatIsGoneKeepsTheSessionsAndThatIsReported(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, network := ours(t, broker.Options{})
		o := checks(t, 1, network)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		dial, gone := o.Dial, atomic.Bool{}
		o.Dial = func(ctx context.Context) (net.Conn, error) {
			if gone.Load() {
				return nil, errors.New("not running")
			}
			return dial(ctx)
		}
		o.Run.OnNote = func(n result.Note) {
			if n.Kind == result.NotePhase && n.Text == string(result.PhaseMeasure) {
				gone.Store(true)
				cancel()
			}
		}
		if v, err := Verify(ctx, o); !errors.Is(err, context.Canceled) || v == nil || v.Leftover == nil {
			t.Errorf("%v, %+v", err, v)
		}
	})
}

// The broker is not blamed for what it forgets in a restart, but there must have been
// one.
func TestARestartThatFailsIsNone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, network := ours(t, broker.Options{})
		o := checks(t, 1, network, Restart)
		o.Seed = 240 // it comes after two seconds
		stuck := errors.New("it does not start")
		o.Restart, o.Duration = func() error { return stuck }, 6*time.Second
		if v, err := Verify(t.Context(), o); !errors.Is(err, stuck) || v == nil || v.Faults[Restart] != 0 {
			t.Errorf("%v, %+v", err, v)
		}
	})
}

func TestFaultsFollowFromTheSeed(t *testing.T) {
	t.Parallel()
	o := VerifyOptions{Seed: 1, Duration: 10 * time.Second, Faults: Faults()}
	a := o.schedule()
	if !slices.Equal(a, o.schedule()) {
		t.Error("the same seed has other faults")
	}
	begun := map[Fault]int{}
	for i, e := range a {
		if e.on {
			begun[e.fault]++
		}
		if i > 0 && e.at < a[i-1].at {
			t.Errorf("%v comes behind %v", e, a[i-1])
		}
	}
	for _, f := range Faults() {
		if begun[f] == 0 {
			t.Errorf("no %s in ten seconds", f)
		}
	}
	o.Seed = 2
	if slices.Equal(a, o.schedule()) {
		t.Error("another seed has the same faults")
	}
	o.Seed, o.Faults = 1, []Fault{Cut}
	only := o.schedule()
	if cuts := slices.DeleteFunc(a, func(e event) bool { return e.fault != Cut }); !slices.Equal(cuts, only) {
		t.Error("a fault depends on what others there are")
	}
}

// TestTheLoginOfAVerificationIsTakenAsItIs: it has no placeholders, and a password may
// be any bytes.
func TestTheLoginOfAVerificationIsTakenAsItIs(t *testing.T) {
	o := VerifyOptions{Version: packet.V311, Clients: 1, Rate: plan.Rate{Events: 1, Per: time.Second}, Size: 64, Duration: time.Second, Drain: time.Second,
		Token: "test", Username: "50%i", Password: "100%\xff\x00\"\n"}
	p, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range p.Groups {
		user, has := g.AppendUsername(nil, 7)
		password, known := g.AppendPassword(nil, 7)
		if !has || string(user) != o.Username || !known || string(password) != o.Password || g.Version != packet.V311 {
			t.Errorf("%s: %q, %q, version %v", g.Name, user, password, g.Version)
		}
	}
	if text := p.Canonical(); bytes.Contains(text, []byte("100%")) {
		t.Errorf("the password is in\n%s", text)
	}
}

// TestRefusalsEndAVerificationAtOnce: nothing later would change the result.
func TestRefusalsEndAVerificationAtOnce(t *testing.T) {
	for _, version := range []packet.Version{packet.V5, packet.V311} {
		for name, c := range map[string]struct {
			o    broker.Options
			qos  packet.QoS
			want error
			says string
		}{
			"all subscriptions": {broker.Options{Authorize: func(_, _, _ string, write bool) bool { return write }}, 1, ErrSubscriptions, "broker refused the subscription \"test/1/"},
			"all messages":      {broker.Options{Authorize: func(_, _, _ string, write bool) bool { return !write }}, 1, ErrMessages, "broker refused a message: not authorized"},
			"messages at QoS 2": {broker.Options{LimitQoS: true, MaximumQoS: 1}, 2, ErrMessages, "QoS"},
		} {
			t.Run(fmt.Sprint(version, " ", name), func(t *testing.T) {
				if version < packet.V5 && c.want == ErrMessages {
					t.Skip("before 5.0 a broker cannot say it")
				}
				inBubble(t, func(t *testing.T) {
					_, network := ours(t, c.o)
					o := checks(t, c.qos, network, gentle...)
					o.Version, o.Duration = version, time.Minute
					start := time.Now()
					_, err := Verify(t.Context(), o)
					if took := time.Since(start); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || took > 10*time.Second {
						t.Errorf("after %v: %v", took, err)
					}
				})
			})
		}
	}
}

// TestACheckOfNothingDoesNotPass: messages that are refused, or vanish, cannot be
// checked.
func TestACheckOfNothingDoesNotPass(t *testing.T) {
	for name, c := range map[string]struct {
		sent, acked, refused, received int64
		qos                            packet.QoS
		ok                             bool
		want                           string
	}{
		"all is well":                {10, 10, 0, 10, 1, true, ""},
		"nothing was sent":           {0, 0, 0, 0, 1, false, "nothing was sent"},
		"all was refused":            {10, 0, 10, 0, 1, false, "nothing was acknowledged"},
		"a quarter was refused":      {100, 75, 25, 75, 1, false, "25 refused by the broker"},
		"nothing came at QoS 0":      {10, 0, 0, 0, 0, false, "nothing was received"},
		"little came at QoS 0":       {10, 0, 0, 1, 0, true, ""},
		"nothing came at QoS 1":      {10, 10, 0, 0, 1, false, "nothing was received"},
		"nothing was even asked for": {0, 0, 0, 0, 0, false, "nothing was sent"},
	} {
		i := result.NewInterval(result.PhaseMeasure, 0, time.Second)
		for counter, n := range map[result.Counter]int64{result.Sent: c.sent, result.Acked: c.acked, result.Refused: c.refused, result.Distinct: c.received} {
			i.Count(counter, "g", c.qos, n)
		}
		o := VerifyOptions{QoS: c.qos, Clients: 1}
		v := o.verdict(&result.Result{Intervals: []*result.Interval{i}}, nil)
		if v.OK() != c.ok || !strings.Contains(strings.Join(v.Incomplete, "; "), c.want) || strings.HasPrefix(v.Text(), "ok") != c.ok {
			t.Errorf("%s: %s", name, v.Text())
		}
	}
}

// TestABrokerWithoutQoS2EndsAVerification: otherwise it sends 200 messages 132,053
// times.
func TestABrokerWithoutQoS2EndsAVerification(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, network := flawed(t, badbroker.Flaws{NoQoS2: true})
		o := checks(t, 2, network)
		o.Duration = time.Hour
		start := time.Now()
		_, err := Verify(t.Context(), o)
		if took := time.Since(start); !errors.Is(err, ErrMessages) || !strings.Contains(err.Error(), "support QoS 2") || took > 10*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

package mqsub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// retainer is a broker behind a slow link: both directions delay data by half a round trip.
type retainer struct {
	trip   time.Duration
	qos    byte
	window int           // most messages at QoS 1 and 2 in flight
	pause  time.Duration // before each retained message
	number int           // of retained messages
	live   time.Duration // interval of live messages at QoS 0, forever; 0: none
	freed  byte          // the packet that makes room in the window: PUBREC or PUBCOMP
	busy   bool          // it answers nothing during a pause
	slow   time.Duration // how long it takes to refill the window; it answers nothing during that time
}

type later struct {
	at time.Time
	b  []byte
}

// serve plays the broker on one connection.
func (r *retainer) serve(nc net.Conn) {
	heard, said := make(chan later, 1<<16), make(chan later, 1<<16)
	var all sync.WaitGroup
	defer all.Wait()
	defer close(said)
	defer nc.Close()
	all.Go(func() { // the link to the broker
		defer close(heard)
		var buf []byte
		chunk := make([]byte, 4096)
		for {
			n, err := nc.Read(chunk)
			buf = append(buf, chunk[:n]...)
			for {
				_, size, perr := packet.Split(buf, packet.V5, 0)
				if perr != nil || size == 0 {
					break
				}
				heard <- later{time.Now().Add(r.trip / 2), bytes.Clone(buf[:size])}
				buf = buf[size:]
			}
			if err != nil {
				return
			}
		}
	})
	over := make(chan struct{})
	arrived := make(chan []byte)
	all.Go(func() {
		defer close(arrived)
		for l := range heard {
			time.Sleep(time.Until(l.at))
			select {
			case arrived <- l.b:
			case <-over:
				return
			}
		}
	})
	all.Go(func() { // and from it
		for l := range said {
			time.Sleep(time.Until(l.at))
			if _, err := nc.Write(l.b); err != nil {
				return
			}
		}
	})
	say := func(b ...byte) { said <- later{time.Now().Add(r.trip / 2), b} }
	due := make(chan int)
	defer close(over)
	var liveTick <-chan time.Time
	queue, flying, next := 0, 0, 0
	publish := func() {
		for ; queue > 0 && (r.qos == 0 || flying < r.window); queue-- {
			next++
			p := []byte{0x31 | r.qos<<1, 0, 0, 1, 'a'}
			if r.qos > 0 {
				flying++
				p = append(p, byte(next>>8), byte(next))
			}
			p = append(p, 0)
			p = fmt.Appendf(p, "%d", next)
			p[1] = byte(len(p) - 2)
			say(p...)
		}
	}
	for {
		select {
		case b, ok := <-arrived:
			if !ok {
				return
			}
			switch b[0] >> 4 {
			case 1:
				say(0x20, 3, 0, 0, 0)
			case 8:
				say(0x90, 4, b[2], b[3], 0, r.qos)
				if r.busy {
					for range r.number {
						time.Sleep(r.pause)
						queue++
						publish()
					}
					continue
				}
				all.Go(func() {
					for range r.number {
						time.Sleep(r.pause)
						select {
						case due <- 1:
						case <-over:
							return
						}
					}
				})
				if r.live > 0 {
					tick := time.NewTicker(r.live)
					defer tick.Stop()
					liveTick = tick.C
				}
			case 12:
				say(0xd0, 0)
			case 4:
				flying--
			case 5:
				say(0x62, 2, b[2], b[3])
			}
			if b[0]>>4 == r.freed {
				flying--
				time.Sleep(r.slow)
			}
			publish()
		case n := <-due:
			queue += n
			publish()
		case <-liveTick:
			say(0x30, 5, 0, 1, 'a', 0, 'L')
		}
	}
}

// follow runs --retained-only against the broker, and returns the time that it took after
// SUBACK.
func (r *retainer) follow(t *testing.T, quiet time.Duration) (lines int, took time.Duration, err error) {
	t.Helper()
	network := memtest.New()
	defer network.Close()
	var served sync.WaitGroup
	defer served.Wait()
	served.Go(func() {
		if nc, err := network.Accept(); err == nil {
			r.serve(nc)
		}
	})
	client, err := mqtt.Connect(t.Context(), "mqtt://server.test", &mqtt.Options{Dial: over(network), Version: packet.V5, KeepAlive: mqtt.NoKeepAlive})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Abort()
	var out bytes.Buffer
	j := &job{inv: &cli.Invocation{}, client: client, form: &format.Plain{End: "\n"}, retainedOnly: true, quiet: quiet,
		subs: []mqtt.Subscription{{Filter: "a/#", QoS: packet.QoS(r.qos)}, {Filter: "b", QoS: packet.QoS(r.qos)}}}
	j.out.w = &out
	if _, err := client.Subscribe(t.Context(), j.subs[0]); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	err = j.retained(t.Context())
	return strings.Count(out.String(), "\n"), time.Since(start), err
}

// However far away the broker is, however few messages it has in flight and however slowly
// it finds them, all arrive, and the end comes as the quiet time says.
func TestRetainedMessagesAreCompleteOverAnyRoundTrip(t *testing.T) {
	t.Parallel()
	for _, trip := range []time.Duration{0, time.Millisecond, 40 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second} {
		for _, window := range []int{1, 20, 1000} {
			for _, pause := range []time.Duration{0, 150 * time.Millisecond} {
				for qos := range byte(3) {
					for _, freed := range []byte{5, 7} {
						if qos < 2 && freed != 7 || qos == 0 && window > 1 {
							continue
						}
						t.Run(fmt.Sprintf("%v/%d/%v/QoS%d/%d", trip, window, pause, qos, freed), func(t *testing.T) {
							t.Parallel()
							synctest.Test(t, func(t *testing.T) {
								r := &retainer{trip: trip, qos: qos, window: window, pause: pause, number: 50, freed: freed}
								if qos < 2 {
									r.freed = 0
								}
								lines, took, err := r.follow(t, 200*time.Millisecond)
								if lines != 50 || err != nil {
									t.Errorf("%d messages in %v, %v; want 50", lines, took, err)
								}
								// Each message takes its pause and its place in the window.
								most := 50*pause + time.Duration(50/window+1)*2*trip + max(200*time.Millisecond, 4*trip) + 2*trip
								if took > most {
									t.Errorf("took %v, want at most %v", took, most)
								}
							})
						})
					}
				}
			}
		}
	}
}

// Live messages, however many, are neither printed nor waited for.
func TestLiveMessagesDoNotHoldUpTheEndOfTheRetained(t *testing.T) {
	t.Parallel()
	for _, number := range []int{0, 5} {
		synctest.Test(t, func(t *testing.T) {
			r := &retainer{trip: 40 * time.Millisecond, number: number, live: time.Millisecond}
			lines, took, err := r.follow(t, 200*time.Millisecond)
			if lines != number || took > time.Second || (err == nil) != (number > 0) {
				t.Errorf("%d messages in %v, %v; want %d", lines, took, err, number)
			}
		})
	}
}

func TestTheQuietTimeStretchesTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &retainer{number: 3, pause: 900 * time.Millisecond}
		if lines, took, err := r.follow(t, time.Second); lines != 3 || err != nil || took != 3700*time.Millisecond {
			t.Errorf("%d messages in %v, %v; want 3 in 3.7s", lines, took, err)
		}
	})
}

// A cluster answers PINGREQ before its retained messages have arrived, and another server
// does not answer while it searches for them.
func TestTheEndNeedsBothAnswersAndQuiet(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*retainer{
		"four round trips":   {trip: 300 * time.Millisecond, number: 3, pause: 1100 * time.Millisecond},
		"no answer for 10 s": {trip: 300 * time.Millisecond, number: 3, pause: 10 * time.Second, busy: true},
		"behind PUBCOMP":     {trip: 10 * time.Millisecond, number: 5, qos: 2, window: 1, freed: 7, slow: time.Second},
		"in the middle":      {trip: 300 * time.Millisecond, number: 300, qos: 2, window: 20, freed: 7, pause: time.Second, busy: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if lines, took, err := r.follow(t, 200*time.Millisecond); lines != r.number || err != nil {
					t.Errorf("%d messages in %v, %v; want %d", lines, took, err, r.number)
				}
			})
		})
	}
}

func TestWithoutRetainedMessagesTheFiltersAreNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &retainer{trip: 100 * time.Millisecond}
		lines, took, err := r.follow(t, 200*time.Millisecond)
		if err == nil || err.Error() != `no retained message matches "a/#" or "b"` || cli.CodeOf(context.Background(), err) != 28 {
			t.Errorf("%d messages, %v", lines, err)
		}
		if took != 400*time.Millisecond {
			t.Errorf("took %v, want four round trips", took)
		}
	})
}

// The end waits for a broker that does not answer PINGREQ.
func TestWithoutAnAnswerThereIsNoEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := memtest.New()
		defer network.Close()
		go func() {
			nc, err := network.Accept()
			if err != nil {
				return
			}
			defer nc.Close()
			b := make([]byte, 4096)
			_, _ = nc.Read(b)
			_, _ = nc.Write([]byte{0x20, 3, 0, 0, 0})
			for {
				if _, err := nc.Read(b); err != nil {
					return
				}
			}
		}()
		client, err := mqtt.Connect(t.Context(), "mqtt://server.test", &mqtt.Options{Dial: over(network), Version: packet.V5, KeepAlive: mqtt.NoKeepAlive})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Abort()
		j := &job{inv: &cli.Invocation{}, client: client, quiet: 200 * time.Millisecond, retainedOnly: true}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, cli.ErrTimeout)
		defer cancel()
		if err := j.retained(ctx); !errors.Is(err, cli.ErrTimeout) {
			t.Errorf("got %v, want the end of the time", err)
		}
	})
}

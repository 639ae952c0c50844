package mqbench

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/connection"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// verify implements "mqbench verify": it tests the broker at each QoS, for each shape.
func verify(ctx context.Context, inv *cli.Invocation) error {
	o, err := verifyOptions(inv)
	if err != nil {
		return err
	}
	shapes, err := verifyShapes(inv)
	if err != nil {
		return err
	}
	if err := sharable(inv, shapes, cmp.Or(o.Version, packet.V5)); err != nil {
		return err
	}
	if slices.Contains(o.Faults, bench.Restart) && !inv.Values.Serve.IsSet() {
		return option.Usagef("%s: only the broker of --serve can be restarted", inv.Values.Faults.Name())
	}
	conn, err := connection.New(ctx, inv)
	if err != nil {
		return err
	}
	defer conn.Close()
	o.Username, o.Password = conn.Options.Username, string(conn.Options.Password)
	way, err := newWay(ctx, conn, 2*o.Clients+64)
	if err != nil {
		return err
	}
	o.Dial = way.dial
	o.Restart = func() error { return way.restart(ctx) }
	probed, err := conn.Probe(ctx, conn.Options.Username, conn.Options.Password)
	if err != nil {
		return err
	}
	if o.Version == 0 {
		o.Version = cmp.Or(probed.Protocol, packet.V5)
	}
	out, err := openOut(ctx, inv)
	if err != nil {
		return err
	}
	defer out.discard()
	inv.Infof("verify on %s: %v for each quality of service, seed %d", way.address(), o.Duration, o.Seed)
	if err := sharable(inv, shapes, o.Version); err != nil {
		return err
	}
	o.Run = bench.Options{Run: result.Run{Tool: cli.Version(), Shards: 1}, Out: out.writer(), Explain: way.explain, OnNote: func(n result.Note) {
		switch n.Kind {
		case result.NoteFault:
			inv.Infof("%6s %s", clock(n.At), n.Text)
		case result.NoteError:
			inv.Errorf("%s", n.Text)
		}
	}}
	o.Run.Header = result.Shard{Command: commandLine(inv), NoDelay: true, Environment: result.ThisEnvironment(), Broker: probed.Version}
	levels := []packet.QoS{0, 1, 2}
	if inv.Values.QoS.IsSet() {
		levels = []packet.QoS{packet.QoS(inv.Values.QoS.Int())}
	}
	status := option.ExitDone
	for _, shape := range shapes {
		o.Shape = shape
		if !inv.Values.Rate.IsSet() {
			o.Rate = verifyRate(shape)
		}
		for _, q := range levels {
			o.QoS = q
			one, err := verifyOne(ctx, inv, o, out.standard)
			if err != nil {
				return cmp.Or(err, out.Close())
			}
			if status != option.ExitLoss && one != option.ExitDone { // a violation takes precedence
				status = one
			}
		}
	}
	return cmp.Or(out.Close(), exit(status))
}

// verifyOne tests the broker at one QoS and for one shape, and returns the resulting
// status. With aside, the verdict is not written to standard output.
func verifyOne(ctx context.Context, inv *cli.Invocation, o bench.VerifyOptions, aside bool) (status int, err error) {
	inv.Infof("%s at QoS %d, publishers: %d, subscribers: %d", o.Shape, o.QoS, o.Publishers(), o.Subscribers())
	o.Token = newToken()
	v, err := bench.Verify(ctx, o)
	if v != nil && v.Leftover != nil {
		inv.Warnf("sessions of clients %s-%d... may be left at the broker: %v", o.Token, o.QoS, v.Leftover)
	}
	switch {
	case ctx.Err() != nil:
		return status, context.Cause(ctx)
	case errors.Is(err, bench.ErrSubscriptions), errors.Is(err, bench.ErrMessages):
		return status, &cli.Exit{Code: option.ExitIncomplete, Err: err, Help: "check the broker's access rules, and what it supports; --topic-prefix says where the topics are"}
	case err != nil:
		return status, failed(ctx, err, o.Run.Explain)
	case len(v.Violations) > 0:
		status = option.ExitLoss
	case !v.OK():
		status = option.ExitIncomplete
	}
	if aside {
		_, _ = inv.Stderr.Write([]byte(v.Text()))
		return status, nil
	}
	return status, writeVerdict(inv, v)
}

// writeVerdict writes a verdict to standard output.
func writeVerdict(inv *cli.Invocation, v *bench.Verdict) error {
	return writePage(inv, func(w io.Writer) error {
		if inv.Values.JSON.On() {
			return json.NewEncoder(w).Encode(v)
		}
		_, err := io.WriteString(w, v.Text())
		return err
	})
}

// verifyOptions reads what to verify, and under which faults.
func verifyOptions(inv *cli.Invocation) (o bench.VerifyOptions, err error) {
	v := inv.Values
	o = bench.VerifyOptions{Version: connection.ProtocolVersion(v), Clients: cmp.Or(v.Clients.Int(), 10), Duration: 10 * time.Second, Drain: 30 * time.Second,
		Seed: uint64(time.Now().UnixNano() % 1_000_000)}
	if v.Rate.IsSet() {
		if o.Rate, err = rate(v.Rate); err != nil {
			return o, err
		}
	}
	if v.Duration.IsSet() {
		o.Duration = v.Duration.Duration()
	}
	if v.Seed.IsSet() {
		o.Seed = uint64(v.Seed.Int64())
	}
	o.TopicPrefix = v.TopicPrefix.Text()
	if o.Size = int(v.Size.Int64()); o.Size < result.HeaderSize {
		return o, option.Usagef("%s: %d bytes is too small for the header of %d bytes that is checked", v.Size.Name(), o.Size, result.HeaderSize)
	}
	for word := range listed(given(v.Faults, "delay,stall,split,cut,refuse")) {
		f := bench.Fault(word)
		switch {
		case f == "none" || f == "" || slices.Contains(o.Faults, f):
		case slices.Contains(bench.Faults(), f):
			o.Faults = append(o.Faults, f)
		default:
			return o, v.Faults.Invalid("value", word, "want %s", units.OrList(append(wordsOf(bench.Faults()), "none")...))
		}
	}
	return o, nil
}

// verifyShapes reads the shapes.
func verifyShapes(inv *cli.Invocation) (all []bench.Shape, err error) {
	for word := range listed(given(inv.Values.Shapes, string(bench.Pairs))) {
		s := bench.Shape(word)
		switch {
		case slices.Contains(all, s):
			continue
		case !slices.Contains(bench.Shapes(), s):
			return nil, inv.Values.Shapes.Invalid("value", word, "want %s", units.OrList(wordsOf(bench.Shapes())...))
		}
		all = append(all, s)
	}
	return all, nil
}

// wordsOf converts texts of another type to strings.
func wordsOf[S ~string](all []S) []string {
	words := make([]string, len(all))
	for i, s := range all {
		words[i] = string(s)
	}
	return words
}

// given returns the texts of an option, or its default.
func given(val *option.Value, unless string) []string {
	if texts := val.Texts(); len(texts) > 0 {
		return texts
	}
	return []string{unless}
}

// listed yields the words of lists, which commas separate.
func listed(lists []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, list := range lists {
			for word := range strings.SplitSeq(list, ",") {
				if !yield(strings.TrimSpace(word)) {
					return
				}
			}
		}
	}
}

// sharable refuses shared subscriptions in versions without them.
func sharable(inv *cli.Invocation, shapes []bench.Shape, version packet.Version) error {
	if version < packet.V5 && slices.Contains(shapes, bench.Shared) {
		return option.Usagef("%s: before MQTT 5 there are no shared subscriptions", inv.Values.Shapes.Name())
	}
	return nil
}

// verifyRate returns the default rate of a shape: with ten clients, a hundred messages a
// second for each subscriber.
func verifyRate(s bench.Shape) plan.Rate {
	if s == bench.FanIn || s == bench.FanOut {
		return plan.Rate{Events: 100, Per: time.Second}
	}
	return plan.Rate{Events: 1000, Per: time.Second}
}

// newToken returns a unique name for a run.
func newToken() string {
	var token [4]byte
	_, _ = rand.Read(token[:]) // never fails
	return "mqverify-" + hex.EncodeToString(token[:])
}

// way is the proxy's way to the broker, which changes when the broker is restarted.
type way struct {
	conn  *connection.Connection
	count int

	mu      sync.RWMutex
	targets []*transport.Target
	dialer  *transport.Dialer
}

func newWay(ctx context.Context, conn *connection.Connection, count int) (*way, error) {
	w := &way{conn: conn, count: count}
	return w, w.open(ctx)
}

func (w *way) open(ctx context.Context) (err error) {
	w.targets, w.dialer, err = w.conn.Endpoints(ctx, w.count)
	return err
}

func (w *way) address() string { return w.targets[0].Address() }

// explain returns the text for an error of a client, which sees the proxy as the broker.
func (w *way) explain(what bench.Failure, err error, at *transport.Target) string {
	if e, ok := errors.AsType[*transport.Error](err); ok && e.Addr != "" {
		return strings.ReplaceAll(explain(w.conn, what, err, at), e.Addr, w.address())
	}
	return explain(w.conn, what, err, at)
}

// dial connects to the first broker.
func (w *way) dial(ctx context.Context) (net.Conn, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.dialer.Dial(ctx, w.targets[0])
}

// restart stops the broker of --serve and starts another one in its place.
func (w *way) restart(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn.StopServing()
	return w.open(ctx)
}

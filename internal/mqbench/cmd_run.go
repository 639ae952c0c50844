package mqbench

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/metrics"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/connection"
	"github.com/mqtools/mqtools/internal/fileerror"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// runner is a run of the command run or of one of its short forms.
type runner struct {
	inv    *cli.Invocation
	change func(*plan.Options) // the changes of the command line to the plan; nil: none
	plan   *plan.Plan          // nil: doctor without a plan
	shard  *plan.Shard         // nil: doctor without a plan
	conn   *connection.Connection
	opts   bench.Options
	procs  int
	start  time.Time

	indexed bool // a scheduler has set the shard's number: the output of the process is a log

	broker      string         // its version
	speaks      packet.Version // the version it accepts, if the user has not chosen one; 0: 5.0
	calibration result.Calibration

	lines    *jsonLines        // of --json; nil: none
	exporter *metrics.Exporter // of --metrics; nil: none
	watchers []watcher         // besides the status
}

// runCommand implements "mqbench run" and its short forms.
func runCommand(ctx context.Context, inv *cli.Invocation) error {
	r := &runner{inv: inv}
	ctx, stop, err := r.watch(ctx)
	if err != nil {
		return err
	}
	defer stop()
	conditions, err := failOn(inv)
	if f := inv.Values.Format.Text(); err == nil && (f == "hgrm" || f == "hlog") && r.repeats() > 1 {
		err = option.Usagef("%s: %s holds one run, and there are %d", inv.Values.Format.Name(), f, r.repeats())
	}
	if err != nil {
		return r.reportError(ctx, err)
	}
	if err := r.read(ctx); err != nil {
		return r.reportError(ctx, err)
	}
	defer r.conn.Close()
	out, err := openOut(ctx, inv)
	if err != nil {
		return r.reportError(ctx, err)
	}
	defer out.discard()
	var last error
	var runs []report.Checked
	for n := range inv.Values.Repeat.Int() {
		once := r.once
		if r.procs > 1 {
			once = r.onceCrew
		}
		res, err := once(ctx, n, out.writer())
		if res == nil {
			return r.reportError(ctx, r.failed(ctx, err))
		}
		if err != nil {
			if ctx.Err() != nil { // not reported otherwise
				inv.Errorf("the run ended early: %v", context.Cause(ctx))
			}
			last = r.reportError(ctx, r.failed(ctx, err))
		}
		sum := report.Summarize(res)
		sum.Strict, sum.Part = inv.Values.Strict.On(), len(res.Shards) < res.Run.Shards
		one := report.Checked{Summary: sum, Checks: report.CheckFailOn(sum, conditions)}
		runs = append(runs, one)
		if !out.standard && (r.lines != nil || !isDocument(inv)) {
			if err := r.report(one); err != nil {
				return err
			}
		}
		if r.indexed && !out.standard && r.lines == nil {
			if err := writeLine(inv, res); err != nil {
				return err
			}
		}
		if last != nil {
			break
		}
	}
	if !out.standard && r.lines == nil && isDocument(inv) {
		if err := writeReports(inv, runs); err != nil {
			return err
		}
	}
	err = out.Close()
	r.hold(ctx)
	if err != nil {
		return r.reportError(ctx, err)
	}
	if last != nil {
		return last
	}
	return exit(report.WorstExit(runs))
}

// failOn reads the conditions of --fail-on.
func failOn(inv *cli.Invocation) ([]report.Condition, error) {
	return conditions(inv.Values.FailOn, inv.Values.FailOn.Texts()...)
}

// conditions parses the conditions of an option, separated by commas.
func conditions(val *option.Value, texts ...string) (all []report.Condition, err error) {
	for one := range listed(texts) {
		c, err := report.ParseConditions(one)
		switch {
		case err != nil && !strings.ContainsAny(one, "<>="):
			return nil, val.Invalid("condition", one, "e.g. p99<10ms")
		case err != nil:
			return nil, val.Invalid("condition", one, "%s", strings.TrimPrefix(err.Error(), one+": "))
		}
		all = append(all, c...)
	}
	return all, nil
}

// read reads the plan and the options of the run, and probes the broker.
func (r *runner) read(ctx context.Context) error {
	if err := r.readUse(ctx); err != nil {
		return err
	}
	var err error
	if r.start, err = startAt(r.inv.Values); err != nil {
		return err
	}
	if path := r.inv.Values.Calibration.Text(); path != "" {
		if r.calibration, err = readCalibration(path); err != nil {
			return option.Usagef("%s: %v", r.inv.Values.Calibration.Name(), err)
		}
	}
	if r.procs > 1 {
		if err := r.checkCrew(); err != nil {
			return err
		}
	}
	if err := r.fits(); err != nil || r.procs > 1 {
		return err
	}
	return r.reach(ctx)
}

// readUse reads the plan and what it may use of this machine.
func (r *runner) readUse(ctx context.Context) (err error) {
	r.procs = r.inv.Values.Procs.Int()
	brokers, err := r.brokers()
	if err != nil {
		return err
	}
	if r.conn, err = connection.To(ctx, r.inv, brokers); err != nil {
		return err
	}
	if err = r.readShard(); err != nil {
		return err
	}
	return r.readWay(ctx)
}

// brokers returns the brokers that a scenario names; nil if it names none, or if the
// command line names others.
func (r *runner) brokers() (brokers []*transport.Target, err error) {
	v := r.inv.Values
	if len(r.inv.Args) == 0 || !isScenario(r.inv.Args[0]) || v.URL.IsSet() || v.Host.IsSet() || v.Serve.IsSet() {
		return nil, nil
	}
	p, err := readPlan(r.inv, r.inv.Args, nil, r.change)
	if err != nil {
		return nil, err
	}
	for _, url := range p.Brokers {
		t, err := transport.ParseURL(url)
		if err != nil {
			return nil, option.Usagef("%v", err)
		}
		brokers = append(brokers, t)
	}
	return brokers, nil
}

// readShard reads the plan and the part of it that this process runs.
func (r *runner) readShard() (err error) {
	if r.plan, err = r.readPlan(r.change); err != nil {
		return err
	}
	if r.shard, r.indexed, err = readShard(r.inv, r.plan); err != nil {
		return err
	}
	return r.readSessions()
}

// readPlan reads the plan, with a change applied.
func (r *runner) readPlan(change func(*plan.Options)) (*plan.Plan, error) {
	return readPlan(r.inv, r.inv.Args, r.conn, func(o *plan.Options) {
		o.Default = r.speaks
		if change != nil {
			change(o)
		}
	})
}

// readWay reads where connections go to and come from.
func (r *runner) readWay(ctx context.Context) (err error) {
	inv, v := r.inv, r.inv.Values
	if r.conn == nil { // without a plan
		if r.conn, err = connection.New(ctx, inv); err != nil {
			return err
		}
	}
	o := &r.opts.Swarm
	o.Loops, o.Engine = readLoops(v), readEngine(v)
	if o.Sources, err = readSources(v); err != nil {
		return err
	}
	if len(o.Sources) > 0 || r.plan != nil && r.plan.Clients() > manyPorts {
		o.FirstPort, o.LastPort = 1024, 65535
	}
	return nil
}

func readLoops(v *option.Values) int {
	return cmp.Or(v.Loops.Int(), result.Processors())
}

func readEngine(v *option.Values) swarm.Engine {
	switch v.Engine.Text() {
	case "lite":
		return swarm.Lite
	case "std":
		return swarm.Std
	}
	return swarm.Auto
}

// reach starts the broker of --serve, and probes any broker for its version.
func (r *runner) reach(ctx context.Context) error {
	o := &r.opts.Swarm
	var err error
	if o.Targets, o.Dialer, err = r.conn.Endpoints(ctx, max(r.plan.Clients(), 1024)+64); err != nil {
		return err
	}
	return r.probe(ctx)
}

// probe probes the broker as the plan's first client. If the user has not chosen a version
// of MQTT, the run uses one that the broker accepts.
func (r *runner) probe(ctx context.Context) error {
	g := r.plan.Groups[0]
	username, _ := g.AppendUsername(nil, 0)
	password, _ := g.AppendPassword(nil, 0)
	p, err := r.conn.Probe(ctx, string(username), password)
	if err != nil {
		return err
	}
	r.broker = p.Version
	if p.Protocol == 0 || p.Protocol == packet.V5 || !r.plan.Open {
		return nil
	}
	r.speaks = p.Protocol
	return r.readShard()
}

// explain returns the text for an error of a client, in the words of the other tools.
func (r *runner) explain(what bench.Failure, err error, at *transport.Target) string {
	return explain(r.conn, what, err, at)
}

func explain(c *connection.Connection, what bench.Failure, err error, at *transport.Target) string {
	c.Answered(at)
	refusal, refused := errors.AsType[*swarm.Refusal](err)
	switch {
	case refused && refusal.Type == packet.CONNACK:
		return c.Explain(&mqtt.Error{Op: "connect", Class: mqtt.ErrRefused, Reason: refusal.Reason, Text: refusal.Text})
	case errors.Is(err, mqtt.ErrNoQoS2):
		return err.Error() + " (use QoS 1)"
	case what == bench.FailConnect:
		return c.Explain(err)
	case what == bench.FailLost && refused:
		return c.Explain(&mqtt.Error{Op: "connection", Class: mqtt.ErrInDoubt, Reason: refusal.Reason, Text: refusal.Text})
	}
	return err.Error()
}

// use returns what the run uses of this machine.
func (r *runner) use() bench.Deployment {
	u := bench.Deployment{Shards: 1, Procs: r.procs, Serving: r.inv.Values.Serve.IsSet(),
		Std: r.opts.Swarm.Engine == swarm.Std || runtime.GOOS != "linux" || !r.conn.Direct()}
	if r.shard != nil {
		u.Shards = r.shard.Count
	}
	targets := r.conn.Targets()
	if u.Serving {
		targets = nil
		if t, err := r.conn.Serves(); err == nil { // otherwise the run ends there
			targets = []*transport.Target{t}
		}
	}
	u.Brokers = len(targets)
	for _, t := range targets {
		u.Std = u.Std || t.TLS || t.WebSocket || t.Network != "tcp"
		a, err := netip.ParseAddr(t.Host)
		u.Local = u.Local || t.Host == "localhost" || t.Network == "unix" || err == nil && a.IsLoopback()
	}
	return u
}

// limits returns the limits of this machine for the engine.
func (r *runner) limits() bench.Limits {
	o := &r.opts.Swarm
	return bench.ThisMachine(len(o.Sources), o.FirstPort > 0 && !r.use().Std)
}

// manyPorts is how many clients may get ports that the system chooses. As its range of some
// 28,000 fills up, it finds them ever more slowly.
const manyPorts = 10_000

// fits refuses a plan that cannot run here, before any connection is made.
func (r *runner) fits() error {
	findings, err := bench.CheckMachine(r.plan, r.limits(), r.use())
	if err != nil {
		return option.Usagef("%v", err)
	}
	for _, f := range findings {
		switch {
		case f.Fatal:
			return option.Usagef("%s", f.Text).WithHint("%s", f.Fix)
		case f.Text != "":
			r.inv.Warnf("%s: %s", f.Text, f.Fix)
		}
	}
	return nil
}

// once runs the plan once.
func (r *runner) once(ctx context.Context, repeat int, out io.Writer) (*result.Result, error) {
	inv := r.inv
	if repeat > 0 {
		r.start = time.Time{}
	}
	o := r.opts
	o.Shard, o.Start = r.shard, r.start
	if o.Start.IsZero() {
		o.Start = time.Now()
	}
	p := r.plan
	o.Run = result.Run{Tool: cli.Version(), Shards: r.shard.Count, Repeat: repeat, Repeats: r.repeats(), Step: bench.Step,
		Plan: result.Plan{Name: p.Name, Hash: p.Hash(), Text: string(p.Canonical()), Scale: p.Scale, Closed: p.Closed(), Header: p.HasHeader()}}
	if r.shard.Count > 1 {
		o.Mark = r.mark(repeat)
	}
	o.Header = result.Shard{Shard: r.shard.Index, Epoch: o.Start, Command: commandLine(inv), NoDelay: true, Environment: result.ThisEnvironment(), Broker: r.broker, Calibration: r.calibration}
	s := r.audience(repeat)
	o.OnNote, o.Status, o.Explain = s.note, s.show, r.explain
	o.Out = out
	s.begin(r.opts.Swarm.Targets)
	res, err := bench.Run(ctx, o)
	s.end()
	return res, err
}

// mark returns what the shards of one run, and of no other run, have in their headers.
func (r *runner) mark(repeat int) result.Mark {
	run := ""
	if r.inv.Values.RunID.IsSet() {
		run = r.plan.Run
	}
	return result.MarkOf(r.plan.Hash(), run, r.start.UTC().Format(time.RFC3339Nano), strconv.Itoa(repeat))
}

// repeats returns how many runs follow each other; 0: one, or as many as a search needs.
func (r *runner) repeats() int {
	if n := r.inv.Values.Repeat.Int(); n > 1 {
		return n
	}
	return 0
}

// failed adds the exit status to an error of the run.
func (r *runner) failed(ctx context.Context, err error) error {
	return failed(ctx, err, r.explain)
}

func failed(ctx context.Context, err error, explain func(bench.Failure, error, *transport.Target) string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	if notReached, ok := errors.AsType[*bench.NotReached](err); ok {
		code := option.ExitUnreached
		if _, refused := errors.AsType[*swarm.Refusal](err); refused {
			code = option.ExitIncomplete
		}
		return cli.Failed(code, fmt.Errorf("%w: %s", bench.ErrNotReached, explain(bench.FailConnect, notReached.Err, notReached.Target)))
	}
	if exit, ok := errors.AsType[*cli.Exit](err); ok {
		return exit
	}
	if errors.Is(err, bench.ErrLost) || errors.Is(err, bench.ErrLate) {
		return cli.Failed(option.ExitIncomplete, err)
	}
	return cli.Failed(option.ExitFailure, err)
}

// bareError returns the error, or the signal that ended the run.
func bareError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// readShard returns the part of the plan that this process runs, and whether the
// environment selected it.
func readShard(inv *cli.Invocation, p *plan.Plan) (s *plan.Shard, indexed bool, err error) {
	i, n := 0, 1
	if text := inv.Values.Shard.Text(); text != "" {
		a, b, _ := strings.Cut(text, "/")
		var err1, err2 error
		i, err1 = strconv.Atoi(a)
		n, err2 = strconv.Atoi(b)
		if err1 != nil || err2 != nil {
			return nil, false, inv.Values.Shard.Invalid("value", text, "want I/N, e.g. 0/4")
		}
	} else if ei, en, ok, err := plan.ShardFromEnv(inv.Variable); ok || err != nil {
		if err != nil {
			return nil, false, usage(err)
		}
		i, n, indexed = ei, en, true
	}
	s, err = p.Shard(i, n)
	return s, indexed, usage(err)
}

// startAt returns the time of --start-at.
func startAt(v *option.Values) (time.Time, error) {
	if !v.StartAt.IsSet() {
		return time.Time{}, nil
	}
	t, err := readStart(v.StartAt.Text())
	if err != nil {
		err = v.StartAt.Invalid("time", v.StartAt.Text(), "%v", err)
	}
	return t, err
}

var (
	errNotTime = errors.New("e.g. 2026-11-21T09:30:00Z, or @ and seconds since 1970")
	errPast    = errors.New("it has passed")
)

// readStart parses a time in the future: RFC 3339, or @ and seconds since 1970.
func readStart(s string) (t time.Time, err error) {
	if secs, ok := strings.CutPrefix(s, "@"); ok {
		n, err := strconv.ParseInt(secs, 10, 64)
		if err != nil || n < 0 || n > 1<<40 {
			return t, errNotTime
		}
		t = time.Unix(n, 0)
	} else if t, err = time.Parse(time.RFC3339, s); err != nil {
		return t, errNotTime
	}
	// The result also has this process's monotonic clock.
	now := time.Now()
	if wait := t.Sub(now); wait > 0 {
		return now.Add(wait), nil
	}
	return time.Time{}, errPast
}

// readSources parses addresses and ranges of addresses: 10.0.0.1, 10.0.0.1-20.
func readSources(v *option.Values) (all []netip.Addr, err error) {
	for _, s := range v.SourceIP.Texts() {
		first, last, isRange := strings.Cut(s, "-")
		a, err := netip.ParseAddr(first)
		if err != nil {
			return nil, v.SourceIP.Invalid("address", first, "e.g. 10.0.0.10 or 10.0.0.10-20")
		}
		count := uint64(1)
		if isRange {
			n, err := strconv.ParseUint(last, 10, 8)
			if err != nil || !a.Is4() || uint64(a.As4()[3]) > n {
				return nil, v.SourceIP.Invalid("range", s, "e.g. 10.0.0.10-20")
			}
			count += n - uint64(a.As4()[3])
		}
		for range count {
			all = append(all, a)
			a = a.Next()
		}
	}
	return all, nil
}

// commandLine returns the words of the command line, without secrets.
func commandLine(inv *cli.Invocation) []string {
	return append([]string{inv.Tool.Name}, option.RedactArgs(option.Table(inv.Tool.Bit), inv.Env.Args)...)
}

// output is the destination of a run's --out: a file, standard output, or none. A file has
// the result as far as the run has got.
type output struct {
	f        *os.File // nil: no file
	w        io.Writer
	made     bool   // the file did not exist
	begun    bool   // something was written
	standard bool   // w is standard output, to which only the result is written
	failed   error  // the first write error
	end      func() // ends watch
}

// writer returns where to write the result, or nil.
func (o *output) writer() io.Writer {
	if o.w == nil {
		return nil
	}
	return o
}

func (o *output) Write(b []byte) (n int, err error) {
	if !o.begun && o.f != nil {
		err = o.empty()
	}
	o.begun = true
	if err == nil {
		n, err = o.w.Write(b)
	}
	if o.f != nil {
		err = fileerror.Explain(err)
	}
	o.failed = cmp.Or(o.failed, err)
	return n, err
}

// empty removes an older result from the file.
func (o *output) empty() error {
	if st, err := o.f.Stat(); err != nil || !st.Mode().IsRegular() {
		return err
	}
	return o.f.Truncate(0)
}

// openOut opens the destination of --out, and catches signals: the run begins.
func openOut(ctx context.Context, inv *cli.Invocation) (o *output, err error) {
	o = &output{end: func() {}}
	switch path := inv.Values.Out.Text(); path {
	case "":
	case "-":
		if inv.Values.JSON.On() {
			return nil, option.Usagef("%s - and --json cannot be used together", inv.Values.Out.Name()).WithHint("both write to standard output")
		}
		o.w, o.standard = inv.Stdout, true
	default:
		if o.f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666); err == nil {
			o.made = true
		} else if errors.Is(err, fs.ErrExist) {
			o.f, err = openWaiting(ctx, path)
		}
		if err != nil {
			return nil, outError(ctx, err)
		}
		o.w = inv.Watched(o.f)
	}
	inv.CatchSignals()
	if o.standard {
		o.watch(ctx, inv)
	}
	return o, nil
}

// openWaiting opens an existing file for writing. A named pipe waits for its reader.
func openWaiting(ctx context.Context, path string) (*os.File, error) {
	return cli.Await(ctx, func() (*os.File, error) { return os.OpenFile(path, os.O_WRONLY, 0) })
}

// outError returns the error for a file that could not be opened for writing.
func outError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return cli.Failed(option.ExitFailure, fileerror.Writing(err))
}

// Close ends the result. An error means that the result is incomplete.
func (o *output) Close() error {
	err := cmp.Or(o.failed, o.close())
	if pipe := cli.OutputError(option.Bench, err); o.standard && cli.ReaderLost(pipe) {
		return pipe
	}
	if err != nil {
		return cli.Failed(option.ExitFailure, fmt.Errorf("the result is incomplete: %w", err))
	}
	return nil
}

// close closes the file, and removes one that is new and empty. It may be called again.
func (o *output) close() error {
	if o.f == nil {
		return nil
	}
	err := o.f.Close()
	if o.made && !o.begun {
		err = os.Remove(o.f.Name())
	}
	o.f = nil
	return err
}

// discard is close at the end of a run whose error is reported elsewhere.
func (o *output) discard() {
	_ = o.close()
	o.end()
}

// watch ends this process when its result has lost its reader: it may be a child whose
// parent was killed.
func (o *output) watch(ctx context.Context, inv *cli.Invocation) {
	ctx, o.end = context.WithCancel(context.WithoutCancel(ctx))
	inv.AbandonUnread(ctx)
}

// lineIntervals is how many intervals the result in a log line has.
const lineIntervals = 60

// writeLine writes a result as a log line that collect finds.
func writeLine(inv *cli.Invocation, res *result.Result) error {
	line, err := result.AppendLine(nil, res, lineIntervals)
	if err != nil {
		return failure(err)
	}
	return write(inv, append(line, '\n'))
}

// write writes to standard output.
func write(inv *cli.Invocation, b []byte) error {
	_, err := inv.Stdout.Write(b)
	return cli.OutputError(option.Bench, err)
}

// writePage writes to standard output what render writes, if it does not fail.
func writePage(inv *cli.Invocation, render func(io.Writer) error) error {
	var b bytes.Buffer
	if err := render(&b); err != nil {
		return failure(err)
	}
	return write(inv, b.Bytes())
}

// failure returns an error with the exit status of a failure, unless it has another one.
func failure(err error) error {
	if _, has := errors.AsType[cli.ExitCoder](err); err == nil || has {
		return err
	}
	return cli.Failed(option.ExitFailure, err)
}

// exit returns the error that exits with a code, or nil.
func exit(code int) error {
	if code == option.ExitDone {
		return nil
	}
	return cli.ExitSilently(code)
}

// writeReports writes the reports of runs in the format of --format, as one document if the
// format allows it.
func writeReports(inv *cli.Invocation, runs []report.Checked) error {
	return writePage(inv, func(w io.Writer) error { return renderReports(w, inv, runs) })
}

// isDocument reports whether a format has one document for any number of runs.
func isDocument(inv *cli.Invocation) bool {
	f := inv.Values.Format.Text()
	return f != "text" && f != "markdown"
}

func renderReports(w io.Writer, inv *cli.Invocation, runs []report.Checked) error {
	switch inv.Values.Format.Text() {
	case "json":
		return report.JSONOf(w, runs)
	case "csv":
		return report.CSVOf(w, runs)
	case "junit":
		return report.JUnitOf(w, runs)
	case "hgrm":
		return usage(report.HGRMOf(w, runs, inv.Values.Metric.Text()))
	case "hlog":
		return usage(report.HLogOf(w, runs))
	}
	for _, j := range runs {
		var err error
		if inv.Values.Format.Text() == "markdown" {
			err = report.Markdown(w, j.Summary, j.Checks)
		} else {
			err = report.Text(w, j.Summary, j.Checks, palette(inv))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// usage returns an error as a usage error, unless it is one.
func usage(err error) error {
	if _, is := errors.AsType[*option.UsageError](err); err == nil || is {
		return err
	}
	return option.Usagef("%v", err)
}

// palette returns the colors of standard output.
func palette(inv *cli.Invocation) format.Palette {
	if inv.StdoutColor {
		return format.Colors
	}
	return format.Palette{}
}

package mqbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/process"
)

// crew runs a shard in several processes, each with its own shard: each is this
// program with --shard, --start-at and --out -, and writes its result to a pipe. A child
// whose pipe has lost its reader exits, so that no child survives however this process
// ends.
type crew struct {
	r       *runner
	status  *audience
	members []*member
	lines   chan memberLine

	clients int
	phases  map[result.Phase]time.Duration // when each phase began
	failure error                          // of the first member that failed
	stopped bool                           // all were asked to end
}

// member is one process of a crew.
type member struct {
	shard   int
	cmd     *exec.Cmd
	process *process.Process
	said    bytes.Buffer // standard error, complete when the process has exited

	follower *result.Follower   // nil: it has not written a header
	pending  []*result.Interval // not shown yet
	ended    bool
}

// memberLine is a line of a member or, with err, its end.
type memberLine struct {
	m    *member
	line result.Line
	err  error
}

// headStart is the time from the start of the processes to that of the run.
func headStart(procs int) time.Duration {
	return 3*time.Second + time.Duration(procs)*100*time.Millisecond
}

// checkCrew refuses what cannot be divided between processes.
func (r *runner) checkCrew() error {
	v := r.inv.Values
	sources := len(r.opts.Swarm.Sources)
	switch {
	case v.Serve.IsSet():
		return option.Usagef("%s: a run of several processes needs a broker outside of them", v.Serve.Name()).WithHint("start one with 'mqsub --serve', or leave out --procs")
	case v.AskPassword.On():
		return option.Usagef("--ask-password: several processes cannot prompt").WithHint("use --password-file, or leave out --procs")
	case sources > 0 && sources < r.procs:
		return option.Usagef("%s: %d addresses for %d processes: each needs its own address", v.SourceIP.Name(), sources, r.procs)
	}
	return checkShards(r.plan, r.shard.Index*r.procs+r.procs-1, r.shard.Count*r.procs, v.Procs.Name(), fmt.Sprintf("%d processes", r.procs))
}

// checkShards refuses to divide a plan such that a shard, up to the last one wanted, has no
// clients. The error names the option and who would share the clients.
func checkShards(p *plan.Plan, last, count int, named, sharing string) error {
	s, err := p.Shard(last, count)
	if err != nil {
		return option.Usagef("%s: %v", named, err)
	}
	if shardClients(s) == 0 {
		return option.Usagef("%s: there are not enough clients for %s", named, sharing)
	}
	return nil
}

// shardClients returns the number of clients of a shard.
func shardClients(s *plan.Shard) (n int) {
	for _, g := range s.Plan.Groups {
		n += s.Clients(g)
	}
	return n
}

// ofParent are the options that are not passed to a child: the parent carries them out, or
// passes the child its share.
var ofParent = []string{"procs", "shard", "start-at", "run-id", "source-ip", "out", "format", "json", "metrics", "hold", "fail-on", "strict", "repeat", "quiet", "color"}

// onceCrew is once in several processes.
func (r *runner) onceCrew(ctx context.Context, repeat int, out io.Writer) (*result.Result, error) {
	c := &crew{r: r, status: r.audience(repeat), lines: make(chan memberLine), phases: map[result.Phase]time.Duration{}}
	start := r.start
	if start.IsZero() || repeat > 0 {
		start = time.Now().Add(headStart(r.procs))
	}
	c.status.begin(r.conn.Targets())
	if err := c.start(start); err != nil {
		c.stop(os.Kill)
		c.wait(ctx)
		return nil, cli.Failed(option.ExitFailure, err)
	}
	c.wait(ctx)
	c.status.end()
	res, err := c.merge(repeat)
	if err == nil && res != nil && out != nil {
		if werr := result.Write(out, res); werr != nil {
			r.inv.Errorf("result file: %v", werr)
		}
	}
	switch {
	case err != nil:
		return nil, failure(err)
	case c.failure != nil:
		return res, c.failure
	case ctx.Err() != nil:
		return res, context.Cause(ctx)
	}
	return res, nil
}

// start starts the processes.
func (c *crew) start(at time.Time) error {
	r := c.r
	program, err := os.Executable()
	if err != nil {
		return err
	}
	options, vars, err := r.inv.Tool.Handover(r.inv.Values, r.inv.Env.Args, func(o *option.Option) bool { return !slices.Contains(ofParent, o.Name) })
	if err != nil {
		return err
	}
	env := option.Environ(vars)
	sources := r.opts.Swarm.Sources
	for i := range r.procs {
		shard, err := r.plan.Shard(r.shard.Index*r.procs+i, r.shard.Count*r.procs)
		if err != nil {
			return err
		}
		c.clients += shardClients(shard)
		args := append([]string{r.inv.Tool.Command.Name}, options...)
		args = append(args, fmt.Sprintf("--shard=%d/%d", shard.Index, shard.Count), "--start-at="+at.Format(time.RFC3339Nano), "--run-id="+r.plan.Run, "--out=-", "--quiet")
		for _, a := range sources[i*len(sources)/r.procs : (i+1)*len(sources)/r.procs] {
			args = append(args, "--source-ip="+a.String())
		}
		m := &member{shard: shard.Index, cmd: exec.Command(program, append(append(args, "--"), r.inv.Args...)...)}
		m.cmd.Env, m.cmd.Stderr = env, &m.said
		if m.process, err = process.Start(m.cmd); err != nil {
			return err
		}
		_ = m.process.In.Close()
		c.members = append(c.members, m)
		go c.follow(m)
	}
	return nil
}

// follow reads the output of a member.
func (c *crew) follow(m *member) {
	follower, err := result.Follow(m.process.Out, fmt.Sprintf("process of shard %d", m.shard), c.r.procs)
	if err == nil {
		m.follower = follower
		for {
			var line result.Line
			if line, err = follower.Next(); err != nil {
				break
			}
			c.lines <- memberLine{m: m, line: line}
		}
	}
	if err == io.EOF { // of the result: the process may still print messages, and has a status
		_, _ = io.Copy(io.Discard, m.process.Out)
	}
	_ = m.process.Out.Close()
	<-m.process.Exited()
	c.lines <- memberLine{m, result.Line{}, err}
}

// wait handles the output of the members until all have ended.
func (c *crew) wait(ctx context.Context) {
	cancelled := ctx.Done()
	for running := len(c.members); running > 0; {
		select {
		case <-cancelled:
			cancelled = nil
			sig := os.Interrupt
			if s, ok := errors.AsType[*cli.SignalError](context.Cause(ctx)); ok {
				sig = s.Signal
			}
			c.stop(sig)
		case l := <-c.lines:
			if l.err != nil {
				running--
				c.ended(l.m, l.err)
			} else {
				c.take(l.m, l.line)
			}
		}
	}
}

// stop asks all members to end, which they do as this process would.
func (c *crew) stop(sig os.Signal) {
	c.stopped = true
	for _, m := range c.members {
		if m.ended {
			continue
		}
		if err := m.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			_ = m.cmd.Process.Kill()
		}
	}
}

// ended handles the end of a member; one that has failed ends the others.
func (c *crew) ended(m *member, err error) {
	m.ended = true
	if m.follower != nil && err == io.EOF {
		if ends := m.follower.Result().Ends; len(ends) == 1 && (ends[0].Complete || c.stopped) {
			c.show()
			return
		}
	}
	if c.failure != nil || c.stopped {
		return
	}
	code := option.ExitFailure
	switch got := m.cmd.ProcessState.ExitCode(); got {
	case option.ExitUsage, option.ExitUnreached, option.ExitIncomplete:
		code = got
	}
	text := lastWords(m.said.String(), c.r.inv.Tool.Name)
	switch {
	case err != io.EOF && !errors.Is(err, result.ErrNoResult):
		text = err.Error() // that ended the process
	case text == "":
		text = m.cmd.ProcessState.String()
	}
	c.failure = cli.Failed(code, fmt.Errorf("the process of shard %d: %s", m.shard, text))
	c.stop(os.Interrupt)
}

// lastWords returns the last few lines that a tool printed, without its name.
func lastWords(said, tool string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	lines = lines[max(len(lines)-3, 0):]
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], tool+": ")
	}
	return strings.Join(lines, "; ")
}

// take handles a line of a member's result.
func (c *crew) take(m *member, line result.Line) {
	if n := line.Note; n != nil {
		if n.Kind == result.NotePhase {
			c.phases[result.Phase(n.Text)] = n.At
		}
		note := *n
		note.Text = fmt.Sprintf("shard %d: %s", n.Shard, n.Text)
		c.status.note(note)
	}
	if line.Interval != nil {
		m.pending = append(m.pending, line.Interval)
		c.show()
	}
}

// show shows an interval of all members, once all running members have written one.
func (c *crew) show() {
	var parts []*result.Result
	for _, m := range c.members {
		// An interval of messages that were due in an earlier phase has no gauges.
		whole := func(i *result.Interval) bool { return len(i.Gauges) > 0 }
		if !m.ended && !slices.ContainsFunc(m.pending, whole) {
			return
		}
		if len(m.pending) > 0 {
			parts = append(parts, &result.Result{Run: result.Run{Step: bench.Step}, Shards: []result.Shard{{Shard: m.shard}}, Intervals: m.pending})
		}
	}
	for _, m := range c.members {
		m.pending = nil
	}
	whole, err := result.Merge(parts...)
	if err != nil {
		return // nothing is pending
	}
	sum := whole.Sum()
	st := bench.Status{Interval: sum, Clients: c.clients, Connected: int(sum.Gauges[result.GaugeConnected])}
	name := whole.Intervals[len(whole.Intervals)-1].Phase
	st.Phase = plan.Phase(slices.Index(result.Phases(), name))
	ph := &c.r.plan.Phases
	if length := map[result.Phase]time.Duration{result.PhaseWarmUp: ph.WarmUp, result.PhaseMeasure: ph.Measure, result.PhaseDrain: ph.Drain}[name]; length > 0 {
		st.Left = max(c.phases[name]+length-sum.End, 0)
	}
	c.status.show(st)
}

// merge returns the merged result of the members; nil if none has written one.
func (c *crew) merge(repeat int) (*result.Result, error) {
	var parts []*result.Result
	for _, m := range c.members {
		if m.follower != nil {
			parts = append(parts, m.follower.Result())
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	res, err := result.Merge(parts...)
	if err != nil {
		return nil, err
	}
	res.Run.Repeat, res.Run.Repeats = repeat, c.r.repeats()
	return res, nil
}

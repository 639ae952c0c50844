package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mqtools/mqtools/internal/bench/fault"
)

// plan is what a seed decides of a trial.
type plan struct {
	seed       uint64
	losses     int // of 100 connects of the publisher, at how many the witness loses its session
	qos        int
	versions   [2]string // of mqpub and mqsub
	inflight   int       // -M; 0: the default
	receive    [2]int    // Receive Maximum of the witness and of mqsub; 0: none
	lines      int
	rotate     bool
	cuts       time.Duration // mean time between two faults of the network
	kills      [3]time.Duration
	disks      time.Duration
	small      bool // the files are on a small disk of their own, where syncing takes no time
	terminated int  // percent of the ends of a tool that are SIGTERM instead of SIGKILL
	shared     bool // other processes hand the lines over to the one that uses the spool
}

// losses is that of a series in which sessions are lost.
const losses = 30

func planOf(seed uint64, losses int) plan {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(n ...int) int { return n[r.IntN(len(n))] }
	p := plan{seed: seed, losses: losses, qos: pick(1, 2, 2), inflight: pick(0, 1, 10, 100), lines: pick(500, 2000, 5000),
		rotate: r.IntN(3) == 0, small: canMount && seed%2 == 0, terminated: pick(0, 20, 50), disks: time.Duration(pick(800, 2000, 10000)) * time.Millisecond,
		cuts: time.Duration(pick(100, 300, 1000)) * time.Millisecond}
	p.receive = [2]int{pick(0, 0, 1, 10), pick(0, 0, 1, 20)}
	for i := range p.versions {
		p.versions[i] = []string{"5", "5", "311"}[r.IntN(3)]
	}
	for i := range p.kills {
		p.kills[i] = time.Duration(pick(600, 1000, 3000)) * time.Millisecond
	}
	if p.shared = r.IntN(4) == 0; p.shared {
		p.small, p.rotate = false, false
	}
	return p
}

func (p plan) String() string {
	return fmt.Sprintf("seed %d: QoS %d, MQTT %s and %s, -M %d, Receive Maximum %d and %d, %d lines, rotate %v, spool shared %v, sessions lost %d %%",
		p.seed, p.qos, p.versions[0], p.versions[1], p.inflight, p.receive[0], p.receive[1], p.lines, p.rotate, p.shared, p.losses)
}

// trial carries the lines of a file through mqpub follow, the witness and mqsub --output-file
// while all of them and what is between them break. If the spool is shared, a process for each
// piece of the file takes the place of mqpub follow, beside one that only sends; of those
// processes only the latter is killed, since it is not known what the others have taken.
type trial struct {
	plan
	bin, dir, disk string
	wrong          string // of the witness
	proxy          *fault.Proxy

	quiet chan struct{} // closed when the faults end

	mu      sync.Mutex
	written int // lines in the file
	wrongs  []string
	counts  map[string]int // of faults
	doubt   int            // messages that mqpub has reported as sent again
	full    time.Time      // until then, or a while longer, the disk may have been full
	runs    map[*exec.Cmd]*bool
	early   int // lines that have arrived while there were faults
	twice   int // messages that the witness has accepted twice
	handed  int // runs that handed lines over
}

func (t *trial) fails(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wrongs = append(t.wrongs, fmt.Sprintf(format, args...))
}

// did counts faults.
func (t *trial) did(kind string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[kind] += n
}

func (t *trial) file(name string) string { return filepath.Join(t.dir, name) }

// every calls f at random times until the faults end.
func (t *trial) every(mean time.Duration, r *rand.Rand, f func()) {
	for {
		select {
		case <-t.quiet:
			return
		case <-time.After(time.Duration(r.ExpFloat64() * float64(mean))):
			f()
		}
	}
}

// pause waits for a random time.
func (t *trial) pause(r *rand.Rand, most time.Duration) {
	select {
	case <-t.quiet:
	case <-time.After(time.Duration(r.Int64N(int64(most)))):
	}
}

// run makes a trial with faults for a time, and checks what has arrived.
func (t *trial) run(ctx context.Context, faulty time.Duration) error {
	if err := t.open(); err != nil {
		return err
	}
	defer t.proxy.Close()
	witness, err := t.startWitness()
	if err != nil {
		return err
	}
	defer func() { witness.end(os.Kill) }()
	if code, text := t.tool(ctx, "mqsub", t.client("mqsub"), "-E"); code != 0 {
		return fmt.Errorf("subscribing: mqsub ends with %d: %s", code, text)
	}
	var all sync.WaitGroup
	random := func(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(t.seed, stream)) }
	all.Go(func() { t.write(ctx, random(2), faulty*3/4) })
	all.Go(func() { t.keepRunning(random(3), t.kills[0], "mqpub") })
	all.Go(func() { t.keepRunning(random(4), t.kills[1], "mqsub") })
	all.Go(func() {
		r := random(5)
		t.every(t.kills[2], r, func() {
			t.endWitness(witness)
			t.did("broker killed", 1)
			t.pause(r, 200*time.Millisecond)
			next, err := t.startWitness()
			if err != nil {
				t.fails("%v", err)
				return // the one that has ended can be ended again
			}
			witness = next
		})
	})
	all.Go(func() { t.breakNetwork(random(6)) })
	if !t.shared {
		all.Go(func() { t.breakDisks(random(7)) })
	}
	select {
	case <-time.After(faulty):
	case <-ctx.Done():
	}
	close(t.quiet)
	all.Wait()
	early, _ := os.ReadFile(filepath.Join(t.disk, "out"))
	t.early = bytes.Count(early, []byte("\n"))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// Whatever has happened, quiet runs bring the rest.
	var end []string
	if !t.shared {
		end = append(end, "--end")
	}
	if code, text := t.tool(ctx, "mqpub", t.args("mqpub"), end...); code != 0 && !(t.losses > 0 && code == 7) {
		t.fails("at last, mqpub ends with %d: %s", code, text)
	}
	t.drain(ctx)
	t.endWitness(witness)
	return t.check()
}

// drain runs mqsub until every line has arrived and nothing more comes, or nothing comes for so
// long that a busy machine is not the reason.
func (t *trial) drain(ctx context.Context) {
	p, err := start(filepath.Join(t.bin, "mqsub"), append(t.args("mqsub"), "--idle-timeout", "15")...)
	if err != nil {
		t.fails("%v", err)
		return
	}
	want := 27
	size, since := 0, time.Now()
	check := time.NewTicker(100 * time.Millisecond)
	defer check.Stop()
	for running := true; running; {
		select {
		case <-p.exited:
			running = false
		case <-ctx.Done():
			p.end(os.Kill)
			return
		case now := <-check.C:
			out, _ := os.ReadFile(filepath.Join(t.disk, "out"))
			if len(out) != size {
				size, since = len(out), now
			}
			if bytes.Count(out, []byte("\n")) >= t.lines && now.Sub(since) > 1500*time.Millisecond {
				want, running = 143, false
				p.end(syscall.SIGTERM)
			}
		}
	}
	t.heard(p.said.String())
	if code := p.cmd.ProcessState.ExitCode(); code != want && !(want == 143 && code == -1) {
		t.fails("at last, mqsub ends with %d: %s", code, p.said.String())
	}
}

// open opens the proxy.
func (t *trial) open() error {
	t.quiet, t.counts, t.runs = make(chan struct{}), map[string]int{}, map[*exec.Cmd]*bool{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	t.proxy = fault.New(ln, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", t.file("socket"))
	}, t.seed)
	return nil
}

// client returns the options with which a tool connects.
func (t *trial) client(tool string) []string {
	_, port, _ := net.SplitHostPort(t.proxy.Addr().String())
	args := []string{"-h", "127.0.0.1", "-p", port, "-q", strconv.Itoa(t.qos), "-t", "n", "--config", "none", "--reconnect-delay", "0.05", "--retry"}
	if tool == "mqpub" {
		if t.inflight > 0 {
			args = append(args, "-M", strconv.Itoa(t.inflight))
		}
		return append(args, "-V", t.versions[0], "-i", "pub")
	}
	args = append(args, "-V", t.versions[1], "-i", "sub", "-c")
	if t.versions[1] == "5" {
		args = append(args, "-x", "3600")
		if t.receive[1] > 0 {
			args = append(args, "--receive-maximum", strconv.Itoa(t.receive[1]))
		}
	}
	return args
}

func (t *trial) spool() []string  { return []string{"--spool", filepath.Join(t.disk, "spool")} }
func (t *trial) output() []string { return []string{"--output-file", filepath.Join(t.disk, "out")} }

// args returns the command line of a tool in a trial.
func (t *trial) args(tool string) []string {
	switch {
	case tool == "mqpub" && t.shared:
		return slices.Concat(t.client(tool), t.spool(), []string{"-l"})
	case tool == "mqpub":
		return slices.Concat([]string{"follow", t.file("in")}, t.client(tool), t.spool())
	}
	return append(t.client(tool), t.output()...)
}

// tool runs a tool to its end.
func (t *trial) tool(ctx context.Context, tool string, args []string, more ...string) (int, string) {
	return t.toolWith(ctx, nil, tool, append(args, more...)...)
}

// toolWith is tool with a standard input.
func (t *trial) toolWith(ctx context.Context, stdin io.Reader, tool string, args ...string) (int, string) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(t.bin, tool), args...)
	var text bytes.Buffer
	cmd.Stdin, cmd.Stderr = stdin, &text
	_ = cmd.Run()
	t.heard(text.String())
	return cmd.ProcessState.ExitCode(), text.String()
}

// process is a running program.
type process struct {
	cmd    *exec.Cmd
	said   bytes.Buffer // standard error, complete when it has ended
	exited chan struct{}
}

// start starts a program, whose standard input is a pipe without end.
func start(name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), exited: make(chan struct{})}
	p.cmd.Stderr = &p.said
	if _, err := p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait()
	}()
	return p, nil
}

// end sends a signal and waits for the end.
func (p *process) end(s os.Signal) {
	_ = p.cmd.Process.Signal(s)
	<-p.exited
}

func (t *trial) startWitness() (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(self, "witness", t.file("socket"), t.file("log"), strconv.Itoa(t.receive[0]), strconv.Itoa(t.losses), t.wrong, strconv.FormatUint(t.seed, 10))
}

// endWitness kills the witness. It must have had nothing to say.
func (t *trial) endWitness(p *process) {
	if p.end(os.Kill); p.said.Len() > 0 {
		t.fails("%s", p.said.String())
	}
}

// write writes the file that mqpub follows, in pieces that end anywhere, and may rename it
// once. If the spool is shared, it hands pieces of whole lines over.
func (t *trial) write(ctx context.Context, r *rand.Rand, within time.Duration) {
	var all []byte
	ends := []int{}
	for i := range t.lines {
		all = fmt.Appendf(all, "%d-%d %s\n", t.seed, i, strings.Repeat("z", r.IntN(4)*50))
		ends = append(ends, len(all))
	}
	open := func() *os.File {
		f, err := os.OpenFile(t.file("in"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.fails("%v", err)
		}
		return f
	}
	f := open()
	pieces := 5 + r.IntN(40)
	rotation := 0 // byte at which a new file begins
	if t.rotate {
		rotation = ends[len(ends)/3+r.IntN(len(ends)/3)]
	}
	from := 0
	for i := range pieces {
		to := len(all) * (i + 1) / pieces
		switch {
		case !t.shared && i < pieces-1:
			to = max(from, to-r.IntN(60))
		case t.shared:
			line, _ := slices.BinarySearch(ends, to)
			to = ends[line]
			code, text := t.toolWith(ctx, bytes.NewReader(all[from:to]), "mqpub", append(t.args("mqpub"), "-W", "20")...)
			if code != 0 && code != 75 && !(t.losses > 0 && code == 7) {
				t.fails("with lines to hand over, mqpub ends with %d: %s", code, text)
			}
			t.handed += strings.Count(text, "which another process sends")
		}
		if rotation > 0 && to >= rotation {
			_, _ = f.Write(all[from:rotation])
			_ = f.Close()
			if err := os.Rename(t.file("in"), t.file("in.1")); err != nil {
				t.fails("%v", err)
			}
			f = open()
			from, rotation = rotation, 0
		}
		if _, err := f.Write(all[from:to]); err != nil {
			t.fails("%v", err)
		}
		from = to
		t.mu.Lock()
		for t.written < len(ends) && ends[t.written] <= to {
			t.written++
		}
		t.mu.Unlock()
		time.Sleep(time.Duration(r.Int64N(2 * int64(within) / int64(pieces))))
	}
	_ = f.Close()
	if err := os.WriteFile(t.file("all"), all, 0o600); err != nil {
		t.fails("%v", err)
	}
}

// keepRunning starts a tool again whenever it has ended, and ends it again and again.
func (t *trial) keepRunning(r *rand.Rand, mean time.Duration, tool string) {
	for {
		select {
		case <-t.quiet:
			return
		default:
		}
		connects := 0 // before the run
		if tool == "mqpub" {
			connects = t.connects()
		}
		p, err := start(filepath.Join(t.bin, tool), t.args(tool)...)
		if err != nil {
			t.fails("%v", err)
			return
		}
		struck := false
		t.mu.Lock()
		t.runs[p.cmd] = &struck
		t.mu.Unlock()
		began := time.Now()
		signal := os.Kill
		if r.IntN(100) < t.terminated {
			signal = syscall.SIGTERM
		}
		stopped := true
		select {
		case <-p.exited:
			stopped = false
		case <-t.quiet:
			signal = syscall.SIGTERM
		case <-time.After(50*time.Millisecond + time.Duration(r.ExpFloat64()*float64(mean))):
			if r.IntN(2) == 0 {
				t.awaitWrite(p, tool)
			}
			t.did(tool+" "+map[bool]string{true: "killed", false: "terminated"}[signal == os.Kill], 1)
		}
		if stopped {
			_ = p.cmd.Process.Signal(signal)
			select {
			case <-p.exited:
			case <-time.After(30 * time.Second):
				t.fails("%s does not end at %v", tool, signal)
				p.end(os.Kill)
			}
		}
		t.mu.Lock()
		delete(t.runs, p.cmd)
		full := struck || t.full.After(began)
		t.mu.Unlock()
		t.ended(tool, p, stopped, signal, full, connects)
		if !stopped {
			t.pause(r, 100*time.Millisecond)
		}
	}
}

// awaitWrite returns when a tool has just written, before it can have gone on: to its output
// file, or to its spool.
func (t *trial) awaitWrite(p *process, tool string) {
	path := filepath.Join(t.disk, "out")
	if tool == "mqpub" {
		found, _ := filepath.Glob(filepath.Join(t.disk, "spool", "*.log"))
		if len(found) == 0 {
			return
		}
		path = found[len(found)-1]
	}
	size := func() int64 {
		st, err := os.Stat(path)
		if err != nil {
			return -1
		}
		return st.Size()
	}
	before := size()
	for end := time.Now().Add(200 * time.Millisecond); size() == before && time.Now().Before(end); {
		select {
		case <-p.exited:
			return
		default:
		}
	}
}

var (
	queuedText = regexp.MustCompile(`(\d+) messages? queued in`)
	resentText = regexp.MustCompile(`(\d+) messages? sent again after the broker lost the session`)
)

// ended checks what a run has ended with, and said. connects is how often the publisher had
// connected before it: a run that has not connected may not have caught the signal yet, and
// not have looked into its spool.
func (t *trial) ended(tool string, p *process, stopped bool, signal os.Signal, full bool, connects int) {
	text, code := p.said.String(), p.cmd.ProcessState.ExitCode()
	switch p.cmd.ProcessState.String() {
	case "signal: killed":
		code = 137
	case "signal: terminated":
		code = 143
	}
	t.heard(text)
	switch {
	case stopped && signal == os.Kill && code == 137:
	case full && code == 6: // and whatever ended it otherwise
	case tool == "mqsub" && stopped && code == 143:
	case tool == "mqpub" && stopped && code == 143:
		if t.connects() > connects {
			t.atLeast(0, text)
		}
	case tool == "mqpub" && (stopped || full) && code == 75:
		said := queuedText.FindStringSubmatch(text)
		if said == nil {
			t.fails("mqpub ends with 75 and says %q", text)
			return
		}
		n, _ := strconv.Atoi(said[1])
		if !full {
			t.atLeast(n, text)
		}
	case tool == "mqpub" && t.losses > 0 && stopped && code == 7:
	default:
		t.fails("%s ends with %d (stopped %v, disk full %v): %s", tool, code, stopped, full, text)
	}
	if t.losses == 0 && (strings.Contains(text, "lost the session") || resentText.MatchString(text)) || strings.Contains(text, "is not as it was committed") {
		t.fails("%s says: %s", tool, text)
	}
	if strings.Contains(text, "panic") || strings.Contains(text, "goroutine ") {
		t.fails("%s: %s", tool, text)
	}
}

// connects returns how often the publisher has connected.
func (t *trial) connects() int {
	l, err := readLog(t.file("log"))
	if err != nil {
		t.fails("%v", err)
	}
	return l.connects
}

// heard adds up the messages that mqpub reports as sent again.
func (t *trial) heard(text string) {
	if strings.Contains(text, "has left unreported") {
		// The same count stands in the verdict, if there is one.
		_, text, _ = strings.Cut(text, "has left unreported")
		_, text, _ = strings.Cut(text, "\n")
	}
	if m := resentText.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		t.mu.Lock()
		t.doubt += n
		t.mu.Unlock()
	}
}

// atLeast checks that mqpub, which has ended with n messages in its spool, has not left out
// any whose delivery has begun and not ended. n cannot be more than was written. If the spool
// is shared, it may have been another process that sent.
func (t *trial) atLeast(n int, text string) {
	if t.shared {
		return
	}
	l, err := readLog(t.file("log"))
	if err != nil {
		t.fails("%v", err)
		return
	}
	t.mu.Lock()
	written := t.written
	t.mu.Unlock()
	if n < l.open || n > written {
		t.fails("mqpub reports %d of %d messages as queued, but %d are open: %s", n, written, l.open, text)
	}
}

// breakNetwork breaks connections in all ways that the proxy knows.
func (t *trial) breakNetwork(r *rand.Rand) {
	p := t.proxy
	t.every(t.cuts, r, func() {
		switch r.IntN(8) {
		case 0:
			t.did("connection reset", p.Cut(1))
		case 1:
			t.did("connection reset", p.Cut(-1))
		case 2:
			t.did("connection closed", p.HangUp(1))
		case 3:
			t.meanwhile(r, "stall", p.Stall, 300*time.Millisecond)
		case 4:
			t.meanwhile(r, "cut in pieces", p.Split, 100*time.Millisecond)
		case 5:
			t.did("answers lost", p.Open())
			p.Mute(true)
			t.pause(r, 200*time.Millisecond)
			p.Cut(-1)
			p.Mute(false)
		case 6:
			t.did("refused", 1)
			p.Refuse(true)
			p.Cut(1)
			t.pause(r, 200*time.Millisecond)
			p.Refuse(false)
		case 7:
			p.Delay(time.Duration(r.IntN(20))*time.Millisecond, 0)
		}
	})
	p.Delay(0, 0)
}

// meanwhile switches a fault on for a while; at the end, the connections may be reset.
func (t *trial) meanwhile(r *rand.Rand, kind string, turn func(on bool), most time.Duration) {
	t.did(kind, t.proxy.Open())
	turn(true)
	t.pause(r, most)
	if r.IntN(2) == 0 {
		t.did("connection reset", t.proxy.Cut(-1))
	}
	turn(false)
}

// breakDisks tears writes and fills the disk.
func (t *trial) breakDisks(r *rand.Rand) {
	t.every(t.disks, r, func() {
		if t.small && r.IntN(2) == 0 {
			t.fill(r)
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		for cmd, struck := range t.runs {
			var files []string
			for _, glob := range []string{"out", "out.journal/*", "spool/*"} {
				found, _ := filepath.Glob(filepath.Join(t.disk, glob))
				files = append(files, found...)
			}
			if len(files) == 0 {
				return
			}
			st, err := os.Stat(files[r.IntN(len(files))])
			if err == nil && limitFiles(cmd.Process.Pid, uint64(st.Size())+uint64(r.IntN(300))) == nil {
				*struck = true
				t.counts["write torn"]++
				return
			}
		}
	})
}

// fill fills the disk of the tools for a moment.
func (t *trial) fill(r *rand.Rand) {
	t.mu.Lock()
	t.full = time.Now().Add(time.Hour)
	t.mu.Unlock()
	t.did("disk full", 1)
	path := filepath.Join(t.disk, "ballast")
	f, err := os.Create(path)
	if err == nil {
		for size := 1 << 20; size > 0; {
			if _, err := f.Write(make([]byte, size)); err != nil {
				size /= 16
			}
		}
		t.pause(r, 400*time.Millisecond)
		err = errors.Join(f.Close(), os.Remove(path))
	}
	if err != nil {
		t.fails("%v", err)
	}
	t.mu.Lock()
	t.full = time.Now()
	t.mu.Unlock()
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// patience is how long a run, or a part of it, may take.
const patience = 30 * time.Second

// message is a message that the case publishes.
type message struct {
	topic, payload string
	qos            packet.QoS
	retain         bool
	props          packet.Properties
}

// scenario is one case: a command line and what happens around it.
type scenario struct {
	words []string // the program and its words; {port} is the broker's, {dead} one without a listener, {dir} a directory
	stdin string
	files map[string]string // in {dir}
	peer  peer              // plays the broker; nil: mosquitto does
	conf  string            // additional lines of mosquitto's configuration
	none  bool              // no broker at all

	before []message      // published before the program starts
	feed   []message      // published after the program has subscribed
	signal syscall.Signal // sent then

	why string // the reason of a difference

	theirs, ours outcome
	native       outcome // of mqpub or mqsub under its own name
}

func (c *scenario) program() string { return c.words[0] }

// line returns the command line in shell syntax.
func (c *scenario) line() string {
	words := make([]string, len(c.words))
	for i, w := range c.words {
		if words[i] = w; w == "" || strings.ContainsAny(w, " \\|&;<>()$`\"'*?[]#~=%\t\n{}") && !strings.HasPrefix(w, "{") {
			words[i] = "'" + w + "'"
		}
	}
	text := strings.ReplaceAll(strings.Join(words, " "), " -h 127.0.0.1 -p {port}", "")
	if c.stdin != "" {
		text += " <<< '" + c.stdin + "'"
	}
	return text
}

// outcome is the result of a run.
type outcome struct {
	stdout, stderr, arrived string
	status                  int
	broken                  string // what went wrong with the case itself
}

func (o *outcome) field(name string) string {
	switch name {
	case "status":
		return fmt.Sprint(o.status)
	case "stdout":
		return o.stdout
	case "stderr":
		return o.stderr
	}
	return o.arrived
}

func (c *scenario) differences() (fields []string) {
	for _, name := range []string{"status", "stdout", "stderr", "arrived"} {
		if c.theirs.field(name) != c.ours.field(name) {
			fields = append(fields, name)
		}
	}
	return fields
}

func (o *outcome) summary(fields []string) string {
	var parts []string
	for _, name := range fields {
		parts = append(parts, name+" "+strings.TrimSpace(fmt.Sprintf("%.70q", o.field(name))))
	}
	return strings.Join(parts, "; ")
}

// run runs the case with one program.
func (c *scenario) run(daemon, program, dir string) (o outcome) {
	fail := func(err error) outcome {
		o.broken = err.Error()
		return o
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail(err)
	}
	dead, err := freePort()
	if err != nil {
		return fail(err)
	}
	for name, text := range c.files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fail(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "{dead}", fmt.Sprint(dead))), 0o600); err != nil {
			return fail(err)
		}
	}
	port := dead
	var b *broker
	switch {
	case c.peer != nil:
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fail(err)
		}
		defer ln.Close()
		port = ln.Addr().(*net.TCPAddr).Port
		go c.peer.serve(ln)
	case !c.none:
		if b, err = startBroker(daemon, dir, c.conf); err != nil {
			return fail(err)
		}
		defer b.stop()
		port = b.port
		if err := b.watch(c.before); err != nil {
			return fail(err)
		}
	}
	places := strings.NewReplacer("{port}", fmt.Sprint(port), "{dead}", fmt.Sprint(dead), "{dir}", dir)
	words := make([]string, len(c.words)-1)
	for i := range words {
		words[i] = places.Replace(c.words[i+1])
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, words...)
	cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	cmd.Stdin = strings.NewReader(c.stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return fail(err)
	}
	stirred := make(chan error, 1)
	go func() { stirred <- c.stir(b, cmd.Process) }()
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		o.status = -1 // it does not exit
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled():
		o.status = 128 + int(exit.Sys().(syscall.WaitStatus).Signal()) // as a shell reports it
	case errors.As(err, &exit):
		o.status = exit.ExitCode()
	case err != nil:
		return fail(err)
	}
	select {
	case err := <-stirred:
		if err != nil && o.status == 0 {
			return fail(err)
		}
	case <-time.After(patience / 10): // it has not subscribed
	}
	if b != nil {
		if o.arrived, err = b.arrived(); err != nil {
			return fail(err)
		}
		b.stop()
	}
	clean := func(s string) string {
		s = strings.ReplaceAll(s, dir, "{dir}")
		s = strings.ReplaceAll(strings.ReplaceAll(s, fmt.Sprint(dead), "{dead}"), fmt.Sprint(port), "{port}")
		for _, v := range varying {
			s = v.what.ReplaceAllString(s, v.by)
		}
		return s
	}
	o.stdout, o.stderr, o.arrived = clean(stdout.String()), clean(stderr.String()), clean(o.arrived)
	return o
}

// varying are the texts that differ from run to run, and those that the program's newest
// version words differently than Debian's.
var varying = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`Client \(null\) `), "Client null "},
	{regexp.MustCompile(`auto-[0-9A-F-]{36}`), "AUTO"},
	{regexp.MustCompile(`"tst":"[^"]*"`), `"tst":"TIME"`},
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+0000`), "TIME"},
	{regexp.MustCompile(`\b1[789]\d{8}\.\d{9}\b`), "SECONDS"},
}

// stir does what is to happen after the program has subscribed.
func (c *scenario) stir(b *broker, p *os.Process) error {
	if len(c.feed) == 0 && c.signal == 0 {
		return nil
	}
	if err := b.wait("Sending SUBACK to ", 2); err != nil { // ours is the first
		return err
	}
	if c.program() == "mosquitto_rr" { // wait until the request has arrived
		if err := b.wait("Sending PUBLISH to watcher", 1); err != nil {
			return err
		}
	}
	for _, m := range c.feed {
		if err := b.publish(m); err != nil {
			return err
		}
	}
	if c.signal != 0 {
		return p.Signal(c.signal)
	}
	return nil
}

func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// broker is a mosquitto process, with a client that watches it.
type broker struct {
	cmd    *exec.Cmd
	port   int
	client *mqtt.Client
	once   sync.Once

	mu   sync.Mutex
	log  []string
	news *sync.Cond
	over bool
}

func startBroker(daemon, dir, conf string) (*broker, error) {
	who, err := user.Current()
	if err != nil {
		return nil, err
	}
	for range 5 { // a port may be taken in between
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, "mosquitto.conf")
		text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nuser %s\nlog_dest stderr\nlog_type all\n%s", port, who.Username,
			strings.ReplaceAll(conf, "{dir}", dir))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
		b := &broker{port: port, cmd: exec.Command(daemon, "-c", path)}
		b.news = sync.NewCond(&b.mu)
		out, err := b.cmd.StderrPipe()
		if err != nil {
			return nil, err
		}
		if err := b.cmd.Start(); err != nil {
			return nil, err
		}
		go func() {
			lines := bufio.NewScanner(out)
			for lines.Scan() {
				b.mu.Lock()
				b.log = append(b.log, lines.Text())
				b.news.Broadcast()
				b.mu.Unlock()
			}
			b.mu.Lock()
			b.over = true
			b.news.Broadcast()
			b.mu.Unlock()
		}()
		if b.wait(" running", 1) == nil {
			return b, nil
		}
		b.stop()
	}
	return nil, errors.New("mosquitto does not start")
}

func (b *broker) stop() {
	b.once.Do(func() {
		if b.client != nil {
			b.client.Abort()
		}
		_ = b.cmd.Process.Signal(syscall.SIGTERM)
		_ = b.cmd.Wait()
	})
}

// count returns the number of lines of the log that contain a text.
func (b *broker) count(text string) (n int) {
	for _, line := range b.log {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// wait waits until n lines of the log contain a text.
func (b *broker) wait(text string, n int) error {
	return b.until("has not said "+text, func() bool { return b.count(text) >= n })
}

// until waits until a condition on the log is true.
func (b *broker) until(otherwise string, done func() bool) error {
	late := time.AfterFunc(patience, func() {
		b.mu.Lock()
		b.over = true
		b.news.Broadcast()
		b.mu.Unlock()
	})
	defer late.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for !done() {
		if b.over {
			return fmt.Errorf("mosquitto %s: %q", otherwise, b.log)
		}
		b.news.Wait()
	}
	return nil
}

// watch subscribes to everything, after the initial messages are published.
func (b *broker) watch(before []message) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b.client, err = mqtt.Connect(ctx, fmt.Sprintf("mqtt://watcher:watcher@127.0.0.1:%d", b.port), &mqtt.Options{Version: packet.V5, ClientID: "watcher", MaxInflight: 20})
	if err != nil {
		return err
	}
	for _, m := range before {
		if err := b.publish(m); err != nil {
			return err
		}
	}
	_, err = b.client.Subscribe(ctx, mqtt.Subscription{Filter: "#", QoS: 2, RetainAsPublished: true, RetainHandling: mqtt.RetainedNever})
	return err
}

func (b *broker) publish(m message) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return b.client.Publish(ctx, &mqtt.Message{Topic: m.topic, Payload: []byte(m.payload), QoS: m.qos, Retain: m.retain, Properties: m.props})
}

// arrived lists the messages that arrived, after the program has ended.
func (b *broker) arrived() (string, error) {
	b.mu.Lock()
	connected := b.count("New client connected from ")
	b.mu.Unlock()
	err := b.until("has not seen all clients leave", func() bool {
		return b.count(" disconnected")+b.count(" closed its connection")+b.count("disconnecting.") >= connected-1
	})
	if err != nil {
		return "", err
	}
	if err := b.publish(message{topic: "end", qos: 1}); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var list strings.Builder
	for {
		batch, err := b.client.Receive(ctx)
		if err != nil {
			return "", err
		}
		for i := range batch.Messages {
			m := &batch.Messages[i]
			if m.Topic == "end" {
				return list.String(), nil
			}
			fmt.Fprintf(&list, "%s q%d r%v %q", m.Topic, m.QoS, m.Retain, m.Payload)
			for p := range m.Properties.All() {
				fmt.Fprintf(&list, " %v=%q:%q:%d", p.ID, p.Bytes, p.Value, p.Uint)
			}
			list.WriteByte('\n')
		}
		batch.Ack(len(batch.Messages))
		batch.Release()
	}
}

// peer plays a broker that misbehaves: it sends its bytes after each packet that arrives,
// the first after CONNECT, and closes after the last.
type peer [][]byte

func (p peer) serve(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			in := bufio.NewReader(c)
			for _, say := range p {
				if _, err := in.ReadByte(); err != nil {
					return
				}
				n := 0
				for shift := 0; ; shift += 7 {
					b, err := in.ReadByte()
					if err != nil {
						return
					}
					if n |= int(b&0x7f) << shift; b < 0x80 {
						break
					}
				}
				if _, err := in.Discard(n); err != nil {
					return
				}
				_, _ = c.Write(say)
			}
		}()
	}
}

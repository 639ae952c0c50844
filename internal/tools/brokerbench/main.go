//go:build linux

// Command brokerbench compares this project's broker with mosquitto, or any two brokers:
// the processor time per delivered message, the number of connections accepted per second,
// and the memory of an idle connection.
//
//	go run ./internal/tools/brokerbench [-quick] [-run SUBSTRING]
//
// Each broker runs in its own process, restarted for every case and round; the brokers take
// turns within a round. One thread of this process runs all publishers and all subscribers,
// over sockets of the loopback interface. It publishes as long as fewer messages than the
// case's window are in flight, and checks the number and the order of the messages that
// arrive.
//
// Processor time is the broker's own, user and system, of all its threads, so that the
// result depends little on the machine's speed at that moment and on other load. The
// results are medians over the rounds. -quick runs one short round.
//
// Mosquitto runs without persistence and log, with the longest queues possible, and both
// with and without set_tcp_nodelay. -a and -b take command lines of other brokers, in which
// {port} is the port to listen on, at 127.0.0.1: another build of this command with -serve,
// or our tool,
//
//	brokerbench -a 'mqsub --serve 127.0.0.1:{port} -t none'
//
// whose limit of connections is too low for the cases of 10,000.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

func main() {
	var m measurement
	serveAt := flag.String("serve", "", "be the broker on `HOST:PORT`, until standard input ends")
	profile := flag.String("profile", "", "write processor and heap profiles of our broker to `DIR`; with -serve, to DIR.cpu and DIR.heap")
	flag.StringVar(&m.only, "run", "", "only the cases whose name has this `SUBSTRING`")
	flag.IntVar(&m.rounds, "rounds", 5, "rounds of each case")
	flag.DurationVar(&m.time, "time", 3*time.Second, "how long a round of a case publishes")
	version := flag.Int("version", 4, "protocol level of the clients: 3, 4 or 5")
	quick := flag.Bool("quick", false, "one round of half a second")
	a := flag.String("a", "", "the first broker's command line, with {port}; this project's")
	b := flag.String("b", "", "the second broker's; mosquitto's, in two configurations")
	flag.Parse()
	if *quick {
		m.rounds, m.time = 1, 500*time.Millisecond
	}
	m.version, m.profile = packet.Version(*version), *profile
	err := error(nil)
	switch {
	case *serveAt != "":
		err = serve(*serveAt, *profile)
	case flag.NArg() > 0 || !m.version.Valid() || m.rounds < 1:
		flag.Usage()
		os.Exit(2)
	default:
		err = m.compare(*a, *b)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "brokerbench:", err)
		os.Exit(1)
	}
}

// serve runs the broker as --serve does, except for the limit of connections.
func serve(addr, profile string) error {
	ln, err := transport.Listen(context.Background(), addr, nil)
	if err != nil {
		return err
	}
	if profile != "" {
		f, err := os.Create(profile + ".cpu")
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer func() {
			pprof.StopCPUProfile()
			_ = f.Close()
		}()
	}
	b := broker.New(broker.Options{ReasonStrings: true, MaxConnections: 20_000, MaxSessions: 20_000, Log: func(broker.Event) {}})
	go func() { _ = b.Serve(ln) }() // until Close
	_, _ = io.Copy(io.Discard, os.Stdin)
	if profile != "" {
		f, err := os.Create(profile + ".heap")
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		runtime.GC() // the profile is that of the last collection
		if err := pprof.Lookup("heap").WriteTo(f, 1); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return b.Close(ctx)
}

// measurement holds the options of the command line.
type measurement struct {
	only    string
	rounds  int
	time    time.Duration
	version packet.Version
	profile string
	dir     string // for configuration files
}

// brokers returns the two sides; the second may be one broker in several configurations, of
// which the best one counts.
func (m *measurement) brokers(a, b string) ([]*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ours := &server{name: "mqtools", words: []string{self, "-serve", "127.0.0.1:{port}"}, profile: m.profile}
	if a != "" {
		ours = &server{name: "a", words: strings.Fields(a)}
	}
	if b != "" {
		return []*server{ours, {name: "b", words: strings.Fields(b)}}, nil
	}
	daemon, err := findMosquitto()
	if err != nil {
		return nil, err
	}
	all := []*server{ours}
	for _, nodelay := range []string{"false", "true"} {
		path := filepath.Join(m.dir, nodelay+".conf")
		all = append(all, &server{name: "mosquitto", words: []string{daemon, "-c", path}, conf: path, text: mosquittoConf + "set_tcp_nodelay " + nodelay + "\n"})
	}
	return all, nil
}

func (m *measurement) compare(a, b string) error {
	if m.profile != "" {
		if err := os.MkdirAll(m.profile, 0o777); err != nil {
			return err
		}
	}
	var err error
	if m.dir, err = os.MkdirTemp("", "brokerbench"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(m.dir) }()
	all, err := m.brokers(a, b)
	if err != nil {
		return err
	}
	table := table{a: all[0].name, b: all[1].name}
	done := 0
	for i := range cases {
		c := &cases[i]
		if !strings.Contains(c.name(), m.only) {
			continue
		}
		results := make([][]result, len(all))
		for range m.rounds {
			for j, s := range all {
				r, err := m.once(s, c)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", c.name(), s.name, err)
				}
				results[j] = append(results[j], r)
			}
		}
		table.row(c, results)
		done++
	}
	if done == 0 {
		return errors.New("no such case")
	}
	return nil
}

// once runs one broker's turn.
func (m *measurement) once(s *server, c *load) (result, error) {
	p, err := s.start(c.name())
	if err != nil {
		return result{}, err
	}
	g, err := newGenerator(p.port, m.version)
	if err != nil {
		p.stop()
		return result{}, err
	}
	defer func() { p.stop(); g.close() }() // so that a heap profile shows the connections
	if c.idle > 0 {
		return c.hold(g, p)
	}
	return c.publish(g, p, m.time)
}

package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/mqtools/mqtools/internal/bytebroker"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// message is a row of the table of messages: how to provoke it, and the whole of it.
// In args and want, words of the scene stand for their values.
type message struct {
	name  string
	args  string // the command line
	scene func(*scene)
	want  string // standard error, behind the first newline
	code  int    // the exit status
}

// scene is what a message needs: a server, standard input, a way to connect.
type scene struct {
	*testing.T
	words []string // names and their values, as for strings.NewReplacer
	env   cli.Env
	steps [][]Step // of a broker of hand-written bytes, in virtual time; nil: none
}

// let has a word stand for a value.
func (s *scene) let(word, value string) { s.words = append(s.words, word, value) }

// play has a broker of hand-written bytes play a list of steps for each connection, in
// virtual time.
func play(conns ...[]Step) func(*scene) { return func(s *scene) { s.steps = conns } }

// dials has the tool connect as a dialer does, to this target.
func dials(d transport.Dialer, t transport.Target) func(*scene) {
	return func(s *scene) { s.env.Dial = func(ctx context.Context) (net.Conn, error) { return d.Dial(ctx, &t) } }
}

// names is a name service that answers every question with this response code.
func names(rcode byte) transport.Dialer {
	return transport.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			size := make([]byte, 2)
			for {
				if _, err := io.ReadFull(theirs, size); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(size))
				if _, err := io.ReadFull(theirs, query); err != nil {
					return
				}
				end := 12
				for query[end] != 0 {
					end += int(query[end]) + 1
				}
				answer := query[:end+5]                           // the question without what stands behind it
				answer[2], answer[3] = answer[2]|0x80, 0x80|rcode // QR, RA
				copy(answer[6:12], make([]byte, 6))
				_, _ = theirs.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
			}
		}()
		return ours, nil
	}}}
}

var waits = regexp.MustCompile(`retrying in [0-9.]+s`) // a random time

// The messages that need virtual time, a name service or a system without resources.
// The others are the scripts of scripts/cli.
func TestMessages(t *testing.T) {
	t.Parallel()
	for _, m := range messages {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			s := &scene{T: t}
			m.scene(s)
			if s.steps != nil {
				s.let("ADDR", "127.0.0.1:PORT")
			}
			replace := strings.NewReplacer(s.words...)
			got := s.run(strings.Fields(replace.Replace(m.args)))
			want := strings.TrimPrefix(replace.Replace(m.want), "\n")
			if err := waits.ReplaceAllString(got.err, "retrying in WAIT"); err != want || got.code != m.code {
				t.Errorf("status %d\n%swant %d\n%s", got.code, err, m.code, want)
			}
		})
	}
}

// run runs a tool in the scene.
func (s *scene) run(args []string) (r result) {
	s.Helper()
	if s.env.Stdin == nil {
		s.env.Stdin = strings.NewReader("")
	}
	if s.steps == nil {
		s.env.Args, s.env.Lookup = args[1:], option.MapEnv(map[string]string{"MQ_CONFIG": "none"})
		return startIn(s.T, s.env, args[0]).wait()
	}
	synctest.Test(s.T, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // or it retries for ever what has failed
		defer cancel()
		b := InMemory(t, s.steps...).RunWith(ctx, tool(args[0]), s.env.Stdin, append([]string{"-i", "a"}, args[1:]...)...)
		r = result{b.Stdout, b.Stderr, b.Code}
	})
	return r
}

// messages is the table.
var messages = []message{
	{"no such host", "mqpub -t a -m x", dials(names(3), transport.Target{Network: "tcp", Host: "brokr.test", Port: 1883}), `
mqpub: cannot resolve "brokr.test": no such host
mqpub: check the spelling of -h or -L
`, 3},
	{"a name service that fails", "mqpub -t a -m x", dials(names(2), transport.Target{Network: "tcp", Host: "broker.test", Port: 1883}), `
mqpub: cannot resolve "broker.test": server misbehaving
mqpub: try again, or use an IP address
`, 3},
	{"a host that does not answer", "mqpub -t a -m x -h ADDR --connect-timeout 1.2", deaf, `
mqpub: cannot connect to ADDR: timed out after 1.2s
mqpub: check the address and any firewall; --connect-timeout sets the limit
`, 3},
	{"too many open files", "mqpub -t a -m x", func(s *scene) {
		s.env.Dial = func(context.Context) (net.Conn, error) {
			return nil, transport.SystemError(transport.OpConnect, &transport.Target{Network: "tcp", Host: "broker.test", Port: 1883}, syscall.EMFILE)
		}
	}, `
mqpub: cannot connect to broker.test:1883: too many open files
mqpub: raise the limit with ulimit -n, or use fewer clients
`, 3},
	{"no CONNACK", "mqpub -V 5 -t a -m x", play([]Step{{"10 ...", "hold"}}), `
mqpub: ADDR accepted the connection but sent no CONNACK within 10s
mqpub: is it an MQTT port? --connect-timeout sets the limit
`, 3},
	{"--wait-for", "mqpub -V 311 -t t -m x --wait-for 60", until, `
mqpub: ADDR closed the connection before CONNACK; retrying in WAIT (until UNTIL, --wait-for)
`, 0},
	{"many messages in flight", "mqpub -V 311 -t t -l -q 1", many, `
mqpub: connection to ADDR lost; reconnecting
mqpub: reconnected to ADDR; it lost our session: 30 messages may be delivered twice
mqpub: connection lost with many messages in flight; sending at most 20 at a time, and more as they are acknowledged
`, 0},
}

// until is a broker that takes the second connection, and lets UNTIL be a minute after
// the beginning of virtual time.
func until(s *scene) {
	s.let("UNTIL", time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC).Local().Format(time.TimeOnly))
	s.steps = [][]Step{{{"10 ...", "close"}}, {{"10 ...", "20 02 00 00"}, {"30 04 0001 74 78", ""}, {"e0 00", ""}}}
}

// many is a broker of MQTT 3.1.1 that ends the connection when 30 messages are in
// flight, and takes them in the next.
func many(s *scene) {
	s.env.Stdin = strings.NewReader(strings.Repeat("x\n", 30))
	publishes := func(first, n int, last string) (steps []Step) {
		for id := range n {
			steps = append(steps, Step{fmt.Sprintf("32 06 0001 74 %04x 78", first+id), ""})
		}
		steps[n-1][1] = last
		return steps
	}
	acks := func(first, n int) (all string) {
		for id := range n {
			all += fmt.Sprintf("40 02 %04x", first+id)
		}
		return all
	}
	begin := []Step{{"10 ...", "20 02 00 00"}}
	s.steps = [][]Step{
		slices.Concat(begin, publishes(1, 30, "close")),
		slices.Concat(begin, publishes(31, 20, acks(31, 20)), publishes(51, 10, acks(51, 10)), []Step{{"e0 00", ""}}),
	}
}

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	runs "github.com/mqtools/mqtools/internal/bench/result"
	. "github.com/mqtools/mqtools/internal/bytebroker"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// message is a row of the table of what the tools say: how to provoke it, and the whole
// of what is said then. In args and says, words of the scene stand for their values.
type message struct {
	row   string       // its number, and a letter where it has several messages
	args  string       // the command line; single quotes keep blanks
	scene func(*scene) // nil: none is needed
	says  string       // standard error, behind the first newline
	code  int          // the exit status
	out   string       // of a report, the lines with verdicts
}

// scene is what a message needs: a server, files, an environment.
type scene struct {
	*testing.T
	words []string // names and their values, as for strings.NewReplacer
	env   cli.Env
	steps [][]Step // of a broker of hand-written bytes, in virtual time; nil: none

	process func(args []string) result // runs the tool as a process; nil: in this one
	last    string                     // when this has been said, a signal comes; "": none does
}

// let has a word stand for a value.
func (s *scene) let(word, value string) { s.words = append(s.words, word, value) }

// file writes a file, and lets FILE be its path.
func (s *scene) file(name, text string, mode os.FileMode) string {
	path := filepath.Join(s.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		s.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		s.Fatal(err)
	}
	s.let("FILE", path)
	return path
}

// play has a broker of hand-written bytes play a list of steps for each connection, in
// virtual time.
func play(conns ...[]Step) func(*scene) { return func(s *scene) { s.steps = conns } }

// serve has a server answer each connection with f.
func serve(f func(net.Conn)) func(*scene) {
	return func(s *scene) { s.let("ADDR", accepting(s.T, f)) }
}

// says has a server say something at once, and wait for the end.
func says(text string) func(*scene) {
	return serve(func(c net.Conn) { _, _ = io.WriteString(c, text); _, _ = io.Copy(io.Discard, c) })
}

// secure has a broker serve TLS, and lets CAFILE, OTHERCERT and OTHERKEY be files of
// the set of certificates.
func secure(config func(*certtest.Set) *tls.Config) func(*scene) {
	return func(s *scene) {
		certs := certtest.New(s.T)
		_, addr := brokertest.StartOn(s.T, "127.0.0.1:0", config(certs), broker.Options{})
		s.let("ADDR", addr)
		s.let("CAFILE", certs.CA.CertFile)
		s.let("OTHERCERT", certs.OtherClient.CertFile)
		s.let("OTHERKEY", certs.OtherClient.KeyFile)
	}
}

// showing is a server with a certificate.
func showing(pair func(*certtest.Set) certtest.Pair) func(*certtest.Set) *tls.Config {
	return func(s *certtest.Set) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{pair(s).TLS}, MinVersion: tls.VersionTLS12}
	}
}

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

const (
	clean5  = "10 0e 0004 4d515454 05 02 0000 00 0001 61"
	keeps5  = "10 13 0004 4d515454 05 00 0000 05 11 ffffffff 0001 61"
	stream5 = "10 13 0004 4d515454 05 02 0000 05 11 0000012c 0001 61"
	again5  = "10 13 0004 4d515454 05 00 0000 05 11 0000012c 0001 61"
	ok5     = "20 03 00 00 00"
	sub5    = "82 07 0001 00 0001 74 00"
	subok5  = "90 04 0001 00 00"

	sub5Again, subok5Again = "82 07 0002 00 0001 74 00", "90 04 0002 00 00"
	bye                    = "e0 00"
	bye5                   = "e0 07 00 05 11 00000000"
)

var (
	waits    = regexp.MustCompile(`retrying in [0-9.]+s`) // a random time
	serves   = regexp.MustCompile(`serving MQTT on \S+:(\d+)`)
	verdicts = regexp.MustCompile(`(?m)^- \*\*.*\n`)
)

// Every message of the table is said, word for word. Only the end of a command for a
// password is missing, timed out after 2m, which takes as long.
func TestMessages(t *testing.T) {
	t.Parallel()
	for _, m := range messages {
		t.Run(m.row, func(t *testing.T) {
			t.Parallel()
			s := &scene{T: t}
			if m.scene != nil {
				m.scene(s)
			}
			if s.steps != nil {
				s.let("ADDR", "127.0.0.1:PORT")
			}
			replace := strings.NewReplacer(s.words...)
			args := split(m.args)
			for i := range args {
				args[i] = replace.Replace(args[i])
			}
			got := s.run(args)
			says := strings.TrimPrefix(replace.Replace(m.says), "\n")
			err := waits.ReplaceAllString(got.err, "retrying in WAIT")
			if port := serves.FindStringSubmatch(err); port != nil {
				err = strings.ReplaceAll(err, ":"+port[1], ":PORT")
			}
			if err != says || got.code != m.code {
				t.Errorf("%q: status %d\n%swant %d\n%s", args, got.code, err, m.code, says)
			}
			if out := strings.Join(verdicts.FindAllString(got.out, -1), ""); m.out != "" && out != strings.TrimPrefix(m.out, "\n") {
				t.Errorf("%q: the report has\n%swant%s", args, out, m.out)
			}
		})
	}
}

// split is a command line; single quotes keep blanks.
func split(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// run runs a tool in the scene.
func (s *scene) run(args []string) (r result) {
	s.Helper()
	if s.process != nil {
		return s.process(args)
	}
	if s.env.Stdin == nil {
		s.env.Stdin = strings.NewReader("")
	}
	if s.steps != nil {
		synctest.Test(s.T, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // or it tries for ever what has failed
			defer cancel()
			b := InMemory(t, s.steps...).RunWith(ctx, tool(args[0]), s.env.Stdin, append([]string{"-i", "a"}, args[1:]...)...)
			r = result{b.Stdout, b.Stderr, b.Code}
		})
		return r
	}
	s.env.Args, s.env.Lookup = args[1:], option.MapEnv(map[string]string{"MQ_CONFIG": "none"})
	p := startIn(s.T, s.env, args[0])
	if s.last == "" {
		return p.wait()
	}
	for deadline := time.Now().Add(patience); !strings.Contains(p.err.String(), s.last) && time.Now().Before(deadline); {
		select {
		case <-p.done:
			return p.wait()
		case <-time.After(time.Millisecond):
		}
	}
	p.cancel(&cli.SignalError{Signal: syscall.SIGTERM})
	return p.wait()
}

// input is standard input.
func input(text string) func(*scene) {
	return func(s *scene) { s.env.Stdin = strings.NewReader(text) }
}

// with is several scenes together.
func with(all ...func(*scene)) func(*scene) {
	return func(s *scene) {
		for _, f := range all {
			f(s)
		}
	}
}

// messages is the table.
var messages = []message{
	{"1", "mqpub -t a -m x -h 127.0.0.1:1", nil, `
mqpub: cannot connect to 127.0.0.1:1: connection refused
mqpub: is a broker running there? check -h, -p or -L
`, 3, ""},
	{"2a", "mqpub -t a -m x", dials(names(3), transport.Target{Network: "tcp", Host: "brokr.test", Port: 1883}), `
mqpub: cannot resolve "brokr.test": no such host
mqpub: check the spelling of -h or -L
`, 3, ""},
	{"2b", "mqpub -t a -m x", dials(names(2), transport.Target{Network: "tcp", Host: "broker.test", Port: 1883}), `
mqpub: cannot resolve "broker.test": server misbehaving
mqpub: try again, or use an IP address
`, 3, ""},
	{"3", "mqpub -t a -m x -h ADDR --connect-timeout 1.2", deaf, `
mqpub: cannot connect to ADDR: timed out after 1.2s
mqpub: check the address and any firewall; --connect-timeout sets the limit
`, 3, ""},
	{"4a", "mqpub -t a -m x --unix /nowhere/socket", nil, `
mqpub: cannot connect to /nowhere/socket: no such socket
mqpub: is the broker running? check --unix
`, 3, ""},
	{"4b", "mqpub -t a -m x --unix SOCKET", stale, `
mqpub: cannot connect to SOCKET: connection refused
mqpub: the socket file is stale; start the broker
`, 3, ""},
	{"5a", "mqpub -t a -m x -h 127.0.0.1 --bind-address 192.0.2.1", nil, `
mqpub: cannot connect from 192.0.2.1: not a local address, or no free port
mqpub: check --bind-address
`, 3, ""},
	{"5b", "mqpub -t a -m x", func(s *scene) {
		s.env.Dial = func(context.Context) (net.Conn, error) {
			return nil, transport.SystemError(transport.OpConnect, &transport.Target{Network: "tcp", Host: "broker.test", Port: 1883}, syscall.EMFILE)
		}
	}, `
mqpub: cannot connect to broker.test:1883: too many open files
mqpub: raise the limit with ulimit -n, or use fewer clients
`, 3, ""},
	{"6", "mqpub -V 5 -t a -m x", play([]Step{{clean5, "hold"}}), `
mqpub: ADDR accepted the connection but sent no CONNACK within 10s
mqpub: is it an MQTT port? --connect-timeout sets the limit
`, 3, ""},
	{"7", "mqpub -V 311 -t a -m x", play([]Step{{"10 ...", "close"}}), `
mqpub: ADDR closed the connection before CONNACK
mqpub: if the port expects TLS, add --tls or --cafile FILE
`, 3, ""},
	{"8", "mqpub -t a -m x -h ADDR", says("HTTP/1.1 400 Bad Request\r\n\r\n"), `
mqpub: ADDR speaks HTTP, not MQTT (it answered "HTTP/1.1 400 Bad Request\r\n\r\n")
mqpub: use --ws for WebSocket, or the MQTT port (usually 1883)
`, 3, ""},
	{"9a", "mqpub -t a -m x -h ADDR --tls", says("hello\r\n"), `
mqpub: ADDR does not speak TLS (it answered "hello")
mqpub: use the TLS port (usually 8883), or drop --tls and --cafile
`, 3, ""},
	{"9b", "mqpub -t a -m x -h ADDR --tls", serve(func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, 5)) }), `
mqpub: ADDR closed the connection during the TLS handshake
mqpub: does this port speak TLS? the usual TLS port is 8883
`, 3, ""},
	{"10", "mqpub -t a -m x -h ADDR --tls", secure((*certtest.Set).ServerConfig), `
mqpub: ADDR: certificate signed by unknown CA "CN=mqtools test CA,O=mqtools test"
mqpub: pass that CA's certificate: --cafile FILE
`, 3, ""},
	{"11", "mqpub -t a -m x -h ADDR --tls", secure(showing(func(s *certtest.Set) certtest.Pair { return s.SelfSigned })), `
mqpub: ADDR: self-signed certificate "CN=self,O=mqtools test"
mqpub: if you trust it, pass it: --cafile FILE
`, 3, ""},
	{"12", "mqpub -t a -m x -h ADDR --cafile CAFILE", secure(showing(func(s *certtest.Set) certtest.Pair { return s.WrongHost })), `
mqpub: ADDR: certificate is for "elsewhere.example", "other.example", not for "127.0.0.1"
mqpub: connect to elsewhere.example, or pass --tls-server-name elsewhere.example
`, 3, ""},
	{"13", "mqpub -t a -m x -h ADDR --cafile CAFILE", secure(showing(func(s *certtest.Set) certtest.Pair { return s.Expired })), `
mqpub: ADDR: certificate expired on 2020-01-02 03:04:05 UTC
mqpub: renew it, or check this machine's clock
`, 3, ""},
	{"14a", "mqpub -t a -m x -h ADDR --cafile CAFILE", secure((*certtest.Set).MutualConfig), `
mqpub: ADDR requires a client certificate
mqpub: pass --cert FILE and --key FILE
`, 3, ""},
	{"14b", "mqpub -t a -m x -h ADDR --cafile CAFILE --cert OTHERCERT --key OTHERKEY", secure((*certtest.Set).MutualConfig), `
mqpub: ADDR refused the client certificate: unknown certificate authority
mqpub: use one signed by a CA that the broker trusts for clients
`, 3, ""},
	{"15", "mqpub -t a -m x -L ws://ADDR", serve(func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 5))
		_ = c.(*net.TCPConn).SetLinger(0)
	}), `
mqpub: ws://ADDR/mqtt: connection reset during the WebSocket handshake
mqpub: does this port speak WebSocket? for plain MQTT drop --ws
`, 3, ""},
	{"16", "mqpub -t a -m x -L ws://ADDR/other", says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), `
mqpub: ws://ADDR/other: broker answered 404 Not Found
mqpub: check --ws-path; many brokers use /mqtt
`, 3, ""},
	{"17", "mqsub --serve ADDR", says(""), `
mqsub: cannot listen on ADDR: address already in use
mqsub: stop that program, or pass --serve another port
`, 3, ""},
	{"18", "mqpub -V 5 -t a -m x", play([]Step{{clean5, "20 03 00 86 00"}}), `
mqpub: ADDR refused the connection: bad user name or password (0x86)
mqpub: check --username and --password-file
`, 4, ""},
	{"19", "mqsub -V 5 -t t --retry-for 0", play([]Step{{clean5, ok5}, {sub5, subok5}, {"", "close"}}, []Step{{"10 ...", "20 03 00 87 00"}}), `
mqsub: connection to ADDR lost; reconnecting
mqsub: ADDR refused the connection: not authorized (0x87)
mqsub: check --username and --password-file, and the broker's access rules
`, 4, ""},
	{"20a", "mqpub -V 5 -t a -m x", play([]Step{{clean5, "20 03 00 84 00"}}), `
mqpub: ADDR refused the connection: MQTT 5 not supported (0x84)
mqpub: try -V 311
`, 4, ""},
	{"20b", "mqpub -V 5 -t a -m x", play([]Step{{clean5, "20 03 00 85 00"}}), `
mqpub: ADDR refused the client ID "a" (0x85)
mqpub: pass another --id
`, 4, ""},
	{"21", "mqpub -t a -m x -u u -P p --auth scram-sha-256", play([]Step{{"10 ...", "20 03 00 8c 00"}}), `
mqpub: ADDR does not support --auth scram-sha-256 (0x8c)
mqpub: drop --auth, or ask the broker's operator which methods it has
`, 4, ""},
	{"22", "mqsub -V 5 -t t -C 1", play([]Step{{clean5, ok5}, {sub5, subok5}, {"", "close"}}, []Step{{"10 ...", "close"}}, []Step{{"10 ...", ok5}, {sub5Again, subok5Again + "30 05 0001 74 00 78"}, {bye, ""}}), `
mqsub: connection to ADDR lost; reconnecting
mqsub: ADDR closed the connection before CONNACK; retrying in WAIT
mqsub: reconnected to ADDR
`, 0, ""},
	{"23", "mqpub -V 311 -t t -m x --wait-for 60", with(until, play([]Step{{"10 ...", "close"}}, []Step{{"10 ...", "20 02 00 00"}, {"30 04 0001 74 78", ""}, {bye, ""}})), `
mqpub: ADDR closed the connection before CONNACK; retrying in WAIT (until UNTIL, --wait-for)
`, 0, ""},
	{"24", "mqsub -V 5 -t t -C 1", play([]Step{{clean5, ok5}, {sub5, subok5}, {"", "close"}}, []Step{{"10 ...", ok5}, {sub5Again, subok5Again + "30 05 0001 74 00 78"}, {bye, ""}}), `
mqsub: connection to ADDR lost; reconnecting
mqsub: reconnected to ADDR
`, 0, ""},
	{"25", "mqpub -V 5 -t t -l -q 2", with(input("x\n"), play([]Step{{stream5, ok5}, {"34 07 0001 74 0001 00 78", "close"}},
		[]Step{{again5, ok5}, {"34 07 0001 74 0002 00 78", "50 02 0002"}, {"62 02 0002", "70 02 0002"}, {bye5, ""}})), `
mqpub: connection to ADDR lost; reconnecting
mqpub: reconnected to ADDR; it lost our session: 1 message may be delivered twice
`, 0, ""},
	{"26", "mqsub -V 5 -t t -c -C 1", play([]Step{{keeps5, ok5}, {sub5, subok5}, {"", "close"}}, []Step{{keeps5, ok5}, {sub5Again, subok5Again + "30 05 0001 74 00 78"}, {bye, ""}}), `
mqsub: connection to ADDR lost; reconnecting
mqsub: warning: reconnected to ADDR; it lost our session: messages published meanwhile may be missing
`, 0, ""},
	{"27", "mqpub -V 311 -t t -l -q 1", many, `
mqpub: connection to ADDR lost; reconnecting
mqpub: reconnected to ADDR; it lost our session: 30 messages may be delivered twice
mqpub: connection lost with many messages in flight; sending at most 20 at a time, and more as they are acknowledged
`, 0, ""},
	{"28", "mqsub -V 5 -t t", play([]Step{{clean5, ok5}, {sub5, "90 04 0001 00 87"}, {bye, ""}}), `
mqsub: broker refused the subscription "t": not authorized (0x87)
mqsub: check the broker's access rules
`, 5, ""},
	{"29a", "mqsub -V 5 -t t -q 1 -E", play([]Step{{clean5, ok5}, {"82 07 0001 00 0001 74 01", subok5}, {bye, ""}}), `
mqsub: warning: broker granted QoS 0, not 1, for "t"
`, 0, ""},
	{"29b", "mqsub -V 5 -U v -c", play([]Step{{keeps5, ok5}, {"a2 06 0001 00 0001 76", "b0 04 0001 00 11"}, {bye, ""}}), `
mqsub: warning: the session had no subscription to "v"
`, 0, ""},
	{"30a", "mqsub -V 5 -t t -W 5 -C 5", play([]Step{{clean5, ok5}, {sub5, subok5 + strings.Repeat("30 05 0001 74 00 78", 4)}, {bye, ""}}), `
mqsub: timed out after 5s (4 of 5 messages received)
`, 27, ""},
	{"30b", "mqsub -V 5 -t t -W 5", play([]Step{{clean5, ok5}, {sub5, subok5 + strings.Repeat("30 05 0001 74 00 78", 4)}, {bye, ""}}), `
mqsub: timed out after 5s (4 messages received)
`, 27, ""},
	{"30c", "mqsub -V 5 -t t -W 5", play([]Step{{clean5, ok5}, {sub5, subok5}, {bye, ""}}), `
mqsub: timed out after 5s (no messages received)
`, 27, ""},
	{"31", "mqsub -V 5 -t t --idle-timeout 1m", play([]Step{{clean5, ok5}, {sub5, subok5}, {bye, ""}}), `
mqsub: timed out: no message for 1m (--idle-timeout)
`, 27, ""},
	{"32", "mqsub -V 5 -t t --retained-only", play([]Step{{clean5, ok5}, {sub5, subok5}, {"c0 00", "d0 00"}, {"c0 00", "d0 00"}, {bye, ""}}), `
mqsub: no retained message matches "t"
`, 28, ""},
	{"33a", "mqpub -V 5 -t q -m x -e t -W 1", play([]Step{{clean5, ok5}, {"82 ...", subok5}, {"30 ...", ""}, {bye, ""}}), `
mqpub: no reply within 1s
mqpub: is a responder subscribed to "q"?
`, 27, ""},
	{"33b", "mqpub -V 5 -t q -m x -e t -W 1 --replies 3 -D publish correlation-data c", play([]Step{{clean5, ok5}, {"82 ...", subok5}, {"30 ...", "30 09 0001 74 04 09 0001 63 79"}, {bye, ""}}), `
mqpub: timed out after 1s (1 of 3 replies)
mqpub: is a responder subscribed to "q"?
`, 27, ""},
	{"34", "mqpub -V 5 -t a/b -l -q 1 -h ADDR --reconnect-delay 10ms --quiet", denying, `
mqpub: message 3 (topic "a/b") ends every connection it is sent on: it may not be allowed, or be too large (13 bytes), or the broker may not support QoS 1
mqpub: 2 of 4 messages not delivered: 2 unacknowledged (may have arrived)
mqpub: stopped at line 3; --on-undeliverable skip goes on without it, wait keeps trying
`, 7, ""},
	{"35", "mqpub -V 5 -t t -l -q 1 --no-reconnect", with(input("x\nx\nx\n"), play([]Step{{stream5, ok5}, {"32 07 0001 74 0001 00 78", "40 03 0001 87"}, {"32 07 0001 74 0002 00 78", ""}, {"32 07 0001 74 0003 00 78", "close"}})), `
mqpub: message 1: publish refused: not authorized (0x87)
mqpub: connection lost
mqpub: 3 of 3 messages not delivered: 1 refused, 2 unacknowledged (may have arrived)
`, 7, ""},
	{"36", "mqpub -V 5 -t t -m x -q 1", play([]Step{{clean5, ok5}, {"32 07 0001 74 0001 00 78", "close"}}), `
mqpub: topic "t": message not acknowledged: connection lost
mqpub: it may have been delivered
`, 7, ""},
	{"37", "mqpub -V 5 --input jsonl", with(input("no\n[]\n"), play([]Step{{stream5, ok5}, {bye5, ""}})), `
mqpub: standard input:1:1: not a JSON object
mqpub: --input jsonl reads what mqsub --json prints
mqpub: standard input:2:1: not a JSON object
mqpub: 2 of 2 messages not delivered: 2 invalid
`, 6, ""},
	{"38a", "mqpub -V 5 --input jsonl", with(input(`{"topic":"t","payload":"x","retained":true}`), play([]Step{{stream5, ok5}, {bye5, ""}})), `
mqpub: standard input:1:28: unknown key "retained"
mqpub: did you mean retain?
mqpub: 1 of 1 message not delivered: 1 invalid
`, 6, ""},
	{"38b", "mqpub -V 5 --input jsonl", with(input(strings.Repeat(`{"topic":"t","payload":"x","host":"h"}`+"\n", 2)), play([]Step{{stream5, ok5}, {"30 05 0001 74 00 78", ""}, {"30 05 0001 74 00 78", ""}, {"c0 00", "d0 00"}, {bye5, ""}})), `
mqpub: warning: standard input:1: unknown key "host" has no effect; --strict refuses it
`, 0, ""},
	{"39", "mqsub -h ADDR -t t", unread, `
mqsub: standard output is blocked; QoS 1 and 2 messages not written are left unacknowledged
`, 143, ""},
	{"40", "mqpub -t a", nil, `
mqpub: no message given
mqpub: pass -m TEXT, -f FILE, -l, ... (see --help)
`, 2, ""},
	{"41", "mqsub", nil, `
mqsub: no topic filter given
mqsub: pass one, e.g. -t 'a/#'
`, 2, ""},
	{"42", "mqpub -t a/# -m x", nil, `
mqpub: --topic "a/#": cannot publish to a wildcard
mqpub: publish to one topic; + and # are for subscribing
`, 2, ""},
	{"43", "mqpub -t a -m x -f y", nil, `
mqpub: --message and --file cannot be used together
mqpub: publish one message at a time
`, 2, ""},
	{"44a", "mqpub -t a -m x -q 5", nil, `
mqpub: --qos: invalid value "5" (want 0, 1 or 2)
mqpub: try 'mqpub --help'
`, 2, ""},
	{"44b", "mqpub -t a -m x -W abc", nil, `
mqpub: --timeout: invalid duration "abc" (e.g. 5, 250ms, 2m)
mqpub: try 'mqpub --help'
`, 2, ""},
	{"45a", "mqpub -t a -m x --cert x", nil, `
mqpub: --cert needs --key
mqpub: try 'mqpub --help'
`, 2, ""},
	{"45b", "mqpub -t a -m x --insecure", nil, `
mqpub: --insecure needs TLS
mqpub: add --tls, or use mqtts://
`, 2, ""},
	{"46", "mqpub -t a -m x -h mqtt://x", nil, `
mqpub: --host takes a host, not a URL: "mqtt://x"
mqpub: use -L mqtt://x
`, 2, ""},
	{"47", "mqsub -t a -c", nil, `
mqsub: --disable-clean-session needs a client ID
mqsub: add --id NAME
`, 2, ""},
	{"48", "mqsub -t a --config /nowhere/x", nil, `
mqsub: --config: cannot read "/nowhere/x": no such file
mqsub: --config none uses no file
`, 2, ""},
	{"49", "mqpub -t a -m x -h 127.0.0.1:1 --config FILE", func(s *scene) { s.file("config.yaml", "defaults: {password: p}\n", 0o644) }, `
mqpub: warning: "FILE" holds a secret and other users can read it
mqpub: chmod 600 FILE
mqpub: cannot connect to 127.0.0.1:1: connection refused
mqpub: is a broker running there? check -h, -p or -L
`, 3, ""},
	{"50", "mqpub -t a -m x -h ADDR --tls --insecure", secure((*certtest.Set).ServerConfig), `
mqpub: warning: --insecure: anyone on the network can pose as the broker
`, 0, ""},
	{"51", "mqsub --serve :0", everywhere, `
mqsub: serving MQTT on ANY:PORT
mqsub: warning: anyone on the network can use this broker
mqsub: add --serve-users FILE, or --serve 127.0.0.1:PORT
`, 143, ""},
	{"52", "mqpub -t a -m x --password-command 'exit 1'", nil, `
mqpub: --password-command: exit status 1
`, 2, ""},
	{"53a", "mqbench", nil, `
mqbench: no command given
mqbench: try 'mqbench --help'
`, 2, ""},
	{"53b", "mqbench run foo", nil, `
mqbench: unknown preset "foo"
mqbench: 'mqbench presets' lists them; scenario files end in .yaml
`, 2, ""},
	{"54a", "mqbench search pub --slo p99", nil, `
mqbench: --slo: invalid condition "p99" (e.g. p99<10ms)
mqbench: try 'mqbench search --help'
`, 2, ""},
	{"54b", "mqbench conn --start-at x", nil, `
mqbench: --start-at: invalid time "x" (e.g. 2026-11-21T09:30:00Z, or @ and seconds since 1970)
mqbench: try 'mqbench conn --help'
`, 2, ""},
	{"54c", "mqsub --serve 127.0.0.1:0 --serve-users FILE", func(s *scene) { s.file("users.yaml", "anonymous: true\nlmits: {connections: 5}\n", 0o600) }, `
mqsub: FILE:2:1: unknown key "lmits"
mqsub: did you mean limits?
`, 2, ""},
	{"54d", "mqsub -t a --config FILE", func(s *scene) { s.file("config.yaml", "default:\n  qos: 1\n", 0o600) }, `
mqsub: FILE:1:1: unknown key "default"
mqsub: did you mean defaults?
`, 2, ""},
	{"54e", "mqbench play FILE --connect 127.0.0.1", func(s *scene) { s.file("script.yaml", "name: n\nrole: client\nversion: 5.0\nstpes: []\n", 0o600) }, `
mqbench: FILE:4:1: unknown key "stpes"
mqbench: did you mean steps?
`, 2, ""},
	{"54f", "mqbench run FILE", func(s *scene) { s.file("mine.yaml", "group: {a: {clients: 1}}\n", 0o600) }, `
mqbench: FILE:1:1: unknown key "group"
mqbench: did you mean groups?
`, 2, ""},
	{"55", "mqbench report FILE -F markdown", measured(figures{qos: 1, came: 1000, lag: 4 * time.Millisecond, response: 5 * time.Millisecond}), "", 0, `
- **GENERATOR LIMITED**: messages were sent late (lag p99 4.00 ms, limit 1.00 ms); use fewer clients, --procs or a faster machine
`},
	{"56", "mqbench report FILE -F markdown", measured(figures{qos: 1, came: 500, response: time.Millisecond}), "", 0, `
- **SATURATED**: delivered 500/s of 1,000/s due (50 %); latencies grow with the length of the run: the subscribers waited for the broker, and the backlog grew by 500/s to 3,000; the broker sustained 500/s: use that rate or less
`},
	{"57a", "mqbench report FILE -F markdown", measured(figures{qos: 1, came: 998, lost: 12, response: time.Millisecond}), "", 5, `
- **VIOLATION**: 12 of 6,000 messages lost at QoS 1, which MQTT forbids; check the broker's queue limits
`},
	{"57b", "mqbench report FILE -F markdown", measured(figures{qos: 2, came: 1000, duplicates: 3, response: time.Millisecond}), "", 5, `
- **VIOLATION**: 3 duplicates at QoS 2, which MQTT forbids; run 'mqbench verify' to see when
`},
}

// until lets UNTIL be a minute behind the beginning of virtual time.
func until(s *scene) {
	s.let("UNTIL", time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC).Local().Format(time.TimeOnly))
}

// stale is the file of a socket that nobody listens on any more.
func stale(s *scene) {
	path := filepath.Join(s.TempDir(), "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		s.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	_ = ln.Close()
	s.let("SOCKET", path)
}

// everywhere lets ANY be how the system writes all addresses, and ends a broker that
// serves there.
func everywhere(s *scene) {
	s.last = "add --serve-users"
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		s.Fatal(err)
	}
	defer ln.Close()
	host, _, _ := net.SplitHostPort(ln.Addr().String())
	s.let("ANY", strings.TrimSuffix(net.JoinHostPort(host, ""), ":"))
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
		slices.Concat(begin, publishes(31, 20, acks(31, 20)), publishes(51, 10, acks(51, 10)), []Step{{bye, ""}}),
	}
}

// denying is a server that ends the connection at one message.
func denying(s *scene) {
	s.env.Stdin = strings.NewReader("one\ntwo\nbad\nthree\n")
	s.let("ADDR", brokertest.StartClosing(s.T, func(f packet.Frame, v packet.Version) bool {
		var p packet.Publish
		return f.Type == packet.PUBLISH && p.Parse(f, v) == nil && string(p.Payload) == "bad"
	}).Addr)
}

// unread has a process whose standard output nobody reads on behind the first byte, and
// which a signal ends then.
func unread(s *scene) {
	need(s.T)
	_, addr := brokertest.Start(s.T)
	s.let("ADDR", addr)
	ok(s.T, strings.Repeat("x", 1<<20), "mqpub", append(at(addr), "-t", "t", "-s", "-r", "-q", "1")...) // more than a pipe takes
	s.process = func(args []string) result {
		bin, err := binaries()
		if err != nil {
			s.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c := exec.CommandContext(ctx, filepath.Join(bin, args[0]), args[1:]...)
		var stderr bytes.Buffer
		c.Stderr, c.Env = &stderr, append(os.Environ(), "MQ_CONFIG=none")
		stdout, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			s.Fatal(err)
		}
		_, _ = stdout.Read(make([]byte, 1))
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		code := c.ProcessState.ExitCode()
		if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			code = 128 + int(status.Signal())
		}
		return result{err: stderr.String(), code: code}
	}
}

// figures are those of a run of six seconds at a thousand messages a second.
type figures struct {
	qos              packet.QoS
	came             int64 // a second
	lost, duplicates int64
	lag, response    time.Duration
}

// measured lets FILE be the result of a run.
func measured(f figures) func(*scene) {
	return func(s *scene) {
		const rate, seconds = 1000, 6
		r := &runs.Result{Run: runs.Run{Tool: "test", Plan: runs.Plan{Name: "pubsub", Hash: strings.Repeat("0", 20), Scale: 1, Header: true}, Shards: 1, Step: time.Second},
			Shards: []runs.Shard{{Epoch: time.Unix(0, 0)}}, Ends: []runs.End{{At: (seconds + 1) * time.Second, Complete: true}}}
		for n := range seconds + 1 {
			phase := runs.PhaseMeasure
			if n == seconds {
				phase = runs.PhaseDrain
			}
			i := runs.NewInterval(phase, time.Duration(n)*time.Second, time.Duration(n+1)*time.Second)
			r.Intervals = append(r.Intervals, i)
			came := f.came
			if phase == runs.PhaseDrain {
				came = seconds*(rate-f.came) - f.lost
				i.Count(runs.Lost, "sub", f.qos, f.lost)
				i.Count(runs.Duplicates, "sub", f.qos, f.duplicates)
				i.Count(runs.Settled, "pub", runs.NoQoS, 1)
			} else {
				for _, c := range []runs.Counter{runs.Offered, runs.Sent, runs.Acked, runs.Answered} {
					i.Count(c, "pub", f.qos, rate)
				}
				i.Count(runs.Expected, "sub", f.qos, rate)
			}
			for _, c := range []runs.Counter{runs.Delivered, runs.Distinct, runs.Arrived} {
				i.Count(c, "sub", f.qos, came)
			}
			if came > 0 {
				i.Histogram(runs.Key{Op: runs.Delivery, Kind: runs.Response, Group: "sub"}).Record(f.response+time.Duration(n)*time.Second/2*time.Duration(rate-f.came)/rate, came)
				i.Histogram(runs.Key{Op: runs.Puback, Kind: runs.Lag, Group: "pub"}).Record(f.lag, came)
			}
		}
		path := s.file("run.jsonl", "", 0o600)
		file, err := os.Create(path)
		if err != nil {
			s.Fatal(err)
		}
		defer file.Close()
		if err := runs.Write(file, r); err != nil {
			s.Fatal(err)
		}
	}
}

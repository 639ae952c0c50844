//go:build unix

package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mqtools/mqtools/internal/brokerfile"
	"github.com/mqtools/mqtools/internal/bytebroker"
	"github.com/mqtools/mqtools/internal/notify/notifytest"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// world is what one script has around it: brokers, a peer, certificates.
type world struct {
	testing.TB
	brokers map[string]*server // by name; "" is the one that the environment leads to
	peer    *bytebroker.Broker
	certs   *certtest.Set
	manager *notifytest.Manager
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// server is a broker whose connections can be cut and whose events can be awaited.
type server struct {
	*broker.Broker
	listen func() (net.Listener, error)
	hidden bool // its listener does not register connections

	mu      sync.Mutex
	changed *sync.Cond
	ln      net.Listener
	conns   map[*conn]bool
	events  []event // not awaited yet
}

// event is what happened in a broker, and the client or topic that it happened to.
type event struct{ kind, client, topic string }

// conn is a connection to a server.
type conn struct {
	net.Conn
	s *server
}

func (c *conn) Close() error {
	c.s.mu.Lock()
	delete(c.s.conns, c)
	c.s.mu.Unlock()
	return c.Conn.Close()
}

// NetConn has the broker see the connection below.
func (c *conn) NetConn() net.Conn { return c.Conn }

// listener registers the connections of a server.
type listener struct {
	net.Listener
	s *server
}

func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{nc, l.s}
	l.s.mu.Lock()
	l.s.conns[c] = true
	l.s.mu.Unlock()
	return c, nil
}

// start has the server accept connections.
func (s *server) start() error {
	ln, err := s.listen()
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.ln = ln
	s.mu.Unlock()
	go func() { _ = s.Serve(ln) }()
	return nil
}

// stop closes the listener and cuts all connections; sessions stay.
func (s *server) stop() {
	s.mu.Lock()
	ln := s.ln
	s.mu.Unlock()
	_ = ln.Close()
	s.cut()
}

// cut closes all connections without a DISCONNECT.
func (s *server) cut() {
	s.mu.Lock()
	var all []*conn
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

func (s *server) happened(e event) {
	s.mu.Lock()
	s.events = append(s.events, e)
	s.changed.Broadcast()
	s.mu.Unlock()
}

var eventNames = map[broker.EventKind]string{
	broker.EventConnected: "connected", broker.EventDisconnected: "disconnected", broker.EventRefused: "refused",
	broker.EventRejected: "rejected", broker.EventSubscribed: "subscribed", broker.EventDropped: "dropped", broker.EventNotPublished: "not-published",
}

// await is the command
//
//	await [-broker NAME] EVENT [CLIENT|TOPIC]
//
// which waits until a broker reports an event that has not been awaited before.
func await(ts *testscript.TestScript, args []string) {
	f, name := brokerFlag("await")
	if f.Parse(args) != nil || f.NArg() < 1 || f.NArg() > 2 {
		ts.Fatalf("usage: await [-broker NAME] EVENT [CLIENT|TOPIC]")
	}
	s := worldOf(ts).broker(ts, *name)
	is := func(e event) bool {
		return e.kind == f.Arg(0) && (f.NArg() == 1 || f.Arg(1) == e.client || f.Arg(1) == e.topic)
	}
	late := time.AfterFunc(patience, func() { s.happened(event{kind: "timeout"}) })
	defer late.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if i := slices.IndexFunc(s.events, is); i >= 0 {
			s.events = slices.Delete(s.events, i, i+1)
			return
		}
		if slices.Contains(s.events, event{kind: "timeout"}) {
			ts.Fatalf("no such event within %v; there were %v", patience, s.events)
		}
		s.changed.Wait()
	}
}

func brokerFlag(command string) (*flag.FlagSet, *string) {
	f := flag.NewFlagSet(command, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	return f, f.String("broker", "", "")
}

func (w *world) broker(ts *testscript.TestScript, name string) *server {
	s := w.brokers[name]
	if s == nil {
		ts.Fatalf("there is no broker %q", name)
	}
	return s
}

// startBroker is the command
//
//	broker [-name NAME] [-tcp|-tls|-mutual|-ws] [-users FILE] [-deny FILTER] ...
//
// which starts a development broker that the environment of the script leads to. One
// with a name does not change the environment but for $NAME, its URL.
func startBroker(ts *testscript.TestScript, args []string) {
	w := worldOf(ts)
	f := flag.NewFlagSet("broker", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	name := f.String("name", "", "")
	tcp, useTLS, mutual, ws := f.Bool("tcp", false, ""), f.Bool("tls", false, ""), f.Bool("mutual", false, ""), f.Bool("ws", false, "")
	users, deny := f.String("users", "", ""), f.String("deny", "", "")
	maxQoS, maxPacket := f.Int("max-qos", 2, ""), f.Int("max-packet", 0, "")
	noRetain := f.Bool("no-retain", false, "")
	cert := f.String("cert", "server", "")
	if err := f.Parse(args); err != nil || f.NArg() > 0 {
		ts.Fatalf("%v %q", err, f.Args())
	}
	if w.brokers[*name] != nil {
		ts.Fatalf("there is a broker %q", *name)
	}
	s := &server{conns: map[*conn]bool{}}
	s.changed = sync.NewCond(&s.mu)
	o := broker.Options{MaxPacketSize: *maxPacket, DisableRetain: *noRetain}
	if *maxQoS < 2 {
		o.LimitQoS, o.MaximumQoS = true, packet.QoS(*maxQoS)
	}
	if *users != "" {
		file, err := brokerfile.Open(ts.MkAbs(*users))
		ts.Check(err)
		ts.Check(file.Apply(&o))
	}
	allowed := o.Authorize
	o.Authorize = func(client, user, name string, write bool) bool {
		if *deny != "" && topic.Match(*deny, name) || allowed != nil && !allowed(client, user, name, write) {
			return false
		}
		if write {
			s.happened(event{"published", client, name})
		}
		return true
	}
	o.Log = func(e broker.Event) {
		if e.Kind == broker.EventPanic {
			w.Errorf("the broker: %v", e)
		}
		if kind := eventNames[e.Kind]; kind != "" {
			s.happened(event{kind, e.ClientID, e.Topic})
		}
	}
	s.Broker = broker.New(o)
	var config *tls.Config
	if *useTLS || *mutual {
		config = w.certificates(ts).ServerConfig()
		if *mutual {
			config = w.certs.MutualConfig()
		}
		pairs := map[string]certtest.Pair{"server": w.certs.Server, "expired": w.certs.Expired, "self-signed": w.certs.SelfSigned, "wrong-host": w.certs.WrongHost}
		pair, ok := pairs[*cert]
		if !ok {
			ts.Fatalf("unknown certificate %q", *cert)
		}
		config.Certificates = []tls.Certificate{pair.TLS}
	}
	network, addr := "unix", ""
	if *tcp || config != nil || *ws {
		network, addr = "tcp", "127.0.0.1:0"
	} else {
		addr = socketPath(ts)
	}
	s.listen = func() (net.Listener, error) {
		ln, err := net.Listen(network, addr)
		if err != nil {
			return nil, err
		}
		addr = ln.Addr().String() // the same after a restart
		ln = &listener{ln, s}
		if config != nil {
			ln = tls.NewListener(ln, config)
		}
		return ln, nil
	}
	scheme := map[bool]string{true: "wss://", false: "ws://"}[config != nil]
	if s.hidden = *ws; *ws {
		s.listen = func() (net.Listener, error) {
			ln, err := transport.ListenConfig{TLS: config}.Listen(context.Background(), scheme+addr)
			if err == nil {
				addr = ln.Addr().String()
			}
			return ln, err
		}
	}
	ts.Check(s.start())
	w.brokers[*name] = s
	ts.Defer(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	url := map[bool]string{true: "mqtts://", false: "mqtt://"}[config != nil] + addr
	switch {
	case network == "unix":
		url = "unix://" + addr
	case *ws:
		url = scheme + addr + "/mqtt"
	}
	if *name != "" {
		ts.Setenv(*name, url)
		return
	}
	if network == "unix" {
		ts.Setenv("ADDR", addr)
		ts.Setenv("MQ_UNIX", addr)
		return
	}
	leadTo(ts, addr)
	if *ws {
		ts.Setenv("MQ_WS", "true")
	}
}

// leadTo has the environment of a script lead to a port of this machine.
func leadTo(ts *testscript.TestScript, addr string) {
	host, port, err := net.SplitHostPort(addr)
	ts.Check(err)
	ts.Setenv("MQ_HOST", host)
	ts.Setenv("MQ_PORT", port)
	ts.Setenv("PORT", port)
	ts.Setenv("ADDR", addr)
}

// socketPath returns the path of a new Unix socket; it has at most 104 bytes, which is the
// limit of some systems.
func socketPath(ts *testscript.TestScript) string {
	dir, err := os.MkdirTemp("", "mq")
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func (w *world) certificates(ts *testscript.TestScript) *certtest.Set {
	if w.certs == nil {
		w.certs = certtest.New(w.TB)
		for name, path := range map[string]string{"CA": w.certs.CA.CertFile, "CERT": w.certs.Client.CertFile, "KEY": w.certs.Client.KeyFile,
			"OTHER_CA": w.certs.OtherCA.CertFile, "OTHER_CERT": w.certs.OtherClient.CertFile, "OTHER_KEY": w.certs.OtherClient.KeyFile,
			"SERVER_CERT": w.certs.Server.CertFile, "SERVER_KEY": w.certs.Server.KeyFile} {
			ts.Setenv(name, path)
		}
	}
	return w.certs
}

// makeCertificates is the command certs, which makes $CA, $CERT and $KEY of a client,
// $SERVER_CERT and $SERVER_KEY, and those of another authority, $OTHER_CA and so on.
func makeCertificates(ts *testscript.TestScript, args []string) {
	if len(args) > 0 {
		ts.Fatalf("usage: certs")
	}
	worldOf(ts).certificates(ts)
}

// makeFault is the command
//
//	fault [-broker NAME] cut|stop|start
//
// cut closes all connections, stop closes the listener too, start opens it again with
// all sessions.
func makeFault(ts *testscript.TestScript, args []string) {
	f, name := brokerFlag("fault")
	if f.Parse(args) != nil || f.NArg() != 1 {
		ts.Fatalf("usage: fault [-broker NAME] cut|stop|start")
	}
	s := worldOf(ts).broker(ts, *name)
	if s.hidden {
		ts.Fatalf("the connections of a broker with -ws cannot be cut")
	}
	switch f.Arg(0) {
	case "cut":
		s.cut()
	case "stop":
		s.stop()
	case "start":
		ts.Check(s.start())
	default:
		ts.Fatalf("unknown fault %q", f.Arg(0))
	}
}

// startPeer is the command
//
//	peer FILE | peer done
//
// The first plays a broker of hand-written bytes at $ADDR, which the environment leads
// to: each line of FILE is what is expected and, behind ->, what is answered; an empty
// line is the end of a connection. The second waits until all of it was played.
func startPeer(ts *testscript.TestScript, args []string) {
	w := worldOf(ts)
	if len(args) != 1 {
		ts.Fatalf("usage: peer FILE | peer done")
	}
	if args[0] == "done" {
		if w.peer == nil {
			ts.Fatalf("there is no peer")
		}
		w.peer.Wait()
		return
	}
	conns, err := readSteps(ts.ReadFile(args[0]))
	if err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
	w.peer = bytebroker.Start(w.TB, conns...)
	leadTo(ts, net.JoinHostPort("127.0.0.1", w.peer.Port))
}

// readSteps reads what a peer plays.
func readSteps(text string) (conns [][]bytebroker.Step, err error) {
	next := true
	for n, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" {
			next = true
			continue
		}
		step, _, _ := strings.Cut(line, "#")
		if strings.TrimSpace(step) == "" {
			continue
		}
		expect, answer, ok := strings.Cut(step, "->")
		if !ok {
			return nil, fmt.Errorf("line %d: no ->", n+1)
		}
		if next {
			conns, next = append(conns, nil), false
		}
		last := &conns[len(conns)-1]
		*last = append(*last, bytebroker.Step{strings.TrimSpace(expect), strings.TrimSpace(answer)})
	}
	if len(conns) == 0 {
		return nil, errors.New("no step")
	}
	return conns, nil
}

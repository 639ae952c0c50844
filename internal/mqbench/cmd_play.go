package mqbench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/script"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// play plays scripts to a client or a broker under test.
func play(ctx context.Context, inv *cli.Invocation) error {
	v, paths := inv.Values, inv.Args
	if len(paths) == 0 {
		return option.Usagef("no script given").WithHint("e.g. 'mqbench play scripts/broker/*.yaml --connect localhost'")
	}
	if !v.Listen.IsSet() && !v.Connect.IsSet() {
		return option.Usagef("play needs --listen or --connect").
			WithHint("--listen plays a broker to a client, --connect plays clients to a broker")
	}
	scripts := make([]*script.Script, len(paths))
	for i, path := range paths {
		var err error
		if scripts[i], err = script.Read(path); err != nil {
			u := option.Usagef("%v", err)
			if _, unread := errors.AsType[*fs.PathError](err); !unread && cli.HintOf(u) == "" {
				u.Help = "mqtools-script(5) describes the language"
			}
			return u
		}
		if needs := map[script.Role]*option.Value{script.Broker: v.Listen, script.Client: v.Connect}[scripts[i].Role]; !needs.IsSet() {
			return option.Usagef("%s: the script plays a %s, and needs --%s", path, scripts[i].Role, needs.Opt.Name)
		}
	}
	p := &player{inv: inv, strict: v.Strict.On()}
	if v.Connect.IsSet() {
		if err := p.target(v.Connect.Text()); err != nil {
			return err
		}
	}
	inv.CatchSignals()
	if v.Listen.IsSet() {
		if err := p.listen(ctx, v.Listen.Text(), scripts); err != nil {
			return err
		}
	}
	defer p.close()
	played, failed := false, false
	for _, s := range scripts {
		for _, version := range s.Versions {
			if why := p.aside(s); why != "" && len(scripts) > 1 {
				if err := write(inv, fmt.Appendf(nil, "skip  %s (%s): %s; name it alone to play it: %s\n", s.Name, version, why, s.Path)); err != nil {
					return err
				}
				continue
			}
			played = true
			err := p.one(ctx, s, version)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			failed = failed || err != nil
			if err := p.printResult(s, version, err); err != nil {
				return err
			}
		}
	}
	switch {
	case !played:
		return cli.Failed(option.ExitFailure, errors.New("no script was played"))
	case failed:
		return cli.ExitSilently(option.ExitFailure)
	}
	return nil
}

// longest is the longest wait in a script that is played as one of several. Some scripts
// wait for days, which take no time in tests.
const longest = 30 * time.Second

// aside returns the reason why a script is not played as one of several, or "".
func (p *player) aside(s *script.Script) string {
	switch wait := s.Waits(); {
	case s.WebSocket && p.to != nil && !p.to.WebSocket:
		return "it is for a WebSocket"
	case s.Needs.Text != "":
		return "it is for a broker with " + s.Needs.Text
	case wait > longest:
		return fmt.Sprintf("it takes %v", wait)
	}
	return ""
}

// player is a run of play.
type player struct {
	inv    *cli.Invocation
	strict bool
	ln     *lasting          // of --listen
	dialer transport.Dialer  // of --connect
	to     *transport.Target //
}

// target parses --connect: a URL, or HOST with or without PORT.
func (p *player) target(addr string) error {
	v := p.inv.Values
	url := addr
	if !strings.Contains(addr, "://") && !strings.HasPrefix(addr, "unix:") {
		url = "mqtt://" + addr
	}
	t, err := transport.ParseURL(url)
	if err != nil {
		return option.Usagef("%s: %v", v.Connect.Name(), err)
	}
	p.to = t
	p.dialer = transport.Dialer{Timeout: v.ConnectTimeout.Duration(), TLS: &transport.TLSOptions{
		CAFile: v.CAFile.Text(), CAPath: v.CAPath.Text(), UseSystemRoots: v.TLSUseOSCerts.On(),
		CertFile: v.Cert.Text(), KeyFile: v.Key.Text(), ServerName: v.TLSServerName.Text(), Insecure: v.Insecure.On()}}
	if t.TLS {
		_, err = p.dialer.TLS.Config(t.Host)
	}
	return usage(err)
}

// dial connects. For scripts that make the WebSocket upgrade themselves, it returns the
// connection below the WebSocket.
func (p *player) dial(ctx context.Context, s *script.Script) (net.Conn, error) {
	t := *p.to
	t.WebSocket = t.WebSocket && !s.WebSocket
	return p.dialer.Dial(ctx, &t)
}

// listen opens the listener of --listen.
func (p *player) listen(ctx context.Context, addr string, scripts []*script.Script) error {
	for _, s := range scripts {
		if s.WebSocket && strings.HasPrefix(addr, "ws") {
			return option.Usagef("%s: the script makes the WebSocket itself: listen on plain TCP", s.Path)
		}
	}
	ln, err := transport.Listen(ctx, addr, nil)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return cli.Failed(option.ExitFailure, err)
	}
	p.ln = newLasting(ln)
	p.inv.Infof("listening on %s", ln.Addr())
	return nil
}

func (p *player) close() {
	if p.ln != nil {
		p.ln.end()
	}
}

// one plays a script in one version.
func (p *player) one(ctx context.Context, s *script.Script, v packet.Version) error {
	o := &script.Options{Version: v, Strict: p.strict, CleanUp: true}
	if p.inv.DebugEnabled() {
		o.Trace = func(l script.Line) { p.inv.Debugf("%s", l) }
	}
	if s.Role == script.Client {
		return s.Dial(ctx, func(ctx context.Context) (net.Conn, error) { return p.dial(ctx, s) }, o)
	}
	o.FirstPatience = -1
	p.inv.Infof("%s, MQTT %s: waiting for a client: %s", filepath.Base(s.Path), v, s.Task())
	return s.Serve(ctx, p.ln.session(), o)
}

// printResult prints the line of a script, or why it has failed.
func (p *player) printResult(s *script.Script, v packet.Version, err error) error {
	line := fmt.Sprintf("ok    %s (%s)\n", s.Name, v)
	if err != nil {
		line = fmt.Sprintf("FAIL  %s (%s)\n%s\n", s.Name, v, err)
		if n := s.Needs.Text; n != "" {
			line += fmt.Sprintf("      it is for a broker with these settings: %s\n", n)
		}
	}
	return write(p.inv, []byte(line))
}

// lasting accepts connections for one script after the other. Serve closes the listener
// that it is given, so each script gets a session, which does not close the real one.
type lasting struct {
	ln    net.Listener
	conns chan net.Conn
	done  chan struct{}
}

func newLasting(ln net.Listener) *lasting {
	l := &lasting{ln: ln, conns: make(chan net.Conn), done: make(chan struct{})}
	go func() {
		defer close(l.conns)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			select {
			case l.conns <- nc:
			case <-l.done:
				nc.Close()
				return
			}
		}
	}()
	return l
}

// end closes the listener.
func (l *lasting) end() {
	close(l.done)
	l.ln.Close()
	for nc := range l.conns {
		nc.Close()
	}
}

// session returns the listener for one script.
func (l *lasting) session() net.Listener { return &session{lasting: l, closed: make(chan struct{})} }

type session struct {
	*lasting
	closed chan struct{}
	once   sync.Once
}

func (s *session) Accept() (net.Conn, error) {
	select {
	case nc, ok := <-s.conns:
		if ok {
			return nc, nil
		}
	case <-s.closed:
	}
	return nil, net.ErrClosed
}

func (s *session) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *session) Addr() net.Addr { return s.ln.Addr() }

package broker_test

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// crashing is an exchange whose steps crash, one by one.
type crashing struct{ at string }

func (c crashing) Step(data []byte) ([]byte, bool, error) {
	if string(data) == c.at {
		panic("Step")
	}
	return data, string(data) != "1", nil
}

func (c crashing) User() string {
	if c.at == "User" {
		panic("User")
	}
	return ""
}

// faulty is a connection that crashes itself.
type faulty struct {
	net.Conn
	read, write, addr bool
	armed             *atomic.Bool
}

func (f faulty) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if f.read && f.armed.Load() {
		panic("Read")
	}
	return n, err
}

func (f faulty) Write(p []byte) (int, error) {
	if f.write && f.armed.Load() {
		panic("Write")
	}
	return f.Conn.Write(p)
}

func (f faulty) RemoteAddr() net.Addr {
	if f.addr {
		panic("RemoteAddr")
	}
	return f.Conn.RemoteAddr()
}

// A panic closes the connection that it happens in. The others continue, all locks are
// released, and the client may reconnect.
func TestAPanicEndsOneConnection(t *testing.T) {
	t.Parallel()
	const (
		up = `> 10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"
			< {ok5}
			`
		auth   = `> 10 16 0004 "MQTT" 05 02 0000 08 15 0001 "m" 16 0001 "0" 0001 "a"`
		authed = auth + `
			< 20 16 00 00 13 21 0400 27 01000000 22 0040 15 0001 "m" 16 0001 "0"
			`
		said = `
			< e0 01 80
			< x`
		refused = `
			< 20 03 00 80 00
			< x`
	)
	exchange := func(at string) broker.Options {
		return broker.Options{AuthMethods: map[string]func() broker.Exchange{"m": func() broker.Exchange {
			if at == "" {
				panic("AuthMethods")
			}
			return crashing{at}
		}}}
	}
	for _, c := range []struct {
		name   string
		o      broker.Options
		fault  faulty
		script string
	}{
		{"Authenticate", broker.Options{Authenticate: func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
			if string(p.ClientID) == "a" && p.Version == packet.V5 {
				panic("Authenticate")
			}
			return packet.Success
		}}, faulty{}, `> 10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"` + refused},
		{"Authenticate, 3.1.1", broker.Options{Authenticate: func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
			if string(p.ClientID) == "a" && p.HasUsername {
				panic("Authenticate")
			}
			return packet.Success
		}}, faulty{}, `> 10 10 0004 "MQTT" 04 82 0000 0001 "a" 0001 "u"
			< x`},
		{"Authorize of a will", broker.Options{}, faulty{}, `> 10 1a 0004 "MQTT" 05 06 0000 00 0001 "a" 00 0005 "crash" 0002 "up"` + refused},
		{"Authorize of PUBLISH at QoS 0", broker.Options{}, faulty{}, up + `> 30 08 0005 "crash" 00` + said},
		{"Authorize of PUBLISH at QoS 1", broker.Options{}, faulty{}, up + `> 32 0a 0005 "crash" 0001 00
			< 40 03 0001 80` + said},
		{"Authorize of PUBLISH at QoS 2", broker.Options{}, faulty{}, up + `> 34 0a 0005 "crash" 0001 00
			< 50 03 0001 80` + said},
		{"Authorize of PUBLISH before 5.0", broker.Options{}, faulty{}, `> 10 0d 0004 "MQTT" 04 02 0000 0001 "a"
			< {ok4}
			> 32 09 0005 "crash" 0001
			< 40 02 0001
			< x`},
		{"Authorize of SUBSCRIBE", broker.Options{}, faulty{}, up + `> 82 0f 0001 00 0001 "t" 00 0005 "crash" 00` + said},
		{"Authorize of a shared subscription", broker.Options{}, faulty{}, up + `> 82 14 0001 00 000e "$share/g/crash" 00` + said},
		{"AuthMethods", exchange(""), faulty{}, auth + refused},
		{"Step", exchange("0"), faulty{}, auth + refused},
		{"User", exchange("User"), faulty{}, auth + refused},
		{"a later Step", exchange("2"), faulty{}, `> 10 16 0004 "MQTT" 05 02 0000 08 15 0001 "m" 16 0001 "1" 0001 "a"
			< f0 0a 18 08 15 0001 "m" 16 0001 "1"
			> f0 0a 18 08 15 0001 "m" 16 0001 "2"` + refused},
		{"Step of a re-authentication", exchange("2"), faulty{}, authed + `> f0 0a 19 08 15 0001 "m" 16 0001 "2"` + said},
		{"reading", broker.Options{}, faulty{read: true}, up + `!
			> {ping}` + said},
		{"writing", broker.Options{}, faulty{write: true}, up + `!
			> {ping}
			< x`},
		{"the address", broker.Options{}, faulty{addr: true}, `< x`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var j journal
				c.o.Log = j.log
				c.o.Authorize = func(_, _, topic string, _ bool) bool {
					if topic == "crash" {
						panic("Authorize")
					}
					return true
				}
				b := broker.New(c.o)
				defer closeBroker(t, b)
				other := connectPipe(t, b)
				other.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "o"`)
				other.expect("{ok4}")
				mine, theirs := net.Pipe()
				c.fault.Conn, c.fault.armed = theirs, new(atomic.Bool)
				b.ServeConn(c.fault)
				p := &pipePeer{t, mine}
				for line := range strings.Lines(c.script) {
					line = strings.TrimSpace(line)
					switch {
					case line == "< x":
						p.end()
					case line == "!":
						synctest.Wait()
						c.fault.armed.Store(true)
					case line[0] == '>':
						p.send(line[2:])
					default:
						p.expect(line[2:])
					}
				}
				synctest.Wait()
				if got := j.of(broker.EventPanic); len(got) != 1 {
					t.Errorf("logged %d panics: %.300q", len(got), got)
				}
				// All locks: of the broker, of the other session, and of the client's
				// own.
				other.send(`82 06 0001 0001 "#" 00`)
				other.expect("90 03 0001 00")
				again := connectPipe(t, b)
				again.send(`10 0d 0004 "MQTT" 04 00 0000 0001 "a" 31 03 0001 "t"`)
				again.expect("{ok4}")
				other.expect(`30 03 0001 "t"`)
				if st := b.Stats(); st.Clients != 2 || st.Connections != 2 || st.Sessions != 2 {
					t.Errorf("%+v", st)
				}
				_, _ = again.nc.Close(), other.nc.Close()
				synctest.Wait()
			})
		})
	}
}

// If no connection causes it, a panic in Authorize is a refusal.
func TestAPanicInAuthorizeIsANo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var crash atomic.Bool
		var j journal
		b := broker.New(broker.Options{Log: j.log, Authorize: func(_, _, topic string, _ bool) bool {
			if crash.Load() && topic == "t" {
				panic("Authorize")
			}
			return true
		}})
		defer closeBroker(t, b)
		connect := func(script string) *pipePeer {
			p := connectPipe(t, b)
			p.send(script)
			p.expect("{ok4}")
			return p
		}
		w := connect(`10 0d 0004 "MQTT" 04 02 0000 0001 "w"`)
		w.send(`82 06 0001 0001 "#" 00`)
		w.expect("90 03 0001 00")
		p := connect(`10 14 0004 "MQTT" 04 06 0000 0001 "a" 0001 "t" 0002 "up"`)
		crash.Store(true)
		_ = p.nc.Close() // its will may not be published
		synctest.Wait()
		w.send("{ping}")
		w.expect("{pong}")
		crash.Store(false)
		p = connect(`10 0d 0004 "MQTT" 04 00 0000 0001 "a"`)
		p.send(`82 06 0001 0001 "t" 01`)
		p.expect("90 03 0001 01")
		crash.Store(true)
		b.Recheck(nil)
		p.end()
		w.send("{ping}")
		w.expect("{pong}")
		// A session that another user resumes.
		crash.Store(false)
		p = connectPipe(t, b)
		p.send(`10 0d 0004 "MQTT" 04 00 0000 0001 "a"`)
		p.expect("{ok4 present}")
		p.send(`82 06 0001 0001 "t" 01`)
		p.expect("90 03 0001 01")
		_ = p.nc.Close()
		synctest.Wait()
		crash.Store(true)
		p = connectPipe(t, b)
		p.send(`10 10 0004 "MQTT" 04 80 0000 0001 "a" 0001 "u"`)
		p.expect("{ok4 present}")
		crash.Store(false)
		w.send(`32 05 0001 "t" 0001`)
		w.expect(`30 03 0001 "t" 40 02 0001`)
		p.send("{ping}")
		p.expect("{pong}") // and no message: the subscription has ended
		if got := j.of(broker.EventPanic); len(got) != 3 {
			t.Errorf("logged %d panics: %.300q", len(got), got)
		}
		_, _ = p.nc.Close(), w.nc.Close()
		synctest.Wait()
	})
}

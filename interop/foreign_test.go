package interop

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// claims lists the claims that every client and our broker must meet together.
var claims = []struct {
	name string
	only packet.Version // 0: every version
	test func(*stage)
}{
	{"messages are delivered at every QoS", 0, everyQoS},
	{"large messages arrive unchanged", 0, largeMessages},
	{"retained messages are kept, replaced and removed", 0, retainedMessages},
	{"subscription options control retained messages", 5, retainHandling},
	{"a will is published unless the client sends DISCONNECT", 0, wills},
	{"a delayed will is canceled by a reconnect", 5, delayedWills},
	{"a session queues messages", 0, sessions},
	{"a lost connection loses no messages", 0, brokenConnections},
	{"unsubscribing stops the messages", 0, unsubscribing},
	{"a later connection takes over the session", 0, takeover},
	{"every transport reaches the broker", 0, ways},
	{"unauthorized requests are refused", 0, refusals},
	{"the client survives a broker restart", 0, restarts},
	{"the broker announces its shutdown", 0, shutdown},
	{"pings keep an idle connection open", 0, pings},
	{"a shared subscription delivers each message once", 0, sharedSubscriptions},
	{"an empty client ID is assigned one", 0, noIdentifier},
	{"properties are passed on unchanged", 5, propertiesPass},
	{"a request gets its response", 5, requests},
	{"messages carry their subscription identifier", 5, subscriptionIDs},
	{"topic aliases work from client to broker", 5, aliasesOfTheirs},
	{"topic aliases work from broker to client", 5, aliasesOfOurs},
	{"messages expire", 5, expiry},
	{"the broker respects the client's receive maximum", 5, theirReceiveMaximum},
	{"the client respects the broker's receive maximum", 5, ourReceiveMaximum},
	{"the broker respects the client's maximum packet size", 5, theirPacketSize},
	{"SCRAM authenticates both sides", 5, scramAuthenticates},
}

func TestForeignClients(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, *certtest.Set) *kind{
		"ours":                func(*testing.T, *certtest.Set) *kind { return ours },
		"paho.mqtt.golang":    func(*testing.T, *certtest.Set) *kind { return pahoGo3 },
		"paho.golang":         func(*testing.T, *certtest.Set) *kind { return pahoGo5 },
		"paho-mqtt":           pahoPython,
		"MQTT.js":             mqttJS,
		"MQTT.js in Chromium": mqttJSInBrowser,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certs := certtest.New(t)
			k := *start(t, certs)
			k.certs = certs
			names := map[string]bool{}
			for _, c := range claims {
				names[c.name] = true
				for _, v := range k.versions {
					if c.only != 0 && c.only != v {
						continue
					}
					t.Run(c.name+"/"+v.String(), func(t *testing.T) {
						t.Parallel()
						if why := k.cannot[c.name]; why != "" {
							t.Skip(why)
						}
						c.test(&stage{T: t, kind: &k, version: v})
					})
				}
			}
			for name := range k.cannot {
				if !names[name] {
					t.Errorf("%q is not the name of a claim", name)
				}
			}
		})
	}
}

func everyQoS(s *stage) {
	s.serve(broker.Options{})
	them, us := s.them().connect(command{}), s.us().connect(command{})
	us.subscribe("up", 2)
	for granted := range byte(3) {
		topic := fmt.Sprint("down/", granted)
		them.subscribe(topic, granted)
		for qos := range byte(3) {
			for i := range 3 {
				payload := fmt.Sprintf("%d at %d \x00\xff\u00fc", i, qos)
				us.say(topic, payload, qos)
				them.hears(topic, payload, min(qos, granted))
			}
		}
	}
	for qos := range byte(3) {
		for i := range 3 {
			payload := fmt.Sprintf("%d at %d \x00\xff\u00fc", i, qos)
			them.say("up", payload, qos)
			us.hears("up", payload, qos)
		}
		them.say("up", "", qos)
		us.hears("up", "", qos)
		if a := us.burst("down/2", qos, 200); a.Error != "" {
			s.Fatal(a.Error)
		}
		for i := range 200 {
			them.hears("down/2", fmt.Sprint(i), qos)
		}
	}
}

func largeMessages(s *stage) {
	s.serve(broker.Options{})
	them, us := s.them().connect(command{}).subscribe("down", 2), s.us().connect(command{}).subscribe("up", 2)
	large := make([]byte, 1<<20+1)
	for i := range large {
		large[i] = byte(i ^ i>>8 ^ i>>16)
	}
	for qos := range byte(3) {
		us.publish(message{Topic: "down", Payload: large, QoS: qos})
		them.expect(message{Topic: "down", Payload: large, QoS: qos})
		them.publish(message{Topic: "up", Payload: large, QoS: qos})
		us.expect(message{Topic: "up", Payload: large, QoS: qos})
	}
}

func retainedMessages(s *stage) {
	s.serve(broker.Options{})
	them, us := s.them().connect(command{}), s.us().connect(command{}).subscribe("kept/#", 2)
	keep := func(p *peer, topic, payload string, qos byte) message {
		m := text(topic, payload, qos)
		m.Retain = true
		p.publish(m)
		us.hears(topic, payload, qos) // without the retain flag
		return m
	}
	keep(them, "kept/1", "old", 1)
	one := keep(them, "kept/1", "new", 2)
	them.subscribe("kept/1", 2).expect(one)
	two := keep(us, "kept/2", "ours", 0)
	them.subscribe("kept/2", 1).expect(two)
	keep(them, "kept/1", "", 1)
	them.hears("kept/1", "", 1)
	// The deleted message is not sent, the other one is sent again.
	them.subscribe("kept/+", 2).expect(two)
	if n := s.broker.Stats().Retained; n != 1 {
		s.Errorf("the broker has %d retained messages, want 1", n)
	}
}

func retainHandling(s *stage) {
	s.serve(broker.Options{})
	them, us := s.them().connect(command{}), s.us().connect(command{})
	kept := message{Topic: "kept", Payload: []byte("x"), QoS: 1, Retain: true}
	us.publish(kept)
	never, once := filter{Filter: "kept", QoS: 1, RetainHandling: 2}, filter{Filter: "kept", QoS: 1, RetainHandling: 1}
	as := filter{Filter: "kept", QoS: 1, RetainHandling: 2, RetainAsPublished: true}
	alone := filter{Filter: "kept", QoS: 1, RetainHandling: 2, NoLocal: true}
	them.subscribeTo(nil, never)
	them.subscribeTo(nil, once) // the subscription exists already
	us.say("kept", "nothing before", 1)
	them.hears("kept", "nothing before", 1)
	them.unsubscribe("kept")
	them.subscribeTo(nil, once)
	them.expect(kept)
	them.subscribeTo(nil, as)
	us.publish(kept)
	them.expect(kept)
	them.subscribeTo(nil, alone)
	them.say("kept", "its own", 1)
	us.say("kept", "another's", 1)
	them.hears("kept", "another's", 1)
}

func wills(s *stage) {
	s.serve(broker.Options{})
	us := s.us().connect(command{}).subscribe("will/#", 2)
	for qos := range byte(3) {
		will := &message{Topic: fmt.Sprint("will/", qos), Payload: []byte("it died \x00\xff"), QoS: qos, Retain: qos == 1, Properties: &properties{
			ContentType: "text/plain", UserProperties: [][2]string{{"a", "b"}, {"a", "c"}}, ResponseTopic: "r", CorrelationData: []byte("id"), PayloadFormat: false}}
		s.them().connect(command{Will: will}).leave()
		us.say("will/x", "no will before", 2)
		us.hears("will/x", "no will before", 2)
		s.them().connect(command{Will: will}).abort()
		want := *will
		want.Retain = false
		if s.version != packet.V5 {
			want.Properties = &properties{}
		} else if s.kind.has("of a will's properties") {
			want.Properties = &properties{UserProperties: will.Properties.UserProperties}
		}
		us.expect(want)
		if qos == 1 {
			want.Retain = true
			s.us().connect(command{}).subscribe("will/1", 2).expect(want)
		}
	}
	if s.version == packet.V5 {
		them := s.them().connect(command{Will: &message{Topic: "will/x", Payload: []byte("asked for"), QoS: 1}})
		them.must(them.do(command{Do: "disconnect", Reason: byte(packet.DisconnectWithWill)}))
		us.hears("will/x", "asked for", 1)
	}
}

func delayedWills(s *stage) {
	s.serve(broker.Options{})
	us := s.us().connect(command{}).subscribe("will/#", 1)
	with := func(topic string, delay, expiry uint32) command {
		return command{Properties: &properties{SessionExpiry: expiry}, Will: &message{Topic: topic, Payload: []byte("it died"), QoS: 1, Properties: &properties{WillDelay: delay}}}
	}
	gone, brief := s.them(), s.them()
	brief.connect(with("will/brief", 1000, 0)).abort()
	us.hears("will/brief", "it died", 1) // its session ends with the connection
	for delay := uint32(3); ; delay *= 2 {
		topic := fmt.Sprint("delay/", delay)
		watch := s.us().connect(command{}).subscribe(topic+"/#", 1)
		back, since := s.them(), time.Now()
		back.connect(with(topic+"/back", delay, 1000)).abort()
		back.resume(with(topic+"/back", delay, 1000))
		if time.Since(since) >= time.Duration(delay)*time.Second {
			continue // too late on a busy machine: the will may have been published
		}
		gone.connect(with(topic+"/gone", delay, 1000)).abort()
		watch.hears(topic+"/gone", "it died", 1) // the will of back, which was due earlier, was not published
		break
	}
	// A new session ends the old one, and with it the delay.
	gone.connect(with("will/gone", 1000, 1000)).abort()
	gone.connect(with("will/other", 0, 0))
	us.hears("will/gone", "it died", 1)
}

func sessions(s *stage) {
	s.serve(broker.Options{})
	them, us := s.them(), s.us().connect(command{})
	session := command{Properties: durable()}
	them.must(them.try(session))
	them.subscribe("a", 2).subscribe("b", 1)
	them.leave()
	for i := range 10 {
		us.say("a", fmt.Sprint(i), byte(1+i%2))
	}
	us.say("b", "last", 2)
	them.resume(session)
	// The order is guaranteed only within one QoS (section 4.6).
	waited := map[byte]string{}
	for range 11 {
		m := them.next()
		waited[m.QoS] += fmt.Sprintf("%s %s, ", m.Topic, m.Payload)
	}
	for qos, want := range map[byte]string{1: "a 0, a 2, a 4, a 6, a 8, b last, ", 2: "a 1, a 3, a 5, a 7, a 9, "} {
		if waited[qos] != want {
			s.Errorf("queued at QoS %d: %s; want %s", qos, waited[qos], want)
		}
	}
	us.say("a", "live", 2)
	them.hears("a", "live", 2)
	// A clean session has no messages.
	them.leave()
	us.say("a", "lost", 2)
	if a := them.must(them.try(command{Clean: true})); a.SessionPresent {
		s.Error("session present after a clean start")
	}
	them.subscribe("c", 2)
	us.say("a", "lost", 2)
	us.say("c", "new", 2)
	them.hears("c", "new", 2)
}

// brokenConnections aborts a subscriber's connection twice while messages are
// published.
func brokenConnections(s *stage) {
	s.serve(broker.Options{})
	them, us := s.them(), s.us().connect(command{})
	session := command{Properties: durable()}
	them.must(them.try(session))
	them.subscribe("a", 2)
	const n = 300
	for i := range n {
		us.say("a", fmt.Sprint(i), 2)
		if i == n/3 || i == n/2 {
			them.abort()
			us.say("a", "x", 2)
			us.say("a", "x", 1)
			them.resume(session)
		}
	}
	seen := map[string]int{}
	for last := 0; last < n-1; {
		m := them.next()
		if seen[string(m.Payload)]++; string(m.Payload) == "x" {
			continue
		}
		var i int
		_, _ = fmt.Sscan(string(m.Payload), &i)
		if i > last+1 {
			s.Fatalf("message %d after %d", i, last)
		}
		last = max(i, last)
	}
	for payload, count := range seen {
		if payload != "x" && count > 1 && !s.kind.has("repeats at QoS 2") {
			s.Errorf("message %s at QoS 2 was delivered %d times", payload, count)
		}
	}
	if seen["x"] < 4 {
		s.Errorf("got %d of the 4 messages published while disconnected", seen["x"])
	}
}

func unsubscribing(s *stage) {
	s.serve(broker.Options{})
	them, us := s.them().connect(command{}).subscribe("a/#", 2).subscribe("b", 2), s.us().connect(command{})
	us.say("a/1", "before", 2)
	them.hears("a/1", "before", 2)
	a := them.unsubscribe("a/#", "never")
	if want := []int{int(packet.Success), int(packet.NoSubscriptionExisted)}; s.version == packet.V5 && !slices.Equal(a.Reasons, want) {
		s.Errorf("UNSUBACK has %v, want %v", a.Reasons, want)
	}
	us.say("a/1", "after", 2)
	us.say("b", "still", 2)
	them.hears("b", "still", 2)
}

func takeover(s *stage) {
	s.serve(broker.Options{})
	old, young, us := s.them(), s.them(), s.us().connect(command{})
	session := command{ID: "one", Properties: durable()}
	old.must(old.try(session))
	old.subscribe("a", 1)
	young.resume(session)
	old.loses(packet.SessionTakenOver)
	us.say("a", "x", 1)
	young.hears("a", "x", 1)
}

func ways(s *stage) {
	admit := func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
		if string(p.Username) == "j\u00f6" && string(p.Password) == "pass word" {
			return packet.Success
		}
		return packet.BadUserNameOrPassword
	}
	for _, scheme := range s.kind.schemes {
		s.serveAt(scheme, s.kind.certs, broker.Options{Authenticate: admit})
		user := command{User: "j\u00f6", Password: "pass word", Clean: true}
		them := s.them().connect(user).subscribe("a", 2)
		them.say("a", scheme, 2)
		them.hears("a", scheme, 2)
		them.disconnect()
		user.Password = "guess"
		a := s.them().try(user)
		want := packet.BadUserNameOrPassword
		if s.version != packet.V5 && !s.kind.has("reports 5.0 codes") {
			want = 4
		}
		if a.Error == "" || a.Reason != byte(want) {
			s.Errorf("%s: wrong password: %+v, want 0x%02x", scheme, a, byte(want))
		}
		if scheme == "mqtts" || scheme == "wss" {
			untrusted := *s.kind.certs
			untrusted.Server = untrusted.SelfSigned
			s.serveAt(scheme, &untrusted, broker.Options{})
			if a := s.them().try(command{Clean: true}); a.Error == "" || a.Reason != 0 {
				s.Errorf("%s: another authority: %+v", scheme, a)
			}
		}
	}
}

func refusals(s *stage) {
	s.serve(broker.Options{Authorize: func(_, _, topic string, _ bool) bool { return !strings.HasPrefix(topic, "secret") }})
	them, us := s.them().connect(command{}), s.us().connect(command{}).subscribe("a", 0)
	want := []int{0x80, 1}
	if s.version == packet.V5 {
		want[0] = int(packet.NotAuthorized)
	}
	if s.version == packet.V31 { // 3.1 has no failure code
		want[0] = 0x80
	}
	a := them.do(command{Do: "subscribe", Filters: []filter{{Filter: "secret/x", QoS: 1}, {Filter: "b", QoS: 1}}})
	if !slices.Equal(a.Reasons, want) {
		s.Errorf("SUBACK has %v, %q; want %v", a.Reasons, a.Error, want)
	}
	if s.version != packet.V5 {
		return
	}
	for qos := byte(1); qos < 3; qos++ {
		m := text("secret/x", "x", qos)
		if a := them.do(command{Do: "publish", Message: &m}); a.Reason != byte(packet.NotAuthorized) && !s.kind.has("does not report the reason of PUBACK") {
			s.Errorf("publishing at QoS %d: %+v, want 0x%02x", qos, a, byte(packet.NotAuthorized))
		}
	}
	them.say("a", "still here", 0)
	us.hears("a", "still here", 0)
}

// restarting is a listener whose broker can be replaced.
type restarting struct {
	net.Listener
	mu     sync.Mutex
	broker *broker.Broker // nil: connections are closed at once
}

func (r *restarting) serve() {
	for {
		nc, err := r.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		if r.broker != nil {
			r.broker.ServeConn(nc)
		} else {
			_ = nc.Close()
		}
		r.mu.Unlock()
	}
}

// set replaces the broker by b, which may be nil, and closes the old one.
func (r *restarting) set(t testing.TB, b *broker.Broker) {
	r.mu.Lock()
	old := r.broker
	r.broker = b
	r.mu.Unlock()
	if old != nil {
		if err := old.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// behind starts a broker that can be restarted.
func (s *stage) behind(o broker.Options) *restarting {
	s.Helper()
	ln, err := transport.Listen(s.Context(), s.kind.schemes[0]+"://127.0.0.1:0", nil)
	if err != nil {
		s.Fatal(err)
	}
	r := &restarting{Listener: ln}
	done := make(chan struct{})
	go func() { defer close(done); r.serve() }()
	s.Cleanup(func() { _ = ln.Close(); <-done; r.set(s, nil) })
	r.set(s, broker.New(o))
	s.url = s.kind.schemes[0] + "://" + ln.Addr().String()
	if strings.HasPrefix(s.url, "ws") {
		s.url += "/mqtt"
	}
	return r
}

func restarts(s *stage) {
	r := s.behind(broker.Options{})
	them := s.them()
	them.connect(command{Reconnect: true}).subscribe("a", 1)
	for i := range 2 {
		r.set(s, nil)
		await(them, them.lost, "loss")
		m := text("kept", fmt.Sprint("while down ", i), 1)
		m.Retain = true
		result := make(chan answer, 1)
		go func() { result <- them.do(command{Do: "publish", Message: &m}) }()
		r.set(s, broker.New(broker.Options{}))
		if a := await(them, them.ups, "reconnect"); a.SessionPresent {
			s.Error("session present at a new broker")
		}
		// The message published while disconnected is delivered.
		them.must(await(them, result, "acknowledgement"))
		// Some clients do not wait for PUBACK here, so the message may arrive live instead of
		// retained.
		if got := s.us().connect(command{}).subscribe("kept", 1).next(); string(got.Payload) != string(m.Payload) {
			s.Errorf("got the retained message %s, want %s", got, m)
		}
		them.subscribe("a", 1)
		us := s.us().connect(command{})
		us.say("a", "again", 1)
		them.hears("a", "again", 1)
	}
	them.disconnect()
}

func shutdown(s *stage) {
	r := s.behind(broker.Options{})
	them := s.them().connect(command{})
	r.set(s, nil)
	them.loses(packet.ServerShuttingDown)
}

// pings waits for more than one and a half times the keep alive. On a busy machine a
// client may send a ping too late, so a lost client is tested again with a longer keep
// alive; a client that sends no pings is lost with every keep alive.
func pings(s *stage) {
	s.serve(broker.Options{})
	us := s.us().connect(command{})
	for keep := 3; ; keep *= 2 {
		them := s.them().connect(command{KeepAlive: keep}).subscribe("a", 1)
		for range keep + keep/2 + 1 {
			s.aSecond()
		}
		us.say("a", "still here", 1)
		select {
		case got := <-them.messages:
			them.check(got, text("a", "still here", 1))
			return
		case <-them.lost: // which the client may report late, too
			if keep >= 24 {
				s.Fatalf("lost with a keep alive of %d s", keep)
			}
		case <-time.After(patience):
			s.Fatal("neither a message nor a lost connection")
		}
	}
}

func sharedSubscriptions(s *stage) {
	s.serve(broker.Options{})
	us := s.us().connect(command{})
	members := []*peer{s.them().connect(command{}), s.them().connect(command{}), s.us().connect(command{})}
	for _, m := range members {
		m.subscribe("$share/group/a", 1).subscribe("end", 1)
	}
	const n = 90
	us.must(us.burst("a", 1, n))
	us.say("end", "", 1)
	seen := map[string]int{}
	for i, m := range members {
		share := 0
		for got := m.next(); got.Topic != "end"; got = m.next() {
			seen[string(got.Payload)]++
			share++
		}
		if share == 0 {
			s.Errorf("member %d got no messages", i)
		}
	}
	for i := range n {
		if c := seen[fmt.Sprint(i)]; c != 1 {
			s.Errorf("message %d was delivered %d times", i, c)
		}
	}
}

func noIdentifier(s *stage) {
	if s.version == packet.V31 {
		s.Skip("3.1 has none")
	}
	s.serve(broker.Options{})
	them := s.them()
	a := them.must(them.do(command{Do: "connect", URL: s.url, Version: byte(s.version), Clean: true, KeepAlive: 60}))
	if s.version == packet.V5 && (a.Properties == nil || a.Properties.AssignedClientID == "") {
		s.Errorf("no client ID was assigned: %+v", a.Properties)
	}
	them.subscribe("a", 1).say("a", "x", 1)
	them.hears("a", "x", 1)
}

func propertiesPass(s *stage) {
	s.serve(broker.Options{})
	them, us := s.them().connect(command{}).subscribe("down", 1), s.us().connect(command{}).subscribe("up", 1)
	for _, p := range []properties{
		{},
		{PayloadFormat: true, ContentType: "text/plain; charset=\u00fc", ResponseTopic: "r/t", CorrelationData: []byte("\x00\xff id"), MessageExpiry: 1000,
			UserProperties: [][2]string{{"a", "1"}, {"a", "2"}, {"", ""}, {"\u00fc", "\u20ac"}}},
	} {
		m := message{Topic: "down", Payload: []byte("\u00fc"), QoS: 1, Properties: &p}
		us.publish(m)
		them.expect(m)
		m.Topic = "up"
		them.publish(m)
		us.expect(m)
	}
}

func requests(s *stage) {
	s.serve(broker.Options{})
	for _, ends := range [][2]*peer{{s.them(), s.us()}, {s.us(), s.them()}, {s.them(), s.them()}} {
		asker, responder := ends[0].connect(command{}).subscribe("answers", 1), ends[1].connect(command{}).subscribe("ask", 1)
		asker.publish(message{Topic: "ask", Payload: []byte("2+2"), QoS: 1, Properties: &properties{ResponseTopic: "answers", CorrelationData: []byte{0, 1, 255}}})
		q := responder.next()
		responder.publish(message{Topic: q.Properties.ResponseTopic, Payload: []byte("4"), QoS: 1, Properties: &properties{CorrelationData: q.Properties.CorrelationData}})
		asker.expect(message{Topic: "answers", Payload: []byte("4"), QoS: 1, Properties: &properties{CorrelationData: []byte{0, 1, 255}}})
		asker.disconnect()
		responder.disconnect()
	}
}

func subscriptionIDs(s *stage) {
	s.serve(broker.Options{})
	them, us := s.them().connect(command{}), s.us().connect(command{})
	want := func(topic string, ids ...uint32) {
		us.say(topic, "x", 1)
		them.expect(message{Topic: topic, Payload: []byte("x"), QoS: 1, Properties: &properties{SubscriptionIDs: ids}})
	}
	them.subscribeTo(&properties{SubscriptionIDs: []uint32{7}}, filter{Filter: "a", QoS: 1})
	want("a", 7)
	them.subscribeTo(&properties{SubscriptionIDs: []uint32{268_435_455}}, filter{Filter: "b", QoS: 1})
	want("b", 268_435_455)
	them.subscribeTo(&properties{SubscriptionIDs: []uint32{300}}, filter{Filter: "a", QoS: 1})
	want("a", 300)
	them.subscribe("a", 1)
	want("a")
}

func aliasesOfTheirs(s *stage) {
	s.serve(broker.Options{TopicAliasMaximum: 2})
	them, us := s.them().connect(command{}), s.us().connect(command{}).subscribe("#", 1)
	for _, step := range []struct {
		alias       uint16
		topic, want string
	}{{1, "long/name/1", "long/name/1"}, {2, "long/name/2", "long/name/2"}, {1, "", "long/name/1"}, {2, "", "long/name/2"}, {1, "other", "other"}, {1, "", "other"}} {
		them.publish(message{Topic: step.topic, Payload: []byte("x"), QoS: 1, Properties: &properties{TopicAlias: step.alias}})
		us.hears(step.want, "x", 1)
	}
}

func aliasesOfOurs(s *stage) {
	s.serve(broker.Options{})
	them, us := s.them(), s.us().connect(command{})
	session := command{Properties: &properties{TopicAliasMaximum: 2, SessionExpiry: 1000}}
	them.must(them.try(session))
	them.subscribe("long/#", 2)
	for round := range 2 {
		for i := range 12 {
			topic, qos := fmt.Sprint("long/name/", i%4), byte(i%3)
			if s.kind.has("does not resolve aliases at QoS 2") {
				qos = byte(i % 2)
			}
			us.say(topic, fmt.Sprint(i), qos)
			them.hears(topic, fmt.Sprint(i), qos)
		}
		if round == 0 { // aliases end with the connection
			them.disconnect()
			them.resume(session)
		}
	}
}

func expiry(s *stage) {
	s.serve(broker.Options{})
	them, us := s.them(), s.us().connect(command{})
	session := command{Properties: durable()}
	them.must(them.try(session))
	them.subscribe("a", 1)
	them.leave()
	for _, p := range []*peer{us, s.them().connect(command{})} {
		p.publish(message{Topic: "a", Payload: []byte("too late"), QoS: 1, Properties: &properties{MessageExpiry: 1}})
		p.publish(message{Topic: "a", Payload: []byte("in time"), QoS: 1, Properties: &properties{MessageExpiry: 1000}})
	}
	s.aSecond()
	them.resume(session)
	for range 2 {
		m := them.next()
		if string(m.Payload) != "in time" || m.Properties == nil || m.Properties.MessageExpiry > 999 || m.Properties.MessageExpiry < 900 {
			s.Errorf("got %v, want the message in time, with the rest of its 1000 s", m)
		}
	}
}

func theirReceiveMaximum(s *stage) {
	s.serve(broker.Options{})
	them, us := s.them().connect(command{Properties: &properties{ReceiveMaximum: 1}}).subscribe("a", 2), s.us().connect(command{})
	for qos := byte(1); qos < 3; qos++ {
		us.must(us.burst("a", qos, 50))
		for i := range 50 {
			them.hears("a", fmt.Sprint(i), qos)
		}
	}
}

func ourReceiveMaximum(s *stage) {
	s.serve(broker.Options{ReceiveMaximum: 3})
	them, us := s.them().connect(command{}), s.us().connect(command{}).subscribe("a", 2)
	if s.kind.has("ignores the receive maximum") {
		go them.client.do(command{Do: "publish", Message: &message{Topic: "a", QoS: 2}, Count: 50}) // never returns
		them.loses(packet.ReceiveMaximumExceeded)
		return
	}
	for qos := byte(1); qos < 3; qos++ {
		them.must(them.burst("a", qos, 50))
		seen := map[string]int{}
		for range 50 {
			seen[string(us.next().Payload)]++
		}
		if len(seen) != 50 {
			s.Errorf("got %d of 50 messages at QoS %d", len(seen), qos)
		}
	}
}

func theirPacketSize(s *stage) {
	s.serve(broker.Options{})
	them, us := s.them().connect(command{Properties: &properties{MaximumPacketSize: 200}}).subscribe("a", 1), s.us().connect(command{})
	us.publish(message{Topic: "a", Payload: bytes.Repeat([]byte("x"), 300), QoS: 1})
	us.say("a", "small", 1)
	them.hears("a", "small", 1)
}

func scramAuthenticates(s *stage) {
	const method = "SCRAM-SHA-256"
	keys, err := auth.KeysOf(method, "pencil", []byte("salt"), 4096)
	if err != nil {
		s.Fatal(err)
	}
	begin, err := auth.SCRAMServer(method, func(user string) (auth.Keys, bool) { return keys, user == "joe" })
	if err != nil {
		s.Fatal(err)
	}
	s.serve(broker.Options{
		AuthMethods:  map[string]func() broker.Exchange{method: func() broker.Exchange { return begin() }},
		Authenticate: func(*packet.Connect, net.Addr) packet.ReasonCode { return packet.NotAuthorized },
		Authorize:    func(_, user, _ string, _ bool) bool { return user == "joe" },
	})
	for password, ok := range map[string]bool{"pencil": true, "pen": false} {
		c, err := hashes[method].NewClient("joe", password, "")
		if err != nil {
			s.Fatal(err)
		}
		conv, them := c.NewConversation(), s.them()
		first, err := conv.Step("")
		if err != nil {
			s.Fatal(err)
		}
		them.prove = func(challenge []byte) []byte {
			out, err := conv.Step(string(challenge))
			if err != nil {
				s.Error(err)
			}
			return []byte(out)
		}
		a := them.try(command{Clean: true, Properties: &properties{AuthenticationMethod: method, AuthenticationData: []byte(first)}})
		if ok {
			them.must(a)
			them.subscribe("a", 1).say("a", "x", 1)
			them.hears("a", "x", 1)
		} else if a.Error == "" || a.Reason != byte(packet.NotAuthorized) {
			s.Errorf("a wrong password: %+v", a)
		}
	}
	if a := s.them().try(command{Clean: true, Properties: &properties{AuthenticationMethod: "OTHER"}}); a.Reason != byte(packet.BadAuthenticationMethod) {
		s.Errorf("another method: %+v", a)
	}
}

package broker_test

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// connectFrom opens a connection from an address.
func connectFrom(t *testing.T, b *broker.Broker, addr string) *pipePeer {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := net.Pipe()
	b.ServeConn(from{theirs, a})
	return &pipePeer{t, mine}
}

// login returns a CONNECT of MQTT 3.1.1 with a user name and a password, each of one
// character.
func login(user, password string) string { return loginAs("c", user, password) }

// loginAs is login with a client ID, also of one character.
func loginAs(id, user, password string) string {
	return fmt.Sprintf(`10 13 0004 "MQTT" 04 c2 0000 0001 %q 0001 %q 0001 %q`, id, user, password)
}

// slowCheck takes 75 ms for a password, and accepts only "g".
func slowCheck(p *packet.Connect, _ net.Addr) packet.ReasonCode {
	time.Sleep(75 * time.Millisecond)
	if string(p.Password) == "g" {
		return packet.Success
	}
	return packet.BadUserNameOrPassword
}

// flood tries 300 wrong logins a second until stop is called.
func flood(t *testing.T, b *broker.Broker, addr string, user func(n int) string) (stop func()) {
	t.Helper()
	var over atomic.Bool
	go func() {
		for n := 0; !over.Load(); n++ {
			p := connectFrom(t, b, addr)
			go func() {
				_, _ = p.nc.Write(wireBytes(t, login(user(n), "x")))
				_, _ = p.nc.Read(make([]byte, 4))
				_ = p.nc.Close()
			}()
			time.Sleep(time.Second / 300)
		}
	}()
	return func() { over.Store(true); time.Sleep(20 * time.Second) }
}

func TestAGoodLoginGetsThroughWrongOnes(t *testing.T) {
	t.Parallel()
	one := func(int) string { return "x" }
	ten := func(n int) string { return string(rune('0' + n%10)) }
	for _, c := range []struct {
		name     string
		addr     string
		from     string
		user     func(int) string
		logins   int
		denyTime time.Duration
		id       string // of the correct login
	}{
		{"from another address", "192.0.2.1:1", "192.0.2.2:1", one, 2, 0, "c"},
		{"from another address with the same user name", "192.0.2.1:1", "192.0.2.2:1", func(int) string { return "u" }, 1, 0, "c"},
		{"from the same address", "127.0.0.1:1", "127.0.0.1:2", one, 1, 0, "c"},
		{"from the same address with more names", "127.0.0.1:1", "127.0.0.1:2", ten, 1, time.Second, "c"},
		{"from the same address with another client identifier", "127.0.0.1:1", "127.0.0.1:2", func(int) string { return "u" }, 1, time.Second, "g"},
		{"from another prefix", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", one, 1, time.Second, "c"},
		{"from another zone of a machine", "127.0.0.1:1", "[::1]:1", one, 1, 0, "c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := broker.New(broker.Options{Authenticate: slowCheck, Logins: c.logins, DenyTime: c.denyTime, ConnectRate: -1})
				defer closeBroker(t, b)
				stop := flood(t, b, c.addr, c.user)
				defer stop()
				time.Sleep(10 * time.Second)
				for range 5 {
					start := time.Now()
					p := connectFrom(t, b, c.from)
					p.send(loginAs(c.id, "u", "g"))
					p.expect("{ok4}")
					if d := time.Since(start); d > time.Second {
						t.Errorf("the good login took %v", d)
					}
					_ = p.nc.Close()
				}
			})
		})
	}
}

// Addresses take turns, and so do the user names of an address, in the order of
// arrival.
func TestLoginsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var order string
		b := broker.New(broker.Options{Logins: 1, Authenticate: func(p *packet.Connect, remote net.Addr) packet.ReasonCode {
			order += remote.(*net.TCPAddr).IP.String()[8:] + string(p.Username) + string(p.Password) + " "
			time.Sleep(100 * time.Millisecond)
			return packet.NotAuthorized
		}})
		defer closeBroker(t, b)
		for _, x := range []string{"1a1", "1a2", "1a3", "1b1", "1b2", "2c1", "3d1", "2c2", "2d1"} {
			p := connectFrom(t, b, "192.0.2."+x[:1]+":1")
			defer p.nc.Close()
			p.send(login(x[1:2], x[2:]))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if want := "1a1 1a2 2c1 3d1 1b1 2d1 1a3 2c2 1b2 "; order != want {
			t.Errorf("the order was %s, want %s", order, want)
		}
	})
}

// The queue is bounded: beyond the bound the newest login of the address with most is
// refused. The connect timeout continues in the queue.
func TestTheQueueOfLoginsIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 256
		var asked atomic.Int32
		release := make(chan struct{})
		var j journal
		b := broker.New(broker.Options{Logins: 2, ConnectRate: -1, Log: j.log, Authenticate: func(*packet.Connect, net.Addr) packet.ReasonCode {
			asked.Add(1)
			<-release
			return packet.Success
		}})
		defer closeBroker(t, b)
		var all []*pipePeer
		enter := func(addr, user string) *pipePeer {
			p := connectFrom(t, b, addr)
			p.send(login(user, "x"))
			synctest.Wait()
			all = append(all, p)
			return p
		}
		for range 2 + most {
			enter("192.0.2.1:1", "a")
		}
		if n, refused := asked.Load(), j.of(broker.EventRefused); n != 2 || len(refused) != 0 {
			t.Fatalf("%d are asked about at once, want 2; %d are refused, want none", n, len(refused))
		}
		last := all[len(all)-1]
		enter("192.0.2.1:1", "a").expect("20 02 00 03") // the newest of the longest line
		enter("192.0.2.2:1", "a")
		last.expect("20 02 00 03") // now it is this one
		if got := j.of(broker.EventRefused); len(got) != 2 || got[0] != `"c" refused: server busy (0x89): too many logins at once` {
			t.Errorf("logged %q", got)
		}
		time.Sleep(5*time.Second - time.Millisecond)
		if got := j.of(broker.EventRefused); len(got) != 2 {
			t.Errorf("before the connect timeout %d are refused, want 2", len(got))
		}
		time.Sleep(2 * time.Millisecond)
		if got := j.of(broker.EventRefused); len(got) != 2+most {
			t.Errorf("at the connect timeout %d are refused, want %d", len(got), 2+most)
		}
		close(release)
		all[0].expect("20 02 00 03") // too late: its turn has been given up
		for _, p := range all {
			_ = p.nc.Close()
		}
		synctest.Wait()
		p := connectFrom(t, b, "192.0.2.1:1") // the places are free again
		p.send(login("a", "x"))
		p.expect("{ok4}")
		_ = p.nc.Close()
		synctest.Wait()
	})
}

// A client that Recall knows does not wait.
func TestAKnownClientTakesNoTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{Logins: 1,
			Authenticate: func(*packet.Connect, net.Addr) packet.ReasonCode { time.Sleep(time.Second); return packet.Success },
			Recall:       func(p *packet.Connect, _ net.Addr) bool { return string(p.Password) == "g" }})
		defer closeBroker(t, b)
		slow := connectFrom(t, b, "192.0.2.1:1")
		slow.send(login("a", "x"))
		start := time.Now()
		p := connectFrom(t, b, "192.0.2.1:1")
		p.send(login("d", "g"))
		p.expect("{ok4}")
		if d := time.Since(start); d != 0 {
			t.Errorf("it waited %v", d)
		}
		slow.expect("{ok4}")
		for _, p := range []*pipePeer{slow, p} {
			_ = p.nc.Close()
		}
		synctest.Wait()
	})
}

// A refusal is sent at its time however long the check took. The more refusals the
// address has had the later it is, but no correct login is slower for it.
func TestARefusalRevealsNothingByItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{DenyTime: 800 * time.Millisecond, ConnectRate: -1,
			AuthMethods: map[string]func() broker.Exchange{"m": func() broker.Exchange { return counting{} }},
			Authenticate: func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
				if string(p.Username) == "k" {
					time.Sleep(75 * time.Millisecond)
				}
				if string(p.Password) == "g" {
					return packet.Success
				}
				return packet.BadUserNameOrPassword
			}})
		defer closeBroker(t, b)
		took := func(addr, connect, answer string) time.Duration {
			t.Helper()
			start := time.Now()
			p := connectFrom(t, b, addr)
			p.send(connect)
			p.expect(answer)
			_ = p.nc.Close()
			return time.Since(start)
		}
		scram := `10 16 0004 "MQTT" 05 02 0000 08 15 0001 "m" 16 0001 "x" 0001 "a"`
		for i, c := range []struct {
			addr, connect, answer string
			want                  time.Duration
		}{
			{"192.0.2.1:1", login("k", "x"), "20 02 00 04", 900 * time.Millisecond},
			{"192.0.2.2:1", login("n", "x"), "20 02 00 04", 900 * time.Millisecond},
			{"192.0.2.3:1", scram, "20 03 00 87 00", 900 * time.Millisecond},
			{"192.0.2.3:1", login("n", "g"), "{ok4}", 0},
			{"192.0.2.3:1", login("k", "g"), "{ok4}", 75 * time.Millisecond},
		} {
			if got := took(c.addr, c.connect, c.answer); got != c.want {
				t.Errorf("%d: %s took %v, want %v", i, c.connect, got, c.want)
			}
		}
		for range 100 { // at the same time
			p := connectFrom(t, b, "192.0.2.4:1")
			defer p.nc.Close()
			p.send(login("n", "x"))
		}
		synctest.Wait()
		if got := took("192.0.2.4:1", login("n", "x"), "20 02 00 04"); got != 5*time.Second {
			t.Errorf("after 100 others it took %v, want the connect timeout", got)
		}
		time.Sleep(time.Minute)
		if got := took("192.0.2.4:1", login("n", "x"), "20 02 00 04"); got != 900*time.Millisecond {
			t.Errorf("a minute later it took %v", got)
		}
		time.Sleep(10 * time.Second)
	})
}

// Clients that open connections and send nothing do not block others: the oldest of
// these connections is closed.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 256
		var j journal
		b := broker.New(broker.Options{MaxConnections: 1024, Log: j.log, ConnectRate: -1})
		defer closeBroker(t, b)
		var all []*pipePeer
		for range most {
			all = append(all, connectPipe(t, b))
		}
		synctest.Wait()
		if got := j.of(broker.EventRejected); len(got) != 0 {
			t.Errorf("%d connections are too many: %q", most, got)
		}
		all = append(all, connectPipe(t, b))
		all[0].end()
		synctest.Wait()
		if got := j.of(broker.EventRejected); len(got) != 1 || got[0] != "pipe rejected: too many connections are waiting to be accepted; this is the oldest" {
			t.Errorf("logged %q", got)
		}
		if n := b.Stats().Connections; n != most {
			t.Errorf("%d connections, want %d", n, most)
		}
		// An accepted connection does not take one of their places.
		all[1].send(login("a", "x"))
		all[1].expect("{ok4}")
		all = append(all, connectPipe(t, b))
		synctest.Wait()
		if got := j.of(broker.EventRejected); len(got) != 1 {
			t.Errorf("logged %q", got)
		}
		for _, p := range all {
			_ = p.nc.Close()
		}
		synctest.Wait()
	})
}

package broker_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
)

// packet returns the next packet, which must be short.
func (p *pipePeer) packet() []byte {
	p.t.Helper()
	b := make([]byte, 2)
	if _, err := io.ReadFull(p.nc, b); err != nil {
		p.t.Fatal(err)
	}
	b = append(b, make([]byte, b[1])...)
	if _, err := io.ReadFull(p.nc, b[2:]); err != nil {
		p.t.Fatal(err)
	}
	return b
}

// stays returns a CONNECT of MQTT 5.0 that requests a session of an hour.
func stays(id string) string {
	return fmt.Sprintf(`10 13 0004 "MQTT" 05 00 0000 05 11 00000e10 0001 %q`, id)
}

// Sessions of absent clients make room for new ones, the longest absent first. Sessions
// of connected clients do not.
func TestTheOldestAbsentSessionMakesRoom(t *testing.T) {
	t.Parallel()
	for version, kept := range map[string]func(id string) string{
		"5.0":   stays,
		"3.1.1": func(id string) string { return fmt.Sprintf(`10 0d 0004 "MQTT" 04 00 0000 0001 %q`, id) },
		"3.1":   func(id string) string { return fmt.Sprintf(`10 0f 0006 "MQIsdp" 03 00 0000 0001 %q`, id) },
	} {
		synctest.Test(t, func(t *testing.T) {
			var j journal
			b := broker.New(broker.Options{MaxSessions: 3, Log: j.log})
			defer closeBroker(t, b)
			connect := func(id string) (p *pipePeer, present bool) {
				t.Helper()
				p = connectPipe(t, b)
				p.send(kept(id))
				ack := p.packet()
				if ack[3] != 0 {
					t.Fatalf("%s is refused: % x", id, ack)
				}
				return p, ack[2] == 1 || version == "3.1" // whose CONNACK does not report it
			}
			leave := func(p *pipePeer) {
				_ = p.nc.Close()
				synctest.Wait()
			}
			a, _ := connect("a")
			c, _ := connect("c")
			d, _ := connect("d")
			leave(c)
			leave(a)
			a, present := connect("a") // absent again, but since a later time than d
			if !present {
				t.Error("a's session has gone without need")
			}
			leave(d)
			leave(a)
			e, _ := connect("e") // in place of c
			f, _ := connect("f") // in place of d
			if got, want := j.of(broker.EventEvicted), []string{
				`session of "c" ended to make room for another: it was absent for longest, and the limit is 3`,
				`session of "d" ended to make room for another: it was absent for longest, and the limit is 3`}; !slices.Equal(got, want) {
				t.Errorf("logged %q, want %q", got, want)
			}
			a, present = connect("a")
			if !present {
				t.Error("the session that was absent for the shortest time is gone")
			}
			// All are connected.
			g := connectPipe(t, b)
			g.send(stays("g"))
			if ack := g.packet(); ack[3] != 0x97 {
				t.Errorf("a fourth connected client gets % x, want 0x97", ack)
			}
			leave(g)
			leave(e)
			g, _ = connect("g")
			if n := b.Stats().Sessions; n != 3 {
				t.Errorf("%d sessions, want 3", n)
			}
			for _, p := range []*pipePeer{a, f, g} {
				leave(p)
			}
		})
	}
}

// An address that leaves many sessions behind makes room with its own; an address with
// fewer keeps even those that are older.
func TestTheAddressWithMostAbsentSessionsMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var gone []string
		b := broker.New(broker.Options{MaxSessions: 8, ConnectRate: -1, Log: func(e broker.Event) {
			if e.Kind == broker.EventEvicted {
				gone = append(gone, e.ClientID)
			}
		}})
		defer closeBroker(t, b)
		visit := func(addr, id string) {
			t.Helper()
			p := connectFrom(t, b, addr+":1")
			p.send(stays(id))
			if ack := p.packet(); ack[3] != 0 {
				t.Fatalf("%s is refused: % x", id, ack)
			}
			_ = p.nc.Close()
			synctest.Wait()
		}
		check := func(want string) {
			t.Helper()
			if got := strings.Join(gone, ""); got != want {
				t.Fatalf("%q have made room, want %q", got, want)
			}
		}
		visit("192.0.2.1", "a")
		visit("192.0.2.2", "b")
		visit("192.0.2.2", "c")
		for _, id := range "hijkl" { // one host, by its prefix
			visit("[2001:db8::1]", string(id))
		}
		for _, id := range "mnop" {
			visit("[2001:db8::2]", string(id))
		}
		check("hijk")
		visit("192.0.2.1", "d")
		visit("192.0.2.1", "e")
		check("hijklm")         // n, o, p; a, d, e; b, c
		visit("192.0.2.3", "f") // three each: the longest absent one makes room
		check("hijklma")
		visit("192.0.2.3", "f") // known
		visit("192.0.2.4", "n") // moves
		check("hijklma")
		visit("192.0.2.5", "g") // b, c; d, e; o, p; f; n
		check("hijklmab")
		stay := connectFrom(t, b, "192.0.2.1:1")
		stay.send(stays("d"))
		stay.packet()
		visit("192.0.2.6", "q") // o, p have two; d is connected
		check("hijklmabo")
		for _, id := range "rstuvw" { // each address has one, or the newcomer two
			visit("192.0.2.9", string(id))
		}
		check("hijklmabo" + "cprstu")
		_ = stay.nc.Close()
		synctest.Wait()
		if n := b.Stats().Sessions; n != 8 {
			t.Errorf("%d sessions, want 8", n)
		}
	})
}

// A session that makes room ends like one that expires: its will is published, messages
// of its shared subscriptions go to other members, its subscriptions end, and its queue
// is subtracted.
func TestASessionThatMakesRoomEndsAsAnyOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{MaxSessions: 3})
		defer closeBroker(t, b)
		a := connectPipe(t, b)
		// A will "gone" to "w", an hour later.
		a.send(`10 22 0004 "MQTT" 05 04 0000 05 11 00000e10 0001 "a" 05 18 00000e10 0001 "w" 0004 "gone"`)
		a.expect("{ok5}")
		a.send(`82 15 0001 00 0001 "t" 01 000b "$share/g/gg" 01`)
		a.expect("90 05 0001 00 01 01")
		_ = a.nc.Close()
		synctest.Wait()
		w := connectPipe(t, b)
		w.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "w"`)
		w.expect("{ok5}")
		w.send(`82 11 0001 00 000b "$share/g/gg" 01`)
		w.expect("90 04 0001 00 01")
		_ = w.nc.Close() // a is now the only member of the group
		synctest.Wait()
		p := connectPipe(t, b)
		p.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "p"`)
		p.expect("{ok5}")
		p.send(`32 07 0001 "t" 0001 00 "x" 32 07 0001 "t" 0002 00 "y" 32 08 0002 "gg" 0003 00 "z"`)
		p.expect("40 02 0001 40 02 0002 40 02 0003")
		w = connectPipe(t, b)
		w.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "w"`)
		w.expect("{ok5}")
		w.send(`82 15 0001 00 0001 "w" 00 000b "$share/g/gg" 01`)
		w.expect("90 05 0001 00 00 01")
		n := connectPipe(t, b)
		n.send(stays("n"))
		n.expect("{ok5}")
		got := map[string]bool{string(w.packet()): true, string(w.packet()): true}
		for _, want := range []string{`30 08 0001 "w" 00 "gone"`, `32 08 0002 "gg" 0001 00 "z"`} {
			if !got[string(wireBytes(t, want))] {
				t.Errorf("%s has not come; %v has", want, got)
			}
		}
		if st := b.Stats(); st.Dropped != 2 || st.Queued != 0 || st.Sessions != 3 {
			t.Errorf("%+v; want 2 messages dropped, nothing queued, 3 sessions", st)
		}
		p.send(`32 07 0001 "t" 0004 00 "x"`)
		p.expect("40 03 0004 10") // no subscribers
		for _, q := range []*pipePeer{w, n, p} {
			_ = q.nc.Close()
		}
		synctest.Wait()
	})
}

// Sessions are not kept forever unless the options say so, and the CONNACK reports it.
func TestSessionsHaveAnEnd(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * time.Hour
	for _, c := range []struct {
		cap     time.Duration
		connect string
		ack     string
		stays   time.Duration // duration of the session; 0: forever
	}{
		{week, `10 13 0004 "MQTT" 05 00 0000 05 11 ffffffff 0001 "a"`, `20 13 00 00 10 11 00093a80 21 0400 27 01000000 22 0040`, week},
		{week, `10 13 0004 "MQTT" 05 00 0000 05 11 00093a81 0001 "a"`, `20 13 00 00 10 11 00093a80 21 0400 27 01000000 22 0040`, week},
		{week, `10 13 0004 "MQTT" 05 00 0000 05 11 00093a80 0001 "a"`, "{ok5}", week},
		{week, `10 0d 0004 "MQTT" 04 00 0000 0001 "a"`, "{ok4}", week},
		{time.Minute, `10 13 0004 "MQTT" 05 00 0000 05 11 00000e10 0001 "a"`, `20 13 00 00 10 11 0000003c 21 0400 27 01000000 22 0040`, time.Minute},
		{time.Minute, `10 0d 0004 "MQTT" 04 00 0000 0001 "a"`, "{ok4}", time.Minute},
		{0, `10 13 0004 "MQTT" 05 00 0000 05 11 ffffffff 0001 "a"`, "{ok5}", 0},
		{0, `10 0d 0004 "MQTT" 04 00 0000 0001 "a"`, "{ok4}", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := broker.New(broker.Options{MaxSessionExpiry: c.cap})
			defer closeBroker(t, b)
			a := connectPipe(t, b)
			a.send(c.connect)
			a.expect(c.ack)
			_ = a.nc.Close()
			synctest.Wait()
			if c.stays == 0 {
				time.Sleep(100 * 365 * 24 * time.Hour)
			} else {
				time.Sleep(c.stays - time.Millisecond)
			}
			if n := b.Stats().Sessions; n != 1 {
				t.Errorf("%s: the session has gone", c.connect)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if n := b.Stats().Sessions; c.stays != 0 && n != 0 {
				t.Errorf("%s: the session is still there", c.connect)
			}
		})
	}
}

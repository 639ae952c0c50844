package session

import (
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

const sec = time.Second

// tick checks the next deadline, or the error, and what is written.
func tick(t *testing.T, c *Conn, now time.Duration, reading bool, next time.Duration, want error, out string) {
	t.Helper()
	got, err := c.Tick(now, reading)
	if err != want || err == nil && got != next {
		t.Fatalf("Tick at %v: %v, %v; want %v, %v", now, got, err, next, want)
	}
	if b := c.Swap(nil, now); string(b) != string(unhex(t, out)) {
		t.Fatalf("Tick at %v writes %x, want %s", now, b, out)
	}
}

// alive returns a client that is up with a keep alive of ten seconds.
func alive(t *testing.T) *client {
	t.Helper()
	c := &client{t: t}
	if err := c.Open(&c.s, &packet.Connect{Version: packet.V311, ClientID: []byte("c"), KeepAlive: 10}, Config{}, 0); err != nil {
		t.Fatal(err)
	}
	c.Swap(nil, 0)
	c.in("20 02 00 00", "")
	return c
}

func TestAClientPingsWhenItIsSilent(t *testing.T) {
	t.Parallel()
	c := alive(t)
	tick(t, &c.Conn, 4*sec, true, 10*sec, nil, "")
	tick(t, &c.Conn, 10*sec, true, 20*sec, nil, "c0 00")
	if _, err := c.Next([]byte{0xd0, 0}, 11*sec, &c.ev); err != nil || c.ev.Kind != Pong {
		t.Fatalf("event %d, %v", c.ev.Kind, err)
	}
	tick(t, &c.Conn, 12*sec, true, 20*sec, nil, "")
	tick(t, &c.Conn, 20*sec, true, 30*sec, nil, "c0 00")
	tick(t, &c.Conn, 29*sec, true, 30*sec, nil, "")
	c.Heard(29 * sec) // a long packet is arriving
	tick(t, &c.Conn, 30*sec, true, 39*sec, nil, "")
	tick(t, &c.Conn, 39*sec, true, 0, ErrKeepAlive, "")
}

// After a long packet the PINGREQ has not been written yet: the peer's time
// starts when it is, as long as the packet makes progress.
func TestAPingBehindALongPacketWaitsForIt(t *testing.T) {
	t.Parallel()
	long := packet.Publish{Topic: []byte("t"), Payload: make([]byte, 1000)}
	queued := func() *client {
		c := alive(t)
		if err := c.Publish(&long, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Tick(10*sec, true); err != nil || !c.PingWaits() {
			t.Fatalf("%v, PINGREQ waits %v", err, c.PingWaits())
		}
		return c
	}
	is := func(c *client, now, want time.Duration, wantErr error) {
		t.Helper()
		if next, err := c.Tick(now, true); next != want || err != wantErr {
			t.Errorf("at %v: next %v, %v; want %v, %v", now, next, err, want, wantErr)
		}
	}
	c := queued()
	c.Wrote(500, 19*sec)
	is(c, 20*sec, 29*sec, nil)
	c.Wrote(500, 28*sec)
	is(c, 29*sec, 38*sec, nil)
	c.Wrote(len(c.Output()), 37*sec)
	is(c, 38*sec, 47*sec, nil)
	is(c, 47*sec, never, ErrKeepAlive)

	c = queued()
	c.Wrote(500, 19*sec)
	is(c, 29*sec, never, ErrKeepAlive) // the peer takes nothing

	c = queued()
	c.Swap(nil, 15*sec)
	is(c, 20*sec, 25*sec, nil)
	c.Pinged(24 * sec) // it took this long to write
	is(c, 25*sec, 34*sec, nil)
	is(c, 34*sec, never, ErrKeepAlive)
}

func TestAServerGivesUpASilentClient(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ connect, bye string }{{connect311, ""}, {connect5, "e0 01 8d"}} {
		v := &server{t: t}
		v.Serve(Config{}, 0)
		v.in(row.connect, "")
		if err := v.Accept(&v.s, &packet.Connack{}, 10*sec, 1*sec); err != nil {
			t.Fatal(err)
		}
		v.Swap(nil, 1*sec)
		tick(t, &v.Conn, 2*sec, true, 16*sec, nil, "")
		if _, err := v.Next([]byte{0xc0, 0}, 3*sec, &v.ev); err != nil {
			t.Fatal(err)
		}
		tick(t, &v.Conn, 3*sec, true, 18*sec, nil, "d0 00")
		_, err := v.Tick(18*sec, true)
		v.Fail(err)
		v.out(row.bye)
		if next, err := v.Tick(100*sec, true); next != never || err != nil {
			t.Errorf("a closed connection: %v, %v", next, err)
		}
	}
}

func TestKeepAlive0HasNoDeadline(t *testing.T) {
	t.Parallel()
	v := serve(t, Config{}, connect311)
	v.Swap(nil, 0)
	tick(t, &v.Conn, 1e6*sec, true, never, nil, "")
}

func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{ConnectTimeout: 5 * sec})
	tick(t, &c.Conn, 1*sec, true, 5*sec, nil, "")
	tick(t, &c.Conn, 5*sec, true, 0, ErrConnectTimeout, "")
	v := &server{t: t}
	v.Serve(Config{ConnectTimeout: 5 * sec}, 1*sec)
	tick(t, &v.Conn, 1*sec, true, 6*sec, nil, "")
	tick(t, &v.Conn, 6*sec, true, 0, ErrConnectTimeout, "")
	v.Fail(ErrConnectTimeout)
	v.out("")
	v.Serve(Config{}, 0)
	tick(t, &v.Conn, 1e6*sec, true, never, nil, "")
}

func TestAClientThatDoesNotReadGoesOnPinging(t *testing.T) {
	t.Parallel()
	c := alive(t)
	tick(t, &c.Conn, 10*sec, false, 20*sec, nil, "c0 00")
	tick(t, &c.Conn, 20*sec, false, 30*sec, nil, "c0 00")
	tick(t, &c.Conn, 25*sec, false, 30*sec, nil, "")
	tick(t, &c.Conn, 30*sec, false, 40*sec, nil, "c0 00")
	// After reading resumes, there is time to find the answers.
	tick(t, &c.Conn, 31*sec, true, 40*sec, nil, "")
	tick(t, &c.Conn, 40*sec, true, 0, ErrKeepAlive, "")
}

func TestAServerThatDidNotReadGivesTheClientTime(t *testing.T) {
	t.Parallel()
	v := &server{t: t}
	v.Serve(Config{}, 0)
	v.in(connect311, "")
	if err := v.Accept(&v.s, &packet.Connack{}, 10*sec, 0); err != nil {
		t.Fatal(err)
	}
	v.Swap(nil, 0)
	tick(t, &v.Conn, 15*sec, false, 25*sec, nil, "")
	tick(t, &v.Conn, 16*sec, true, 30*sec, nil, "")
	tick(t, &v.Conn, 30*sec, true, 0, ErrKeepAlive, "")
}

func TestADrippingConnectDoesNotExtendItsTimeout(t *testing.T) {
	t.Parallel()
	v := &server{t: t}
	v.Serve(Config{ConnectTimeout: 5 * sec}, 0)
	v.Heard(4 * sec)
	tick(t, &v.Conn, 4*sec, true, 5*sec, nil, "")
	tick(t, &v.Conn, 5*sec, true, 0, ErrConnectTimeout, "")
}

// A peer cannot answer what the client has not written. An AUTH from the server
// in place of the CONNACK does not extend the wait.
func TestTheWaitForConnackBeginsWhenConnectIsWritten(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	p := packet.Connect{Version: packet.V5, ClientID: []byte("c"), Properties: packet.Properties("\x15\x00\x01m")}
	if err := c.Open(&c.s, &p, Config{ConnectTimeout: 5 * sec}, 0); err != nil {
		t.Fatal(err)
	}
	c.Swap(nil, 3*sec)
	tick(t, &c.Conn, 4*sec, true, 8*sec, nil, "")
	var ev Event
	b := unhex(t, "f0 06 18 04 15 0001 6d")
	if n, err := c.Next(b, 6*sec, &ev); n != len(b) || err != nil || ev.Kind != Auth {
		t.Fatalf("%d, %v, kind %v", n, err, ev.Kind)
	}
	tick(t, &c.Conn, 6*sec, true, 8*sec, nil, "")
	tick(t, &c.Conn, 8*sec, true, 0, ErrConnectTimeout, "")
}

package broker_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// counting expects "1", answers "2", expects "3" and answers "4"; "!" is banned.
type counting struct{ user string }

func (counting) Step(data []byte) ([]byte, bool, error) {
	switch string(data) {
	case "1":
		return []byte("2"), false, nil
	case "3":
		return []byte("4"), true, nil
	case "!":
		return nil, false, packet.Banned
	}
	return nil, false, errors.New("wrong")
}
func (c counting) User() string { return c.user }

// It shows MQTT-3.15.2-1, MQTT-3.15.2-2, MQTT-3.15.2-3, MQTT-4.12.0-2,
// MQTT-4.12.0-5, MQTT-4.12.1-2.
func TestEnhancedAuthentication(t *testing.T) {
	t.Parallel()
	const (
		begin = "\na> 10 16 0004 \"MQTT\" 05 02 0000 08 15 0001 \"m\" 16 0001 \"1\" 0001 \"a\"\na< f0 0a 18 08 15 0001 \"m\" 16 0001 \"2\"\n"
		goOn  = "a> f0 0a 18 08 15 0001 \"m\" 16 0001 \"3\"\n"
		up    = begin + goOn + "a< 20 16 00 00 13 21 0400 27 01000000 22 0040 15 0001 \"m\" 16 0001 \"4\"\n"
	)
	for _, c := range []conversation{
		{"accepted, and the name that was proved is the user's", up + `
			a> 82 07 0001 00 0001 "t" 00
			a< 90 04 0001 00 00
			a> 82 07 0002 00 0001 "x" 00
			a< 90 04 0002 00 87`},
		{"refused", begin + "a> f0 0a 18 08 15 0001 \"m\" 16 0001 \"x\"\na< 20 03 00 87 00\na< x"},
		{"refused with a reason", begin + "a> f0 0a 18 08 15 0001 \"m\" 16 0001 \"!\"\na< 20 03 00 8a 00\na< x"},
		{"refused at once", "a> 10 12 0004 \"MQTT\" 05 02 0000 04 15 0001 \"m\" 0001 \"a\"\na< 20 03 00 87 00\na< x"},
		{"another method in between", begin + "a> f0 0a 18 08 15 0001 \"n\" 16 0001 \"3\"\na< 20 03 00 8c 00\na< x"},
		{"another reason in between", begin + "a> f0 0a 19 08 15 0001 \"m\" 16 0001 \"3\"\na< 20 03 00 82 00\na< x"},
		{"SUBSCRIBE in between", begin + "a> 82 07 0001 00 0001 \"t\" 00\na< 20 03 00 82 00\na< x"},
		{"CONNECT in between", begin + "a> 10 0e 0004 \"MQTT\" 05 02 0000 00 0001 \"a\"\na< 20 03 00 82 00\na< x"},
		{"DISCONNECT in between", begin + "a> e0 00\na< x"},
		{"CONNECT without a method is for Authenticate", "a> 10 0e 0004 \"MQTT\" 05 02 0000 00 0001 \"a\"\na< 20 03 00 86 00\na< x"},
		{"packets behind the last AUTH", begin + "a> f0 0a 18 08 15 0001 \"m\" 16 0001 \"3\" {ping}\na< 20 16 00 00 13 21 0400 27 01000000 22 0040 15 0001 \"m\" 16 0001 \"4\" {pong}"},
		{"again", up + `
			a> f0 0a 19 08 15 0001 "m" 16 0001 "1"
			a< f0 0a 18 08 15 0001 "m" 16 0001 "2"
			a> {ping} f0 0a 18 08 15 0001 "m" 16 0001 "3"
			a< {pong} f0 0a 00 08 15 0001 "m" 16 0001 "4"
			a> f0 0a 19 08 15 0001 "m" 16 0001 "3"
			a< f0 0a 00 08 15 0001 "m" 16 0001 "4"`},
		{"again, refused", up + "a> f0 0a 19 08 15 0001 \"m\" 16 0001 \"x\"\na< e0 01 87\na< x"},
		{"again, banned, which DISCONNECT cannot say", up + "a> f0 0a 19 08 15 0001 \"m\" 16 0001 \"!\"\na< e0 01 87\na< x"},
		{"again by another method", up + "a> f0 0a 19 08 15 0001 \"n\" 16 0001 \"1\"\na< e0 01 8c\na< x"},
		{"an answer to nothing", up + "a> f0 0a 18 08 15 0001 \"m\" 16 0001 \"1\"\na< e0 01 82\na< x"},
		{"again twice at once", up + "a> f0 0a 19 08 15 0001 \"m\" 16 0001 \"1\" f0 0a 19 08 15 0001 \"m\" 16 0001 \"1\"\na< f0 0a 18 08 15 0001 \"m\" 16 0001 \"2\" e0 01 82\na< x"},
		{"success from a client", up + "a> f0 0a 00 08 15 0001 \"m\" 16 0001 \"1\"\na< e0 01 82\na< x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, addr := brokertest.StartWith(t, broker.Options{
				AuthMethods:  map[string]func() broker.Exchange{"m": func() broker.Exchange { return counting{"who"} }},
				Authenticate: func(*packet.Connect, net.Addr) packet.ReasonCode { return packet.BadUserNameOrPassword },
				Authorize:    func(_, user, topic string, _ bool) bool { return user == "who" && topic == "t" },
			})
			talk(t, addr, c.script)
		})
	}
}

// All packets up to CONNACK share one time limit, however many there are.
func TestAnExchangeHasATimeLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{AuthMethods: map[string]func() broker.Exchange{"m": func() broker.Exchange { return counting{} }}})
		defer closeBroker(t, b)
		p := connectPipe(t, b)
		start := time.Now()
		p.send(`10 16 0004 "MQTT" 05 02 0000 08 15 0001 "m" 16 0001 "1" 0001 "a"`)
		p.expect(`f0 0a 18 08 15 0001 "m" 16 0001 "2"`)
		time.Sleep(4 * time.Second)
		p.send(`f0 0a 18 08 15 0001 "m" 16 0001 "1"`)
		p.expect(`f0 0a 18 08 15 0001 "m" 16 0001 "2"`)
		p.expect("20 03 00 80 00")
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("cut off after %v", d)
		}
		p.end()
		synctest.Wait()
	})
}

// A re-authentication has a time limit too. A PINGREQ does not extend it, and it ends
// with the re-authentication.
func TestAReauthenticationHasATimeLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{AuthMethods: map[string]func() broker.Exchange{"m": func() broker.Exchange { return counting{} }}})
		defer closeBroker(t, b)
		p := connectPipe(t, b)
		p.send(`10 16 0004 "MQTT" 05 02 003c 08 15 0001 "m" 16 0001 "3" 0001 "a"`)
		p.expect(`20 16 00 00 13 21 0400 27 01000000 22 0040 15 0001 "m" 16 0001 "4"`)
		const begin, goOn = `f0 0a 19 08 15 0001 "m" 16 0001 "1"`, `f0 0a 18 08 15 0001 "m" 16 0001 `
		time.Sleep(time.Minute)
		for range 2 {
			p.send(begin)
			p.expect(goOn + `"2"`)
			time.Sleep(4 * time.Second)
			p.send(goOn + `"3"`)
			p.expect(`f0 0a 00 08 15 0001 "m" 16 0001 "4"`)
		}
		time.Sleep(time.Minute) // nothing is in progress
		p.send(begin)
		p.expect(goOn + `"2"`)
		start := time.Now()
		for range 2 {
			time.Sleep(2 * time.Second)
			p.send(goOn + `"1" {ping}`)
			p.expect(goOn + `"2" {pong}`)
		}
		p.expect("e0 01 87")
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("cut off after %v", d)
		}
		p.end()
		synctest.Wait()
	})
}

// TestSCRAM connects our client to our broker.
func TestSCRAM(t *testing.T) {
	t.Parallel()
	methods := map[string]func() broker.Exchange{}
	for _, m := range auth.Methods() {
		keys, err := auth.KeysOf(m, "pencil", []byte("some salt"), 4096)
		if err != nil {
			t.Fatal(err)
		}
		begin, err := auth.SCRAMServer(m, func(user string) (auth.Keys, bool) { return keys, user == "user" })
		if err != nil {
			t.Fatal(err)
		}
		methods[m] = func() broker.Exchange { return begin() }
	}
	_, addr := brokertest.StartWith(t, broker.Options{AuthMethods: methods})
	for _, m := range auth.Methods() {
		as := func(user, password string) *mqtt.Options {
			return &mqtt.Options{Authenticate: func(context.Context) (mqtt.Authenticator, error) { return auth.SCRAM(m, user, password) }}
		}
		c := dial(t, addr, as("user", "pencil"))
		for range 2 {
			if err := c.Reauthenticate(t.Context()); err != nil {
				t.Errorf("%s: %v", m, err)
			}
		}
		for _, bad := range [][2]string{{"user", "pen"}, {"unknown", "pencil"}} {
			if _, err := mqtt.Connect(t.Context(), "mqtt://"+addr, as(bad[0], bad[1])); !errors.Is(err, packet.NotAuthorized) {
				t.Errorf("%s: %q: %v", m, bad, err)
			}
		}
	}
}

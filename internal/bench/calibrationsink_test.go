package bench

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/swarm"
)

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSinkAnswers(t *testing.T) {
	t.Parallel()
	const (
		connect5   = "10 0d 0004 4d515454 05 02 0000 00 0000"
		connect311 = "10 0c 0004 4d515454 04 02 0000 0000"
		connack5   = "20 03 00 00 00"
		connack311 = "20 02 00 00"
	)
	for _, test := range []struct{ name, in, out string }{
		{"it accepts", connect5, connack5},
		{"it accepts 3.1.1", connect311, connack311},
		{"it acknowledges QoS 1", connect311 + "32 07 0001 74 0005 6869", connack311 + "40 02 0005"},
		{"it acknowledges QoS 2", connect311 + "34 05 0001 74 0005 62 02 0005", connack311 + "50 02 0005 70 02 0005"},
		{"it keeps QoS 0 to itself", connect311 + "30 05 0001 74 6869", connack311},
		{"it grants and sends back", connect311 + "82 06 0001 0001 23 00" + "30 05 0001 74 6869", connack311 + "90 03 0001 00" + "30 05 0001 74 6869"},
		{"it sends QoS 1 back at QoS 0", connect5 + "82 07 0001 00 0001 23 01" + "32 08 0001 74 0005 00 6869", connack5 + "90 04 0001 00 00" + "40 02 0005" + "30 06 0001 74 00 6869"},
		{"it answers pings", connect5 + "c0 00", connack5 + "d0 00"},
	} {
		mine, theirs := net.Pipe()
		done := make(chan error, 1)
		go func() {
			done <- (&sinkConn{c: theirs}).serve()
			_ = theirs.Close()
		}()
		go func() {
			for _, b := range fromHex(t, test.in+"e0 00") { // byte by byte, and DISCONNECT
				if _, err := mine.Write([]byte{b}); err != nil {
					return
				}
			}
		}()
		got, err := io.ReadAll(mine)
		if want := fromHex(t, test.out); string(got) != string(want) || err != nil {
			t.Errorf("%s: %x, %v; want %x", test.name, got, err, want)
		}
		if err := <-done; err != io.EOF {
			t.Errorf("%s: %v, want EOF", test.name, err)
		}
	}
}

func TestSinkRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"a reserved type":          "00 00",
		"a packet that is too big": "30 ffffff7f",
		"a broken PUBLISH":         "32 02 0009",
	} {
		mine, theirs := net.Pipe()
		go func() { _, _ = mine.Write(fromHex(t, in)) }()
		if err := (&sinkConn{c: theirs}).serve(); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		_, _ = mine.Close(), theirs.Close()
	}
}

// A plan that does not set a warm-up has the default of 5 s.
func TestTheClosedLoopsOfACalibrationHaveNoWarmUp(t *testing.T) {
	t.Parallel()
	for _, scenario := range []string{echoPlan, ackPlan, connectPlan} {
		if p := parse(t, fmt.Sprintf(scenario, time.Second, 4)); p.Phases.WarmUp != 0 {
			t.Errorf("%s: a warm-up of %v", p.Name, p.Phases.WarmUp)
		}
	}
}

func TestCalibrate(t *testing.T) {
	t.Parallel()
	c, err := Calibrate(t.Context(), swarm.Options{Loops: 1}, time.Second, 50)
	if err != nil || c.Messages <= 0 || c.Acked <= 0 || c.Connects <= 0 || c.Floor <= 0 {
		t.Errorf("%+v, %v", c, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Calibrate(ctx, swarm.Options{Loops: 1}, time.Hour, 50); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

package mqbench

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// Each broker that a scenario names is probed like one of the command line, and errors name
// the broker that they are about.
func TestBrokersOfAScenarioAreProbed(t *testing.T) {
	t.Parallel()
	_, good := brokertest.StartWith(t, broker.Options{})
	old, fives := only311(t, "\x20\x03\x00\x84\x00")
	web := answering(t, func(nc net.Conn, _ []byte) { _, _ = io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	shut := answering(t, func(nc net.Conn, _ []byte) { _, _ = nc.Write([]byte{0x20, 2, 0, 5}) })
	for _, c := range []struct {
		it      string
		brokers []string
		options string
		code    int
		says    string
	}{
		{"one that is right", []string{"mqtt://" + good}, "", option.ExitDone, ""},
		{"one of them speaks 3.1.1 alone", []string{"mqtt://" + good, "mqtt://127.0.0.1:" + old}, "", option.ExitDone, "127.0.0.1:" + old + " does not support MQTT 5: using MQTT 3.1.1"},
		{"one of them is a web server", []string{"mqtt://" + good, "mqtt://127.0.0.1:" + web}, "", option.ExitUnreached, "127.0.0.1:" + web + " speaks HTTP, not MQTT"},
		{"one of them refuses everyone", []string{"mqtt://127.0.0.1:" + shut, "mqtt://" + good}, "-V 311", option.ExitIncomplete, "127.0.0.1:" + shut + " refused the connection: not authorized"},
		{"TLS to a plain port", []string{"mqtts://" + good}, "--insecure", option.ExitUnreached, good + " closed the connection during the TLS handshake"},
		{"--insecure without TLS", []string{"mqtt://" + good}, "--insecure", option.ExitUsage, "--insecure needs TLS"},
		{"others on the command line", []string{"mqtt://127.0.0.1:" + web}, "-L mqtt://" + good, option.ExitDone, ""},
	} {
		t.Run(c.it, func(t *testing.T) {
			scenario := file(t, "x.yaml", fmt.Sprintf("brokers: [%s]\nphases: {settle: 0s, warm-up: 0s, measure: 300ms}\ngroups: {g: {clients: 10}}", strings.Join(c.brokers, ", ")))
			r := mqbench(t, append(words("run -d "+c.options), scenario)...)
			if r.code != c.code || !strings.Contains(r.err, c.says) {
				t.Errorf("status %d, want %d and %q: %s", r.code, c.code, c.says, r.err)
			}
			for _, other := range append(c.brokers, "localhost:1883") {
				if addr := strings.TrimPrefix(other, "mqtt://"); strings.Contains(r.err, addr+" refused") && !strings.Contains(c.says, addr) {
					t.Errorf("it names %s: %s", addr, r.err)
				}
			}
		})
	}
	if n := fives.Load(); n != 1 {
		t.Errorf("%d connections of MQTT 5, want one", n)
	}
}

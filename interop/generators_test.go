package interop

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// TestGeneratorsBesidePaho compares the processor time of the generator per message with
// generators that are built on the Paho client: see pahobench. They wait for each message
// before they send the next one. At QoS 1 mqbench is also made to do so, and then both
// spend most of the time in system calls. Run with -v for the figures. The figures of the
// broker, which the race detector slows down, do not count.
func TestGeneratorsBesidePaho(t *testing.T) {
	dir := t.TempDir()
	for _, pkg := range []string{"github.com/mqtools/mqtools/cmd/mqbench", "github.com/mqtools/mqtools/interop/pahobench"} {
		if out, err := exec.Command("go", "build", "-mod=mod", "-o", dir, pkg).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	const clients, size = 10, 64
	for _, c := range []struct {
		name         string
		theirs, ours string
		messages     int // of each client
		qos          int
		options      string
		atLeast      float64 // minimum of their cost divided by ours
	}{
		{name: "QoS 0", theirs: "publish", ours: "pub", messages: 20_000, atLeast: 6},
		{name: "QoS 1, one at a time", theirs: "publish", ours: "pub", messages: 5000, qos: 1, options: "-M 1", atLeast: 1.2},
		{name: "QoS 1, ours with a window of 64", theirs: "publish", ours: "pub", messages: 5000, qos: 1, options: "-M 64", atLeast: 4},
		{name: "QoS 0 to subscribers", theirs: "pairs", ours: "pubsub", messages: 20_000, atLeast: 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			cost := func(name string, args ...string) time.Duration {
				_, addr := brokertest.StartWith(t, broker.Options{})
				cmd := exec.Command(filepath.Join(dir, name), args...)
				for i, a := range cmd.Args {
					cmd.Args[i] = strings.ReplaceAll(a, "{addr}", addr)
				}
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
				}
				took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
				return took * 1_000_000 / time.Duration(clients*c.messages)
			}
			// A machine that is busy with other work is measured again.
			for again := 3; ; again-- {
				theirs := cost("pahobench", c.theirs, "tcp://{addr}", fmt.Sprint(clients), fmt.Sprint(c.messages), fmt.Sprint(c.qos), fmt.Sprint(size))
				ours := cost("mqbench", append([]string{c.ours, "--url", "mqtt://{addr}", "--clients", fmt.Sprint(clients), "-t", "t/%i", "-q", fmt.Sprint(c.qos),
					"--size", fmt.Sprint(size), "--limit", fmt.Sprint(clients * c.messages), "--rate", "unlimited", "--warm-up", "0s"}, strings.Fields(c.options)...)...)
				ratio := float64(theirs) / float64(ours)
				t.Logf("%.2f s of a processor for a million messages by Paho, %.2f s by mqbench: %.1f times", theirs.Seconds(), ours.Seconds(), ratio)
				if ratio >= c.atLeast {
					return
				}
				if again == 0 {
					t.Fatalf("less than %g times", c.atLeast)
				}
			}
		})
	}
}

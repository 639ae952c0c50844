package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nats is a NATS server as an MQTT broker, and its ports.
type nats struct {
	*daemon
	program, config string
	plain, ws       string
}

// newNATS starts one with the user joe, whose password is hunter2. Its program is
// in the module of interop, whose dependencies are not the tools'.
func newNATS(t *testing.T) *nats {
	t.Helper()
	need(t)
	dir := tempDir(t)
	n := &nats{daemon: &daemon{t: t}, program: filepath.Join(dir, "nats"), plain: freePort(t), ws: freePort(t)}
	build := exec.Command("go", "build", "-C", "../../interop", "-mod=mod", "-o", n.program, "./nats")
	build.Env = append(os.Environ(), "GOPROXY=off") // a test does not go to the network
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("NATS is not installed (go vet -mod=mod ./nats in interop): %v\n%s", err, out)
	}
	n.config = writeFile(t, filepath.Join(dir, "nats.conf"), "server_name: mq", "listen: 127.0.0.1:"+freePort(t),
		"jetstream {store_dir: "+filepath.Join(dir, "js")+"}", "mqtt {listen: 127.0.0.1:"+n.plain+"}",
		"websocket {listen: 127.0.0.1:"+n.ws+", no_tls: true}",
		`authorization {users: [{user: joe, password: hunter2, permissions: {publish: {deny: "secret.>"}, subscribe: {deny: "secret.>"}}}]}`)
	n.start()
	return n
}

func (n *nats) start() {
	n.t.Helper()
	n.daemon = startDaemon(n.t, exec.Command(n.program, n.config))
	n.await("word", func() bool { return strings.Contains(n.log.String(), "ready\n") })
}

// TestExchangeOverNATS has the tools exchange messages over a broker of 3.1.1
// only: it says so, but over WebSocket it may close before that is read.
func TestExchangeOverNATS(t *testing.T) {
	t.Parallel()
	n := newNATS(t)
	joe := way{"-u", "joe", "-P", "hunter2"}
	tcp := append(way{"-h", "127.0.0.1", "-p", n.plain}, joe...)
	ws := append(way{"-L", "ws://127.0.0.1:" + n.ws + "/mqtt"}, joe...)
	t.Run("up", func(t *testing.T) { // until all of it is done
		for name, w := range map[string]way{"tcp": tcp, "ws": ws} {
			for _, version := range []string{"311", "auto"} {
				t.Run(name+" v"+version, func(t *testing.T) { exchange(t, w, version, limits{large: 1 << 19, kept: 2}) })
			}
		}
		for _, a := range []attempt{
			{"the version is agreed on", tcp, 0, ""},
			{"5.0", append(way{"-V", "5"}, tcp...), 4, "not supported (0x84)"},
			{"3.1", append(way{"-V", "31"}, tcp...), 3, "closed the connection before CONNACK"},
			{"wrong password", way{"-h", "127.0.0.1", "-p", n.plain, "-u", "joe", "-P", "hunter22"}, 4, "not authorized"},
			{"wrong password, ws", way{"-L", "ws://joe:hunter22@127.0.0.1:" + n.ws + "/mqtt"}, 4, "not authorized"},
			{"no user name", way{"-h", "127.0.0.1", "-p", n.plain}, 4, "not authorized"},
			{"path", way{"-L", "ws://127.0.0.1:" + n.ws + "/other"}, 3, "/other"},
		} {
			t.Run(a.name, func(t *testing.T) {
				t.Parallel()
				a.check(t, "t")
			})
		}
		t.Run("denied", func(t *testing.T) {
			t.Parallel()
			// Of a PUBLISH that it denies it says nothing: it acknowledges.
			r := run(t, "", "mqsub", tcp.with("-t", "secret/x", "-t", "open/x")...)
			if r.code != 5 || !strings.Contains(r.err, "secret/x") {
				t.Errorf("SUBSCRIBE: code %d, stderr %q; want code 5", r.code, r.err)
			}
		})
	})
	// A restarted NATS no longer knows what it had handed to a connection, and sends
	// it again 30 seconds after it first did (its ack_wait), later messages before.
	for _, qos := range []string{"1", "2"} {
		t.Run("restart q"+qos, func(t *testing.T) {
			restartInTheMiddle(t, tcp, qos, 20_000, 2, true, func() { n.stop(); n.start() })
		})
		// It forgets packet identifiers, and uses those again that await PUBREL.
		t.Run("killed q"+qos, func(t *testing.T) {
			restartInTheMiddle(t, tcp, qos, 20_000, 2, true, func() { n.kill(); n.start() })
		})
	}
}

// kill ends the program as a power cut does.
func (d *daemon) kill() {
	_ = d.cmd.Process.Signal(syscall.SIGKILL)
	<-d.ended
}

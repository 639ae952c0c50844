package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rabbitmq is Debian's RabbitMQ as an MQTT broker, and its ports.
type rabbitmq struct {
	*daemon
	plain, ws string
	env       []string
}

// newRabbitMQ starts one with the user joe, whose password is hunter2 and who
// may do everything but touch topics below secret/. It takes ten seconds.
//
// It is a node with a name, a cookie and a directory of its own, and with an epmd
// of its own, which would otherwise be started for it and stay.
func newRabbitMQ(t *testing.T) *rabbitmq {
	t.Helper()
	server := "/usr/lib/rabbitmq/bin/rabbitmq-server" // the one of /usr/sbin is for a user of its own
	if _, err := os.Stat(server); err != nil {
		t.Skip("rabbitmq-server is not installed")
	}
	dir := tempDir(t)
	epmd := freePort(t)
	startDaemon(t, exec.Command(program(t, "epmd"), "-port", epmd, "-address", "127.0.0.1"), epmd)
	r := &rabbitmq{daemon: &daemon{t: t}, plain: freePort(t), ws: freePort(t)}
	definitions := writeFile(t, filepath.Join(dir, "definitions.json"), `{"users": [{"name": "joe", "password": "hunter2", "tags": ""}], "vhosts": [{"name": "/"}],
		"permissions": [{"user": "joe", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
		"topic_permissions": [{"user": "joe", "vhost": "/", "exchange": "amq.topic", "write": "^(?!secret)", "read": "^(?!secret)"}]}`)
	config := writeFile(t, filepath.Join(dir, "rabbitmq.conf"),
		"listeners.tcp = none", "mqtt.listeners.tcp.1 = 127.0.0.1:"+r.plain, "mqtt.allow_anonymous = false",
		"web_mqtt.tcp.ip = 127.0.0.1", "web_mqtt.tcp.port = "+r.ws, "web_mqtt.ws_path = /mqtt",
		"load_definitions = "+definitions, "log.console = true", "log.console.level = info", "log.file = false")
	plugins := writeFile(t, filepath.Join(dir, "enabled_plugins"), "[rabbitmq_mqtt,rabbitmq_web_mqtt].")
	r.env = append(os.Environ(), "HOME="+dir, "RABBITMQ_NODENAME=mq"+epmd+"@localhost", "RABBITMQ_CONF_ENV_FILE="+filepath.Join(dir, "none"),
		"RABBITMQ_CONFIG_FILE="+config, "RABBITMQ_ENABLED_PLUGINS_FILE="+plugins, "RABBITMQ_PID_FILE="+filepath.Join(dir, "pid"),
		"RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "mnesia"), "RABBITMQ_LOG_BASE="+filepath.Join(dir, "log"),
		"RABBITMQ_DIST_PORT="+freePort(t), "ERL_EPMD_PORT="+epmd, "ERL_EPMD_ADDRESS=127.0.0.1", "ERL_CRASH_DUMP="+filepath.Join(dir, "crash"),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +sbwt none -setcookie mq",
		"RUNNING_UNDER_SYSTEMD=true") // the script becomes the server, so that signals reach it
	r.start()
	return r
}

func (r *rabbitmq) start() {
	r.t.Helper()
	c := exec.Command("/usr/lib/rabbitmq/bin/rabbitmq-server")
	c.Env = r.env
	r.daemon = startDaemon(r.t, c)
	// Its ports answer before it knows its users.
	r.await("word", func() bool { return strings.Contains(r.log.String(), "Server startup complete") })
}

// TestExchangeOverRabbitMQ has the tools exchange messages over a broker that
// speaks 3.1 and 3.1.1 only and says so by closing, that has no QoS 2 and answers
// one with PUBACK, and that denies by closing.
func TestExchangeOverRabbitMQ(t *testing.T) {
	t.Parallel()
	r := newRabbitMQ(t)
	joe := way{"-u", "joe", "-P", "hunter2"}
	tcp := append(way{"-h", "127.0.0.1", "-p", r.plain}, joe...)
	ws := append(way{"-L", "ws://127.0.0.1:" + r.ws + "/mqtt"}, joe...)
	t.Run("up", func(t *testing.T) { // until all of it is done
		for name, w := range map[string]way{"tcp": tcp, "ws": ws} {
			for _, version := range []string{"31", "311", "auto"} {
				most := limits{large: 1 << 20, qos: 1, kept: 1, exact: true, wills: name == "ws"}
				t.Run(name+" v"+version, func(t *testing.T) { exchange(t, w, version, most) })
			}
		}
		for _, a := range []attempt{
			{"the version is agreed on", tcp, 0, "closes connections that speak MQTT 5: using MQTT 3.1.1"},
			{"the version is agreed on, ws", ws, 0, "closes connections that speak MQTT 5: using MQTT 3.1.1"},
			{"5.0", append(way{"-V", "5"}, tcp...), 3, "closed the connection before CONNACK"},
			{"5.0, ws", append(way{"-V", "5"}, ws...), 3, "closed by the peer with status 1011"},
			{"wrong password", way{"-h", "127.0.0.1", "-p", r.plain, "-u", "joe", "-P", "hunter22"}, 4, "user name or password"},
			{"wrong password, ws", way{"-L", "ws://joe:hunter22@127.0.0.1:" + r.ws + "/mqtt"}, 3, "unauthenticated"},
			{"no user name", way{"-h", "127.0.0.1", "-p", r.plain}, 4, "user name or password"},
			{"path", way{"-L", "ws://127.0.0.1:" + r.ws + "/other"}, 3, "broker answered 404 Not Found"},
		} {
			t.Run(a.name, func(t *testing.T) {
				t.Parallel()
				a.check(t, "t")
			})
		}
		for name, w := range map[string]way{"tcp": tcp, "ws": ws} {
			t.Run("denied, "+name, func(t *testing.T) {
				t.Parallel()
				deniedByClosing(t, w)
			})
			t.Run("no QoS 2, "+name, func(t *testing.T) {
				t.Parallel()
				for _, args := range [][]string{{"-m", "x"}, {"-l"}} {
					got := run(t, "x\n", "mqpub", append(w.with("-t", "t", "-q", "2"), args...)...)
					if got.code != 7 || !strings.Contains(got.err, "the broker does not seem to support QoS 2") {
						t.Errorf("%q: code %d, stderr %q; want code 7 and what is wrong", args, got.code, got.err)
					}
				}
			})
		}
	})
	t.Run("restart", func(t *testing.T) {
		restartInTheMiddle(t, append(tcp, "-V", "311"), "1", 20_000, 1, false, func() { r.stop(); r.start() })
	})
}

// deniedByClosing is about a broker whose only answer to what is not allowed,
// topics below secret/, is to end the connection. The denied message or filter is
// distinguished from a bad link, allowed messages go on, and the run ends.
func deniedByClosing(t *testing.T, w way) {
	topic := strings.ReplaceAll(t.Name(), " ", "_")
	got := run(t, "", "mqsub", w.with("-t", "secret/x", "-q", "1", "--reconnect-delay", "0.2")...)
	if got.code != 5 || !strings.Contains(got.err, "secret/x") {
		t.Errorf("SUBSCRIBE: code %d, stderr %q; want 5 and the filter", got.code, got.err)
	}
	got = run(t, "", "mqpub", w.with("-t", "secret/x", "-q", "1", "-m", "x")...)
	if got.code != 7 || !strings.Contains(got.err, "secret/x") {
		t.Errorf("PUBLISH: code %d, stderr %q; want 7 and the topic", got.code, got.err)
	}
	s := w.follow(t, "-t", topic, "-q", "1")
	var records strings.Builder
	for _, c := range [][2]string{{topic, "one"}, {topic, "two"}, {"secret/x", "denied"}, {topic, "three"}, {topic, "four"}} {
		records.WriteString(`{"topic":"` + c[0] + `","qos":1,"payload":"` + c[1] + "\"}\n")
	}
	// What shared a connection with the denied one may come twice.
	arrive := func(want ...string) {
		t.Helper()
		var lines []string
		if !poll(s.done, func() bool {
			lines = strings.Fields(s.out.String())
			slices.Sort(lines)
			lines = slices.Compact(lines)
			return len(lines) >= len(want)
		}) || !slices.Equal(lines, want) {
			t.Errorf("%q arrive, want %q", lines, want)
		}
	}
	stream := w.with("--input", "jsonl", "--reconnect-delay", "0.2")
	got = run(t, records.String(), "mqpub", stream...)
	if got.code != 7 || !strings.Contains(got.err, `message 3 (topic "secret/x")`) || !strings.Contains(got.err, "stopped at line 3") {
		t.Errorf("five messages: code %d, stderr %q; want 7, and a stop at the third", got.code, got.err)
	}
	arrive("one", "two")
	got = run(t, records.String(), "mqpub", append(stream, "--on-undeliverable", "skip")...)
	if got.code != 7 || !strings.Contains(got.err, `message 3 (topic "secret/x")`) {
		t.Errorf("five messages without the third: code %d, stderr %q; want 7, and which it was", got.code, got.err)
	}
	arrive("four", "one", "three", "two")
}

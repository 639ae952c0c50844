package interop

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// remote is a program with MQTT clients that reads commands in JSON.
type remote struct {
	mu      sync.Mutex
	clients []*remoteClient
	send    func(line []byte) error
	ended   chan struct{} // closed when the program has ended
	log     func() string // returns its complaints
}

type remoteClient struct {
	*remote
	number  int
	tell    func(event)
	answers chan answer
}

func (r *remote) open(tell func(event)) client {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &remoteClient{remote: r, number: len(r.clients), tell: tell, answers: make(chan answer, 1)}
	r.clients = append(r.clients, c)
	return c
}

func (c *remoteClient) do(what command) answer {
	what.Client = c.number
	line, err := json.Marshal(what)
	if err == nil {
		err = c.send(append(line, '\n'))
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	if what.Do == "authenticate" {
		return answer{}
	}
	select {
	case a := <-c.answers:
		return a
	case <-c.ended:
		return answer{Error: "the program has ended: " + c.log()}
	}
}

// listen reads the output of the program until it ends.
func (r *remote) listen(said io.Reader) error {
	for d := json.NewDecoder(said); ; {
		var e event
		if err := d.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		r.mu.Lock()
		c := r.clients[e.Client]
		r.mu.Unlock()
		if e.Answer != nil {
			c.answers <- *e.Answer
		} else {
			c.tell(e)
		}
	}
}

// startRemote starts a program that reads one command per line from its standard input; it
// ends with the test.
func startRemote(t *testing.T, cmd *exec.Cmd) *remote {
	t.Helper()
	var log bytes.Buffer
	var mu sync.Mutex
	cmd.Stderr = &log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &remote{ended: make(chan struct{}), log: func() string { return log.String() }}
	r.send = func(line []byte) error {
		mu.Lock()
		defer mu.Unlock()
		_, err := in.Write(line)
		return err
	}
	go func() {
		defer close(r.ended)
		if err := r.listen(out); err != nil {
			t.Errorf("%s: %v", cmd.Args, err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = in.Close()
		<-r.ended
		if log.Len() > 0 {
			t.Logf("%s: %s", cmd.Args, log.String())
		}
	})
	return r
}

// program returns the path of a program, or skips the test.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(name + " is not installed")
	}
	return path
}

// installed skips the test if npm has not installed the packages.
func installed(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("clients", "node_modules", "mqtt")); err != nil {
		t.Skip("MQTT.js is not installed (npm ci in interop/clients)")
	}
}

// jsKind returns MQTT.js, in any environment.
func jsKind(schemes ...string) *kind {
	return &kind{
		versions: []packet.Version{packet.V31, packet.V311, packet.V5}, schemes: schemes,
		habits: []string{
			"ignores the receive maximum of CONNACK",
			"no alias at QoS 2: a message that comes with an alias alone has an empty topic",
		},
	}
}

// mqttJS returns MQTT.js in Node.js.
func mqttJS(t *testing.T, _ *certtest.Set) *kind {
	installed(t)
	k := jsKind("mqtt", "mqtts", "ws", "wss")
	k.open = startRemote(t, exec.Command(program(t, "node"), filepath.Join("clients", "node.js"))).open
	return k
}

// pahoPython returns Debian's paho-mqtt.
func pahoPython(t *testing.T, _ *certtest.Set) *kind {
	python := program(t, "/usr/bin/python3") // its packages are Debian's
	if exec.Command(python, "-c", "import paho.mqtt.client").Run() != nil {
		t.Skip("python3-paho-mqtt is not installed")
	}
	return &kind{
		versions: []packet.Version{packet.V31, packet.V311, packet.V5}, schemes: []string{"mqtt", "mqtts", "ws", "wss"},
		cannot: map[string]string{
			"the broker abbreviates topics":  "it leaves aliases to the application",
			"SCRAM authenticates both sides": "it knows no AUTH",
		},
		habits: []string{
			"ignores the receive maximum of CONNACK",
			"reports no reason of PUBACK and PUBREC",
			"reads the reason of a DISCONNECT only where properties follow",
		},
		open: startRemote(t, exec.Command(python, filepath.Join("clients", "paho_mqtt.py"))).open,
	}
}

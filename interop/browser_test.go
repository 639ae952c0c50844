package interop

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/process"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// mqttJSInBrowser returns MQTT.js on a page in headless Chromium.
func mqttJSInBrowser(t *testing.T, certs *certtest.Set) *kind {
	k := jsKind("ws", "wss")
	k.open = startBrowser(t, certs).open
	return k
}

// startBrowser opens the page, which receives its commands as events from its server, and
// sends its answers in POST requests. It ends with the test.
func startBrowser(t *testing.T, certs *certtest.Set) *remote {
	t.Helper()
	installed(t)
	chromium := program(t, "chromium-headless-shell")
	commands, gone := make(chan []byte, 100), make(chan struct{})
	r := &remote{ended: make(chan struct{})}
	r.send = func(line []byte) error { commands <- line; return nil }
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServer(http.Dir("clients")))
	mux.HandleFunc("GET /commands", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case line := <-commands:
				_, _ = fmt.Fprintf(w, "data: %s\n\n", line)
			case <-gone:
				return
			}
		}
	})
	mux.HandleFunc("POST /said", func(_ http.ResponseWriter, q *http.Request) {
		if err := r.listen(q.Body); err != nil {
			t.Errorf("the page: %v", err)
		}
	})
	page := httptest.NewServer(mux)

	// Not in t.TempDir: processes that the browser leaves running for a moment may still
	// write to the profile.
	profile, err := os.MkdirTemp("", "mq")
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(certs.Server.Leaf.RawSubjectPublicKeyInfo)
	// A pipe without data: the browser ends when its other end, which is here, is closed,
	// so it does not outlive us.
	theirs, lifeline, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(chromium, "--remote-debugging-pipe", "--user-data-dir="+profile, "--disable-gpu", "--disable-dev-shm-usage",
		// It trusts only the key of this test's server.
		"--ignore-certificate-errors-spki-list="+base64.StdEncoding.EncodeToString(key[:]),
		page.URL+"/page.html")
	if os.Geteuid() == 0 {
		cmd.Args = append(cmd.Args, "--no-sandbox")
	}
	cmd.ExtraFiles = []*os.File{theirs, out} // 3 and 4
	var log bytes.Buffer
	cmd.Stderr = &log
	r.log = log.String
	p, err := process.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = theirs.Close(), out.Close()
	go func() { <-p.Exited(); close(r.ended) }()
	t.Cleanup(func() {
		close(gone)
		_ = lifeline.Close()
		if !p.Gone(patience) {
			t.Error("the browser does not end")
		}
		p.Kill() // also what it has left running
		p.Close()
		page.Close()
		_ = os.RemoveAll(profile)
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return r
}

// tools builds mqpub and mqsub.
func tools(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("go", "build", "-C", "..", "-buildvcs=false", "-o", dir+string(filepath.Separator), "./cmd/mqpub", "./cmd/mqsub").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// A page shows what mqpub publishes through mqsub's broker, replies to its request, and
// mqsub prints what the page publishes.
func TestBrowserAndTools(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	k := mqttJSInBrowser(t, certs)
	k.certs = certs
	dir := tools(t)
	sub := exec.Command(filepath.Join(dir, "mqsub"), "--serve", "ws://127.0.0.1:0", "-v", "-q", "2", "-t", "up/#", "-C", "3")
	talk, err := sub.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	sub.Stdout = &out
	if err := sub.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	t.Cleanup(func() { _ = sub.Process.Kill() })
	line, err := bufio.NewReader(talk).ReadString('\n')
	_, url, ok := strings.Cut(strings.TrimSpace(line), "serving MQTT on ")
	if err != nil || !ok {
		t.Fatalf("mqsub --serve says %q, %v", line, err)
	}
	go func() { ended <- sub.Wait() }()
	mqpub := func(args ...string) string {
		t.Helper()
		var complaint bytes.Buffer
		c := exec.CommandContext(t.Context(), filepath.Join(dir, "mqpub"), append(args, "-L", url)...)
		c.Stderr = &complaint
		b, err := c.Output()
		if err != nil || complaint.Len() > 0 {
			t.Fatalf("mqpub %q: %v, %s", args, err, complaint.String())
		}
		return string(b)
	}
	mqpub("-t", "down/kept", "-m", "from mqpub, kept", "-r", "-q", "1")
	s := &stage{T: t, kind: k, version: packet.V5, url: url}
	page := s.them().connect(command{}).subscribe("down/#", 2)
	page.expect(message{Topic: "down/kept", Payload: []byte("from mqpub, kept"), QoS: 1, Retain: true})
	mqpub("-t", "down/live", "-m", "<b>\u00fc</b>", "-q", "2")
	page.hears("down/live", "<b>\u00fc</b>", 2)
	want := "down/kept: from mqpub, kept\ndown/live: <b>\u00fc</b>"
	if a := page.must(page.do(command{Do: "shown"})); a.Text != want {
		t.Errorf("the page shows %q, want %q", a.Text, want)
	}
	answered := make(chan string, 1)
	go func() { answered <- mqpub("-t", "down/ask", "-m", "2+2", "--request", "-W", "20") }()
	q := page.next()
	page.publish(message{Topic: q.Properties.ResponseTopic, Payload: []byte("4"), QoS: 1, Properties: &properties{CorrelationData: q.Properties.CorrelationData}})
	if got := await(page, answered, "response"); got != "4\n" {
		t.Errorf("mqpub --request prints %q, want 4", got)
	}
	for _, qos := range []byte{2, 1, 0} { // mqsub and its broker do not wait for the acknowledgement of the last
		page.say(fmt.Sprint("up/", qos), "from the page \u00fc", qos)
	}
	if err := await(page, ended, "end of mqsub"); err != nil || out.String() != "up/2 from the page \u00fc\nup/1 from the page \u00fc\nup/0 from the page \u00fc\n" {
		t.Errorf("mqsub: %v, %q", err, out.String())
	}
}

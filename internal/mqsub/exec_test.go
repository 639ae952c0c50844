package mqsub

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bytebroker"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

func needShell(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the commands are a Unix shell's")
	}
}

// three are messages at QoS 1 on the topics a, b and c.
const three = "32 06 0001 61 0001 00  32 06 0001 62 0002 00  32 06 0001 63 0003 00"

// TestCommandsAreAcknowledgedInOrder: the command for a waits for those of b and c, and all
// are acknowledged after it, in the order of their receipt.
func TestCommandsAreAcknowledgedInOrder(t *testing.T) {
	t.Parallel()
	needShell(t)
	dir := t.TempDir()
	script := `case $MQ_MESSAGE_TOPIC in
a) until [ -e b ] && [ -e c ]; do sleep 0.01; done ;;
*) > $MQ_MESSAGE_TOPIC ;;
esac`
	r := bytebroker.Start(t, []bytebroker.Step{
		{"10 10 0004 4d515454 05 02 0000 03 21 0006 0000", "20 06 00 00 03 12 0000"},
		{"82 07 0001 00 0001 23 01", "90 04 0001 00 01 " + three},
		{"40 02 0001 40 02 0002 40 02 0003", ""},
		{"e0 ...", ""},
	}).Run(t.Context(), Tool(), "", "-t", "#", "-q", "1", "-C", "3", "-j", "3", "--exec", "--", "sh", "-c", "cd "+dir+"; "+script)
	if r.Code != option.ExitDone || r.Stderr != "" {
		t.Errorf("status %d, %q", r.Code, r.Stderr)
	}
}

// TestACommandThatFailsStops: what was before it is acknowledged.
func TestACommandThatFailsStops(t *testing.T) {
	t.Parallel()
	needShell(t)
	r := bytebroker.Start(t, []bytebroker.Step{
		{"10 10 0004 4d515454 05 02 0000 03 21 0002 0000", "20 06 00 00 03 12 0000"},
		{"82 07 0001 00 0001 23 01", "90 04 0001 00 01 " + three},
		{"40 02 0001", ""},
		{"e0 ...", ""},
	}).Run(t.Context(), Tool(), "", "-t", "#", "-q", "1", "--on-error", "stop", "--exec", "--", "sh", "-c", "test $MQ_MESSAGE_TOPIC = a")
	if r.Code != option.ExitFailure || r.Stderr != "mqsub: --exec: topic \"b\": exit status 1\n" {
		t.Errorf("status %d, %q", r.Code, r.Stderr)
	}
}

// TestTheTimeLimitEndsCommands: the message is not acknowledged.
func TestTheTimeLimitEndsCommands(t *testing.T) {
	t.Parallel()
	needShell(t)
	r := bytebroker.Start(t, []bytebroker.Step{
		{"10 10 0004 4d515454 05 02 0000 03 21 0002 0000", "20 06 00 00 03 12 0000"},
		{"82 07 0001 00 0001 23 01", "90 04 0001 00 01 " + three},
		{"e0 ...", ""},
	}).Run(t.Context(), Tool(), "", "-t", "#", "-q", "1", "-W", "1", "--exec", "--", "sh", "-c", "sleep 1000; true")
	if r.Code != option.ExitTimeLimit {
		t.Errorf("status %d, %q", r.Code, r.Stderr)
	}
}

// TestOutputThatIsLostIsNotAcknowledged: the output of a command cannot be written.
func TestOutputThatIsLostIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	needShell(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	r := &runner{}
	r.j = &job{out: output{w: full}}
	stopped := error(nil)
	r.ctx, r.stop = t.Context(), func(cause error) { stopped = cause }
	r.argv, r.raw = []string{"echo", "x"}, true
	r.j.inv = quiet(&strings.Builder{})
	p := &pending{}
	r.run(t.Context(), task{m: textOn("a", ""), p: p})
	if p.done || stopped == nil {
		t.Errorf("acknowledged: %v; the work ends with %v", p.done, stopped)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	add := func(p packet.Properties, name, value string) packet.Properties {
		p, err := p.AppendUser([]byte(name), []byte(value))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	at := time.Date(2026, 5, 6, 7, 8, 9, 1000, time.UTC)
	m := &mqtt.Message{Topic: "a//b", Payload: []byte("xy"), QoS: 2, Retain: true, Dup: true}
	env, left := variables(m, at)
	want := "MQ_MESSAGE_TOPIC=a//b MQ_MESSAGE_QOS=2 MQ_MESSAGE_RETAIN=true MQ_MESSAGE_DUP=true MQ_MESSAGE_TST=2026-05-06T07:08:09.000001+00:00 MQ_MESSAGE_LEN=2 " +
		"MQ_MESSAGE_LEVEL_1=a MQ_MESSAGE_LEVEL_2= MQ_MESSAGE_LEVEL_3=b"
	if got := strings.Join(env, " "); got != want || left != "" {
		t.Errorf("%s, %q left out", got, left)
	}
	m.Properties = add(add(nil, "k", "v\n"), "l", `"`)
	if env, left = variables(m, at); env[len(env)-1] != `MQ_MESSAGE_USER_PROPERTIES=[{"k":"v\n"},{"l":"\""}]` || left != "" {
		t.Errorf("%q, %q left out", env[len(env)-1], left)
	}
	m.Topic, m.Properties = "a\x00/b", nil // no broker may send it
	if env, left = variables(m, at); len(env) != 6 || left != "MQ_MESSAGE_LEVEL_1" {
		t.Errorf("with a NUL byte: %q, %q left out", env, left)
	}
	m.Topic, m.Properties = strings.Repeat("/", 65535), nil
	if env, left = variables(m, at); len(env) != 6+levelsMost || left != "" {
		t.Errorf("a topic of 65536 levels: %d variables, %q left out", len(env), left)
	}
	m.Properties = nil
	for range 4 {
		m.Properties = add(m.Properties, "k", strings.Repeat("x", 50000))
	}
	if env, left = variables(m, at); len(env) != 6+levelsMost || left != "MQ_MESSAGE_USER_PROPERTIES" {
		t.Errorf("200 kB: %d variables, %q left out", len(env), left)
	}
}

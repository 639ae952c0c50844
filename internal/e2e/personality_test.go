package e2e

import (
	"io"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
)

// as starts a tool by the name of a mosquitto client.
func as(t *testing.T, stdin io.Reader, name string, args ...string) *running {
	t.Helper()
	tool := "mqpub"
	if name == "mosquitto_sub" {
		tool = "mqsub"
	}
	return startIn(t, cli.Env{Name: name, Args: args, Stdin: stdin}, tool)
}

// The reason code of a CONNACK is the status, also one beyond 128, by which a process
// would end by a signal.
func TestMosquittoClientsEndWithTheReasonCode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		program, args string
		code          byte
		err           string
	}{
		{"mosquitto_pub", "-t t -m x -V 5", 0x87, "Connection error: Not authorized\n"},
		{"mosquitto_rr", "-t t -e r -m x --quiet", 0x86, ""},
	} {
		refuse := peer(t, func(p *rawPeer, _ []byte) { p.say(0x20, 3, 0, c.code, 0) })
		r := as(t, strings.NewReader(""), c.program, append(refuse, strings.Fields(c.args)...)...).wait()
		if r.code != int(c.code) || r.out != "" || r.err != c.err {
			t.Errorf("%s: code %d, stdout %q, stderr %q; want %d and %q", c.program, r.code, r.out, r.err, c.code, c.err)
		}
	}
}

package mqbench

import (
	"strings"
	"testing"
)

// "*.yaml" must not wait for a day, nor require a broker to be configured for each script;
// a script that is named alone is always played.
func TestPlayLeavesOutWhatIsSpecial(t *testing.T) {
	t.Parallel()
	long := file(t, "long.yaml", `name: nothing for a day
role: client
version: 5.0
connections:
  - a:
      - send: CONNECT
      - expect: CONNACK
      - silence: 24h
`)
	short := file(t, "short.yaml", `name: a connection
role: client
version: 5.0
connections:
  - a:
      - send: CONNECT
      - expect: CONNACK
`)
	special := file(t, "special.yaml", `name: two are too many
role: client
version: 5.0
needs: {clients: 1, retain: false}
connections:
  - a:
      - send: CONNECT
`)
	ws := file(t, "ws.yaml", `name: an upgrade
role: client
version: 5.0
transport: websocket
connections:
  - a:
      - raw: 47 45 54
`)
	skip := "skip  nothing for a day (5.0): it takes 24h0m0s; name it alone to play it: " + long + "\n"
	to := []string{"--connect", "127.0.0.1:1"} // there is no listener
	for _, c := range []struct {
		scripts   []string
		out, fail string
	}{
		{[]string{long, short}, skip + "FAIL  a connection (5.0)\n", ""},
		{[]string{long, long}, skip + skip, "mqbench: no script was played\n"},
		{[]string{special, short}, "skip  two are too many (5.0): it is for a broker with clients: 1, retain: false; name it alone to play it: " + special + "\nFAIL  a connection (5.0)\n", ""},
		{[]string{ws, short}, "skip  an upgrade (5.0): it is for a WebSocket; name it alone to play it: " + ws + "\nFAIL  a connection (5.0)\n", ""},
		{[]string{special}, "FAIL  two are too many (5.0)\n", ""},
		{[]string{long}, "FAIL  nothing for a day (5.0)\n", ""},
	} {
		r := mqbench(t, append(append([]string{"play"}, c.scripts...), to...)...)
		if r.code != 1 || !strings.HasPrefix(r.out, c.out) || r.err != c.fail {
			t.Errorf("%d scripts: status %d\n%s%s", len(c.scripts), r.code, r.out, r.err)
		}
	}
}

// An error that no script can do anything about is not a verdict on the broker.
func TestPlayRefusesCertificatesThatItCannotRead(t *testing.T) {
	t.Parallel()
	script := file(t, "short.yaml", "name: a connection\nrole: client\nversion: 5.0\nconnections:\n  - a:\n      - send: CONNECT\n")
	refused(t, `cannot read "/nowhere/ca.pem": no such file`, "play", script, "--connect", "mqtts://127.0.0.1:1", "--cafile", "/nowhere/ca.pem")
	refused(t, `"`+script+`": is not PEM`, "play", script, "--connect", "mqtts://127.0.0.1:1", "--cafile", script)
}

package mqpub

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// The command line overrides every record; other origins apply to records that lack the
// value.
func TestTheCommandLineDecidesForEveryRecord(t *testing.T) {
	t.Parallel()
	const records = `{"topic":"a","payload":"","qos":2,"retain":true}` + "\n" + `{"topic":"b","payload":"","qos":0,"retain":false}` + "\n" + `{"topic":"c","payload":""}` + "\n"
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("mqpub: {qos: 1, retain: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	published := regexp.MustCompile(`(?m)^mqpub: sent PUBLISH q(.)(?: id .)?( retain)? '(.)'`)
	for _, row := range []struct{ args, want string }{
		{"--config none", `a QoS 2 retain, b QoS 0, c QoS 0`},
		{"--config none -q 0", `a QoS 0 retain, b QoS 0, c QoS 0`},
		{"--config none -q 1", `a QoS 1 retain, b QoS 1, c QoS 1`},
		{"--config none -q 2 -r", `a QoS 2 retain, b QoS 2 retain, c QoS 2 retain`},
		{"--config none --retain=false", `a QoS 2, b QoS 0, c QoS 0`},
		{"--config " + config, `a QoS 2 retain, b QoS 0, c QoS 1 retain`},
	} {
		_, addr := brokertest.Start(t)
		var stderr strings.Builder
		code := cli.Run(t.Context(), cli.Env{Args: append(strings.Fields(row.args), "-d", "-L", "mqtt://"+addr, "--input", "jsonl"),
			Stdin: strings.NewReader(records), Stdout: &strings.Builder{}, Stderr: &stderr}, Tool())
		var got []string
		for _, m := range published.FindAllStringSubmatch(stderr.String(), -1) {
			got = append(got, m[3]+" QoS "+m[1]+m[2])
		}
		if code != 0 || strings.Join(got, ", ") != row.want {
			t.Errorf("%s: status %d, published %q; want %q", row.args, code, got, row.want)
		}
	}
}

package connection

import (
	"context"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// Every option that MQTT has only since 5.0 is refused before, where it would do nothing.
func TestEveryOptionOfMQTT5IsRefusedBefore(t *testing.T) {
	t.Parallel()
	values := map[option.Type]string{option.TypeDuration: "60", option.TypeInt: "5", option.TypeString: "x", option.TypeProperty: "connect user-property k v"}
	for _, tool := range []cli.Tool{{Program: option.Program{Name: "mqpub", Bit: option.Pub}}, {Program: option.Program{Name: "mqsub", Bit: option.Sub}}, {Program: option.Program{Name: "mqbench", Bit: option.Bench, MaxArgs: -1}}} {
		tool.Run = func(ctx context.Context, inv *cli.Invocation) error {
			_, err := New(ctx, inv)
			return err
		}
		run := func(lookup option.LookupFunc, args ...string) (int, string) {
			var stderr strings.Builder
			code := cli.Run(t.Context(), cli.Env{Args: append([]string{"--config", "none"}, args...), Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &stderr, Lookup: lookup}, tool)
			return code, stderr.String()
		}
		n := 0
		for _, o := range option.Table(tool.Bit) {
			if !o.V5 {
				continue
			}
			n++
			arg := "--" + o.Name
			if value := values[o.Type]; value != "" {
				arg += "=" + value
			} else if o.Type == option.TypeChoice {
				arg += "=" + o.Choices[1].Value
			}
			for _, version := range []string{"3.1.1", "3.1"} {
				args := []string{"-V", version, arg}
				named := o.Name
				for _, rel := range o.Needs {
					needed := option.Table(tool.Bit).Find("--" + rel.With[0])
					if needed.V5 { // and is named first
						named = needed.Name
					}
					args = append(args, strings.TrimSuffix("--"+needed.Name+"="+values[needed.Type], "="))
				}
				code, stderr := run(nil, args...)
				if want := "--" + named + " needs MQTT 5, not " + version + "\n"; code != option.ExitUsage || !strings.Contains(stderr, want) {
					t.Errorf("%s -V %s %s: status %d, %q; want %d and %q", tool.Name, version, arg, code, stderr, option.ExitUsage, want)
				}
			}
			if env := o.Env(); env != "" { // a weaker origin yields
				_, value, _ := strings.Cut(arg, "=")
				if o.Type == option.TypeBool {
					value = "true"
				}
				code, stderr := run(option.MapEnv(map[string]string{env: value}), "-V", "311")
				if o.Name == "auth" { // without it the password would be sent in clear text
					if want := env + " needs MQTT 5, not 3.1.1\n"; code != option.ExitUsage || !strings.Contains(stderr, want) {
						t.Errorf("%s=%s %s -V 311: status %d, %q; want 2 and %q", env, value, tool.Name, code, stderr, want)
					}
					continue
				}
				if want := "warning: " + env + " has no effect with MQTT 3.1.1\n"; code != option.ExitDone || !strings.Contains(stderr, want) {
					t.Errorf("%s=%s %s -V 311: status %d, %q; want 0 and %q", env, value, tool.Name, code, stderr, want)
				}
			}
		}
		if n == 0 {
			t.Errorf("%s has no option of MQTT 5", tool.Name)
		}
	}
}

// TestWhatDependsOnAValueYieldsToo checks that the stronger origin counts, and that a
// variable, which may be meant for other runs, is never an error.
func TestWhatDependsOnAValueYieldsToo(t *testing.T) {
	t.Parallel()
	file := optionsIn(t, "--ws-header a:b\n")
	for _, c := range []struct {
		args string
		env  map[string]string
		says string // "": no error
	}{
		{"--tls --tls-version 1.3", map[string]string{"MQ_CIPHERS": "ECDHE-RSA-AES128-GCM-SHA256"}, ""},
		{"--tls --tls-version 1.3 --ciphers ECDHE-RSA-AES128-GCM-SHA256", nil, "--ciphers and --tls-version cannot be used together"},
		{"", map[string]string{"MQ_PROPERTY": "will content-type x"}, ""},
		{"-D will content-type x", nil, "--property will needs --will-topic"},
		{"-o " + file, nil, file + ":1: --ws-header needs WebSocket"},
		{"", map[string]string{"MQ_WS_HEADER": "a:b"}, ""},
		{"-D connect session-expiry-interval 5", map[string]string{"MQ_SESSION_EXPIRY_INTERVAL": "9"}, "MQ_SESSION_EXPIRY_INTERVAL and --property connect session-expiry-interval cannot be used together"},
	} {
		run := func(ctx context.Context, inv *cli.Invocation) error {
			_, err := New(ctx, inv)
			return err
		}
		env := map[string]string{"MQ_CONFIG": "none"}
		maps.Copy(env, c.env)
		got := runTool(t.Context(), option.Sub, run, env, strings.Fields(c.args)...)
		if c.says == "" && got.code != 0 || c.says != "" && (got.code != option.ExitUsage || !strings.Contains(got.stderr, "mqsub: "+c.says+"\n")) {
			t.Errorf("%s %v: %+v; want %q", c.args, c.env, got, c.says)
		}
	}
}

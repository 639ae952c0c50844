package connection

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// homeWith creates a home directory with a configuration file. It returns the variables
// that select it, and the path of the file.
func homeWith(t *testing.T, text string) (env map[string]string, path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "mqtools", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"XDG_CONFIG_HOME": dir, "AppData": dir}, path
}

// fileWith creates a file.
func fileWith(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// valuesOf runs a tool until its values are read.
func valuesOf(t *testing.T, env cli.Env, bit option.ToolSet) (*option.Values, outcome) {
	t.Helper()
	var v *option.Values
	var stdout, stderr strings.Builder
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(""), &stdout, &stderr
	code := cli.Run(context.Background(), env, cli.Tool{Program: option.Program{Name: "mqsub", Bit: bit}, Resolve: Resolve, Run: func(_ context.Context, inv *cli.Invocation) error {
		v = inv.Values
		return nil
	}})
	return v, outcome{code, stdout.String(), stderr.String()}
}

func TestEveryOriginGoesBeforeTheWeakerOnes(t *testing.T) {
	t.Parallel()
	const host = "  host: "
	system := fileWith(t, "defaults:\n"+host+"s\n  port: 1\n  id: s\n  username: s\n  qos: 2\nmqsub:\n"+host+"st\ncontexts:\n  both: {host: system}\n  theirs: {host: theirs}\n")
	vars, user := homeWith(t, "defaults:\n"+host+"u\n  port: 2\nmqsub:\n"+host+"ut\n  port: 3\n  username: ut\nmqpub:\n"+host+"other\ncontexts:\n  both: {host: c, port: 4}\ncurrent-context: both\n")
	options := optionsIn(t, "-h o\n-p 6\n")
	for _, c := range []struct {
		it      string
		args    []string
		env     map[string]string
		noFiles bool
		host    string
		origin  option.Origin
		label   string
		port    int
	}{
		{"takes a flag first", []string{"-h", "f", "-o", options}, map[string]string{"MQ_HOST": "e"}, false, "f", option.OriginFlag, "--host", 6},
		{"then an options file", []string{"-o", options}, map[string]string{"MQ_HOST": "e"}, false, "o", option.OriginFile, options + ":1: --host", 6},
		{"then the environment", nil, map[string]string{"MQ_HOST": "e"}, false, "e", option.OriginEnvironment, "MQ_HOST", 0},
		{"then the current context", nil, nil, false, "c", option.OriginContext, user + ":11:16: host", 4},
		{"then the user's part for the tool", []string{"--context", "none"}, nil, false, "ut", option.OriginUserTool, user + ":5:9: host", 3},
		{"takes a context of the system too", []string{"--context", "theirs"}, nil, false, "theirs", option.OriginContext, system + ":11:18: host", 0},
		{"takes the context that a variable names", nil, map[string]string{"MQ_CONTEXT": "theirs"}, false, "theirs", option.OriginContext, system + ":11:18: host", 0},
		{"takes an empty name for none", []string{"--context="}, map[string]string{"MQ_CONTEXT": "theirs"}, false, "ut", option.OriginUserTool, user + ":5:9: host", 3},
		{"takes the default without files", []string{"--config", "none"}, nil, false, "localhost", option.OriginDefault, "--host", 0},
		{"reads no file where a variable says so", nil, map[string]string{"MQ_CONFIG": "none"}, false, "localhost", option.OriginDefault, "--host", 0},
		{"reads a named file in place of both", []string{"--config", system, "--context", "none"}, nil, false, "st", option.OriginUserTool, system + ":8:9: host", 0},
		{"takes the system's file for a user without one", nil, map[string]string{"XDG_CONFIG_HOME": t.TempDir(), "AppData": t.TempDir()}, false, "st", option.OriginSystemTool, system + ":8:9: host", 0},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			all := map[string]string{}
			for _, m := range []map[string]string{vars, c.env} {
				for k, v := range m {
					all[k] = v
				}
			}
			v, out := valuesOf(t, cli.Env{Args: c.args, Lookup: option.MapEnv(all), SystemConfig: system}, option.Sub)
			if out != (outcome{}) {
				t.Fatalf("got %+v", out)
			}
			if v.Host.Text() != c.host || v.Host.Origin() != c.origin || v.Host.Name() != c.label || v.Port.Int() != c.port {
				t.Errorf("got %q from %v as %s, port %d; want %q from %v as %s, port %d",
					v.Host.Text(), v.Host.Origin(), v.Host.Name(), v.Port.Int(), c.host, c.origin, c.label, c.port)
			}
		})
	}
}

func TestTheWayToTheUsersFile(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("has its own")
	}
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{nil, ""},
		{map[string]string{"HOME": "/h"}, "/h/.config/mqtools/config.yaml"},
		{map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": ""}, "/h/.config/mqtools/config.yaml"},
		{map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "relative"}, "/h/.config/mqtools/config.yaml"},
		{map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "/x/mqtools/config.yaml"},
		{map[string]string{"HOME": "h"}, ""},
	} {
		if got := (&option.Environment{Lookup: option.MapEnv(c.env)}).UserConfig(); got != c.want {
			t.Errorf("%v: got %q, want %q", c.env, got, c.want)
		}
	}
	// A path that ends early leads to no file, just as an empty one.
	file := fileWith(t, "")
	if _, out := valuesOf(t, cli.Env{Lookup: option.MapEnv(map[string]string{"XDG_CONFIG_HOME": file})}, option.Sub); out != (outcome{}) {
		t.Errorf("a directory that is a file: %+v", out)
	}
}

// --serve takes several addresses from any source.
func TestServeHasSeveralAddresses(t *testing.T) {
	t.Parallel()
	file := fileWith(t, "defaults:\n  serve: [1883, 'ws://:8080/mqtt']\n")
	want := []string{"127.0.0.1:1883", "ws://:8080/mqtt"}
	for name, env := range map[string]cli.Env{
		"words":    {Args: []string{"--serve", "--serve", "ws://:8080/mqtt"}},
		"variable": {Lookup: option.MapEnv(map[string]string{"MQ_SERVE": "1883\nws://:8080/mqtt"})},
		"file":     {Args: []string{"--config", file}},
	} {
		for _, bit := range []option.ToolSet{option.Pub, option.Sub, option.Bench} {
			v, out := valuesOf(t, env, bit)
			if out != (outcome{}) || !slices.Equal(v.Serve.Texts(), want) {
				t.Errorf("%s: %+v, %q", name, out, v.Serve.Texts())
			}
		}
	}
}

func TestValuesAreWrittenAsAUserWould(t *testing.T) {
	t.Parallel()
	path := fileWith(t, `
defaults:
  keepalive: 5s
  max-packet-size: 64k
  session-expiry-interval: never
  protocol-version: 5
  verbose: true
  quiet: no
  id: 0123
  username: 'true'
  serve: true
  stdin-line: true    # of mqpub
  property:
    - publish content-type text/plain
    - [connect, user-property, a b, c d]
mqsub:
  topic: [a/#, "b c"]
  filter-out: d
`)
	v, out := valuesOf(t, cli.Env{Args: []string{"--config", path}}, option.Sub)
	if out != (outcome{}) {
		t.Fatalf("got %+v", out)
	}
	if v.Keepalive.Duration().String() != "5s" || v.MaxPacketSize.Int64() != 65536 || v.ProtocolVersion.Text() != "5" ||
		!v.Verbose.On() || v.Quiet.On() || v.ID.Text() != "0123" || v.Username.Text() != "true" || v.Serve.Text() != option.DefaultServeAddr {
		t.Errorf("got\n%s", option.ShowConfig(v, option.Table(option.Sub), nil, nil))
	}
	if got := v.Topic.Texts(); !slices.Equal(got, []string{"a/#", "b c"}) {
		t.Errorf("topic: %q", got)
	}
	if got := v.FilterOut.Texts(); !slices.Equal(got, []string{"d"}) {
		t.Errorf("filter-out: %q", got)
	}
	want := []option.Property{{Command: "publish", Name: "content-type", Value: "text/plain"}, {Command: "connect", Name: "user-property", Key: "a b", Value: "c d"}}
	if got := v.Property.Properties(); !slices.Equal(got, want) {
		t.Errorf("property: %+v", got)
	}
	if v, _ := valuesOf(t, cli.Env{Args: []string{"--config", path, "-t", "x"}}, option.Sub); !slices.Equal(v.Topic.Texts(), []string{"x"}) {
		t.Errorf("a flag adds to a list of the file: %q", v.Topic.Texts())
	}
	flat := fileWith(t, "mqsub: {property: [publish, content-type, text/plain]}\n")
	if v, _ := valuesOf(t, cli.Env{Args: []string{"--config", flat}}, option.Sub); !slices.Equal(v.Property.Properties(), want[:1]) {
		t.Errorf("one property by words: %+v", v.Property.Properties())
	}
}

func TestConfigurationFilesAreRefusedByPlace(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for text, want := range map[string]string{
		"defaults:\n  qos: 3\n":                        `2:8: qos: invalid value "3" (want 0, 1 or 2)`,
		"mqpub:\n  qos: 3\n":                           `2:8: qos: invalid value "3" (want 0, 1 or 2)`,
		"contexts:\n  a:\n    qos: one\n":              `3:10: qos: invalid value "one" (want 0, 1 or 2)`,
		"defaults: {keepalive: 5x}\n":                  `1:23: keepalive: invalid duration "5x" (e.g. 5, 250ms, 2m)`,
		"defaults:\n  qso: 1\n":                        "2:3: unknown key \"qso\"\nmqsub: did you mean qos?",
		"defaults:\n  keep_alive: 1\n":                 "2:3: unknown key \"keep_alive\"\nmqsub: did you mean keepalive?",
		"defaults:\n  pw: x\n":                         "2:3: unknown key \"pw\"\nmqsub: did you mean password?",
		"defaults:\n  q: 1\n":                          "2:3: unknown key \"q\"\nmqsub: did you mean qos?",
		"defaults:\n  zzzzzzzz: 1\n":                   "2:3: unknown key \"zzzzzzzz\"\nmqsub: the keys are the long names",
		"mqpub:\n  filter-out: a\n":                    "2:3: unknown key \"filter-out\"\nmqsub: it is an option of another tool",
		"default:\n  qos: 1\n":                         "1:1: unknown key \"default\"\nmqsub: did you mean defaults?",
		"host: a\n":                                    "1:1: unknown key \"host\"\nmqsub: options go below defaults:",
		"defaults:\n  help: true\n":                    "2:3: help cannot stand in a configuration file",
		"defaults:\n  context: x\n":                    "2:3: context cannot stand in a configuration file",
		"defaults:\n  options-file: x\n":               "2:3: options-file cannot stand in a configuration file",
		"defaults:\n  host:\n":                         "2:8: host: want a text, not nothing",
		"defaults:\n  host: [a]\n":                     "2:9: host: want a text, not a list",
		"defaults:\n  host: {a: b}\n":                  "2:9: host: want a text, not a mapping",
		"defaults:\n  host: true\n":                    "2:9: host: want a text, not true or false",
		"mqsub:\n  topic: []\n":                        "2:10: topic: want a text, not an empty list",
		"mqsub:\n  topic: [a, [b]]\n":                  "2:14: topic: want a text, not a list",
		"defaults:\n  verbose: 3\n":                    `2:12: verbose: invalid value "3" (want true or false)`,
		"defaults:\n  host: a\n  host: b\n":            `3:3: key "host" is already on line 2`,
		"defaults: x\n":                                "1:11: defaults: want a mapping, not a text",
		"contexts: [a]\n":                              "1:11: contexts: want a mapping of names, not a list",
		"contexts:\n  a: 1\n":                          "2:6: context a: want a mapping, not a text",
		"contexts:\n  none: {}\n":                      "2:3: contexts: the name of a context cannot be none",
		"contexts:\n  $(x): {}\n":                      "2:3: contexts: the name of a context has only letters and digits",
		"current-context: x\n":                         `1:18: current-context: unknown context "x"`,
		"current-context:\n":                           "1:17: current-context: want the name of a context, not nothing",
		"contexts: {prod: {}}\ncurrent-context: prd\n": "2:18: current-context: unknown context \"prd\"\nmqsub: did you mean prod?",
		"defaults:\n  property: connect x\n":           `2:13: property: invalid value "connect x" (want CMD PROP VALUE)`,
		"defaults:\n  property: [[connect, a]]\n":      "2:14: property: want 3 words, not 2",
		"defaults:\n\tqos: 1\n":                        "2:1: a tab in the indentation",
		"defaults:\n  qos: 1\n qos: 2\n":               "3:2: did not find expected key",
		// The wrong value may be a secret, and is not printed.
		"defaults:\n  password:" + secret + "\n":                 "2:3: defaults: want a mapping, not a text",
		"defaults: {password:" + secret + "}\n":                  "1:12: unknown key \"password\"\nmqsub: put a space after the colon",
		"defaults:\n  password: [" + secret + "]\n":              "2:13: password: want a text, not a list",
		"defaults:\n  password: {" + secret + ": 1}\n":           "2:13: password: want a text, not a mapping",
		"defaults:\n  password=" + secret + ": 1\n":              "2:3: unknown key \"password\"",
		"defaults:\n  password: " + secret + "\n  qos: 9\n":      "3:8: qos",
		"defaults:\n  password: \"" + secret + "\n":              "2:",
		"defaults:\n  password: " + secret + "\n   user: x\n":    "3:",
		"contexts:\n  a:\n    url: mqtt://u:" + secret + "@h\nx": "4:",
	} {
		path := fileWith(t, text)
		_, got := valuesOf(t, cli.Env{Args: []string{"--config", path}}, option.Sub)
		if got.code != option.ExitUsage || got.stdout != "" || !strings.HasPrefix(got.stderr, "mqsub: "+path+":"+want) || strings.Count(got.stderr, "\n") != 2 {
			t.Errorf("%q: got %+v, want two lines with %s", text, got, want)
		}
		if strings.Contains(got.stderr, secret) {
			t.Errorf("%q: the secret is printed: %s", text, got.stderr)
		}
	}
}

func TestAKeyOfAnotherToolIsFineInWhatAllShare(t *testing.T) {
	t.Parallel()
	path := fileWith(t, "defaults: {filter-out: [a, b]}\ncontexts:\n  x: {stdin-line: true, filter-out: a}\n  y: {repeat: 2000}\n")
	for _, bit := range []option.ToolSet{option.Pub, option.Sub, option.Bench} {
		if _, out := valuesOf(t, cli.Env{Args: []string{"--config", path, "--context", "x"}}, bit); out != (outcome{}) {
			t.Errorf("tool %d: got %+v", bit, out)
		}
	}
	// But the context in use must be valid.
	if _, out := valuesOf(t, cli.Env{Args: []string{"--config", path, "--context", "y"}}, option.Pub); out != (outcome{}) {
		t.Errorf("got %+v", out)
	}
	_, out := valuesOf(t, cli.Env{Args: []string{"--config", path, "--context", "y"}}, option.Bench)
	if want := "mqsub: " + path + ":4:15: repeat: "; out.code != option.ExitUsage || !strings.HasPrefix(out.stderr, want) {
		t.Errorf("got %+v, want %q", out, want)
	}
}

func TestFilesAndContextsThatAreNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	contexts := fileWith(t, "contexts: {prod: {}, lab: {}}\n")
	for _, c := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{[]string{"--config", dir + "/none"}, nil, "mqsub: --config: cannot read \"" + dir + "/none\": no such file\nmqsub: --config none uses no file\n"},
		{nil, map[string]string{"MQ_CONFIG": dir + "/none"}, "mqsub: MQ_CONFIG: cannot read \"" + dir + "/none\": no such file\n"},
		{[]string{"--config", dir}, nil, "mqsub: --config: cannot read \"" + dir + "\": is a directory\n"},
		{[]string{"--config="}, nil, "mqsub: --config: \"\" is empty\n"},
		{[]string{"--context", "x"}, nil, "mqsub: --context: unknown context \"x\"\nmqsub: there are no contexts yet"},
		{[]string{"--config", contexts, "--context", "prdo"}, nil, "mqsub: --context: unknown context \"prdo\"\nmqsub: did you mean prod?\n"},
		{[]string{"--config", contexts}, map[string]string{"MQ_CONTEXT": "zzzzzz"}, "mqsub: MQ_CONTEXT: unknown context \"zzzzzz\"\nmqsub: the contexts are prod and lab\n"},
		{[]string{"--config", fileWith(t, strings.Repeat("#", 1<<20+1))}, nil, "mqsub: --config: cannot read "},
	} {
		_, got := valuesOf(t, cli.Env{Args: c.args, Lookup: option.MapEnv(c.env)}, option.Sub)
		if got.code != option.ExitUsage || !strings.HasPrefix(got.stderr, c.want) {
			t.Errorf("%q, %v: got %+v, want %q", c.args, c.env, got, c.want)
		}
	}
	if _, got := valuesOf(t, cli.Env{Args: []string{"--config", contexts, "--context", "none"}}, option.Sub); got != (outcome{}) {
		t.Errorf("--context none: %+v", got)
	}
}

func TestHelpAndCompletionComeWhateverTheFileSays(t *testing.T) {
	t.Parallel()
	path := fileWith(t, "nonsense\n")
	for _, arg := range []string{"--help", "--version", "--completion=bash"} {
		if _, got := valuesOf(t, cli.Env{Args: []string{"--config", path, arg}}, option.Sub); got.code != 0 || got.stderr != "" || got.stdout == "" {
			t.Errorf("%s: got %+v", arg, got)
		}
	}
}

func TestAFileWithSecretsThatOthersCanReadIsWarnedOf(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes mean nothing")
	}
	for text, warns := range map[string]bool{
		"defaults: {password: x}\n":                          true,
		"contexts: {a: {url: 'mqtt://u:p@h'}}\n":             true,
		"contexts: {a: {url: [mqtt://h, 'wss://h/?t=1']}}\n": true,
		"mqpub: {ws-header: 'A: b'}\n":                       true,
		"defaults: {url: 'mqtt://u@h:1883/t'}\n":             false,
		"defaults: {password-file: x}\n":                     false,
	} {
		for mode, open := range map[os.FileMode]bool{0o600: false, 0o640: true, 0o604: true} {
			path := fileWith(t, text)
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			_, got := valuesOf(t, cli.Env{Args: []string{"--config", path}}, option.Sub)
			if warned := strings.Contains(got.stderr, "other users can read it"); warned != (warns && open) || got.code != 0 {
				t.Errorf("%q, mode %o: got %+v", text, mode, got)
			}
			if _, got = valuesOf(t, cli.Env{Args: []string{"--config", path, "--quiet"}}, option.Sub); got.stderr != "" {
				t.Errorf("--quiet: got %q", got.stderr)
			}
		}
	}
}

func TestShowConfigNamesTheLineAndThePart(t *testing.T) {
	t.Parallel()
	path := fileWith(t, "defaults:\n  password: hunter2\n  qos: 1\nmqsub:\n  verbose: true\ncontexts:\n  prod:\n    url: mqtts://joe@prod\ncurrent-context: prod\n")
	_, got := valuesOf(t, cli.Env{Args: []string{"--config", path, "--show-config"}}, option.Sub)
	for _, want := range []string{
		"password                 ***                              " + path + ":2 (defaults)\n",
		"qos                      1                                " + path + ":3 (defaults)\n",
		"verbose                  true                             " + path + ":5 (mqsub)\n",
		"broker                   \"mqtts://joe@prod:8883\"          --url\n",
		"url                      \"mqtts://joe@prod:8883\"          " + path + ":8 (context prod)\n",
		"context                  \"prod\"                           " + path + ":9 (current-context)\n",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no line %q in\n%s", want, got.stdout)
		}
	}
	if got.code != 0 || strings.Contains(got.stdout+got.stderr, "hunter2") {
		t.Errorf("got %+v", got)
	}
}

// connectionOf checks the options of a connection and returns the target.
func connectionOf(t *testing.T, env cli.Env) (target string, c *Connection, err error) {
	t.Helper()
	var stdout, stderr strings.Builder
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(""), &stdout, &stderr
	cli.Run(context.Background(), env, cli.Tool{Program: option.Program{Name: "mqsub", Bit: option.Sub}, Resolve: Resolve, Run: func(_ context.Context, inv *cli.Invocation) error {
		if c, err = New(context.Background(), inv); err == nil {
			target = c.targets[0].String()
		}
		return nil
	}})
	if stderr.Len() > 0 && err == nil {
		err = option.Usagef("%s", stderr.String())
	}
	return target, c, err
}

func TestWhatExcludesAnotherWinsByOrigin(t *testing.T) {
	t.Parallel()
	const file = "defaults: {host: d, username: du}\nmqsub: {port: 7, tls: true}\ncontexts:\n" +
		"  url: {url: 'mqtt://c:1'}\n  unix: {unix: /s}\n  host: {host: c, port: 2}\n  srv: {srv: true, host: c}\n  notls: {no-tls: true, host: c}\n" +
		"  user: {username: cu, password: cp}\n  proxy: {proxy: 'socks5://p'}\n  id: {id: a}\n  both: {url: 'mqtt://c:1', host: c}\n  urlport: {url: 'mqtt://c:1', port: 4}\n" +
		"  serve: {serve: 127.0.0.1:0}\n  ws: {ws: true, host: c}\n  insecure: {no-tls: true, insecure: true, host: c}\n  two: {id: a, id-prefix: b}\n  jp: {json-payload: true}\n"
	path := fileWith(t, file)
	for _, c := range []struct {
		context string
		args    []string
		env     map[string]string
		want    string // the target, or part of the error
	}{
		{"none", nil, nil, "mqtts://d:7"},
		{"url", nil, nil, "mqtts://c:1"},
		{"url", []string{"-h", "f"}, nil, "mqtts://f:7"},
		{"url", []string{"-L", "mqtt://f"}, nil, "mqtts://f:1883"},
		{"url", []string{"--unix", "/f"}, nil, "mqtt+unix:///f|unix:///f"},
		{"url", nil, map[string]string{"MQ_HOST": "e"}, "mqtts://e:7"},
		{"url", nil, map[string]string{"MQTT_URL": "mqtt://e"}, "mqtts://e:1883"},
		{"url", nil, map[string]string{"MQ_PORT": "9"}, "warning: MQ_PORT has no effect beside "},
		{"url", []string{"-p", "9"}, nil, "url and --port cannot be used together"},
		{"url", []string{"--ws=false"}, nil, "mqtts://c:1"},
		{"unix", []string{"-h", "f"}, nil, "mqtts://f:7"},
		{"unix", []string{"-p", "9"}, nil, "unix and --port cannot be used together"},
		{"host", nil, nil, "mqtts://c:2"},
		{"host", []string{"-L", "mqtt://f"}, nil, "mqtts://f:1883"},
		{"host", []string{"-h", "f:5"}, nil, "mqtts://f:5"},
		{"srv", []string{"-L", "mqtt://f"}, nil, "mqtts://f:1883"},
		{"srv", []string{"-p", "9"}, nil, "mqtts://c:9"},
		{"srv", nil, nil, "mqtts+srv://c|c"},
		{"notls", nil, nil, "mqtt://c:7"},
		{"notls", []string{"--tls"}, nil, "mqtts://c:7"},
		{"notls", []string{"-L", "mqtts://f"}, nil, "mqtts://f:8883"},
		{"insecure", nil, nil, "mqtt://c:7"},
		{"both", nil, nil, "url and " + path + ":12:35: host cannot be used together"},
		{"both", []string{"-h", "f"}, nil, "mqtts://f:7"},
		{"urlport", nil, nil, "url and " + path + ":13:38: port cannot be used together"},
		{"two", nil, nil, "id and " + path + ":17:27: id-prefix cannot be used together"},
		{"proxy", []string{"--proxy-command", "x"}, nil, "mqtts://d:7"},
		{"id", []string{"-I", "x"}, nil, "mqtts://d:7"},
		{"serve", []string{"-h", "f"}, nil, "mqtts://f:7"},
		{"ws", nil, nil, "wss://c:7/mqtt"},
		{"ws", []string{"-L", "mqtt://f"}, nil, "mqtts://f:1883"},
		{"ws", []string{"--ws=false"}, nil, "mqtts://c:7"},
		{"jp", nil, nil, "mqtts://d:7"},
	} {
		got, conn, err := connectionOf(t, cli.Env{Args: append([]string{"--config", path, "--context", c.context}, c.args...), Lookup: option.MapEnv(c.env)})
		if err != nil {
			got = err.Error()
		}
		matched := false
		for want := range strings.SplitSeq(c.want, "|") {
			matched = matched || strings.Contains(got, want)
		}
		if !matched {
			t.Errorf("%s, %q, %v: got %q, want %q", c.context, c.args, c.env, got, c.want)
		}
		if c.context == "serve" && conn != nil && conn.inv.Values.Serve.IsSet() {
			t.Errorf("serve of the context overrides -h")
		}
	}
}

func TestTheUserOfAURLGoesBeforeThatOfAContext(t *testing.T) {
	t.Parallel()
	path := fileWith(t, "contexts: {user: {username: cu, password: cp}}\n")
	for _, c := range []struct {
		args       []string
		user, pass string
	}{
		{nil, "cu", "cp"},
		{[]string{"-L", "mqtt://fu:fp@h"}, "fu", "fp"},
		{[]string{"-L", "mqtt://fu@h"}, "fu", "cp"},
		{[]string{"-L", "mqtt://fu:fp@h", "-u", "x", "-P", "y"}, "x", "y"},
		{[]string{"-P", "y"}, "cu", "y"},
	} {
		_, conn, err := connectionOf(t, cli.Env{Args: append([]string{"--config", path, "--context", "user"}, c.args...)})
		if err != nil || conn.Options.Username != c.user || string(conn.Options.Password) != c.pass {
			t.Errorf("%q: got %v, %+v, want %s and %s", c.args, err, conn, c.user, c.pass)
		}
	}
}

// Options kept for one broker must not be used for another, above all its user and
// password.
func TestWhatIsForOneBrokerStaysThere(t *testing.T) {
	t.Parallel()
	path := fileWith(t, "defaults: {username: all, keepalive: 7}\nmqsub: {host: d, password: dp, port: 4}\n"+
		"contexts:\n  prod: {host: prod, port: 8884, username: joe, password: hunter2, tls: true, qos: 1}\n  who: {username: me, password: mine}\n")
	for _, c := range []struct {
		context    string
		args       []string
		env        map[string]string
		target     string
		user, pass string
		qos        int
	}{
		{"prod", nil, nil, "mqtts://prod:8884", "joe", "hunter2", 1},
		{"prod", []string{"-h", "other"}, nil, "mqtt://other:1883", "all", "", 1},
		{"prod", []string{"-L", "mqtt://other"}, nil, "mqtt://other:1883", "all", "", 1},
		{"prod", []string{"--unix", "/s"}, nil, "unix:///s", "all", "", 1},
		{"prod", nil, map[string]string{"MQ_HOST": "other"}, "mqtt://other:1883", "all", "", 1},
		{"prod", nil, map[string]string{"MQTT_URL": "mqtt://other"}, "mqtt://other:1883", "all", "", 1},
		{"prod", []string{"-p", "1"}, nil, "mqtts://prod:1", "joe", "hunter2", 1},
		{"prod", []string{"-u", "x"}, nil, "mqtts://prod:8884", "x", "hunter2", 1},
		{"none", nil, nil, "mqtt://d:4", "all", "dp", 0},
		{"none", []string{"-h", "other"}, nil, "mqtt://other:1883", "all", "", 0},
		{"who", []string{"-h", "other"}, nil, "mqtt://other:1883", "me", "mine", 0}, // without a broker: applies to all
		{"who", nil, nil, "mqtt://d:4", "me", "mine", 0},
	} {
		target, conn, err := connectionOf(t, cli.Env{Args: append([]string{"--config", path, "--context", c.context}, c.args...), Lookup: option.MapEnv(c.env)})
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		v := conn.inv.Values
		if target != c.target || conn.Options.Username != c.user || string(conn.Options.Password) != c.pass || v.QoS.Int() != c.qos || v.Keepalive.Duration().Seconds() != 7 {
			t.Errorf("%s %q %v: %s as %s/%s, qos %d", c.context, c.args, c.env, target, conn.Options.Username, conn.Options.Password, v.QoS.Int())
		}
	}
}

// FuzzConfig checks that the tools exit with a usage error or go on, whatever a file
// contains, and never print the secret.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{"defaults: {host: a, qos: 1}\n", "contexts:\n  a: {password: hunter2}\ncurrent-context: a\n", "mqsub:\n  topic: [a, b]\n  property: [[connect, user-property, a, b]]\n", "mqpub: {serve: true}\n", "defaults: {password:hunter2}\n"} {
		f.Add(s)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, bit := range []option.ToolSet{option.Pub, option.Sub} {
			_, got := valuesOf(t, cli.Env{Args: []string{"--config", path, "--show-config"}}, bit)
			if got.code != option.ExitDone && (got.code != option.ExitUsage || strings.Count(got.stderr, "\n") != 2) {
				t.Errorf("%q: got %+v", text, got)
			}
		}
	})
}

// A subscriber's session that is kept has a Receive Maximum, and accepts what mosquitto 2.0
// sends beyond it. One that the user has chosen is a limit.
func TestTheReceiveMaximumOfAKeptSession(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args           []string
		maximum, limit uint16
	}{
		{[]string{"-c", "-i", "a"}, 1000, 65535},
		{[]string{"-i", "a", "-x", "9"}, 1000, 65535},
		{[]string{"-i", "a"}, 0, 0},
		{[]string{"-i", "a", "-x", "0"}, 0, 0},
		{[]string{"-c", "-i", "a", "--receive-maximum", "7"}, 7, 0},
	} {
		_, conn, err := connectionOf(t, cli.Env{Args: append([]string{"--config", "none"}, c.args...)})
		if err != nil || conn.Options.ReceiveMaximum != c.maximum || conn.Options.ReceiveLimit != c.limit {
			t.Errorf("%q: %v, %+v", c.args, err, conn)
		}
	}
}

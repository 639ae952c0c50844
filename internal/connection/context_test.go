package connection

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// contextTool runs "mqpub context ..." with a home directory.
func contextTool(env map[string]string, args ...string) outcome {
	var stdout, stderr strings.Builder
	code := cli.Run(context.Background(), cli.Env{Args: append([]string{"context"}, args...), Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Lookup: option.MapEnv(env)},
		cli.Tool{Program: option.Program{Name: "mqpub", Bit: option.Pub}, Resolve: Resolve, Run: returns(option.Usagef("the tool ran"))})
	return outcome{code, stdout.String(), stderr.String()}
}

func contents(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestContextsFromTheFirstToTheLast(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := map[string]string{"XDG_CONFIG_HOME": dir, "AppData": dir}
	path := filepath.Join(dir, "mqtools", "config.yaml")
	for _, c := range []struct {
		args string
		want outcome
		file string
	}{
		{"list", outcome{}, ""},
		{"add prod -L mqtts://joe@prod -q 1 --tls -c -i me -o " + optionsIn(t, "-k 5\n"), outcome{0, "", "mqpub: context \"prod\" is in " + path + "\n"},
			"contexts:\n  prod:\n    keepalive: \"5\"\n    url: \"mqtts://joe@prod\"\n    qos: \"1\"\n    tls: true\n    disable-clean-session: true\n    id: me\n"},
		{"add lab -h lab --help", outcome{0, "*", ""}, "*"},
		{"add lab -h lab -p 1 -p 2 --tls-alpn a --tls-alpn b --tls=false", outcome{0, "", "mqpub: context \"lab\" is in " + path + "\n"}, "*"},
		{"add lab -h other", outcome{2, "", "mqpub: " + path + ":9:3: context \"lab\" already exists\nmqpub: --force replaces it\n"}, "*"},
		{"list", outcome{0, "  prod  mqtts://joe@prod:8883\n  lab   lab:2\n", ""}, "*"},
		{"show", outcome{2, "", "mqpub: context show: no context is the current one\nmqpub: name one, or choose it with 'mqpub context use NAME'\n"}, "*"},
		{"use lab", outcome{}, "*"},
		{"list", outcome{0, "  prod  mqtts://joe@prod:8883\n* lab   lab:2\n", ""}, "*"},
		{"list --names", outcome{0, "prod\nlab\n", ""}, "*"},
		{"show", outcome{0, "host                     \"lab\"                            " + path + ":10\nport                     2                                " + path + ":11\n" +
			"tls-alpn                 \"a\" \"b\"                          " + path + ":13\ntls                      false                            " + path + ":15\n", ""}, "*"},
		{"use prod", outcome{}, "*"},
		{"add lab --force -h there", outcome{0, "", "mqpub: context \"lab\" is in " + path + "\n"},
			"contexts:\n  prod:\n    keepalive: \"5\"\n    url: \"mqtts://joe@prod\"\n    qos: \"1\"\n    tls: true\n    disable-clean-session: true\n    id: me\n  lab:\n    host: there\ncurrent-context: prod\n"},
		{"remove prod", outcome{0, "", "mqpub: \"prod\" was the current context; there is none now\n"}, "contexts:\n  lab:\n    host: there\n"},
		{"use lab --quiet", outcome{}, "contexts:\n  lab:\n    host: there\ncurrent-context: lab\n"},
		{"use --none", outcome{}, "contexts:\n  lab:\n    host: there\n"},
		{"remove lab", outcome{}, ""},
		{"remove lab", outcome{2, "", "mqpub: context remove: unknown context \"lab\"\nmqpub: there are no contexts yet; 'mqpub context add NAME ...' makes one\n"}, ""},
	} {
		got := contextTool(env, strings.Fields(c.args)...)
		if c.want.stdout == "*" {
			c.want.stdout = got.stdout
		}
		if got != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", c.args, got, c.want)
		}
		if c.file != "" && c.file != "*" {
			if text := contents(t, path); strings.ReplaceAll(text, `"`, "") != strings.ReplaceAll(c.file, `"`, "") {
				t.Errorf("%s: the file is\n%s\nwant\n%s", c.args, text, c.file)
			}
		}
	}
	if st, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
}

func TestWhatContextAddKeepsIsWhatTheToolsRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	ca := filepath.Join(dir, "pw")
	if err := os.WriteFile(ca, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-i", "true", "-u", "a: b #c", "-D", "connect", "user-property", `k \ "`, " v ", "-D", "publish", "content-type", "x", "-t", "ü/\x01",
		"-x", "-1", "-k", "010", "--serve", "--delimiter", `\x00`, "--retain=false", "--password-file", ca, "-m", "-"}
	if got := contextTool(nil, append([]string{"add", "x", "--config", path}, args...)...); got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	want, _, err := option.Parse(option.Table(option.Pub), args, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, out := valuesOf(t, cli.Env{Args: []string{"--config", path, "--context", "x"}}, option.Pub)
	if out != (outcome{}) {
		t.Fatalf("%+v, the file is\n%s", out, contents(t, path))
	}
	for _, o := range option.Table(option.Pub) {
		if o.Key() != "" && got.Of(o.Name).Shown() != want.Of(o.Name).Shown() {
			t.Errorf("%s: got %s, want %s", o.Name, got.Of(o.Name).Shown(), want.Of(o.Name).Shown())
		}
	}
}

func TestContextCommandsThatAreRefused(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "context: add, list, use, show or remove is missing"},
		{[]string{"lsit"}, "context: unknown command \"lsit\"\nmqpub: did you mean list?"},
		{[]string{"add"}, "context add: the name of the context is missing"},
		{[]string{"add", "x"}, "context add: no options to keep"},
		{[]string{"add", "x", "y", "-h", "z"}, `unexpected argument "y"`},
		{[]string{"add", "none", "-h", "z"}, `context add: "none": the name of a context cannot be none`},
		{[]string{"add", "a b", "-h", "z"}, `context add: "a b": the name of a context has only letters`},
		{[]string{"add", strings.Repeat("x", 65), "-h", "z"}, `the name of a context has 1 to 64 bytes`},
		{[]string{"add", "", "-h", "z"}, `context add: "": the name`},
		{[]string{"add", "x", "-q", "3"}, `--qos: invalid value "3" (want 0, 1 or 2)`},
		{[]string{"add", "x", "-h", "a", "-L", "mqtt://u:" + secret + "@h"}, "--url and --host cannot be used together"},
		{[]string{"add", "x", "-P", secret, "--password-file", "x"}, "--password and --password-file cannot be used together"},
		{[]string{"add", "x", "--cafile", "/nonexistent"}, "--cafile: cannot read \"/nonexistent\": no such file\nmqpub: check the path\n"},
		{[]string{"add", "x", "-h", "a/b"}, `--host: invalid value "a/b" (want a host name or address)`},
		{[]string{"add", "x", "-P", secret + "\xff"}, "--password: invalid value (want UTF-8 text to keep in a context)"},
		{[]string{"add", "x", "-u", "\xff"}, `--username: invalid value "\xff" (want UTF-8 text to keep in a context)`},
		{[]string{"add", "x", "--ask-password"}, "--ask-password cannot be kept in a context"},
		{[]string{"add", "x", "--context", "y"}, "--context cannot be kept in a context"},
		{[]string{"add", "x", "--force"}, "context add: no options to keep"},
		{[]string{"add", "x", "-h", "a", "--config", "none"}, "--config: contexts need a configuration file"},
		{[]string{"add", "x", "-h", "a"}, "there is no place for a configuration file\nmqpub: set HOME"},
		{[]string{"list", "x"}, `unexpected argument "x"`},
		{[]string{"list", "-h", "x"}, "--host has no effect on context list"},
		{[]string{"list", "--config", "/nonexistent"}, `--config: cannot read "/nonexistent": no such file`},
		{[]string{"use"}, "context use needs the name of a context, or --none"},
		{[]string{"use", "x", "--none"}, "context use needs the name of a context, or --none"},
		{[]string{"use", "x"}, `context use: unknown context "x"`},
		{[]string{"show", "x"}, `context show: unknown context "x"`},
		{[]string{"remove"}, "context remove: the name of the context is missing"},
	} {
		got := contextTool(nil, c.args...)
		if got.code != option.ExitUsage || got.stdout != "" || !strings.Contains(got.stderr, c.want) || strings.Count(got.stderr, "\n") != 2 || strings.Contains(got.stderr, secret) {
			t.Errorf("%q: got %+v, want two lines with %q", c.args, got, c.want)
		}
	}
	// The command must come first; elsewhere it is a stray word.
	if got := runTool(context.Background(), option.Pub, returns(nil), nil, "-d", "context", "list"); got.code != option.ExitUsage || !strings.Contains(got.stderr, `unexpected argument "context"`) {
		t.Errorf("-d context: %+v", got)
	}
	if got := contextTool(nil, "--help"); got.code != 0 || !strings.HasPrefix(got.stdout, "mqpub context - named sets of options in the configuration file\n\nUsage: mqpub context COMMAND\n") || got.stderr != "" {
		t.Errorf("--help: %+v", got)
	}
}

func TestContextAddKeepsTheRestOfTheFile(t *testing.T) {
	t.Parallel()
	const text = "# mine\ndefaults:\n    quiet: yes   # please\n\ncontexts:\n    # the big one\n    prod: {url: 'mqtts://prod'}\n\n# the end\n"
	env, path := homeWith(t, text)
	if got := contextTool(env, "add", "lab", "-h", "lab"); got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	want := strings.Replace(text, "prod'}\n", "prod'}\n    lab:\n      host: lab\n", 1)
	if got := contents(t, path); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := contextTool(env, "remove", "lab"); got.code != 0 || contents(t, path) != text {
		t.Errorf("got %+v and\n%s", got, contents(t, path))
	}
}

func TestFilesThatCannotBeEditedAreLeftAlone(t *testing.T) {
	t.Parallel()
	for text, c := range map[string]struct {
		code int
		want string
	}{
		"contexts: {a: {host: b}}\n":   {option.ExitUsage, "edit it by hand"},
		"contexts:\n  a: {qos: 3}\n":   {option.ExitUsage, ":2:12: qos"},
		"contexts:\n  a: {host: b\n":   {option.ExitUsage, ":2:3: did not find expected"},
		"nonsense: 1\n":                {option.ExitUsage, ":1:1: unknown key"},
		"defaults:\n  quiet: maybe\n#": {option.ExitUsage, ":2:10: quiet"},
	} {
		env, path := homeWith(t, text)
		got := contextTool(env, "add", "x", "-h", "y")
		if got.code != c.code || !strings.Contains(got.stderr, c.want) || contents(t, path) != text {
			t.Errorf("%q: got %+v, file %q, want %q", text, got, contents(t, path), c.want)
		}
	}
	env, path := homeWith(t, "")
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if got := contextTool(env, "add", "x", "-h", "y"); got.code != option.ExitLocalIO || !strings.Contains(got.stderr, "is read-only") {
		t.Errorf("a read-only file: %+v", got)
	}
}

func TestSecretsOfContextsAreKeptAndNotShown(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	env, path := homeWith(t, "")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		warn bool
	}{
		{[]string{"add", "url", "-L", "mqtts://joe:" + secret + "@h"}, true},
		{[]string{"add", "password", "-h", "h", "-u", "joe", "-P", secret}, true},
		{[]string{"add", "header", "-L", "ws://h", "--ws-header", "Authorization: " + secret}, true},
		{[]string{"add", "proxy", "-h", "h", "--proxy", "http://u:" + secret + "@p"}, true},
		{[]string{"add", "file", "-h", "h", "-u", "joe", "--password-file", "pw"}, false},
		{[]string{"list"}, false},
		{[]string{"show", "url"}, false}, {[]string{"show", "password"}, false}, {[]string{"show", "header"}, false}, {[]string{"show", "proxy"}, false},
	} {
		got := contextTool(env, c.args...)
		if got.code != 0 || strings.Contains(got.stdout+got.stderr, secret) || strings.Contains(got.stderr, "in plain text now") != c.warn {
			t.Errorf("%q: got %+v, want a warning %v", c.args, got, c.warn)
		}
		if strings.Contains(got.stderr, "other users can read it") {
			t.Errorf("%q: left open: %q", c.args, got.stderr)
		}
	}
	if n := strings.Count(contents(t, path), secret); n != 4 {
		t.Errorf("the secret is in the file %d times, want 4", n)
	}
	if st, _ := os.Stat(path); runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 600 as there is a secret", st.Mode())
	}
	// A password command is stored, not run.
	ran := filepath.Join(t.TempDir(), "ran")
	if got := contextTool(env, "add", "command", "-h", "h", "-u", "joe", "--password-command", "touch "+ran); got.code != 0 {
		t.Errorf("got %+v", got)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("context add runs the password command")
	}
	for _, args := range [][]string{{"--context", "url", "-q", "7"}, {"--context", "password", "--show-config"}, {"--context", "nix"}, {"--context", "header", "-d"}} {
		_, got := valuesOf(t, cli.Env{Args: args, Lookup: option.MapEnv(env)}, option.Sub)
		if strings.Contains(got.stdout+got.stderr, secret) {
			t.Errorf("%q: the secret is printed: %+v", args, got)
		}
	}
}

func TestTheSystemsContextsAreSeenAndNotEdited(t *testing.T) {
	t.Parallel()
	system := fileWith(t, "contexts:\n  site: {host: site}\ncurrent-context: site\n")
	dir := t.TempDir()
	run := func(args ...string) outcome {
		var stdout, stderr strings.Builder
		code := cli.Run(context.Background(), cli.Env{Args: append([]string{"context"}, args...), Stdout: &stdout, Stderr: &stderr, SystemConfig: system,
			Lookup: option.MapEnv(map[string]string{"XDG_CONFIG_HOME": dir, "AppData": dir})}, cli.Tool{Program: option.Program{Name: "mqsub", Bit: option.Sub}, Resolve: Resolve})
		return outcome{code, stdout.String(), stderr.String()}
	}
	if got := run("list"); got != (outcome{0, "* site  site\n", ""}) {
		t.Errorf("list: %+v", got)
	}
	if got := run("remove", "site"); got.code != option.ExitUsage || !strings.Contains(got.stderr, `"site" is in `+system+":2:3\nmqsub: --config "+system) {
		t.Errorf("remove: %+v", got)
	}
	if got := run("use", "--none"); got != (outcome{}) {
		t.Errorf("use --none: %+v", got)
	}
	if got := run("list"); got != (outcome{0, "  site  site\n", ""}) {
		t.Errorf("list: %+v", got)
	}
	if got := contents(t, filepath.Join(dir, "mqtools", "config.yaml")); got != "current-context: none\n" {
		t.Errorf("the user's file: %q", got)
	}
}

// MQ_CONTEXT is the current context of a shell, for list and for show without a name.
func TestTheContextOfTheEnvironmentIsTheCurrentOne(t *testing.T) {
	t.Parallel()
	env, _ := homeWith(t, "contexts:\n  a:\n    host: a\n  b:\n    host: b\ncurrent-context: a\n")
	env["MQ_CONTEXT"] = "b"
	if got := contextTool(env, "list"); got.stdout != "  a  a\n* b  b\n" {
		t.Errorf("list: %+v", got)
	}
	if got := contextTool(env, "show"); got.code != 0 || !strings.Contains(got.stdout, `"b"`) {
		t.Errorf("show: %+v", got)
	}
	env["MQ_CONTEXT"] = "c"
	if got := contextTool(env, "show"); got.code != option.ExitUsage || !strings.Contains(got.stderr, `MQ_CONTEXT: unknown context "c"`) {
		t.Errorf("show of none: %+v", got)
	}
	env["MQ_CONTEXT"] = "none"
	if got := contextTool(env, "show"); got.code != option.ExitUsage || !strings.Contains(got.stderr, "no context is the current one") {
		t.Errorf("show of none: %+v", got)
	}
}

// A relative path in a context would be a different socket in another directory.
func TestSocketsOfContextsAreAbsolute(t *testing.T) {
	t.Parallel()
	env, _ := homeWith(t, "")
	here, err := filepath.Abs("sock")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][3]string{
		{"-L", "unix:sock", here}, {"--unix", "sock", here}, {"-L", "unix:./sock", here}, {"-L", "mqtt+unix:sock", here}, {"-L", "UNIX:sock", here},
		{"-L", "unix:%40mqtt", `"unix:%40mqtt"`}, {"--unix", "@mqtt", `"@mqtt"`}, // these are not files
	} {
		got := contextTool(env, "add", "x", "--force", c[0], c[1])
		if show := contextTool(env, "show", "x"); got.code != 0 || !strings.Contains(show.stdout, c[2]) {
			t.Errorf("%q: %+v, %+v", c, got, show)
		}
	}
}

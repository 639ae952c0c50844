package mosquitto_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/connection"
	"github.com/mqtools/mqtools/internal/mosquitto"
	"github.com/mqtools/mqtools/internal/option"
)

// outcome is the result of a program; config is what it would have run with, as
// --show-config prints it.
type outcome struct {
	out, err string
	code     int
	ran      bool
	values   *option.Values
}

// play runs a program whose only work is to record its options.
func play(t *testing.T, name string, vars map[string]string, args ...string) (o outcome) {
	t.Helper()
	tool := cli.Tool{Program: option.Program{Name: "mqpub", Bit: option.Pub}, Personalities: mosquitto.Publishers()}
	if name == "mosquitto_sub" {
		tool = cli.Tool{Program: option.Program{Name: "mqsub", Bit: option.Sub}, Personalities: mosquitto.Subscribers()}
	}
	tool.Run = func(_ context.Context, inv *cli.Invocation) error {
		o.ran, o.values = true, inv.Values
		_, err := connection.New(context.Background(), inv)
		return err
	}
	var out, err bytes.Buffer
	env := cli.Env{Name: "/usr/bin/" + name, Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &err, Lookup: option.MapEnv(vars)}
	o.code = cli.Run(t.Context(), env, tool)
	o.out, o.err = out.String(), err.String()
	return o
}

func TestUsageErrorsAreTheirs(t *testing.T) {
	t.Parallel()
	const p, s, r = "mosquitto_pub", "mosquitto_sub", "mosquitto_rr"
	for _, test := range []struct {
		program, args, want string // without the hint; | stands for a newline
	}{
		{p, "-q 3", "Error: Invalid QoS given: 3|"},
		{p, "-q -1", "Error: Invalid QoS given: -1|"},
		{p, "-p 65536", "Error: Invalid port given: 65536|"},
		{p, "-p password", "Error: Invalid port given: password|"},
		{p, "-q", "Error: -q argument given but no QoS specified.||"},
		{p, "--qos", "Error: -q argument given but no QoS specified.||"},
		{p, "-V", "Error: --protocol-version argument given but no version specified.||"},
		{p, "-M", "Error: -M argument given but max_inflight not specified.||"},
		{p, "-x", "Error: -x argument given but no session expiry interval specified.||"},
		{p, "--tls-engine-kpass-sha1", "Error: --tls-engine-kpass-sha1 argument given but no kpass sha1 specified.||"},
		{p, "-V 6", "Error: Invalid protocol version argument given.||"},
		{p, "-V v5", "Error: Invalid protocol version argument given.||"},
		{p, "-k 4", "Error: Invalid keepalive given, it must be between 5 and 65535 inclusive.||"},
		{p, "-M 0", "Error: Maximum inflight messages must be greater than 0.||"},
		{p, "--repeat 0", "Error: --repeat argument must be >0.||"},
		{p, "--repeat-delay -1", "Error: --repeat-delay argument must be >=0.0.||"},
		{p, "--will-qos 3", "Error: Invalid will QoS 3.||"},
		{p, "-x x", "Error: session-expiry-interval not a number.||"},
		{p, "-x 4294967296", "Error: session-expiry-interval out of range.||"},
		{p, "-x -2", "Error: session-expiry-interval out of range.||"},
		{p, "-C 1", "Error: Unknown option '-C'.|"},
		{p, "-v", "Error: Unknown option '-v'.|"},
		{p, "stray", "Error: Unknown option 'stray'.|"},
		{p, "-ta", "Error: Unknown option '-ta'.|"},
		{p, "--port=1", "Error: Unknown option '--port'.|"},
		{p, "--", "Error: Unknown option '--'.|"},
		{p, "--count 1", "Error: Unknown option '--count'.|"},
		{p, "--password=secret", "Error: Unknown option '--password'.|"},
		{p, "-m a -m b", "Error: Only one type of message can be sent at once.||"},
		{p, "-l -s", "Error: Only one type of message can be sent at once.||"},
		{p, "-i a -I b", "Error: -i and -I argument cannot be used together.||"},
		{p, "-I a -i b", "Error: -i and -I argument cannot be used together.||"},
		{p, "-t a/#", "Error: Invalid publish topic 'a/#', does it contain '+' or '#'?|"},
		{p, "-t a\xff", "Error: Malformed UTF-8 in -t argument.||"},
		{p, "-t a\x01", "Error: Malformed UTF-8 in -t argument.||"},
		{p, "--will-topic +", "Error: Invalid will topic '+', does it contain '+' or '#'?|"},
		{p, "-L http://h/t", "Error: Unsupported URL scheme.||"},
		{p, "-L mqtt://h", "Error: Invalid URL for -L argument specified - topic missing.|"},
		{p, "--proxy ftp://h", "Error: Unsupported proxy protocol: ftp|"},
		{p, "-t t -m x --will-payload x", "Error: Will payload given, but no will topic given.|"},
		{p, "-t t -m x --will-retain", "Error: Will retain given, but no will topic given.|"},
		{p, "-t t -m x --cert c", "Error: Both certfile and keyfile must be provided if one of them is set.|"},
		{p, "-t t -m x --keyform pem", "Error: If keyform is set, keyfile must be also specified.|"},
		{p, "-t t -m x --psk ab", "Error: --psk-identity required if --psk used.|"},
		{p, "-t t -m x --psk ab --cafile f", "Error: Only one of --psk or --cafile/--capath may be used at once.|"},
		{p, "-t t -m x -c", "Error: You must provide a client id if you are using the -c option.|"},
		{p, "-t t -m x -c -I me", "Error: You must provide a client id if you are using the -c option.|"},
		{p, "-t t -m x -x -1", "Error: You must provide a client id if you are using an infinite session expiry interval.|"},
		{p, "-D", "Error: --property argument given but not enough arguments specified.||"},
		{p, "-D publish user-property k", "Error: --property argument given but not enough arguments specified.||"},
		{p, "-D nonsense content-type x", "Error: Invalid command nonsense given in --property argument.||"},
		{p, "-D publish nonsense x", "Error: Invalid property name nonsense given in --property argument.||"},
		{p, "-D publish topic-alias-maximum 1", "Error: topic-alias-maximum property not allowed for publish in --property argument.||"},
		{p, "-D puback reason-string x", "Error: reason-string property not supported for puback in --property argument.||"},
		{p, "-D auth reason-string x", "Error: reason-string property not supported for auth in --property argument.||"},
		{p, "-D publish payload-format-indicator 256", "Error: Property value (256) out of range for property payload-format-indicator.||"},
		{p, "-D connect receive-maximum 65536", "Error: Property value (65536) out of range for property receive-maximum.||"},
		{p, "-D connect session-expiry-interval x", "Error: Property value 'x' not a number.||"},
		{p, "-o", "Error: -o argument given but no options file specified.||"},
		{p, "-o a -o b", "Error: Duplicate -o argument given.||"},
		{s, "", "Error: You must specify a topic to subscribe to (-t) or unsubscribe from (-U).|"},
		{s, "-t a#", "Error: Invalid subscription topic 'a#', are all '+' and '#' wildcards correct?|"},
		{s, "-T a#", "Error: Invalid filter topic 'a#', are all '+' and '#' wildcards correct?|"},
		{s, "-U a#", "Error: Invalid unsubscribe topic 'a#', are all '+' and '#' wildcards correct?|"},
		{s, "-C 0", `Error: Invalid message count "0".||`},
		{s, "-W 0", `Error: Invalid timeout "0".||`},
		{s, "-F %", "Error: Incomplete format specifier.|"},
		{s, "-F %0", "Error: Incomplete format specifier.|"},
		{s, "-F @", "Error: Incomplete format specifier.|"},
		{s, "-F %z", "Error: Invalid format specifier 'z'.|"},
		{s, `-F \`, "Error: Incomplete escape specifier.|"},
		{s, `-F \q`, "Error: Invalid escape specifier 'q'.|"},
		{s, "--random-filter 0", "Error: --random-filter chance must be between 0.1-100.0||"},
		{s, "--retain-handling x", "Error: Unknown value 'x' for --retain-handling.||"},
		{s, "-m x", "Error: Unknown option '-m'.|"},
		{s, "--latency", "Error: Unknown option '--latency'.|"},
		{r, "-r", "Error: Unknown option '-r'.|"},
		{r, "-l", "Error: Unknown option '-l'.|"},
		{r, "-e +", "Error: Invalid response topic '+', does it contain '+' or '#'?|"},
	} {
		want := strings.ReplaceAll(test.want, "|", "\n") + "\nUse '" + test.program + " --help' to see usage.\n"
		got := play(t, test.program, nil, strings.Fields(test.args)...)
		if got.err != want || got.out != "" || got.code != 1 || got.ran {
			t.Errorf("%s %s: code %d, stdout %q, ran %v\ngot  %q\nwant %q", test.program, test.args, got.code, got.out, got.ran, got.err, want)
		}
	}
}

func TestPagesEndWithOne(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"mosquitto_pub", "mosquitto_sub", "mosquitto_rr"} {
		got := play(t, name, nil, "--version")
		if !strings.HasPrefix(got.out, name+" version 2.1.2, ") || got.err != "" || got.code != 1 {
			t.Errorf("%s --version: %+v", name, got)
		}
		// Even if other words are wrong, but not after them.
		got = play(t, name, nil, "-q", "1", "--help", "--nonsense")
		if !strings.Contains(got.out, "Usage: "+name+" ") || strings.Contains(got.out, " : .") || got.err != "" || got.code != 1 {
			t.Errorf("%s --help: %+v", name, got)
		}
	}
	got := play(t, "mosquitto_pub", nil, "-t", "a")
	if got.err != "Error: Both topic and message must be supplied.\n" || !strings.Contains(got.out, "Usage: ") || got.code != 1 {
		t.Errorf("without a message: %+v", got)
	}
	got = play(t, "mosquitto_rr", nil, "-t", "a", "-m", "x")
	if got.err != "Error: All of topic, message, and response topic must be supplied.\n\nUse 'mosquitto_rr --help' to see usage.\n" || got.code != 1 {
		t.Errorf("without a response topic: %+v", got)
	}
	got = play(t, "mosquitto_sub", nil, "-t", "a", "-R", "--retained-only")
	if got.err != "\nError: Combining '-R' and '--retained-only' makes no sense.\n" || got.code != 1 {
		t.Errorf("-R and --retained-only: %+v", got)
	}
}

// TestWordsBecomeOptions checks the options that our tools get.
func TestWordsBecomeOptions(t *testing.T) {
	t.Parallel()
	const p, s, r = "mosquitto_pub -t t -m m", "mosquitto_sub -t t", "mosquitto_rr -t t -m m -e r"
	for _, test := range []struct{ words, want string }{ // want: NAME=VALUE..., or !NAME for an option that must not be set
		{p, "protocol-version=311 port=1883 color=never topic=t message=m !quiet !unix !max-inflight !receive-maximum"},
		{r, "protocol-version=5 receive-maximum=1 response-topic=r"},
		{s + " -V 5 -C 5", "count=5 receive-maximum=5"},
		{s + " -V 5 -C 50", "count=50 !receive-maximum"},
		{s + " -C 5", "count=5 !receive-maximum"},
		{s + " -t u -t v", "topic=t,u,v"},
		{p + " -t u", "topic=u"},
		{p + " -q 1 -q 2", "qos=2"},
		{p + " -M 70000", "!max-inflight"},
		{p + " -M 7", "max-inflight=7"},
		{p + " --cafile f --no-tls", "port=8883 cafile=f"},
		{p + " --tls-use-os-certs", "port=1883"},
		{p + " -h ::1", "host=::1 port=1883"},
		{p + " -h h:99", "host=h:99 !port"},
		{p + " --unix /s", "unix=/s !port !host"},
		{p + " -h /s -p 0", "unix=/s !port !host"},
		{p + " --unix /s -p 5", "host=/s port=5 !unix"},
		{p + " -x 0x10", "session-expiry-interval=16 protocol-version=5"},
		{p + " -x 0", "!session-expiry-interval protocol-version=5"},
		{p + " -x 7 -V 311", "protocol-version=311"},
		{p + " -x ∞ -i me", "session-expiry-interval=4294967295"},
		{p + " --will-qos 1", "!will-qos"},
		{p + " --insecure", "!insecure"},
		{p + " --insecure -p 8883", "insecure=true port=8883"},
		{p + " --connect-timeout 3 --receive-maximum 7", "connect-timeout=3 receive-maximum=7"},
		{s + " --sieve=x", ""},
		{s + " --no-local", "no-local=true"},
		{"mosquitto_pub -m m -L mqtt://u:p%40w@[::1]:7/a/b", "host=::1 port=7 username=u password=p@w topic=a/b !url"},
		{"mosquitto_pub -m m -L wss://h/a", "host=h port=8883 ws=true tls-use-os-certs=true topic=a"},
		{"mosquitto_pub -m m -L ws://h/a", "port=1883 ws=true"},
		{"mosquitto_pub -m m -L mqtts://h:1883/a", "port=1883 tls-use-os-certs=true"},
		{"mosquitto_pub -m m -h x -p 9 -L mqtt://h/a -h y", "host=y port=1883"},
		{"mosquitto_sub -t t -L mqtt://h/a/+/#", "topic=t,a/+/#"},
		{"mosquitto_pub -l -t t --repeat 5 --repeat-delay 1", "stdin-line=true !repeat !repeat-delay"},
		{r + " -R --retain-handling never --retain-as-published -W 3", "timeout=3"},
		{p + " -D publish content-type x -V 5", "protocol-version=5"},
	} {
		words := strings.Fields(test.words)
		got := play(t, words[0], nil, words[1:]...)
		if test.want == "" {
			if got.ran || got.code != 1 {
				t.Errorf("%s: is taken", test.words)
			}
			continue
		}
		if !got.ran {
			t.Errorf("%s: code %d, %s", test.words, got.code, got.err)
			continue
		}
		for _, want := range strings.Fields(test.want) {
			if name, not := strings.CutPrefix(want, "!"); not {
				if got.values.Of(name).Known() && got.values.Of(name).IsSet() {
					t.Errorf("%s: %s is given", test.words, name)
				}
				continue
			}
			name, value, _ := strings.Cut(want, "=")
			if have := shown(got.values, name); have != value {
				t.Errorf("%s: %s is %q, want %q", test.words, name, have, value)
			}
		}
	}
}

// shown returns a value as text.
func shown(v *option.Values, name string) string {
	switch name {
	case "port", "qos", "count", "max-inflight", "receive-maximum":
		return strings.TrimSpace(strings.Join(strings.Fields(string(appendInt(nil, v.Of(name).Int64()))), ""))
	case "session-expiry-interval", "timeout", "connect-timeout":
		return string(appendInt(nil, int64(v.Of(name).Duration().Seconds())))
	case "ws", "insecure", "no-local", "stdin-line", "tls-use-os-certs":
		if v.Of(name).On() {
			return "true"
		}
		return "false"
	}
	return strings.Join(v.Of(name).Texts(), ",")
}

func appendInt(b []byte, n int64) []byte {
	if n >= 10 {
		b = appendInt(b, n/10)
	}
	return append(b, byte('0'+n%10))
}

func TestOptionsFileOfTheProgram(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("XDG_CONFIG_HOME and HOME are Unix's: the files are in USERPROFILE")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	own := map[string]string{"XDG_CONFIG_HOME": dir}
	write("mosquitto_pub", "# comment\n-h filehost\r\n   -q 1\n\n--will-topic w x \n-D connect user-property k v w\n-t from/file\n")
	got := play(t, "mosquitto_pub", own, "-m", "x", "-q", "2")
	if !got.ran || got.values.Host.Text() != "filehost" || got.values.QoS.Int() != 2 || got.values.WillTopic.Text() != "w x " ||
		got.values.Topic.Text() != "from/file" {
		t.Errorf("its own file: %+v", got)
	}
	if p := got.values.Property.Properties(); len(p) != 1 || p[0].Key != "k" || p[0].Value != "v w" {
		t.Errorf("-D in a file: %+v", p)
	}
	// -o replaces it, and is only special where an option is expected.
	other := write("other", "-t other\n")
	got = play(t, "mosquitto_pub", own, "-m", "-o", "-o", other)
	if !got.ran || got.values.Topic.Text() != "other" || got.values.Host.Text() != "localhost" || got.values.Message.Text() != "-o" {
		t.Errorf("-o: %+v", got)
	}
	// Without XDG_CONFIG_HOME in ~/.config; the other programs have their own files.
	if err := os.MkdirAll(filepath.Join(dir, "home", ".config"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("home/.config/mosquitto_sub", "-t home\n")
	if got = play(t, "mosquitto_sub", map[string]string{"HOME": filepath.Join(dir, "home")}); !got.ran || got.values.Topic.Text() != "home" {
		t.Errorf("~/.config: %+v", got)
	}
	bad := write("bad", "-t a\n-q 9\n")
	for _, test := range []struct{ file, want string }{
		{bad, "Error: " + bad + ":2: Invalid QoS given: 9\n"},
		{write("bad2", "nonsense\n"), "Error: " + filepath.Join(dir, "bad2") + ":1: Unknown option 'nonsense'.\n"},
		{write("bad3", "\t-t x\n"), "Unknown option"},
		{filepath.Join(dir, "missing"), "Error: options file: open "},
		{dir, "is a directory"},
		{write("bad4", "-t a\n-m \x00\n"), ":2: a null character in the line\n"},
		{"/dev/zero", ":1: the line has more than a megabyte\n"},
	} {
		got := play(t, "mosquitto_pub", nil, "-o", test.file, "-m", "x", "-t", "t")
		if got.ran || got.code != 1 || !strings.Contains(got.err, test.want) || !strings.HasSuffix(got.err, "\nUse 'mosquitto_pub --help' to see usage.\n") {
			t.Errorf("%s: %d %q, want %q", test.file, got.code, got.err, test.want)
		}
	}
}

// TestOurEnvironmentDoesNotReachTheProgram checks that a script that works with the
// programs does not change because of our variables, or a proxy's.
func TestOurEnvironmentDoesNotReachTheProgram(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"MQ_HOST": "other", "MQTT_URL": "mqtt://other", "MQ_PASSWORD": "secret", "ALL_PROXY": "socks5h://p", "MQ_QOS": "9"}
	got := play(t, "mosquitto_pub", vars, "-t", "t", "-m", "x")
	if !got.ran || got.values.Host.Text() != "localhost" || got.values.URL.IsSet() || got.values.Password.IsSet() || got.code != 0 {
		t.Errorf("%+v", got)
	}
	if got = play(t, "mosquitto_pub", vars, "-t", "t", "-m", "x", "-u", "me"); !got.ran || got.values.Password.Text() != "secret" {
		t.Errorf("with -u the password may come from it: %+v", got)
	}
	if got = play(t, "mosquitto_pub", vars, "-t", "t", "-m", "x", "-u", "me", "-P", "p"); !got.ran || got.values.Password.Text() != "p" {
		t.Errorf("-P does not take precedence: %+v", got)
	}
}

func TestCompatIsTheSameByFlag(t *testing.T) {
	t.Parallel()
	var out, err bytes.Buffer
	run := func(args ...string) int {
		out.Reset()
		err.Reset()
		tool := cli.Tool{Program: option.Program{Name: "mqpub", Bit: option.Pub}, Personalities: mosquitto.Publishers(),
			Run: func(context.Context, *cli.Invocation) error { return nil }}
		return cli.Run(t.Context(), cli.Env{Name: "mqpub", Args: args, Stdout: &out, Stderr: &err}, tool)
	}
	if code := run("--compat", "mosquitto", "-q", "7"); code != 1 || err.String() != "Error: Invalid QoS given: 7\n\nUse 'mqpub --compat mosquitto --help' to see usage.\n" {
		t.Errorf("%d %q", code, err.String())
	}
	if code := run("--compat=mosquitto_rr", "-t", "a"); code != 1 || !strings.Contains(err.String(), "All of topic") {
		t.Errorf("%d %q", code, err.String())
	}
	if code := run("-t", "a", "--compat", "mosquitto"); code != option.ExitUsage || !strings.Contains(err.String(), "must come first") {
		t.Errorf("not first: %d %q", code, err.String())
	}
	options := filepath.Join(t.TempDir(), "o")
	if err := os.WriteFile(options, []byte("--compat mosquitto\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run("-o", options, "-t", "a"); code != option.ExitUsage || !strings.Contains(err.String(), options+":1: --compat must come first") {
		t.Errorf("in a file: %d %q", code, err.String())
	}
	if code := run("--compat", "mosquitto_pub", "-q", "7"); code != 1 || !strings.Contains(err.String(), "Invalid QoS given: 7") {
		t.Errorf("%d, %q", code, err.String())
	}
	if code := run("--compat", "mosquitto_sub", "-t", "a"); code != option.ExitUsage || !strings.Contains(err.String(), "mqpub does not stand in for mosquitto_sub") {
		t.Errorf("%d, %q", code, err.String())
	}
	if code := run("--compat", "nonsense"); code != option.ExitUsage {
		t.Errorf("unknown program: %d %q", code, err.String())
	}
}

func FuzzWords(f *testing.F) {
	f.Add("-t\x00a\x00-m\x00x\x00-D\x00publish\x00user-property\x00k\x00v\x00-L\x00mqtt://h/t")
	f.Add("-o\x00-o\x00--serve\x00-p\x000\x00--unix\x00s")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "-file") || strings.Contains(text, "-o") || strings.Contains(text, "-command") {
			return // these read the file
		}
		for _, name := range []string{"mosquitto_pub", "mosquitto_sub", "mosquitto_rr"} {
			got := play(t, name, nil, strings.Split(text, "\x00")...)
			if !got.ran && got.code != 1 {
				t.Errorf("%s: code %d, %q", name, got.code, got.err)
			}
		}
	})
}

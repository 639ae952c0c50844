package option

import (
	"slices"
	"testing"
	"time"
)

func parseOK(t *testing.T, tools ToolSet, env map[string]string, argv ...string) *Values {
	t.Helper()
	v, _, err := Parse(Table(tools), argv, MapEnv(env))
	if err != nil {
		t.Fatalf("%q with %v: %v", argv, env, err)
	}
	return v
}

func TestFlagGoesBeforeEnvironmentBeforeDefault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it     string
		env    map[string]string
		argv   []string
		want   string
		origin Origin
		label  string
	}{
		{"uses the default", nil, nil, "localhost", OriginDefault, "--host"},
		{"uses the environment", map[string]string{"MQ_HOST": "e"}, nil, "e", OriginEnvironment, "MQ_HOST"},
		{"uses the flag", map[string]string{"MQ_HOST": "e"}, []string{"-h", "f"}, "f", OriginFlag, "--host"},
		{"uses the last flag", nil, []string{"-h", "f", "--host=g"}, "g", OriginFlag, "--host"},
		{"takes an empty variable as none", map[string]string{"MQ_HOST": ""}, nil, "localhost", OriginDefault, "--host"},
		{"does not look at a bad variable that a flag overrides", map[string]string{"MQ_QOS": "9"}, []string{"-h", "f", "-q", "1"}, "f", OriginFlag, "--host"},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			v := parseOK(t, Sub, c.env, c.argv...)
			if got := v.Host.Text(); got != c.want || v.Host.Origin() != c.origin || v.Host.Name() != c.label {
				t.Errorf("got %q from %v as %s, want %q from %v as %s", got, v.Host.Origin(), v.Host.Name(), c.want, c.origin, c.label)
			}
			if v.Host.IsSet() != (c.origin != OriginDefault) {
				t.Errorf("IsSet: got %v with origin %v", v.Host.IsSet(), c.origin)
			}
		})
	}
}

func TestValuesHaveTheirTypes(t *testing.T) {
	t.Parallel()
	v := parseOK(t, Sub, nil, "-t", "a,b", "-t", " c ", "-q1", "-v", "-W", "1.5", "-x", "never", "--max-packet-size", "64k", "-V", "MQTTv311",
		"--serve", "-C", "010", "-D", "subscribe", "user-property", "k", "v")
	if got, want := v.Topic.Texts(), []string{"a,b", " c "}; !slices.Equal(got, want) {
		t.Errorf("topic: got %q, want %q", got, want)
	}
	if got := v.QoS.Int(); got != 1 {
		t.Errorf("qos: got %d, want 1", got)
	}
	if !v.Verbose.On() || v.Debug.On() {
		t.Errorf("verbose %v, debug %v, want true, false", v.Verbose.On(), v.Debug.On())
	}
	if got := v.Timeout.Duration(); got != 1500*time.Millisecond {
		t.Errorf("timeout: got %v, want 1.5s", got)
	}
	if got := v.SessionExpiryInterval.Duration(); got != 4294967295*time.Second {
		t.Errorf("session-expiry-interval: got %v, want 4294967295 s", got)
	}
	if got := v.MaxPacketSize.Int64(); got != 65536 {
		t.Errorf("max-packet-size: got %d, want 65536", got)
	}
	if got := v.ProtocolVersion.Text(); got != "311" {
		t.Errorf("protocol-version: got %q, want 311", got)
	}
	if got := v.Serve.Text(); got != DefaultServeAddr || !v.Serve.IsSet() {
		t.Errorf("serve: got %q, set %v, want %q", got, v.Serve.IsSet(), DefaultServeAddr)
	}
	if got := v.Count.Int(); got != 10 {
		t.Errorf("count: got %d, want 10 (base ten)", got)
	}
	if got, want := v.Property.Properties(), []Property{{"subscribe", "user-property", "k", "v"}}; !slices.Equal(got, want) {
		t.Errorf("property: got %+v, want %+v", got, want)
	}
	if got := v.Topic.Count(); got != 2 {
		t.Errorf("count of -t: got %d, want 2", got)
	}
}

func TestScalarKeepsTheLastAndListKeepsAll(t *testing.T) {
	t.Parallel()
	if got := parseOK(t, Pub, nil, "-h", "a", "-h", "b").Host.Texts(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("mqpub -h a -h b: got %q, want b alone", got)
	}
	if got := parseOK(t, Sub, nil, "-t", "a", "-t", "b").Topic.Texts(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("mqsub -t a -t b: got %q, want both", got)
	}
	if parseOK(t, Sub, nil, "-v", "--verbose=false").Verbose.On() {
		t.Error("-v --verbose=false: got on, want off")
	}
}

func TestListsInTheEnvironmentAreLines(t *testing.T) {
	t.Parallel()
	env := map[string]string{"MQ_TOPIC": "a, b\n\nc\n", "MQ_PROPERTY": `connect user-property a\ b c d`}
	v := parseOK(t, Sub, env)
	if got, want := v.Topic.Texts(), []string{"a, b", "c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := v.Property.Properties(), []Property{{"connect", "user-property", "a b", "c d"}}; !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := parseOK(t, Sub, env, "-t", "x").Topic.Texts(); !slices.Equal(got, []string{"x"}) {
		t.Errorf("with a flag: got %q, want the flag's alone", got)
	}
}

func TestFallbackVariable(t *testing.T) {
	t.Parallel()
	env := map[string]string{"MQTT_URL": "mqtt://a"}
	if v := parseOK(t, Sub, env); v.URL.Text() != "mqtt://a" || v.URL.Name() != "MQTT_URL" {
		t.Errorf("got %q as %s, want mqtt://a as MQTT_URL", v.URL.Text(), v.URL.Name())
	}
	env["MQ_URL"] = "mqtt://b"
	if v := parseOK(t, Sub, env); v.URL.Text() != "mqtt://b" || v.URL.Name() != "MQ_URL" {
		t.Errorf("got %q as %s, want mqtt://b as MQ_URL", v.URL.Text(), v.URL.Name())
	}
}

func TestRefusedValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tool ToolSet
		env  map[string]string
		argv []string
		want string
	}{
		{Sub, nil, []string{"-q", "3"}, `--qos: invalid value "3" (want 0, 1 or 2)`},
		{Sub, nil, []string{"-q", "-1"}, `--qos: invalid value "-1" (want 0, 1 or 2)`},
		{Sub, nil, []string{"-q", "0x1"}, `--qos: invalid value "0x1" (want 0, 1 or 2)`},
		{Sub, nil, []string{"-q", ""}, `--qos: invalid value "" (want 0, 1 or 2)`},
		{Sub, nil, []string{"-p", "99999999999999999999"}, `--port: invalid value "99999999999999999999" (want a whole number from 1 to 65535)`},
		{Sub, nil, []string{"-p", "0"}, `--port: invalid value "0" (want a whole number from 1 to 65535)`},
		{Sub, nil, []string{"-C", "0"}, `--count: invalid value "0" (want a whole number from 1 to 9007199254740992)`},
		{Sub, nil, []string{"-W", "0"}, `--timeout: invalid duration "0" (want at least 1ms)`},
		{Sub, nil, []string{"-W", "-5"}, `--timeout: invalid duration "-5" (e.g. 5, 250ms, 2m)`},
		{Sub, nil, []string{"-k", "65536"}, `--keepalive: invalid duration "65536" (want 0s to 65535s)`},
		{Sub, nil, []string{"-k", "250ms"}, `--keepalive: invalid duration "250ms" (want whole seconds)`},
		{Sub, nil, []string{"-x", "99999999999"}, `--session-expiry-interval: invalid duration "99999999999" (want 0s to 4294967295s)`},
		{Sub, nil, []string{"--max-packet-size", "1GiB"}, `--max-packet-size: invalid size "1GiB" (want 1 to 268435460 bytes)`},
		{Sub, nil, []string{"-V", "4"}, `--protocol-version: invalid value "4" (want auto, 5, 311 or 31)`},
		{Sub, nil, []string{"--color=yes"}, `--color: invalid value "yes" (want auto, always or never)`},
		{Sub, nil, []string{"--serve=host"}, `--serve: invalid value "host" (want PORT, HOST:PORT or a path, with a port from 0 to 65535)`},
		{Pub, nil, []string{"--delimiter", `\q`}, `--delimiter: invalid value "\\q" (unknown escape \q)`},
		{Pub, nil, []string{"--input", "xml"}, `--input: invalid value "xml" (want jsonl, tsv, csv, tsv:header=yes or csv:header=no)`},
		{Sub, map[string]string{"MQ_QOS": "one"}, nil, `MQ_QOS: invalid value "one" (want 0, 1 or 2)`},
		{Sub, map[string]string{"MQ_DEBUG": "maybe"}, nil, `MQ_DEBUG: invalid value "maybe" (want true or false)`},
		{Sub, map[string]string{"MQ_PROPERTY": "connect"}, nil, `MQ_PROPERTY: invalid value "connect" (want CMD PROP VALUE)`},
	} {
		_, _, err := Parse(Table(c.tool), c.argv, MapEnv(c.env))
		if _, ok := err.(*UsageError); !ok || err.Error() != c.want {
			t.Errorf("%q with %v:\n got %T %v\nwant %s", c.argv, c.env, err, err, c.want)
		}
	}
}

// TestAbsurdNumbersAreRefusedByEveryOption tries the numbers on which atoi fails silently.
func TestAbsurdNumbersAreRefusedByEveryOption(t *testing.T) {
	t.Parallel()
	eachTool(t, func(t *testing.T, table Options) {
		for _, o := range table {
			if !o.numeric() {
				continue
			}
			for _, raw := range []string{"99999999999999999999999", "-99999999999999999999999", "1e9", "0x7f", "NaN", " 1", "1 ", "+1", "--1", "\x00", "1\n"} {
				if err := (&Value{Opt: o}).Set("--"+o.Name, raw); err == nil {
					t.Errorf("--%s %q: no error", o.Name, raw)
				}
			}
		}
	})
}

func TestValuesPanicOnMistakesOfTheProgram(t *testing.T) {
	t.Parallel()
	v := parseOK(t, Pub, nil)
	for it, call := range map[string]func(){
		"asks for no option":    func() { v.Of("nonesuch").Text() },
		"asks for another type": func() { v.Host.Int() },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a program that %s gets an answer, want a panic", it)
				}
			}()
			call()
		}()
	}
	if v.Watch.Known() || v.Watch.On() || v.Watch.Given() || v.Watch.Origin() != OriginDefault || v.Count.Int() != 0 || v.FilterOut.Texts() != nil || !v.Topic.Known() {
		t.Error("an option of another tool has a value")
	}
}

func TestTenThousandTopics(t *testing.T) {
	t.Parallel()
	argv := make([]string, 0, 20000)
	for range 10000 {
		argv = append(argv, "-t", "a/b")
	}
	if got := len(parseOK(t, Sub, nil, argv...).Topic.Texts()); got != 10000 {
		t.Errorf("got %d topics, want 10000", got)
	}
}

// BenchmarkParse measures the cost of the command line when a one-shot mqpub starts.
func BenchmarkParse(b *testing.B) {
	argv := []string{"-h", "localhost", "-t", "a/b", "-m", "x", "-q", "1"}
	env := MapEnv(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Parse(Table(Pub), argv, env); err != nil {
			b.Fatal(err)
		}
	}
}

package option

import (
	"slices"
	"strings"
	"testing"
)

// related parses a line of a tool and applies the relations of its options.
func related(t *testing.T, tools ToolSet, line string, env map[string]string) (*Values, []string, error) {
	t.Helper()
	table := Table(tools)
	p, err := parseWords(nil, table, strings.Fields(line))
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	v, err := Decode(table, p.Uses, nil, MapEnv(env), nil)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	warnings, err := v.Relate(table, ForRun)
	return v, warnings, err
}

var toolOf = map[string]ToolSet{"mqpub": Pub, "mqsub": Sub, "mqbench": Bench}

// TestWhatHasNoEffectIsRefused: an option whose effect another one rules out.
func TestWhatHasNoEffectIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, says string }{
		{"mqpub -t a -m x --unix s --tls", "--unix and --tls cannot be used together"},
		{"mqpub -t a -m x --unix s --cafile f", "--unix and --cafile cannot be used together"},
		{"mqpub -t a -m x --unix s --insecure", "--unix and --insecure cannot be used together"},
		{"mqsub -t a --unix s --proxy socks5://h", "--unix and --proxy cannot be used together"},
		{"mqsub -t a --unix s --proxy-command c", "--unix and --proxy-command cannot be used together"},
		{"mqbench conn --unix s -A 127.0.0.1", "--unix and --bind-address cannot be used together"},
		{"mqsub -t a -R --remove-retained", "--skip-retained and --remove-retained cannot be used together"},
		{"mqsub -t a -E --retained-only", "--exit-after-subscribe and --retained-only cannot be used together"},
		{"mqsub -t a -E -C 1", "--exit-after-subscribe and --count cannot be used together"},
		{"mqsub -t a -E --idle-timeout 1", "--exit-after-subscribe and --idle-timeout cannot be used together"},
	} {
		tool, line, _ := strings.Cut(c.line, " ")
		line = strings.TrimPrefix(line, "conn ")
		if _, _, err := related(t, toolOf[tool], line, nil); err == nil || !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.line, err, c.says)
		}
	}
	// What a configuration says of other brokers yields.
	v, _, err := related(t, Pub, "-t a -m x --unix s", map[string]string{"MQ_TLS": "true", "MQ_PROXY": "socks5://h"})
	if err != nil || v.TLS.On() || v.Proxy.IsSet() {
		t.Errorf("with variables: %v", err)
	}
}

// TestWhatWasRefusedIsRefused lists every combination that the tools have ever refused,
// independently of the table, so that none of them gets lost.
func TestWhatWasRefusedIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, says string }{
		{"mqpub -m x -f y", "--message and --file cannot be used together"},
		{"mqpub -m x -s", "--message and --stdin-file cannot be used together"},
		{"mqpub -n -m x", "--message and --null-message cannot be used together"},
		{"mqpub -l -m x", "--message and --stdin-line cannot be used together"},
		{"mqpub --input jsonl -m x", "--message and --input cannot be used together"},
		{"mqpub -f y -s", "--file and --stdin-file cannot be used together"},
		{"mqpub -f y -n", "--file and --null-message cannot be used together"},
		{"mqpub -f y -l", "--file and --stdin-line cannot be used together"},
		{"mqpub -f y --input jsonl", "--file and --input cannot be used together"},
		{"mqpub -s -n", "--stdin-file and --null-message cannot be used together"},
		{"mqpub -s -l", "--stdin-file and --stdin-line cannot be used together"},
		{"mqpub -s --input jsonl", "--stdin-file and --input cannot be used together"},
		{"mqpub -n -l", "--null-message and --stdin-line cannot be used together"},
		{"mqpub -n --input jsonl", "--null-message and --input cannot be used together"},
		{"mqpub -l --input jsonl", "--stdin-line and --input cannot be used together"},
		{"mqpub --input jsonl -t a", "--input and --topic cannot be used together"},
		{"mqpub -m x --strict", "--strict needs --input"},
		{"mqpub -m x --delimiter ,", "--delimiter needs --stdin-line"},
		{"mqpub -m x -0", "--null needs --stdin-line"},
		{"mqpub -m x --skip-blank", "--skip-blank needs --stdin-line"},
		{"mqpub -l -0 --delimiter ,", "--delimiter and --null cannot be used together"},
		{"mqpub -l --request", "--request and --stdin-line cannot be used together"},
		{"mqpub --input jsonl --request", "--request and --input cannot be used together"},
		{"mqpub -m x --request --repeat 2", "--request and --repeat cannot be used together"},
		{"mqpub -m x --request -r", "--request and --retain cannot be used together"},
		{"mqpub -l -e r", "--response-topic and --stdin-line cannot be used together"},
		{"mqpub -m x -e r -r", "--response-topic and --retain cannot be used together"},
		{"mqpub -m x -e r --repeat 2", "--response-topic and --repeat cannot be used together"},
		{"mqpub -m x -v", "--verbose needs --request"},
		{"mqpub -m x -N", "--no-newline needs --request"},
		{"mqpub -m x -F %p", "--format needs --request"},
		{"mqpub -m x --json", "--json needs --request"},
		{"mqpub -m x --pretty", "--pretty needs --request"},
		{"mqpub -m x --json-payload", "--json-payload needs --request"},
		{"mqpub -m x --raw", "--raw needs --request"},
		{"mqpub -m x --replies 2", "--replies needs --request"},
		{"mqpub -m x --latency", "--latency needs --request"},
		{"mqpub -m x --request --json -v", "--json and --verbose cannot be used together"},
		{"mqsub -F %p --json", "--format and --json cannot be used together"},
		{"mqsub -F %p --pretty", "--format and --pretty cannot be used together"},
		{"mqsub --json --pretty", "--json and --pretty cannot be used together"},
		{"mqsub --json -v", "--json and --verbose cannot be used together"},
		{"mqsub -N -0", "--no-newline and --print0 cannot be used together"},
		{"mqsub --json -N", "--json and --no-newline cannot be used together"},
		{"mqsub --json -0", "--json and --print0 cannot be used together"},
		{"mqsub --pretty -N", "--pretty and --no-newline cannot be used together"},
		{"mqsub --pretty -0", "--pretty and --print0 cannot be used together"},
		{"mqsub --json-payload", "--json-payload needs --json"},
		{"mqsub --retained-quiet 1", "--retained-quiet needs --retained-only"},
		{"mqsub --echo --reply-command c", "--echo and --reply-command cannot be used together"},
		{"mqsub -R --retained-only", "--skip-retained and --retained-only cannot be used together"},
		{"mqsub --watch --message-rate", "--watch and --message-rate cannot be used together"},
		{"mqsub --watch --retained-only", "--watch and --retained-only cannot be used together"},
		{"mqsub --message-rate --retained-only", "--message-rate and --retained-only cannot be used together"},
		{"mqsub -h h -L mqtt://x", "--url and --host cannot be used together"},
		{"mqsub -p 1 -L mqtt://x", "--url and --port cannot be used together"},
		{"mqsub --unix /x -L mqtt://x", "--url and --unix cannot be used together"},
		{"mqsub --ws -L mqtt://x", "--url and --ws cannot be used together"},
		{"mqsub --ws-path /x -L mqtt://x", "--url and --ws-path cannot be used together"},
		{"mqsub -h h --unix /x", "--unix and --host cannot be used together"},
		{"mqsub -p 1 --unix /x", "--unix and --port cannot be used together"},
		{"mqsub --ws --unix /x", "--unix and --ws cannot be used together"},
		{"mqsub --ws-path /x --unix /x", "--unix and --ws-path cannot be used together"},
		{"mqsub --srv -p 1", "--srv and --port cannot be used together"},
		{"mqsub --srv -L mqtt://x", "--url and --srv cannot be used together"},
		{"mqsub --srv --unix /x", "--unix and --srv cannot be used together"},
		{"mqsub --srv --ws", "--srv and --ws cannot be used together"},
		{"mqsub --srv --ws-path /x", "--srv and --ws-path cannot be used together"},
		{"mqsub -i a --id-prefix b", "--id and --id-prefix cannot be used together"},
		{"mqsub --proxy http://x --proxy-command c", "--proxy and --proxy-command cannot be used together"},
		{"mqsub -P a --password-file b", "--password and --password-file cannot be used together"},
		{"mqsub -P a --password-command b", "--password and --password-command cannot be used together"},
		{"mqsub -P a --ask-password", "--password and --ask-password cannot be used together"},
		{"mqsub --password-file a --password-command b", "--password-file and --password-command cannot be used together"},
		{"mqsub --password-file a --ask-password", "--password-file and --ask-password cannot be used together"},
		{"mqsub --password-command a --ask-password", "--password-command and --ask-password cannot be used together"},
		{"mqsub --auth-command c", "--auth-command needs --auth"},
		{"mqsub --reauthenticate-every 60", "--reauthenticate-every needs --auth"},
		{"mqsub --will-payload x", "--will-payload needs --will-topic"},
		{"mqsub --will-qos 1", "--will-qos needs --will-topic"},
		{"mqsub --will-retain", "--will-retain needs --will-topic"},
		{"mqsub --tls --no-tls", "--tls and --no-tls cannot be used together"},
		{"mqsub --cert x", "--cert needs --key"},
		{"mqsub --key x", "--key needs --cert"},
		{"mqsub --psk 1 --psk-identity x --cafile x", "--psk and --cafile cannot be used together"},
		{"mqsub --psk 1 --psk-identity x --capath x", "--psk and --capath cannot be used together"},
		{"mqsub --psk 1", "--psk needs --psk-identity"},
		{"mqsub --psk-identity x", "--psk-identity needs --psk"},
		{"mqsub --keyform pem", "--keyform needs --key"},
		{"mqsub --tls-engine-kpass-sha1 x", "--tls-engine-kpass-sha1 needs --tls-engine"},
		{"mqsub --serve -h h", "--serve and --host cannot be used together"},
		{"mqsub --serve -p 1", "--serve and --port cannot be used together"},
		{"mqsub --serve -L mqtt://x", "--serve and --url cannot be used together"},
		{"mqsub --serve --unix /x", "--serve and --unix cannot be used together"},
		{"mqsub --serve --srv", "--serve and --srv cannot be used together"},
		{"mqsub --serve --ws", "--serve and --ws cannot be used together"},
		{"mqsub --serve --ws-path /x", "--serve and --ws-path cannot be used together"},
		{"mqsub --serve --ws-header a:b", "--serve and --ws-header cannot be used together"},
		{"mqsub --serve --proxy http://x", "--serve and --proxy cannot be used together"},
		{"mqsub --serve --proxy-command x", "--serve and --proxy-command cannot be used together"},
		{"mqsub --serve --bind-address x", "--serve and --bind-address cannot be used together"},
		{"mqsub --serve --insecure", "--serve and --insecure cannot be used together"},
		{"mqsub --serve-users x", "--serve-users needs --serve"},
		{"mqsub --serve-cert x", "--serve-cert needs --serve"},
		{"mqsub --serve-origin x", "--serve-origin needs --serve"},
		{"mqsub --serve-proxy-protocol", "--serve-proxy-protocol needs --serve"},
		{"mqsub --serve --serve-key x", "--serve-key needs --serve-cert"},
		{"mqsub --serve --serve-client-ca x", "--serve-client-ca needs --serve-cert"},
		{"mqbench --hold 1", "--hold needs --metrics"},
		{"mqbench --json -F csv", "--json and --format cannot be used together"},
		{"mqbench -m x --size 64", "--message and --size cannot be used together"},
		{"mqbench --listen 0 --connect x", "--listen and --connect cannot be used together"},
		{"mqbench --serve -h h", "--serve and --host cannot be used together"},
		{"mqbench -h h -L mqtt://x", "--url and --host cannot be used together"},
	} {
		tool, line, _ := strings.Cut(c.line, " ")
		if _, _, err := related(t, toolOf[tool], line, nil); err == nil || err.Error() != c.says {
			t.Errorf("%s: %v, want %s", c.line, err, c.says)
		}
	}
	// --serve cannot be used with any TLS option, which are for a different broker.
	n := 0
	for _, o := range Table(Sub) {
		if o.Group != GroupTLS {
			continue
		}
		n++
		for _, other := range Table(Sub) {
			if other.Name == "serve" && !slices.ContainsFunc(other.Excludes, func(r Relation) bool { return slices.Contains(r.With, o.Name) }) {
				t.Errorf("--serve does not exclude --%s", o.Name)
			}
		}
	}
	if n < 15 {
		t.Errorf("%d options of TLS", n)
	}
}

// TestTheStrongerOriginCounts checks options that cannot be used together, whichever entry
// has the relation.
func TestTheStrongerOriginCounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line string
		env  map[string]string
		want string // the options that remain, or the error
		warn string
	}{
		{"mqsub --json", map[string]string{"MQ_PRETTY": "1"}, "json", ""},
		{"mqsub --pretty", map[string]string{"MQ_JSON": "1"}, "pretty", ""},
		{"mqsub --pretty=false", map[string]string{"MQ_JSON": "1"}, "json", ""},
		{"mqsub", map[string]string{"MQ_JSON": "1", "MQ_PRETTY": "1"}, "MQ_JSON and MQ_PRETTY cannot be used together", ""},
		{"mqpub -l", map[string]string{"MQ_MESSAGE": "x", "MQ_NULL_MESSAGE": "1"}, "stdin-line", ""}, // an option that has yielded excludes nothing
		{"mqsub -h h", map[string]string{"MQ_URL": "mqtt://x"}, "host", ""},
		{"mqsub -L mqtt://x", map[string]string{"MQ_HOST": "h", "MQ_PORT": "1"}, "url", ""},
		{"mqsub", map[string]string{"MQ_URL": "mqtt://x", "MQ_HOST": "h"}, "url", "MQ_HOST has no effect beside MQ_URL"},
		{"mqsub -p 1", map[string]string{"MQ_URL": "mqtt://x"}, "MQ_URL and --port cannot be used together", ""},
		{"mqsub --cafile x", map[string]string{"MQ_SERVE": "127.0.0.1:1"}, "MQ_SERVE and --cafile cannot be used together", ""},
		{"mqsub --serve", map[string]string{"MQ_CAFILE": "x"}, "serve", ""},
		{"mqsub", map[string]string{"MQ_RETAINED_QUIET": "1"}, "retained-quiet", ""}, // for runs with --retained-only
		{"mqsub", map[string]string{"MQ_CERT": "x"}, "MQ_CERT needs --key", ""},
		{"mqpub -m x -e r -v", nil, "message response-topic verbose", ""},
		{"mqsub -h h -p 1", map[string]string{"MQ_URL": "mqtt://x"}, "host port", ""}, // the URL yields to the host, but the port does not yield
		{"mqsub --srv", map[string]string{"MQ_URL": "mqtt://x"}, "MQ_URL and --srv cannot be used together", ""},
		{"mqsub --srv -h h", map[string]string{"MQ_URL": "mqtt://x"}, "host srv", ""},
		{"mqsub --cafile x", map[string]string{"MQ_NO_TLS": "1"}, "cafile", ""},
		{"mqsub --no-tls --cafile x", nil, "--no-tls and --cafile cannot be used together", ""},
		{"mqpub -m x --repeat 2", map[string]string{"MQ_REQUEST": "1"}, "MQ_REQUEST and --repeat cannot be used together", ""},
		{"mqpub -m x", map[string]string{"MQ_SERVE_KEY": "k"}, "message serve-key", ""}, // without --serve
		{"mqbench --interval 1", map[string]string{"MQ_RATE": "5"}, "interval", ""},
		{"mqsub --serve", map[string]string{"MQ_SERVE_KEY": "k"}, "MQ_SERVE_KEY needs --serve-cert", ""},
		{"mqpub -l", map[string]string{"MQ_PASSWORD_FILE": "-"}, "--stdin-line and MQ_PASSWORD_FILE cannot be used together", ""},
		{"mqsub --password-file - --key-password-file -", nil, "--password-file and --key-password-file cannot be used together", ""},
		{"mqpub -f x --password-file -", nil, "file password-file", ""},
	} {
		tool, line, _ := strings.Cut(c.line, " ")
		v, warnings, err := related(t, toolOf[tool], line, c.env)
		var got []string
		if err == nil {
			for _, o := range Table(toolOf[tool]) {
				if v.Of(o.Name).Given() {
					got = append(got, o.Name)
				}
			}
			slices.Sort(got)
		} else {
			got = []string{err.Error()}
		}
		if strings.Join(got, " ") != c.want || strings.Join(warnings, "|") != c.warn {
			t.Errorf("%s %v: %q, warnings %q; want %q, %q", c.line, c.env, got, warnings, c.want, c.warn)
		}
	}
}

// TestRelationsNameOptions refuses names that none of the option's tools knows, as they
// would have no effect.
func TestRelationsNameOptions(t *testing.T) {
	t.Parallel()
	n := 0
	for _, o := range Table(All) {
		for _, rel := range slices.Concat(o.Excludes, o.Needs) {
			for _, name := range slices.Concat(rel.With, rel.Or) {
				n++
				if !slices.ContainsFunc(Table(o.Tools), func(other *Option) bool { return other.Name == name && other != o }) {
					t.Errorf("--%s: no option --%s", o.Name, name)
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("%d names in relations", n)
	}
}

// TestHelpOfAnOptionNamesItsRelations checks both sides of a relation.
func TestHelpOfAnOptionNamesItsRelations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tools  ToolSet
		option string
		want   []string
	}{
		{Sub, "--json", []string{" not with --verbose, --no-newline, --format, --pretty, --as, --fields, --ts, --print0 "}},
		{Sub, "--pretty", []string{" not with --no-newline, --format, --json, --as, --fields, --ts, --print0 "}},
		{Sub, "--json-payload", []string{" needs --json "}},
		{Sub, "--cafile", []string{" not with --unix, --no-tls, --serve "}}, // but not --psk, which is refused
		{Pub, "--json", []string{" needs --request "}},
	} {
		page, err := Help(&Program{Name: "x", Bit: c.tools}, c.option, false)
		for _, want := range c.want {
			if err != nil || !strings.Contains(strings.Join(strings.Fields(page), " "), want) {
				t.Errorf("%s: %v\n%s\nwant %q", c.option, err, page, want)
			}
		}
	}
}

package yamlfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/brokerfile"
	"github.com/mqtools/mqtools/internal/conformance"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/script"
)

// reader is a reader of YAML files, and a file that it accepts.
type reader struct {
	name string
	read func(path string, text []byte) error
	good string
	edit map[string]mistake // by the name of the mistake
}

// mistake replaces old by its text in a good file; old "" is the whole file.
type mistake struct{ old, text, want, hint string }

const (
	far       = "zzzzzzzzzzzzzzzzzzzz"
	durations = "(e.g. 5, 250ms, 2m)"
)

var readers = []reader{
	{
		name: "a scenario",
		read: func(path string, text []byte) error {
			_, err := plan.Parse(path, text, plan.Options{})
			return err
		},
		good: `name: x
keepalive: 5
groups:
  a: {clients: 1, publish: {topic: a, rate: 10/m, qos: 0, retain: false, payload: 64k}}
`,
		edit: map[string]mistake{
			"an unknown key that is near one":         {"name:", "nmae:", `1:1: unknown key "nmae"`, "did you mean name?"},
			"an unknown key that is near one, nested": {"clients:", "clinets:", `4:7: unknown key "clinets"`, "did you mean clients?"},
			"an unknown key that is far from all":     {"name:", far + ":", `1:1: unknown key "` + far + `"`, "the keys here are name, description, source, "},
			"a key twice":                             {"name: x", "name: x\nname: y", `2:1: key "name" is already on line 1`, ""},
			"a key that is missing":                   {"clients: 1, ", "", "4:6: group a: clients is missing", ""},
			"a list for a mapping":                    {"{clients: 1, publish: {topic: a, rate: 10/m, qos: 0, retain: false, payload: 64k}}", "[1]", "4:6: group a: want a mapping, not a list", ""},
			"a text for a list":                       {"name: x", "name: x\nactions: x", "2:10: actions: want a list, not a text", ""},
			"a list for a text":                       {"name: x", "name: [x]", "1:7: name: want a text, not a list", ""},
			"nothing for a text":                      {"name: x", "name:", "1:6: name: want a text, not nothing", ""},
			"a text for a mapping of names":           {"name: x", "phases: x", "1:9: phases: want a mapping, not a text", ""},
			"a word that is no duration":              {"keepalive: 5", "keepalive: x", `2:12: keepalive: invalid duration "x" ` + durations, ""},
			"a duration with a sign":                  {"keepalive: 5", "keepalive: -5s", `2:12: keepalive: invalid duration "-5s" ` + durations, ""},
			"a duration out of range":                 {"keepalive: 5", "keepalive: 65536", `2:12: keepalive: invalid duration "65536" (want 0s to 65535s)`, ""},
			"a list for a duration":                   {"keepalive: 5", "keepalive: [5]", "2:12: keepalive: want a duration, not a list", ""},
			"a fraction of a second":                  {"keepalive: 5", "keepalive: 1500ms", `2:12: keepalive: invalid duration "1500ms" (want whole seconds)`, ""},
			"a word that is no size":                  {"64k", "64q", `4:83: payload: invalid size "64q" (e.g. 512, 64k, 1MiB)`, ""},
			"a size out of range":                     {"64k", "300MB", `4:83: payload: invalid size "300MB" (want 0 to 256000000 bytes)`, ""},
			"a word that is no rate":                  {"10/m", "fast", `4:45: rate: invalid rate "fast" (e.g. 1000, 1000/s, 10/m)`, ""},
			"a rate out of range":                     {"10/m", "0", `4:45: rate: invalid rate "0" (want more than 0)`, ""},
			"a word that is no integer":               {"qos: 0", "qos: x", `4:56: qos: invalid value "x" (want 0, 1 or 2)`, ""},
			"an integer out of range":                 {"qos: 0", "qos: 3", `4:56: qos: invalid value "3" (want 0, 1 or 2)`, ""},
			"a large integer out of range":            {"clients: 1", "clients: 0", `4:16: clients: invalid value "0" (want a whole number from 1 to 1000000000)`, ""},
			"a word that is neither true nor false":   {"retain: false", "retain: x", `4:67: retain: invalid value "x" (want true or false)`, ""},
			"a word that is near one":                 {"retain: false", "start: mesure", `4:66: start: invalid value "mesure" (want connect, settle, warm-up, measure or drain)`, "did you mean measure?"},
			"an alias of nothing":                     {"clients: 1", "clients: *x", "4:", ""},
			"an empty file":                           {"", "", "1:1: groups is missing", ""},
			"a file of the wrong kind":                {"", "[a]\n", "1:1: want lines of the form 'key: value', not a list", ""},
			"a second document":                       {"name: x", "name: x\n---\na: 1", "2:1: a second document begins here", ""},
			"a tab in the indentation":                {"  a:", "\ta:", "4:1: a tab in the indentation", ""},
			"a tag":                                   {"keepalive: 5", "keepalive: !!int 5", "2:12: tags such as !!int have no meaning here", ""},
			"a merge key":                             {"name: x", "<<: {a: 1}", "1:1: merge keys (<<) are not known here", ""},
			"a NUL":                                   {"name: x", "name: \x00", "1:7: control character U+0000", ""},
			"a byte that is not UTF-8":                {"name: x", "name: \xff", "1:7: byte 0xff is not UTF-8", ""},
			"UTF-16":                                  {"", "\xff\xfen\x00", "1:1: the text is UTF-16; save it as UTF-8", ""},
			"a byte order mark in the middle":         {"name: x", "name: \ufeff", "1:7: a byte order mark that is not the first character", ""},
			"an alias that contains itself":           {"name: x", "name: &a [*a]", "1:7: nested deeper than 64 levels, or an alias that contains itself", ""},
			"a colon without a blank":                 {"keepalive: 5", "keepalive:5: x", `2:1: unknown key "keepalive"`, "put a space after the colon: keepalive: VALUE"},
		},
	},
	{
		name: "a script",
		read: func(path string, text []byte) error {
			_, err := script.Parse(path, text)
			return err
		},
		good: `name: n
role: client
version: 5.0
needs: {keep-alive: 5, maximum-qos: 0, clients: 2, retain: false}
steps:
  - {send: CONNECT, clean: true}
  - {pause: 5}
  - {fault: {delay: 5}}
`,
		edit: map[string]mistake{
			"an unknown key that is near one":         {"role:", "rloe:", `2:1: unknown key "rloe"`, "did you mean role?"},
			"an unknown key that is near one, nested": {"maximum-qos:", "maximum-qso:", `4:24: unknown key "maximum-qso"`, "did you mean maximum-qos?"},
			"an unknown key that is far from all":     {"name:", far + ":", `1:1: unknown key "` + far + `"`, "the keys here are name, role, version, "},
			"an unknown key that is far, nested":      {"delay:", far + ":", `8:14: unknown key "` + far + `"`, "the keys here are delay, stall, "},
			"a key twice":                             {"name: n", "name: n\nname: y", `2:1: key "name" is already on line 1`, ""},
			"a key that is missing":                   {"role: client\n", "", "1:1: role is missing", ""},
			"a list for a mapping":                    {"{keep-alive: 5, maximum-qos: 0, clients: 2, retain: false}", "[1]", "4:8: needs: want a mapping, not a list", ""},
			"a text for a list":                       {"name: n", "name: n\nshows: x", "2:8: shows: want a list of statements, such as [MQTT-3.3.1-2], not a text", ""},
			"a list for a text":                       {"name: n", "name: [n]", "1:7: name: want a text, not a list", ""},
			"nothing for a text":                      {"name: n", "name:", "1:6: name: want a text, not nothing", ""},
			"a word that is no duration":              {"pause: 5", "pause: x", `7:13: pause: invalid duration "x" ` + durations, ""},
			"a duration with a sign":                  {"pause: 5", "pause: -5s", `7:13: pause: invalid duration "-5s" ` + durations, ""},
			"a duration out of range":                 {"pause: 5", "pause: 0", `7:13: pause: invalid duration "0" (want 1ns to 640511h)`, ""},
			"a list for a duration":                   {"pause: 5", "pause: [5]", "7:13: pause: want a duration, not a list", ""},
			"a word that is no duration, nested":      {"keep-alive: 5", "keep-alive: x", `4:21: keep-alive: invalid duration "x" ` + durations, ""},
			"a word that is no integer":               {"maximum-qos: 0", "maximum-qos: x", `4:37: maximum-qos: invalid value "x" (want 0 or 1)`, ""},
			"an integer out of range":                 {"maximum-qos: 0", "maximum-qos: 2", `4:37: maximum-qos: invalid value "2" (want 0 or 1)`, ""},
			"a large integer out of range":            {"clients: 2", "clients: 0", `4:49: clients: invalid value "0" (want a whole number from 1 to 65535)`, ""},
			"a list for an integer":                   {"clients: 2", "clients: [2]", "4:49: clients: want a whole number from 1 to 65535, not a list", ""},
			"a word that is neither true nor false":   {"clean: true", "clean: x", `6:28: clean: invalid value "x" (want true or false)`, ""},
			"a word that is near one":                 {"role: client", "role: cleint", `2:7: role: invalid value "cleint" (want broker or client)`, "did you mean client?"},
			"an alias of nothing":                     {"pause: 5", "pause: *x", "7:", ""},
			"an empty file":                           {"", "", "1:1: name is missing", ""},
			"a file of the wrong kind":                {"", "[a]\n", "1:1: want lines of the form 'key: value', not a list", ""},
			"a second document":                       {"name: n", "name: n\n---\na: 1", "2:1: a second document begins here", ""},
			"a tab in the indentation":                {"  - {pause", "\t- {pause", "7:1: a tab in the indentation", ""},
			"a tag":                                   {"pause: 5", "pause: !!int 5", "7:13: tags such as !!int have no meaning here", ""},
			"a NUL":                                   {"name: n", "name: \x00", "1:7: control character U+0000", ""},
			"a byte that is not UTF-8":                {"name: n", "name: \xff", "1:7: byte 0xff is not UTF-8", ""},
			"UTF-16":                                  {"", "\xff\xfen\x00", "1:1: the text is UTF-16; save it as UTF-8", ""},
			"a byte order mark in the middle":         {"name: n", "name: \ufeff", "1:7: a byte order mark that is not the first character", ""},
			"an alias that contains itself":           {"name: n", "name: &a [*a]", "1:7: nested deeper than 64 levels, or an alias that contains itself", ""},
			"a colon without a blank":                 {"role: client", "role:client: x", `2:1: unknown key "role"`, "put a space after the colon: role: VALUE"},
		},
	},
	{
		name: "a file of users",
		read: func(path string, text []byte) error {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				return err
			}
			_, err := brokerfile.Open(path)
			return err
		},
		good: `anonymous: true
acl:
  - {topic: a, access: read}
limits: {connections: 5, inflight: 5, keep-alive: 5}
`,
		edit: map[string]mistake{
			"an unknown key that is near one":         {"limits:", "lmits:", `4:1: unknown key "lmits"`, "did you mean limits?"},
			"an unknown key that is near one, nested": {"connections:", "conections:", `4:10: unknown key "conections"`, "did you mean connections?"},
			"an unknown key that is far from all":     {"limits:", far + ":", `4:1: unknown key "` + far + `"`, "the keys here are anonymous, users, acl and limits"},
			"a key twice":                             {"anonymous: true", "anonymous: true\nanonymous: true", `2:1: key "anonymous" is already on line 1`, ""},
			"a key that is missing":                   {", access: read", "", "3:5: rule: access is missing", ""},
			"a list for a mapping":                    {"{topic: a, access: read}", "[1]", "3:5: rule: want a mapping, not a list", ""},
			"a text for a list":                       {"\n  - {topic: a, access: read}", " x", "2:6: acl: want a list, not a text", ""},
			"a text for a mapping of names":           {"anonymous: true", "users: x", "1:8: users: want a mapping of names, not a text", ""},
			"a list for a text":                       {"topic: a", "user: [a]", "3:12: user: want a text, not a list", ""},
			"nothing for a text":                      {"topic: a", "user: ", "3:12: user: want a text, not nothing", ""},
			"a word that is no duration":              {"keep-alive: 5", "keep-alive: x", `4:51: keep-alive: invalid duration "x" ` + durations, ""},
			"a duration with a sign":                  {"keep-alive: 5", "keep-alive: -5", `4:51: keep-alive: invalid duration "-5" ` + durations, ""},
			"a duration out of range":                 {"keep-alive: 5", "keep-alive: 0", `4:51: keep-alive: invalid duration "0" (want 1s to 65535s)`, ""},
			"a fraction of a second":                  {"keep-alive: 5", "keep-alive: 1500ms", `4:51: keep-alive: invalid duration "1500ms" (want whole seconds)`, ""},
			"a word that is no integer":               {"connections: 5", "connections: x", `4:23: connections: invalid value "x" (want a whole number from 1 to 2147483647)`, ""},
			"an integer out of range":                 {"inflight: 5", "inflight: 65535", `4:36: inflight: invalid value "65535" (want a whole number from 1 to 65534)`, ""},
			"a list for an integer":                   {"inflight: 5", "inflight: [5]", "4:36: inflight: want a whole number from 1 to 65534, not a list", ""},
			"a word that is neither true nor false":   {"anonymous: true", "anonymous: x", `1:12: anonymous: invalid value "x" (want true or false)`, ""},
			"a word that is near one":                 {"access: read", "access: raed", `3:24: access: invalid value "raed" (want read, write, readwrite or deny)`, "did you mean read?"},
			"an alias of nothing":                     {"inflight: 5", "inflight: *x", "4:", ""},
			"a file of the wrong kind":                {"", "[a]\n", "1:1: want lines of the form 'key: value', not a list", ""},
			"a second document":                       {"anonymous: true", "anonymous: true\n---\na: 1", "2:1: a second document begins here", ""},
			"a tab in the indentation":                {"  - {topic", "\t- {topic", "3:1: a tab in the indentation", ""},
			"a tag":                                   {"inflight: 5", "inflight: !!int 5", "4:36: tags such as !!int have no meaning here", ""},
			"a NUL":                                   {"anonymous: true", "anonymous: \x00", "1:12: control character U+0000", ""},
			"a byte that is not UTF-8":                {"anonymous: true", "anonymous: \xff", "1:12: byte 0xff is not UTF-8", ""},
			"UTF-16":                                  {"", "\xff\xfen\x00", "1:1: the text is UTF-16; save it as UTF-8", ""},
			"a byte order mark in the middle":         {"anonymous: true", "anonymous: \ufeff", "1:12: a byte order mark that is not the first character", ""},
			"an alias that contains itself":           {"anonymous: true", "users: &a [*a]", "1:8: nested deeper than 64 levels, or an alias that contains itself", ""},
			"a colon without a blank":                 {"limits:", "limits:5: x\nx:", `4:1: unknown key "limits"`, "put a space after the colon: limits: VALUE"},
		},
	},
	{
		name: "a configuration",
		read: func(path string, text []byte) error {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				return err
			}
			env := &option.Environment{Lookup: func(name string) (string, bool) {
				if name == "MQ_CONFIG" {
					return path, true
				}
				return "", false
			}}
			_, _, err := option.Configured(env, nil, option.Pub)
			return err
		},
		good: `defaults: {keepalive: 5, qos: 0, retain: false, max-packet-size: 64k}
contexts:
  a: {host: a}
`,
		edit: map[string]mistake{
			"an unknown key that is near one":         {"contexts:", "contxets:", `2:1: unknown key "contxets"`, "did you mean contexts?"},
			"an unknown key that is near one, nested": {"qos:", "qso:", `1:26: unknown key "qso"`, "did you mean qos?"},
			"an unknown key that is far from all":     {"contexts:", far + ":", `2:1: unknown key "` + far + `"`, "the keys here are defaults, mqpub, mqsub, mqbench, contexts and current-context"},
			"a key twice":                             {"{keepalive: 5", "{keepalive: 5, keepalive: 5", `1:26: key "keepalive" is already on line 1`, ""},
			"a list for a mapping":                    {"{host: a}", "[a]", "3:6: context a: want a mapping, not a list", ""},
			"a text for a mapping of names":           {"\n  a: {host: a}", " x", "2:11: contexts: want a mapping of names, not a text", ""},
			"a mapping for a text":                    {"host: a", "host: {a: b}", "3:13: host: want a text, not a mapping", ""},
			"nothing for a text":                      {"host: a", "host: ", "3:13: host: want a text, not nothing", ""},
			"a word that is no duration":              {"keepalive: 5", "keepalive: x", `1:23: keepalive: invalid duration "x" ` + durations, ""},
			"a duration with a sign":                  {"keepalive: 5", "keepalive: -5s", `1:23: keepalive: invalid duration "-5s" ` + durations, ""},
			"a duration out of range":                 {"keepalive: 5", "keepalive: 65536", `1:23: keepalive: invalid duration "65536" (want 0s to 65535s)`, ""},
			"a mapping for a duration":                {"keepalive: 5", "keepalive: {a: b}", "1:23: keepalive: want a duration, not a mapping", ""},
			"a fraction of a second":                  {"keepalive: 5", "keepalive: 1500ms", `1:23: keepalive: invalid duration "1500ms" (want whole seconds)`, ""},
			"a word that is no size":                  {"64k", "64q", `1:66: max-packet-size: invalid size "64q" (e.g. 512, 64k, 1MiB)`, ""},
			"a size out of range":                     {"64k", "0", `1:66: max-packet-size: invalid size "0" (want 1 to 268435460 bytes)`, ""},
			"a word that is no integer":               {"qos: 0", "qos: x", `1:31: qos: invalid value "x" (want 0, 1 or 2)`, ""},
			"an integer out of range":                 {"qos: 0", "qos: 3", `1:31: qos: invalid value "3" (want 0, 1 or 2)`, ""},
			"a mapping for an integer":                {"qos: 0", "qos: {a: b}", "1:31: qos: want 0, 1 or 2, not a mapping", ""},
			"a word that is neither true nor false":   {"retain: false", "retain: x", `1:42: retain: invalid value "x" (want true or false)`, ""},
			"an alias of nothing":                     {"qos: 0", "qos: *x", "1:", ""},
			"a file of the wrong kind":                {"", "[a]\n", "1:1: want lines of the form 'key: value', not a list", ""},
			"a second document":                       {"contexts:", "---\ncontexts:", "2:1: a second document begins here", ""},
			"a tab in the indentation":                {"  a:", "\ta:", "3:1: a tab in the indentation", ""},
			"a tag":                                   {"qos: 0", "qos: !!int 0", "1:31: tags such as !!int have no meaning here", ""},
			"a NUL":                                   {"host: a", "host: \x00", "3:13: control character U+0000", ""},
			"a byte that is not UTF-8":                {"host: a", "host: \xff", "3:13: byte 0xff is not UTF-8", ""},
			"UTF-16":                                  {"", "\xff\xfen\x00", "1:1: the text is UTF-16; save it as UTF-8", ""},
			"a byte order mark in the middle":         {"host: a", "host: \ufeff", "3:13: a byte order mark that is not the first character", ""},
			"an alias that contains itself":           {"{host: a}", "&a [*a]", "3:10: nested deeper than 64 levels, or an alias that contains itself", ""},
			"a colon without a blank":                 {"qos: 0", "qos:0: x", `1:26: unknown key "qos"`, "put a space after the colon: qos: VALUE"},
		},
	},
	{
		name: "the conformance record",
		read: func(path string, text []byte) error {
			_, err := conformance.Parse(path, text)
			return err
		},
		good: `reasons: {choice: x}
3.1.1:
  MQTT-3.1.0-1: {says: x, binds: both, client: [a], server: {choice: x}}
`,
		edit: map[string]mistake{
			"an unknown key that is near one":         {"reasons:", "resons:", `1:1: unknown key "resons"`, "did you mean reasons?"},
			"an unknown key that is near one, nested": {"says:", "sais:", `3:18: unknown key "sais"`, "did you mean says?"},
			"an unknown key that is far from all":     {"reasons:", far + ":", `1:1: unknown key "` + far + `"`, "the keys here are reasons, 3.1.1 and 5.0"},
			"a key twice":                             {"3.1.1:", "reasons: {}\n3.1.1:", `2:1: key "reasons" is already on line 1`, ""},
			"a key that is missing":                   {"reasons: {choice: x}\n", "", "1:1: reasons is missing", ""},
			"a list for a mapping":                    {"{says: x, binds: both, client: [a], server: {choice: x}}", "[1]", "3:17: MQTT-3.1.0-1: want a mapping, not a list", ""},
			"a text for a mapping of names":           {"reasons: {choice: x}", "reasons: x", "1:10: reasons: want a mapping of names, not a text", ""},
			"a list for a text":                       {"says: x", "says: [x]", "3:24: says: want a text, not a list", ""},
			"nothing for a text":                      {"says: x", "says: ", "3:24: says: want a text, not nothing", ""},
			"a word that is near one":                 {"binds: both", "binds: btoh", `3:34: binds: invalid value "btoh" (want client, server or both)`, "did you mean both?"},
			"a list for a word":                       {"binds: both", "binds: [both]", "3:34: binds: want client, server or both, not a list", ""},
			"an alias of nothing":                     {"says: x", "says: *x", "3:", ""},
			"an empty file":                           {"", "", "1:1: reasons is missing", ""},
			"a file of the wrong kind":                {"", "[a]\n", "1:1: want lines of the form 'key: value', not a list", ""},
			"a second document":                       {"3.1.1:", "---\n3.1.1:", "2:1: a second document begins here", ""},
			"a tab in the indentation":                {"  MQTT", "\tMQTT", "3:1: a tab in the indentation", ""},
			"a tag":                                   {"says: x", "says: !!str x", "3:24: tags such as !!str have no meaning here", ""},
			"a NUL":                                   {"says: x", "says: \x00", "3:24: control character U+0000", ""},
			"a byte that is not UTF-8":                {"says: x", "says: \xff", "3:24: byte 0xff is not UTF-8", ""},
			"UTF-16":                                  {"", "\xff\xfen\x00", "1:1: the text is UTF-16; save it as UTF-8", ""},
			"a byte order mark in the middle":         {"says: x", "says: \ufeff", "3:24: a byte order mark that is not the first character", ""},
			"an alias that contains itself":           {"says: x", "says: &a [*a]", "3:24: nested deeper than 64 levels, or an alias that contains itself", ""},
			"a colon without a blank":                 {"says: x", "says:x: x", `3:18: unknown key "says"`, "put a space after the colon: says: VALUE"},
		},
	},
}

// TestAllReadersHaveOneDialectOfErrors makes the same mistakes in the files of all readers.
func TestAllReadersHaveOneDialectOfErrors(t *testing.T) {
	t.Parallel()
	for _, r := range readers {
		path := filepath.Join(t.TempDir(), "f.yaml")
		for _, text := range []string{r.good, "\ufeff" + r.good, strings.ReplaceAll(r.good, "\n", "\r\n")} {
			if err := r.read(path, []byte(text)); err != nil {
				t.Errorf("%s: %q is refused: %v", r.name, text, err)
			}
		}
		for it, m := range r.edit {
			if !strings.Contains(r.good, m.old) {
				t.Errorf("%s, %s: there is no %q to replace", r.name, it, m.old)
			}
			text := strings.Replace(r.good, m.old, m.text, 1)
			if m.old == "" {
				text = m.text
			}
			err := r.read(path, []byte(text))
			if err == nil {
				t.Errorf("%s, %s: it is accepted", r.name, it)
				continue
			}
			got, place := strings.CutPrefix(err.Error(), path+":")
			hint := ""
			if h, ok := errors.AsType[interface {
				error
				Hint() string
			}](err); ok {
				hint = h.Hint()
			}
			if !place || !strings.HasPrefix(got, m.want) || m.hint != "" && !strings.HasPrefix(hint, m.hint) {
				t.Errorf("%s, %s:\n got %s (%s)\nwant %s (%s)", r.name, it, strconv.Quote(got), hint, m.want, m.hint)
			}
		}
	}
}

package brokerfile

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
	"pgregory.net/rapid"
)

func keysOf(t testing.TB, password string) string {
	t.Helper()
	k, err := auth.KeysOf("SCRAM-SHA-512", password, []byte("salt of "+password), 4096)
	if err != nil {
		t.Fatal(err)
	}
	return k.String()
}

func parsed(t testing.TB, text string) (*rules, error) {
	t.Helper()
	f, err := yamlfile.Parse("users.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	return parse(f)
}

func TestErrorsHaveAPlaceAndNoPassword(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"anonymous: yes please":                              `users.yaml:1:12: anonymous: invalid value "yes please" (want true or false)`,
		"users: [alice]":                                     `users.yaml:1:8: users: want a mapping of names, not a list`,
		"users:\n  alice: hunter2":                           `users.yaml:2:10: the password of "alice" is not what --hash-password prints: not of the form METHOD$ITERATIONS:SALT$STOREDKEY:SERVERKEY`,
		"users:\n  alice:":                                   `users.yaml:2:9: password of "alice": want what --hash-password prints, not nothing`,
		"users:\n  alice: []":                                `users.yaml:2:10: user "alice" has no password`,
		"user: {}":                                           `users.yaml:1:1: unknown key "user"`,
		"limits: 5":                                          `users.yaml:1:9: limits: want a mapping, not a text`,
		"limits: {connection: 5}":                            `users.yaml:1:10: unknown key "connection"`,
		"limits: {connections: 0}":                           `users.yaml:1:23: connections: invalid value "0" (want a whole number from 1 to 2147483647)`,
		"limits: {inflight: 65535}":                          `users.yaml:1:20: inflight: invalid value "65535" (want a whole number from 1 to 65534)`,
		"limits: {inflight: [5]}":                            `users.yaml:1:20: inflight: want a whole number from 1 to 65534, not a list`,
		"acl: all":                                           `users.yaml:1:6: acl: want a list, not a text`,
		"acl: [all]":                                         `users.yaml:1:7: rule: want a mapping, not a text`,
		"acl:\n- {topic: a}":                                 `users.yaml:2:3: rule: access is missing`,
		"acl:\n- {access: read}":                             `users.yaml:2:3: rule: topic is missing`,
		"acl:\n- {topic: a#, access: read}":                  `users.yaml:2:11: topic: invalid value "a#" (want a topic filter without $share)`,
		"acl:\n- {topic: $share/g/a, access: read}":          `users.yaml:2:11: topic: invalid value "$share/g/a" (want a topic filter without $share)`,
		"acl:\n- {topic: a, access: all}":                    `users.yaml:2:22: access: invalid value "all" (want read, write, readwrite or deny)`,
		"acl:\n- {topic: a, access: read, users: b}":         `users.yaml:2:28: unknown key "users"`,
		"acl:\n- {topic: [a], access: read}":                 `users.yaml:2:11: topic: want a text, not a list`,
		"users: {a: SCRAM-SHA-512$1:a$b:c}\nanonymous: true": `users.yaml:1:12: the password of "a" is not what --hash-password prints: the iterations are not a number from 4096 to 1000000`,
		"anonymous: true\nanonymous: false":                  `users.yaml:2:1: key "anonymous" is already on line 1`,
	} {
		if _, err := parsed(t, text); err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestTheFirstRuleDecides(t *testing.T) {
	t.Parallel()
	r, err := parsed(t, `
acl:
  - {user: root, topic: '#', access: readwrite}
  - {topic: secret/#, access: deny}
  - {topic: home/%u/#, access: readwrite}
  - {topic: dev/%c, access: write}
  - {topic: home/#, access: read}
  - {client: probe, topic: $SYS/#, access: read}
  - {topic: +/open, access: read}
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		client, user, verb, what string
		want                     bool
	}{
		{"c", "root", "write", "secret/x", true},
		{"c", "root", "read", "#", true},
		{"c", "root", "read", "$SYS/#", false}, // which # does not match
		{"c", "al", "write", "secret/x", false},
		{"c", "al", "write", "home/al/x", true},
		{"c", "al", "write", "home/bo/x", false},
		{"c", "al", "read", "home/bo/x", true},
		{"c", "al", "read", "home/#", true},
		{"c", "al", "read", "home", true},
		{"c", "al", "read", "#", false},
		{"c", "al", "read", "secret/open", false},
		{"c", "al", "read", "hall/open", true},
		{"c", "al", "read", "+/open", false}, // secret/open is among them
		{"c", "al", "write", "dev/c", true},
		{"c", "al", "read", "dev/c", false},
		{"c", "al", "write", "dev/d", false},
		{"probe", "al", "read", "$SYS/#", true},
		{"c", "al", "read", "$SYS/#", false},
		// A name that would be more than one level matches no topic.
		{"c", "#", "write", "home/bo/x", false},
		{"c", "+", "write", "home/bo/x", false},
		{"c", "bo/x", "write", "home/bo/x/y", false},
		{"c", "%c", "write", "home/c/x", false},
		{"#", "al", "write", "dev/x", false},
		{"c", "", "write", "home//x", false},
	} {
		if got := r.allows(c.client, c.user, c.what, c.verb == "write"); got != c.want {
			t.Errorf("client %q, user %q: %s %q is %v, want %v", c.client, c.user, c.verb, c.what, got, c.want)
		}
	}
	if all, _ := parsed(t, "anonymous: true"); !all.allows("c", "", "a", true) {
		t.Error("without acl something is denied")
	}
	if none, _ := parsed(t, "acl: []"); none.allows("c", "", "a", true) {
		t.Error("an empty acl allows something")
	}
}

// Whatever a filter that is allowed matches, each name may be read by itself.
func TestAnAllowedFilterMatchesOnlyWhatIsAllowed(t *testing.T) {
	t.Parallel()
	filter := rapid.Custom(func(t *rapid.T) string {
		l := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "$a", "+", ""}), 1, 3).Draw(t, "levels")
		if rapid.Bool().Draw(t, "hash") {
			l = append(l, "#")
		}
		return strings.Join(l, "/")
	})
	rapid.Check(t, func(t *rapid.T) {
		r := rules{hasACL: true}
		for range rapid.IntRange(1, 4).Draw(t, "rules") {
			f := filter.Draw(t, "rule")
			if topic.ValidateFilter(f) == nil {
				r.acl = append(r.acl, rule{filter: f, access: rapid.SampledFrom([]access{deny, read}).Draw(t, "access")})
			}
		}
		sub := filter.Draw(t, "subscription")
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "$a", ""}), 1, 4).Draw(t, "name"), "/")
		if name == "" || topic.ValidateFilter(sub) != nil || !r.allows("c", "u", sub, false) || !topic.Match(sub, name) {
			return
		}
		if !r.allows("c", "u", name, false) {
			t.Fatalf("%+v: %q may be subscribed to, but not %q", r.acl, sub, name)
		}
	})
}

func TestReloadEndsWhatIsNoLongerAllowed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	al, bo := "  al: "+keysOf(t, "a")+"\n", "  bo: "+keysOf(t, "b")+"\n"
	const rule = "acl:\n- {topic: '%s', access: readwrite}\n"
	write("users:\n" + al + bo + fmt.Sprintf(rule, "#"))
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var o broker.Options
	if err := f.Apply(&o); err != nil {
		t.Fatal(err)
	}
	// As with a certificate, for which CertificateUser skips Authenticate.
	byFile := o.Authenticate
	o.Authenticate = func(p *packet.Connect, remote net.Addr) packet.ReasonCode {
		if string(p.Username) == "device" {
			return packet.Success
		}
		return byFile(p, remote)
	}
	b, addr := brokertest.StartWith(t, o)
	as := func(user, password string, o mqtt.Options) (*mqtt.Client, error) {
		o.Username, o.Password = user, []byte(password)
		return mqtt.Connect(t.Context(), "mqtt://"+addr, &o)
	}
	client := func(user, password, filter string) *mqtt.Client {
		t.Helper()
		c, err := as(user, password, mqtt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Abort)
		if filter != "" {
			if _, err := c.Subscribe(t.Context(), mqtt.Subscription{Filter: filter, QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		return c
	}
	for _, bad := range [][2]string{{"al", "b"}, {"unknown", "a"}, {"", ""}} {
		if c, err := as(bad[0], bad[1], mqtt.Options{}); err == nil {
			c.Abort()
			t.Errorf("%q is let in", bad)
		}
	}
	ended := func(c *mqtt.Client) error {
		for _, err := range c.Messages(t.Context()) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	stays, reader, gone := client("al", "a", "x/1"), client("al", "a", "y/1"), client("bo", "b", "")
	certified := client("device", "", "x/2") // the file never had it
	write("users: {")
	if _, err := f.Reload(b); err == nil || !strings.Contains(err.Error(), path+":1") {
		t.Errorf("a broken file: %v", err)
	}
	client("bo", "b", "").Abort() // the old rules are in force
	write("users:\n" + al + fmt.Sprintf(rule, "x/#"))
	if kept, err := f.Reload(b); err != nil || kept {
		t.Fatal(kept, err)
	}
	for name, c := range map[string]*mqtt.Client{"a subscription to y": reader, "bo": gone} {
		if err := ended(c); err == nil || !strings.Contains(err.Error(), packet.NotAuthorized.String()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := stays.Publish(t.Context(), &mqtt.Message{Topic: "x/1", QoS: 1}); err != nil {
		t.Errorf("the other connection: %v", err)
	}
	if err := certified.Publish(t.Context(), &mqtt.Message{Topic: "x/2", QoS: 1}); err != nil {
		t.Errorf("a client by certificate: %v", err)
	}
}

// Every key sets one limit, and no other.
func TestLimitsAreSet(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, l := range limits {
		r, err := parsed(t, "limits: {"+l.key+": 7}")
		if err != nil {
			t.Fatal(err)
		}
		var o broker.Options
		f := &File{limits: r.limits}
		f.rules.Store(r)
		if err := f.Apply(&o); err != nil {
			t.Fatal(err)
		}
		o.Authenticate, o.Recall, o.Authorize, o.AuthMethods, o.DenyTime = nil, nil, nil, nil, 0
		v, field := reflect.ValueOf(o), ""
		for i := range v.NumField() {
			f := v.Field(i)
			switch {
			case f.IsZero():
			case field != "":
				t.Errorf("%s sets %s and %s", l.key, field, v.Type().Field(i).Name)
			default:
				field = v.Type().Field(i).Name
				n := f.Convert(reflect.TypeFor[int64]()).Int()
				if n != 7 && n != int64(7*time.Second) {
					t.Errorf("%s sets %s to %d", l.key, field, n)
				}
			}
		}
		if other := seen[field]; field == "" || other != "" {
			t.Errorf("%s sets %q, as %q does", l.key, field, other)
		}
		seen[field] = l.key
	}
}

func FuzzParse(f *testing.F) {
	f.Add("anonymous: true\nusers: {a: SCRAM-SHA-512$4096:c2FsdA==$a:b}\nacl: [{user: a, topic: a/%u/#, access: read}]")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parsed(t, text)
		if err == nil {
			r.allows("c", "u", "a/b", true)
			r.allows("c", "u", "a/#", false)
		}
	})
}

// Limits are read at the start only. A reload reports that the file has others, until it
// has those of the start again.
func TestAReloadReportsLimitsThatNeedARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	b := broker.New(broker.Options{})
	var f *File
	for i, c := range []struct {
		text string
		kept bool
	}{
		{"limits: {sessions: 3}", false}, {"limits: {sessions: 4}", true}, {"limits: {sessions: 4}\nanonymous: true", true},
		{"anonymous: true", true}, {"limits: {sessions: 3}", false}, {"limits: {sessions: 3, retained: 2}", true},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			var err error
			if f, err = Open(path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if kept, err := f.Reload(b); err != nil || kept != c.kept {
			t.Errorf("%q: %v, %v, want %v", c.text, kept, err, c.kept)
		}
	}
}

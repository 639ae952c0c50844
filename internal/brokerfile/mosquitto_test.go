package brokerfile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// passwords were written by mosquitto_passwd 2.0: bob's by its default, al's with
// -H sha512.
const passwords = `# users
bob:$7$101$QqrasgkQaofzcJsA$VwdBd3NuAygEPS8Rq48LUlRnZjv9g43xWmvx1OPK2zVJMIxu7BBFOHCqJtHwJWegVBN2rLyW8nMcl+BIcDedDw==

al:$6$sXs4+TZ90AvpPXkE$3LXHnmVcJnWdrKNS3cy2gsHGlnJ7sXLjx3VufyfENsGGddYIpWHy1cAx3m0Ikj7Bb0OIVqJaLxAhLnpxeMu5Ng==
`

func TestMosquittosPasswordsAreRead(t *testing.T) {
	t.Parallel()
	_, o, _ := opened(t, passwords)
	for _, c := range []struct {
		p    *packet.Connect
		want packet.ReasonCode
	}{
		{connect("bob", "bobpw"), packet.Success},
		{connect("bob", "bobpw"), packet.Success}, // remembered
		{connect("al", "al pw"), packet.Success},
		{connect("bob", "al pw"), packet.BadUserNameOrPassword},
		{connect("al", "bobpw"), packet.BadUserNameOrPassword},
		{connect("bob", ""), packet.BadUserNameOrPassword},
		{connect("al", "al p"), packet.BadUserNameOrPassword},
		{connect("eve", "bobpw"), packet.BadUserNameOrPassword},
		{connect("# users", ""), packet.BadUserNameOrPassword},
		{&packet.Connect{HasUsername: true, Username: []byte("bob")}, packet.BadUserNameOrPassword},
		{&packet.Connect{}, packet.NotAuthorized},
	} {
		if got := o.Authenticate(c.p, nil); got != c.want {
			t.Errorf("%q with %q: %v, want %v", c.p.Username, c.p.Password, got, c.want)
		}
	}
	if !o.Authorize("c", "bob", "any", true) {
		t.Error("without rules something is denied")
	}
}

// What mosquitto_passwd writes here today.
func TestMosquittoPasswdsFileIsRead(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("mosquitto_passwd")
	if err != nil {
		t.Skip("mosquitto_passwd is not installed")
	}
	path := filepath.Join(t.TempDir(), "passwd")
	for i, args := range [][]string{{"-c", "-b", path, "bob", "päss:wörd $7$"}, {"-H", "sha512", "-b", path, "al", "secret"}, {"-H", "sha512-pbkdf2", "-b", path, "cy", "x"}} {
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			t.Fatalf("%d: %v, %s", i, err, out)
		}
	}
	r, err := load([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	for name, password := range map[string]string{"bob": "päss:wörd $7$", "al": "secret", "cy": "x"} {
		if !r.matches(name, password) || r.matches(name, password+" ") {
			t.Errorf("%s: the password is not that", name)
		}
	}
}

// mosquittoACL is in an unusual order: denials first, then rules for a user, then
// patterns.
const mosquittoACL = `
# rules
topic read open/#
topic deny open/not

pattern readwrite own/%u/#
pattern write dev/%c/state
user bob
topic home/#
topic deny home/safe/#
topic write out of doors
topic write log with spaces
topic %u/x
user al smith
topic read $SYS/#
`

func TestMosquittosRulesAreRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := filepath.Join(dir, "passwd"), filepath.Join(dir, "acl")
	for path, text := range map[string]string{one: passwords, two: mosquittoACL} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := load([]string{one, two})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		client, user, verb, what string
		want                     bool
	}{
		{"c", "", "read", "open/x", true},
		{"c", "", "write", "open/x", false},
		{"c", "", "read", "open/not", false},
		{"c", "", "read", "open/#", false}, // a part of it is denied
		{"c", "bob", "read", "open/x", false},
		{"c", "bob", "read", "home/x", true},
		{"c", "bob", "write", "home/x", true},
		{"c", "bob", "write", "home/safe/x", false},
		{"c", "bob", "write", "out of doors", true},
		{"c", "bob", "write", "log with spaces", true},
		{"c", "bob", "read", "log with spaces", false},
		{"c", "bob", "write", "%u/x", true}, // %u is nothing else in topic
		{"c", "bob", "write", "bob/x", false},
		{"c", "al smith", "read", "home/x", false},
		{"c", "al smith", "read", "$SYS/#", true},
		{"c", "bob", "read", "$SYS/#", false},
		{"c", "bob", "write", "own/bob/x", true},
		{"c", "bob", "write", "own/al smith/x", false},
		{"c", "al smith", "read", "own/al smith/x", true},
		{"c", "", "read", "own//x", false},
		{"c", "", "write", "dev/c/state", true},
		{"c", "bob", "write", "dev/d/state", false},
		{"c", "bob", "read", "dev/c/state", false},
	} {
		if got := r.allows(c.client, c.user, c.what, c.verb == "write"); got != c.want {
			t.Errorf("client %q, user %q: %s %q is %v, want %v", c.client, c.user, c.verb, c.what, got, c.want)
		}
	}
	if !r.knows("bob") || r.anonymous {
		t.Error("the users are not those of the other file")
	}
}

func TestMosquittosFilesAreRefusedByNameAndPlace(t *testing.T) {
	t.Parallel()
	const good = "$7$101$QqrasgkQaofzcJsA$VwdBd3NuAygEPS8Rq48LUlRnZjv9g43xWmvx1OPK2zVJMIxu7BBFOHCqJtHwJWegVBN2rLyW8nMcl+BIcDedDw=="
	for text, want := range map[string]string{
		"\n# x\nbob:hunter2\n":                `FILE:3: the password of "bob" is not hashed: 'mosquitto_passwd -U FILE' does that`,
		"bob:$argon2id$v=19$m=1,t=1,p=1$a$b":  `FILE:1: the password of "bob" is hashed by argon2, which is not known here: 'mosquitto_passwd -H sha512-pbkdf2 FILE NAME' makes one that is`,
		"bob:$5$a$b":                          `FILE:1: the password of "bob" is of none of the forms $6$SALT$HASH and $7$ITERATIONS$SALT$HASH`,
		"bob:$6$a$b$c":                        `FILE:1: the password of "bob" is of none of the forms $6$SALT$HASH and $7$ITERATIONS$SALT$HASH`,
		"bob:$7$0$QqrasgkQaofzcJsA$Vw==":      `FILE:1: the password of "bob" is of a number of iterations that is not from 1 to 1000000`,
		"bob:$7$1000001$QqrasgkQaofzcJsA$Vw=": `FILE:1: the password of "bob" is of a number of iterations that is not from 1 to 1000000`,
		"bob:$7$101$QqrasgkQaofzcJsA$Vw==":    `FILE:1: the password of "bob" is damaged: salt or hash are not base64 of the right length`,
		"bob:$6$$Vw==":                        `FILE:1: the password of "bob" is damaged: salt or hash are not base64 of the right length`,
		"bob:" + good + "\nal hunter2\n":      `FILE:2: the line is not NAME:HASH, as mosquitto_passwd writes it`,
		"bob:" + good + "\nbob:" + good:       `FILE:2: user "bob" is there already`,
		"user bob\ntopic a#\n":                `FILE:2: topic: invalid value "a#" (want a topic filter without $share)`,
		"topic read $share/g/a\n":             `FILE:1: topic: invalid value "$share/g/a" (want a topic filter without $share)`,
		"user bob\ntopics a\n":                `FILE:2: unknown word "topics" (want user, topic or pattern)`,
		"user bob\ntopic\n":                   `FILE:2: "topic" needs a value`,
		"user bob\ntopic a\n":                 `FILE: rules without users refuse every client: add the password file, or one with 'anonymous: true'`,
		"listener 1883\nallow_anonymous true": `FILE: this is a configuration of mosquitto: give the files that its password_file and acl_file name`,
	} {
		path := filepath.Join(t.TempDir(), "FILE")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		if got := strings.ReplaceAll(fmt.Sprint(err), path, "FILE"); got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
}

// Files of several kinds are one together, at a reload too.
func TestSeveralFilesAreOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours, theirs, acl := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(ours, "users: {cy: "+keysOf(t, "cypw")+"}\nacl: [{user: cy, topic: '#', access: read}]\nlimits: {connections: 7}")
	write(theirs, passwords)
	write(acl, mosquittoACL)
	f, err := Open(ours, theirs, acl)
	if err != nil {
		t.Fatal(err)
	}
	var o broker.Options
	if err := f.Apply(&o); err != nil {
		t.Fatal(err)
	}
	for name, password := range map[string]string{"cy": "cypw", "bob": "bobpw", "al": "al pw"} {
		if got := o.Authenticate(connect(name, password), nil); got != packet.Success {
			t.Errorf("%s: %v", name, got)
		}
	}
	if o.MaxConnections != 7 || !o.Authorize("c", "cy", "any", false) || o.Authorize("c", "cy", "any", true) || !o.Authorize("c", "bob", "home/x", true) {
		t.Error("limits and rules are not those of all files")
	}
	write(theirs, strings.ReplaceAll(passwords, "bob:", "eve:"))
	if _, err := f.Reload(broker.New(o)); err != nil {
		t.Fatal(err)
	}
	if o.Authenticate(connect("bob", "bobpw"), nil) == packet.Success || o.Recall(connect("bob", "bobpw"), nil) || o.Authenticate(connect("eve", "bobpw"), nil) != packet.Success {
		t.Error("the users are not those of the file as it is now")
	}
	write(theirs, strings.ReplaceAll(passwords, "bob:", "cy:"))
	if _, err := Open(ours, theirs); err == nil || !strings.Contains(err.Error(), `b:2: user "cy" is there already`) {
		t.Errorf("a user twice: %v", err)
	}
	if _, err := Open(theirs, ours); err == nil || !strings.Contains(err.Error(), `a:1:9: user "cy" is there already`) {
		t.Errorf("a user twice: %v", err)
	}
}

// A user stays who is as before; mosquitto's and ours alike.
func TestWhoStaysAtAReload(t *testing.T) {
	t.Parallel()
	rulesOf := func(text string) *rules {
		t.Helper()
		f, _, _ := opened(t, text)
		return f.rules.Load()
	}
	theirs, ours := rulesOf(passwords), rulesOf("users: {bob: "+keysOf(t, "b")+"}")
	swapped := rulesOf(strings.NewReplacer("bob:", "al:", "al:", "bob:").Replace(passwords))
	for i, c := range []struct {
		old, now *rules
		user     string
		want     bool
	}{
		{theirs, rulesOf(passwords), "bob", true},
		{theirs, swapped, "bob", false},
		{theirs, ours, "bob", false},
		{theirs, ours, "al", false},
		{ours, theirs, "bob", false},
		{ours, rulesOf("users: {bob: " + keysOf(t, "b") + "}"), "bob", true},
		{ours, rulesOf("users: {bob: " + keysOf(t, "c") + "}"), "bob", false},
		{ours, theirs, "by certificate", true},
		{ours, theirs, "", false},
		{ours, rulesOf("anonymous: true"), "", true},
	} {
		if got := c.now.keeps(c.old, c.user); got != c.want {
			t.Errorf("%d: %q stays is %v", i, c.user, got)
		}
	}
}

// Rules of mosquitto's serve with clients that need no name, if that is said.
func TestRulesAloneNeedAWord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours, acl := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for path, text := range map[string]string{ours: "anonymous: true", acl: mosquittoACL} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(acl, ours); err != nil {
		t.Error(err)
	}
	if _, err := Open(acl); err == nil {
		t.Error("rules alone are taken")
	}
}

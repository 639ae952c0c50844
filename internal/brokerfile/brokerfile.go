// Package brokerfile reads the users, access rules and limits of the development broker from a
// YAML file, and sets broker.Options from them:
//
//	anonymous: false
//	users:
//	  alice: SCRAM-SHA-512$210000:...
//	acl:
//	  - {user: alice, topic: '#', access: readwrite}
//	  - {topic: home/%u/#, access: readwrite}
//	  - {topic: home/#, access: read}
//	limits:
//	  connections: 5000
//
// The first rule that matches a client and a topic decides; a topic that no rule matches is
// denied. Without acl everything is allowed. The files of mosquitto's password_file and acl_file
// can be read instead.
package brokerfile

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/mqtools/mqtools/internal/textfile"
	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// File is a users file in force. Its methods are safe for concurrent use.
type File struct {
	paths  []string
	limits map[string]int // those in force, read at startup
	rules  atomic.Pointer[rules]
}

// rules is the content of a file. It is never modified after it has been read.
type rules struct {
	anonymous bool
	users     map[string][]auth.Keys
	hashed    map[string]hashed // users of mosquitto's password files
	foreign   bool              // an acl_file of mosquitto was read
	hasACL    bool
	acl       []rule
	limits    map[string]int
	decoy     auth.Keys // for SCRAM with unknown user names
	judged    *verdicts
}

// Open reads one file, or several files that together are one. An error in the content of a file
// begins with its place, path:line:column.
func Open(paths ...string) (*File, error) {
	r, err := load(paths)
	if err != nil {
		return nil, err
	}
	f := &File{paths: paths, limits: r.limits}
	f.rules.Store(r)
	return f, nil
}

// HoldsHashes reports whether the file has users. Anyone who can read their hashes can guess
// passwords.
func (f *File) HoldsHashes() bool {
	r := f.rules.Load()
	return len(r.users)+len(r.hashed) > 0
}

// Apply sets these fields of o: the hooks Authenticate, Recall, AuthMethods and Authorize,
// DenyTime, and the limits of the file.
func (f *File) Apply(o *broker.Options) error {
	for _, l := range limits {
		if n, has := f.limits[l.key]; has {
			l.set(o, n)
		}
	}
	o.Authenticate, o.Recall = f.authenticate, f.recall
	o.DenyTime = f.rules.Load().denyTime()
	o.Authorize = func(clientID, username, topic string, write bool) bool {
		return f.rules.Load().allows(clientID, username, topic, write)
	}
	o.AuthMethods = make(map[string]func() broker.Exchange)
	for _, method := range auth.Methods() {
		begin, err := auth.SCRAMServer(method, func(user string) (auth.Keys, bool) { return f.rules.Load().keys(user, method) })
		if err != nil {
			return err
		}
		o.AuthMethods[method] = func() broker.Exchange { return begin() }
	}
	return nil
}

// Reload reads the file again. On an error the rules stay as they were. Otherwise b closes the
// connections of users that were removed or have another password, and ends the subscriptions that
// are no longer allowed. The limits stay as they were until the next start; kept reports whether
// the file has other limits.
func (f *File) Reload(b *broker.Broker) (kept bool, err error) {
	r, err := load(f.paths)
	if err != nil {
		return false, err
	}
	old := f.rules.Swap(r)
	b.Recheck(func(_, username string) bool {
		return r.keeps(old, username)
	})
	return !maps.Equal(f.limits, r.limits), nil
}

// keeps reports whether a user of the older rules still has the same password.
func (r *rules) keeps(old *rules, username string) bool {
	if username == "" {
		return r.anonymous
	}
	// A user that the older rules did not have came by a certificate.
	return !old.knows(username) || old.hashed[username] == r.hashed[username] && same(old.users[username], r.users[username])
}

// knows reports whether the rules have a user.
func (r *rules) knows(name string) bool {
	_, has := r.hashed[name]
	return has || len(r.users[name]) > 0
}

// matches reports whether password is that of a known user.
func (r *rules) matches(name, password string) bool {
	if h, has := r.hashed[name]; has {
		return h.matches(password)
	}
	return r.users[name][0].Matches(password)
}

func same(a, b []auth.Keys) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].String() != b[i].String() {
			return false
		}
	}
	return true
}

// keys returns the keys of a user for a method. For an unknown user it returns the decoy, whose
// iterations look real, and false.
func (r *rules) keys(user, method string) (auth.Keys, bool) {
	for _, k := range r.users[user] {
		if k.Method == method {
			return k, true
		}
	}
	return r.decoy, false
}

func load(paths []string) (*rules, error) {
	r := newRules()
	for _, path := range paths {
		if err := r.read(path); err != nil {
			return nil, err
		}
	}
	if r.hasACL && !r.anonymous && len(r.users)+len(r.hashed) == 0 && r.foreign {
		return nil, fmt.Errorf("%s: rules without users refuse every client: add the password file, or one with 'anonymous: true'", paths[0])
	}
	return r, nil
}

func newRules() *rules {
	return &rules{users: make(map[string][]auth.Keys), hashed: make(map[string]hashed), judged: newVerdicts(),
		decoy: auth.Keys{Method: "SCRAM-SHA-512", Salt: []byte("unknown"), Iterations: auth.DefaultIterations, StoredKey: make([]byte, 64), ServerKey: make([]byte, 64)}}
}

// read adds the content of a file to the rules.
func (r *rules) read(path string) error {
	data, err := yamlfile.ReadText(path)
	if err != nil {
		return err
	}
	text, _ := textfile.Trim(data) // nil if it is UTF-16, which Parse reports
	switch kindOf(text) {
	case passwordFile:
		return r.readPasswords(path, text)
	case aclFile:
		r.foreign = true
		return r.readMosquittoACL(path, text)
	case mosquittoConf:
		return fmt.Errorf("%s: this is a configuration of mosquitto: give the files that its password_file and acl_file name", path)
	}
	f, err := yamlfile.Parse(path, data)
	if err != nil {
		return err
	}
	return r.add(f)
}

// parse returns the rules of one YAML file.
func parse(f *yamlfile.File) (*rules, error) {
	r := newRules()
	return r, r.add(f)
}

func (r *rules) add(f *yamlfile.File) error { return r.schema(f).Read(f, f.Root, "") }

func (r *rules) schema(f *yamlfile.File) yamlfile.Schema {
	return yamlfile.Schema{
		yamlfile.Bool("anonymous", &r.anonymous, "allow clients without a user name (default false)"),
		yamlfile.Func("users", "", func(n *yamlfile.Node) error { return r.readUsers(f, n) }, "mapping of names to passwords"),
		yamlfile.Func("acl", "", func(n *yamlfile.Node) error { return r.readACL(f, n) }, "list of rules"),
		yamlfile.Part("limits", func() yamlfile.Schema { return r.limitKeys(f) }, "limits of the broker"),
	}
}

func (r *rules) readUsers(f *yamlfile.File, n *yamlfile.Node) error {
	return f.Each(n, "users", func(e yamlfile.Entry) error {
		name, list := e.Key.Text, e.Value.AsList()
		switch {
		case name == "":
			return f.Errorf(e.Key, "a user without a name")
		case r.knows(name):
			return f.Errorf(e.Key, "user %q is there already", name)
		case len(list) == 0:
			return f.Errorf(e.Value, "user %q has no password", name)
		}
		for _, item := range list {
			if item.Kind != yamlfile.Scalar || item.Null {
				return f.Want(item, "password of "+strconv.Quote(name), "what --hash-password prints")
			}
			k, err := auth.ParseKeys(item.Text)
			if err != nil { // err does not repeat what may be a password
				return f.Errorf(item, "the password of %q is not what --hash-password prints: %v", name, err)
			}
			r.users[name] = append(r.users[name], k)
			r.decoy.Iterations = k.Iterations
		}
		return nil
	})
}

func (r *rules) readACL(f *yamlfile.File, n *yamlfile.Node) error {
	if n.Kind != yamlfile.List {
		return f.Want(n, "acl", "a list")
	}
	r.hasACL = true
	for _, item := range n.Items {
		x, err := readRule(f, item)
		if err != nil {
			return err
		}
		r.acl = append(r.acl, x)
	}
	return nil
}

func readRule(f *yamlfile.File, n *yamlfile.Node) (x rule, err error) {
	return x, x.schema(f).Read(f, n, "rule")
}

func (r *rule) schema(f *yamlfile.File) yamlfile.Schema {
	name := func(key string, p **string, doc string) yamlfile.Field {
		return yamlfile.Var(key, "NAME", p, func(n *yamlfile.Node) (*string, error) {
			text, err := f.Text(n, key)
			return &text, err
		}, doc)
	}
	return yamlfile.Schema{
		name("user", &r.user, "user that the rule is about (default: every client)"),
		name("client", &r.client, "client ID that the rule is about (default: every client)"),
		yamlfile.Var("topic", "FILTER", &r.filter, func(n *yamlfile.Node) (string, error) {
			text, err := f.Text(n, "topic")
			plain := strings.NewReplacer("%u", "u", "%c", "c").Replace(text)
			if _, _, shared := topic.ParseShare(plain); err == nil && (shared || topic.ValidateFilter(plain) != nil) {
				err = f.Invalid(n, "topic", "value", "want a topic filter without $share")
			}
			return text, err
		}, "topics that the rule is about; %u is the user name, %c the client ID").Needed(),
		yamlfile.Var("access", strings.Join(accessWords, "|"), &r.access, func(n *yamlfile.Node) (access, error) {
			i, err := f.Word(n, "access", accessWords...)
			return accesses[accessWords[i]], err
		}, "what the rule allows").Needed(),
	}
}

package plan

import (
	"bytes"
	"testing"
)

// The user and the password of the command line are those of groups that have
// none of their own; the password is a text, and in no record.
func TestLogin(t *testing.T) {
	t.Parallel()
	const text = `
name: t
groups:
  plain: {clients: 5}
  own: {clients: 5, username: me}
`
	user, password := "u%i", "p%i%x"
	p, err := Parse("t.yaml", []byte(text), Options{Username: &user, Password: &password})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range p.Groups {
		name, has := g.AppendUsername(nil, 3)
		secret, known := g.AppendPassword(nil, 3)
		if g.Name == "own" && (string(name) != "me" || known) {
			t.Errorf("own: %q, %q", name, secret)
		}
		if g.Name == "plain" && (!has || string(name) != "u3" || string(secret) != password) {
			t.Errorf("plain: %q, %q", name, secret)
		}
	}
	if bytes.Contains(p.Canonical(), []byte("p%i")) {
		t.Errorf("the password is in\n%s", p.Canonical())
	}
	bad := "u%{"
	if _, err := Parse("t.yaml", []byte(text), Options{Username: &bad}); err == nil {
		t.Error("a user name that is no template was taken")
	}
}

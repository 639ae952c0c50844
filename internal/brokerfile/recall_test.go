package brokerfile

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// opened is a file of users, and its options.
func opened(t *testing.T, text string) (*File, broker.Options, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var o broker.Options
	if err := f.Apply(&o); err != nil {
		t.Fatal(err)
	}
	return f, o, path
}

func connect(user, password string) *packet.Connect {
	return &packet.Connect{HasUsername: true, Username: []byte(user), HasPassword: true, Password: []byte(password)}
}

// costly is a user whose password takes about half a second each time.
func costly(t *testing.T, password string) string {
	t.Helper()
	k, err := auth.KeysOf("SCRAM-SHA-512", password, []byte("salt"), 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return k.String()
}

func TestAPasswordIsJudgedOnce(t *testing.T) {
	t.Parallel()
	f, o, path := opened(t, "users: {al: "+costly(t, "right")+"}")
	login := func(user, password string, want packet.ReasonCode) (took time.Duration) {
		t.Helper()
		start := time.Now()
		if got := o.Authenticate(connect(user, password), nil); got != want {
			t.Errorf("%s, %s: %v, want %v", user, password, got, want)
		}
		return time.Since(start)
	}
	if o.Recall(connect("al", "right"), nil) {
		t.Error("it is known before it was checked")
	}
	for _, c := range []struct {
		password string
		want     packet.ReasonCode
	}{{"right", packet.Success}, {"wrong", packet.BadUserNameOrPassword}} {
		first := login("al", c.password, c.want)
		if again := login("al", c.password, c.want); again > first/4 {
			t.Errorf("%s: %v at first, %v again", c.password, first, again)
		}
	}
	for _, c := range []struct {
		p    *packet.Connect
		want bool
	}{
		{connect("al", "right"), true}, {connect("al", "wrong"), false}, {connect("alr", "ight"), false}, {connect("", "alright"), false},
		{&packet.Connect{HasUsername: true, Username: []byte("al")}, false},
	} {
		if got := o.Recall(c.p, nil); got != c.want {
			t.Errorf("%s, %s: known is %v", c.p.Username, c.p.Password, got)
		}
	}
	// A new password, and the old one is forgotten.
	if err := os.WriteFile(path, []byte("users: {al: "+keysOf(t, "new")+"}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Reload(broker.New(broker.Options{})); err != nil {
		t.Fatal(err)
	}
	if o.Recall(connect("al", "right"), nil) {
		t.Error("the old password is still known")
	}
	login("al", "right", packet.BadUserNameOrPassword)
	login("al", "new", packet.Success)
}

func TestWrongPasswordsTakeBoundedMemory(t *testing.T) {
	t.Parallel()
	v := newVerdicts()
	const n = 3 * maxBad
	for range 2 { // the second time all but the last are new again
		for i := range n {
			v.note(connect("al", fmt.Sprint(i)), false)
			v.note(connect("al", fmt.Sprint(i)), false)
		}
	}
	if len(v.bad) != maxBad || len(v.good) != 0 {
		t.Errorf("%d bad and %d good ones are kept, want %d and none", len(v.bad), len(v.good), maxBad)
	}
	for i, want := range map[int]bool{0: false, n - maxBad - 1: false, n - maxBad: true, n - 1: true} {
		if good, known := v.of(connect("al", fmt.Sprint(i))); good || known != want {
			t.Errorf("%d: good %v, known %v, want known %v", i, good, known, want)
		}
	}
}

// A refusal takes as long as a check of a password, and unknown names cost nothing.
func TestRefusalsHaveTime(t *testing.T) {
	t.Parallel()
	_, o, _ := opened(t, "users: {al: "+keysOf(t, "a")+"}")
	if o.DenyTime != 500*time.Millisecond {
		t.Errorf("refusals come after %v", o.DenyTime)
	}
	_, o, _ = opened(t, "users: {bo: "+costly(t, "b")+", al: "+keysOf(t, "a")+"}")
	if o.DenyTime < 2300*time.Millisecond || o.DenyTime > 2400*time.Millisecond {
		t.Errorf("refusals of a million iterations come after %v", o.DenyTime)
	}
	start := time.Now()
	for i := range 10_000 {
		if got := o.Authenticate(connect(fmt.Sprint("unknown", i), "x"), nil); got != packet.BadUserNameOrPassword {
			t.Fatal(got)
		}
	}
	if d := time.Since(start); d > 5*time.Second { // PBKDF2 would take an hour
		t.Errorf("10,000 names took %v", d)
	}
}

// What is remembered is of a name and a password, not of both in one.
func TestWhatIsRememberedIsOfOneUser(t *testing.T) {
	t.Parallel()
	_, o, _ := opened(t, "users: {al: "+keysOf(t, "right")+", alr: "+keysOf(t, "other")+", em: "+keysOf(t, "")+"}")
	for _, c := range []struct {
		user, password string
		want           packet.ReasonCode
	}{{"alr", "ight", packet.BadUserNameOrPassword}, {"al", "right", packet.Success}, {"em", "", packet.Success}} {
		if got := o.Authenticate(connect(c.user, c.password), nil); got != c.want {
			t.Errorf("%s, %s: %v, want %v", c.user, c.password, got, c.want)
		}
	}
	if p := connect("em", ""); !o.Recall(p, nil) {
		t.Error("an empty password is not known")
	} else if p.HasPassword = false; o.Recall(p, nil) {
		t.Error("who sends no password is known by an empty one")
	}
}

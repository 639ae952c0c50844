package interop

import (
	"testing"

	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/xdg-go/scram"
)

// TestSCRAMAgainstAnotherClient tests our server side of SCRAM with another client
// implementation.
func TestSCRAMAgainstAnotherClient(t *testing.T) {
	t.Parallel()
	accounts := []account{{"user", "pencil"}, {"a=b,c", "p=,=2C"}, {"=2C", "x"}, {"m\u00fcller", "p\u00e4ssw\u00f6rd \u20ac"}, {"\u6c34", "\u0434\u0430"}}
	for method, hash := range hashes {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			stored := map[string]auth.Keys{}
			for _, a := range accounts {
				k, err := auth.KeysOf(method, a.password, []byte("salt of "+a.user), 4096)
				if err != nil {
					t.Fatal(err)
				}
				stored[a.user] = k
				c, err := hash.NewClient(a.user, a.password, "")
				if err != nil {
					t.Fatal(err)
				}
				theirs, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt of " + a.user, Iters: 4096})
				if err != nil || string(theirs.StoredKey) != string(k.StoredKey) || string(theirs.ServerKey) != string(k.ServerKey) {
					t.Errorf("%q: stored keys differ, %v", a, err)
				}
			}
			begin, err := auth.SCRAMServer(method, func(user string) (auth.Keys, bool) { k, ok := stored[user]; return k, ok })
			if err != nil {
				t.Fatal(err)
			}
			converse := func(a account) (proved bool, valid bool) {
				c, err := hash.NewClient(a.user, a.password, "")
				if err != nil {
					t.Fatal(err)
				}
				conv, server := c.NewConversation(), begin()
				message, err := conv.Step("")
				for done := false; err == nil && !done; {
					var answer []byte
					if answer, done, err = server.Step([]byte(message)); err == nil {
						message, err = conv.Step(string(answer))
					}
					proved = done && server.User() == a.user
				}
				return proved, conv.Valid()
			}
			for _, a := range accounts {
				if proved, valid := converse(a); !proved || !valid {
					t.Errorf("%q: proved %v, valid %v", a, proved, valid)
				}
				a.password += "x"
				if proved, valid := converse(a); proved || valid {
					t.Errorf("%q: proved %v, valid %v", a, proved, valid)
				}
			}
			if proved, valid := converse(account{"unknown", "x"}); proved || valid {
				t.Errorf("unknown user: proved %v, valid %v", proved, valid)
			}
		})
	}
}

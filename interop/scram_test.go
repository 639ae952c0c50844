// Package interop tests this project against other MQTT software. It is a separate
// module, so that the main module does not depend on that software.
package interop

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/xdg-go/scram"
)

var hashes = map[string]scram.HashGeneratorFcn{"SCRAM-SHA-1": scram.SHA1, "SCRAM-SHA-256": scram.SHA256, "SCRAM-SHA-512": scram.SHA512}

// account is a user of a server: the name, and the password from which the server
// derives the stored keys, with SASLprep.
type account struct{ user, password string }

// scramServer returns a SCRAM server with the accounts.
func scramServer(t testing.TB, method string, accounts ...account) *scram.Server {
	t.Helper()
	stored := map[string]scram.StoredCredentials{}
	for _, a := range accounts {
		c, err := hashes[method].NewClient(a.user, a.password, "")
		if err != nil {
			t.Fatal(err)
		}
		if stored[a.user], err = c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt of " + a.user, Iters: 4096}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := hashes[method].NewServer(func(user string) (scram.StoredCredentials, error) {
		c, ok := stored[user]
		if !ok {
			return c, fmt.Errorf("no user %q", user)
		}
		return c, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The messages of an exchange, in order.
const (
	clientFirst = iota
	serverFirst
	clientFinal
	serverFinal
)

// converse runs a complete exchange; tamper, if not nil, may change each message. It
// reports whether the server accepts the client, and the client's error.
func converse(t *testing.T, server *scram.Server, method string, as account, tamper func(n int, message string) string) (valid bool, clientErr error) {
	t.Helper()
	if tamper == nil {
		tamper = func(_ int, message string) string { return message }
	}
	client, err := auth.SCRAM(method, as.user, as.password)
	if err != nil {
		t.Fatal(err)
	}
	conv := server.NewConversation()
	data, err := client.Start()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := conv.Step(tamper(clientFirst, string(data)))
	if err != nil {
		return false, fmt.Errorf("the server: %w", err)
	}
	if data, err = client.Continue([]byte(tamper(serverFirst, answer))); err != nil {
		return false, err
	}
	answer, _ = conv.Step(tamper(clientFinal, string(data))) // the answer contains the server's error
	return conv.Valid(), client.Finish([]byte(tamper(serverFinal, answer)))
}

func TestSCRAMAgainstAnotherServer(t *testing.T) {
	t.Parallel()
	accounts := []account{{"user", "pencil"}, {"a=b,c", "p=,=2C"}, {"=2C", "x"}, {"m\u00fcller", "p\u00e4ssw\u00f6rd \u20ac"}, {"\u6c34", "\u0434\u0430"}, {" ", " "}}
	for method := range hashes {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			server := scramServer(t, method, accounts...)
			for _, a := range accounts {
				if valid, err := converse(t, server, method, a, nil); !valid || err != nil {
					t.Errorf("%q: the server says %v, the client %v", a, valid, err)
				}
				wrong := account{a.user, a.password + "x"}
				if valid, err := converse(t, server, method, wrong, nil); valid || err == nil || !strings.Contains(err.Error(), "invalid-proof") {
					t.Errorf("%q: the server says %v, the client %v; want invalid-proof", wrong, valid, err)
				}
			}
			if valid, err := converse(t, server, method, account{"unknown", "x"}, nil); valid || err == nil {
				t.Errorf("unknown user: the server says %v, the client %v", valid, err)
			}
		})
	}
}

// The client does not apply SASLprep to names and passwords. A server that does, as RFC
// 5802 requires, agrees only if SASLprep changes nothing.
func TestSCRAMPreparesNothing(t *testing.T) {
	t.Parallel()
	const method = "SCRAM-SHA-256"
	server := scramServer(t, method, account{"user", "e\u0301"}) // the server normalizes it to U+00E9
	for password, want := range map[string]bool{"\u00e9": true, "e\u0301": false} {
		if valid, _ := converse(t, server, method, account{"user", password}, nil); valid != want {
			t.Errorf("password %+q: got %v, want %v", password, valid, want)
		}
	}
}

// If any byte of any message is changed in transit, client and server do not both
// accept the exchange.
func TestTamperedSCRAM(t *testing.T) {
	t.Parallel()
	const method = "SCRAM-SHA-256"
	a := account{"user", "pencil"}
	server := scramServer(t, method, a)
	for n, name := range []string{"client-first", "server-first", "client-final", "server-final"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at, length := 0, 1; at < length; at++ {
				var before, after string
				valid, err := converse(t, server, method, a, func(i int, message string) string {
					if i != n {
						return message
					}
					b := []byte(message)
					length = len(b)
					b[at] ^= 1
					before, after = message, string(b)
					return after
				})
				if valid && err == nil && !sameProof(before, after) {
					t.Errorf("%q changed to %q: both believe each other", before, after)
				}
			}
		})
	}
}

// sameProof reports whether two final messages are equal except for unused bits of
// their base64.
func sameProof(a, b string) bool {
	headA, proofA, _ := strings.Cut(a, ",p=")
	headB, proofB, ok := strings.Cut(b, ",p=")
	x, errA := base64.StdEncoding.DecodeString(proofA)
	y, errB := base64.StdEncoding.DecodeString(proofB)
	return ok && headA == headB && errA == nil && errB == nil && string(x) == string(y)
}

// A server that does not know the password cannot impersonate one that does, nor lower
// the iteration count.
func TestAFalseSCRAMServer(t *testing.T) {
	t.Parallel()
	const method = "SCRAM-SHA-256"
	a := account{"user", "pencil"}
	server := scramServer(t, method, a)
	other := scramServer(t, method, account{"user", "guess"})
	if valid, err := converse(t, other, method, a, func(n int, message string) string {
		if n == serverFinal {
			return "v=" + base64.StdEncoding.EncodeToString(make([]byte, 32))
		}
		return message
	}); valid || err == nil {
		t.Errorf("a made-up proof: the server says %v, the client %v", valid, err)
	}
	if _, err := converse(t, server, method, a, func(n int, message string) string {
		if n == serverFirst {
			return strings.Replace(message, "i=4096", "i=1", 1)
		}
		return message
	}); err == nil || !strings.Contains(err.Error(), "iterations") {
		t.Errorf("one iteration: %v", err)
	}
}

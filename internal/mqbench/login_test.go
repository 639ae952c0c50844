package mqbench

import (
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// The user name and the password of the command line are sent to the broker, with a short
// form and with a preset.
func TestLogin(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{{"conn", "--clients", "3"}, {"run", "idle-keepalive", "--scale", "0.0003"}} {
		var mu sync.Mutex
		seen := map[string]bool{}
		b := broker.New(broker.Options{Authenticate: func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
			if string(p.Password) != "pw%1" {
				return packet.BadUserNameOrPassword
			}
			mu.Lock()
			defer mu.Unlock()
			seen[string(p.Username)] = true
			return packet.Success
		}})
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); _ = b.Serve(ln) }()
		words = append(words, "-h", "127.0.0.1", "-p", strconv.Itoa(ln.Addr().(*net.TCPAddr).Port), "--duration", "200ms", "--warm-up", "0", "-u", "user%i")
		if got := mqbench(t, append(words, "-P", "pw%1", "--quiet")...); got.code != 0 {
			t.Errorf("%q: %d\n%s\n%s", words, got.code, got.out, got.err)
		}
		mu.Lock()
		for _, name := range [...]string{"user0", "user1", "user2"} {
			if !seen[name] {
				t.Errorf("%q: %s did not come; %v did", words, name, seen)
			}
		}
		mu.Unlock()
		if got := mqbench(t, append(words, "-P", "wrong", "--quiet")...); got.code == 0 {
			t.Errorf("%q with a wrong password: %d\n%s", words, got.code, got.err)
		}
		_ = b.Close(t.Context())
		<-done
	}
}

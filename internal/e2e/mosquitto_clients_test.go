package e2e

import (
	"context"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
)

// foreign is a client of Debian's at work.
type foreign struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err buffer
}

// clients returns the paths of Debian's clients, or skips the test.
func clients(t *testing.T) {
	t.Helper()
	for _, name := range []string{"mosquitto_pub", "mosquitto_sub", "mosquitto_rr"} {
		program(t, name)
	}
}

// begin starts one of Debian's clients.
func begin(t *testing.T, stdin, name string, args ...string) *foreign {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	f := &foreign{t: t, cmd: exec.CommandContext(ctx, program(t, name), args...)}
	f.cmd.Stdin, f.cmd.Stdout, f.cmd.Stderr = strings.NewReader(stdin), &f.out, &f.err
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = f.cmd.Wait() })
	return f
}

// wait waits for its end.
func (f *foreign) wait() result {
	_ = f.cmd.Wait()
	return result{f.out.String(), f.err.String(), f.cmd.ProcessState.ExitCode()}
}

// gets is wait for what must succeed with that output.
func (f *foreign) gets(want string) {
	f.t.Helper()
	if r := f.wait(); r.code != 0 || r.err != "" || r.out != want {
		f.t.Errorf("%q: code %d, stdout %q, stderr %q; want %q", f.cmd.Args, r.code, r.out, r.err, want)
	}
}

// theirSub starts mosquitto_sub on our broker and waits until it has subscribed
// n times.
func (h *hub) theirSub(t *testing.T, n int, args ...string) *foreign {
	t.Helper()
	f := begin(t, "", "mosquitto_sub", append(args, h.addr...)...)
	for range n {
		select {
		case <-h.subscribed:
		case <-t.Context().Done():
			t.Fatal("no subscription")
		}
	}
	return f
}

// theirPub runs mosquitto_pub, which must succeed.
func (h *hub) theirPub(t *testing.T, stdin string, args ...string) {
	t.Helper()
	begin(t, stdin, "mosquitto_pub", append(args, h.addr...)...).gets("")
}

// Another broker takes the place of the one that they are connected to. Of 5.0
// they take any DISCONNECT for the end: see the next test.
func TestMosquittoClientsComeBack(t *testing.T) {
	t.Parallel()
	clients(t)
	for _, version := range []string{"31", "311"} {
		t.Run("v"+version, func(t *testing.T) {
			t.Parallel()
			subscribed := make(chan struct{}, 10)
			log := func(e broker.Event) {
				if e.Kind == broker.EventSubscribed {
					subscribed <- struct{}{}
				}
			}
			var now atomic.Pointer[broker.Broker]
			now.Store(broker.New(broker.Options{Log: log}))
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = ln.Close() })
			go func() {
				for nc, err := ln.Accept(); err == nil; nc, err = ln.Accept() {
					now.Load().ServeConn(nc)
				}
			}()
			addr := at(ln.Addr().String())
			s := begin(t, "", "mosquitto_sub", append(addr, "-V", version, "-t", "t", "-q", "1", "-C", "2")...)
			for _, payload := range []string{"before", "after"} {
				select {
				case <-subscribed:
				case <-time.After(patience):
					t.Fatalf("no subscription: %s", s.err.String())
				}
				begin(t, "", "mosquitto_pub", append(addr, "-V", version, "-t", "t", "-q", "1", "-m", payload)...).gets("")
				if !poll(nil, func() bool { return strings.HasSuffix(s.out.String(), payload+"\n") }) {
					t.Fatalf("%q does not come: %q", payload, s.out.String())
				}
				if err := now.Swap(broker.New(broker.Options{Log: log})).Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
			s.gets("before\nafter\n")
			_ = now.Load().Close(t.Context())
		})
	}
}

func TestMosquittoClientsAreToldToEnd(t *testing.T) {
	t.Parallel()
	clients(t)
	h := newHub(t, brokerDefaults)
	sub := []string{"-V", "5", "-i", "one", "-t", "t", "-q", "1"}
	old := h.theirSub(t, 1, sub...)
	young := h.theirSub(t, 1, sub...)
	old.gets("") // taken over
	h.theirPub(t, "", "-t", "t", "-m", "x", "-q", "1")
	if !poll(nil, func() bool { return young.out.String() == "x\n" }) {
		t.Errorf("the later one gets %q", young.out.String())
	}
	if err := h.broker.Close(t.Context()); err != nil {
		t.Error(err)
	}
	young.gets("x\n")
}

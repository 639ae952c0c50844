//go:build linux

package e2e

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
)

// An ending is what ends a command, and what becomes of it.
type ending struct {
	name    string
	script  string // what the shell runs; "$@" is the command
	signal  syscall.Signal
	started string // sent when stderr has it
	status  int    // as a shell says it
	says    string
}

// TestEveryCommandHasItsEnds runs the tools themselves, each command through every
// end that it can meet.
func TestEveryCommandHasItsEnds(t *testing.T) {
	t.Parallel()
	need(t)
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	h := newHub(t, broker.Options{Authorize: func(_, _, topic string, _ bool) bool { return !strings.HasPrefix(topic, "secret") }})
	h.pub(t, "", "-t", "kept", "-m", "x", "-r", "-q", "1")
	const up = "received SUBACK"
	type row struct {
		command string // of the hub's broker, in words
		ends    []ending
	}
	// What waits for messages ends by what ends it.
	follower := func(command string, more ...ending) row {
		return row{command, append([]ending{
			{"SIGINT", `exec "$@"`, syscall.SIGINT, up, 130, ""},
			{"SIGTERM", `exec "$@"`, syscall.SIGTERM, up, 143, ""},
			{"SIGHUP", `exec "$@"`, syscall.SIGHUP, up, 129, ""},
			{"SIGQUIT", `exec "$@"`, syscall.SIGQUIT, up, 131, ""},
			{"time", `"$@" -W 0.05`, 0, "", 27, "timed out after 50ms"},
			{"SIGINT ignored", `trap "" INT; exec "$@" -W 0.3`, syscall.SIGINT, up, 27, "timed out"},
			{"stdout closed", `"$@" >&-`, 0, "", 6, "standard output is closed"},
			{"reader gone", `{ "$@"; echo "status $?" >&2; } | (exit 3)`, 0, "", 3, "status 141"},
			{"refused", `"$@" -t secret/x -W 20`, 0, "", 5, "not authorized"},
		}, more...)}
	}
	for _, r := range []row{
		follower("mqsub -t none"),
		follower("mqsub -t none -C 1"),
		follower("mqsub -t none --json -q 2"),
		follower("mqsub -t none --message-rate"),
		follower("mqsub -t none --echo"),
		follower("mqsub -t none --reply-command cat"),
		follower("mqsub -t none --idle-timeout 60"),
		{"mqsub -t none -E", []ending{
			{"success", `"$@"`, 0, "", 0, ""},
			{"stdout closed", `"$@" >&-`, 0, "", 0, ""},
			{"refused", `"$@" -t secret/x`, 0, "", 5, "not authorized"},
		}},
		{"mqsub -t kept --retained-only", []ending{
			{"success", `"$@"`, 0, "", 0, ""},
			{"disk full", `"$@" >/dev/full`, 0, "", 6, "no space left"},
			{"discarded", `"$@" >/dev/null`, 0, "", 0, ""},
			{"stdout closed", `"$@" >&-`, 0, "", 6, "standard output is closed"},
			{"nothing", `"$@" -t none -T kept`, 0, "", 28, "no retained message matches"},
		}},
		{"mqsub -t kept -C 1", []ending{
			{"success", `"$@"`, 0, "", 0, ""},
			{"disk full", `"$@" >/dev/full`, 0, "", 6, "no space left"},
			{"stdout closed", `"$@" >&-`, 0, "", 6, "standard output is closed"},
		}},
		{"mqpub -t a -q 1", []ending{
			{"success", `"$@" -m x`, 0, "", 0, ""},
			{"stdout closed", `"$@" -m x >&-`, 0, "", 0, ""},
			{"-l to the end", `printf 'a\nb\n' | "$@" -l`, 0, "", 0, ""},
			{"refused", `"$@" -m x -t secret/x`, 0, "", 5, "not authorized"},
			{"-l, time", `"$@" -l -W 0.1 0<> <(:)`, 0, "", 27, "timed out"},
		}},
		{"mqpub --input jsonl", []ending{
			{"input bad", `echo x | "$@"`, 0, "", 6, "line 1"},
		}},
		{"mqpub -t a -m x --request", []ending{
			{"time", `"$@" -W 0.1`, 0, "", 27, ""},
			{"stdout closed", `"$@" >&-`, 0, "", 6, "standard output is closed"},
			{"SIGTERM", `exec "$@"`, syscall.SIGTERM, up, 143, ""},
		}},
		{"mqbench conn --clients 2 --duration 0.1", []ending{
			{"success", `"$@" >/dev/null`, 0, "", 0, ""},
			{"stdout closed", `"$@" >&-`, 0, "", 1, "standard output is closed"},
			{"disk full", `"$@" >/dev/full`, 0, "", 1, "no space left"},
		}},
		{"mqbench pubsub --clients 1 --duration 0.1", []ending{
			{"success", `"$@" >/dev/null`, 0, "", 0, ""},
			{"stdout closed", `"$@" >&-`, 0, "", 1, "standard output is closed"},
			{"disk full", `"$@" >/dev/full`, 0, "", 1, "no space left"},
		}},
	} {
		for _, e := range r.ends {
			t.Run(r.command+"/"+e.name, func(t *testing.T) {
				t.Parallel()
				words := strings.Fields(r.command)
				words[0] = bin + "/" + words[0]
				words = append(words, h.addr...)
				if e.signal != 0 {
					words = append(words, "-d")
				}
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				c := exec.CommandContext(ctx, "bash", append([]string{"-c", e.script, "bash"}, words...)...)
				c.Env = []string{"MQ_CONFIG=none", "PATH=/usr/bin:/bin"}
				var out, errs buffer
				c.Stdout, c.Stderr = &out, &errs
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				if e.signal != 0 {
					if !poll(nil, func() bool { return strings.Contains(errs.String(), e.started) }) {
						t.Errorf("it has not started: %s", errs.String())
					}
					_ = c.Process.Signal(e.signal)
				}
				err := c.Wait()
				status := c.ProcessState.ExitCode()
				if ws, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
					status = 128 + int(ws.Signal())
				} else if e.signal != 0 && e.status > 128 {
					t.Errorf("it has exited, want death by %v", e.signal)
				}
				if ee := new(exec.ExitError); err != nil && !errors.As(err, &ee) {
					t.Fatal(err)
				}
				if status != e.status || !strings.Contains(errs.String(), e.says) {
					t.Errorf("status %d, stderr %q; want %d and %q", status, errs.String(), e.status, e.says)
				}
			})
		}
	}
}

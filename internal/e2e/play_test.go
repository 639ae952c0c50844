package e2e

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/script"
)

// TestCommandsOfScripts plays a broker to each command line that a script
// gives.
func TestCommandsOfScripts(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../scripts/client/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range paths {
		s, err := script.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Command) == 0 {
			continue
		}
		n++
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			playCommand(t, s)
		})
	}
	if n < 8 {
		t.Errorf("only %d scripts have a command", n)
	}
}

// playCommand plays a broker to the command of a script.
func playCommand(t *testing.T, s *script.Script) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, nil, s.Command[0], append(s.Command[1:], at(ln.Addr().String())...)...)
	if err := s.Serve(t.Context(), ln, &script.Options{Strict: true, Patience: patience}); err != nil {
		t.Error(err)
	}
	if got := r.wait(); got.code != s.Exit {
		t.Errorf("%s: exit status %d, want %d; stderr %q", strings.Join(s.Command, " "), got.code, s.Exit, got.err)
	}
}

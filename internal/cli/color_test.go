package cli

import (
	"testing"

	"github.com/fatih/color"

	"github.com/mqtools/mqtools/internal/option"
)

func TestUseColor(t *testing.T) {
	t.Parallel()
	type env map[string]string
	for _, c := range []struct {
		it       string
		when     string
		vars     env
		terminal bool
		want     bool
	}{
		{"is on on a terminal", "auto", env{"TERM": "xterm"}, true, true},
		{"is off in a pipe", "auto", env{"TERM": "xterm"}, false, false},
		{"is off on a dumb terminal", "auto", env{"TERM": "dumb"}, true, false},
		{"obeys always in a pipe", "always", env{"TERM": "dumb"}, false, true},
		{"obeys always before NO_COLOR", "always", env{"NO_COLOR": "1"}, false, true},
		{"obeys never before CLICOLOR_FORCE", "never", env{"TERM": "xterm", "CLICOLOR_FORCE": "1"}, true, false},
		{"obeys NO_COLOR", "auto", env{"TERM": "xterm", "NO_COLOR": "1"}, true, false},
		{"obeys NO_COLOR=0, which is not empty", "auto", env{"TERM": "xterm", "NO_COLOR": "0"}, true, false},
		{"ignores an empty NO_COLOR", "auto", env{"TERM": "xterm", "NO_COLOR": ""}, true, true},
		{"obeys NO_COLOR before FORCE_COLOR", "auto", env{"TERM": "xterm", "NO_COLOR": "1", "FORCE_COLOR": "1"}, true, false},
		{"obeys CLICOLOR_FORCE in a pipe", "auto", env{"CLICOLOR_FORCE": "1"}, false, true},
		{"obeys FORCE_COLOR in a pipe", "auto", env{"FORCE_COLOR": "3", "TERM": "dumb"}, false, true},
		{"ignores CLICOLOR_FORCE=0", "auto", env{"CLICOLOR_FORCE": "0"}, false, false},
		{"obeys CLICOLOR_FORCE before CLICOLOR=0", "auto", env{"CLICOLOR": "0", "CLICOLOR_FORCE": "1"}, false, true},
		{"obeys CLICOLOR=0", "auto", env{"TERM": "xterm", "CLICOLOR": "0"}, true, false},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			if got := UseColor(c.when, option.MapEnv(c.vars), c.terminal); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestNewColorHeedsOnlyItsArgument(t *testing.T) {
	t.Parallel()
	if got, want := NewColor(true, color.FgRed).Sprint("x"), "\x1b[31mx\x1b[0m"; got != want {
		t.Errorf("on: got %q, want %q", got, want)
	}
	if got := NewColor(false, color.FgRed).Sprint("x"); got != "x" {
		t.Errorf("off: got %q, want x", got)
	}
}

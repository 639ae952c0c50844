package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryShellLearnsEveryOption(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		for name, bit := range map[string]ToolSet{"mqpub": Pub, "mqsub": Sub, "mqbench": Bench} {
			script := CompletionScript(shell, name, bit)
			for _, o := range Table(bit) {
				for _, s := range o.Spellings() {
					want := s
					if shell == "fish" {
						want = " -l " + strings.TrimLeft(s, "-")
						if len(s) == 2 {
							want = " -s " + s[1:]
						}
					}
					if !strings.Contains(script, want) {
						t.Errorf("%s for %s does not know %s", shell, name, s)
					}
				}
			}
			if strings.Contains(script, "eval") {
				t.Errorf("%s for %s evaluates", shell, name)
			}
		}
	}
}

// complete has bash complete the last of some words.
func complete(t *testing.T, words ...string) []string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte(CompletionScript("bash", "mqsub", Sub)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bash, append([]string{"-c", `. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mqsub; printf '%s\n' "${COMPREPLY[@]}"`, script, "mqsub"}, words...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%q made files: %v", words, entries)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

func TestBashCompletes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"--retain-h"}, "--retain-handling"},
		{[]string{"--will-"}, "--will-topic --will-payload --will-qos --will-retain"},
		{[]string{"--color", "a"}, "auto always"},
		{[]string{"-V", "3"}, "311 31"},
		{[]string{"--cafile", "a"}, "a file"},
		{[]string{"-t", "-"}, ""},
		{[]string{"-t", "$(touch x)"}, ""},
		{[]string{"$(touch x)", "-"}, "*"},
		{[]string{"--cafile", "$(touch x)"}, ""},
		{[]string{"--color", "`touch x`"}, ""},
		{[]string{"plain"}, ""},
	} {
		got := strings.Join(complete(t, c.words...), " ")
		if c.want == "*" && len(got) > 100 {
			continue
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.words, got, c.want)
		}
	}
}

// The other shells at least understand their scripts.
func TestShellsReadTheirScripts(t *testing.T) {
	t.Parallel()
	for shell, args := range map[string][]string{"bash": {"-n"}, "zsh": {"-n"}, "fish": {"--no-execute"}} {
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("%s is not installed", shell)
			continue
		}
		file := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(file, []byte(CompletionScript(shell, "mqpub", Pub)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(path, append(args, file)...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
}

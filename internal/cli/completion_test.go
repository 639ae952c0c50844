package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEveryShellLearnsEveryOption(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		for name, bit := range map[string]ToolSet{"mqpub": Pub, "mqsub": Sub, "mqbench": Bench} {
			script := CompletionScript(shell, Tool{Name: name, Bit: bit})
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

// listsContexts makes a directory with tools that know the names of two
// contexts, and one name that must not be believed.
func listsContexts(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\n[ \"$*\" = 'context list --names' ] && printf '%s\\n' prod lab 'p$(touch x)'\n"
	for _, name := range []string{"mqpub", "mqsub"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
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
	if err := os.WriteFile(script, []byte(CompletionScript("bash", Tool{Name: "mqsub", Bit: Sub})), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bash, append([]string{"-c", `. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mqsub; printf '%s\n' "${COMPREPLY[@]}"`, script, "mqsub"}, words...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+listsContexts(t)+string(os.PathListSeparator)+os.Getenv("PATH"))
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
		{[]string{"--context", ""}, "prod lab p$(touch x)"},
		{[]string{"--context", "l"}, "lab"},
		{[]string{"--context", "$(touch x)"}, ""},
		{[]string{""}, "context"},
		{[]string{"con"}, "context"},
		{[]string{"context", ""}, "add list use show remove"},
		{[]string{"context", "r"}, "remove"},
		{[]string{"context", "use", "p"}, "prod p$(touch x)"},
		{[]string{"context", "remove", ""}, "prod lab p$(touch x)"},
		{[]string{"context", "show", "--config", "a"}, "a file"},
		{[]string{"context", "add", "p"}, ""},
		{[]string{"context", "add", "x", "--retain-h"}, "--retain-handling"},
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

// fish can be asked what it would offer.
func TestFishCompletesContexts(t *testing.T) {
	t.Parallel()
	fish, err := exec.LookPath("fish")
	if err != nil {
		t.Skip("fish is not installed")
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte(CompletionScript("fish", Tool{Name: "mqsub", Bit: Sub})), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"mqsub con":            "context",
		"mqsub context ":       "add list remove show use",
		"mqsub context use ":   "lab p$(touch x) prod",
		"mqsub context list p": "",
		"mqsub --context l":    "lab",
		"mqsub --context=p":    "--context=p$(touch x) --context=prod",
	} {
		cmd := exec.Command(fish, "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", script, line)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "HOME="+dir, "PATH="+listsContexts(t)+string(os.PathListSeparator)+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var words []string
		for offer := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSuffix(offer, "\n"), "\t")
			words = append(words, word)
		}
		slices.Sort(words)
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
		if entries, _ := os.ReadDir(cmd.Dir); len(entries) != 0 {
			t.Errorf("%s made files: %v", line, entries)
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
		if err := os.WriteFile(file, []byte(CompletionScript(shell, Tool{Name: "mqpub", Bit: Pub})), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(path, append(args, file)...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
}

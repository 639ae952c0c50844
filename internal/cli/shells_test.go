package cli_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/option"
)

// TestShellsComplete completes lines in the shells that are installed, with regular builds
// of the tools: a test binary built with -race takes too long to start.
func TestShellsComplete(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("on Windows the names of programs end in .exe")
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin+"/", "../../cmd/mqpub", "../../cmd/mqsub", "../../cmd/mqbench").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, test := range map[string]func(*testing.T, string){
		"bash": bashCompletes, "bash with every value": bashCompletesEveryFixedValue, "zsh": zshCompletes, "fish": fishCompletes,
	} {
		t.Run(name, func(t *testing.T) { test(t, bin) })
	}
}

// shell is a directory with the three tools and with another one in which file names are
// completed, and the environment of a shell.
type shell struct {
	path, scripts, files string
	env                  []string
}

func newShell(t *testing.T, bin, name string) *shell {
	t.Helper()
	t.Parallel()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(name + " is not installed")
	}
	if out, err := exec.Command(path, "-c", "echo $BASH_VERSION").Output(); name == "bash" && (err != nil || out[0] < '4') {
		t.Skipf("bash is older than 4: %s", out)
	}
	s := &shell{path: path, scripts: t.TempDir(), files: t.TempDir()}
	for tl := range tools {
		file := map[string]string{"bash": tl + ".bash", "zsh": "_" + tl, "fish": tl + ".fish"}[name]
		if err := os.WriteFile(filepath.Join(s.scripts, file), []byte(tool(t, tl, "--completion", name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a file", "plan.yaml", "x.yml", "run.jsonl", "notes.txt", "dir/in"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(s.files, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.files, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config, err := filepath.Abs("testdata/contexts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s.env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "MQ_CONFIG=" + config, "GOCOVERDIR=" + t.TempDir()}
	return s
}

// run runs the shell in the directory of the files, which it must not change.
func (s *shell) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(s.path, args...)
	cmd.Dir, cmd.Env = s.files, s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if entries, err := os.ReadDir(s.files); err != nil || len(entries) != 6 {
		t.Errorf("%q has made files: %v, %v", args, entries, err)
	}
	return string(out)
}

// lines are the lines to complete and the expected results; directories are without the
// trailing slash.
var lines = map[string]string{
	"mqsub --retain-h":                           "--retain-handling",
	"mqsub --color a":                            "always auto",
	"mqsub --color=":                             "--color=always --color=auto --color=never",
	"mqsub --color=al":                           "--color=always",
	"mqsub --context=p":                          "--context=prod",
	"mqsub --context ":                           "a@b lab/2 prod",
	"mqsub --context a@":                         "a@b",
	"mqsub --context=a@":                         "--context=a@b",
	"mqsub --context=a@b":                        "--context=a@b",
	"mqsub context use l":                        "lab/2",
	"mqsub context list --n":                     "--names",
	"mqsub context list p":                       "",
	"mqpub --input ":                             "csv csv:header=no jsonl tsv tsv:header=yes",
	"mqpub --input cs":                           "csv csv:header=no",
	"mqpub --input csv:":                         "csv:header=no",
	"mqpub --input=tsv:h":                        "--input=tsv:header=yes",
	"mqsub --as ":                                "csv influx tsv",
	"mqsub --as c":                               "csv",
	"mqsub -q1":                                  "-q1",
	"mqsub -q ":                                  "0 1 2",
	"mqsub --cafile pl":                          "plan.yaml",
	"mqsub --cafile a":                           "a file",
	"mqsub --cafile=a":                           "--cafile=a file",
	"mqsub --cafile='a f":                        "--cafile=a file",
	"mqsub --cafile ":                            "a file|dir|notes.txt|plan.yaml|run.jsonl|x.yml",
	"mqsub --capath=":                            "--capath=dir",
	"mqsub --capath ":                            "dir",
	"mqpub -fn":                                  "-fnotes.txt",
	"mqsub -t a:b/":                              "",
	"mqsub -t a:b/ --colo":                       "--color",
	"mqsub -m = --colo":                          "--color",
	"mqsub --will-payload= --colo":               "--color",
	"mqsub -L mqtt://u@h:1883 --colo":            "--color",
	"mqsub --sub 'a/#;qos=1;nl' --colo":          "--color",
	"mqsub -t $(touch x) --color `touch x`":      "",
	"mqsub --cafile $(touch x)":                  "",
	"mqsub -t x$(touch x)y --colo":               "--color",
	"mqsub con":                                  "context",
	"mqsub --nonsense":                           "",
	"mqbench ver":                                "verify",
	"mqbench run p":                              "pairs-90s|plan.yaml",
	"mqbench run x":                              "x.yml",
	"mqbench run n":                              "",
	"mqbench play ":                              "dir|plan.yaml|x.yml",
	"mqbench play n":                             "notes.txt",
	"mqbench diff a b ":                          "",
	"mqbench diff ":                              "dir|run.jsonl",
	"mqbench diff n":                             "notes.txt",
	"mqbench verify --faults=delay,st":           "--faults=delay,stall",
	"mqbench conn --top":                         "",
	"mqpub -D publish user-property a b --on-un": "--on-undeliverable",
}

// inLines returns the lines and their expected results in a fixed order.
func inLines(leave ...string) (all []string) {
	for line := range lines {
		if !slices.Contains(leave, line) {
			all = append(all, line)
		}
	}
	slices.Sort(all)
	return all
}

// check compares the offers for a line.
func check(t *testing.T, line string, offers []string) {
	t.Helper()
	for i := range offers {
		offers[i] = strings.TrimSuffix(offers[i], "/")
	}
	slices.Sort(offers)
	want := lines[line]
	if !strings.Contains(want, "|") && !strings.Contains(want, "a file") {
		want = strings.ReplaceAll(want, " ", "|")
	}
	if got := strings.Join(slices.Compact(offers), "|"); got != want {
		t.Errorf("%s: got %q, want %q", line, got, want)
	}
}

// bashWords splits a line as bash does, also at =, : and @. The last word is the one to
// complete; text is the part of it that bash replaces, and kept the part that stays.
func bashWords(line string) (words []string, kept, text string) {
	whole := ""
	pieces := regexp.MustCompile("(?:'[^']*'?|\\$\\([^)]*\\)|`[^`]*`|[^ =:@'])+|[=:@]+| +").FindAllString(line, -1)
	for i, p := range pieces {
		if strings.HasPrefix(p, " ") {
			whole = ""
		} else {
			words, whole = append(words, p), whole+strings.ReplaceAll(p, "'", "")
		}
		switch p[len(p)-1] {
		case ' ', '=', ':':
			text = ""
		case '@': // it belongs to the host that follows
			text = "@"
		default:
			if i == 0 || !strings.HasSuffix(pieces[i-1], "@") {
				text = ""
			}
			text += strings.TrimPrefix(p, "'")
		}
	}
	if strings.HasSuffix(line, " ") {
		words = append(words, "")
	}
	return words, strings.TrimSuffix(whole, text), text
}

// bashScript completes a line. Its arguments are the line, the text to replace, and the
// words. It prints the replacements of the text.
const bashScript = `. "$0/${3##*/}.bash"
COMP_LINE=$1 COMP_POINT=${#1} text=$2; shift 2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
if [[ $WITHOUT_LINE ]]; then
	unset COMP_LINE COMP_POINT
	"_${1##*/}"
else
	"_${1##*/}" "$1" "$text" "${COMP_WORDS[COMP_CWORD-1]}"
fi
printf '%s\n' "${COMPREPLY[@]}"`

// bash returns the completions of the last word of a line.
func (s *shell) bash(t *testing.T, line string) (offers []string) {
	t.Helper()
	words, kept, text := bashWords(line)
	for offer := range strings.Lines(s.run(t, append([]string{"-c", bashScript, s.scripts, line, text}, words...)...)) {
		if offer != "\n" {
			offers = append(offers, kept+strings.TrimSuffix(offer, "\n"))
		}
	}
	return offers
}

func bashCompletes(t *testing.T, bin string) {
	s := newShell(t, bin, "bash")
	for _, line := range inLines() {
		check(t, line, s.bash(t, line))
	}
	s.env[0] = "PATH=/usr/bin:/bin" // any other tool is started by its path
	if got := s.bash(t, bin+"/mqsub --color=al"); !slices.Equal(got, []string{"--color=always"}) {
		t.Errorf("a tool by its path: got %q", got)
	}
	s.env[0] = "PATH=" + bin + ":/usr/bin:/bin"
	s.env = append(s.env, "WITHOUT_LINE=1") // a caller other than bash
	for _, line := range []string{"mqsub --color=al", "mqsub --context ", "mqsub -t a:b/ --colo", "mqsub --capath ", "mqsub -L mqtt://u@h:1883 --colo"} {
		check(t, line, s.bash(t, line))
	}
}

// bashCompletesEveryFixedValue checks the options once more, in a shell.
func bashCompletesEveryFixedValue(t *testing.T, bin string) {
	s := newShell(t, bin, "bash")
	done := map[string]bool{}
	commands(t, func(line []string, options []*option.Option) {
		for _, o := range options {
			values := valuesOf(line, o)
			if len(values) == 0 || done[line[0]+o.Name] {
				continue
			}
			done[line[0]+o.Name] = true
			for _, before := range []string{" --" + o.Name + " ", " --" + o.Name + "="} {
				text := strings.Join(line, " ") + before
				var want []string
				for _, v := range values {
					want = append(want, strings.TrimPrefix(before[1:], "--"+o.Name+" ")+v)
				}
				if got := s.bash(t, text); !slices.Equal(got, want) {
					t.Errorf("%s: got %q, want %q", text, got, want)
				}
			}
		}
	})
	if len(done) < 30 {
		t.Errorf("only %d options", len(done))
	}
}

// zshrc prints the completions of each line of a file.
const zshrc = `fpath=($ZDOTDIR $fpath)
autoload -U compinit; compinit -u -D
compadd() {
	if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
	local -a found
	builtin compadd -A found "$@"
	offers+=("$IPREFIX"${(Q)^found})
	builtin compadd "$@"
}
answer() {
	local line
	while IFS= read -r line; do
		offers=() BUFFER=$line CURSOR=$#line
		zle list-choices
		print -r -- "$line"$'\t'"${(pj:\t:)offers}"
	done <$ZDOTDIR/lines >$ZDOTDIR/answers
	exit
}
zle -N zle-line-init answer
`

func zshCompletes(t *testing.T, bin string) {
	s := newShell(t, bin, "zsh")
	for name, text := range map[string]string{".zshrc": zshrc, "lines": strings.Join(inLines(), "\n") + "\n"} {
		if err := os.WriteFile(filepath.Join(s.scripts, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.env = append(s.env, "ZDOTDIR="+s.scripts, "TERM=xterm")
	s.run(t, "-f", "-c", "zmodload zsh/zpty; zpty z zsh -d -i; while zpty -r z line; do screen+=$line; done")
	answers, err := os.ReadFile(filepath.Join(s.scripts, "answers"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for answer := range strings.Lines(string(answers)) {
		line, offers, _ := strings.Cut(strings.TrimSuffix(answer, "\n"), "\t")
		got[line] = slices.DeleteFunc(strings.Split(offers, "\t"), func(s string) bool { return s == "" })
	}
	if len(got) != len(lines) {
		t.Fatalf("%d answers to %d lines: %q", len(got), len(lines), slices.Sorted(maps.Keys(got)))
	}
	for line, offers := range got {
		check(t, line, offers)
	}
}

func fishCompletes(t *testing.T, bin string) {
	s := newShell(t, bin, "fish")
	// For other lines it offers all words that contain the letters.
	for _, line := range inLines("mqsub --nonsense", "mqbench conn --top", "mqbench run n") {
		name, _, _ := strings.Cut(line, " ")
		var offers []string
		for offer := range strings.Lines(s.run(t, "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", s.scripts+"/"+name+".fish", line)) {
			offer, _, _ = strings.Cut(strings.TrimSuffix(offer, "\n"), "\t")
			offers = append(offers, offer)
		}
		check(t, line, offers)
	}
}

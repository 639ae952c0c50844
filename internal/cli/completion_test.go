package cli_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/mqbench"
	"github.com/mqtools/mqtools/internal/mqpub"
	"github.com/mqtools/mqtools/internal/mqsub"
	"github.com/mqtools/mqtools/internal/option"
)

var tools = map[string]func() cli.Tool{"mqpub": mqpub.Tool, "mqsub": mqsub.Tool, "mqbench": mqbench.Tool}

// tool runs a tool and returns its output.
func tool(t *testing.T, name string, words ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	env := cli.Env{Args: words, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "testdata/contexts.yaml"})}
	if code := cli.Run(t.Context(), env, tools[name]()); code != 0 || errs.Len() > 0 {
		t.Errorf("%s %q: status %d, %s", name, words, code, &errs)
	}
	return out.String()
}

// answer is the answer of a tool to a completion script.
type answer struct {
	kind, stem string
	words      []string
}

func ask(t *testing.T, words ...string) answer {
	t.Helper()
	lines := strings.Split(tool(t, words[0], append([]string{"--completion", "bash", "--"}, words[1:]...)...), "\n")
	if len(lines) < 3 || lines[len(lines)-1] != "" {
		t.Fatalf("%q: %q", words, lines)
	}
	a := answer{kind: lines[0], stem: lines[1], words: lines[2 : len(lines)-1]}
	for i := range a.words {
		a.words[i] = a.stem + a.words[i]
	}
	return a
}

// helpLine matches the first line about an option in the help.
var helpLine = regexp.MustCompile(`^  (?:    )?(-[^ ,\n]+(?:, --[^ ,\n]+)*)`)

// commands calls a function for each tool and command, with its words and the options that
// its help shows.
func commands(t *testing.T, each func(line []string, options []*option.Option)) {
	t.Helper()
	for name, of := range tools {
		lines, table := [][]string{{name}}, option.Table(of().Bit)
		for _, c := range of().Commands {
			lines = append(lines, []string{name, c.Name})
			for i := range c.Own {
				table = append(table, &c.Own[i])
			}
		}
		for _, line := range lines {
			var options []*option.Option
			help := tool(t, name, append(line[1:len(line):len(line)], "--help=all")...)
			if len(line) == 1 && of().NeedsCommand { // its help shows the options of all commands
				help = tool(t, name, "--help=config") + tool(t, name, "--help=general")
			}
			for l := range strings.Lines(help) {
				if m := helpLine.FindStringSubmatch(l); m != nil {
					spellings := strings.Split(m[1], ", ")
					options = append(options, table.Long(spellings[len(spellings)-1]))
				}
			}
			if len(options) < 10 || slices.Contains(options, nil) {
				t.Fatalf("%s: the help has options that are none, or too few: %d, %d", line, len(options), slices.Index(options, nil))
			}
			each(line, options)
		}
	}
}

func TestCompletionOffersTheOptionsThatTheHelpShows(t *testing.T) {
	t.Parallel()
	commands(t, func(line []string, options []*option.Option) {
		var short, long []string
		for _, o := range options {
			for _, s := range o.Spellings() {
				if short = append(short, s); strings.HasPrefix(s, "--") {
					long = append(long, s)
				}
			}
		}
		for word, want := range map[string][]string{"-": short, "--": long} {
			if got := ask(t, append(line, word)...); !slices.Equal(got.words, want) || got.kind != "words" {
				t.Errorf("%s %s: got %+v, want %q", line, word, got, want)
			}
		}
	})
}

// A mode that is a command refuses the options that its help does not show, which have no
// effect on it.
func TestAModeObeysWhatItsHelpShows(t *testing.T) {
	t.Parallel()
	commands(t, func(line []string, options []*option.Option) {
		if len(line) < 2 || line[0] == "mqbench" {
			return
		}
		for _, o := range option.Table(tools[line[0]]().Bit) {
			if o.Hidden || o.Name == "help" || o.Name == "version" || o.Name == "hash-password" || o.Name == "options-file" {
				continue
			}
			var out, errs bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // the broker must not be reached
			cli.Run(ctx, cli.Env{
				Args: append(line[1:len(line):len(line)], "--"+o.Name+value(o)), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
				Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"}),
			}, tools[line[0]]())
			if obeyed := !strings.Contains(errs.String(), "has no effect on "+line[1]); obeyed != slices.Contains(options, o) {
				t.Errorf("%s: --%s is obeyed: %v, and is in the help: %v: %s", line, o.Name, obeyed, !obeyed, &errs)
			}
		}
	})
}

// few are the choices of options of which a command accepts only some.
var few = map[string][]string{
	"mqpub --compat": {"mosquitto", "mosquitto_pub", "mosquitto_rr"}, "mqsub --compat": {"mosquitto", "mosquitto_sub"},
	"mqbench search --format": {"text", "json", "csv"}, "mqbench diff --format": {"text", "json", "junit"},
}

// valuesOf returns the values of an option, where they are few.
func valuesOf(line []string, o *option.Option) (values []string) {
	if values = few[strings.Join(line, " ")+" --"+o.Name]; values != nil {
		return values
	}
	switch o.Name {
	case "context":
		return []string{"prod", "lab/2", "a@b"}
	case "help":
		of := tools[line[0]]()
		program := of.Program
		for i := range of.Commands {
			program.Commands = append(program.Commands, &of.Commands[i].Command)
		}
		program.Choose(line[1:])
		return program.HelpTopics()
	}
	if o.Type == option.TypeInt && o.Max == o.Min+2 {
		return []string{fmt.Sprint(o.Min), fmt.Sprint(o.Min + 1), fmt.Sprint(o.Max)}
	}
	for _, c := range o.Choices {
		values = append(values, c.Value)
	}
	return values
}

// TestCompletionOffersTheValuesOfEachOption checks all options of all commands in all
// spellings, with the value in the same word and in the next.
func TestCompletionOffersTheValuesOfEachOption(t *testing.T) {
	t.Parallel()
	kinds := map[option.Completion]string{option.CompleteFile: "files *", option.CompleteDir: "directories", option.CompleteHost: "hosts"}
	seen := map[string]int{}
	commands(t, func(line []string, options []*option.Option) {
		for _, o := range options {
			values, kind := valuesOf(line, o), cmp.Or(kinds[o.Complete], "words")
			seen[kind] += 1 + len(values)
			for _, s := range o.Spellings() {
				joined := s + "="
				if len(s) == 2 {
					joined = s
				}
				want := []string{}
				switch {
				case len(s) == 2: // the letter itself, and what can follow it directly
					want = append(want, s)
					for _, v := range values {
						if _, err := option.Normalize(option.Table(tools[line[0]]().Bit), []string{s + v}); err == nil {
							want = append(want, s+v)
						}
					}
				case o.Type == option.TypeBool:
					want = append(want, s+"=true", s+"=false")
				default:
					for _, v := range values {
						want = append(want, joined+v)
					}
				}
				got := ask(t, append(line, joined)...)
				if !slices.Equal(got.words, want) || len(s) > 2 && (got.kind != kind || got.stem != joined) {
					t.Errorf("%s %s: got %+v, want %s and %q", line, joined, got, kind, want)
				}
				if o.Type == option.TypeBool || o.Optional { // these do not consume the next word
					continue
				}
				next := values
				if o.Type == option.TypeProperty {
					next = packets[line[0]]
				}
				if got := ask(t, append(line, s, "")...); !slices.Equal(got.words, next) || got.kind != kind || got.stem != "" {
					t.Errorf("%s %s: got %+v, want %s and %q", line, s, got, kind, next)
				}
				for _, v := range values {
					if _, _, err := option.Parse(options, []string{s, v}, nil); err != nil {
						t.Errorf("%s %s %s is offered: %v", line, s, v, err)
					}
				}
			}
		}
	})
	for _, kind := range []string{"words", "files *", "directories", "hosts"} {
		if seen[kind] < 5 {
			t.Errorf("only %d of %s", seen[kind], kind)
		}
	}
}

// packets are those that accept properties.
var packets = map[string][]string{
	"mqpub": {"connect", "publish", "subscribe", "disconnect", "will"},
	"mqsub": {"connect", "subscribe", "unsubscribe", "disconnect", "will"},
}

// TestContextCompletionOffersWhatIsObeyed tries every option on every context command.
func TestContextCompletionOffersWhatIsObeyed(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "c.yaml")
	for word, args := range map[string][]string{"add": {"x"}, "list": nil, "use": {"prod"}, "show": {"prod"}, "remove": {"prod"}, "": nil} {
		line := append([]string{"mqsub", "context", word}, args...)
		if word == "" {
			line = line[:2]
		}
		offered := ask(t, append(line, "--")...).words
		spellings := []string{"--force", "--names", "--none"}
		for _, o := range option.Table(option.Sub) {
			spellings = append(spellings, o.Spellings()...)
		}
		for _, s := range spellings {
			o := option.Table(option.Sub).Long(s)
			if len(s) == 2 || o != nil && o.Hidden {
				if slices.Contains(offered, s) {
					t.Errorf("%s: %s is offered", line, s)
				}
				continue
			}
			data, err := os.ReadFile("testdata/contexts.yaml")
			if err == nil {
				err = os.WriteFile(config, data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			words := append(line[1:len(line):len(line)], s+value(o))
			var out, errs bytes.Buffer
			cli.Run(t.Context(), cli.Env{
				Args: words, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
				Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": config}),
			}, mqsub.Tool())
			obeyed := !regexp.MustCompile(`unknown option|has no effect|cannot be kept|add, list, use, show or remove is missing`).MatchString(errs.String())
			if obeyed != slices.Contains(offered, s) {
				t.Errorf("mqsub %q is obeyed: %v, and is offered: %v: %s", words, obeyed, !obeyed, &errs)
			}
		}
	}
}

// value returns a value that an option could have after =.
func value(o *option.Option) string {
	switch {
	case o == nil || o.Type == option.TypeBool:
		return ""
	case len(o.Choices) > 0:
		return "=" + o.Choices[0].Value
	case o.Type == option.TypeProperty:
		return "=publish content-type x"
	}
	return "=1"
}

func TestCompletionKnowsWhereItIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, want string }{
		{"mqsub |", "words: watch stats context"},
		{"mqpub |", "words: request follow context"},
		{"mqsub watch |", "words:"},
		{"mqsub watch --js", "words:"},
		{"mqsub watch --wat", "words:"},
		{"mqsub st", "words: stats"},
		{"mqsub -v |", "words:"},
		{"mqsub con", "words: context"},
		{"mqsub context |", "words: add list use show remove"},
		{"mqsub context r", "words: remove"},
		{"mqsub context use |", "words: prod lab/2 a@b"},
		{"mqsub context use l", "words: lab/2"},
		{"mqsub context use prod |", "words:"},
		{"mqsub context show --quiet |", "words: prod lab/2 a@b"},
		{"mqsub context remove a@", "words: a@b"},
		{"mqsub context list |", "words:"},
		{"mqsub context add |", "words:"},
		{"mqsub context add x --retain-h", "words: --retain-handling"},
		{"mqsub context show --config |", "files *:"},
		{"mqsub context use --config none |", "words:"},
		{"mqsub context nonsense --", "words:"},
		{"mqsub --config=none --context |", "words:"},
		{"mqbench pub --context p", "words: prod"},
		{"mqsub -t |", "words:"},
		{"mqsub -t --", "words:"},
		{"mqsub -t a:b/ --col", "words: --color"},
		{"mqsub -t a -m --col", "words: --color"},
		{"mqsub --topic=a:b/c", "words:"},
		{"mqsub -- --col", "words:"},
		{"mqsub -t -- --col", "words: --color"},
		{"mqsub --will-topic= --col", "words: --color"},
		{"mqsub --nonsense --col", "words: --color"},
		{"mqsub -vq", "words: -vq0 -vq1 -vq2"},
		{"mqsub -vq2", "words: -vq2"},
		{"mqsub -qx", "words:"},
		{"mqsub -V3", "words: -V311 -V31"},
		{"mqpub -fa/", "files *: -f"},
		{"mqpub -f", "words: -f"},
		{"mqsub -D |", "words: connect subscribe unsubscribe disconnect will"},
		{"mqsub -D connect request-", "words: request-problem-information request-response-information"},
		{"mqsub -D connect request-problem-information |", "words: 0 1"},
		{"mqpub -D publish content-type |", "words:"},
		{"mqpub -D publish user-property k |", "words:"},
		{"mqpub -D publish user-property k v --col", "words: --color"},
		{"mqpub -D publish server", "words:"},
		{"mqsub --serve --col", "words: --color"},
		{"mqsub --serve 1884 --col", "words: --color"},
		{"mqsub --comp", "words: --completion --compat"},
		{"mqsub -v --comp", "words: --completion"},
		{"mqsub --compat=m", "words: --compat=mosquitto --compat=mosquitto_sub"},
		{"mqsub --compat mosquitto --", "words:"},
		{"mqsub --compat=mosquitto -", "words:"},
		{"mqsub --psk", "words:"},
		{"mqbench ru", "words: run"},
		{"mqbench p", "words: presets pub pubsub plot play"},
		{"mqbench --quiet |", "words:"},
		{"mqbench --listen |", "words:"},
		{"mqbench run tbmq-p", "files *.yaml *.yml: tbmq-p2p"},
		{"mqbench run rr |", "words:"},
		{"mqbench run -h b tbmq-p", "files *.yaml *.yml: tbmq-p2p"},
		{"mqbench run rr --top", "words: --topic-prefix"},
		{"mqbench presets tbmq-p", "words: tbmq-p2p"},
		{"mqbench search p", "files *.yaml *.yml: pub pubsub pairs-90s"},
		{"mqbench doctor con", "files *.yaml *.yml: conn conn-churn"},
		{"mqbench k8s --subs", "words: --subscribers"},
		{"mqbench k8s pubsub --subs", "words: --subscribers"},
		{"mqbench k8s pub --subs", "words:"},
		{"mqbench k8s rr --cl", "words:"},
		{"mqbench conn |", "words:"},
		{"mqbench report |", "files *.jsonl *:"},
		{"mqbench report a.jsonl |", "files *.jsonl *:"},
		{"mqbench merge |", "files *.jsonl *:"},
		{"mqbench plot |", "files *.jsonl *:"},
		{"mqbench diff a |", "files *.jsonl *:"},
		{"mqbench diff a b |", "words:"},
		{"mqbench collect |", "files *.jsonl *: k8s"},
		{"mqbench collect a |", "files *.jsonl *:"},
		{"mqbench collect k8s |", "words:"},
		{"mqbench play |", "files *.yaml *.yml *:"},
		{"mqbench verify --shapes pairs,fan", "words: pairs,fan-in pairs,fan-out"},
		{"mqbench verify --faults=cut,no", "words: --faults=cut,none"},
		{"mqbench verify --qos |", "words: 0 1 2"},
		{"mqbench plot --qos |", "words:"},
		{"mqbench plot --qos=", "words:"},
	} {
		words := strings.Split(strings.TrimSuffix(c.line, "|"), " ")
		a := ask(t, words...)
		got := a.kind + ": " + strings.Join(a.words, " ")
		if len(a.words) == 0 && strings.HasPrefix(a.kind, "files") {
			got = a.kind + ": " + a.stem
		}
		if strings.TrimSpace(got) != c.want {
			t.Errorf("%s: got %q, want %q", c.line, got, c.want)
		}
	}
}

// The scripts evaluate nothing that they get, and PowerShell, which is rarely installed,
// gets the same answers as fish.
func TestScriptsAndAnswers(t *testing.T) {
	t.Parallel()
	for name := range tools {
		for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
			script := tool(t, name, "--completion", shell)
			if !strings.Contains(script, "--completion") || !strings.Contains(script, name) || strings.Contains(script, "TOOL") {
				t.Errorf("%s for %s:\n%s", shell, name, script)
			}
			if regexp.MustCompile(`(?i)\beval\b|invoke-expression`).MatchString(script) {
				t.Errorf("%s for %s evaluates", shell, name)
			}
		}
	}
	for _, c := range []struct{ shell, word, want string }{
		{"bash", "--color=al", "words\n--color=\nalways\n"},
		{"zsh", "--color=al", "words\n--color=\nauto\nalways\nnever\n"},
		{"fish", "--color=al", "words\n--color=\n--color=auto\t\n--color=always\t\n--color=never\t\n"},
		{"powershell", "=--color=al", "words\n--color=\n--color=always\t\n"},
		{"powershell", "=con", "words\n\ncontext\tnamed sets of options in the configuration file\n"},
		{"bash", "", "words\n\nwatch\nstats\ncontext\n"},
		{"zsh", "st", "words\n\nwatch:show the latest message of every topic, on a terminal\nstats:print how many messages come in each second\n" +
			"context:named sets of options in the configuration file\n"},
	} {
		if got := tool(t, "mqsub", "--completion", c.shell, "--", c.word); got != c.want {
			t.Errorf("%s, %q: got %q, want %q", c.shell, c.word, got, c.want)
		}
	}
	if got := tool(t, "mqbench", "--completion", "bash", "--", "verify", "--faults=a\nb,c"); got != "" {
		t.Errorf("a word of two lines: got %q", got)
	}
}

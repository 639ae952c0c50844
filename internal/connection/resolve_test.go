package connection

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// --show-config shows what a run uses and refuses what a run refuses, for every two of the
// options that select a broker, from every two origins.
func TestShowConfigSaysWhatARunUses(t *testing.T) {
	t.Parallel()
	options := [...]struct{ name, value string }{
		{"host", "h.example"}, {"port", "1999"}, {"url", "mqtt://u.example:1998"}, {"unix", "/run/x"}, {"ws", "true"}, {"ws-path", "/p"},
	}
	places := [...]string{"user", "context", "environment", "file", "flag"}
	dir := t.TempDir()
	n := 0
	for i, a := range options {
		for _, b := range options[i+1:] {
			for _, placeA := range places {
				for _, placeB := range places {
					n++
					parts := map[string][]string{}
					env := map[string]string{}
					var file, args []string
					for _, x := range []struct{ place, name, value string }{{placeA, a.name, a.value}, {placeB, b.name, b.value}} {
						switch x.place {
						case "environment":
							env["MQ_"+strings.ToUpper(strings.ReplaceAll(x.name, "-", "_"))] = x.value
						case "flag":
							args = append(args, "--"+x.name+"="+x.value)
						case "file":
							file = append(file, "--"+x.name+"="+x.value)
						default:
							parts[x.place] = append(parts[x.place], fmt.Sprintf("%s: %q", x.name, x.value))
						}
					}
					config := filepath.Join(dir, strconv.Itoa(n))
					text := "current-context: c\ndefaults: {" + strings.Join(parts["user"], ", ") + "}\ncontexts: {c: {" + strings.Join(parts["context"], ", ") + "}}\n"
					text = strings.ReplaceAll(text, `ws: "true"`, "ws: true")
					if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
					args = append(args, "--config", config)
					if file != nil {
						path := config + ".o"
						if err := os.WriteFile(path, []byte(strings.Join(file, "\n")+"\n"), 0o600); err != nil {
							t.Fatal(err)
						}
						args = append(args, "-o", path)
					}
					run := func(args ...string) (used string, code int, stdout, stderr string) {
						var out, errs strings.Builder
						code = cli.Run(t.Context(), cli.Env{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Lookup: option.MapEnv(env)},
							cli.Tool{Program: option.Program{Name: "mqsub", Bit: option.Sub}, Resolve: Resolve, Run: func(ctx context.Context, inv *cli.Invocation) error {
								c, err := New(ctx, inv)
								if err == nil {
									used = strconv.Quote(c.targets[0].Redacted())
								}
								return err
							}})
						return used, code, out.String(), errs.String()
					}
					used, code, _, stderr := run(args...)
					_, showCode, page, showErr := run(append(args, "--show-config")...)
					first, _, _ := strings.Cut(page, "\n")
					if code != showCode || stderr != showErr || code == 0 && !strings.HasPrefix(first, "broker ") || code == 0 && strings.Fields(first)[1] != used {
						t.Errorf("%s in %s, %s in %s: the run: status %d, %s, %q; --show-config: %d, %q, %q", a.name, placeA, b.name, placeB, code, used, stderr, showCode, first, showErr)
					}
					// A weaker option does not change the target.
					if code == 0 && a.name == "host" && b.name == "url" {
						want := map[bool]string{true: `"mqtt://u.example:1998"`, false: `"mqtt://h.example:1883"`}[rank(places[:], placeB) >= rank(places[:], placeA)]
						if used != want {
							t.Errorf("host in %s, url in %s: %s, want %s", placeA, placeB, used, want)
						}
						if warned := strings.Contains(stderr, "MQ_HOST has no effect beside MQ_URL"); warned != (placeA == "environment" && placeB == "environment") {
							t.Errorf("host in %s, url in %s: %q", placeA, placeB, stderr)
						}
					}
				}
			}
		}
	}
}

func rank(places []string, place string) int {
	for i, p := range places {
		if p == place {
			return i
		}
	}
	return -1
}

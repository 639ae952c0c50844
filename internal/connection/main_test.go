package connection

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

func TestMain(m *testing.M) {
	for _, name := range os.Environ() {
		name, _, _ = strings.Cut(name, "=")
		if strings.HasPrefix(name, "MQ") || strings.Contains(name, "COLOR") || name == "TERM" {
			_ = os.Unsetenv(name)
		}
	}
	goleak.VerifyTestMain(m)
}

// outcome is the result of a run.
type outcome struct {
	code           int
	stdout, stderr string
}

func runTool(ctx context.Context, bit option.ToolSet, run func(context.Context, *cli.Invocation) error, env map[string]string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	tool := cli.Tool{Program: option.Program{Name: "mqsub", Bit: bit, Usage: "[OPTION]..."}, Resolve: Resolve, Run: run}
	code := cli.Run(ctx, cli.Env{Args: args, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Lookup: option.MapEnv(env)}, tool)
	return outcome{code, stdout.String(), stderr.String()}
}

func returns(err error) func(context.Context, *cli.Invocation) error {
	return func(context.Context, *cli.Invocation) error { return err }
}

// optionsIn writes an options file.
func optionsIn(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "options")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

package mqbench

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// toolVar makes the test binary act as mqbench, for runs in several processes.
const toolVar = "MQBENCH_TEST_TOOL"

func TestMain(m *testing.M) {
	if os.Getenv(toolVar) != "" {
		os.Exit(cli.Main(Tool()))
	}
	for _, name := range os.Environ() {
		if name, _, _ = strings.Cut(name, "="); strings.HasPrefix(name, "MQ") {
			_ = os.Unsetenv(name)
		}
	}
	_ = os.Setenv(toolVar, "1") // for the children
	os.Exit(m.Run())
}

// outcome is the result of a run of mqbench.
type outcome struct {
	out, err string
	code     int
}

// mqbench runs the tool, with variables NAME=VALUE before the words.
func mqbench(t *testing.T, words ...string) outcome {
	t.Helper()
	vars := map[string]string{"MQ_CONFIG": "none"}
	for len(words) > 0 && strings.Contains(words[0], "=") && !strings.HasPrefix(words[0], "-") {
		name, value, _ := strings.Cut(words[0], "=")
		vars[name], words = value, words[1:]
	}
	var out, errs bytes.Buffer
	code := cli.Run(t.Context(), cli.Env{Args: words, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Lookup: option.MapEnv(vars)}, Tool())
	return outcome{out.String(), errs.String(), code}
}

// refused runs mqbench with a command line that it refuses.
func refused(t *testing.T, want string, words ...string) {
	t.Helper()
	if r := mqbench(t, words...); r.code != option.ExitUsage || r.out != "" || !strings.HasPrefix(r.err, "mqbench: "+want) {
		t.Errorf("mqbench %s: status %d, stdout %q, stderr %q; want 2 and %q", strings.Join(words, " "), r.code, r.out, r.err, want)
	}
}

// file writes a file, and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (o outcome) parts() (out, err string, code int) { return o.out, o.err, o.code }

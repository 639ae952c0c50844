package option

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func optionsIn(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "options")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOptionsFile(t *testing.T) {
	t.Parallel()
	path := optionsIn(t, "\ufeff# comment\n\n-h from.file\r\n  --port 1884\n-t a b \n--topic  c\n-v\n-q 1\n--retain-handling=new\n"+
		"-D subscribe user-property key some value\n-u me\n-P secret\n-i last")
	v, _, err := Parse(Table(Sub), []string{"-o", path, "-h", "from.argv", "-t", "d"}, MapEnv(map[string]string{"MQ_PORT": "1", "MQ_KEEPALIVE": "5"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(v.Topic.Texts(), "|"); got != "a b | c|d" {
		t.Errorf("topics %q: blanks belong to the value, and lists grow", got)
	}
	p := v.Property.Properties()
	if len(p) != 1 || p[0] != (Property{"subscribe", "user-property", "key", "some value"}) {
		t.Errorf("property %+v", p)
	}
	for name, want := range map[string]string{"host": "from.argv", "id": "last", "retain-handling": "new"} {
		if got := v.Of(name).Text(); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if v.Port.Int() != 1884 || v.Port.Origin() != OriginFile || v.Port.Name() != path+":4: --port" || !v.Verbose.On() {
		t.Errorf("port %d from %v as %s", v.Port.Int(), v.Port.Origin(), v.Port.Name())
	}
	shown := ShowConfig(v, Table(Sub), nil, nil)
	for _, want := range []string{`"from.argv"`, path + ":4", "MQ_KEEPALIVE", "***", "default"} {
		if !strings.Contains(shown, want) {
			t.Errorf("--show-config has no %q:\n%s", want, shown)
		}
	}
	if strings.Contains(shown, "secret") {
		t.Errorf("--show-config prints the password:\n%s", shown)
	}
}

func TestOptionsFilesAreRefusedByPathAndLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"-h x\n--nonsense 1": `:2: unknown option "--nonsense"`,
		"-q 3":               `:1: --qos: invalid value "3" (want 0, 1 or 2)`,
		"-v yes":             `:1: -v takes no value, and has "yes"`,
		"host x":             `:1: "host" is not an option`,
		"-o other":           ":1: --options-file is not allowed in a file",
		"--help":             ":1: --help is not allowed in a file",
		"-h":                 ":1: -h needs a value",
		"-h a\x00b":          ":1: a null character",
		"-D publish x":       ":1: ",
		"\t-h x":             ":1: ",
	} {
		path := optionsIn(t, text)
		_, _, err := Parse(Table(Sub), []string{"-o", path}, nil)
		if err == nil || !strings.HasPrefix(err.Error(), path+want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	for _, argv := range [][]string{{"-o", "/nonexistent"}, {"-o", t.TempDir()}, {"-o", optionsIn(t, ""), "-o", optionsIn(t, "")}} {
		if _, _, err := Parse(Table(Sub), argv, nil); err == nil {
			t.Errorf("%q: no error", argv)
		}
	}
}

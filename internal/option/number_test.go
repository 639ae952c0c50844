package option

import (
	"testing"

	"github.com/mqtools/mqtools/internal/units"
)

func TestParseInt(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int64{"0": 0, "010": 10, "-5": -5, "65535": 65535} {
		if got, err := parseInt(s); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "-", "--5", "+5", "0x10", "1_0", "1.0", "12abc", " 1", "1e2", "٥"} {
		if got, err := parseInt(s); err != errNotInt {
			t.Errorf("%q: got %d, %v, want a refusal", s, got, err)
		}
	}
	if _, err := parseInt("-99999999999999999999"); err != units.ErrTooLarge {
		t.Errorf("got %v, want too large", err)
	}
}

func TestParseEscaped(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{`\n`: "\n", `\0`: "\x00", `\t\r\\`: "\t\r\\", `--`: "--", `\x0aZ`: "\nZ", "\n": "\n", "é": "é"} {
		if got, err := parseEscaped(s); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", s, got, err, want)
		}
	}
	for _, s := range []string{``, `\`, `a\`, `\q`, `\x`, `\x1`, `\xzz`, `\x+1`} {
		if got, err := parseEscaped(s); err == nil {
			t.Errorf("%q: got %q, want a refusal", s, got)
		}
	}
}

func TestParseListen(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"unix:s": "unix:s", "UNIX:s": "UNIX:s", "mqtt+unix:s": "mqtt+unix:s",
		"1884": "127.0.0.1:1884", "0": "127.0.0.1:0", ":1884": ":1884", "localhost:1": "localhost:1", "[::1]:1884": "[::1]:1884", "/run/x.sock": "/run/x.sock",
	} {
		if got, err := parseListen(s); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", s, got, err, want)
		}
	}
	for _, s := range []string{"", "localhost", "65536", "a:b", "::1", "::1:1884", "a:-1", "[::1]"} {
		if got, err := parseListen(s); err == nil {
			t.Errorf("%q: got %q, want a refusal", s, got)
		}
	}
}

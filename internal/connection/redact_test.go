package connection

import (
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// TestSecretsAreMaskedEverywhere puts a secret in each place that can hold one.
func TestSecretsAreMaskedEverywhere(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, c := range []struct {
		words []string
		shown string // the value as it is shown
		safe  bool   // it holds no secret
	}{
		{[]string{"-P", secret, "-u", "joe"}, "***", false},
		{[]string{"-L", "mqtt://joe:" + secret + "@h"}, "mqtt://joe:***@h", false},
		{[]string{"-L", "ws://h/mqtt?token=" + secret}, "/mqtt?***", false},
		{[]string{"-L", "mqtt://joe@h"}, "mqtt://joe@h", true},
		{[]string{"--ws-path", "/mqtt?token=" + secret}, "/mqtt?***", false},
		{[]string{"--ws-path", "/mqtt"}, "/mqtt", true},
		{[]string{"--ws", "--ws-header", "Authorization: Bearer " + secret}, "***", false},
		{[]string{"--proxy", "socks5://joe:" + secret + "@h"}, "socks5://***@h:1080", false},
		{[]string{"--proxy", "http://h:3128"}, "http://h:3128", true},
		{[]string{"-D", "connect", "authentication-method", "x", "-D", "connect", "authentication-data", secret}, "connect authentication-data ***", false},
		{[]string{"-D", "CONNECT", "Authentication-Data", secret, "-D", "connect", "authentication-method", "x"}, "authentication-data ***", false},
		{[]string{"-D", "connect", "user-property", "a", "b"}, "connect user-property a b", true},
	} {
		check := func(where, text string) {
			t.Helper()
			if strings.Contains(text, secret) || !strings.Contains(strings.ToLower(text), c.shown) {
				t.Errorf("%q: %s is %s", c.words, where, text)
			}
		}
		_, got := valuesOf(t, cli.Env{Args: append([]string{"-t", "t", "--show-config"}, c.words...)}, option.Sub)
		check("--show-config", got.stdout)
		check("the record of the command line", strings.Join(option.RedactArgs(option.Table(option.Sub), c.words), " "))
		env, _ := homeWith(t, "")
		add := contextTool(env, append([]string{"add", "x"}, c.words...)...)
		if add.code != 0 || strings.Contains(add.stderr, "secret in plain text") == c.safe {
			t.Errorf("%q: context add: %+v", c.words, add)
		}
		check("context show", contextTool(env, "show", "x").stdout)
		if list := contextTool(env, "list"); strings.Contains(list.stdout, secret) {
			t.Errorf("%q: context list: %s", c.words, list.stdout)
		}
	}
}

package cli

import (
	"cmp"
	"os"
	"runtime"
	"strings"
)

// StderrSize is TerminalSize of the stream to which the tool talks.
func (e *Env) StderrSize() (width, height int) {
	w := e.Stderr
	if c, ok := w.(*catchFirst); ok {
		w = c.w
	}
	f, _ := w.(*os.File)
	return TerminalSize(f)
}

// Getenv is a variable of the environment; "" where there is none.
func (e *Env) Getenv(name string) string { return e.getenv(name) }

// UTF8 tells whether the user's locale writes UTF-8, as all terminals of Windows
// and macOS do.
func (e *Env) UTF8() bool {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return true
	}
	locale := strings.ToLower(cmp.Or(e.getenv("LC_ALL"), e.getenv("LC_CTYPE"), e.getenv("LANG")))
	return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}

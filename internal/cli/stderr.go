package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/fatih/color"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/fileerror"
)

// Talk is a tool's messages on stderr: whole lines that begin with its name, lower case,
// without full stop. Every line is one Write; methods may be called from several
// goroutines. Text may be untrusted: control characters are printed escaped, so a line
// stays one line. A failed write is ignored, because it cannot be reported.
type Talk struct {
	mu    sync.Mutex
	w     io.Writer
	name  string
	quiet bool
	debug bool
	red   *color.Color
	amber *color.Color

	errorWord, warningWord string // the prefix of errors and warnings
	mute                   bool   // errors are not printed either
}

// NewTalk returns a Talk for the tool called name. quiet turns off warnings and infos,
// debug turns on Debugf.
func NewTalk(w io.Writer, name string, quiet, debug, colored bool) *Talk {
	return &Talk{
		w:     w,
		name:  name,
		quiet: quiet,
		debug: debug,
		red:   NewColor(colored, color.FgRed),
		amber: NewColor(colored, color.FgYellow),

		errorWord:   name + ": ",
		warningWord: name + ": ",
	}
}

// Errorf prints an error. quiet does not turn it off.
func (t *Talk) Errorf(format string, args ...any) {
	if !t.mute {
		t.line(t.errorWord, t.red, format, args)
	}
}

// Warnf prints a warning: "mqsub: warning: ...".
func (t *Talk) Warnf(format string, args ...any) {
	if !t.quiet {
		t.line(t.warningWord, t.amber, "warning: "+format, args)
	}
}

// Infof reports progress, such as a lost connection.
func (t *Talk) Infof(format string, args ...any) {
	if !t.quiet {
		t.line(t.name+": ", nil, format, args)
	}
}

// InfoEnabled reports whether Infof prints anything.
func (t *Talk) InfoEnabled() bool { return !t.quiet }

// Debugf prints a detail for --debug.
func (t *Talk) Debugf(format string, args ...any) {
	if t.debug {
		t.line(t.name+": ", nil, format, args)
	}
}

// Red returns text in the color of errors, if lines are colored.
func (t *Talk) Red(text string) string { return t.red.Sprint(text) }

// DebugEnabled reports whether Debugf prints anything, for callers that can save the work.
func (t *Talk) DebugEnabled() bool { return t.debug }

func (t *Talk) line(begin string, c *color.Color, text string, args []any) {
	fileerror.ExplainAll(args)
	text = format.Escape(Shorten(fmt.Sprintf(text, args...)))
	if c != nil {
		text = c.Sprint(text)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = io.WriteString(t.w, begin+text+"\n")
}

// mostText is the length of the longest text of a line, in bytes. A reason string of a
// broker or a topic may have 64 KiB.
const mostText = 1000

// Shorten removes the middle of a long text, whose beginning says what it is about and
// whose end says what is wrong.
func Shorten(text string) string {
	if len(text) <= mostText {
		return text
	}
	head, tail := mostText*3/4, len(text)-mostText/4
	for head > 0 && !utf8.RuneStart(text[head]) {
		head--
	}
	for tail < len(text) && !utf8.RuneStart(text[tail]) {
		tail++
	}
	return fmt.Sprintf("%s... (%d bytes) ...%s", text[:head], tail-head, text[tail:])
}

// Problem prints an error and its hint, except the hint printed last, and returns the hint.
func (t *Talk) Problem(err error, last string) (hint string) {
	t.Errorf("%s", err)
	hint = cmp.Or(HintOf(err), HintOf(fileerror.Explain(err)))
	if hint != "" && hint != last {
		for line := range strings.SplitSeq(hint, "\n") {
			t.line(t.name+": ", nil, "%s", []any{line})
		}
	}
	return hint
}

// problem prints an error and its hint, or fallback if it has none.
func (t *Talk) problem(err error, fallback string) {
	if t.Problem(err, "") == "" && fallback != "" {
		t.line(t.name+": ", nil, "%s", []any{fallback})
	}
}

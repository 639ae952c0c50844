package cli

import (
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/fatih/color"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/fileerror"
)

// Talk is what a tool says on stderr: whole lines that begin with its name,
// lower case, without full stop. Every line is one Write, whatever goroutine
// it comes from. Text may be untrusted: control characters are shown escaped,
// so a line stays one line. A failed write is ignored; there is nobody left to
// tell.
type Talk struct {
	mu    sync.Mutex
	w     io.Writer
	name  string
	quiet bool
	debug bool
	red   *color.Color
	amber *color.Color

	errorWord, warningWord string // what their lines begin with
	mute                   bool   // errors are not told either
}

// NewTalk makes a Talk for the tool called name. Quiet mutes warnings and
// infos, debug lets Debugf speak.
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

// Errorf tells an error. Quiet does not mute it.
func (t *Talk) Errorf(format string, args ...any) {
	if !t.mute {
		t.line(t.errorWord, t.red, format, args)
	}
}

// Warnf tells a warning: "mqsub: warning: ...".
func (t *Talk) Warnf(format string, args ...any) {
	if !t.quiet {
		t.line(t.warningWord, t.amber, "warning: "+format, args)
	}
}

// Infof tells what is going on, as a lost connection.
func (t *Talk) Infof(format string, args ...any) {
	if !t.quiet {
		t.line(t.name+": ", nil, format, args)
	}
}

// Talks reports whether Infof is heard.
func (t *Talk) Talks() bool { return !t.quiet }

// Debugf tells a detail for --debug.
func (t *Talk) Debugf(format string, args ...any) {
	if t.debug {
		t.line(t.name+": ", nil, format, args)
	}
}

// Red is a text in the colour of errors, if lines have colours.
func (t *Talk) Red(text string) string { return t.red.Sprint(text) }

// Debugging reports whether Debugf speaks, for callers that save the work.
func (t *Talk) Debugging() bool { return t.debug }

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

// mostText is the longest text of a line, in bytes: what a broker says may have 64 KiB,
// and so may a topic.
const mostText = 1000

// Shorten leaves out the middle of a long text, whose beginning says what it is about
// and whose end what is wrong.
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

// Problem tells an error and its hint, unless that is the one told last, and returns
// the hint.
func (t *Talk) Problem(err error, last string) (hint string) {
	t.Errorf("%s", err)
	if hint = HintOf(err); hint == "" {
		hint = HintOf(fileerror.Explain(err))
	}
	if hint != "" && hint != last {
		t.line(t.name+": ", nil, "%s", []any{hint})
	}
	return hint
}

// problem tells an error and its hint, or else fallback.
func (t *Talk) problem(err error, fallback string) {
	if t.Problem(err, "") == "" && fallback != "" {
		t.line(t.name+": ", nil, "%s", []any{fallback})
	}
}

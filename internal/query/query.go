// Package query evaluates jq expressions over messages.
//
// All expressions of a run look at one Item, the message under work, which is decoded at most
// once. An expression sees the payload as ".": the value if it is JSON, else a string if it is
// text, and null if it is empty or binary; $encoding is "json", "text", "empty" or "binary".
// $topic, $levels, $qos, $retain, $dup, $tst and $props describe the message, and $message is
// its whole record, as --json --json-payload prints it.
//
// Payloads come from strangers. An expression ends after a second, 10,000 results or 64 MiB of
// output, and operations whose result can be much larger than their operands are bounded; an
// expression that exceeds a bound fails for that message alone. There is no access to the
// environment, to files or to other messages.
package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/itchyny/gojq"
)

// The bounds of an evaluation.
const (
	timeLimit   = time.Second
	maxResults  = 10_000
	maxOutput   = 64 << 20 // bytes
	maxPayload  = 16 << 20 // bytes of a payload that is decoded
	maxValues   = 1 << 20  // values in a payload
	maxDigits   = 1000     // of a number
	maxProduct  = maxOutput
	maxIndex    = 1 << 20 // of an element that is assigned to, if it is computed
	maxBigBits  = 1 << 16 // of the factors of a multiplication
	programSize = 1 << 20 // bytes
)

// Options configures Compile.
type Options struct {
	// Args are variables, without $, with their texts.
	Args map[string]string
	// Condition refuses operators that change the value, such as "=" where "==" is meant.
	Condition bool
	// Debug, if not nil, is what the function debug calls with a value as JSON.
	Debug func(text string)
}

// SyntaxError is the error of Compile.
type SyntaxError struct {
	Source string
	Column int // in characters, from 1; 0: unknown
	Line   int // from 1
	Text   string
}

func (e *SyntaxError) Error() string {
	switch {
	case e.Column == 0:
		return e.Text
	case e.Line > 1 || strings.Contains(e.Source, "\n"):
		return fmt.Sprintf("%s (line %d, column %d)", e.Text, e.Line, e.Column)
	}
	return fmt.Sprintf("%s (column %d)", e.Text, e.Column)
}

// Excerpt returns the line of the error and a line with a caret under its column, or "" if
// the column is not known.
func (e *SyntaxError) Excerpt() string {
	if e.Column == 0 {
		return ""
	}
	line := strings.Split(e.Source, "\n")[e.Line-1]
	if runes := []rune(line); len(runes) > 76 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == utf8.RuneError || r == 0x7f }) {
		return ""
	}
	return line + "\n" + strings.Repeat(" ", e.Column-1) + "^"
}

// at returns the error for a byte offset of the source.
func at(src string, offset int, text string) *SyntaxError {
	before := src[:min(max(offset, 0), len(src))]
	begin := strings.LastIndexByte(before, '\n') + 1
	return &SyntaxError{Source: src, Text: text, Line: 1 + strings.Count(before, "\n"), Column: 1 + utf8.RuneCountInString(before[begin:])}
}

// Expr is a compiled expression. It must be used by one goroutine at a time.
type Expr struct {
	code     *gojq.Code
	uses     []string // variables of the message that it uses, in the order of their values
	values   []any    // reused: those of uses, then those of Options.Args
	identity bool     // it is "."
	cond     *condition
	limit    deadline
}

// variables are those of a message. $message is last: it costs the most.
var variables = [...]string{"$topic", "$levels", "$qos", "$retain", "$dup", "$tst", "$props", "$encoding", "$message"}

// Compile checks and compiles an expression. Its error is a *SyntaxError.
func Compile(src string, opt Options) (*Expr, error) {
	if len(src) > programSize {
		return nil, &SyntaxError{Source: src, Text: "the expression is too long"}
	}
	q, err := gojq.Parse(src)
	if err != nil {
		if pe, ok := errors.AsType[*gojq.ParseError](err); ok {
			return nil, at(src, pe.Offset-len(pe.Token), strings.Replace(pe.Error(), "unexpected EOF", "unexpected end", 1))
		}
		return nil, &SyntaxError{Source: src, Text: err.Error()}
	}
	e := &Expr{identity: isIdentity(q)}
	e.limit.span = timeLimit
	if opt.Condition {
		e.cond = conditionOf(q)
	}
	used, err := guard(q, opt.Condition)
	if err != nil {
		return nil, &SyntaxError{Source: src, Text: err.Error()}
	}
	var names []string
	for _, v := range variables {
		if used[v] {
			names = append(names, v)
		}
	}
	e.uses = slices.Clone(names)
	e.values = make([]any, len(names), len(names)+len(opt.Args))
	for name, text := range opt.Args {
		names, e.values = append(names, "$"+name), append(e.values, text)
	}
	e.code, err = gojq.Compile(q, append(functions(opt.Debug), gojq.WithVariables(names))...)
	if err != nil {
		return nil, &SyntaxError{Source: src, Text: explained(err)}
	}
	return e, nil
}

// explained returns the text of an error of the compiler.
func explained(err error) string {
	text := err.Error()
	if strings.HasPrefix(text, "variable not defined: $") {
		return text + "; a message has " + strings.Join(variables[:], " ")
	}
	return text
}

// CheckArg reports whether a name can be that of a variable of Options.Args.
func CheckArg(name string) error {
	for i, c := range []byte(name) {
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return errors.New("want letters, digits and _")
		}
	}
	switch {
	case name == "":
		return errors.New("want NAME=TEXT")
	case slices.Contains(variables[:], "$"+name), name == "ENV", name == "__loc__":
		return fmt.Errorf("$%s has a meaning of its own", name)
	}
	return nil
}

// Halt is the error of an expression that has called halt or halt_error.
type Halt struct {
	Failed bool
	Text   string // what halt_error prints; "" for halt
}

func (h *Halt) Error() string {
	if !h.Failed {
		return "halt"
	}
	return "halt_error: " + h.Text
}

var (
	errTime    = fmt.Errorf("takes longer than %v", timeLimit)
	errResults = fmt.Errorf("has more than %d results", maxResults)
)

// run calls yield with the results. The error of the evaluation is a *Halt or concerns only
// this message; an error of yield ends it.
func (e *Expr) run(it *Item, yield func(v any) error) error {
	v, err := it.decode()
	if err != nil {
		return err
	}
	for i, name := range e.uses {
		if e.values[i], err = it.variable(name); err != nil {
			return err
		}
	}
	ctx := e.limit.begin()
	defer e.limit.end()
	results := e.code.RunWithContext(ctx, v, e.values...)
	for n := 0; ; n++ {
		v, ok := results.Next()
		if !ok {
			return nil
		}
		if err, failed := v.(error); failed {
			return failure(err)
		}
		if n == maxResults {
			return errResults
		}
		if err := yield(v); err != nil {
			return err
		}
	}
}

// failure converts an error of an evaluation.
func failure(err error) error {
	if h, ok := errors.AsType[*gojq.HaltError](err); ok {
		if h.ExitCode() == 0 {
			return &Halt{}
		}
		text, textErr := AppendText(nil, h.Value())
		if textErr != nil {
			text = []byte(textErr.Error())
		}
		return &Halt{Failed: true, Text: strings.TrimRight(string(text), "\n")}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errTime
	}
	text := err.Error()
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + " …"
	}
	return errors.New(text)
}

// True reports whether the first result is anything but false and null.
func (e *Expr) True(it *Item) (bool, error) {
	if e.cond != nil {
		if is, sure := e.cond.holds(it.Message.Payload); sure {
			return is, nil
		}
	}
	is := false
	err := e.run(it, func(v any) error {
		is = v != nil && v != false
		return errFirst
	})
	if errors.Is(err, errFirst) {
		err = nil
	}
	return is, err
}

var errFirst = errors.New("the first result is enough")

// Results are what an expression makes of a message: texts, which are valid until the next
// use.
type Results struct {
	buf  []byte
	ends []int
}

// Len returns the number of results.
func (r *Results) Len() int { return len(r.ends) }

// All returns the results one after the other, without anything between them.
func (r *Results) All() []byte { return r.buf }

// At returns a result.
func (r *Results) At(i int) []byte {
	begin := 0
	if i > 0 {
		begin = r.ends[i-1]
	}
	return r.buf[begin:r.ends[i]]
}

// Results evaluates the expression and puts its results into r: JSON on one line, or, unless
// quoted is set, strings as they are. If there is an error, r has the results before it.
func (e *Expr) Results(it *Item, quoted bool, r *Results) error {
	r.buf, r.ends = r.buf[:0], r.ends[:0]
	if e.identity && it.appendOwn(r, quoted) {
		return nil
	}
	return e.run(it, func(v any) (err error) {
		n := len(r.buf)
		if quoted {
			r.buf, err = AppendJSON(r.buf, v)
		} else {
			r.buf, err = AppendText(r.buf, v)
		}
		if err == nil && len(r.buf) > maxOutput {
			err = errOutput
		}
		if err != nil {
			r.buf = r.buf[:n]
			return err
		}
		r.ends = append(r.ends, len(r.buf))
		return nil
	})
}

// deadline is a context that ends some time after its latest begin. It is made once: a new
// context and timer for each message would cost as much as a small expression.
type deadline struct {
	span  time.Duration
	timer *time.Timer
	done  chan struct{}
}

func (d *deadline) begin() context.Context {
	if d.timer == nil {
		done := make(chan struct{})
		d.done = done
		d.timer = time.AfterFunc(d.span, func() { close(done) })
	} else {
		d.timer.Reset(d.span)
	}
	return d
}

func (d *deadline) end() {
	if !d.timer.Stop() { // it has expired, or is about to
		d.timer = nil
	}
}

// Deadline implements context.Context.
func (d *deadline) Deadline() (t time.Time, ok bool) { return t, false }

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} { return d.done }

// Err implements context.Context.
func (d *deadline) Err() error {
	select {
	case <-d.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Value implements context.Context.
func (d *deadline) Value(any) any { return nil }

package mqsub

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/query"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// stages are what a message passes between the filters of its topic and flags and the output.
// There is one order for all combinations: --until looks at it; --where, --grep, --changed and
// --throttle pass it or not; after --random-filter, --count N/topic does; --jq makes the
// output. All look at one message under work, which is decoded once.
type stages struct {
	inv  *cli.Invocation
	item query.Item

	until    *query.Expr
	where    []*query.Expr
	grep     []*regexp.Regexp
	changed  bool
	by       *query.Expr // nil: the payload
	throttle time.Duration
	last     bool  // the last message of each time passes, not the first
	perTopic int64 // messages of each topic; 0: any number
	jq       *query.Expr
	quoted   bool // results are JSON
	strict   bool

	topics  topicTable
	tick    time.Time // when what is held is due; zero: nothing is
	started time.Time // of the first message; ticks are whole multiples of throttle later
	wanted  map[string]bool
	full    int // of the topics wanted, those that have perTopic messages

	results query.Results
	value   query.Results // of by
	reached bool          // until was true
	halted  bool          // by halt or halt_error in an expression

	problems map[string]bool // texts that were reported
	failures uint64          // messages for which an expression failed
	warned   struct{ topics, held bool }
}

// problemsMost is how many different failures of expressions are reported.
const problemsMost = 20

// readStages reads the options of expressions and conditions.
func (j *job) readStages() error {
	v := j.inv.Values
	s := &stages{inv: j.inv, strict: v.Strict.On(), throttle: v.Throttle.Duration(), last: v.Throttle.Suffixed()}
	args := map[string]string{}
	for _, a := range v.Arg.Texts() {
		name, text, ok := strings.Cut(a, "=")
		if err := query.CheckArg(name); err != nil || !ok {
			return v.Arg.Invalid("variable", a, "%v", cmp.Or(err, errors.New("want NAME=TEXT")))
		}
		args[name] = text
	}
	debug := func(text string) { j.inv.Infof("debug: %s", text) }
	compile := func(val *option.Value, text string, condition bool) (*query.Expr, error) {
		e, err := query.Compile(text, query.Options{Args: args, Condition: condition, Debug: debug})
		if syntax, ok := errors.AsType[*query.SyntaxError](err); ok {
			return nil, expressionError(val, syntax)
		}
		return e, err
	}
	var err error
	if v.Until.Given() {
		if s.until, err = compile(v.Until, v.Until.Text(), true); err != nil {
			return err
		}
	}
	for _, text := range v.Where.Texts() {
		e, err := compile(v.Where, text, true)
		if err != nil {
			return err
		}
		s.where = append(s.where, e)
	}
	for _, text := range v.Grep.Texts() {
		re, err := regexp.Compile(text)
		if err != nil {
			return v.Grep.Invalid("regular expression", text, "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		s.grep = append(s.grep, re)
	}
	if v.Changed.Given() {
		if s.changed = true; v.Changed.Text() != v.Changed.Opt.Implied {
			if s.by, err = compile(v.Changed, v.Changed.Text(), true); err != nil {
				return err
			}
		}
	}
	if v.Count.Suffixed() {
		s.perTopic, j.limit = v.Count.Int64(), 0
		s.wanted = exactTopics(j.subs)
	}
	if v.JQ.Given() {
		text, err := expressionOf(v.JQ)
		if err != nil {
			return err
		}
		if s.jq, err = compile(v.JQ, text, false); err != nil {
			return err
		}
		form := j.form
		if f, ok := form.(*format.Stamped); ok {
			form = f.Formatter
		}
		switch f := form.(type) {
		case *format.Record:
			f.JSONPayload, s.quoted = true, true
		case *format.Influx: // a text is a field
			s.quoted = true
		case *format.Plain:
			f.Blank = true
		case *format.Escaped:
			f.Blank = true
		}
	}
	if s.until != nil || s.where != nil || s.grep != nil || s.changed || s.throttle > 0 || s.perTopic > 0 || s.jq != nil {
		j.stages = s
	}
	return nil
}

// expressionOf returns the expression of --jq, which @FILE names.
func expressionOf(val *option.Value) (string, error) {
	path, isFile := strings.CutPrefix(val.Text(), "@")
	if !isFile || !startsPath(path) {
		return val.Text(), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", option.Usagef("%s: %v", val.Name(), err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20+1))
	if err != nil {
		return "", option.Usagef("%s: %v", val.Name(), err)
	}
	return string(b), nil
}

// startsPath distinguishes the name of a file from a format such as @csv, which an expression
// may begin with: it names a file that exists, or cannot be a format.
func startsPath(path string) bool {
	for _, form := range [...]string{"text", "json", "html", "uri", "urid", "csv", "tsv", "sh", "base64", "base64d", "base32", "base32d"} {
		if rest, is := strings.CutPrefix(path, form); is && (rest == "" || strings.ContainsAny(rest[:1], " |,\"\n\t")) {
			return false
		}
	}
	return true
}

// expressionError returns the error for an expression that cannot be compiled. Its hint shows
// the place.
func expressionError(val *option.Value, err *query.SyntaxError) error {
	usage := option.Usagef("%s: invalid expression: %v", val.Name(), err)
	usage.Help = err.Excerpt()
	return usage
}

// exactTopics returns the topics of subscriptions without wildcards, or nil if one has some.
func exactTopics(subs []mqtt.Subscription) map[string]bool {
	all := map[string]bool{}
	for _, s := range subs {
		name := s.Filter
		if group, ok := strings.CutPrefix(name, "$share/"); ok {
			_, name, _ = strings.Cut(group, "/")
		}
		if strings.ContainsAny(name, "+#") {
			return nil
		}
		all[name] = true
	}
	return all
}

// admit reports whether a message passes the conditions, and whether it is the last one that
// the run looks at. A message that is held for later does not pass.
func (s *stages) admit(m *mqtt.Message, now time.Time) (pass, last bool, err error) {
	s.item.Set(m, now)
	if s.until != nil {
		is, err := s.until.True(&s.item)
		if s.reached = is; err != nil {
			if last, err = s.failed("--until", err); last || err != nil {
				return false, last, err
			}
		}
		last = s.reached
	}
	for _, e := range s.where {
		is, err := e.True(&s.item)
		if err != nil {
			ends, err := s.failed("--where", err)
			return false, last || ends, err
		}
		if !is {
			return false, last, nil
		}
	}
	if s.grep != nil && !s.matches(m.Payload) {
		return false, last, nil
	}
	if !s.changed && s.throttle == 0 {
		return true, last, nil
	}
	state := s.topics.of(m.Topic)
	if s.topics.forgot && !s.warned.topics {
		s.warned.topics = true
		s.inv.Warnf("more than %d topics: those that are silent longest are forgotten and begin again", topicsMost)
	}
	if s.changed {
		value := m.Payload
		if s.by != nil {
			if err := s.by.Results(&s.item, true, &s.value); err != nil {
				ends, err := s.failed("--changed", err)
				return false, last || ends, err
			}
			value = s.value.All()
		}
		sum, differs := s.topics.changes(state, value)
		if !differs || !s.last && now.Before(state.next) {
			return false, last, nil
		}
		state.size, state.sum = len(value), sum
	}
	switch {
	case s.throttle == 0:
	case s.last: // and what is held is printed at the end, too
		s.hold(state, m, now)
		return false, last, nil
	case now.Before(state.next):
		return false, last, nil
	default:
		state.next = now.Add(s.throttle)
	}
	return true, last, nil
}

func (s *stages) matches(payload []byte) bool {
	for _, re := range s.grep {
		if re.Match(payload) {
			return true
		}
	}
	return false
}

// hold keeps a message until the next tick.
func (s *stages) hold(state *topicState, m *mqtt.Message, now time.Time) {
	if s.started.IsZero() {
		s.started = now
	}
	s.topics.hold(state, m, now)
	switch {
	case s.topics.full():
		s.tick = now
		if !s.warned.held {
			s.warned.held = true
			s.inv.Warnf("--throttle: too much waits for the next %s: it is printed early", units.Short(s.throttle))
		}
	case s.tick.IsZero():
		s.tick = s.started.Add(now.Sub(s.started).Truncate(s.throttle) + s.throttle)
	}
}

// wait returns the time until what is held is due; 0 means that nothing is.
func (s *stages) wait(now time.Time) time.Duration {
	if s.tick.IsZero() {
		return 0
	}
	return max(s.tick.Sub(now), time.Millisecond)
}

// due reports whether what is held is to be printed.
func (s *stages) due(now time.Time) bool { return !s.tick.IsZero() && !now.Before(s.tick) }

// finish counts a message that has passed and makes its output. It returns false if there is
// none.
func (s *stages) finish(m *mqtt.Message, at time.Time) (pass, last bool, err error) {
	if s.perTopic > 0 {
		state := s.topics.of(m.Topic)
		if state.count >= s.perTopic {
			return false, false, nil
		}
	}
	if s.jq != nil {
		if s.item.Message != m { // it was held
			s.item.Set(m, at)
		}
		if err := s.jq.Results(&s.item, s.quoted, &s.results); err != nil {
			if last, err = s.failed("--jq", err); err != nil {
				return s.results.Len() > 0 && !s.strict, true, err
			}
		}
		if s.results.Len() == 0 {
			return false, last, nil
		}
	}
	if s.perTopic > 0 {
		state := s.topics.of(m.Topic)
		if state.count++; state.count == s.perTopic && s.wanted[m.Topic] {
			s.full++
			last = last || s.full == len(s.wanted)
		}
	}
	return true, last, nil
}

// failed handles the failure of an expression for the message under work. The message is left
// out, and each text is reported once. It returns an error if the run ends with it, and ends
// if the run ends because the expression says so.
func (s *stages) failed(name string, err error) (ends bool, _ error) {
	if halt, ok := errors.AsType[*query.Halt](err); ok {
		if s.halted = true; halt.Failed {
			return true, cli.Failed(option.ExitFailure, errors.New(halt.Text))
		}
		return true, nil
	}
	err = fmt.Errorf("topic %s: %s: %w", topic.Quote(s.item.Message.Topic), name, err)
	if s.strict {
		return true, cli.Failed(option.ExitFailure, err)
	}
	s.failures++
	text := err.Error()
	switch {
	case s.problems[text], len(s.problems) > problemsMost:
	case len(s.problems) == problemsMost:
		s.inv.Warnf("more expressions fail; they are counted, not printed")
		fallthrough
	default:
		if s.problems == nil {
			s.problems = map[string]bool{}
		}
		if s.problems[text] = true; len(s.problems) <= problemsMost {
			s.inv.Warnf("%s", text)
		}
	}
	return false, nil
}

// summary says how many messages an expression failed for, unless each was reported.
func (s *stages) summary() {
	if s.failures > uint64(len(s.problems)) || len(s.problems) > problemsMost {
		s.inv.Warnf("expressions failed for %s", count(s.failures, "message"))
	}
}

package option

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/units"
)

// Origin is the source of an option's value.
type Origin uint8

// The origins, weakest first.
const (
	OriginDefault    Origin = iota
	OriginSystem            // section defaults of the system's configuration file
	OriginSystemTool        // its section for the tool
	OriginUser              // section defaults of the user's configuration file
	OriginUserTool          // its section for the tool
	OriginContext           // the context in use
	OriginEnvironment
	OriginFile // of --options-file
	OriginFlag
)

// configured reports whether the origin is a configuration file.
func (o Origin) configured() bool { return o >= OriginSystem && o <= OriginContext }

func (o Origin) String() string {
	return [...]string{
		OriginDefault: "default", OriginSystem: "system configuration", OriginSystemTool: "system configuration",
		OriginUser: "user configuration", OriginUserTool: "user configuration", OriginContext: "context",
		OriginEnvironment: "environment", OriginFile: "file", OriginFlag: "flag",
	}[o]
}

// Values holds the checked values of a tool's options, a field for each. The field of an
// option that the tool does not have is nil; a nil Value has no value.
type Values struct {
	Fields
}

// Of returns the value of the option with a name, or nil if the tool does not have it. It
// panics on a name that no tool has, which is a bug in the program.
func (v *Values) Of(name string) *Value {
	at := v.at(name)
	if at == nil {
		panic("option: no option " + name)
	}
	return *at
}

// Value is the value of one option. Only the field that fits the type is set. Reading it as
// another type than the table's is a bug in the program, and panics. The methods of a nil
// Value are those of an option without a value; it has no name.
type Value struct {
	Opt      *Option
	origin   Origin
	named    string // its name in errors, if not the option's
	env      string // the variable, if the origin is OriginEnvironment
	Place    string // path:line of an options file, path:line:column of a configuration file
	part     string // the part of the configuration file: defaults, a tool or a context
	count    int
	raw      []string // as it was written, for Handover
	texts    []string // String, Choice, Escaped, Listen
	number   int64    // Int, Size
	suffixed bool     // of a number: its suffix was there
	span     time.Duration
	on       bool
	props    []Property
}

// LookupFunc looks up an environment variable, as os.LookupEnv does.
type LookupFunc func(name string) (string, bool)

// Use is one use of an option on the command line, in an options file or in a configuration
// file.
type Use struct {
	Opt    *Option
	Raw    string
	Place  string // path:line of an options file, path:line:column of a configuration file; empty for the command line
	part   string // the part of a configuration file
	origin Origin // for a configuration file
	named  string // its name in errors: the command that does the same
}

// where names the option with its place in an options file, if it is in one.
func (u *Use) where() string {
	if u.Place != "" {
		return u.Place + ": --" + u.Opt.Name
	}
	return "--" + u.Opt.Name
}

// Decode checks the values of the options file and the command line, then the environment
// for options that are not set there, then the configuration files, strongest first, then
// the defaults. An empty environment variable counts as not set. A repeatable option takes
// one value per line of its variable. Options that the command does not obey keep their
// default.
func Decode(table Options, uses []Use, command *Command, lookup LookupFunc, configured []Use) (*Values, error) {
	v := &Values{}
	store := make([]Value, len(table))
	for i, o := range table {
		store[i].Opt = o
		*v.at(o.Name) = &store[i]
	}
	for _, use := range uses {
		val := v.Of(use.Opt.Name)
		before, origin := val.origin, OriginFlag
		if use.Place != "" {
			origin = OriginFile
		}
		if use.Opt.Once && origin == before {
			return nil, Usagef("%s is given twice", use.where()).WithHint("give one %s; an options file and the command line may have one each", use.Opt.Placeholder)
		}
		if use.Opt.Override && origin != before {
			*val = Value{Opt: val.Opt}
		}
		val.origin, val.Place, val.named = origin, use.Place, use.named
		val.count++
		if err := val.Set(use.where(), use.Raw); err != nil {
			return nil, err
		}
	}
	for i := range store {
		val := &store[i]
		if val.origin != OriginDefault {
			continue
		}
		var err error
		if command.Obeys(val.Opt) {
			err = val.setFromEnvironment(lookup)
			if val.origin == OriginDefault {
				err = val.setFromConfig(configured)
			}
		}
		if err != nil {
			return nil, err
		}
		if val.origin == OriginDefault {
			val.yield()
		}
	}
	return v, nil
}

// setFromConfig sets the uses of the strongest part that has the option.
func (val *Value) setFromConfig(configured []Use) error {
	for _, use := range configured {
		if use.Opt != val.Opt || val.origin != OriginDefault && use.origin != val.origin {
			continue
		}
		if val.origin == OriginDefault {
			val.origin, val.Place, val.part = use.origin, use.Place, use.part
		}
		if err := val.Set(use.Place+": "+use.Opt.Name, use.Raw); err != nil {
			return err
		}
	}
	return nil
}

func (val *Value) setFromEnvironment(lookup LookupFunc) error {
	name := val.Opt.Env()
	if name == "" || lookup == nil {
		return nil
	}
	text, _ := lookup(name)
	if text == "" && val.Opt.EnvFallback != "" {
		name = val.Opt.EnvFallback
		text, _ = lookup(name)
	}
	if text == "" {
		return nil
	}
	val.origin, val.env = OriginEnvironment, name
	if !val.Opt.Repeat {
		return val.Set(name, text)
	}
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' }) {
		if err := val.Set(name, line); err != nil {
			return err
		}
	}
	return nil
}

// Set checks and sets one value. Where names the option or the variable in errors.
func (val *Value) Set(where, raw string) error {
	if err := val.parse(raw); err != nil {
		return val.Opt.Invalid(where, raw, err)
	}
	val.raw = val.Opt.keep(val.raw, raw)
	return nil
}

// Invalid returns the error for a value that the option does not accept: --qos: invalid
// value "5" (want 0, 1 or 2). why is the text in the parentheses.
func (o *Option) Invalid(where, raw string, why error) *UsageError {
	shown := ""
	if !o.HoldsSecret(raw) {
		shown = strconv.Quote(raw)
	}
	return &UsageError{Text: where + ": " + units.Invalid(o.what(), shown, why.Error())}
}

// what returns what the value of the option is, in one word.
func (o *Option) what() string {
	return cmp.Or(map[Type]string{TypeDuration: "duration", TypeSize: "size"}[o.Type], "value")
}

// Invalid is like Value.Invalid, for a value found at a place in an option.
func Invalid(where, what, value, hint string, args ...any) *UsageError {
	return &UsageError{Text: where + ": " + units.Invalid(what, strconv.Quote(value), fmt.Sprintf(hint, args...))}
}

func (val *Value) parse(raw string) (err error) {
	o := val.Opt
	if o.Optional && raw == "" {
		raw = o.Implied
	}
	if o.Suffix != "" {
		raw, val.suffixed = strings.CutSuffix(raw, o.Suffix)
	}
	text := raw
	switch o.Type {
	case TypeBool:
		val.on, err = parseBool(raw)
		return err
	case TypeInt:
		if val.number, err = parseInt(raw); err != nil || !o.inRange(val.number) {
			return o.wantNumber(err)
		}
		return nil
	case TypeSize:
		val.number, err = units.Size(raw)
		switch {
		case err == units.ErrNotSize:
			return errors.New(units.SizeHint)
		case err != nil || !o.inRange(val.number):
			return errors.New("want " + o.rangeText(plain) + " bytes")
		}
		return nil
	case TypeDuration:
		return val.parseDuration(raw)
	case TypeProperty:
		p, err := parseProperty(raw)
		if err != nil {
			return err
		}
		val.props = append(val.props, p)
		return nil
	case TypeChoice:
		text, err = o.choose(raw)
	case TypeEscaped:
		text, err = parseEscaped(raw)
	case TypeListen:
		text, err = parseListen(raw)
	}
	if err == nil && text == "" && (o.Complete == CompleteFile || o.Complete == CompleteDir || o.Complete == CompleteHost) {
		err = ErrEmpty
	}
	if err != nil {
		return err
	}
	val.texts = o.keep(val.texts, text)
	return nil
}

// keep adds a value to those of the option, or replaces the one that it has.
func (o *Option) keep(values []string, value string) []string {
	if !o.Repeat {
		values = values[:0]
	}
	return append(values, value)
}

// wantNumber describes the whole numbers that the option accepts, or returns err's reason
// if it is a number too large for any option.
func (o *Option) wantNumber(err error) error {
	if err == units.ErrTooLarge && o.Max == 0 {
		return errors.New("want at most " + plain(math.MaxInt64))
	}
	if o.Max == 0 {
		return errors.New("want a whole number of " + o.rangeText(plain))
	}
	return errors.New(units.WantNumber(o.Min, o.Max))
}

func (val *Value) parseDuration(raw string) error {
	o := val.Opt
	examples := units.DurationHint
	for i, s := range o.DurationWords {
		if strings.EqualFold(raw, s.Word) {
			val.span = s.Value
			return nil
		}
		if i == 0 {
			examples += ", " + s.Word
		}
	}
	d, err := units.Duration(raw)
	switch {
	case err == units.ErrTooLarge && o.Max == 0:
		return errors.New("want at most 292 years")
	case err == units.ErrTooLarge || err == nil && !o.inRange(int64(d)):
		return errors.New("want " + o.rangeText(shortDuration))
	case err != nil:
		return errors.New(examples)
	case o.Whole && d%time.Second != 0:
		return errors.New("want whole seconds")
	}
	val.span = d
	return nil
}

func (o *Option) choose(raw string) (string, error) {
	for _, c := range o.Choices {
		if strings.EqualFold(raw, c.Value) || slices.ContainsFunc(c.Also, func(also string) bool {
			return strings.EqualFold(raw, also)
		}) {
			return c.Value, nil
		}
	}
	return "", fmt.Errorf("want %s", o.choiceWords())
}

func (o *Option) inRange(n int64) bool { return n >= o.Min && (o.Max == 0 || n <= o.Max) }

func (o *Option) rangeText(show func(int64) string) string {
	if o.Max == 0 {
		return "at least " + show(o.Min)
	}
	return show(o.Min) + " to " + show(o.Max)
}

func plain(n int64) string { return fmt.Sprint(n) }

// shortDuration formats nanoseconds as a user would: 65535s, 10ms.
func shortDuration(n int64) string {
	d := time.Duration(n)
	switch {
	case d%time.Second == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	case d%time.Millisecond == 0:
		return fmt.Sprintf("%dms", d/time.Millisecond)
	}
	return d.String()
}

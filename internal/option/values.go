package option

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/units"
)

// Yield takes back the value of an option when one of others, which exclude it,
// comes from a stronger origin: the command line wins over an options file, that
// over the environment, and that over a configuration file. A switch that is
// off excludes nothing.
func (v *Values) Yield(name string, others ...string) {
	val := v.Get(name)
	if val.Origin == OriginDefault {
		return
	}
	for _, other := range others {
		if v.Has(other) && v.Given(other) && v.Get(other).Origin > val.Origin {
			*val = Value{Opt: val.Opt}
			if val.Opt.Default != "" {
				_ = val.Set("", val.Opt.Default) // which passes its own check, by test
			}
			return
		}
	}
}

// Name is how to name the option in a text about several: --qos, or its
// environment variable when the value came from there.
func (v *Values) Name(name string) string {
	switch val := v.Get(name); val.Origin {
	case OriginEnvironment:
		return val.env
	case OriginFile:
		return val.Place + ": --" + name
	default:
		if val.Origin.configured() {
			return val.Place + ": " + name
		}
	}
	return "--" + name
}

// Given tells whether the option has a value that is not its default and not
// off.
func (v *Values) Given(name string) bool {
	val := v.Get(name)
	return val.Origin != OriginDefault && (val.Opt.Type != TypeBool || val.on)
}

// Above tells whether one option is given and comes from a stronger origin than
// another, and at least from a file named on the command line.
func (v *Values) Above(name, other string) bool {
	return v.Given(name) && v.Origin(name) >= OriginFile && v.Origin(name) > v.Origin(other)
}

// Clash tells whether two options that exclude each other come from where the
// user said both at once: the command line with an options file, or one part of
// a configuration file. Of variables the environment may have any number, for
// other programs too.
func (v *Values) Clash(a, b string) bool {
	if !v.Given(a) || !v.Given(b) {
		return false
	}
	one, other := v.Get(a).Origin, v.Get(b).Origin
	return one >= OriginFile && other >= OriginFile || one == other && one.configured()
}

// Origin says where the value of an option comes from.
type Origin uint8

// The origins, weakest first.
const (
	OriginDefault    Origin = iota
	OriginSystem            // defaults: of the system's configuration file
	OriginSystemTool        // its part for the tool
	OriginUser              // defaults: of the user's configuration file
	OriginUserTool          // its part for the tool
	OriginContext           // the context in use
	OriginEnvironment
	OriginFile // of --options-file
	OriginFlag
)

// configured tells whether the value is from a configuration file.
func (o Origin) configured() bool { return o >= OriginSystem && o <= OriginContext }

func (o Origin) String() string {
	switch o {
	case OriginSystem, OriginSystemTool:
		return "system configuration"
	case OriginUser, OriginUserTool:
		return "user configuration"
	case OriginContext:
		return "context"
	case OriginEnvironment:
		return "environment"
	case OriginFile:
		return "file"
	case OriginFlag:
		return "flag"
	}
	return "default"
}

// Values are the checked values of a tool's options. The names are the
// canonical ones of the table. Asking for a name the tool does not have, or
// for another type than the table's, is a mistake in the program and panics.
type Values struct {
	byName map[string]*Value
}

// Value is what one option has got. Only the field that fits the type is set.
type Value struct {
	Opt    *Option
	Origin Origin
	env    string // the variable, for OriginEnvironment
	Place  string // path:line, for OriginFile, and path:line:column of a configuration file
	part   string // of the configuration file: defaults, a tool or a context
	count  int
	raw    []string // as it was written, for Handover
	texts  []string // String, Choice, Escaped, Listen
	number int64    // Int, Size
	span   time.Duration
	on     bool
	props  []Property
}

// LookupFunc finds an environment variable, as os.LookupEnv does.
type LookupFunc func(name string) (string, bool)

// Use is one use of an option on the command line, in an options file or in a
// configuration file.
type Use struct {
	Opt    *Option
	Raw    string
	Place  string // path:line of an options file, path:line:column of a configuration file; empty for the command line
	part   string // of a configuration file
	origin Origin // in a configuration file
}

// Decode checks what an options file and then the command line gave, then the
// environment for options not given, then what the configuration files say,
// strongest first, then the defaults. An empty environment variable counts as
// not set. A repeatable option takes one value per line of its variable. What the
// command does not obey has its default there.
func Decode(table Options, uses []Use, command *Command, lookup LookupFunc, configured []Use) (*Values, error) {
	v := &Values{byName: make(map[string]*Value, len(table))}
	store := make([]Value, len(table))
	for i, o := range table {
		store[i].Opt = o
		v.byName[o.Name] = &store[i]
	}
	for _, use := range uses {
		val := v.byName[use.Opt.Name]
		before, origin, where := val.Origin, OriginFlag, "--"+use.Opt.Name
		if use.Place != "" {
			origin, where = OriginFile, use.Place+": "+where
		}
		if use.Opt.Once && origin == before {
			return nil, Usagef("%s is given twice", where).WithHint("give one %s; an options file and the command line may have one each", use.Opt.Placeholder)
		}
		if use.Opt.Override && origin != before {
			*val = Value{Opt: val.Opt}
		}
		val.Origin, val.Place = origin, use.Place
		val.count++
		if err := val.Set(where, use.Raw); err != nil {
			return nil, err
		}
	}
	for i := range store {
		val := &store[i]
		if val.Origin != OriginDefault {
			continue
		}
		useful := command.Obeys(val.Opt)
		if useful {
			if err := val.setFromEnvironment(lookup); err != nil {
				return nil, err
			}
		}
		if useful && val.Origin == OriginDefault {
			if err := val.setFromConfig(configured); err != nil {
				return nil, err
			}
		}
		if val.Origin == OriginDefault && val.Opt.Default != "" {
			if err := val.Set("the default of "+"--"+val.Opt.Name, val.Opt.Default); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// setFromConfig takes the uses of the strongest part that has the option.
func (val *Value) setFromConfig(configured []Use) error {
	for _, use := range configured {
		if use.Opt != val.Opt || val.Origin != OriginDefault && use.origin != val.Origin {
			continue
		}
		if val.Origin == OriginDefault {
			val.Origin, val.Place, val.part = use.origin, use.Place, use.part
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
	val.Origin, val.env = OriginEnvironment, name
	if !val.Opt.Repeat {
		return val.Set(name, text)
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); line == "" {
			continue
		}
		if err := val.Set(name, line); err != nil {
			return err
		}
	}
	return nil
}

// Set checks one value. Where names the option or the variable for errors.
func (val *Value) Set(where, raw string) error {
	if err := val.parse(raw); err != nil {
		return val.Opt.Invalid(where, raw, err)
	}
	if !val.Opt.Repeat {
		val.raw = val.raw[:0]
	}
	val.raw = append(val.raw, raw)
	return nil
}

// Invalid is the error of a value that the option does not take: --qos: invalid value
// "5" (want 0, 1 or 2). why is what stands in the parentheses.
func (o *Option) Invalid(where, raw string, why error) *UsageError {
	what := "value"
	switch o.Type {
	case TypeDuration:
		what = "duration"
	case TypeSize:
		what = "size"
	}
	shown := ""
	if !o.HoldsSecret(raw) {
		shown = strconv.Quote(raw)
	}
	return &UsageError{Text: where + ": " + units.Invalid(what, shown, why.Error())}
}

// Invalid is the error of a value that an option does not take, for tools that know
// more of it than its type: --run-id: invalid name "a b" (want up to 32 letters). what
// is "value" or what it should be; hint says what is wanted.
func (v *Values) Invalid(name, what, value, hint string, args ...any) *UsageError {
	return Invalid(v.Name(name), what, value, hint, args...)
}

// Invalid is that of Values for a value that is found somewhere in an option.
func Invalid(where, what, value, hint string, args ...any) *UsageError {
	return &UsageError{Text: where + ": " + units.Invalid(what, strconv.Quote(value), fmt.Sprintf(hint, args...))}
}

func (val *Value) parse(raw string) (err error) {
	o := val.Opt
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
			return errors.New("e.g. 512, 64k, 1MiB")
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
		if raw == "" {
			raw = o.Implied
		}
		text, err = parseListen(raw)
	}
	if err == nil && text == "" && (o.Complete == CompleteFile || o.Complete == CompleteDir || o.Complete == CompleteHost) {
		err = ErrEmpty
	}
	if err != nil {
		return err
	}
	if !o.Repeat {
		val.texts = val.texts[:0]
	}
	val.texts = append(val.texts, text)
	return nil
}

// wantNumber says which whole numbers the option takes, or that err is of one that is
// too large for any.
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
	examples := "e.g. 5, 250ms, 2m"
	for i, s := range o.Specials {
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

// shortDuration writes nanoseconds the way a user would: 65535s, 10ms.
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

func (v *Values) Get(name string, types ...Type) *Value {
	val := v.byName[name]
	if val == nil {
		panic("cli: no option " + name)
	}
	if len(types) > 0 && !slices.Contains(types, val.Opt.Type) {
		panic("cli: option " + name + " read as another type")
	}
	return val
}

var textTypes = []Type{TypeString, TypeChoice, TypeEscaped, TypeListen}

// String is the value of a text option, the last one if it is repeatable; ""
// without one. A choice is in its canonical form, escapes are resolved.
func (v *Values) String(name string) string {
	if texts := v.Get(name, textTypes...).texts; len(texts) > 0 {
		return texts[len(texts)-1]
	}
	return ""
}

// Strings are the values of a repeatable text option, in the order given.
func (v *Values) Strings(name string) []string {
	return slices.Clone(v.Get(name, textTypes...).texts)
}

// Int is the value of a whole number, zero without one.
func (v *Values) Int(name string) int { return int(v.Get(name, TypeInt, TypeSize).number) }

// Int64 is the value of a whole number or of a size in bytes.
func (v *Values) Int64(name string) int64 { return v.Get(name, TypeInt, TypeSize).number }

// Bool tells whether a switch is on.
func (v *Values) Bool(name string) bool { return v.Get(name, TypeBool).on }

// Duration is the value of a duration, zero without one.
func (v *Values) Duration(name string) time.Duration { return v.Get(name, TypeDuration).span }

// Properties are the uses of a TypeProperty option, in the order given.
func (v *Values) Properties(name string) []Property {
	return slices.Clone(v.Get(name, TypeProperty).props)
}

// IsSet tells whether the option has a value that is not its default.
func (v *Values) IsSet(name string) bool { return v.Get(name).Origin != OriginDefault }

// Origin says where the value of the option comes from.
func (v *Values) Origin(name string) Origin { return v.Get(name).Origin }

// Count is how often the option was given on the command line.
func (v *Values) Count(name string) int { return v.Get(name).count }

// Has tells whether the tool has an option of that name.
func (v *Values) Has(name string) bool { return v.byName[name] != nil }

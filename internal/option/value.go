package option

import (
	"slices"
	"time"
)

// as checks that the value is read as what it is.
func (val *Value) as(types ...Type) *Value {
	if val == nil {
		return &Value{}
	}
	if !slices.Contains(types, val.Opt.Type) {
		panic("option: " + val.Opt.Name + " read as another type")
	}
	return val
}

// Text is the value of a text option, the last one if it is repeatable; ""
// without one. A choice is in its canonical form, escapes are resolved.
func (val *Value) Text() string {
	if texts := val.as(TypeString, TypeChoice, TypeEscaped, TypeListen).texts; len(texts) > 0 {
		return texts[len(texts)-1]
	}
	return ""
}

// Texts are the values of a repeatable text option, in the order given.
func (val *Value) Texts() []string {
	return slices.Clone(val.as(TypeString, TypeChoice, TypeEscaped, TypeListen).texts)
}

// Int is the value of a whole number, zero without one.
func (val *Value) Int() int { return int(val.Int64()) }

// Int64 is the value of a whole number or of a size in bytes.
func (val *Value) Int64() int64 { return val.as(TypeInt, TypeSize).number }

// On reports whether a switch is on.
func (val *Value) On() bool { return val.as(TypeBool).on }

// Duration is the value of a duration, zero without one.
func (val *Value) Duration() time.Duration { return val.as(TypeDuration).span }

// Properties are the uses of a TypeProperty option, in the order given.
func (val *Value) Properties() []Property { return slices.Clone(val.as(TypeProperty).props) }

// Known reports whether the tool has the option.
func (val *Value) Known() bool { return val != nil }

// IsSet reports whether the option has a value that is not its default.
func (val *Value) IsSet() bool { return val.Origin() != OriginDefault }

// Given reports whether the option has a value that is not its default, and not off.
func (val *Value) Given() bool { return val.IsSet() && (val.Opt.Type != TypeBool || val.on) }

// Origin returns where the value comes from.
func (val *Value) Origin() Origin {
	if val == nil {
		return OriginDefault
	}
	return val.origin
}

// Count is how often the option was given on the command line.
func (val *Value) Count() int { return val.count }

// Name is how to name the option in a text: --qos, or its environment variable when the
// value came from there, with the place in a file.
func (val *Value) Name() string {
	switch {
	case val.named != "":
		return val.named
	case val.origin == OriginEnvironment:
		return val.env
	case val.origin == OriginFile:
		return val.Place + ": --" + val.Opt.Name
	case val.origin.configured():
		return val.Place + ": " + val.Opt.Name
	}
	return "--" + val.Opt.Name
}

// Invalid is the error of a value that an option does not take, for tools that know
// more of it than its type: --run-id: invalid name "a b" (want up to 32 letters). what
// is "value" or what it should be; hint says what is wanted.
func (val *Value) Invalid(what, value, hint string, args ...any) *UsageError {
	return Invalid(val.Name(), what, value, hint, args...)
}

// Together is the refusal of two options that cannot be used together.
func (val *Value) Together(other *Value) *UsageError {
	return Usagef("%s and %s cannot be used together", val.Name(), other.Name())
}

// Lacks is the refusal of an option without what it needs.
func (val *Value) Lacks(what string) *UsageError { return Usagef("%s needs %s", val.Name(), what) }

// Yield takes the value back when another one comes from a stronger origin. It is for
// what depends on a value; what depends on the options alone is a Relation.
func (val *Value) Yield(other *Value) {
	if val.IsSet() && other.Given() && other.Origin() > val.origin {
		val.yield()
	}
}

// yield gives the option its default again.
func (val *Value) yield() {
	*val = Value{Opt: val.Opt}
	if val.Opt.Default != "" {
		_ = val.Set("", val.Opt.Default) // which passes its own check, by test
	}
}

package option

import (
	"slices"
	"time"
)

// as panics unless the option has one of the types.
func (val *Value) as(types ...Type) *Value {
	if val == nil {
		return &Value{}
	}
	if !slices.Contains(types, val.Opt.Type) {
		panic("option: " + val.Opt.Name + " read as another type")
	}
	return val
}

// Text returns the value of a text option, the last one if it is repeatable, or "" without
// a value. A choice is in its canonical form, and escapes are resolved.
func (val *Value) Text() string {
	if texts := val.as(TypeString, TypeChoice, TypeEscaped, TypeListen).texts; len(texts) > 0 {
		return texts[len(texts)-1]
	}
	return ""
}

// Texts returns the values of a repeatable text option, in the order of their uses.
func (val *Value) Texts() []string {
	return slices.Clone(val.as(TypeString, TypeChoice, TypeEscaped, TypeListen).texts)
}

// Suffixed reports whether the value ends in the suffix of the option.
func (val *Value) Suffixed() bool { return val != nil && val.suffixed }

// Int returns the value of a whole number, zero without a value.
func (val *Value) Int() int { return int(val.Int64()) }

// Int64 returns the value of a whole number or of a size in bytes.
func (val *Value) Int64() int64 { return val.as(TypeInt, TypeSize).number }

// On reports whether a switch is on.
func (val *Value) On() bool { return val.as(TypeBool).on }

// Duration returns the value of a duration, zero without a value.
func (val *Value) Duration() time.Duration { return val.as(TypeDuration).span }

// Properties returns the uses of a TypeProperty option, in order.
func (val *Value) Properties() []Property { return slices.Clone(val.as(TypeProperty).props) }

// Known reports whether the tool has the option.
func (val *Value) Known() bool { return val != nil }

// IsSet reports whether the option has a value that is not its default.
func (val *Value) IsSet() bool { return val.Origin() != OriginDefault }

// Given reports whether the option has a value that is neither its default nor off.
func (val *Value) Given() bool { return val.IsSet() && (val.Opt.Type != TypeBool || val.on) }

// Origin returns the origin of the value.
func (val *Value) Origin() Origin {
	if val == nil {
		return OriginDefault
	}
	return val.origin
}

// Count returns how often the option is used on the command line.
func (val *Value) Count() int { return val.count }

// Name returns the option's name for messages: --qos, or its environment variable if the
// value came from there, or with the place in a file.
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

// Invalid returns the error for a value that an option does not accept, for tools that know
// more about it than its type: --run-id: invalid name "a b" (want up to 32 letters). what
// is "value" or what it should be; hint describes what is wanted.
func (val *Value) Invalid(what, value, hint string, args ...any) *UsageError {
	return Invalid(val.Name(), what, value, hint, args...)
}

// Together returns the error for two options that cannot be used together.
func (val *Value) Together(other *Value) *UsageError {
	return Usagef("%s and %s cannot be used together", val.Name(), other.Name())
}

// Lacks returns the error for an option without what it needs.
func (val *Value) Lacks(what string) *UsageError { return Usagef("%s needs %s", val.Name(), what) }

// Yield resets the value to its default if other comes from a stronger origin. It is for
// conflicts that depend on a value; those that depend on the options alone are a Relation.
func (val *Value) Yield(other *Value) {
	if val.IsSet() && other.Given() && other.Origin() > val.origin {
		val.yield()
	}
}

// yield resets the option to its default.
func (val *Value) yield() {
	*val = Value{Opt: val.Opt}
	if val.Opt.Default != "" {
		_ = val.Set("", val.Opt.Default) // the default is valid, by test
	}
}

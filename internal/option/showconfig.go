package option

import (
	"fmt"
	"strconv"
	"strings"
)

// ShowConfig lists the value and the origin of every option, without secrets. The command
// of t and the words after it select the defaults that differ by command; t may be nil.
func ShowConfig(v *Values, table Options, t *Program, args []string) string {
	var b strings.Builder
	var command Commands
	var form Forms
	if t != nil {
		command, form = t.Bits(), t.Command.form(args)
	}
	for _, o := range table {
		val := v.Of(o.Name)
		origin := val.origin.String()
		switch val.origin {
		case OriginEnvironment:
			origin = val.env
		case OriginFile:
			origin = val.Place
		default:
			if val.origin.configured() {
				// Without the column, because users look for the line.
				origin = val.Place[:strings.LastIndexByte(val.Place, ':')] + " (" + val.part + ")"
			}
		}
		shown := val.Shown()
		if val.origin == OriginDefault && shown == "" {
			shown = v.ownDefault(o, command, form)
		}
		fmt.Fprintf(&b, "%-24s %-32s %s\n", o.Name, shown, origin)
	}
	return b.String()
}

// Shown returns the value that the uses of an option in a context result in, as a user
// would write it.
func Shown(o *Option, uses []Use) (string, error) {
	val := &Value{Opt: o, origin: OriginContext}
	for _, use := range uses {
		if use.Opt == o {
			if err := val.Set(use.Place, use.Raw); err != nil {
				return "", err
			}
		}
	}
	return val.Shown(), nil
}

// ownDefault returns the default of the option for one command, in the form of Shown.
func (v *Values) ownDefault(o *Option, c Commands, f Forms) string {
	p := o.perCommand(c, f)
	if p == nil || p.Default == "" || p.Unless != "" && v.Of(p.Unless).IsSet() {
		return ""
	}
	if o.Type == TypeInt || o.Type == TypeDuration {
		return p.Default
	}
	return strconv.Quote(p.Default)
}

// Shown returns the value as a user would write it.
func (val *Value) Shown() string {
	o := val.Opt
	suffix := ""
	if val.suffixed {
		suffix = o.Suffix
	}
	switch {
	case val.origin == OriginDefault && (o.Type == TypeBool || o.Default == "" && o.numeric()):
		return ""
	case o.Type == TypeBool:
		return strconv.FormatBool(val.on)
	case o.Type == TypeDuration:
		return shortDuration(int64(val.span)) + suffix
	case o.numeric():
		return strconv.FormatInt(val.number, 10) + suffix
	}
	var words []string // of one of the two
	for _, p := range val.props {
		words = append(words, o.quoted(p.Word()))
	}
	for _, t := range val.texts {
		words = append(words, o.quoted(t))
	}
	return strings.Join(words, " ")
}

// quoted returns a value in quotes, with its secret masked.
func (o *Option) quoted(text string) string {
	shown, _ := o.mask(text)
	if shown == hidden {
		return hidden
	}
	return strconv.Quote(shown)
}

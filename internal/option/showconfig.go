package option

import (
	"fmt"
	"strconv"
	"strings"
)

// ShowConfig lists the value of every option and where it comes from, without
// secrets.
func ShowConfig(v *Values, table Options) string {
	var b strings.Builder
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
				// Without the column, as the line is what one looks for.
				origin = val.Place[:strings.LastIndexByte(val.Place, ':')] + " (" + val.part + ")"
			}
		}
		fmt.Fprintf(&b, "%-24s %-32s %s\n", o.Name, val.Shown(), origin)
	}
	return b.String()
}

// Shown is what the uses of an option in a context come to, as a user would write it.
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

// Shown is the value as a user would write it.
func (val *Value) Shown() string {
	switch val.Opt.Type {
	case TypeBool:
		if val.origin == OriginDefault {
			return ""
		}
		return strconv.FormatBool(val.on)
	case TypeInt, TypeSize:
		if val.origin == OriginDefault && val.Opt.Default == "" {
			return ""
		}
		return strconv.FormatInt(val.number, 10)
	case TypeDuration:
		if val.origin == OriginDefault && val.Opt.Default == "" {
			return ""
		}
		return shortDuration(int64(val.span))
	case TypeProperty:
		words := make([]string, len(val.props))
		for i, p := range val.props {
			words[i] = val.Opt.quoted(p.Word())
		}
		return strings.Join(words, " ")
	}
	words := make([]string, len(val.texts))
	for i, t := range val.texts {
		words[i] = val.Opt.quoted(t)
	}
	return strings.Join(words, " ")
}

// quoted is a value in quotes, without the secret in it.
func (o *Option) quoted(text string) string {
	shown, _ := o.mask(text)
	if shown == hidden {
		return hidden
	}
	return strconv.Quote(shown)
}

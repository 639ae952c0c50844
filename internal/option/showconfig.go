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
		val := v.get(o.Name)
		origin := val.Origin.String()
		switch val.Origin {
		case OriginEnvironment:
			origin = val.env
		case OriginFile:
			origin = val.Place
		default:
			if val.Origin.configured() {
				// Without the column, as the line is what one looks for.
				origin = val.Place[:strings.LastIndexByte(val.Place, ':')] + " (" + val.part + ")"
			}
		}
		fmt.Fprintf(&b, "%-24s %-32s %s\n", o.Name, val.Shown(), origin)
	}
	return b.String()
}

// Shown is the value as a user would write it.
func (val *Value) Shown() string {
	switch val.Opt.Type {
	case TypeBool:
		if val.Origin == OriginDefault {
			return ""
		}
		return strconv.FormatBool(val.on)
	case TypeInt, TypeSize:
		if val.Origin == OriginDefault && val.Opt.Default == "" {
			return ""
		}
		return strconv.FormatInt(val.number, 10)
	case TypeDuration:
		if val.Origin == OriginDefault && val.Opt.Default == "" {
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

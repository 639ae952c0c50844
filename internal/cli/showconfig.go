package cli

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
		origin := val.origin.String()
		switch val.origin {
		case OriginEnvironment:
			origin = val.env
		case OriginFile:
			origin = val.place
		default:
			if val.origin.configured() {
				// Without the column, as the line is what one looks for.
				origin = val.place[:strings.LastIndexByte(val.place, ':')] + " (" + val.part + ")"
			}
		}
		fmt.Fprintf(&b, "%-24s %-32s %s\n", o.Name, val.shown(), origin)
	}
	return b.String()
}

// shown is the value as a user would write it.
func (val *value) shown() string {
	switch val.opt.Type {
	case TypeBool:
		if val.origin == OriginDefault {
			return ""
		}
		return strconv.FormatBool(val.on)
	case TypeInt, TypeSize:
		if val.origin == OriginDefault && val.opt.Default == "" {
			return ""
		}
		return strconv.FormatInt(val.number, 10)
	case TypeDuration:
		if val.origin == OriginDefault && val.opt.Default == "" {
			return ""
		}
		return shortDuration(int64(val.span))
	case TypeProperty:
		words := make([]string, len(val.props))
		for i, p := range val.props {
			words[i] = val.opt.quoted(p.word())
		}
		return strings.Join(words, " ")
	}
	words := make([]string, len(val.texts))
	for i, t := range val.texts {
		words[i] = val.opt.quoted(t)
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

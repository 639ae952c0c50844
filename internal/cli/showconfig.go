package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/mqtt/transport"
)

// ShowConfig lists the value of every option and where it comes from, without
// secrets.
func ShowConfig(v *Values, table Options) string {
	var b strings.Builder
	for _, o := range table {
		val := v.get(o.Name)
		if val.origin == OriginDefault && val.shown() == "" {
			continue
		}
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

// redacted is the value of a secret option: *** and of a URL what is no secret.
func redacted(o *Option, texts []string) string {
	if o.Name != "url" {
		return "***"
	}
	words := make([]string, len(texts))
	for i, text := range texts {
		words[i] = "***"
		if t, err := transport.ParseURL(text); err == nil {
			words[i] = strconv.Quote(t.Redacted())
		}
	}
	return strings.Join(words, " ")
}

// shown is the value as a user would write it.
func (val *value) shown() string {
	if val.opt.Secret && val.origin != OriginDefault {
		return redacted(val.opt, val.texts)
	}
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
			words[i] = strconv.Quote(p.word())
		}
		return strings.Join(words, " ")
	}
	words := make([]string, len(val.texts))
	for i, t := range val.texts {
		words[i] = strconv.Quote(t)
	}
	return strings.Join(words, " ")
}

package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// showConfig is the page of --show-config: the broker that a run would use, found in
// the same way and refused with the same error, and the options of which some have
// given way to others then.
func (inv *Invocation) showConfig(ctx context.Context, table Options) (string, error) {
	if err := inv.CheckOutput(); err != nil {
		return "", err
	}
	broker := ""
	if inv.Tool.Bit&PubSub != 0 {
		inv.dry = true
		c, err := inv.Connection(ctx)
		if err != nil {
			return "", err
		}
		var all []string
		for _, t := range c.targets {
			all = append(all, strconv.Quote(t.Redacted()))
		}
		from := "default"
		for _, name := range [...]string{"host", "unix", "url", "serve"} {
			if val := inv.Values.get(name); val.origin != OriginDefault {
				from = "--" + name
			}
		}
		if inv.Values.IsSet("serve") {
			all = []string{"this program"}
		}
		broker = fmt.Sprintf("%-24s %-32s %s\n", "broker", strings.Join(all, " "), from)
	}
	return broker + ShowConfig(inv.Values, table), nil
}

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

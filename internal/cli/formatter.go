package cli

import (
	"errors"

	"github.com/mqtools/mqtools/format"
)

// Formatter returns the formatter that the output options select.
func (inv *Invocation) Formatter() (format.Formatter, error) {
	v := inv.Values
	pattern, record, pretty := v.Format.IsSet(), v.JSON.On(), v.Pretty.On() // -F overrides -v
	indent := pretty && inv.CompatBehavior().PrettyFormat
	pretty = pretty && !indent
	if inv.lostZone != "" && (pattern || record || pretty) {
		inv.Warnf("TZ=%q: this machine has no such time zone; times are in UTC", inv.lostZone)
	}
	end := "\n"
	switch {
	case v.NoNewline.On():
		end = ""
	case v.Print0.On():
		end = "\x00"
	}
	escape := inv.StdoutIsTerminal && !v.Raw.On()
	var palette format.Palette
	if inv.StdoutColor {
		palette = format.Colors
	}
	switch {
	case pattern:
		p, err := format.Compile(v.Format.Text(), end)
		if pe, ok := errors.AsType[*format.PatternError](err); ok {
			return nil, v.Format.Invalid("format", v.Format.Text(), "%s", pe.Text).
				WithHint("the specifiers are listed in the manual, under FORMAT")
		}
		p.Terminal, p.Indent = escape, indent
		return p, nil
	case record:
		return &format.Record{JSONPayload: v.JSONPayload.On(), Terminal: escape || inv.StdoutColor, Palette: palette}, nil
	case pretty:
		return &format.Pretty{Palette: palette}, nil
	case escape || inv.StdoutColor && v.Verbose.On():
		return &format.Escaped{Topic: v.Verbose.On(), End: end, Palette: palette, Raw: !escape}, nil
	}
	return &format.Plain{Topic: v.Verbose.On(), End: end}, nil
}

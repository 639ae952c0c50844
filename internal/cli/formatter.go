package cli

import (
	"errors"

	"github.com/mqtools/mqtools/format"
)

// Formatter makes the formatter that the output options ask for.
func (inv *Invocation) Formatter() (format.Formatter, error) {
	v := inv.Values
	print0 := v.Has("print0") && v.Bool("print0")
	pattern, record, pretty := v.IsSet("format"), v.Bool("json"), v.Bool("pretty") // -F goes before -v
	indent := pretty && inv.Habits().PrettyFormat
	pretty = pretty && !indent
	if inv.lostZone != "" && (pattern || record || pretty) {
		inv.Warnf("TZ=%q: this machine has no such time zone; times are in UTC", inv.lostZone)
	}
	end := "\n"
	switch {
	case v.Bool("no-newline"):
		end = ""
	case print0:
		end = "\x00"
	}
	escape := inv.StdoutIsTerminal && !v.Bool("raw")
	var palette format.Palette
	if inv.StdoutColor {
		palette = format.Colors
	}
	switch {
	case pattern:
		p, err := format.Compile(v.String("format"), end)
		var pe *format.PatternError
		if errors.As(err, &pe) {
			return nil, v.Invalid("format", "format", v.String("format"), "%s", pe.Text).
				WithHint("the specifiers are listed in the manual, under FORMAT")
		}
		if err != nil {
			return nil, err
		}
		p.Terminal, p.Indent = escape, indent
		return p, nil
	case record:
		return &format.Record{JSONPayload: v.Bool("json-payload"), Terminal: escape || inv.StdoutColor, Palette: palette}, nil
	case pretty:
		return &format.Pretty{Palette: palette}, nil
	case escape || inv.StdoutColor && v.Bool("verbose"):
		return &format.Escaped{Topic: v.Bool("verbose"), End: end, Palette: palette, Raw: !escape}, nil
	}
	return &format.Plain{Topic: v.Bool("verbose"), End: end}, nil
}

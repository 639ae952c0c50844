package cli

import (
	"errors"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/option"
)

// Formatter makes the formatter that the output options ask for.
func (inv *Invocation) Formatter() (format.Formatter, error) {
	v := inv.Values
	print0 := v.Has("print0") && v.Bool("print0")
	for _, pair := range [...][2]string{{"format", "json"}, {"format", "pretty"}, {"json", "pretty"}, {"json", "verbose"}, {"no-newline", "print0"},
		{"json", "no-newline"}, {"json", "print0"}, {"pretty", "no-newline"}, {"pretty", "print0"}} {
		if v.Has(pair[0]) && v.Has(pair[1]) {
			v.Yield(pair[0], pair[1])
			v.Yield(pair[1], pair[0])
		}
	}
	pattern, record, pretty := v.IsSet("format"), v.Bool("json"), v.Bool("pretty") // -F goes before -v
	indent := pretty && inv.Habits().PrettyFormat
	pretty = pretty && !indent
	for _, x := range [...]struct {
		a, b string
		both bool
	}{
		{"format", "json", pattern && record}, {"format", "pretty", pattern && pretty}, {"json", "pretty", record && pretty},
		{"json", "verbose", record && v.Bool("verbose")},
		{"no-newline", "print0", v.Bool("no-newline") && print0},
		{"json", "no-newline", record && v.Bool("no-newline")}, {"json", "print0", record && print0},
		{"pretty", "no-newline", pretty && v.Bool("no-newline")}, {"pretty", "print0", pretty && print0},
	} {
		if x.both {
			return nil, option.Usagef("%s and %s cannot be used together", v.Name(x.a), v.Name(x.b))
		}
	}
	if v.Bool("json-payload") && !record && v.Origin("json-payload") >= option.OriginFile {
		return nil, option.Usagef("--json-payload needs --json")
	}
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

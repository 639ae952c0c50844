package cli

import (
	"errors"
	"strings"
	"time"

	"github.com/mqtools/mqtools/format"
)

// Formatter returns the formatter that the output options select.
func (inv *Invocation) Formatter() (format.Formatter, error) {
	v := inv.Values
	pattern, record, pretty := v.Format.IsSet(), v.JSON.On(), v.Pretty.On() // -F overrides -v
	indent := pretty && inv.CompatBehavior().PrettyFormat
	pretty = pretty && !indent
	if pattern || record || pretty {
		inv.WarnZone()
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
	case v.As.IsSet(), v.FieldList.IsSet():
		return inv.rows(escape)
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
		return inv.stamped(&format.Escaped{Topic: v.Verbose.On(), End: end, Palette: palette, Raw: !escape}, palette), nil
	}
	return inv.stamped(&format.Plain{Topic: v.Verbose.On(), End: end}, palette), nil
}

// stamped returns the formatter with the times of --ts.
func (inv *Invocation) stamped(f format.Formatter, palette format.Palette) format.Formatter {
	form := inv.Values.TS
	if !form.IsSet() {
		return f
	}
	s := &format.Stamped{Formatter: f, Delta: form.Text() == "delta", Color: palette.Meta, End: palette.End}
	if form.Text() == "absolute" {
		inv.WarnZone()
	} else {
		s.Since = time.Now()
	}
	return s
}

// WarnZone warns once if times are not in the zone that the user wants.
func (inv *Invocation) WarnZone() {
	if inv.lostZone != "" {
		inv.Warnf("TZ=%q: this machine has no such time zone; times are in UTC", inv.lostZone)
		inv.lostZone = ""
	}
}

// rows returns the formatter of --as and --fields. Without --as, rows are tab-separated.
func (inv *Invocation) rows(escape bool) (format.Formatter, error) {
	as, list := inv.Values.As, inv.Values.FieldList
	var columns *format.Columns
	var err error
	if list.IsSet() {
		if columns, err = format.ParseColumns(list.Text()); err != nil {
			return nil, inv.wrongColumns(err)
		}
	}
	form, settings, hasSettings := strings.Cut(as.Text(), ":")
	if form == "influx" {
		f, err := format.CompileInflux(settings, columns)
		if pe, ok := errors.AsType[*format.PatternError](err); ok || hasSettings && settings == "" {
			if !ok {
				pe = &format.PatternError{Text: "want influx:KEY=VALUE"}
			}
			return nil, as.Invalid("value", as.Text(), "column %d: %s", len(form)+pe.Offset+2, pe.Text)
		}
		if err != nil {
			return nil, inv.wrongColumns(err)
		}
		f.Terminal = escape
		return f, nil
	}
	f := &format.Rows{Columns: columns, CSV: form == "csv", Header: form == "csv", Terminal: escape}
	switch {
	case as.IsSet() && form != "csv" && form != "tsv":
		return nil, as.Invalid("value", as.Text(), "want csv, tsv or influx")
	case settings == "header=yes":
		f.Header = true
	case settings == "header=no":
		f.Header = false
	case hasSettings:
		return nil, as.Invalid("value", as.Text(), "want %s:header=yes or %[1]s:header=no", form)
	}
	if columns == nil {
		if f.Columns, err = format.ParseColumns(format.DefaultColumns); err != nil {
			return nil, err
		}
	}
	if f.Columns.Times() {
		inv.WarnZone()
	}
	return f, nil
}

// wrongColumns returns the error for a list of columns.
func (inv *Invocation) wrongColumns(err error) error {
	list := inv.Values.FieldList
	e, ok := errors.AsType[*format.ColumnError](err)
	if !ok {
		return err
	}
	usage := list.Invalid("list", list.Text(), "column %d: %s", e.Offset+1, e.Text)
	if e.Hint != "" {
		return usage.WithHint("%s", e.Hint)
	}
	return usage
}

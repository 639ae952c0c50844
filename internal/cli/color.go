package cli

import (
	"runtime"

	"github.com/fatih/color"

	"github.com/mqtools/mqtools/internal/option"
)

// UseColor reports whether a stream is colored. The first rule that applies decides:
//
//	--color=always or never
//	NO_COLOR not empty: never
//	CLICOLOR_FORCE or FORCE_COLOR not empty and not 0: always
//	CLICOLOR=0: never
//	TERM=dumb, or (not on Windows) no TERM: never
//	otherwise when the stream is a terminal
func UseColor(when string, lookup option.LookupFunc, terminal bool) bool {
	env := Env{Lookup: lookup}
	force := func(name string) bool {
		v := env.Getenv(name)
		return v != "" && v != "0"
	}
	term := env.Getenv("TERM")
	switch {
	case when == "always":
		return true
	case when == "never", env.Getenv("NO_COLOR") != "":
		return false
	case force("CLICOLOR_FORCE"), force("FORCE_COLOR"):
		return true
	case env.Getenv("CLICOLOR") == "0", term == "dumb", term == "" && runtime.GOOS != "windows":
		return false
	}
	return terminal
}

// NewColor returns a color that is on or off as UseColor says for its stream, whatever
// fatih/color detects for stdout.
func NewColor(on bool, attributes ...color.Attribute) *color.Color {
	c := color.New(attributes...)
	if on {
		c.EnableColor()
	} else {
		c.DisableColor()
	}
	return c
}

package option

import (
	"slices"
	"strings"
)

// split sorts canonical words, those of Normalize, into uses of options and positional
// words.
func split(table Options, words []string) (uses []Use, positional []string) {
	for i, w := range words {
		if w == "--" {
			return uses, words[i+1:]
		}
		name, raw, has := strings.Cut(w, "=")
		if !has {
			raw = "true"
		}
		uses = append(uses, Use{Opt: table.Find(name), Raw: raw})
	}
	return uses, nil
}

// Line is a command line that is parsed but whose values are not yet checked.
type Line struct {
	Table      Options
	Uses       []Use
	Positional []string
	Leads      bool // the first word is positional
}

// parseWords parses the words of a command line after the program's name and its command,
// which may be nil. The error is a *UsageError.
func parseWords(command *Command, table Options, argv []string) (*Line, error) {
	words, err := normalize(command, table, argv)
	if err != nil {
		return nil, err
	}
	uses, positional := split(table, words)
	line, err := newLine(command, table, uses, positional)
	if err == nil && len(positional) > 0 {
		line.Leads = positional[0] == argv[0]
	}
	return line, err
}

// newLine returns the line of a command, with the uses in its options file added.
func newLine(command *Command, table Options, uses []Use, positional []string) (*Line, error) {
	path := ""
	for _, use := range uses {
		if use.Opt.Name == optionsFile && command.Obeys(use.Opt) {
			if path != "" {
				return nil, Usagef("--%s is given twice", use.Opt.Name)
			}
			path = use.Raw
		}
	}
	if path != "" {
		more, err := readOptionsFile(table, path)
		if err != nil {
			return nil, err
		}
		uses = append(more, uses...)
	}
	return &Line{Table: table, Uses: uses, Positional: positional}, nil
}

// SecretFile returns the path of the options file if it holds a secret, else "".
func (p *Line) SecretFile() string {
	path, secret := "", false
	for _, use := range p.Uses {
		if use.Opt.Name == optionsFile {
			path = use.Raw
		}
		secret = secret || use.Place != "" && use.Opt.HoldsSecret(use.Raw)
	}
	if !secret {
		return ""
	}
	return path
}

// Has reports whether a switch is on after all its uses.
func (p *Line) Has(name string) bool {
	on := false
	for _, use := range p.Uses {
		if use.Opt.Name == name {
			on = use.Raw != "false"
		}
	}
	return on
}

// Gives reports whether an option is used at all.
func (p *Line) Gives(name string) bool {
	return slices.ContainsFunc(p.Uses, func(use Use) bool { return use.Opt.Name == name })
}

// Parse reads a command line, without the program's name, and the environment according to
// a table. It returns the values and the positional words. The error is a *UsageError. A
// nil lookup is an empty environment.
func Parse(table Options, argv []string, lookup LookupFunc) (*Values, []string, error) {
	p, err := parseWords(nil, table, argv)
	if err != nil {
		return nil, nil, err
	}
	values, err := Decode(p.Table, p.Uses, nil, lookup, nil)
	return values, p.Positional, err
}

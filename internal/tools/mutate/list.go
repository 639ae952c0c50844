package main

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Mutant is one plausible mistake, and the promise that it breaks.
type Mutant struct {
	List       string // the list's name and line
	File       string // slash-separated, from the module's root
	Old, New   []string
	Promise    string
	Killer     string // a test that fails, which is run first; "" if none is named
	Equivalent string // why no test can distinguish it from the original; "" if one can
}

func (m Mutant) String() string { return fmt.Sprintf("%s: %s: %s", m.List, m.File, m.Promise) }

// Package returns the package of the mutant's file, as an argument of go test.
func (m Mutant) Package() string { return "./" + path.Dir(m.File) }

// List parses a list of mutants. name is the list's name in errors. A mutant is
//
//	== mqtt/topic/filter.go: '#' is only allowed at the end of a topic filter
//	- if i != len(filter)-1 {
//	+ if false {
//
// the file, the promise, and the lines that replace others; any number of each, without
// their indentation. A line that begins with "!" names the test that kills the mutant, if
// the whole package takes long. A line that begins with "=" says why the mutant is
// equivalent to the original, if it is. Empty lines and those that begin with "#" are
// comments.
func List(name, text string) ([]Mutant, error) {
	var all []Mutant
	for i, line := range strings.Split(text, "\n") {
		at := fmt.Sprintf("%s:%d", name, i+1)
		fail := func(what string) error { return fmt.Errorf("%s: %s (%q)", at, what, line) }
		if head, ok := strings.CutPrefix(line, "== "); ok {
			file, promise, ok := strings.Cut(head, ": ")
			if !ok || file == "" || promise == "" {
				return nil, fail(`a mutant begins with "== FILE: PROMISE"`)
			}
			all = append(all, Mutant{List: at, File: file, Promise: promise})
			continue
		}
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if len(all) == 0 {
			return nil, fail("a line before the first mutant")
		}
		m, rest := &all[len(all)-1], strings.TrimSpace(line[1:])
		switch {
		case line[0] == '-' && rest != "" && len(m.New) == 0:
			m.Old = append(m.Old, rest)
		case line[0] == '+' && len(m.Old) > 0:
			m.New = append(m.New, rest)
		case line[0] == '!' && rest != "" && m.Killer == "":
			m.Killer = rest
		case line[0] == '=' && rest != "" && m.Equivalent == "":
			m.Equivalent = rest
		default:
			return nil, fail(`expected "- OLD" lines, "+ NEW" lines, "! TEST" or "= REASON"`)
		}
	}
	for _, m := range all {
		if len(m.Old) == 0 || len(m.New) == 0 {
			return nil, fmt.Errorf("%s: needs at least one line that begins with - and one with +", m)
		}
		if strings.Join(m.Old, "\n") == strings.Join(m.New, "\n") {
			return nil, fmt.Errorf("%s: changes nothing", m)
		}
	}
	return all, nil
}

// Apply applies the mutant to the text of its file, in which the replaced lines must occur
// exactly once.
func (m Mutant) Apply(source string) (string, error) {
	var pattern strings.Builder
	for i, line := range m.Old {
		if i > 0 {
			pattern.WriteString(`[ \t]*\n[ \t]*`)
		}
		pattern.WriteString(regexp.QuoteMeta(line))
	}
	found := regexp.MustCompile(pattern.String()).FindAllStringIndex(source, -1)
	if len(found) != 1 {
		return "", fmt.Errorf("%s: found %d times, want once: %s", m, len(found), strings.Join(m.Old, " / "))
	}
	return source[:found[0][0]] + strings.Join(m.New, "\n") + source[found[0][1]:], nil
}

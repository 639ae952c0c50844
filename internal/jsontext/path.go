package jsontext

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Step is one step of a Path: the name of a member, or the index of an element from 0.
type Step struct {
	Key     string
	Index   int
	IsIndex bool
}

// Path leads from a JSON value to one inside it. The empty path leads to the value itself.
type Path []Step

// PathError is the error of ParsePath.
type PathError struct {
	Offset int // in bytes
	Text   string
}

func (e *PathError) Error() string { return fmt.Sprintf("%s at byte %d", e.Text, e.Offset+1) }

// ParsePath parses a path in jq's notation: "." is the value itself, ".a.b" a member of a
// member, ".a[0]" an element, and names that are no identifiers are written as JSON strings:
// ."a b" or .["a b"].
func ParsePath(text string) (p Path, err error) {
	b := []byte(text)
	fail := func(at int, what string) (Path, error) { return nil, &PathError{at, what} }
	if len(b) == 0 || b[0] != '.' {
		return fail(0, "a path begins with a dot")
	}
	for i := 0; i < len(b); {
		if b[i] == '.' {
			i++
			switch {
			case i == len(b):
				if i > 1 {
					return fail(i, "a name is missing")
				}
				return p, nil
			case b[i] == '[' && i == 1:
				continue
			case b[i] == '"':
				end, key, ok := quoted(b, i)
				if !ok {
					return fail(end, "malformed string")
				}
				p, i = append(p, Step{Key: key}), end
			default:
				end := i
				for end < len(b) && (b[end] == '_' || b[end]|0x20 >= 'a' && b[end]|0x20 <= 'z' || end > i && b[end] >= '0' && b[end] <= '9') {
					end++
				}
				if end == i {
					return fail(i, "a name is missing")
				}
				p, i = append(p, Step{Key: string(b[i:end])}), end
			}
			continue
		}
		if b[i] != '[' {
			return fail(i, "want . or [")
		}
		i++
		end, step := i, Step{IsIndex: true}
		if i < len(b) && b[i] == '"' {
			var ok bool
			if end, step.Key, ok = quoted(b, i); !ok {
				return fail(end, "malformed string")
			}
			step.IsIndex = false
		} else {
			for end < len(b) && b[end] >= '0' && b[end] <= '9' {
				end++
			}
			n, err := strconv.Atoi(string(b[i:end]))
			if err != nil {
				return fail(i, "want an index from 0 on, or a string")
			}
			step.Index = n
		}
		if end == len(b) || b[end] != ']' {
			return fail(end, "] is missing")
		}
		p, i = append(p, step), end+1
	}
	return p, nil
}

// quoted reads the JSON string at i.
func quoted(b []byte, i int) (end int, text string, ok bool) {
	if !utf8.Valid(b) {
		return i, "", false
	}
	if end, ok = SkipString(b, i); !ok {
		return min(end, len(b)), "", false
	}
	t, whole := AppendUnquoted(nil, b[i+1:end-1])
	return end, string(t), whole
}

// isKey reports whether the step is the member with a name, given as it is written.
func (s *Step) isKey(raw []byte) bool {
	if s.IsIndex {
		return false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw) == s.Key
	}
	text, _ := AppendUnquoted(nil, raw)
	return string(text) == s.Key
}

// Place is where a path ends.
type Place uint8

// The places.
const (
	Missing Place = iota // there is no such member or element, or null is in the way
	Inside               // at a value
	Astray               // something that has no such parts is in the way
)

// Found is what a path leads to.
type Found struct {
	Place Place
	Value []byte // as it is written: a part of the text; nil unless Place is Inside
}

// Find follows a path from the JSON value that is b. If a name is there more than once, the
// last one counts. valid is false if b is not one JSON value.
func (p Path) Find(b []byte) (f Found, valid bool) {
	end, ok := walk(b, SkipBlank(b, 0), 0, p, &f)
	if !ok || SkipBlank(b, end) != len(b) {
		return Found{}, false
	}
	return f, true
}

// arrive notes what the rest of a path leads to from the value b[i:end], unless that is in one
// of its parts.
func (f *Found) arrive(b []byte, i, end int, rest Path) {
	switch {
	case len(rest) == 0:
		*f = Found{Inside, b[i:end]}
	case b[i] != 'n' && !(b[i] == '{' && !rest[0].IsIndex) && !(b[i] == '[' && rest[0].IsIndex):
		*f = Found{Place: Astray}
	}
}

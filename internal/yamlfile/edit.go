package yamlfile

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// An edit works on lines: it inserts, replaces or deletes the lines of an entry and keeps all
// other lines byte for byte, with their comments, blank lines and quotes. The edited text is
// parsed again and must have the intended content; a file whose form does not allow the edit stays
// unchanged.

// ErrForm is returned for an edit that the form of the file does not allow.
var ErrForm = errors.New("the file has a form that cannot be edited here, as braces or several lines for one value: edit it by hand")

// Data returns the text of the file.
func (f *File) Data() []byte { return f.data }

// Pair is a key and its value for Put: a list, or a scalar, which is written without quotes if
// Bare is set.
type Pair struct {
	Key    string
	Values []string
	List   bool
	Bare   bool
}

func (p Pair) scalar() string {
	if p.Bare {
		return p.Values[0]
	}
	return Quote(p.Values[0])
}

// Set returns the file with a scalar value for a key of the root.
func (f *File) Set(key, value string) (*File, error) {
	all, err := f.lines()
	if err != nil {
		return nil, err
	}
	line := key + ": " + Quote(value)
	want := f.Root.with(key, &Node{Text: value})
	e := f.Root.Get(key)
	if e == nil {
		return f.check(append(all, line+newline(f.data)), want)
	}
	if e.Value.comment != "" {
		line += " " + e.Value.comment
	}
	at := e.Key.Line - 1
	all[at] = line + newline(f.data)
	return f.check(all, want)
}

// Unset returns the file without a key of the root, whose value must be a scalar.
func (f *File) Unset(key string) (*File, error) {
	e := f.Root.Get(key)
	if e == nil {
		return f, nil
	}
	all, err := f.lines()
	if err != nil {
		return nil, err
	}
	at := e.Key.Line - 1
	return f.check(slices.Delete(all, at, at+1), f.Root.with(key, nil))
}

// Put returns the file with section.name set to a mapping of the pairs. It replaces the existing
// mapping, or appends a new one to the section.
func (f *File) Put(section, name string, pairs []Pair) (*File, error) {
	end := newline(f.data)
	all, err := f.lines()
	if err != nil {
		return nil, err
	}
	indent, inner := "  ", "    "
	s := f.Root.Get(section)
	content := &Node{Kind: Mapping}
	for _, p := range pairs {
		v := &Node{}
		if p.List {
			v.Kind = List
			for _, text := range p.Values {
				v.Items = append(v.Items, &Node{Text: text})
			}
		} else {
			v.Text = p.Values[0]
		}
		content.Entries = append(content.Entries, Entry{&Node{Text: p.Key}, v})
	}
	var old *Node
	if s != nil {
		old = s.Value
	}
	whole := f.Root.with(section, old.with(name, content))

	if s == nil {
		all = append(all, section+":"+end)
	} else if len(s.Value.Entries) == 0 {
		// "contexts:", followed by nothing, null or {}.
		line := section + ":"
		if s.Value.comment != "" {
			line += " " + s.Value.comment
		}
		all[s.Key.Line-1] = line + end
	} else {
		first := s.Value.Entries[0]
		indent = strings.Repeat(" ", first.Key.Column-1)
		inner = indent + "  "
		if o := first.Value.Entries; len(o) > 0 && o[0].Key.Line > first.Key.Line && o[0].Key.Column > first.Key.Column {
			inner = strings.Repeat(" ", o[0].Key.Column-1)
		}
	}
	block := []string{indent + Quote(name) + ":" + end}
	for _, p := range pairs {
		if !p.List {
			block = append(block, inner+p.Key+": "+p.scalar()+end)
			continue
		}
		block = append(block, inner+p.Key+":"+end)
		for _, text := range p.Values {
			block = append(block, inner+"  - "+Quote(text)+end)
		}
	}
	switch {
	case s == nil:
		all = append(all, block...)
	case old.Get(name) != nil:
		from, to := f.extent(s, name, all)
		all = slices.Replace(all, from, to, block...)
	case len(old.Entries) > 0:
		_, to := f.extent(s, old.Entries[len(old.Entries)-1].Key.Text, all)
		all = slices.Insert(all, to, block...)
	default:
		all = slices.Insert(all, s.Key.Line, block...)
	}
	return f.check(all, whole)
}

// Remove returns the file without section.name and the comment right above it. Removing the last
// entry removes the section.
func (f *File) Remove(section, name string) (*File, error) {
	s := f.Root.Get(section)
	if s == nil || s.Value.Get(name) == nil {
		return f, nil
	}
	all, err := f.lines()
	if err != nil {
		return nil, err
	}
	from, to := f.extent(s, name, all)
	column := s.Value.Get(name).Key.Column
	for from > s.Key.Line && isComment(all[from-1]) && indentOf(all[from-1]) == column-1 {
		from--
	}
	all = slices.Delete(all, from, to)
	if len(s.Value.Entries) == 1 {
		all = slices.Delete(all, s.Key.Line-1, s.Key.Line)
		return f.check(all, f.Root.with(section, nil))
	}
	return f.check(all, f.Root.with(section, s.Value.with(name, nil)))
}

// extent returns the range of lines of an entry of a section: from its key to the last line of its
// value. Blank lines and comments that precede the next entry are not included.
func (f *File) extent(section *Entry, name string, all []string) (from, to int) {
	e := section.Value.Get(name)
	from, to = e.Key.Line-1, len(all)
	for _, entries := range [...][]Entry{section.Value.Entries, f.Root.Entries} {
		for _, other := range entries {
			if line := other.Key.Line - 1; line > from && line < to {
				to = line
			}
		}
	}
	for to > from+1 && (strings.TrimSpace(all[to-1]) == "" || isComment(all[to-1]) && indentOf(all[to-1]) < e.Key.Column) {
		to--
	}
	return from, to
}

func isComment(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " "), "#") }

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// lines returns the lines of the file, each with its line ending. It returns ErrForm if the file
// has line breaks that only YAML knows: the lines of nodes count those.
func (f *File) lines() ([]string, error) {
	text := strings.ReplaceAll(string(f.data), "\r\n", "\n")
	if strings.ContainsAny(text, "\r\u0085\u2028\u2029") {
		return nil, ErrForm
	}
	all := lines(f.data)
	last := len(all) - 1
	if all[last] == "" {
		return all[:last], nil
	}
	all[last] += newline(f.data)
	return all, nil
}

// check parses the edited lines and compares the result with the intended content.
func (f *File) check(all []string, want *Node) (*File, error) {
	edited, err := Parse(f.Path, []byte(strings.Join(all, "")))
	if err != nil || !edited.Root.equal(want) {
		return nil, ErrForm
	}
	edited.Mode, edited.read = f.Mode, f.read
	return edited, nil
}

// with returns a copy of a mapping with another value for a key; a nil value removes the key. A
// nil or null mapping counts as empty.
func (n *Node) with(key string, value *Node) *Node {
	c := &Node{Kind: Mapping}
	found := false
	if n != nil {
		for _, e := range n.Entries {
			if e.Key.Text == key {
				found = true
				if e.Value = value; value == nil {
					continue
				}
			}
			c.Entries = append(c.Entries, e)
		}
	}
	if !found && value != nil {
		c.Entries = append(c.Entries, Entry{&Node{Text: key}, value})
	}
	return c
}

// equal reports whether two nodes have the same content.
func (n *Node) equal(o *Node) bool {
	return n.Kind == o.Kind && n.Text == o.Text &&
		slices.EqualFunc(n.Items, o.Items, (*Node).equal) &&
		slices.EqualFunc(n.Entries, o.Entries, func(a, b Entry) bool { return a.Key.equal(b.Key) && a.Value.equal(b.Value) })
}

// Quote returns s as a scalar on one line: bare if YAML cannot read it as anything else, otherwise
// in double quotes with the escapes of Go. s must be UTF-8.
func Quote(s string) string {
	plain := s != "" && s[0] != '-' && s[len(s)-1] != ':' && !strings.HasPrefix(s, "...")
	for i := 0; i < len(s) && plain; i++ {
		c := s[i]
		plain = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-/:+", c) >= 0 || c == '@' && i > 0
	}
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		plain = false
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}

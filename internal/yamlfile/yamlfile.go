// Package yamlfile reads small YAML files strictly: every node has its line and column, keys are
// unique, and the cost of a hostile or broken file is bounded. Schema describes the keys of a
// mapping: it reads them into variables, writes them, and words the errors of all readers alike. A
// file can also be edited in place without changing the rest of it.
//
// No other package imports a YAML library. A panic of the library becomes an error here.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/mqtools/mqtools/internal/spelling"
	"github.com/mqtools/mqtools/internal/textfile"
	"github.com/mqtools/mqtools/internal/units"
)

const (
	// MaxSize is the size of the largest file that is read, in bytes.
	MaxSize = 1 << 20
	// maxNodes bounds the nodes of a file after its aliases are resolved.
	maxNodes = 100_000
	// maxDepth bounds the nesting. It also stops an alias that contains itself.
	maxDepth = 64
)

// Kind is the kind of a node.
type Kind uint8

// The kinds of nodes.
const (
	Scalar Kind = iota
	List
	Mapping
)

// Node is one value of a file. Aliases are resolved: the place of a node is that of its text.
type Node struct {
	Kind         Kind
	Line, Column int // from 1; the column counts characters

	// The text of a scalar as written, without quotes. Bool is set for a bare true or false, Null
	// for a bare null or nothing.
	Text       string
	Bool, Null bool

	Entries []Entry // of a mapping, in the order of the file
	Items   []*Node // of a list

	flow    bool   // in braces or brackets
	comment string // after it on its line
}

// Entry is one key of a mapping and its value.
type Entry struct{ Key, Value *Node }

// Get returns the entry with a key, or nil.
func (n *Node) Get(key string) *Entry {
	if n == nil {
		return nil
	}
	for i := range n.Entries {
		if n.Entries[i].Key.Text == key {
			return &n.Entries[i]
		}
	}
	return nil
}

// AsList returns the items of a list, or the node itself as the only item.
func (n *Node) AsList() []*Node {
	if n.Kind == List {
		return n.Items
	}
	return []*Node{n}
}

// True reports whether the node is a bare true.
func (n *Node) True() bool { return n.Bool && strings.EqualFold(n.Text, "true") }

// What returns the kind of the node in the words of an error.
func (n *Node) What() string {
	switch {
	case n.Kind == Mapping && len(n.Entries) == 0:
		return "an empty mapping"
	case n.Kind == Mapping:
		return "a mapping"
	case n.Kind == List && len(n.Items) == 0:
		return "an empty list"
	case n.Kind == List:
		return "a list"
	case n.Null:
		return "nothing"
	case n.Bool:
		return "true or false"
	}
	return "a text"
}

// ShownKey returns the part of a key that an error may repeat. In a line without a space after the
// colon the key includes the value, which may be a secret.
func ShownKey(key string) string {
	if i := strings.IndexAny(key, ":= "); i > 0 {
		return key[:i]
	}
	return key
}

// File is a parsed file. Root is a mapping; it has no entries if the file has only blank lines and
// comments.
type File struct {
	Path string
	Root *Node
	// Mode is the file's mode when it was read; 0 if the file does not exist yet.
	Mode fs.FileMode

	data []byte
	read []byte // the content of the file on disk, as far as known
}

// Error is an error in a file, with its place. Column 0 is unknown. Error returns
// path:line:column: message.
type Error struct {
	Path         string
	Line, Column int
	Text         string
	Help         string // the remedy, or ""; not part of Error()
}

func (e *Error) Error() string { return e.Place() + ": " + e.Text }

// Hint returns Help.
func (e *Error) Hint() string { return e.Help }

// Place returns path:line:column.
func (e *Error) Place() string {
	if e.Column == 0 {
		return fmt.Sprintf("%s:%d", e.Path, e.Line)
	}
	return fmt.Sprintf("%s:%d:%d", e.Path, e.Line, e.Column)
}

// Errorf returns an error at a node.
func (f *File) Errorf(n *Node, format string, args ...any) *Error {
	return &Error{Path: f.Path, Line: n.Line, Column: n.Column, Text: fmt.Sprintf(format, args...)}
}

// UnknownKey returns the error of a key that is not one of known.
func (f *File) UnknownKey(key *Node, known ...string) *Error {
	word := ShownKey(key.Text)
	e := f.Errorf(key, "unknown key %q", word)
	switch near := spelling.Nearest(word, known); {
	case word != key.Text && slices.Contains(known, word):
		e.Help = "put a space after the colon: " + word + ": VALUE"
	case near != "":
		e.Help = "did you mean " + near + "?"
	case len(known) > 0:
		e.Help = "the keys here are " + units.AndList(known...)
	}
	return e
}

// Want returns the error of a node of the wrong kind. name is the key of the node, or "".
func (f *File) Want(n *Node, name, want string) *Error {
	return f.Errorf(n, "%swant %s, not %s", prefix(name), want, n.What())
}

// Invalid returns the error of a value that is not valid, see units.Invalid.
func (f *File) Invalid(n *Node, name, what, hint string) *Error {
	if n.Kind == Scalar && !n.Null {
		return f.Errorf(n, "%s%s", prefix(name), units.Invalid(what, strconv.Quote(n.Text), hint))
	}
	want, ok := strings.CutPrefix(hint, "want ")
	if !ok {
		want = "a " + what
	}
	return f.Want(n, name, want)
}

func prefix(name string) string {
	if name == "" {
		return ""
	}
	return name + ": "
}

// Read reads and parses a file. It returns the error of the system if the file cannot be read, and
// an *Error if it cannot be parsed.
func Read(path string) (*File, error) {
	data, st, err := readText(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(path, data)
	if err != nil {
		return nil, err
	}
	f.Mode, f.read = st.Mode(), data
	return f, nil
}

// ReadText returns the text of a file that is to be passed to Parse. It reads at most one byte
// more than Parse accepts.
func ReadText(path string) ([]byte, error) {
	data, _, err := readText(path)
	return data, err
}

func readText(path string) ([]byte, fs.FileInfo, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	st, err := r.Stat()
	if err != nil {
		return nil, nil, err
	}
	if st.IsDir() {
		return nil, nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("is a directory")}
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, nil, err
	}
	return data, st, nil
}

// Parse parses the text of a file. path is for errors. A byte order mark at the beginning is
// ignored; UTF-16 is an error.
func Parse(path string, data []byte) (*File, error) {
	if len(data) > MaxSize {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("has more than %d bytes", MaxSize)}
	}
	text, err := textfile.Trim(data)
	if err != nil {
		return nil, &Error{Path: path, Line: 1, Column: 1, Text: err.Error()}
	}
	if err := checkText(path, text); err != nil {
		return nil, err
	}
	doc, err := decode(text)
	if err != nil {
		return nil, located(path, text, err)
	}
	f := &File{Path: path, data: data, Root: &Node{Kind: Mapping, Line: 1, Column: 1}}
	if doc == nil {
		return f, nil
	}
	c := converter{file: f}
	root, err := c.node(doc.Content[0], 0)
	switch {
	case err != nil:
		return nil, err
	case root.Kind == Scalar && root.Null:
	case root.Kind != Mapping:
		return nil, f.Want(root, "", "lines of the form 'key: value'")
	default:
		f.Root = root
	}
	return f, nil
}

// errSecond is returned for a file with several documents.
var errSecond = errors.New("a second document begins here")

// decode parses the only document. It returns nil for an empty file.
func decode(data []byte) (doc *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			doc, err = nil, errors.New("not understood")
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	switch err := d.Decode(&first); {
	case err == io.EOF:
		return nil, nil
	case err != nil:
		return nil, err
	case len(first.Content) != 1:
		return nil, nil
	}
	switch err := d.Decode(&second); err {
	case io.EOF:
		return &first, nil
	case nil:
		return nil, errSecond
	default:
		return nil, err
	}
}

// converter converts nodes of the library to Nodes.
type converter struct {
	file  *File
	count int
}

func (c *converter) node(y *yaml.Node, depth int) (*Node, error) {
	n := &Node{Line: y.Line, Column: y.Column, Text: y.Value, comment: y.LineComment, flow: y.Style&yaml.FlowStyle != 0}
	if c.count++; c.count > maxNodes {
		return nil, c.file.Errorf(n, "more than %d values", maxNodes)
	}
	if depth > maxDepth {
		return nil, c.file.Errorf(n, "nested deeper than %d levels, or an alias that contains itself", maxDepth)
	}
	if y.Style&yaml.TaggedStyle != 0 {
		return nil, c.file.Errorf(n, "tags such as %s have no meaning here", y.Tag)
	}
	switch y.Kind {
	case yaml.AliasNode:
		return c.node(y.Alias, depth+1)
	case yaml.SequenceNode:
		n.Kind, n.Text = List, ""
		for _, item := range y.Content {
			child, err := c.node(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, child)
		}
	case yaml.MappingNode:
		n.Kind, n.Text = Mapping, ""
		for i := 0; i+1 < len(y.Content); i += 2 {
			if y.Content[i].Tag == "!!merge" {
				return nil, c.file.Errorf(&Node{Line: y.Content[i].Line, Column: y.Content[i].Column}, "merge keys (<<) are not known here")
			}
			key, err := c.node(y.Content[i], depth+1)
			if err != nil {
				return nil, err
			}
			if key.Kind != Scalar || key.Null {
				return nil, c.file.Want(key, "", "a key")
			}
			if other := n.Get(key.Text); other != nil {
				return nil, c.file.Errorf(key, "key %q is already on line %d", ShownKey(key.Text), other.Key.Line)
			}
			value, err := c.node(y.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			n.Entries = append(n.Entries, Entry{key, value})
		}
	default:
		if y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
			n.Bool = y.Tag == "!!bool"
			n.Null = y.Tag == "!!null"
		}
	}
	return n, nil
}

// lines splits a text after its newlines.
func lines(data []byte) []string {
	return strings.SplitAfter(string(data), "\n")
}

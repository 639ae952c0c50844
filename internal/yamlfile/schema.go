package yamlfile

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/spelling"
	"github.com/mqtools/mqtools/internal/units"
)

// Schema lists the keys of a mapping, in the order in which they are written. As with the
// flags of package flag, each key points to the variable that it sets:
//
//	s := yamlfile.Schema{
//		yamlfile.Text("name", &p.Name, "name for reports"),
//		yamlfile.Duration("settle", &p.Settle, 0, time.Hour, "pause before the first message"),
//	}
//	err := s.Read(f, f.Root, "")
type Schema []Field

// Field is one key of a mapping. The zero Field is not usable.
type Field struct {
	Key  string
	Type string // the placeholder in the manual, such as DURATION; "" for other forms
	Doc  string // the meaning of the value, for the manual

	Inner func() Schema // the keys of a value that is a mapping; nil for other values

	set    func(f *File, n *Node) error
	get    func() any  // nil: the key is never written
	zero   func() bool // nil: compare the value of get
	needed bool
	sparse bool
}

// Needed returns the field as one that every mapping must have.
func (x Field) Needed() Field {
	x.needed = true
	return x
}

// Sparse returns the field as one that is written only if its value is not zero.
func (x Field) Sparse() Field {
	x.sparse = true
	return x
}

// Or returns the field with a short form. short reads the value and reports true, or reports false
// to have it read as before.
func (x Field) Or(short func(n *Node) bool) Field {
	set := x.set
	x.set = func(f *File, n *Node) error {
		if short(n) {
			return nil
		}
		return set(f, n)
	}
	return x
}

// Writing returns the field with get as the source of the value that is written. If get is nil or
// returns nil, the key is not written.
func (x Field) Writing(get func() any) Field {
	x.get, x.zero = get, nil
	return x
}

// Before returns the field with a check: its value is read only if first returns nil.
func (x Field) Before(first func(n *Node) error) Field {
	set := x.set
	x.set = func(f *File, n *Node) error {
		if err := first(n); err != nil {
			return err
		}
		return set(f, n)
	}
	return x
}

// Keys returns the keys, in their order.
func (s Schema) Keys() []string {
	keys := make([]string, len(s))
	for i := range s {
		keys[i] = s[i].Key
	}
	return keys
}

// Find returns the field of a key, or nil.
func (s Schema) Find(key string) *Field {
	if i := slices.IndexFunc(s, func(x Field) bool { return x.Key == key }); i >= 0 {
		return &s[i]
	}
	return nil
}

// Read sets the variable of the field to the value n.
func (x *Field) Read(f *File, n *Node) error { return x.set(f, n) }

// Read sets the variables of the keys that the mapping n has, in the order of the file.
// name is what n belongs to in errors, or "" for a whole file. Read returns the first
// error: n is not a mapping, a key is unknown or missing, or a value is not valid.
func (s Schema) Read(f *File, n *Node, name string) error {
	return s.ReadOr(f, n, name, func(key *Node) error { return f.UnknownKey(key, s.Keys()...) })
}

// ReadOr is Read with unknown as the source of the error for a key that is not in s.
func (s Schema) ReadOr(f *File, n *Node, name string, unknown func(key *Node) error) error {
	if n.Kind != Mapping {
		return f.Want(n, name, "a mapping")
	}
	for _, e := range n.Entries {
		x := s.Find(e.Key.Text)
		if x == nil {
			return unknown(e.Key)
		}
		if err := x.set(f, e.Value); err != nil {
			return err
		}
	}
	for i := range s {
		if s[i].needed && n.Get(s[i].Key) == nil {
			return f.Missing(n, name, s[i].Key)
		}
	}
	return nil
}

// Values yields the keys that are written, and their values. A value that is a mapping is a
// Schema.
func (s Schema) Values() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for _, x := range s {
			if x.get == nil {
				continue
			}
			v := x.get()
			if v == nil || x.sparse && x.isZero(v) {
				continue
			}
			if !yield(x.Key, v) {
				return
			}
		}
	}
}

func (x *Field) isZero(v any) bool {
	if x.zero != nil {
		return x.zero()
	}
	return reflect.ValueOf(v).IsZero()
}

// Manual returns the keys as a list in mdoc(7).
func (s Schema) Manual() string {
	var b strings.Builder
	b.WriteString(".Bl -tag -width Ds\n")
	for _, x := range s {
		b.WriteString(".It Cm " + x.Key)
		if x.Type != "" {
			b.WriteString(" Ar " + x.Type)
		}
		b.WriteString("\n" + x.Doc + "\n")
		if x.Inner != nil {
			b.WriteString(x.Inner().Manual())
		}
	}
	b.WriteString(".El\n")
	return b.String()
}

// Part returns a field that is a mapping. schema is called whenever the mapping is read, written
// or printed.
func Part(key string, schema func() Schema, doc string) Field {
	return Field{Key: key, Doc: doc, Inner: schema,
		set: func(f *File, n *Node) error { return schema().Read(f, n, key) },
		get: func() any { return schema() },
	}
}

// Optional returns a field that is a mapping, for which *p stays nil if the key is missing. fresh
// is the value before the mapping is read. schema is as for Part.
func Optional[T any](key string, p **T, fresh T, schema func(*T) Schema, doc string) Field {
	return Field{Key: key, Doc: doc,
		Inner: func() Schema {
			x := fresh
			return schema(&x)
		},
		set: func(f *File, n *Node) error {
			x := fresh
			*p = &x
			return schema(&x).Read(f, n, key)
		},
		get: func() any {
			if *p == nil {
				return nil
			}
			return schema(*p)
		},
	}
}

// Func returns a field that set reads. kind is its Type.
func Func(key, kind string, set func(n *Node) error, doc string) Field {
	return Field{Key: key, Type: kind, Doc: doc, set: func(_ *File, n *Node) error { return set(n) }}
}

// Var returns a field that is set to the value that read returns. kind is its Type.
func Var[T any](key, kind string, p *T, read func(n *Node) (T, error), doc string) Field {
	return variable(key, kind, doc, p, func(_ *File, n *Node) (T, error) { return read(n) })
}

// variable returns a field that sets *p to the value that read returns.
func variable[T any](key, kind, doc string, p *T, read func(f *File, n *Node) (T, error)) Field {
	return Field{Key: key, Type: kind, Doc: doc,
		set: func(f *File, n *Node) error {
			v, err := read(f, n)
			if err == nil {
				*p = v
			}
			return err
		},
		get:  func() any { return *p },
		zero: func() bool { return reflect.ValueOf(*p).IsZero() },
	}
}

// Text returns a field that is any text.
func Text(key string, p *string, doc string) Field {
	return variable(key, "TEXT", doc, p, func(f *File, n *Node) (string, error) { return f.Text(n, key) })
}

// Bool returns a field that is true or false.
func Bool(key string, p *bool, doc string) Field {
	return variable(key, "BOOL", doc, p, func(f *File, n *Node) (bool, error) { return f.Bool(n, key) })
}

// Int returns a field that is a whole number from least to most.
func Int[T ~int | ~int64 | ~uint8 | ~uint16 | ~uint64](key string, p *T, least, most int64, doc string) Field {
	return variable(key, "N", doc, p, func(f *File, n *Node) (T, error) {
		v, err := f.Int(n, key, least, most)
		return T(v), err
	})
}

// Float returns a field that is a number from least to most. It is written as a text.
func Float(key string, p *float64, least, most float64, doc string) Field {
	x := variable(key, "NUMBER", doc, p, func(f *File, n *Node) (float64, error) { return f.Float(n, key, least, most) })
	x.get = func() any { return strconv.FormatFloat(*p, 'g', -1, 64) }
	return x
}

// Duration returns a field that is a duration from least to most.
func Duration(key string, p *time.Duration, least, most time.Duration, doc string) Field {
	x := variable(key, "DURATION", doc, p, func(f *File, n *Node) (time.Duration, error) { return f.Duration(n, key, least, most) })
	x.get = func() any { return p.String() }
	return x
}

// Seconds returns a field that is a duration of whole seconds from least to most.
func Seconds(key string, p *time.Duration, least, most time.Duration, doc string) Field {
	x := variable(key, "DURATION", doc, p, func(f *File, n *Node) (time.Duration, error) { return f.Seconds(n, key, least, most) })
	x.get = func() any { return p.String() }
	return x
}

// Size returns a field that is a number of bytes from 0 to most.
func Size[T ~int | ~int64 | ~float64](key string, p *T, most int64, doc string) Field {
	return variable(key, "SIZE", doc, p, func(f *File, n *Node) (T, error) {
		v, err := f.Size(n, key, most)
		return T(v), err
	})
}

// Word returns a field that is one of words; the variable is the word's index.
func Word[T ~int | ~uint8](key string, p *T, words []string, doc string) Field {
	x := variable(key, strings.Join(words, "|"), doc, p, func(f *File, n *Node) (T, error) {
		i, err := f.Word(n, key, words...)
		return T(i), err
	})
	x.get = func() any { return words[*p] }
	return x
}

// Each calls read for each entry of a mapping of names, until it returns an error.
func (f *File) Each(n *Node, name string, read func(e Entry) error) error {
	if n.Kind != Mapping {
		return f.Want(n, name, "a mapping of names")
	}
	for _, e := range n.Entries {
		if err := read(e); err != nil {
			return err
		}
	}
	return nil
}

// Missing returns the error of a mapping that lacks a key. name is as for Read.
func (f *File) Missing(n *Node, name, key string) *Error {
	return f.Errorf(n, "%s%s is missing", prefix(name), key)
}

// Text returns the text of a scalar. name is what an error calls the value.
func (f *File) Text(n *Node, name string) (string, error) {
	if n.Kind != Scalar || n.Null {
		return "", f.Want(n, name, "a text")
	}
	return n.Text, nil
}

// Bool returns the value of true or false.
func (f *File) Bool(n *Node, name string) (bool, error) {
	if !n.Bool {
		return false, f.Invalid(n, name, "value", "want true or false")
	}
	return n.True(), nil
}

// Int returns the value of a whole number in decimal digits, from least to most.
func (f *File) Int(n *Node, name string, least, most int64) (int64, error) {
	v, err := strconv.ParseInt(n.Text, 10, 64)
	if n.Kind != Scalar || err != nil || strings.Trim(n.Text, "0123456789") != "" || v < least || v > most {
		return 0, f.Invalid(n, name, "value", units.WantNumber(least, most))
	}
	return v, nil
}

// Float returns the value of a number from least to most.
func (f *File) Float(n *Node, name string, least, most float64) (float64, error) {
	v, err := strconv.ParseFloat(n.Text, 64)
	if n.Kind != Scalar || err != nil || strings.Trim(n.Text, "0123456789.e-+") != "" || !(v >= least && v <= most) {
		return 0, f.Invalid(n, name, "value", fmt.Sprintf("want a number from %g to %g", least, most))
	}
	return v, nil
}

// Duration returns the value of a duration from least to most, see units.Duration.
func (f *File) Duration(n *Node, name string, least, most time.Duration) (time.Duration, error) {
	d, err := units.Duration(n.Text)
	switch {
	case n.Kind != Scalar || err == units.ErrNotDuration:
		return 0, f.Invalid(n, name, "duration", units.DurationHint)
	case err != nil || d < least || d > most:
		return 0, f.Invalid(n, name, "duration", units.WantDuration(least, most))
	}
	return d, nil
}

// Seconds returns the value of a duration of whole seconds from least to most.
func (f *File) Seconds(n *Node, name string, least, most time.Duration) (time.Duration, error) {
	d, err := f.Duration(n, name, least, most)
	if err == nil && d%time.Second != 0 {
		return 0, f.Invalid(n, name, "duration", "want whole seconds")
	}
	return d, err
}

// Size returns the value of a number of bytes from 0 to most, see units.Size.
func (f *File) Size(n *Node, name string, most int64) (int64, error) {
	v, err := units.Size(n.Text)
	switch {
	case n.Kind != Scalar || err == units.ErrNotSize:
		return 0, f.Invalid(n, name, "size", units.SizeHint)
	case err != nil || v > most:
		return 0, f.Invalid(n, name, "size", fmt.Sprintf("want 0 to %d bytes", most))
	}
	return v, nil
}

// Word returns the index of a text among words. The hint of its error is the word that a
// misspelled one may mean.
func (f *File) Word(n *Node, name string, words ...string) (int, error) {
	if i := slices.Index(words, n.Text); i >= 0 && n.Kind == Scalar {
		return i, nil
	}
	e := f.Invalid(n, name, "value", "want "+units.OrList(words...))
	if near := spelling.Nearest(n.Text, words); near != "" {
		e.Help = "did you mean " + near + "?"
	}
	return 0, e
}

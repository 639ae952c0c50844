package script

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// fieldReader reads the fields of one packet from a mapping.
type fieldReader struct {
	p    *parser
	typ  packet.Type
	send bool // the packet is sent: every field has exactly one value
	out  []field
	list bool     // the mapping has filters
	flat bool     // the mapping has filter or one of its options
	also []string // other keys of the mapping, for errors
}

// one reads the field of an entry.
func (r *fieldReader) one(e *yamlfile.Entry) error {
	name := e.Key.Text
	if s, ok := findSpec(specs(r.typ), name); ok {
		if r.send && name == "payload-size" {
			return r.p.errorf(e.Key, "payload-size can be expected only; write payload: {repeat: x, times: N}")
		}
		return r.scalar(s, name, 0, e.Value)
	}
	switch {
	case name == "will" && r.typ == packet.CONNECT:
		return r.will(e)
	case r.typ == packet.SUBSCRIBE && name == "filters", r.typ == packet.UNSUBSCRIBE && name == "filters":
		return r.filters(e)
	case r.typ == packet.SUBSCRIBE || r.typ == packet.UNSUBSCRIBE && name == "filter":
		if s, ok := findSpec(filterSpecs, name); ok {
			return r.flatFilter(e, s)
		}
	case name == "codes" && (r.typ == packet.SUBACK || r.typ == packet.UNSUBACK):
		return r.codes(e)
	}
	if id, ok := packet.PropertyByName(name); ok {
		return r.property(id, r.typ, "", e)
	}
	return r.p.file.UnknownKey(e.Key, r.keys()...)
}

// keys returns the keys that the packet may have.
func (r *fieldReader) keys() []string {
	all := slices.Concat(names(specs(r.typ)), properties(r.typ), r.also)
	switch r.typ {
	case packet.CONNECT:
		return append(all, "will")
	case packet.SUBSCRIBE:
		return append(append(all, "filters"), names(filterSpecs)...)
	case packet.UNSUBSCRIBE:
		return append(all, "filters", "filter")
	case packet.SUBACK, packet.UNSUBACK:
		return append(all, "codes")
	}
	return all
}

func names(list []spec) (all []string) {
	for _, s := range list {
		all = append(all, s.name)
	}
	return all
}

// properties returns the names of the properties that a packet may have.
func properties(in packet.Type) (all []string) {
	for id := packet.PropertyID(1); id < 128; id++ {
		if id.AllowedIn(in) {
			all = append(all, id.String())
		}
	}
	return all
}

// scalar reads a value, or a list of alternatives.
func (r *fieldReader) scalar(s spec, name string, prop packet.PropertyID, n *yamlfile.Node) error {
	f := field{node: n, name: name, prop: prop}
	items := n.AsList()
	if n.Kind == yamlfile.List {
		if r.send {
			return r.p.errorf(n, "%s: a list of alternatives can be expected, not sent", name)
		}
		if len(items) == 0 {
			return r.p.want(n, name, "a list of alternatives")
		}
	} else if ref, ok := variable(n); ok {
		f.ref = ref
		r.out = append(r.out, f)
		return nil
	}
	for _, item := range items {
		v, err := r.p.value(s, name, item)
		if err != nil {
			return err
		}
		if v.kind == kindAbsent && r.send {
			return r.p.errorf(item, "%s has no value; leave out what is not to be sent", name)
		}
		f.vals = append(f.vals, v)
	}
	r.out = append(r.out, f)
	return nil
}

// add appends a field that is not in the file itself.
func (r *fieldReader) add(n *yamlfile.Node, name string, prop packet.PropertyID, v value) {
	r.out = append(r.out, field{node: n, name: name, prop: prop, vals: []value{v}})
}

func (r *fieldReader) property(id packet.PropertyID, in packet.Type, prefix string, e *yamlfile.Entry) error {
	name := prefix + e.Key.Text
	if !id.AllowedIn(in) {
		return r.p.errorf(e.Key, "%s is not a property of %s; raw can send it", e.Key.Text, r.typ)
	}
	switch {
	case id.Type() == packet.TypePair:
		return r.userProperties(name, id, e.Value)
	case id.RepeatableIn(in) && e.Value.Kind == yamlfile.List:
		values := make([]value, len(e.Value.Items))
		for i, item := range e.Value.Items {
			v, err := r.p.value(propertySpec(id), name, item)
			if err != nil {
				return err
			}
			values[i] = v
		}
		if !r.send { // their order has no meaning
			slices.SortFunc(values, func(a, b value) int { return cmp.Compare(a.n, b.n) })
		}
		for i, v := range values {
			r.add(e.Value.Items[i], indexed(name, i), id, v)
		}
		r.add(e.Value, name, 0, value{n: uint64(len(e.Value.Items))})
		return nil
	case id.RepeatableIn(in) && !(e.Value.Kind == yamlfile.Scalar && e.Value.Null):
		r.add(e.Value, name, 0, value{n: 1})
		return r.scalar(propertySpec(id), indexed(name, 0), id, e.Value)
	case id.RepeatableIn(in) && !r.send:
		r.add(e.Value, name, 0, value{})
		return nil
	}
	return r.scalar(propertySpec(id), name, id, e.Value)
}

func indexed(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }

// userProperties reads a list of [NAME, VALUE] pairs.
func (r *fieldReader) userProperties(name string, id packet.PropertyID, n *yamlfile.Node) error {
	if n.Kind == yamlfile.Scalar && n.Null && !r.send {
		r.add(n, name, 0, value{})
		return nil
	}
	if n.Kind != yamlfile.List {
		return r.p.want(n, name, "a list of pairs, [[NAME, VALUE], ...]")
	}
	for i, pair := range n.Items {
		if pair.Kind != yamlfile.List || len(pair.Items) != 2 {
			return r.p.errorf(pair, "%s: want a pair [NAME, VALUE]", name)
		}
		for k, part := range [...]string{".name", ".value"} {
			v, err := r.p.value(spec{kind: kindText}, name, pair.Items[k])
			if err != nil {
				return err
			}
			if v.kind == kindAbsent {
				return r.p.want(pair.Items[k], name, "a text")
			}
			r.add(pair.Items[k], indexed(name, i)+part, id, v)
		}
	}
	r.add(n, name, 0, value{n: uint64(len(n.Items))})
	return nil
}

// will reads the will of a CONNECT, or null for none.
func (r *fieldReader) will(e *yamlfile.Entry) error {
	n := e.Value
	if n.Kind == yamlfile.Scalar && n.Null {
		if r.send {
			return r.p.errorf(n, "will has no value; leave out what is not to be sent")
		}
		r.add(n, "will", 0, value{kind: kindAbsent})
		return nil
	}
	if n.Kind != yamlfile.Mapping {
		return r.p.want(n, "will", "a mapping")
	}
	r.add(n, "will", 0, value{kind: kindBool, n: 1})
	for i := range n.Entries {
		sub := &n.Entries[i]
		if s, ok := findSpec(willSpecs, sub.Key.Text); ok {
			if err := r.scalar(s, "will."+s.name, 0, sub.Value); err != nil {
				return err
			}
		} else if id, ok := packet.PropertyByName(sub.Key.Text); ok {
			if err := r.property(id, packet.WillProperties, "will.", sub); err != nil {
				return err
			}
		} else {
			return r.p.file.UnknownKey(sub.Key, append(names(willSpecs), properties(packet.WillProperties)...)...)
		}
	}
	return nil
}

// filters reads a list of topic filters: texts, or mappings with options.
func (r *fieldReader) filters(e *yamlfile.Entry) error {
	if r.flat {
		return r.p.errorf(e.Key, "filters beside a single filter or its options")
	}
	r.list = true
	n := e.Value
	if n.Kind != yamlfile.List || len(n.Items) == 0 {
		return r.p.want(n, "filters", "a list")
	}
	r.add(n, "filters", 0, value{n: uint64(len(n.Items))})
	for i, item := range n.Items {
		prefix := indexed("filters", i) + "."
		if item.Kind == yamlfile.Scalar {
			if err := r.scalar(filterSpecs[0], prefix+"filter", 0, item); err != nil {
				return err
			}
			continue
		}
		if item.Kind != yamlfile.Mapping || r.typ == packet.UNSUBSCRIBE {
			return r.p.want(item, "filters", "a topic filter")
		}
		if item.Get("filter") == nil {
			return r.p.file.Missing(item, "filters", "filter")
		}
		for k := range item.Entries {
			sub := &item.Entries[k]
			s, ok := findSpec(filterSpecs, sub.Key.Text)
			if !ok {
				return r.p.file.UnknownKey(sub.Key, names(filterSpecs)...)
			}
			if err := r.scalar(s, prefix+s.name, 0, sub.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// flatFilter reads what belongs to the only filter of a packet.
func (r *fieldReader) flatFilter(e *yamlfile.Entry, s spec) error {
	if r.list {
		return r.p.errorf(e.Key, "%s beside filters belongs into the list", s.name)
	}
	r.flat = true
	if s.name == "filter" {
		r.add(e.Key, "filters", 0, value{n: 1})
	}
	return r.scalar(s, "filters[0]."+s.name, 0, e.Value)
}

// codes reads the reason codes of a SUBACK or UNSUBACK: one, or a list.
func (r *fieldReader) codes(e *yamlfile.Entry) error {
	items := e.Value.AsList()
	r.add(e.Value, "codes", 0, value{n: uint64(len(items))})
	for i, item := range items {
		if err := r.scalar(reasonSpec, indexed("codes", i), 0, item); err != nil {
			return err
		}
	}
	return nil
}

// variable reports whether a node is the name of a variable, <name>.
func variable(n *yamlfile.Node) (name string, ok bool) {
	if n.Kind != yamlfile.Scalar || len(n.Text) < 3 || n.Text[0] != '<' || n.Text[len(n.Text)-1] != '>' {
		return "", false
	}
	name = n.Text[1 : len(n.Text)-1]
	return name, isName(name)
}

// isName reports whether s consists of lower-case letters, digits and hyphens and begins with a
// letter.
func isName(s string) bool {
	for i, c := range s {
		if c >= 'a' && c <= 'z' || i > 0 && (c >= '0' && c <= '9' || c == '-') {
			continue
		}
		return false
	}
	return s != ""
}

// value reads one value.
func (p *parser) value(s spec, name string, n *yamlfile.Node) (value, error) {
	if n.Kind == yamlfile.Scalar && n.Null {
		return value{kind: kindAbsent}, nil
	}
	if s.kind == kindText {
		b, err := p.text(name, n)
		return value{kind: kindText, b: b}, err
	}
	if n.Kind != yamlfile.Scalar {
		return value{}, p.want(n, name, "a single value")
	}
	switch s.kind {
	case kindVersion:
		v, ok := packet.ParseVersion(n.Text)
		if !ok {
			return value{}, p.invalid(n, name, wantVersion)
		}
		return value{kind: kindVersion, n: uint64(v)}, nil
	case kindBool:
		switch n.Text {
		case "true", "1":
			return value{kind: kindBool, n: 1}, nil
		case "false", "0":
			return value{kind: kindBool}, nil
		}
		return value{}, p.invalid(n, name, "true or false")
	case kindReason:
		if r, ok := reasonByName(n.Text); ok {
			return value{kind: kindReason, n: uint64(r)}, nil
		}
	}
	u, ok := parseNumber(n.Text)
	if !ok || u > s.max {
		if s.kind == kindReason {
			return value{}, p.invalid(n, name, "a reason code: its name in the specification, or a number such as 0x87")
		}
		return value{}, p.file.Invalid(n, name, "value", units.WantNumber(0, int64(min(s.max, math.MaxInt64))))
	}
	return value{kind: s.kind, n: u}, nil
}

// parseNumber parses 135 or 0x87.
func parseNumber(s string) (uint64, bool) {
	base := 10
	if digits, hex := strings.CutPrefix(s, "0x"); hex {
		s, base = digits, 16
	}
	u, err := strconv.ParseUint(s, base, 64)
	return u, err == nil
}

// text reads a literal text, {hex: 00 ff}, or {repeat: x, times: 1000}.
func (p *parser) text(name string, n *yamlfile.Node) ([]byte, error) {
	if n.Kind == yamlfile.Scalar {
		return []byte(n.Text), nil
	}
	if n.Kind != yamlfile.Mapping {
		return nil, p.want(n, name, "a text")
	}
	if err := p.known(n, "hex", "repeat", "times"); err != nil {
		return nil, err
	}
	if e := n.Get("hex"); e != nil {
		if len(n.Entries) > 1 {
			return nil, p.errorf(n, "%s: hex stands alone", name)
		}
		parts, err := p.raw(e.Value)
		if err != nil {
			return nil, err
		}
		b, err := resolveRaw(parts, nil)
		if err != nil {
			return nil, p.errorf(e.Value, "%s: %v", name, err)
		}
		return b, nil
	}
	unit, times := n.Get("repeat"), n.Get("times")
	if unit == nil || times == nil || unit.Value.Kind != yamlfile.Scalar {
		return nil, p.errorf(n, "%s: want a text, {hex: BYTES} or {repeat: TEXT, times: N}", name)
	}
	count, err := p.number(times.Value, "times", 1, 1<<24)
	if err != nil {
		return nil, err
	}
	if count*len(unit.Value.Text) > 1<<24 {
		return nil, p.errorf(n, "%s: more than %d bytes", name, 1<<24)
	}
	b := make([]byte, 0, count*len(unit.Value.Text))
	for range count {
		b = append(b, unit.Value.Text...)
	}
	return b, nil
}

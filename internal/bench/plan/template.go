package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Template is a text with fields that depend on the client and the message:
//
//	%i        the client's index in its group, plus the group's first
//	%n        the number of clients of the group
//	%s        the number of the client's message, from 0 (0 if there is none)
//	%j        the number of the message in the stream: %s times %n plus the index
//	%r        a random number of 32 bits, different for each message
//	%c        the client ID
//	%u        the user name
//	%g        the name of the group
//	%{run}    the name of the run, unique to it
//	%t        the time in nanoseconds since 1970, in payloads only
//	%rand_100 a random number from 1 to 100
//	%%        a percent sign
//
// %{...} calculates with i, n, s, j, r or t from left to right: %{i%100}, %{i/10}, %{i+1%n}. The
// operators are + * / %; division rounds down. Operands are whole numbers, n, h for half of n, or
// the number of clients of another group: %{i%@subscribers}. A colon and a width pad with zeros:
// %{i:06}.
//
// A template belongs to a plan and depends on its group.
type Template struct {
	source string
	parts  []part
	seed   uint64 // of %r
}

// part is a literal (base 0) or a field.
type part struct {
	base    byte   // i, s, j, r, t; c, u, g, n before bind; R, the run, before name; U is a user name of the group's credentials
	literal string // base 0
	add     uint64 // of i: the group's First; of j: its clients
	ops     []op
	width   int
	rows    *Credentials
}

type op struct {
	op byte   // + * / %
	by uint64 // above 0 for / and %
	of string // until bind: n, h or @group in place of by
}

const (
	maxWidth    = 20
	maxOperand  = 1 << 32
	maxTemplate = 65535
)

// parseTemplate parses a template. bind must be called before it is used.
func parseTemplate(s string) (*Template, error) {
	t := &Template{source: s}
	if len(s) > maxTemplate {
		return nil, fmt.Errorf("has more than %d bytes", maxTemplate)
	}
	for rest := s; rest != ""; {
		text, field, found := strings.Cut(rest, "%")
		t.literal(text)
		if !found {
			break
		}
		n, err := t.field(field)
		if err != nil {
			return nil, err
		}
		rest = field[n:]
	}
	return t, nil
}

func (t *Template) literal(s string) {
	if s == "" {
		return
	}
	if n := len(t.parts); n > 0 && t.parts[n-1].base == 0 {
		t.parts[n-1].literal += s
		return
	}
	t.parts = append(t.parts, part{literal: s})
}

const fieldBases = "insjrtcug"

// field parses the text after a percent sign, and returns the field and its length.
func (t *Template) field(s string) (n int, err error) {
	if s == "" {
		return 0, fmt.Errorf("ends in a lone %%; %%%% is a percent sign")
	}
	if s[0] == '%' {
		t.literal("%")
		return 1, nil
	}
	if digits, ok := strings.CutPrefix(s, "rand_"); ok {
		end := len(digits) - len(strings.TrimLeft(digits, "0123456789"))
		most, err := strconv.ParseUint(digits[:end], 10, 32)
		if err != nil || most == 0 {
			return 0, fmt.Errorf("has %%rand_ without a number from 1 to 4294967295")
		}
		t.parts = append(t.parts, part{base: 'r', ops: []op{{'%', most, ""}, {'+', 1, ""}}})
		return len("rand_") + end, nil
	}
	if s[0] != '{' {
		if !strings.Contains(fieldBases, s[:1]) {
			return 0, fmt.Errorf("has the unknown field %q; %%%% is a percent sign", "%"+firstRune(s))
		}
		t.parts = append(t.parts, part{base: s[0]})
		return 1, nil
	}
	inner, _, closed := strings.Cut(s[1:], "}")
	if !closed {
		return 0, fmt.Errorf("has a %%{ without }")
	}
	if inner == "run" {
		t.parts = append(t.parts, part{base: 'R'})
		return len("{run}"), nil
	}
	p, err := parseField(inner)
	if err != nil {
		return 0, err
	}
	t.parts = append(t.parts, p)
	return len(inner) + 2, nil
}

func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}

// parseField parses the inner part of %{...}.
func parseField(inner string) (part, error) {
	bad := func(why string) (part, error) { return part{}, fmt.Errorf("has the field %q, %s", "%{"+inner+"}", why) }
	expr, width, has := strings.Cut(inner, ":")
	var p part
	if has {
		w, err := strconv.ParseUint(width, 10, 8)
		if err != nil || w < 1 || w > maxWidth {
			return bad(fmt.Sprintf("whose width is not from 1 to %d", maxWidth))
		}
		p.width = int(w)
	}
	if expr == "" || !strings.Contains("insjrt", expr[:1]) {
		return bad("which begins with none of i, n, s, j, r, t and is not run")
	}
	p.base = expr[0]
	for expr = expr[1:]; expr != ""; {
		o := op{op: expr[0]}
		if !strings.ContainsRune("+*/%", rune(o.op)) {
			return bad(fmt.Sprintf("where one of + * / %% belongs in the place of %q", firstRune(expr)))
		}
		operand := expr[1:]
		end := len(operand) - len(strings.TrimLeft(operand, "0123456789"))
		switch {
		case strings.HasPrefix(operand, "n"), strings.HasPrefix(operand, "h"):
			end = 1
			o.of = operand[:1]
		case strings.HasPrefix(operand, "@"):
			for end = 1; end < len(operand) && isName(operand[end:end+1]); end++ {
			}
			o.of = operand[:end]
		default:
			by, err := strconv.ParseUint(operand[:end], 10, 64)
			if err != nil || by > maxOperand || by == 0 && (o.op == '/' || o.op == '%') {
				return bad(fmt.Sprintf("where n, h, @GROUP or a number up to %d belongs behind %c, and not 0 to divide by", uint64(maxOperand), o.op))
			}
			o.by = by
		}
		p.ops = append(p.ops, o)
		expr = operand[end:]
	}
	return p, nil
}

// bind sets the group of a template. salt makes the random numbers of a plan's templates differ.
func (t *Template) bind(g *Group, groups []*Group, seed, salt uint64) error {
	t.seed = mix(seed, salt, 0)
	bound := &Template{}
	if err := bound.take(t.parts, g, groups, 0); err != nil {
		return err
	}
	t.parts = bound.parts
	return nil
}

func (t *Template) take(parts []part, g *Group, groups []*Group, depth int) error {
	for _, p := range parts {
		p.ops = slices.Clone(p.ops)
		for i := range p.ops {
			if err := p.ops[i].resolve(g, groups); err != nil {
				return err
			}
		}
		var inner *Template
		switch p.base {
		case 0:
			t.literal(p.literal)
			continue
		case 'g':
			t.literal(g.Name)
			continue
		case 'n':
			t.literal(string(p.append(nil, uint64(g.Clients))))
			continue
		case 'i':
			p.add = g.First
		case 'j':
			p.add = uint64(g.Clients)
		case 'c':
			inner = g.ClientID
		case 'u':
			if g.Credentials != nil {
				p.base, p.rows = 'U', g.Credentials
				break
			}
			if inner = g.Username; inner == nil {
				return fmt.Errorf("has %%u, and group %q has no user name", g.Name)
			}
		}
		if inner == nil {
			t.parts = append(t.parts, p)
			continue
		}
		if depth > 2 {
			return fmt.Errorf("contains itself")
		}
		if err := t.take(inner.parts, g, groups, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// name sets the name of the run in a template that is bound.
func (t *Template) name(run string) {
	named := &Template{}
	for _, p := range t.parts {
		switch p.base {
		case 'R':
			named.literal(run)
		case 0:
			named.literal(p.literal)
		default:
			named.parts = append(named.parts, p)
		}
	}
	t.parts = named.parts
}

// resolve sets the number of an operand.
func (o *op) resolve(g *Group, groups []*Group) error {
	switch o.of {
	case "":
		return nil
	case "n":
		o.by = uint64(g.Clients)
	case "h":
		o.by = uint64(g.Clients) / 2
	default:
		i := slices.IndexFunc(groups, func(g *Group) bool { return g.Name == o.of[1:] })
		if i < 0 {
			return fmt.Errorf("names the group %q, which is not there", o.of[1:])
		}
		o.by = uint64(groups[i].Clients)
	}
	if o.by == 0 && (o.op == '/' || o.op == '%') {
		return fmt.Errorf("divides by half of one client, which is 0")
	}
	o.of = ""
	return nil
}

// String returns the template as it was written.
func (t *Template) String() string { return t.source }

// Append appends the text for a client's message. index is the position of the client in its group
// from 0, seq the number of the message, unix the time in nanoseconds since 1970 (0 if there is no
// %t). It does not allocate if dst has room.
func (t *Template) Append(dst []byte, index, seq uint32, unix int64) []byte {
	for i := range t.parts {
		p := &t.parts[i]
		switch p.base {
		case 0:
			dst = append(dst, p.literal...)
		case 'i':
			dst = p.append(dst, uint64(index)+p.add)
		case 's':
			dst = p.append(dst, uint64(seq))
		case 'r':
			dst = p.append(dst, mix(t.seed, uint64(index)<<32|uint64(seq), uint64(i))>>32)
		case 'j':
			dst = p.append(dst, uint64(seq)*p.add+uint64(index))
		case 't':
			dst = p.append(dst, uint64(unix))
		case 'U':
			dst = append(dst, p.rows.user(index)...)
		}
	}
	return dst
}

// append appends a field whose base has the value v.
func (p *part) append(dst []byte, v uint64) []byte {
	start := len(dst)
	dst = strconv.AppendUint(dst, p.value(v), 10)
	for len(dst)-start < p.width {
		dst = append(dst, 0)
		copy(dst[start+1:], dst[start:])
		dst[start] = '0'
	}
	return dst
}

// value returns the value of a field.
func (p *part) value(v uint64) uint64 {
	for _, o := range p.ops {
		switch o.op {
		case '+':
			v += o.by
		case '*':
			v *= o.by
		case '/':
			v /= o.by
		case '%':
			v %= o.by
		}
	}
	return v
}

// uses reports whether a template has a field of one of these bases.
func (t *Template) uses(bases string) bool {
	if t == nil {
		return false
	}
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.base != 0 && strings.IndexByte(bases, p.base) >= 0 })
}

// mix returns a hash of three numbers (SplitMix64's finalizer over each).
func mix(a, b, c uint64) uint64 {
	h := a
	for _, x := range [...]uint64{b, c} {
		h += x + 0x9E3779B97F4A7C15
		h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
		h = (h ^ h>>27) * 0x94D049BB133111EB
		h ^= h >> 31
	}
	return h
}

package query

import (
	"bytes"
	"math"
	"strconv"

	"github.com/itchyny/gojq"

	"github.com/mqtools/mqtools/internal/jsontext"
)

// condition is an expression of the form PATH, or PATH OP LITERAL, which is evaluated on the
// bytes of the payload. Where it is not sure of the result, the compiled expression decides.
type condition struct {
	path   jsontext.Path
	op     gojq.Operator // 0: the value itself
	rank   int           // of the literal among the types, which jq orders
	number float64
	text   []byte
}

// The ranks of values: null is less than false, and so on.
const (
	rankNull = iota
	rankFalse
	rankTrue
	rankNumber
	rankText
	rankArray
	rankObject
)

// conditionOf returns the condition that an expression is, or nil.
func conditionOf(q *gojq.Query) *condition {
	if len(q.FuncDefs) > 0 || len(q.Imports) > 0 || q.Meta != nil {
		return nil
	}
	c := &condition{}
	left := q.Term
	switch q.Op {
	case 0:
	case gojq.OpEq, gojq.OpNe, gojq.OpGt, gojq.OpLt, gojq.OpGe, gojq.OpLe:
		if len(q.Patterns) > 0 || q.Left == nil || q.Right == nil || !c.literal(q.Right.Term) {
			return nil
		}
		c.op, left = q.Op, q.Left.Term
	default:
		return nil
	}
	if left == nil || !c.steps(left) {
		return nil
	}
	return c
}

// literal reads a constant.
func (c *condition) literal(t *gojq.Term) bool {
	if t == nil || len(t.SuffixList) > 0 {
		return false
	}
	switch t.Type {
	case gojq.TermTypeNull:
		c.rank = rankNull
	case gojq.TermTypeFalse:
		c.rank = rankFalse
	case gojq.TermTypeTrue:
		c.rank = rankTrue
	case gojq.TermTypeString:
		c.rank, c.text = rankText, []byte(t.Str.Str)
		return len(t.Str.Queries) == 0
	case gojq.TermTypeNumber:
		c.rank = rankNumber
		return c.setNumber(t.Number)
	case gojq.TermTypeUnary:
		if t.Unary.Op != gojq.OpSub || t.Unary.Term.Type != gojq.TermTypeNumber || len(t.Unary.Term.SuffixList) > 0 {
			return false
		}
		c.rank = rankNumber
		return c.setNumber("-" + t.Unary.Term.Number)
	default:
		return false
	}
	return true
}

func (c *condition) setNumber(text string) (sure bool) {
	c.number, sure = exact([]byte(text))
	return sure
}

// exact returns the value of a number that float64 and jq's integers compare in the same way.
func exact(raw []byte) (f float64, sure bool) {
	if len(raw) > 40 {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil && math.Abs(f) < 1<<53
}

// steps reads a path that begins at the payload.
func (c *condition) steps(t *gojq.Term) bool {
	add := func(i *gojq.Index) bool {
		switch {
		case i.IsSlice:
			return false
		case i.Name != "":
			c.path = append(c.path, jsontext.Step{Key: i.Name})
		case i.Str != nil:
			c.path = append(c.path, jsontext.Step{Key: i.Str.Str})
			return len(i.Str.Queries) == 0
		case i.Start != nil && literal(i.Start) && i.Start.Term.Type == gojq.TermTypeString:
			c.path = append(c.path, jsontext.Step{Key: i.Start.Term.Str.Str})
		case i.Start != nil && literal(i.Start):
			n, err := strconv.Atoi(i.Start.Term.Number)
			c.path = append(c.path, jsontext.Step{IsIndex: true, Index: n})
			return err == nil
		default:
			return false
		}
		return true
	}
	switch {
	case t.Type == gojq.TermTypeIdentity:
	case t.Type == gojq.TermTypeIndex && add(t.Index):
	default:
		return false
	}
	for _, s := range t.SuffixList {
		if s.Iter || s.Optional || s.Index == nil || !add(s.Index) {
			return false
		}
	}
	return true
}

// holds evaluates the condition; sure is false where it cannot.
func (c *condition) holds(payload []byte) (is, sure bool) {
	if len(payload) > maxPayload {
		return false, false
	}
	f, valid := c.path.Find(payload)
	if !valid || f.Place == jsontext.Astray {
		return false, false // text, or an error that is to be reported
	}
	rank := rankNull
	if f.Place == jsontext.Inside {
		rank = rankOf(f.Value)
	}
	if c.op == 0 {
		return rank > rankFalse, true
	}
	order := rank - c.rank
	if order == 0 {
		if order, sure = c.compare(f.Value); !sure {
			return false, false
		}
	}
	switch c.op {
	case gojq.OpEq:
		is = order == 0
	case gojq.OpNe:
		is = order != 0
	case gojq.OpGt:
		is = order > 0
	case gojq.OpLt:
		is = order < 0
	case gojq.OpGe:
		is = order >= 0
	case gojq.OpLe:
		is = order <= 0
	}
	return is, true
}

func rankOf(raw []byte) int {
	switch raw[0] {
	case 'n':
		return rankNull
	case 'f':
		return rankFalse
	case 't':
		return rankTrue
	case '"':
		return rankText
	case '[':
		return rankArray
	case '{':
		return rankObject
	}
	return rankNumber
}

// compare compares a value of the literal's rank with it.
func (c *condition) compare(raw []byte) (order int, sure bool) {
	switch c.rank {
	case rankNumber:
		f, sure := exact(raw)
		switch {
		case f < c.number:
			return -1, sure
		case f > c.number:
			return 1, sure
		}
		return 0, sure
	case rankText:
		text := raw[1 : len(raw)-1]
		if bytes.IndexByte(text, '\\') >= 0 {
			return 0, false
		}
		return bytes.Compare(text, c.text), true
	}
	return 0, true
}

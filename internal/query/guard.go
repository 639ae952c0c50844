package query

import (
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/itchyny/gojq"
)

// The compiler's own functions cannot be replaced, so guard rewrites an expression: operations
// whose result can be much larger than their operands, which come from a stranger's payload,
// are preceded by a call of one of these functions.
const (
	guardProduct = "__product" // ($left; $right): before a multiplication, which repeats strings
	guardJoin    = "__join"    // ($separator): before join
	guardAdd     = "__add"     // before add
	guardIndex   = "__index"   // of an index that is assigned to
	guardPath    = "__path"    // of a path that is assigned to
	guardJSON    = "__fromjson"
)

// The shapes of the rewritten parts. The names __a and __b are replaced by the operands. As
// in jq, the right operand is evaluated first.
var shapes = map[string]string{
	"*":          "__b as $__b | __a as $__a | __product($__a; $__b) | $__a * $__b",
	"*=":         "__b as $__b | __a |= (. as $__a | __product($__a; $__b) | $__a * $__b)",
	"join":       "__a as $__a | __join($__a) | join($__a)",
	"add":        "__add | add",
	"index":      "__a | __index",
	"getpath":    "getpath(__a | __path)",
	"setpath":    "setpath(__a | __path; __b)",
	"fromstream": "fromstream(__a | __path)",
	"fromjson":   guardJSON,
}

var changing = []gojq.Operator{gojq.OpAssign, gojq.OpModify, gojq.OpUpdateAdd, gojq.OpUpdateSub, gojq.OpUpdateMul,
	gojq.OpUpdateDiv, gojq.OpUpdateMod, gojq.OpUpdateAlt}

// guard rewrites an expression, and returns the variables and functions that it uses.
func guard(q *gojq.Query, condition bool) (used map[string]bool, err error) {
	used = map[string]bool{}
	defined, changes := map[string]bool{}, false
	visit(reflect.ValueOf(q), func(node any) {
		switch n := node.(type) {
		case *gojq.FuncDef:
			defined[n.Name] = true
		case *gojq.Func:
			used[n.Name] = true
			changes = changes || n.Name == "setpath" || n.Name == "fromstream"
		case *gojq.Query:
			if slices.Contains(changing, n.Op) {
				changes = true
				if condition && err == nil {
					err = fmt.Errorf("%s changes the value; a condition compares with ==", n.Op)
				}
			}
		}
	})
	if condition && err == nil && changes {
		err = errors.New("setpath and fromstream change the value; a condition only looks at it")
	}
	for name := range used {
		if strings.HasPrefix(name, "_") && !defined[name] && err == nil {
			err = fmt.Errorf("function not defined: %s", name)
		}
	}
	if err != nil {
		return nil, err
	}
	visit(reflect.ValueOf(q), func(node any) {
		switch n := node.(type) {
		case *gojq.Query:
			switch {
			case n.Op == gojq.OpMul && !small(n.Left) && !small(n.Right):
				*n = shaped("*", n.Left, n.Right)
			case n.Op == gojq.OpUpdateMul:
				*n = shaped("*=", n.Left, n.Right)
			}
		case *gojq.Index:
			if changes && !n.IsSlice && n.Start != nil && !literal(n.Start) {
				*n = gojq.Index{Start: pointer(shaped("index", n.Start, nil))}
			}
		case *gojq.Term:
			f := n.Func
			if n.Type != gojq.TermTypeFunc || defined[f.Name] {
				return
			}
			args := append(slices.Clone(f.Args), nil, nil)
			switch fmt.Sprint(f.Name, "/", len(f.Args)) {
			case "join/1", "add/0", "fromjson/0", "setpath/2", "fromstream/1":
			case "getpath/1":
				if !changes {
					return
				}
			default:
				return
			}
			q := shaped(f.Name, args[0], args[1])
			*n = gojq.Term{Type: gojq.TermTypeQuery, Query: &q, SuffixList: n.SuffixList}
		}
	})
	return used, nil
}

func pointer[T any](v T) *T { return &v }

// shaped returns a copy of a shape with its operands.
func shaped(name string, a, b *gojq.Query) gojq.Query {
	q, err := gojq.Parse(shapes[name])
	if err != nil {
		panic(err) // a test compiles each
	}
	visit(reflect.ValueOf(q), func(node any) {
		if t, ok := node.(*gojq.Term); ok && t.Type == gojq.TermTypeFunc {
			switch t.Func.Name {
			case "__a":
				*t = gojq.Term{Type: gojq.TermTypeQuery, Query: a}
			case "__b":
				*t = gojq.Term{Type: gojq.TermTypeQuery, Query: b}
			}
		}
	})
	return *q
}

// visit calls f for the nodes of a syntax tree, the inner ones first.
func visit(v reflect.Value, f func(node any)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			visit(v.Elem(), f)
			f(v.Interface())
		}
	case reflect.Slice:
		for i := range v.Len() {
			visit(v.Index(i), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			visit(v.Field(i), f)
		}
	}
}

// literal reports whether an index is a constant number or text.
func literal(q *gojq.Query) bool {
	t := q.Term
	return t != nil && len(t.SuffixList) == 0 && (t.Type == gojq.TermTypeNumber || t.Type == gojq.TermTypeString && len(t.Str.Queries) == 0)
}

// small reports whether an operand is a constant number that makes nothing large.
func small(q *gojq.Query) bool {
	if q == nil || !literal(q) || q.Term.Type != gojq.TermTypeNumber {
		return false
	}
	f, err := strconv.ParseFloat(q.Term.Number, 64)
	return err == nil && f <= 16
}

// isIdentity reports whether an expression is ".".
func isIdentity(q *gojq.Query) bool {
	return len(q.FuncDefs) == 0 && len(q.Imports) == 0 && q.Meta == nil && q.Term != nil && q.Term.Type == gojq.TermTypeIdentity && len(q.Term.SuffixList) == 0
}

// functions returns the functions of our own.
func functions(debug func(text string)) []gojq.CompilerOption {
	options := []gojq.CompilerOption{
		gojq.WithFunction(guardProduct, 2, 2, func(_ any, args []any) any { return checkProduct(args[0], args[1]) }),
		gojq.WithFunction(guardJoin, 1, 1, checkJoin),
		gojq.WithFunction(guardAdd, 0, 0, checkAdd),
		gojq.WithFunction(guardIndex, 0, 0, func(v any, _ []any) any { return checkIndex(v) }),
		gojq.WithFunction(guardPath, 0, 0, checkPath),
		gojq.WithFunction(guardJSON, 0, 0, fromJSON),
	}
	if debug != nil {
		options = append(options, gojq.WithFunction("debug", 0, 1, func(v any, args []any) any {
			shown := v
			if len(args) > 0 {
				shown = args[0]
			}
			text, err := AppendText(nil, shown)
			if err != nil {
				return err
			}
			debug(string(text))
			return v
		}))
	}
	return options
}

func errLarge(what string) error {
	return fmt.Errorf("%s would have more than %d bytes", what, maxProduct)
}

// checkProduct checks the operands of "*".
func checkProduct(l, r any) any {
	if n, ok := r.(string); ok {
		l, r = n, l
	}
	if text, ok := l.(string); ok {
		if n, ok := gojq.ToFloat64(r); ok && n*float64(len(text)) > maxProduct {
			return errLarge("the repeated string")
		}
		return nil
	}
	if a, ok := l.(*big.Int); ok && a.BitLen() > maxBigBits {
		return errors.New("the number is too large to multiply")
	}
	if b, ok := r.(*big.Int); ok && b.BitLen() > maxBigBits {
		return errors.New("the number is too large to multiply")
	}
	return nil
}

// checkJoin checks the input and the argument of join, and returns the input.
func checkJoin(v any, args []any) any {
	parts, ok := v.([]any)
	separator, isText := args[0].(string)
	if !ok || !isText {
		return v // join has its own error
	}
	size := len(separator) * max(len(parts)-1, 0)
	for _, p := range parts {
		if text, ok := p.(string); ok {
			size += len(text)
		}
		if size > maxProduct {
			return errLarge("the joined string")
		}
	}
	return v
}

// checkAdd checks the input of add, and returns it.
func checkAdd(v any, _ []any) any {
	size := 0
	count := func(part any) {
		switch part := part.(type) {
		case string:
			size += len(part)
		case []any:
			size += 16 * len(part)
		}
	}
	switch v := v.(type) {
	case []any:
		for _, part := range v {
			count(part)
		}
	case map[string]any:
		for _, part := range v {
			count(part)
		}
	}
	if size > 4*maxProduct {
		return errLarge("the sum")
	}
	return v
}

// checkIndex returns the index that is assigned to, unless it would make a huge array.
func checkIndex(v any) any {
	if n, ok := gojq.ToFloat64(v); ok && n > maxIndex {
		return fmt.Errorf("index %s is above %d", gojq.Preview(v), maxIndex)
	}
	return v
}

// checkPath is checkIndex for all indices of a path, or of an event of fromstream.
func checkPath(v any, _ []any) any {
	path, ok := v.([]any)
	if !ok {
		return v
	}
	for _, step := range path {
		if inner, ok := step.([]any); ok { // of an event: [path, value]
			if err, failed := checkPath(inner, nil).(error); failed {
				return err
			}
		}
		if err, failed := checkIndex(step).(error); failed {
			return err
		}
	}
	return v
}

// fromJSON is jq's fromjson with the limits of payloads.
func fromJSON(v any, _ []any) any {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("fromjson cannot be applied to: %s (%s)", gojq.TypeOf(v), gojq.Preview(v))
	}
	var d decoder
	value, err := d.decode([]byte(text))
	if err != nil {
		return fmt.Errorf("fromjson cannot be applied to %s: %w", gojq.Preview(v), err)
	}
	return value
}

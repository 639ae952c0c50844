package query

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/jsontext"
)

var errOutput = fmt.Errorf("the result has more than %d bytes", maxOutput)

// AppendText appends a result as jq -r prints it: a string as it is, anything else as JSON.
func AppendText(dst []byte, v any) ([]byte, error) {
	if s, ok := v.(string); ok {
		return append(dst, s...), nil
	}
	return AppendJSON(dst, v)
}

// AppendJSON appends a result as JSON on one line. Names are in ascending order, NaN is null,
// and infinities are the largest numbers. A value may refer to the same array many times, so
// that what it takes to write it is bounded only here.
func AppendJSON(dst []byte, v any) ([]byte, error) {
	e := encoder{dst, len(dst) + maxOutput}
	err := e.value(v)
	return e.b, err
}

type encoder struct {
	b    []byte
	most int
}

func (e *encoder) value(v any) error {
	switch v := v.(type) {
	case nil:
		e.b = append(e.b, "null"...)
	case bool:
		e.b = strconv.AppendBool(e.b, v)
	case int:
		e.b = strconv.AppendInt(e.b, int64(v), 10)
	case float64:
		e.b = appendFloat(e.b, v)
	case *big.Int:
		e.b = v.Append(e.b, 10)
	case json.Number:
		e.b = append(e.b, v...)
	case string:
		e.b = jsontext.AppendString(e.b, strings.ToValidUTF8(v, "\ufffd"))
	case []any:
		e.b = append(e.b, '[')
		for i, part := range v {
			if i > 0 {
				e.b = append(e.b, ',')
			}
			if err := e.value(part); err != nil {
				return err
			}
		}
		e.b = append(e.b, ']')
	case map[string]any:
		e.b = append(e.b, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				e.b = append(e.b, ',')
			}
			e.b = append(jsontext.AppendString(e.b, strings.ToValidUTF8(name, "\ufffd")), ':')
			if err := e.value(v[name]); err != nil {
				return err
			}
		}
		e.b = append(e.b, '}')
	default:
		return fmt.Errorf("a result of type %T", v)
	}
	if len(e.b) > e.most {
		return errOutput
	}
	return nil
}

// appendFloat appends a number as jq writes it.
func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) {
		return append(dst, "null"...)
	}
	f = min(max(f, -math.MaxFloat64), math.MaxFloat64)
	form := byte('f')
	if x := math.Abs(f); x != 0 && x < 1e-6 || x >= 1e21 {
		form = 'e'
	}
	dst = strconv.AppendFloat(dst, f, form, -1, 64)
	if n := len(dst); form == 'e' && n >= 4 && string(dst[n-4:n-1]) == "e-0" { // e-09 is e-9
		dst = append(dst[:n-2], dst[n-1])
	}
	return dst
}

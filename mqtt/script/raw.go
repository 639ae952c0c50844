package script

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/yamlfile"
)

// rawPart is a piece of a byte string: bytes, or a variable.
type rawPart struct {
	b     []byte
	ref   string
	times int
}

// maxRaw is the largest byte string, in bytes.
const maxRaw = 1 << 24

// raw reads bytes: hex digits, texts in double quotes, variables, comments in parentheses, and N*
// before a piece that is repeated.
func (p *parser) raw(n *yamlfile.Node) ([]rawPart, error) {
	if n.Kind != yamlfile.Scalar || n.Null {
		return nil, p.want(n, "", "bytes, such as 30 05 0001 \"t\"")
	}
	parts, err := parseRaw(n.Text)
	if err != nil {
		return nil, p.errorf(n, "%v", err)
	}
	return parts, nil
}

func parseRaw(s string) (parts []rawPart, err error) {
	size := 0
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		if s[0] == '(' {
			end := strings.IndexByte(s, ')')
			if end < 0 {
				return nil, errors.New("a comment without its )")
			}
			s = s[end+1:]
			continue
		}
		part := rawPart{times: 1}
		if i := strings.IndexByte(s, '*'); i > 0 && i < 9 && strings.Trim(s[:i], "0123456789") == "" {
			if part.times, err = strconv.Atoi(s[:i]); err != nil {
				return nil, err
			}
			if s = s[i+1:]; s == "" {
				return nil, errors.New("nothing after *")
			}
		}
		switch s[0] {
		case '"':
			end := strings.IndexByte(s[1:], '"')
			if end < 0 {
				return nil, errors.New("a text without its closing quote")
			}
			part.b, s = []byte(unescape(s[1:1+end])), s[end+2:]
		case '<':
			end := strings.IndexByte(s, '>')
			if end < 0 || !isName(s[1:end]) {
				return nil, fmt.Errorf("%q begins with no variable's name", s)
			}
			part.ref, s = s[1:end], s[end+1:]
		default:
			end := strings.IndexAny(s, " \t\n(\"<")
			if end < 0 {
				end = len(s)
			}
			if part.b, err = hex.DecodeString(s[:end]); err != nil {
				return nil, fmt.Errorf("%q is not an even number of hex digits", s[:end])
			}
			s = s[end:]
		}
		if size += part.times * max(len(part.b), 2); size > maxRaw || part.times > maxRaw {
			return nil, fmt.Errorf("more than %d bytes", maxRaw)
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// unescape replaces \r, \n and \\ in the texts of raw bytes, for HTTP.
func unescape(s string) string {
	return strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\\`, `\`).Replace(s)
}

// resolveRaw returns the bytes. A variable that is a number is two bytes, as in packet
// identifiers; a text is its bytes.
func resolveRaw(parts []rawPart, vars map[string]value) ([]byte, error) {
	var out []byte
	for _, part := range parts {
		b := part.b
		if part.ref != "" {
			v, ok := vars[part.ref]
			if !ok {
				return nil, fmt.Errorf("<%s> has no value here", part.ref)
			}
			if b = v.b; v.kind != kindText {
				b = []byte{byte(v.n >> 8), byte(v.n)}
			}
		}
		out = append(out, bytes.Repeat(b, part.times)...)
	}
	return out, nil
}

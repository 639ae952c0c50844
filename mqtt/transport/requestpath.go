package transport

import "strings"

// requestPath returns the path of a request's target (RFC 9112, section 3.2)
// without the query, which is not part of it (RFC 3986, section 3.4). The
// target is in origin-form, which clients send, or in absolute-form, which a
// server must accept.
func requestPath(target string) (path string, ok bool) {
	if scheme, rest, has := strings.Cut(target, "://"); has && isSchemeName(scheme) {
		i := strings.IndexAny(rest, "/?")
		if i < 0 {
			i = len(rest)
		}
		target = rest[i:]
		if !strings.HasPrefix(target, "/") { // an empty path means the root (section 3.2.1)
			target = "/" + target
		}
	}
	if !strings.HasPrefix(target, "/") || strings.Contains(target, "#") {
		return "", false
	}
	path, _, _ = strings.Cut(target, "?")
	return plainPath(path), true
}

// plainPath decodes percent-encoded characters that need no encoding, and
// writes the rest in upper case, so that equivalent paths become equal (RFC
// 3986, sections 6.2.2.1 and 6.2.2.2). An encoded / stays encoded: it is part
// of a name.
func plainPath(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			b.WriteByte(s[i])
			continue
		}
		c := unhex(s[i+1])<<4 | unhex(s[i+2])
		if isAlnum(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(s[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return (c | 0x20) - 'a' + 10
}

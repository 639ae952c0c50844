package cli

import (
	"strings"

	"github.com/mqtools/mqtools/format"
)

// escape makes untrusted text fit for one line on a terminal or in a log: what
// format.AppendEscaped shows, and tabs too.
func escape(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return strings.ReplaceAll(string(format.AppendEscaped(nil, []byte(s))), "\t", `\t`)
		}
	}
	return s
}

package option

import (
	"iter"
	"strings"

	"github.com/mqtools/mqtools/internal/spelling"
)

// suggest returns the spelling most similar to an unknown option, or "". The word is
// without its value.
func suggest(table Options, word string) string {
	bare := strings.TrimLeft(word, "-")
	if bare == "" || len(bare) > 64 {
		return ""
	}
	if len(bare) == 1 {
		for _, s := range [...]string{"-" + bare, "-" + strings.ToLower(bare), "-" + strings.ToUpper(bare)} {
			if table.Find(s) != nil && s != word {
				return s
			}
		}
		return ""
	}
	// One edit per three letters: every two-letter word is near to every other one.
	best, bestDistance := "", 1+len(bare)/3
	for s := range table.longSpellings() {
		// The first in the alphabet is chosen among equals, so that the answer is stable.
		d := spelling.Distance(bare, s[2:])
		if d < bestDistance || d == bestDistance && best != "" && s < best {
			best, bestDistance = s, d
		}
	}
	if best != "" {
		return best
	}
	// --timeo, --password-f: a prefix of exactly one option.
	for s := range table.longSpellings() {
		if len(bare) >= 3 && strings.HasPrefix(s[1:], "-"+bare) {
			if best != "" {
				return ""
			}
			best = s
		}
	}
	return best
}

// longSpellings yields --name and the aliases of every option that is not hidden.
func (t Options) longSpellings() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, o := range t {
			for _, s := range o.Spellings() {
				if len(s) > 2 && !o.Hidden && !yield(s) {
					return
				}
			}
		}
	}
}

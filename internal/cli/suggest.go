package cli

import (
	"iter"
	"strings"
)

// suggest returns the spelling nearest to an unknown option, or "". The word
// is without its value.
func suggest(table Options, word string) string {
	bare := strings.TrimLeft(word, "-")
	if bare == "" || len(bare) > 64 {
		return ""
	}
	if len(bare) == 1 {
		for _, s := range [...]string{"-" + bare, "-" + strings.ToLower(bare), "-" + strings.ToUpper(bare)} {
			if table.find(s) != nil && s != word {
				return s
			}
		}
		return ""
	}
	best, bestDistance := "", 1+max(1, len(bare)/3)
	for s := range table.longSpellings() {
		// Ties go to the first in the alphabet, so that the answer is stable.
		d := distance(bare, s[2:])
		if d < bestDistance || d == bestDistance && best != "" && s < best {
			best, bestDistance = s, d
		}
	}
	if best != "" {
		return best
	}
	// --timeo, --password-f: the start of exactly one option.
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

// longSpellings are --name and the aliases of every option.
func (t Options) longSpellings() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, o := range t {
			for _, s := range o.Spellings() {
				if len(s) > 2 && !yield(s) {
					return
				}
			}
		}
	}
}

// distance is the Levenshtein distance of two short strings, with the swap of
// two neighbours counted as one edit, by bytes.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

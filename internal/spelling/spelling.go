// Package spelling finds the word that a misspelled one may mean.
package spelling

// Nearest returns the word that a misspelled one may mean, or "".
func Nearest(word string, words []string) string {
	best, bestDistance := "", 1+max(1, len(word)/3)
	if len(word) > 64 {
		return ""
	}
	for _, w := range words {
		if d := Distance(word, w); d < bestDistance {
			best, bestDistance = w, d
		}
	}
	return best
}

// Distance returns the Levenshtein distance of two short strings, by bytes, with the swap
// of two neighbors counted as one edit.
func Distance(a, b string) int {
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

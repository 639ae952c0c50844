package cli

import "strings"

// RedactArgs is a command line with *** in place of secrets.
func RedactArgs(table Options, args []string) []string {
	words, err := Normalize(table, args)
	if err != nil {
		return nil // it is refused anyway
	}
	for i, w := range words {
		if w == "--" {
			break
		}
		name, value, has := strings.Cut(w, "=")
		if o := table.find(name); o != nil && o.Secret && has {
			words[i] = name + "=" + redacted(o, []string{value})
		}
	}
	return words
}

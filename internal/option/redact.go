package option

import (
	"strings"

	"github.com/mqtools/mqtools/mqtt/transport"
)

// hidden stands where a secret is not shown.
const hidden = "***"

// mask is a value of the option as it may be shown, and reports whether there is
// a secret in it. It is the one place that knows: for what is shown and kept on
// record, and for warnings where a file or a manifest holds one.
func (o *Option) mask(text string) (shown string, secret bool) {
	if !o.Secret || text == "" {
		return text, false
	}
	switch o.Name {
	case "url":
		if t, err := transport.ParseURL(text); err == nil {
			shown = t.Redacted()
		} else if !strings.Contains(text, "@") && !strings.Contains(text, "?") {
			return text, false
		} else {
			shown = hidden
		}
		return shown, strings.Contains(shown, hidden)
	case "proxy":
		if p, err := transport.ParseProxy(text); err == nil {
			return p.String(), p.HasUsername
		} else if !strings.Contains(text, "@") {
			return text, false
		}
	case "ws-path":
		// Tokens stand in the query.
		path, query, has := strings.Cut(text, "?")
		if !has || query == "" {
			return text, false
		}
		return path + "?" + hidden, true
	case "property":
		words := strings.SplitN(text, " ", 3)
		if len(words) < 3 || !strings.EqualFold(words[1], "authentication-data") {
			return text, false
		}
		return words[0] + " " + words[1] + " " + hidden, true
	}
	return hidden, true
}

// HoldsSecret reports whether one of the values of an option has a secret in it.
func (o *Option) HoldsSecret(texts ...string) bool {
	for _, text := range texts {
		if _, secret := o.mask(text); secret {
			return true
		}
	}
	return false
}

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
		if o := table.Find(name); o != nil && has {
			shown, _ := o.mask(value)
			words[i] = name + "=" + shown
		}
	}
	return words
}

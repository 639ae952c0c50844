package option

import (
	"strings"

	"github.com/mqtools/mqtools/mqtt/transport"
)

// hidden replaces a secret in what is shown.
const hidden = "***"

// mask returns a value of the option with secrets masked, and reports whether it holds a
// secret. All other code relies on it: what is shown or recorded, and the warnings about
// files and manifests that hold a secret.
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
		// The query may hold tokens.
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

// HoldsSecret reports whether one of the values of an option holds a secret.
func (o *Option) HoldsSecret(texts ...string) bool {
	for _, text := range texts {
		if _, secret := o.mask(text); secret {
			return true
		}
	}
	return false
}

// RedactArgs returns a command line with *** in place of secrets.
func RedactArgs(table Options, args []string) []string {
	words, err := Normalize(table, args)
	if err != nil {
		return nil // it is refused elsewhere
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

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
			return shown, strings.Contains(shown, hidden)
		}
		return hideIf(strings.ContainsAny(text, "@?"), hidden, text)
	case "proxy":
		if p, err := transport.ParseProxy(text); err == nil {
			return p.String(), p.HasUsername
		}
		return hideIf(strings.Contains(text, "@"), hidden, text)
	case "ws-path":
		// The query may hold tokens.
		path, query, _ := strings.Cut(text, "?")
		return hideIf(query != "", path+"?"+hidden, text)
	case "property":
		packet, rest, _ := strings.Cut(text, " ")
		name, _, has := strings.Cut(rest, " ")
		return hideIf(has && strings.EqualFold(name, "authentication-data"), packet+" "+name+" "+hidden, text)
	}
	return hidden, true
}

// hideIf returns masked if the text holds a secret, and what mask returns besides.
func hideIf(secret bool, masked, text string) (string, bool) {
	if secret {
		return masked, true
	}
	return text, false
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
	uses, _ := split(table, words)
	for i, use := range uses {
		if name, value, has := strings.Cut(words[i], "="); has {
			shown, _ := use.Opt.mask(value)
			words[i] = name + "=" + shown
		}
	}
	return words
}

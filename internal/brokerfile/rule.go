package brokerfile

import (
	"strings"

	"github.com/mqtools/mqtools/mqtt/topic"
)

// access is what a rule allows.
type access uint8

const (
	deny access = 0
	read access = 1 << iota
	write
)

// accessWords are the words of accesses, in the order of the manual.
var accessWords = []string{"read", "write", "readwrite", "deny"}

var accesses = map[string]access{"deny": deny, "read": read, "write": write, "readwrite": read | write}

// rule is one rule of the list. The first rule that matches a user, a client and a topic decides.
type rule struct {
	user, client *string // nil: any
	filter       string  // may contain %u and %c
	plain        bool    // %u and %c are literal
	access       access
}

// filterFor returns the filter of the rule for a client; ok is false if the rule does not match
// the client. A name that is not a single level of a topic would turn the filter into one that its
// author did not mean: such a client never matches.
func (r *rule) filterFor(clientID, username string) (filter string, ok bool) {
	if r.user != nil && *r.user != username || r.client != nil && *r.client != clientID {
		return "", false
	}
	f := r.filter
	for _, p := range [...]struct{ mark, name string }{{"%u", username}, {"%c", clientID}} {
		if r.plain || !strings.Contains(f, p.mark) {
			continue
		}
		if p.name == "" || strings.ContainsAny(p.name, "/+#%") {
			return "", false
		}
		f = strings.ReplaceAll(f, p.mark, p.name)
	}
	return f, true
}

// allows reports whether a client may publish to a topic name (writing) or subscribe to a topic
// filter. All topics that a filter matches must be allowed: a rule that denies some of them,
// before a rule that allows them all, denies the filter.
func (r *rules) allows(clientID, username, what string, writing bool) bool {
	if !r.hasACL {
		return true
	}
	for i := range r.acl {
		x := &r.acl[i]
		f, ok := x.filterFor(clientID, username)
		switch {
		case !ok:
		case writing && topic.Match(f, what):
			return x.access&write != 0
		case writing:
		case covers(f, what):
			return x.access&read != 0
		case x.access&read == 0 && overlaps(f, what):
			return false
		}
	}
	return false
}

// level splits the first level off a filter; more is false if it was the last.
func level(f string) (first, rest string, more bool) {
	return strings.Cut(f, "/")
}

func wild(l string) bool { return l == "+" || l == "#" }

// hidden reports whether the first levels alone keep two filters apart: wildcards do not match the
// server's own topics (MQTT-4.7.2-1).
func hidden(a, b string) bool {
	la, _, _ := level(a)
	lb, _, _ := level(b)
	return wild(la) && strings.HasPrefix(lb, "$") || wild(lb) && strings.HasPrefix(la, "$")
}

// covers reports whether filter a matches every topic that filter b matches.
func covers(a, b string) bool {
	if hidden(a, b) {
		return false
	}
	for {
		la, ra, ma := level(a)
		lb, rb, mb := level(b)
		switch {
		case la == "#":
			return true
		case lb == "#", la != "+" && la != lb:
			return false
		case !mb:
			return !ma || ra == "#"
		case !ma:
			return false
		}
		a, b = ra, rb
	}
}

// overlaps reports whether some topic matches both filters.
func overlaps(a, b string) bool {
	if hidden(a, b) {
		return false
	}
	for {
		la, ra, ma := level(a)
		lb, rb, mb := level(b)
		switch {
		case la == "#", lb == "#":
			return true
		case !wild(la) && !wild(lb) && la != lb:
			return false
		case !ma && !mb:
			return true
		case !ma:
			return rb == "#"
		case !mb:
			return ra == "#"
		}
		a, b = ra, rb
	}
}

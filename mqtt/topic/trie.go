package topic

import (
	"strconv"
	"strings"
	"unsafe"
)

// Trie holds subscriptions: for each topic filter, at most one value per key (a
// broker's key is its client). The zero value is empty and ready to use.
//
// It does no locking: callers must allow either one writer or several readers
// at a time, and visit functions must not modify the trie.
//
// Matching enters each node at most once, so its work is bounded by the nodes
// stored and by 2 to the number of levels of the name, whichever is less: the
// filters +/+/.../# cost one node per level, not one per combination. Nodes are
// removed with their last subscription.
type Trie[K comparable, V any] struct {
	// MaxLevels is how many levels a filter may have; 0 means DefaultMaxLevels.
	// It also limits the recursion depth of Match.
	MaxLevels int

	root  trieNode[K, V]
	len   int
	bytes int
}

type trieNode[K comparable, V any] struct {
	parent   *trieNode[K, V]
	level    string // of the edge from parent; "+" for parent.plus
	children children[trieNode[K, V]]
	plus     *trieNode[K, V]
	here     entries[K, V] // filters that end at this node
	below    entries[K, V] // filters that end with # under this node
}

// Insert adds the subscription of key to filter, or replaces its value. It
// returns an [*Error] if the filter is not valid, is that of a shared
// subscription (insert its inner filter, see [ParseShare]; the group belongs in
// the key or the value) or has more than MaxLevels levels.
func (t *Trie[K, V]) Insert(filter string, key K, v V) (replaced bool, err error) {
	if err := ValidateFilter(filter); err != nil {
		return false, err
	}
	if isShare(filter) {
		return false, filterError(filter, "", "a shared subscription's filter is not allowed here", 0)
	}
	if err := checkLevels(filter, t.MaxLevels, filterError); err != nil {
		return false, err
	}
	e := t.reach(filter)
	t.bytes -= e.bytes()
	replaced = e.set(key, v)
	t.bytes += e.bytes()
	if !replaced {
		t.len++
	}
	return replaced, nil
}

// reach returns the entries of a valid filter, and creates its nodes if needed.
func (t *Trie[K, V]) reach(filter string) *entries[K, V] {
	n := &t.root
	for rest, more := filter, true; more; {
		var level string
		level, rest, more = cut(rest)
		var next *trieNode[K, V]
		switch level {
		case "#":
			return &n.below
		case "+":
			if n.plus == nil {
				n.plus = &trieNode[K, V]{parent: n, level: "+"}
				t.bytes += n.plus.bytes()
			}
			next = n.plus
		default:
			if next = n.children.get(level); next == nil {
				// Copy the level: it must not keep a whole filter alive.
				next = &trieNode[K, V]{parent: n, level: strings.Clone(level)}
				n.children.add(next.level, next)
				t.bytes += next.bytes()
			}
		}
		n = next
	}
	return &n.here
}

// lookup returns the node of a filter and its entries there, or nil.
func (t *Trie[K, V]) lookup(filter string) (*trieNode[K, V], *entries[K, V]) {
	n := &t.root
	for rest, more := filter, true; more; {
		var level string
		level, rest, more = cut(rest)
		switch level {
		case "#":
			return n, &n.below
		case "+":
			n = n.plus
		default:
			n = n.children.get(level)
		}
		if n == nil {
			return nil, nil
		}
	}
	return n, &n.here
}

// Get returns the value of key's subscription to exactly this filter.
func (t *Trie[K, V]) Get(filter string, key K) (v V, ok bool) {
	if _, e := t.lookup(filter); e != nil {
		if i := e.find(key); i >= 0 {
			return e.list[i].val, true
		}
	}
	return v, false
}

// Remove removes key's subscription to exactly this filter, and reports whether
// there was one.
func (t *Trie[K, V]) Remove(filter string, key K) bool {
	n, e := t.lookup(filter)
	if e == nil {
		return false
	}
	was := e.bytes()
	if !e.remove(key) {
		return false
	}
	t.bytes += e.bytes() - was
	t.len--
	for n.parent != nil && n.plus == nil && n.children.empty() && n.here.list == nil && n.below.list == nil {
		p := n.parent
		t.bytes -= n.bytes()
		if n == p.plus {
			p.plus = nil
		} else {
			p.children.remove(n.level)
		}
		n = p
	}
	return true
}

// Len returns the number of subscriptions.
func (t *Trie[K, V]) Len() int { return t.len }

// Bytes estimates the memory in use, without what the values refer to.
func (t *Trie[K, V]) Bytes() int { return t.bytes }

// bytes returns the memory of the node, without its entries.
func (n *trieNode[K, V]) bytes() int {
	return int(unsafe.Sizeof(*n)) + edgeBytes + TextBytes(len(n.level))
}

// Match calls visit for each subscription whose filter matches name, as
// [Match] defines it: once per filter, so possibly several times for a key, in
// no particular order. Nothing is allocated.
func (t *Trie[K, V]) Match(name string, visit func(key K, v V)) {
	if name == "" {
		return
	}
	if name[0] != '$' {
		t.root.match(name, visit)
		return
	}
	// MQTT-4.7.2-1: a wildcard in the first level does not match.
	level, rest, more := cut(name)
	if c := t.root.children.get(level); c != nil {
		c.enter(rest, more, visit)
	}
}

// MatchBytes is [Trie.Match] for a name that is still in its packet.
func (t *Trie[K, V]) MatchBytes(name []byte, visit func(key K, v V)) { t.Match(view(name), visit) }

// match visits the entries of n and the nodes under it that match the remaining
// levels.
func (n *trieNode[K, V]) match(left string, visit func(K, V)) {
	n.below.visit(visit)
	level, rest, more := cut(left)
	if c := n.children.get(level); c != nil {
		c.enter(rest, more, visit)
	}
	if n.plus != nil {
		n.plus.enter(rest, more, visit)
	}
}

// enter continues at n, which matched a level, with the rest of the name.
func (n *trieNode[K, V]) enter(rest string, more bool, visit func(K, V)) {
	if more {
		n.match(rest, visit)
		return
	}
	n.here.visit(visit)
	n.below.visit(visit) // # matches its parent
}

func (e *entries[K, V]) visit(f func(K, V)) {
	for i := range e.list {
		f(e.list[i].key, e.list[i].val)
	}
}

// checkLevels checks the limit of this package; 0 means the default.
func checkLevels(s string, limit int, fail func(s, rule, reason string, off int) error) error {
	if limit <= 0 {
		limit = DefaultMaxLevels
	}
	if n := Levels(s); n > limit {
		return fail(s, "", strconv.Itoa(n)+" levels, the limit is "+strconv.Itoa(limit), -1)
	}
	return nil
}

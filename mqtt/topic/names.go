package topic

import (
	"strings"
	"unsafe"
)

// NameMap holds one value per topic name and finds those that a filter matches,
// as a broker does for its retained messages. The zero value is empty and ready
// to use.
//
// It does no locking: callers must allow either one writer or several readers
// at a time, and visit functions must not modify it. A lookup enters each node
// at most once, and only branches that the filter can match. Nodes are removed
// with their last name.
type NameMap[V any] struct {
	// MaxLevels is how many levels a name may have; 0 means DefaultMaxLevels.
	// It also limits the recursion depth of Match.
	MaxLevels int

	root  nameNode[V]
	len   int
	bytes int
}

type nameNode[V any] struct {
	parent   *nameNode[V]
	level    string // of the edge from parent
	children children[nameNode[V]]
	name     string // the whole name if there is a value, else empty
	val      V
}

// Set stores v under name, and reports whether it replaced another value. It
// returns an [*Error] if the name is not valid or has more than MaxLevels
// levels.
func (s *NameMap[V]) Set(name string, v V) (replaced bool, err error) {
	if err := ValidateName(name); err != nil {
		return false, err
	}
	if err := checkLevels(name, s.MaxLevels, nameError); err != nil {
		return false, err
	}
	n := &s.root
	for rest, more := name, true; more; {
		var level string
		level, rest, more = cut(rest)
		next := n.children.get(level)
		if next == nil {
			next = &nameNode[V]{parent: n, level: strings.Clone(level)}
			n.children.add(next.level, next)
			s.bytes += next.bytes()
		}
		n = next
	}
	n.val = v
	if n.name != "" {
		return true, nil
	}
	n.name = strings.Clone(name)
	s.bytes += TextBytes(len(name))
	s.len++
	return false, nil
}

// find returns the node of a name that has a value, or nil.
func (s *NameMap[V]) find(name string) *nameNode[V] {
	n := &s.root
	for rest, more := name, true; more; {
		var level string
		level, rest, more = cut(rest)
		if n = n.children.get(level); n == nil {
			return nil
		}
	}
	if n.name == "" {
		return nil
	}
	return n
}

// Get returns the value of name.
func (s *NameMap[V]) Get(name string) (v V, ok bool) {
	if n := s.find(name); n != nil {
		return n.val, true
	}
	return v, false
}

// GetBytes is [NameMap.Get] for a name that is still in its packet.
func (s *NameMap[V]) GetBytes(name []byte) (v V, ok bool) { return s.Get(view(name)) }

// Delete removes the value of name, and reports whether there was one.
func (s *NameMap[V]) Delete(name string) bool {
	n := s.find(name)
	if n == nil {
		return false
	}
	var zero V
	n.val, n.name = zero, ""
	s.bytes -= TextBytes(len(name))
	s.len--
	for n.parent != nil && n.name == "" && n.children.empty() {
		n.parent.children.remove(n.level)
		s.bytes -= n.bytes()
		n = n.parent
	}
	return true
}

// Len returns the number of names.
func (s *NameMap[V]) Len() int { return s.len }

// Bytes estimates the memory in use, without what the values refer to.
func (s *NameMap[V]) Bytes() int { return s.bytes }

// bytes returns the memory of the node, without the whole name.
func (n *nameNode[V]) bytes() int {
	return int(unsafe.Sizeof(*n)) + edgeBytes + TextBytes(len(n.level))
}

// Match calls visit for each name that filter matches, as [Match] defines it
// (also for a shared subscription's filter), in no particular order. The
// filter must be valid.
func (s *NameMap[V]) Match(filter string, visit func(name string, v V)) {
	_, filter, _ = ParseShare(filter)
	if filter != "" {
		s.root.match(filter, true, visit)
	}
}

// match visits the names under n that match the remaining levels. Names that
// start with $ match only filters that spell out their first level
// (MQTT-4.7.2-1).
func (n *nameNode[V]) match(left string, root bool, visit func(string, V)) {
	level, rest, more := cut(left)
	if level != "+" && level != "#" {
		if c := n.children.get(level); c != nil {
			c.enter(rest, more, visit)
		}
		return
	}
	if level == "#" {
		n.visit(visit) // # matches its parent
	}
	for _, e := range n.children.few {
		n.wild(e.level, e.node, level, rest, more, root, visit)
	}
	for l, c := range n.children.many {
		n.wild(l, c, level, rest, more, root, visit)
	}
}

// wild enters a child by a wildcard.
func (*nameNode[V]) wild(level string, c *nameNode[V], wildcard, rest string, more, root bool, visit func(string, V)) {
	switch {
	case root && strings.HasPrefix(level, "$"):
	case wildcard == "#":
		c.match("#", false, visit)
	default:
		c.enter(rest, more, visit)
	}
}

// enter continues at n, which matched a level, with the rest of the filter.
func (n *nameNode[V]) enter(rest string, more bool, visit func(string, V)) {
	if more {
		n.match(rest, false, visit)
		return
	}
	n.visit(visit)
}

func (n *nameNode[V]) visit(f func(string, V)) {
	if n.name != "" {
		f(n.name, n.val)
	}
}

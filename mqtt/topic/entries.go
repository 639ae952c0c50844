package topic

import "unsafe"

// entry is one subscription of a filter.
type entry[K comparable, V any] struct {
	key K
	val V
}

// entries are the subscriptions of one filter: a list, which matching walks,
// and from some length on an index, so that removing the last of 100,000
// subscribers is as fast as removing the first. Removal changes the order.
type entries[K comparable, V any] struct {
	list  []entry[K, V]
	index map[K]int // position in list; nil while the list is short
}

const indexFrom = 16

func (e *entries[K, V]) find(key K) int {
	if e.index != nil {
		if i, ok := e.index[key]; ok {
			return i
		}
		return -1
	}
	for i := range e.list {
		if e.list[i].key == key {
			return i
		}
	}
	return -1
}

func (e *entries[K, V]) set(key K, v V) (replaced bool) {
	if i := e.find(key); i >= 0 {
		e.list[i].val = v
		return true
	}
	e.list = append(e.list, entry[K, V]{key, v})
	switch {
	case e.index != nil:
		e.index[key] = len(e.list) - 1
	case len(e.list) > indexFrom:
		e.reindex()
	}
	return false
}

func (e *entries[K, V]) reindex() {
	e.index = make(map[K]int, 2*len(e.list))
	for i := range e.list {
		e.index[e.list[i].key] = i
	}
}

// bytes returns the memory that they use.
func (e *entries[K, V]) bytes() int {
	n := slack(len(e.list) * int(unsafe.Sizeof(entry[K, V]{})))
	if e.index != nil {
		var k K
		n += len(e.list) * 2 * int(unsafe.Sizeof(k)+unsafe.Sizeof(0))
	}
	return n
}

func (e *entries[K, V]) remove(key K) bool {
	i := e.find(key)
	if i < 0 {
		return false
	}
	last := len(e.list) - 1
	if e.index != nil {
		e.index[e.list[last].key] = i
		delete(e.index, key)
	}
	e.list[i] = e.list[last]
	e.list[last] = entry[K, V]{}
	e.list = e.list[:last]
	switch {
	case last == 0:
		*e = entries[K, V]{}
	case roomy(last, cap(e.list)):
		e.list = append(make([]entry[K, V], 0, last), e.list...)
		if e.index = nil; last > indexFrom {
			e.reindex()
		}
	}
	return true
}

package bench

// queue is first in, first out. The zero value is empty.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) push(x T) { q.items = append(q.items, x) }

func (q *queue[T]) first() T { return q.items[q.head] }

func (q *queue[T]) pop() {
	q.head++
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
	case q.head >= 1024 && q.head > len(q.items)/2: // one that is never empty shall not grow for ever
		q.items, q.head = append(q.items[:0], q.items[q.head:]...), 0
	}
}

package bench

// queue is a first-in, first-out queue. The zero value is empty and ready to use.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) push(x T) { q.items = append(q.items, x) }

func (q *queue[T]) first() T { return q.items[q.head] }

// take removes the first item that matches. It is fast for items near the front.
func (q *queue[T]) take(match func(T) bool) (x T, ok bool) {
	for i := q.head; i < len(q.items); i++ {
		if x = q.items[i]; match(x) {
			copy(q.items[q.head+1:i+1], q.items[q.head:i])
			q.pop()
			return x, true
		}
	}
	return x, false
}

func (q *queue[T]) pop() {
	q.head++
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
	case q.head >= 32 && q.head > len(q.items)/2: // so that a queue that is never empty does not grow forever
		q.items, q.head = append(q.items[:0], q.items[q.head:]...), 0
	}
}

package mqsub

import (
	"strconv"
	"time"

	"github.com/mqtools/mqtools/mqtt"
)

// rates prints the number of messages of each second. The last second is omitted if it has
// not passed at the end.
type rates struct {
	next time.Time // the end of the current second; zero: there is none
	n    int       // messages in it
}

func (r *rates) take(*mqtt.Message) { r.n++ }

func (r *rates) wait() time.Duration {
	if r.next.IsZero() {
		r.next = time.Now().Add(time.Second)
	}
	return max(time.Until(r.next), time.Millisecond)
}

func (r *rates) draw(dst []byte, _ bool) []byte {
	now := time.Now()
	if now.Before(r.next) {
		return dst
	}
	dst = append(strconv.AppendInt(dst, int64(r.n), 10), " msgs/s\n"...)
	r.n = 0
	for !now.Before(r.next) {
		r.next = r.next.Add(time.Second)
	}
	return dst
}

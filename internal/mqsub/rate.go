package mqsub

import (
	"strconv"
	"time"

	"github.com/mqtools/mqtools/mqtt"
)

// rates shows how many messages came in each second. A second that has not
// passed at the end is left out.
type rates struct {
	next time.Time // the end of the second under way; zero: none is
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

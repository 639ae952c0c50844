package plan

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/units"
)

// Rate is an exact number of events in a time. The zero Rate is none; as a limit it is no limit.
type Rate struct {
	Events uint64
	Per    time.Duration // above 0, unless Events is 0
}

// maxRate is the most events per second: one each nanosecond.
const maxRate = 1e9

var errNotRate = errors.New("is not a rate such as 1000, 1000/s, 0.5/s or 1/90s")

// ParseRate parses a rate: a decimal number, optionally followed by a slash and a unit (s, m, h)
// or a duration; a number alone is per second. The error completes a sentence that begins with the
// text.
func ParseRate(s string) (Rate, error) {
	number, per, timed := strings.Cut(s, "/")
	r := Rate{Per: time.Second}
	if timed {
		if per != "" && (per[0] < '0' || per[0] > '9') {
			per = "1" + per
		}
		d, err := units.Duration(per)
		if err != nil || d == 0 {
			return Rate{}, errNotRate
		}
		r.Per = d
	}
	whole, fraction, dotted := strings.Cut(number, ".")
	if len(fraction) > 9 || dotted && fraction == "" {
		return Rate{}, errNotRate
	}
	for _, c := range whole + fraction {
		if c < '0' || c > '9' {
			return Rate{}, errNotRate
		}
	}
	if whole == "" {
		return Rate{}, errNotRate
	}
	n, err := strconv.ParseUint(whole+fraction, 10, 63)
	if err != nil {
		return Rate{}, units.ErrTooLarge
	}
	ten := uint64(1)
	for range fraction {
		ten *= 10
	}
	r.Events = n
	return r.times(1, ten)
}

// times returns r multiplied by n/d, in lowest terms.
func (r Rate) times(n, d uint64) (Rate, error) {
	if r.Events == 0 || n == 0 {
		return Rate{}, nil
	}
	e, per := r.Events, uint64(r.Per)
	for _, f := range [...]*uint64{&e, &n} {
		for _, g := range [...]*uint64{&per, &d} {
			k := gcd(*f, *g)
			*f /= k
			*g /= k
		}
	}
	hi, events := bits.Mul64(e, n)
	lo, whole := bits.Mul64(per, d)
	if hi != 0 || lo != 0 || events > math.MaxInt64 || whole > math.MaxInt64 {
		return Rate{}, units.ErrTooLarge
	}
	out := Rate{events, time.Duration(whole)}
	if out.PerSecond() > maxRate {
		return Rate{}, errors.New("is above 1000000000 a second")
	}
	return out, nil
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// PerSecond returns the rate in events per second.
func (r Rate) PerSecond() float64 {
	if r.Events == 0 {
		return 0
	}
	return float64(r.Events) / float64(r.Per) * 1e9
}

// At returns the time of event j, rounded down to nanoseconds.
func (r Rate) At(j uint64) time.Duration {
	if r.Events == 0 {
		return 0
	}
	return mulDiv(uint64(r.Per), j, r.Events)
}

// String returns the rate as ParseRate parses it, "1000/s" or "1/1m30s".
func (r Rate) String() string {
	if r.Events == 0 {
		return "0/s"
	}
	hi, lo := bits.Mul64(r.Events, uint64(time.Second))
	if hi < uint64(r.Per) {
		if n, rest := bits.Div64(hi, lo, uint64(r.Per)); rest == 0 {
			return fmt.Sprintf("%d/s", n)
		}
	}
	return fmt.Sprintf("%d/%v", r.Events, r.Per)
}

// mulDiv returns a*b/c rounded down, at most the largest duration.
func mulDiv(a, b, c uint64) time.Duration {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, c)
	if q > math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(q)
}

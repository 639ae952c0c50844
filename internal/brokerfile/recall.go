package brokerfile

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"net"
	"sync"
	"time"

	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// verdicts remembers what was judged, so that a password costs its PBKDF2 once: a
// device that comes back, or that tries the same wrong password again and again,
// costs nothing. What is kept is no password, but a digest with a key that is in
// this process's memory alone. There is one good digest for each user at most,
// and a bounded number of bad ones.
type verdicts struct {
	key [32]byte

	mu   sync.Mutex
	good map[string]digest // by user name
	bad  map[digest]struct{}
	ring [maxBad]digest // the bad ones, as they came
	next int
}

type digest [sha256.Size]byte

const maxBad = 1024

func newVerdicts() *verdicts {
	v := &verdicts{good: make(map[string]digest), bad: make(map[digest]struct{})}
	_, _ = rand.Read(v.key[:]) // never fails
	return v
}

// digest is of both, so that a user's password is nobody else's. Neither has
// more than 65,535 bytes.
func (v *verdicts) digest(p *packet.Connect) (d digest) {
	h := hmac.New(sha256.New, v.key[:])
	h.Write([]byte{byte(len(p.Username) >> 8), byte(len(p.Username))})
	h.Write(p.Username)
	h.Write(p.Password)
	h.Sum(d[:0])
	return d
}

// of is what was judged of a user name and password, if it is known still.
func (v *verdicts) of(p *packet.Connect) (good, known bool) {
	d := v.digest(p)
	v.mu.Lock()
	defer v.mu.Unlock()
	if g, ok := v.good[string(p.Username)]; ok && hmac.Equal(g[:], d[:]) {
		return true, true
	}
	_, known = v.bad[d]
	return false, known
}

func (v *verdicts) note(p *packet.Connect, good bool) {
	d := v.digest(p)
	v.mu.Lock()
	defer v.mu.Unlock()
	if good {
		v.good[string(p.Username)] = d
		return
	}
	if _, has := v.bad[d]; has {
		return
	}
	delete(v.bad, v.ring[v.next])
	v.ring[v.next] = d
	v.bad[d] = struct{}{}
	v.next = (v.next + 1) % maxBad
}

// recall reports whether user name and password were right before.
func (f *File) recall(p *packet.Connect, _ net.Addr) bool {
	good, _ := f.rules.Load().judged.of(p)
	return good && p.HasPassword
}

// authenticate judges user name and password. What it can tell without PBKDF2 it
// does: the broker tells failures at a time that has nothing to do with it, and
// who tries names costs nothing.
func (f *File) authenticate(p *packet.Connect, _ net.Addr) packet.ReasonCode {
	r := f.rules.Load()
	if !p.HasUsername {
		if r.anonymous {
			return packet.Success
		}
		return packet.NotAuthorized
	}
	if !p.HasPassword || !r.knows(string(p.Username)) {
		return packet.BadUserNameOrPassword
	}
	good, known := r.judged.of(p)
	if !known {
		good = r.matches(string(p.Username), string(p.Password))
		r.judged.note(p, good)
	}
	if !good {
		return packet.BadUserNameOrPassword
	}
	return packet.Success
}

// denyTime is how long after its CONNECT a client is told of its wrong password:
// several times what one takes to judge.
func (r *rules) denyTime() time.Duration {
	most := auth.DefaultIterations
	for _, all := range r.users {
		most = max(most, all[0].Iterations)
	}
	for _, h := range r.hashed {
		most = max(most, h.iterations)
	}
	return 500 * time.Millisecond * time.Duration(most) / auth.DefaultIterations
}

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

// verdicts caches the results of password checks, so that each password costs PBKDF2 once: a
// device that reconnects, or that repeats the same wrong password, costs nothing more. The cache
// holds no passwords, only digests with a key that exists in the memory of this process. It has at
// most one good digest for each user and a bounded number of bad ones.
type verdicts struct {
	key [32]byte

	mu   sync.Mutex
	good map[string]digest // by user name
	bad  map[digest]struct{}
	ring [maxBad]digest // the bad ones, oldest at next
	next int
}

type digest [sha256.Size]byte

const maxBad = 1024

func newVerdicts() *verdicts {
	v := &verdicts{good: make(map[string]digest), bad: make(map[digest]struct{})}
	_, _ = rand.Read(v.key[:]) // never fails
	return v
}

// digest covers user name and password, so that no other user has the same digest with the same
// password. Neither has more than 65,535 bytes.
func (v *verdicts) digest(p *packet.Connect) (d digest) {
	h := hmac.New(sha256.New, v.key[:])
	h.Write([]byte{byte(len(p.Username) >> 8), byte(len(p.Username))})
	h.Write(p.Username)
	h.Write(p.Password)
	h.Sum(d[:0])
	return d
}

// of returns the cached result for a user name and password; known is false if there is none.
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

// recall reports whether the user name and password are known to be right.
func (f *File) recall(p *packet.Connect, _ net.Addr) bool {
	good, _ := f.rules.Load().judged.of(p)
	return good && p.HasPassword
}

// authenticate checks a user name and password. It answers without PBKDF2 where it can: the broker
// delays every refusal by DenyTime, so timing does not reveal which names exist, and guessing
// names costs this machine nothing.
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

// denyTime returns how long after its CONNECT a client is refused for a wrong password: several
// times as long as a check takes.
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

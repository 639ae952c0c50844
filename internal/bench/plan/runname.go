package plan

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// runDigits are the characters of generated names of runs, and runLength their number: with the
// words around it, the client ID of one of a thousand clients has at most 23 bytes, which every
// broker accepts (MQTT-3.1.3-5).
const (
	runDigits = "0123456789abcdefghijklmnopqrstuvwxyz"
	runLength = 5
	maxRun    = 32
)

// NewRunName returns a name that no other run has.
func NewRunName() string {
	return RunName(rand.Text())
}

// RunName returns the name of a run that all shards derive from the same facts.
func RunName(facts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(facts, "\n")))
	n := binary.BigEndian.Uint64(sum[:])
	var b [runLength]byte
	for i := range b {
		b[i] = runDigits[n%uint64(len(runDigits))]
		n /= uint64(len(runDigits))
	}
	return string(b[:])
}

// IsRunName reports whether a word may name a run: it becomes part of client IDs and, if a
// scenario uses it there, of topics.
func IsRunName(s string) bool { return s != "" && len(s) <= maxRun && isName(s) }

// NamesRun reports whether the client IDs of a group differ from run to run.
func (g *Group) NamesRun() bool { return strings.Contains(g.ClientID.source, "%{run}") }

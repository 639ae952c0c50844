package script

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Role is whom a script plays.
type Role uint8

// The roles.
const (
	Broker Role = iota // plays a broker: the client is under test
	Client             // plays clients: the broker is under test
)

// String is the role as scripts have it.
func (r Role) String() string {
	if r == Client {
		return "client"
	}
	return "broker"
}

// Script is a conversation. It is not changed by being played, and may be
// played several times at once.
type Script struct {
	Path string
	Name string
	Role Role

	// Versions are the protocol versions that the script is meant for; it is
	// played in one of them.
	Versions []packet.Version

	// Shows names the normative statements that the script shows on the peer
	// under test, by version: "MQTT-3.3.1-2". Breaks names those that the script
	// breaks itself, to see what becomes of it. Section is the section of the
	// specification that it is about, where no statement has an identifier.
	Shows, Breaks map[packet.Version][]string
	Section       string

	// Actions are what the client under test does meanwhile, for a program that
	// can make it do things; Command is a command line that does the same, and
	// Exit the status it ends with.
	Actions []Action
	Command []string
	Exit    int

	// Needs is how the broker under test is to be set up.
	Needs Needs

	// WebSocket tells that the conversation is below MQTT: what is sent and
	// expected is the HTTP upgrade and the frames of a WebSocket.
	WebSocket bool

	// KnownFailure is why the script is known to fail on the engine of this
	// module; empty if it does not.
	KnownFailure string

	scenes []scene
}

// Needs are settings of a broker under test. Zero values ask for nothing.
type Needs struct {
	Text string // as the script has them: "clients: 1, retain: false"

	MaximumQoS        int // 0 or 1; -1 asks for nothing
	NoRetain          bool
	NoShared          bool
	NoWildcards       bool // in topic filters
	ReceiveMaximum    uint16
	TopicAliasMaximum uint16
	MaximumPacketSize int           // bytes
	MaximumKeepAlive  time.Duration // whole seconds
	MaximumExpiry     time.Duration // of sessions, whole seconds
	MaximumClients    int           // connections at a time
	Username          string        // the only user there is
	Password          string
	Deny              string // nobody may use this topic name or filter
	RefuseClientID    string // nobody may connect with this client identifier
}

// scene is a part of the play: steps on one connection, which an earlier scene
// of the same name may have begun.
type scene struct {
	name  string
	steps []step
}

// verb is what a step does.
type verb uint8

const (
	verbExpect verb = iota + 1
	verbExpectRaw
	verbExpectHead
	verbExpectClose
	verbSend
	verbRaw
	verbPause
	verbSilence
	verbFault
	verbClose
	verbAnyOrder
	verbRepeat
	verbDistinct
)

// step is one line of a conversation.
type step struct {
	node *yamlfile.Node // where it stands
	verb verb
	text string // as written: "expect PUBLISH"

	typ      packet.Type
	fields   []field
	raw      []rawPart
	span     time.Duration    // of pause and silence
	within   time.Duration    // of expectations; 0: the usual patience
	optional bool             // MAY: not required
	should   bool             // SHOULD: required when strict
	only     []packet.Version // empty: all
	fault    fault
	steps    []step   // of any-order and repeat
	times    int      // of repeat
	status   int      // of expect-head
	refs     []string // of distinct: variables
}

// in reports whether the step belongs to version v.
func (s *step) in(v packet.Version) bool { return len(s.only) == 0 || slices.Contains(s.only, v) }

// Waits is the time that playing the script may take by its pauses, silences,
// delays and the limits that its expectations name.
func (s *Script) Waits() time.Duration {
	total := time.Duration(0)
	for i := range s.scenes {
		total += waits(s.scenes[i].steps)
	}
	return total
}

func waits(steps []step) (total time.Duration) {
	for i := range steps {
		st := &steps[i]
		total += st.span + st.within + st.fault.delay + st.fault.stall
		if st.verb == verbRepeat {
			total += time.Duration(st.times) * waits(st.steps)
		}
	}
	return total
}

// Task is what a client has to do while the script is played, in words.
func (s *Script) Task() string {
	if len(s.Command) > 0 {
		return strings.Join(s.Command, " ")
	}
	words := make([]string, len(s.Actions))
	for i := range s.Actions {
		words[i] = s.Actions[i].String()
	}
	return strings.Join(words, ", ")
}

// place is path:line:column.
func place(f string, n *yamlfile.Node) string { return fmt.Sprintf("%s:%d:%d", f, n.Line, n.Column) }

package script

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Role is the side that a script plays.
type Role uint8

// The roles.
const (
	Broker Role = iota // plays a broker: the client is under test
	Client             // plays clients: the broker is under test
)

// String returns the role as scripts have it.
func (r Role) String() string {
	if r == Client {
		return "client"
	}
	return "broker"
}

// Script is a conversation. Playing a script does not modify it, and several plays may run at
// once.
type Script struct {
	Path string
	Name string
	Role Role

	// Versions are the protocol versions of the script; each play uses one of them.
	Versions []packet.Version

	// Shows names the normative statements that the script shows for the peer under test, by
	// version: "MQTT-3.3.1-2". Breaks names those that the script breaks itself, to see how the
	// peer responds. Section is the section of the specification, if no statement has an
	// identifier.
	Shows, Breaks map[packet.Version][]string
	Section       string

	// Actions are what the client under test does during the conversation, for a program that can
	// control it. Command is a command line that does the same, and Exit its exit status.
	Actions []Action
	Command []string
	Exit    int

	// Needs are the settings that the broker under test needs.
	Needs Needs

	// WebSocket reports whether the script plays the layer below MQTT: it sends and expects the
	// HTTP upgrade and the frames of a WebSocket.
	WebSocket bool

	// KnownFailure is why this module's engine fails the script; empty if it does not.
	KnownFailure string

	scenes []scene
}

// Needs are settings of a broker under test. A zero value needs nothing.
type Needs struct {
	Text string // as in the script: "clients: 1, retain: false"

	MaximumQoS        int // 0 or 1; -1 needs nothing
	NoRetain          bool
	NoShared          bool
	NoWildcards       bool // in topic filters
	ReceiveMaximum    uint16
	TopicAliasMaximum uint16
	MaximumPacketSize int           // bytes
	MaximumKeepAlive  time.Duration // whole seconds
	MaximumExpiry     time.Duration // of sessions, whole seconds
	MaximumClients    int           // connections at a time
	Username          string        // the only user
	Password          string
	Deny              string // topic or filter that every client is denied
	RefuseClientID    string // client ID that the broker refuses
}

// scene is a part of the play: steps on one connection, which an earlier scene of the same name
// may have opened.
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
	node *yamlfile.Node // for its place
	verb verb
	text string // as written: "expect PUBLISH"

	typ      packet.Type
	fields   []field
	raw      []rawPart
	span     time.Duration    // of pause and silence
	within   time.Duration    // of expectations; 0: Options.Patience
	optional bool             // MAY: not required
	should   bool             // SHOULD: required when strict
	only     []packet.Version // empty: all
	fault    fault
	steps    []step   // of any-order and repeat
	times    int      // of repeat
	status   int      // of expect-head
	refs     []string // of distinct: variables
}

// in reports whether the step is played in version v.
func (s *step) in(v packet.Version) bool { return len(s.only) == 0 || slices.Contains(s.only, v) }

// Waits returns how long playing the script may take because of its pauses, silences, delays and
// the limits of its expectations.
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

// Task returns in words what a client must do while the script is played.
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

// place returns path:line:column.
func place(f string, n *yamlfile.Node) string { return fmt.Sprintf("%s:%d:%d", f, n.Line, n.Column) }

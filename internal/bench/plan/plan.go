// Package plan describes load tests: which clients connect, subscribe and publish what, and when.
// A Plan is immutable and deterministic: what client i of a group does depends only on i, the
// number of the message and the seed of the plan, on any number of machines.
//
// Plans come from scenario files (Read, Parse), from presets (Preset), and from the short forms of
// the command line (Conn, Pub, Sub, PubSub). All of them return a complete plan: every default is
// filled in, every template is compiled, and an impossible plan has been refused. The fields are
// exported to be read and must not be modified.
//
// # Time
//
// A run has these phases: connect, settle, warm-up, measure, drain. A plan expresses times as an
// offset from the beginning of a phase (When). The pacer of a stream counts from the stream's
// Start, which is the beginning of the warm-up by default. The runner knows when each phase began.
//
// # Which client sends message j
//
// Message j (0, 1, 2 ...) of a stream has the intended time Pacer.At(j). Client j mod N of the N
// clients of its group sends it as its message j / N. Schedule returns the messages of some of the
// clients in order.
package plan

import (
	"iter"
	"slices"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Plan is a load test.
type Plan struct {
	Name        string
	Description string // one line; may be empty
	Source      string // where the workload was published; may be empty

	// Preset is the preset that the plan was made of, "" if none. Scale is the factor of its
	// numbers of clients, 1 by default.
	Preset string
	Scale  float64

	// Run is the name of the run, which %{run} stands for in templates. Client IDs contain it, so
	// that two runs of one plan do not take over each other's sessions. The canonical text, and
	// with it the hash, does not.
	Run string

	// Open reports whether neither the plan nor Options chose the version of some group.
	Open bool

	Seed    uint64   // of everything random
	Brokers []string // URLs; client k of the plan uses Brokers[k % len]. Empty: the command line names the broker

	Phases Phases
	// UntilDone ends the measurement when all streams with a count are done, and after
	// Phases.Measure at the latest.
	UntilDone bool
	Groups    []*Group // at least one
	Actions   []*Action

	// Notes says what the plan cannot measure, one sentence each.
	Notes []string
}

// Phase is a part of a run.
type Phase uint8

// The phases, in their order.
const (
	PhaseConnect Phase = iota
	PhaseSettle
	PhaseWarmUp
	PhaseMeasure
	PhaseDrain
)

// Phases is the lengths of the phases.
type Phases struct {
	// Connect is the rate of connects over the whole plan, for all groups that are not deferred; a
	// zero Rate is as fast as possible. Plan.ConnectAt returns the time of each.
	Connect Rate
	// HalfOpen is the most connections of a shard in progress (from the dial to the CONNACK) at a
	// time. At least 1.
	HalfOpen int
	// ConnectTimeout is the limit for one connect, from the dial to the CONNACK.
	ConnectTimeout time.Duration

	Settle  time.Duration // between the last SUBACK and the warm-up
	WarmUp  time.Duration // publishing, not measured
	Measure time.Duration // publishing, measured. 0: until all streams with a count are done
	Drain   time.Duration // longest wait for messages in flight; no new messages
}

// When is a time in the run.
type When struct {
	Phase  Phase
	Offset time.Duration // from the beginning of the phase
}

// Connection is how the clients of a group connect.
type Connection struct {
	Version    packet.Version
	KeepAlive  time.Duration // whole seconds, 0 for none
	CleanStart bool
	// SessionExpiry is the Session Expiry Interval of MQTT 5, in whole seconds, or NeverExpires.
	// It has no effect before 5.0.
	SessionExpiry time.Duration
	// ReceiveMaximum is that of CONNECT (MQTT 5); 0 leaves it out.
	ReceiveMaximum uint16
}

// NeverExpires is the SessionExpiry of a session that never expires.
const NeverExpires = time.Duration(0xFFFFFFFF) * time.Second

// Persistent reports whether a session outlives its connection.
func (c *Connection) Persistent() bool {
	if c.Version == packet.V5 {
		return c.SessionExpiry > 0
	}
	return !c.CleanStart
}

// Group is a number of clients that do the same.
type Group struct {
	Name    string // unique in the plan
	Number  int    // its place in Plan.Groups
	Base    uint32 // number of its client 0 among all clients of the plan
	Clients int    // at least 1

	// First is the value of %i for client 0.
	First uint64
	// Together is the number of neighboring clients in one shard: client i belongs to shard
	// i/Together mod n. At least 1. Clients of two groups with the same i/Together are in the same
	// shard, so that one clock measures a publisher's messages to its own subscriber.
	Together int
	// Deferred clients are only connected by an action.
	Deferred bool

	Connection
	ClientID *Template
	Username *Template // nil: none
	Password *Template // nil: none. Never printed
	// Credentials holds rows of user names and passwords, nil if there are none; client i has row
	// i mod Credentials.Len().
	Credentials *Credentials

	Publish   []*Publish   // streams of messages
	Subscribe []*Subscribe // in one SUBSCRIBE after CONNACK, except deferred ones

	Respond   *Respond           // answers requests; nil: no
	Slow      *Slow              // reads slowly; nil: no
	Churn     *Churn             // closes connections; nil: no
	SubChurn  *SubscriptionChurn // subscribes and unsubscribes; nil: no
	Will      *Will              // nil: none
	Reconnect *Reconnect         // after a lost connection; nil: no
}

// Publish is a stream of messages of a group.
type Publish struct {
	Group  *Group
	Number int // its place in Group.Publish

	// Topics are the topics; message s of a client goes to Topics[s % len]. %s in them is s / len.
	Topics  []*Template
	QoS     packet.QoS
	Retain  bool
	Payload *Payload
	Start   When
	Pacer   Pacer
	// Messages is the number of messages of the whole stream; 0: as many as the pacer has until
	// the end of the measurement.
	Messages uint64
	// Window is the most unacknowledged messages of one client (QoS 1 and 2); a closed loop keeps
	// this many in flight. An open loop that reaches it waits, and its latency shows that. At
	// least 1.
	Window int
	// Fill marks a stream that prepares: retained messages, or a backlog of sessions. The phase in
	// which it starts lasts until it is done, and its deliveries are measured as replay and
	// backlog. It has Messages or a trace.
	Fill bool
	// Properties are those of every PUBLISH, encoded; empty before MQTT 5.
	Properties packet.Properties
	// TopicAlias sends repeated topics by alias if the broker allows it.
	TopicAlias bool
	// Request makes the messages requests; nil: no.
	Request *Request

	properties object // Properties as the scenario has them
}

// Closed reports whether the stream is a closed loop: it has no intended times, and each client
// sends as soon as its window has room.
func (p *Publish) Closed() bool { return p.Pacer.Unlimited() }

// OneTopic reports whether all messages of a client go to the same topic.
func (p *Publish) OneTopic() bool { return len(p.Topics) == 1 && !p.Topics[0].uses("sjr") }

// FixedTopics reports whether the topic of a client's message depends only on the number of the
// message modulo the number of topics.
func (p *Publish) FixedTopics() bool {
	return !slices.ContainsFunc(p.Topics, func(t *Template) bool { return t.uses("sjr") })
}

// Request describes how a stream waits for replies (MQTT 5 section 4.10).
type Request struct {
	// ResponseTopic is the topic that each client subscribes to and asks for replies on. It has no
	// %s.
	ResponseTopic *Template
	QoS           packet.QoS    // of that subscription
	Timeout       time.Duration // a later reply counts as lost
}

// Subscribe is a topic filter of every client of a group.
type Subscribe struct {
	Group             *Group
	Filter            *Template // may be shared: $share/name/filter
	QoS               packet.QoS
	NoLocal           bool  // MQTT 5
	RetainAsPublished bool  // MQTT 5
	RetainHandling    uint8 // 0 to 2, MQTT 5
	// Deferred subscriptions are only made by an action.
	Deferred bool
}

// Respond answers each message that has a Response Topic, with its Correlation Data and a payload
// of the same length.
type Respond struct {
	QoS   packet.QoS
	Delay time.Duration // between the request and the reply
}

// Slow is a subscriber that does not keep up. Delay and Pause cannot be used together.
type Slow struct {
	Delay time.Duration // for each message, before it is acknowledged
	Pause time.Duration // of reading, once in each Every
	Every time.Duration
}

// End is how a client ends a connection.
type End uint8

// The ends of a connection.
const (
	EndDisconnect End = iota // DISCONNECT, then close
	EndClose                 // FIN without DISCONNECT
	EndCut                   // RST
)

// Churn closes connections and opens them again.
type Churn struct {
	Lifetime time.Duration // from CONNACK; 0: no limit
	// Jitter spreads the lifetime evenly over Lifetime*(1-Jitter) to Lifetime*(1+Jitter); 0 to 1.
	// See Group.Life.
	Jitter   float64
	Messages int           // closes after this many published and acknowledged messages; 0: no limit
	Pause    time.Duration // before the next connect
	End      End
}

// SubscriptionChurn subscribes and unsubscribes. Client j mod N does operation j of the pacer; its
// even operations subscribe, and the odd operation after each unsubscribes from the same filter.
// %s in the filter is the number of the pair.
type SubscriptionChurn struct {
	Filter *Template
	QoS    packet.QoS
	Start  When
	Pacer  Pacer
}

// Will is the will of every client of a group.
type Will struct {
	Topic   *Template
	QoS     packet.QoS
	Retain  bool
	Delay   time.Duration // Will Delay Interval, whole seconds; MQTT 5
	Payload *Payload
}

// Reconnect is the backoff of a client: consecutive attempt n waits First*2^n, at most Max, both
// reduced by up to half at random. See Group.Backoff.
type Reconnect struct{ First, Max time.Duration }

// Verb is what an action does to clients.
type Verb uint8

// The verbs.
const (
	Connect     Verb = iota // opens the connection if it is not open
	Disconnect              // DISCONNECT, then close
	Close                   // closes without DISCONNECT (FIN)
	Cut                     // resets the connection (RST)
	Takeover                // opens a second connection with the same client id
	Subscribing             // makes the group's subscriptions
	Unsubscribe             // unsubscribes from them
	// Burst publishes Messages messages of the group's first stream at once, besides those of its
	// pacer. Their topics and payloads number them from 0 in each burst.
	Burst
)

// Action is something that happens to clients at a time.
type Action struct {
	At    When
	Do    Verb
	Group *Group
	// Clients is the number of clients, the first of the group.
	Clients  int
	Messages int // of each client, for Burst
	// Over is the time over which the clients are spread evenly; 0: all at once.
	Over time.Duration
	// Times is the number of rounds, at least 1, and Every their interval.
	Times int
	Every time.Duration
}

// Offset returns when client i of the group has its turn in round n, from the beginning of the
// phase; ok is false if the action does not include it.
func (a *Action) Offset(i uint32, n int) (d time.Duration, ok bool) {
	if int64(i) >= int64(a.Clients) || n < 0 || n >= a.Times {
		return 0, false
	}
	return a.At.Offset + time.Duration(n)*a.Every + mulDiv(uint64(a.Over), uint64(i), uint64(a.Clients)), true
}

// Closed reports whether all streams are closed loops: then the broker sets the rate. A plan
// without streams is not closed.
func (p *Plan) Closed() bool {
	any := false
	for s := range p.streams() {
		if !s.Closed() {
			return false
		}
		any = true
	}
	return any
}

// HasHeader reports whether all messages have a header.
func (p *Plan) HasHeader() bool {
	for s := range p.streams() {
		if !s.Payload.HasHeader() {
			return false
		}
	}
	return true
}

// streams yields the streams of all groups.
func (p *Plan) streams() iter.Seq[*Publish] {
	return func(yield func(*Publish) bool) {
		for _, g := range p.Groups {
			for _, s := range g.Publish {
				if !yield(s) {
					return
				}
			}
		}
	}
}

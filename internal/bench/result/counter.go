package result

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Counter is a counter that recorders keep without a lookup.
type Counter uint8

// The counters. Those that count messages are kept per QoS: for publishers that of the
// PUBLISH packet sent, for subscribers that of the one received, and for Expected and
// what becomes of it the QoS at which the delivery is due. The others have no QoS.
const (
	Offered        Counter = iota // messages due by the plan
	Sent                          // PUBLISH packets passed to the connection
	SentBytes                     // their payloads
	Acked                         // acknowledged with a success code: PUBACK, PUBCOMP
	Refused                       // acknowledged with a failure code
	Delivered                     // PUBLISH packets received with our header, or all if the plan has none
	DeliveredBytes                // their payloads
	Distinct                      // Delivered for the first time; without a header all of Delivered
	Duplicates                    // received again
	Reordered                     // received after one with a higher sequence number
	Unchecked                     // the Checker does not know whether it is a duplicate
	Untimed                       // no latency recorded: another shard's clock, or no header
	Corrupt                       // the header's check is wrong
	Foreign                       // PUBLISH packets received without our header
	Expected                      // deliveries owed by accepted messages to granted, living subscriptions
	Attempts                      // connection attempts begun
	Connects                      // connections accepted
	Failures                      // attempts that failed or were refused
	Losses                        // connections lost
	Subscribes                    // subscriptions accepted
	Unsubscribes                  // UNSUBACK packets received
	Skipped                       // messages due but not sent: publisher not connected, though planned
	Unaccepted                    // messages sent and not acknowledged before their connection closed
	Answered                      // Acked, counted when it arrived and not when it was due
	Arrived                       // Distinct, counted when it arrived and not when it was due
	Copies                        // received again as MQTT allows: for another filter, or retained
	Unsent                        // messages due but not sent: there was no room for them until the end
	Voided                        // of Expected, those whose subscriptions ended before the delivery
	Surplus                       // Distinct and Corrupt that were not in Expected
	Lost                          // of Expected at QoS 1 and 2, missing after a drain that ended quiet
	Dropped                       // the same at QoS 0
	InFlight                      // of Expected, missing when the drain was not quiet or the session dead
	ExpectedAway                  // of Expected, for subscriptions in any shard; checked after the merge
	DistinctAway                  // of Distinct, from other shards or by a share over several shards
	Ignored                       // of Unaccepted, those whose connection lived until a quiet end
	Unready                       // clients that should be connected and subscribed at the end, but are not
	Planned                       // clients that were to be connected at some time
	SessionsLost                  // sessions that the broker should have kept and did not
	Requests                      // requests sent
	Unreplied                     // requests without a reply in time
	WillsDue                      // deliveries of wills that are owed
	Wills                         // wills received
	Takeovers                     // second connections that were accepted
	TakenOver                     // old connections that the broker closed then
	Unannounced                   // of TakenOver, those on MQTT 5 without DISCONNECT 0x8E
	Returns                       // clients reconnected after their connection was cut or lost
	Pongs                         // PINGRESP packets received
	Restless                      // shards whose drain did not end quiet
	Settled                       // shards that closed their accounts
	numCounters
)

var counterNames = [numCounters]string{
	"offered", "sent", "sent.bytes", "acked", "refused", "delivered", "delivered.bytes", "distinct", "duplicates", "reordered",
	"unchecked", "untimed", "corrupt", "foreign", "expected", "attempts", "connects", "failures", "losses",
	"subscribes", "unsubscribes", "skipped", "unaccepted", "answered", "arrived", "copies", "unsent", "voided", "surplus", "lost", "dropped",
	"in-flight", "expected.away", "distinct.away", "ignored", "unready", "planned", "sessions.lost", "requests", "unreplied", "wills.due", "wills",
	"takeovers", "taken-over", "takeovers.unannounced", "returns", "pongs", "restless", "settled",
}

// String returns the counter's name in files and metrics.
func (c Counter) String() string {
	if c >= numCounters {
		return "unknown counter"
	}
	return counterNames[c]
}

// NoQoS is the QoS of counters that are not kept per QoS.
const NoQoS packet.QoS = 3

// Offset sets what is missing at one QoS against what arrived unexpectedly at another,
// starting with the highest, and returns how much it set off at each QoS. A broker with
// overlapping subscriptions may send the copy with the lower QoS, which then makes up
// for the one that was owed.
func Offset(missing, unexpected *[NoQoS]int64) (instead [NoQoS]int64) {
	for q := len(missing) - 1; q >= 0; q-- {
		for x := len(unexpected) - 1; x >= 0; x-- {
			n := min(missing[q], unexpected[x])
			missing[q], unexpected[x], instead[q] = missing[q]-n, unexpected[x]-n, instead[q]+n
		}
	}
	return instead
}

// CounterKey names a counter: one of the Counter names, reason.PACKET.0xNN for reason
// codes other than Success, or error.WHAT.KIND.
type CounterKey struct {
	Name  string
	Group string     // a group of the plan; empty: the run itself
	QoS   packet.QoS // NoQoS: not kept per QoS
}

// field returns the key's name within its group in a file, such as sent.qos1.
func (k CounterKey) field() string {
	if k.QoS == NoQoS {
		return k.Name
	}
	return k.Name + qosSuffixes[k.QoS]
}

var qosSuffixes = [NoQoS]string{".qos0", ".qos1", ".qos2"}

// parseField is the inverse of field.
func parseField(group, field string) (CounterKey, error) {
	k := CounterKey{Name: field, Group: group, QoS: NoQoS}
	for q, suffix := range qosSuffixes {
		if name, ok := strings.CutSuffix(field, suffix); ok {
			k.Name, k.QoS = name, packet.QoS(q)
		}
	}
	if !IsCounter(k.Name) {
		return k, fmt.Errorf("unknown counter %q", k.Name)
	}
	return k, nil
}

func reasonName(t packet.Type, code packet.ReasonCode) string {
	return fmt.Sprintf("reason.%s.0x%02x", strings.ToLower(t.String()), byte(code))
}

// ParseReason parses the name of a counter of reason codes, such as
// reason.connack.0x87.
func ParseReason(name string) (packetName string, code packet.ReasonCode, ok bool) {
	rest, ok := strings.CutPrefix(name, "reason.")
	if !ok {
		return "", 0, false
	}
	packetName, digits, _ := strings.Cut(rest, ".0x")
	c, err := hex.DecodeString(digits)
	if err != nil || len(c) != 1 {
		return "", 0, false
	}
	return packetName, packet.ReasonCode(c[0]), true
}

// Gauge is a value measured at the end of an interval, or the interval's worst value.
type Gauge string

// The gauges, with their units and how merging combines the values of shards.
const (
	GaugeConnected  Gauge = "connected"      // clients connected; added
	GaugeInFlight   Gauge = "inflight"       // messages sent and not acknowledged; added
	GaugeCPU        Gauge = "cpu"            // of this process, per mille of its processors; highest
	GaugeMachineCPU Gauge = "cpu.machine"    // of all processes, per mille of the machine; highest
	GaugeRSS        Gauge = "rss"            // resident bytes of this process; added
	GaugeHeap       Gauge = "heap"           // bytes of live heap; added
	GaugeGoroutines Gauge = "goroutines"     // added
	GaugeGCPause    Gauge = "gc.pause"       // nanoseconds, the longest in the interval; highest
	GaugeSchedP99   Gauge = "sched.p99"      // nanoseconds, 99th percentile, of waiting to run; highest
	GaugeFDs        Gauge = "fds"            // open descriptors; added
	GaugeBuffered   Gauge = "buffered"       // bytes appended to connections and not yet written; added
	GaugeSlowest    Gauge = "collector.late" // nanoseconds by which the interval's end was late; highest
)

// gaugeAdds has all gauges, and whether merging adds them. Otherwise it takes the
// highest.
var gaugeAdds = map[Gauge]bool{
	GaugeConnected: true, GaugeInFlight: true, GaugeCPU: false, GaugeMachineCPU: false, GaugeRSS: true, GaugeHeap: true,
	GaugeGoroutines: true, GaugeGCPause: false, GaugeSchedP99: false, GaugeFDs: true, GaugeBuffered: true, GaugeSlowest: false,
}

// IsCounter reports whether name is the name of a counter.
func IsCounter(name string) bool {
	return slices.Contains(counterNames[:], name) || strings.HasPrefix(name, "reason.") || strings.HasPrefix(name, "error.")
}

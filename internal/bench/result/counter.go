package result

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Counter is a counter that recorders keep without a look-up.
type Counter uint8

// The counters. Those that count messages are kept per QoS: for publishers that
// of the PUBLISH packet sent, for subscribers that of the one received, and for
// Expected and what becomes of it that with which it is to arrive. The others have
// no QoS.
const (
	Offered        Counter = iota // messages that were due, by the plan
	Sent                          // PUBLISH packets handed to the connection
	SentBytes                     // their payloads
	Acked                         // acknowledged with a success code: PUBACK, PUBCOMP
	Refused                       // acknowledged with a failure code
	Delivered                     // PUBLISH packets received with our header, or, where the plan has none, all
	DeliveredBytes                // their payloads
	Distinct                      // of them, those received for the first time; where the plan has no header, all
	Duplicates                    // received again
	Reordered                     // received after one with a higher sequence number
	Unjudged                      // the Checker could not tell whether it is a duplicate
	Untimed                       // no latency recorded: another shard's clock, or no header
	Corrupt                       // the header's check is wrong
	Foreign                       // PUBLISH packets received without our header
	Expected                      // deliveries owed by accepted messages to granted, living subscriptions
	Attempts                      // connection attempts begun
	Connects                      // connections accepted
	Failures                      // attempts that failed or were refused
	Losses                        // connections that ended and were not to
	Subscribes                    // subscriptions accepted
	Unsubscribes                  // UNSUBACK packets received
	Skipped                       // messages due that were not sent: their publisher was not connected, and not by the plan
	Unaccepted                    // messages sent that had no answer when their connection ended
	Answered                      // Acked, counted when it came and not when it was due
	Arrived                       // Distinct, counted when it came and not when it was due
	Copies                        // received again as MQTT allows: for another filter that matches, or as a retained message
	Unsent                        // messages due that were not sent: there was no room for them to the end
	Voided                        // of Expected, those of subscriptions that ended before the delivery
	Surplus                       // Distinct and Corrupt that were not in Expected
	Lost                          // of Expected at QoS 1 and 2, those not there at the end of a drain that ended quiet
	Dropped                       // the same at QoS 0
	UnderWay                      // of Expected, those not there where the drain did not end quiet, or the session did not live
	ExpectedAway                  // of Expected, those of subscriptions in any shard; they are judged after the merge
	DistinctAway                  // of Distinct, those of messages that other shards published, or of a shared subscription of several
	Ignored                       // of Unaccepted, those whose connection lived to a quiet end
	Unready                       // clients that were to be connected and subscribed when the run ended, and were not
	Planned                       // clients that were to be connected at some time
	SessionsLost                  // sessions that were to be kept and were not there any more
	Requests                      // requests sent
	Unreplied                     // requests that had no reply in time
	WillsDue                      // deliveries of wills that are owed
	Wills                         // those that came
	Takeovers                     // second connections that were accepted
	TakenOver                     // old connections that the broker ended then
	Unannounced                   // of them, those of MQTT 5 without DISCONNECT 0x8e
	Returns                       // clients that were connected again after their connection was cut or lost
	Pongs                         // PINGRESP packets received
	Restless                      // shards whose drain did not end quiet
	Settled                       // shards that came to the end of their accounts
	numCounters
)

var counterNames = [numCounters]string{
	"offered", "sent", "sent.bytes", "acked", "refused", "delivered", "delivered.bytes", "distinct", "duplicates", "reordered",
	"unjudged", "untimed", "corrupt", "foreign", "expected", "attempts", "connects", "failures", "losses",
	"subscribes", "unsubscribes", "skipped", "unaccepted", "answered", "arrived", "copies", "unsent", "voided", "surplus", "lost", "dropped",
	"under-way", "expected.away", "distinct.away", "ignored", "unready", "planned", "sessions.lost", "requests", "unreplied", "wills.due", "wills",
	"takeovers", "taken-over", "takeovers.unannounced", "returns", "pongs", "restless", "settled",
}

// String is the counter's name in files and metrics.
func (c Counter) String() string {
	if c >= numCounters {
		return "unknown counter"
	}
	return counterNames[c]
}

// NoQoS is the QoS of what has none.
const NoQoS packet.QoS = 3

// Offset sets what is missing at one QoS against what came unexpectedly at another, the
// highest first, and returns how much of each QoS that was: a broker whose subscriptions
// overlap may send the copy of a lower one, which then stands for what was owed.
func Offset(missing, unexpected *[NoQoS]int64) (instead [NoQoS]int64) {
	for q := len(missing) - 1; q >= 0; q-- {
		for x := len(unexpected) - 1; x >= 0; x-- {
			n := min(missing[q], unexpected[x])
			missing[q], unexpected[x], instead[q] = missing[q]-n, unexpected[x]-n, instead[q]+n
		}
	}
	return instead
}

// CounterKey names a counter: one of the Counter names, reason.PACKET.0xNN for
// reason codes that are not Success, or error.WHAT.KIND.
type CounterKey struct {
	Name  string
	Group string     // a group of the plan; empty: the run itself
	QoS   packet.QoS // NoQoS: not kept per QoS
}

// field is the key's name within its group in a file: sent.qos1.
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

// ParseReason reads the name of a counter of reason codes, such as
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

// Gauge is a measurement of the moment an interval ends, or of the interval's
// worst one.
type Gauge string

// The gauges, with their units and what shards' values become when merged.
const (
	GaugeConnected  Gauge = "connected"      // clients connected; added
	GaugeInFlight   Gauge = "inflight"       // messages sent and not acknowledged; added
	GaugeCPU        Gauge = "cpu"            // of this process, per mille of the processors it may use; the highest
	GaugeMachineCPU Gauge = "cpu.machine"    // of all processes, per mille of the machine; the highest
	GaugeRSS        Gauge = "rss"            // resident bytes of this process; added
	GaugeHeap       Gauge = "heap"           // bytes of live heap; added
	GaugeGoroutines Gauge = "goroutines"     // added
	GaugeGCPause    Gauge = "gc.pause"       // nanoseconds, the longest in the interval; the highest
	GaugeSchedP99   Gauge = "sched.p99"      // nanoseconds that runnable goroutines waited, 99th percentile; the highest
	GaugeFDs        Gauge = "fds"            // open descriptors; added
	GaugeBuffered   Gauge = "buffered"       // bytes appended to connections and not yet written; added
	GaugeSlowest    Gauge = "collector.late" // nanoseconds by which the interval's end was late; the highest
)

// gaugeAdds tells the gauges and whether merging adds them; it takes the
// highest otherwise.
var gaugeAdds = map[Gauge]bool{
	GaugeConnected: true, GaugeInFlight: true, GaugeCPU: false, GaugeMachineCPU: false, GaugeRSS: true, GaugeHeap: true,
	GaugeGoroutines: true, GaugeGCPause: false, GaugeSchedP99: false, GaugeFDs: true, GaugeBuffered: true, GaugeSlowest: false,
}

// IsCounter reports whether a name is that of a counter.
func IsCounter(name string) bool {
	return slices.Contains(counterNames[:], name) || strings.HasPrefix(name, "reason.") || strings.HasPrefix(name, "error.")
}

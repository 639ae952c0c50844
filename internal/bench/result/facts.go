package result

import (
	"slices"
	"time"
)

// Format is the version of the result file's format. A reader supports one version.
const Format = 1

// Run is what all shards of a run have in common.
type Run struct {
	Tool    string        // version of mqtools
	Plan    Plan          // what was run
	Shards  int           // how many there are; 1: the run is not divided
	Repeat  int           // which of several runs of one plan, from 0
	Repeats int           // how many runs were to follow each other in the file; 0: not recorded
	Step    time.Duration // an interval's length, one second unless the result was coarsened
}

// Plan describes what was run. Package result does not interpret plans: it carries
// texts.
type Plan struct {
	Name  string  `json:"name"`  // the preset's or the file's
	Hash  string  `json:"hash"`  // of the canonical text
	Text  string  `json:"text"`  // the canonical text, secrets redacted
	Scale float64 `json:"scale"` // clients as a share of the preset's; 1: the real preset
	// Closed says that publishers wait for acknowledgements, so that the broker sets
	// the rate. Latencies are then service times, not open-loop figures.
	Closed bool `json:"closed"`
	// Header says that payloads carry a Header. Without it, deliveries are counted, but
	// neither timed nor checked.
	Header bool `json:"header"`
}

// Shard is where and how one shard of a run ran.
type Shard struct {
	Shard       int         `json:"shard"`   // from 0
	Epoch       time.Time   `json:"epoch"`   // when it started, by the wall clock
	Engine      string      `json:"engine"`  // lite or std
	Command     []string    `json:"command"` // the command line, secrets redacted by the caller
	Broker      string      `json:"broker"`  // its version from $SYS; empty: not known
	NoDelay     bool        `json:"nodelay"` // TCP_NODELAY was set
	Environment Environment `json:"environment"`
	Calibration Calibration `json:"calibration"`
}

// Calibration is the generator's own limit on the machine, against a sink in the same
// process; 0: not measured.
type Calibration struct {
	Messages float64       `json:"messages"`        // per second at QoS 0, sent and received again
	Acked    float64       `json:"acked,omitempty"` // per second at QoS 1, sent and acknowledged
	Connects float64       `json:"connects"`        // per second
	Floor    time.Duration `json:"floor"`           // median delivery latency, in nanoseconds
}

// Phase is a part of a run.
type Phase string

// The phases, in their order. Reports cover PhaseMeasure, and what is still answered in
// PhaseDrain.
const (
	PhaseConnect Phase = "connect"
	PhaseSettle  Phase = "settle"
	PhaseWarmUp  Phase = "warm-up"
	PhaseMeasure Phase = "measure"
	PhaseDrain   Phase = "drain"
)

// Phases returns all phases, in their order.
func Phases() []Phase { return slices.Clone(phases) }

var phases = []Phase{PhaseConnect, PhaseSettle, PhaseWarmUp, PhaseMeasure, PhaseDrain}

// Note is an event of a run that deserves a line in the report.
type Note struct {
	At    time.Duration // since the epoch
	Shard int
	Kind  NoteKind
	Text  string
}

// NoteKind is what a note is about.
type NoteKind string

// The kinds of notes.
const (
	NotePhase  NoteKind = "phase"  // a phase begins; its name is the text
	NoteAction NoteKind = "action" // an action of the plan begins
	NoteError  NoteKind = "error"
	NoteFault  NoteKind = "fault" // a fault was injected
	NoteInfo   NoteKind = "info"
)

var noteKinds = []NoteKind{NotePhase, NoteAction, NoteError, NoteFault, NoteInfo}

package plan

import "time"

// The words of scenario files.
var (
	phases = []string{"connect", "settle", "warm-up", "measure", "drain"}
	verbs  = []string{"connect", "disconnect", "close", "cut", "takeover", "subscribe", "unsubscribe", "burst"}
	ends   = []string{"disconnect", "close", "cut"}
)

// String returns the word of a phase, "warm-up".
func (p Phase) String() string { return phases[p] }

// String returns the word of a verb, "cut".
func (v Verb) String() string { return verbs[v] }

// String returns the word of an end, "cut".
func (e End) String() string { return ends[e] }

// String returns the time as a scenario has it, "measure+10s".
func (w When) String() string {
	if w.Offset == 0 {
		return w.Phase.String()
	}
	return w.Phase.String() + "+" + w.Offset.String()
}

// length returns the length of a phase; ok is false if events end the phase.
func (p *Phases) length(ph Phase) (d time.Duration, ok bool) {
	switch ph {
	case PhaseSettle:
		return p.Settle, true
	case PhaseWarmUp:
		return p.WarmUp, true
	case PhaseMeasure:
		return p.Measure, p.Measure > 0
	}
	return 0, false
}

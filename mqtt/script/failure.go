package script

import (
	"fmt"
	"strings"
	"time"
)

// Failure is the error of a conversation that deviates from its script.
type Failure struct {
	Script     string // its name
	Place      string // path:line:column of the step
	Connection string
	Step       string // "expect PUBLISH"
	Text       string // what is wrong
	Diff       []Diff // the fields that differ
	Transcript []Line // the last lines, the oldest first
	Err        error  // the cause, if it is an error
}

// Diff is a field that is not as expected.
type Diff struct{ Field, Want, Got string }

// Direction is the kind of a line of a transcript.
type Direction uint8

// The directions, as seen by the side that plays the script.
const (
	Note     Direction = iota // a connection begins or ends
	Sent                      // by the script
	Received                  // from the peer under test
)

// Line is one line of a transcript.
type Line struct {
	Time       time.Duration // since the play began
	Connection string
	Direction  Direction
	Text       string // the packet or the event, in one line
}

// String returns the line as a failure prints it.
func (l Line) String() string {
	arrow := [...]string{"--", "->", "<-"}[l.Direction]
	return fmt.Sprintf("%10.3fs %s %s %s", l.Time.Seconds(), l.Connection, arrow, l.Text)
}

// Error returns the place and what is wrong and, on further lines, the fields that differ and the
// transcript.
func (f *Failure) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", f.Place)
	if f.Connection != "" {
		fmt.Fprintf(&b, "%s: ", f.Connection)
	}
	fmt.Fprintf(&b, "%s: %s", f.Step, f.Text)
	for _, d := range f.Diff {
		fmt.Fprintf(&b, "\n    %s: want %s, got %s", d.Field, d.Want, d.Got)
	}
	for _, l := range f.Transcript {
		fmt.Fprintf(&b, "\n  %s", l)
	}
	return b.String()
}

// Unwrap returns the cause, or nil.
func (f *Failure) Unwrap() error { return f.Err }

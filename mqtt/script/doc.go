// Package script plays one side of MQTT conversations that are written in YAML, to test the other
// side: a script with role broker tests a client, one with role client tests a broker. It shares
// only the codec with the engine under test, so a mistake in the protocol state cannot hide in its
// own test.
//
// [Read] and [Parse] read a script. scripts/README.md and the manual page mqtools-script(5)
// describe the language. [Script.Serve] plays a broker on a listener, [Script.Dial] plays clients.
// A deviation from the script is a [*Failure]: the path:line:column of the step, what was expected
// and received, field by field, and the last lines of the transcript.
//
// All times are those of package time: in a bubble of testing/synctest, over connections in
// memory, a pause of a day takes no time and silence is exact.
package script

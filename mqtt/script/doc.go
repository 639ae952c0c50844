// Package script plays one side of MQTT conversations that are written down in
// YAML, to test whatever is on the other side: a script with role broker tests
// a client, one with role client tests a broker. It shares the codec with the
// engine under test and nothing else: a mistake in the protocol state cannot
// hide in its own test.
//
// [Read] and [Parse] read a script, whose language scripts/README.md and the
// manual page mqtools-script(5) describe.
// [Script.Serve] plays a broker on a listener, [Script.Dial] plays clients.
// What does not go as written is a [*Failure]: the step's path:line:column,
// what was expected and what came field by field, and the last lines of the
// transcript.
//
// All time is that of package time: in a bubble of testing/synctest, over the
// connections of a [Memory], a pause of a day takes no time and silence is
// exact.
package script

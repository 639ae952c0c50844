// Package cli is what mqpub, mqsub and mqbench share on the command line: one
// table of options, the argument normaliser in front of urfave/cli/v2, typed
// values, usage errors and exit codes, streams, colour, signals, --help,
// --version and the check that the man pages agree with the table.
//
// A tool is a [Tool] value whose Run takes a context and an [Invocation]; its
// main is
//
//	func main() { os.Exit(cli.Main(mqsub.Tool())) }
//
// and its tests call [Run] with an [Env] of their own, without a process.
//
// Invariants:
//
//   - Nothing here calls os.Exit but the second signal in [Signals].
//   - stdout is written by --help and --version only; everything else this
//     package has to say is lines on stderr, each starting with the tool's name.
//   - A value of a secret option appears in no error text.
//   - There is no package state: the tables are functions that return literals,
//     and urfave's global flags (HelpFlag, VersionFlag) are switched off.
package cli

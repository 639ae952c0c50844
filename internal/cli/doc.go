// Package cli holds what mqpub, mqsub and mqbench share as processes: streams and color,
// signals, exit codes, messages on stderr, --help and --version, contexts, and the
// imitation of other programs. Package option reads the options.
//
// A tool is a [Tool] value whose Run takes a context and an [Invocation]; its main is
//
//	func main() { os.Exit(cli.Main(mqsub.Tool())) }
//
// and its tests call [Run] with their own [Env], without a process.
//
// Invariants:
//
//   - Nothing here calls os.Exit except the second signal in [Signals].
//   - Only --help and --version write to stdout; everything else that this package prints
//     are lines on stderr, each of which starts with the tool's name.
package cli

// Package cli is what mqpub, mqsub and mqbench have in common as processes: streams
// and colour, signals, exit codes, the words on stderr, --help and --version, contexts,
// and the programs that a tool stands in for. What options mean is package option's.
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
package cli

package option

import "slices"

// The exit codes. ExitCodes returns them as a table.
const (
	ExitDone       = 0
	ExitFailure    = 1
	ExitUsage      = 2
	ExitUnreached  = 3
	ExitRefused    = 4
	ExitDenied     = 5
	ExitLocalIO    = 6
	ExitLost       = 7
	ExitThreshold  = 4 // of mqbench, as are the next four
	ExitLoss       = 5
	ExitGenerator  = 6
	ExitSaturated  = 7
	ExitIncomplete = 8
	ExitTimeLimit  = 27
	ExitNothing    = 28
	ExitQueued     = 75           // EX_TEMPFAIL of sysexits.h
	ExitHangup     = Signaled + 1 // other signals likewise
	ExitInterrupt  = Signaled + 2
	ExitQuit       = Signaled + 3
	ExitPipe       = Signaled + 13
	ExitTerminated = Signaled + 15
)

// ExitStatus is one row of the table of exit codes.
type ExitStatus struct {
	Code  int
	Name  string // one or two words, stable, for tests and logs
	Text  string // the cause, for --help and the man page
	Tools ToolSet
}

// ExitCodes returns the table of exit codes of some tools, in ascending order.
func ExitCodes(tools ToolSet) []ExitStatus {
	all := []ExitStatus{
		{Code: ExitDone, Name: "done", Text: "success", Tools: All},
		{Code: ExitFailure, Name: "failure", Text: "other error", Tools: All},
		{Code: ExitUsage, Name: "usage", Text: "invalid command line or configuration", Tools: All},
		{Code: ExitUnreached, Name: "not reached", Text: "cannot reach the broker (DNS, TCP, proxy, TLS or WebSocket)", Tools: All},
		{Code: ExitThreshold, Name: "threshold", Text: "threshold not met (--fail-on, --gate, --slo)", Tools: Bench},
		{Code: ExitRefused, Name: "refused", Text: "broker refused the connection", Tools: PubSub},
		{Code: ExitLoss, Name: "loss", Text: "messages lost, duplicated, reordered or corrupted", Tools: Bench},
		{Code: ExitDenied, Name: "denied", Text: "broker refused a subscription or a message", Tools: PubSub},
		{Code: ExitGenerator, Name: "generator limited", Text: "the load generator was the limit (--strict; search)", Tools: Bench},
		{Code: ExitLocalIO, Name: "local i/o", Text: "cannot read the input or write the output", Tools: PubSub},
		{Code: ExitSaturated, Name: "saturated", Text: "the broker fell behind the load (--strict)", Tools: Bench},
		{Code: ExitIncomplete, Name: "incomplete", Text: "the plan was not carried out (refusals, lost connections)", Tools: Bench},
		{Code: ExitLost, Name: "lost", Text: "connection lost; some messages may not have been delivered", Tools: PubSub},
		{Code: ExitTimeLimit, Name: "time limit", Text: "timed out", Tools: PubSub},
		{Code: ExitNothing, Name: "nothing", Text: "no retained message matched, or --until was never true", Tools: Sub},
		{Code: ExitQueued, Name: "queued", Text: "messages wait in the spool (--spool)", Tools: Pub},
		{Code: ExitHangup, Name: "hung up", Text: "killed by SIGHUP (the terminal was closed)", Tools: All},
		{Code: ExitInterrupt, Name: "interrupted", Text: "interrupted (SIGINT)", Tools: All},
		{Code: ExitQuit, Name: "quit", Text: "killed by SIGQUIT", Tools: All},
		{Code: ExitPipe, Name: "closed pipe", Text: "standard output has lost its reader (SIGPIPE)", Tools: All},
		{Code: ExitTerminated, Name: "terminated", Text: "terminated (SIGTERM)", Tools: All},
	}
	return slices.DeleteFunc(all, func(row ExitStatus) bool { return row.Tools&tools == 0 })
}

// Signaled is added to the number of a signal to form its exit code.
const Signaled = 128

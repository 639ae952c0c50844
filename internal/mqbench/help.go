package mqbench

import "github.com/mqtools/mqtools/internal/option"

// brief are the options that the short help of each command shows.
var brief = map[string][]string{
	"run":       {"host", "url", "username", "cafile", "scale", "load", "duration", "seed", "procs", "out", "format", "fail-on", "strict", "serve"},
	"conn":      {"host", "url", "username", "cafile", "clients", "connect-rate", "id", "duration", "procs", "out", "fail-on", "serve"},
	"pub":       {"host", "url", "username", "cafile", "clients", "topic", "qos", "size", "rate", "interval", "max-inflight", "duration", "out", "fail-on", "serve"},
	"sub":       {"host", "url", "username", "cafile", "clients", "topic", "qos", "duration", "out", "fail-on", "serve"},
	"pubsub":    {"host", "url", "username", "cafile", "clients", "subscribers", "topic", "qos", "size", "rate", "interval", "duration", "out", "fail-on", "serve"},
	"search":    {"host", "url", "username", "cafile", "slo", "from-load", "precision", "rate", "qos", "duration", "out", "format", "serve"},
	"verify":    {"host", "url", "username", "cafile", "qos", "shapes", "faults", "clients", "rate", "duration", "seed", "out", "serve"},
	"play":      {"listen", "connect", "strict", "cafile", "connect-timeout", "debug", "quiet"},
	"calibrate": {"duration", "engine", "loops", "out", "quiet"},
	"doctor":    {"host", "url", "username", "cafile", "clients", "source-ip", "procs", "engine"},
	"k8s":       {"shards", "image", "name", "namespace", "secret", "start-in", "host", "duration", "scale", "load", "metrics"},
	"collect":   {"out", "namespace", "quiet"},
	"report":    {"format", "metric", "fail-on", "strict", "quiet"},
	"plot":      {"out", "quiet"},
	"merge":     {"out", "quiet"},
	"diff":      {"format", "gate", "quiet"},
	"presets":   {"quiet"},
}

// overview lists the commands as the short help of mqbench shows them.
var overview = []option.Section{
	{Title: "Measure", Rows: [][2]string{
		{"run", "run a preset or a scenario file, and report"},
		{"pubsub", "publish and subscribe, and time every delivery"},
		{"pub sub conn", "publish only, subscribe only, connect only"},
		{"search", "find the highest load a broker sustains"},
	}},
	{Title: "Test", Rows: [][2]string{
		{"verify", "check for loss, duplicates and disorder under faults"},
		{"play", "play scripted conversations to a client or a broker"},
	}},
	{Title: "Results", Rows: [][2]string{
		{"report plot", "show saved results as text, JSON, CSV ... or a web page"},
		{"diff", "compare two results"},
		{"merge", "combine the results of shards"},
		{"collect", "find the results of shards in files and logs, and merge"},
	}},
	{Title: "Prepare", Rows: [][2]string{
		{"presets", "list the presets, or print one"},
		{"doctor", "check that this machine can run a plan"},
		{"calibrate", "measure what mqbench itself can do on this machine"},
		{"k8s", "print a Kubernetes Job that runs a plan"},
	}},
}

// examples are those of the tool; each command has its own.
var examples = []option.Example{
	{Command: "mqbench pubsub --serve --rate 20000 --duration 5s", Text: "no broker needed"},
	{Command: "mqbench run my.yaml -h broker --fail-on 'p99>10ms'", Text: "exit 4 if too slow"},
	{Command: "mqbench verify -h broker", Text: "is anything lost?"},
}

// topics are the examples of the help topics.
var topics = map[string][]option.Example{
	"broker": {{Command: "mqbench conn -L mqtt://me@broker:1884", Text: "user, host and port as a URL"}},
	"tls":    {{Command: "mqbench conn -h broker --cafile ca.pem", Text: "TLS, trusting a CA of your own"}},
	"serve":  {{Command: "mqbench pubsub --serve --rate 20000 --duration 5s", Text: "no broker needed"}},
	"check":  {{Command: "mqbench run my.yaml -h broker --fail-on 'p99>10ms'", Text: "exit 4 if too slow"}},
}

package option

import "time"

var messageOptions = []Option{
	{
		Name: "topic", Short: "t", Tools: Pub, Group: GroupMessage, Type: TypeString, Repeat: true, Override: true,
		Placeholder: "TOPIC", Complete: CompleteTopic,
		Help: "publish to TOPIC (repeatable)",
	},
	{
		Name: "message", Short: "m", Tools: Pub, Group: GroupMessage, Type: TypeString, Once: true,
		Excludes:    []Relation{{With: []string{"file", "stdin-file", "null-message", "stdin-line", "input"}, Hint: "publish one message at a time"}},
		Placeholder: "TEXT",
		Help:        "publish TEXT",
	},
	{
		Name: "file", Short: "f", Tools: Pub, Group: GroupMessage, Type: TypeString, Once: true, Stdin: true,
		Excludes:    []Relation{{With: []string{"stdin-file", "null-message", "stdin-line", "input"}, Hint: "publish one message at a time"}},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "publish the contents of FILE as one message",
	},
	{
		Name: "stdin-file", Short: "s", Tools: Pub, Group: GroupMessage, Type: TypeBool, Stdin: true,
		Excludes: []Relation{{With: []string{"null-message", "stdin-line", "input"}, Hint: "publish one message at a time"}},
		Help:     "publish all of standard input as one message",
	},
	{
		Name: "null-message", Short: "n", Tools: Pub, Group: GroupMessage, Type: TypeBool,
		Excludes: []Relation{{With: []string{"stdin-line", "input"}, Hint: "publish one message at a time"}},
		Help:     "publish an empty payload",
	},
	{
		Name: "stdin-line", Short: "l", Tools: Pub, Group: GroupMessage, Type: TypeBool, Stdin: true,
		Excludes: []Relation{{With: []string{"input"}, Hint: "publish one message at a time"}},
		Help:     "publish each line of standard input",
	},
	{
		Name: "input", Tools: Pub, Group: GroupMessage, Type: TypeChoice, Stdin: true,
		Excludes:    []Relation{{With: []string{"topic"}, Hint: "every record names its own topic", Ranked: true}},
		Placeholder: "FORMAT", Choices: []Choice{{"jsonl", nil}, {"tsv", nil}, {"csv", nil}, {"tsv:header=yes", nil}, {"csv:header=no", nil}}, Complete: CompleteChoice,
		Help: "publish records from stdin: jsonl, tsv or csv",
	},
	{
		Name: "strict", Tools: Pub, Group: GroupMessage, Type: TypeBool,
		Needs: []Relation{{With: []string{"input"}}},
		Help:  "with --input: refuse unknown keys and columns",
	},
	{
		Name: "ack-report", Tools: Pub, Group: GroupMessage, Type: TypeChoice,
		Excludes:    []Relation{{With: []string{"spool"}, Hint: "a spool has the messages that are not acknowledged"}},
		Needs:       []Relation{{With: []string{"input"}}},
		Placeholder: "FORM", Choices: []Choice{{"jsonl", nil}}, Complete: CompleteChoice,
		Help: "print what becomes of each record, as jsonl",
	},
	{
		Name: "qos", Short: "q", Tools: Pub, Group: GroupMessage, Type: TypeInt,
		Placeholder: "QOS", Default: "0", Min: 0, Max: 2,
		Help: "quality of service: {values}",
	},
	{
		Name: "retain", Short: "r", Tools: Pub, Group: GroupMessage, Type: TypeBool,
		Help: "set the retain flag",
	},
	{
		Name: "repeat", Tools: Pub, Group: GroupMessage, Type: TypeInt,
		Placeholder: "N", Default: "1", Min: 1, Max: maxCount,
		Help: "publish the message N times",
	},
	{
		Name: "repeat-delay", Tools: Pub, Group: GroupMessage, Type: TypeDuration,
		Placeholder: "DURATION", Default: "0", Max: int64(24 * 365 * time.Hour),
		Help: "pause between repeats",
	},
	{
		Name: "delimiter", Tools: Pub, Group: GroupMessage, Type: TypeEscaped,
		Excludes:    []Relation{{With: []string{"null"}}},
		Needs:       []Relation{{With: []string{"stdin-line"}}},
		Placeholder: "TEXT", Default: `\n`,
		Help: "with -l: line delimiter",
	},
	{
		Name: "null", Short: "0", Tools: Pub, Group: GroupMessage, Type: TypeBool,
		Needs: []Relation{{With: []string{"stdin-line"}}},
		Help:  "with -l: lines end with a NUL byte",
	},
	{
		Name: "skip-blank", Tools: Pub, Group: GroupMessage, Type: TypeBool,
		Needs: []Relation{{With: []string{"stdin-line"}}},
		Help:  "with -l: skip empty lines",
	},
	{
		Name: "on-undeliverable", Tools: Pub, Group: GroupMessage, Type: TypeChoice, Default: "stop",
		Placeholder: "ACTION", Choices: []Choice{{"stop", nil}, {"skip", nil}, {"wait", nil}}, Complete: CompleteChoice,
		Help: "if undeliverable: stop, skip, wait",
	},
}

var spoolOptions = []Option{
	{
		Name: "spool", Tools: Pub, Group: GroupMessage, Type: TypeString,
		Excludes: []Relation{
			{With: []string{"request", "response-topic", "serve"}, Hint: "a spool is for messages that can wait"},
			{With: []string{"id-prefix"}, Hint: "a spool keeps the client ID of its first run"},
		},
		Placeholder: "DIR", Complete: CompleteDir,
		Help: "keep messages in DIR until acknowledged",
	},
	{
		Name: "spool-size", Tools: Pub, Group: GroupMessage, Type: TypeSize,
		Needs:       []Relation{{With: []string{"spool"}}},
		Placeholder: "SIZE", Default: "1GiB", Min: 1 << 20, Max: 1 << 50,
		Help: "largest spool; then the input waits",
	},
	{
		Name: "in-doubt", Tools: Pub, Group: GroupMessage, Type: TypeChoice, Default: "resend",
		Needs:       []Relation{{With: []string{"spool"}}},
		Placeholder: "ACTION", Choices: []Choice{{"resend", nil}, {"skip", nil}}, Complete: CompleteChoice,
		Help: "QoS 2, session lost: resend, skip",
	},
	{
		Name: "sync", Tools: Pub, Group: GroupMessage, Type: TypeChoice,
		Needs:       []Relation{{With: []string{"spool"}}},
		Placeholder: "WHEN", Default: "always", Complete: CompleteChoice,
		Choices: []Choice{{"always", nil}, {"interval", nil}, {"never", nil}},
		Help:    "fsync: {values}",
	},
	{
		Name: "repair", Tools: Pub, Group: GroupMessage, Type: TypeBool,
		Needs: []Relation{{With: []string{"spool"}}},
		Help:  "open a damaged spool; loses what follows",
	},
}

// FollowOptions are the options of the command follow alone.
var FollowOptions = []Option{
	{
		Name: "end", Tools: Pub, Group: GroupMessage, Type: TypeBool, NoEnv: true,
		Help: "exit at the end of FILE, when all is acknowledged",
	},
	{
		Name: "from", Tools: Pub, Group: GroupMessage, Type: TypeChoice, NoEnv: true,
		Placeholder: "PLACE", Default: "start", Choices: []Choice{{"start", nil}, {"end", nil}}, Complete: CompleteChoice,
		Help: "where a new FILE is read from: {values}",
	},
}

var requestOptions = []Option{
	{
		Name: "request", Tools: Pub, Group: GroupRequest, Type: TypeBool,
		Excludes: []Relation{
			{With: []string{"stdin-line", "input"}, Hint: "a request is one message", Firm: true},
			{With: []string{"repeat"}, Firm: true},
			{With: []string{"retain"}, Hint: "a retained request would be answered again and again"},
		},
		Help: "wait for a reply and print it",
	},
	{
		Name: "response-topic", Short: "e", Tools: Pub, Group: GroupRequest, Type: TypeString, Once: true,
		Excludes: []Relation{
			{With: []string{"stdin-line", "input"}, Hint: "a request is one message", Firm: true},
			{With: []string{"repeat"}, Firm: true},
			{With: []string{"retain"}, Hint: "a retained request would be answered again and again"},
		},
		Placeholder: "TOPIC", Complete: CompleteTopic,
		Help: "ask for the reply on TOPIC; implies --request",
	},
	{
		Name: "replies", Tools: Pub, Group: GroupRequest, Type: TypeInt,
		Needs:       []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Placeholder: "N", Default: "1", Min: 1, Max: maxCount,
		Help: "wait for N replies",
	},
	{
		Name: "latency", Tools: Pub, Group: GroupRequest, Type: TypeBool,
		Needs: []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Help:  "report how long each reply took",
	},
}

// maxCount is the upper bound of counters: exact in a JSON number.
const maxCount = 1 << 53

package option

import "time"

var publishOptions = []Option{
	{
		Name: "topic", Short: "t", Tools: Pub, Group: GroupPublish, Type: TypeString, Repeat: true, Override: true,
		Placeholder: "TOPIC", Complete: CompleteTopic,
		Help: "publish to TOPIC (repeatable)",
	},
	{
		Name: "message", Short: "m", Tools: Pub, Group: GroupPublish, Type: TypeString, Once: true,
		Excludes:    []Relation{{With: []string{"file", "stdin-file", "null-message", "stdin-line", "input"}, Hint: "publish one message at a time"}},
		Placeholder: "MESSAGE",
		Help:        "publish MESSAGE",
	},
	{
		Name: "file", Short: "f", Tools: Pub, Group: GroupPublish, Type: TypeString, Once: true,
		Excludes:    []Relation{{With: []string{"stdin-file", "null-message", "stdin-line", "input"}, Hint: "publish one message at a time"}},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "publish the contents of FILE as one message",
	},
	{
		Name: "stdin-file", Short: "s", Tools: Pub, Group: GroupPublish, Type: TypeBool,
		Excludes: []Relation{{With: []string{"null-message", "stdin-line", "input"}, Hint: "publish one message at a time"}},
		Help:     "publish all of standard input as one message",
	},
	{
		Name: "null-message", Short: "n", Tools: Pub, Group: GroupPublish, Type: TypeBool,
		Excludes: []Relation{{With: []string{"stdin-line", "input"}, Hint: "publish one message at a time"}},
		Help:     "publish a message without payload",
	},
	{
		Name: "stdin-line", Short: "l", Tools: Pub, Group: GroupPublish, Type: TypeBool,
		Excludes: []Relation{{With: []string{"input"}, Hint: "publish one message at a time"}},
		Help:     "publish every line of standard input as a message",
	},
	{
		Name: "input", Tools: Pub, Group: GroupPublish, Type: TypeChoice,
		Excludes:    []Relation{{With: []string{"topic"}, Hint: "every record names its own topic", Ranked: true}},
		Placeholder: "FORMAT", Choices: []Choice{{"jsonl", nil}}, Complete: CompleteChoice,
		Help: "publish the records on standard input: jsonl, as mqsub --json writes them",
	},
	{
		Name: "strict", Tools: Pub, Group: GroupPublish, Type: TypeBool,
		Needs: []Relation{{With: []string{"input"}}},
		Help:  "with --input: refuse records with unknown keys",
	},
	{
		Name: "qos", Short: "q", Tools: Pub, Group: GroupPublish, Type: TypeInt,
		Placeholder: "QOS", Default: "0", Min: 0, Max: 2,
		Help: "quality of service",
	},
	{
		Name: "retain", Short: "r", Tools: Pub, Group: GroupPublish, Type: TypeBool,
		Help: "make the message a retained one",
	},
	{
		Name: "repeat", Tools: Pub, Group: GroupPublish, Type: TypeInt,
		Placeholder: "N", Default: "1", Min: 1, Max: maxCount,
		Help: "publish the message N times",
	},
	{
		Name: "repeat-delay", Tools: Pub, Group: GroupPublish, Type: TypeDuration,
		Placeholder: "DURATION", Default: "0", Max: int64(24 * 365 * time.Hour),
		Help: "pause between two repetitions",
	},
	{
		Name: "on-undeliverable", Tools: Pub, Group: GroupPublish, Type: TypeChoice, Default: "stop",
		Placeholder: "ACTION", Choices: []Choice{{"stop", nil}, {"skip", nil}, {"wait", nil}}, Complete: CompleteChoice,
		Help: "at a message that ends every connection: stop, skip or wait",
	},
	{
		Name: "request", Tools: Pub, Group: GroupPublish, Type: TypeBool,
		Excludes: []Relation{
			{With: []string{"stdin-line", "input"}, Hint: "a request is one message"},
			{With: []string{"repeat"}},
			{With: []string{"retain"}, Hint: "a retained request would be answered again and again"},
		},
		Help: "make the message a request: wait for the reply and write it to standard output",
	},
	{
		Name: "response-topic", Short: "e", Tools: Pub, Group: GroupPublish, Type: TypeString, Once: true,
		Excludes: []Relation{
			{With: []string{"stdin-line", "input"}, Hint: "a request is one message"},
			{With: []string{"repeat"}},
			{With: []string{"retain"}, Hint: "a retained request would be answered again and again"},
		},
		Placeholder: "TOPIC", Complete: CompleteTopic,
		Help: "topic of the reply; implies --request, which in MQTT 5 makes one without it",
	},
	{
		Name: "replies", Tools: Pub, Group: GroupPublish, Type: TypeInt,
		Needs:       []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Placeholder: "N", Default: "1", Min: 1, Max: maxCount,
		Help: "wait for N replies",
	},
	{
		Name: "timeout", Short: "W", Tools: Pub, Group: GroupPublish, Type: TypeDuration,
		Placeholder: "DURATION", Min: int64(time.Millisecond),
		Help: "exit after DURATION (exit 27)",
	},
	{
		Name: "drain-timeout", Tools: Pub, Group: GroupPublish, Type: TypeDuration,
		Placeholder: "DURATION", Default: "5s",
		Help: "after a signal, wait for acknowledgements this long",
	},
	{
		Name: "latency", Tools: Pub, Group: GroupPublish, Type: TypeBool,
		Needs: []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Help:  "tell how long each reply took",
	},
	{
		Name: "skip-blank", Tools: Pub, Group: GroupPublish, Type: TypeBool,
		Needs: []Relation{{With: []string{"stdin-line"}}},
		Help:  "do not publish empty lines",
	},
	{
		Name: "delimiter", Tools: Pub, Group: GroupPublish, Type: TypeEscaped,
		Excludes:    []Relation{{With: []string{"null"}}},
		Needs:       []Relation{{With: []string{"stdin-line"}}},
		Placeholder: "TEXT", Default: `\n`,
		Help: `what ends a line of -l, with \n \r \t \0 \\ and \xHH as escapes`,
	},
	{
		Name: "null", Short: "0", Tools: Pub, Group: GroupPublish, Type: TypeBool,
		Needs: []Relation{{With: []string{"stdin-line"}}},
		Help:  "lines of -l end in a NUL byte",
	},
}

// maxCount bounds counters: exact in a JSON number.
const maxCount = 1 << 53

package option

import "time"

var subscribeOptions = []Option{
	{
		Name: "topic", Short: "t", Tools: Sub, Group: GroupSubscribe, Type: TypeString, Repeat: true,
		Placeholder: "FILTER", Complete: CompleteTopic,
		Help: "subscribe to FILTER (repeatable)",
	},
	{
		Name: "qos", Short: "q", Tools: Sub, Group: GroupSubscribe, Type: TypeInt,
		Placeholder: "QOS", Default: "0", Min: 0, Max: 2,
		Help: "maximum QoS to request: {values}",
	},
	{
		Name: "sub", Tools: Sub, Group: GroupSubscribe, Type: TypeString, Repeat: true,
		Placeholder: "FILTER[;OPTION]...", Complete: CompleteTopic,
		Help: "subscribe with options, e.g. 'a/#;qos=1;nl'",
	},
	{
		Name: "unsubscribe", Short: "U", Tools: Sub, Group: GroupSubscribe, Type: TypeString, Repeat: true,
		Placeholder: "FILTER", Complete: CompleteTopic,
		Help: "unsubscribe the session from FILTER",
	},
	{
		Name: "no-local", V5: true, Tools: Sub, Group: GroupSubscribe, Type: TypeBool,
		Help: "don't receive this client's messages (MQTT 5)",
	},
	{
		Name: "retain-as-published", V5: true, Tools: Sub, Group: GroupSubscribe, Type: TypeBool,
		Help: "keep the publisher's retain flag (MQTT 5)",
	},
	{
		Name: "retain-handling", V5: true, Tools: Sub, Group: GroupSubscribe, Type: TypeChoice,
		Placeholder: "WHEN", Default: "always", Complete: CompleteChoice,
		Choices: []Choice{{"always", nil}, {"new", nil}, {"never", nil}},
		Help:    "get retained: new, never (MQTT 5)",
	},
}

var filterOptions = []Option{
	{
		Name: "filter-out", Short: "T", Tools: Sub, Group: GroupFilter, Type: TypeString, Repeat: true,
		Placeholder: "FILTER", Complete: CompleteTopic,
		Help: "don't print topics matching FILTER (repeatable)",
	},
	{
		Name: "skip-retained", Short: "R", Tools: Sub, Group: GroupFilter, Type: TypeBool,
		Excludes: []Relation{{With: []string{"retained-only"}}, {With: []string{"remove-retained"}, Hint: "--remove-retained deletes what is printed", Native: true}},
		Help:     "don't print retained messages",
	},
	{
		Name: "retained-only", Tools: Sub, Group: GroupFilter, Type: TypeBool,
		Help: "print the retained messages, then exit",
	},
	{
		Name: "retained-quiet", Tools: Sub, Group: GroupFilter, Type: TypeDuration,
		Needs:       []Relation{{With: []string{"retained-only"}}},
		Placeholder: "DURATION", Default: "200ms", Min: int64(time.Millisecond),
		Help: "silence that ends --retained-only",
	},
	{
		Name: "where", Tools: Sub, Group: GroupFilter, Type: TypeString, Repeat: true,
		Placeholder: "EXPR",
		Help:        "print if jq EXPR is true, e.g. '.t > 21'",
	},
	{
		Name: "grep", Tools: Sub, Group: GroupFilter, Type: TypeString, Repeat: true,
		Placeholder: "REGEXP",
		Help:        "print if the payload matches (repeatable: any)",
	},
	{
		Name: "changed", Tools: Sub, Group: GroupFilter, Type: TypeString, Optional: true, Implied: ".",
		Placeholder: "EXPR",
		Help:        "print if the topic's payload, or EXPR, changed",
	},
	{
		Name: "throttle", Tools: Sub, Group: GroupFilter, Type: TypeDuration, Suffix: ",last",
		Placeholder: "DURATION", Min: int64(time.Millisecond),
		Help: "per topic, print one message in D; or D,last",
	},
	{
		Name: "random-filter", Tools: Sub, Group: GroupFilter, Type: TypeString,
		Placeholder: "PERCENT",
		Help:        "print a random PERCENT of messages (0.1 to 100)",
	},
	{
		Name: "remove-retained", Tools: Sub, Group: GroupFilter, Type: TypeBool,
		Help: "delete each printed retained message (careful)",
	},
}

var stopOptions = []Option{
	{
		Name: "count", Short: "C", Tools: Sub, Group: GroupStop, Type: TypeInt,
		Placeholder: "N", Min: 1, Max: maxCount, Suffix: "/topic",
		Help: "exit after N messages; N/topic: N of each topic",
	},
	{
		Name: "until", Tools: Sub, Group: GroupStop, Type: TypeString,
		Excludes:    []Relation{{With: []string{"exit-after-subscribe"}, Hint: "-E exits before messages are printed"}},
		Placeholder: "EXPR",
		Help:        "exit when jq EXPR is true; never: exit 28",
	},
	{
		Name: "timeout", Short: "W", Tools: Sub, Group: GroupStop, Type: TypeDuration,
		Placeholder: "DURATION", Min: int64(time.Millisecond),
		Help: "exit after DURATION (exit 27)",
	},
	{
		Name: "idle-timeout", Tools: Sub, Group: GroupStop, Type: TypeDuration,
		Placeholder: "DURATION", Min: int64(time.Millisecond),
		Help: "exit after DURATION without messages (exit 27)",
	},
	{
		Name: "exit-after-subscribe", Short: "E", Tools: Sub, Group: GroupStop, Type: TypeBool,
		Excludes: []Relation{{With: []string{"retained-only", "count", "idle-timeout"}, Hint: "-E exits before messages are printed", Native: true}},
		Help:     "exit once the subscriptions are confirmed",
	},
}

var replyOptions = []Option{
	{
		Name: "echo", V5: true, Tools: Sub, Group: GroupReply, Type: TypeBool,
		Excludes: []Relation{{With: []string{"reply-command"}}},
		Help:     "reply to requests with their payload (MQTT 5)",
	},
	{
		Name: "reply-command", V5: true, Tools: Sub, Group: GroupReply, Type: TypeString,
		Placeholder: "COMMAND",
		Help:        "reply with the output of COMMAND (MQTT 5)",
	},
}

package option

import "time"

var subscribeOptions = []Option{
	{
		Name: "topic", Short: "t", Tools: Sub, Group: GroupSubscribe, Type: TypeString, Repeat: true,
		Placeholder: "FILTER", Complete: CompleteTopic,
		Help: "subscribe to the topics that match FILTER; may be repeated",
	},
	{
		Name: "filter-out", Short: "T", Tools: Sub, Group: GroupSubscribe, Type: TypeString, Repeat: true,
		Placeholder: "FILTER", Complete: CompleteTopic,
		Help: "leave out messages whose topic matches FILTER; may be repeated",
	},
	{
		Name: "qos", Short: "q", Tools: Sub, Group: GroupSubscribe, Type: TypeInt,
		Placeholder: "QOS", Default: "0", Min: 0, Max: 2,
		Help: "highest quality of service asked for",
	},
	{
		Name: "sub", Tools: Sub, Group: GroupSubscribe, Type: TypeString, Repeat: true,
		Placeholder: "FILTER[;OPTION]...", Complete: CompleteTopic,
		Help: "subscribe with options of its own: qos=N, nl, rap, rh=N, id=N, as 'a/#;qos=1;nl'; may be repeated",
	},
	{
		Name: "unsubscribe", Short: "U", Tools: Sub, Group: GroupSubscribe, Type: TypeString, Repeat: true,
		Placeholder: "FILTER", Complete: CompleteTopic,
		Help: "end the subscription to FILTER that a kept session has; may be repeated",
	},
	{
		Name: "no-local", V5: true, Tools: Sub, Group: GroupSubscribe, Type: TypeBool,
		Help: "leave out what this client identifier publishes itself (MQTT 5)",
	},
	{
		Name: "retain-as-published", V5: true, Tools: Sub, Group: GroupSubscribe, Type: TypeBool,
		Help: "keep the retain flag of live messages as the publisher set it (MQTT 5)",
	},
	{
		Name: "retain-handling", V5: true, Tools: Sub, Group: GroupSubscribe, Type: TypeChoice,
		Placeholder: "WHEN", Default: "always", Complete: CompleteChoice,
		Choices: []Choice{{"always", nil}, {"new", nil}, {"never", nil}},
		Help:    "send retained messages always, for new subscriptions, or never (MQTT 5)",
	},
	{
		Name: "echo", V5: true, Tools: Sub, Group: GroupSubscribe, Type: TypeBool,
		Excludes: []Relation{{With: []string{"reply-command"}}},
		Help:     "answer every request with its own payload (MQTT 5)",
	},
	{
		Name: "reply-command", V5: true, Tools: Sub, Group: GroupSubscribe, Type: TypeString,
		Placeholder: "COMMAND",
		Help:        "answer every request with what COMMAND prints; the request is its standard input (MQTT 5)",
	},
	{
		Name: "remove-retained", Tools: Sub, Group: GroupSubscribe, Type: TypeBool,
		Help: "remove every retained message that is written from the broker",
	},
	{
		Name: "random-filter", Tools: Sub, Group: GroupSubscribe, Type: TypeString,
		Placeholder: "PERCENT",
		Help:        "write this part of the messages only, by chance: 0.1 to 100",
	},
	{
		Name: "skip-retained", Short: "R", Tools: Sub, Group: GroupSubscribe, Type: TypeBool,
		Excludes: []Relation{{With: []string{"retained-only"}}},
		Help:     "leave out retained messages",
	},
	{
		Name: "retained-only", Tools: Sub, Group: GroupSubscribe, Type: TypeBool,
		Help: "only retained messages; ends when the broker has sent them all",
	},
	{
		Name: "retained-quiet", Tools: Sub, Group: GroupSubscribe, Type: TypeDuration,
		Needs:       []Relation{{With: []string{"retained-only"}}},
		Placeholder: "DURATION", Default: "200ms", Min: int64(time.Millisecond),
		Help: "with --retained-only: end when none came for this long, or four round trips",
	},
	{
		Name: "count", Short: "C", Tools: Sub, Group: GroupSubscribe, Type: TypeInt,
		Placeholder: "N", Min: 1, Max: maxCount,
		Help: "end after N messages",
	},
	{
		Name: "timeout", Short: "W", Tools: Sub, Group: GroupSubscribe, Type: TypeDuration,
		Placeholder: "DURATION", Min: int64(time.Millisecond),
		Help: "exit after DURATION (exit 27)",
	},
	{
		Name: "idle-timeout", Tools: Sub, Group: GroupSubscribe, Type: TypeDuration,
		Placeholder: "DURATION", Min: int64(time.Millisecond),
		Help: "end when no message came for this long, with status 27",
	},
	{
		Name: "exit-after-subscribe", Short: "E", Tools: Sub, Group: GroupSubscribe, Type: TypeBool,
		Help: "end once the broker has confirmed the subscriptions",
	},
}

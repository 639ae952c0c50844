package cli

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
		Name: "skip-retained", Short: "R", Tools: Sub, Group: GroupSubscribe, Type: TypeBool,
		Help: "leave out retained messages",
	},
	{
		Name: "retained-only", Tools: Sub, Group: GroupSubscribe, Type: TypeBool,
		Help: "only retained messages; ends when the broker has sent them all",
	},
	{
		Name: "count", Short: "C", Tools: Sub, Group: GroupSubscribe, Type: TypeInt,
		Placeholder: "N", Min: 1, Max: maxCount,
		Help: "end after N messages",
	},
	{
		Name: "timeout", Short: "W", Tools: Sub, Group: GroupSubscribe, Type: TypeDuration,
		Placeholder: "DURATION", Min: int64(time.Millisecond),
		Help: "end after this long, with status 27",
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

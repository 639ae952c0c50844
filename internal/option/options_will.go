package option

var willOptions = []Option{
	{
		Name: "will-topic", Tools: PubSub, Group: GroupWill, Type: TypeString, Once: true,
		Placeholder: "TOPIC", Complete: CompleteTopic,
		Help: "topic of the will message",
	},
	{
		Name: "will-payload", Tools: PubSub, Group: GroupWill, Type: TypeString, Once: true,
		Needs:       []Relation{{With: []string{"will-topic"}}},
		Placeholder: "PAYLOAD",
		Help:        "payload of the will message (default empty)",
	},
	{
		Name: "will-qos", Tools: PubSub, Group: GroupWill, Type: TypeInt,
		Needs:       []Relation{{With: []string{"will-topic"}}},
		Placeholder: "QOS", Default: "0", Min: 0, Max: 2,
		Help: "QoS of the will message: {values}",
	},
	{
		Name: "will-retain", Tools: PubSub, Group: GroupWill, Type: TypeBool,
		Needs: []Relation{{With: []string{"will-topic"}}},
		Help:  "retain the will message",
	},
}

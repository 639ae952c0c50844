package option

var willOptions = []Option{
	{
		Name: "will-topic", Tools: PubSub, Group: GroupWill, Type: TypeString, Once: true,
		Placeholder: "TOPIC", Complete: CompleteTopic,
		Help: "topic of the message the broker sends when this client is lost",
	},
	{
		Name: "will-payload", Tools: PubSub, Group: GroupWill, Type: TypeString, Once: true,
		Needs:       []Relation{{With: []string{"will-topic"}}},
		Placeholder: "PAYLOAD",
		Help:        "payload of the will; unless given it is empty",
	},
	{
		Name: "will-qos", Tools: PubSub, Group: GroupWill, Type: TypeInt,
		Needs:       []Relation{{With: []string{"will-topic"}}},
		Placeholder: "QOS", Default: "0", Min: 0, Max: 2,
		Help: "quality of service of the will",
	},
	{
		Name: "will-retain", Tools: PubSub, Group: GroupWill, Type: TypeBool,
		Needs: []Relation{{With: []string{"will-topic"}}},
		Help:  "make the will a retained message",
	},
}

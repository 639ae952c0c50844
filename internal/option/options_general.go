package option

var configOptions = []Option{
	{
		Name: "context", Tools: All, Group: GroupConfig, Type: TypeString, NoKey: true,
		Placeholder: "NAME", Complete: CompleteContext,
		Help: "use this context; none: use no context",
	},
	{
		Name: "config", Tools: All, Group: GroupConfig, Type: TypeString, NoKey: true, AboutFile: true,
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "use this configuration file; none: use no file",
	},
	{
		Name: "options-file", Short: "o", Tools: All, Group: GroupConfig, Type: TypeString, NoEnv: true, AboutFile: true,
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "read options from FILE, one per line",
	},
	{
		Name: "show-config", Tools: All, Group: GroupConfig, Type: TypeBool, NoEnv: true,
		Help: "print all option values and origins, and exit",
	},
	{
		Name: "completion", Tools: All, Group: GroupConfig, Type: TypeChoice, NoEnv: true,
		Placeholder: "SHELL", Complete: CompleteChoice,
		Choices: []Choice{{"bash", nil}, {"zsh", nil}, {"fish", nil}, {"powershell", nil}},
		Help:    "print {values} completion",
	},
	{
		Name: "compat", Tools: PubSub, Group: GroupConfig, Type: TypeChoice, NoEnv: true,
		Placeholder: "PROGRAM", Complete: CompleteChoice,
		Choices: []Choice{{"mosquitto", nil}, {"mosquitto_pub", nil}, {"mosquitto_sub", nil}, {"mosquitto_rr", nil}},
		Help:    "first argument: act as mosquitto_pub, _sub, _rr",
	},
}

var generalOptions = []Option{
	{
		Name: "debug", Short: "d", Tools: All, Group: GroupGeneral, Type: TypeBool,
		Help: "log every packet to standard error",
	},
	{
		Name: "quiet", Tools: All, Group: GroupGeneral, Type: TypeBool,
		Help: "report errors only",
	},
	{
		Name: "color", Tools: All, Group: GroupGeneral, Type: TypeChoice,
		Placeholder: "WHEN", Default: "auto", Complete: CompleteChoice,
		Choices: []Choice{{"auto", nil}, {"always", nil}, {"never", nil}},
		Help:    "color: {values}",
	},
	{
		Name: "help", Tools: All, Group: GroupGeneral, Type: TypeString, NoEnv: true,
		Optional: true, Placeholder: "TOPIC",
		Help: "print help, all of it, or on TOPIC, and exit",
	},
	{
		Name: "version", Tools: All, Group: GroupGeneral, Type: TypeBool, NoEnv: true,
		Help: "print the version and exit",
	},
}

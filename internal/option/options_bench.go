package option

// commandsLoad are the commands that accept any kind of plan.
const commandsLoad = CommandRun | CommandSearch | CommandDoctor | CommandK8s

var loadOptions = []Option{
	{
		Name: "clients", Tools: Bench, For: commandsLoad | CommandVerify, Forms: formsShort, Group: GroupLoad, Type: TypeInt, Min: 1, Max: 100_000_000,
		Placeholder: "N", Help: "clients or publishers",
		PerCommand: []PerCommand{
			{For: commandsLoad, Forms: FormConn, Default: "200", Help: "number of connections"},
			{For: commandsLoad, Forms: formsPublish, Default: "200", Help: "number of publishers"},
			{For: commandsLoad, Forms: FormSub, Default: "200", Help: "number of subscribers"},
			{For: CommandVerify, Default: "10", Help: "clients; --shapes says their roles"},
		},
	},
	{
		Name: "subscribers", Tools: Bench, For: commandsLoad, Forms: FormPubSub, Group: GroupLoad, Type: TypeInt, Min: 1, Max: 100_000_000,
		Placeholder: "N", Help: "pubsub: subscribers (default: as --clients)",
		PerCommand: []PerCommand{
			{For: commandsLoad, Forms: FormPubSub, Help: "number of subscribers (default: as --clients)"},
		},
	},
	{
		Name: "topic", Short: "t", Tools: Bench, For: commandsLoad, Forms: formsShort &^ FormConn, Group: GroupLoad, Type: TypeString, Repeat: true,
		Placeholder: "TEMPLATE", Complete: CompleteTopic, Help: "topic, or filter of sub",
		PerCommand: []PerCommand{
			{For: commandsLoad, Forms: formsPublish, Default: "bench/%i", Help: "topic to publish to"},
			{For: commandsLoad, Forms: FormSub, Default: "bench/%i", Help: "topic filter to subscribe to"},
		},
	},
	{
		Name: "filter", Tools: Bench, For: commandsLoad, Forms: FormPubSub, Group: GroupLoad, Type: TypeString, Repeat: true,
		Placeholder: "TEMPLATE", Complete: CompleteTopic, Help: "pubsub: filter to subscribe to (default --topic)",
		PerCommand: []PerCommand{
			{For: commandsLoad, Forms: FormPubSub, Help: "filter to subscribe to (default --topic)"},
		},
	},
	{
		Name: "qos", Short: "q", Tools: Bench, For: commandsLoad | CommandVerify, Forms: formsShort &^ FormConn, Group: GroupLoad, Type: TypeInt, Max: 2,
		Placeholder: "QOS", Help: "quality of service: {values}",
		PerCommand: []PerCommand{
			{For: commandsLoad, Forms: formsShort &^ FormConn, Default: "0"},
			{For: CommandVerify, Help: "test only this QoS: {values} (default: each)"},
		},
	},
	{
		Name: "retain", Short: "r", Tools: Bench, For: commandsLoad, Forms: formsPublish, Group: GroupLoad, Type: TypeBool,
		Help: "set the retain flag",
	},
	{
		Name: "size", Tools: Bench, For: commandsLoad | CommandVerify, Forms: formsPublish, Group: GroupLoad, Type: TypeSize, Max: 256_000_000,
		Placeholder: "SIZE", Default: "256", Help: "payload size; 16 or more is checked",
	},
	{
		Name: "message", Short: "m", Tools: Bench, For: commandsLoad, Forms: formsPublish, Group: GroupLoad, Type: TypeString,
		Excludes:    []Relation{{With: []string{"size"}}},
		Placeholder: "TEMPLATE", Help: "payload, not timed or checked",
	},
	{
		Name: "rate", Tools: Bench, For: commandsLoad | CommandVerify, Forms: formsPublish, Group: GroupLoad, Type: TypeString,
		Excludes:    []Relation{{With: []string{"interval"}}},
		Placeholder: "RATE", Help: "total rate: 5000, 10/m or unlimited",
		PerCommand: []PerCommand{
			{For: CommandVerify, Default: "1000", Help: "total rate; fan-in, fan-out: 100"},
		},
	},
	{
		Name: "interval", Short: "I", Tools: Bench, For: commandsLoad, Forms: formsPublish, Group: GroupLoad, Type: TypeDuration,
		Placeholder: "DURATION", Help: "pace of each publisher, not --rate",
		PerCommand: []PerCommand{
			{For: commandsLoad, Forms: formsPublish, Default: "1s", Unless: "rate"},
		},
	},
	{
		Name: "limit", Tools: Bench, For: commandsLoad, Forms: formsPublish, Group: GroupLoad, Type: TypeInt, Min: 1, Max: 1 << 50,
		Placeholder: "N", Help: "stop after N messages in total",
	},
	{
		Name: "max-inflight", Short: "M", Tools: Bench, For: commandsLoad, Forms: formsPublish, Group: GroupLoad, Type: TypeInt, Min: 1, Max: 65535,
		Placeholder: "N", Default: "64", Help: "max unacknowledged per publisher",
	},
	{
		Name: "duration", Tools: Bench, For: commandsLoad | CommandVerify | CommandCalibrate, Group: GroupLoad, Type: TypeDuration,
		Placeholder: "DURATION", Help: "measure for this long",
		PerCommand: []PerCommand{
			{For: commandsLoad, Forms: formsShort, Default: "30s", Unless: "limit"},
			{For: commandsLoad, Forms: FormNamed, Help: "measure for this long (default: as the plan)"},
			{For: CommandVerify, Default: "10s", Help: "test each QoS this long"},
			{For: CommandCalibrate, Default: "2s", Help: "measure each part this long"},
		},
	},
	{
		Name: "warm-up", Tools: Bench, For: commandsLoad, Group: GroupLoad, Type: TypeDuration,
		Placeholder: "DURATION", Help: "publish this long before measuring",
		PerCommand: []PerCommand{
			{For: commandsLoad, Forms: formsShort, Default: "0s"},
		},
	},
	{
		Name: "connect-rate", Short: "R", Tools: Bench, For: commandsLoad, Forms: formsShort, Group: GroupLoad, Type: TypeString,
		Placeholder: "RATE", Help: "connections per second",
		PerCommand: []PerCommand{
			{For: commandsLoad, Forms: formsShort, Default: "1000"},
		},
	},
	{
		Name: "id", Short: "i", Tools: Bench, For: commandsLoad, Forms: formsShort, Group: GroupLoad, Type: TypeString,
		Placeholder: "TEMPLATE", Help: "client IDs",
		PerCommand: []PerCommand{
			{For: commandsLoad, Forms: formsShort, Default: "mqbench-%{run}-%g-%i"},
		},
	},
	{
		Name: "first", Short: "n", Tools: Bench, For: commandsLoad, Forms: formsShort, Group: GroupLoad, Type: TypeInt, Max: 1 << 40,
		Placeholder: "N", Help: "%i of the first client",
		PerCommand: []PerCommand{
			{For: commandsLoad, Forms: formsShort, Default: "0"},
		},
	},
	{
		Name: "disable-clean-session", Short: "c", Aliases: []string{"persistent"}, Tools: Bench, For: commandsLoad, Forms: formsShort, Group: GroupLoad, Type: TypeBool,
		Help: "keep the clients' sessions",
	},
	{
		Name: "session-expiry-interval", Short: "x", Aliases: []string{"session-expiry"}, V5: true, Tools: Bench, For: commandsLoad, Forms: formsShort, Group: GroupLoad, Type: TypeDuration,
		Placeholder: "DURATION", Help: "keep sessions this long; with -c 1h (MQTT 5)",
	},
	{
		Name: "run-id", Tools: Bench, For: commandsLoad, Group: GroupLoad, Type: TypeString,
		Placeholder: "NAME", Help: "name of the run, %{run} in client IDs",
	},
	{
		Name: "resume", Tools: Bench, For: CommandRun | CommandK8s, Group: GroupLoad, Type: TypeBool,
		Help: "resume the sessions that --keep-sessions left",
	},
	{
		Name: "keep-sessions", Tools: Bench, For: CommandRun | CommandK8s, Group: GroupLoad, Type: TypeBool,
		Help: "leave the sessions at the broker after the run",
	},
	{
		Name: "topic-prefix", Tools: Bench, For: commandsLoad | CommandVerify, Forms: ^FormConn, Group: GroupLoad, Type: TypeString,
		Placeholder: "TEMPLATE", Help: "put this before all topics, e.g. bench/%u/",
	},
	{
		Name: "scale", Tools: Bench, For: commandsLoad, Group: GroupLoad, Type: TypeString,
		Placeholder: "FACTOR", Help: "multiply the clients of a preset or scenario",
	},
	{
		Name: "load", Tools: Bench, For: commandsLoad &^ CommandSearch, Forms: FormNamed | formsPublish, Group: GroupLoad, Type: TypeString,
		Placeholder: "FACTOR", Help: "multiply the rates of a preset or scenario",
	},
	{
		Name: "seed", Tools: Bench, For: commandsLoad | CommandVerify, Group: GroupLoad, Type: TypeInt, Max: 1 << 62,
		Placeholder: "N", Help: "random seed; same seed, same run",
	},
}

var scaleOptions = []Option{
	{
		Name: "engine", Tools: Bench, For: CommandRun | CommandSearch | CommandDoctor | CommandK8s | CommandCalibrate, Group: GroupScale, Type: TypeChoice,
		Placeholder: "ENGINE", Default: "auto", Complete: CompleteChoice, Choices: []Choice{{"auto", nil}, {"lite", nil}, {"std", nil}},
		Help: "engine: lite (Linux TCP), std, auto",
	},
	{
		Name: "loops", Tools: Bench, For: CommandRun | CommandSearch | CommandK8s | CommandCalibrate, Group: GroupScale, Type: TypeInt, Min: 1, Max: 1024,
		Placeholder: "N", Help: "event loops (default: one per CPU)",
	},
	{
		Name: "source-ip", Tools: Bench, For: CommandRun | CommandSearch | CommandDoctor, Group: GroupScale, Type: TypeString, Repeat: true,
		Placeholder: "ADDR", Help: "connect from ADDR or 10.0.0.10-20 (repeatable)",
	},
	{
		Name: "procs", Tools: Bench, For: CommandRun | CommandDoctor, Group: GroupScale, Type: TypeInt, Min: 1, Max: 256,
		Placeholder: "N", Default: "1", Help: "split the run over N processes",
	},
	{
		Name: "shard", Tools: Bench, For: CommandRun | CommandDoctor, Group: GroupScale, Type: TypeString,
		Placeholder: "I/N", Help: "run part I of N, counted from 0",
	},
	{
		Name: "start-at", Tools: Bench, For: CommandRun, Group: GroupScale, Type: TypeString,
		Placeholder: "TIME", Help: "start all shards at TIME, e.g. @1795253400",
	},
}

var reportOptions = []Option{
	{
		Name: "out", Tools: Bench, For: CommandRun | CommandSearch | CommandVerify | CommandMerge | CommandCollect | CommandPlot | CommandCalibrate, Group: GroupReport, Type: TypeString,
		Placeholder: "FILE", Complete: CompleteFile, Help: "save the result to FILE (\"-\": stdout)",
		PerCommand: []PerCommand{
			{For: CommandSearch, Help: "save the result of each step to FILE"},
			{For: CommandPlot, Help: "write the page to FILE (\"-\": stdout)"},
			{For: CommandCalibrate, Help: "save the figures to FILE (\"-\": stdout)"},
		},
	},
	{
		Name: "format", Short: "F", Tools: Bench, For: CommandRun | CommandSearch | CommandReport | CommandDiff, Group: GroupReport, Type: TypeChoice,
		Placeholder: "FORMAT", Default: "text", Complete: CompleteChoice,
		Choices: []Choice{{"text", nil}, {"json", nil}, {"csv", nil}, {"markdown", []string{"md"}}, {"junit", nil}, {"hgrm", nil}, {"hlog", nil}},
		Fewer:   []Fewer{{CommandSearch, []string{"text", "json", "csv"}}, {CommandDiff, []string{"text", "json", "junit"}}},
		Help:    "print as json, csv or others",
		PerCommand: []PerCommand{
			{For: CommandSearch | CommandDiff, Help: "print as {values}"},
		},
	},
	{
		Name: "metric", Tools: Bench, For: CommandReport, Group: GroupReport, Type: TypeString,
		Placeholder: "NAME", Help: "with -F hgrm: histogram (default: deliveries)",
	},
	{
		Name: "json", Tools: Bench, For: CommandRun | CommandVerify, Group: GroupReport, Type: TypeBool,
		Excludes: []Relation{{With: []string{"format"}, Hint: "--format json writes the report alone"}},
		Help:     "print JSON Lines: intervals, then the report",
		PerCommand: []PerCommand{
			{For: CommandVerify, Help: "print the verdicts as JSON Lines"},
		},
	},
	{
		Name: "metrics", Tools: Bench, For: CommandRun | CommandSearch | CommandK8s, Group: GroupReport, Type: TypeString,
		Placeholder: "ADDR", Help: "serve Prometheus metrics on ADDR",
	},
	{
		Name: "hold", Tools: Bench, For: CommandRun | CommandK8s, Group: GroupReport, Type: TypeDuration,
		Needs:       []Relation{{With: []string{"metrics"}}},
		Placeholder: "DURATION", Help: "keep serving --metrics after the run",
	},
	{
		Name: "calibration", Tools: Bench, For: CommandRun, Group: GroupReport, Type: TypeString,
		Placeholder: "FILE", Complete: CompleteFile, Help: "add the ceiling from 'calibrate --out FILE'",
	},
	{
		Name: "repeat", Tools: Bench, For: CommandRun, Group: GroupReport, Type: TypeInt, Min: 1, Max: 1000,
		Placeholder: "N", Default: "1", Help: "repeat the run N times, for diff",
	},
}

var checkOptions = []Option{
	{
		Name: "fail-on", Tools: Bench, For: CommandRun | CommandReport, Group: GroupCheck, Type: TypeString, Repeat: true,
		Placeholder: "COND", Help: "exit 4 if COND, e.g. 'p99>10ms' (repeatable)",
	},
	{
		Name: "strict", Tools: Bench, For: CommandRun | CommandReport | CommandPlay, Group: GroupCheck, Type: TypeBool,
		Help: "exit 6 or 7 on generator limit, saturation",
		PerCommand: []PerCommand{
			{For: CommandPlay, Help: "also check what the specification recommends"},
		},
	},
	{
		Name: "gate", Tools: Bench, For: CommandDiff, Group: GroupCheck, Type: TypeString, Repeat: true,
		Placeholder: "COND", Help: "exit 4 if B is worse, e.g. p99=+10% (repeatable)",
	},
	{
		Name: "slo", Tools: Bench, For: CommandSearch, Group: GroupCheck, Type: TypeString, Repeat: true,
		Placeholder: "CONDS", Help: "limits to meet",
		PerCommand: []PerCommand{
			{For: CommandSearch, Default: "p99<10ms,loss=0"},
		},
	},
	{
		Name: "from-load", Tools: Bench, For: CommandSearch, Group: GroupCheck, Type: TypeString,
		Placeholder: "FACTOR", Default: "1", Help: "load to begin with",
	},
	{
		Name: "precision", Tools: Bench, For: CommandSearch, Group: GroupCheck, Type: TypeString,
		Placeholder: "FACTOR", Default: "0.05", Help: "stop at this relative gap",
	},
	{
		Name: "shapes", Tools: Bench, For: CommandVerify, Group: GroupCheck, Type: TypeString, Repeat: true,
		Placeholder: "LIST", List: true, Complete: CompleteChoice, Choices: []Choice{{"pairs", nil}, {"fan-in", nil}, {"fan-out", nil}, {"shared", nil}},
		Help: "pairs, fan-in, fan-out, shared",
		PerCommand: []PerCommand{
			{For: CommandVerify, Default: "pairs"},
		},
	},
	{
		Name: "faults", Tools: Bench, For: CommandVerify, Group: GroupCheck, Type: TypeString, Repeat: true,
		Placeholder: "LIST", List: true, Complete: CompleteChoice,
		Choices: []Choice{{"delay", nil}, {"stall", nil}, {"split", nil}, {"cut", nil}, {"refuse", nil}, {"restart", nil}, {"none", nil}},
		Help:    "inject LIST",
		PerCommand: []PerCommand{
			{For: CommandVerify, Default: "delay,stall,split,cut,refuse"},
		},
	},
}

var kubernetesOptions = []Option{
	{
		Name: "image", Tools: Bench, For: CommandK8s, Group: GroupKubernetes, Type: TypeString,
		Placeholder: "IMAGE", Default: "ghcr.io/mqtools/mqtools:latest", Help: "pod image",
	},
	{
		Name: "shards", Tools: Bench, For: CommandK8s, Group: GroupKubernetes, Type: TypeInt, Min: 1, Max: 4096,
		Placeholder: "N", Default: "1", Help: "pods to share the run",
	},
	{
		Name: "name", Tools: Bench, For: CommandK8s, Group: GroupKubernetes, Type: TypeString,
		Placeholder: "NAME", Default: "mqbench", Help: "name of the Job",
	},
	{
		Name: "namespace", Tools: Bench, For: CommandK8s | CommandCollect, Group: GroupKubernetes, Type: TypeString,
		Placeholder: "NAME", Help: "namespace of the Job",
	},
	{
		Name: "secret", Tools: Bench, For: CommandK8s, Group: GroupKubernetes, Type: TypeString,
		Placeholder: "NAME", Help: "Secret with MQ_* variables, e.g. MQ_PASSWORD",
	},
	{
		Name: "start-in", Tools: Bench, For: CommandK8s, Group: GroupKubernetes, Type: TypeDuration,
		Placeholder: "DURATION", Default: "90s", Help: "start all pods this much later",
	},
}

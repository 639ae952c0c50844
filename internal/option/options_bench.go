package option

// commandsLoad are the commands that take a plan of any kind.
const commandsLoad = CommandRun | CommandSearch | CommandDoctor | CommandK8s

var loadOptions = []Option{
	{
		Name: "clients", Tools: Bench, For: commandsLoad | CommandVerify, Forms: formsShort, Group: GroupLoad, Type: TypeInt, Min: 1, Max: 100_000_000,
		Placeholder: "N", Help: "clients of conn and sub, publishers of pub, pubsub and verify; unless given 200, of verify 10",
	},
	{
		Name: "subscribers", Tools: Bench, For: commandsLoad, Forms: FormPubSub, Group: GroupLoad, Type: TypeInt, Min: 1, Max: 100_000_000,
		Placeholder: "N", Help: "subscribers of pubsub; unless given as many as publishers",
	},
	{
		Name: "topic", Short: "t", Tools: Bench, For: commandsLoad, Forms: formsShort &^ FormConn, Group: GroupLoad, Type: TypeString, Repeat: true,
		Placeholder: "TEMPLATE", Complete: CompleteTopic, Help: "topic, or filter of sub; %i is the client's number, %c its identifier, %s the message's number; unless given bench/%i",
	},
	{
		Name: "filter", Tools: Bench, For: commandsLoad, Forms: FormPubSub, Group: GroupLoad, Type: TypeString, Repeat: true,
		Placeholder: "TEMPLATE", Complete: CompleteTopic, Help: "topic filter of the subscribers of pubsub; unless given the topics",
	},
	{
		Name: "qos", Short: "q", Tools: Bench, For: commandsLoad | CommandVerify, Forms: formsShort &^ FormConn, Group: GroupLoad, Type: TypeInt, Max: 2,
		Placeholder: "QOS", Help: "quality of service: 0, 1 or 2; unless given 0, and of verify all of them in turn",
	},
	{
		Name: "retain", Short: "r", Tools: Bench, For: commandsLoad, Forms: formsPublish, Group: GroupLoad, Type: TypeBool,
		Help: "publish retained messages",
	},
	{
		Name: "size", Tools: Bench, For: commandsLoad | CommandVerify, Forms: formsPublish, Group: GroupLoad, Type: TypeSize, Max: 256_000_000,
		Placeholder: "SIZE", Default: "256", Help: "bytes of a payload; below 16 there is no room for the header that times and checks deliveries",
	},
	{
		Name: "message", Short: "m", Tools: Bench, For: commandsLoad, Forms: formsPublish, Group: GroupLoad, Type: TypeString,
		Excludes:    []Relation{{With: []string{"size"}}},
		Placeholder: "TEMPLATE", Help: "the whole payload, in place of --size; without header",
	},
	{
		Name: "rate", Tools: Bench, For: commandsLoad | CommandVerify, Forms: formsPublish, Group: GroupLoad, Type: TypeString,
		Placeholder: "RATE", Help: "messages of all publishers together, as 5000 or 5000/s or 10/m; or unlimited, as many as the window allows; of verify as its shape",
	},
	{
		Name: "interval", Short: "I", Tools: Bench, For: commandsLoad, Forms: formsPublish, Group: GroupLoad, Type: TypeDuration,
		Placeholder: "DURATION", Help: "time from message to message of one publisher, in place of --rate; unless given 1s",
	},
	{
		Name: "limit", Tools: Bench, For: commandsLoad, Forms: formsPublish, Group: GroupLoad, Type: TypeInt, Min: 1, Max: 1 << 50,
		Placeholder: "N", Help: "messages of all publishers together, and end then",
	},
	{
		Name: "max-inflight", Short: "M", Tools: Bench, For: commandsLoad, Forms: formsPublish, Group: GroupLoad, Type: TypeInt, Min: 1, Max: 65535,
		Placeholder: "N", Default: "64", Help: "unacknowledged messages of one publisher at QoS 1 and 2",
	},
	{
		Name: "duration", Tools: Bench, For: commandsLoad | CommandVerify | CommandCalibrate, Group: GroupLoad, Type: TypeDuration,
		Placeholder: "DURATION", Help: "length of the measurement; unless given 30s, or what a scenario says, of verify 10s and of calibrate 2s for each part",
	},
	{
		Name: "warm-up", Tools: Bench, For: commandsLoad, Group: GroupLoad, Type: TypeDuration,
		Placeholder: "DURATION", Help: "publish this long before the measurement; unless given what a scenario says",
	},
	{
		Name: "connect-rate", Short: "R", Tools: Bench, For: commandsLoad, Forms: formsShort, Group: GroupLoad, Type: TypeString,
		Placeholder: "RATE", Help: "new connections, as 1000 or 1000/s; unless given 1000",
	},
	{
		Name: "id", Short: "i", Tools: Bench, For: commandsLoad, Forms: formsShort, Group: GroupLoad, Type: TypeString,
		Placeholder: "TEMPLATE", Help: "client identifiers; unless given mqbench-%{run}-%g-%i",
	},
	{
		Name: "first", Short: "n", Tools: Bench, For: commandsLoad, Forms: formsShort, Group: GroupLoad, Type: TypeInt, Max: 1 << 40,
		Placeholder: "N", Help: "what %i is for the first client",
	},
	{
		Name: "disable-clean-session", Short: "c", Aliases: []string{"persistent"}, Tools: Bench, For: commandsLoad, Forms: formsShort, Group: GroupLoad, Type: TypeBool,
		Help: "have the broker keep the clients' sessions",
	},
	{
		Name: "session-expiry-interval", Short: "x", Aliases: []string{"session-expiry"}, V5: true, Tools: Bench, For: commandsLoad, Forms: formsShort, Group: GroupLoad, Type: TypeDuration,
		Placeholder: "DURATION", Help: "how long the broker keeps a session (MQTT 5); unless given 1h with -c",
	},
	{
		Name: "run-id", Tools: Bench, For: commandsLoad, Group: GroupLoad, Type: TypeString,
		Placeholder: "NAME", Help: "name of the run, %{run} in client identifiers; unless given drawn, or made of the plan and --start-at",
	},
	{
		Name: "resume", Tools: Bench, For: CommandRun | CommandK8s, Group: GroupLoad, Type: TypeBool,
		Help: "take up the sessions that an earlier run with --keep-sessions has left, in place of beginning new ones",
	},
	{
		Name: "keep-sessions", Tools: Bench, For: CommandRun | CommandK8s, Group: GroupLoad, Type: TypeBool,
		Help: "leave the clients' sessions at the broker when the run ends",
	},
	{
		Name: "topic-prefix", Tools: Bench, For: commandsLoad | CommandVerify, Forms: ^FormConn, Group: GroupLoad, Type: TypeString,
		Placeholder: "TEMPLATE", Help: "put this before all topics and topic filters, as bench/%u/",
	},
	{
		Name: "scale", Tools: Bench, For: commandsLoad, Group: GroupLoad, Type: TypeString,
		Placeholder: "FACTOR", Help: "multiply the clients of a preset or scenario, and with them its messages; the report says so",
	},
	{
		Name: "load", Tools: Bench, For: commandsLoad &^ CommandSearch, Forms: FormNamed | formsPublish, Group: GroupLoad, Type: TypeString,
		Placeholder: "FACTOR", Help: "multiply the rates of a preset or scenario",
	},
	{
		Name: "seed", Tools: Bench, For: commandsLoad | CommandVerify, Group: GroupLoad, Type: TypeInt, Max: 1 << 62,
		Placeholder: "N", Help: "seed of all that is random; the same plan with the same seed does the same",
	},
}

var scaleOptions = []Option{
	{
		Name: "engine", Tools: Bench, For: CommandRun | CommandSearch | CommandDoctor | CommandK8s | CommandCalibrate, Group: GroupScale, Type: TypeChoice,
		Placeholder: "ENGINE", Default: "auto", Complete: CompleteChoice, Choices: []Choice{{"auto", nil}, {"lite", nil}, {"std", nil}},
		Help: "lite drives plain TCP connections by few loops, some hundred bytes each (Linux), std any by goroutines; auto is lite if it can",
	},
	{
		Name: "loops", Tools: Bench, For: CommandRun | CommandSearch | CommandK8s | CommandCalibrate, Group: GroupScale, Type: TypeInt, Min: 1, Max: 1024,
		Placeholder: "N", Help: "loops that drive the clients; unless given one for each processor",
	},
	{
		Name: "source-ip", Tools: Bench, For: CommandRun | CommandSearch | CommandDoctor, Group: GroupScale, Type: TypeString, Repeat: true,
		Placeholder: "ADDR", Help: "connect from this local address, or from those of a range as 10.0.0.10-20, each with ports of its own; may be repeated",
	},
	{
		Name: "procs", Tools: Bench, For: CommandRun | CommandDoctor, Group: GroupScale, Type: TypeInt, Min: 1, Max: 256,
		Placeholder: "N", Default: "1", Help: "divide the run between processes, and merge their results",
	},
	{
		Name: "shard", Tools: Bench, For: CommandRun | CommandDoctor, Group: GroupScale, Type: TypeString,
		Placeholder: "I/N", Help: "run part I of N, from 0; unless given what Kubernetes, Slurm, AWS Batch or Nomad say",
	},
	{
		Name: "start-at", Tools: Bench, For: CommandRun, Group: GroupScale, Type: TypeString,
		Placeholder: "TIME", Help: "begin at this time, as 2026-11-21T09:30:00Z or @1795253400, the same for all shards",
	},
}

var measureOptions = []Option{
	{
		Name: "out", Tools: Bench, For: CommandRun | CommandSearch | CommandVerify | CommandMerge | CommandCollect | CommandPlot | CommandCalibrate, Group: GroupMeasure, Type: TypeString,
		Placeholder: "FILE", Complete: CompleteFile, Help: "write the result, or the page, into FILE; - is standard output",
	},
	{
		Name: "format", Short: "F", Tools: Bench, For: CommandRun | CommandSearch | CommandReport | CommandDiff, Group: GroupMeasure, Type: TypeChoice,
		Placeholder: "FORMAT", Default: "text", Complete: CompleteChoice,
		Choices: []Choice{{"text", nil}, {"json", nil}, {"csv", nil}, {"markdown", []string{"md"}}, {"junit", nil}, {"hgrm", nil}, {"hlog", nil}},
		Fewer:   []Fewer{{CommandSearch, []string{"text", "json", "csv"}}, {CommandDiff, []string{"text", "json", "junit"}}},
		Help:    "format of the report: text, json, csv, markdown, junit, hgrm or hlog",
	},
	{
		Name: "metric", Tools: Bench, For: CommandReport, Group: GroupMeasure, Type: TypeString,
		Placeholder: "NAME", Help: "the histogram of hgrm, as puback.service; unless given that of the deliveries",
	},
	{
		Name: "json", Tools: Bench, For: CommandRun | CommandVerify, Group: GroupMeasure, Type: TypeBool,
		Excludes: []Relation{{With: []string{"format"}, Hint: "--format json writes the report alone"}},
		Help:     "write JSON Lines to standard output, one an interval, and the report as the last",
	},
	{
		Name: "metrics", Tools: Bench, For: CommandRun | CommandSearch | CommandK8s, Group: GroupMeasure, Type: TypeString,
		Placeholder: "ADDR", Help: "serve the figures for Prometheus on PORT or HOST:PORT under /metrics while the run lasts",
	},
	{
		Name: "hold", Tools: Bench, For: CommandRun | CommandK8s, Group: GroupMeasure, Type: TypeDuration,
		Needs:       []Relation{{With: []string{"metrics"}}},
		Placeholder: "DURATION", Help: "go on serving --metrics this long after the run, for the last scrape",
	},
	{
		Name: "calibration", Tools: Bench, For: CommandRun, Group: GroupMeasure, Type: TypeString,
		Placeholder: "FILE", Complete: CompleteFile, Help: "keep the ceiling that calibrate has written into FILE with the result, for its report",
	},
	{
		Name: "fail-on", Tools: Bench, For: CommandRun | CommandReport, Group: GroupMeasure, Type: TypeString, Repeat: true,
		Placeholder: "COND", Help: "end with status 4 if this is so, as p99>10ms or loss>0; may be repeated",
	},
	{
		Name: "strict", Tools: Bench, For: CommandRun | CommandReport | CommandPlay, Group: GroupMeasure, Type: TypeBool,
		Help: "end with status 6 or 7 for a limited generator and saturation; of play: expect also what the specification says should be",
	},
	{
		Name: "repeat", Tools: Bench, For: CommandRun, Group: GroupMeasure, Type: TypeInt, Min: 1, Max: 1000,
		Placeholder: "N", Default: "1", Help: "run this many times; diff judges by their spread",
	},
	{
		Name: "slo", Tools: Bench, For: CommandSearch, Group: GroupMeasure, Type: TypeString, Repeat: true,
		Placeholder: "CONDS", Help: "what a rate must meet to count as sustained; may be repeated; unless given p99<10ms,loss=0",
	},
	{
		Name: "from-load", Tools: Bench, For: CommandSearch, Group: GroupMeasure, Type: TypeString,
		Placeholder: "FACTOR", Default: "1", Help: "factor of the plan's rates to begin with",
	},
	{
		Name: "precision", Tools: Bench, For: CommandSearch, Group: GroupMeasure, Type: TypeString,
		Placeholder: "FACTOR", Default: "0.05", Help: "end when the highest rate that is met and the lowest that is not are this close",
	},
	{
		Name: "shapes", Tools: Bench, For: CommandVerify, Group: GroupMeasure, Type: TypeString, Repeat: true,
		Placeholder: "LIST", List: true, Complete: CompleteChoice, Choices: []Choice{{"pairs", nil}, {"fan-in", nil}, {"fan-out", nil}, {"shared", nil}},
		Help: "who subscribes to whose messages, one after another: pairs, fan-in, fan-out, shared; may be repeated; unless given pairs",
	},
	{
		Name: "faults", Tools: Bench, For: CommandVerify, Group: GroupMeasure, Type: TypeString, Repeat: true,
		Placeholder: "LIST", List: true, Complete: CompleteChoice,
		Choices: []Choice{{"delay", nil}, {"stall", nil}, {"split", nil}, {"cut", nil}, {"refuse", nil}, {"restart", nil}, {"none", nil}},
		Help:    "what a proxy before the broker does: delay, stall, split, cut, refuse, or none; with --serve restart; may be repeated",
	},
	{
		Name: "gate", Tools: Bench, For: CommandDiff, Group: GroupMeasure, Type: TypeString, Repeat: true,
		Placeholder: "COND", Help: "end with status 4 if B is worse than A by more, as p99=+10% or rate=-5%; may be repeated",
	},
	{
		Name: "image", Tools: Bench, For: CommandK8s, Group: GroupMeasure, Type: TypeString,
		Placeholder: "IMAGE", Default: "ghcr.io/mqtools/mqtools:latest", Help: "container image with mqbench",
	},
	{
		Name: "shards", Tools: Bench, For: CommandK8s, Group: GroupMeasure, Type: TypeInt, Min: 1, Max: 4096,
		Placeholder: "N", Default: "1", Help: "pods that share the run",
	},
	{
		Name: "name", Tools: Bench, For: CommandK8s, Group: GroupMeasure, Type: TypeString,
		Placeholder: "NAME", Default: "mqbench", Help: "name of the job",
	},
	{
		Name: "namespace", Tools: Bench, For: CommandK8s | CommandCollect, Group: GroupMeasure, Type: TypeString,
		Placeholder: "NAME", Help: "namespace of the job",
	},
	{
		Name: "secret", Tools: Bench, For: CommandK8s, Group: GroupMeasure, Type: TypeString,
		Placeholder: "NAME", Help: "the Kubernetes Secret whose entries the pods get as variables, as MQ_PASSWORD",
	},
	{
		Name: "start-in", Tools: Bench, For: CommandK8s, Group: GroupMeasure, Type: TypeDuration,
		Placeholder: "DURATION", Default: "90s", Help: "time from now until all pods begin",
	},
}

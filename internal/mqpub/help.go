package mqpub

import "github.com/mqtools/mqtools/internal/option"

// brief are the options that the short help shows.
var brief = map[string][]string{
	"":        {"topic", "message", "file", "stdin-line", "input", "qos", "retain", "request", "host", "url", "username", "cafile", "debug"},
	"follow":  {"topic", "end", "from", "spool", "spool-size", "qos", "retain", "skip-blank", "host", "url", "username", "cafile", "debug"},
	"request": {"topic", "message", "file", "null-message", "response-topic", "replies", "timeout", "qos", "latency", "json", "host", "url", "username", "cafile", "debug"},
}

// topics are the examples of the help topics.
var topics = map[string][]option.Example{
	"publish": {
		{Command: "mqpub -t lamp/hall -m on -r", Text: "set a retained value"},
		{Command: "mqpub -t lamp/hall -n -r", Text: "delete it"},
		{Command: "tail -F app.log | mqpub -l -q 1 -t logs/app", Text: "publish each line"},
		{Command: "mqpub --input tsv < readings.tsv", Text: "each line: a topic, a tab and a payload"},
		{Command: "mqpub --spool DIR -q 1 -t door -m open", Text: "kept in DIR until it is acknowledged"},
	},
	"request": {{Command: "mqpub -t lamp/ask -m state --request -W 5", Text: "ask, and print the reply"}},
	"output":  {{Command: "mqpub -t ask -m x --request --json", Text: "the reply as JSON"}},
	"format":  {{Command: "mqpub -t ask -m x --request -F '%t %p'", Text: "topic and payload of the reply"}},
	"broker":  {{Command: "mqpub -L mqtt://me@broker:1884 -t a -m x", Text: "user, host and port as a URL"}},
	"auth":    {{Command: "mqpub -u me --password-file pw -h broker -t a -m x", Text: "a user with a password"}},
	"session": {{Command: "mqpub -c -i feed -x 1h -q 1 -l -t a", Text: "a session that lasts an hour"}},
	"retry":   {{Command: "mqpub --wait-for 1m -h broker -t a -m x", Text: "wait for a broker that starts"}},
	"tls": {
		{Command: "mqpub --tls -h broker -t a -m x", Text: "TLS, trusting the system's CAs"},
		{Command: "mqpub -h broker --cafile ca.pem -t a -m x", Text: "trusting a CA of your own"},
	},
	"will":  {{Command: "mqpub -l -t a --will-topic gone --will-payload me", Text: "notify others when this client is lost"}},
	"serve": {{Command: "mqpub --serve 1884 -l -t a", Text: "a broker that subscribers connect to"}},
}

package mqsub

import "github.com/mqtools/mqtools/internal/option"

// brief are the options that the short help shows.
var brief = map[string][]string{
	"":      {"topic", "host", "url", "username", "cafile", "qos", "verbose", "json", "pretty", "count", "timeout", "serve", "debug"},
	"watch": {"topic", "host", "url", "username", "cafile", "qos", "filter-out", "timeout", "serve", "debug"},
	"stats": {"topic", "host", "url", "username", "cafile", "qos", "filter-out", "count", "timeout", "serve", "debug"},
}

// topics are the examples of the help topics.
var topics = map[string][]option.Example{
	"subscribe": {
		{Command: "mqsub -t 'a/#' -t b/+ -q 1", Text: "two filters, at QoS 1"},
		{Command: "mqsub --sub 'a/#;qos=1;nl' -t b", Text: "options for one of them"},
	},
	"filter": {
		{Command: "mqsub -v -t '#' -T 'noise/#'", Text: "everything but noise"},
		{Command: "mqsub -v --retained-only -t '#'", Text: "print all retained messages"},
		{Command: "mqsub -t 'z2m/+' --where '.temperature > 21'", Text: "only what an expression is true for"},
		{Command: "mqsub -v -t 'z2m/+' --changed=.state", Text: "only what changes"},
	},
	"stop": {
		{Command: "mqsub -t boiler/temp -C 1 -W 5", Text: "one message within 5 s"},
		{Command: "mqsub -t job/1 --until '.state == \"done\"'", Text: "until an expression is true"},
		{Command: "mqsub -t 'a/#' --idle-timeout 1m", Text: "exit after a minute without messages"},
	},
	"reply": {
		{Command: "mqsub -t ask/time --reply-command date", Text: "reply with the current time"},
		{Command: "mqsub -q 1 -t 'job/+' -j 4 --exec -- handle-job", Text: "run a command for each message"},
	},
	"output": {
		{Command: "mqsub -t 'a/#' -F '%I %t %p'", Text: "time, topic and payload"},
		{Command: "mqsub --as csv --fields tst,topic,.temp -t 'a/#'", Text: "as CSV, with a value of JSON payloads"},
		{Command: "mqsub -t 'z2m/+' --jq '[$topic, .battery] | @csv'", Text: "what an expression makes of it"},
		{Command: "mqsub -c -i log -q 2 -t 'a/#' --output-file a.log", Text: "each message once, in a file"},
		{Command: "mqsub -t 'a/#' --output-file 'log/%t.@F.log'", Text: "a file for each topic and day"},
	},
	"format":  {{Command: "mqsub -t 'a/#' -F '%I %t %p'", Text: "time, topic and payload"}},
	"broker":  {{Command: "mqsub -L mqtt://me@broker:1884 -t 'a/#'", Text: "user, host and port as a URL"}},
	"auth":    {{Command: "mqsub -u me --password-file pw -h broker -t 'a/#'", Text: "a user with a password"}},
	"session": {{Command: "mqsub -c -i logger -x 24h -q 1 -t 'orders/#'", Text: "a session that lasts a day"}},
	"retry":   {{Command: "mqsub --wait-for 1m -h broker -t 'a/#'", Text: "wait for a broker that starts"}},
	"tls": {
		{Command: "mqsub --tls -h broker -t 'a/#'", Text: "TLS, trusting the system's CAs"},
		{Command: "mqsub -h broker --cafile ca.pem -t 'a/#'", Text: "trusting a CA of your own"},
	},
	"will":  {{Command: "mqsub -t 'a/#' --will-topic gone --will-payload me", Text: "notify others when this client is lost"}},
	"serve": {{Command: "mqsub --serve -v -t '#'", Text: "local broker that prints all traffic"}},
}

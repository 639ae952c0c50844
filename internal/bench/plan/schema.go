package plan

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// The schemas below are the language of scenarios: each key once, with what it is read into,
// its range, how the canonical text writes it, and its line of the manual. Their order is
// that of the canonical text, whose hash names runs: a schema only grows by keys that are
// not written by default.
//
// The methods of reader only need its fields for reading; new(reader) writes.

// maxDuration is the longest time in a plan: no sum of a few overflows.
const maxDuration = 10 * 365 * 24 * time.Hour

// duration returns the field of a time in a plan that is at least least.
func duration(key string, p *time.Duration, least time.Duration, doc string) yamlfile.Field {
	return yamlfile.Duration(key, p, least, maxDuration, doc)
}

func qos(p *packet.QoS) yamlfile.Field {
	return yamlfile.Int("qos", p, 0, 2, "0, 1 or 2 (default 0)")
}

// template returns the field of a template; nil is not written.
func (r *reader) template(key string, p **Template, doc string) yamlfile.Field {
	read := func(n *yamlfile.Node) (*Template, error) { return r.parseTemplate(n, key) }
	return yamlfile.Var(key, "TEMPLATE", p, read, doc).Writing(func() any {
		if *p == nil {
			return nil
		}
		return (*p).source
	})
}

// rate returns the field of a rate, which some wants above 0; 0 is not written.
func (r *reader) rate(key string, p *Rate, some bool, doc string) yamlfile.Field {
	read := func(n *yamlfile.Node) (Rate, error) { return r.parseRate(n, key, some) }
	return yamlfile.Var(key, "RATE", p, read, doc).Writing(func() any {
		if p.Events == 0 {
			return nil
		}
		return p.String()
	})
}

// file returns the field of a file that use reads, see data.
func (r *reader) file(key string, p *fileRef, use func(data []byte) ([]byte, error), doc string) yamlfile.Field {
	return yamlfile.Var(key, "FILE", p, func(n *yamlfile.Node) (fileRef, error) { return r.data(n, key, use) }, doc)
}

// when returns the field of a time in the run.
func (r *reader) when(key string, p *When, doc string) yamlfile.Field {
	read := func(n *yamlfile.Node) (When, error) { return r.parseWhen(n, key) }
	return yamlfile.Var(key, "PHASE[+DURATION]", p, read, doc).Writing(func() any { return p.String() })
}

// line returns the field of a text for reports.
func (r *reader) line(key string, p *string, doc string) yamlfile.Field {
	return yamlfile.Var(key, "TEXT", p, func(n *yamlfile.Node) (string, error) {
		s, err := r.Text(n, key)
		if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' }) {
			err = r.Errorf(n, "%s has more than one line, or control characters", key)
		}
		return s, err
	}, doc)
}

// scenario returns the keys of a whole file but the defaults of groups.
func (r *reader) scenario(p *Plan) yamlfile.Schema {
	return yamlfile.Schema{
		r.line("name", &p.Name, "name for reports (default: that of the file)"),
		r.line("description", &p.Description, "description for reports").Sparse(),
		r.line("source", &p.Source, "where the workload was published").Sparse(),
		yamlfile.Part("origin", func() yamlfile.Schema { return r.origin(p) }, "record of what the plan was made of; it changes nothing"),
		yamlfile.Func("seed", "N", func(n *yamlfile.Node) (err error) {
			if p.Seed, err = strconv.ParseUint(n.Text, 10, 64); err != nil || n.Kind != yamlfile.Scalar {
				return r.Invalid(n, "seed", "value", "want a whole number from 0 to "+strconv.FormatUint(math.MaxUint64, 10))
			}
			return nil
		}, "seed of everything random (default 1)").Writing(func() any { return strconv.FormatUint(p.Seed, 10) }),
		yamlfile.Func("brokers", "URL", func(n *yamlfile.Node) error {
			for _, item := range n.AsList() {
				url, err := r.Text(item, "broker")
				if err != nil {
					return err
				}
				if _, err := transport.ParseURL(url); err != nil {
					return r.Errorf(item, "broker: %v", err) // which does not repeat a password
				}
				p.Brokers = append(p.Brokers, url)
			}
			return nil
		}, "URL, or list of URLs that neighboring clients take in turn").Writing(func() any {
			var list []any
			for _, b := range p.Brokers {
				list = append(list, withoutUser(b))
			}
			return list
		}).Sparse(),
		yamlfile.Part("phases", func() yamlfile.Schema { return r.phases(p) }, "lengths of the phases of the run"),
		yamlfile.Func("groups", "", func(n *yamlfile.Node) error {
			r.groups = n // read when their defaults are known
			return nil
		}, "mapping of names to groups of clients").Needed().Writing(func() any {
			var all object
			for _, g := range p.Groups {
				all = append(all, pair{g.Name, write(r.group(g))})
			}
			return all
		}),
		yamlfile.Func("actions", "", func(n *yamlfile.Node) error {
			if n.Kind != yamlfile.List {
				return r.Want(n, "actions", "a list")
			}
			for _, item := range n.Items {
				if err := r.readAction(item); err != nil {
					return err
				}
			}
			return nil
		}, "list of what happens to clients at a time").Writing(func() any {
			return writeAll(p.Actions, func(a *Action) yamlfile.Schema { return r.action(a, &actionDraft{}) })
		}),
	}
}

func (r *reader) origin(p *Plan) yamlfile.Schema {
	return yamlfile.Schema{
		r.line("preset", &p.Preset, "preset that the plan was made of").Sparse(),
		yamlfile.Float("scale", &p.Scale, 1e-9, 1e9, "factor of the numbers of clients"),
	}
}

func (r *reader) phases(p *Plan) yamlfile.Schema {
	ph := &p.Phases
	return yamlfile.Schema{
		yamlfile.Part("connect", func() yamlfile.Schema { return r.connect(ph) }, "how the clients connect"),
		duration("settle", &ph.Settle, 0, "pause between the last subscription and the first message (default 1s)"),
		duration("warm-up", &ph.WarmUp, 0, "publishing that is not measured (default 5s)"),
		duration("measure", &ph.Measure, 0, "publishing that is measured (default 30s); 0: until all streams with a number of messages are done"),
		yamlfile.Bool("until-done", &p.UntilDone, "end the measurement when all streams with a number of messages are done").Sparse(),
		duration("drain", &ph.Drain, 0, "longest wait for messages in flight (default 30s)"),
	}
}

func (r *reader) connect(ph *Phases) yamlfile.Schema {
	return yamlfile.Schema{
		r.rate("rate", &ph.Connect, true, "connects of all groups together (default: all at once)"),
		yamlfile.Int("half-open", &ph.HalfOpen, 1, 1<<20, "most connects in progress in a process (default 1000)"),
		duration("timeout", &ph.ConnectTimeout, time.Millisecond, "limit for each connect (default 30s)"),
	}
}

// defaults returns the keys of a group that also stand at the top of a scenario, for all
// groups.
func (r *reader) defaults(g *Group) yamlfile.Schema { return append(r.connection(g), r.reconnect(g)) }

func (r *reader) connection(g *Group) yamlfile.Schema {
	return yamlfile.Schema{
		yamlfile.Func("version", "3.1|3.1.1|5.0", func(n *yamlfile.Node) error {
			v, ok := packet.ParseVersion(n.Text)
			switch {
			case n.Kind == yamlfile.Scalar && n.Text == "5":
				v = packet.V5
			case n.Kind != yamlfile.Scalar || !ok:
				return r.Invalid(n, "version", "value", "want 3.1, 3.1.1 or 5.0")
			}
			g.Version = v
			return nil
		}, "version of MQTT (default 5.0)").Writing(func() any { return g.Version.String() }),
		yamlfile.Seconds("keepalive", &g.KeepAlive, 0, 65535*time.Second, "keep-alive interval; 0 is off (default 60s)"),
		yamlfile.Bool("clean-start", &g.CleanStart, "start without a session; before MQTT 5 the clean session (default true)"),
		yamlfile.Seconds("session-expiry", &g.SessionExpiry, 0, maxDuration, "how long the broker keeps the session, or never (default 0)").
			Or(func(n *yamlfile.Node) bool {
				if n.Text != "never" {
					return false
				}
				g.SessionExpiry = NeverExpires
				return true
			}).
			Writing(func() any {
				if g.SessionExpiry == NeverExpires {
					return "never"
				}
				return g.SessionExpiry.String()
			}),
		yamlfile.Int("receive-maximum", &g.ReceiveMaximum, 1, 65535, "most unacknowledged messages from the broker").Sparse(),
		r.template("client-id", &g.ClientID, "client IDs (default "+defaultClientID+")"),
		r.template("username", &g.Username, "user names"),
		yamlfile.Func("password", "TEMPLATE", func(n *yamlfile.Node) error {
			text, err := r.Text(n, "password")
			if err != nil {
				return err
			}
			if g.Password, err = parseTemplate(text); err != nil { // which may repeat a part of it
				return r.Errorf(n, "password: %s", units.Invalid("template", "", "fields begin with %, and %% is a percent sign"))
			}
			return nil
		}, "passwords; they are never written"),
		yamlfile.Var("credentials", "FILE", &g.Credentials, func(n *yamlfile.Node) (c *Credentials, err error) {
			c = &Credentials{}
			c.file, err = r.data(n, "credentials", c.read)
			return c, err
		}, "CSV file with rows of a user name and a password, which clients take in turn").Writing(func() any {
			if g.Credentials == nil {
				return nil
			}
			return g.Credentials.file.spec()
		}),
	}
}

func (r *reader) reconnect(g *Group) yamlfile.Field {
	fresh := Reconnect{First: time.Second, Max: 30 * time.Second}
	return yamlfile.Optional("reconnect", &g.Reconnect, fresh, func(x *Reconnect) yamlfile.Schema {
		return yamlfile.Schema{
			duration("first", &x.First, 0, "wait before the first attempt (default 1s); it doubles with each"),
			duration("max", &x.Max, 0, "longest wait (default 30s)"),
		}
	}, "how clients reconnect, or true; without it a lost connection stays lost").Or(func(n *yamlfile.Node) bool {
		if g.Reconnect = nil; n.True() {
			g.Reconnect = &fresh
		}
		return n.Bool
	})
}

func (r *reader) group(g *Group) yamlfile.Schema {
	return slices.Concat(yamlfile.Schema{
		yamlfile.Int("clients", &g.Clients, 1, maxClients, "number of clients, counted from 0").Needed(),
		yamlfile.Int("first", &g.First, 0, 1<<40, "%i of client 0 (default 0)"),
		yamlfile.Int("together", &g.Together, 1, 1<<20, "neighbors that stay in one process (default 1)"),
		yamlfile.Bool("deferred", &g.Deferred, "an action connects the clients").Sparse(),
	}, r.connection(g), yamlfile.Schema{
		yamlfile.Func("publish", "", func(n *yamlfile.Node) error {
			for _, item := range n.AsList() {
				if err := r.readPublish(item, g); err != nil {
					return err
				}
			}
			return nil
		}, "stream of messages, or list of streams").Writing(func() any {
			return writeAll(g.Publish, func(p *Publish) yamlfile.Schema { return r.publish(p, &stream{}) })
		}),
		yamlfile.Func("subscribe", "", func(n *yamlfile.Node) error {
			for _, item := range n.AsList() {
				if err := r.readSubscribe(item, g); err != nil {
					return err
				}
			}
			return nil
		}, "topic filter, mapping, or list of these").Writing(func() any { return writeAll(g.Subscribe, r.subscribe) }),
		yamlfile.Optional("respond", &g.Respond, Respond{}, func(x *Respond) yamlfile.Schema {
			return yamlfile.Schema{qos(&x.QoS), duration("delay", &x.Delay, 0, "pause between request and reply")}
		}, "answer messages that have a response topic; true, or a mapping").Or(func(n *yamlfile.Node) bool {
			if n.True() {
				g.Respond = &Respond{}
			}
			return n.True()
		}),
		yamlfile.Optional("slow", &g.Slow, Slow{}, func(x *Slow) yamlfile.Schema {
			return yamlfile.Schema{
				duration("delay", &x.Delay, 1, "pause before each message is acknowledged").Sparse(),
				duration("pause", &x.Pause, 1, "pause of reading").Sparse(),
				duration("every", &x.Every, 1, "interval of the pauses").Sparse(),
			}
		}, "read slowly"),
		yamlfile.Optional("churn", &g.Churn, Churn{}, func(x *Churn) yamlfile.Schema {
			return yamlfile.Schema{
				duration("lifetime", &x.Lifetime, 1, "length of a connection").Sparse(),
				yamlfile.Float("jitter", &x.Jitter, 0, 1, "share by which lifetimes differ").Writing(func() any {
					if x.Lifetime == 0 {
						return nil
					}
					return strconv.FormatFloat(x.Jitter, 'g', -1, 64)
				}),
				yamlfile.Int("messages", &x.Messages, 1, math.MaxInt32, "messages of a connection").Sparse(),
				duration("pause", &x.Pause, 0, "pause before the next connect"),
				yamlfile.Word("end", &x.End, ends, "how a connection ends"),
			}
		}, "close connections and open them again"),
		r.subscriptionChurn(g),
		yamlfile.Optional("will", &g.Will, Will{}, func(x *Will) yamlfile.Schema {
			if x.Payload == nil {
				x.Payload = newPayload()
			}
			return yamlfile.Schema{
				r.template("topic", &x.Topic, "topic of the will").Needed(),
				qos(&x.QoS),
				yamlfile.Bool("retain", &x.Retain, "set the retain flag"),
				yamlfile.Seconds("delay", &x.Delay, 0, maxDuration, "will delay interval (MQTT 5)"),
				r.payload(x.Payload),
			}
		}, "will of each client"),
		r.reconnect(g),
	})
}

func (r *reader) subscriptionChurn(g *Group) yamlfile.Field {
	return yamlfile.Func("subscription-churn", "", func(n *yamlfile.Node) error {
		g.SubChurn = &SubscriptionChurn{Start: When{Phase: PhaseWarmUp}}
		d := r.draft.stream(g.SubChurn, n)
		if err := r.churnKeys(g.SubChurn, d).Read(r.File, n, "subscription-churn"); err != nil {
			return err
		}
		return r.onePace(n, "subscription-churn")
	}, "subscribe and unsubscribe, in turn").Writing(func() any {
		if g.SubChurn == nil {
			return nil
		}
		return write(r.churnKeys(g.SubChurn, &stream{}))
	})
}

func (r *reader) churnKeys(s *SubscriptionChurn, d *stream) yamlfile.Schema {
	return append(yamlfile.Schema{
		r.template("filter", &s.Filter, "topic filter; %s is the number of the pair").Needed(),
		qos(&s.QoS),
		r.when("start", &s.Start, "time of the first subscription (default warm-up)"),
	}, r.paces(d, &s.Pacer)...)
}

func (r *reader) publish(p *Publish, d *stream) yamlfile.Schema {
	return slices.Concat(yamlfile.Schema{
		yamlfile.Func("topic", "TEMPLATE", func(n *yamlfile.Node) error {
			if n.Kind == yamlfile.List && len(n.Items) == 0 {
				return r.Want(n, "topic", "a topic")
			}
			for _, item := range n.AsList() {
				t, err := r.parseTemplate(item, "topic")
				if err != nil {
					return err
				}
				p.Topics = append(p.Topics, t)
			}
			return nil
		}, "topic, or list of topics that a client's messages take in turn").Needed().Writing(func() any {
			var topics []any
			for _, t := range p.Topics {
				topics = append(topics, t.source)
			}
			return topics
		}),
		qos(&p.QoS),
		yamlfile.Bool("retain", &p.Retain, "set the retain flag"),
		r.payload(p.Payload),
		r.when("start", &p.Start, "time of the first message (default warm-up)"),
	}, r.paces(d, &p.Pacer), yamlfile.Schema{
		yamlfile.Int("messages", &d.messages, 1, 1<<62, "number of messages of the stream (default: no limit)").
			Writing(func() any { return p.Messages }).Sparse(),
		yamlfile.Int("messages-each", &d.messagesEach, 1, 1<<32, "number of messages of each client").Writing(nil),
		yamlfile.Int("window", &p.Window, 1, 65535, "most unacknowledged messages of a client (default 64)"),
		yamlfile.Bool("fill", &p.Fill, "prepare retained messages or a backlog: the phase waits for the stream").Sparse(),
		yamlfile.Func("properties", "", func(n *yamlfile.Node) error { return r.readProperties(n, p) },
			"properties of each message (MQTT 5)").Writing(func() any { return p.properties }).Sparse(),
		yamlfile.Bool("topic-alias", &p.TopicAlias, "send repeated topics by alias (MQTT 5)").Sparse(),
		yamlfile.Optional("request", &p.Request, Request{Timeout: 30 * time.Second}, func(x *Request) yamlfile.Schema {
			return yamlfile.Schema{
				r.template("response-topic", &x.ResponseTopic, "topic of the replies").Needed(),
				qos(&x.QoS),
				duration("timeout", &x.Timeout, time.Millisecond, "time after which a reply is lost (default 30s)"),
			}
		}, "wait for a reply to each message (MQTT 5)"),
	})
}

// paces returns the three keys that give a pace, of which one is written.
func (r *reader) paces(d *stream, p *Pacer) yamlfile.Schema {
	constant := func(key string, each bool, doc string) yamlfile.Field {
		return r.rate(key, &d.pace.rate, true, doc).Before(func(*yamlfile.Node) error {
			d.pace.each = each
			return nil
		}).Writing(nil)
	}
	return yamlfile.Schema{
		constant("rate", false, "messages of all clients together"),
		constant("rate-each", true, "messages of each client"),
		yamlfile.Func("pace", "", func(n *yamlfile.Node) error { return r.readPace(n, &d.pace) },
			"pace that is not constant").Writing(func() any { return (*p).spec() }),
	}
}

func (r *reader) properties(p *Publish) yamlfile.Schema {
	text := func(id packet.PropertyID, key, doc string) yamlfile.Field {
		return yamlfile.Func(key, "TEXT", func(n *yamlfile.Node) error {
			value, err := r.Text(n, key)
			p.addProperty(id, key, value)
			return err
		}, doc)
	}
	number := func(id packet.PropertyID, key string, most int64, doc string) yamlfile.Field {
		return yamlfile.Func(key, "N", func(n *yamlfile.Node) error {
			v, err := r.Int(n, key, 0, most)
			p.Properties, _ = p.Properties.AppendUint(id, uint32(v)) // in range
			p.properties = append(p.properties, pair{key, v})
			return err
		}, doc)
	}
	return yamlfile.Schema{
		text(packet.ContentType, "content-type", "content type"),
		number(packet.MessageExpiryInterval, "message-expiry", math.MaxUint32, "message expiry interval in seconds"),
		number(packet.PayloadFormatIndicator, "payload-format", 1, "payload format indicator"),
		text(packet.CorrelationData, "correlation-data", "correlation data"),
		yamlfile.Func("user", "", func(n *yamlfile.Node) error { return r.readUserProperties(n, p) }, "mapping of user properties"),
	}
}

func (r *reader) subscribe(s *Subscribe) yamlfile.Schema {
	return yamlfile.Schema{
		r.template("filter", &s.Filter, "topic filter, which may begin with $share/NAME/").Needed(),
		qos(&s.QoS),
		yamlfile.Bool("no-local", &s.NoLocal, "don't receive the client's own messages (MQTT 5)").Sparse(),
		yamlfile.Bool("retain-as-published", &s.RetainAsPublished, "keep the publisher's retain flag (MQTT 5)").Sparse(),
		yamlfile.Int("retain-handling", &s.RetainHandling, 0, 2, "when to send retained messages: 0, 1 or 2 (MQTT 5)").Sparse(),
		yamlfile.Bool("deferred", &s.Deferred, "an action subscribes").Sparse(),
	}
}

// payload returns the field of a payload, which is a size or a mapping.
func (r *reader) payload(p *Payload) yamlfile.Field {
	return yamlfile.Func("payload", "SIZE", func(n *yamlfile.Node) error { return r.readPayload(n, p) },
		"size of the payload (default 256), or a mapping").Writing(func() any { return p.spec() })
}

func (r *reader) payloadKeys(p *Payload) yamlfile.Schema {
	return yamlfile.Schema{
		yamlfile.Func("size", "SIZE", func(n *yamlfile.Node) error { return r.readSizes(n, &p.sizes) }, "size, or distribution of sizes"),
		yamlfile.Word("fill", &p.fill, fills, "content of a payload of a size"),
		yamlfile.Bool("header", &p.header, "put a header before a template or line, so that deliveries are measured"),
		r.template("template", &p.template, "template for the whole payload"),
		r.file("lines", &p.file, p.readLines, "file whose lines are the payloads"),
	}
}

func (r *reader) action(a *Action, d *actionDraft) yamlfile.Schema {
	return yamlfile.Schema{
		r.when("at", &a.At, "time of the action").Needed(),
		yamlfile.Word("do", &a.Do, verbs, "what happens to the clients").Needed(),
		yamlfile.Text("group", &d.group, "group of the clients").Needed().Writing(func() any { return a.Group.Name }),
		yamlfile.Int("clients", &d.clients, 1, maxClients, "number of clients, the first of the group (default: all)").
			Writing(func() any { return a.Clients }),
		yamlfile.Var("fraction", "NUMBER", &d.fraction, r.parseFraction, "share of the clients, such as 0.5 or 50%").Writing(nil),
		duration("over", &a.Over, 0, "time over which the clients are spread (default 0)"),
		r.rate("rate", &d.rate, true, "clients per time, in place of over").Writing(nil),
		yamlfile.Int("messages", &a.Messages, 1, math.MaxInt32, "messages of each client in a burst").Writing(func() any {
			if a.Do != Burst {
				return nil
			}
			return a.Messages
		}),
		yamlfile.Int("times", &a.Times, 1, 1<<20, "number of times (default 1)").Writing(func() any {
			if a.Times < 2 {
				return nil
			}
			return a.Times
		}),
		duration("every", &a.Every, 1, "interval of the times").Writing(func() any {
			if a.Times < 2 {
				return nil
			}
			return a.Every.String()
		}),
	}
}

// pace returns the keys of a pace. kinds counts those that say what kind of pace it is.
func (r *reader) pace(s *paceSpec, kinds *int) yamlfile.Schema {
	kind := func(k paceKind, x yamlfile.Field) yamlfile.Field {
		return x.Before(func(n *yamlfile.Node) error {
			if *kinds++; *kinds > 1 {
				return r.Errorf(n, "%s", paceForms)
			}
			s.kind = k
			return nil
		})
	}
	alone := func(key, doc string) yamlfile.Field {
		return yamlfile.Func(key, "true", func(n *yamlfile.Node) error {
			if !n.True() {
				return r.Invalid(n, key, "value", "want true")
			}
			return nil
		}, doc)
	}
	return yamlfile.Schema{
		yamlfile.Bool("each", &s.each, "the pace is that of each client"),
		yamlfile.Bool("repeat", &s.repeat, "begin again after the last stage"),
		kind(paceConstant, r.rate("constant", &s.rate, true, "messages at equal intervals")),
		kind(pacePoisson, r.rate("poisson", &s.rate, true, "messages at random intervals with this mean rate")),
		kind(paceUnlimited, alone("unlimited", "closed loop: as fast as the window allows")),
		kind(paceNone, alone("none", "no messages but those of bursts")),
		kind(paceStages, yamlfile.Func("ramp", "", func(n *yamlfile.Node) error {
			stage, err := r.readStage(n, "ramp")
			if s.stages = []Stage{stage}; err == nil && n.Get("rate") != nil {
				err = r.Errorf(n, "a ramp goes from one rate to another")
			}
			return err
		}, "rate that changes evenly")),
		kind(paceStages, yamlfile.Func("stages", "", func(n *yamlfile.Node) error {
			if n.Kind != yamlfile.List || len(n.Items) == 0 {
				return r.Want(n, "stages", "a list")
			}
			for _, item := range n.Items {
				stage, err := r.readStage(item, "stage")
				if err != nil {
					return err
				}
				s.stages = append(s.stages, stage)
			}
			return nil
		}, "list of stages")),
		kind(paceSine, yamlfile.Part("sine", func() yamlfile.Schema {
			return yamlfile.Schema{
				r.rate("mean", &s.rate, true, "mean rate").Needed(),
				r.rate("swing", &s.swing, false, "difference of the highest rate and the mean").Needed(),
				duration("period", &s.period, time.Millisecond, "time from highest to highest rate").Needed(),
			}
		}, "rate that rises and falls")),
		kind(paceBurst, yamlfile.Part("burst", func() yamlfile.Schema {
			return yamlfile.Schema{
				yamlfile.Int("messages", &s.messages, 1, 1<<40, "messages of a burst").Needed(),
				duration("every", &s.period, time.Microsecond, "time from burst to burst").Needed(),
				duration("over", &s.over, 0, "time over which a burst is spread (default 0)"),
			}
		}, "messages in bursts")),
		kind(paceTrace, r.file("trace", &s.file, s.readTrace, "file with the time of each message")),
	}
}

// sizes returns the distributions of sizes.
func (r *reader) sizes(s *sizes) yamlfile.Schema {
	return yamlfile.Schema{
		yamlfile.Func("uniform", "[LEAST, MOST]", func(n *yamlfile.Node) error {
			if s.kind = uniform; n.Kind != yamlfile.List || len(n.Items) != 2 {
				return r.Want(n, "uniform", "[LEAST, MOST]")
			}
			for i, p := range [...]*int{&s.low, &s.high} {
				size, err := r.Size(n.Items[i], "uniform", MaxPayload)
				if err != nil {
					return err
				}
				*p = int(size)
			}
			if s.low > s.high {
				return r.Errorf(n, "uniform: %d is above %d", s.low, s.high)
			}
			return nil
		}, "every size from LEAST to MOST, equally often"),
		yamlfile.Func("normal", "", func(n *yamlfile.Node) error {
			s.kind = normal
			err := yamlfile.Schema{
				yamlfile.Size("mean", &s.mean, MaxPayload, "mean size").Needed(),
				yamlfile.Size("deviation", &s.deviation, MaxPayload, "standard deviation").Needed(),
				yamlfile.Size("min", &s.low, MaxPayload, "least size"),
				yamlfile.Size("max", &s.high, MaxPayload, "largest size"),
			}.Read(r.File, n, "normal")
			if err != nil {
				return err
			}
			if n.Get("min") == nil {
				s.low = min(HeaderSize, int(s.mean))
			}
			if n.Get("max") == nil {
				s.high = min(int(s.mean+4*s.deviation), MaxPayload)
			}
			if s.low > s.high || s.mean < float64(s.low) || s.mean > float64(s.high) {
				return r.Errorf(n, "normal: the mean of %g is not between %d and %d", s.mean, s.low, s.high)
			}
			return nil
		}, "normal distribution"),
		yamlfile.Func("weighted", "", func(n *yamlfile.Node) error {
			if n.Kind != yamlfile.Mapping || len(n.Entries) == 0 {
				return r.Want(n, "weighted", "a mapping of sizes to weights")
			}
			s.kind, s.low = weighted, MaxPayload
			sum := uint64(0)
			for _, e := range n.Entries {
				size, err := r.Size(e.Key, "weighted", MaxPayload)
				if err != nil {
					return err
				}
				weight, err := r.Int(e.Value, "weight", 1, 1<<40)
				if err != nil {
					return err
				}
				sum += uint64(weight)
				s.list, s.weights, s.sum = append(s.list, int(size)), append(s.weights, uint64(weight)), append(s.sum, sum)
				s.low, s.high = min(s.low, int(size)), max(s.high, int(size))
			}
			return nil
		}, "mapping of sizes to weights"),
	}
}

// parseRate reads a rate, which some wants above 0.
func (r *reader) parseRate(n *yamlfile.Node, name string, some bool) (Rate, error) {
	rate, err := ParseRate(n.Text)
	switch {
	case n.Kind != yamlfile.Scalar || err == errNotRate:
		return Rate{}, r.Invalid(n, name, "rate", units.RateHint)
	case err != nil:
		return Rate{}, r.Invalid(n, name, "rate", "want at most 1000000000/s")
	case some && rate.Events == 0:
		return Rate{}, r.Invalid(n, name, "rate", "want more than 0")
	}
	return rate, nil
}

// parseTemplate reads a template.
func (r *reader) parseTemplate(n *yamlfile.Node, name string) (*Template, error) {
	text, err := r.Text(n, name)
	if err != nil {
		return nil, err
	}
	t, err := parseTemplate(text)
	if err != nil {
		return nil, r.Errorf(n, "%s %q %v", name, text, err)
	}
	return t, nil
}

// parseWhen reads "measure+10s".
func (r *reader) parseWhen(n *yamlfile.Node, name string) (w When, err error) {
	phase, offset := *n, *n
	later := false
	phase.Text, offset.Text, later = strings.Cut(n.Text, "+")
	i, err := r.Word(&phase, name, phases...)
	if w.Phase = Phase(i); err == nil && later {
		w.Offset, err = r.Duration(&offset, name, 0, maxDuration)
	}
	return w, err
}

// parseFraction reads 0.5 or 50%.
func (r *reader) parseFraction(n *yamlfile.Node) (float64, error) {
	s, percent := strings.CutSuffix(n.Text, "%")
	v, err := strconv.ParseFloat(s, 64)
	if percent {
		v /= 100
	}
	if n.Kind != yamlfile.Scalar || err != nil || strings.Trim(s, "0123456789.") != "" || !(v > 0 && v <= 1) {
		return 0, r.Invalid(n, "fraction", "value", "want more than 0 and at most 1, e.g. 0.5 or 50%")
	}
	return v, nil
}

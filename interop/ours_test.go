package interop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// ours is this project's client. It is the peer of the client under test in most
// claims, and is tested with the same claims itself.
var ours = &kind{
	versions: []packet.Version{packet.V31, packet.V311, packet.V5}, schemes: []string{"mqtt", "mqtts", "ws", "wss"},
	open:   func(tell func(event)) client { return &ourClient{tell: tell} },
	cannot: map[string]string{"topic aliases work from client to broker": "the engine assigns aliases itself"},
	habits: []string{"reports 5.0 codes instead of return codes"},
}

type ourClient struct {
	tell      func(event)
	journal   journal.Journal
	c         *mqtt.Client
	responses chan []byte
	read      chan struct{}
}

// encode converts p to our property block.
func encode(p *properties) (out packet.Properties) {
	if p == nil {
		return nil
	}
	must := func(next packet.Properties, err error) {
		if err != nil {
			panic(err)
		}
		out = next
	}
	for id, n := range map[packet.PropertyID]uint32{packet.MessageExpiryInterval: p.MessageExpiry, packet.TopicAlias: uint32(p.TopicAlias),
		packet.MaximumPacketSize: p.MaximumPacketSize} {
		if n != 0 {
			must(out.AppendUint(id, n))
		}
	}
	if p.PayloadFormat {
		must(out.AppendUint(packet.PayloadFormatIndicator, 1))
	}
	for id, b := range map[packet.PropertyID][]byte{packet.ContentType: []byte(p.ContentType), packet.ResponseTopic: []byte(p.ResponseTopic), packet.CorrelationData: p.CorrelationData} {
		if len(b) > 0 {
			must(out.AppendBytes(id, b))
		}
	}
	for _, u := range p.UserProperties {
		must(out.AppendUser([]byte(u[0]), []byte(u[1])))
	}
	return out
}

func decode(block packet.Properties) *properties {
	p := &properties{
		PayloadFormat: block.UintOr(packet.PayloadFormatIndicator, 0) == 1, MessageExpiry: block.UintOr(packet.MessageExpiryInterval, 0),
		ContentType: block.Text(packet.ContentType), ResponseTopic: block.Text(packet.ResponseTopic), AssignedClientID: block.Text(packet.AssignedClientIdentifier),
		ReceiveMaximum: uint16(block.UintOr(packet.ReceiveMaximum, 0)),
	}
	if b, ok := block.Bytes(packet.CorrelationData); ok {
		p.CorrelationData = slices.Clone(b)
	}
	for q := range block.All() {
		switch q.ID {
		case packet.UserProperty:
			p.UserProperties = append(p.UserProperties, [2]string{string(q.Bytes), string(q.Value)})
		case packet.SubscriptionIdentifier:
			p.SubscriptionIDs = append(p.SubscriptionIDs, q.Uint)
		}
	}
	return p
}

func (o *ourClient) do(c command) (a answer) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	fail := func(err error) answer {
		if e, ok := errors.AsType[*mqtt.Error](err); ok {
			a.Reason = byte(e.Reason)
		}
		if err != nil {
			a.Error = err.Error()
		}
		return a
	}
	codes := func(rs []packet.ReasonCode, err error) answer {
		for _, r := range rs {
			a.Reasons = append(a.Reasons, int(r))
		}
		if len(rs) > 0 {
			return a
		}
		return fail(err)
	}
	switch c.Do {
	case "connect":
		err := o.connect(ctx, c)
		if err == nil {
			a.SessionPresent, a.Properties = o.c.SessionPresent(), decode(o.c.ConnackProperties())
		}
		return fail(err)
	case "subscribe":
		var subs []mqtt.Subscription
		for _, f := range c.Filters {
			s := mqtt.Subscription{Filter: f.Filter, QoS: packet.QoS(f.QoS), RetainHandling: mqtt.RetainHandling(f.RetainHandling),
				NoLocal: f.NoLocal, RetainAsPublished: f.RetainAsPublished}
			if p := c.Properties; p != nil && len(p.SubscriptionIDs) > 0 {
				s.ID = p.SubscriptionIDs[0]
			}
			subs = append(subs, s)
		}
		return codes(o.c.Subscribe(ctx, subs...))
	case "unsubscribe":
		var names []string
		for _, f := range c.Filters {
			names = append(names, f.Filter)
		}
		return codes(o.c.Unsubscribe(ctx, names...))
	case "publish":
		m := &mqtt.Message{Topic: c.Message.Topic, Payload: c.Message.Payload, QoS: packet.QoS(c.Message.QoS), Retain: c.Message.Retain, Properties: encode(c.Message.Properties)}
		if c.Count == 0 {
			return fail(o.c.Publish(ctx, m))
		}
		for i := range c.Count {
			m.Payload = fmt.Append(nil, i)
			if err := o.c.Send(ctx, m, 1); err != nil {
				return fail(err)
			}
		}
		return fail(o.c.Flush(ctx))
	case "disconnect":
		return fail(o.c.Close(ctx, func(p *packet.Disconnect) { p.Reason = packet.ReasonCode(c.Reason) }))
	case "abort":
		o.c.Abort()
	case "authenticate":
		o.responses <- c.Data
	default:
		panic(c.Do)
	}
	return a
}

func (o *ourClient) connect(ctx context.Context, c command) error {
	if o.c != nil {
		<-o.read
	}
	if c.Clean || o.journal == nil {
		o.journal = new(journal.Memory)
	}
	opt := &mqtt.Options{Version: packet.Version(c.Version), ClientID: c.ID, Session: mqtt.Session{Resume: !c.Clean}, DropProperties: true, KeepAlive: time.Duration(c.KeepAlive) * time.Second, Journal: o.journal}
	if c.User != "" {
		opt.Username, opt.Password = c.User, []byte(c.Password)
	}
	if w := c.Will; w != nil {
		opt.Will = &mqtt.Will{Message: mqtt.Message{Topic: w.Topic, Payload: w.Payload, QoS: packet.QoS(w.QoS), Retain: w.Retain, Properties: encode(w.Properties)}}
		if w.Properties != nil {
			opt.Will.Delay = time.Duration(w.Properties.WillDelay) * time.Second
		}
	}
	if p := c.Properties; p != nil {
		opt.Session.Expiry, opt.ReceiveMaximum = time.Duration(p.SessionExpiry)*time.Second, p.ReceiveMaximum
		opt.TopicAliasMaximum, opt.MaxPacket = p.TopicAliasMaximum, int(p.MaximumPacketSize)
		opt.Properties = encode(&properties{UserProperties: p.UserProperties})
		if p.AuthenticationMethod != "" {
			o.responses = make(chan []byte)
			opt.Authenticate = func(context.Context) (mqtt.Authenticator, error) { return relay{p, o}, nil }
		}
	}
	if c.Reconnect {
		opt.Reconnect = mqtt.Backoff(time.Millisecond, 20*time.Millisecond)
	}
	opt.OnEvent = func(e mqtt.Event) {
		if e.Kind == mqtt.EventUp {
			o.tell(event{Up: &answer{SessionPresent: e.SessionPresent}})
		}
		if e.Kind == mqtt.EventDown {
			o.tell(lost(e.Err))
		}
	}
	opt.Dial = (&transport.Dialer{TLS: &transport.TLSOptions{CAFile: c.CA}}).Dial
	var err error
	if o.c, err = mqtt.Connect(ctx, c.URL, opt); err != nil {
		return err
	}
	o.read = make(chan struct{})
	go func(c *mqtt.Client) {
		defer close(o.read)
		for m, err := range c.Messages(context.Background()) {
			if err != nil {
				break
			}
			o.tell(event{Message: &message{Topic: m.Topic, Payload: slices.Clone(m.Payload), QoS: byte(m.QoS), Retain: m.Retain, Properties: decode(m.Properties)}})
		}
		o.tell(lost(c.Err()))
	}(o.c)
	return nil
}

func lost(err error) event {
	a := &answer{}
	if e, ok := errors.AsType[*mqtt.Error](err); ok {
		a.Reason = byte(e.Reason)
	}
	return event{Lost: a}
}

// relay passes the server's challenges to the test, which answers them.
type relay struct {
	*properties
	client *ourClient
}

func (r relay) Method() string         { return r.AuthenticationMethod }
func (r relay) Start() ([]byte, error) { return r.AuthenticationData, nil }
func (r relay) Finish([]byte) error    { return nil }
func (r relay) Continue(data []byte) ([]byte, error) {
	r.client.tell(event{Challenge: slices.Clone(data)})
	return <-r.client.responses, nil
}

package interop

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/packets"
	paho5 "github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session"
	"github.com/eclipse/paho.golang/paho/session/state"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// pahoGo5 is paho.golang, for 5.0.
var pahoGo5 = &kind{
	versions: []packet.Version{packet.V5}, schemes: []string{"mqtt", "mqtts", "ws", "wss"},
	open:   func(tell func(event)) client { return &paho5Client{tell: tell} },
	habits: []string{"of a will's properties it sends the delay and the user properties only"},
	cannot: map[string]string{"the broker abbreviates topics": "it leaves aliases to the application"},
}

type paho5Client struct {
	tell      func(event)
	session   session.SessionManager
	c         *autopaho.ConnectionManager
	reconnect *atomic.Bool
	down      chan struct{} // closed when the connection is down for good
	end       context.CancelFunc
	goodbye   *paho5.Disconnect
	responses chan []byte
	method    string
}

func (p *paho5Client) do(c command) (a answer) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	check := func(err error) {
		if err != nil {
			a.Error = err.Error()
		}
	}
	switch c.Do {
	case "connect":
		return p.connect(ctx, c)
	case "subscribe":
		s := &paho5.Subscribe{Properties: &paho5.SubscribeProperties{}}
		for _, f := range c.Filters {
			s.Subscriptions = append(s.Subscriptions, paho5.SubscribeOptions{Topic: f.Filter, QoS: f.QoS, RetainHandling: f.RetainHandling, NoLocal: f.NoLocal, RetainAsPublished: f.RetainAsPublished})
		}
		if c.Properties != nil && len(c.Properties.SubscriptionIDs) > 0 {
			id := int(c.Properties.SubscriptionIDs[0])
			s.Properties.SubscriptionIdentifier = &id
		}
		ack, err := p.c.Subscribe(ctx, s)
		if ack != nil {
			a.Reasons = ints(ack.Reasons)
			return a
		}
		check(err)
	case "unsubscribe":
		u := &paho5.Unsubscribe{}
		for _, f := range c.Filters {
			u.Topics = append(u.Topics, f.Filter)
		}
		ack, err := p.c.Unsubscribe(ctx, u)
		if ack != nil {
			a.Reasons = ints(ack.Reasons)
			return a
		}
		check(err)
	case "publish":
		if c.Count == 0 {
			return p.publish(ctx, c.Message, c.Message.Payload)
		}
		// Publish waits for the acknowledgement.
		answers := make([]answer, c.Count)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() { answers[i] = p.publish(ctx, c.Message, fmt.Append(nil, i)) })
		}
		wg.Wait()
		for _, one := range answers {
			if one.Error != "" {
				return one
			}
		}
	case "disconnect":
		p.goodbye.ReasonCode = c.Reason
		check(p.c.Disconnect(ctx))
		p.end()
	case "abort":
		p.reconnect.Store(false)
		p.c.TerminateConnectionForTest()
		<-p.down
		p.end()
	case "authenticate":
		p.responses <- c.Data
	default:
		panic(c.Do)
	}
	return a
}

func ints(b []byte) (out []int) {
	for _, c := range b {
		out = append(out, int(c))
	}
	return out
}

// publish waits for a connection if there is none.
func (p *paho5Client) publish(ctx context.Context, m *message, payload []byte) (a answer) {
	out := &paho5.Publish{Topic: m.Topic, Payload: payload, QoS: m.QoS, Retain: m.Retain}
	if q := m.Properties; q != nil {
		out.Properties = &paho5.PublishProperties{CorrelationData: q.CorrelationData, ContentType: q.ContentType, ResponseTopic: q.ResponseTopic,
			PayloadFormat: flag(q.PayloadFormat), MessageExpiry: optional(q.MessageExpiry), TopicAlias: optional(q.TopicAlias), User: users(q)}
	}
	resp, err := p.c.Publish(ctx, out)
	for errors.Is(err, autopaho.ConnectionDownError) || errors.Is(err, session.ErrNoConnection) {
		if err = p.c.AwaitConnection(ctx); err == nil {
			resp, err = p.c.Publish(ctx, out)
		}
	}
	if resp != nil {
		a.Reason = resp.ReasonCode
	}
	if err != nil || a.Reason >= 0x80 {
		a.Error = fmt.Sprintf("reason 0x%02x: %v", a.Reason, err)
	}
	return a
}

// optional returns a pointer to v, or nil if v is zero.
func optional[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

func flag(set bool) *byte {
	if set {
		return new(byte(1))
	}
	return nil
}

// value is the reverse of optional.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func users(p *properties) (out paho5.UserProperties) {
	for _, u := range p.UserProperties {
		out.Add(u[0], u[1])
	}
	return out
}

func (p *paho5Client) connect(ctx context.Context, c command) (a answer) {
	if p.session == nil || c.Clean {
		p.session = state.NewInMemory()
	}
	target, err := url.Parse(c.URL)
	if err != nil {
		return answer{Error: err.Error()}
	}
	var reconnect, up atomic.Bool
	reconnect.Store(c.Reconnect)
	down, goodbye, answers := make(chan struct{}), &paho5.Disconnect{}, make(chan answer, 1)
	p.reconnect, p.down, p.goodbye = &reconnect, down, goodbye
	if q := c.Properties; q != nil {
		p.method, p.responses = q.AuthenticationMethod, make(chan []byte)
	}
	cfg := autopaho.ClientConfig{
		ServerUrls: []*url.URL{target}, TlsCfg: trusting(c.CA), KeepAlive: uint16(c.KeepAlive), CleanStartOnInitialConnection: c.Clean,
		ConnectUsername: c.User, ConnectPassword: []byte(c.Password),
		ReconnectBackoff: func(n int) time.Duration { return time.Duration(min(n, 1)) * 10 * time.Millisecond },
		OnConnectionUp: func(_ *autopaho.ConnectionManager, ack *paho5.Connack) {
			a := answer{SessionPresent: ack.SessionPresent}
			if ack.Properties != nil {
				a.Properties = &properties{AssignedClientID: ack.Properties.AssignedClientID}
			}
			if up.Swap(true) {
				p.tell(event{Up: &a})
			} else {
				answers <- a
			}
		},
		OnConnectionDown: func() bool {
			if !reconnect.Load() {
				close(down)
				return false
			}
			return true
		},
		DisconnectPacketBuilder: func() *paho5.Disconnect { return goodbye },
		ClientConfig: paho5.ClientConfig{
			ClientID: c.ID, Session: p.session, AuthHandler: p, PacketTimeout: patience,
			OnPublishReceived: []func(paho5.PublishReceived) (bool, error){func(m paho5.PublishReceived) (bool, error) {
				p.tell(event{Message: received(m.Packet)})
				return true, nil
			}},
			OnServerDisconnect: func(d *paho5.Disconnect) {
				p.tell(event{Lost: &answer{Reason: d.ReasonCode}})
			},
			OnClientError: func(error) { p.tell(event{Lost: &answer{}}) },
		},
	}
	cfg.OnConnectError = func(err error) {
		a := answer{Error: err.Error()}
		if e, ok := errors.AsType[*autopaho.ConnackError](err); ok {
			a.Reason = e.ReasonCode
		}
		select {
		case answers <- a:
		default:
		}
	}
	if w := c.Will; w != nil {
		cfg.WillMessage = &paho5.WillMessage{Topic: w.Topic, Payload: w.Payload, QoS: w.QoS, Retain: w.Retain}
		if q := w.Properties; q != nil {
			cfg.WillProperties = &paho5.WillProperties{WillDelayInterval: optional(q.WillDelay), PayloadFormat: flag(q.PayloadFormat), MessageExpiry: optional(q.MessageExpiry),
				ContentType: q.ContentType, ResponseTopic: q.ResponseTopic, CorrelationData: q.CorrelationData, User: users(q)}
		}
	}
	cfg.ConnectPacketBuilder = func(out *paho5.Connect, _ *url.URL) (*paho5.Connect, error) {
		if q := c.Properties; q != nil {
			out.Properties = &paho5.ConnectProperties{SessionExpiryInterval: optional(q.SessionExpiry), ReceiveMaximum: optional(q.ReceiveMaximum), TopicAliasMaximum: optional(q.TopicAliasMaximum),
				MaximumPacketSize: optional(q.MaximumPacketSize), AuthMethod: q.AuthenticationMethod, AuthData: q.AuthenticationData, User: users(q), RequestProblemInfo: true}
		}
		return out, nil
	}
	var life context.Context
	life, p.end = context.WithCancel(context.Background())
	if p.c, err = autopaho.NewConnection(life, cfg); err != nil {
		p.end()
		return answer{Error: err.Error()}
	}
	select {
	case a = <-answers:
	case <-ctx.Done():
		a.Error = "no answer"
	}
	if a.Error != "" {
		p.end()
	}
	return a
}

func (p *paho5Client) Authenticate(a *paho5.Auth) *paho5.Auth {
	p.tell(event{Challenge: a.Properties.AuthData})
	return &paho5.Auth{ReasonCode: packets.AuthContinueAuthentication, Properties: &paho5.AuthProperties{AuthMethod: p.method, AuthData: <-p.responses}}
}

func (p *paho5Client) Authenticated() {}

func received(m *paho5.Publish) *message {
	out := &message{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain, Properties: &properties{}}
	if q := m.Properties; q != nil {
		*out.Properties = properties{PayloadFormat: value(q.PayloadFormat) == 1, MessageExpiry: value(q.MessageExpiry), ContentType: q.ContentType,
			ResponseTopic: q.ResponseTopic, CorrelationData: q.CorrelationData}
		for _, u := range q.User {
			out.Properties.UserProperties = append(out.Properties.UserProperties, [2]string{u.Key, u.Value})
		}
		if q.SubscriptionIdentifier != nil {
			out.Properties.SubscriptionIDs = []uint32{uint32(*q.SubscriptionIdentifier)}
		}
	}
	return out
}

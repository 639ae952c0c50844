package interop

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	paho3 "github.com/eclipse/paho.mqtt.golang"
	packets3 "github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// pahoGo3 is paho.mqtt.golang, for 3.1 and 3.1.1.
var pahoGo3 = &kind{
	versions: []packet.Version{packet.V31, packet.V311}, schemes: []string{"mqtt", "mqtts", "ws", "wss"},
	open:   func(tell func(event)) client { return &paho3Client{tell: tell} },
	habits: []string{"repeats at QoS 2: it delivers each PUBLISH, also one that is sent again"},
}

type paho3Client struct {
	tell  func(event)
	store paho3.Store
	c     paho3.Client
	nc    net.Conn
	gone  chan struct{}
}

// trusting returns a TLS configuration for clients that trusts one authority.
func trusting(caFile string) *tls.Config {
	pool := x509.NewCertPool()
	if pem, err := os.ReadFile(caFile); err == nil {
		pool.AppendCertsFromPEM(pem)
	}
	return &tls.Config{RootCAs: pool}
}

func (p *paho3Client) do(c command) (a answer) {
	wait := func(token paho3.Token) answer {
		if !token.WaitTimeout(patience) {
			a.Error = "no answer"
		} else if err := token.Error(); err != nil {
			a.Error = err.Error()
		}
		return a
	}
	switch c.Do {
	case "connect":
		token := p.connect(c).(*paho3.ConnectToken)
		wait(token)
		if code := token.ReturnCode(); code < packets3.ErrNetworkError { // codes from there on are the client's own
			a.Reason = code
		}
		a.SessionPresent = token.SessionPresent()
	case "subscribe":
		filters := map[string]byte{}
		for _, f := range c.Filters {
			filters[f.Filter] = f.QoS
		}
		token := p.c.SubscribeMultiple(filters, nil).(*paho3.SubscribeToken)
		wait(token)
		for _, f := range c.Filters {
			a.Reasons = append(a.Reasons, int(token.Result()[f.Filter]))
		}
	case "unsubscribe":
		var names []string
		for _, f := range c.Filters {
			names = append(names, f.Filter)
		}
		wait(p.c.Unsubscribe(names...))
	case "publish":
		m := c.Message
		if c.Count == 0 {
			return wait(p.c.Publish(m.Topic, m.QoS, m.Retain, m.Payload))
		}
		var tokens []paho3.Token
		for i := range c.Count {
			tokens = append(tokens, p.c.Publish(m.Topic, m.QoS, m.Retain, fmt.Sprint(i)))
		}
		for _, token := range tokens {
			wait(token)
		}
	case "disconnect":
		p.c.Disconnect(uint(patience.Milliseconds())) // or until it is sent
	case "abort":
		_ = p.nc.(*net.TCPConn).CloseWrite() // the client would take Close for its own
		<-p.gone
	default:
		panic(c.Do)
	}
	return a
}

func (p *paho3Client) connect(c command) paho3.Token {
	if p.store == nil || c.Clean {
		p.store = paho3.NewMemoryStore()
	}
	o := paho3.NewClientOptions().AddBroker(c.URL).SetProtocolVersion(uint(c.Version)).SetClientID(c.ID).
		SetCleanSession(c.Clean).SetKeepAlive(time.Duration(c.KeepAlive) * time.Second).SetUsername(c.User).SetPassword(c.Password).
		SetTLSConfig(trusting(c.CA)).SetStore(p.store).SetAutoReconnect(c.Reconnect).SetMaxReconnectInterval(20 * time.Millisecond)
	if w := c.Will; w != nil {
		o.SetBinaryWill(w.Topic, w.Payload, w.QoS, w.Retain)
	}
	if strings.HasPrefix(c.URL, "mqtt:") { // the connection that abort closes
		o.SetCustomOpenConnectionFn(func(u *url.URL, _ paho3.ClientOptions) (net.Conn, error) {
			nc, err := net.Dial("tcp", u.Host)
			p.nc = nc
			return nc, err
		})
	}
	o.SetDefaultPublishHandler(func(_ paho3.Client, m paho3.Message) {
		p.tell(event{Message: &message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retain: m.Retained()}})
	})
	gone := make(chan struct{})
	p.gone = gone
	var once sync.Once
	o.SetConnectionLostHandler(func(paho3.Client, error) {
		p.tell(event{Lost: &answer{}})
		once.Do(func() { close(gone) })
	})
	var up atomic.Bool
	o.SetOnConnectHandler(func(paho3.Client) {
		if up.Swap(true) {
			p.tell(event{Up: &answer{}})
		}
	})
	p.c = paho3.NewClient(o)
	return p.c.Connect()
}

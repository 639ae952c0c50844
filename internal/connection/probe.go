package connection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Probed is what a probe has found out about a broker.
type Probed struct {
	Version  string         // of the broker program, from $SYS/broker/version; "" if unknown
	Protocol packet.Version // that the broker accepts; 0 without a connection
}

// Probe connects to each broker with username and password, which may be absent. It returns
// the error of Connect if one cannot be reached, and the version of MQTT that all of them
// accept if the options leave it open. Other refusals of this client are ignored, because
// the broker may accept others. A broker that does not answer is reported while Probe waits
// for it.
func (c *Connection) Probe(ctx context.Context, username string, password []byte) (p Probed, err error) {
	for _, t := range c.targets {
		one, err := c.probe(ctx, t, username, password)
		if err != nil {
			return p, err
		}
		p.Version = cmp.Or(p.Version, one.Version)
		if p.Protocol == 0 || one.Protocol != 0 && one.Protocol < p.Protocol {
			p.Protocol = one.Protocol
		}
	}
	return p, nil
}

// probe is Probe for one broker.
func (c *Connection) probe(ctx context.Context, t *transport.Target, username string, password []byte) (p Probed, err error) {
	c.used.Store(t)
	o := c.Options
	o.ClientID, o.NewClientID = fmt.Sprintf("mqbench-%016x", rand.Uint64()), true
	o.Username, o.Password = username, password
	c.inv.CatchSignals()
	o.OnEvent = func(e mqtt.Event) {
		if e.Kind == mqtt.EventFallback {
			c.fellBack(e.Err)
		}
	}
	silence := time.AfterFunc(silentTime, func() {
		c.inv.Warnf("%s has not answered yet; waiting for up to %s", c.Broker(), units.Short(o.ConnectTimeout))
	})
	o.Targets, o.Dial = []*transport.Target{t}, c.dial
	client, err := mqtt.Connect(ctx, "", &o)
	silence.Stop()
	var unreached *transport.Error
	switch {
	case ctx.Err() != nil:
		return p, context.Cause(ctx)
	case errors.As(err, &unreached):
		return p, c.connectError(err)
	case errors.Is(err, mqtt.ErrNoConnack):
		c.inv.Warnf("%s accepts connections and does not answer: no CONNACK within %s; is it an MQTT broker?", c.Broker(), units.Short(o.ConnectTimeout))
		return p, nil
	case err != nil:
		c.inv.Debugf("%v", err)
		return p, nil
	}
	p.Protocol = client.Version()
	defer c.Disconnect(client, false)
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	if _, err := client.Subscribe(ctx, mqtt.Subscription{Filter: "$SYS/broker/version"}); err != nil {
		return p, nil
	}
	for {
		b, err := client.Receive(ctx)
		if err != nil {
			return p, nil
		}
		for i := range b.Messages {
			if text := string(b.Messages[i].Payload); utf8.ValidString(text) && len(text) < 256 {
				p.Version = text
				return p, nil
			}
		}
		b.Release()
	}
}

// silentTime is how long a broker may take to answer CONNECT before its silence is
// reported.
const silentTime = 3 * time.Second

// versionTime is how long a broker may take to send its version.
const versionTime = 500 * time.Millisecond

package connection

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// reportEvents returns an event handler that reports changes of the connection on stderr and calls
// next.
func (c *Connection) reportEvents(next func(mqtt.Event)) func(mqtt.Event) {
	return func(e mqtt.Event) {
		switch e.Kind {
		case mqtt.EventDown:
			c.inform("%s; reconnecting", c.lossOf(e.Err))
		case mqtt.EventRetry:
			limit := ""
			if !c.reached.Load() && !c.inv.Values.Retry.On() && !c.waits() {
				limit = " (until " + c.deadline.Format(time.TimeOnly) + ", --wait-for)"
			}
			c.inform("%v; retrying in %s%s", c.connectError(e.Err), units.Short(e.Wait.Round(100*time.Millisecond)), limit)
		case mqtt.EventFailover, mqtt.EventReferred:
			c.inv.Infof("%v", c.connectError(e.Err))
		case mqtt.EventFallback:
			c.fellBack(e.Err)
		case mqtt.EventReused:
			if !c.reused {
				c.reused = true
				c.inv.Warnf("the broker began new QoS 2 messages under packet identifiers still in use: it seems to have lost its session; they are printed as new")
			}
		case mqtt.EventNarrowed:
			c.inv.Infof("connection lost with many messages in flight; sending at most %d at a time, and more as they are acknowledged", e.Count)
		case mqtt.EventUp:
			c.connected()
			select {
			case c.up <- struct{}{}:
			default:
			}
			switch {
			case e.Count > 0 && !e.SessionPresent:
				c.inv.Infof("reconnected to %s; it lost our session: %s may be delivered twice", c.Broker(), units.Count(e.Count, "message"))
			case c.Options.Session.Resume && !c.Options.PublishOnly && !e.SessionPresent:
				c.inv.Warnf("reconnected to %s; it lost our session: messages published meanwhile may be missing", c.Broker())
			default:
				c.inv.Infof("reconnected to %s", c.Broker())
			}
		case mqtt.EventRenewalRefused:
			c.inv.Warnf("%v", e.Err)
		case mqtt.EventSuspected:
			c.inform("%v", e.Err)
		case mqtt.EventUndeliverable:
			if u, ok := errors.AsType[*mqtt.Undeliverable](e.Err); ok && len(u.Filters) > 0 {
				c.inv.Warnf("%v; still trying", u)
			}
		}
		if next != nil {
			next(e)
		}
	}
}

// fellBack reports that the broker speaks MQTT 3.1.1, and which of the requested options
// are therefore without effect. If the broker said so itself, that is printed with --debug
// only.
func (c *Connection) fellBack(why error) {
	if errors.Is(why, packet.UnsupportedProtocolVersion) {
		c.inv.Debugf("%s does not support MQTT 5: using MQTT 3.1.1", c.Broker())
	} else {
		c.inv.Infof("%s closes connections that speak MQTT 5: using MQTT 3.1.1; -V 311 spares the attempts", c.Broker())
	}
	v, o := c.inv.Values, &c.Options
	var names []string
	for _, name := range c.of5() {
		if name != "session-expiry-interval" {
			names = append(names, v.Of(name).Name())
		}
	}
	if len(names) > 0 {
		have := "have"
		if len(names) == 1 {
			have = "has"
		}
		c.inv.Warnf("%s speaks MQTT 3.1.1: %s %s no effect", c.Broker(), strings.Join(names, ", "), have)
	}
	if !v.ReceiveMaximum.Known() || !v.SessionExpiryInterval.IsSet() || o.Session.Expiry == 0 {
		return
	}
	if o.Session.Resume || o.Session.Keep && o.ClientID != "" && !o.NewClientID {
		c.inv.Warnf("%s speaks MQTT 3.1.1: the session does not expire, the broker keeps it until %q connects clean", c.Broker(), o.ClientID)
	} else {
		c.inv.Warnf("%s speaks MQTT 3.1.1: %s has no effect without --id", c.Broker(), v.SessionExpiryInterval.Name())
	}
}

// connected reports the address of the connection to the service manager.
func (c *Connection) connected() {
	if c.inv.Service != nil {
		c.inv.Service.Status("connected to %s", c.Broker())
	}
}

// inform reports a change of the connection, also to the service manager.
func (c *Connection) inform(format string, args ...any) {
	c.inv.Infof(format, args...)
	c.inv.Service.Status("%s", cli.Shorten(fmt.Sprintf(format, args...)))
}

func (c *Connection) trace(sent bool, f packet.Frame, v packet.Version) {
	verb := "received"
	if sent {
		verb = "sent"
	}
	c.inv.Debugf("%s %s", verb, packet.AppendSummary(nil, f, v))
}

package mqsub

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/connection"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// readSubscriptions reads the filters to subscribe to and to unsubscribe from.
func (j *job) readSubscriptions() error {
	v := j.inv.Values
	j.skipRetained, j.retainedOnly = v.SkipRetained.On(), v.RetainedOnly.On()
	base := j.conn.Properties.Subscription()
	base.QoS, base.NoLocal, base.RetainAsPublished = packet.QoS(v.QoS.Int()), v.NoLocal.On(), v.RetainAsPublished.On()
	switch h := v.RetainHandling.Text(); {
	case h == "new":
		base.RetainHandling = mqtt.RetainedIfNew
	case h == "never", j.skipRetained && !v.RetainHandling.IsSet():
		base.RetainHandling = mqtt.RetainedNever
	}
	add := func(label, filter string, s mqtt.Subscription) error {
		if err := connection.CheckFilter(label, filter); err != nil {
			return err
		}
		if _, _, shared := topic.ParseShare(filter); shared && s.NoLocal {
			return option.Usagef("%s %s: a shared subscription has no \"no local\" [MQTT-3.8.3-4]", label, topic.Quote(filter))
		}
		s.Filter = filter
		j.subs = append(j.subs, s)
		return nil
	}
	filters := v.Topic.Texts()
	if t := j.conn.URLTopic(); t != "" {
		switch topics, url := v.Topic.Origin(), v.URL.Origin(); {
		case url > topics:
			filters = []string{t}
		case url == topics:
			filters = append(filters, t)
		}
	}
	for _, f := range filters {
		if err := add(v.Topic.Name(), f, base); err != nil {
			return err
		}
	}
	for _, text := range v.Sub.Texts() {
		filter, s, err := parseSub(text, base)
		if err != nil {
			return v.Sub.Invalid("value", text, "%v", err).WithHint("e.g. --sub 'a/#;qos=1;nl;rap;rh=2;id=7'")
		}
		if err := add(v.Sub.Name(), filter, s); err != nil {
			return err
		}
	}
	for _, f := range v.Unsubscribe.Texts() {
		if err := connection.CheckFilter(v.Unsubscribe.Name(), f); err != nil {
			return err
		}
		j.unsubs = append(j.unsubs, f)
	}
	if j.alone = len(j.subs) == 0 && len(j.unsubs) == 0 && v.Serve.IsSet() && !v.ExitAfterSubscribe.On() && !j.retainedOnly &&
		!v.Count.IsSet() && !v.IdleTimeout.IsSet() && !v.Watch.On() && !v.MessageRate.On(); j.alone {
		return nil
	}
	if len(j.subs) == 0 && len(j.unsubs) == 0 {
		return option.Usagef("no topic filter given").WithHint("pass one, e.g. -t 'a/#'")
	}
	if o := j.conn.Options.Version; (o == packet.V31 || o == packet.V311) && j.wantsV5() {
		return option.Usagef("the options of subscriptions need MQTT 5").WithHint("they are --no-local, --retain-as-published, --retain-handling and those of --sub but qos")
	}
	return nil
}

// wantsV5 reports whether a subscription uses what versions before 5.0 do not have. The
// retain handling that --skip-retained implies does not count, because mqsub also filters
// out retained messages.
func (j *job) wantsV5() bool {
	for _, s := range j.subs {
		handled := s.RetainHandling != mqtt.RetainedAlways && !(j.skipRetained && !j.inv.Values.RetainHandling.IsSet())
		if s.NoLocal || s.RetainAsPublished || handled || s.ID != 0 {
			return true
		}
	}
	return false
}

// parseSub parses FILTER;OPTION;..., starting from the values of the other options. A
// filter that contains a semicolon must be set with -t.
func parseSub(text string, s mqtt.Subscription) (filter string, _ mqtt.Subscription, err error) {
	filter, rest, has := strings.Cut(text, ";")
	for has {
		var option string
		option, rest, has = strings.Cut(rest, ";")
		name, value, hasValue := strings.Cut(option, "=")
		number := func(least, most uint64) (uint64, error) {
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil || n < least || n > most {
				return 0, fmt.Errorf("want %s from %d to %d", name, least, most)
			}
			return n, nil
		}
		var n uint64
		switch {
		case name == "qos" && hasValue:
			n, err = number(0, 2)
			s.QoS = packet.QoS(n)
		case name == "rh" && hasValue:
			n, err = number(0, 2)
			s.RetainHandling = mqtt.RetainHandling(n)
		case name == "id" && hasValue:
			n, err = number(1, 268435455)
			s.ID = uint32(n)
		case option == "nl":
			s.NoLocal = true
		case option == "rap":
			s.RetainAsPublished = true
		default:
			err = fmt.Errorf("unknown option %q", option)
		}
		if err != nil {
			return "", s, err
		}
	}
	return filter, s, nil
}

// unsubscribe ends the subscriptions that -U names.
func (j *job) unsubscribe(ctx context.Context) error {
	if len(j.unsubs) == 0 {
		return nil
	}
	codes, err := j.client.Unsubscribe(ctx, j.unsubs...)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return j.conn.OperationError(err)
	}
	for i, code := range codes {
		if code == packet.NoSubscriptionExisted && i < len(j.unsubs) {
			j.inv.Warnf("the session had no subscription to %s", topic.Quote(j.unsubs[i]))
		}
	}
	return nil
}

// remove deletes a retained message at the broker, by publishing an empty one.
func (j *job) remove(m *mqtt.Message) error {
	if !j.removeRetained || !m.Retain || len(m.Payload) == 0 {
		return nil
	}
	return j.publish(&mqtt.Message{Topic: m.Topic, QoS: 1, Retain: true}, "removal", func(err error) {
		j.inv.Warnf("cannot remove the retained message on %s: %v", topic.Quote(m.Topic), err)
	})
}

package mqpub

import (
	"errors"
	"fmt"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// dispositions are the values of --on-undeliverable.
var dispositions = map[string]mqtt.Disposition{
	"stop": mqtt.UndeliverableStop,
	"skip": mqtt.UndeliverableSkip,
	"wait": mqtt.UndeliverableWait,
}

// disposition is the client's Undeliverable.
func (j *job) disposition(*mqtt.Undeliverable) mqtt.Disposition {
	return dispositions[j.inv.Values.OnUndeliverable.Text()]
}

// describe returns the text for an undeliverable message of a stream, whose number is its
// tag.
func describe(u *mqtt.Undeliverable) string {
	if u.Count > 0 || u.Tag == 0 {
		return u.Error() // it is not known which message
	}
	if u.Topic == "" {
		return fmt.Sprintf("message %d %s", u.Tag, u.Why())
	}
	return fmt.Sprintf("message %d (topic %s) %s", u.Tag, topic.Quote(u.Topic), u.Why())
}

// stopped adds to the verdict of a stream the place in the input of the undeliverable
// message that stopped it.
func (j *job) stopped(u *mqtt.Undeliverable, verdict error) error {
	j.inv.Errorf("%s", describe(u))
	exit := &cli.Exit{Code: option.ExitLost, Err: verdict, Help: "--on-undeliverable skip goes on without it, wait keeps trying"}
	if u.NoQoS2 {
		exit.Help = "use -q 1"
	} else if u.Tag > 0 {
		exit.Help = fmt.Sprintf("stopped at line %d; %s", u.Tag, exit.Help)
	}
	return exit
}

// asUndeliverable returns the undeliverable message in err, or nil.
func asUndeliverable(err error) *mqtt.Undeliverable {
	u, _ := errors.AsType[*mqtt.Undeliverable](err)
	return u
}

package connection

import (
	"errors"
	"net"
	"sync"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// refusals reports on stderr what the broker of --serve refuses: once for each client and
// kind, up to a limit, because a client chooses how often and under which name it asks.
// --debug reports everything.
type refusals struct {
	talk *cli.Talk

	mu       sync.Mutex
	reported map[refusedKind]struct{}
}

type refusedKind struct {
	kind   broker.EventKind
	who    string // client identifier; the host if there is none or if the client invented it
	reason packet.ReasonCode
}

// maxRefusals is how many are reported: no more than fits into a pipe that is not being
// read, because the broker waits for the line to be written.
const maxRefusals = 100

func (r *refusals) take(e broker.Event) {
	key := refusedKind{kind: e.Kind, who: e.ClientID, reason: e.Reason}
	switch e.Kind {
	case broker.EventSubscribed:
		if !e.Reason.Failed() {
			return
		}
	case broker.EventRefused, broker.EventRejected:
		key.who = hostOf(e.Remote)
		if errors.Is(e.Err, transport.OriginRefused) { // a page in a browser cannot report it
			key.who = e.Err.Error()
		}
	case broker.EventEvicted, broker.EventAcceptFailed:
		key.who = ""
	case broker.EventNotPublished, broker.EventDropped, broker.EventPanic:
	default:
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.reported[key]; known || len(r.reported) > maxRefusals || r.talk.DebugEnabled() { // it is already in the log
		return
	}
	if r.reported == nil {
		r.reported = make(map[refusedKind]struct{})
	}
	r.reported[key] = struct{}{}
	if len(r.reported) > maxRefusals {
		r.talk.Warnf("broker: further refusals are logged with --debug only")
		return
	}
	r.talk.Warnf("broker: %v", e)
}

// hostOf returns an address without its port.
func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

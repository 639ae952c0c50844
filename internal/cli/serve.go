package cli

import (
	"context"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// server is the development broker of --serve.
type server struct {
	b    *broker.Broker
	done chan struct{}
}

// serve starts the development broker inside this process and makes it the
// only target.
func (c *Connection) serve(ctx context.Context) error {
	v := c.inv.Values
	for _, other := range [...]string{"host", "port", "url", "unix"} {
		if v.Origin(other) == OriginFlag {
			return Usagef("--serve and --%s exclude each other", other)
		}
	}
	addr := v.String("serve")
	ln, err := transport.Listen(ctx, addr, nil)
	if err != nil {
		return Failed(ExitUnreached, err)
	}
	b := broker.New(broker.Options{Log: func(e broker.Event) { c.inv.Debugf("broker: %v", e) }})
	s := &server{b: b, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		_ = b.Serve(ln) // ends with Close
	}()
	c.serving = s
	self := transport.Reach(ln)
	c.targets = []*transport.Target{self}
	if self.WebSocket {
		c.inv.Infof("broker listens on %s", self)
	} else {
		c.inv.Infof("broker listens on %s", ln.Addr())
	}
	return nil
}

func (s *server) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = s.b.Close(ctx)
	<-s.done
}

package session

import "time"

// never is a deadline that does not come.
const never = time.Duration(1<<63 - 1)

// Tick looks at the deadlines and returns the time of the next one. A client
// pings when it has sent or heard nothing for the keep alive time
// (MQTT-3.1.2-20), and fails with ErrKeepAlive when the answer takes as long
// again from when the PINGREQ was written: it may stand behind a long packet. A
// server fails when the client was silent for one and a half times that
// (MQTT-3.1.2-22). Any received packet is a sign of life.
//
// reading is false while the driver does not read because its application is
// behind: silence means nothing then, and only pings go out. Tick takes it for
// a sign of life, so that the peer has its time when reading goes on.
func (c *Conn) Tick(now time.Duration, reading bool) (next time.Duration, err error) {
	switch c.phase {
	case closed, idle, accepted: // Resume is called at once
		return never, nil
	case connecting, opening, deciding:
		if c.cfg.ConnectTimeout == 0 {
			return never, nil
		}
		deadline := c.lastOpen() + c.cfg.ConnectTimeout
		if now >= deadline {
			return never, ErrConnectTimeout
		}
		return deadline, nil
	}
	if c.keepAlive <= 0 {
		return never, nil
	}
	if !reading {
		c.lastIn = now
	}
	if c.server {
		deadline := c.lastIn + c.keepAlive + c.keepAlive/2
		if !reading {
			return now + c.keepAlive, nil
		}
		if now >= deadline {
			return never, ErrKeepAlive
		}
		return deadline, nil
	}
	if c.pinging && reading {
		deadline := max(c.pingAt, c.lastIn) + c.keepAlive
		if c.pingOut > 0 { // behind what the peer takes its time for
			deadline = max(deadline, c.lastOut+c.keepAlive)
		}
		if now >= deadline {
			return never, ErrKeepAlive
		}
		return deadline, nil
	}
	deadline := min(c.lastIn, c.lastOut) + c.keepAlive
	if c.pinging { // and not reading
		deadline = max(c.pingAt, c.lastOut) + c.keepAlive
	}
	if now >= deadline {
		if err := c.Ping(now); err != nil {
			return never, err
		}
		return now + c.keepAlive, nil
	}
	return deadline, nil
}

// lastOpen is when the wait for the first packet began: it does not move with
// the bytes of a packet that arrives drop by drop.
func (c *Conn) lastOpen() time.Duration {
	if c.server {
		return c.lastIn
	}
	return c.lastOut
}

package session

import "time"

// never is a deadline that does not come.
const never = time.Duration(1<<63 - 1)

// Tick checks the deadlines and returns the time of the next one. A client
// sends PINGREQ when it has sent or received nothing for the keep alive time
// (MQTT-3.1.2-20), and fails with ErrKeepAlive if the answer takes as long
// again from when the PINGREQ was written, which may be after a long packet. A
// server fails if the client was silent for one and a half times that
// (MQTT-3.1.2-22). Any received packet is a sign of life.
//
// reading is false while the driver does not read because its application is
// behind. Silence means nothing then, and only pings are sent. Tick treats it
// as a sign of life, so that the peer has its full time when reading resumes.
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
		if c.pingOut > 0 { // queued after what the peer is still taking
			deadline = max(deadline, c.lastOut+c.keepAlive)
		}
		if now >= deadline {
			return never, ErrKeepAlive
		}
		return deadline, nil
	}
	deadline := min(c.lastIn, c.lastOut) + c.keepAlive
	if c.pinging { // while not reading
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

// lastOpen returns when the wait for the first packet began. It is not extended
// by the bytes of a packet that arrives slowly.
func (c *Conn) lastOpen() time.Duration {
	if c.server {
		return c.lastIn
	}
	return c.lastOut
}

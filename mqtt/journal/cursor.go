package journal

// Cursor reads the records of a Log in order, while more are appended. One
// goroutine may use it; the records must not be removed by Trim before they are
// read.
type Cursor struct {
	l     *Log
	seq   uint64 // of the next record
	first uint64 // of the segment that r reads; 0 before the first
	at    int64  // offset of the next record
	r     reader
}

// Cursor returns a cursor before the record with a sequence number, or before
// the first one if that was removed.
func (l *Log) Cursor(from uint64) *Cursor { return &Cursor{l: l, seq: from} }

// Next returns the next record that was written, or ok false if there is none
// yet. data is valid until the next call.
func (c *Cursor) Next() (seq uint64, data []byte, ok bool, err error) {
	for {
		if found, err := c.enter(); err != nil || !found {
			return 0, nil, false, err
		}
		rec, whole, err := c.r.record(c.at)
		if err == nil && !whole {
			err = &DamagedError{File: segmentName(c.first), Offset: c.at, Why: "it was changed while it was open"}
		}
		if err != nil {
			return 0, nil, false, err
		}
		c.at += recordSize + int64(len(rec.data))
		if rec.seq >= c.seq {
			c.seq = rec.seq + 1
			return rec.seq, rec.data, true, nil
		}
	}
}

// enter finds the segment of the next record, and reports whether the record
// was written.
func (c *Cursor) enter() (bool, error) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	all := c.l.segments
	if len(all) == 0 {
		return false, ErrLogClosed
	}
	i := len(all) - 1
	for i > 0 && all[i].first > c.seq {
		i--
	}
	s := &all[i]
	if c.first != s.first {
		c.first, c.at = s.first, headerSize
		c.r = reader{f: s.f, salt: c.l.salt, buf: c.r.buf[:0]}
	}
	c.r.size = s.size
	return c.at < s.size, nil
}

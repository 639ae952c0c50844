package topic

// edge connects a node to the child of one level.
type edge[N any] struct {
	level string
	node  *N
}

// children holds the edges of a node: a short list while there are few, because
// most nodes have one, then a map. A map stays a map until it is empty. The
// zero value is empty.
type children[N any] struct {
	few  []edge[N]
	many map[string]*N
	most int // largest number of children that many has held
}

const fewChildren = 8

func (c *children[N]) get(level string) *N {
	if c.many != nil {
		return c.many[level]
	}
	for i := range c.few {
		if c.few[i].level == level {
			return c.few[i].node
		}
	}
	return nil
}

// add stores a child whose level is not present yet, and keeps level.
func (c *children[N]) add(level string, n *N) {
	switch {
	case c.many != nil:
		c.many[level] = n
		c.most = max(c.most, len(c.many))
	case len(c.few) < fewChildren:
		c.few = append(c.few, edge[N]{level, n})
	default:
		c.many = make(map[string]*N, 2*fewChildren)
		for _, e := range c.few {
			c.many[e.level] = e.node
		}
		c.many[level] = n
		c.few = nil
	}
}

func (c *children[N]) remove(level string) {
	if c.many != nil {
		delete(c.many, level)
		switch {
		case len(c.many) == 0:
			c.many, c.most = nil, 0
		case roomy(len(c.many), c.most):
			less := make(map[string]*N, len(c.many))
			for level, n := range c.many {
				less[level] = n
			}
			c.many, c.most = less, len(less)
		}
		return
	}
	for i := range c.few {
		if c.few[i].level == level {
			last := len(c.few) - 1
			c.few[i] = c.few[last]
			c.few[last] = edge[N]{}
			c.few = c.few[:last]
			break
		}
	}
	if len(c.few) == 0 {
		c.few = nil
	}
}

func (c *children[N]) empty() bool { return len(c.few) == 0 && len(c.many) == 0 }

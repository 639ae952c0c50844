package jsontext

// Paths follows several paths at once: one pass over a text finds all their values.
type Paths struct{ root pathNode }

// pathNode is a value that paths lead to or through.
type pathNode struct {
	here  []int // the paths that end at the value
	below []int // those, and the paths that lead on from it
	steps []Step
	next  []*pathNode // by step
}

// NewPaths returns the paths as one, which is safe for concurrent use.
func NewPaths(paths ...Path) *Paths {
	p := &Paths{}
	for at, path := range paths {
		n := &p.root
		n.below = append(n.below, at)
		for _, s := range path {
			n = n.child(s)
			n.below = append(n.below, at)
		}
		n.here = append(n.here, at)
	}
	return p
}

// child returns the node that a step leads to.
func (n *pathNode) child(s Step) *pathNode {
	for i := range n.steps {
		if n.steps[i] == s {
			return n.next[i]
		}
	}
	n.steps, n.next = append(n.steps, s), append(n.next, &pathNode{})
	return n.next[len(n.next)-1]
}

// Find sets values, which has an element for every path, to what Path.Find finds: the values
// as they are written, nil for a path that leads to none. valid is false if b is not one JSON
// value; then all are nil.
func (p *Paths) Find(b []byte, values [][]byte) (valid bool) {
	end, ok := p.root.walk(b, SkipBlank(b, 0), 0, values)
	if ok && SkipBlank(b, end) == len(b) {
		return true
	}
	clear(values)
	return false
}

// walk is SkipValue that also notes the values of the paths.
func (n *pathNode) walk(b []byte, i, depth int, values [][]byte) (end int, ok bool) {
	for _, at := range n.below { // of a name that is there more than once, the last value counts
		values[at] = nil
	}
	switch {
	case i >= len(b) || depth > MaxDepth || len(n.steps) == 0 || b[i] != '{' && b[i] != '[':
		end, ok = SkipValue(b, i, depth)
	case b[i] == '{':
		end, ok = n.object(b, i, depth, values)
	default:
		end, ok = n.array(b, i, depth, values)
	}
	for _, at := range n.here {
		values[at] = b[i:end]
	}
	return end, ok
}

func (n *pathNode) object(b []byte, i, depth int, values [][]byte) (end int, ok bool) {
	i = SkipBlank(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, true
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return i, false
		}
		name := i + 1
		if i, ok = SkipString(b, i); !ok {
			return i, false
		}
		colon := SkipBlank(b, i)
		if colon >= len(b) || b[colon] != ':' {
			return colon, false
		}
		var next *pathNode
		for s := range n.steps {
			if n.steps[s].isKey(b[name : i-1]) {
				next = n.next[s]
				break
			}
		}
		i = SkipBlank(b, colon+1)
		if next != nil {
			i, ok = next.walk(b, i, depth+1, values)
		} else {
			i, ok = SkipValue(b, i, depth+1)
		}
		if !ok {
			return i, false
		}
		i = SkipBlank(b, i)
		switch {
		case i >= len(b):
			return i, false
		case b[i] == '}':
			return i + 1, true
		case b[i] != ',':
			return i, false
		}
		i = SkipBlank(b, i+1)
	}
}

func (n *pathNode) array(b []byte, i, depth int, values [][]byte) (end int, ok bool) {
	i = SkipBlank(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, true
	}
	for index := 0; ; index++ {
		var next *pathNode
		for s := range n.steps {
			if n.steps[s].IsIndex && n.steps[s].Index == index {
				next = n.next[s]
				break
			}
		}
		if next != nil {
			i, ok = next.walk(b, i, depth+1, values)
		} else {
			i, ok = SkipValue(b, i, depth+1)
		}
		if !ok {
			return i, false
		}
		i = SkipBlank(b, i)
		switch {
		case i >= len(b):
			return i, false
		case b[i] == ']':
			return i + 1, true
		case b[i] != ',':
			return i, false
		}
		i = SkipBlank(b, i+1)
	}
}

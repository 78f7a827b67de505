package triggerer

// entry is a time at which something is to be looked at: 16 bytes, no pointer, so that a heap of a million costs the
// garbage collector nothing. An entry is cancelled by raising its owner's version; it is skipped when it comes up.
type entry struct {
	at      int64 // Unix time in nanoseconds
	ref     uint32
	version uint32
}

// timeHeap is a 4-ary heap of entries, the earliest first.
type timeHeap []entry

func (h *timeHeap) push(e entry) {
	*h = append(*h, e)
	a := *h
	i := len(a) - 1
	for i > 0 {
		up := (i - 1) / 4
		if a[up].at <= e.at {
			break
		}
		a[i] = a[up]
		i = up
	}
	a[i] = e
}

// pop removes the earliest entry. The heap must not be empty.
func (h *timeHeap) pop() entry {
	a := *h
	top, last := a[0], a[len(a)-1]
	a = a[:len(a)-1]
	*h = a
	if len(a) > 0 {
		a.sink(0, last)
	}
	return top
}

// sink puts e where it belongs at i or below.
func (h timeHeap) sink(i int, e entry) {
	for {
		first := 4*i + 1
		if first >= len(h) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h)); c++ {
			if h[c].at < h[least].at {
				least = c
			}
		}
		if h[least].at >= e.at {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = e
}

// keep drops the entries that are not wanted any more and gives memory back when most is unused.
func (h *timeHeap) keep(wanted func(entry) bool) {
	a := (*h)[:0]
	for _, e := range *h {
		if wanted(e) {
			a = append(a, e)
		}
	}
	if cap(a) > 4*len(a)+64 {
		a = append(make(timeHeap, 0, len(a)+len(a)/4), a...)
	}
	a.order()
	*h = a
}

// order makes a heap of entries in any order.
func (h timeHeap) order() {
	for i := (len(h) - 2) / 4; i >= 0 && len(h) > 1; i-- {
		h.sink(i, h[i])
	}
}

package stepfunctions

import (
	"fmt"
	"slices"
	"time"
)

// plan is a way to look at the waits of one group.
type plan int

const (
	// describeEach asks for one execution after the other.
	describeEach plan = iota
	// listAll lists the executions of the state machine, whatever their status.
	listAll
	// listEnded lists those that have ended, by status. What is not among them is taken to run; now and then running ones
	// are listed too, to see that this is so.
	listEnded
	// listRunning lists those that run. What is not among them has probably ended, and is described.
	listRunning
	plans
)

func (p plan) String() string {
	return [...]string{
		"describe each execution", "list all executions", "list ended executions by status", "list running executions",
	}[p]
}

// menu is what the choice of a plan depends on.
type menu struct {
	// starts are when the executions started that a listing could show, ascending.
	starts []time.Time
	// pages estimates the pages of a listing down to a start.
	pages func(p plan, cutoff time.Time) int
	// ending is the part of the waits that is expected to have ended, described the part of those that must be described
	// to know how.
	ending, described float64
	list, describe    price
	// unlistable: only describing is possible.
	unlistable bool
}

// price is what calls of an operation cost: seconds of the quota's refill each, and the seconds until the group's turn.
type price struct{ each, wait float64 }

// choice is a plan and why.
type choice struct {
	plan plan
	// cutoff is the start of the oldest execution that is looked for in listings; older ones are described.
	cutoff time.Time
	older  int
	pages  int
	costs  [plans]float64 // of the best variant of each plan, in seconds of quota; 0 where there was none
}

// choose returns the cheapest plan.
func choose(m menu) choice {
	n := len(m.starts)
	each := float64(n) * m.describe.each
	best := choice{plan: describeEach, older: n}
	best.costs[describeEach] = each
	if n > 0 {
		best.costs[describeEach] += m.describe.wait
	}
	if m.unlistable || n == 0 {
		return best
	}
	least := best.costs[describeEach]
	costs := best.costs
	for p := listAll; p < plans; p++ {
		// A few old executions would make a listing long: they can be left out of it.
		for _, older := range slices.Compact([]int{0, n / 100, n / 20, n / 10, n / 2}) {
			cutoff := m.starts[older]
			pages := m.pages(p, cutoff)
			cost := float64(pages)*m.list.each + m.list.wait + m.after(p, n-older)*m.describe.each
			if older > 0 {
				cost += float64(older)*m.describe.each + m.describe.wait
			}
			if costs[p] == 0 || cost < costs[p] {
				costs[p] = cost
			}
			if cost < least {
				least = cost
				best = choice{plan: p, cutoff: cutoff, older: older, pages: pages}
			}
		}
	}
	best.costs = costs
	return best
}

// after is how many executions are described after a listing of so many waits.
func (m menu) after(p plan, waits int) float64 {
	ends := m.ending * float64(waits)
	if p == listRunning {
		return ends
	}
	return ends * m.described
}

// explain tells the costs.
func (c choice) explain() string {
	text := fmt.Sprintf("cost in seconds of quota: %s %.1f", describeEach, c.costs[describeEach])
	for p := listAll; p < plans; p++ {
		if c.costs[p] > 0 {
			text += fmt.Sprintf(", %s %.1f", p, c.costs[p])
		}
	}
	return text
}

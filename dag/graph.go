package dag

import (
	"container/heap"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// CycleError says that tasks depend on each other in a circle.
type CycleError struct {
	// Tasks is the circle in the order of execution, each task upstream of the next; the first is repeated at the end.
	Tasks []string
}

func (e *CycleError) Error() string {
	return "the tasks form a cycle: " + strings.Join(e.Tasks, " -> ")
}

// Connect fills Downstream of every task from Upstream, both in the order of tasks. Upstream must name tasks of the
// list only.
func Connect(tasks []*Task) {
	at := positions(tasks)
	down := make([][]string, len(tasks))
	for _, t := range tasks {
		for _, up := range t.Upstream {
			i := at[up]
			down[i] = append(down[i], t.ID)
		}
	}
	for i, t := range tasks {
		t.Downstream = down[i]
	}
}

// Sort returns the tasks in topological order, ties in the given order, or a *CycleError. Upstream must name tasks of
// the list only.
func Sort(tasks []*Task) ([]*Task, error) {
	g := newGraph(tasks)
	waiting := make([]int, len(tasks))
	ready := &indexHeap{}
	for i := range tasks {
		waiting[i] = len(g.up[i])
		if waiting[i] == 0 {
			*ready = append(*ready, i)
		}
	}
	sorted := make([]*Task, 0, len(tasks))
	for ready.Len() > 0 {
		i := heap.Pop(ready).(int)
		sorted = append(sorted, tasks[i])
		for _, d := range g.down[i] {
			if waiting[d]--; waiting[d] == 0 {
				heap.Push(ready, d)
			}
		}
	}
	if len(sorted) < len(tasks) {
		return nil, &CycleError{Tasks: g.cycle(waiting)}
	}
	return sorted, nil
}

// Leaves returns the tasks without downstream tasks, which decide the state of a run.
func (d *DAG) Leaves() []*Task {
	var leaves []*Task
	for _, t := range d.Tasks {
		if len(t.Downstream) == 0 {
			leaves = append(leaves, t)
		}
	}
	return leaves
}

// Roots returns the tasks without upstream tasks.
func (d *DAG) Roots() []*Task {
	var roots []*Task
	for _, t := range d.Tasks {
		if len(t.Upstream) == 0 {
			roots = append(roots, t)
		}
	}
	return roots
}

// Descendants returns the ids of every task reachable downstream of the given ones, themselves excluded unless one is
// downstream of another, in topological order.
func (d *DAG) Descendants(ids ...string) []string {
	return d.reach(ids, func(t *Task) []string { return t.Downstream })
}

// Ancestors returns the ids of every task that the given ones wait for, directly or not, in topological order.
func (d *DAG) Ancestors(ids ...string) []string {
	return d.reach(ids, func(t *Task) []string { return t.Upstream })
}

func (d *DAG) reach(ids []string, next func(*Task) []string) []string {
	byID := d.byID
	if byID == nil {
		byID = make(map[string]*Task, len(d.Tasks))
		for _, t := range d.Tasks {
			byID[t.ID] = t
		}
	}
	seen := map[string]bool{}
	stack := append([]string(nil), ids...)
	for len(stack) > 0 {
		t := byID[stack[len(stack)-1]]
		stack = stack[:len(stack)-1]
		if t == nil {
			continue
		}
		for _, id := range next(t) {
			if !seen[id] {
				seen[id] = true
				stack = append(stack, id)
			}
		}
	}
	out := make([]string, 0, len(seen))
	for _, t := range d.Tasks {
		if seen[t.ID] {
			out = append(out, t.ID)
		}
	}
	return out
}

// PriorityWeights returns the effective weight of every task by its weight rule: its own weight, plus that of all
// descendants (downstream, the default) or all ancestors (upstream), kept within 32 bits as Airflow keeps it.
func (d *DAG) PriorityWeights() map[string]int {
	g := newGraph(d.Tasks)
	own := make([]int, len(d.Tasks))
	rules := map[WeightRule]bool{}
	for i, t := range d.Tasks {
		own[i] = t.PriorityWeight
		rules[t.WeightRule] = true
	}
	var down, up []int
	if rules[WeightDownstream] || rules[""] {
		down = g.closure(g.down, own, true)
	}
	if rules[WeightUpstream] {
		up = g.closure(g.up, own, false)
	}
	out := make(map[string]int, len(d.Tasks))
	for i, t := range d.Tasks {
		total := own[i]
		switch t.WeightRule {
		case WeightAbsolute:
		case WeightUpstream:
			total += up[i]
		default:
			total += down[i]
		}
		out[t.ID] = max(math.MinInt32, min(math.MaxInt32, total))
	}
	return out
}

// graph is a task list by index.
type graph struct {
	tasks    []*Task
	up, down [][]int
}

func positions(tasks []*Task) map[string]int {
	at := make(map[string]int, len(tasks))
	for i, t := range tasks {
		at[t.ID] = i
	}
	return at
}

func newGraph(tasks []*Task) *graph {
	g := &graph{tasks: tasks, up: make([][]int, len(tasks)), down: make([][]int, len(tasks))}
	at := positions(tasks)
	for i, t := range tasks {
		for _, id := range t.Upstream {
			u, known := at[id]
			if !known {
				continue
			}
			g.up[i] = append(g.up[i], u)
			g.down[u] = append(g.down[u], i)
		}
	}
	return g
}

// closure sums the weights of everything reachable over next, each task once. Reachable sets are bit rows of a block of
// columns at a time, so that memory stays linear in the number of tasks.
func (g *graph) closure(next [][]int, own []int, backwards bool) []int {
	const words = 8
	n := len(g.tasks)
	sums := make([]int, n)
	rows := make([][words]uint64, n)
	for first := 0; first < n; first += words * 64 {
		clear(rows)
		for step := range n {
			i := step
			if backwards {
				i = n - 1 - step
			}
			row := &rows[i]
			for _, j := range next[i] {
				for w, mask := range rows[j] {
					row[w] |= mask
				}
				if c := j - first; c >= 0 && c < words*64 {
					row[c/64] |= 1 << (c % 64)
				}
			}
			for w, mask := range row {
				for ; mask != 0; mask &= mask - 1 {
					sums[i] += own[first+w*64+bits.TrailingZeros64(mask)]
				}
			}
		}
	}
	return sums
}

// cycle finds the shortest circle through the first task, in list order, that lies on one. Tasks with waiting > 0 are
// on a circle or behind one.
func (g *graph) cycle(waiting []int) []string {
	for start := range g.tasks {
		if waiting[start] == 0 {
			continue
		}
		from := make(map[int]int)
		queue := []int{start}
		for len(queue) > 0 {
			i := queue[0]
			queue = queue[1:]
			for _, d := range g.down[i] {
				if d == start {
					return g.path(from, start, i)
				}
				if _, seen := from[d]; !seen && waiting[d] > 0 {
					from[d] = i
					queue = append(queue, d)
				}
			}
		}
	}
	return nil
}

// path names start, ..., last, start, following from backwards.
func (g *graph) path(from map[int]int, start, last int) []string {
	reversed := []string{g.tasks[start].ID}
	for i := last; i != start; i = from[i] {
		reversed = append(reversed, g.tasks[i].ID)
	}
	reversed = append(reversed, g.tasks[start].ID)
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	return reversed
}

// indexHeap is a min-heap of indices.
type indexHeap []int

func (h indexHeap) Len() int           { return len(h) }
func (h indexHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h indexHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *indexHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *indexHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// SetupScopes are, by setup, the tasks that need it, in topological order: those between the setup and its teardowns, or
// everything behind a setup that has none. Teardowns are in no scope.
func (d *DAG) SetupScopes() map[string][]string {
	var scopes map[string][]string
	for _, setup := range d.Tasks {
		if !setup.Setup {
			continue
		}
		var ends []string
		for _, t := range d.Tasks {
			if t.Teardown && slices.Contains(t.Setups, setup.ID) {
				ends = append(ends, t.ID)
			}
		}
		inside := map[string]bool{}
		for _, id := range d.Ancestors(ends...) {
			inside[id] = true
		}
		if scopes == nil {
			scopes = map[string][]string{}
		}
		scopes[setup.ID] = []string{}
		for _, id := range d.Descendants(setup.ID) {
			if t := d.Task(id); t != nil && !t.Teardown && (len(ends) == 0 || inside[id]) {
				scopes[setup.ID] = append(scopes[setup.ID], id)
			}
		}
	}
	return scopes
}

package plan

import (
	"math/bits"

	"gust/dag"
)

// graph is a DAG version prepared for scheduling: tasks by index instead of by name.
type graph struct {
	dag   *dag.DAG
	index map[string]int
	up    [][]int32
	down  [][]int32
	// weight is the effective priority of each task.
	weight []int
	// setups are, of each task, the setups in whose scope it is: all of them must have succeeded before it runs. scope
	// is the reverse.
	setups [][]int32
	scope  [][]int32
	// past are the tasks that depend on the previous run.
	past []string
	// refs counts the runs and the pipeline that use the graph.
	refs int
}

func newGraph(d *dag.DAG) *graph {
	n := len(d.Tasks)
	g := &graph{dag: d, index: make(map[string]int, n), up: make([][]int32, n), down: make([][]int32, n),
		weight: make([]int, n)}
	for i, t := range d.Tasks {
		g.index[t.ID] = i
		if dependsOnPast(t) {
			g.past = append(g.past, t.ID)
		}
	}
	weights := d.PriorityWeights()
	for i, t := range d.Tasks {
		g.up[i] = g.indices(t.Upstream)
		g.down[i] = g.indices(t.Downstream)
		g.weight[i] = weights[t.ID]
	}
	g.findScopes()
	return g
}

// findScopes indexes the scopes of the DAG's setups.
func (g *graph) findScopes() {
	scopes := g.dag.SetupScopes()
	if len(scopes) == 0 {
		return
	}
	g.setups, g.scope = make([][]int32, len(g.dag.Tasks)), make([][]int32, len(g.dag.Tasks))
	for s, setup := range g.dag.Tasks {
		g.scope[s] = g.indices(scopes[setup.ID])
		for _, i := range g.scope[s] {
			g.setups[i] = append(g.setups[i], int32(s))
		}
	}
}

func dependsOnPast(t *dag.Task) bool { return t.DependsOnPast || t.WaitForDownstream }

func (g *graph) indices(ids []string) []int32 {
	if len(ids) == 0 {
		return nil
	}
	out := make([]int32, 0, len(ids))
	for _, id := range ids {
		if i, ok := g.index[id]; ok {
			out = append(out, int32(i))
		}
	}
	return out
}

// reach marks everything reachable downstream from the given tasks, themselves included.
func (g *graph) reach(from []int32) bitset {
	set := make(bitset, (len(g.dag.Tasks)+63)/64)
	stack := append([]int32(nil), from...)
	for _, i := range from {
		set.add(int(i))
	}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, j := range g.down[i] {
			if !set.has(int(j)) {
				set.add(int(j))
				stack = append(stack, j)
			}
		}
	}
	return set
}

// inGroup reports whether the task is in this task group or in one inside it.
func (g *graph) inGroup(t *dag.Task, group string) bool {
	name := t.Group
	for range len(g.dag.Groups) + 1 {
		if name == group {
			return true
		}
		parent := ""
		for _, gr := range g.dag.Groups {
			if gr.ID == name {
				parent = gr.Parent
				break
			}
		}
		if name = parent; name == "" {
			return false
		}
	}
	return false
}

// bitset is a set of task indices.
type bitset []uint64

func (b bitset) has(i int) bool { return b[i>>6]&(1<<(i&63)) != 0 }
func (b bitset) add(i int)      { b[i>>6] |= 1 << (i & 63) }

func (b bitset) each(f func(int)) {
	for k, w := range b {
		for ; w != 0; w &= w - 1 {
			f(k<<6 + bits.TrailingZeros64(w))
		}
	}
}

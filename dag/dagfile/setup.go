package dagfile

import (
	"fmt"
	"slices"

	"gust/dag"
)

// setupKeys are the keys of a task that make it a setup or a teardown. dag-factory has no spelling for them.
var setupKeys = []string{"setup", "teardown", "on_failure_fail_dagrun"}

// setupRole reads setup: true, teardown: true, teardown: [setups] and on_failure_fail_dagrun. The setups that a teardown
// names become setups, and upstream of it.
func (b *builder) setupRole(n *node) {
	t := n.task
	if name, ok := n.decoratorName(); ok {
		t.Setup, t.Teardown = name == "setup", name == "teardown"
	}
	if v := n.cfg.get("setup"); !v.isNull() {
		t.Setup, _ = b.boolean(v, n.path+".setup")
	}
	if v := n.cfg.get("teardown"); !v.isNull() {
		b.teardownRole(n, v, n.path+".teardown")
	}
	if e := n.cfg.find("on_failure_fail_dagrun"); e != nil && !e.val.isNull() {
		t.OnFailureFailRun, _ = b.boolean(e.val, n.path+".on_failure_fail_dagrun")
		if !t.Teardown {
			b.fail(e.pos, n.path+".on_failure_fail_dagrun", Problem{
				Message: "the task is not a teardown", Hint: "add teardown: true; other tasks decide the state of their run anyway",
			})
		}
	}
	if !t.Teardown {
		return
	}
	if t.Setup {
		b.errorf(n.pos, n.path, "the task is both a setup and a teardown")
	}
	if e := n.cfg.find("trigger_rule"); e != nil && !e.val.isNull() {
		if rule, _ := e.val.text(); rule != teardownRule {
			b.fail(e.pos, n.path+".trigger_rule", Problem{
				Message: "the trigger rule of a teardown is fixed: it runs when everything before it is done and a setup succeeded",
				Hint:    "remove it",
			})
		}
	}
	t.TriggerRule = dag.AllSuccess // whatever default_args say; the planner applies the fixed rule
}

// decoratorName is the last part of a task's decorator: "setup" of airflow.sdk.setup.
func (n *node) decoratorName() (string, bool) {
	if !n.cfg.get("operator").isNull() || n.cfg.get("decorator").isNull() {
		return "", false
	}
	path, ok := n.cfg.get("decorator").text()
	return className(path), ok
}

// teardownRule is Airflow's name of the fixed rule of teardowns.
const teardownRule = "all_done_setup_success"

// teardownOnly reports whether a trigger rule is that of teardowns, which other tasks may not have.
func (b *builder) teardownOnly(n *node, rule *value, path string) bool {
	if text, _ := rule.text(); text != teardownRule {
		return false
	}
	if v, name := n.cfg.get("teardown"), className(n.task.Written); (v.isNull() || v.data == false) && name != "teardown" {
		b.fail(rule.pos, path, Problem{Message: fmt.Sprintf("only a teardown has the rule %q", teardownRule), Hint: "add teardown: true"})
	}
	return true
}

func (b *builder) teardownRole(n *node, v *value, path string) {
	v = b.plain(v, path)
	if on, ok := v.data.(bool); ok {
		n.task.Teardown = on
		return
	}
	if v.kind != kindList {
		b.mismatch(v, path, "true, or a list of the names of its setup tasks")
		return
	}
	n.task.Teardown = true
	for i, item := range v.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		name, ok := b.text(item, at)
		if !ok {
			continue
		}
		if from, ok := b.upstreamRef(n, name, item.pos, at); ok {
			n.setups = append(n.setups, setupRef{from, item.pos, at})
		}
	}
}

// setupRef is a setup that a teardown names.
type setupRef struct {
	node *node
	pos  pos
	path string
}

// markSetups makes setups of the tasks that teardowns name, once all tasks are read.
func (b *builder) markSetups() {
	for _, n := range b.nodes {
		for _, s := range n.setups {
			if s.node.task.Teardown {
				b.errorf(s.pos, s.path, "task %q is a teardown itself", s.node.name)
				continue
			}
			s.node.task.Setup = true
		}
	}
}

// linkSetups finds the setups of each teardown, its direct upstream ones, and checks what stands behind a setup. It runs
// once all edges are known.
func (b *builder) linkSetups() {
	for _, n := range b.nodes {
		for _, u := range n.up {
			switch {
			case !u.task.Setup:
			case n.task.Teardown:
				n.task.Setups = append(n.task.Setups, u.task.ID)
			case n.task.TriggerRule != dag.AllSuccess:
				b.fail(b.ruleAt(n), n.path+".trigger_rule", Problem{
					Message:  fmt.Sprintf("trigger_rule %s directly behind the setup task %q", n.task.TriggerRule, u.task.ID),
					Expected: string(dag.AllSuccess),
				})
			}
		}
		slices.Sort(n.task.Setups)
	}
}

// leaves are the members whose end a task behind the group waits for: those without a neighbour behind them inside the
// group. Teardowns are passed over, and instead of one the work before it counts (Airflow: TaskGroup.get_leaves).
func (g *group) leaves() []*node {
	inside := make(map[*node]bool, len(g.members))
	for _, n := range g.members {
		inside[n] = true
	}
	var out []*node
	added := map[*node]bool{}
	add := func(n *node) {
		if !added[n] {
			added[n] = true
			out = append(out, n)
		}
	}
	seen := map[*node]bool{}
	var before func(n *node)
	before = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, u := range n.up {
			switch {
			case !inside[u]:
			case u.task.Teardown:
				before(u)
			case u.task.Setup:
			case !slices.ContainsFunc(u.down, func(d *node) bool { return d != n && inside[d] && !d.task.Teardown }):
				add(u)
			}
		}
	}
	for _, n := range g.members {
		switch {
		case slices.ContainsFunc(n.down, func(d *node) bool { return inside[d] }):
		case n.task.Teardown:
			before(n)
		default:
			add(n)
		}
	}
	return out
}

package dagfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gust/dag"
	"gust/internal/param"
)

// group is a task group of the file.
type group struct {
	name, id, path string
	pos            pos
	cfg            *value
	tooltip        string
	prefix         bool
	parent         *group
	depth          int
	scope          *scope
	deps           []dependency
	members        []*node // direct and nested
}

// dependency is a name in a dependencies list.
type dependency struct {
	name string
	pos  pos
	path string
}

// childID is the full id of a member.
func (g *group) childID(name string) string {
	if g == nil || g.id == "" || !g.prefix {
		return name
	}
	return g.id + "." + name
}

// named is an item of a list or dict of tasks or groups.
type named struct {
	name, path string
	pos        pos
	cfg        *value
}

// namedItems reads tasks or groups in list form, where idKey names them, or in dict form.
func (b *builder) namedItems(key, idKey string) []named {
	v, path := b.cfg.get(key), b.id+"."+key
	switch {
	case v.isNull():
		return nil
	case v.kind == kindList:
		return b.listItems(v, path, idKey)
	case v.kind != kindDict || v.typeName() != "":
		b.mismatch(v, path, "a list or a dict")
		return nil
	}
	out := make([]named, 0, len(v.keys))
	for _, e := range v.keys {
		at := path + "." + e.key
		if e.kind != kindText {
			b.fail(e.pos, at, Problem{Message: "the key is a " + e.kind.String(), Expected: "a string", Hint: "quote it"})
		}
		if e.val.kind != kindDict {
			b.mismatch(e.val, at, "a dict")
			continue
		}
		if id := e.val.get(idKey); !id.isNull() {
			if s, ok := id.text(); !ok || s != e.key {
				b.warn(id.pos, at+"."+idKey, Problem{Message: fmt.Sprintf("has no effect: the key %q names it", e.key)})
			}
		}
		out = append(out, named{e.key, at, e.pos, e.val})
	}
	return out
}

func (b *builder) listItems(v *value, path, idKey string) []named {
	out := make([]named, 0, len(v.items))
	first := map[string]pos{}
	for i, item := range v.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		if item.kind != kindDict {
			b.mismatch(item, at, "a dict with a "+idKey)
			continue
		}
		id := item.get(idKey)
		if id.isNull() {
			b.fail(item.pos, at, Problem{Message: fmt.Sprintf("missing %q", idKey), Hint: misspelt(item, idKey)})
			continue
		}
		name, ok := b.text(id, at+"."+idKey)
		if !ok {
			continue
		}
		if p, dup := first[name]; dup {
			_, line, _ := p.src.locate(p)
			b.errorf(id.pos, at+"."+idKey, "duplicate %s %q; it is already given in line %d", idKey, clip(name), line)
			continue
		}
		first[name] = id.pos
		out = append(out, named{name, path + "." + name, item.pos, item})
	}
	return out
}

// misspelt returns a hint when the dict has a key much like the wanted one.
func misspelt(v *value, want string) string {
	for _, e := range v.keys {
		if e.key != want && param.Nearest(e.key, []string{want}) != "" {
			return fmt.Sprintf("rename %q to %q", clip(e.key), want)
		}
	}
	return ""
}

// readGroups reads task_groups and nests them.
func (b *builder) readGroups() {
	for _, n := range b.namedItems("task_groups", "group_name") {
		g := &group{name: n.name, path: n.path, pos: n.pos, cfg: n.cfg, prefix: true}
		if !validID(n.name, false) {
			b.fail(n.pos, n.path, Problem{
				Message:  fmt.Sprintf("%q is not a task group id", clip(n.name)),
				Expected: "letters, digits, \"_\" and \"-\", at most 250",
			})
		}
		b.groups = append(b.groups, g)
		b.byGroup[g.name] = g
	}
	names := make([]string, len(b.groups))
	for i, g := range b.groups {
		names[i] = g.name
	}
	for _, g := range b.groups {
		b.readGroup(g, names)
	}
	for _, g := range b.groups {
		b.uncircle(g)
	}
	for _, g := range b.groups {
		for p := g.parent; p != nil; p = p.parent {
			g.depth++
		}
	}
	slices.SortStableFunc(b.groups, func(x, y *group) int { return x.depth - y.depth })
	for _, g := range b.groups {
		parent := b.args
		if g.parent != nil {
			parent = g.parent.scope
		}
		g.id = g.parent.childID(g.name)
		g.scope = b.newScope(parent, g.cfg.get("default_args"), g.path+".default_args")
	}
}

func (b *builder) readGroup(g *group, names []string) {
	for _, e := range g.cfg.keys {
		path := g.path + "." + e.key
		reason, known := groupKeys[e.key]
		switch {
		case !known && !isAnchorHolder(e.key):
			b.fail(e.pos, path, Problem{
				Message: "unknown key of a task group", Nearest: b.nearest(e.key, sortedKeys(groupKeys)),
			})
		case reason != "":
			b.warn(e.pos, path, Problem{Message: "has no effect: " + reason})
		}
	}
	if v := g.cfg.get("tooltip"); !v.isNull() {
		g.tooltip, _ = b.text(v, g.path+".tooltip")
	}
	if v := g.cfg.get("prefix_group_id"); !v.isNull() {
		if x, ok := b.boolean(v, g.path+".prefix_group_id"); ok {
			g.prefix = x
		}
	}
	if v := g.cfg.get("parent_group_name"); !v.isNull() {
		path := g.path + ".parent_group_name"
		if name, ok := b.text(v, path); ok {
			if g.parent = b.byGroup[name]; g.parent == nil {
				b.fail(v.pos, path, Problem{
					Message: fmt.Sprintf("unknown task group %q", clip(name)), Nearest: b.nearest(name, names),
				})
			}
		}
	}
	g.deps = b.dependencies(g.cfg.get("dependencies"), g.path+".dependencies")
}

// uncircle breaks a circle of parents at g, if g is on one.
func (b *builder) uncircle(g *group) {
	seen := map[*group]bool{}
	for p := g.parent; p != nil && !seen[p]; p = p.parent {
		if p == g {
			b.errorf(g.pos, g.path+".parent_group_name", "the task groups contain each other in a circle")
			g.parent = nil
			return
		}
		seen[p] = true
	}
}

// dependencies reads a list of task and group names.
func (b *builder) dependencies(v *value, path string) []dependency {
	if v.isNull() {
		return nil
	}
	v = b.plain(v, path)
	if v.kind != kindList {
		p := Problem{Message: "wrong type: " + v.describe(), Expected: "a list of task or task group names"}
		if s, ok := v.text(); ok {
			p.Hint = fmt.Sprintf("write [%s]", clip(s))
		}
		b.fail(v.pos, path, p)
		return nil
	}
	var out []dependency
	for i, item := range v.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		if s, ok := b.text(item, at); ok {
			out = append(out, dependency{s, item.pos, at})
		}
	}
	return out
}

// edge is a dependency between tasks or groups: exactly one of each pair is set.
type edge struct {
	from, to           *node
	fromGroup, toGroup *group
	dep                dependency
	depth              int // of the innermost group that holds both ends
}

// connect resolves every dependency and flattens those on and of groups: a group waits with its roots and is waited for
// with its leaves.
func (b *builder) connect() {
	var edges []edge
	names := make([]string, 0, len(b.nodes)+len(b.groups))
	for _, n := range b.nodes {
		names = append(names, n.name)
	}
	for _, g := range b.groups {
		names = append(names, g.name)
	}
	for _, n := range b.nodes {
		for _, d := range n.deps {
			edges = b.addEdge(edges, edge{to: n, dep: d}, n.group, names)
		}
	}
	for _, g := range b.groups {
		for _, d := range g.deps {
			edges = b.addEdge(edges, edge{toGroup: g, dep: d}, g.parent, names)
		}
	}
	// Edges inside a group decide which of its tasks are roots and leaves: the innermost come first.
	slices.SortStableFunc(edges, func(x, y edge) int { return y.depth - x.depth })
	for _, e := range edges {
		b.flatten(e)
	}
	b.linkSetups()
	b.order()
}

func (b *builder) addEdge(edges []edge, e edge, inside *group, names []string) []edge {
	var around *group
	switch n, g := b.byName[e.dep.name], b.byGroup[e.dep.name]; {
	case n != nil:
		e.from, around = n, n.group
	case g != nil:
		e.fromGroup, around = g, g.parent
	default:
		if n := b.byFullID(e.dep.name); n != nil {
			e.from, around = n, n.group
			break
		}
		b.fail(e.dep.pos, e.dep.path, Problem{
			Message: fmt.Sprintf("unknown task or task group %q", clip(e.dep.name)), Nearest: b.nearest(e.dep.name, names),
		})
		return edges
	}
	if e.toGroup != nil && (e.fromGroup == e.toGroup || within(around, e.toGroup)) {
		b.errorf(e.dep.pos, e.dep.path, "task group %q depends on %q, which is inside of it", e.toGroup.name, e.dep.name)
		return edges
	}
	if e.fromGroup != nil && within(inside, e.fromGroup) {
		b.errorf(e.dep.pos, e.dep.path, "it depends on the task group %q, which it is inside of", e.dep.name)
		return edges
	}
	e.depth = commonDepth(inside, around)
	return append(edges, e)
}

func (b *builder) byFullID(id string) *node {
	if !strings.Contains(id, ".") {
		return nil
	}
	for _, n := range b.nodes {
		if n.task.ID == id {
			return n
		}
	}
	return nil
}

// within reports whether g is outer or nested in it.
func within(g, outer *group) bool {
	for ; g != nil; g = g.parent {
		if g == outer {
			return true
		}
	}
	return false
}

// commonDepth is the depth of the innermost group that holds both, counted from 1; 0 for the DAG itself.
func commonDepth(x, y *group) int {
	for ; x != nil; x = x.parent {
		if within(y, x) {
			return x.depth + 1
		}
	}
	return 0
}

func (b *builder) flatten(e edge) {
	from, to := []*node{e.from}, []*node{e.to}
	if e.fromGroup != nil {
		from = e.fromGroup.leaves()
	}
	if e.toGroup != nil {
		to = e.toGroup.roots()
	}
	for _, t := range to {
		for _, f := range from {
			if t.waitsFor(f) {
				continue
			}
			t.up, t.causes = append(t.up, f), append(t.causes, e.dep)
			f.down = append(f.down, t)
			if t.upAt != nil {
				t.upAt[f] = len(t.up) - 1
			}
		}
	}
}

// waitsFor reports whether the edge is there already.
func (n *node) waitsFor(from *node) bool {
	if n.upAt == nil && len(n.up) >= smallDict {
		n.upAt = make(map[*node]int, 2*smallDict)
		for i, u := range n.up {
			n.upAt[u] = i
		}
	}
	if n.upAt != nil {
		_, known := n.upAt[from]
		return known
	}
	return slices.Contains(n.up, from)
}

// roots are the members that wait for no other member.
func (g *group) roots() []*node {
	inside := make(map[*node]bool, len(g.members))
	for _, n := range g.members {
		inside[n] = true
	}
	var out []*node
	for _, n := range g.members {
		if !slices.ContainsFunc(n.up, func(m *node) bool { return inside[m] }) {
			out = append(out, n)
		}
	}
	return out
}

// order writes the edges into the tasks and sorts them topologically.
func (b *builder) order() {
	tasks := make([]*dag.Task, len(b.nodes))
	byTask := make(map[string]*node, len(b.nodes))
	for i, n := range b.nodes {
		tasks[i] = n.task
		byTask[n.task.ID] = n
		up := slices.Clone(n.up)
		slices.SortFunc(up, func(x, y *node) int { return x.index - y.index })
		for _, u := range up {
			n.task.Upstream = append(n.task.Upstream, u.task.ID)
		}
	}
	sorted, err := dag.Sort(tasks)
	var cycle *dag.CycleError
	if errors.As(err, &cycle) {
		b.reportCycle(cycle, byTask)
		return
	}
	dag.Connect(tasks)
	b.d.Tasks = sorted
}

func (b *builder) reportCycle(cycle *dag.CycleError, byTask map[string]*node) {
	ids := cycle.Tasks
	to, from := byTask[ids[0]], byTask[ids[len(ids)-2]]
	d := dependency{pos: to.pos, path: to.path}
	if i := slices.Index(to.up, from); i >= 0 { // unless another task has the same id, which was reported
		d = to.causes[i]
	}
	if len(ids) == 2 {
		b.errorf(d.pos, d.path, "task %q depends on itself", ids[0])
		return
	}
	b.errorf(d.pos, d.path, "%v", cycle)
}

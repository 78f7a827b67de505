package attempt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/expansion"
	"gust/store"
)

// defaultMaxMapLength is [core] max_map_length.
const defaultMaxMapLength = 1024

// maxExpansions bounds how many expansions keep their decoded lists.
const maxExpansions = 32

// expansions keeps the lists that mapped tasks run over, so that the instances of one task do not decode them again and
// again. What a list belongs to is named by the expansion, of which the scheduler makes a new one whenever a source may
// have changed.
type expansions struct {
	mu    sync.Mutex
	lists map[expansionKey]*lists
}

type expansionKey struct {
	run    dag.RunKey
	taskID string
	number int
}

// lists are the values of a task's mapped fields. The mutex lets one instance read them and the others wait for it.
type lists struct {
	mu      sync.Mutex
	values  []any
	lengths []int
}

func (x *expansions) of(key expansionKey) *lists {
	x.mu.Lock()
	defer x.mu.Unlock()
	l := x.lists[key]
	if l == nil {
		if x.lists == nil || len(x.lists) >= maxExpansions {
			x.lists = map[expansionKey]*lists{} // what is in use is read anew
		}
		l = &lists{}
		x.lists[key] = l
	}
	return l
}

// read fills the lists once. A failed read is tried again by the next instance.
func (l *lists) read(ctx context.Context, xcoms store.XComs, w *executor.Work) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.values != nil {
		return nil
	}
	fields := w.Task.Mapped.Fields
	values, lengths := make([]any, len(fields)), make([]int, len(fields))
	for i := range fields {
		var err error
		if values[i], err = expansion.Value(ctx, xcoms, w.DAG, w.Run.RunKey, &fields[i]); err != nil {
			return err
		}
		lengths[i], _ = dag.Items(values[i])
	}
	l.values, l.lengths = values, lengths
	return nil
}

// mapped lays this instance's items over the parameters. Items are data: they are not rendered as templates.
func (h *Handle) mapped(ctx context.Context, params map[string]any) (map[string]any, error) {
	w := h.work
	index := w.Instance.MapIndex
	if w.Task.Mapped == nil || index < 0 {
		return params, nil
	}
	l := h.env.expansions.of(expansionKey{w.Run.RunKey, w.Task.ID, w.Expansion})
	if err := l.read(ctx, h.env.XComs, w); err != nil {
		return nil, fmt.Errorf("the items that the task is mapped over: %w", err)
	}
	out := maps.Clone(params)
	if out == nil {
		out = map[string]any{}
	}
	at := w.Task.Mapped.Indices(index, l.lengths)
	for i, f := range w.Task.Mapped.Fields {
		item, ok := dag.Item(l.values[i], at[i])
		if !ok {
			return nil, fmt.Errorf("the items that the task is mapped over: field %s has %d items now, and this is instance %d; "+
				"clear the whole task to expand it again", f.Name, l.lengths[i], index)
		}
		lay(out, f.Name, item)
	}
	return out, nil
}

// maxMapLabel is how many characters of a rendered map_index_template are kept, as in Airflow.
const maxMapLabel = 250

// mapLabel renders map_index_template. What it cannot render is a line in the log and no more: the work is done.
func (h *Handle) mapLabel() string {
	t := h.work.Task
	if t.Mapped == nil || t.Mapped.IndexTemplate == "" || h.work.Instance.MapIndex < 0 {
		return ""
	}
	renderer, ok := h.env.Renderer.(TextRenderer)
	if !ok {
		return ""
	}
	label, err := renderer.RenderText(context.Background(), h, t.Mapped.IndexTemplate)
	if err != nil {
		h.logger.Warn("map_index_template cannot be rendered: " + h.mask(err.Error()))
		return ""
	}
	label = h.mask(label)
	if runes := []rune(label); len(runes) > maxMapLabel {
		label = string(runes[:maxMapLabel])
	}
	return label
}

// mappable refuses an end that the tasks behind this one could not be mapped over: then this one is what has failed
// (Airflow: XComForMappingNotPushed, UnmappableXComTypePushed, UnmappableXComLengthPushed).
func (h *Handle) mappable(xcoms []store.XCom) error {
	if h.work.Instance.MapIndex >= 0 {
		return nil
	}
	for _, id := range h.work.Task.Downstream {
		down := h.work.DAG.Task(id)
		if down == nil || down.Mapped == nil {
			continue
		}
		for _, source := range down.Mapped.Sources() {
			if source.TaskID != h.work.Task.ID || source.Key != dag.ReturnValue || source.Item != nil {
				continue
			}
			if err := h.mappableOver(xcoms, down); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *Handle) mappableOver(xcoms []store.XCom, down *dag.Task) error {
	for i := range xcoms {
		if xcoms[i].Name != dag.ReturnValue {
			continue
		}
		value, err := dag.DecodeJSON(xcoms[i].Value)
		if err != nil {
			return err
		}
		n, ok := dag.Items(value)
		limit := cmp.Or(h.env.MaxMapLength, defaultMaxMapLength)
		switch {
		case !ok:
			return fmt.Errorf("task %s is mapped over this one: %w", down.ID,
				expansion.Unmappable(h.work.Task.ID, dag.ReturnValue, value))
		case n > limit:
			return fmt.Errorf("task %s is mapped over this one, which returned %d items; core.max_map_length allows %d",
				down.ID, n, limit)
		}
		return nil
	}
	return fmt.Errorf("task %s is mapped over this one, which returned nothing; return a list or an object", down.ID)
}

// pullMapped reads what the instances of a mapped task have pushed, as one list by map index.
func (h *Handle) pullMapped(ctx context.Context, taskID, key string) (value []byte, found bool, err error) {
	rows, err := h.env.XComs.XComMapped(ctx, h.work.Run.RunKey, taskID, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, false, fmt.Errorf("pull XCom %q of the mapped task %q: %w", key, taskID, err)
	}
	if len(rows) == 0 {
		return nil, false, nil
	}
	value = append(value, '[')
	for i := range rows {
		if i > 0 {
			value = append(value, ',')
		}
		value = append(value, rows[i].Value...)
	}
	return append(value, ']'), true, nil
}

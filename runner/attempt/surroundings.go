package attempt

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"gust/dag"
	"gust/dag/template"
	"gust/operators"
)

var _ operators.Surroundings = (*Handle)(nil)

// errNoTemplates is a handle whose environment renders nothing, and so knows nothing of what templates see.
var errNoTemplates = errors.New("it is not available here: there is no template environment")

func (h *Handle) see() (*Templates, *template.Vars, error) {
	r, ok := h.env.Renderer.(*Templates)
	if !ok {
		return nil, nil, errNoTemplates
	}
	vars, err := r.vars(h)
	return r, vars, err
}

// DAG is the version that the run is of.
func (h *Handle) DAG() *dag.DAG { return h.work.DAG }

// Instance is the task instance.
func (h *Handle) Instance() dag.TaskInstance {
	ti := h.work.Instance
	ti.StartDate = h.TryStart()
	return ti
}

// MergedParams are the params that templates see.
func (h *Handle) MergedParams() (json.RawMessage, error) {
	return template.MergeParams(h.work.DAG.Params, h.work.Task.TaskParams, h.work.Run.Conf)
}

// Variable reads a variable as templates do.
func (h *Handle) Variable(ctx context.Context, key string) (string, bool, error) {
	r, _, err := h.see()
	if err != nil || r.Variable == nil {
		return "", true, errors.Join(err, errNoTemplates)
	}
	return r.Variable(ctx, key)
}

// XCom reads a value as templates do.
func (h *Handle) XCom(ctx context.Context, q operators.XComQuery) (json.RawMessage, bool, error) {
	own := h.work.Instance.Key
	x := template.XCom{
		DagID: q.DagID, RunID: q.RunID, TaskID: q.TaskID, Key: q.Key, MapIndex: q.MapIndex, PriorDates: q.PriorDates,
	}
	for _, f := range []struct {
		field *string
		own   string
	}{{&x.DagID, own.DagID}, {&x.RunID, own.RunID}, {&x.TaskID, own.TaskID}, {&x.Key, ReturnValue}} {
		if *f.field == "" {
			*f.field = f.own
		}
	}
	r, _, err := h.see()
	if errors.Is(err, errNoTemplates) {
		return h.XComPull(ctx, x.TaskID, x.Key)
	}
	if err != nil {
		return nil, false, err
	}
	return r.xcom(ctx, h, x)
}

// PreviousSuccess is the latest successful run before this one.
func (h *Handle) PreviousSuccess(ctx context.Context) (*operators.PreviousRun, error) {
	r, _, err := h.see()
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // nobody knows of earlier runs
	}
	p, err := r.previous(ctx, h)
	if p == nil || err != nil {
		return nil, err
	}
	return &operators.PreviousRun{
		IntervalStart: p.IntervalStart, IntervalEnd: p.IntervalEnd, StartDate: p.StartDate, EndDate: p.EndDate,
	}, nil
}

// Neighbour is the logical date of a tick beside this run's.
func (h *Handle) Neighbour(step int) (time.Time, bool) {
	return neighbour(h.work.DAG, &h.work.Run)(step)
}

// Label adds names that map_index_template may use.
func (h *Handle) Label(names map[string]any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.labels == nil {
		h.labels = map[string]any{}
	}
	maps.Copy(h.labels, names)
}

// lay puts a mapped item into the parameters. A name with a dot, "op_kwargs.x", is a key of a parameter that is an
// object; what lies there is copied, not changed.
func lay(params map[string]any, name string, item any) {
	for i := range len(name) {
		if name[i] != '.' {
			continue
		}
		inner, _ := params[name[:i]].(map[string]any)
		inner = maps.Clone(inner)
		if inner == nil {
			inner = map[string]any{}
		}
		lay(inner, name[i+1:], item)
		params[name[:i]] = inner
		return
	}
	params[name] = item
}

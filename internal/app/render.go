package app

import (
	"context"
	"fmt"
	"strings"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/executor"
)

// Rendered is one templated parameter of a task.
type Rendered struct {
	Name  string
	Value any
}

// Render renders the templated parameters of a task for a run, without running anything. Values of other tasks are those
// that the run has pushed. Of a mapped task, mapIndex is the instance; -1 shows it without the items that it is mapped over.
func (a *App) Render(ctx context.Context, d *dag.DAG, t *dag.Task, run *dag.Run, mapIndex int) ([]Rendered, error) {
	registry, err := Catalog()
	if err != nil {
		return nil, err
	}
	spec, ok := registry.Lookup(t.Operator)
	if !ok {
		return nil, fmt.Errorf("task %s: there is no operator %q", t.ID, t.Operator)
	}
	env := &attempt.Env{
		Operators: registry, Connections: a.Connections, XComs: a.Store, Renderer: a.templates(true), Mask: a.Masker.Mask, Now: a.Now,
	}
	key := dag.Key{DagID: d.ID, RunID: run.RunID, TaskID: t.ID, MapIndex: mapIndex}
	instance := dag.TaskInstance{Key: key, TryNumber: 1, MaxTries: t.Retries, Operator: t.Operator}
	handle := env.Open(&executor.Work{DAG: d, Task: t, Run: *run, Instance: instance}, noReports{})
	defer handle.Close()
	return render(ctx, env, handle, spec, t)
}

func render(ctx context.Context, env *attempt.Env, h *attempt.Handle, spec *operators.Spec, t *dag.Task) ([]Rendered, error) {
	schema := spec.Schema()
	values, err := env.Renderer.RenderParams(ctx, h, schema, t.Params)
	if err != nil {
		return nil, fmt.Errorf("task %s: %w", t.ID, err)
	}
	if values, err = h.WithItems(ctx, values); err != nil {
		return nil, fmt.Errorf("task %s: %w", t.ID, err)
	}
	mapped := map[string]bool{}
	if t.Mapped != nil {
		for i := range t.Mapped.Fields {
			name, _, _ := strings.Cut(t.Mapped.Fields[i].Name, ".")
			mapped[name] = true
		}
	}
	var out []Rendered
	for _, f := range schema.Fields {
		if !f.Template && !mapped[f.Name] {
			continue
		}
		if v, given := values[f.Name]; given {
			out = append(out, Rendered{f.Name, v})
		}
	}
	return out, nil
}

// noReports drops reports: nothing is run.
type noReports struct{}

func (noReports) Report(executor.Report) {}

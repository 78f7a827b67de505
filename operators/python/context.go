//go:build unix

package python

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gust/connections"
	"gust/dag"
	"gust/internal/pyworker"
	"gust/operators"
)

// contextOf makes Airflow's context of what the task knows.
func contextOf(t operators.Task) (*pyworker.Context, error) {
	a, run := t.Attempt(), t.Run()
	c := &pyworker.Context{
		DAG: pyworker.ContextDAG{ID: a.DagID, Timezone: "UTC", Tags: []string{}},
		DagRun: pyworker.ContextRun{
			ID: run.RunID, Type: string(run.Type), State: string(dag.RunRunning), Conf: conf(run.Conf),
			ExternalTrigger: run.Type == dag.RunManual, TriggeredBy: string(run.TriggeredBy),
			LogicalDate: pyworker.Moment(run.LogicalDate), RunAfter: pyworker.Moment(run.RunAfter),
			DataIntervalStart: pyworker.Moment(run.IntervalStart), DataIntervalEnd: pyworker.Moment(run.IntervalEnd),
			StartDate: pyworker.Moment(run.StartDate),
		},
		TI: pyworker.ContextTI{
			TaskID: a.TaskID, MapIndex: a.MapIndex, TryNumber: a.TryNumber, State: string(dag.StateRunning),
			Key: a.String(), Hostname: hostname(), StartDate: pyworker.Moment(t.Now()),
		},
		Names: map[string]any{"exception": nil, "reason": nil, "test_mode": false, "task_reschedule_count": 0, "inlets": []any{},
			"outlets": []any{}, "expanded_ti_count": nil, "triggering_asset_events": map[string]any{}},
	}
	if spec := t.Spec(); spec != nil {
		c.Task = taskOf(spec)
		c.TI.MaxTries, c.TI.Operator, c.TI.Pool, c.TI.Queue = spec.Retries, spec.Operator, spec.Pool, spec.Queue
		c.Names["inlets"], c.Names["outlets"] = assets(spec.Inlets), assets(spec.Outlets)
	}
	s, ok := t.(operators.Surroundings)
	if !ok {
		return c, nil
	}
	return c, surround(c, s)
}

// hostname is the machine's name; "" when it has none.
var hostname = sync.OnceValue(func() string {
	name, _ := os.Hostname() // it has none
	return name
})

func conf(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("{}")
	}
	return raw
}

func taskOf(spec *dag.Task) pyworker.ContextTask {
	out := pyworker.ContextTask{
		ID: spec.ID, Type: spec.Operator, OperatorName: spec.Operator, Owner: spec.Owner, Doc: spec.Doc, Retries: spec.Retries,
		RetryDelay: spec.RetryDelay.Seconds(), TriggerRule: string(spec.TriggerRule), Pool: spec.Pool, PoolSlots: spec.PoolSlots,
		Queue: spec.Queue, PriorityWeight: spec.PriorityWeight, DependsOnPast: spec.DependsOnPast, DoXComPush: spec.DoXComPush,
		MultipleOutputs: spec.MultipleOutputs, Upstream: spec.Upstream, Downstream: spec.Downstream,
	}
	if spec.ExecutionTimeout > 0 {
		seconds := spec.ExecutionTimeout.Seconds()
		out.ExecutionTimeout = &seconds
	}
	return out
}

func assets(refs []dag.AssetRef) []any {
	out := make([]any, 0, len(refs))
	for _, r := range refs {
		out = append(out, r)
	}
	return out
}

// surround adds what only the engine's tasks know.
func surround(c *pyworker.Context, s operators.Surroundings) error {
	d, ti := s.DAG(), s.Instance()
	c.DAG = pyworker.ContextDAG{
		ID: d.ID, DisplayName: d.DisplayName, Description: d.Description, DocMD: d.DocMD, FileLoc: d.FileLoc,
		Folder: filepath.Dir(d.FileLoc), Tags: append([]string{}, d.Tags...), Timezone: d.Timezone, Catchup: d.Catchup,
		MaxActiveRuns: d.MaxActiveRuns, MaxActiveTasks: d.MaxActiveTasks, StartDate: pyworker.Moment(d.StartDate),
		EndDate: pyworker.Moment(d.EndDate), Schedule: d.Schedule.Text, Owner: c.Task.Owner,
	}
	c.TI.StartDate = pyworker.Moment(ti.StartDate)
	var err error
	if c.Params, err = s.MergedParams(); err != nil {
		return err
	}
	exception, reason := s.Concern()
	if exception != "" {
		c.Names["exception"] = exception
	}
	if reason != "" {
		c.Names["reason"] = reason
	}
	return nil
}

// taskHost answers the questions of a function with what its task may see.
type taskHost struct{ t operators.Task }

func (h *taskHost) XComPull(ctx context.Context, q pyworker.XComQuery) (json.RawMessage, bool, error) {
	if s, ok := h.t.(operators.Surroundings); ok {
		return s.XCom(ctx, operators.XComQuery(q))
	}
	if own := h.t.Attempt(); q.DagID != "" && q.DagID != own.DagID || q.RunID != "" && q.RunID != own.RunID {
		return nil, false, errors.New("XComs of other runs cannot be read here")
	}
	return h.t.XComPull(ctx, q.TaskID, q.Key)
}

func (h *taskHost) XComPush(ctx context.Context, key string, value json.RawMessage) error {
	return h.t.XComPush(ctx, key, value)
}

func (h *taskHost) Variable(ctx context.Context, key string) (string, bool, error) {
	if s, ok := h.t.(operators.Surroundings); ok {
		return s.Variable(ctx, key)
	}
	return "", true, errors.New("variables cannot be read here")
}

func (h *taskHost) TaskIDs() []string {
	s, ok := h.t.(operators.Surroundings)
	if !ok {
		return []string{h.t.Attempt().TaskID}
	}
	ids := make([]string, 0, len(s.DAG().Tasks))
	for _, task := range s.DAG().Tasks {
		ids = append(ids, task.ID)
	}
	return ids
}

func (h *taskHost) Connection(ctx context.Context, id string) (*pyworker.Connection, bool, error) {
	c, err := h.t.Connection(ctx, id)
	if err != nil {
		return nil, !connections.IsNotFound(err), err
	}
	out := &pyworker.Connection{
		ID: c.ID, Type: c.Type, Description: c.Description, Host: c.Host, Login: c.Login, Password: c.Password,
		Schema: c.Schema, URI: c.URI(),
	}
	if c.Port != 0 {
		port := c.Port
		out.Port = &port
	}
	if len(c.Extra) > 0 {
		extra := string(c.Extra)
		out.Extra = &extra
	}
	return out, true, nil
}

// More is what costs a look at other runs.
func (h *taskHost) More(ctx context.Context) (*pyworker.More, error) {
	m := &pyworker.More{Names: map[string]any{}, Dates: map[string]*time.Time{}}
	s, ok := h.t.(operators.Surroundings)
	if !ok {
		s = alone{}
	}
	for step, name := range map[int]string{-1: "prev", 1: "next"} {
		at, found := s.Neighbour(step)
		if !found {
			at = time.Time{}
		}
		m.Dates[name+"_execution_date"] = pyworker.Moment(at)
		if found {
			m.Names[name+"_ds"], m.Names[name+"_ds_nodash"] = at.UTC().Format(time.DateOnly), at.UTC().Format("20060102")
		}
	}
	previous, err := s.PreviousSuccess(ctx)
	if err != nil {
		return nil, fmt.Errorf("the previous run: %w", err)
	}
	if previous == nil {
		previous = &operators.PreviousRun{}
	}
	m.Dates["prev_data_interval_start_success"] = pyworker.Moment(previous.IntervalStart)
	m.Dates["prev_data_interval_end_success"] = pyworker.Moment(previous.IntervalEnd)
	m.Dates["prev_start_date_success"] = pyworker.Moment(previous.StartDate)
	m.Dates["prev_end_date_success"] = pyworker.Moment(previous.EndDate)
	return m, nil
}

// alone stands for a task without surroundings.
type alone struct{ operators.Surroundings }

func (alone) Neighbour(int) (time.Time, bool) { return time.Time{}, false }
func (alone) PreviousSuccess(context.Context) (*operators.PreviousRun, error) {
	return nil, nil //nolint:nilnil // there is none
}

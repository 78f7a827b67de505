// Package external is the trigger that waits for other DAG runs and their tasks.
package external

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gust/dag"
	"gust/triggers"
)

// RunStates tells the states of runs and tasks. It reads; package internal/app implements it with the store.
type RunStates interface {
	// FindRun returns the run of a DAG with this logical date, or, if it has none, with this run-after date; nil when
	// there is no such run.
	FindRun(ctx context.Context, dagID string, date time.Time) (*dag.Run, error)
	// GetRun returns a run by its id, nil when there is none.
	GetRun(ctx context.Context, key dag.RunKey) (*dag.Run, error)
	// TaskStates returns the states of a run's task instances.
	TaskStates(ctx context.Context, key dag.RunKey) ([]dag.TaskInstance, error)
	// FindDAG returns the current version of a DAG, nil when there is no such DAG.
	FindDAG(ctx context.Context, dagID string) (*dag.DAG, error)
}

// Kind is the trigger's kind.
const Kind = "external.run"

// Args describes a wait for a run or some of its tasks. The run is named by RunID or by Date.
type Args struct {
	DagID string    `json:"dag_id"`
	RunID string    `json:"run_id,omitempty"`
	Date  time.Time `json:"date,omitzero"`
	// TaskIDs or GroupID select tasks; without both, the run itself is waited for.
	TaskIDs []string `json:"task_ids,omitempty"`
	GroupID string   `json:"group_id,omitempty"`
	// Allowed, Skipped and Failed are the states that end the wait; see Look.
	Allowed []string `json:"allowed"`
	Skipped []string `json:"skipped,omitempty"`
	Failed  []string `json:"failed,omitempty"`
	// Exists makes a DAG, task or group that does not exist an error.
	Exists bool          `json:"exists,omitempty"`
	Pace   triggers.Pace `json:"pace"`
}

// Trigger builds the trigger.
func (a Args) Trigger() (triggers.Trigger, error) { return triggers.New(Kind, a) }

// Ends of a wait.
const (
	EndAllowed = "allowed"
	EndSkipped = "skipped"
	EndFailed  = "failed"
)

// Outcome is the payload of the event.
type Outcome struct {
	// End says which of the three sets of states ended the wait.
	End   string `json:"end"`
	RunID string `json:"run_id"`
	// State is the run's state, when the run was waited for.
	State string `json:"state,omitempty"`
	// What tells which run or tasks, in which states.
	What string `json:"what"`
}

// ErrMissing is the error when a DAG, task or group that is waited for does not exist.
var ErrMissing = errors.New("does not exist")

// Look looks once: nil while the wait goes on. It is over as failed when one of the tasks (or the run) is in a failed
// state, as skipped when one is in a skipped state, as allowed when all are in an allowed one.
func Look(ctx context.Context, states RunStates, a *Args) (*Outcome, error) {
	if a.Exists {
		if err := check(ctx, states, a); err != nil {
			return nil, err
		}
	}
	run, err := find(ctx, states, a)
	if err != nil || run == nil {
		return nil, err
	}
	o := &Outcome{RunID: run.RunID}
	if len(a.TaskIDs) == 0 && a.GroupID == "" {
		o.State = string(run.State)
		o.What = fmt.Sprintf("run %s of DAG %s is %s", run.RunID, run.DagID, run.State)
		return o.judge(a, []string{string(run.State)}), nil
	}
	all, err := states.TaskStates(ctx, run.RunKey)
	if err != nil {
		return nil, err
	}
	found, told := a.selected(all)
	if len(found) == 0 {
		return nil, nil
	}
	o.What = fmt.Sprintf("run %s of DAG %s: %s", run.RunID, run.DagID, strings.Join(told, ", "))
	return o.judge(a, found), nil
}

func find(ctx context.Context, states RunStates, a *Args) (*dag.Run, error) {
	if a.RunID != "" {
		return states.GetRun(ctx, dag.RunKey{DagID: a.DagID, RunID: a.RunID})
	}
	return states.FindRun(ctx, a.DagID, a.Date)
}

// selected returns the states of the selected task instances, an entry of "" for a task that has none yet.
func (a *Args) selected(all []dag.TaskInstance) (found, told []string) {
	byTask := map[string][]dag.TaskInstance{}
	for _, ti := range all {
		byTask[ti.TaskID] = append(byTask[ti.TaskID], ti)
	}
	ids := slices.Clone(a.TaskIDs)
	if a.GroupID != "" {
		for _, ti := range all {
			if strings.HasPrefix(ti.TaskID, a.GroupID+".") && !slices.Contains(ids, ti.TaskID) {
				ids = append(ids, ti.TaskID)
			}
		}
	}
	for _, id := range ids {
		if len(byTask[id]) == 0 {
			found = append(found, "")
		}
		for _, ti := range byTask[id] {
			found = append(found, string(ti.State))
			told = append(told, fmt.Sprintf("%s is %s", id, ti.State))
		}
	}
	return found, told
}

func (o *Outcome) judge(a *Args, states []string) *Outcome {
	in := func(set []string) func(string) bool {
		return func(s string) bool { return s != "" && slices.Contains(set, s) }
	}
	switch {
	case slices.ContainsFunc(states, in(a.Failed)):
		o.End = EndFailed
	case slices.ContainsFunc(states, in(a.Skipped)):
		o.End = EndSkipped
	case !slices.ContainsFunc(states, func(s string) bool { return !in(a.Allowed)(s) }):
		o.End = EndAllowed
	default:
		return nil
	}
	return o
}

func check(ctx context.Context, states RunStates, a *Args) error {
	d, err := states.FindDAG(ctx, a.DagID)
	if err != nil {
		return err
	}
	if d == nil {
		return fmt.Errorf("the external DAG %s %w", a.DagID, ErrMissing)
	}
	for _, id := range a.TaskIDs {
		if d.Task(id) == nil {
			return fmt.Errorf("the external task %s in DAG %s %w", id, a.DagID, ErrMissing)
		}
	}
	if a.GroupID != "" && !slices.ContainsFunc(d.Groups, func(g *dag.Group) bool { return g.ID == a.GroupID }) {
		return fmt.Errorf("the external task group %s in DAG %s %w", a.GroupID, a.DagID, ErrMissing)
	}
	return nil
}

// Register adds the trigger to the registry.
func Register(r *triggers.Registry, states RunStates) error {
	if states == nil {
		return errors.New("triggers/external: RunStates is needed")
	}
	return r.Register(&checker{states})
}

type checker struct{ states RunStates }

func (c *checker) Kind() string { return Kind }

// Key groups the waits for one DAG.
func (c *checker) Key(raw json.RawMessage) (string, error) {
	a, err := decode(raw)
	if err != nil {
		return "", err
	}
	return a.DagID, nil
}

func decode(raw json.RawMessage) (*Args, error) {
	a, err := triggers.Decode[Args](Kind, raw)
	if err != nil {
		return nil, err
	}
	if a.DagID == "" || (a.RunID == "" && a.Date.IsZero()) {
		return nil, fmt.Errorf("arguments of a %s trigger: dag_id, and run_id or date, are needed", Kind)
	}
	return a, nil
}

// Fire is the event of a run, or of tasks, that have ended as is allowed.
func (c *checker) Fire(raw json.RawMessage, _ time.Time) (*triggers.Event, error) {
	a, err := decode(raw)
	if err != nil {
		return nil, err
	}
	o := Outcome{End: EndAllowed, RunID: a.RunID, What: "the wait was ended by hand"}
	if len(a.TaskIDs) == 0 && a.GroupID == "" && len(a.Allowed) > 0 {
		o.State = a.Allowed[0]
	}
	return triggers.NewEvent(o)
}

// Check looks at each run. An error of the store is not the end of a wait: it is looked at again.
func (c *checker) Check(ctx context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	verdicts := make([]triggers.Verdict, len(waits))
	for i, w := range waits {
		a, err := decode(w.Args)
		if err != nil {
			verdicts[i].Err = err
			continue
		}
		verdicts[i] = c.verdict(ctx, now, a)
	}
	return verdicts
}

func (c *checker) verdict(ctx context.Context, now time.Time, a *Args) triggers.Verdict {
	o, err := Look(ctx, c.states, a)
	switch {
	case errors.Is(err, ErrMissing):
		return triggers.Verdict{Err: err}
	case err != nil:
		return triggers.Verdict{Again: now.Add(a.Pace.Next(now)), Log: "the run cannot be looked at just now: " + err.Error()}
	case o == nil:
		return triggers.Verdict{Again: now.Add(a.Pace.Next(now))}
	}
	event, err := triggers.NewEvent(o)
	return triggers.Verdict{Event: event, Err: err, Log: o.What}
}

package scheduler

import (
	"cmp"
	"errors"
	"fmt"

	"gust/dag"
	"gust/runner/expansion"
	"gust/runner/plan"
	"gust/store"
)

// answer asks the store what the plan wants to know. Errors that may pass are waited for.
func (s *Scheduler) answer(n plan.Need) (plan.Event, error) {
	for try := 0; ; try++ {
		e, err := s.ask(n)
		if err == nil {
			return e, nil
		}
		if !s.mayPass(err, try) {
			return nil, err
		}
		if err := s.sleep(backoff(try)); err != nil {
			return nil, err
		}
	}
}

func (s *Scheduler) ask(n plan.Need) (plan.Event, error) {
	switch {
	case n.Version != "":
		d, err := s.opts.Store.DagVersionGet(s.ctx, n.Version)
		if err != nil {
			return nil, fmt.Errorf("read DAG version %s: %w", n.Version, err)
		}
		d.Index()
		return plan.Version{DAG: d}, nil
	case n.Recent != "":
		runs, err := s.opts.Store.RunList(s.ctx, &store.RunListParams{
			DagID: n.Recent, States: []dag.RunState{dag.RunSuccess, dag.RunFailed}, Limit: n.Limit,
		})
		if err != nil {
			return nil, fmt.Errorf("read the latest runs of DAG %s: %w", n.Recent, err)
		}
		e := plan.Recent{DagID: n.Recent}
		for i := range runs {
			e.States = append(e.States, runs[i].State)
		}
		return e, nil
	case n.Runtimes != "":
		runs, err := s.opts.Store.RunList(s.ctx, &store.RunListParams{
			DagID: n.Runtimes, States: []dag.RunState{dag.RunSuccess, dag.RunFailed}, Limit: cmp.Or(n.Limit, averageRuns),
		})
		if err != nil {
			return nil, fmt.Errorf("read the latest runs of DAG %s: %w", n.Runtimes, err)
		}
		return runtimes(n.Run, runs), nil
	case n.Mapped != nil:
		return s.askLengths(n)
	default:
		return s.askPast(n)
	}
}

// averageRuns is over how many runs AVERAGE_RUNTIME is taken unless the deadline says.
const averageRuns = 10

func runtimes(run dag.RunKey, runs []dag.Run) plan.Runtimes {
	e := plan.Runtimes{Run: run}
	for i := range runs {
		if r := &runs[i]; !r.StartDate.IsZero() && r.EndDate.After(r.StartDate) {
			e.Took = append(e.Took, r.EndDate.Sub(r.StartDate))
		}
	}
	return e
}

// askLengths looks up how many items a mapped task runs over.
func (s *Scheduler) askLengths(n plan.Need) (plan.Event, error) {
	e := plan.Lengths{Run: n.Run, TaskID: n.Mapped.ID}
	var err error
	e.Items, err = expansion.Lengths(s.ctx, s.opts.Store, n.DAG, n.Run, n.Mapped.Mapped)
	var unmappable *expansion.UnmappableError
	if errors.As(err, &unmappable) {
		e.Problem = err.Error()
		return e, nil
	}
	if err != nil {
		return nil, fmt.Errorf("expand task %s of run %s: %w", n.Mapped.ID, n.Run.RunID, err)
	}
	return e, nil
}

// pastDepth is how many runs are searched for an instance of a task that the previous run does not have.
const pastDepth = 100

// askPast looks up the run before. A task that it does not have, because the DAG has changed, is looked for in the runs
// before that.
func (s *Scheduler) askPast(n plan.Need) (plan.Event, error) {
	e := plan.Past{Run: n.Before.RunKey, Known: map[string]bool{}}
	p := &store.RunListParams{DagID: n.Before.DagID, Before: n.Before.RunAfter, Limit: 1}
	if n.ScheduledOnly {
		p.Types = []dag.RunType{dag.RunScheduled}
	}
	runs, err := s.opts.Store.RunList(s.ctx, p)
	if err != nil || len(runs) == 0 {
		return e, err
	}
	e.Previous = &store.ActiveRun{Run: runs[0]}
	if e.Previous.Tasks, err = s.opts.Store.TaskInstanceList(s.ctx, runs[0].RunKey); err != nil {
		return nil, err
	}
	missing := map[string]bool{}
	for _, id := range n.Tasks {
		missing[id] = true
	}
	for i := range e.Previous.Tasks {
		delete(missing, e.Previous.Tasks[i].TaskID)
	}
	if len(missing) == 0 || !runs[0].State.Finished() && len(e.Previous.Tasks) == 0 {
		return e, nil
	}
	p.Before, p.Limit = runs[0].RunAfter, pastDepth
	if runs, err = s.opts.Store.RunList(s.ctx, p); err != nil {
		return nil, err
	}
	for i := range runs {
		tasks, err := s.opts.Store.TaskInstanceList(s.ctx, runs[i].RunKey)
		if err != nil {
			return nil, err
		}
		for j := range tasks {
			if id := tasks[j].TaskID; missing[id] {
				e.Known[id] = true
				delete(missing, id)
			}
		}
		if len(missing) == 0 {
			break
		}
	}
	return e, nil
}

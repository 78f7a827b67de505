package engine

import (
	"errors"
	"fmt"

	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
)

// load reads an execution from the journal. Tasks that nobody works on, because the service was restarted, are handed
// out again, except for those whose answers are among the items.
func (e *Engine) load(l *live, items []Item) error {
	row, err := e.journal.ExecutionByID(e.ctx, l.id)
	if errors.Is(err, journal.ErrNotFound) {
		return err
	}
	if err != nil {
		return fmt.Errorf("load execution %d: %w", l.id, err)
	}
	machine, err := e.Machines.Revision(e.ctx, row.Revision)
	if err != nil {
		return err
	}
	if row.State == nil {
		l.row = row
		return ErrEnded
	}
	info, err := e.info(row, machine.Role)
	if err != nil {
		return err
	}
	stored, err := e.journal.ExecutionParts(e.ctx, l.id)
	if err != nil {
		return err
	}
	parts := make([]interp.Part, len(stored))
	for i, p := range stored {
		parts[i] = interp.Part(*p)
	}
	x, err := interp.Restore(machine.Machine, info, row.State, parts...)
	if err != nil {
		return err
	}
	l.row, l.x, l.machine, l.split = row, x, machine, len(parts) > 0
	if !row.HasTasks {
		return nil
	}
	e.resume(l, items)
	return nil
}

// store fills the row and writes it with the effects of a step. An express execution only fills the row.
func (e *Engine) store(l *live, step *interp.Step, withdrawn []int64) error {
	c := e.change(l, step, withdrawn)
	if l.express() {
		return nil
	}
	return e.journal.ExecutionSave(l.row, c)
}

// fill copies the interpreter's view of an execution into its row.
func fill(l *live) {
	row, x := l.row, l.x
	row.Status = string(x.Status())
	row.Stopped = x.StopTime()
	row.Output = x.Output()
	row.Error, row.Cause = x.Failure()
	row.Wake = x.Wake()
	row.HasTasks = x.HasTasks()
	row.LastEvent = x.LastEventID()
	row.Redrives, row.Redriven = x.Redrives()
}

// change brings the row up to date and collects what a step adds to the journal.
func (e *Engine) change(l *live, step *interp.Step, withdrawn []int64) journal.Change {
	fill(l)
	c := journal.Change{Withdrawn: withdrawn}
	if l.express() {
		return c
	}
	if len(step.Events) > 0 {
		c.Chunk.First, c.Chunk.Last = step.Events[0].ID, step.Events[len(step.Events)-1].ID
		for i := range step.Events {
			c.Chunk.Events = append(step.Events[i].Append(c.Chunk.Events), '\n')
		}
	}
	for i := range step.Tasks {
		if isActivity(&step.Tasks[i]) {
			c.Offered = append(c.Offered, journal.Offer{Activity: step.Tasks[i].Resource.ARN, Execution: l.id, Task: step.Tasks[i].ID})
		}
	}
	if l.machine.activities {
		c.Withdrawn = append(c.Withdrawn, step.Cancelled...)
	}
	for i := range step.MapRuns {
		c.MapRuns = append(c.MapRuns, e.newMapRun(l.row, &step.MapRuns[i]))
	}
	snapshot(l, &c)
	return c
}

// snapshot adds the interpreter's state. What has succeeded needs none.
func snapshot(l *live, c *journal.Change) {
	if l.x.Status() == interp.Succeeded {
		l.row.State, c.ClearParts, l.split = nil, l.split, false
		return
	}
	saved := l.x.Save()
	l.row.State, c.ClearParts = saved.State, saved.Clear && l.split
	for _, p := range saved.Parts {
		c.Parts = append(c.Parts, journal.Part(p))
	}
	l.split = l.split && !saved.Clear || len(saved.Parts) > 0
}

// orEmpty is an optional text, or the empty one.
func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

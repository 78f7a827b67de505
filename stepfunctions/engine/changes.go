package engine

import (
	"errors"
	"time"

	"gust/stepfunctions/arns"
	"gust/stepfunctions/asl"
	"gust/stepfunctions/events"
	"gust/stepfunctions/handlers"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
)

// ended tells those who wait for it that an execution has ended. The end is stored.
func (e *Engine) ended(l *live) {
	if !l.express() {
		e.open.Add(-1)
		e.publish(l.row, l.row.Status, l.row.Stopped)
	}
	if l.onEnd != nil {
		l.onEnd(l.row)
	}
	if l.row.Parent != 0 {
		row := *l.row
		e.AnswerParent(&row)
	}
	if l.row.MapRun != 0 {
		e.childEnded(l.row)
	}
}

// publish sends the event of a status change.
func (e *Engine) publish(row *journal.Execution, status string, at time.Time) {
	if e.config.Events == nil {
		return
	}
	change := events.StatusChange{
		ExecutionARN: row.ARN, StateMachineARN: row.MachineARN, Name: row.Name, Status: status, Started: row.Started,
		Input: &row.Input, VersionARN: row.VersionARN, AliasARN: row.AliasARN, RedriveCount: int64(row.Redrives), Redriven: row.Redriven,
		Region: arns.Region(row.ARN), Account: e.config.AccountID, Time: at,
	}
	shown := *row
	shown.Status = status
	if status != string(interp.Running) {
		change.Stopped, change.Output, change.Error, change.Cause = row.Stopped, row.Output, row.Error, row.Cause
	}
	redrive, reason := RedriveStatus(&shown, at)
	change.RedriveStatus = &redrive
	if reason != "" {
		change.RedriveStatusReason = &reason
	}
	e.config.Events.Publish([]events.StatusChange{change})
}

// AnswerParent reports the end of an execution to the task that started it and waits for it.
func (e *Engine) AnswerParent(child *journal.Execution) {
	task := child.ParentTask
	e.answer(child.Parent, task, Item{make: func(l *live) interp.Event {
		for _, waiting := range l.x.PendingTasks() {
			if waiting.ID == task {
				return e.childEvent(task, waiting.Resource, child)
			}
		}
		return nil
	}})
}

// childEvent is the answer to a task whose execution has ended.
func (e *Engine) childEvent(task int64, r asl.Resource, child *journal.Execution) interp.Event {
	described, err := e.config.Describe(child)
	var out string
	if err == nil {
		out, err = e.handlers.ChildResult(r, described)
	}
	var failed *handlers.TaskError
	switch {
	case errors.As(err, &failed):
		return interp.TaskFailed{ID: task, Error: failed.Name, Cause: failed.Cause}
	case err != nil:
		return interp.TaskFailed{ID: task, Error: asl.ErrTaskFailed, Cause: err.Error()}
	}
	return interp.TaskSucceeded{ID: task, Output: out}
}

// askChild finds out, after a restart, whether the execution that a task waits for has ended.
func (e *Engine) askChild(execution int64, task interp.Task) {
	child, err := e.journal.ExecutionChild(e.ctx, execution, task.ID)
	if err == nil && child.Status != string(interp.Running) {
		e.AnswerParent(child)
	}
	if err != nil && e.ctx.Err() == nil {
		e.log.Error("the execution that a task waits for could not be found", "execution", execution, "error", err)
	}
}

// abortChild stops the execution of a task that is cancelled.
func (e *Engine) abortChild(execution, task int64) {
	child, err := e.journal.ExecutionChild(e.ctx, execution, task)
	if err == nil && child.Status == string(interp.Running) {
		_, err = e.Do(child.ID, Item{Event: interp.Abort{}})
	}
	if err != nil && !errors.Is(err, journal.ErrNotFound) && !errors.Is(err, ErrEnded) && e.ctx.Err() == nil {
		e.log.Error("the execution of a cancelled task could not be stopped", "execution", execution, "error", err)
	}
}

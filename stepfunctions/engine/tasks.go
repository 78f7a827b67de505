package engine

import (
	"context"
	"errors"
	"slices"

	"gust/stepfunctions/arns"
	"gust/stepfunctions/asl"
	"gust/stepfunctions/handlers"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
)

// isActivity reports whether a task waits for a worker that asks for it.
func isActivity(task *interp.Task) bool { return task.Resource.Kind == asl.Activity }

// startsExecution reports whether a resource starts another execution and waits for its end.
func startsExecution(r *asl.Resource) bool {
	return r.Kind == asl.Service && !r.SDK && r.Service == "states" && (r.Pattern == asl.Sync || r.Pattern == asl.Sync2)
}

// pollsActivity reports whether a resource waits for an activity's task, for up to a minute.
func pollsActivity(r *asl.Resource) bool {
	return r.SDK && r.Service == "sfn" && r.API == "getActivityTask"
}

// command carries out what a stored step asks for. resumed tells that it was asked for before a restart.
func (e *Engine) command(l *live, step *interp.Step, resumed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range step.Cancelled {
		e.cancel(l, id)
	}
	for i := range step.MapRuns {
		if !slices.Contains(step.Cancelled, step.MapRuns[i].ID) {
			e.startMapRun(l, &step.MapRuns[i], resumed)
		}
	}
	for _, task := range step.Tasks {
		if !slices.Contains(step.Cancelled, task.ID) {
			e.handOut(l, task)
		}
	}
}

// cancel stops whatever works on a task or map run. The mutex is held.
func (e *Engine) cancel(l *live, id int64) {
	if stop := l.cancels[id]; stop != nil {
		stop()
		delete(l.cancels, id)
	}
	delete(l.early, id)
	if l.machine.activities {
		e.hub.withdraw(l.id, id)
	}
	if l.machine.children && !e.closed {
		e.group.Go(func() { e.abortChild(l.id, id) })
	}
}

// handOut gives a task to those who do it. The mutex is held.
func (e *Engine) handOut(l *live, task interp.Task) {
	switch {
	case isActivity(&task):
		if !task.Started {
			e.hub.offer(journal.Offer{Activity: task.Resource.ARN, Execution: l.id, Task: task.ID})
		}
	case task.Submitted && startsExecution(&task.Resource):
		if !e.closed {
			e.group.Go(func() { e.askChild(l.id, task) })
		}
	case task.Submitted, l.cancels[task.ID] != nil, e.closed:
	default:
		ctx, cancel := context.WithCancel(e.ctx)
		if l.cancels == nil {
			l.cancels = map[int64]context.CancelFunc{}
		}
		l.cancels[task.ID] = cancel
		r := e.handlerRequest(l, &task)
		run := func() { e.perform(ctx, cancel, l.id, task, r) }
		if pollsActivity(&task.Resource) {
			e.group.Go(run)
		} else {
			e.enqueue(run)
		}
	}
}

func (e *Engine) handlerRequest(l *live, task *interp.Task) handlers.Request {
	return handlers.Request{
		Resource: task.Resource, Input: task.Input, ExecutionARN: l.row.ARN, State: task.State, Machine: baseMachine(l.row.MachineName),
		TestCase: orEmpty(l.row.TestCase), Region: arns.Region(l.row.ARN), RoleARN: l.machine.Role, TaskID: task.ID,
		Credentials: task.Credentials, Token: task.Token, Attempt: task.Attempt,
	}
}

// resume hands out what was handed out before the service was restarted.
func (e *Engine) resume(l *live, items []Item) {
	step := &interp.Step{Tasks: l.x.PendingTasks(), MapRuns: l.x.PendingMapRuns()}
	answered := func(id int64) bool {
		return slices.ContainsFunc(items, func(it Item) bool { return it.task == id })
	}
	step.Tasks = slices.DeleteFunc(step.Tasks, func(t interp.Task) bool { return isActivity(&t) || answered(t.ID) })
	step.MapRuns = slices.DeleteFunc(step.MapRuns, func(m interp.MapRun) bool { return answered(m.ID) })
	e.command(l, step, true)
}

// enqueue runs a task as soon as fewer than MaxTasks run. The mutex is held.
func (e *Engine) enqueue(run func()) {
	if e.running >= e.config.MaxTasks {
		e.queue = append(e.queue, run)
		return
	}
	e.running++
	e.group.Go(func() {
		for run != nil {
			run()
			run = e.dequeue()
		}
	})
}

// dequeue returns the next task, or nil after giving the slot back.
func (e *Engine) dequeue() func() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == 0 || e.closed {
		e.running--
		return nil
	}
	run := e.queue[0]
	e.queue[0] = nil
	e.queue = e.queue[1:]
	return run
}

// caller names a task or map run.
type caller struct{ execution, task int64 }

type callerKey struct{}

// Parent returns the execution and task that wait for the execution that is started with ctx; 0 when none does.
func Parent(ctx context.Context) (execution, task int64) {
	by, _ := ctx.Value(callerKey{}).(caller)
	return by.execution, by.task
}

// perform does one task and reports its end to the execution.
func (e *Engine) perform(ctx context.Context, cancel context.CancelFunc, id int64, task interp.Task, r handlers.Request) {
	defer cancel()
	if ctx.Err() != nil {
		return
	}
	if startsExecution(&task.Resource) {
		ctx = context.WithValue(ctx, callerKey{}, caller{id, task.ID})
	}
	out, err := e.handlers.Do(ctx, r)
	if ctx.Err() != nil {
		// Cancelled, or the service stops: a stored task is performed again after the next start.
		return
	}
	var failed *handlers.TaskError
	switch {
	case errors.As(err, &failed):
		e.submit(id, Item{task: task.ID, Event: interp.TaskFailed{ID: task.ID, Error: failed.Name, Cause: failed.Cause}})
	case err != nil:
		e.submit(id, Item{task: task.ID, Event: interp.TaskFailed{ID: task.ID, Error: asl.ErrTaskFailed, Cause: err.Error()}})
	case task.Resource.Pattern == asl.RequestResponse:
		e.submit(id, Item{task: task.ID, Event: interp.TaskSucceeded{ID: task.ID, Output: out.Output}})
	default:
		e.submitted(id, task.ID, out)
	}
}

// submitted reports that a call was accepted whose job goes on, and the job's end when it is known already.
func (e *Engine) submitted(id, task int64, out handlers.Outcome) {
	e.submit(id, Item{task: task, Event: interp.TaskSubmitted{ID: task, Output: out.Output}})
	if out.Result != nil {
		e.submit(id, Item{Event: interp.TaskSucceeded{ID: task, Output: *out.Result}})
	}
	if f := out.Failure; f != nil {
		e.submit(id, Item{Event: interp.TaskFailed{ID: task, Error: f.Name, Cause: f.Cause}})
	}
}

// answer reports the end of a job. While the call that began the job has not returned, the answer is kept, so that the
// history tells things in their order.
func (e *Engine) answer(id, task int64, it Item) {
	e.mu.Lock()
	if l := e.live[id]; l != nil && l.cancels[task] != nil {
		if l.early == nil {
			l.early = map[int64]Item{}
		}
		l.early[task] = it
		e.mu.Unlock()
		return
	}
	e.mu.Unlock()
	e.submit(id, it)
}

package interp

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/jsonvalue"
)

// task is what a thread waits for: work of a handler, an activity's worker or a map run.
type task struct {
	id int64
	// input is the JSON text the worker gets.
	input string
	// credentials is the JSON text of the evaluated Credentials, empty when there are none.
	credentials string
	// timeout and heartbeat are in seconds, 0 for none.
	timeout, heartbeat int64
	started, submitted bool
	// submission is what the service call of a waiting integration answered.
	submission string
	// mapRun is set when the thread is at a distributed Map.
	mapRun *MapRun
}

// waits reports whether the task goes on after its service call was accepted.
func waits(r asl.Resource) bool { return r.Pattern != asl.RequestResponse }

// token returns the token of a task.
func (x *Execution) token(id int64) string {
	if x.info.TaskToken == nil {
		return fmt.Sprintf("%s#%d", x.info.ExecutionARN, id)
	}
	return x.info.TaskToken(id)
}

// startTask hands a task out.
func (x *Execution) startTask(t *thread) {
	t.taskID = 0
	next, f := x.env(t).task()
	if f != nil {
		x.fail(t, f)
		return
	}
	x.state.lastTask++
	next.id = x.state.lastTask
	x.setTask(t, next)
	x.recordScheduled(t)
	x.startClocks(t)
	x.step.Tasks = append(x.step.Tasks, x.handOut(t))
}

// task evaluates everything about the state's task.
func (e *env) task() (*task, *failure) {
	s, fields := e.s, e.s.Task
	if fields.Resource.Kind == asl.Activity && e.x.info.ActivityExists != nil && !e.x.info.ActivityExists(fields.Resource.ARN) {
		return nil, e.runtime("The activity %s does not exist.", fields.Resource.ARN)
	}
	in, f := e.selected(s.InputPath)
	if f != nil {
		return nil, f
	}
	inner := e.with(in)
	n := &task{}
	if n.timeout, f = inner.integer("TimeoutSeconds", fields.Timeout, 1); f != nil {
		return nil, f
	}
	if n.heartbeat, f = inner.integer("HeartbeatSeconds", fields.Heartbeat, 1); f != nil {
		return nil, f
	}
	if in, f = e.effectiveInput(); f != nil {
		return nil, f
	}
	if n.input = e.x.text(e.t, in); len(n.input) > MaxPayloadBytes {
		return nil, tooLarge(s.Name)
	}
	if problems := fields.Resource.CheckRequest(in); len(problems) > 0 {
		return nil, e.runtime("The %s '%s' could not be used to start the Task: [%s]", asl.RequestField(s.QueryLanguage), n.input,
			strings.Join(problems, ", "))
	}
	if fields.Credentials != nil {
		credentials, f := e.template(fields.Credentials)
		if f != nil {
			return nil, f
		}
		n.credentials = credentials.String()
	}
	return n, nil
}

func (x *Execution) setTask(t *thread, n *task) {
	if x.tasks == nil {
		x.tasks = map[int64]*thread{}
	}
	x.tasks[n.id] = t
	t.phase, t.task, t.taskID = working, n, n.id
}

// startClocks begins to watch the task's timeout and heartbeats. An activity has its timeout for being fetched and then
// once more for being worked on, and only then owes heartbeats.
func (x *Execution) startClocks(t *thread) {
	if t.task.timeout > 0 {
		t.timeoutAt = x.now.Add(time.Duration(t.task.timeout) * time.Second)
	}
	if t.task.heartbeat > 0 && (t.task.started || t.state.Task.Resource.Kind != asl.Activity) {
		t.heartbeatAt = x.now.Add(time.Duration(t.task.heartbeat) * time.Second)
	}
	x.schedule(t)
}

// handOut describes the thread's task to its handler.
func (x *Execution) handOut(t *thread) Task {
	n, r := t.task, t.state.Task.Resource
	out := Task{
		ID: n.id, State: t.state.Name, Resource: r, Input: n.input, Attempt: t.retries, Credentials: n.credentials,
		Timeout: time.Duration(n.timeout) * time.Second, Heartbeat: time.Duration(n.heartbeat) * time.Second,
		Started: n.started, Submitted: n.submitted, Submission: n.submission,
	}
	if waits(r) || r.Kind == asl.Activity {
		out.Token = x.token(n.id)
	}
	return out
}

// TaskOpen reports whether a task is handed out and unanswered.
func (x *Execution) TaskOpen(id int64) bool {
	t := x.tasks[id]
	return t != nil && t.task.mapRun == nil && x.state.status == Running
}

// TaskByID returns a task that is handed out and unanswered.
func (x *Execution) TaskByID(id int64) (Task, bool) {
	if !x.TaskOpen(id) {
		return Task{}, false
	}
	return x.handOut(x.tasks[id]), true
}

// PendingTasks returns the tasks that have been handed out and not answered, in the order of their IDs, to be handed out
// again after a restart.
func (x *Execution) PendingTasks() []Task {
	var tasks []Task
	for _, t := range x.pending() {
		if t.task.mapRun == nil {
			tasks = append(tasks, x.handOut(t))
		}
	}
	return tasks
}

// pending returns the threads that wait for a task or map run, in the order of their numbers.
func (x *Execution) pending() []*thread {
	if x.state.status != Running {
		return nil
	}
	return slices.SortedFunc(maps.Values(x.tasks), func(a, b *thread) int { return cmp.Compare(a.task.id, b.task.id) })
}

// stopTask forgets the task or map run a thread waits for.
func (x *Execution) stopTask(t *thread) {
	if t.task == nil {
		return
	}
	if _, open := x.tasks[t.task.id]; open {
		x.step.Cancelled = append(x.step.Cancelled, t.task.id)
	}
	x.endTask(t)
}

// endTask forgets a task that has been answered.
func (x *Execution) endTask(t *thread) {
	x.touch(t)
	delete(x.tasks, t.task.id)
	if t.task.mapRun == nil {
		// A map run stays known, so that it can be redriven.
		t.task = nil
	}
	x.clearTimers(t)
}

// worker returns the thread that waits for a task, nil when nobody does any more.
func (x *Execution) worker(id int64) *thread {
	t := x.tasks[id]
	if t == nil || t.task.mapRun != nil {
		return nil
	}
	x.touch(t)
	return t
}

// apply records that a worker has fetched an activity task; its clocks begin.
func (ev TaskStarted) apply(x *Execution) {
	t := x.worker(ev.ID)
	if t == nil || t.task.started || t.state.Task.Resource.Kind != asl.Activity {
		return
	}
	t.task.started = true
	d := history.NewDetails("activityStartedEventDetails")
	if ev.Worker != "" {
		d.Text("workerName", ev.Worker)
	}
	x.follow(t, history.ActivityStarted, d)
	x.startClocks(t)
}

// apply records that the service call of a waiting integration was accepted.
func (ev TaskSubmitted) apply(x *Execution) {
	t := x.worker(ev.ID)
	if t == nil || t.task.submitted || !waits(t.state.Task.Resource) {
		return
	}
	t.task.submitted, t.task.submission = true, ev.Output
	x.follow(t, history.TaskSubmitted, serviceDetails("taskSubmittedEventDetails", t.state).Data("output", ev.Output))
}

// apply begins the heartbeat interval anew.
func (ev TaskHeartbeat) apply(x *Execution) {
	t := x.worker(ev.ID)
	if t == nil || t.heartbeatAt.IsZero() {
		return
	}
	t.heartbeatAt = x.now.Add(time.Duration(t.task.heartbeat) * time.Second)
	x.schedule(t)
}

// apply ends the state with the worker's result.
func (ev TaskSucceeded) apply(x *Execution) {
	t := x.worker(ev.ID)
	if t == nil {
		return
	}
	result, err := jsonvalue.Parse(ev.Output)
	if err != nil {
		x.taskFailed(t, newFailure(asl.ErrRuntime, "The worker's result is not JSON: "+err.Error()))
		return
	}
	text := result.String()
	if len(text) > MaxPayloadBytes {
		what := t.state.Task.Resource.ARN
		if t.state.Task.Resource.Kind == asl.Service {
			what = t.state.Task.Resource.Service
		}
		x.taskFailed(t, tooLarge(what))
		return
	}
	x.endTask(t)
	switch t.state.Task.Resource.Kind {
	case asl.LambdaFunction:
		x.follow(t, history.LambdaFunctionSucceeded,
			history.NewDetails("lambdaFunctionSucceededEventDetails").Data("output", text))
	case asl.Activity:
		x.follow(t, history.ActivitySucceeded, history.NewDetails("activitySucceededEventDetails").Data("output", text))
	default:
		x.follow(t, history.TaskSucceeded, serviceDetails("taskSucceededEventDetails", t.state).Data("output", text))
	}
	x.complete(t, result)
}

// apply handles the worker's failure.
func (ev TaskFailed) apply(x *Execution) {
	t := x.worker(ev.ID)
	if t == nil {
		return
	}
	if ev.ByToken {
		// Whoever has the token has it from the call, even when the call's own response comes later.
		t.task.submitted = true
	}
	x.taskFailed(t, workerFailure(ev.Error, ev.Cause))
}

// taskFailed records a worker's failure and handles it.
func (x *Execution) taskFailed(t *thread, f *failure) {
	submitting := waits(t.state.Task.Resource) && !t.task.submitted
	x.endTask(t)
	switch {
	case t.state.Task.Resource.Kind == asl.LambdaFunction:
		x.follow(t, history.LambdaFunctionFailed, f.details(history.NewDetails("lambdaFunctionFailedEventDetails")))
	case t.state.Task.Resource.Kind == asl.Activity:
		x.follow(t, history.ActivityFailed, f.details(history.NewDetails("activityFailedEventDetails")))
	case submitting:
		x.follow(t, history.TaskSubmitFailed, f.details(serviceDetails("taskSubmitFailedEventDetails", t.state)))
	default:
		x.follow(t, history.TaskFailed, f.details(serviceDetails("taskFailedEventDetails", t.state)))
	}
	x.failed(t, f, false)
}

// taskTimedOut gives up on a task.
func (x *Execution) taskTimedOut(t *thread, name string) {
	x.stopTask(t)
	switch t.state.Task.Resource.Kind {
	case asl.LambdaFunction:
		x.follow(t, history.LambdaFunctionTimedOut,
			history.NewDetails("lambdaFunctionTimedOutEventDetails").Text("error", name))
	case asl.Activity:
		x.follow(t, history.ActivityTimedOut, history.NewDetails("activityTimedOutEventDetails").Text("error", name))
	default:
		x.follow(t, history.TaskTimedOut, serviceDetails("taskTimedOutEventDetails", t.state).Text("error", name))
	}
	x.failed(t, &failure{name: &name}, false)
}

// recordScheduled writes that the task was handed out, and that it began unless a worker has to fetch it first.
func (x *Execution) recordScheduled(t *thread) {
	n, s := t.task, t.state
	optional := func(d *history.Details) *history.Details {
		if n.timeout > 0 {
			d.Int("timeoutInSeconds", n.timeout)
		}
		if n.heartbeat > 0 && s.Task.Resource.Kind != asl.LambdaFunction {
			d.Int("heartbeatInSeconds", n.heartbeat)
		}
		if n.credentials != "" && s.Task.Resource.Kind != asl.Activity {
			d.Raw("taskCredentials", recordedCredentials(n.credentials))
		}
		return d
	}
	switch s.Task.Resource.Kind {
	case asl.LambdaFunction:
		x.follow(t, history.LambdaFunctionScheduled, optional(history.NewDetails("lambdaFunctionScheduledEventDetails").
			Text("resource", s.Task.Resource.ARN).Data("input", n.input)))
		x.follow(t, history.LambdaFunctionStarted, nil)
	case asl.Activity:
		x.follow(t, history.ActivityScheduled, optional(history.NewDetails("activityScheduledEventDetails").
			Text("resource", s.Task.Resource.ARN).Data("input", n.input)))
	default:
		x.follow(t, history.TaskScheduled, optional(serviceDetails("taskScheduledEventDetails", s).
			Text("region", x.info.Region).Text("parameters", n.input)))
		x.follow(t, history.TaskStarted, serviceDetails("taskStartedEventDetails", s))
	}
}

// recordedCredentials is the part of Credentials that the history shows.
func recordedCredentials(text string) string {
	b := jsonvalue.NewObjectBuilder(1)
	if v, err := jsonvalue.Parse(text); err == nil {
		if role, ok := v.Get("RoleArn"); ok {
			b.Set("roleArn", role)
		}
	}
	return b.Value().String()
}

// serviceDetails starts the details of an event of a service integration.
func serviceDetails(key string, s *asl.State) *history.Details {
	return history.NewDetails(key).Text("resourceType", s.Task.Resource.Service).Text("resource", s.Task.Resource.Name())
}

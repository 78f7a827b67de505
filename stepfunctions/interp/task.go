package interp

import (
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/jsonvalue"
)

// schedule hands a task out.
func (x *Execution) schedule(t *thread, s *asl.State) {
	e := x.env(t, s, t.Input)
	in, f := e.selectInput()
	if f != nil {
		x.fail(t, s, f)
		return
	}
	inner := e.with(in)
	timeout, f := inner.taskSeconds("TimeoutSecondsPath", s.Task.Timeout)
	if f != nil {
		x.fail(t, s, f)
		return
	}
	heartbeat, f := inner.taskSeconds("HeartbeatSecondsPath", s.Task.Heartbeat)
	if f != nil {
		x.fail(t, s, f)
		return
	}
	if s.Parameters != nil {
		if in, f = inner.template(s.Parameters); f != nil {
			x.fail(t, s, f)
			return
		}
	}
	credentials, f := e.assigned(s.Task.Credentials, t.Input)
	if f != nil {
		x.fail(t, s, f)
		return
	}
	if s.Task.Resource.Kind == asl.Activity {
		x.fail(t, s, e.runtime("The activity %s does not exist.", s.Task.Resource.ARN))
		return
	}
	text := in.String()
	if len(text) > MaxPayloadBytes {
		x.fail(t, s, tooLarge(s.Name))
		return
	}
	x.recordScheduled(t, s, text, timeout, heartbeat, credentials)
	x.state.LastTask++
	t.Phase, t.TaskID, t.TaskInput = working, x.state.LastTask, in
	if timeout > 0 {
		t.TimeoutAt = x.now.Add(time.Duration(timeout) * time.Second)
	}
	if heartbeat > 0 {
		t.HeartbeatAt = x.now.Add(time.Duration(heartbeat) * time.Second)
	}
	x.step.Tasks = append(x.step.Tasks, x.task(t, s))
}

func (e *env) taskSeconds(field string, sec *asl.Seconds) (int64, *failure) {
	if sec == nil {
		return 0, nil
	}
	return e.seconds(field, sec, 1)
}

func (x *Execution) recordScheduled(t *thread, s *asl.State, input string, timeout, heartbeat int64,
	credentials jsonvalue.Value,
) {
	optional := func(d *history.Details) *history.Details {
		if timeout > 0 {
			d.Int("timeoutInSeconds", timeout)
		}
		if heartbeat > 0 && s.Task.Resource.Kind != asl.LambdaFunction {
			d.Int("heartbeatInSeconds", heartbeat)
		}
		if role, ok := credentials.Get("RoleArn"); ok {
			d.Raw("taskCredentials", jsonvalue.NewObjectBuilder(1).Set("roleArn", role).Value().String())
		}
		return d
	}
	if s.Task.Resource.Kind == asl.LambdaFunction {
		x.follow(t, history.LambdaFunctionScheduled, optional(history.NewDetails("lambdaFunctionScheduledEventDetails").
			Text("resource", s.Task.Resource.ARN).Data("input", input)))
		x.follow(t, history.LambdaFunctionStarted, nil)
		return
	}
	x.follow(t, history.TaskScheduled, optional(serviceDetails("taskScheduledEventDetails", s).
		Text("region", x.info.Region).Text("parameters", input)))
	x.follow(t, history.TaskStarted, serviceDetails("taskStartedEventDetails", s))
}

// serviceDetails starts the details of an event of a service integration.
func serviceDetails(key string, s *asl.State) *history.Details {
	return history.NewDetails(key).Text("resourceType", s.Task.Resource.Service).Text("resource", s.Task.Resource.Name())
}

// cancelTask forgets the task a thread waits for.
func (x *Execution) cancelTask(t *thread) {
	if t.TaskID == 0 {
		return
	}
	x.step.Cancelled = append(x.step.Cancelled, t.TaskID)
	t.endTask()
}

func (t *thread) endTask() {
	t.TaskID, t.TaskInput = 0, jsonvalue.Value{}
	t.clearTimers()
}

// worker returns the thread that waits for a task.
func (x *Execution) worker(id int64) (*thread, *asl.State) {
	for _, t := range x.state.Threads {
		if t.TaskID == id && id != 0 {
			return t, x.machine.State(t.State)
		}
	}
	return nil, nil
}

func (ev TaskSucceeded) apply(x *Execution) {
	t, s := x.worker(ev.ID)
	if t == nil {
		return
	}
	t.endTask()
	result, err := jsonvalue.Parse(ev.Output)
	if err != nil {
		x.taskFailed(t, s, newFailure(asl.ErrRuntime, "The worker's result is not JSON: "+err.Error()))
		return
	}
	text := result.String()
	if len(text) > MaxPayloadBytes {
		x.taskFailed(t, s, tooLarge(s.Task.Resource.ARN))
		return
	}
	if s.Task.Resource.Kind == asl.LambdaFunction {
		x.follow(t, history.LambdaFunctionSucceeded,
			history.NewDetails("lambdaFunctionSucceededEventDetails").Data("output", text))
	} else {
		x.follow(t, history.TaskSucceeded, serviceDetails("taskSucceededEventDetails", s).Data("output", text))
	}
	x.complete(t, s, result)
}

func (ev TaskFailed) apply(x *Execution) {
	t, s := x.worker(ev.ID)
	if t == nil {
		return
	}
	t.endTask()
	x.taskFailed(t, s, newFailure(ev.Error, ev.Cause))
}

// taskFailed records a worker's failure and handles it.
func (x *Execution) taskFailed(t *thread, s *asl.State, f *failure) {
	if s.Task.Resource.Kind == asl.LambdaFunction {
		x.follow(t, history.LambdaFunctionFailed, history.NewDetails("lambdaFunctionFailedEventDetails").
			Optional("error", f.name).Optional("cause", f.cause))
	} else {
		x.follow(t, history.TaskFailed, serviceDetails("taskFailedEventDetails", s).
			Optional("error", f.name).Optional("cause", f.cause))
	}
	x.fail(t, s, f)
}

// taskTimedOut gives up on a task.
func (x *Execution) taskTimedOut(t *thread, s *asl.State, name string) {
	x.cancelTask(t)
	if s.Task.Resource.Kind == asl.LambdaFunction {
		x.follow(t, history.LambdaFunctionTimedOut,
			history.NewDetails("lambdaFunctionTimedOutEventDetails").Text("error", name))
	} else {
		x.follow(t, history.TaskTimedOut, serviceDetails("taskTimedOutEventDetails", s).Text("error", name))
	}
	x.fail(t, s, &failure{name: &name})
}

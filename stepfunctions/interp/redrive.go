package interp

import (
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
)

// redrivable reports whether a redrive finds anything to go on with.
func (x *Execution) redrivable() bool {
	st := &x.state
	return st.status != Running && st.status != Succeeded && x.root != nil && !x.info.Express
}

// apply resumes every thread that was stopped: tasks are scheduled again, other states are evaluated again, a Fail
// state is entered again, a Parallel or inline Map state goes on with the branches and items that had not succeeded, and
// a map run with its unsuccessful children.
func (Redrive) apply(x *Execution) {
	st := &x.state
	st.status, st.stopTime, st.err, st.cause = Running, time.Time{}, nil, nil
	st.redrives++
	st.redriveAt = x.now
	x.setDeadline()
	redriven := x.emit(st.lastEvent, history.ExecutionRedriven,
		history.NewDetails("executionRedrivenEventDetails").Int("redriveCount", int64(st.redrives)))
	x.resume(x.root, redriven)
}

// resume lets a thread and everything in it go on.
func (x *Execution) resume(t *thread, redriven int64) {
	x.touch(t)
	t.attempts, t.retries = nil, 0
	x.clearTimers(t)
	if children := t.children(); len(children) > 0 {
		t.phase = forked
		for _, child := range children {
			if x.state.status != Running {
				return
			}
			// A child that failed at once may have ended its state and its siblings.
			if !child.gone {
				x.resume(child, redriven)
			}
		}
		return
	}
	t.previous = redriven
	if t.task != nil && t.task.mapRun != nil {
		x.resumeMapRun(t)
		return
	}
	entered := t.phase != ready
	x.dropFork(t)
	t.task, t.phase = nil, ready
	if !entered || t.state.Type == asl.Fail {
		x.wakeUp(t)
		return
	}
	x.execute(t)
}

// resumeMapRun asks for the unsuccessful children of a map run.
func (x *Execution) resumeMapRun(t *thread) {
	run := t.task.mapRun
	run.Redrives++
	x.follow(t, history.MapRunRedriven, history.NewDetails("mapRunRedrivenEventDetails").Text("mapRunArn", run.ARN).
		Int("redriveCount", int64(run.Redrives)))
	x.setTask(t, t.task)
	x.step.MapRuns = append(x.step.MapRuns, *run)
}

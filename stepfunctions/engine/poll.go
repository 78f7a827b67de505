package engine

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

// WorkerTask is the answer to a worker's request, in the form of the API; without a task it is empty.
type WorkerTask struct {
	// TaskToken is what the worker answers with, Input what it gets.
	TaskToken *string `json:"taskToken,omitempty"`
	Input     *string `json:"input,omitempty"`
}

// Poll gives a worker the oldest task of an activity. It waits for one for a minute. When the connection of the request
// allows it, the error may be a [*server.LaterError] that parks the request instead.
func (e *Engine) Poll(ctx context.Context, activityARN, worker string) (*WorkerTask, error) {
	p := &poller{arn: activityARN, worker: worker, until: time.Now().Add(pollTime)}
	if !server.MayWait(ctx) {
		p.task = make(chan taskRef, 1)
		out, err := e.poll(ctx, p)
		if out == nil {
			out = &WorkerTask{}
		}
		return out, err
	}
	out, err := e.poll(ctx, p)
	if err != nil || out != nil {
		return out, err
	}
	return nil, &server.LaterError{Park: func(w *server.Waiting) {
		p.parked = w
		e.hub.park(p, false)
	}}
}

// poll looks for a task and, if the poller can wait here, waits for one. Both results are nil when there is none.
func (e *Engine) poll(ctx context.Context, p *poller) (*WorkerTask, error) {
	waiting := p
	if p.task == nil {
		waiting = nil
	}
	for {
		ref, waits, full := e.hub.take(p.arn, waiting)
		if full {
			return nil, tooManyWorkers(p.arn)
		}
		if waits && waiting != nil {
			ref, waits = e.wait(ctx, p)
		}
		if waits {
			return nil, nil
		}
		out, err := e.fetch(p.arn, ref, p.worker)
		if err != nil || out != nil {
			return out, err
		}
		// The task timed out or was cancelled in the same moment: the next one will do.
	}
}

func tooManyWorkers(arn string) error {
	return server.Errorf("ActivityWorkerLimitExceeded", "Activity Worker Limit Exceeded: '%s'", arn)
}

// wait holds a request until there is a task for it. none is true when its time is over before, or when nobody waits
// for its answer any more.
func (e *Engine) wait(ctx context.Context, p *poller) (ref taskRef, none bool) {
	timeout := time.NewTimer(time.Until(p.until))
	defer timeout.Stop()
	select {
	case ref = <-p.task:
		return ref, false
	case <-timeout.C:
	case <-ctx.Done():
	case <-e.ctx.Done():
	}
	ref, given := e.hub.leave(p)
	if given && ctx.Err() != nil {
		e.hub.giveBack(p.arn, ref)
		given = false
	}
	return ref, !given
}

// serve gives a parked poller its task, or ends its wait.
func (e *Engine) serve(d delivery) {
	end := func() { d.p.parked.Answer([]byte("{}"), nil) }
	switch {
	case d.full:
		e.group.Go(func() { d.p.parked.Answer(nil, tooManyWorkers(d.p.arn)) })
	case d.ref == (taskRef{}):
		e.group.Go(end)
	case !e.spawn(func() { e.bring(d.p, d.ref) }):
		end()
	}
}

// bring fetches the task for a parked poller. One that has ended in the same moment is replaced by the next.
func (e *Engine) bring(p *poller, ref taskRef) {
	out, err := e.fetch(p.arn, ref, p.worker)
	switch {
	case err == nil && out == nil:
		e.hub.park(p, true)
		return
	case errors.Is(err, ErrStopped):
		out, err = &WorkerTask{}, nil
	}
	var text []byte
	if err == nil {
		text, err = json.Marshal(out)
	}
	p.parked.Answer(text, err)
}

// fetch starts a task for a worker. Both results are nil when the task has ended.
func (e *Engine) fetch(arn string, ref taskRef, worker string) (*WorkerTask, error) {
	var task interp.Task
	_, err := e.Do(ref.execution, Item{
		Event:    interp.TaskStarted{ID: ref.task, Worker: worker},
		withdraw: ref.task,
		Check: func(x *interp.Execution, _ *journal.Execution) error {
			found, ok := x.TaskByID(ref.task)
			if !ok || found.Started {
				return ErrTaskClosed
			}
			task = found
			return nil
		},
	})
	switch {
	case errors.Is(err, ErrTaskClosed), errors.Is(err, ErrEnded), errors.Is(err, journal.ErrNotFound):
		return nil, nil
	case err != nil:
		e.hub.giveBack(arn, ref)
		return nil, err
	}
	return &WorkerTask{&task.Token, &task.Input}, nil
}

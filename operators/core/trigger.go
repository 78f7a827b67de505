package core

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gust/dag"
	"gust/internal/param"
	"gust/operators"
	"gust/triggers"
	"gust/triggers/external"
)

// Runs creates and observes DAG runs. Package internal/app implements it with the store and the scheduler.
type Runs interface {
	external.RunStates
	// TriggerRun creates a queued run: ErrRunExists when the run id is taken, ErrNoSuchDAG when there is no such DAG.
	TriggerRun(ctx context.Context, r TriggerRequest) error
	// ResetRun clears all tasks of a run, so that it runs again (reset_dag_run).
	ResetRun(ctx context.Context, key dag.RunKey) error
	// IsPaused reports whether the DAG is paused; ErrNoSuchDAG when there is none.
	IsPaused(ctx context.Context, dagID string) (bool, error)
}

// Errors of Runs.
var (
	ErrRunExists = errors.New("the DAG run exists already")
	ErrNoSuchDAG = errors.New("there is no such DAG")
)

// TriggerRequest is a run to be created: a manual run, triggered by an operator.
type TriggerRequest struct {
	dag.RunKey
	// LogicalDate is zero for none.
	LogicalDate time.Time
	// Conf is a JSON object, or nil.
	Conf json.RawMessage
	// By is the attempt that asks.
	By dag.Attempt
}

// keyRunID is the XCom key of the triggered run's id, as in Airflow.
const keyRunID = "trigger_run_id"

func triggerDagRunSpec(deps Deps) operators.Spec {
	return operators.Spec{
		Name: "TriggerDagRunOperator",
		Aliases: []string{
			"airflow.operators.dagrun_operator.TriggerDagRunOperator",
			"airflow.operators.trigger_dagrun.TriggerDagRunOperator",
			"airflow.providers.standard.operators.trigger_dagrun.TriggerDagRunOperator",
		},
		Doc: "Starts a run of another DAG, and waits for its end if asked to. An attempt that is repeated after a crash " +
			"finds the run it started; a retry goes on waiting for the run of the previous try while that is not finished.",
		New: func() operators.Operator { return &TriggerDagRun{deps: &deps} },
	}
}

// TriggerDagRun starts a run of another DAG (Airflow: TriggerDagRunOperator).
type TriggerDagRun struct {
	TriggerDagID          string         `param:"trigger_dag_id" template:"true" required:"true" doc:"The DAG to run."`
	TriggerRunID          *string        `param:"trigger_run_id" template:"true" doc:"Id of the new run. Default: one that follows from this attempt."`
	Conf                  any            `param:"conf" template:"true" doc:"Configuration of the run: a mapping, or a text that holds a JSON object."`
	LogicalDate           *string        `param:"logical_date" template:"true" alias:"execution_date" doc:"Logical date of the run, for example {{ ds }} or {{ ts }}. Default: none."`
	ResetDagRun           bool           `param:"reset_dag_run" default:"false" doc:"When a run with trigger_run_id exists already, clear it and let it run again."`
	WaitForCompletion     bool           `param:"wait_for_completion" default:"false" doc:"End when the run ends."`
	PokeInterval          param.Duration `param:"poke_interval" default:"60s" doc:"Time between two looks at the run when waiting."`
	AllowedStates         []string       `param:"allowed_states" default:"[\"success\"]" doc:"States of the run in which this task succeeds."`
	FailedStates          []string       `param:"failed_states" default:"[\"failed\"]" doc:"States of the run in which this task fails."`
	SkipWhenAlreadyExists bool           `param:"skip_when_already_exists" default:"false" doc:"Skip this task when a run with trigger_run_id exists already, instead of failing."`
	FailWhenDagIsPaused   bool           `param:"fail_when_dag_is_paused" default:"false" doc:"Fail when the DAG to run is paused, instead of queueing a run that waits."`
	Deferrable            *bool          `param:"deferrable" doc:"Wait in the trigger loop, without a worker. It decides how to wait, not whether. Default: true."`

	deps *Deps
}

// Validate checks what does not depend on templates.
func (o *TriggerDagRun) Validate() error {
	legal := []string{"queued", "running", "success", "failed"}
	for name, states := range map[string][]string{"allowed_states": o.AllowedStates, "failed_states": o.FailedStates} {
		for _, s := range states {
			if !slices.Contains(legal, s) {
				return &param.Error{Path: []string{name}, Problem: fmt.Sprintf("%q is not a state of a DAG run", s),
					Expected: "some of " + strings.Join(legal, ", "), Nearest: param.Nearest(s, legal)}
			}
		}
	}
	if o.PokeInterval < 0 {
		return errors.New("poke_interval is negative")
	}
	return nil
}

// Execute starts the run, and ends, waits, or parks.
func (o *TriggerDagRun) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	req, err := o.request(t)
	if err != nil {
		return operators.Result{}, operators.Fail(err)
	}
	key, skip, err := o.trigger(ctx, t, req)
	switch {
	case errors.Is(err, ErrNoSuchDAG):
		return operators.Result{}, fmt.Errorf("trigger_dag_id %q: %w", o.TriggerDagID, err)
	case err != nil:
		return operators.Result{}, err
	case skip:
		return operators.Skip(fmt.Sprintf("the run %s of DAG %s exists already", key.RunID, key.DagID)), nil
	case !o.WaitForCompletion:
		return operators.Done(nil), nil
	}
	args := &external.Args{
		DagID: key.DagID, RunID: key.RunID, Allowed: o.AllowedStates, Failed: o.FailedStates,
		Pace: triggers.Pace{Interval: o.PokeInterval.Std()},
	}
	if o.defers() {
		trigger, err := args.Trigger()
		if err != nil {
			return operators.Result{}, err
		}
		return operators.Defer(trigger, 0), nil
	}
	return o.wait(ctx, t, args)
}

func (o *TriggerDagRun) defers() bool {
	switch {
	case o.Deferrable != nil:
		return *o.Deferrable
	case o.deps.DefaultDeferrable != nil:
		return *o.deps.DefaultDeferrable
	}
	return true
}

// trigger makes sure that the run exists, once.
func (o *TriggerDagRun) trigger(ctx context.Context, t operators.Task, req TriggerRequest) (dag.RunKey, bool, error) {
	own, err := pulled(t.XComPull(ctx, "", keyRunID))
	if err != nil {
		return req.RunKey, false, err
	}
	if own == "" {
		if key, ok, err := o.unfinished(ctx, t); err != nil || ok {
			return key, false, err
		}
		paused, err := o.deps.Runs.IsPaused(ctx, req.DagID)
		if err != nil {
			return req.RunKey, false, err
		}
		if paused && o.FailWhenDagIsPaused {
			return req.RunKey, false, fmt.Errorf("the DAG %s is paused", req.DagID)
		}
		if paused {
			t.Log().Warn("the DAG " + req.DagID + " is paused: the run waits in the queue")
		}
		if key, skip, done, err := o.existing(ctx, t, req); err != nil || done {
			return key, skip, err
		}
		// Written down before the run is created: after a crash the attempt knows that the run is its own.
		if err := t.XComPush(ctx, keyRunID, req.RunID); err != nil {
			return req.RunKey, false, err
		}
	}
	err = o.deps.Runs.TriggerRun(ctx, req)
	if err != nil && !errors.Is(err, ErrRunExists) {
		return req.RunKey, false, err
	}
	t.Log().Info(fmt.Sprintf("Triggered run %s of DAG %s", req.RunID, req.DagID))
	return req.RunKey, false, nil
}

// existing deals with a run that has the id already and is not this attempt's.
func (o *TriggerDagRun) existing(
	ctx context.Context, t operators.Task, req TriggerRequest,
) (key dag.RunKey, skip, done bool, err error) {
	run, err := o.deps.Runs.GetRun(ctx, req.RunKey)
	switch {
	case err != nil || run == nil || o.TriggerRunID == nil:
		return req.RunKey, false, false, err
	case o.ResetDagRun:
		if err := o.deps.Runs.ResetRun(ctx, req.RunKey); err != nil {
			return req.RunKey, false, true, err
		}
		t.Log().Info(fmt.Sprintf("Cleared run %s of DAG %s", req.RunID, req.DagID))
		return req.RunKey, false, true, t.XComPush(ctx, keyRunID, req.RunID)
	case o.SkipWhenAlreadyExists:
		return req.RunKey, true, true, nil
	}
	return req.RunKey, false, true, fmt.Errorf("run %s of DAG %s: %w; set reset_dag_run to run it again, "+
		"skip_when_already_exists to skip this task, or use another trigger_run_id", req.RunID, req.DagID, ErrRunExists)
}

// unfinished returns the run of the previous try when this one waits and that run has not ended.
func (o *TriggerDagRun) unfinished(ctx context.Context, t operators.Task) (dag.RunKey, bool, error) {
	if !o.WaitForCompletion {
		return dag.RunKey{}, false, nil
	}
	id, err := pulled(t.PreviousXCom(ctx, keyRunID))
	if err != nil || id == "" {
		return dag.RunKey{}, false, err
	}
	key := dag.RunKey{DagID: o.TriggerDagID, RunID: id}
	run, err := o.deps.Runs.GetRun(ctx, key)
	if err != nil || run == nil || run.State.Finished() {
		return dag.RunKey{}, false, err
	}
	t.Log().Info("The run of the previous try is not finished; waiting for it: " + id)
	return key, true, t.XComPush(ctx, keyRunID, id)
}

func pulled(raw json.RawMessage, ok bool, err error) (string, error) {
	if err != nil || !ok {
		return "", err
	}
	var s string
	_ = json.Unmarshal(raw, &s) // what is no text is no run id
	return s, nil
}

// wait waits on the worker.
func (o *TriggerDagRun) wait(ctx context.Context, t operators.Task, args *external.Args) (operators.Result, error) {
	for {
		out, err := external.Look(ctx, o.deps.Runs, args)
		if err != nil {
			return operators.Result{}, err
		}
		if out != nil {
			return end(out)
		}
		t.Log().Info(fmt.Sprintf("Waiting for run %s of DAG %s to reach one of %s",
			args.RunID, args.DagID, strings.Join(args.Allowed, ", ")))
		timer := time.NewTimer(max(args.Pace.Interval, 10*time.Millisecond))
		select {
		case <-ctx.Done():
			timer.Stop()
			return operators.Result{}, fmt.Errorf("waiting for run %s: %w", args.RunID, context.Cause(ctx))
		case <-timer.C:
		}
	}
}

// Resume ends the task as the run ended.
func (o *TriggerDagRun) Resume(_ context.Context, _ operators.Task, event triggers.Event) (operators.Result, error) {
	var out external.Outcome
	if err := json.Unmarshal(event.Payload, &out); err != nil || out.End == "" {
		return operators.Result{}, fmt.Errorf("Trigger error: event is %s", event.Payload)
	}
	return end(&out)
}

func end(out *external.Outcome) (operators.Result, error) {
	if out.End == external.EndFailed {
		return operators.Result{}, fmt.Errorf("the triggered %s", out.What)
	}
	return operators.Done(nil), nil
}

// request reads the parameters.
func (o *TriggerDagRun) request(t operators.Task) (TriggerRequest, error) {
	req := TriggerRequest{RunKey: dag.RunKey{DagID: o.TriggerDagID}, By: t.Attempt()}
	switch {
	case o.TriggerDagID == "":
		return req, errors.New("trigger_dag_id is empty")
	case o.TriggerRunID != nil && *o.TriggerRunID == "":
		return req, errors.New("trigger_run_id is empty; leave it out for one that follows from the attempt")
	case o.TriggerRunID != nil:
		req.RunID = *o.TriggerRunID
	}
	if o.LogicalDate != nil && *o.LogicalDate != "" && *o.LogicalDate != "None" {
		date, err := moment(*o.LogicalDate)
		if err != nil {
			return req, err
		}
		req.LogicalDate = date
	}
	conf, err := confObject(o.Conf)
	if err != nil {
		return req, err
	}
	req.Conf = conf
	if req.RunID == "" {
		req.RunID = deriveRunID(t, o.TriggerDagID)
	}
	return req, nil
}

// deriveRunID names the run after the attempt: the same each time the attempt is repeated.
func deriveRunID(t operators.Task, dagID string) string {
	run := t.Run()
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s", t.Attempt(), run.StartDate.UnixMicro(), dagID))
	at := run.RunAfter.UTC().Format("2006-01-02T15:04:05.999999+00:00")
	return fmt.Sprintf("%s__%s_%s", dag.RunManual, at, hex.EncodeToString(sum[:6]))
}

func moment(text string) (time.Time, error) {
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999",
		"2006-01-02 15:04:05.999999999", "2006-01-02",
	} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("logical_date %q is not a date; expected for example 2024-05-01T00:00:00+00:00", text)
}

func confObject(conf any) (json.RawMessage, error) {
	text, ok := conf.(string)
	switch {
	case conf == nil || ok && (text == "" || text == "None"):
		return nil, nil
	case !ok:
		raw, err := json.Marshal(conf)
		if err != nil {
			return nil, fmt.Errorf("conf cannot be written as JSON: %w", err)
		}
		text = string(raw)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil || object == nil {
		return nil, errors.New("conf is not a JSON object; write a mapping, or render it with the tojson filter")
	}
	return json.RawMessage(text), nil
}

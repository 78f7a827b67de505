// Package core holds the operators that shape a run rather than do work: nothing, branch, only the latest run, another
// DAG's run.
package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gust/dag"
	"gust/operators"
)

// Deps is what the family needs from the process.
type Deps struct {
	// Runs creates and observes DAG runs, for TriggerDagRunOperator.
	Runs Runs
	// DefaultDeferrable is [operators] default_deferrable; nil leaves it to the operator. It decides how to wait, never
	// whether.
	DefaultDeferrable *bool
}

// Register adds the family to the registry.
func Register(r *operators.Registry, deps Deps) error {
	if deps.Runs == nil {
		return errors.New("operators/core: Deps needs Runs")
	}
	return errors.Join(
		r.Register(operators.Spec{
			Name: "EmptyOperator",
			Aliases: []string{
				"empty", "DummyOperator",
				"airflow.operators.dummy_operator.DummyOperator", "airflow.operators.dummy.DummyOperator",
				"airflow.operators.empty.EmptyOperator", "airflow.providers.standard.operators.empty.EmptyOperator",
			},
			Doc:    "Does nothing. It groups other tasks; the scheduler marks it success itself.",
			New:    func() operators.Operator { return &Empty{} },
			Inline: true,
		}),
		r.Register(operators.Spec{
			Name:    "BranchOperator",
			Aliases: []string{"branch"},
			Doc: "Chooses which of its direct downstream tasks go on; the others are skipped, unless they can also be " +
				"reached from a chosen one. The choice is a template expression.",
			New: func() operators.Operator { return &Branch{} },
		}),
		r.Register(operators.Spec{
			Name: "LatestOnlyOperator",
			Aliases: []string{
				"airflow.operators.latest_only_operator.LatestOnlyOperator", "airflow.operators.latest_only.LatestOnlyOperator",
				"airflow.providers.standard.operators.latest_only.LatestOnlyOperator",
			},
			Doc: "Skips the direct downstream tasks unless this is the latest scheduled run: one whose successor is not " +
				"due yet. Runs that were triggered by hand always go on.",
			New: func() operators.Operator { return &LatestOnly{} },
		}),
		r.Register(triggerDagRunSpec(deps)),
	)
}

// Empty does nothing (Airflow: EmptyOperator).
type Empty struct{}

// Execute succeeds.
func (*Empty) Execute(context.Context, operators.Task) (operators.Result, error) {
	return operators.Done(nil), nil
}

// Branch chooses between its direct downstream tasks.
type Branch struct {
	Follow        any `param:"follow" template:"true" doc:"The task id or task group id to follow, or a list of them; a text may also hold a list (['a', 'b']). Nothing, None or an empty list skips all. For example {{ 'big' if ti.xcom_pull('count') > 10 else 'small' }}."`
	FollowTaskIDs any `param:"follow_task_ids" template:"true" doc:"The same as follow."`
}

// Validate refuses both spellings at once.
func (b *Branch) Validate() error {
	if b.Follow != nil && b.FollowTaskIDs != nil {
		return errors.New("follow and follow_task_ids mean the same; give one of them")
	}
	return nil
}

// Execute decides.
func (b *Branch) Execute(_ context.Context, t operators.Task) (operators.Result, error) {
	choice := b.Follow
	if choice == nil {
		choice = b.FollowTaskIDs
	}
	ids, err := names(choice)
	if err != nil {
		return operators.Result{}, operators.Fail(err)
	}
	if err := operators.CheckFollow(t.Spec(), ids...); err != nil {
		return operators.Result{}, operators.Fail(fmt.Errorf("follow: %w", err))
	}
	t.Log().Info("Following branch " + strings.Join(ids, ", "))
	var value any
	switch len(ids) {
	case 0:
	case 1:
		value = ids[0]
	default:
		value = ids
	}
	return operators.Branch(value, ids...), nil
}

// names reads a choice: nothing, a name, or a list of names, which may be written as text.
func names(choice any) ([]string, error) {
	switch v := choice.(type) {
	case nil:
		return nil, nil
	case []any:
		ids := make([]string, 0, len(v))
		for _, item := range v {
			id, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("follow holds %v; expected task ids", item)
			}
			ids = append(ids, id)
		}
		return ids, nil
	case string:
		text := strings.TrimSpace(v)
		if text == "" || text == "None" || text == "null" {
			return nil, nil
		}
		if !strings.HasPrefix(text, "[") {
			return []string{text}, nil
		}
		var ids []string
		if json.Unmarshal([]byte(text), &ids) == nil {
			return ids, nil
		}
		// The text of a Python list; ids hold neither quotes nor backslashes.
		if json.Unmarshal([]byte(strings.ReplaceAll(text, "'", `"`)), &ids) == nil {
			return ids, nil
		}
		return nil, fmt.Errorf("follow is %q; expected a task id, or a list such as ['a', 'b']", v)
	}
	return nil, fmt.Errorf("follow is %v; expected a task id or a list of them", choice)
}

// LatestOnly lets only the latest run go on (Airflow: LatestOnlyOperator).
type LatestOnly struct{}

// Execute decides.
func (*LatestOnly) Execute(_ context.Context, t operators.Task) (operators.Result, error) {
	run := t.Run()
	if run.Type == dag.RunManual {
		t.Log().Info("Externally triggered DAG_Run: allowing execution to proceed.")
		return operators.Done(nil), nil
	}
	if run.NextAfter.IsZero() || !t.Now().After(run.NextAfter) {
		t.Log().Info("Latest, allowing execution to proceed.")
		return operators.Done(nil), nil
	}
	t.Log().Info("Not latest run, skipping downstream.", "next_run_was_due", run.NextAfter.UTC().Format(time.RFC3339))
	return operators.Branch(nil), nil
}

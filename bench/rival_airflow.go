package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

func (a *airflow) rival() rival {
	return rival{name: a.name, do: a.do, wait: a.wait, crash: a.crash}
}

// sampleAirflow is how often its memory is read: it has many processes.
const sampleAirflow = time.Second

// do triggers the runs of a job and waits for the last one's end.
func (a *airflow) do(ctx context.Context, j job) (o outcome, err error) {
	dagID := airflowJob(slices.IndexFunc(peerJobs, func(other job) bool { return other.name == j.name }))
	ctx, cancel := context.WithTimeoutCause(ctx, airflowWithin, fmt.Errorf("not done within %s", airflowWithin))
	defer cancel()
	memory := startSamplerEvery(sampleAirflow, a.processes)
	defer func() { o.memory = memory.end() }()
	began := time.Now()
	for range j.runs {
		if err := a.trigger(ctx, dagID); err != nil {
			return o, err
		}
	}
	if err := a.await(ctx, dagID); err != nil {
		return o, err
	}
	o.took = time.Since(began)
	failed, err := a.countRuns(ctx, dagID, "state=failed")
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d runs of %s failed", failed, dagID)
	}
	return o, err
}

func (a *airflow) trigger(ctx context.Context, dagID string) error {
	a.runs++
	run := map[string]any{"logical_date": nil, "dag_run_id": fmt.Sprintf("bench-%d", a.runs)}
	return a.call(ctx, http.MethodPost, "/api/v2/dags/"+dagID+"/dagRuns", run, new(any))
}

// countRuns counts runs with a filter.
func (a *airflow) countRuns(ctx context.Context, dagID, filter string) (int, error) {
	return a.total(ctx, "/api/v2/dags/"+dagID+"/dagRuns?limit=1&"+filter)
}

func (a *airflow) total(ctx context.Context, path string) (int, error) {
	var list struct {
		Total int `json:"total_entries"`
	}
	err := a.call(ctx, http.MethodGet, path, nil, &list)
	return list.Total, err
}

// await waits until no run is unfinished.
func (a *airflow) await(ctx context.Context, dagID string) error {
	return a.until(ctx, func() (bool, error) {
		open, err := a.countRuns(ctx, dagID, "state=queued&state=running")
		return open == 0, err
	})
}

// awaitTasks waits until so many tasks of the latest run are in a state.
func (a *airflow) awaitTasks(ctx context.Context, dagID, state string, tasks int) error {
	path := fmt.Sprintf("/api/v2/dags/%s/dagRuns/bench-%d/taskInstances?limit=1&state=%s", dagID, a.runs, state)
	return a.until(ctx, func() (bool, error) {
		n, err := a.total(ctx, path)
		return n >= tasks, err
	})
}

// airflowPatience is how long its API may fail in a row; under load it does.
const airflowPatience = time.Minute

// until asks again and again; each answer costs it some work.
func (a *airflow) until(ctx context.Context, done func() (bool, error)) error {
	for answered := time.Now(); ; {
		ok, err := done()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && ok:
			return nil
		case err == nil:
			answered = time.Now()
		case time.Since(answered) > airflowPatience:
			return err
		}
		if err := pause(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
}

// wait has the triggerer hold deferrable sensors.
func (a *airflow) wait(ctx context.Context, sensors int) (o sensorOutcome, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, airflowWithin, fmt.Errorf("not done within %s", airflowWithin))
	defer cancel()
	began := time.Now()
	if err := a.trigger(ctx, "sensors"); err != nil {
		return o, err
	}
	if err := a.awaitTasks(ctx, "sensors", "deferred", sensors); err != nil {
		return o, fmt.Errorf("until all wait: %w", err)
	}
	o.parked = time.Since(began)
	if err := o.watch(ctx, a.processes()...); err != nil {
		return o, err
	}
	released := time.Now()
	if err := os.WriteFile(a.flag, nil, 0o600); err != nil {
		return o, err
	}
	if err := a.await(ctx, "sensors"); err != nil {
		return o, fmt.Errorf("after the release: %w", err)
	}
	o.released, err = a.ends(ctx, "sensors", sensors, released)
	return o, err
}

// ends reads when the tasks of the latest run have succeeded, as the time since a moment.
func (a *airflow) ends(ctx context.Context, dagID string, tasks int, since time.Time) (after []time.Duration, err error) {
	for offset := 0; offset < tasks; {
		var page struct {
			Tasks []struct {
				State string     `json:"state"`
				End   *time.Time `json:"end_date"`
			} `json:"task_instances"`
		}
		path := fmt.Sprintf("/api/v2/dags/%s/dagRuns/bench-%d/taskInstances?limit=100&offset=%d", dagID, a.runs, offset)
		if err := a.call(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		if len(page.Tasks) == 0 {
			return nil, fmt.Errorf("%d of %d task instances are listed", offset, tasks)
		}
		for _, t := range page.Tasks {
			if t.State != "success" || t.End == nil {
				return nil, fmt.Errorf("a sensor is %s", t.State)
			}
			after = append(after, t.End.Sub(since))
		}
		offset += len(page.Tasks)
	}
	return after, nil
}

// crash kills the services while a task runs and starts them again.
func (a *airflow) crash(ctx context.Context) (took time.Duration, shown string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, airflowWithin, fmt.Errorf("not right within %s", airflowWithin))
	defer cancel()
	if err := a.trigger(ctx, "crash"); err != nil {
		return 0, "", err
	}
	if err := a.awaitTasks(ctx, "crash", "running", 1); err != nil {
		return 0, "", err
	}
	if err := pause(ctx, time.Second); err != nil {
		return 0, "", err
	}
	killed := time.Now()
	a.kill()
	if err := errors.Join(a.start(), a.ready(ctx)); err != nil {
		return 0, "", err
	}
	if err := a.await(ctx, "crash"); err != nil {
		return 0, "", err
	}
	took = time.Since(killed)
	states, err := a.states(ctx, "crash")
	return took, "the run ends with " + states, err
}

// states tells how the tasks of the latest run have ended.
func (a *airflow) states(ctx context.Context, dagID string) (string, error) {
	var list struct {
		Tasks []struct {
			ID    string `json:"task_id"`
			State string `json:"state"`
			Try   int    `json:"try_number"`
		} `json:"task_instances"`
	}
	path := fmt.Sprintf("/api/v2/dags/%s/dagRuns/bench-%d/taskInstances", dagID, a.runs)
	err := a.call(ctx, http.MethodGet, path, nil, &list)
	var parts []string
	for _, t := range list.Tasks {
		parts = append(parts, fmt.Sprintf("%s %s in try %d", t.ID, t.State, t.Try))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", "), err
}

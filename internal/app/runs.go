package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"gust/dag"
	"gust/dag/params"
	"gust/dag/timetable"
	"gust/internal/home"
	"gust/store"
)

// TriggerRequest asks for a run.
type TriggerRequest struct {
	DagID string
	// RunID is the wanted id; empty means manual__<run after>.
	RunID string
	// Conf is a JSON object or nil.
	Conf json.RawMessage
	// LogicalDate is the wanted date; zero means now, unless NoLogicalDate.
	LogicalDate   time.Time
	NoLogicalDate bool
	By            dag.TriggeredBy
}

// NewRun is the queued run that a request asks for, not stored yet.
func (a *App) NewRun(d *dag.DAG, r TriggerRequest) (*dag.Run, error) {
	now := a.Now().UTC().Truncate(time.Microsecond)
	table, err := timetable.New(d.Schedule, d.Timezone)
	if err != nil {
		return nil, fmt.Errorf("DAG %s: %w", d.ID, err)
	}
	runAfter := now
	if !r.LogicalDate.IsZero() {
		runAfter = r.LogicalDate.UTC().Truncate(time.Microsecond)
	}
	run := &dag.Run{
		RunKey: dag.RunKey{DagID: d.ID, RunID: r.RunID}, State: dag.RunQueued, Type: dag.RunManual, RunAfter: runAfter,
		QueuedAt: now, Conf: r.Conf, TriggeredBy: r.By,
	}
	if !r.NoLogicalDate {
		slot := table.Manual(runAfter)
		run.LogicalDate, run.IntervalStart, run.IntervalEnd = runAfter, slot.IntervalStart, slot.IntervalEnd
	}
	if run.RunID == "" {
		run.RunID = timetable.RunID(dag.RunManual, runAfter)
		return run, nil
	}
	pattern, err := regexp.Compile(a.Config.Scheduler.AllowedRunIDPattern)
	if err != nil {
		return nil, fmt.Errorf("scheduler.allowed_run_id_pattern: %w", err)
	}
	if !pattern.MatchString(run.RunID) {
		return nil, fmt.Errorf("the run id %q does not match %s (scheduler.allowed_run_id_pattern)", run.RunID, pattern)
	}
	return run, nil
}

// Trigger stores a queued run and wakes the daemon. The DAG must be among the pipelines; one whose file is broken is
// triggered as long as a daemon has stored a good version of it.
func (a *App) Trigger(ctx context.Context, r TriggerRequest) (*dag.Run, error) {
	d, err := a.current(ctx, r.DagID)
	if err != nil {
		return nil, err
	}
	if err := CheckConf(d, r.Conf); err != nil {
		return nil, err
	}
	run, err := a.NewRun(d, r)
	if err != nil {
		return nil, err
	}
	if err := a.ensureDag(ctx, d); err != nil {
		return nil, err
	}
	if err := a.Store.RunCreate(ctx, run); err != nil {
		if errors.Is(err, store.ErrExists) {
			return nil, fmt.Errorf("DAG %s already has a run with the id %q or the logical date %s; choose another --run-id or --logical-date: %w",
				d.ID, run.RunID, timetable.ISOFormat(run.LogicalDate), err)
		}
		return nil, err
	}
	a.Wake()
	return run, nil
}

// CheckConf checks the params of a run of a DAG: its defaults with conf over them, against their schemas.
func CheckConf(d *dag.DAG, conf json.RawMessage) error {
	if len(d.ParamSchemas) == 0 {
		return nil
	}
	var values map[string]any
	if len(conf) > 0 {
		decoded, err := dag.DecodeJSON(conf)
		if err != nil {
			return fmt.Errorf("conf: %w", err)
		}
		object, ok := decoded.(map[string]any)
		if !ok && decoded != nil {
			return fmt.Errorf("conf is %s; expected a JSON object", conf)
		}
		values = object
	}
	_, problems := params.Resolve(d, values, true)
	if len(problems) == 0 {
		return nil
	}
	text := fmt.Sprintf("DAG %s cannot run with this conf", d.ID)
	for _, p := range problems {
		text += "\n" + p.Error()
	}
	return errors.New(text)
}

// ensureDag stores the DAG's row when the database does not have one, which is so before the first daemon has run.
func (a *App) ensureDag(ctx context.Context, d *dag.DAG) error {
	_, err := a.Store.DagGet(ctx, d.ID)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	err = a.Store.EngineCommit(ctx, &store.Changes{
		Versions: []*dag.DAG{d},
		Dags: []store.DagRow{{
			DagID: d.ID, FileLoc: d.FileLoc, Version: d.Version, IsPaused: a.pausedAtCreation(d), Display: d.DisplayName,
			Tags: d.Tags, Schedule: d.Schedule.Text, LastParsed: a.Now().UTC(),
		}},
	})
	if errors.Is(err, store.ErrExists) {
		return nil // the daemon was faster
	}
	return err
}

// SetPaused pauses or unpauses a DAG and wakes the daemon.
func (a *App) SetPaused(ctx context.Context, dagID string, paused bool) error {
	d, err := a.current(ctx, dagID)
	if err != nil {
		return err
	}
	if err := a.ensureDag(ctx, d); err != nil {
		return err
	}
	if err := a.Store.DagSetPaused(ctx, dagID, paused); err != nil {
		return err
	}
	a.Wake()
	return nil
}

// Upcoming returns the next n slots of a DAG, after those that have run.
func (a *App) Upcoming(ctx context.Context, d *dag.DAG, n int) ([]timetable.Slot, error) {
	table, err := timetable.New(d.Schedule, d.Timezone)
	if err != nil {
		return nil, fmt.Errorf("DAG %s: %w", d.ID, err)
	}
	var last *timetable.Slot
	runs, err := a.Store.RunList(ctx, &store.RunListParams{DagID: d.ID, Types: []dag.RunType{dag.RunScheduled}, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(runs) == 1 {
		r := &runs[0]
		last = &timetable.Slot{RunAfter: r.RunAfter, LogicalDate: r.LogicalDate, IntervalStart: r.IntervalStart, IntervalEnd: r.IntervalEnd}
	}
	limits := timetable.Restriction{Earliest: d.StartDate, Latest: d.EndDate, Catchup: d.Catchup}
	return timetable.Following(table, last, limits, a.Now(), n), nil
}

// SchedulerAlive reports whether a scheduler runs on the home.
func (a *App) SchedulerAlive() bool { return home.Alive(a.Config.Home()) }

// SchedulerStatus says in words whether a scheduler runs on the home.
func (a *App) SchedulerStatus(ctx context.Context) (string, error) {
	beat, err := a.Store.HeartbeatGet(ctx)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	switch {
	case !a.SchedulerAlive() && beat == nil:
		return "not running, has never run", nil
	case !a.SchedulerAlive():
		return fmt.Sprintf("not running, last seen %s", beat.At.Local().Format("2006-01-02 15:04:05")), nil
	case beat == nil:
		return "starting", nil
	}
	text := fmt.Sprintf("running, process %d on %s since %s", beat.PID, beat.Host, beat.StartedAt.Local().Format("2006-01-02 15:04:05"))
	if age := a.Now().Sub(beat.At); age > a.Config.Scheduler.HealthCheckThreshold {
		text += fmt.Sprintf(", but without a sign of life for %s", age.Round(time.Second))
	}
	return text, nil
}

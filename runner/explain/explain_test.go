package explain_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gust/dag"
	"gust/runner/explain"
	"gust/runner/plan/plantest"
	"gust/store"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// situation is a run of a DAG text with tasks in the given states ("a=failed each[1]=success"), and what a case changes.
func situation(text, states string, run dag.RunState) *explain.Situation {
	d := plantest.Build(text)
	key := dag.RunKey{DagID: d.ID, RunID: "r"}
	s := &explain.Situation{
		Run: dag.Run{
			RunKey: key, State: run, Type: dag.RunManual, LogicalDate: now, RunAfter: now, StartDate: now, DagVersion: d.Version,
		},
		DAG: d, Slots: 8, Home: "/home", Now: now,
		Snapshot: &store.Snapshot{
			Refresh: store.Refresh{
				Dags:  []store.DagRow{{DagID: d.ID, FileLoc: d.FileLoc, Version: d.Version}},
				Pools: []store.Pool{{Name: dag.DefaultPool, Slots: 128}, {Name: "db", Slots: 1}},
			},
			Versions: map[string]*dag.DAG{d.Version: d},
		},
	}
	s.Tasks = instances(d, key, states)
	s.Snapshot.Active = []store.ActiveRun{{Run: s.Run, Tasks: s.Tasks}}
	if run.Finished() {
		s.Snapshot.Active = nil
	}
	return s
}

func instances(d *dag.DAG, run dag.RunKey, states string) []dag.TaskInstance {
	var out []dag.TaskInstance
	for _, f := range strings.Fields(states) {
		name, state, _ := strings.Cut(f, "=")
		key := dag.Key{DagID: run.DagID, RunID: run.RunID, TaskID: name, MapIndex: -1}
		if id, index, mapped := strings.Cut(name, "["); mapped {
			key.TaskID = id
			_, _ = fmt.Sscanf(index, "%d]", &key.MapIndex)
		}
		ti := dag.TaskInstance{Key: key, State: dag.State(strings.TrimSuffix(state, "none")), Pool: dag.DefaultPool, PoolSlots: 1}
		if t := d.Task(key.TaskID); t != nil {
			ti.Pool, ti.PoolSlots, ti.MaxTries = t.Pool, t.PoolSlots, t.Retries
		}
		if ti.State != dag.StateNone && ti.State != dag.StateScheduled {
			ti.TryNumber, ti.StartDate, ti.EndDate = 1, now.Add(-time.Minute), now
		}
		out = append(out, ti)
	}
	return out
}

// task is the instance of a task in the situation, to be changed in place.
func task(s *explain.Situation, id string) *dag.TaskInstance {
	for i := range s.Tasks {
		if s.Tasks[i].TaskID == id {
			return &s.Tasks[i]
		}
	}
	panic("no task " + id)
}

// other adds a running run of the same DAG.
func other(s *explain.Situation, id, states string) {
	run := s.Run
	run.RunID, run.State = id, dag.RunRunning
	run.LogicalDate = now.Add(-time.Hour)
	s.Snapshot.Active = append(s.Snapshot.Active, store.ActiveRun{Run: run, Tasks: instances(s.DAG, run.RunKey, states)})
}

func previous(s *explain.Situation, state dag.RunState, states string) {
	run := s.Run
	run.RunID, run.State, run.LogicalDate = "before", state, now.Add(-24*time.Hour)
	s.Previous, s.PreviousTasks = &run, instances(s.DAG, run.RunKey, states)
}

func paused(s *explain.Situation) { s.Snapshot.Dags[0].IsPaused = true }

const chain = "etl\na retries=2\nb\nc\na >> b >> c"

// TestTask is the table of situations that people ask about, with the whole answer.
func TestTask(t *testing.T) {
	t.Parallel()
	clearHint := "`gust tasks clear etl -t '^b$' --run-id r` lets it run again"
	for _, c := range []struct {
		name, dag, states string
		run               dag.RunState
		key               string
		change            func(*explain.Situation)
		want              []string
	}{
		{"upstream runs", chain, "a=running b=none c=none", dag.RunRunning, "b", nil, []string{
			"trigger rule all_success is not met: of 1 upstream tasks 0 succeeded, 0 were skipped, 0 failed, 0 are upstream_failed, " +
				"0 were removed; unfinished: a (running)"}},
		{"another rule", "etl\na\nb\nc rule=all_done\na b >> c", "a=failed b=running c=none", dag.RunRunning, "c", nil, []string{
			"trigger rule all_done is not met: of 2 upstream tasks 0 succeeded, 0 were skipped, 1 failed, 0 are upstream_failed, " +
				"0 were removed; unfinished: b (running)"}},
		{"nothing", chain, "a=success b=none c=none", dag.RunRunning, "b", nil, nil},
		{"paused DAG", chain, "a=success b=scheduled c=none", dag.RunRunning, "b", paused, []string{
			"DAG etl is paused; switch it on with `gust dags unpause etl`"}},
		{"no daemon", chain, "a=success b=none c=none", dag.RunRunning, "b", func(s *explain.Situation) { s.Stopped = true }, []string{
			"no daemon runs on /home; start `gust scheduler` or `gust standalone`"}},
		{"full pool", "etl\na pool=db\nb pool=db", "a=running b=scheduled", dag.RunRunning, "b", nil, []string{
			`pool "db" has 0 of 1 slots free and the task needs 1`}},
		{"too small a pool", "etl\na pool=db slots=3", "a=scheduled", dag.RunRunning, "a", nil, []string{
			`pool "db" has 1 of 1 slots free and the task needs 3`}},
		{"missing pool", "etl\na pool=gone", "a=scheduled", dag.RunRunning, "a", nil, []string{`pool "gone" does not exist`}},
		{"max_active_tasks", "etl max_active_tasks=1\na\nb", "a=running b=scheduled", dag.RunRunning, "b", nil, []string{
			"1 tasks are active and max_active_tasks is 1"}},
		{"max_active_tis_per_dag", "etl\na per_dag=1", "a=scheduled", dag.RunRunning, "a", func(s *explain.Situation) { other(s, "o", "a=running") },
			[]string{"1 tasks are active and max_active_tis_per_dag is 1"}},
		{"max_active_tis_per_dagrun", "etl\neach maps=[1,2] per_run=1", "each[0]=running each[1]=scheduled", dag.RunRunning, "each[1]", nil,
			[]string{"1 tasks are active and max_active_tis_per_dagrun is 1"}},
		{"parallelism", "etl\na\nb", "a=running b=scheduled", dag.RunRunning, "b", func(s *explain.Situation) { s.Slots = 1 }, []string{
			"all 1 slots of the executor are taken (core.parallelism)"}},
		{"two limits", "etl max_active_tasks=1\na pool=db\nb pool=db", "a=running b=scheduled", dag.RunRunning, "b", nil, []string{
			`pool "db" has 0 of 1 slots free and the task needs 1`, "1 tasks are active and max_active_tasks is 1"}},
		{"depends_on_past", "etl\na past", "a=none", dag.RunRunning, "a", func(s *explain.Situation) { previous(s, dag.RunFailed, "a=failed") },
			[]string{"depends_on_past is true and the task is failed in the previous run before"}},
		{"wait_for_downstream", "etl\na past wait_for_downstream\nb\na >> b", "a=none b=none", dag.RunRunning, "a",
			func(s *explain.Situation) { previous(s, dag.RunRunning, "a=success b=running") },
			[]string{"wait_for_downstream is true and task b is running in the previous run before"}},
		{"retry", chain, "a=up_for_retry b=none c=none", dag.RunRunning, "a", func(s *explain.Situation) {
			ti := task(s, "a")
			ti.NotBefore, ti.Error = now.Add(time.Minute), "out of paper\nmore"
		}, []string{"try 1 of 3 failed and the next begins at 2026-11-28T12:01:00Z: out of paper"}},
		{"reschedule", chain, "a=up_for_reschedule b=none c=none", dag.RunRunning, "a", func(s *explain.Situation) {
			task(s, "a").NotBefore = now.Add(time.Minute)
		}, []string{"the sensor has looked without success and looks again at 2026-11-28T12:01:00Z"}},
		{"parked", chain, "a=deferred b=none c=none", dag.RunRunning, "a", func(s *explain.Situation) {
			task(s, "a").Deferral = &dag.Deferral{Kind: "file", Since: now.Add(-time.Hour), Deadline: now.Add(time.Hour)}
		}, []string{"the task waits without a worker on file since 2026-11-28T11:00:00Z, until 2026-11-28T13:00:00Z at the latest"}},
		{"running", chain, "a=running b=none c=none", dag.RunRunning, "a", nil, []string{"the task runs: try 1 of 3, since 2026-11-28T11:59:00Z"}},
		{"handed over", chain, "a=queued b=none c=none", dag.RunRunning, "a", nil, []string{
			"the task has been handed to the executor: try 1 begins"}},
		{"cleared while it ran", chain, "a=restarting b=none c=none", dag.RunRunning, "a", nil, []string{
			"the task was cleared while it ran: its attempt is being ended, then the next try begins"}},
		{"queued run", "etl max_active_runs=1\na", "", dag.RunQueued, "a", func(s *explain.Situation) { other(s, "o", "a=running") },
			[]string{"the run is queued", "1 runs of the DAG are running and max_active_runs is 1"}},
		{"queued run of a paused DAG", chain, "", dag.RunQueued, "a", paused, []string{
			"the run is queued", "DAG etl is paused; switch it on with `gust dags unpause etl`"}},
		{"paused backfill", chain, "", dag.RunQueued, "a", func(s *explain.Situation) {
			s.Run.BackfillID = 4
			s.Snapshot.Active[0].Run.BackfillID = 4
			s.Snapshot.Backfills = []store.Backfill{{ID: 4, DagID: "etl", IsPaused: true, MaxActiveRuns: 3}}
		}, []string{"the run is queued", "backfill 4 is paused; go on with `gust backfill unpause 4`"}},
		{"failed", chain, "a=success b=failed c=upstream_failed", dag.RunFailed, "b", func(s *explain.Situation) {
			task(s, "b").Error = "Bash command failed\nwith exit code 3"
		}, []string{"the task failed in try 1 of 1: Bash command failed", clearHint}},
		{"upstream failed", chain, "a=success b=failed c=upstream_failed", dag.RunFailed, "c", nil, []string{
			"its trigger rule all_success cannot be met any more: b is failed"}},
		{"branch", "etl\nbr\nx\ny\nbr >> x y", "br=success x=success y=skipped", dag.RunSuccess, "y", func(s *explain.Situation) {
			s.Skips = []store.XCom{{Key: task(s, "br").Key, Value: json.RawMessage(`{"followed":["x"]}`)}}
		}, []string{"branch br chose x"}},
		{"short circuit", chain, "a=success b=skipped c=skipped", dag.RunSuccess, "c", func(s *explain.Situation) {
			s.Skips = []store.XCom{{Key: task(s, "a").Key, Value: json.RawMessage(`{"skipped":["b","c"]}`)}}
		}, []string{"task a decided to skip it"}},
		{"skipped upstream", chain, "a=success b=skipped c=skipped", dag.RunSuccess, "c", nil, []string{
			"its trigger rule all_success skips it: b is skipped"}},
		{"skipped by its rule", "etl\na\nb rule=one_failed\na >> b", "a=success b=skipped", dag.RunSuccess, "b", nil, []string{
			"its trigger rule one_failed skips it: a is success"}},
		{"skipped itself", "etl\na", "a=skipped", dag.RunSuccess, "a", nil, []string{"the task skipped itself, or was marked skipped"}},
		{"removed", "etl\na", "a=success old=removed", dag.RunSuccess, "old", nil, []string{
			"the task, or this instance of it, is no longer part of the run"}},
		{"timed out run", chain, "a=success", dag.RunFailed, "b", func(s *explain.Situation) { s.Run.Reason = "timed_out" }, []string{
			"the run ended as failed (timed_out) without the task"}},
		{"succeeded", chain, "a=success b=none c=none", dag.RunRunning, "a", nil, []string{"the task ended as success at 2026-11-28T12:00:00Z"}},
		{"mapped task that waits", "etl\na\neach maps=a\na >> each", "a=running each=none", dag.RunRunning, "each", nil, []string{
			"trigger rule all_success is not met: of 1 upstream tasks 0 succeeded, 0 were skipped, 0 failed, 0 are upstream_failed, " +
				"0 were removed; unfinished: a (running)"}},
		{"excluded by its dates", "etl\na\nb end=2026-01-01", "a=running", dag.RunRunning, "b", nil, []string{
			"the task's start_date or end_date excludes the run's date 2026-11-28T12:00:00Z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := situation(c.dag, c.states, c.run)
			s.Key = dag.Key{DagID: s.DAG.ID, RunID: "r", TaskID: c.key, MapIndex: -1}
			if id, index, mapped := strings.Cut(c.key, "["); mapped {
				s.Key.TaskID = id
				_, _ = fmt.Sscanf(index, "%d]", &s.Key.MapIndex)
			}
			if c.change != nil {
				c.change(s)
			}
			got := explain.Task(s)
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

package monitor_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gust/dag"
	"gust/internal/monitor"
	"gust/runner/scheduler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// serve starts a server whose health is what the pointer holds.
func serve(t *testing.T, health *atomic.Pointer[monitor.Health], metrics http.Handler) *monitor.Server {
	t.Helper()
	s, err := monitor.Listen(t.Context(), "127.0.0.1:0", monitor.Options{
		Health: func(context.Context) monitor.Health { return *health.Load() }, Metrics: metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var health atomic.Pointer[monitor.Health]
	s := serve(t, &health, http.NotFoundHandler())
	for _, c := range []struct {
		name                string
		health              monitor.Health
		ready               bool
		database, scheduler string
		beat                any
		livez, readyz       int
		reason              string
	}{
		{"starting", monitor.Health{}, false, "healthy", "unhealthy", nil, 200, 503, "the daemon starts or stops"},
		{"well", monitor.Health{Heartbeat: at}, true, "healthy", "healthy", "2026-11-28T12:00:00+00:00", 200, 200, ""},
		{"hanging", monitor.Health{Heartbeat: at, Stale: true}, true, "healthy", "unhealthy", "2026-11-28T12:00:00+00:00", 503, 503,
			"no sign of life since 2026-11-28T12:00:00+00:00"},
		{"without its database", monitor.Health{Heartbeat: at, Database: errors.New("disk is full")}, true, "unhealthy", "healthy",
			"2026-11-28T12:00:00+00:00", 200, 503, "the database does not answer: disk is full"},
		{"stopping", monitor.Health{Heartbeat: at, Stale: true}, false, "healthy", "unhealthy", "2026-11-28T12:00:00+00:00", 200, 503,
			"the daemon starts or stops"},
	} {
		health.Store(&c.health)
		s.SetReady(c.ready)
		code, body := get(t, s.URL()+"/api/v2/monitor/health")
		var got map[string]map[string]any
		if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 {
			t.Fatalf("%s: %d %s %v", c.name, code, body, err)
		}
		want := map[string]map[string]any{
			"metadatabase":  {"status": c.database},
			"scheduler":     {"status": c.scheduler, "latest_scheduler_heartbeat": c.beat},
			"triggerer":     {"status": c.scheduler, "latest_triggerer_heartbeat": c.beat},
			"dag_processor": {"status": c.scheduler, "latest_dag_processor_heartbeat": c.beat},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if code, body := get(t, s.URL()+"/livez"); code != c.livez {
			t.Errorf("%s: /livez is %d %s, want %d", c.name, code, body, c.livez)
		}
		code, body = get(t, s.URL()+"/readyz")
		if code != c.readyz || !strings.Contains(body, c.reason) {
			t.Errorf("%s: /readyz is %d %s, want %d %s", c.name, code, body, c.readyz, c.reason)
		}
	}
	if code, _ := get(t, s.URL()+"/elsewhere"); code != 404 {
		t.Errorf("an unknown page is %d", code)
	}
}

func TestWaits(t *testing.T) {
	t.Parallel()
	asked := make(chan int, 10)
	s, err := monitor.Listen(t.Context(), "127.0.0.1:0", monitor.Options{
		Metrics: http.NotFoundHandler(),
		Waits: func(_ context.Context, limit int) ([]monitor.Wait, error) {
			asked <- limit
			if limit == 7 {
				return nil, errors.New("disk is full")
			}
			return []monitor.Wait{
				{Key: dag.Key{DagID: "d", RunID: "r", TaskID: "t", MapIndex: -1}, TryNumber: 2, NextCheck: at},
				{Key: dag.Key{DagID: "d", RunID: "r", TaskID: "u", MapIndex: 3}, TryNumber: 1},
			}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct {
		query string
		limit int // 0: not asked
		code  int
		want  string
	}{
		{"", 100, 200, `[{"dag_id":"d","run_id":"r","task_id":"t","map_index":-1,"try_number":2,"next_check":"2026-11-28T12:00:00Z"},` +
			`{"dag_id":"d","run_id":"r","task_id":"u","map_index":3,"try_number":1}]`},
		{"?limit=7", 7, 503, `{"detail":"disk is full"}`},
		{"?limit=0", 0, 400, `{"detail":"limit is \"0\"; expected 1 to 10000"}`},
		{"?limit=many", 0, 400, `{"detail":"limit is \"many\"; expected 1 to 10000"}`},
	} {
		code, body := get(t, s.URL()+monitor.WaitsPath+c.query)
		if code != c.code || body != c.want+"\n" {
			t.Errorf("%q: %d %s", c.query, code, body)
		}
		if c.limit > 0 {
			if got := <-asked; got != c.limit {
				t.Errorf("%q asks for %d", c.query, got)
			}
		}
	}
}

func TestListenTwice(t *testing.T) {
	t.Parallel()
	var health atomic.Pointer[monitor.Health]
	health.Store(&monitor.Health{})
	s := serve(t, &health, http.NotFoundHandler())
	if _, err := monitor.Listen(t.Context(), strings.TrimPrefix(s.URL(), "http://"), monitor.Options{}); err == nil {
		t.Error("a port was taken twice")
	}
}

func transition(task string, from, to dag.State, try int, change ...func(*dag.TaskInstance)) scheduler.Transition {
	ti := &dag.TaskInstance{
		Key: dag.Key{DagID: "etl", RunID: "r", TaskID: task, MapIndex: -1}, State: to, TryNumber: try, Operator: "BashOperator",
		QueuedAt: at, StartDate: at.Add(time.Second), EndDate: at.Add(3 * time.Second),
	}
	for _, c := range change {
		c(ti)
	}
	return scheduler.Transition{Task: ti, From: string(from)}
}

func ended(from, to dag.RunState, change ...func(*dag.Run)) scheduler.Transition {
	r := &dag.Run{
		RunKey: dag.RunKey{DagID: "etl", RunID: "r"}, State: to, Type: dag.RunScheduled, RunAfter: at, StartDate: at.Add(2 * time.Second),
		EndDate: at.Add(10 * time.Second),
	}
	for _, c := range change {
		c(r)
	}
	return scheduler.Transition{Run: r, From: string(from)}
}

// TestMetrics counts what happened and reads how things stand, as the text that Prometheus gets.
func TestMetrics(t *testing.T) {
	t.Parallel()
	var reads atomic.Int32
	m := monitor.NewMetrics(func() monitor.Reading {
		reads.Add(1)
		return monitor.Reading{
			Slots: 8, Running: 3, Waiting: 2, Parked: 7, DAGs: 4, ImportErrors: 1, Heartbeat: at, At: at,
			Pools: []monitor.Pool{
				{Name: "default_pool", Slots: 5, Free: 0, Running: 3, Queued: 2, Deferred: 1, Scheduled: 4},
				{Name: "wide", Slots: -1, Free: -1, Scheduled: 1},
			},
			Files: []monitor.File{{Path: "a.yaml", Took: 250 * time.Millisecond, At: at.Add(-time.Minute)}},
			Waits: monitor.Waits{
				Kinds: []monitor.WaitKind{{
					Kind: "k", Parked: 7, Checks: 3, Looks: 20, Cut: 1, Fired: 5, Failed: 2, TimedOut: 1, News: 4, Heard: 3,
					Late: monitor.Delays{Count: 5, Sum: 3, AtMost: map[float64]uint64{0.01: 2, 300: 4}},
				}},
				Keys: []monitor.WaitKey{{Kind: "k", Key: "a", Place: "here", Parked: 6, Looks: 19, Late: 0.25}},
			},
			Calls: []monitor.Calls{
				{Region: "eu-west-1", Account: "1", Operation: "DescribeExecution", Outcomes: map[string]int64{"ok": 9, "throttled": 2}, Tokens: 12.5, PerSecond: 10, Looking: 3},
				{Endpoint: "http://x", Operation: "ListExecutions", Outcomes: map[string]int64{"ok": 1}, Tokens: math.Inf(1), PerSecond: math.Inf(1)},
			},
			Events: &monitor.Events{Reachable: true, Received: 8, Matched: 4, Lag: 2.5, Outcomes: map[string]uint64{"matched": 4, "expired": 4}},
		}
	})
	none := func(r *dag.TaskInstance) { r.StartDate, r.EndDate = time.Time{}, time.Time{} }
	for _, tr := range []scheduler.Transition{
		transition("a", dag.StateQueued, dag.StateRunning, 1),
		transition("a", dag.StateRunning, dag.StateUpForRetry, 1),
		transition("a", dag.StateUpForRetry, dag.StateSuccess, 2), // its start was not seen
		transition("b", dag.StateNone, dag.StateFailed, 1),
		transition("c", dag.StateNone, dag.StateUpstreamFailed, 0, none),
		transition("d", dag.StateRunning, dag.StateDeferred, 1),
		transition("d", dag.StateDeferred, dag.StateRunning, 1),
		transition("d", dag.StateRunning, dag.StateSuccess, 1),
		transition("e", dag.StateDeferred, dag.StateFailed, 1),
		transition("f", dag.StateNone, dag.StateRemoved, 0, none),
		transition("f", dag.StateRemoved, dag.StateNone, 0, none),
		transition("g", dag.StateFailed, dag.StateSuccess, 1), // marked: nothing ran
		ended(dag.RunQueued, dag.RunRunning),
		ended(dag.RunRunning, dag.RunSuccess),
		ended(dag.RunQueued, dag.RunFailed, func(r *dag.Run) { r.Type = dag.RunAsset }),
	} {
		m.Observe(tr)
	}
	var health atomic.Pointer[monitor.Health]
	health.Store(&monitor.Health{})
	s := serve(t, &health, m.Handler())
	code, text := get(t, s.URL()+"/metrics")
	if code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	for _, line := range []string{
		`airflow_ti_start{dag_id="etl",task_id="a"} 2`,
		`airflow_ti_start{dag_id="etl",task_id="b"} 1`,
		`airflow_ti_finish{dag_id="etl",state="up_for_retry",task_id="a"} 1`,
		`airflow_ti_finish{dag_id="etl",state="success",task_id="a"} 1`,
		`airflow_ti_finish{dag_id="etl",state="upstream_failed",task_id="c"} 1`,
		`airflow_ti_successes 2`,
		`airflow_ti_failures 2`,
		`airflow_operator_successes{operator="BashOperator"} 2`,
		`airflow_operator_failures{operator="BashOperator"} 2`,
		`airflow_triggers{outcome="succeeded"} 1`,
		`airflow_triggers{outcome="failed"} 1`,
		`airflow_task_removed_from_dag 1`,
		`airflow_task_restored_to_dag 1`,
		`airflow_dagrun_finish{dag_id="etl",state="success"} 1`,
		`airflow_dagrun_duration_seconds_sum{dag_id="etl",state="success"} 8`,
		`airflow_dagrun_schedule_delay_seconds_sum{dag_id="etl"} 2`,
		`airflow_asset_triggered_dagruns 1`,
		`airflow_executor_open_slots 5`,
		`airflow_executor_queued_tasks 2`,
		`airflow_executor_running_tasks 3`,
		`airflow_scheduler_tasks_starving 5`,
		`airflow_triggers_running 7`,
		`airflow_pool_open_slots{pool="default_pool"} 0`,
		`airflow_pool_starving_tasks{pool="default_pool"} 4`,
		`airflow_pool_starving_tasks{pool="wide"} 0`,
		`airflow_dagbag_size 4`,
		`airflow_dag_processing_import_errors 1`,
		`airflow_dag_processing_total_parse_time 0.25`,
		`airflow_dag_processing_last_run_seconds_ago{file="a.yaml"} 60`,
		`airflow_scheduler_heartbeat 1.7958672e+09`,
		`airflow_triggers_parked{kind="k"} 7`,
		`airflow_triggers_checks{kind="k"} 3`,
		`airflow_triggers_looks{kind="k"} 20`,
		`airflow_triggers_checks_cut{kind="k"} 1`,
		`airflow_triggers_ended{kind="k",outcome="fired"} 5`,
		`airflow_triggers_ended{kind="k",outcome="failed"} 2`,
		`airflow_triggers_ended{kind="k",outcome="timed_out"} 1`,
		`airflow_triggers_news{kind="k"} 4`,
		`airflow_triggers_heard{kind="k"} 3`,
		`airflow_triggers_late_seconds_bucket{kind="k",le="0.01"} 2`,
		`airflow_triggers_late_seconds_bucket{kind="k",le="300"} 4`,
		`airflow_triggers_late_seconds_bucket{kind="k",le="+Inf"} 5`,
		`airflow_triggers_late_seconds_sum{kind="k"} 3`,
		`airflow_triggers_noticed_seconds_count{kind="k"} 0`,
		`airflow_triggers_key_parked{key="a",kind="k",place="here"} 6`,
		`airflow_triggers_key_looks{key="a",kind="k",place="here"} 19`,
		`airflow_triggers_key_late_seconds{key="a",kind="k",place="here"} 0.25`,
		`airflow_stepfunctions_calls{account="1",endpoint="",operation="DescribeExecution",outcome="throttled",region="eu-west-1"} 2`,
		`airflow_stepfunctions_calls_waiting{account="1",class="looks",endpoint="",operation="DescribeExecution",region="eu-west-1"} 3`,
		`airflow_stepfunctions_quota_tokens{account="1",endpoint="",operation="DescribeExecution",region="eu-west-1"} 12.5`,
		`airflow_stepfunctions_quota_per_second{account="1",endpoint="",operation="DescribeExecution",region="eu-west-1"} 10`,
		`airflow_stepfunctions_events_reachable 1`,
		`airflow_stepfunctions_events_received 8`,
		`airflow_stepfunctions_events{outcome="matched"} 4`,
		`airflow_stepfunctions_events_lag_seconds_sum 2.5`,
		`airflow_stepfunctions_events_lag_seconds_count 4`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(text, `quota_tokens{account="",endpoint="http://x"`) {
		t.Error("a service without a quota has one")
	}
	get(t, s.URL()+"/metrics")
	if n := reads.Load(); n != 1 {
		t.Errorf("two scrapes in quick succession read %d times", n)
	}
}

// BenchmarkObserve measures what counting a task's end costs beside the scheduler.
func BenchmarkObserve(b *testing.B) {
	m := monitor.NewMetrics(func() monitor.Reading { return monitor.Reading{} })
	tr := transition("a", dag.StateRunning, dag.StateSuccess, 1)
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(tr)
	}
}

package monitor

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gust/dag"
	"gust/runner/scheduler"
)

// prefix begins every name of a metric: Airflow's prefix, [metrics] statsd_prefix.
const prefix = "airflow_"

// Metrics are the daemon's metrics, under Airflow's names with underscores for dots and labels for the parts that Airflow
// writes into a name. What happens is counted as it happens (Observe); how things stand is asked for when somebody reads
// the metrics (Reading).
type Metrics struct {
	registry *prometheus.Registry

	tiStart, tiFinish     *prometheus.CounterVec
	successes, failures   prometheus.Counter
	operatorSuccesses     *prometheus.CounterVec
	operatorFailures      *prometheus.CounterVec
	triggersFired         *prometheus.CounterVec
	runDuration           *prometheus.HistogramVec
	runFinish             *prometheus.CounterVec
	taskDuration          *prometheus.HistogramVec
	taskQueued            *prometheus.HistogramVec
	scheduleDelay         *prometheus.HistogramVec
	firstTaskDelay        prometheus.Histogram
	assetRuns             prometheus.Counter
	taskRemoved, restored prometheus.Counter
}

// durations are the buckets of durations in seconds: a task takes between a millisecond and a day.
var durations = []float64{0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400}

// NewMetrics returns metrics that ask read how things stand.
func NewMetrics(read func() Reading) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	one := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: durations}, labels)
		m.registry.MustRegister(h)
		return h
	}
	m.tiStart = counter("ti_start", "Task attempts started (Airflow: ti.start).", "dag_id", "task_id")
	m.tiFinish = counter("ti_finish", "Task attempts ended, by state (Airflow: ti.finish).", "dag_id", "task_id", "state")
	m.successes = one("ti_successes", "Task instances that succeeded (Airflow: ti_successes).")
	m.failures = one("ti_failures", "Task instances that failed (Airflow: ti_failures).")
	m.operatorSuccesses = counter("operator_successes", "Successes by operator (Airflow: operator_successes).", "operator")
	m.operatorFailures = counter("operator_failures", "Failures by operator (Airflow: operator_failures).", "operator")
	m.triggersFired = counter("triggers", "Waits that ended, by outcome (Airflow: triggers.succeeded, triggers.failed).", "outcome")
	m.runDuration = histogram("dagrun_duration_seconds", "How long runs took (Airflow: dagrun.duration.success, .failed).", "dag_id", "state")
	m.runFinish = counter("dagrun_finish", "Runs ended, by state.", "dag_id", "state")
	m.taskDuration = histogram("task_duration_seconds", "How long the last try of a task took (Airflow: task.duration).", "dag_id")
	m.taskQueued = histogram("task_queued_duration_seconds", "How long tasks were queued (Airflow: task.queued_duration).", "dag_id")
	m.scheduleDelay = histogram("dagrun_schedule_delay_seconds", "From when a scheduled run was due to its start (Airflow: dagrun.schedule_delay).", "dag_id")
	first := histogram("dagrun_first_task_start_delay_seconds", "From the start of a run to that of its first task (Airflow: dagrun.first_task_start_delay).")
	m.firstTaskDelay = first.WithLabelValues().(prometheus.Histogram)
	m.assetRuns = one("asset_triggered_dagruns", "Runs made because of asset events (Airflow: asset.triggered_dagruns).")
	m.taskRemoved = one("task_removed_from_dag", "Task instances that became removed (Airflow: task_removed_from_dag).")
	m.restored = one("task_restored_to_dag", "Removed task instances that came back (Airflow: task_restored_to_dag).")
	m.registry.MustRegister(newGauges(read), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics in the formats that Prometheus asks for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, Timeout: scrapeTimeout})
}

const (
	maxScrapes    = 4
	scrapeTimeout = 10 * time.Second
)

// Observe counts a transition. Of transitions in quick succession only the last may come, with the first one's From: a
// start that was not seen is counted with the end.
func (m *Metrics) Observe(t scheduler.Transition) {
	if t.Run != nil {
		m.run(t.Run, dag.RunState(t.From))
		return
	}
	m.task(t.Task, dag.State(t.From))
}

func (m *Metrics) run(r *dag.Run, from dag.RunState) {
	if r.State != dag.RunQueued && (from == dag.RunQueued || from == "") && r.ClearNumber == 0 {
		if r.Type == dag.RunScheduled && !r.StartDate.IsZero() && !r.RunAfter.IsZero() {
			m.scheduleDelay.WithLabelValues(r.DagID).Observe(seconds(r.RunAfter, r.StartDate))
		}
		if r.Type == dag.RunAsset {
			m.assetRuns.Inc()
		}
	}
	if !r.State.Finished() || from.Finished() {
		return
	}
	m.runFinish.WithLabelValues(r.DagID, string(r.State)).Inc()
	if !r.StartDate.IsZero() {
		m.runDuration.WithLabelValues(r.DagID, string(r.State)).Observe(seconds(r.StartDate, r.EndDate))
	}
}

// began reports whether an attempt is, or was, under way in a state.
func began(s dag.State) bool {
	switch s {
	case dag.StateRunning, dag.StateDeferred, dag.StateUpForReschedule, dag.StateRestarting:
		return true
	}
	return false
}

func (m *Metrics) task(ti *dag.TaskInstance, from dag.State) {
	ended := ti.State.Finished() && !from.Finished() || ti.State == dag.StateUpForRetry && from != dag.StateUpForRetry
	ran := ti.TryNumber > 0 && !ti.StartDate.IsZero()
	if ran && !began(from) && (began(ti.State) || ended) {
		m.tiStart.WithLabelValues(ti.DagID, ti.TaskID).Inc()
		if !ti.QueuedAt.IsZero() && !ti.StartDate.Before(ti.QueuedAt) {
			m.taskQueued.WithLabelValues(ti.DagID).Observe(seconds(ti.QueuedAt, ti.StartDate))
		}
	}
	if from == dag.StateDeferred && ti.State != dag.StateDeferred {
		outcome := "succeeded"
		if ti.Deferral != nil && (ti.Deferral.Failed != "" || ti.Deferral.TimedOut) || ti.State == dag.StateFailed || ti.State == dag.StateUpForRetry {
			outcome = "failed"
		}
		m.triggersFired.WithLabelValues(outcome).Inc()
	}
	switch {
	case ti.State == dag.StateRemoved && from != dag.StateRemoved:
		m.taskRemoved.Inc()
	case from == dag.StateRemoved && ti.State != dag.StateRemoved:
		m.restored.Inc()
	}
	if !ended || ti.State == dag.StateRemoved {
		return
	}
	m.tiFinish.WithLabelValues(ti.DagID, ti.TaskID, string(ti.State)).Inc()
	switch ti.State {
	case dag.StateSuccess:
		m.successes.Inc()
		m.operatorSuccesses.WithLabelValues(ti.Operator).Inc()
	case dag.StateFailed:
		m.failures.Inc()
		m.operatorFailures.WithLabelValues(ti.Operator).Inc()
	}
	if ran && !ti.EndDate.IsZero() {
		m.taskDuration.WithLabelValues(ti.DagID).Observe(seconds(ti.StartDate, ti.EndDate))
	}
}

// seconds is a duration, 0 when a clock was set back in between.
func seconds(from, to time.Time) float64 { return max(0, to.Sub(from).Seconds()) }

// Pool is how a pool stands, in slots.
type Pool struct {
	Name string
	// Slots is the size, -1 for a pool without limit. Free counts what IncludeDeferred says.
	Slots, Free                          int
	Running, Queued, Deferred, Scheduled int
}

// File is how the last reading of a pipeline file went.
type File struct {
	Path string
	Took time.Duration
	At   time.Time
}

// Reading is how things stand.
type Reading struct {
	Slots, Running, Waiting, Parked int
	Pools                           []Pool
	DAGs, ImportErrors              int
	Files                           []File
	Heartbeat                       time.Time
	At                              time.Time
	// Waits is how the trigger loop is doing, Calls how the calls to Step Functions fare, Events what became of the
	// messages in the queue of events, nil without one.
	Waits  Waits
	Calls  []Calls
	Events *Events
}

// gauges asks for a reading, at most once in readEvery.
type gauges struct {
	read func() Reading

	mu   sync.Mutex
	last Reading
	at   time.Time

	values map[string]*prometheus.Desc
}

// described is a metric that is read, not counted.
type described struct {
	name, help string
	labels     []string
}

// readEvery bounds how often the rows of pools are counted, however often the metrics are read.
const readEvery = 2 * time.Second

func newGauges(read func() Reading) *gauges {
	g := &gauges{read: read, values: map[string]*prometheus.Desc{}}
	for _, d := range append([]described{
		{"scheduler_heartbeat", "When the scheduler gave its last sign of life, in seconds since 1970 (Airflow: scheduler_heartbeat).", nil},
		{"executor_open_slots", "Slots of the executor that are free (Airflow: executor.open_slots).", nil},
		{"executor_queued_tasks", "Attempts that wait for a slot (Airflow: executor.queued_tasks).", nil},
		{"executor_running_tasks", "Attempts that run (Airflow: executor.running_tasks).", nil},
		{"scheduler_tasks_executable", "Tasks handed to the executor (Airflow: scheduler.tasks.executable).", nil},
		{"scheduler_tasks_starving", "Tasks that are ready and wait for a pool or another limit (Airflow: scheduler.tasks.starving).", nil},
		{"triggers_running", "Waits that are parked (Airflow: triggers.running).", nil},
		{"pool_open_slots", "Free slots of a pool (Airflow: pool.open_slots).", []string{"pool"}},
		{"pool_running_slots", "Slots of a pool taken by running tasks (Airflow: pool.running_slots).", []string{"pool"}},
		{"pool_queued_slots", "Slots of a pool taken by queued tasks (Airflow: pool.queued_slots).", []string{"pool"}},
		{"pool_deferred_slots", "Slots of a pool that deferred tasks have (Airflow: pool.deferred_slots).", []string{"pool"}},
		{"pool_scheduled_slots", "Slots of a pool that ready tasks wait for (Airflow: pool.scheduled_slots).", []string{"pool"}},
		{"pool_starving_tasks", "Slots that ready tasks wait for while the pool is full (Airflow: pool.starving_tasks).", []string{"pool"}},
		{"dagbag_size", "DAGs in the pipelines folder (Airflow: dagbag_size).", nil},
		{"dag_processing_import_errors", "Pipeline files that cannot be loaded (Airflow: dag_processing.import_errors).", nil},
		{"dag_processing_total_parse_time", "Seconds that reading all files took last (Airflow: dag_processing.total_parse_time).", nil},
		{"dag_processing_last_duration_seconds", "How long the last reading of a file took (Airflow: dag_processing.last_duration).", []string{"file"}},
		{"dag_processing_last_run_seconds_ago", "When a file was last read (Airflow: dag_processing.last_run.seconds_ago).", []string{"file"}},
	}, waitDescriptions...) {
		g.values[d.name] = prometheus.NewDesc(prefix+d.name, d.help, d.labels, nil)
	}
	return g
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range g.values {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	r := g.reading()
	set := func(name string, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(g.values[name], prometheus.GaugeValue, value, labels...)
	}
	set("scheduler_heartbeat", unix(r.Heartbeat))
	set("executor_open_slots", float64(max(0, r.Slots-r.Running)))
	set("executor_queued_tasks", float64(r.Waiting))
	set("executor_running_tasks", float64(r.Running))
	set("scheduler_tasks_executable", float64(r.Waiting+r.Running))
	set("triggers_running", float64(r.Parked))
	starving := 0
	for i := range r.Pools {
		p := &r.Pools[i]
		set("pool_open_slots", float64(p.Free), p.Name)
		set("pool_running_slots", float64(p.Running), p.Name)
		set("pool_queued_slots", float64(p.Queued), p.Name)
		set("pool_deferred_slots", float64(p.Deferred), p.Name)
		set("pool_scheduled_slots", float64(p.Scheduled), p.Name)
		waiting := 0
		if p.Slots >= 0 && p.Free <= 0 {
			waiting = p.Scheduled
		}
		set("pool_starving_tasks", float64(waiting), p.Name)
		starving += p.Scheduled
	}
	set("scheduler_tasks_starving", float64(starving))
	set("dagbag_size", float64(r.DAGs))
	set("dag_processing_import_errors", float64(r.ImportErrors))
	total := 0.0
	for i := range r.Files {
		f := &r.Files[i]
		total += f.Took.Seconds()
		set("dag_processing_last_duration_seconds", f.Took.Seconds(), f.Path)
		set("dag_processing_last_run_seconds_ago", seconds(f.At, r.At), f.Path)
	}
	set("dag_processing_total_parse_time", total)
	g.waits(out, &r)
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func (g *gauges) reading() Reading {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); g.at.IsZero() || now.Sub(g.at) >= readEvery {
		g.last, g.at = g.read(), now
	}
	return g.last
}

//go:build unix

package pyworker

import (
	"encoding/json"
	"time"
)

// Context is what Airflow's context is made of on the Python side. Times are null when Airflow has None.
type Context struct {
	DAG    ContextDAG      `json:"dag"`
	Task   ContextTask     `json:"task"`
	DagRun ContextRun      `json:"dag_run"`
	TI     ContextTI       `json:"ti"`
	Params json.RawMessage `json:"params,omitempty"`
	// Names are further entries of the context: the exception of a callback, its reason, test_mode.
	Names map[string]any `json:"names,omitempty"`
}

// ContextDAG is the object dag.
type ContextDAG struct {
	ID             string     `json:"dag_id"`
	DisplayName    string     `json:"dag_display_name"`
	Description    string     `json:"description"`
	DocMD          string     `json:"doc_md"`
	FileLoc        string     `json:"fileloc"`
	Folder         string     `json:"folder"`
	Owner          string     `json:"owner"`
	Tags           []string   `json:"tags"`
	Timezone       string     `json:"timezone_name"`
	Catchup        bool       `json:"catchup"`
	MaxActiveRuns  int        `json:"max_active_runs"`
	MaxActiveTasks int        `json:"max_active_tasks"`
	StartDate      *time.Time `json:"start_date"`
	EndDate        *time.Time `json:"end_date"`
	Schedule       string     `json:"schedule"`
}

// ContextTask is the object task. Durations are seconds.
type ContextTask struct {
	ID               string         `json:"task_id"`
	Type             string         `json:"task_type"`
	OperatorName     string         `json:"operator_name"`
	Owner            string         `json:"owner"`
	Doc              string         `json:"doc_md"`
	Retries          int            `json:"retries"`
	RetryDelay       float64        `json:"retry_delay"`
	ExecutionTimeout *float64       `json:"execution_timeout"`
	TriggerRule      string         `json:"trigger_rule"`
	Pool             string         `json:"pool"`
	PoolSlots        int            `json:"pool_slots"`
	Queue            string         `json:"queue"`
	PriorityWeight   int            `json:"priority_weight"`
	DependsOnPast    bool           `json:"depends_on_past"`
	DoXComPush       bool           `json:"do_xcom_push"`
	MultipleOutputs  bool           `json:"multiple_outputs"`
	OpArgs           []any          `json:"op_args"`
	OpKwargs         map[string]any `json:"op_kwargs"`
	Upstream         []string       `json:"upstream_task_ids"`
	Downstream       []string       `json:"downstream_task_ids"`
}

// ContextRun is the object dag_run.
type ContextRun struct {
	ID                string          `json:"run_id"`
	Type              string          `json:"run_type"`
	State             string          `json:"state"`
	Conf              json.RawMessage `json:"conf"`
	ExternalTrigger   bool            `json:"external_trigger"`
	TriggeredBy       string          `json:"triggered_by"`
	LogicalDate       *time.Time      `json:"logical_date"`
	RunAfter          *time.Time      `json:"run_after"`
	DataIntervalStart *time.Time      `json:"data_interval_start"`
	DataIntervalEnd   *time.Time      `json:"data_interval_end"`
	StartDate         *time.Time      `json:"start_date"`
}

// ContextTI is the object ti.
type ContextTI struct {
	TaskID    string     `json:"task_id"`
	MapIndex  int        `json:"map_index"`
	TryNumber int        `json:"try_number"`
	MaxTries  int        `json:"max_tries"`
	State     string     `json:"state"`
	Operator  string     `json:"operator"`
	Hostname  string     `json:"hostname"`
	Pool      string     `json:"pool"`
	Queue     string     `json:"queue"`
	Key       string     `json:"key"`
	StartDate *time.Time `json:"start_date"`
}

// Moment is a time for a Context, nil for the zero time.
func Moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

package dagfile

// dagKinds say which kind of value a DAG key has in the JSON Schema.
var dagKinds = map[string]string{
	"schedule": "schedule", "schedule_interval": "schedule", "timetable": "schedule", "start_date": "date", "end_date": "date",
	"timezone": "text", "catchup": "bool", "max_active_tasks": "int", "concurrency": "int", "max_active_runs": "int",
	"dagrun_timeout": "duration", "description": "text", "dag_display_name": "text", "tags": "names", "doc_md": "text",
	"doc_md_file_path": "text", "is_paused_upon_creation": "bool", "render_template_as_native_obj": "bool",
	"fail_fast": "bool", "fail_stop": "bool", "max_consecutive_failed_dag_runs": "int", "dag_id": "text",
}

// baseKinds say the same of the arguments that every task has.
var baseKinds = map[string]string{
	"owner": "text", "retries": "int", "retry_delay": "duration", "max_retry_delay": "duration",
	"retry_exponential_backoff": "number", "execution_timeout": "duration", "depends_on_past": "bool",
	"wait_for_downstream": "bool", "ignore_first_depends_on_past": "bool", "pool": "text", "pool_slots": "int",
	"priority_weight": "int", "weight_rule": "text", "queue": "text", "max_active_tis_per_dag": "int",
	"task_concurrency": "int", "max_active_tis_per_dagrun": "int", "do_xcom_push": "bool", "multiple_outputs": "bool",
	"trigger_rule": "text", "start_date": "date", "end_date": "date", "doc": "text", "doc_md": "text", "doc_rst": "text",
	"doc_yaml": "text", "doc_json": "text", "inlets": "assets", "outlets": "assets",
	"wait_for_past_depends_before_skipping": "bool",
}

// keyDocs are what an editor shows of a key.
var keyDocs = map[string]string{
	"schedule": "When the DAG runs: a cron expression, a preset such as \"@daily\", a timedelta, a timetable, assets, or " +
		"null for by hand only.",
	"schedule_interval":               "Deprecated: write schedule.",
	"timetable":                       "Deprecated: write schedule.",
	"start_date":                      "The first date of the schedule; \"2 days\" is two days before today.",
	"end_date":                        "The last date of the schedule.",
	"timezone":                        "The timezone of start_date, end_date and cron expressions: an IANA name.",
	"catchup":                         "Whether runs that were missed are made up for.",
	"max_active_tasks":                "How many tasks of a run are at work at once.",
	"concurrency":                     "Deprecated: write max_active_tasks.",
	"max_active_runs":                 "How many runs are at work at once.",
	"dagrun_timeout":                  "After how long a run fails.",
	"description":                     "What the DAG does, in a line.",
	"dag_display_name":                "A name to show instead of the id.",
	"tags":                            "Words to find the DAG by.",
	"params":                          "Values that templates find as params: plain ones, or {__type__: airflow.sdk.Param, default: ..., type: ...}.",
	"doc_md":                          "Documentation in Markdown.",
	"doc_md_file_path":                "A file with the documentation.",
	"is_paused_upon_creation":         "Whether the DAG is paused when it is first seen.",
	"render_template_as_native_obj":   "Whether templates give values of their own type instead of texts.",
	"user_defined_macros":             "Names that templates may use.",
	"fail_fast":                       "Whether a run ends when the first task fails; every task must have the trigger rule all_success.",
	"fail_stop":                       "Deprecated: write fail_fast.",
	"max_consecutive_failed_dag_runs": "After how many failed runs in a row the DAG is paused; 0: never.",

	"owner":                        "Who is responsible.",
	"retries":                      "How often a failed task is tried again.",
	"retry_delay":                  "How long to wait before a retry.",
	"max_retry_delay":              "How long at most to wait before a retry.",
	"retry_exponential_backoff":    "Whether each retry waits longer: true doubles the delay, a number multiplies it.",
	"execution_timeout":            "After how long the task fails.",
	"depends_on_past":              "Whether the task waits for its own success in the run before.",
	"wait_for_downstream":          "Whether it waits also for what was directly behind it in the run before.",
	"ignore_first_depends_on_past": "Whether depends_on_past lets the first run pass.",
	"pool":                         "The pool whose slots the task takes.",
	"pool_slots":                   "How many slots of the pool the task takes.",
	"priority_weight":              "The task's weight: of those that could run, the heaviest are first.",
	"weight_rule":                  "Which weights are added to the task's own.",
	"queue":                        "The queue; a label here.",
	"max_active_tis_per_dag":       "How many instances of the task are at work at once in all runs.",
	"task_concurrency":             "Deprecated: write max_active_tis_per_dag.",
	"max_active_tis_per_dagrun":    "How many instances of the task are at work at once in a run.",
	"do_xcom_push":                 "Whether the task's result is kept for other tasks.",
	"multiple_outputs":             "Whether each key of a result that is a dict is kept under its own name too.",
	"trigger_rule":                 "Which states of the tasks before it let the task run.",
	"inlets":                       "The assets that the task reads.",
	"outlets":                      "The assets that the task updates: its success is an event of each.",
	"doc":                          "Documentation of the task.",

	"wait_for_past_depends_before_skipping": "Whether a skip waits until depends_on_past is met.",

	"on_execute_callback": "What to call before the task starts: a function, {bash: command}, {http: url}, {slack_webhook: text}, or a list.",
	"on_success_callback": "What to call on success: a function, {bash: command}, {http: url}, {slack_webhook: text}, or a list.",
	"on_failure_callback": "What to call on the last failure: a function, {bash: command}, {http: url}, {slack_webhook: text}, or a list.",
	"on_retry_callback":   "What to call before a retry: a function, {bash: command}, {http: url}, {slack_webhook: text}, or a list.",
	"on_skipped_callback": "What to call when the task skips itself: a function, {bash: command}, {http: url}, {slack_webhook: text}, or a list.",
}

// Package config holds the settings of the process: one declaration, from which come the defaults, strict reading of
// config.yaml, the GUST__SECTION__KEY variables, the commented config.yaml of the repository, and `gust config list`.
//
// Sections and keys are Airflow's wherever Airflow has them. Durations are numbers of seconds or texts such as "90s" or
// "1h30m". Relative paths are relative to the folder of the configuration file, or to the home folder where a setting
// says so; a leading ~/ is the user's home directory.
package config

import "time"

// Config is every setting, by section. Fields are read only.
//
// Tags of a section's fields:
//
//	key      the name in the file; a variable's name is GUST__<SECTION>__<KEY>, dots of the section are __ too
//	default  in the notation of a file; "" for text and paths that are empty, "null" for optional values that are absent
//	doc      one line of explanation
//	secret   "true": masked wherever settings are printed
//	env      a further variable that sets it
//	path     what a relative path starts from: "config" or "home"
//	required "true": a text that must not be empty
//	min, max the least and greatest number, or duration in seconds
//	enum     the legal texts, comma separated
//	kind     "timezone", "pattern" or "host": texts that are checked further
type Config struct {
	Core          Core          `section:"core" doc:"What pipelines inherit, and how much runs at once."`
	Database      Database      `section:"database" doc:"Where state is kept."`
	DagProcessor  DagProcessor  `section:"dag_processor" doc:"How pipeline files are read."`
	Scheduler     Scheduler     `section:"scheduler" doc:"How runs are created and watched."`
	Operators     Operators     `section:"operators" doc:"What tasks inherit."`
	Python        Python        `section:"python" doc:"How Python functions are called."`
	Sensors       Sensors       `section:"sensors" doc:"What sensors inherit."`
	Triggerer     Triggerer     `section:"triggerer" doc:"How waits are checked."`
	API           API           `section:"api" doc:"Where the daemon answers about its health and its metrics, over HTTP."`
	Logging       Logging       `section:"logging" doc:"What is written where."`
	Secrets       Secrets       `section:"secrets" doc:"Connections from files."`
	StepFunctions StepFunctions `section:"stepfunctions" doc:"The embedded Step Functions service of gust standalone, and how this process calls Step Functions."`
	Events        Events        `section:"stepfunctions.events" doc:"The queue that tells when executions end, at AWS or here, so that waits need not ask; see docs/waiting.md."`

	place
}

// Core is section core.
type Core struct {
	DagsFolder                  string        `key:"dags_folder" default:"examples" required:"true" path:"config" doc:"The folder with pipeline files, searched with its sub-folders."`
	Parallelism                 int           `key:"parallelism" default:"32" min:"1" doc:"How many task attempts run at once; waiting tasks do not count."`
	DefaultTimezone             string        `key:"default_timezone" default:"UTC" kind:"timezone" doc:"The timezone of schedules and dates that name none."`
	MaxActiveRunsPerDag         int           `key:"max_active_runs_per_dag" default:"16" min:"1" doc:"How many runs of a DAG are active at once, unless the DAG says max_active_runs."`
	MaxActiveTasksPerDag        int           `key:"max_active_tasks_per_dag" default:"16" min:"1" doc:"How many tasks of a run are active at once, unless the DAG says max_active_tasks."`
	MaxConsecutiveFailedDagRuns int           `key:"max_consecutive_failed_dag_runs_per_dag" default:"0" min:"0" doc:"After so many failed runs in a row a DAG is paused; 0 is never."`
	DagsArePausedAtCreation     bool          `key:"dags_are_paused_at_creation" default:"false" doc:"Whether a new DAG starts paused (Airflow: true; here a pipeline runs as soon as it is there)."`
	DefaultTaskRetries          int           `key:"default_task_retries" default:"0" min:"0" doc:"How often a failed task is tried again, unless it says retries."`
	DefaultTaskRetryDelay       time.Duration `key:"default_task_retry_delay" default:"300" min:"0" doc:"The time before a retry, unless the task says retry_delay."`
	DefaultTaskExecutionTimeout time.Duration `key:"default_task_execution_timeout" default:"null" min:"0" doc:"The longest time an attempt may take, unless the task says execution_timeout; null is no limit."`
	DefaultPoolTaskSlotCount    int           `key:"default_pool_task_slot_count" default:"128" min:"-1" doc:"The slots of default_pool when the database is created; -1 is no limit."`
	KilledTaskCleanupTime       time.Duration `key:"killed_task_cleanup_time" default:"60" min:"0" doc:"The time between SIGTERM and SIGKILL for the processes of a task that is ended."`
	MaxMapLength                int           `key:"max_map_length" default:"1024" min:"1" doc:"The most instances that a mapped task may have."`
	XComMaxBytes                int           `key:"xcom_max_bytes" default:"1048576" min:"1" doc:"The largest value a task may push, in bytes of JSON."`
	RunRetention                time.Duration `key:"run_retention" default:"null" min:"0" doc:"Finished runs that ended longer ago, and old asset events, are deleted by the daemon; null keeps all."`
	FernetKey                   string        `key:"fernet_key" default:"" secret:"true" env:"GUST_FERNET_KEY" doc:"Keys for stored connections, comma separated, the first encrypts; empty: fernet.key in the home folder."`
}

// Database is section database.
type Database struct {
	Path        string        `key:"path" default:"gust.db" required:"true" path:"home" doc:"The SQLite file, relative to the home folder."`
	BusyTimeout time.Duration `key:"busy_timeout" default:"5" min:"0.001" doc:"How long a write waits for another process before it fails."`
}

// DagProcessor is section dag_processor.
type DagProcessor struct {
	RefreshInterval time.Duration `key:"refresh_interval" default:"30" min:"1" doc:"The time between two scans of the dags folder; changes are seen at once where the system tells of them."`
}

// Scheduler is section scheduler.
type Scheduler struct {
	CatchupByDefault         bool          `key:"catchup_by_default" default:"false" doc:"Whether missed slots are run later, unless the DAG says catchup."`
	CreateCronDataIntervals  bool          `key:"create_cron_data_intervals" default:"false" doc:"Whether a cron text means CronDataIntervalTimetable instead of CronTriggerTimetable."`
	CreateDeltaDataIntervals bool          `key:"create_delta_data_intervals" default:"false" doc:"Whether a timedelta means DeltaDataIntervalTimetable instead of DeltaTriggerTimetable."`
	AllowedRunIDPattern      string        `key:"allowed_run_id_pattern" default:"^[A-Za-z0-9_.~:+-]+$" kind:"pattern" doc:"What a run id given by a user must match."`
	Heartbeat                time.Duration `key:"scheduler_heartbeat_sec" default:"5" min:"0.1" doc:"The time between two signs of life in the database."`
	HealthCheckThreshold     time.Duration `key:"scheduler_health_check_threshold" default:"30" min:"1" doc:"A scheduler without a sign of life for so long counts as dead."`
	IdleSleepTime            time.Duration `key:"scheduler_idle_sleep_time" default:"1" min:"0.01" doc:"The time between two looks for commands whose notification was lost; notified ones are seen at once."`
	GracefulStopTimeout      time.Duration `key:"graceful_stop_timeout" default:"30" min:"0" doc:"How long a stopping daemon waits for attempts before it interrupts them, to be repeated after a start."`
}

// Operators is section operators.
type Operators struct {
	DefaultOwner      string `key:"default_owner" default:"airflow" required:"true" doc:"The owner of tasks that name none."`
	DefaultQueue      string `key:"default_queue" default:"default" required:"true" doc:"The queue of tasks that name none."`
	DefaultDeferrable *bool  `key:"default_deferrable" default:"null" doc:"The value of deferrable for tasks without one; null: what each operator declares, sensors defer if they can."`
}

// Python is section python.
type Python struct {
	Interpreter      string        `key:"interpreter" default:"python3" required:"true" doc:"The interpreter, Python 3.8 or later, unless a task names one: a name on PATH or an absolute path."`
	WarmInterpreters int           `key:"warm_interpreters" default:"4" min:"0" doc:"How many interpreters are kept warm, one for each program in use; 0 starts one for every task."`
	IdleTimeout      time.Duration `key:"idle_timeout" default:"300" min:"1" doc:"How long a warm interpreter is kept when no task uses it."`
}

// Sensors is section sensors.
type Sensors struct {
	DefaultTimeout time.Duration `key:"default_timeout" default:"604800" min:"0" doc:"How long a sensor waits in all, unless it says timeout."`
}

// Triggerer is section triggerer.
type Triggerer struct {
	Checks int `key:"checks" default:"16" min:"1" doc:"How many groups of waits are checked at once at each place that they reach; waits are not limited."`
}

// API is section api.
type API struct {
	Enabled bool   `key:"enabled" default:"true" doc:"Whether the daemon serves /api/v2/monitor/health, /livez, /readyz and /metrics, if the port is free."`
	Host    string `key:"host" default:"127.0.0.1" kind:"host" doc:"The address it listens on; anybody who reaches it can read the metrics."`
	Port    int    `key:"port" default:"8080" min:"0" max:"65535" doc:"The port it listens on; 0 is any free one, which the log names."`
}

// Logging is section logging.
type Logging struct {
	BaseLogFolder string `key:"base_log_folder" default:"logs" required:"true" path:"home" doc:"The folder of task logs, relative to the home folder."`
	Level         string `key:"logging_level" default:"INFO" enum:"DEBUG,INFO,WARNING,ERROR" doc:"The least level of the daemon's own messages."`
	JSON          bool   `key:"json_logs" default:"false" doc:"Whether the daemon's own messages are JSON, one object per line."`
}

// Secrets is section secrets.
type Secrets struct {
	ConnectionsFile string `key:"connections_file_path" default:"" path:"config" doc:"A file of connections; empty: connections.yaml, .yml, .json or .env beside this file, if there is one."`
}

// StepFunctions is section stepfunctions.
type StepFunctions struct {
	Enabled             bool    `key:"enabled" default:"true" doc:"Whether gust standalone serves it, as the endpoint of aws_default unless that connection is defined."`
	Host                string  `key:"host" default:"127.0.0.1" kind:"host" doc:"The address it listens on."`
	Port                int     `key:"port" default:"8083" min:"0" max:"65535" doc:"The port it listens on; 0 is any free one."`
	AccountID           string  `key:"account_id" default:"123456789012" required:"true" doc:"The account in its ARNs."`
	Region              string  `key:"region" default:"us-east-1" required:"true" doc:"The region in its ARNs."`
	Database            string  `key:"database" default:"stepfunctions.db" required:"true" path:"home" doc:"The file of its state, relative to the home folder."`
	StateMachinesFolder string  `key:"state_machines_folder" default:"examples/state_machines" path:"config" doc:"The folder with <name>.asl.json files, created or updated as state machines at the start; empty: none."`
	HandlersFolder      string  `key:"handlers_folder" default:"examples/handlers" path:"config" doc:"The folder of executables that serve the Lambda functions of their names, JSON in and out; empty: none."`
	Handlers            Map     `key:"handlers" default:"{}" doc:"Further Lambda functions and integrations, by name or ARN: a command, a URL, answer:JSON or fault:NAME CAUSE."`
	MockConfig          string  `key:"mock_config" default:"" path:"config" doc:"A file of mocked responses like AWS's MockConfigFile.json, for executions of ARN#TestCase; empty: none."`
	S3Folder            string  `key:"s3_folder" default:"" path:"config" doc:"The folder that stands for S3 in distributed maps, with a sub-folder for each bucket; empty: none."`
	AccessKeys          Map     `key:"access_keys" default:"{}" secret:"true" doc:"Secret access keys by the ids of their keys; if there are any, requests must be signed with one of them."`
	WaitTimeScale       float64 `key:"wait_time_scale" default:"1" min:"0" doc:"What the seconds of Wait states are multiplied with: 0.01 makes a minute less than a second."`

	Faults         Map           `key:"faults" default:"{}" doc:"What goes wrong on purpose, by operation or *, such as: throttle probability=0.1; latency delay=50ms."`
	ThrottleScale  float64       `key:"throttle_scale" default:"0" min:"0" doc:"What AWS's quotas of API requests are multiplied with to throttle requests; 0: no throttling."`
	ConsistencyLag time.Duration `key:"consistency_lag" default:"0" min:"0" doc:"How old the answers of describing and listing operations may be, as at AWS."`

	ClientQuotas           Map  `key:"client_quotas" default:"{}" doc:"Quotas of this process's own calls that differ from AWS's published ones, by operation: BUCKET/REFILL, as in 300/15."`
	ClientQuotasEverywhere bool `key:"client_quotas_everywhere" default:"false" doc:"Whether they also hold for endpoints that are not AWS's, such as the embedded service."`

	EventsWebhook string `key:"events_webhook" default:"" doc:"The URL that status changes of executions are posted to, as EventBridge's events; empty: none."`
	EventsFile    string `key:"events_file" default:"" path:"home" doc:"The file that they are appended to, one on a line, relative to the home folder; empty: none."`
	EventsQueue   string `key:"events_queue" default:"" doc:"The queue that they are sent to; the service answers Amazon SQS's requests on its own address; empty: none."`
	EventsFaults  Map    `key:"events_faults" default:"{}" doc:"What goes wrong with them on purpose: loss, duplicates, reordering (each from 0 to 1) and delay."`
}

// Events is section stepfunctions.events.
type Events struct {
	QueueURL    string        `key:"queue_url" default:"" doc:"The URL of the SQS queue that an EventBridge rule fills; a name: that queue of the embedded service; empty: none."`
	AWSConnID   string        `key:"aws_conn_id" default:"aws_default" doc:"The connection that the queue is read with; empty: the default credential chain."`
	RegionName  string        `key:"region_name" default:"" doc:"The region of the queue; empty: what its URL says, else the connection's."`
	KeepForeign time.Duration `key:"keep_foreign" default:"300" min:"1" doc:"How long events that nobody here waits for stay in the queue, for other processes that share it."`
}

// Map is a setting that maps names to texts. Names keep their case.
type Map map[string]string

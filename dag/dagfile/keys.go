package dagfile

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Why a key that Airflow or dag-factory knows changes nothing here.
const (
	noPython    = "Gust calls Python code in tasks, callbacks and macros only"
	noUI        = "it concerns Airflow's web pages"
	noExecutor  = "it concerns Airflow's executors"
	noSLA       = "Airflow 3 removed SLAs"
	noEmail     = "Gust sends no email"
	ignoredHere = "Gust does not use it"
)

// dagKeys are the keys of a DAG: an empty reason for those that are read, why there is no effect for the others.
var dagKeys = map[string]string{
	"schedule": "", "schedule_interval": "", "timetable": "", "start_date": "", "end_date": "", "timezone": "",
	"catchup": "", "max_active_tasks": "", "concurrency": "", "max_active_runs": "", "dagrun_timeout": "",
	"default_args": "", "description": "", "dag_display_name": "", "tags": "", "params": "", "doc_md": "",
	"doc_md_file_path": "", "is_paused_upon_creation": "", "render_template_as_native_obj": "",
	"template_searchpath": "", "user_defined_macros": "", "tasks": "", "task_groups": "", "dag_id": "",
	"deadline": "", "fail_fast": "", "fail_stop": "", "max_consecutive_failed_dag_runs": "",

	"access_control": noUI, "default_view": noUI, "orientation": noUI, "owner_links": noUI,
	"sla_miss_callback":           noSLA + "; write a deadline",
	"doc_md_python_callable_file": noPython, "doc_md_python_callable_name": noPython,
	"doc_md_python_arguments": noPython, "user_defined_filters": noPython, "jinja_environment_kwargs": noPython,
	"auto_register": ignoredHere, "template_undefined": ignoredHere, "operator_aliases": ignoredHere,
	"allowed_run_types": ignoredHere, "disable_bundle_versioning": ignoredHere, "full_filepath": ignoredHere,
}

// removedKeys are the keys that dag-factory 1.0 removed, with what replaces them.
var removedKeys = map[string]string{
	"retry_delay_sec":        "write retry_delay: {__type__: datetime.timedelta, seconds: N}",
	"max_retry_delay_sec":    "write max_retry_delay: {__type__: datetime.timedelta, seconds: N}",
	"sla_secs":               "remove it: " + noSLA,
	"execution_timeout_secs": "write execution_timeout: {__type__: datetime.timedelta, seconds: N}",
	"execution_timeout_sec":  "write execution_timeout: {__type__: datetime.timedelta, seconds: N}",
	"execution_delta_secs":   "write execution_delta: {__type__: datetime.timedelta, seconds: N}",
	"execution_delta_sec":    "write execution_delta: {__type__: datetime.timedelta, seconds: N}",
	"dagrun_timeout_sec":     "write dagrun_timeout: {__type__: datetime.timedelta, seconds: N}",
	"dagrun_timeout_secs":    "write dagrun_timeout: {__type__: datetime.timedelta, seconds: N}",
}

// taskNoEffect are BaseOperator arguments that change nothing here. Those with an empty reason are not worth a word.
var taskNoEffect = map[string]string{
	"email": "", "email_on_retry": noEmail, "email_on_failure": noEmail, "sla": noSLA,
	"executor": noExecutor, "executor_config": noExecutor, "run_as_user": "tasks run as the user of Gust",
	"resources": noExecutor, "parent_group_name": ignoredHere, "logger_name": "", "task_display_name": "",
	"allow_nested_operators": "", "subdag": ignoredHere,
	"pre_execute": noPython, "post_execute": noPython, "adhoc": ignoredHere, "start_trigger_args": ignoredHere,
	"start_from_trigger": ignoredHere, "render_template_as_native_obj": "set it on the DAG",
	"retry_policy": ignoredHere, "max_infra_retries": ignoredHere,
}

// taskStructure are the keys of a task that the loader itself consumes.
var taskStructure = []string{"task_id", "operator", "decorator", "dependencies", "task_group_name", "expand", "partial", "map_index_template"}

// taskPython are the parameters of Airflow operators that carry Python code, with the nearest thing to do instead.
var taskPython = map[string]string{
	"response_check":        "check the response in a following task",
	"response_check_name":   "check the response in a following task",
	"response_check_file":   "check the response in a following task",
	"response_check_lambda": "check the response in a following task",
	"response_filter":       "pick the value in a template of a following task",
	"success_check_file":    "check the result in a following task",
	"success_check_name":    "check the result in a following task",
	"success_check_lambda":  "check the result in a following task",
	"failure_check_file":    "check the result in a following task",
	"failure_check_name":    "check the result in a following task",
	"failure_check_lambda":  "check the result in a following task",
}

// groupKeys are the keys of a task group.
var groupKeys = map[string]string{
	"group_name": "", "tooltip": "", "parent_group_name": "", "dependencies": "", "default_args": "",
	"prefix_group_id": "", "ui_color": noUI, "ui_fgcolor": noUI, "group_display_name": noUI,
	"add_suffix_on_collision": ignoredHere, "group_id": "",
}

var callbackPattern = regexp.MustCompile(`^on_(?:execute|success|failure|retry|skipped)_callback(?:_name|_file)?$`)

func isCallback(key string) bool { return callbackPattern.MatchString(key) }

// missingOperators are Airflow operators that Gust does not have, by class name, with the nearest thing.
var missingOperators = map[string]string{
	"BranchPythonVirtualenvOperator": venvHint,
	"KubernetesPodOperator":          "run the pod with kubectl in a BashOperator, or from a state machine (eks:runJob.sync)",
	"KubernetesJobOperator":          "run the job with kubectl in a BashOperator, or from a state machine (eks:runJob.sync)",
	"DockerOperator":                 "run docker in a BashOperator",
	"EmailOperator":                  "send the mail from a BashOperator, or a message with SlackWebhookOperator",
	"SlackAPIPostOperator":           "use SlackWebhookOperator",
	"SubDagOperator":                 "use a task group",
	"SSHOperator":                    "run ssh in a BashOperator",
	"SparkSubmitOperator":            "run spark-submit in a BashOperator",
	"PostgresOperator":               "use SQLExecuteQueryOperator",
	"MySqlOperator":                  "use SQLExecuteQueryOperator",
	"SqliteOperator":                 "use SQLExecuteQueryOperator",
	"RedshiftDataOperator":           "call it from a state machine: arn:aws:states:::aws-sdk:redshiftdata:executeStatement",
	"EcsRunTaskOperator":             "run it from a state machine: arn:aws:states:::ecs:runTask.sync",
	"GlueJobOperator":                "run it from a state machine: arn:aws:states:::glue:startJobRun.sync",
	"EmrAddStepsOperator":            "run it from a state machine: arn:aws:states:::elasticmapreduce:addStep.sync",
	"AthenaOperator":                 "run it from a state machine: arn:aws:states:::athena:startQueryExecution.sync",
	"S3KeySensor":                    "wait in a state machine, or with aws s3api wait in a BashOperator",
	"SqsSensor":                      "poll with aws sqs receive-message in a BashOperator and retries",
}

// ids as Airflow allows them.
const maxIDLength = 250

func validID(id string, dots bool) bool {
	for _, r := range id {
		switch {
		case r == '_' || r == '-' || r == '.' && dots:
		case unicode.IsLetter(r) || unicode.IsDigit(r):
		default:
			return false
		}
	}
	return id != "" && len([]rune(id)) <= maxIDLength
}

const idRule = "letters, digits, \"_\", \"-\" and \".\", at most 250"

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// className is the last part of an import path.
func className(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

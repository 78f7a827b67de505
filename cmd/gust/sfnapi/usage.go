package sfnapi

// usages explain the flags: by "command flag" where a flag means something of its own there, else by flag.
var usages = map[string]string{
	"activity-arn":                 "the `ARN` of the activity",
	"cause":                        "the `TEXT` that explains the error",
	"client-token":                 "a `TOKEN` that makes a repeated request do nothing",
	"context":                      "the `JSON` of the context object",
	"definition":                   "the `JSON` of the definition, mostly file://FILE",
	"description":                  "a `TEXT` for people",
	"encryption-configuration":     "`KEYS` kmsKeyId, kmsDataKeyReusePeriodSeconds, type",
	"error":                        "the `NAME` of the error",
	"execution-arn":                "the `ARN` of the execution",
	"include-execution-data":       "whether events show inputs and outputs (default: they do)",
	"included-data":                "`WHAT` is shown: ALL_DATA or METADATA_ONLY",
	"input":                        "the `JSON` of the input",
	"inspection-level":             "how much is shown, a `LEVEL`: INFO, DEBUG or TRACE",
	"logging-configuration":        "`KEYS` level, includeExecutionData, destinations",
	"map-run-arn":                  "the `ARN` of the map run",
	"max-concurrency":              "at most `N` child executions at once",
	"max-results":                  "at most `N` results in one answer",
	"mock":                         "an `ANSWER` instead of the task's: result, errorOutput, fieldValidationMode",
	"name":                         "the `NAME`",
	"next-token":                   "the `TOKEN` of the next answer",
	"publish":                      "make a version too",
	"redrive-filter":               "only executions that were REDRIVEN or NOT_REDRIVEN, a `FILTER`",
	"resource-arn":                 "the `ARN` of the state machine or activity",
	"reveal-secrets":               "show secrets at the inspection level TRACE",
	"reverse-order":                "show the latest event first",
	"revision-id":                  "publish only when this `ID` is the current revision",
	"role-arn":                     "the `ARN` of the role that executions assume",
	"routing-configuration":        "`VERSIONS` with weights that add up to 100: stateMachineVersionArn=ARN,weight=N ...",
	"severity":                     "show problems from this `SEVERITY` on: ERROR or WARNING",
	"state-configuration":          "`KEYS` retrierRetryCount, errorCausedByState, mapIterationFailureCount, mapItemReaderData",
	"state-machine-alias-arn":      "the `ARN` of the alias",
	"state-machine-arn":            "the `ARN` of the state machine",
	"state-machine-version-arn":    "the `ARN` of the version",
	"state-name":                   "the `NAME` of the state to test in a definition of a state machine",
	"status-filter":                "only executions in this `STATUS`",
	"tag-keys":                     "the `KEYS` of the tags to remove",
	"tags":                         "`TAGS` as key=KEY,value=VALUE ...",
	"task-output":                  "the `JSON` of the output",
	"task-token":                   "the `TOKEN` of the task",
	"tolerated-failure-count":      "at most `N` items may fail",
	"tolerated-failure-percentage": "at most `PERCENT` of the items may fail",
	"trace-header":                 "an AWS X-Ray trace `HEADER`",
	"tracing-configuration":        "`KEYS` enabled=true",
	"type":                         "the `TYPE`: STANDARD or EXPRESS",
	"variables":                    "the `JSON` object of the variables",
	"version-description":          "a `TEXT` for the version that --publish makes",
	"worker-name":                  "the `NAME` of the worker, which the history shows",

	"list-executions state-machine-arn":             "the `ARN` of the state machine, a version or an alias",
	"start-execution state-machine-arn":             "the `ARN` of the state machine, a version or an alias",
	"start-sync-execution state-machine-arn":        "the `ARN` of the express state machine, a version or an alias",
	"describe-state-machine state-machine-arn":      "the `ARN` of the state machine, a version or an alias",
	"start-execution name":                          "the execution's `NAME` (default: a random one); the same name and input start only once",
	"start-execution input":                         "the `JSON` of the input, file://FILE, or - for standard input (default: {})",
	"validate-state-machine-definition max-results": "at most `N` diagnostics",
	"test-state definition":                         "the `JSON` of a state, or of a state machine with --state-name",
	"publish-state-machine-version description":     "a `TEXT` for people",
}

func usage(command, flag string) string {
	if text, ok := usages[command+" "+flag]; ok {
		return text
	}
	return usages[flag]
}

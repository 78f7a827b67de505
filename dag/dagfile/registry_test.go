package dagfile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gust/dag"
	"gust/dag/dagfile"
	"gust/internal/param"
	"gust/operators"
	"gust/operators/python"
	"gust/triggers"
)

// The operators of these tests have the parameters of the real ones and do nothing.

type noop struct{}

func (noop) Execute(context.Context, operators.Task) (operators.Result, error) {
	return operators.Done(nil), nil
}

type bash struct {
	noop
	Command        string            `param:"bash_command" template:"true" ext:".sh,.bash" required:"true"`
	Env            map[string]string `param:"env" template:"true"`
	AppendEnv      bool              `param:"append_env"`
	OutputEncoding string            `param:"output_encoding" default:"utf-8"`
	SkipOnExitCode []int             `param:"skip_on_exit_code" default:"[99]"`
	Cwd            string            `param:"cwd" template:"true"`
}

func (b *bash) Validate() error {
	if strings.Contains(b.Cwd, "\x00") {
		return errors.New("cwd holds a NUL character")
	}
	return nil
}

type empty struct{ noop }

type sensorParams struct {
	PokeInterval param.Duration `param:"poke_interval" default:"60s"`
	Timeout      param.Duration `param:"timeout" default:"168h"`
	Mode         string         `param:"mode" default:"poke" enum:"poke,reschedule"`
	SoftFail     bool           `param:"soft_fail"`
	Deferrable   bool           `param:"deferrable"`
}

func (s *sensorParams) Parks() bool { return s.Deferrable }

func (s *sensorParams) Park(context.Context, operators.Task) (operators.Deferral, error) {
	return operators.Deferral{}, nil
}

func (s *sensorParams) Finish(context.Context, operators.Task, *triggers.Event, error) (operators.Result, error) {
	return operators.Done(nil), nil
}

type fileSensor struct {
	noop
	sensorParams
	Filepath string `param:"filepath" template:"true" required:"true"`
}

type externalSensor struct {
	noop
	sensorParams
	DagID          string         `param:"external_dag_id" template:"true" required:"true"`
	TaskID         string         `param:"external_task_id" template:"true"`
	ExecutionDelta param.Duration `param:"execution_delta"`
}

func (s *externalSensor) Validate() error {
	if s.ExecutionDelta < 0 {
		return &param.Error{Path: []string{"execution_delta"}, Problem: "the duration is negative"}
	}
	return nil
}

type startExecution struct {
	noop
	ConnID          string `param:"aws_conn_id" template:"true" default:"aws_default"`
	StateMachineARN string `param:"state_machine_arn" template:"true" required:"true"`
	Name            string `param:"name" template:"true"`
	Input           any    `param:"state_machine_input" template:"true"`
	WaiterDelay     int    `param:"waiter_delay" default:"60"`
	Deferrable      bool   `param:"deferrable"`
}

type executionSensor struct {
	noop
	sensorParams
	ConnID string `param:"aws_conn_id" template:"true" default:"aws_default"`
	ARN    string `param:"execution_arn" template:"true" required:"true"`
}

type httpRequest struct {
	noop
	ConnID   string            `param:"http_conn_id" template:"true" default:"http_default"`
	Method   string            `param:"method" default:"POST"`
	Endpoint string            `param:"endpoint" template:"true"`
	Data     any               `param:"data" template:"true"`
	Headers  map[string]string `param:"headers" template:"true"`
}

type slackWebhook struct {
	noop
	ConnID   string `param:"slack_webhook_conn_id" template:"true" default:"slack_default"`
	Message  string `param:"message" alias:"text" template:"true"`
	Blocks   []any  `param:"blocks" template:"true"`
	Channel  string `param:"channel" template:"true"`
	Username string `param:"username" template:"true"`
}

func registry(t testing.TB) *operators.Registry {
	t.Helper()
	r := operators.NewRegistry()
	if err := python.Register(r, python.Deps{Home: "none"}); err != nil {
		t.Fatal(err)
	}
	bashPaths := []string{
		"airflow.operators.bash.BashOperator", "airflow.operators.bash_operator.BashOperator",
		"airflow.providers.standard.operators.bash.BashOperator",
	}
	emptyPaths := []string{
		"airflow.operators.dummy_operator.DummyOperator", "airflow.operators.dummy.DummyOperator", "DummyOperator",
		"airflow.operators.empty.EmptyOperator", "airflow.providers.standard.operators.empty.EmptyOperator",
	}
	amazon := "airflow.providers.amazon.aws."
	for _, s := range []operators.Spec{
		{Name: "BashOperator", Aliases: bashPaths, New: func() operators.Operator { return &bash{} }},
		{Name: "EmptyOperator", Aliases: emptyPaths, New: func() operators.Operator { return &empty{} }, Inline: true},
		{
			Name: "HttpOperator", Aliases: []string{"airflow.providers.http.operators.http.HttpOperator"},
			New: func() operators.Operator { return &httpRequest{} },
		},
		{Name: "SlackWebhookOperator", New: func() operators.Operator { return &slackWebhook{} }},
		{Name: "FileSensor", New: func() operators.Operator { return &fileSensor{} }, Sensor: true},
		{
			Name: "ExternalTaskSensor", Aliases: []string{
				"airflow.sensors.external_task.ExternalTaskSensor", "airflow.providers.standard.sensors.external_task.ExternalTaskSensor",
			},
			New: func() operators.Operator { return &externalSensor{} }, Sensor: true,
		},
		{
			Name:    "StepFunctionStartExecutionOperator",
			Aliases: []string{amazon + "operators.step_function.StepFunctionStartExecutionOperator"},
			New:     func() operators.Operator { return &startExecution{} },
		},
		{
			Name:    "StepFunctionExecutionSensor",
			Aliases: []string{amazon + "sensors.step_function.StepFunctionExecutionSensor"},
			New:     func() operators.Operator { return &executionSensor{} }, Sensor: true,
		},
	} {
		if err := r.Register(s); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// brackets is a template checker that only knows whether every {{ is closed.
type brackets struct{}

type bracketError struct{ line, col int }

func (e *bracketError) Error() string {
	return fmt.Sprintf("line %d, column %d: unclosed {{", e.line, e.col)
}
func (e *bracketError) Position() (int, int) { return e.line, e.col }

func (brackets) Check(text string) error {
	for i, line := range strings.Split(text, "\n") {
		if strings.Count(line, "{{") > strings.Count(line, "}}") {
			return &bracketError{i + 1, strings.LastIndex(line, "{{") + 1}
		}
	}
	return nil
}

// fiveFields is a schedule check that counts cron fields.
func fiveFields(s dag.Schedule, _ string) error {
	for _, c := range s.Cron {
		if n := len(strings.Fields(c)); n != 5 && !strings.HasPrefix(c, "@") {
			return fmt.Errorf("cron expression %q has %d fields; expected 5", c, n)
		}
	}
	return nil
}

var testEnv = map[string]string{
	"CONFIG_ROOT_DIR": "/opt/dags", "STAGE": "test", "HOME": "/home/user", "EMPTY": "", "LINES": "a\nb",
	"PASSWORD": "\": [",
}

func options(t testing.TB) dagfile.Options {
	return dagfile.Options{
		Operators: registry(t), Templates: brackets{}, Schedules: fiveFields, Root: "testdata",
		Getenv: func(name string) (string, bool) { v, ok := testEnv[name]; return v, ok },
		Now:    func() time.Time { return time.Date(2025, 6, 15, 12, 30, 0, 0, time.UTC) },
	}
}

// Package stepfunctions is the sensor that waits for a Step Functions execution.
package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/connections/awsconn/quota"
	"gust/operators"
	"gust/sensors"
	"gust/triggers"
	"gust/triggers/stepfunctions"
)

// Deps is what the sensor needs from the process.
type Deps struct {
	Clients  stepfunctions.Clients
	Defaults sensors.Defaults
}

// Register adds the sensor to the registry.
func Register(r *operators.Registry, deps Deps) error {
	if deps.Clients == nil {
		return errors.New("sensors/stepfunctions: Deps needs Clients")
	}
	return r.Register(operators.Spec{
		Name:    "StepFunctionExecutionSensor",
		Aliases: []string{"airflow.providers.amazon.aws.sensors.step_function.StepFunctionExecutionSensor"},
		Doc: "Waits for the end of an execution. It succeeds when the execution has SUCCEEDED, and pushes its output to " +
			"XCom under the key output; it fails when the execution ended otherwise. A parked sensor looks soon at first " +
			"and then at most every poke_interval.",
		New: func() operators.Operator {
			return sensors.New(&ExecutionSensor{clients: deps.Clients}, deps.Defaults)
		},
		Sensor: true,
	})
}

// keyOutput is the XCom key of the execution's output, as in Airflow.
const keyOutput = "output"

// ExecutionSensor waits for an execution (Airflow: StepFunctionExecutionSensor).
type ExecutionSensor struct {
	awsconn.Params
	ExecutionARN string `param:"execution_arn" template:"true" required:"true" doc:"ARN of the execution, for example {{ ti.xcom_pull(task_ids='start') }}."`
	sensors.Base

	clients stepfunctions.Clients
}

func (s *ExecutionSensor) check() error {
	switch {
	case s.ExecutionARN == "" || s.ExecutionARN == "None":
		return operators.Failf("execution_arn is empty; has the task that starts the execution run?")
	case stepfunctions.IsExpress(s.ExecutionARN):
		return operators.Failf("execution %s is of an EXPRESS state machine, whose end cannot be waited for", s.ExecutionARN)
	}
	return nil
}

// Poke looks at the execution once. Throttling and lost connections are not its end: it looks again.
func (s *ExecutionSensor) Poke(ctx context.Context, t operators.Task) (sensors.Verdict, error) {
	if err := s.check(); err != nil {
		return sensors.Verdict{}, err
	}
	api, info, err := s.clients.SFN(ctx, t, s.Params)
	if err != nil {
		return sensors.Verdict{}, err
	}
	t.Log().Info(fmt.Sprintf("Poking for %s", s.ExecutionARN))
	ctx = quota.Yielding(ctx) // it looks; those who start go first
	d, err := stepfunctions.Describe(ctx, api, s.ExecutionARN)
	if err != nil {
		var missing *types.ExecutionDoesNotExist
		if awsconn.TroubleOf(err) == awsconn.Passing && ctx.Err() == nil ||
			errors.As(err, &missing) && t.Now().Sub(t.FirstStart()) < stepfunctions.Settle {
			t.Log().Warn("the execution cannot be looked at just now: " + err.Error())
			return sensors.Waiting(), nil
		}
		return sensors.Verdict{}, err
	}
	o := stepfunctions.Ended(ctx, api, info, d, true)
	if o == nil {
		t.Log().Info("Status of step function execution is: " + string(d.Status))
		return sensors.Waiting(), nil
	}
	return s.verdict(ctx, t, o)
}

// Trigger describes the wait.
func (s *ExecutionSensor) Trigger(_ context.Context, _ operators.Task, pace triggers.Pace) (triggers.Trigger, error) {
	if err := s.check(); err != nil {
		return triggers.Trigger{}, err
	}
	args := stepfunctions.Args{
		ExecutionARN: s.ExecutionARN, Params: s.Params, Delay: pace.Interval, WithOutput: true,
	}
	if pace.Exponential {
		args.Pace = &pace
	}
	return args.Trigger()
}

// Fired ends the sensor as the execution ended.
func (s *ExecutionSensor) Fired(ctx context.Context, t operators.Task, event triggers.Event) (sensors.Verdict, error) {
	var o stepfunctions.Outcome
	if err := json.Unmarshal(event.Payload, &o); err != nil || o.Status == "" {
		return sensors.Verdict{}, fmt.Errorf("Trigger error: event is %s", event.Payload)
	}
	return s.verdict(ctx, t, &o)
}

func (s *ExecutionSensor) verdict(
	ctx context.Context, t operators.Task, o *stepfunctions.Outcome,
) (sensors.Verdict, error) {
	if o.Status != stepfunctions.StatusSuccess {
		text := ""
		if o.Output != nil {
			text = " State Machine Output: " + *o.Output + ";"
		}
		return sensors.Verdict{}, &executionError{"Step Function sensor failed." + text + " " + o.Failure()}
	}
	t.Log().Info("Doing xcom_push of output")
	var output any
	if o.Output != nil {
		output = *o.Output
		if json.Valid([]byte(*o.Output)) {
			output = json.RawMessage(*o.Output) // in its own order, with its own digits
		}
	}
	if err := t.XComPush(ctx, keyOutput, output); err != nil {
		return sensors.Verdict{}, err
	}
	return sensors.Done(nil), nil
}

// executionError is the failure of the execution that was waited for, in Airflow's words first.
type executionError struct{ text string }

func (e *executionError) Error() string { return e.text }

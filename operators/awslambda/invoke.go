// Package awslambda invokes Lambda functions as tasks.
package awslambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/internal/param"
	"gust/operators"
	"gust/triggers"
	"gust/triggers/awswait"
)

// API is what is called of Lambda. *lambda.Client implements it.
type API interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

// Clients finds the client for a task's AWS parameters.
type Clients interface {
	Lambda(ctx context.Context, r connections.Resolver, p awsconn.Params) (API, awsconn.Info, error)
}

// FromPool returns the pool's clients.
func FromPool(p *awsconn.Pool) Clients { return pooled{p} }

type pooled struct{ pool *awsconn.Pool }

func (p pooled) Lambda(ctx context.Context, r connections.Resolver, params awsconn.Params) (API, awsconn.Info, error) {
	client, info, err := p.pool.Lambda(ctx, r, params)
	if err != nil {
		return nil, info, err
	}
	return client, info, nil
}

// Deps is what the family needs from the process.
type Deps struct {
	Clients Clients
	// Backoff is the pause before the n-th repetition (from 1) of a call that was throttled; nil means 1 s, 2 s, 4 s ...
	// up to 30 s.
	Backoff awswait.Backoff
}

// Register adds the family to the registry.
func Register(r *operators.Registry, deps Deps) error {
	if deps.Clients == nil {
		return errors.New("operators/awslambda: Deps needs Clients")
	}
	if deps.Backoff == nil {
		deps.Backoff = awswait.DefaultBackoff
	}
	return r.Register(operators.Spec{
		Name: "LambdaInvokeFunctionOperator",
		Aliases: []string{
			"AwsLambdaInvokeFunctionOperator",
			"airflow.providers.amazon.aws.operators.lambda_function.LambdaInvokeFunctionOperator",
			"airflow.providers.amazon.aws.operators.lambda_function.AwsLambdaInvokeFunctionOperator",
			"airflow.providers.amazon.aws.operators.aws_lambda.AwsLambdaInvokeFunctionOperator",
		},
		Doc: "Invokes a Lambda function and returns its answer, as JSON if it is JSON, otherwise as text. The task fails with " +
			"the function's own error. A call is repeated only when Lambda has refused it (throttling): one whose answer was " +
			"lost may have run.",
		New: func() operators.Operator { return &Invoke{deps: &deps} },
	})
}

// Invoke calls a function (Airflow: LambdaInvokeFunctionOperator).
type Invoke struct {
	awsconn.Params
	FunctionName      string `param:"function_name" template:"true" required:"true" doc:"Name or ARN of the function; it may hold a version or an alias (name:alias)."`
	Payload           any    `param:"payload" template:"true" doc:"Input of the function: a mapping or list, sent as JSON, or a text that holds JSON. Default: none."`
	InvocationType    string `param:"invocation_type" template:"true" default:"RequestResponse" doc:"RequestResponse waits for the answer; Event only puts the call in Lambda's queue; DryRun checks that it is allowed."`
	LogType           string `param:"log_type" doc:"Tail writes the last 4 KB of the function's log to the task's log; None does not. Only with RequestResponse. Default: None."`
	KeepEmptyLogLines bool   `param:"keep_empty_log_lines" default:"true" doc:"Keep the empty lines of the function's log."`
	Qualifier         string `param:"qualifier" template:"true" doc:"Version or alias to invoke."`
	ClientContext     any    `param:"client_context" doc:"Data about the caller for the function's context: a mapping, or a text, which is sent as it is when it is base64 and encoded otherwise. At most 3,583 bytes of base64."`

	deps *Deps
}

var (
	invocationTypes = []string{"RequestResponse", "Event", "DryRun"}
	logTypes        = []string{"None", "Tail"}
)

// Limits of Lambda, in bytes.
const (
	maxPayload      = 6 << 20
	maxEventPayload = 1 << 20
	maxContext      = 3583
)

// Validate checks the choices.
func (i *Invoke) Validate() error {
	for _, choice := range []struct {
		name, value string
		legal       []string
	}{{"invocation_type", i.InvocationType, invocationTypes}, {"log_type", i.LogType, logTypes}} {
		if choice.value == "" {
			continue
		}
		known := false
		for _, legal := range choice.legal {
			known = known || legal == choice.value
		}
		if !known {
			return &param.Error{
				Path: []string{choice.name}, Problem: fmt.Sprintf("%q is not a legal value", choice.value),
				Expected: "one of " + strings.Join(choice.legal, ", "), Nearest: param.Nearest(choice.value, choice.legal),
			}
		}
	}
	return nil
}

// input is the request.
func (i *Invoke) input() (*lambda.InvokeInput, error) {
	if i.FunctionName == "" {
		return nil, errors.New("function_name is empty")
	}
	in := &lambda.InvokeInput{
		FunctionName: aws.String(i.FunctionName), InvocationType: types.InvocationType(i.InvocationType),
		LogType: types.LogType(i.LogType),
	}
	if i.Qualifier != "" {
		in.Qualifier = aws.String(i.Qualifier)
	}
	var err error
	if in.Payload, err = i.payload(); err != nil {
		return nil, err
	}
	if i.ClientContext == nil {
		return in, nil
	}
	text, isText := i.ClientContext.(string)
	if !isText {
		raw, err := json.Marshal(i.ClientContext)
		if err != nil {
			return nil, fmt.Errorf("client_context cannot be written as JSON: %w", err)
		}
		text = string(raw)
	}
	if decoded, err := base64.StdEncoding.DecodeString(text); err != nil || !json.Valid(decoded) {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	if len(text) > maxContext {
		return nil, fmt.Errorf("client_context has %d bytes of base64; Lambda takes at most %d", len(text), maxContext)
	}
	in.ClientContext = aws.String(text)
	return in, nil
}

func (i *Invoke) payload() ([]byte, error) {
	var raw []byte
	switch v := i.Payload.(type) {
	case nil:
		return nil, nil
	case string:
		if raw = []byte(v); !json.Valid(raw) {
			return nil, errors.New("payload is a text that is not JSON; write a mapping, or render it with the tojson filter: {{ ... | tojson }}")
		}
	default:
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return nil, fmt.Errorf("payload cannot be written as JSON: %w", err)
		}
		raw = bytes.TrimSpace(buf.Bytes())
	}
	limit := maxPayload
	if i.InvocationType == "Event" {
		limit = maxEventPayload
	}
	if len(raw) > limit {
		return nil, fmt.Errorf("payload has %d bytes; Lambda takes at most %d of an invocation of type %s: "+
			"store the data and pass where it is", len(raw), limit, i.InvocationType)
	}
	return raw, nil
}

// Execute invokes the function.
func (i *Invoke) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	if err := i.Validate(); err != nil { // the rendered values
		return operators.Result{}, operators.Fail(err)
	}
	in, err := i.input()
	if err != nil {
		return operators.Result{}, operators.Fail(err)
	}
	api, info, err := i.deps.Clients.Lambda(ctx, t, i.Params)
	if err != nil {
		return operators.Result{}, err
	}
	t.Log().Info(fmt.Sprintf("Invoking AWS Lambda function: %s with payload: %s", i.FunctionName, in.Payload))
	out, err := i.invoke(ctx, t, api, in)
	if err != nil {
		return operators.Result{}, info.Explained(err)
	}
	i.tail(t, out)
	if out.StatusCode < 200 || out.StatusCode > 204 {
		return operators.Result{}, fmt.Errorf("Lambda function did not execute: status %d", out.StatusCode)
	}
	if out.FunctionError != nil {
		return operators.Result{}, functionError(i.FunctionName, out)
	}
	t.Log().Info(fmt.Sprintf("Lambda function invocation succeeded: status %d, version %s", out.StatusCode, aws.ToString(out.ExecutedVersion)))
	switch {
	case len(out.Payload) == 0:
		return operators.Done(nil), nil
	case json.Valid(out.Payload):
		return operators.Done(json.RawMessage(out.Payload)), nil
	}
	return operators.Done(string(out.Payload)), nil
}

// invoke calls, and repeats what Lambda has refused without running the function. The SDK itself repeats nothing here: it
// would also repeat a call whose answer was lost, and run the function twice.
func (i *Invoke) invoke(ctx context.Context, t operators.Task, api API, in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
	once := func(o *lambda.Options) { o.Retryer = aws.NopRetryer{} }
	for n := 1; ; n++ {
		out, err := api.Invoke(ctx, in, once)
		switch {
		case err == nil:
			return out, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("Lambda function %s was still running: %w", i.FunctionName, context.Cause(ctx))
		case !refused(err) || n > awswait.MaxRepeats:
			return nil, err // the SDK's errors name the operation
		}
		t.Log().Warn(fmt.Sprintf("Lambda has refused the call for now, repeating: %s", err))
		if err := triggers.Pause(ctx, i.deps.Backoff(n)); err != nil {
			return nil, fmt.Errorf("Lambda function %s was not invoked: %w", i.FunctionName, err)
		}
	}
}

// refused reports whether Lambda has not run the function, but may when it is asked again.
func refused(err error) bool {
	var (
		throttled *types.TooManyRequestsException
		network   *types.ENILimitReachedException
		notReady  *types.ResourceNotReadyException
		conflict  *types.ResourceConflictException
		ec2       *types.EC2ThrottledException
	)
	return errors.As(err, &throttled) || errors.As(err, &network) || errors.As(err, &notReady) ||
		errors.As(err, &conflict) || errors.As(err, &ec2)
}

// tail writes the end of the function's log to the task's.
func (i *Invoke) tail(t operators.Task, out *lambda.InvokeOutput) {
	if out.LogResult == nil {
		return
	}
	raw, err := base64.StdEncoding.DecodeString(*out.LogResult)
	if err != nil {
		t.Log().Warn("the function's log cannot be read: " + err.Error())
		return
	}
	t.Log().Info("The last log output of the Lambda Function is:")
	for line := range strings.SplitSeq(strings.TrimSuffix(string(raw), "\n"), "\n") {
		if line != "" || i.KeepEmptyLogLines {
			t.Log().Info(line)
		}
	}
}

// maxTrace is how much of a function's stack trace the error shows, in lines.
const maxTrace = 10

// functionError is what the function has failed with: its error type, message and stack.
func functionError(name string, out *lambda.InvokeOutput) error {
	var said struct {
		ErrorType    string            `json:"errorType"`
		ErrorMessage string            `json:"errorMessage"`
		StackTrace   []json.RawMessage `json:"stackTrace"`
		Trace        []json.RawMessage `json:"trace"`
	}
	kind := strings.ToLower(aws.ToString(out.FunctionError))
	if err := json.Unmarshal(out.Payload, &said); err != nil || said.ErrorType == "" && said.ErrorMessage == "" {
		return fmt.Errorf("Lambda function execution resulted in error: %s of %s: %s", kind, name, excerpt(string(out.Payload)))
	}
	text := said.ErrorMessage
	if said.ErrorType != "" {
		text = strings.TrimSuffix(said.ErrorType+": "+text, ": ")
	}
	trace := append(said.StackTrace, said.Trace...)
	for n, line := range trace {
		if n == maxTrace {
			text += fmt.Sprintf("\n  ... and %d more lines", len(trace)-n)
			break
		}
		var plain string
		if json.Unmarshal(line, &plain) != nil {
			plain = string(line)
		}
		text += "\n  " + strings.TrimSpace(plain)
	}
	return fmt.Errorf("Lambda function execution resulted in error: %s of %s: %s", kind, name, text)
}

func excerpt(text string) string {
	const most = 2000
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

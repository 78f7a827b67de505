package statemachine

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"go.uber.org/goleak"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/operators"
	"gust/operators/operatorstest"
	"gust/stepfunctions"
	"gust/stepfunctions/asl"
	"gust/stepfunctions/clienttest"
	triggers "gust/triggers/stepfunctions"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	deployName = "StepFunctionDeployStateMachineOperator"
	deleteName = "StepFunctionDeleteStateMachineOperator"
	machineARN = clienttest.Prefix + "stateMachine:orders"
)

// bench is an embedded service and a task that uses it.
type bench struct {
	*sfn.Client
	endpoint string
	registry *operators.Registry
	task     *operatorstest.Task
}

func setUp(t *testing.T) *bench {
	t.Helper()
	endpoint := clienttest.Start(t, stepfunctions.Config{})
	b := &bench{
		Client: clienttest.Client(t, endpoint), endpoint: endpoint, registry: operators.NewRegistry(), task: operatorstest.NewTask(t),
	}
	b.connect(t, b.task)
	deps := Deps{
		Clients: triggers.FromPool(awsconn.NewPool(slog.New(slog.DiscardHandler))), Diagnose: diagnose,
		Backoff: func(int) time.Duration { return time.Millisecond },
	}
	if err := Register(b.registry, deps); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) connect(t *testing.T, task *operatorstest.Task) {
	t.Helper()
	extra, err := json.Marshal(map[string]any{"region_name": "us-east-1", "endpoint_url": b.endpoint})
	if err != nil {
		t.Fatal(err)
	}
	login, password := "any", "thing"
	task.Connections["aws_default"] = &connections.Connection{
		ID: "aws_default", Type: "aws", Login: &login, Password: &password, Extra: extra,
	}
}

// diagnose is what internal/app passes, as far as these tests need it.
func diagnose(definition, _ string) []Problem {
	_, found := asl.Parse(definition)
	var out []Problem
	for _, d := range found.Errors() {
		p := Problem{Text: d.Code + ": " + d.Message + " at " + d.Location, Nearest: d.Hint, Line: d.Line, Column: d.Column}
		if d.Code != asl.CodeJSON {
			p.Location = d.Location
		}
		out = append(out, p)
	}
	return out
}

func (b *bench) run(t *testing.T, name string, params map[string]any) (operators.Result, error) {
	t.Helper()
	return operatorstest.Build(t, b.registry, name, params).Execute(t.Context(), b.task)
}

func (b *bench) deploy(t *testing.T, params map[string]any) *deployed {
	t.Helper()
	res, err := b.run(t, deployName, params)
	if err != nil {
		t.Fatalf("%v\n%s", err, b.task.LogText())
	}
	return res.Value.(*deployed)
}

// pass is a definition whose Pass state returns a text.
func pass(result string) string {
	return `{"StartAt":"A","States":{"A":{"Type":"Pass","Result":` + result + `,"End":true}}}`
}

func with(params map[string]any, more ...any) map[string]any {
	out := map[string]any{}
	for k, v := range params {
		out[k] = v
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

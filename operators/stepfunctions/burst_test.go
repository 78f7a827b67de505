package stepfunctions

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/connections/awsconn/quota"
	"gust/operators"
	"gust/operators/operatorstest"
	service "gust/stepfunctions"
	"gust/stepfunctions/clienttest"
	"gust/stepfunctions/server"
	"gust/triggers/stepfunctions"
)

// Two thousand tasks that start executions at one moment keep within AWS's quota: none of them meets throttling.
func TestBurstOfStarts(t *testing.T) {
	t.Parallel()
	faults := &server.Faults{}
	faults.SetThrottle(1) // as AWS: 1,300 at once, 300 a second
	endpoint := clienttest.Start(t, service.Config{Faults: faults})
	e := embed(t, service.Config{}) // another service, for the fixture alone
	e.Client = clienttest.Client(t, endpoint)
	machine := e.machine(t, "m", `{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":600,"End":true}}}`, types.StateMachineTypeStandard)
	quotas := quota.New(quota.Options{Everywhere: true})
	clients := stepfunctions.FromPool(awsconn.NewPoolWithin(slog.New(slog.DiscardHandler), quotas))
	extra, err := json.Marshal(map[string]any{"region_name": "us-east-1", "endpoint_url": endpoint})
	if err != nil {
		t.Fatal(err)
	}
	login, password := "any", "thing"
	connection := &connections.Connection{ID: "aws_default", Type: "aws", Login: &login, Password: &password, Extra: extra}
	registry := operators.NewRegistry()
	if err := Register(registry, Deps{Clients: clients, Backoff: func(n int) time.Duration {
		t.Errorf("a call was to be repeated the %d. time", n)
		return time.Second
	}}); err != nil {
		t.Fatal(err)
	}
	const n = 2000
	tasks := make([]*operatorstest.Task, n)
	for i := range tasks {
		tasks[i] = operatorstest.NewTask(t)
		tasks[i].Identity.TaskID = fmt.Sprint("t", i)
		tasks[i].Connections["aws_default"] = connection
	}
	var group sync.WaitGroup
	gate := make(chan struct{}, 64)
	for _, task := range tasks {
		gate <- struct{}{}
		op := operatorstest.Build(t, registry, startName, map[string]any{"state_machine_arn": machine})
		group.Go(func() {
			defer func() { <-gate }()
			if _, err := op.Execute(context.WithoutCancel(t.Context()), task); err != nil {
				t.Errorf("%v\n%s", err, task.LogText())
			}
		})
	}
	group.Wait()
	started := 0
	for p := sfn.NewListExecutionsPaginator(e.Client, &sfn.ListExecutionsInput{StateMachineArn: &machine, MaxResults: 1000}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		started += len(page.Executions)
	}
	if started != n {
		t.Errorf("%d executions of %d tasks", started, n)
	}
	for _, s := range quotas.Stats() {
		t.Logf("%s: %v", s.Operation, s.Calls)
	}
}

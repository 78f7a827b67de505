package stepfunctions

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/triggers/stepfunctions"
)

// listing is a client that lists these state machines.
type listing struct {
	stepfunctions.API
	names []string
	err   error
}

func (l listing) ListStateMachines(
	context.Context, *sfn.ListStateMachinesInput, ...func(*sfn.Options),
) (*sfn.ListStateMachinesOutput, error) {
	out := &sfn.ListStateMachinesOutput{}
	for _, name := range l.names {
		arn := "arn:aws:states:us-east-1:222222222222:stateMachine:" + name
		out.StateMachines = append(out.StateMachines, types.StateMachineListItem{Name: aws.String(name), StateMachineArn: aws.String(arn)})
	}
	return out, l.err
}

func TestMissingMachineIsExplained(t *testing.T) {
	t.Parallel()
	missing := &types.StateMachineDoesNotExist{Message: aws.String("State Machine Does Not Exist")}
	many := strings.Split(strings.Repeat("x,", 11)+"x", ",")
	for name, c := range map[string]struct {
		api  stepfunctions.API
		want string
	}{
		"near":          {listing{names: []string{"other", "order-fulfilment"}}, `; did you mean "order-fulfilment"? (`},
		"other account": {listing{names: []string{"order-fulfillment"}}, "; did you mean arn:aws:states:us-east-1:222222222222:stateMachine:order-fulfillment? ("},
		"far":           {listing{names: []string{"a", "b"}}, "; there are a, b ("},
		"far, many":     {listing{names: many}, "; there are x, x, x, x, x, x, x, x, x, x, ... ("},
		"none":          {listing{}, ", where there are none ("},
		"no permission": {listing{err: errors.New("AccessDenied")}, "us-east-1 at http://localhost:1 ("},
	} {
		w := &start{
			job:     job{api: c.api, info: awsconn.Info{Region: "us-east-1", Endpoint: "http://localhost:1"}},
			machine: stepfunctions.Machine{Account: "123456789012", Name: "order-fulfillment"},
		}
		err := w.explained(t.Context(), missing)
		if text := err.Error(); !strings.Contains(text, c.want) ||
			!strings.HasPrefix(text, `there is no state machine "order-fulfillment" of account 123456789012 in us-east-1 at http://localhost:1`) {
			t.Errorf("%s: %v", name, err)
		}
		if !errors.Is(err, missing) {
			t.Errorf("%s: the cause is lost", name)
		}
	}
	w := &start{job: job{api: listing{names: []string{"a"}}}}
	if other := errors.New("throttled"); w.explained(t.Context(), other).Error() != other.Error() {
		t.Error("another error was changed")
	}
}

package stepfunctions_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/stepfunctions"
	"gust/stepfunctions/handlers"
	"gust/stepfunctions/server"
)

// TestEveryOperationOfTheSDKIsServed calls each operation without input: it may refuse that, but must know itself.
func TestEveryOperationOfTheSDKIsServed(t *testing.T) {
	t.Parallel()
	s := start(t, stepfunctions.Config{})
	client := reflect.TypeFor[*sfn.Client]()
	operations := 0
	for i := range client.NumMethod() {
		name := client.Method(i).Name
		if name == "Options" {
			continue
		}
		operations++
		_, err := s.Invoke(t.Context(), server.Call{Operation: name, Body: []byte("{}")})
		var known *server.Error
		if err != nil && (!errors.As(err, &known) || known.Code == "UnknownOperationException") {
			t.Errorf("%s: %v", name, err)
		}
		// What is required is missed, everything at once.
		if known != nil && known.Code == "ValidationException" && !strings.Contains(known.Message, "Member must not be null") &&
			!strings.Contains(known.Message, "Must specify exactly one of") {
			t.Errorf("%s: %s", name, known.Message)
		}
	}
	if operations != 37 {
		t.Errorf("the SDK has %d operations", operations)
	}
}

func TestTagsOfActivities(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := client(start(t, stepfunctions.Config{}))
	tags := func(pairs ...string) (list []types.Tag) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
		}
		return list
	}
	if _, err := c.CreateActivity(ctx, &sfn.CreateActivityInput{Name: aws.String("act"), Tags: tags("a", "1")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.TagResource(ctx, &sfn.TagResourceInput{ResourceArn: aws.String(activityARN), Tags: tags("a", "2", "b", "3")}); err != nil {
		t.Fatal(err)
	}
	list, err := c.ListTagsForResource(ctx, &sfn.ListTagsForResourceInput{ResourceArn: aws.String(activityARN)})
	if err != nil || len(list.Tags) != 2 || *list.Tags[0].Value != "2" || *list.Tags[1].Key != "b" {
		t.Errorf("%+v %v", list, err)
	}
	_, err = c.TagResource(ctx, &sfn.TagResourceInput{ResourceArn: aws.String(activityARN + "x"), Tags: tags("a", "2")})
	if code(err) != "ResourceNotFound: Resource not found: '"+activityARN+"x'" {
		t.Error(code(err))
	}
	described, err := c.DescribeActivity(ctx, &sfn.DescribeActivityInput{ActivityArn: aws.String(activityARN)})
	if err != nil || *described.Name != "act" || described.EncryptionConfiguration.Type != types.EncryptionTypeAwsOwnedKey {
		t.Errorf("%+v %v", described, err)
	}
}

// TestTestStatePerformsATask tests a state whose work is a handler's, and one whose work is mocked.
func TestTestStatePerformsATask(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	work := handlers.Handler{Func: func(_ context.Context, in []byte) ([]byte, error) {
		if string(in) == "1" {
			return nil, &handlers.Error{Type: "E", Message: "m"}
		}
		return in, nil
	}}
	c := client(start(t, stepfunctions.Config{Handlers: map[string]handlers.Handler{"work": work}}))
	state := `{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:work","Retry":[{"ErrorEquals":["E"],"MaxAttempts":1}],
		"Catch":[{"ErrorEquals":["States.ALL"],"Next":"Caught"}],"End":true}`
	test := func(in *sfn.TestStateInput) *sfn.TestStateOutput {
		in.Definition, in.RoleArn = &state, aws.String(role)
		out, err := c.TestState(ctx, in, localHost)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := test(&sfn.TestStateInput{Input: aws.String(`{"a":1.0}`)}); out.Status != types.TestExecutionStatusSucceeded || *out.Output != `{"a":1.0}` {
		t.Errorf("%+v", out)
	}
	if out := test(&sfn.TestStateInput{Input: aws.String("1")}); out.Status != types.TestExecutionStatusRetriable || *out.Error != "E" {
		t.Errorf("%+v", out)
	}
	caught := test(&sfn.TestStateInput{Input: aws.String("1"), InspectionLevel: types.InspectionLevelDebug,
		StateConfiguration: &types.TestStateConfiguration{RetrierRetryCount: aws.Int32(1)}})
	if caught.Status != types.TestExecutionStatusCaughtError || *caught.NextState != "Caught" || *caught.InspectionData.Input != "1" {
		t.Errorf("%+v", caught)
	}
	if out := test(&sfn.TestStateInput{Mock: &types.MockInput{Result: aws.String(`"mocked"`)}}); *out.Output != `"mocked"` {
		t.Errorf("%+v", out)
	}
	whole := `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Wait","Seconds":0,"End":true}}}`
	out, err := c.TestState(ctx, &sfn.TestStateInput{Definition: &whole, StateName: aws.String("A"), Input: aws.String("[]")}, localHost)
	if err != nil || *out.NextState != "B" || *out.Output != "[]" {
		t.Errorf("%+v %v", out, err)
	}
	_, err = c.TestState(ctx, &sfn.TestStateInput{Definition: &whole, StateName: aws.String("C")}, localHost)
	if !strings.HasPrefix(code(err), "ValidationException: ") {
		t.Error(code(err))
	}
}

package clienttest

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(serveVariable); path != "" {
		serve(path)
	}
	goleak.VerifyTestMain(m)
}

// until repeats a look until it is done, as Terraform's waiters do.
func until(t *testing.T, what string, look func() bool) {
	t.Helper()
	deadline, tick := time.NewTimer(30*time.Second), time.NewTicker(5*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !look() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("waited too long until " + what)
		}
	}
}

// TestTerraformStateMachine makes the calls of the AWS provider's aws_sfn_state_machine through its life.
func TestTerraformStateMachine(t *testing.T) {
	t.Parallel()
	c := Client(t, Start(t, functions()))
	ctx := t.Context()
	// plan
	valid, err := c.ValidateStateMachineDefinition(ctx, &sfn.ValidateStateMachineDefinitionInput{
		Definition: aws.String(helloWorld), Type: types.StateMachineTypeStandard,
	})
	if err != nil || valid.Result != types.ValidateStateMachineDefinitionResultCodeOk {
		t.Fatalf("%+v, %v", valid, err)
	}
	// apply
	logging := &types.LoggingConfiguration{Level: types.LogLevelOff}
	created, err := c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name: aws.String("orders"), Definition: aws.String(helloWorld), RoleArn: aws.String(Role), Publish: true,
		Type: types.StateMachineTypeStandard, LoggingConfiguration: logging,
		TracingConfiguration: &types.TracingConfiguration{Enabled: false}, VersionDescription: aws.String("first"),
		EncryptionConfiguration: &types.EncryptionConfiguration{Type: types.EncryptionTypeAwsOwnedKey},
		Tags:                    []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	arn := created.StateMachineArn
	read := func() *sfn.DescribeStateMachineOutput {
		t.Helper()
		out, err := c.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: arn})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	d := read()
	if d.Status != types.StateMachineStatusActive || d.Type != types.StateMachineTypeStandard || d.LoggingConfiguration == nil ||
		d.TracingConfiguration == nil || aws.ToString(d.Definition) != helloWorld || d.CreationDate == nil {
		t.Errorf("%+v", d)
	}
	versions := func(want int) string {
		t.Helper()
		out, err := c.ListStateMachineVersions(ctx, &sfn.ListStateMachineVersionsInput{StateMachineArn: arn})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.StateMachineVersions) != want {
			t.Fatalf("%d versions, want %d", len(out.StateMachineVersions), want)
		}
		return aws.ToString(out.StateMachineVersions[0].StateMachineVersionArn)
	}
	if first := versions(1); first != aws.ToString(created.StateMachineVersionArn) {
		t.Errorf("version %s", first)
	}
	tags(t, c, arn, map[string]string{"team": "a"})
	// apply of a change
	if _, err := c.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{
		StateMachineArn: arn, Definition: aws.String(choice), RoleArn: aws.String(Role), Publish: true,
		LoggingConfiguration: logging, TracingConfiguration: &types.TracingConfiguration{Enabled: true},
	}); err != nil {
		t.Fatal(err)
	}
	until(t, "the update is seen", func() bool {
		d := read()
		return aws.ToString(d.Definition) == choice && d.TracingConfiguration.Enabled
	})
	versions(2)
	if _, err := c.TagResource(ctx, &sfn.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("stage"), Value: aws.String("b")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UntagResource(ctx, &sfn.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team"}}); err != nil {
		t.Fatal(err)
	}
	tags(t, c, arn, map[string]string{"stage": "b"})
	// destroy
	if _, err := c.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: arn}); err != nil {
		t.Fatal(err)
	}
	until(t, "the state machine is gone", func() bool {
		_, err := c.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: arn})
		var missing *types.StateMachineDoesNotExist
		if err != nil && !errors.As(err, &missing) {
			t.Fatal(err)
		}
		return err != nil
	})
}

func tags(t *testing.T, c *sfn.Client, arn *string, want map[string]string) {
	t.Helper()
	out, err := c.ListTagsForResource(t.Context(), &sfn.ListTagsForResourceInput{ResourceArn: arn})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, tag := range out.Tags {
		got[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	if len(got) != len(want) {
		t.Errorf("tags %v, want %v", got, want)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("tags %v, want %v", got, want)
		}
	}
}

// TestTerraformAliasAndActivity makes the calls of aws_sfn_alias and aws_sfn_activity.
func TestTerraformAliasAndActivity(t *testing.T) {
	t.Parallel()
	c := Client(t, Start(t, functions()))
	ctx := t.Context()
	created, err := c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name: aws.String("orders"), Definition: aws.String(helloWorld), RoleArn: aws.String(Role), Publish: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	updated, err := c.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{
		StateMachineArn: created.StateMachineArn, Definition: aws.String(choice), Publish: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	route := func(weight int32) []types.RoutingConfigurationListItem {
		both := []types.RoutingConfigurationListItem{
			{StateMachineVersionArn: created.StateMachineVersionArn, Weight: weight},
			{StateMachineVersionArn: updated.StateMachineVersionArn, Weight: 100 - weight},
		}
		return both
	}
	alias, err := c.CreateStateMachineAlias(ctx, &sfn.CreateStateMachineAliasInput{Name: aws.String("live"), RoutingConfiguration: route(90)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.UpdateStateMachineAlias(ctx, &sfn.UpdateStateMachineAliasInput{
		StateMachineAliasArn: alias.StateMachineAliasArn, RoutingConfiguration: route(50), Description: aws.String("half"),
	}); err != nil {
		t.Fatal(err)
	}
	d, err := c.DescribeStateMachineAlias(ctx, &sfn.DescribeStateMachineAliasInput{StateMachineAliasArn: alias.StateMachineAliasArn})
	if err != nil || len(d.RoutingConfiguration) != 2 || d.RoutingConfiguration[0].Weight != 50 || aws.ToString(d.Description) != "half" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := c.DeleteStateMachineAlias(ctx, &sfn.DeleteStateMachineAliasInput{StateMachineAliasArn: alias.StateMachineAliasArn}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DescribeStateMachineAlias(ctx, &sfn.DescribeStateMachineAliasInput{StateMachineAliasArn: alias.StateMachineAliasArn})
	var missing *types.ResourceNotFound
	if !errors.As(err, &missing) {
		t.Errorf("after the deletion: %v", err)
	}
	activity, err := c.CreateActivity(ctx, &sfn.CreateActivityInput{
		Name: aws.String("approve"), Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := c.DescribeActivity(ctx, &sfn.DescribeActivityInput{ActivityArn: activity.ActivityArn}); err != nil || aws.ToString(a.Name) != "approve" {
		t.Errorf("%+v, %v", a, err)
	}
	tags(t, c, activity.ActivityArn, map[string]string{"team": "a"})
	if _, err := c.DeleteActivity(ctx, &sfn.DeleteActivityInput{ActivityArn: activity.ActivityArn}); err != nil {
		t.Fatal(err)
	}
}

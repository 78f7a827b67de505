package stepfunctions_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions"
)

func passing(text string) string {
	return fmt.Sprintf(`{"StartAt":"A","States":{"A":{"Type":"Pass","Result":%q,"End":true}}}`, text)
}

// published creates a machine with n versions, each passing its number on.
func published(t *testing.T, c *sfn.Client, name string, n int) (machine string, versions []string) {
	t.Helper()
	for i := range n {
		text := passing(fmt.Sprint(i + 1))
		if i == 0 {
			out, err := c.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{Name: &name, Definition: &text,
				RoleArn: aws.String(role), Publish: true, VersionDescription: aws.String("first")})
			if err != nil {
				t.Fatal(err)
			}
			machine, versions = *out.StateMachineArn, append(versions, *out.StateMachineVersionArn)
			continue
		}
		out, err := c.UpdateStateMachine(t.Context(), &sfn.UpdateStateMachineInput{StateMachineArn: &machine, Definition: &text, Publish: true})
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, *out.StateMachineVersionArn)
	}
	return machine, versions
}

func TestVersions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := client(start(t, stepfunctions.Config{}))
	machine, versions := published(t, c, "m", 3)
	if d := cmp.Diff([]string{machine + ":1", machine + ":2", machine + ":3"}, versions); d != "" {
		t.Fatal(d)
	}
	again, err := c.PublishStateMachineVersion(ctx, &sfn.PublishStateMachineVersionInput{StateMachineArn: &machine})
	if err != nil || *again.StateMachineVersionArn != versions[2] {
		t.Errorf("the same revision was published as %v (%v)", again, err)
	}
	current, err := c.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &machine})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.PublishStateMachineVersion(ctx, &sfn.PublishStateMachineVersionInput{StateMachineArn: &machine, RevisionId: aws.String("INITIAL")})
	if want := "ConflictException: Failed to publish the State Machine version for revision INITIAL. The current State Machine revision is " +
		*current.RevisionId + "."; code(err) != want {
		t.Error(code(err))
	}
	first, err := c.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &versions[0]})
	if err != nil || *first.Definition != passing("1") || *first.StateMachineArn != versions[0] || *first.Description != "first" || first.RevisionId != nil {
		t.Errorf("%+v %v", first, err)
	}
	if out := run(t, c, versions[1], "", "{}"); *out.Output != `"2"` || *out.StateMachineVersionArn != versions[1] ||
		*out.StateMachineArn != machine || !strings.Contains(*out.ExecutionArn, ":execution:m:") {
		t.Errorf("%+v", out)
	}
	var listed []string
	in := &sfn.ListStateMachineVersionsInput{StateMachineArn: &machine, MaxResults: 2}
	for {
		page, err := c.ListStateMachineVersions(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.StateMachineVersions {
			listed = append(listed, *v.StateMachineVersionArn)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	if d := cmp.Diff([]string{versions[2], versions[1], versions[0]}, listed); d != "" {
		t.Error(d)
	}
	for range 2 {
		if _, err := c.DeleteStateMachineVersion(ctx, &sfn.DeleteStateMachineVersionInput{StateMachineVersionArn: &versions[2]}); err != nil {
			t.Error(err)
		}
	}
	next, err := c.PublishStateMachineVersion(ctx, &sfn.PublishStateMachineVersionInput{StateMachineArn: &machine})
	if err != nil || *next.StateMachineVersionArn != machine+":4" {
		t.Errorf("a number was used again: %v %v", next, err)
	}
	_, err = c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &versions[2]})
	if code(err) != "StateMachineDoesNotExist: State Machine Does Not Exist: '"+versions[2]+"'" {
		t.Error(code(err))
	}
}

func route(version string, weight int32) types.RoutingConfigurationListItem {
	return types.RoutingConfigurationListItem{StateMachineVersionArn: &version, Weight: weight}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := client(start(t, stepfunctions.Config{}))
	machine, versions := published(t, c, "m", 2)
	create := &sfn.CreateStateMachineAliasInput{Name: aws.String("PROD"), Description: aws.String("d"),
		RoutingConfiguration: []types.RoutingConfigurationListItem{route(versions[0], 70), route(versions[1], 30)}}
	var alias string
	for range 2 { // idempotent
		out, err := c.CreateStateMachineAlias(ctx, create)
		if err != nil {
			t.Fatal(err)
		}
		alias = *out.StateMachineAliasArn
	}
	if alias != machine+":PROD" {
		t.Error(alias)
	}
	outputs := map[string]int{}
	for i := range 200 {
		out := run(t, c, alias, fmt.Sprint("e", i), "{}")
		outputs[*out.Output]++
		if *out.StateMachineAliasArn != alias || *out.StateMachineVersionArn != machine+":"+strings.Trim(*out.Output, `"`) {
			t.Errorf("%+v", out)
		}
	}
	if n := outputs[`"1"`]; n < 110 || n > 170 || outputs[`"2"`] != 200-n {
		t.Errorf("70%% of 200 executions are %v", outputs)
	}
	byAlias, err := c.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: &alias, MaxResults: 1000})
	byVersion, errVersion := c.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: &versions[1], MaxResults: 1000})
	if err != nil || errVersion != nil || len(byAlias.Executions) != 200 || len(byVersion.Executions) != outputs[`"2"`] {
		t.Errorf("%d by alias, %d by version, %v %v", len(byAlias.Executions), len(byVersion.Executions), err, errVersion)
	}
	_, err = c.DeleteStateMachineVersion(ctx, &sfn.DeleteStateMachineVersionInput{StateMachineVersionArn: &versions[0]})
	if want := "ConflictException: Version to be deleted must not be referenced by an alias. Current list of aliases referencing this version: [PROD]"; code(err) != want {
		t.Error(code(err))
	}
	if _, err := c.UpdateStateMachineAlias(ctx, &sfn.UpdateStateMachineAliasInput{StateMachineAliasArn: &alias,
		RoutingConfiguration: []types.RoutingConfigurationListItem{route(versions[1], 100)}}); err != nil {
		t.Fatal(err)
	}
	described, err := c.DescribeStateMachineAlias(ctx, &sfn.DescribeStateMachineAliasInput{StateMachineAliasArn: &alias})
	if err != nil || *described.Description != "d" || *described.Name != "PROD" || len(described.RoutingConfiguration) != 1 || described.RoutingConfiguration[0].Weight != 100 {
		t.Errorf("%+v %v", described, err)
	}
	one, err := c.ListStateMachineAliases(ctx, &sfn.ListStateMachineAliasesInput{StateMachineArn: &versions[1]})
	none, errNone := c.ListStateMachineAliases(ctx, &sfn.ListStateMachineAliasesInput{StateMachineArn: &versions[0]})
	if err != nil || errNone != nil || len(one.StateMachineAliases) != 1 || len(none.StateMachineAliases) != 0 {
		t.Errorf("%+v %+v %v %v", one, none, err, errNone)
	}
	for range 2 {
		if _, err := c.DeleteStateMachineAlias(ctx, &sfn.DeleteStateMachineAliasInput{StateMachineAliasArn: &alias}); err != nil {
			t.Error(err)
		}
	}
	_, err = c.DescribeStateMachineAlias(ctx, &sfn.DescribeStateMachineAliasInput{StateMachineAliasArn: &alias})
	if code(err) != "ResourceNotFound: Request references a resource that does not exist." {
		t.Error(code(err))
	}
}

func TestAliasesAreChecked(t *testing.T) {
	t.Parallel()
	c := client(start(t, stepfunctions.Config{}))
	machine, v := published(t, c, "m", 2)
	for _, e := range []struct {
		name    string
		routing []types.RoutingConfigurationListItem
		want    string
	}{
		{"a", []types.RoutingConfigurationListItem{route(v[0], 70), route(v[1], 29)}, "ValidationException: Sum of routing configuration weights must equal 100. Received: [70, 29]"},
		{"a", []types.RoutingConfigurationListItem{route(v[0], 50), route(v[0], 50)}, "ValidationException: Routing configuration must contain distinct state machine version ARNs. Received: [" + v[0] + ", " + v[0] + "]"},
		{"a", []types.RoutingConfigurationListItem{route(machine, 100)}, "ValidationException: Routing configuration must contain state machine version ARNs. Received: [" + machine + "]"},
		{"a", []types.RoutingConfigurationListItem{route(machine+":9", 100)}, "ResourceNotFound: Request references a resource that does not exist."},
		{"12", []types.RoutingConfigurationListItem{route(v[0], 100)}, `ValidationException: 1 validation error detected: Value '12' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$`},
		{"1 2", []types.RoutingConfigurationListItem{route(v[0], 101)}, `ValidationException: 2 validation errors detected: Value '1 2' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$; Value '101' at 'routingConfiguration.1.member.weight' failed to satisfy constraint: Member must have value less than or equal to 100`},
	} {
		_, err := c.CreateStateMachineAlias(t.Context(), &sfn.CreateStateMachineAliasInput{Name: &e.name, RoutingConfiguration: e.routing})
		if code(err) != e.want {
			t.Errorf("got  %s\nwant %s", code(err), e.want)
		}
	}
}

// TestCreateIsIdempotentInWhatCounts repeats CreateStateMachine with and without differences.
func TestCreateIsIdempotentInWhatCounts(t *testing.T) {
	t.Parallel()
	c := client(start(t, stepfunctions.Config{}))
	in := func(change func(*sfn.CreateStateMachineInput)) string {
		create := &sfn.CreateStateMachineInput{Name: aws.String("m"), Definition: aws.String(passing("x")), RoleArn: aws.String(role)}
		change(create)
		_, err := c.CreateStateMachine(t.Context(), create)
		name, _, _ := strings.Cut(code(err), ":")
		return name
	}
	for i, e := range []struct {
		change func(*sfn.CreateStateMachineInput)
		want   string
	}{
		{func(*sfn.CreateStateMachineInput) {}, ""},
		{func(c *sfn.CreateStateMachineInput) { c.RoleArn = aws.String(role + "2") }, ""},
		{func(c *sfn.CreateStateMachineInput) {
			c.Tags = []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}
		}, ""},
		{func(c *sfn.CreateStateMachineInput) { c.Type = types.StateMachineTypeExpress }, "StateMachineAlreadyExists"},
		{func(c *sfn.CreateStateMachineInput) { c.Publish = true }, "StateMachineAlreadyExists"},
		{func(c *sfn.CreateStateMachineInput) {
			c.TracingConfiguration = &types.TracingConfiguration{Enabled: true}
		}, "StateMachineAlreadyExists"},
		{func(c *sfn.CreateStateMachineInput) { c.VersionDescription = aws.String("d") }, "ValidationException"},
	} {
		if got := in(e.change); got != e.want {
			t.Errorf("%d: got %q want %q", i, got, e.want)
		}
	}
}

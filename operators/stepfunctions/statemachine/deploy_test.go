package statemachine

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/operators/operatorstest"
	"gust/stepfunctions/clienttest"
)

var orders = map[string]any{"state_machine_name": "orders", "role_arn": clienttest.Role, "definition": pass(`1`)}

func TestFamily(t *testing.T) {
	t.Parallel()
	operatorstest.TestFamily(t, setUp(t).registry)
}

func (b *bench) describe(t *testing.T) *sfn.DescribeStateMachineOutput {
	t.Helper()
	out, err := b.DescribeStateMachine(t.Context(), &sfn.DescribeStateMachineInput{StateMachineArn: aws.String(machineARN)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDeployChangesWhatDiffers(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for _, c := range []struct {
		params map[string]any
		want   string
	}{
		{orders, "created"},
		{orders, "unchanged"},
		{with(orders, "definition", " "+strings.ReplaceAll(pass(`1`), ":", " :\n ")), "unchanged"},
		{with(orders, "definition", pass(`2`)), "updated"},
		{map[string]any{"state_machine_name": "orders", "definition": pass(`2`)}, "unchanged"},
		{with(orders, "definition", pass(`2`), "role_arn", clienttest.Role+"2"), "updated"},
		{with(orders, "definition", pass(`2`), "role_arn", clienttest.Role+"2"), "unchanged"},
		{with(orders, "definition", pass(`2`), "role_arn", "arn:aws:iam::999999999999:role/elsewhere"), "updated"},
	} {
		out := b.deploy(t, c.params)
		if out.Change != c.want || out.StateMachineARN != machineARN {
			t.Errorf("%v: %+v, want %s", c.params, out, c.want)
		}
		now := b.describe(t)
		if got := aws.ToString(now.RevisionId); got != out.RevisionID {
			t.Errorf("revision %q, want %q", out.RevisionID, got)
		}
		if !sameDefinition(aws.ToString(now.Definition), c.params["definition"].(string)) {
			t.Errorf("definition %s, want %s", aws.ToString(now.Definition), c.params["definition"])
		}
	}
	if got := b.task.XCom(keyMachine); got != `"`+machineARN+`"` {
		t.Errorf("XCom %s is %s", keyMachine, got)
	}
	_, err := b.run(t, deployName, with(orders, "type", "EXPRESS"))
	wantError(t, err, "type STANDARD", "cannot be changed to EXPRESS")
	_, err = b.run(t, deployName, map[string]any{"state_machine_name": "new", "definition": pass(`1`)})
	wantError(t, err, `there is no state machine "new"`, "give role_arn")
}

func TestDeployTags(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	tags := func() map[string]string {
		out, err := b.ListTagsForResource(t.Context(), &sfn.ListTagsForResourceInput{ResourceArn: aws.String(machineARN)})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, tag := range out.Tags {
			all[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
		}
		return all
	}
	b.deploy(t, with(orders, "tags", map[string]any{"team": "a", "stage": "test"}))
	b.deploy(t, with(orders, "tags", map[string]any{"team": "b"}))
	if got := tags(); len(got) != 2 || got["team"] != "b" || got["stage"] != "test" {
		t.Errorf("tags %v", got)
	}
}

func (b *bench) routing(t *testing.T, alias string) string {
	t.Helper()
	out, err := b.DescribeStateMachineAlias(t.Context(), &sfn.DescribeStateMachineAliasInput{
		StateMachineAliasArn: aws.String(machineARN + ":" + alias),
	})
	if err != nil {
		t.Fatal(err)
	}
	return routingText(out.RoutingConfiguration)
}

func TestDeployVersionsAndAlias(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	live := with(orders, "alias", "live")
	for _, c := range []struct {
		params        map[string]any
		version, want string
	}{
		{live, ":1", "version 1 (100 %)"},
		{live, ":1", "version 1 (100 %)"},
		{with(live, "definition", pass(`2`), "alias_weight", 10), ":2", "version 1 (90 %), version 2 (10 %)"},
		{with(live, "definition", pass(`2`), "alias_weight", 10), ":2", "version 1 (90 %), version 2 (10 %)"},
		{with(live, "definition", pass(`2`), "alias_weight", 60), ":2", "version 1 (40 %), version 2 (60 %)"},
		{with(live, "definition", pass(`2`)), ":2", "version 2 (100 %)"},
		{with(live, "definition", pass(`2`), "alias_routing", map[string]any{"1": 100}), "", "version 1 (100 %)"},
		{with(live, "definition", pass(`3`), "alias_routing", map[string]any{"1": 75, "latest": 25}), ":3", "version 1 (75 %), version 3 (25 %)"},
	} {
		out := b.deploy(t, c.params)
		if got := strings.TrimPrefix(out.VersionARN, machineARN); got != c.version {
			t.Errorf("%v: version %q, want %q", c.params, got, c.version)
		}
		if got := b.routing(t, "live"); got != c.want || out.AliasARN != machineARN+":live" {
			t.Errorf("%v: alias %s routes to %s, want %s", c.params, out.AliasARN, got, c.want)
		}
	}
	out := b.deploy(t, with(orders, "definition", pass(`4`), "publish", true, "version_description", "the fourth"))
	if out.VersionARN != machineARN+":4" || out.AliasARN != "" {
		t.Errorf("%+v", out)
	}
}

func TestDeployRefuses(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for _, c := range []struct {
		more []any
		want []string
	}{
		{[]any{"definition", 5}, []string{"definition: wrong type", "expected a mapping"}},
		{[]any{"definition", `{"StartAt":"B","States":{"A":{"Type":"Pass","End":true}}}`}, []string{"definition: line 1, column ", "MISSING_TRANSITION_TARGET"}},
		{[]any{"definition", map[string]any{"StartAt": "A", "States": map[string]any{"A": map[string]any{"Type": "Pas"}}}}, []string{"definition.States.A.Type: "}},
		{[]any{"definition", pass(`"${x}"`), "definition_substitutions", map[string]any{"y": 1}}, []string{"${x} is not among definition_substitutions"}},
		{[]any{"definition_substitutions", map[string]any{"y": 1}}, []string{"the definition has no ${y}"}},
		{[]any{"alias", "12"}, []string{"not the name of an alias"}},
		{[]any{"alias", "a", "publish", false}, []string{"an alias needs a version"}},
		{[]any{"alias", "a", "alias_routing", map[string]any{"1": 50, "x": 49}}, []string{"not a version"}},
		{[]any{"alias", "a", "alias_routing", map[string]any{"1": 50, "2": 49}}, []string{"sum to 99"}},
		{[]any{"logging_configuration", map[string]any{"leve": "ALL"}}, []string{`unknown field "leve"`}},
	} {
		_, err := operatorstest.TryBuild(b.registry, deployName, with(orders, c.more...))
		if err == nil {
			t.Errorf("%v: no error, want %q", c.more, c.want)
			continue
		}
		wantError(t, err, c.want...)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	gone := map[string]any{"state_machine_arn": machineARN, "deferrable": false, "waiter_delay": 1}
	if res, err := b.run(t, deleteName, gone); err != nil || res.Value != machineARN {
		t.Errorf("a missing state machine: %+v, %v", res, err)
	}
	_, err := b.run(t, deleteName, with(gone, "missing_ok", false))
	wantError(t, err, "StateMachineDoesNotExist")
	b.deploy(t, orders)
	if _, err := b.run(t, deleteName, with(gone, "missing_ok", false)); err != nil {
		t.Error(err)
	}
	_, err = b.DescribeStateMachine(t.Context(), &sfn.DescribeStateMachineInput{StateMachineArn: aws.String(machineARN)})
	if !is[*types.StateMachineDoesNotExist](err) {
		t.Errorf("after the deletion: %v", err)
	}
	// The attempt is repeated after a crash, and after that the task is retried.
	if _, err := b.run(t, deleteName, with(gone, "missing_ok", false)); err != nil {
		t.Error(err)
	}
	b.task = b.task.NextTry(t)
	if _, err := b.run(t, deleteName, with(gone, "missing_ok", false)); err != nil {
		t.Error(err)
	}
	_, err = operatorstest.TryBuild(b.registry, deleteName, map[string]any{"state_machine_arn": machineARN + ":live"})
	wantError(t, err, "a version or an alias")
}

func TestDeleteParks(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.deploy(t, orders)
	res, err := b.run(t, deleteName, map[string]any{"state_machine_arn": machineARN})
	if err != nil || res.Deferral == nil {
		t.Fatalf("%+v, %v", res, err)
	}
	if kind := res.Deferral.Trigger.Kind; kind != "stepfunctions.deletion" {
		t.Errorf("trigger %s", kind)
	}
}

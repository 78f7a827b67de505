package sfnapi

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions/jsonvalue"
)

func TestAssign(t *testing.T) {
	t.Parallel()
	tests := []struct {
		operation, field string
		words            []string
		want             string // as JSON, or the error
	}{
		{"TagResource", "Tags", []string{"key=a,value=b", "key=c,value="}, `[{"Key":"a","Value":"b"},{"Key":"c","Value":""}]`},
		{"TagResource", "Tags", []string{`[{"key":"a"}]`}, `[{"Key":"a","Value":null}]`},
		{"TagResource", "Tags", []string{`{"key":"a"}`}, `[{"Key":"a","Value":null}]`},
		{"TagResource", "Tags", []string{"key"}, "--x: an equals sign was expected after the key \"key\"\nkey\n   ^"},
		{"UntagResource", "TagKeys", []string{"a", "b"}, `["a","b"]`},
		{"UntagResource", "TagKeys", []string{`["a","b"]`}, `["a","b"]`},
		{"CreateStateMachine", "Publish", []string{"true"}, `true`},
		{"CreateStateMachine", "TracingConfiguration", []string{"enabled=TRUE"}, `{"Enabled":true}`},
		{"CreateStateMachine", "TracingConfiguration", []string{"enabled=perhaps"}, `--x.enabled: "perhaps"; expected true or false`},
		{"CreateStateMachine", "LoggingConfiguration",
			[]string{"level=ALL,includeExecutionData=true,destinations=[{cloudWatchLogsLogGroup={logGroupArn=arn:x}}]"},
			`{"Destinations":[{"CloudWatchLogsLogGroup":{"LogGroupArn":"arn:x"}}],"IncludeExecutionData":true,"Level":"ALL"}`},
		{"CreateStateMachine", "LoggingConfiguration", []string{"lvel=ALL"},
			`--x: unknown key "lvel"; expected one of level, includeExecutionData, destinations; did you mean "level"?`},
		{"CreateStateMachineAlias", "RoutingConfiguration", []string{"stateMachineVersionArn=a,weight=90", "stateMachineVersionArn=b,weight=10"},
			`[{"StateMachineVersionArn":"a","Weight":90},{"StateMachineVersionArn":"b","Weight":10}]`},
		{"CreateStateMachineAlias", "RoutingConfiguration", []string{"stateMachineVersionArn=a,weight=x"}, `--x[0].weight: "x"; expected a whole number`},
		{"UpdateMapRun", "ToleratedFailurePercentage", []string{"12.5"}, `12.5`},
		{"UpdateMapRun", "ToleratedFailurePercentage", []string{"many"}, `--x: "many"; expected a number`},
		{"ListExecutions", "MaxResults", []string{"99999999999"}, `--x: "99999999999"; expected a whole number`},
		{"TestState", "Mock", []string{`{"errorOutput": {"error": "E"}, "fieldValidationMode": null}`},
			`{"ErrorOutput":{"Cause":null,"Error":"E"},"FieldValidationMode":"","Result":null}`},
	}
	for _, tt := range tests {
		in := reflect.New(Find(tt.operation).in).Elem()
		err := assign(in.FieldByName(tt.field), tt.words, "--x")
		got := jsonOf(t, in.FieldByName(tt.field).Interface())
		if err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s.%s of %q (-want +got):\n%s", tt.operation, tt.field, tt.words, diff)
		}
	}
}

// TestAnswersAreShaped: members in the model's order, times as texts, nothing that the model does not know, numbers as they
// were written.
func TestAnswersAreShaped(t *testing.T) {
	old := time.Local
	time.Local = time.FixedZone("", 2*60*60)
	defer func() { time.Local = old }()
	v, err := jsonvalue.Parse(`{"mapRunArn":"m","stopDate":1714557600.5,"startDate":1714557600,"extra":1,"toleratedFailurePercentage":5.0,
		"itemCounts":{"total":3,"pending":0},"redriveDate":null}`)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"mapRunArn":"m","startDate":"2024-05-01T12:00:00+02:00","stopDate":"2024-05-01T12:00:00.500000+02:00",` +
		`"toleratedFailurePercentage":5.0,"itemCounts":{"pending":0,"total":3}}`
	if got := shape(v, reflect.TypeFor[sfn.DescribeMapRunOutput]()).String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestPageTokens(t *testing.T) {
	t.Parallel()
	next := "service token"
	for _, r := range []resume{{nil, 2}, {&next, 0}, {&next, 7}} {
		if diff := cmp.Diff(r, parseResume(r.String())); diff != "" {
			t.Errorf("a token reads back differently (-want +got):\n%s", diff)
		}
	}
	if r := parseResume("a service's own"); r.NextToken == nil || *r.NextToken != "a service's own" {
		t.Errorf("%+v", r)
	}
	raw, err := base64.StdEncoding.DecodeString(resume{nil, 2}.String())
	if err != nil || string(raw) != `{"nextToken": null, "boto_truncate_amount": 2}` {
		t.Errorf("%s, %v: the AWS CLI writes it otherwise", raw, err)
	}
}

func TestDescriber(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string]string{
		"arn:aws:states:us-east-1:123456789012:stateMachine:m":      "DescribeStateMachine",
		"arn:aws:states:us-east-1:123456789012:stateMachine:m:3":    "DescribeStateMachine",
		"arn:aws:states:us-east-1:123456789012:stateMachine:m:prod": "DescribeStateMachineAlias",
		"arn:aws-cn:states:cn-north-1:123456789012:execution:m:e":   "DescribeExecution",
		"arn:aws:states:us-east-1:123456789012:express:m:e:uuid":    "DescribeExecution",
		"arn:aws:states:us-east-1:123456789012:activity:a":          "DescribeActivity",
		"arn:aws:states:us-east-1:123456789012:mapRun:m/label:uuid": "DescribeMapRun",
		"arn:aws:lambda:us-east-1:123456789012:function:f":          "",
		"hello": "",
	} {
		o, err := describer(arn)
		if (err == nil) != (want != "") || err == nil && o.Name() != want {
			t.Errorf("%s: %v, want %q", arn, err, want)
		}
	}
}

// TestEveryFlagIsExplained holds the explanations to the flags.
func TestEveryFlagIsExplained(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, o := range Operations {
		for _, m := range members(o.in) {
			flag := m.flag(o.in)
			if usage(o.Command(), flag) == "" {
				t.Errorf("%s --%s has no explanation", o.Command(), flag)
			}
			used[flag], used[o.Command()+" "+flag] = true, true
		}
	}
	for key := range usages {
		if !used[key] {
			t.Errorf("the explanation of %q belongs to no flag", key)
		}
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var object jsonvalue.Value
	if err := object.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return object.String()
}

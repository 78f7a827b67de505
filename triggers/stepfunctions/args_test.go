package stepfunctions_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/connections/awsconn"
	"gust/triggers/stepfunctions"
)

// G1, G2, G4 and B1 to B5: everything that decides about the client survives the row, and nothing absent appears.
func TestArgs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args stepfunctions.Args
		want string
	}{
		"all": {stepfunctions.Args{ExecutionARN: arn, Delay: 10 * time.Second, Params: awsconn.Params{
			AWSConnID: "aws_test_conn", RegionName: "eu-central-1", Verify: awsconn.VerifyBool(false),
			BotocoreConfig: map[string]any{"read_timeout": 100.0},
		}}, `{"execution_arn":"` + arn + `","aws_conn_id":"aws_test_conn","region_name":"eu-central-1","verify":false,` +
			`"botocore_config":{"read_timeout":100},"delay":10000000000}`},
		"none": {stepfunctions.Args{ExecutionARN: arn, Delay: time.Second},
			`{"execution_arn":"` + arn + `","aws_conn_id":"","delay":1000000000}`},
		"path, empty config": {stepfunctions.Args{ExecutionARN: arn, Delay: time.Second, Params: awsconn.Params{
			Verify: awsconn.VerifyPath("/foo/bar.pem"), BotocoreConfig: map[string]any{},
		}}, `{"execution_arn":"` + arn + `","aws_conn_id":"","verify":"/foo/bar.pem","botocore_config":{},"delay":1000000000}`},
	} {
		tr, err := c.args.Trigger()
		if err != nil || string(tr.Args) != c.want {
			t.Errorf("%s: %s, %v\nwant %s", name, tr.Args, err, c.want)
		}
		var back stepfunctions.Args
		if err := json.Unmarshal(tr.Args, &back); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(c.args, back, cmp.AllowUnexported(awsconn.Verify{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	key := func(p awsconn.Params) string {
		k, err := f.checker.Key(wait(t, stepfunctions.Args{ExecutionARN: arn, Params: p}, now).Args)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	if first := key(params()); first != key(params()) {
		t.Error("the same parameters have two keys")
	}
	seen := map[string]bool{}
	for _, p := range []awsconn.Params{
		params(), {AWSConnID: "x"}, {RegionName: "r"}, {Verify: awsconn.VerifyBool(true)}, {BotocoreConfig: map[string]any{}},
	} {
		if k := key(p); seen[k] {
			t.Errorf("%+v shares a key", p)
		} else {
			seen[k] = true
		}
	}
	if _, err := f.checker.Key(json.RawMessage(`[]`)); err == nil {
		t.Error("broken arguments have a key")
	}
}

func TestMachines(t *testing.T) {
	t.Parallel()
	const base = "arn:aws-cn:states:cn-north-1:1:"
	for given, want := range map[string]string{
		base + "stateMachine:m": base + "execution:m:x", base + "stateMachine:m:PROD": base + "execution:m:x",
		base + "stateMachine:m:7": base + "execution:m:x", base + "stateMachine:m#Case": base + "execution:m:x",
	} {
		m, err := stepfunctions.ParseMachine(given)
		if err != nil || m.Execution("x") != want || !m.Runs(want) || m.Runs(base+"execution:mm:x") {
			t.Errorf("%s: %s, %v; want %s", given, m.Execution("x"), err, want)
		}
	}
	for _, bad := range []string{"", "m", base + "activity:m", base + "stateMachine:", base + "stateMachine:a:b:c", "arn:aws:lambda:r:1:stateMachine:m"} {
		if _, err := stepfunctions.ParseMachine(bad); err == nil || !strings.Contains(err.Error(), "expected arn:aws:states") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// 3.6: the console pages of every partition.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		info awsconn.Info
		want string
	}{
		{awsconn.Info{Region: "eu-west-1", Domain: "aws.amazon.com"}, "https://console.aws.amazon.com/states/home?region=eu-west-1#"},
		{awsconn.Info{Region: "cn-north-1", Domain: "amazonaws.cn"}, "https://console.amazonaws.cn/states/home?region=cn-north-1#"},
		{awsconn.Info{Region: "us-gov-west-1", Domain: "amazonaws-us-gov.com"}, "https://console.amazonaws-us-gov.com/states/home?region=us-gov-west-1#"},
		{awsconn.Info{Region: "us-iso-east-1"}, ""},
		{awsconn.Info{Region: "eu-west-1", Domain: "aws.amazon.com", Endpoint: "http://localhost:4566"}, ""},
	} {
		machine, execution := "", ""
		if c.want != "" {
			machine = c.want + "/statemachines/view/arn%3Aaws%3Astates%3Ar%3A1%3AstateMachine%3Am"
			execution = c.want + "/v2/executions/details/arn%3Aaws%3Astates%3Ar%3A1%3Aexecution%3Am%3Ax"
		}
		if got := stepfunctions.LinkToMachine(c.info, "arn:aws:states:r:1:stateMachine:m"); got.URL != machine {
			t.Errorf("%s, want %s", got.URL, machine)
		}
		if got := stepfunctions.LinkToExecution(c.info, "arn:aws:states:r:1:execution:m:x"); got.URL != execution || got.AWSDomain != c.info.Domain {
			t.Errorf("%s, want %s", got.URL, execution)
		}
	}
	if got := stepfunctions.LinkToMachine(awsconn.Info{Region: "r", Domain: "d"}, "").URL; got != "" {
		t.Errorf("a link without an ARN: %s", got)
	}
}

package stepfunctions_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions"
	"gust/stepfunctions/server"
)

const (
	waitForever = `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":86400,"End":true}}}`
	oneTask     = `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:work",
		"End":true}}}`
)

func TestStateMachineLifeCycle(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := client(start(t, stepfunctions.Config{}))
	arn := create(t, c, "m", threePasses)
	if again := create(t, c, "m", threePasses); again != arn {
		t.Errorf("created again as %s", again)
	}
	_, err := c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("m"), RoleArn: aws.String(role),
		Definition: aws.String(strings.ReplaceAll(threePasses, "\t", " "))})
	if want := "StateMachineAlreadyExists: State Machine Already Exists: '" + arn + "'"; code(err) != want {
		t.Errorf("another text: %s", code(err))
	}
	described, err := c.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &arn})
	if err != nil {
		t.Fatal(err)
	}
	if *described.Definition != threePasses || described.RevisionId != nil || described.Type != types.StateMachineTypeStandard ||
		described.Status != types.StateMachineStatusActive || described.LoggingConfiguration.Level != types.LogLevelOff ||
		time.Since(*described.CreationDate).Abs() > time.Minute {
		t.Errorf("described as %+v", described)
	}
	updated, err := c.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{StateMachineArn: &arn, Definition: aws.String(waitForever)})
	if err != nil || updated.RevisionId == nil {
		t.Fatal(updated, err)
	}
	same, err := c.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{StateMachineArn: &arn, Definition: aws.String(waitForever)})
	if err != nil || *same.RevisionId != *updated.RevisionId {
		t.Errorf("an update without a change made revision %v (%v)", same, err)
	}
	metadata, err := c.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &arn, IncludedData: types.IncludedDataMetadataOnly})
	if err != nil || *metadata.Definition != "{}" || *metadata.RevisionId != *updated.RevisionId {
		t.Errorf("metadata %+v %v", metadata, err)
	}
	for range 2 { // deleting what is gone is no error
		if _, err := c.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: &arn}); err != nil {
			t.Error(err)
		}
	}
	_, err = c.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &arn})
	if want := "StateMachineDoesNotExist: State Machine Does Not Exist: '" + arn + "'"; code(err) != want {
		t.Error(code(err))
	}
}

func TestListStateMachines(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := client(start(t, stepfunctions.Config{}))
	want := map[string]bool{}
	for i := range 7 {
		want[create(t, c, fmt.Sprint("m", i), waitForever)] = true
	}
	got := map[string]bool{}
	pages := 0
	p := sfn.NewListStateMachinesPaginator(c, &sfn.ListStateMachinesInput{MaxResults: 3})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, m := range page.StateMachines {
			got[*m.StateMachineArn] = true
		}
	}
	if d := cmp.Diff(want, got); d != "" || pages != 3 {
		t.Error(pages, d)
	}
	other, err := c.ListStateMachines(ctx, &sfn.ListStateMachinesInput{}, func(o *sfn.Options) { o.Region = "eu-west-1" })
	if err != nil || len(other.StateMachines) != 0 {
		t.Errorf("another region lists %v (%v)", other, err)
	}
}

func TestErrorsReadLikeAWS(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := client(start(t, stepfunctions.Config{}))
	machine := create(t, c, "m", threePasses)
	express := "arn:aws:states:us-east-1:123456789012:express:m:e:1"
	none := "arn:aws:states:us-east-1:123456789012:execution:m:none"
	start := func(name, input *string) error {
		_, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machine, Name: name, Input: input})
		return err
	}
	makeMachine := func(name, definition string) error {
		_, err := c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: &name, Definition: &definition, RoleArn: aws.String(role)})
		return err
	}
	makeExpress := func(name, definition string) error {
		_, err := c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: &name, Definition: &definition, RoleArn: aws.String(role), Type: types.StateMachineTypeExpress})
		return err
	}
	describe := func(arn string) error {
		_, err := c.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
		return err
	}
	send := func(token, output string) error {
		_, err := c.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: &token, Output: &output})
		return err
	}
	poll := func(arn string) error {
		_, err := c.GetActivityTask(ctx, &sfn.GetActivityTaskInput{ActivityArn: &arn})
		return err
	}
	sync := func(arn string) error {
		_, err := c.StartSyncExecution(ctx, &sfn.StartSyncExecutionInput{StateMachineArn: &arn}, localHost)
		return err
	}
	list := func(in *sfn.ListExecutionsInput) error { _, err := c.ListExecutions(ctx, in); return err }
	_, updateNothing := c.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{StateMachineArn: &machine})
	_, badToken := c.ListStateMachines(ctx, &sfn.ListStateMachinesInput{NextToken: aws.String("x")})
	_, badRole := c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("x"), Definition: aws.String(threePasses), RoleArn: aws.String("me")})
	_, stopExpress := c.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: &express})
	_, redriveDone := c.RedriveExecution(ctx, &sfn.RedriveExecutionInput{ExecutionArn: run(t, c, machine, "done", `{"name":1}`).ExecutionArn})
	for _, e := range []struct {
		err  error
		want string
	}{
		{describe("nonsense"), "InvalidArn: Invalid Arn: 'Invalid ARN prefix: nonsense'"},
		{describe(express), "InvalidArn: Invalid Arn: 'Resource type not valid in this context: express'"},
		{stopExpress, "InvalidArn: Invalid Arn: 'Resource type not valid in this context: express'"},
		{describe(none), "ExecutionDoesNotExist: Execution Does Not Exist: '" + none + "'"},
		{start(nil, aws.String("")), "InvalidExecutionInput: Invalid State Machine Execution Input: 'Invalid execution input.'"},
		{start(nil, aws.String("not json")), "InvalidExecutionInput: Invalid State Machine Execution Input: 'Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')'"},
		{start(nil, aws.String("{'a':1}")), "InvalidExecutionInput: Invalid State Machine Execution Input: 'Unexpected character (''' (code 39)): was expecting double-quote to start field name'"},
		{start(nil, aws.String(`"`+strings.Repeat("x", 262_143)+`"`)), "ValidationException: 1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have length less than or equal to 262144"},
		{start(aws.String("a b"), nil), "InvalidName: Invalid Name: 'a b'"},
		{start(aws.String(strings.Repeat("n", 81)), nil), "ValidationException: 1 validation error detected: Value '" + strings.Repeat("n", 81) + "' at 'name' failed to satisfy constraint: Member must have length less than or equal to 80"},
		{start(aws.String("done"), aws.String(`{"name":1}`)), "ExecutionAlreadyExists: Execution Already Exists: 'arn:aws:states:us-east-1:123456789012:execution:m:done'"},
		{makeMachine("bad/name", threePasses), "InvalidName: Invalid Name: 'bad/name'"},
		{makeMachine("x", `{"StartAt":"A"}`), "InvalidDefinition: Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are required: [States] at /'"},
		{makeExpress("x", strings.ReplaceAll(oneTask, `"arn:aws:lambda:us-east-1:123456789012:function:work"`, `"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Parameters":{"QueueUrl":"q","MessageBody.$":"$$.Task.Token"}`)), "InvalidDefinition: Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: Express state machine does not support '.waitForTaskToken' service integration  at /States/T/Resource'"},
		{send("nonsense", "{}"), "InvalidToken: Invalid Token: 'Invalid token'"},
		{send("nonsense", "{"), "InvalidOutput: Invalid Output: 'Unexpected end-of-input'"},
		{poll("arn:aws:states:us-east-1:123456789012:activity:none"), "ActivityDoesNotExist: Activity Does Not Exist: 'arn:aws:states:us-east-1:123456789012:activity:none'"},
		{poll(machine), "InvalidArn: Invalid Arn: 'Resource type not valid in this context: stateMachine'"},
		{sync(machine), "StateMachineTypeNotSupported: This operation is not supported by this type of state machine"},
		{sync(machine + ":7"), "StateMachineDoesNotExist: State Machine Does Not Exist: '" + machine + ":7'"},
		{badRole, "InvalidArn: Invalid Arn: 'Invalid ARN prefix: me'"},
		{updateNothing, "MissingRequiredParameter: Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified"},
		{badToken, "InvalidToken: Invalid Token: 'Invalid token'"},
		{list(&sfn.ListExecutionsInput{StateMachineArn: &machine, MaxResults: 1001}), "ValidationException: 1 validation error detected: Value '1001' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 1000"},
		{list(&sfn.ListExecutionsInput{StateMachineArn: &machine, StatusFilter: "DONE", MaxResults: -1}), "ValidationException: 2 validation errors detected: Value '-1' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 0; Value 'DONE' at 'statusFilter' failed to satisfy constraint: Member must satisfy enum value set: [SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, ABORTED, FAILED, RUNNING]"},
		{list(&sfn.ListExecutionsInput{}), "ValidationException: Must specify exactly one of: [stateMachineArn, mapRunArn]"},
		{redriveDone, "ExecutionNotRedrivable: Execution is SUCCEEDED and cannot be redriven"},
	} {
		if got := code(e.err); got != e.want {
			t.Errorf("got  %s\nwant %s", got, e.want)
		}
	}
}

func TestStartExecutionIsIdempotent(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var starts atomic.Int64
	s := start(t, stepfunctions.Config{OnStart: func(string) { starts.Add(1) }})
	c := client(s)
	machine := create(t, c, "m", waitForever)
	const callers = 50
	answers := make([]*sfn.StartExecutionOutput, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			var err error
			answers[i], err = c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machine, Name: aws.String("one"), Input: aws.String(`{"a":1}`)})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, a := range answers {
		if *a.ExecutionArn != *answers[0].ExecutionArn || !a.StartDate.Equal(*answers[0].StartDate) {
			t.Errorf("answers differ: %v %v", a, answers[0])
		}
	}
	_, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machine, Name: aws.String("one"), Input: aws.String(`{"a":2}`)})
	if !strings.HasPrefix(code(err), "ExecutionAlreadyExists: ") {
		t.Errorf("other input: %s", code(err))
	}
	st, err := s.Stats(ctx)
	if err != nil || st.StartsAccepted != 1 || st.StartsRepeated != callers-1 || st.StartsRejected != 1 || starts.Load() != 1 ||
		st.Executions["RUNNING"] != 1 || st.Waiting != 1 || st.InMemory != 0 {
		t.Errorf("%+v %v, OnStart %d", st, err, starts.Load())
	}
}

// TestStartSurvivesALostAnswer loses the answer of a start that took effect: the SDK repeats it and gets the same execution.
func TestStartSurvivesALostAnswer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var faults server.Faults
	s := start(t, stepfunctions.Config{Faults: &faults})
	c := client(s)
	machine := create(t, c, "m", waitForever)
	for _, effect := range []server.Effect{server.DropAfter, server.DropBefore, server.Throttle, server.ServerError} {
		faults.Set(server.Fault{Operation: "StartExecution", Effect: effect, Count: 1})
		out, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machine, Name: aws.String(string(effect))})
		if err != nil || !strings.HasSuffix(*out.ExecutionArn, string(effect)) {
			t.Errorf("%s: %v %v", effect, out, err)
		}
	}
	st, err := s.Stats(ctx)
	if err != nil || st.StartsAccepted != 4 || st.StartsRepeated != 1 {
		t.Errorf("%+v %v", st, err)
	}
}

func TestHistoryPaging(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := client(start(t, stepfunctions.Config{}))
	done := run(t, c, create(t, c, "m", threePasses), "", `{"name":"x"}`)
	read := func(reverse bool) (ids []int64, pages int) {
		p := sfn.NewGetExecutionHistoryPaginator(c, &sfn.GetExecutionHistoryInput{ExecutionArn: done.ExecutionArn, MaxResults: 3, ReverseOrder: reverse})
		for p.HasMorePages() {
			page, err := p.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			pages++
			for _, e := range page.Events {
				ids = append(ids, e.Id)
			}
		}
		return ids, pages
	}
	forward, pages := read(false)
	if d := cmp.Diff([]int64{1, 2, 3, 4, 5, 6, 7, 8}, forward); d != "" || pages != 3 {
		t.Error(pages, d)
	}
	backward, _ := read(true)
	if d := cmp.Diff([]int64{8, 7, 6, 5, 4, 3, 2, 1}, backward); d != "" {
		t.Error(d)
	}
	bare, err := c.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: done.ExecutionArn, IncludeExecutionData: aws.Bool(false)})
	if err != nil || len(bare.Events) != 8 || bare.Events[1].StateEnteredEventDetails.Input != nil ||
		*bare.Events[1].StateEnteredEventDetails.Name != "A" || bare.Events[7].ExecutionSucceededEventDetails.Output != nil {
		t.Errorf("without data: %+v %v", bare, err)
	}
	// A token belongs to its listing.
	first, err := c.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: done.ExecutionArn, MaxResults: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: done.ExecutionArn, ReverseOrder: true, NextToken: first.NextToken})
	if code(err) != "InvalidToken: Invalid Token: 'Invalid token'" {
		t.Error(code(err))
	}
}

func TestListExecutions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := client(start(t, stepfunctions.Config{}))
	machine := create(t, c, "m", `{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.fail","BooleanEquals":true,
		"Next":"F"}],"Default":"S"},"F":{"Type":"Fail","Error":"E","Cause":"C"},"S":{"Type":"Succeed"}}}`)
	for i := range 5 {
		run(t, c, machine, fmt.Sprint("e", i), fmt.Sprintf(`{"fail":%v}`, i%2 == 1))
	}
	names := func(in *sfn.ListExecutionsInput) (names []string) {
		in.StateMachineArn = &machine
		p := sfn.NewListExecutionsPaginator(c, in)
		for p.HasMorePages() {
			page, err := p.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Executions {
				names = append(names, *e.Name)
				if e.StopDate == nil || *e.StateMachineArn != machine || e.RedriveCount == nil {
					t.Errorf("%+v", e)
				}
			}
		}
		return names
	}
	if d := cmp.Diff([]string{"e4", "e3", "e2", "e1", "e0"}, names(&sfn.ListExecutionsInput{MaxResults: 2})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"e3", "e1"}, names(&sfn.ListExecutionsInput{StatusFilter: types.ExecutionStatusFailed, MaxResults: 1})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string(nil), names(&sfn.ListExecutionsInput{StatusFilter: types.ExecutionStatusRunning})); d != "" {
		t.Error(d)
	}
}

func TestDescribeFailedAndRunning(t *testing.T) {
	t.Parallel()
	c := client(start(t, stepfunctions.Config{}))
	failed := run(t, c, create(t, c, "f", `{"StartAt":"F","States":{"F":{"Type":"Fail","Error":"E","Cause":"C"}}}`), "x", `{"in":0.0}`)
	if failed.Status != types.ExecutionStatusFailed || *failed.Error != "E" || *failed.Cause != "C" || failed.Output != nil ||
		*failed.Input != `{"in":0.0}` || failed.RedriveStatus != types.ExecutionRedriveStatusRedrivable || failed.StopDate == nil {
		t.Errorf("%+v", failed)
	}
	machine := create(t, c, "w", waitForever)
	started, err := c.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: &machine, TraceHeader: aws.String("Root=1")})
	if err != nil {
		t.Fatal(err)
	}
	running, err := c.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: started.ExecutionArn})
	if err != nil || running.Status != types.ExecutionStatusRunning || running.StopDate != nil || *running.Input != "{}" ||
		*running.RedriveStatusReason != "Execution is RUNNING and cannot be redriven" || *running.TraceHeader != "Root=1" {
		t.Errorf("%+v %v", running, err)
	}
	m, err := c.DescribeStateMachineForExecution(t.Context(), &sfn.DescribeStateMachineForExecutionInput{ExecutionArn: started.ExecutionArn})
	if err != nil || *m.Definition != waitForever || *m.StateMachineArn != machine {
		t.Errorf("%+v %v", m, err)
	}
}

func TestFilesBecomeStateMachines(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("orders.asl.json", threePasses)
	write("notes.txt", "not a machine")
	s := start(t, stepfunctions.Config{StateMachinesDir: dir})
	c := client(s)
	machine := "arn:aws:states:us-east-1:123456789012:stateMachine:orders"
	run(t, c, machine, "", `{"name":"x"}`)
	write("orders.asl.json", waitForever)
	write("broken.asl.json", "{\n \"StartAt\": \"A\",\n \"States\": {\"A\": {\"Type\": \"Pass\", \"Nxt\": \"B\", \"End\": true}}}")
	err := s.Reload(ctx)
	want := filepath.Join(dir, "broken.asl.json") + `:3:35: SCHEMA_VALIDATION_FAILED: Field 'Nxt' is not supported at /States/A (did you mean "Next"?)`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	d, err := c.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &machine})
	if err != nil || *d.Definition != waitForever {
		t.Errorf("after the change: %+v %v", d, err)
	}
	if err := os.Remove(filepath.Join(dir, "broken.asl.json")); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(ctx); err != nil {
		t.Error(err)
	}
	same, err := c.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &machine})
	if err != nil || *same.RevisionId != *d.RevisionId {
		t.Errorf("an unchanged file made a revision: %v", err)
	}
}

func TestTagsAndValidation(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := client(start(t, stepfunctions.Config{}))
	machine := create(t, c, "m", waitForever)
	if _, err := c.TagResource(ctx, &sfn.TagResourceInput{ResourceArn: &machine, Tags: []types.Tag{
		{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("2")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UntagResource(ctx, &sfn.UntagResourceInput{ResourceArn: &machine, TagKeys: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := c.ListTagsForResource(ctx, &sfn.ListTagsForResourceInput{ResourceArn: &machine})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Key != "b" {
		t.Errorf("%+v %v", tags, err)
	}
	v, err := c.ValidateStateMachineDefinition(ctx, &sfn.ValidateStateMachineDefinitionInput{Definition: aws.String("{}")})
	if err != nil || v.Result != types.ValidateStateMachineDefinitionResultCodeFail || *v.Diagnostics[0].Message != "These fields are required: [States, StartAt]" {
		t.Errorf("%+v %v", v, err)
	}
	warned, err := c.ValidateStateMachineDefinition(ctx, &sfn.ValidateStateMachineDefinitionInput{Severity: types.ValidateStateMachineDefinitionSeverityWarning,
		Definition: aws.String(`{"StartAt":"A","States":{"A":{"Type":"Pass","Result":"$.a","Next":"B"},"B":{"Type":"Pass","Result":"$.b","End":true}}}`), MaxResults: 1})
	if err != nil || warned.Result != types.ValidateStateMachineDefinitionResultCodeOk || len(warned.Diagnostics) != 1 || !*warned.Truncated {
		t.Errorf("%+v %v", warned, err)
	}
}

func TestStatsEndpoint(t *testing.T) {
	t.Parallel()
	s := start(t, stepfunctions.Config{})
	c := client(s)
	run(t, c, create(t, c, "m", threePasses), "", `{"name":"x"}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Endpoint()+"/_gust/stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close(); http.DefaultClient.CloseIdleConnections() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var st stepfunctions.Stats
	if err := json.Unmarshal(body, &st); err != nil || st.StartsAccepted != 1 || st.Executions["SUCCEEDED"] != 1 {
		t.Errorf("%s %v", body, err)
	}
}

func TestRegionOfTheSignature(t *testing.T) {
	t.Parallel()
	c := client(start(t, stepfunctions.Config{AccountID: "999999999999"}), func(o *sfn.Options) { o.Region = "eu-central-1" })
	if arn := create(t, c, "m", threePasses); arn != "arn:aws:states:eu-central-1:999999999999:stateMachine:m" {
		t.Error(arn)
	}
}

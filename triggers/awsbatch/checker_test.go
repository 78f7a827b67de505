package awsbatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/triggers"
	"gust/triggers/awsbatch"
	"gust/triggers/awsbatch/awsbatchtest"
)

type bench struct {
	*awsbatchtest.Server
	checker triggers.Checker
	now     time.Time
}

// only resolves one connection.
type only struct{ conn *connections.Connection }

func (o only) Connection(_ context.Context, id string) (*connections.Connection, error) {
	if id == o.conn.ID {
		return o.conn, nil
	}
	return nil, &connections.NotFoundError{ID: id}
}

func setUp(t *testing.T) *bench {
	t.Helper()
	b := &bench{Server: awsbatchtest.New(t), now: time.Now()}
	r := triggers.NewRegistry()
	err := awsbatch.Register(r, awsbatch.Deps{
		Clients:     awsbatch.FromPool(awsconn.NewPool(slog.New(slog.DiscardHandler))),
		Connections: only{b.Connection("aws_default")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if b.checker, err = r.Checker(awsbatch.Kind); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) wait(t *testing.T, args awsbatch.Args) triggers.Wait {
	t.Helper()
	if args.AWSConnID == "" {
		args.AWSConnID = "aws_default"
	}
	trigger, err := args.Trigger()
	if err != nil {
		t.Fatal(err)
	}
	return triggers.Wait{ID: args.JobID, Args: trigger.Args, Since: b.now}
}

// look looks once, so long after the wait began, and says what came of it.
func (b *bench) look(t *testing.T, w *triggers.Wait, after time.Duration) string {
	t.Helper()
	now := b.now.Add(after)
	v := b.checker.Check(t.Context(), now, []triggers.Wait{*w})[0]
	if v.State != nil {
		w.State = v.State
	}
	said := ""
	if v.Log != "" {
		said = " | " + v.Log
	}
	switch {
	case v.Err != nil:
		return "error: " + v.Err.Error()
	case v.Event != nil:
		var o awsbatch.Outcome
		if err := json.Unmarshal(v.Event.Payload, &o); err != nil {
			t.Fatal(err)
		}
		if o.Status == awsbatch.StatusSuccess {
			return "success" + said
		}
		return o.Failure() + said
	}
	return "again in " + v.Again.Sub(now).String() + said
}

func TestLife(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.Set("j", map[string]any{"status": "RUNNABLE"})
	w := b.wait(t, awsbatch.Args{JobID: "j", Delay: 30 * time.Second, Deadline: b.now.Add(time.Hour)})
	for _, step := range []struct {
		after  time.Duration
		status string
		want   string
	}{
		{0, "RUNNABLE", "again in 200ms | AWS Batch job (j) status is RUNNABLE"},
		{4 * time.Second, "RUNNABLE", "again in 1s"},
		{time.Minute, "RUNNING", "again in 15s | AWS Batch job (j) status is RUNNING"},
		{20 * time.Minute, "RUNNING", "again in 30s"},
		{time.Hour - time.Second, "RUNNING", "again in 1s"},
		{time.Hour - time.Second, "SUCCEEDED", "success | AWS Batch job (j) status is SUCCEEDED"},
		{time.Hour, "RUNNING", "AWS Batch job (j) did not end within 1h0m0s (it is RUNNING); it goes on, and a retry of this task waits for it again; raise max_retries or poll_interval to wait longer | AWS Batch job (j) status is RUNNING"},
	} {
		b.Set("j", map[string]any{"status": step.status})
		if got := b.look(t, &w, step.after); got != step.want {
			t.Errorf("%s after %s: %s; want %s", step.status, step.after, got, step.want)
		}
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	w := b.wait(t, awsbatch.Args{JobID: "j", Delay: time.Second})
	for _, c := range []struct {
		members map[string]any
		want    string
	}{
		{map[string]any{"statusReason": "Host EC2 terminated"}, "AWS Batch job (j) failed: Host EC2 terminated"},
		{map[string]any{"statusReason": "Essential container in task exited", "container": map[string]any{"exitCode": 3, "reason": "OutOfMemoryError"},
			"attempts": []any{map[string]any{}, map[string]any{}}},
			"AWS Batch job (j) failed: Essential container in task exited; OutOfMemoryError; exit code 3; after 2 attempts"},
		{map[string]any{"arrayProperties": map[string]any{"size": 5, "statusSummary": map[string]any{"FAILED": 2}}, "container": nil, "attempts": nil, "statusReason": nil},
			"AWS Batch job (j) failed; 2 of 5 children failed"},
	} {
		c.members["status"] = "FAILED"
		b.Set("j", c.members)
		if got := b.look(t, &w, 0); got != c.want+" | AWS Batch job (j) status is FAILED" {
			t.Errorf("%s; want %s", got, c.want)
		}
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	w := b.wait(t, awsbatch.Args{JobID: "j", Delay: 30 * time.Second})
	if got := b.look(t, &w, time.Second); got != "again in 2s" {
		t.Errorf("not known yet: %s", got)
	}
	if got := b.look(t, &w, time.Minute); !strings.HasPrefix(got, "error: AWS Batch does not know job j") {
		t.Errorf("not known at all: %s", got)
	}
	b.Set("j", map[string]any{"status": "SUCCEEDED"})
	b.Fail("describejobs", awsbatchtest.Fault{Code: "TooManyRequestsException", Status: 429}, awsbatchtest.Fault{Drop: true},
		awsbatchtest.Fault{Code: "ServerException", Status: 500}, awsbatchtest.Fault{Code: "AccessDeniedException", Status: 403})
	for i, want := range []string{"again in 1s | Waiter encountered retriable error", "again in 2s", "again in 4s", "error: waiting for AWS Batch job j"} {
		if got := b.look(t, &w, time.Minute); !strings.HasPrefix(got, want) {
			t.Errorf("look %d: %s; want %s", i, got, want)
		}
	}
	if got := b.look(t, &w, time.Minute); !strings.HasPrefix(got, "success") {
		t.Errorf("at last: %s", got)
	}
	absent := b.wait(t, awsbatch.Args{JobID: "j", Params: awsconn.Params{AWSConnID: "absent"}})
	if got := b.look(t, &absent, 0); !strings.Contains(got, `error: the conn_id "absent" isn't defined`) {
		t.Errorf("no connection: %s", got)
	}
}

// TestHundreds: one call looks at a hundred jobs, and one job that Batch refuses does not spoil the others' look.
func TestHundreds(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	var waits []triggers.Wait
	for i := range 250 {
		id := fmt.Sprintf("j%d", i)
		b.Set(id, map[string]any{"status": map[bool]string{true: "SUCCEEDED", false: "RUNNING"}[i%2 == 0]})
		waits = append(waits, b.wait(t, awsbatch.Args{JobID: id, Delay: time.Second}))
	}
	waits = append(waits, triggers.Wait{ID: "broken", Args: json.RawMessage(`{}`)})
	b.Fail("describejobs", awsbatchtest.Fault{Code: "ClientException", Status: 400})
	verdicts := b.checker.Check(t.Context(), b.now, waits)
	events, again := 0, 0
	for _, v := range verdicts[:250] {
		if v.Event != nil {
			events++
		} else if v.Err == nil {
			again++
		}
	}
	if events != 125 || again != 125 || verdicts[250].Err == nil {
		t.Errorf("%d ended, %d go on, broken: %v", events, again, verdicts[250].Err)
	}
	var sizes []int
	for _, c := range b.Calls("describejobs") {
		sizes = append(sizes, len(c.Input["jobs"].([]any)))
	}
	if diff := cmp.Diff([]int{100, 50, 50, 100, 50}, sizes); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	info := awsconn.Info{Region: "eu-west-1", Domain: "aws.amazon.com"}
	for _, c := range []struct{ got, want string }{
		{awsbatch.LinkToJob(info, "a-1").URL, "https://console.aws.amazon.com/batch/home?region=eu-west-1#jobs/detail/a-1"},
		{awsbatch.LinkToLog(info, &awsbatch.LogStream{Group: "/aws/batch/job", Stream: "d/default/1"}).URL,
			"https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Fbatch$252Fjob/log-events/d$252Fdefault$252F1"},
		{awsbatch.LinkToQueue(awsconn.Info{Region: "eu-west-1", Domain: "aws.amazon.com", Endpoint: "http://localhost:5000"}, "arn").URL, ""},
	} {
		if c.got != c.want {
			t.Errorf("%s; want %s", c.got, c.want)
		}
	}
}

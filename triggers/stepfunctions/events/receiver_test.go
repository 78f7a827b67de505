package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// An end is told once, with the event's detail, and the message is gone; the start of an execution is dropped.
func TestTellsEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, w := newQueue(), &waiter{waiting: []string{arn("a"), arn("b"), arn("c"), arn("d")}}
		r := start(t, q, w)
		if r.Arrive(machine) {
			t.Error("events are said to arrive before one has come")
		}
		q.send(event("a", "RUNNING"), event("a", "SUCCEEDED"), event("b", "FAILED"), event("c", "TIMED_OUT"), event("d", "ABORTED"))
		synctest.Wait()
		if diff := cmp.Diff([]string{arn("a"), arn("b"), arn("c"), arn("d")}, w.subjects()); diff != "" {
			t.Error(diff)
		}
		if n := w.told[0]; n.Kind != "stepfunctions.execution" || !strings.Contains(string(n.Text), `"status":"SUCCEEDED","output":"{\"a\": 1}"`) {
			t.Errorf("news %+v", n)
		}
		if left := q.left(); len(left) != 0 || q.receives() != 5 {
			t.Errorf("%d receptions, left %q", q.receives(), left)
		}
		if s := r.Stats(); s.Received != 5 || s.Matched != 4 || s.Ignored != 1 || !s.Reachable {
			t.Errorf("%+v", s)
		}
		if !r.Arrive(machine) || r.Arrive(machine+"x") {
			t.Error("that events of this machine alone arrive is not noticed")
		}
	})
}

// An event that is faster than the parking of its wait comes again within a second or two.
func TestEventBeforeItsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, w := newQueue(), &waiter{}
		start(t, q, w)
		q.send(event("a", "SUCCEEDED"))
		synctest.Wait()
		w.wait(arn("a"))
		began := time.Now()
		for len(w.subjects()) == 0 && time.Since(began) < time.Minute {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("told after %s", took)
		}
		synctest.Wait()
		if left := q.left(); len(left) != 0 {
			t.Errorf("left %q", left)
		}
	})
}

// Two processes share a queue: each gets its own events, whoever receives them, and what nobody wants is gone in the end.
func TestSharedQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, one, two := newQueue(), &waiter{}, &waiter{}
		r := start(t, q, one)
		other := start(t, q, two)
		var bodies, first, second []string
		for i := range 200 {
			name := fmt.Sprint("e", i)
			bodies = append(bodies, event(name, "SUCCEEDED"))
			switch i % 3 {
			case 0:
				first = append(first, arn(name))
			case 1:
				second = append(second, arn(name))
			}
		}
		one.wait(first...)
		two.wait(second...)
		q.send(bodies...)
		time.Sleep(4 * time.Minute)
		for _, p := range []struct {
			w    *waiter
			want []string
		}{{one, first}, {two, second}} {
			got := p.w.subjects()
			slices.Sort(got)
			slices.Sort(p.want)
			if diff := cmp.Diff(p.want, got); diff != "" {
				t.Error(diff)
			}
		}
		if left := q.left(); len(left) != 66 {
			t.Errorf("%d foreign events are left after four minutes, want 66", len(left))
		}
		time.Sleep(3 * time.Minute)
		if left := q.left(); len(left) != 0 {
			t.Errorf("%d foreign events are left after seven minutes", len(left))
		}
		if a, b := r.Stats(), other.Stats(); a.Expired+b.Expired != 66 || a.Released == 0 || b.Released == 0 {
			t.Errorf("%+v, %+v", a, b)
		}
	})
}

// A foreign event does not go round all the time: its pauses grow.
func TestForeignEventsRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		start(t, q, &waiter{})
		q.send(event("a", "FAILED"))
		time.Sleep(10 * time.Minute)
		if n := q.receives(); n < 5 || n > 15 || len(q.left()) != 0 {
			t.Errorf("%d receptions, left %q", n, q.left())
		}
	})
}

// Duplicates and late or reordered events are passed on as they come; a second one for a wait that is over is foreign.
func TestDuplicatesAndOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, w := newQueue(), &waiter{waiting: []string{arn("a")}}
		start(t, q, w)
		q.send(event("a", "SUCCEEDED"), event("a", "RUNNING"), event("a", "SUCCEEDED"))
		synctest.Wait()
		if got := w.subjects(); len(got) != 2 {
			t.Errorf("told %v", got)
		}
		w.mu.Lock()
		w.waiting = nil
		w.mu.Unlock()
		q.send(event("a", "SUCCEEDED"))
		time.Sleep(10 * time.Minute)
		if left := q.left(); len(left) != 0 || len(w.subjects()) != 2 {
			t.Errorf("told %v, left %q", w.subjects(), left)
		}
	})
}

// What cannot be read is told once, and goes away without holding up the others.
func TestMalformed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		q, w := newQueue(), &waiter{waiting: []string{arn("a")}}
		r := start(t, q, w, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		q.send("hello", `{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{}}`,
			`{"source":"aws.states","detail-type":"Step Functions Execution Status Change","detail":[]}`,
			`{"source":"aws.states","detail-type":"Step Functions Execution Status Change","detail":{}}`, event("a", "SUCCEEDED"))
		synctest.Wait()
		if len(w.subjects()) != 1 || len(q.left()) != 4 {
			t.Errorf("told %v, left %q", w.subjects(), q.left())
		}
		time.Sleep(time.Minute)
		if left := q.left(); len(left) != 0 || q.receives() != 4*malformedReceives+1 {
			t.Errorf("%d receptions, left %q", q.receives(), left)
		}
		if s := r.Stats(); s.Malformed != 12 {
			t.Errorf("%+v", s)
		}
		r.Stop()
		if n := strings.Count(log.String(), "cannot be read"); n != 1 || !strings.Contains(log.String(), "it is not an event of EventBridge: invalid character 'h'") {
			t.Errorf("%d lines:\n%s", n, log.String())
		}
	})
}

func TestWhatIsWrong(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``: "it is not an event of EventBridge: unexpected end of JSON input",
		`{"source":"aws.ec2","detail-type":"Instance","detail":{}}`:                  `it is an event "Instance" of "aws.ec2"; expected "Step Functions Execution Status Change" of "aws.states" alone`,
		strings.Replace(event("a", "FAILED"), `"status":"FAILED"`, `"status":1`, 1):  "its detail is not that of a status change: json: cannot unmarshal number into Go struct field .status of type string",
		strings.Replace(event("a", "FAILED"), `"executionArn"`, `"executionArm"`, 1): "its detail has no executionArn or no status",
	} {
		m := read(&types.Message{Body: &body})
		if m.wrong == nil || m.wrong.Error() != want {
			t.Errorf("%s: %v, want %s", body, m.wrong, want)
		}
	}
}

// A queue that does not answer is tried ever more rarely, told once, and events do not count as arriving meanwhile.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		q, w := newQueue(), &waiter{waiting: []string{arn("a"), arn("b")}}
		r := start(t, q, w, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		q.send(event("a", "SUCCEEDED"))
		synctest.Wait()
		q.setDown(errDown)
		q.called()
		time.Sleep(10 * time.Minute)
		calls := q.called()
		if calls < 10 || calls > 20 || r.Arrive(machine) || r.Stats().Reachable {
			t.Errorf("%d calls of a queue that is down; %+v", calls, r.Stats())
		}
		q.setDown(nil)
		q.send(event("b", "SUCCEEDED"))
		time.Sleep(longestBackoff)
		if len(w.subjects()) != 2 || !r.Arrive(machine) {
			t.Errorf("told %v, %+v", w.subjects(), r.Stats())
		}
		time.Sleep(25 * time.Hour)
		if r.Arrive(machine) {
			t.Error("an event of yesterday still counts")
		}
		r.Stop()
		if n := strings.Count(log.String(), "events are not received"); n != 1 || strings.Count(log.String(), "received again") != 1 {
			t.Errorf("%d lines:\n%s", n, log.String())
		}
	})
}

// A listener that takes nothing in loses nothing: the messages come again.
func TestListenerRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, w := newQueue(), &waiter{waiting: []string{arn("a")}, refuse: errors.New("the trigger loop has stopped")}
		start(t, q, w)
		q.send(event("a", "SUCCEEDED"))
		time.Sleep(10 * time.Second)
		if n := q.receives(); n > 6 || len(q.left()) != 1 {
			t.Errorf("%d receptions, left %q", n, q.left())
		}
		w.mu.Lock()
		w.refuse = nil
		w.mu.Unlock()
		time.Sleep(time.Minute)
		if len(w.subjects()) != 1 || len(q.left()) != 0 {
			t.Errorf("told %v, left %q", w.subjects(), q.left())
		}
	})
}

// Many events are fetched by several calls at once, in batches; a quiet queue costs one call in twenty seconds.
func TestManyEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, w := newQueue(), &waiter{}
		r := start(t, q, w)
		var bodies []string
		for i := range 2000 {
			w.waiting = append(w.waiting, arn(fmt.Sprint(i)))
			bodies = append(bodies, event(fmt.Sprint(i), "SUCCEEDED"))
		}
		q.send(bodies...)
		time.Sleep(5 * time.Second)
		if len(w.subjects()) != 2000 || len(q.left()) != 0 || w.tells > 210 {
			t.Errorf("told %d in %d batches, %d left", len(w.subjects()), w.tells, len(q.left()))
		}
		r.mu.Lock()
		pollers := r.pollers
		r.mu.Unlock()
		q.called()
		time.Sleep(10 * time.Minute)
		calls := q.called()
		if calls > 65 || pollers != 1 {
			t.Errorf("%d calls in ten quiet minutes, %d pollers", calls, pollers)
		}
	})
}

// Stop gives back what has been received and not been passed on.
func TestStopGivesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		blocked := make(chan struct{})
		r := New(Config{QueueURL: "u", Client: func(context.Context) (Queue, error) { return q, nil }, Listener: listener(func(ctx context.Context) error {
			close(blocked)
			<-ctx.Done()
			return ctx.Err()
		})})
		r.Start(t.Context())
		q.send(event("a", "SUCCEEDED"))
		<-blocked
		r.Stop()
		q.mu.Lock()
		defer q.mu.Unlock()
		if m := q.messages[0]; m.gone || m.shown.After(time.Now()) {
			t.Errorf("after the stop: %+v", m)
		}
	})
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{&types.QueueDoesNotExist{}, "check stepfunctions.events.queue_url and its region"},
		{&smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}, "needs sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility"},
		{errDown, "connection refused"},
	} {
		if got := explained(c.err).Error(); !strings.Contains(got, c.want) {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestPlaceOf(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]Place{
		"https://sqs.eu-west-1.amazonaws.com/123456789012/q":                  {"https://sqs.eu-west-1.amazonaws.com", "eu-west-1"},
		"https://eu-central-1.queue.amazonaws.com/123456789012/q":             {"https://eu-central-1.queue.amazonaws.com", "eu-central-1"},
		"https://sqs.us-gov-west-1.api.aws/123456789012/q":                    {"https://sqs.us-gov-west-1.api.aws", "us-gov-west-1"},
		"https://sqs-fips.us-east-1.amazonaws.com/123456789012/q":             {"https://sqs-fips.us-east-1.amazonaws.com", "us-east-1"},
		"https://vpce-0a-1b.sqs.ap-south-1.vpce.amazonaws.com/123456789012/q": {"https://vpce-0a-1b.sqs.ap-south-1.vpce.amazonaws.com", "ap-south-1"},
		"http://sqs.us-east-1.localhost.localstack.cloud:4566/000000000000/q": {"http://sqs.us-east-1.localhost.localstack.cloud:4566", "us-east-1"},
		"http://127.0.0.1:8083/123456789012/gust-events":                      {"http://127.0.0.1:8083", ""},
		"https://queue.amazonaws.com/123456789012/q":                          {"https://queue.amazonaws.com", ""},
		"https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q":              {"https://sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"},
	} {
		if got, err := PlaceOf(url); err != nil || got != want {
			t.Errorf("%s: %+v, %v", url, got, err)
		}
	}
	for _, url := range []string{"", "q", "arn:aws:sqs:eu-west-1:123456789012:q", "https://sqs.eu-west-1.amazonaws.com", "ftp://x/y", "https:///q"} {
		if _, err := PlaceOf(url); err == nil || !strings.Contains(err.Error(), "expected the URL of an SQS queue, such as https://sqs.eu-west-1.") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// FuzzRead: whatever a queue holds is told, or is wrong.
func FuzzRead(f *testing.F) {
	f.Add(event("a", "SUCCEEDED"), "1", "1700000000000")
	f.Add(`{"source":"aws.states","detail-type":"Step Functions Execution Status Change","detail":null}`, "x", "-1")
	f.Add(`[]`, "", "99999999999999999999")
	f.Fuzz(func(t *testing.T, body, received, sent string) {
		m := read(&types.Message{Body: &body, Attributes: map[string]string{"ApproximateReceiveCount": received, "SentTimestamp": sent}})
		if (m.wrong == nil) != (m.news.Subject != "") || m.ended && m.wrong != nil {
			t.Errorf("%s: %+v", body, m)
		}
	})
}

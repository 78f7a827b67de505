package stepfunctions_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"

	"gust/connections/awsconn/quota"
	"gust/triggers"
	"gust/triggers/stepfunctions"
)

// many waits for n executions of machine m, half of which have succeeded.
func many(t *testing.T, a *account, n int) []triggers.Wait {
	t.Helper()
	start := time.Now().Add(-time.Minute)
	waits := make([]triggers.Wait, n)
	for i := range waits {
		end := start.Add(time.Second)
		if i%2 == 1 {
			end = start.Add(time.Hour)
		}
		e := a.add("m", fmt.Sprint(i), start, span{start, end, types.ExecutionStatusSucceeded})
		waits[i] = wait(t, stepfunctions.Args{ExecutionARN: e.arn, Delay: time.Minute, Started: start}, time.Now().Add(-30*time.Second))
		waits[i].ID = e.arn
	}
	return waits
}

func countEvents(verdicts []triggers.Verdict) (events, again int) {
	for _, v := range verdicts {
		if v.Event != nil {
			events++
		} else if !v.Again.IsZero() {
			again++
		}
	}
	return events, again
}

// One listing serves all waits, needs no description of successes, and aligns those that go on.
func TestOneListingServesAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(1, quota.New(quota.Options{}))
		waits := many(t, a, 500)
		checker := newLoop(t, a, stepfunctions.Deps{}, 0).checker
		verdicts := checker.Check(t.Context(), time.Now(), waits)
		events, again := countEvents(verdicts)
		if events != 250 || again != 250 || a.calls["ListExecutions"] != 1 || a.calls["DescribeExecution"] != 0 {
			t.Errorf("%d events, %d again after %v", events, again, a.calls)
		}
		for i := 3; i < len(verdicts); i += 2 {
			if !verdicts[i].Again.Equal(verdicts[1].Again) {
				t.Fatalf("the next looks are at %s and %s", verdicts[1].Again, verdicts[i].Again)
			}
		}
		key, err := checker.Key(waits[0].Args)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(checker.(triggers.Explainer).Explain(key), "\n")
		for _, want := range []string{
			"500 waits due, 0 executions described, 1 pages listed, 250 ended", "plan: list all executions, about 1 pages",
			"cost in seconds of quota: describe each execution 33.3, list all executions 0.2", "next listing at",
			"DescribeExecution 270 of 300, refilled with 15.0 a second, ListExecutions 179 of 200", "executions usually take",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the explanation lacks %q:\n%s", want, text)
			}
		}
		if lines := checker.(triggers.Explainer).Explain("no such key"); lines != nil {
			t.Errorf("%q", lines)
		}
	})
}

// A sweep that has more pages than the quota allows goes on where it was.
func TestSweepGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(1, quota.New(quota.Options{Sizes: map[string]quota.Size{
			"ListExecutions": {Bucket: 4, Refill: 1}, "DescribeExecution": {Bucket: 1, Refill: 0.001},
		}}))
		a.page = 100
		waits := many(t, a, 1000)
		checker := newLoop(t, a, stepfunctions.Deps{}, 0).checker
		fired := 0
		for rounds := 0; len(waits) > 500; rounds++ {
			verdicts := checker.Check(t.Context(), time.Now(), waits)
			var rest []triggers.Wait
			next := time.Now().Add(time.Hour)
			for i, v := range verdicts {
				if v.Event != nil {
					fired++
					continue
				}
				rest = append(rest, waits[i])
				if v.Again.Before(next) {
					next = v.Again
				}
			}
			waits = rest
			if rounds > 20 {
				t.Fatalf("%d of 500 after %d rounds: %v", fired, rounds, a.calls)
			}
			time.Sleep(max(time.Until(next), 0))
		}
		if a.calls["ListExecutions"] > 15 {
			t.Errorf("%v for ten pages", a.calls)
		}
	})
}

// An execution that is older than what is worth listing is described.
func TestOldOneIsDescribed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(1, quota.New(quota.Options{}))
		a.page = 100
		waits := many(t, a, 400)
		old := time.Now().AddDate(0, 0, -7)
		for i := range 20_000 { // of others, in between
			at := old.Add(time.Hour + time.Duration(i)*20*time.Second)
			a.add("m", fmt.Sprint("f", i), at, span{at, at.Add(time.Second), types.ExecutionStatusSucceeded})
		}
		e := a.add("m", "old", old, span{old, time.Now().Add(-time.Second), types.ExecutionStatusSucceeded})
		waits = append(waits, wait(t, stepfunctions.Args{ExecutionARN: e.arn, Delay: time.Minute, Started: old}, old))
		checker := newLoop(t, a, stepfunctions.Deps{}, 0).checker
		verdicts := checker.Check(t.Context(), time.Now(), waits)
		if events, _ := countEvents(verdicts); events != 201 || verdicts[400].Event == nil || a.calls["ListExecutions"] > 100 {
			t.Errorf("%+v after %v", verdicts[400], a.calls)
		}
	})
}

// Listing that is refused is remembered and said once; executions are described instead.
func TestListingRefused(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no", Fault: smithy.FaultClient},
		&types.StateMachineTypeNotSupported{}, &types.StateMachineDoesNotExist{},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newAccount(1, quota.New(quota.Options{}))
			a.noList = err
			var log bytes.Buffer
			waits := many(t, a, 80)
			checker := newLoop(t, a, stepfunctions.Deps{Log: slog.New(slog.NewTextHandler(&log, nil))}, 0).checker
			for range 3 {
				if events, again := countEvents(checker.Check(t.Context(), time.Now(), waits)); events != 40 || again != 40 {
					t.Errorf("%d events, %d again", events, again)
				}
			}
			if a.calls["ListExecutions"] != 1 || a.calls["DescribeExecution"] != 240 {
				t.Errorf("%v", a.calls)
			}
			if n := strings.Count(log.String(), "cannot be listed"); n != 1 {
				t.Errorf("%d lines: %s", n, log.String())
			}
			key, _ := checker.Key(waits[0].Args)
			if text := strings.Join(checker.(triggers.Explainer).Explain(key), "\n"); !strings.Contains(text, "listing is not possible until") {
				t.Error(text)
			}
		})
	}
}

// While events arrive looks are a slow safety net, but not the first ones.
func TestEventsArrive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(1, quota.New(quota.Options{}))
		arrive := true
		checker := newLoop(t, a, stepfunctions.Deps{EventsArrive: func(machine string) bool {
			return arrive && machine == accountARN+"stateMachine:m"
		}}, 0).checker
		start := time.Now()
		e := a.add("m", "x", start, span{start, start.Add(time.Hour), types.ExecutionStatusSucceeded})
		w := wait(t, stepfunctions.Args{ExecutionARN: e.arn, Delay: time.Minute}, start)
		if v := checker.Check(t.Context(), start, []triggers.Wait{w})[0]; v.Again.Sub(start) > stepfunctions.Settle {
			t.Errorf("the second look after %s", v.Again.Sub(start))
		}
		time.Sleep(stepfunctions.Settle)
		at := time.Now()
		v := checker.Check(t.Context(), at, []triggers.Wait{w})[0]
		if d := v.Again.Sub(at); d < stepfunctions.Safety || d > 6*time.Minute {
			t.Errorf("the next look after %s", d)
		}
		arrive = false
		if v := checker.Check(t.Context(), at, []triggers.Wait{w})[0]; v.Again.Sub(at) > time.Minute {
			t.Errorf("without events the next look after %s", v.Again.Sub(at))
		}
	})
}

// Without a token a wait is kept a little beyond its deadline for a last look; then it ends.
func TestDeadlineWithoutQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := quota.New(quota.Options{Sizes: map[string]quota.Size{"DescribeExecution": {Bucket: 1, Refill: 1e-6}}})
		a := newAccount(1, q)
		a.noList = &types.StateMachineDoesNotExist{}
		start := time.Now()
		e := a.add("m", "x", start, span{start, start.Add(time.Hour), types.ExecutionStatusSucceeded})
		checker := newLoop(t, a, stepfunctions.Deps{}, 0).checker
		w := wait(t, stepfunctions.Args{ExecutionARN: e.arn, Delay: time.Minute, Deadline: start.Add(time.Minute)}, start)
		checker.Check(t.Context(), start, []triggers.Wait{w}) // takes the token
		time.Sleep(time.Minute)
		if v := checker.Check(t.Context(), time.Now(), []triggers.Wait{w})[0]; v.Again.IsZero() {
			t.Errorf("%+v", v)
		}
		time.Sleep(30 * time.Second)
		o := outcome(t, checker.Check(t.Context(), time.Now(), []triggers.Wait{w})[0])
		if !strings.Contains(o.Failure(), "did not end within 1m0s (it is RUNNING)") {
			t.Error(o.Failure())
		}
	})
}

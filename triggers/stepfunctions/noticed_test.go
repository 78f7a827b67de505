package stepfunctions_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn/quota"
	"gust/triggers/stepfunctions"
)

// waitsFlag measures with many executions: go test -run TestNoticed -v -waits 100000.
var waitsFlag = flag.Int("waits", 1_000, "how many executions TestNoticed awaits")

// TestNoticed measures how soon ends are noticed, and with how many calls, within the quotas of us-east-1, for
// executions that are started at the rate that AWS allows.
func TestNoticed(t *testing.T) {
	t.Parallel()
	n := *waitsFlag
	for name, c := range map[string]struct {
		machines int
		took     func(*rand.Rand) time.Duration
		known    bool // when they started, as of operators
		p99      time.Duration
	}{
		"all take ten minutes":           {10, func(*rand.Rand) time.Duration { return 10 * time.Minute }, true, 30 * time.Second},
		"one to ten minutes":             {10, func(r *rand.Rand) time.Duration { return time.Minute + time.Duration(r.Int64N(int64(9*time.Minute))) }, true, 30 * time.Second},
		"one to ten minutes, by sensors": {10, func(r *rand.Rand) time.Duration { return time.Minute + time.Duration(r.Int64N(int64(9*time.Minute))) }, false, 30 * time.Second},
		"four minutes, some much longer": {10, func(r *rand.Rand) time.Duration {
			return time.Duration(240 * math.Exp(r.NormFloat64()) * float64(time.Second))
		}, true, 30 * time.Second},
		"half a minute, on one machine": {1, func(r *rand.Rand) time.Duration {
			return 20*time.Second + time.Duration(r.Int64N(int64(20*time.Second)))
		}, true, 30 * time.Second},
		"ten minutes, on 1,000 machines": {1000, func(*rand.Rand) time.Duration { return 10 * time.Minute }, true, 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if n < 10*c.machines {
				t.Skip("so few waits on so many state machines are described one by one; -waits says how many")
			}
			synctest.Test(t, func(t *testing.T) {
				q := quota.New(quota.Options{})
				a := newAccount(1, q)
				a.latency, a.lag = 30*time.Millisecond, time.Second
				l := newLoop(t, a, stepfunctions.Deps{}, n)
				random := rand.New(rand.NewPCG(2, 2))
				began := time.Now()
				all := make([]*execution, n)
				for i := range n {
					time.Sleep(time.Second / 300)
					start := time.Now()
					status := types.ExecutionStatusSucceeded
					if random.Float64() < 0.01 {
						status = types.ExecutionStatusFailed
					}
					e := a.add(fmt.Sprintf("m%d", i%c.machines), fmt.Sprint(i), start, span{start, start.Add(c.took(random)), status})
					args := stepfunctions.Args{Delay: time.Minute}
					if c.known {
						args.Started = start
					}
					l.park(t, e, args)
					all[i] = e
				}
				l.await(t, 24*time.Hour)
				lags := make([]time.Duration, n)
				for i, e := range all {
					end := e.spans[0]
					lags[i] = e.noticed.Sub(end.to)
					if len(e.verdicts) != 1 || e.verdicts[0] != string(end.status) || lags[i] < 0 {
						t.Errorf("%s: %v, %s after its end as %s", e.arn, e.verdicts, lags[i], end.status)
					}
				}
				slices.Sort(lags)
				calls := 0
				for _, count := range a.calls {
					calls += count
				}
				each := float64(calls) / float64(n)
				t.Logf("%d executions in %s: noticed p50 %s p99 %s max %s; %.2f calls each: %v", n, time.Since(began).Round(time.Second),
					lags[n/2].Round(time.Millisecond), lags[n*99/100].Round(time.Millisecond), lags[n-1].Round(time.Millisecond), each, a.calls)
				p99, most := c.p99, 2.0
				if n < 10_000 { // with few waits a sweep serves few
					p99, most = max(p99, 70*time.Second), 5
				}
				if lags[n*99/100] > p99 || each > most {
					t.Errorf("want p99 at most %s, and at most %g calls each", p99, most)
				}
			})
		})
	}
}

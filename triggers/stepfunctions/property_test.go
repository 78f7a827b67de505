package stepfunctions_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"
	"pgregory.net/rapid"

	"gust/connections/awsconn/quota"
	"gust/triggers/stepfunctions"
)

var ends = []types.ExecutionStatus{
	types.ExecutionStatusSucceeded, types.ExecutionStatusSucceeded, types.ExecutionStatusFailed, types.ExecutionStatusTimedOut,
	types.ExecutionStatusAborted,
}

// course is a random course of executions and waits.
type course struct {
	seed            uint64
	machines        int
	own, foreign    int
	page            int
	lag             time.Duration
	throttle, fault float64
	longest         time.Duration
	denied          bool
	quota           quota.Size
}

func draw(t *rapid.T) course {
	return course{
		seed:     rapid.Uint64().Draw(t, "seed"),
		machines: rapid.IntRange(1, 3).Draw(t, "machines"),
		own:      rapid.IntRange(1, 50).Draw(t, "own"),
		foreign:  rapid.SampledFrom([]int{0, 0, 10, 150}).Draw(t, "foreign"),
		page:     rapid.SampledFrom([]int{1, 3, 10, 0}).Draw(t, "page"),
		lag:      time.Duration(rapid.IntRange(0, 10).Draw(t, "lag")) * time.Second,
		throttle: rapid.SampledFrom([]float64{0, 0, 0.1, 0.6}).Draw(t, "throttle"),
		fault:    rapid.SampledFrom([]float64{0, 0, 0.1, 0.3}).Draw(t, "fault"),
		longest:  rapid.SampledFrom([]time.Duration{5 * time.Second, time.Minute, 20 * time.Minute}).Draw(t, "longest"),
		denied:   rapid.IntRange(0, 9).Draw(t, "denied") == 0,
		quota:    rapid.SampledFrom([]quota.Size{{Bucket: 300, Refill: 15}, {Bucket: 4, Refill: 2}, {Bucket: 1, Refill: 1}}).Draw(t, "quota"),
	}
}

// TestEveryEndIsFiredOnce: whatever the plan, every execution that is waited for is told to have ended once, with a status
// that it had, and not before.
func TestEveryEndIsFiredOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		h := draw(rt)
		synctest.Test(t, func(t *testing.T) { h.run(t) })
	})
}

// during is a random time within a span.
func during(r *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(d) + 1))
}

func (h course) run(t *testing.T) {
	r := rand.New(rand.NewPCG(h.seed, 0))
	sizes := map[string]quota.Size{"DescribeExecution": h.quota, "ListExecutions": h.quota}
	a := newAccount(h.seed, quota.New(quota.Options{Sizes: sizes}))
	a.page, a.lag, a.throttle, a.fault, a.latency = h.page, h.lag, h.throttle, h.fault, 20*time.Millisecond
	if h.denied {
		a.noList = &smithy.GenericAPIError{Code: "AccessDeniedException", Fault: smithy.FaultClient}
	}
	l := newLoop(t, a, stepfunctions.Deps{}, h.own)
	began := time.Now()
	add := func(i int, from time.Time) *execution {
		spans := []span{{from, from.Add(during(r, h.longest)), ends[r.IntN(len(ends))]}}
		for last := spans[0]; last.status != types.ExecutionStatusSucceeded && r.IntN(3) == 0; last = spans[len(spans)-1] {
			again := last.to.Add(during(r, time.Minute))
			spans = append(spans, span{again, again.Add(during(r, h.longest)), ends[r.IntN(len(ends))]})
		}
		return a.add(fmt.Sprintf("m%d", i%h.machines), fmt.Sprint(i), from, spans...)
	}
	for i := range h.foreign {
		add(h.own+i, began.Add(during(r, 2*h.longest)))
	}
	type started struct {
		e    *execution
		park time.Time
		args stepfunctions.Args
	}
	var all []started
	for i := range h.own {
		e := add(i, began.Add(-during(r, time.Hour)+during(r, time.Hour)))
		s := started{e: e, park: maxOf(e.start, began).Add(during(r, 10*time.Second)),
			args: stepfunctions.Args{Delay: time.Minute, WithOutput: r.IntN(3) == 0}}
		switch redrive := r.IntN(len(e.spans)); {
		case redrive > 0 && r.IntN(2) == 0: // it is waited for after a redrive
			s.args.Redrives = int32(redrive)
			s.park = maxOf(e.spans[redrive].from, began)
		case r.IntN(2) == 0:
			s.args.Started = e.start
		case r.IntN(4) == 0: // a sensor that comes late
			s.park = s.park.Add(during(r, time.Hour))
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y started) int { return x.park.Compare(y.park) })
	for _, s := range all {
		time.Sleep(time.Until(s.park))
		l.park(t, s.e, s.args)
	}
	l.await(t, 12*time.Hour)
	for _, s := range all {
		if len(s.e.verdicts) != 1 || !s.e.wasAt(s.e.noticed, int(s.args.Redrives), s.e.verdicts[0]) {
			t.Errorf("%s was told to be %v at %s; it was %+v, redrives %d", s.e.arn, s.e.verdicts, s.e.noticed, s.e.spans, s.args.Redrives)
		}
	}
}

func maxOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// wasAt reports whether a run of at least so many redrives had ended like this.
func (e *execution) wasAt(now time.Time, redrives int, status string) bool {
	return slices.ContainsFunc(e.spans[redrives:], func(s span) bool {
		return string(s.status) == status && !now.Before(s.to)
	})
}

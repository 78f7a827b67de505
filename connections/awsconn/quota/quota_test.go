package quota

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	scope     = Scope{Region: "us-east-1", Account: "1"}
	throttled = &smithy.GenericAPIError{Code: "ThrottlingException", Fault: smithy.FaultClient}
)

func nothing() error { return nil }

// TestPublished: sizes differ between regions, and an operation that nobody knows is not limited.
func TestPublished(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		operation, region string
		want              Size
		known             bool
	}{
		{"DescribeExecution", "us-east-1", Size{300, 15}, true}, {"DescribeExecution", "eu-central-1", Size{250, 10}, true},
		{"ListExecutions", "eu-west-1", Size{200, 5}, true}, {"ListExecutions", "cn-north-1", Size{100, 2}, true},
		{StartExpress, "eu-central-1", Size{6000, 6000}, true}, {"CreateStateMachine", "us-east-1", Size{100, 1}, true},
		{"StartSyncExecution", "us-east-1", Size{100, 1}, false},
	} {
		if got, known := Published(c.operation, c.region); got != c.want || known != c.known {
			t.Errorf("%s in %s: %s, %v; want %s, %v", c.operation, c.region, got, known, c.want, c.known)
		}
	}
}

func TestParseSizes(t *testing.T) {
	t.Parallel()
	nearest := func(string, []string) string { return "ListExecutions" }
	sizes, err := ParseSizes(map[string]string{"ListExecutions": "400/10", StartExpress: "1 / 0.5"}, nearest)
	if err != nil || sizes["ListExecutions"] != (Size{400, 10}) || sizes[StartExpress] != (Size{1, 0.5}) {
		t.Errorf("%v, %v", sizes, err)
	}
	for text, want := range map[string]string{
		"": "expected BUCKET/REFILL", "5": "expected", "0/1": "at least 1", "1/0": "more than 0", "NaN/NaN": "expected", "1/Inf": "expected",
	} {
		if _, err := ParseSizes(map[string]string{"ListExecutions": text}, nearest); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ParseSizes(map[string]string{"ListExecution": "1/1"}, nearest); err == nil || !strings.Contains(err.Error(), `did you mean "ListExecutions"?`) {
		t.Error(err)
	}
}

// TestForegroundWaitsInOrder: beyond the bucket calls are made at the rate, in the order in which they came.
func TestForegroundWaitsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New(Options{Sizes: map[string]Size{"StartExecution": {3, 10}}})
		var mu sync.Mutex
		var order []int
		began := time.Now()
		var group sync.WaitGroup
		for i := range 13 {
			group.Go(func() {
				if err := q.Do(t.Context(), scope, "StartExecution", func() error {
					mu.Lock()
					defer mu.Unlock()
					order = append(order, i)
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // it has come
		}
		group.Wait()
		if took := time.Since(began).Round(10 * time.Millisecond); took != time.Second {
			t.Errorf("ten beyond the bucket took %s, want a second", took)
		}
		for i, got := range order {
			if i != got {
				t.Fatalf("order %v", order)
			}
		}
	})
}

// TestBackgroundYields: it never takes the last tokens, and none that somebody in the foreground waits for.
func TestBackgroundYields(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New(Options{Sizes: map[string]Size{"DescribeExecution": {20, 1}}})
		taken := 0
		var busy *BusyError
		for q.Do(AtOnce(t.Context()), scope, "DescribeExecution", nothing) == nil {
			taken++
		}
		err := q.Do(AtOnce(t.Context()), scope, "DescribeExecution", nothing)
		if taken != 18 || !errors.As(err, &busy) || busy.After != time.Second {
			t.Errorf("%d in the background, then %v; want 18 of 20, then busy for a second", taken, err)
		}
		var late, early atomic.Int64
		began := time.Now()
		var group sync.WaitGroup
		group.Go(func() {
			_ = q.Do(Yielding(t.Context()), scope, "DescribeExecution", nothing) // its time is what counts
			late.Store(int64(time.Since(began)))
		})
		synctest.Wait()
		for range 4 {
			group.Go(func() {
				_ = q.Do(t.Context(), scope, "DescribeExecution", nothing) // its time is what counts
				early.Store(int64(time.Since(began)))
			})
		}
		group.Wait()
		if e, l := time.Duration(early.Load()).Round(time.Second), time.Duration(late.Load()).Round(time.Second); e != 2*time.Second || l != 5*time.Second {
			t.Errorf("the foreground took %s, the background %s; want 2s and 5s", e, l)
		}
	})
}

// TestWaitingEnds: a call that waits for a token obeys its context, and loses its place.
func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New(Options{Sizes: map[string]Size{"StopExecution": {1, 0.1}}})
		if err := q.Do(t.Context(), scope, "StopExecution", nothing); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("too slow"))
		defer cancel()
		began := time.Now()
		if err := q.Do(ctx, scope, "StopExecution", nothing); err == nil || !strings.Contains(err.Error(), "too slow") || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if err := q.Do(t.Context(), scope, "StopExecution", nothing); err != nil || time.Since(began).Round(time.Second) != 10*time.Second {
			t.Errorf("%v after %s; want the next token", err, time.Since(began))
		}
	})
}

// TestThrottlingLowersTheRate: a refusal empties the bucket and slows it down; without more it slowly comes back.
func TestThrottlingLowersTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New(Options{})
		for range 40 {
			_ = q.Do(t.Context(), scope, "DescribeExecution", func() error { return throttled }) // that is the point
			time.Sleep(2 * time.Second)
		}
		low := q.Room(scope, "DescribeExecution")
		if low.PerSecond > 1.6 || low.PerSecond < 1.5 || low.Tokens > 0 {
			t.Errorf("%+v after many refusals; want a tenth of the rate and nothing left", low)
		}
		time.Sleep(30 * time.Second)
		some := q.Room(scope, "DescribeExecution")
		time.Sleep(10 * time.Minute)
		if full := q.Room(scope, "DescribeExecution"); some.PerSecond <= low.PerSecond || some.PerSecond > 6 || full.PerSecond != 15 || full.Tokens != 270 {
			t.Errorf("%+v after half a minute, %+v after ten", some, full)
		}
		stats := q.Stats()
		if len(stats) != 1 || stats[0].Calls[Throttled] != 40 || stats[0].Scope != scope {
			t.Errorf("%+v", stats)
		}
	})
}

// TestElsewhere: what is not AWS is not limited, but counted; unless it is to be limited too.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	there := Scope{Endpoint: "http://127.0.0.1:8083", Region: "us-east-1", Account: "1"}
	q := New(Options{Sizes: map[string]Size{"ListExecutions": {1, 0.001}}})
	for range 100 {
		if err := q.Do(AtOnce(t.Context()), there, "ListExecutions", func() error { return throttled }); !errors.Is(err, throttled) {
			t.Fatal(err)
		}
	}
	if room := q.Room(there, "ListExecutions"); room.Limited() || !math.IsInf(room.PerSecond, 1) || q.Stats()[0].Calls[Throttled] != 100 {
		t.Errorf("%+v, %+v", room, q.Stats())
	}
	q = New(Options{Sizes: map[string]Size{"ListExecutions": {1, 0.001}}, Everywhere: true})
	if room := q.Room(there, "ListExecutions"); !room.Limited() || room.Tokens != 1 {
		t.Errorf("%+v", room)
	}
}

// TestNeverMoreThanTheQuota: whatever calls come when, no window sees more than the bucket and what was refilled.
func TestNeverMoreThanTheQuota(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		size := Size{float64(rapid.IntRange(1, 20).Draw(rt, "bucket")), float64(rapid.IntRange(1, 50).Draw(rt, "refill"))}
		pauses := rapid.SliceOfN(rapid.IntRange(0, 300), 1, 60).Draw(rt, "pauses")
		kinds := rapid.SliceOfN(rapid.IntRange(0, 2), len(pauses), len(pauses)).Draw(rt, "kinds")
		synctest.Test(t, func(t *testing.T) {
			q := New(Options{Sizes: map[string]Size{"ListExecutions": size}})
			var mu sync.Mutex
			var made []time.Time
			var group sync.WaitGroup
			for i, pause := range pauses {
				time.Sleep(time.Duration(pause) * time.Millisecond)
				ctx := []context.Context{t.Context(), Yielding(t.Context()), AtOnce(t.Context())}[kinds[i]]
				group.Go(func() {
					_ = q.Do(ctx, scope, "ListExecutions", func() error { // one that is busy is not made
						mu.Lock()
						defer mu.Unlock()
						made = append(made, time.Now())
						return nil
					})
				})
			}
			group.Wait()
			for i := range made {
				for j := i; j < len(made); j++ {
					allowed := size.Bucket + size.Refill*made[j].Sub(made[i]).Seconds()
					if float64(j-i+1) > allowed+1e-6 {
						t.Fatalf("%d calls within %s, allowed %.3f", j-i+1, made[j].Sub(made[i]), allowed)
					}
				}
			}
		})
	})
}

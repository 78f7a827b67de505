package quota

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

// TestCallsUnderWayCountAsNew: a service refuses nothing, however long single calls take to reach it. Its bucket is as
// large as the client's, but begins to fill up only when calls arrive.
func TestCallsUnderWayCountAsNew(t *testing.T) {
	t.Parallel()
	const workers = 6
	for name, latency := range map[string]func(n int) time.Duration{
		"the first connection is slow": func(n int) time.Duration {
			if n < workers {
				return 500 * time.Millisecond
			}
			return time.Millisecond
		},
		"any call may be": func(int) time.Duration { return time.Duration(rand.N(300)) * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := New(Options{Sizes: map[string]Size{"StartExecution": {20, 10}}})
				service := rate.NewLimiter(10, 20)
				var mu sync.Mutex
				var group sync.WaitGroup
				began, n, refused := time.Now(), 0, 0
				for range workers {
					group.Go(func() {
						for range 20 {
							err := q.Do(context.Background(), scope, "StartExecution", func() error {
								mu.Lock()
								n++
								takes := latency(n - 1)
								mu.Unlock()
								time.Sleep(takes)
								mu.Lock()
								defer mu.Unlock()
								// Rounding of the two buckets' numbers is not what is tested.
								if !service.AllowN(time.Now().Add(time.Microsecond), 1) {
									refused++
								}
								return nil
							})
							if err != nil {
								t.Error(err)
							}
						}
					})
				}
				group.Wait()
				if took := time.Since(began); refused > 0 || took > 11*time.Second {
					t.Errorf("%d of %d calls were refused, in %s", refused, n, took)
				}
			})
		})
	}
}

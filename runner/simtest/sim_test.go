package simtest

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(800) // a history is small, and there are many
	goleak.VerifyTestMain(m)
}

// number is a number from the environment.
func number(t *testing.T, name string, otherwise uint64) (uint64, bool) {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s is %q; expected a number", name, text)
	}
	return n, true
}

// TestHistories plays random histories and checks that no invariant is ever broken.
func TestHistories(t *testing.T) {
	t.Parallel()
	if seed, given := number(t, "GUST_SIM_SEED", 0); given {
		replay(t, seed)
		return
	}
	many := uint64(3000)
	if os.Getenv("GUST_TEST_FULL") != "" {
		many = 20_000
	}
	if raceEnabled {
		many /= 8 // the detector makes them so much slower
	}
	many, _ = number(t, "GUST_SIM_HISTORIES", many)
	first, _ := number(t, "GUST_SIM_FIRST", 1)
	began := time.Now()
	total, failed := playMany(t, first, many)
	took := time.Since(began)
	t.Logf("%d histories in %s (%s each): %+v", total.histories, took.Round(time.Millisecond),
		(took / time.Duration(max(1, total.histories))).Round(time.Microsecond), total)
	if failed != 0 {
		replay(t, failed)
	}
}

// playMany plays the histories of many seeds and returns a seed that failed, 0 for none.
func playMany(t *testing.T, first, many uint64) (total counts, failed uint64) {
	t.Helper()
	only := os.Getenv("GUST_SIM_INVARIANT") // others may be broken, as a mutant does
	var next, bad atomic.Uint64
	next.Store(first)
	var mu sync.Mutex
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			w, err := newPlayer()
			if err != nil {
				t.Error(err)
				return
			}
			for bad.Load() == 0 {
				seed := next.Add(1) - 1
				if seed >= first+many {
					break
				}
				if _, err := w.play(seed, false); err != nil && strings.HasPrefix(err.Error(), only) {
					bad.Store(seed)
					t.Errorf("seed %d: %v", seed, err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			total.add(w.totals)
		})
	}
	group.Wait()
	return total, bad.Load()
}

func (c *counts) add(o counts) {
	c.histories += o.histories
	c.steps += o.steps
	c.attempts += o.attempts
	c.executions += o.executions
	c.crashes += o.crashes
	c.lost += o.lost
	c.edits += o.edits
	c.jumps += o.jumps
}

// replay plays one history and prints it.
func replay(t *testing.T, seed uint64) {
	t.Helper()
	w, err := newPlayer()
	if err != nil {
		t.Fatal(err)
	}
	trace, err := w.play(seed, true)
	t.Logf("the history of seed %d:\n%s", seed, strings.Join(trace, "\n"))
	if err != nil {
		t.Errorf("seed %d: %v\nreplay it with: GUST_SIM_SEED=%d go test ./runner/simtest -run TestHistories -v", seed, err, seed)
	}
}

// TestReplay: a seed is the same history each time, step by step, whatever was played before.
func TestReplay(t *testing.T) {
	t.Parallel()
	used, err := newPlayer()
	if err != nil {
		t.Fatal(err)
	}
	for seed := uint64(1); seed <= 60; seed++ {
		fresh, err := newPlayer()
		if err != nil {
			t.Fatal(err)
		}
		first, err1 := used.play(seed, true)
		again, err2 := fresh.play(seed, true)
		if diff := cmp.Diff(first, again); diff != "" || err1 != nil || err2 != nil {
			t.Fatalf("seed %d: %v, then %v:\n%s", seed, err1, err2, diff)
		}
	}
}

//go:build linux

package daemontest

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"gust/dag"
	"gust/internal/app"
	"gust/store"
)

// kills is how often a crash test kills the daemon: full is the number with GUST_TEST_FULL=1.
func kills(t *testing.T, full, quick int) int {
	t.Helper()
	if text := os.Getenv("GUST_TEST_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("GUST_TEST_KILLS: %v", err)
		}
		return n
	}
	if os.Getenv("GUST_TEST_FULL") != "" {
		return full
	}
	return quick
}

func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("GUST_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("GUST_TEST_SEED: %v", err)
		}
	}
	t.Logf("GUST_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// crash is a crash test under way.
type crash struct {
	*house
	rng     *rand.Rand
	all     map[string]pipeline
	menu    []string // the DAGs that supply triggers, in turn
	args    []string // of the daemon
	watched []string // files whose changes are effects to kill after
	created int
	// journalAt and auditAt are, for each daemon that has ended, the length of the journal and the number of the last change
	// of a state then.
	journalAt, auditAt []int64
	up                 []time.Duration   // from start to ready
	askers             map[string]string // who asked for an execution, by its ARN
}

// TestKilledAtAnyInstant kills `gust standalone` with kill -9 again and again, its embedded Step Functions service with
// it, and looks whether all runs end as if nothing had happened.
func TestKilledAtAnyInstant(t *testing.T) {
	t.Parallel()
	c := newCrash(t, "standalone")
	c.audit()
	c.watched = []string{c.path("journal"), c.path("home", "gust.db-wal"), c.path("home", "stepfunctions.db-wal")}
	began := time.Now()
	for range kills(t, 100, 8) {
		c.cycle(nil)
	}
	killing := time.Since(began)
	last := c.finish()
	c.check(c.executionsOf(c.path("home", "stepfunctions.db")))
	last.stop()
	c.checkNothingLeft()
	c.report(killing)
}

func newCrash(t *testing.T, args ...string) *crash {
	t.Helper()
	h := newHouse(t, map[string]string{
		"core.parallelism": "12", "core.killed_task_cleanup_time": "1", "scheduler.graceful_stop_timeout": "5",
		"stepfunctions.handlers": `{work: "sleep 300 >/dev/null 2>&1 & sleep 0.05; cat; kill $!"}`,
	})
	c := &crash{house: h, rng: random(t), all: pipelines(), menu: triggered, args: args, askers: map[string]string{}}
	for name, text := range machines {
		h.write("machines/"+name+".asl.json", text)
	}
	for id, p := range c.all {
		h.write("dags/"+id+".yaml", p.text)
	}
	return c
}

// cycle starts the daemon, gives it work and kills it. With hook, the kill may come from there instead: it gets the
// daemon that is to be killed.
func (c *crash) cycle(arm func(*daemon)) {
	c.t.Helper()
	if c.rng.IntN(8) == 0 {
		c.supply() // runs that are created while no daemon runs
	}
	began := time.Now()
	d := c.start(c.args...)
	if len(c.journalAt) > 0 && c.rng.IntN(100) < 15 { // in the middle of the start
		pause(time.Duration(c.rng.Int64N(int64(80 * time.Millisecond))))
		d.kill()
		c.bury()
		return
	}
	d.ready()
	c.up = append(c.up, time.Since(began))
	c.checkOrphans(d)
	if arm != nil {
		arm(d)
	}
	c.supply()
	c.instant(d)
	d.kill()
	c.bury()
}

// instant waits until it is time for the kill.
func (c *crash) instant(d *daemon) {
	limit := time.NewTimer(400 * time.Millisecond)
	defer limit.Stop()
	if c.rng.IntN(10) < 3 {
		limit.Reset(time.Duration(c.rng.Int64N(int64(250 * time.Millisecond))))
		select {
		case <-limit.C:
		case <-d.done:
		}
		return
	}
	file := c.watched[c.rng.IntN(len(c.watched))]
	changes := 1 + c.rng.IntN(1<<(1+c.rng.IntN(7))) // one of the first, or one of many
	before := stamp(file)
	for changes > 0 {
		select {
		case <-limit.C:
			return
		case <-d.done:
			return
		case <-time.After(100 * time.Microsecond):
		}
		if now := stamp(file); now != before {
			before = now
			changes--
		}
	}
	if c.rng.IntN(2) == 0 {
		pause(time.Duration(c.rng.Int64N(int64(3 * time.Millisecond))))
	}
}

type fileStamp struct {
	size int64
	at   time.Time
}

func stamp(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.Size(), info.ModTime()}
}

// atOnce is how many triggered runs are under way at a time.
const atOnce = 5

// supply creates runs, so that some are always under way.
func (c *crash) supply() {
	c.t.Helper()
	c.with(func(a *app.App) {
		busy := c.runs(a, store.RunListParams{
			States: []dag.RunState{dag.RunQueued, dag.RunRunning}, Types: []dag.RunType{dag.RunManual},
		})
		for range atOnce - len(busy) {
			c.trigger(a, c.menu[c.created%len(c.menu)], "crash-"+strconv.Itoa(c.created))
			c.created++
		}
	})
}

// unfinished tells what a failed finish has waited for.
func (c *crash) unfinished(a *app.App, busy, ticks []dag.Run) {
	c.t.Logf("%d runs of ticks have succeeded, %d were expected", len(ticks), c.all["ticks"].slots)
	for i := range busy {
		tasks, err := a.Store.TaskInstanceList(context.Background(), busy[i].RunKey)
		c.t.Logf("not ended: %+v (tasks: %v)", busy[i], err)
		for _, ti := range tasks {
			c.t.Logf("  %+v", ti)
		}
	}
}

// triggered are the DAGs that crash tests trigger.
var triggered = []string{"orders", "waits", "retries", "fan", "parent", "orders", "doomed", "waits"}

// finish lets a last daemon end everything.
func (c *crash) finish() *daemon {
	c.t.Helper()
	d := c.start(c.args...).ready()
	c.checkOrphans(d)
	c.with(func(a *app.App) {
		var busy, ticks []dag.Run
		defer func() {
			if c.t.Failed() {
				c.unfinished(a, busy, ticks)
			}
		}()
		c.await("the end of all runs", func() bool {
			select {
			case <-d.done:
				c.t.Fatalf("the daemon has ended:\n%s", d.log.tail(40))
			default:
			}
			busy = c.runs(a, store.RunListParams{States: []dag.RunState{dag.RunQueued, dag.RunRunning}})
			ticks = c.runs(a, store.RunListParams{DagID: "ticks", States: []dag.RunState{dag.RunSuccess}})
			return len(busy) == 0 && len(ticks) == c.all["ticks"].slots
		})
	})
	return d
}

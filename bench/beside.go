package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"gust/dag"
	"gust/operators"
	"gust/triggers"
)

// beside measures the engine while it holds parked waits, each looked at once a minute, in turns with an engine that
// holds none.
func (b *bench) beside(ctx context.Context) ([]result, error) {
	var with, without []besideOutcome
	for i := range b.profile.pairs {
		for j := range 2 {
			waits := b.profile.beside * ((i + j) % 2) // each goes first in its turn
			o, err := b.runBeside(ctx, waits)
			if err != nil {
				return nil, err
			}
			if waits == 0 {
				without = append(without, o)
			} else {
				with = append(with, o)
			}
		}
	}
	rate := func(o besideOutcome) float64 { return o.rate }
	step := func(o besideOutcome) float64 { return o.step.Seconds() * 1000 }
	name := count(b.profile.beside) + " waits"
	return []result{
		result{Name: count(b.profile.besideRuns) + " runs of 100 beside " + name, Value: middle(with, rate), Unit: "tasks/s"}.
			times(middle(without, rate), "without").atLeast(0.9, "at least 0.9x"),
		result{Name: "hand-over beside " + name + ", p50", Value: middle(with, step), Unit: "ms"}.
			times(middle(without, step), "without"),
	}, nil
}

// besideOutcome is how an engine did.
type besideOutcome struct {
	rate float64 // tasks per second
	step time.Duration
}

// runBeside runs no-op tasks in an engine that holds so many waits.
func (b *bench) runBeside(ctx context.Context, waits int) (o besideOutcome, err error) {
	waiting, err := flat("waiting", max(min(waits, 1000), 1), waitOnList)
	if err != nil {
		return o, err
	}
	parked, err := b.folder("parked")
	if err != nil {
		return o, err
	}
	if waits > 0 {
		if err := parkInEngine(ctx, parked, waiting, waits/len(waiting.Tasks)); err != nil {
			return o, err
		}
		syscall.Sync() // what fills the database is not what is measured
	}
	dir, err := b.folder("beside") // now: where files are made fastest changes with what was written
	if err != nil {
		return o, err
	}
	if waits > 0 {
		if err := os.Rename(filepath.Join(parked, "gust.db"), filepath.Join(dir, "gust.db")); err != nil {
			return o, err
		}
	}
	watch := &stopwatch{}
	e, err := startEngine(ctx, dir, noOpParallelism, watch)
	if err != nil {
		return o, err
	}
	defer func() { err = withStop(ctx, e, err) }()
	wide, err := flat("wide", 100, noOps)
	if err != nil {
		return o, err
	}
	deep, err := chain("deep", b.profile.chain, noOps)
	if err != nil {
		return o, err
	}
	if err := errors.Join(e.deploy(ctx, waiting), e.deploy(ctx, wide), e.deploy(ctx, deep)); err != nil {
		return o, err
	}
	if held := e.triggers.Held(); held != waits {
		return o, fmt.Errorf("the engine holds %d waits instead of %d", held, waits)
	}
	if err := e.awaitLooks(ctx, waits); err != nil {
		return o, err
	}
	runs := b.profile.besideRuns
	took, err := e.run(ctx, wide, runs)
	if err != nil {
		return o, err
	}
	o.rate = float64(runs*len(wide.Tasks)) / took.Seconds()
	watch.reset()
	if _, err := e.run(ctx, deep, 1); err != nil {
		return o, err
	}
	o.step = quantile(watch.handOvers(), 0.5)
	return o, nil
}

// awaitLooks waits until every wait has been looked at since the start: a start's looks are not a day's.
func (e *engine) awaitLooks(ctx context.Context, waits int) error {
	for e.list.looks.Load() < int64(waits) {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// parkInEngine fills the database of a folder with parked waits: a run that an engine parks, and copies of it.
func parkInEngine(ctx context.Context, dir string, d *dag.DAG, runs int) error {
	e, err := startEngine(ctx, dir, noOpParallelism, nil)
	if err != nil {
		return err
	}
	err = e.deploy(ctx, d)
	if err == nil {
		now := time.Now().UTC()
		err = e.scheduler.CreateRun(ctx, &dag.Run{
			RunKey: dag.RunKey{DagID: d.ID, RunID: templateRun}, State: dag.RunQueued, Type: dag.RunManual,
			RunAfter: now, QueuedAt: now, TriggeredBy: dag.ByTest,
		})
	}
	for deadline := time.Now().Add(time.Minute); err == nil && e.triggers.Held() < len(d.Tasks); {
		if err = pause(ctx, 10*time.Millisecond); time.Now().After(deadline) {
			err = fmt.Errorf("%d of %d tasks are parked after a minute", e.triggers.Held(), len(d.Tasks))
		}
	}
	if err == nil {
		err = e.scheduler.Sync(ctx) // the rows say so too
	}
	if err := withStop(ctx, e, err); err != nil {
		return err
	}
	return copyRuns(ctx, filepath.Join(dir, "gust.db"), runs)
}

// waitOnList makes a task that waits until something is on a list that stays empty.
func waitOnList(t *dag.Task) {
	t.Operator = listenOperator
	t.Params = map[string]any{}
}

const (
	listenOperator = "BenchListenOperator"
	listenKind     = "bench.list"
	listenKeys     = 10
)

// listen is a task that waits for an item of its own; what it waits with is as large as the wait for an execution.
type listen struct{}

// Resume is never asked for: nothing comes on the list.
func (l *listen) Resume(context.Context, operators.Task, triggers.Event) (operators.Result, error) {
	return operators.Done(nil), nil
}

type listenArgs struct {
	Item       string        `json:"item"`
	Connection string        `json:"aws_conn_id"`
	Region     string        `json:"region_name"`
	Delay      time.Duration `json:"delay"`
}

// Execute parks the task.
func (l *listen) Execute(_ context.Context, t operators.Task) (operators.Result, error) {
	item := fmt.Sprintf("%sitem:machine:%s-%s", machineARN, t.Attempt().RunID, t.Attempt().TaskID)
	wait, err := triggers.New(listenKind, listenArgs{item, "aws_default", cloudRegion, pokeInterval})
	return operators.Defer(wait, 0), err
}

// listenChecker looks at the list, where it finds nothing.
type listenChecker struct {
	looks atomic.Int64
}

// Kind is the trigger's kind.
func (*listenChecker) Kind() string { return listenKind }

// Key spreads the waits over a few groups.
func (*listenChecker) Key(raw json.RawMessage) (string, error) {
	var args listenArgs
	err := json.Unmarshal(raw, &args)
	return strconv.Itoa(int(shuffled(args.Item) * listenKeys)), err
}

// Check finds nothing, and looks again a minute later on average. The looks of a wait are as random as rain, so that as many
// come in the first second as in any other.
func (c *listenChecker) Check(_ context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	verdicts := make([]triggers.Verdict, len(waits))
	for i := range waits {
		var args listenArgs
		if err := json.Unmarshal(waits[i].Args, &args); err != nil {
			verdicts[i].Err = err
			continue
		}
		chance := 1 - shuffled(args.Item+strconv.Itoa(waits[i].Checks)) // above 0
		verdicts[i].Again = now.Add(time.Duration(-math.Log(chance) * float64(args.Delay)))
	}
	c.looks.Add(int64(len(waits)))
	return verdicts
}

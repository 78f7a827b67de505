package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gust/store/sqlite"
)

// The fleet: every run has ten mapped tasks, one for each state machine, of ten instances each. An execution lasts
// fleetWait seconds.
const (
	fleetMachines = 10
	fleetItems    = 10
	fleetWait     = 60
)

// fleet has a daemon start and await as many executions as ten large installations have at a time, against a service
// that refuses what AWS would refuse, and looks for tasks that have seen a refusal.
func (b *bench) fleet(ctx context.Context) ([]result, error) {
	runs := b.profile.fleetRuns
	if runs == 0 {
		return []result{{Name: "100 executions in each of 1,000 runs", Note: "not measured: it takes ten minutes; use -profile full"}}, nil
	}
	o, err := b.runFleet(ctx, runs)
	if err != nil {
		return nil, err
	}
	executions := runs * fleetMachines * fleetItems
	total := 0
	for _, n := range o.requests {
		total += n
	}
	least := float64(executions-1300)/300 + fleetWait
	name := fmt.Sprintf("%s executions in %s runs", count(executions), count(runs))
	rate := result{Name: name + ": started, awaited and ended", Value: float64(executions) / o.took.Seconds(), Unit: "/s"}
	rate.Note = fmt.Sprintf("in %.0f s; each lasts %d s, and AWS starts 300 a second after a burst of 1,300, so that nobody needs less "+
		"than %.0f s; daemon: %.0f MB at its peak, %.0f s of a processor", o.took.Seconds(), fleetWait, least, o.memory,
		o.processor.Seconds())
	return []result{
		rate.times(float64(executions)/max(least, fleetWait), "AWS's quota"),
		result{Name: "tasks that succeeded at their first try", Value: float64(o.succeeded), Unit: "tasks"}.
			atLeast(float64(executions), "all of them"),
		result{Name: "throttling errors in task states and logs", Value: float64(o.throttled), Unit: "texts"}.atMost(0, "none"),
		result{Name: "executions too few or too many", Value: math.Abs(float64(o.started - executions)), Unit: "executions"}.
			atMost(0, "none"),
		{Name: "requests refused for AWS's quotas", Value: float64(o.refused), Unit: "requests",
			Note: fmt.Sprintf("of %s; the daemon repeats them", count(total))},
		result{Name: "requests for each execution, its start included", Value: float64(total) / float64(executions), Unit: "calls"}.
			atMost(3, "at most 3"),
	}, nil
}

// fleetOutcome is how it went.
type fleetOutcome struct {
	took                 time.Duration
	requests             map[string]int
	refused              int
	started              int // executions, as the service counts them
	succeeded, throttled int // tasks, and texts of tasks that speak of a refusal
	memory               float64
	processor            time.Duration
}

func fleetYAML() string {
	items := "[" + strings.TrimSuffix(strings.Repeat(fmt.Sprintf("{wait: %d}, ", fleetWait), fleetItems), ", ") + "]"
	return waitYAML("fleet", fleetMachines, func(i int) string {
		return fmt.Sprintf("      operator: StepFunctionStartExecutionOperator\n      state_machine_arn: %smachine-%d\n"+
			"      deferrable: true\n      retries: 0\n      expand: {state_machine_input: %s}\n", machineARN, i, items)
	})
}

func (b *bench) runFleet(ctx context.Context, runs int) (o *fleetOutcome, err error) {
	binary, err := b.binary(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := b.folder("fleet")
	if err != nil {
		return nil, err
	}
	aws, err := startCloud(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, aws.stop(context.WithoutCancel(ctx))) }()
	for i := range fleetMachines {
		err := aws.invoke(ctx, "CreateStateMachine", map[string]string{
			"name":       fmt.Sprintf("machine-%d", i),
			"definition": `{"StartAt":"W","States":{"W":{"Type":"Wait","SecondsPath":"$.wait","End":true}}}`,
			"roleArn":    "arn:aws:iam::" + cloudAccount + ":role/any",
		})
		if err != nil {
			return nil, err
		}
	}
	homeDir, pipelines := filepath.Join(dir, "home"), filepath.Join(dir, "pipelines")
	err = errors.Join(writeFiles(homeDir, nil), writeFiles(pipelines, map[string]string{"fleet.yaml": fleetYAML()}))
	if err != nil {
		return nil, err
	}
	d, err := startDaemon(ctx, binary, homeDir, pipelines, awsSettings(aws, false)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	o = &fleetOutcome{}
	if err := o.run(ctx, d, runs); err != nil {
		return nil, err
	}
	o.requests, o.refused = aws.calls()
	stats, err := aws.service.Stats(ctx)
	if err != nil {
		return nil, err
	}
	o.started = int(stats.StartsAccepted)
	return o, o.inspect(ctx, d, runs*fleetMachines*fleetItems)
}

// run creates the runs at once and waits for the last one's end.
func (o *fleetOutcome) run(ctx context.Context, d *daemon, runs int) (err error) {
	rows, err := sqlite.Open(ctx, filepath.Join(d.home, "gust.db"), sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	start := time.Now()
	if err := trigger(ctx, rows, d.home, "fleet", runs); err != nil {
		return err
	}
	if err := awaitRuns(ctx, rows, "fleet"); err != nil {
		return err
	}
	o.took = time.Since(start)
	if o.memory, err = peakMB(d.pid()); err != nil {
		return err
	}
	o.processor, err = processorTime(d.pid())
	return err
}

// inspect looks at what became of every task, and what it was told.
func (o *fleetOutcome) inspect(ctx context.Context, d *daemon, executions int) error {
	tasks, err := finishedTasks(ctx, d.home, executions)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if t.state == "success" && t.try == 1 {
			o.succeeded++
		}
		if refusal([]byte(t.problem)) {
			o.throttled++
		}
	}
	return filepath.WalkDir(filepath.Join(d.home, "logs"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && refusal(text) {
			o.throttled++
		}
		return err
	})
}

// refusal tells texts that speak of AWS's answer to too many requests.
func refusal(text []byte) bool {
	text = bytes.ToLower(text)
	return bytes.Contains(text, []byte("throttl")) || bytes.Contains(text, []byte("rate exceeded"))
}

package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

// TestCopiesOfParkedRunsAreHeld parks a run in an engine, copies it, and lets another engine take up all of them.
func TestCopiesOfParkedRunsAreHeld(t *testing.T) {
	t.Parallel()
	b, err := newBench(settings{profile: "quick", dir: t.TempDir()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b.profile.chain, b.profile.besideRuns = 20, 3
	dir := t.TempDir()
	d, err := flat("waiting", 3, waitOnList)
	if err != nil {
		t.Fatal(err)
	}
	if err := parkInEngine(t.Context(), dir, d, 4); err != nil {
		t.Fatal(err)
	}
	rows := table(t, dir, "SELECT DISTINCT run_id, trigger_kwargs FROM task_instance WHERE state = 'deferred' ORDER BY run_id")
	if len(rows) != 12 {
		t.Fatalf("%d rows are deferred with arguments of their own, want 12", len(rows))
	}
	for i, row := range rows {
		run, args := fmt.Sprint(row[0]), fmt.Sprint(row[1])
		if run != runID(i/3) || !strings.Contains(args, run+"-task_") {
			t.Errorf("row %d is of %s and waits for %s", i, run, args)
		}
	}
	o, err := b.runBeside(t.Context(), 40)
	if err != nil {
		t.Fatal(err)
	}
	if o.rate <= 0 || o.step <= 0 {
		t.Errorf("outcome %+v", o)
	}
}

// TestCloudCountsAndRefuses: requests through the door are counted and refused beyond the quota, others are neither.
func TestCloudCountsAndRefuses(t *testing.T) {
	t.Parallel()
	aws, err := startCloud(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := aws.stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	load := &executionLoad{waitingCase: waitingCase{executions: 6, machines: 2}, parkedHome: &parkedHome{runs: 2, tasks: 3}}
	load.plan(time.Now().Add(time.Hour))
	if err := load.createMachines(t.Context(), aws); err != nil {
		t.Fatal(err)
	}
	if err := load.start(t.Context(), aws, 0); err != nil {
		t.Fatal(err)
	}
	client := newSFNClient("http://"+aws.address, 1)
	defer client.close()
	refused := 0
	for range 1400 { // the burst is 1,300, and 300 come back in a second
		err := client.call(t.Context(), "StopExecution", map[string]string{"executionArn": load.execution(runID(1), taskID(2))}, nil)
		if err != nil && strings.Contains(err.Error(), "ThrottlingException") {
			refused++
		}
	}
	requests, told := aws.calls()
	if requests["StopExecution"] != 1400 || len(requests) != 1 {
		t.Errorf("requests %v, want 1,400 of StopExecution alone", requests)
	}
	if told != refused {
		t.Errorf("%d requests were refused, %d are told", refused, told)
	}
	if end, ok := aws.ended()[load.execution(runID(1), taskID(2))]; !ok || time.Since(end) > time.Minute {
		t.Errorf("the stopped execution ended at %v, %v", end, ok)
	}
}

func TestTickMeasuresEveryRound(t *testing.T) {
	t.Parallel()
	o, err := measureTick(10)
	if err != nil {
		t.Fatal(err)
	}
	if o.idle <= 0 || o.step <= 0 || o.due <= 0 {
		t.Errorf("outcome %+v", o)
	}
}

func TestGrowth(t *testing.T) {
	t.Parallel()
	b := &bench{}
	for _, n := range []int{10, 100, 1000} {
		b.grow("flat", "ms", n, 5)
		b.grow("linear", "MB", n, float64(n)*3)
		b.grow("square", "s", n, float64(n)*float64(n))
	}
	b.grow("alone", "s", 10, 1)
	got := fitted(b.growths)
	if len(got) != 3 {
		t.Fatalf("%d figures have an exponent, want 3: %+v", len(got), got)
	}
	for i, want := range []float64{0, 1, 2} {
		if math.Abs(got[i].Exponent-want) > 1e-9 {
			t.Errorf("%s: exponent %v, want %v", got[i].Figure, got[i].Exponent, want)
		}
	}
	var text bytes.Buffer
	if err := writeGrowth(&text, got); err != nil {
		t.Fatal(err)
	}
	if want := "10  100  1,000  30.0  300  3,000 MB"; !strings.Contains(text.String(), want) {
		t.Errorf("the table lacks %q:\n%s", want, &text)
	}
}

func TestLoadsAreShuffledAndSpread(t *testing.T) {
	t.Parallel()
	for _, machines := range []int{1, 10, 1000} {
		load := &executionLoad{waitingCase: waitingCase{executions: 10_000, machines: machines}, parkedHome: &parkedHome{runs: 100, tasks: 100}}
		used, quarters := map[string]int{}, [4]int{}
		for r := range load.runs {
			for i := range load.tasks {
				used[load.machine(runID(r), i)]++
				quarters[int(4*shuffled(runID(r)+"-"+taskID(i)))]++
			}
		}
		if len(used) != machines {
			t.Errorf("%d state machines are used, want %d", len(used), machines)
		}
		for i, n := range quarters {
			if n < 2200 || n > 2800 {
				t.Errorf("%d of 10,000 executions end in quarter %d", n, i)
			}
		}
	}
}

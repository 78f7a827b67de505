package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// rival is an engine that does the same work as the others.
type rival struct {
	name string
	do   contestant
	// wait parks sensors that wait for a file, watches them, and releases them.
	wait func(context.Context, int) (sensorOutcome, error)
	// crash kills everything in the middle of a task of five seconds, starts again, and returns the time until what is shown
	// is right, and what that is.
	crash func(context.Context) (time.Duration, string, error)
}

// sensorOutcome is what it takes to wait.
type sensorOutcome struct {
	parked    time.Duration // until all wait; 0 when that cannot be seen
	memory    float64       // MB
	processes int
	processor float64 // % of a core
	released  []time.Duration
}

// peerJobs are the works that are done for their time. The first one is Windmill's published comparison.
var peerJobs = []job{
	{name: "40 light tasks in sequence", steps: 40, chain: true, runs: 1, light: true},
	{name: "200 bash tasks in parallel", steps: 200, runs: 1},
	{name: "100 runs of 5 bash tasks", steps: 5, chain: true, runs: 100, queued: true},
}

// The light task computes for some ten milliseconds.
const (
	lightFile   = "light.py"
	lightModule = "def fibo(n):\n    return n if n <= 1 else fibo(n - 1) + fibo(n - 2)\n\n\n" +
		"def light():\n    return fibo(10)\n\n\nif __name__ == \"__main__\":\n    print(light())\n"
)

func gustLight(id string, tasks int, folder string) string {
	return gustTasks(id, "", tasks, true, fmt.Sprintf("      operator: PythonOperator\n      python_callable_name: light\n"+
		"      python_callable_file: %s\n", filepath.Join(folder, lightFile)))
}

const (
	// peerSensors wait at a time, each looking every peerPoke.
	peerSensors = 1000
	peerPoke    = 5 * time.Second
	// watchSensors is how long they are watched.
	watchSensors = 15 * time.Second
)

// peers does the same work by Gust, Airflow and Dagu, one after the other.
func (b *bench) peers(ctx context.Context) (results []result, err error) {
	if _, err := b.binary(ctx); err != nil {
		return nil, err
	}
	rivals := []rival{b.gustRival()}
	airflow, err := b.startAirflow(ctx)
	if err != nil {
		results = append(results, result{Name: "Airflow", Note: "not measured: " + err.Error()})
	} else {
		defer func() { err = errors.Join(err, airflow.stop()) }()
		rivals = append(rivals, airflow.rival())
	}
	if dagu, err := b.findDagu(ctx); err != nil {
		results = append(results, result{Name: "Dagu", Note: "not measured: " + err.Error()})
	} else {
		rivals = append(rivals, dagu)
	}
	for _, j := range peerJobs {
		results = append(results, b.race(ctx, j, rivals)...)
	}
	results = append(results, b.raceWaiting(ctx, rivals)...)
	return append(results, b.raceCrash(ctx, rivals)...), ctx.Err()
}

// fewer sets a value against a peer's that is hoped to be larger.
func (r result) fewer(base float64, name, word string) result {
	r.Base, r.BaseName = base, name
	if r.Value > 0 {
		r.Ratio = base / r.Value
		r.Compared = number(r.Ratio) + "x " + word
	}
	return r
}

// race does a job by each. What one cannot do is a note.
func (b *bench) race(ctx context.Context, j job, rivals []rival) []result {
	var took, memory []result
	var ours outcome
	for i, r := range rivals {
		o, err := r.do(ctx, j)
		b.say("%-10s %5.1f s  %s", j.name, o.took.Seconds(), r.name)
		if err != nil {
			took = append(took, result{Name: j.name + ", " + r.name, Note: "not measured: " + err.Error()})
			if i == 0 {
				return took
			}
			continue
		}
		if i == 0 {
			ours = o
			continue
		}
		took = append(took, result{Name: j.name, Value: ours.took.Seconds(), Unit: "s"}.fewer(o.took.Seconds(), r.name, "faster"))
		memory = append(memory, result{Name: j.name + ", memory", Value: ours.memory, Unit: "MB"}.fewer(o.memory, r.name, "less"))
	}
	return append(took, memory...)
}

// raceWaiting has each hold sensors and release them.
func (b *bench) raceWaiting(ctx context.Context, rivals []rival) (results []result) {
	var ours sensorOutcome
	name := count(peerSensors) + " waiting sensors"
	for i, r := range rivals {
		o, err := r.wait(ctx, peerSensors)
		b.say("%s: %s: %.1f s until they wait", name, r.name, o.parked.Seconds())
		switch {
		case err != nil:
			results = append(results, result{Name: name + ", " + r.name, Note: "not measured: " + err.Error()})
		case i == 0:
			ours = o
		default:
			results = append(results, ours.against(o, name, r.name)...)
		}
	}
	return results
}

func (o sensorOutcome) against(peer sensorOutcome, name, rival string) []result {
	p50 := func(o sensorOutcome) float64 { return quantile(o.released, 0.5).Seconds() }
	last := func(o sensorOutcome) float64 { return quantile(o.released, 1).Seconds() }
	var results []result
	if peer.parked > 0 {
		results = append(results,
			result{Name: name + ", until all wait", Value: o.parked.Seconds(), Unit: "s"}.fewer(peer.parked.Seconds(), rival, "faster"))
	}
	return append(results,
		result{Name: name + ", memory", Value: o.memory, Unit: "MB"}.fewer(peer.memory, rival, "less"),
		result{Name: name + ", processes", Value: float64(o.processes), Unit: "processes"}.fewer(float64(peer.processes), rival, "fewer"),
		result{Name: name + ", processor", Value: o.processor, Unit: "% of a core"}.fewer(peer.processor, rival, "less"),
		result{Name: name + ", released after, p50", Value: p50(o), Unit: "s"}.fewer(p50(peer), rival, "sooner"),
		result{Name: name + ", released after, the last", Value: last(o), Unit: "s"}.fewer(last(peer), rival, "sooner"),
	)
}

// raceCrash kills each in the middle of a run.
func (b *bench) raceCrash(ctx context.Context, rivals []rival) (results []result) {
	var ours time.Duration
	var outcome string
	const name = "kill -9 to the right state"
	for i, r := range rivals {
		took, shown, err := r.crash(ctx)
		b.say("%s: %s: %.1f s, %s", name, r.name, took.Seconds(), shown)
		switch {
		case err != nil:
			results = append(results, result{Name: name + ", " + r.name, Note: "not measured: " + err.Error()})
		case i == 0:
			ours, outcome = took, shown
		default:
			row := result{Name: name, Value: ours.Seconds(), Unit: "s"}.fewer(took.Seconds(), r.name, "sooner")
			row.Note = fmt.Sprintf("a run of a task of 5 s and one that does nothing, killed in the first second of the long one and "+
				"started again at once; Gust: %s; %s: %s", outcome, r.name, shown)
			results = append(results, row)
		}
	}
	return results
}

// crashYAML is the run that is killed, as Gust and Dagu write it.
func crashYAML(gust bool) string {
	if gust {
		return strings.Replace(gustYAML("crash", "", 2, true), `bash_command: "true"`, `bash_command: "sleep 5"`, 1)
	}
	return strings.Replace(daguYAML(2, true), `command: "true"`, `command: "sleep 5"`, 1)
}

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"gust/dag"
)

// pythonFunction is the module with the callable that does nothing.
const pythonFunction = "def noop():\n    pass\n"

// python measures Python functions that do nothing, through the whole engine. Every call has a process of its own; with a
// warm interpreter that is a fork.
func (b *bench) python(ctx context.Context) ([]result, error) {
	path := lookUp("python3")
	if path == "" {
		return []result{{Name: "callables", Note: "not measured: python3 is not installed"}}, nil
	}
	const parallelism = 8
	n := b.profile.callables
	warm, err := b.callables(ctx, n, parallelism, 1)
	if err != nil {
		return nil, err
	}
	cold, err := b.callables(ctx, n/20, parallelism, 0)
	if err != nil {
		return nil, err
	}
	took, err := forkAndExec(ctx, path, "pass", n/20, parallelism)
	if err != nil {
		return nil, err
	}
	latency, err := b.pythonLatency(ctx)
	if err != nil {
		return nil, err
	}
	return []result{
		result{Name: "callables", Value: warm, Unit: "tasks/s"}.times(cold, "an interpreter started for each").
			atLeast(10, "at least 10x"),
		result{Name: "against python3 -c", Value: warm, Unit: "tasks/s"}.times(float64(n/20)/took.Seconds(), "python3 -c pass, as many at once"),
		result{Name: "one after the other", Value: latency, Unit: "ms"}.atMost(10, "under 10 ms a task"),
	}, nil
}

// lookUp finds a program on PATH; "" when it is not there.
func lookUp(program string) string {
	path, _ := exec.LookPath(program) // there is none
	return path
}

// callables returns the callables per second of an engine with so many warm interpreters, the start of the first one
// left out.
func (b *bench) callables(ctx context.Context, n, parallelism, warm int) (float64, error) {
	took, err := b.runPython(ctx, flat, n, parallelism, warm)
	return float64(n) / took.Seconds(), err
}

// pythonLatency is the time of a task in a chain, in milliseconds.
func (b *bench) pythonLatency(ctx context.Context) (float64, error) {
	n := b.profile.callables / 10
	took, err := b.runPython(ctx, chain, n, 8, 1)
	return took.Seconds() * 1000 / float64(n), err
}

// shape makes a DAG of tasks: flat or chain.
type shape func(id string, tasks int, do func(*dag.Task)) (*dag.DAG, error)

// runPython runs n callables in an engine of their own. The first interpreter has started before.
func (b *bench) runPython(ctx context.Context, tasks shape, n, parallelism, warm int) (time.Duration, error) {
	dir, err := b.folder("python")
	if err != nil {
		return 0, err
	}
	file := filepath.Join(dir, "functions.py")
	if err := os.WriteFile(file, []byte(pythonFunction), 0o600); err != nil {
		return 0, err
	}
	call := func(t *dag.Task) {
		t.Operator = "PythonOperator"
		t.Params = map[string]any{"python_callable_name": "noop", "python_callable_file": file, "show_return_value_in_logs": false}
	}
	first, err := flat("python_first", 1, call)
	if err != nil {
		return 0, err
	}
	d, err := tasks("python", n, call)
	if err != nil {
		return 0, err
	}
	e, err := startEngineWith(ctx, dir, parallelism, nil, warm)
	if err != nil {
		return 0, err
	}
	if err := e.deploy(ctx, first); err != nil {
		return 0, withStop(ctx, e, err)
	}
	if err := e.deploy(ctx, d); err != nil {
		return 0, withStop(ctx, e, err)
	}
	if _, err := e.run(ctx, first, 1); err != nil {
		return 0, withStop(ctx, e, err)
	}
	took, err := e.run(ctx, d, 1)
	return took, withStop(ctx, e, err)
}

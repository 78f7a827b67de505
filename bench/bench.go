package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// measurement is one section of the report.
type measurement struct {
	name  string
	about string
	run   func(*bench, context.Context) ([]result, error)
	// apart says that it is measured only when it is named: it takes long and needs what is large.
	apart bool
}

// measurements are in the order in which they run: what loads the machine least comes last, when it has calmed down.
var measurements = []measurement{
	{name: "throughput", about: "no-op tasks through the whole engine; limit: the same rows in the same batches, straight into SQLite",
		run: (*bench).throughput},
	{name: "cost", about: "cost of a task by size of its run", run: (*bench).cost},
	{name: "mapped", about: "dynamic mapping; peer: plain tasks in the same engine", run: (*bench).mapped},
	{name: "latency", about: "from the end of a task to the start of the next; limit: one fsync", run: (*bench).latency},
	{name: "beside", about: "the engine beside parked waits in the same process; base: without them, in turns", run: (*bench).beside},
	{name: "bash", about: "bash -c true through the whole engine; limit: plain fork and exec, as many at once", run: (*bench).bash},
	{name: "python", about: "Python functions that do nothing through the whole engine; base: an interpreter started for each",
		run: (*bench).python},
	{name: "peer", about: "bash -c true by the daemon and by Dagu", run: (*bench).peer},
	{name: "stepfunctions", about: "the embedded Step Functions service, alone; peer: moto's server with the same calls", run: (*bench).stepFunctions},
	{name: "parked", about: "parked waits of a daemon, each a deferrable sensor in the database", run: (*bench).parked},
	{name: "waiting", about: "executions on state machines that parked tasks wait for, with AWS's quotas; peer: a look each minute",
		run: (*bench).waiting},
	{name: "fleet", about: "mapped tasks that start an execution each and wait for it, with AWS's quotas", run: (*bench).fleet},
	{name: "files", about: "pipeline files of five tasks, taken up by a daemon", run: (*bench).files},
	{name: "tick", about: "the scheduler's decisions with many DAGs, each with an active run", run: (*bench).tick},
	{name: "peers", about: "the same work by Gust, by Airflow (LocalExecutor, triggerer, PostgreSQL) and by Dagu", run: (*bench).peers,
		apart: true},
	{name: "footprint", about: "the program and its idle daemon", run: (*bench).footprint},
}

func names() []string {
	out := make([]string, len(measurements))
	for i, m := range measurements {
		out[i] = m.name
	}
	return out
}

// profile says how long to measure.
type profile struct {
	name string
	// repeats is how often a figure is measured; the median counts. pairs is the same where a limit is measured in turns
	// and the two must be put to the test alike.
	repeats, pairs int
	// chain is how many hand-overs the latency is taken from, each time.
	chain int
	// processes is how many bash processes are started, each time.
	processes int
	// callables is how many Python functions are called, each time.
	callables int
	// executions is how many executions of a small state machine are run, each time; waiting how many wait at once.
	executions, waiting int
	// idle is how long the idle daemon is watched.
	idle time.Duration
	// parked are how many waits a daemon holds, rest how long it rests before its memory is read.
	parked []int
	rest   time.Duration
	// beside is how many waits the engine holds while it works, besideRuns how many runs of a hundred tasks it makes.
	beside, besideRuns int
	// files are how many pipeline files a daemon takes up, dags how many DAGs the plan has.
	files, dags []int
	// waits are the loads of the waiting for executions; those of one list run at the same time.
	waits [][]waitingCase
	// fleetRuns are how many runs of a hundred executions start at once; 0 leaves that out.
	fleetRuns int
}

var profiles = map[string]profile{
	"quick": {name: "quick", repeats: 1, pairs: 2, chain: 500, processes: 300, callables: 400, executions: 10_000, waiting: 20_000,
		idle: 4 * time.Second, parked: []int{1000, 10_000}, rest: time.Second, beside: 10_000, besideRuns: 300,
		files: []int{100, 1000}, dags: []int{100, 1000}, waits: quickWaits},
	"full": {name: "full", repeats: 3, pairs: 5, chain: 1000, processes: 1000, callables: 1000, executions: 20_000, waiting: 100_000,
		idle: 30 * time.Second, parked: []int{10_000, 100_000, 1_000_000}, rest: 45 * time.Second, beside: 100_000, besideRuns: 300,
		files: []int{100, 1000, 10_000}, dags: []int{100, 1000, 10_000}, waits: fullWaits, fleetRuns: 1000},
}

// bench is what the measurements share.
type bench struct {
	profile profile
	dir     string // removed at the end
	tools   string
	gust    string // the binary, "" until it is built
	airflow string // its virtual environment
	log     io.Writer
	// newFiles is what a new file takes in each folder, in microseconds; mu guards it.
	mu       sync.Mutex
	newFiles []float64
	// growths are figures at several sizes of the load, see grow.
	growths []growth
}

func newBench(s settings, log io.Writer) (*bench, error) {
	p, ok := profiles[s.profile]
	if !ok {
		return nil, usageError{fmt.Errorf("-profile: expected quick or full, got %q", s.profile)}
	}
	parent, err := realDisk(s.dir)
	if err != nil {
		return nil, err
	}
	tools, err := filepath.Abs(s.tools)
	if err != nil {
		return nil, err
	}
	gust := s.gust
	if gust != "" {
		if gust, err = filepath.Abs(gust); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(parent, "gust-bench-")
	if err != nil {
		return nil, err
	}
	if err := spread(dir); err != nil {
		return nil, err
	}
	return &bench{profile: p, dir: dir, tools: tools, gust: gust, airflow: s.airflow, log: log}, nil
}

// realDisk is the folder to work in: durability costs nothing in memory, so a temporary folder in memory is passed
// over.
func realDisk(wanted string) (string, error) {
	if wanted != "" {
		return wanted, os.MkdirAll(wanted, 0o755)
	}
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	if dir := os.TempDir(); !inMemory(fileSystem(dir)) {
		return dir, nil
	}
	return here, nil
}

func (b *bench) close() error { return os.RemoveAll(b.dir) }

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.log, format+"\n", args...) // progress is a courtesy
}

func (b *bench) measure(ctx context.Context, m measurement) ([]result, error) {
	start := time.Now()
	results, err := m.run(b, ctx)
	b.say("%-10s %5.1f s", m.name, time.Since(start).Seconds())
	return results, err
}

// folder makes a new empty folder, where new files are quick.
//
// Every attempt creates a folder and a file for its log. Where files were deleted in the last five minutes, by the
// bench before this one or by anybody else, ext4 takes up to thirty times longer for that, because it passes over each
// of their inodes; that would measure the past. So a few places are tried (see spread) and the quickest is taken.
func (b *bench) folder(name string) (string, error) {
	const places = 4
	var best string
	var least time.Duration
	for range places {
		dir, err := os.MkdirTemp(b.dir, name+"-")
		if err != nil {
			return "", err
		}
		took, err := probeNewFile(dir)
		if err != nil {
			return "", err
		}
		if best == "" || took < least {
			best, least = dir, took
		}
	}
	b.mu.Lock()
	b.newFiles = append(b.newFiles, least.Seconds()*1e6)
	b.mu.Unlock()
	return os.MkdirTemp(best, "")
}

// probeNewFile is the mean time to create a folder with a small file in it.
func probeNewFile(dir string) (time.Duration, error) {
	const times = 30
	content := make([]byte, 500)
	start := time.Now()
	for i := range times {
		folder := filepath.Join(dir, strconv.Itoa(i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			return 0, err
		}
		if err := os.WriteFile(filepath.Join(folder, "attempt=1.log"), content, 0o600); err != nil {
			return 0, err
		}
	}
	return time.Since(start) / times, nil
}

// quantile returns the value below which the fraction q of values lies; it sorts them.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(int(q*float64(len(values))), len(values)-1)]
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}

// pause waits, or returns why ctx has ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

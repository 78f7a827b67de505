package stepfunctions

import (
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// group is what is remembered of the waits of one key. Nothing depends on it: a group that was forgotten learns anew.
// What only Check uses is not guarded, because checks of one key never overlap.
type group struct {
	key  string
	used time.Time // guarded by the checker

	// profiles are those of listings by status filter.
	profiles map[types.ExecutionStatus]*profile
	// sweep is a listing under way, for which the quota had too little.
	sweep *sweep
	// tick is when the next sweep is to begin; zero when executions are described each.
	tick time.Time
	// period is the time between the last sweep and the next.
	period time.Duration
	// waits is about how many waits there are, as far as they have come up.
	waits float64
	// audited is the beginning of the last sweep that would have shown whatever runs or has ended: waits from before are
	// where they are looked for.
	audited time.Time
	// starts are those of executions that started long before their wait; zero where no listing shows the execution.
	starts map[string]time.Time
	// refused is until when executions are not listed, and why.
	refused refusal
	// faults counts errors of listing in a row.
	faults int
	// ending and described are shares, see menu. They follow what sweeps find.
	ending, described float64

	mu    sync.Mutex
	usual durations
	told  map[string]bool // ends that news told of but could not explain
	lines []string
}

type refusal struct {
	until time.Time
	why   string
}

// Bounds of a group's memory.
const (
	maxStarts = 10_000
	maxTold   = 10_000
)

func (g *group) profile(status types.ExecutionStatus) *profile {
	p := g.profiles[status]
	if p == nil {
		p = &profile{}
	}
	return p
}

func (g *group) setProfile(status types.ExecutionStatus, p *profile) {
	if g.profiles == nil {
		g.profiles = map[types.ExecutionStatus]*profile{}
	}
	g.profiles[status] = p
}

// remember notes an unusual start.
func (g *group) remember(arn string, start time.Time) {
	if g.starts == nil || len(g.starts) >= maxStarts {
		g.starts = map[string]time.Time{}
	}
	g.starts[arn] = start
}

// ended learns from an end that a look has found.
func (g *group) ended(arn string, took time.Duration) {
	delete(g.starts, arn)
	g.learn(took)
}

// follow moves a share towards what a sweep has found.
func follow(share *float64, part, whole int) {
	if whole > 0 {
		*share += (min(float64(part)/float64(whole), 1) - *share) * 0.3
	}
}

// learn takes in how long an execution took; 0 is unknown.
func (g *group) learn(took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if took > 0 {
		g.usual.add(took)
	}
}

// tell notes an end that news told of without saying how.
func (g *group) tell(arn string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.told == nil || len(g.told) >= maxTold {
		g.told = map[string]bool{}
	}
	g.told[arn] = true
}

// wasTold reports, once, whether news told of an execution's end.
func (g *group) wasTold(arn string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	told := g.told[arn]
	delete(g.told, arn)
	return told
}

func (g *group) adapted(interval, age, delay time.Duration) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return adapted(interval, age, delay, &g.usual)
}

// youth is before which age executions hardly ever end.
func (g *group) youth() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	short, _, _ := g.usual.usual()
	return short
}

func (g *group) say(lines []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lines = lines
}

func (g *group) report() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.lines...)
}

//go:build linux

package daemontest

import (
	"fmt"
	"slices"
	"strings"

	"gust/dag"
)

// past is what has happened, as the database, the service and the tasks' journal tell it when everything has ended.
type past struct {
	runs  []dag.Run
	tasks map[dag.RunKey][]dag.TaskInstance
	// count is how many runs of each DAG there must be; DAGs that are not in it have any number.
	count map[string]int
	// changes are the changes of task instances' states, in the order of their commits.
	changes    []change
	executions []execution
	journal    []beginning
	ended      map[string]bool // attempts that the journal tells to have ended
	// limits are the limits that a commit exceeded.
	limits []string
	// wanted is what a run of each DAG comes to when nobody meddles with it.
	wanted map[string]pipeline
	// meddled are the runs that were cleared, marked, or whose executions somebody else touched: they end as they end.
	meddled map[dag.RunKey]bool
	// marked are the tasks whose state people have set.
	marked map[dag.Key]bool
	// asked are the attempts whose waits people have ended, or wanted to.
	asked map[dag.Attempt]asked
	// requestedEnds are the ends that they asked for and that nobody has looked at.
	requestedEnds []string
}

// tasksAsked are the tasks, by their names, for which something of that kind was asked.
func (p *past) tasksAsked(kind func(asked) bool) map[string]bool {
	names := map[string]bool{}
	for attempt, what := range p.asked {
		if kind(what) {
			names[nameOf(attempt.Key)] = true
		}
	}
	return names
}

// change is one change of a task instance's state.
type change struct {
	key      dag.Key
	from, to dag.State
	try      int
}

// execution is an execution of the service; by is who asked for it: DAG, run, task and try.
type execution struct {
	arn, by, status string
}

// beginning is an attempt's begin in the journal.
type beginning struct {
	attempt string
	life    int  // of which daemon, counted from 0
	known   bool // its end had been stored in an earlier life
}

// invariant is something that must hold whatever goes wrong. broken tells where it does not.
type invariant struct {
	name   string
	broken func(*past) []string
}

var invariants = []invariant{
	{"no run is lost or doubled", (*past).miscounted},
	{"every run ends, as it would have without faults", (*past).badEnds},
	{"nothing parked or running is forgotten", (*past).forgotten},
	{"one execution for each attempt: none doubled", (*past).doubled},
	{"one execution for each attempt: none lost", (*past).lost},
	{"every execution is awaited, adopted or stopped", (*past).abandoned},
	{"outcomes are applied once, and are those of the executions", (*past).applied},
	{"an attempt is not repeated without need", (*past).repeated},
	{"nothing succeeds that did not run", (*past).skippedWork},
	{"ends of waits that people ask for are applied", (*past).unheard},
	{"pools and limits are not exceeded", func(p *past) []string { return p.limits }},
}

// broken are all violations.
func (p *past) broken() []string {
	var all []string
	for _, i := range invariants {
		for _, text := range i.broken(p) {
			all = append(all, i.name+": "+text)
		}
	}
	return all
}

func (p *past) String() string {
	return fmt.Sprintf("%d runs (%d meddled with), %d attempts begun in the journal, %d executions: %d doubled, %d lost, %d abandoned; "+
		"violations: %d", len(p.runs), len(p.meddled), len(p.journal), len(p.executions), len(p.doubled()), len(p.lost()),
		len(p.abandoned()), len(p.broken()))
}

func (p *past) miscounted() (bad []string) {
	counts := map[string]int{}
	for i := range p.runs {
		counts[p.runs[i].DagID]++
	}
	for id, want := range p.count {
		if counts[id] != want {
			bad = append(bad, fmt.Sprintf("DAG %s has %d runs, want %d", id, counts[id], want))
		}
	}
	return bad
}

func (p *past) badEnds() (bad []string) {
	for i := range p.runs {
		r := &p.runs[i]
		want := p.wanted[r.DagID]
		switch {
		case !r.State.Finished():
			bad = append(bad, fmt.Sprintf("run %s of DAG %s is %s", r.RunID, r.DagID, r.State))
			continue
		case p.meddled[r.RunKey]:
			continue
		case r.State != want.run:
			bad = append(bad, fmt.Sprintf("run %s of DAG %s is %s (%s), want %s", r.RunID, r.DagID, r.State, r.Reason, want.run))
		}
		seen := map[string]int{}
		for j := range p.tasks[r.RunKey] {
			ti := &p.tasks[r.RunKey][j]
			seen[ti.TaskID]++
			if got := (end{ti.State, ti.TryNumber}); got != want.tasks[ti.TaskID] {
				bad = append(bad, fmt.Sprintf("%s is %s after %d tries, want %s after %d: %s", ti.Key, got.state, got.try,
					want.tasks[ti.TaskID].state, want.tasks[ti.TaskID].try, ti.Error))
			}
		}
		for task := range want.tasks {
			if n := max(1, want.mapped[task]); seen[task] != n {
				bad = append(bad, fmt.Sprintf("run %s of DAG %s has %d instances of %s, want %d", r.RunID, r.DagID, seen[task], task, n))
			}
		}
	}
	return bad
}

func (p *past) forgotten() (bad []string) {
	for _, tasks := range p.tasks {
		for i := range tasks {
			if ti := &tasks[i]; !ti.State.Finished() {
				bad = append(bad, fmt.Sprintf("%s is %s after the end of its run", ti.Key, ti.State))
			}
		}
	}
	return bad
}

func (p *past) doubled() (bad []string) {
	counts := map[string]int{}
	for _, e := range p.executions {
		if counts[e.by]++; counts[e.by] == 2 {
			bad = append(bad, fmt.Sprintf("%q started more than one execution", e.by))
		}
	}
	latest := p.latestTries()
	for _, e := range p.executions {
		task, try := attemptOf(e.by)
		if most, known := latest[task]; !known || try > most || try < 1 {
			bad = append(bad, fmt.Sprintf("%s was started by %q, which is no attempt", e.arn, e.by))
		}
	}
	return bad
}

// latestTries are the tries of all task instances, by their name as in execution.by without the try.
func (p *past) latestTries() map[string]int {
	latest := map[string]int{}
	for _, tasks := range p.tasks {
		for i := range tasks {
			latest[nameOf(tasks[i].Key)] = tasks[i].TryNumber
		}
	}
	return latest
}

// nameOf names a task instance as executions and the journal do.
func nameOf(k dag.Key) string {
	name := k.DagID + " " + k.RunID + " " + k.TaskID
	if k.MapIndex >= 0 {
		name += fmt.Sprintf("[%d]", k.MapIndex)
	}
	return name
}

// attemptOf parts the name of an attempt into the task instance and the try.
func attemptOf(by string) (task string, try int) {
	i := strings.LastIndexByte(by, ' ')
	if i < 0 {
		return by, 0
	}
	if _, err := fmt.Sscan(by[i+1:], &try); err != nil {
		return by, 0
	}
	return by[:i], try
}

func (p *past) lost() (bad []string) {
	started := map[string]bool{}
	for _, e := range p.executions {
		started[e.by] = true
	}
	for _, run := range p.runs {
		for task, tries := range p.wanted[run.DagID].executions {
			for i := range p.tasks[run.RunKey] {
				ti := &p.tasks[run.RunKey][i]
				if ti.TaskID != task {
					continue
				}
				name := nameOf(ti.Key)
				if p.meddled[run.RunKey] {
					if ti.State == dag.StateSuccess && !p.marked[ti.Key] && !startedUpTo(started, name, ti.TryNumber) {
						bad = append(bad, fmt.Sprintf("%q succeeded without an execution", name))
					}
					continue
				}
				for try := range tries {
					if by := fmt.Sprintf("%s %d", name, try+1); !started[by] {
						bad = append(bad, fmt.Sprintf("no execution was started by %q", by))
					}
				}
			}
		}
	}
	return bad
}

func startedUpTo(started map[string]bool, name string, try int) bool {
	for ; try > 0; try-- {
		if started[fmt.Sprintf("%s %d", name, try)] {
			return true
		}
	}
	return false
}

func (p *past) abandoned() (bad []string) {
	left := p.tasksAsked(func(a asked) bool { return a.leaves })
	for _, e := range p.executions {
		if task, _ := attemptOf(e.by); left[task] {
			continue
		}
		if e.status == "RUNNING" || e.status == "PENDING_REDRIVE" {
			bad = append(bad, fmt.Sprintf("%s, started by %q, is %s although nobody waits for it", e.arn, e.by, e.status))
		}
	}
	return bad
}

func (p *past) unheard() (bad []string) {
	for _, attempt := range p.requestedEnds {
		bad = append(bad, fmt.Sprintf("nobody has looked at the end that was asked for the wait of %q", attempt))
	}
	return bad
}

// applied looks at the changes of states: what has ended stays as it is unless somebody clears or marks it, and an
// attempt ends once. A task that waited for its execution ends as that.
func (p *past) applied() (bad []string) {
	ends := map[string]dag.State{}
	for _, c := range p.changes {
		if p.marked[c.key] {
			continue
		}
		if c.from.Finished() && c.to != dag.StateNone {
			bad = append(bad, fmt.Sprintf("%s try %d went from %s to %s", c.key, c.try, c.from, c.to))
		}
		if c.try == 0 || !c.to.Finished() && c.to != dag.StateUpForRetry {
			continue
		}
		attempt := fmt.Sprintf("%s try %d", c.key, c.try)
		if before, again := ends[attempt]; again {
			bad = append(bad, fmt.Sprintf("%s ended twice: %s, %s", attempt, before, c.to))
		}
		ends[attempt] = c.to
	}
	return append(bad, p.otherEnds()...)
}

// otherEnds are tasks that have not ended as their executions, without anybody's say.
func (p *past) otherEnds() (bad []string) {
	ends := map[string][]string{}
	for _, e := range p.executions {
		task, _ := attemptOf(e.by)
		ends[task] = append(ends[task], e.status)
	}
	told := p.tasksAsked(func(a asked) bool { return a.fire })
	for i := range p.runs {
		run := &p.runs[i]
		for j := range p.tasks[run.RunKey] {
			ti := &p.tasks[run.RunKey][j]
			if !p.wanted[run.DagID].waits[ti.TaskID] || p.marked[ti.Key] || told[nameOf(ti.Key)] {
				continue
			}
			succeeded := slices.Contains(ends[nameOf(ti.Key)], "SUCCEEDED")
			if ti.State == dag.StateSuccess && !succeeded ||
				ti.State == dag.StateFailed && succeeded && !p.meddled[run.RunKey] {
				bad = append(bad, fmt.Sprintf("%s is %s, its executions are %v", ti.Key, ti.State, ends[nameOf(ti.Key)]))
			}
		}
	}
	return bad
}

// repeated looks at the journal: an attempt begins again only after the daemon that ran it has gone, and not after its
// end was stored.
func (p *past) repeated() (bad []string) {
	lives := map[string]int{}
	for _, b := range p.journal {
		if b.known {
			bad = append(bad, fmt.Sprintf("attempt %q began again after its end was stored", b.attempt))
		}
		if life, before := lives[b.attempt]; before && life == b.life {
			bad = append(bad, fmt.Sprintf("attempt %q began twice in the life of daemon %d", b.attempt, b.life))
		}
		lives[b.attempt] = b.life
	}
	for attempt := range lives {
		f := strings.Fields(attempt)
		run := dag.RunKey{DagID: f[0], RunID: f[1]}
		if !p.ended[attempt] && !p.meddled[run] && !p.wanted[run.DagID].falls {
			bad = append(bad, fmt.Sprintf("attempt %q began and never ended", attempt))
		}
	}
	return bad
}

// skippedWork are attempts of bash tasks that the journal does not know.
func (p *past) skippedWork() (bad []string) {
	begun := map[string]bool{}
	for _, b := range p.journal {
		begun[b.attempt] = true
	}
	for run, tasks := range p.tasks {
		for i := range tasks {
			ti := &tasks[i]
			if ti.Operator != "BashOperator" || p.meddled[run] {
				continue
			}
			for try := range ti.TryNumber {
				if attempt := fmt.Sprintf("%s %d", nameOf(ti.Key), try+1); !begun[attempt] {
					bad = append(bad, fmt.Sprintf("attempt %q has left no trace in the journal", attempt))
				}
			}
		}
	}
	return bad
}

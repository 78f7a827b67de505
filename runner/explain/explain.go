// Package explain says in words why a task instance is in the state that it is in: what it waits for, which limit holds it
// back, what skipped it. It is pure; the caller brings the rows.
package explain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gust/dag"
	"gust/runner/plan"
	"gust/store"
)

// Situation is everything that is known of a task instance.
type Situation struct {
	Key dag.Key
	Run dag.Run
	// Tasks are the task instances of the run; DAG is the version that it runs on, nil when that is not stored.
	Tasks []dag.TaskInstance
	DAG   *dag.DAG
	// Snapshot is the state of the scheduler.
	Snapshot *store.Snapshot
	// Previous is the run before this one, nil when there is none, with its task instances.
	Previous      *dag.Run
	PreviousTasks []dag.TaskInstance
	// Skips are what branches and short circuits of the run have decided (store.SkipKey).
	Skips []store.XCom
	// Slots is [core] parallelism.
	Slots int
	// Stopped says that no daemon runs; Home is where it would.
	Stopped bool
	Home    string
	Now     time.Time
}

// Task says why the task instance is in its state, one reason a line; nothing when nothing stands in its way.
func Task(s *Situation) []string {
	ti := s.instance()
	switch {
	case ti == nil && s.Run.State.Finished():
		return []string{fmt.Sprintf("the run ended as %s%s without the task", s.Run.State, because(s.Run.Reason))}
	case ti != nil && ti.State.Finished():
		return s.ended(ti)
	case s.Run.State.Finished():
		return []string{fmt.Sprintf("the run ended as %s%s before the task", s.Run.State, because(s.Run.Reason))}
	}
	reasons := s.waiting(ti)
	if s.Stopped {
		reasons = append(reasons, fmt.Sprintf("no daemon runs on %s; start `gust scheduler` or `gust standalone`", s.Home))
	}
	return reasons
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// instance is the row, or nil; a mapped task that has not been expanded has one of index -1.
func (s *Situation) instance() *dag.TaskInstance {
	i := slices.IndexFunc(s.Tasks, func(ti dag.TaskInstance) bool { return ti.Key == s.Key })
	if i < 0 {
		return nil
	}
	return &s.Tasks[i]
}

// waiting says what an unfinished task waits for.
func (s *Situation) waiting(ti *dag.TaskInstance) []string {
	if ti != nil && s.Run.State == dag.RunRunning {
		if text := s.busy(ti); text != "" {
			return []string{text}
		}
	}
	state := plan.Inspect(plan.Config{Slots: s.Slots}, s.Snapshot, s.Now)
	var out []string
	for _, reason := range state.Unmet(s.Key) {
		if reason == "the previous run is being looked up" { // the plan asks its store; here the answer is at hand
			if reason = s.past(); reason == "" {
				continue
			}
		}
		out = append(out, reason)
	}
	if s.Run.State == dag.RunQueued {
		out = append(out, s.runLimit(out)...)
	}
	return out
}

// busy says what goes on, when something does.
func (s *Situation) busy(ti *dag.TaskInstance) string {
	switch ti.State {
	case dag.StateRunning:
		return fmt.Sprintf("the task runs: try %d of %d, since %s", ti.TryNumber, ti.MaxTries+1, stamp(ti.StartDate))
	case dag.StateQueued:
		return fmt.Sprintf("the task has been handed to the executor: try %d begins", ti.TryNumber)
	case dag.StateRestarting:
		return "the task was cleared while it ran: its attempt is being ended, then the next try begins"
	case dag.StateDeferred:
		return s.parked(ti)
	case dag.StateUpForRetry:
		return fmt.Sprintf("try %d of %d failed and the next begins at %s: %s", ti.TryNumber, ti.MaxTries+1, stamp(ti.NotBefore),
			firstLine(ti.Error))
	case dag.StateUpForReschedule:
		return "the sensor has looked without success and looks again at " + stamp(ti.NotBefore)
	}
	return ""
}

func (s *Situation) parked(ti *dag.TaskInstance) string {
	d := ti.Deferral
	if d == nil {
		return "the task waits without a worker"
	}
	text := fmt.Sprintf("the task waits without a worker on %s since %s", d.Kind, stamp(d.Since))
	if !d.Deadline.IsZero() {
		text += ", until " + stamp(d.Deadline) + " at the latest"
	}
	return text
}

// runLimit says that the DAG runs as often as it may. The plan knows it of DAGs whose file it has read.
func (s *Situation) runLimit(said []string) []string {
	if s.DAG == nil || s.Run.BackfillID != 0 || s.DAG.MaxActiveRuns <= 0 {
		return nil
	}
	running := 0
	for i := range s.Snapshot.Active {
		r := &s.Snapshot.Active[i].Run
		if r.DagID == s.Run.DagID && r.State == dag.RunRunning && r.BackfillID == 0 {
			running++
		}
	}
	if running < s.DAG.MaxActiveRuns || slices.ContainsFunc(said, func(r string) bool { return strings.Contains(r, "max_active_runs") }) {
		return nil
	}
	return []string{fmt.Sprintf("%d runs of the DAG are running and max_active_runs is %d", running, s.DAG.MaxActiveRuns)}
}

// past says why depends_on_past or wait_for_downstream holds the task back, "" when nothing does. The rules are those of
// the plan.
func (s *Situation) past() string {
	task := s.task()
	if s.Previous == nil || task == nil {
		return ""
	}
	if s.Run.BackfillID != 0 && s.Previous.BackfillID != s.Run.BackfillID {
		return ""
	}
	state, has := before(s.PreviousTasks, task.ID)
	switch {
	case !has && s.Previous.State == dag.RunQueued:
		state = dag.StateNone
	case !has && task.IgnoreFirstDependsOnPast:
		return ""
	case !has:
		return fmt.Sprintf("depends_on_past is true and the previous run %s has no instance of this task", s.Previous.RunID)
	}
	if !state.Succeeded() {
		return fmt.Sprintf("depends_on_past is true and the task is %s in the previous run %s", state, s.Previous.RunID)
	}
	if !task.WaitForDownstream {
		return ""
	}
	for _, id := range task.Downstream {
		if state, has := before(s.PreviousTasks, id); has && !state.Succeeded() {
			return fmt.Sprintf("wait_for_downstream is true and task %s is %s in the previous run %s", id, state, s.Previous.RunID)
		}
	}
	return ""
}

func (s *Situation) task() *dag.Task {
	if s.DAG == nil {
		return nil
	}
	return s.DAG.Task(s.Key.TaskID)
}

// before is the state of a task in other instances: that of a mapped task is one that did not succeed, if there is one.
func before(tasks []dag.TaskInstance, id string) (state dag.State, has bool) {
	for i := range tasks {
		if tasks[i].TaskID == id && (!has || !tasks[i].State.Succeeded()) {
			state, has = tasks[i].State, true
		}
	}
	return state, has
}

// ended says how a task came to its end.
func (s *Situation) ended(ti *dag.TaskInstance) []string {
	switch ti.State {
	case dag.StateFailed:
		text := "the task failed"
		if ti.TryNumber > 0 {
			text += fmt.Sprintf(" in try %d of %d", ti.TryNumber, max(ti.TryNumber, ti.MaxTries+1))
		}
		if ti.Error != "" {
			text += ": " + firstLine(ti.Error)
		}
		return []string{text, fmt.Sprintf("`gust tasks clear %s -t '^%s$' --run-id %s` lets it run again", ti.DagID, ti.TaskID, ti.RunID)}
	case dag.StateUpstreamFailed:
		return []string{fmt.Sprintf("its trigger rule %s cannot be met any more: %s", s.rule(), s.upstream(dag.State.FailedState))}
	case dag.StateSkipped:
		return s.skipped()
	case dag.StateRemoved:
		return []string{"the task, or this instance of it, is no longer part of the run"}
	}
	return []string{fmt.Sprintf("the task ended as %s at %s", ti.State, stamp(ti.EndDate))}
}

func (s *Situation) rule() dag.TriggerRule {
	if t := s.task(); t != nil {
		return t.TriggerRule
	}
	return dag.AllSuccess
}

// upstream lists the upstream tasks in such a state, "a is failed, b is upstream_failed".
func (s *Situation) upstream(such func(dag.State) bool) string {
	t := s.task()
	if t == nil {
		return "its version of the DAG is not stored"
	}
	var parts []string
	for i := range s.Tasks {
		u := &s.Tasks[i]
		if slices.Contains(t.Upstream, u.TaskID) && such(u.State) {
			name := u.TaskID
			if u.MapIndex >= 0 {
				name = fmt.Sprintf("%s[%d]", u.TaskID, u.MapIndex)
			}
			parts = append(parts, fmt.Sprintf("%s is %s", name, u.State))
		}
	}
	const most = 5
	if n := len(parts); n > most {
		parts = append(parts[:most], fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(parts, ", ")
}

// skipped says who skipped the task: a branch, an upstream task that was skipped, its trigger rule, or it itself.
func (s *Situation) skipped() []string {
	for i := range s.Skips {
		x := &s.Skips[i]
		var decided struct{ Followed, Skipped []string }
		if json.Unmarshal(x.Value, &decided) != nil {
			continue
		}
		t := s.task()
		switch {
		case slices.Contains(decided.Skipped, s.Key.TaskID):
			return []string{fmt.Sprintf("task %s decided to skip it", x.TaskID)}
		case decided.Followed != nil && t != nil && slices.Contains(t.Upstream, x.TaskID) && !slices.Contains(decided.Followed, s.Key.TaskID):
			chosen := strings.Join(decided.Followed, ", ")
			if chosen == "" {
				chosen = "nothing"
			}
			return []string{fmt.Sprintf("branch %s chose %s", x.TaskID, chosen)}
		}
	}
	if up := s.upstream(func(st dag.State) bool { return st == dag.StateSkipped }); up != "" {
		return []string{fmt.Sprintf("its trigger rule %s skips it: %s", s.rule(), up)}
	}
	if up := s.upstream(dag.State.Finished); up != "" && s.rule() != dag.AllSuccess {
		return []string{fmt.Sprintf("its trigger rule %s skips it: %s", s.rule(), up)}
	}
	return []string{"the task skipped itself, or was marked skipped"}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimRight(line, "\r")
}

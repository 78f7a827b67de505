package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gust/dag"
	"gust/store"
)

// Inspect builds a State for looking only: attempts that rows call queued, running or deferred are taken to be out, as
// they are while a scheduler runs. Ask it with Unmet; do not Step it.
func Inspect(cfg Config, snap *store.Snapshot, now time.Time) *State {
	cfg.inspect = true
	kept := *snap // New takes over what it is given
	kept.Active = slices.Clone(snap.Active)
	return New(cfg, &kept, now)
}

// Unmet says why a task instance does not run now, one reason per line; empty when nothing stands in its way.
func (s *State) Unmet(key dag.Key) []string {
	r := s.runs[key.Run()]
	if r == nil {
		return []string{fmt.Sprintf("run %s of DAG %s has ended or is unknown", key.RunID, key.DagID)}
	}
	if r.tasks == nil {
		return s.unmetRun(r)
	}
	i, ok := r.graph.index[key.TaskID]
	if !ok {
		return []string{fmt.Sprintf("the run's DAG version has no task %s", key.TaskID)}
	}
	t := &r.tasks[i]
	if u := r.find(key); u != nil {
		t = u
	} else if t.expanded {
		return []string{fmt.Sprintf("the mapped task has %d instances, with the map indexes 0 to %d", len(t.instances), len(t.instances)-1)}
	}
	if t.absent {
		return []string{fmt.Sprintf("the task's start_date or end_date excludes the run's date %s", stamp(r.date()))}
	}
	switch st := t.row.State; st {
	case dag.StateNone:
		return s.unmetNone(t)
	case scheduled:
		return s.unmetScheduled(t)
	case dag.StateUpForRetry:
		return []string{"the task failed and is retried at " + stamp(t.row.NotBefore.time())}
	case dag.StateUpForReschedule:
		return []string{"the sensor looks again at " + stamp(t.row.NotBefore.time())}
	default:
		return []string{fmt.Sprintf("the task is in state %s", st)}
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (s *State) unmetRun(r *run) []string {
	p := r.pipeline
	reasons := []string{"the run is queued"}
	if p.row.IsPaused {
		reasons = append(reasons, fmt.Sprintf("DAG %s is paused; switch it on with `gust dags unpause %s`",
			r.row.DagID, r.row.DagID))
	}
	if r.row.RunAfter.After(s.now) {
		reasons = append(reasons, "the run is due at "+stamp(r.row.RunAfter))
	}
	if b := r.backfill; b != nil {
		return append(reasons, b.unmet()...)
	}
	if p.dag != nil && full(p.running, p.dag.MaxActiveRuns) {
		reasons = append(reasons, fmt.Sprintf("%d runs of the DAG are running and max_active_runs is %d",
			p.running, p.dag.MaxActiveRuns))
	}
	return reasons
}

func (s *State) unmetNone(t *task) []string {
	var reasons []string
	u := t.upstream()
	if t.asked {
		reasons = append(reasons, "the number of its mapped instances is being looked up")
	}
	if v := t.verdict(); !v.Run && v.Set == dag.StateNone {
		reasons = append(reasons, fmt.Sprintf("trigger rule %s is not met: of %d upstream tasks %d succeeded, %d were "+
			"skipped, %d failed, %d are upstream_failed, %d were removed; unfinished: %s", t.spec.TriggerRule, u.Total,
			u.Success, u.Skipped, u.Failed, u.UpstreamFailed, u.Removed, t.unfinishedUpstream()))
	}
	if past := t.pastReason(); past != "" {
		reasons = append(reasons, past)
	}
	if t.run.pipeline.row.IsPaused {
		reasons = append(reasons, s.describe(&t.run.pipeline.pause, t))
	}
	return reasons
}

func (t *task) unfinishedUpstream() string {
	const most = 10
	var ids []string
	for _, j := range t.run.graph.up[t.index] {
		for u := range t.run.tasks[j].each {
			if u.row.State.Finished() {
				continue
			}
			if len(ids) == most {
				return strings.Join(append(ids, "..."), ", ")
			}
			ids = append(ids, fmt.Sprintf("%s (%s)", u.name(), u.row.State))
		}
	}
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids, ", ")
}

func (s *State) unmetScheduled(t *task) []string {
	var reasons []string
	gates := []*gate{&t.run.pipeline.pause, s.pool(t.row.Pool), &t.run.limit, s.perRun(t), s.perDag(t)}
	if s.slotless(t) {
		gates = gates[:1]
		if s.pool(t.row.Pool).deferred {
			gates = append(gates, s.pool(t.row.Pool))
		}
	}
	for _, g := range gates {
		if g != nil && g.blocks(t) && (!g.pool || t.held&heldPool == 0) {
			reasons = append(reasons, s.describe(g, t))
		}
	}
	if !s.slotless(t) && s.out.len() >= s.cfg.Slots {
		reasons = append(reasons, fmt.Sprintf("all %d slots of the executor are taken (core.parallelism)", s.cfg.Slots))
	}
	return reasons
}

func (s *State) describe(g *gate, t *task) string {
	switch {
	case g == &t.run.pipeline.pause:
		return fmt.Sprintf("DAG %s is paused; switch it on with `gust dags unpause %s`", t.run.row.DagID, t.run.row.DagID)
	case g.missing:
		return fmt.Sprintf("pool %q does not exist", g.name)
	case g.pool:
		return fmt.Sprintf("pool %q has %d of %d slots free and the task needs %d",
			g.name, max(0, g.free()), g.limit, t.need(g))
	default:
		return fmt.Sprintf("%d tasks are active and %s is %d", g.used, g.name, g.limit)
	}
}

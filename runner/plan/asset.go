package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"gust/dag"
	"gust/dag/timetable"
	"gust/store"
)

// maxRunEvents bounds how many asset events a run names: the latest count.
const maxRunEvents = 1000

// assetsLoaded takes in the events that DAGs still wait with.
func (s *State) assetsLoaded(snap *store.Snapshot) {
	s.events, s.lastEvent = snap.AssetEvents, snap.LastAssetEvent
}

// assetRequests makes the events that other processes have asked for.
func (s *State) assetRequests(requests []dag.AssetEvent) {
	for _, e := range requests {
		if s.answered[e.ID] {
			continue // committed with the Step before; the row was read earlier
		}
		s.answered[e.ID] = true
		s.d.Changes.AssetRequestsDone = append(s.d.Changes.AssetRequestsDone, e.ID)
		s.assetEvent(e)
	}
}

// produced makes the events of a task that has succeeded.
func (s *State) produced(t *task) {
	var aliases []string
	for _, o := range t.spec.Outlets {
		if o.Alias != "" {
			aliases = append(aliases, o.Alias)
		}
	}
	for _, o := range t.spec.Outlets {
		if o.Asset != nil {
			s.assetEvent(dag.AssetEvent{
				Name: o.Asset.Name, URI: o.Asset.URI, At: s.now, Source: t.key(), Extra: o.Asset.Extra, Aliases: aliases,
			})
		}
	}
}

// assetEvent records an event and lets the DAGs that wait for the asset look.
func (s *State) assetEvent(e dag.AssetEvent) {
	s.lastEvent++
	e.ID = s.lastEvent
	s.d.Changes.AssetEvents = append(s.d.Changes.AssetEvents, e)
	waiting := false
	for _, p := range s.pick(func(p *pipeline) bool { return p.row.AssetCursor > 0 && !p.row.Stale }) {
		if p.row.IsPaused {
			continue // what happens meanwhile does not count, as in Airflow; see followAssets
		}
		waiting = true
		s.touchDag(p)
	}
	if waiting {
		s.events = append(s.events, e)
	}
}

// followAssets begins, or ends, to wait for assets when a DAG's schedule changes, and passes over what has happened
// while the DAG was paused.
func (s *State) followAssets(p *pipeline) {
	waits := p.dag != nil && p.dag.Schedule.Assets != nil
	switch {
	case waits == (p.row.AssetCursor > 0):
		return
	case waits:
		p.row.AssetCursor = s.lastEvent + 1
	default:
		p.row.AssetCursor = 0
	}
	s.markDag(p)
}

// passAssets forgets the events that have happened so far for a DAG that is switched on.
func (s *State) passAssets(p *pipeline) {
	if p.row.AssetCursor > 0 && p.row.AssetCursor <= s.lastEvent {
		p.row.AssetCursor = s.lastEvent + 1
		s.markDag(p)
	}
}

// createAssetRun creates a run when the events since the last one satisfy the DAG's condition. All of them belong to
// the run, also those of assets that had been updated several times.
func (s *State) createAssetRun(p *pipeline) {
	if !p.loaded || p.row.Stale || p.row.IsPaused || p.row.AssetCursor == 0 || p.dag.Schedule.Assets == nil {
		return
	}
	condition := p.dag.Schedule.Assets
	updated, aliased := map[string]bool{}, map[string]bool{}
	var ids []int64
	refs := condition.Refs()
	for i := range s.events {
		if e := &s.events[i]; e.ID >= p.row.AssetCursor && concerns(e, refs) {
			updated[e.Name] = true
			for _, a := range e.Aliases {
				aliased[a] = true
			}
			ids = append(ids, e.ID)
		}
	}
	has := func(set map[string]bool) func(string) bool { return func(name string) bool { return set[name] } }
	if len(ids) == 0 || !condition.Satisfied(has(updated), has(aliased)) {
		return
	}
	if len(ids) > maxRunEvents {
		ids = ids[len(ids)-maxRunEvents:]
	}
	p.row.AssetCursor = s.lastEvent + 1
	s.markDag(p)
	s.dropEvents()
	last := ids[len(ids)-1]
	r := &run{fresh: true, pipeline: p, row: dag.Run{
		RunKey: dag.RunKey{DagID: p.row.DagID, RunID: assetRunID(p.row.DagID, last, timetable.RunID(dag.RunAsset, s.now))},
		State:  dag.RunQueued, Type: dag.RunAsset, TriggeredBy: dag.ByAsset, QueuedAt: s.now, RunAfter: s.now,
		IntervalStart: s.now, IntervalEnd: s.now, AssetEvents: ids,
	}}
	s.register(r)
	s.markRun(r)
}

func concerns(e *dag.AssetEvent, refs []dag.AssetRef) bool {
	for _, ref := range refs {
		if ref.Asset != nil && ref.Asset.Name == e.Name {
			return true
		}
		for _, a := range e.Aliases {
			if ref.Alias != "" && ref.Alias == a {
				return true
			}
		}
	}
	return false
}

// assetRunID ends a run id in eight characters, as Airflow does for runs without a logical date. They follow from the
// event, so that two states decide the same.
func assetRunID(dagID string, event int64, id string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", dagID, event))
	return id + "_" + hex.EncodeToString(sum[:4])
}

// dropEvents forgets the events that no DAG waits with any more.
func (s *State) dropEvents() {
	oldest := s.lastEvent + 1
	for _, p := range s.pipelines {
		if p.row.AssetCursor > 0 && !p.row.Stale {
			oldest = min(oldest, p.row.AssetCursor)
		}
	}
	n := 0
	for n < len(s.events) && s.events[n].ID < oldest {
		n++
	}
	s.events = s.events[n:]
}

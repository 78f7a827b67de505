package plan

import (
	"container/heap"
	"slices"
	"strings"

	"gust/dag"
	"gust/dag/timetable"
	"gust/store"
)

// fileLoaded takes in what a pipeline file defines.
func (s *State) fileLoaded(f File) {
	defined := make(map[string]bool, len(f.DAGs))
	for _, d := range f.DAGs {
		defined[d.ID] = true
		s.dagLoaded(d, f)
	}
	switch {
	case f.Error != "":
		s.errors[f.Path] = true
		s.d.Changes.ImportErrors = append(s.d.Changes.ImportErrors,
			store.ImportError{FileLoc: f.Path, Text: f.Error, At: s.now})
		s.d.Changes.ImportErrorsGone = slices.DeleteFunc(s.d.Changes.ImportErrorsGone,
			func(path string) bool { return path == f.Path })
	case s.errors[f.Path]:
		s.errorGone(f.Path)
	}
	for _, p := range slices.Clone(s.files[f.Path]) {
		if defined[p.row.DagID] {
			continue
		}
		if f.Error == "" {
			s.setStale(p)
		} else if !p.row.Stale {
			s.fallBack(p)
		}
	}
}

func (s *State) errorGone(path string) {
	delete(s.errors, path)
	c := &s.d.Changes
	c.ImportErrors = slices.DeleteFunc(c.ImportErrors, func(e store.ImportError) bool { return e.FileLoc == path })
	c.ImportErrorsGone = append(c.ImportErrorsGone, path)
}

// setRow replaces the row of a pipeline and keeps the index by file.
func (s *State) setRow(p *pipeline, row *store.DagRow) {
	if old := p.row.FileLoc; old != row.FileLoc {
		if old != "" {
			s.files[old] = slices.DeleteFunc(s.files[old], func(o *pipeline) bool { return o == p })
		}
		s.files[row.FileLoc] = append(s.files[row.FileLoc], p)
	}
	p.row = *row
}

// pick lists the pipelines that match, by name: map order must not show.
func (s *State) pick(match func(*pipeline) bool) []*pipeline {
	var out []*pipeline
	for _, p := range s.pipelines {
		if match(p) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *pipeline) int { return strings.Compare(a.row.DagID, b.row.DagID) })
	return out
}

// dagLoaded makes d the latest version of its pipeline.
func (s *State) dagLoaded(d *dag.DAG, f File) {
	p := s.pipeline(d.ID)
	changed := !p.known || p.row.Version != d.Version || p.row.Stale || p.row.FileLoc != f.Path
	if changed {
		paused := p.row.IsPaused
		if !p.known {
			paused = s.cfg.PausedAtCreation
			if d.IsPausedUponCreation != nil {
				paused = *d.IsPausedUponCreation
			}
		}
		if p.row.Version != d.Version || !p.known {
			s.d.Changes.Versions = append(s.d.Changes.Versions, d)
		}
		s.setRow(p, &store.DagRow{
			DagID: d.ID, FileLoc: f.Path, Version: d.Version, IsPaused: paused, Display: d.DisplayName, Owners: owners(d),
			Tags: d.Tags, Schedule: d.Schedule.Text, NextRun: p.row.NextRun,
			LastParsed: s.now, ParseSeconds: f.Took.Seconds(), AssetCursor: p.row.AssetCursor,
		})
		s.markDag(p)
		s.setPaused(p, paused)
	}
	p.loaded = true
	s.use(p, d)
}

// owners lists the owners of a DAG's tasks, as Airflow prints them.
func owners(d *dag.DAG) string {
	var names []string
	for _, t := range d.Tasks {
		if t.Owner != "" && !slices.Contains(names, t.Owner) {
			names = append(names, t.Owner)
		}
	}
	return strings.Join(names, ", ")
}

// use schedules a pipeline by this version from now on.
func (s *State) use(p *pipeline, d *dag.DAG) {
	if p.dag == nil || p.dag.Version != d.Version {
		s.dropGraph(p.graph)
		p.dag, p.graph = d, nil // prepared when its first run starts
		table, err := s.cfg.Timetable(d)
		if err != nil {
			s.warn("DAG %s is not scheduled: %v", d.ID, err)
		}
		p.table = table
	}
	s.followAssets(p)
	s.touchDag(p)
}

// setStale ends the schedule of a DAG that its file no longer defines. Its active runs finish.
func (s *State) setStale(p *pipeline) {
	if p.row.Stale || !p.known {
		return
	}
	p.row.Stale = true
	s.markDag(p)
	s.touchDag(p)
}

// fallBack keeps a DAG whose file is broken on its last good version.
func (s *State) fallBack(p *pipeline) {
	if p.dag == nil && p.known {
		s.wantVersion(p)
	}
}

// wantVersion gets the latest good version of a DAG that its file does not deliver.
func (s *State) wantVersion(p *pipeline) {
	if g := s.graphs[p.row.Version]; g != nil {
		s.versionLoaded(g.dag)
		return
	}
	if !p.asked && p.row.Version != "" {
		p.asked = true
		s.d.Needs = append(s.d.Needs, Need{Version: p.row.Version})
	}
}

// versionLoaded takes in a version from the store.
func (s *State) versionLoaded(d *dag.DAG) {
	p := s.pipelines[d.ID]
	if p == nil || p.dag != nil || p.row.Version != d.Version {
		return
	}
	p.loaded = true
	s.use(p, d)
}

// scanned removes what belongs to files that are gone.
func (s *State) scanned(e Scanned) {
	files := make(map[string]bool, len(e.Files))
	for _, f := range e.Files {
		files[f] = true
	}
	for _, p := range s.pick(func(p *pipeline) bool { return p.known && !files[p.row.FileLoc] }) {
		s.setStale(p)
	}
	s.scannedAll = true
	for _, p := range s.pick(func(p *pipeline) bool { return p.row.Stale && len(p.queued) > 0 }) {
		s.touchDag(p)
	}
	var gone []string
	for path := range s.errors {
		if !files[path] {
			gone = append(gone, path)
		}
	}
	slices.Sort(gone)
	for _, path := range gone {
		s.errorGone(path)
	}
}

// Edited reports whether rows that the State holds have been changed by other processes: it is to be replaced.
func (s *State) Edited(r *store.Refresh) bool { return r.Edits != s.edits }

// refreshed takes in what other processes have written.
func (s *State) refreshed(r *store.Refresh) {
	if s.Edited(r) {
		s.d.Reload = true // rows that are known here have been changed
		return
	}
	s.backfillsLoaded(r.Backfills)
	s.assetRequests(r.AssetRequests)
	s.waitEnds(r.WaitEnds)
	for i := range r.Dags {
		s.dagRow(&r.Dags[i])
	}
	s.poolsLoaded(r.Pools)
	for i := range r.Queued {
		q := &r.Queued[i]
		if q.DagVersion != "" && s.runs[q.RunKey] == nil {
			s.d.Reload = true // it has run before: its task instances are to be loaded with it
			continue
		}
		s.addQueued(*q)
	}
}

// dagRow takes in a stored row: the paused flag is other people's, the rest is ours once we know it.
func (s *State) dagRow(row *store.DagRow) {
	p := s.pipeline(row.DagID)
	if !p.known {
		p.known = true
		s.setRow(p, row)
		s.touchDag(p)
	}
	if p.row.IsPaused != row.IsPaused || (p.pause.limit >= 0) != row.IsPaused {
		s.setPaused(p, row.IsPaused)
	}
}

func (s *State) setPaused(p *pipeline, paused bool) {
	if p.row.IsPaused && !paused {
		s.passAssets(p)
	}
	p.row.IsPaused = paused
	p.pause.limit = noLimit
	if paused {
		p.pause.limit = 0
	}
	s.open(&p.pause)
	s.touchDag(p)
}

// poolsLoaded takes in the pools as they are now.
func (s *State) poolsLoaded(pools []store.Pool) {
	present := make(map[string]bool, len(pools))
	for i := range pools {
		p := &pools[i]
		present[p.Name] = true
		g := s.pool(p.Name)
		if g.missing || g.limit != p.Slots {
			g.missing, g.limit = false, p.Slots
			s.poolChanged(g)
		}
		if g.deferred != p.IncludeDeferred {
			s.includeDeferred(g, p.IncludeDeferred)
		}
	}
	for name, g := range s.pools {
		if !present[name] && !g.missing {
			g.missing, g.limit = true, 0
			g.warned = nil
		}
	}
}

// poolChanged looks again at everything that waits for the pool.
func (s *State) poolChanged(g *gate) {
	g.warned = nil
	over := g.oversize
	g.oversize = nil
	for _, t := range over {
		if t.waiting() {
			s.offer(t)
		}
	}
	for {
		h := g.head()
		if h == nil || g.limit < 0 || h.need(g) <= g.limit {
			break
		}
		heap.Pop(&g.wait)
		s.waitAt(g, h)
	}
	s.open(g)
}

// includeDeferred lets deferred tasks take or leave their slots of a pool.
func (s *State) includeDeferred(g *gate, on bool) {
	g.deferred = on
	for _, r := range s.runs {
		for t := range r.all {
			if t.row.State != dag.StateDeferred || t.row.Pool != g.name {
				continue
			}
			if on {
				s.take(t, heldPool)
			} else {
				s.release(t, heldPool)
			}
		}
	}
	s.open(g)
}

// slotTaken notes a slot whose run id or logical date another run has. It is given up when its turn comes: the slots
// before it, which were lost with the same commit, are not.
func (s *State) slotTaken(r *dag.Run) {
	p := s.pipeline(r.DagID)
	p.taken = append(p.taken, *r)
	s.touchDag(p)
}

// givesUp reports whether the slot is known to be taken.
func (p *pipeline) givesUp(slot *timetable.Slot) bool {
	for i := range p.taken {
		if r := &p.taken[i]; r.RunAfter.Equal(slot.RunAfter) || r.LogicalDate.Equal(slot.LogicalDate) {
			p.taken = slices.Delete(p.taken, i, i+1)
			return true
		}
	}
	return false
}

func slotOf(r *dag.Run) *timetable.Slot {
	return &timetable.Slot{
		RunAfter: r.RunAfter, LogicalDate: r.LogicalDate, IntervalStart: r.IntervalStart, IntervalEnd: r.IntervalEnd,
	}
}

// recentLoaded pauses a DAG whose latest runs have all failed.
func (s *State) recentLoaded(e Recent) {
	p := s.pipelines[e.DagID]
	if p == nil || p.dag == nil || p.row.IsPaused {
		return
	}
	n := p.dag.MaxConsecutiveFailed
	if n <= 0 || len(e.States) < n || slices.ContainsFunc(e.States[:n], func(st dag.RunState) bool {
		return st != dag.RunFailed
	}) {
		return
	}
	s.d.Changes.Pauses = append(s.d.Changes.Pauses, e.DagID)
	s.setPaused(p, true)
	s.warn("DAG %s is paused: its latest %d runs have failed (max_consecutive_failed_dag_runs)", e.DagID, n)
}

package plan

import (
	"container/heap"
	"fmt"
	"slices"

	"gust/dag"
	"gust/store"
)

// backfill is a range of runs with a limit of its own: they do not count for the DAG's max_active_runs.
type backfill struct {
	row      store.Backfill
	pipeline *pipeline
	queued   runHeap
	active   int // unfinished runs
	running  int
}

// backfillsLoaded takes in the backfills that are not completed.
func (s *State) backfillsLoaded(rows []store.Backfill) {
	for i := range rows {
		b := s.backfill(rows[i].ID)
		b.row, b.pipeline = rows[i], s.pipeline(rows[i].DagID)
		s.touchDag(b.pipeline)
	}
}

func (s *State) backfill(id int64) *backfill {
	b := s.backfills[id]
	if b == nil {
		b = &backfill{row: store.Backfill{ID: id, MaxActiveRuns: 1}}
		s.backfills[id] = b
	}
	return b
}

// joinBackfill adds an unfinished run to its backfill.
func (s *State) joinBackfill(r *run) {
	b := s.backfill(r.row.BackfillID)
	b.pipeline, r.backfill = r.pipeline, b
	b.active++
	if r.row.State == dag.RunRunning {
		b.running++
	} else {
		heap.Push(&b.queued, r)
	}
	s.touchDag(r.pipeline)
}

func (s *State) leaveBackfill(r *run) {
	b := r.backfill
	b.active--
	b.running--
	s.closeBackfill(b)
}

// closeBackfill completes a backfill whose last run has ended.
func (s *State) closeBackfill(b *backfill) {
	if b.active > 0 {
		return
	}
	delete(s.backfills, b.row.ID)
	if b.row.DagID != "" { // else it was completed before: its runs have been cleared since
		s.d.Changes.BackfillsDone = append(s.d.Changes.BackfillsDone, b.row.ID)
	}
}

// startBackfills starts queued runs of the DAG's backfills, oldest first or latest first, as far as each allows.
func (s *State) startBackfills(p *pipeline) {
	if p.row.IsPaused {
		return
	}
	for _, b := range s.backfillsOf(p) {
		for len(b.queued) > 0 && !b.row.IsPaused && b.running < b.row.MaxActiveRuns {
			r := b.next()
			if s.runs[r.row.RunKey] != r {
				b.drop(r)
				continue
			}
			d := s.versionFor(r, p)
			if d == nil {
				break
			}
			b.drop(r)
			b.running++
			s.startRun(r, p, d)
		}
	}
}

// backfillsOf lists a DAG's backfills by id: map order must not show.
func (s *State) backfillsOf(p *pipeline) []*backfill {
	var out []*backfill
	for _, b := range s.backfills {
		if b.pipeline == p {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, func(a, b *backfill) int { return int(a.row.ID - b.row.ID) })
	return out
}

// next is the queued run whose turn it is.
func (b *backfill) next() *run {
	if !b.row.RunBackwards {
		return b.queued[0]
	}
	return slices.MaxFunc(b.queued, func(x, y *run) int {
		if x.before(y) {
			return -1
		}
		return 1
	})
}

func (b *backfill) drop(r *run) {
	if i := slices.Index(b.queued, r); i >= 0 {
		heap.Remove(&b.queued, i)
	}
}

// unmet says why a queued run of the backfill does not start.
func (b *backfill) unmet() []string {
	switch {
	case b.row.IsPaused:
		return []string{fmt.Sprintf("backfill %d is paused; go on with `gust backfill unpause %d`", b.row.ID, b.row.ID)}
	case b.running >= b.row.MaxActiveRuns:
		return []string{fmt.Sprintf("%d runs of backfill %d are running and its max_active_runs is %d",
			b.running, b.row.ID, b.row.MaxActiveRuns)}
	}
	return nil
}

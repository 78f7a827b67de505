// Package plantest helps to test the scheduler without a database or an executor: a store in memory that guards every
// transition as a real one does, and DAGs from one line.
package plantest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gust/dag"
	"gust/runner/expansion"
	"gust/runner/plan"
	"gust/store"
)

// Store is the part of store.Store that the scheduler uses, in memory.
type Store struct {
	// Before, when set, is called with each commit before it is tried.
	Before func(*store.Changes)

	mu       sync.Mutex
	commits  int
	fail     []error
	dags     map[string]store.DagRow
	pools    map[string]store.Pool
	versions map[string][]byte
	decoded  map[string]*dag.DAG // of versions, as far as they have been asked for
	errors   map[string]store.ImportError
	runs     map[dag.RunKey]dag.Run
	byDag    map[string][]dag.RunKey
	dates    map[runDate]bool
	last     map[string]dag.RunKey // the latest scheduled run
	open     map[dag.RunKey]bool   // unfinished runs
	tasks    map[dag.Key]dag.TaskInstance
	order    map[dag.RunKey][]dag.Key
	history  map[dag.Key][]dag.TaskInstance
	xcoms    map[dag.Key]map[string]store.XCom
	previous map[dag.Key]map[string]store.XCom // of earlier tries
	beat     *store.Heartbeat

	edits     int64
	backfills []store.Backfill
	callbacks []dag.CallbackRequest
	stops     int64 // ID of the latest stop that an edit has asked for, counting down
	asked     int64
	events    []dag.AssetEvent
	requests  []dag.AssetEvent
	ended     int64
	waitEnds  []store.WaitEnd
}

// runDate is what no two runs share.
type runDate struct {
	dagID string
	micro int64
}

// NewStore returns a store with default_pool.
func NewStore() *Store {
	return &Store{
		dags: map[string]store.DagRow{}, versions: map[string][]byte{}, decoded: map[string]*dag.DAG{}, errors: map[string]store.ImportError{},
		pools: map[string]store.Pool{dag.DefaultPool: {Name: dag.DefaultPool, Slots: 128}},
		runs:  map[dag.RunKey]dag.Run{}, byDag: map[string][]dag.RunKey{}, dates: map[runDate]bool{}, open: map[dag.RunKey]bool{},
		last:  map[string]dag.RunKey{},
		tasks: map[dag.Key]dag.TaskInstance{}, order: map[dag.RunKey][]dag.Key{},
		history: map[dag.Key][]dag.TaskInstance{}, xcoms: map[dag.Key]map[string]store.XCom{}, previous: map[dag.Key]map[string]store.XCom{},
	}
}

// Commits is how many commits have been tried.
func (s *Store) Commits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commits
}

// FailNext makes the next commits fail with these errors, one after the other; nil lets one pass.
func (s *Store) FailNext(errs ...error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = append(s.fail, errs...)
}

// EngineLoad implements store.Engine.
func (s *Store) EngineLoad(context.Context) (*store.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := &store.Snapshot{
		Refresh: s.refresh(), Versions: map[string]*dag.DAG{}, LastScheduled: map[string]dag.Run{},
	}
	for id, k := range s.last {
		snap.LastScheduled[id] = s.runs[k]
	}
	for _, r := range s.unfinished() {
		a := store.ActiveRun{Run: r, Tasks: slim(s.tasksOf(r.RunKey))}
		for _, k := range s.order[r.RunKey] {
			if x, ok := s.xcoms[k][store.SkipKey]; ok {
				a.Skips = append(a.Skips, x)
			}
		}
		snap.Active = append(snap.Active, a)
		if r.DagVersion != "" {
			d, err := s.version(r.DagVersion)
			if err != nil {
				return nil, err
			}
			snap.Versions[r.DagVersion] = d
		}
	}
	snap.Callbacks = slices.Clone(s.callbacks)
	snap.AssetEvents = slices.Clone(s.events)
	snap.LastAssetEvent = int64(len(s.events))
	for _, e := range s.errors {
		snap.ImportErrors = append(snap.ImportErrors, e)
	}
	return snap, nil
}

// slim leaves out what a real store does not read at a start.
func slim(tasks []dag.TaskInstance) []dag.TaskInstance {
	for i := range tasks {
		if d := tasks[i].Deferral; d != nil && d.Keyed && tasks[i].State == dag.StateDeferred && !d.Ended() {
			less := *d
			less.Args, less.State = nil, nil
			tasks[i].Deferral = &less
		}
	}
	return tasks
}

// kept is a wait that stays, perhaps with a new state.
func kept(stored, change *dag.Deferral) *dag.Deferral {
	if stored == nil || change == nil || change.State == nil {
		return stored
	}
	d := *stored
	d.State = change.State
	return &d
}

// WaitsGet implements store.Waits.
func (s *Store) WaitsGet(_ context.Context, attempts []dag.Attempt) ([]store.Wait, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]store.Wait, len(attempts))
	for i, a := range attempts {
		if t, ok := s.tasks[a.Key]; ok && t.TryNumber == a.TryNumber && t.Deferral != nil {
			out[i] = store.Wait{Task: &t, Parked: t.State == dag.StateDeferred && !t.Deferral.Ended()}
			continue
		}
		for _, h := range s.history[a.Key] {
			if h.TryNumber == a.TryNumber && h.Deferral != nil {
				out[i] = store.Wait{Task: &h}
			}
		}
	}
	return out, nil
}

// EngineRefresh implements store.Engine.
func (s *Store) EngineRefresh(context.Context) (*store.Refresh, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.refresh()
	return &r, nil
}

func (s *Store) refresh() store.Refresh {
	var r store.Refresh
	for _, d := range s.dags {
		r.Dags = append(r.Dags, d)
	}
	slices.SortFunc(r.Dags, func(a, b store.DagRow) int { return strings.Compare(a.DagID, b.DagID) })
	for _, p := range s.pools {
		r.Pools = append(r.Pools, p)
	}
	slices.SortFunc(r.Pools, func(a, b store.Pool) int { return strings.Compare(a.Name, b.Name) })
	r.Edits, r.AssetRequests, r.WaitEnds = s.edits, slices.Clone(s.requests), s.requestedEnds()
	for _, b := range s.backfills {
		if b.CompletedAt.IsZero() {
			r.Backfills = append(r.Backfills, b)
		}
	}
	for _, run := range s.unfinished() {
		if run.State == dag.RunQueued {
			r.Queued = append(r.Queued, run)
		}
	}
	return r
}

// unfinished lists the runs that have not ended, oldest first.
func (s *Store) unfinished() []dag.Run {
	var out []dag.Run
	for k := range s.open {
		out = append(out, s.runs[k])
	}
	slices.SortFunc(out, func(a, b dag.Run) int { return earlier(&a, &b) })
	return out
}

func earlier(a, b *dag.Run) int {
	return cmp.Or(a.RunAfter.Compare(b.RunAfter), strings.Compare(a.DagID+a.RunID, b.DagID+b.RunID))
}

// put stores a run as it now is.
func (s *Store) put(r *dag.Run) {
	old, known := s.runs[r.RunKey]
	if !known {
		s.byDag[r.DagID] = append(s.byDag[r.DagID], r.RunKey)
	}
	if known && !old.LogicalDate.IsZero() {
		delete(s.dates, runDate{r.DagID, old.LogicalDate.UnixMicro()})
	}
	if !r.LogicalDate.IsZero() {
		s.dates[runDate{r.DagID, r.LogicalDate.UnixMicro()}] = true
	}
	if r.State.Finished() {
		delete(s.open, r.RunKey)
	} else {
		s.open[r.RunKey] = true
	}
	s.runs[r.RunKey] = *r
	last, ok := s.runs[s.last[r.DagID]]
	if r.Type == dag.RunScheduled && (!ok || earlier(&last, r) < 0) {
		s.last[r.DagID] = r.RunKey
	}
}

// sorted lists runs, oldest first: those of a DAG, or with "" of all.
func (s *Store) sorted(dagID string, match func(dag.Run) bool) []dag.Run {
	var out []dag.Run
	for id, keys := range s.byDag {
		if dagID != "" && id != dagID {
			continue
		}
		for _, k := range keys {
			if r := s.runs[k]; match(r) {
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out, func(a, b dag.Run) int { return earlier(&a, &b) })
	return out
}

func (s *Store) tasksOf(key dag.RunKey) []dag.TaskInstance {
	var out []dag.TaskInstance
	for _, k := range s.order[key] {
		out = append(out, s.tasks[k])
	}
	return out
}

func (s *Store) version(version string) (*dag.DAG, error) {
	if d := s.decoded[version]; d != nil {
		return d, nil
	}
	raw, ok := s.versions[version]
	if !ok {
		return nil, fmt.Errorf("version %s: %w", version, store.ErrNotFound)
	}
	d := &dag.DAG{}
	if err := json.Unmarshal(raw, d); err != nil {
		return nil, err
	}
	d.Index()
	s.decoded[version] = d
	return d, nil
}

// EngineCommit implements store.Engine: everything is checked before anything is applied.
func (s *Store) EngineCommit(_ context.Context, c *store.Changes) error {
	if s.Before != nil {
		s.Before(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits++
	if len(s.fail) > 0 {
		err := s.fail[0]
		s.fail = s.fail[1:]
		if errors.Is(err, store.ErrUncertain) && s.check(c) == nil {
			return errors.Join(err, s.apply(c)) // it has reached the disk all the same
		}
		if err != nil {
			return err
		}
	}
	if err := s.check(c); err != nil {
		return err
	}
	return s.apply(c)
}

func (s *Store) check(c *store.Changes) error {
	if c.Edits != nil && *c.Edits != s.edits {
		return fmt.Errorf("there have been %d edits, not %d: %w", s.edits, *c.Edits, store.ErrConflict)
	}
	for _, r := range c.Runs {
		old, ok := s.runs[r.Run.RunKey]
		switch {
		case r.New && (ok || s.dateTaken(&r.Run)):
			return fmt.Errorf("run %s: %w", r.Run.RunID, store.ErrExists)
		case !r.New && (!ok || old.State != r.From):
			return fmt.Errorf("run %s is %q, not %q: %w", r.Run.RunID, old.State, r.From, store.ErrConflict)
		}
	}
	seen := map[dag.Key]bool{}
	for _, t := range c.Tasks {
		if seen[t.Task.Key] {
			return fmt.Errorf("task %s is changed twice in one commit", t.Task.Key)
		}
		seen[t.Task.Key] = true
		old, ok := s.tasks[t.Task.Key]
		switch {
		case t.New && ok:
			return fmt.Errorf("task %s: %w", t.Task.Key, store.ErrExists)
		case !t.New && (!ok || old.State != t.From || old.TryNumber != t.FromTry):
			return fmt.Errorf("task %s is %s try %d, not %s try %d: %w", t.Task.Key, old.State, old.TryNumber, t.From,
				t.FromTry, store.ErrConflict)
		}
	}
	return nil
}

func (s *Store) dateTaken(run *dag.Run) bool {
	return !run.LogicalDate.IsZero() && s.dates[runDate{run.DagID, run.LogicalDate.UnixMicro()}]
}

func (s *Store) apply(c *store.Changes) error {
	for _, d := range c.Versions {
		raw, err := json.Marshal(d)
		if err != nil {
			return err
		}
		s.versions[d.Version] = raw
		delete(s.decoded, d.Version)
	}
	for _, d := range c.Dags {
		if old, ok := s.dags[d.DagID]; ok {
			d.IsPaused = old.IsPaused
		}
		s.dags[d.DagID] = d
	}
	for _, id := range c.Pauses {
		d := s.dags[id]
		d.IsPaused = true
		s.dags[id] = d
	}
	for _, e := range c.ImportErrors {
		s.errors[e.FileLoc] = e
	}
	for _, f := range c.ImportErrorsGone {
		delete(s.errors, f)
	}
	for _, r := range c.Runs {
		s.put(&r.Run)
	}
	for _, k := range c.XComsClear {
		s.clearXComs(k)
	}
	for _, t := range c.Tasks {
		if t.Gone {
			delete(s.tasks, t.Task.Key)
			s.order[t.Task.Run()] = slices.DeleteFunc(s.order[t.Task.Run()], func(k dag.Key) bool { return k == t.Task.Key })
			continue
		}
		if t.New {
			s.order[t.Task.Run()] = append(s.order[t.Task.Run()], t.Task.Key)
		}
		if t.KeepWait {
			t.Task.Deferral = kept(s.tasks[t.Task.Key].Deferral, t.Task.Deferral)
		}
		s.tasks[t.Task.Key] = t.Task
	}
	for _, h := range c.History {
		s.history[h.Key] = append(s.history[h.Key], h)
	}
	for _, x := range c.XComs {
		s.putXCom(x, c)
	}
	for _, id := range c.BackfillsDone {
		for i := range s.backfills {
			if s.backfills[i].ID == id {
				s.backfills[i].CompletedAt = time.Unix(1, 0)
			}
		}
	}
	s.callbacks = append(s.callbacks, c.Callbacks...)
	s.callbacks = slices.DeleteFunc(s.callbacks, func(r dag.CallbackRequest) bool { return slices.Contains(c.CallbacksDone, r.ID) })
	s.events = append(s.events, c.AssetEvents...)
	s.requests = slices.DeleteFunc(s.requests, func(e dag.AssetEvent) bool { return slices.Contains(c.AssetRequestsDone, e.ID) })
	s.waitEnds = slices.DeleteFunc(s.waitEnds, func(e store.WaitEnd) bool { return slices.Contains(c.WaitEndsDone, e.ID) })
	if c.Heartbeat != nil {
		s.beat = c.Heartbeat
	}
	return nil
}

// RunCreate implements store.Runs.
func (s *Store) RunCreate(_ context.Context, run *dag.Run) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.runs[run.RunKey]; ok || s.dateTaken(run) {
		return fmt.Errorf("run %s: %w", run.RunID, store.ErrExists)
	}
	s.put(run)
	return nil
}

// RunGet implements store.Runs.
func (s *Store) RunGet(_ context.Context, key dag.RunKey) (*dag.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.runs[key]
	if !ok {
		return nil, fmt.Errorf("run %s: %w", key.RunID, store.ErrNotFound)
	}
	return &r, nil
}

// RunList implements store.Runs for the filters that the scheduler uses.
func (s *Store) RunList(_ context.Context, p *store.RunListParams) ([]dag.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.sorted(p.DagID, func(r dag.Run) bool {
		return (len(p.States) == 0 || slices.Contains(p.States, r.State)) &&
			(len(p.Types) == 0 || slices.Contains(p.Types, r.Type)) &&
			(p.LogicalDate.IsZero() || r.LogicalDate.Equal(p.LogicalDate)) &&
			(p.Before.IsZero() || r.RunAfter.Before(p.Before))
	})
	slices.Reverse(out)
	if p.Limit > 0 && len(out) > p.Limit {
		out = out[:p.Limit]
	}
	return out, nil
}

// TaskInstanceList implements store.TaskInstances.
func (s *Store) TaskInstanceList(_ context.Context, key dag.RunKey) ([]dag.TaskInstance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tasksOf(key), nil
}

// DagVersionGet implements store.Dags.
func (s *Store) DagVersionGet(_ context.Context, version string) (*dag.DAG, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version(version)
}

// Answer answers a question of the plan.
func (s *Store) Answer(n plan.Need) (plan.Event, error) {
	ctx := context.Background()
	switch {
	case n.Version != "":
		d, err := s.DagVersionGet(ctx, n.Version)
		return plan.Version{DAG: d}, err
	case n.Recent != "":
		runs, err := s.RunList(ctx, &store.RunListParams{DagID: n.Recent, Limit: n.Limit,
			States: []dag.RunState{dag.RunSuccess, dag.RunFailed}})
		e := plan.Recent{DagID: n.Recent}
		for _, r := range runs {
			e.States = append(e.States, r.State)
		}
		return e, err
	}
	if n.Runtimes != "" {
		return s.runtimes(n), nil
	}
	if n.Mapped != nil {
		return s.lengths(n)
	}
	p := &store.RunListParams{DagID: n.Before.DagID, Before: n.Before.RunAfter}
	if n.ScheduledOnly {
		p.Types = []dag.RunType{dag.RunScheduled}
	}
	runs, err := s.RunList(ctx, p)
	e := plan.Past{Run: n.Before.RunKey, Known: map[string]bool{}}
	for i, r := range runs {
		tasks, _ := s.TaskInstanceList(ctx, r.RunKey)
		if i == 0 {
			e.Previous = &store.ActiveRun{Run: r, Tasks: tasks}
			continue
		}
		for _, t := range tasks {
			e.Known[t.TaskID] = true
		}
	}
	return e, err
}

func (s *Store) runtimes(n plan.Need) plan.Event {
	e := plan.Runtimes{Run: n.Run}
	for _, r := range s.AllRuns() {
		if r.DagID == n.Runtimes && r.State.Finished() {
			e.Took = append(e.Took, r.EndDate.Sub(r.StartDate))
		}
	}
	return e
}

func (s *Store) lengths(n plan.Need) (plan.Event, error) {
	ctx := context.Background()
	e := plan.Lengths{Run: n.Run, TaskID: n.Mapped.ID}
	var err error
	e.Items, err = expansion.Lengths(ctx, s, n.DAG, n.Run, n.Mapped.Mapped)
	var unmappable *expansion.UnmappableError
	if errors.As(err, &unmappable) {
		e.Problem, err = err.Error(), nil
	}
	return e, err
}

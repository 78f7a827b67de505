package plan

import (
	"maps"
	"slices"
	"time"

	"gust/dag"
	"gust/dag/timetable"
	"gust/store"
)

// State is everything the scheduler knows: DAGs, unfinished runs with their tasks, limits and what uses them. It is not
// safe for concurrent use.
type State struct {
	cfg      Config
	now      time.Time
	stepped  bool
	stopping bool
	// scannedAll says that every pipeline file has been read once.
	scannedAll bool

	pipelines map[string]*pipeline
	runs      map[dag.RunKey]*run
	files     map[string][]*pipeline // that a file defines or defined
	graphs    map[string]*graph
	pools     map[string]*gate
	backfills map[int64]*backfill
	// events are the asset events that some DAG waits with, lastEvent is the ID of the latest of all; answered are the
	// requests for events that have been met.
	events    []dag.AssetEvent
	lastEvent int64
	answered  map[int64]bool
	// waitsEnded are the requested ends of waits that have been answered, of those that were read last.
	waitsEnded map[int64]bool
	// callbacks are due and not known to have been carried out; lastCallback is the latest ID.
	callbacks    map[int64]bool
	lastCallback int64
	// stops are due when their attempt has left the executor.
	stops map[dag.Attempt][]dag.CallbackRequest
	// edits is the number of edits that the rows known here contain.
	edits  int64
	errors map[string]bool // files with a stored import error

	out    holding  // in the executor
	ready  taskHeap // waiting for an executor slot, and for no other limit as far as known
	timers timerHeap
	seq    int
	shapes map[shape]*shape

	// parkMoves are the changes that the latest Step has made to what the trigger loop holds (task.parked).
	parkMoves []parkMove
	// reparks are parked by the next Steps, some at a time.
	reparks []*task

	// Work lists of the running Step.
	examine    fifo[*task]
	touched    fifo[*run]
	advance    fifo[*pipeline]
	opened     fifo[*gate]
	dirtyTasks []*task
	dirtyRuns  []*run
	dirtyDags  []*pipeline
	lagging    fifo[lag]
	creators   []*pipeline // that created runs in this Step
	closed     []*run      // that ended in this Step

	d Decision
}

// pipeline is a DAG id: its latest good version, and what its runs use.
type pipeline struct {
	row   store.DagRow
	known bool // the store has a row
	// dag is the latest good version, nil until a file or the store delivers it. loaded says that a file did, or that
	// its file is known to be broken: only then the schedule is followed.
	dag     *dag.DAG
	graph   *graph
	loaded  bool
	table   timetable.Timetable
	last    *timetable.Slot
	taken   []dag.Run // slots that another run has
	asked   bool      // for the version
	pause   gate
	queued  runHeap
	active  int // unfinished runs
	running int
	perTask map[string]*gate
	// wake and wakeQueued are the latest timers set for the schedule and for a queued run that is not due.
	wake       time.Time
	wakeQueued time.Time
	created    int // runs created in this Step
	touched    bool
	dirty      bool
}

// run is an unfinished run.
type run struct {
	row      dag.Run
	saved    dag.RunState
	fresh    bool // not in the store yet
	dirty    bool
	touched  bool
	pipeline *pipeline
	backfill *backfill // nil: none
	graph    *graph
	// pinned is the version that a run which has run before goes on with, nil: the latest.
	pinned *dag.DAG
	tasks  []task // by graph index, nil until the run starts
	// stored are the task instances of a run that had run before and was queued again.
	stored     []dag.TaskInstance
	skips      []store.XCom
	unfinished int
	live       int // neither none nor finished
	pastOpen   int // unfinished and dependent on the previous run
	asking     int // mapped tasks whose number of instances is being looked up
	limit      gate
	perTask    map[int]*gate
	deadline   time.Time
	average    []time.Duration // of the latest runs, once asked for
	nextAfter  time.Time
	// prev is the run before, once known; next are the runs that look back at this one.
	prev      *past
	prevKnown bool
	next      []*run
}

// past is a run as seen from the one after it.
type past struct {
	row    dag.Run
	live   *run // nil once it has finished
	states map[string]dag.State
	prior  map[string]bool
}

// task is a task instance of an unfinished run.
type task struct {
	row   row
	run   *run
	spec  *dag.Task
	up    *dag.Upstream // nil without upstream tasks, and of mapped instances
	saved dag.State
	since moment // of a state whose row may lag
	// pulled is the gate whose capacity this ready task is counted against; held says which gates it occupies.
	pulled *gate
	// base is the mapped task that an instance belongs to, nil for every other task.
	base *task
	*mapping
	index    int32
	savedTry int32
	held     held

	absent  bool // the run has no instance of this task
	fresh   bool // not in the store yet
	dirty   bool
	listed  bool // on the examine list
	resumed bool // goes before new work
	lagged  bool // the row may now say scheduled
	parked  bool // in the trigger loop
	reparks bool // on the list of those to be parked again
}

// mapping is what a mapped task has besides. instances are there once it is expanded, by map index; it has no row of its
// own then. former are the rows of an earlier expansion that has been cleared as a whole: the task is expanded again, and
// they stand for it until then.
type mapping struct {
	instances []task
	former    []dag.TaskInstance
	expansion int  // executor.Work.Expansion of the instances
	asked     bool // for the lengths of the mapped fields
	expanded  bool
	untouched int // instances without a state
}

// unmapped is the mapping of every other task.
var unmapped mapping

// New builds the State from a snapshot, which it takes over. Whatever has to happen because of it (attempts to dispatch again, waits to park
// again) comes out of the first Step.
func New(cfg Config, snap *store.Snapshot, now time.Time) *State {
	if cfg.Timetable == nil {
		cfg.Timetable = func(d *dag.DAG) (timetable.Timetable, error) { return timetable.New(d.Schedule, d.Timezone) }
	}
	switch {
	case cfg.StateLag == 0:
		cfg.StateLag = defaultStateLag
	case cfg.StateLag < 0:
		cfg.StateLag = 0
	}
	old, lost := cfg.Replaces, cfg.Lost
	cfg.Replaces = nil
	s := &State{
		cfg: cfg, now: now.UTC(),
		pipelines: map[string]*pipeline{}, runs: map[dag.RunKey]*run{}, graphs: map[string]*graph{},
		files: map[string][]*pipeline{},
		pools: map[string]*gate{}, backfills: map[int64]*backfill{}, answered: map[int64]bool{}, callbacks: map[int64]bool{}, errors: map[string]bool{},
		stops: map[dag.Attempt][]dag.CallbackRequest{}, out: newHolding(nil, false), shapes: map[shape]*shape{},
	}
	if old == nil {
		s.load(snap, nil)
		return s
	}
	lost = lost || !old.stepped // what its New has decided was not released either
	s.stopping, s.scannedAll, s.seq, s.lastCallback = old.stopping, old.scannedAll, old.seq, old.lastCallback
	s.out = newHolding(&old.out, lost)
	s.load(snap, newSurvivor(old, lost))
	s.inherit(old)
	return s
}

// Idle reports whether there is no unfinished run.
func (s *State) Idle() bool { return len(s.runs) == 0 }

// graphFor returns the prepared graph of a DAG version and counts one more user.
func (s *State) graphFor(d *dag.DAG) *graph {
	g := s.graphs[d.Version]
	if g == nil {
		g = newGraph(d)
		s.graphs[d.Version] = g
	}
	g.refs++
	return g
}

func (s *State) dropGraph(g *graph) {
	if g == nil {
		return
	}
	if g.refs--; g.refs == 0 {
		delete(s.graphs, g.dag.Version)
	}
}

func (s *State) pipeline(id string) *pipeline {
	p := s.pipelines[id]
	if p == nil {
		p = &pipeline{row: store.DagRow{DagID: id}, pause: gate{name: "paused", limit: noLimit}}
		s.pipelines[id] = p
	}
	return p
}

func (s *State) touchRun(r *run) {
	if !r.touched {
		r.touched = true
		s.touched.push(r)
	}
}

func (s *State) touchDag(p *pipeline) {
	if !p.touched {
		p.touched = true
		s.advance.push(p)
	}
}

func (s *State) markRun(r *run) {
	if !r.dirty {
		r.dirty = true
		s.dirtyRuns = append(s.dirtyRuns, r)
	}
}

func (s *State) markDag(p *pipeline) {
	if !p.dirty {
		p.dirty = true
		s.dirtyDags = append(s.dirtyDags, p)
	}
}

func (s *State) mark(t *task) {
	if !t.dirty {
		t.dirty = true
		s.dirtyTasks = append(s.dirtyTasks, t)
	}
}

// look lets a task without a state be examined; of an expanded task, its instances.
func (s *State) look(t *task) {
	switch {
	case t.expanded:
		for i := 0; t.untouched > 0 && i < len(t.instances); i++ {
			if u := &t.instances[i]; u.row.State == dag.StateNone {
				s.look(u)
			}
		}
	case !t.listed && !t.absent:
		t.listed = true
		s.examine.push(t)
	}
}

// fifo is a queue that reuses its memory.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) push(x T) { q.items = append(q.items, x) }
func (q *fifo[T]) len() int { return len(q.items) - q.head }
func (q *fifo[T]) first() T { return q.items[q.head] }

func (q *fifo[T]) pop() T {
	var zero T
	x := q.items[q.head]
	q.items[q.head] = zero
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return x
}

// lag is a task that has been in a state, whose row may lag, since a time.
type lag struct {
	task *task
	at   moment
}

// holding is the set of attempts that somebody holds, one of a task instance at a time, and how the latest Step has
// changed it.
type holding struct {
	set         map[dag.Key]int // the try
	added, gone []dag.Attempt
}

// newHolding copies a set; without says to undo the latest Step.
func newHolding(old *holding, undo bool) holding {
	h := holding{set: map[dag.Key]int{}}
	if old == nil {
		return h
	}
	maps.Copy(h.set, old.set)
	if undo {
		for _, a := range old.added {
			delete(h.set, a.Key)
		}
		for _, a := range old.gone {
			h.set[a.Key] = a.TryNumber
		}
	}
	return h
}

func (h *holding) has(a dag.Attempt) bool { try, ok := h.set[a.Key]; return ok && try == a.TryNumber }
func (h *holding) holds(k dag.Key) bool   { _, ok := h.set[k]; return ok }
func (h *holding) len() int               { return len(h.set) }
func (h *holding) begin()                 { h.added, h.gone = h.added[:0], h.gone[:0] }

func (h *holding) add(a dag.Attempt) {
	h.set[a.Key] = a.TryNumber
	h.added = append(h.added, a)
}

func (h *holding) remove(a dag.Attempt) {
	if h.has(a) {
		delete(h.set, a.Key)
		h.gone = append(h.gone, a)
	}
}

// sorted lists the attempts in a fixed order: map order must not show.
func (h *holding) sorted() []dag.Attempt {
	all := make([]dag.Attempt, 0, len(h.set))
	for key, try := range h.set {
		all = append(all, dag.Attempt{Key: key, TryNumber: try})
	}
	slices.SortFunc(all, compareAttempts)
	return all
}

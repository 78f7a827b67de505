package plan

import (
	"cmp"
	"math"
	"time"

	"gust/dag"
)

// row is a task instance as the plan keeps it, in a third of the space: there may be a million. What is the same for
// many is shared, what is rare is apart, and what a parked task waits for is in the store alone.
type row struct {
	*shape
	*rare
	State dag.State
	// Deferral is the wait of a task that is about to be written or to be parked, or that has been answered.
	Deferral *dag.Deferral

	QueuedAt, StartDate, EndDate, FirstStart, NotBefore moment

	MapIndex, TryNumber, MaxTries int32
	wait                          waitRow
}

// shape is what the instances of a task have in common. It is never changed.
type shape struct {
	Operator, Pool      string
	PoolSlots, Priority int
}

// rare is what most task instances do not have. It is replaced, never changed.
type rare struct {
	Error, RenderedMapIndex, Note string
	// archive is the finished try to be archived with the next write.
	archive *dag.TaskInstance
}

var (
	noShape shape
	common  rare
)

// waitRow says what the stored row has of the wait.
type waitRow uint8

const (
	waitWritten waitRow = iota // what Deferral says is to be written
	waitKept                   // the row holds the wait; Deferral is at most what to park it with
	waitNoted                  // the same, but State of Deferral is to be written
)

// rowOf is a stored task instance. A wait that goes on, or was given up, stays in the store.
func (s *State) rowOf(ti *dag.TaskInstance) row {
	r := row{
		shape: s.shape(shape{ti.Operator, ti.Pool, ti.PoolSlots, ti.Priority}), rare: &common, State: ti.State,
		Deferral: ti.Deferral, QueuedAt: momentOf(ti.QueuedAt), StartDate: momentOf(ti.StartDate),
		EndDate: momentOf(ti.EndDate), FirstStart: momentOf(ti.FirstStart), NotBefore: momentOf(ti.NotBefore),
		MapIndex: int32(ti.MapIndex), TryNumber: int32(ti.TryNumber), MaxTries: int32(ti.MaxTries),
	}
	if ti.Error != "" || ti.RenderedMapIndex != "" || ti.Note != "" {
		r.rare = &rare{Error: ti.Error, RenderedMapIndex: ti.RenderedMapIndex, Note: ti.Note}
	}
	switch {
	case ti.Deferral == nil:
	case ti.State.Finished():
		r.keepWait()
	case ti.State == dag.StateDeferred && !ti.Deferral.Ended():
		r.wait = waitKept
	}
	return r
}

// shape returns the one shape of this content.
func (s *State) shape(of shape) *shape {
	if known := s.shapes[of]; known != nil {
		return known
	}
	s.shapes[of] = &of
	return &of
}

func (t *task) key() dag.Key {
	return dag.Key{DagID: t.run.row.DagID, RunID: t.run.row.RunID, TaskID: t.spec.ID, MapIndex: int(t.row.MapIndex)}
}

func (t *task) attempt() dag.Attempt {
	return dag.Attempt{Key: t.key(), TryNumber: int(t.row.TryNumber)}
}

// instance is the task instance at length. What a parked task waits for is left out.
func (t *task) instance() dag.TaskInstance {
	r := &t.row
	return dag.TaskInstance{
		Key: t.key(), State: r.State, TryNumber: int(r.TryNumber), MaxTries: int(r.MaxTries), Operator: r.Operator,
		Pool: r.Pool, PoolSlots: r.PoolSlots, Priority: r.Priority, QueuedAt: r.QueuedAt.time(), StartDate: r.StartDate.time(),
		EndDate: r.EndDate.time(), FirstStart: r.FirstStart.time(), NotBefore: r.NotBefore.time(), Deferral: r.Deferral,
		Error: r.Error, RenderedMapIndex: r.RenderedMapIndex, Note: r.Note,
	}
}

// mayRetry is dag.TaskInstance.MayRetry.
func (r *row) mayRetry() bool { return r.TryNumber <= r.MaxTries }

// setWait replaces the wait, by nil for none.
func (r *row) setWait(d *dag.Deferral) { r.Deferral, r.wait = d, waitWritten }

// keepWait forgets the wait here; the row has it.
func (r *row) keepWait() { r.Deferral, r.wait = nil, waitKept }

func (r *row) setRare(change func(*rare)) {
	next := *r.rare
	change(&next)
	r.rare = &next
	if next == common {
		r.rare = &common
	}
}

func (r *row) setError(text string) {
	if r.Error != text {
		r.setRare(func(x *rare) { x.Error = text })
	}
}

// moment is a time as Unix nanoseconds, 0 for none.
type moment int64

func momentOf(t time.Time) moment {
	switch {
	case t.IsZero():
		return 0
	case t.Year() > 2261:
		return math.MaxInt64
	case t.Year() < 1678:
		return math.MinInt64
	}
	return cmp.Or(moment(t.UnixNano()), 1)
}

func (m moment) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(m)).UTC()
}

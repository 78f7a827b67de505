package interp

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
)

// snapshotVersion is the first byte of a snapshot.
const snapshotVersion = 2

// statuses are the statuses by their number in a snapshot.
var statuses = []Status{"", Running, Succeeded, Failed, TimedOut, Aborted}

// Snapshot returns everything that [Restore] needs beside the machine and info, in one piece.
func (x *Execution) Snapshot() ([]byte, error) { return x.encode(false), nil }

// encode writes the execution. In parts, only what is not in any part is written.
func (x *Execution) encode(parts bool) []byte {
	e := &encoder{data: make([]byte, 0, 128), start: x.epoch()}
	e.byte(snapshotVersion)
	st := &x.state
	e.byte(byte(slices.Index(statuses, st.status)))
	e.optional(st.output)
	e.optional(st.err)
	e.optional(st.cause)
	e.time(st.stopTime)
	e.int(st.lastEvent)
	e.int(st.lastID)
	e.int(st.lastTask)
	e.uint(st.draws)
	e.time(st.deadline)
	e.int(int64(st.redrives))
	e.time(st.redriveAt)
	e.time(st.yielded)
	var waiting []int64
	for _, t := range x.queue {
		if !t.gone && t.phase == ready {
			waiting = append(waiting, t.id)
		}
	}
	e.uint(uint64(len(waiting)))
	for _, id := range waiting {
		e.int(id)
	}
	e.byte(flag(parts))
	if x.root == nil {
		return e.data
	}
	if parts {
		x.encodeThread(e, x.root, true)
		return e.data
	}
	x.root.walk(func(t *thread) { x.encodeThread(e, t, false) })
	return e.data
}

// epoch is what the instants of a snapshot are counted from.
func (x *Execution) epoch() time.Time { return x.info.StartTime.Truncate(time.Millisecond) }

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// What a thread has, as bits of the number that follows its id.
const (
	hasParent = 1 << iota
	hasTimes
	hasTask
	hasAttempts
	hasVariables
	hasFork
	// sameInput and parentInput are inputs that need not be written: the execution's, the parent thread's.
	sameInput
	parentInput
)

func (x *Execution) encodeThread(e *encoder, t *thread, parts bool) {
	bits := uint64(0)
	set := func(bit uint64, on bool) {
		if on {
			bits |= bit
		}
	}
	set(hasParent, t.parent != nil)
	set(hasTimes, !t.due().IsZero())
	set(hasTask, t.task != nil)
	set(hasAttempts, t.attempts != nil)
	set(hasVariables, t.variables.Len() > 0)
	set(hasFork, t.fork != nil)
	set(sameInput, t.inputText == x.inputText)
	set(parentInput, t.parent != nil && t.inputText == t.parent.inputText)
	e.int(t.id)
	e.uint(bits)
	if t.parent != nil {
		e.int(t.parent.id)
		e.int(int64(t.index))
	}
	e.byte(byte(t.phase))
	e.text(t.state.Name)
	if bits&(sameInput|parentInput) == 0 {
		e.text(t.inputText)
	}
	e.int(t.previous)
	e.int(t.entered)
	e.time(t.enteredAt)
	e.int(t.taskID)
	e.int(t.retries)
	if bits&hasTimes != 0 {
		e.time(t.wake)
		e.time(t.timeoutAt)
		e.time(t.heartbeatAt)
	}
	if t.task != nil {
		x.encodeTask(e, t)
	}
	if t.attempts != nil {
		e.uint(uint64(len(t.attempts)))
		for _, n := range t.attempts {
			e.int(n)
		}
	}
	if bits&hasVariables != 0 {
		e.text(t.variables.String())
	}
	if t.fork != nil {
		t.fork.encode(e, parts)
	}
}

func (x *Execution) encodeTask(e *encoder, t *thread) {
	n := t.task
	_, open := x.tasks[n.id]
	e.int(n.id)
	e.byte(flag(open) | flag(n.started)<<1 | flag(n.submitted)<<2 | flag(n.input == t.inputText)<<3 | flag(n.mapRun != nil)<<4)
	if n.mapRun != nil {
		run := *n.mapRun
		if t.state.QueryLanguage == asl.JSONPath {
			// A path finds the same items again.
			run.Items = jsonvalue.Value{}
		}
		data, err := json.Marshal(run)
		if err != nil {
			// Nothing in it can fail to be written.
			data = nil
		}
		e.text(string(data))
		return
	}
	if n.input != t.inputText {
		e.text(n.input)
	}
	e.text(n.credentials)
	e.int(n.timeout)
	e.int(n.heartbeat)
	e.text(n.submission)
}

// encode writes the fork. In parts, items and results stand elsewhere.
func (f *fork) encode(e *encoder, parts bool) {
	e.int(f.base)
	e.uint(uint64(len(f.results)))
	e.int(int64(f.next))
	e.int(int64(f.limit))
	if parts {
		return
	}
	for _, item := range f.items[min(f.next, len(f.items)):] {
		e.text(item.String())
	}
	for i, done := range f.done {
		e.byte(flag(done))
		if done {
			e.text(f.results[i].String())
		}
	}
}

// Restore returns the execution that a snapshot was taken of. The machine and info must be those it was started with,
// and parts all the parts that are stored with the snapshot, in any order.
func Restore(m *asl.Machine, info Info, snapshot []byte, parts ...Part) (*Execution, error) {
	x, err := New(m, info)
	if err != nil {
		return nil, err
	}
	if err := x.restore(snapshot, parts); err != nil {
		return nil, fmt.Errorf("read the snapshot of %s: %w", info.ExecutionARN, err)
	}
	return x, nil
}

func (x *Execution) restore(snapshot []byte, parts []Part) error {
	if len(snapshot) > 0 && snapshot[0] == '{' {
		return x.restoreOld(snapshot)
	}
	d := &decoder{data: snapshot, start: x.epoch()}
	if d.byte() != snapshotVersion {
		d.fail("the version is another")
	}
	queued := x.decodeState(d)
	x.saved.split = d.byte() != 0
	threads := map[int64]*thread{}
	parents := map[int64]int64{}
	for len(d.data) > 0 {
		x.decodeThread(d, threads, parents, x.saved.split)
	}
	results := map[int64][]byte{}
	for _, p := range parts {
		if len(p.Data) > 0 && p.Data[0] == threadPart {
			pd := &decoder{data: p.Data[1:], start: d.start}
			x.decodeThread(pd, threads, parents, true)
			d.err = cmp.Or(d.err, pd.err)
			continue
		}
		results[p.ID] = p.Data
	}
	if d.err != nil {
		return d.err
	}
	return x.assemble(threads, parents, results, queued)
}

// assemble puts the threads that were read into the execution. parents are the numbers of the threads around them, results
// the parts that hold items and results, queued the threads whose turn comes.
func (x *Execution) assemble(threads map[int64]*thread, parents map[int64]int64, results map[int64][]byte, queued []int64) error {
	// Parents come before what is in them.
	for _, id := range slices.Sorted(maps.Keys(threads)) {
		if err := x.attach(threads[id], threads, parents, results); err != nil {
			return err
		}
	}
	for _, id := range queued {
		if t := threads[id]; t != nil {
			x.wakeUp(t)
		}
	}
	if x.root == nil && x.state.status != Succeeded {
		return fmt.Errorf("%w: it has no thread", errSnapshot)
	}
	return nil
}

// decodeState returns the IDs of the threads whose turn comes.
func (x *Execution) decodeState(d *decoder) (queued []int64) {
	st := &x.state
	if i := int(d.byte()); i < len(statuses) {
		st.status = statuses[i]
	} else {
		d.fail("the status is unknown")
	}
	st.output, st.err, st.cause = d.optional(), d.optional(), d.optional()
	st.stopTime = d.time()
	st.lastEvent, st.lastID, st.lastTask = d.int(), d.int(), d.int()
	st.draws = d.uint()
	st.deadline = d.time()
	st.redrives = int(d.int())
	st.redriveAt, st.yielded = d.time(), d.time()
	for range d.count() {
		queued = append(queued, d.int())
	}
	return queued
}

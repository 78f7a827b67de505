package interp

import (
	"encoding/json"
	"fmt"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
)

// decodeThread reads a thread. Inputs that were not written, parents and results are found by attach.
func (x *Execution) decodeThread(d *decoder, threads map[int64]*thread, parents map[int64]int64, parts bool) {
	t := &thread{id: d.int(), heapIndex: -1}
	bits := d.uint()
	if bits&hasParent != 0 {
		parents[t.id] = d.int()
		t.index = int(d.int())
	}
	t.phase = phase(d.byte())
	name := d.text()
	if t.state = x.machine.State(name); t.state == nil && d.err == nil {
		d.fail(fmt.Sprintf("the state %q is not in the definition", name))
	}
	switch {
	case bits&sameInput != 0:
		t.input, t.inputText = x.input, x.inputText
	case bits&parentInput == 0:
		t.inputText = d.text()
		t.input = d.json(t.inputText)
	}
	t.previous, t.entered, t.enteredAt = d.int(), d.int(), d.time()
	t.taskID, t.retries = d.int(), d.int()
	if bits&hasTimes != 0 {
		t.wake, t.timeoutAt, t.heartbeatAt = d.time(), d.time(), d.time()
	}
	if bits&hasTask != 0 {
		x.decodeTask(d, t)
	}
	if bits&hasAttempts != 0 {
		t.attempts = []int64{}
		for range d.count() {
			t.attempts = append(t.attempts, d.int())
		}
	}
	if bits&hasVariables != 0 {
		t.variables = d.json(d.text())
	}
	if bits&hasFork != 0 {
		t.fork = d.fork(t.state, parts)
	}
	if d.err == nil {
		threads[t.id] = t
	}
}

// json reads a JSON text that was written by this package.
func (d *decoder) json(text string) jsonvalue.Value {
	if d.err != nil {
		return jsonvalue.Value{}
	}
	v, err := jsonvalue.Parse(text)
	if err != nil {
		d.fail(err.Error())
	}
	return v
}

func (x *Execution) decodeTask(d *decoder, t *thread) {
	n := &task{id: d.int()}
	flags := d.byte()
	n.started, n.submitted = flags&2 != 0, flags&4 != 0
	t.task = n
	if flags&16 != 0 {
		n.mapRun = &MapRun{}
		if err := json.Unmarshal([]byte(d.text()), n.mapRun); err != nil && d.err == nil {
			d.fail(err.Error())
		}
	} else {
		if flags&8 == 0 {
			n.input = d.text()
		}
		n.credentials, n.timeout, n.heartbeat, n.submission = d.text(), d.int(), d.int(), d.text()
	}
	if flags&1 != 0 {
		if x.tasks == nil {
			x.tasks = map[int64]*thread{}
		}
		x.tasks[n.id] = t
	}
	if flags&8 != 0 {
		n.input = sameAsState
	}
}

// sameAsState stands for a task's input until the state's is known; no JSON text is like it.
const sameAsState = "="

// fork reads the progress of a Parallel or Map state.
func (d *decoder) fork(s *asl.State, parts bool) *fork {
	f := &fork{base: d.int()}
	n := d.uint()
	f.next, f.limit = int(d.int()), int(d.int())
	if d.err != nil || s == nil || n > maxForkItems || f.next < 0 || f.next > int(n) {
		d.fail("a fork is damaged")
		return nil
	}
	f.results, f.done, f.left = make([]jsonvalue.Value, n), make([]bool, n), int(n)
	if s.Type == asl.Map {
		f.items = make([]jsonvalue.Value, n)
	}
	if parts {
		return f
	}
	for i := f.next; i < len(f.items); i++ {
		f.items[i] = d.json(d.text())
	}
	for i := range f.done {
		if d.byte() != 0 {
			f.finish(i, d.json(d.text()))
		}
	}
	return f
}

// maxForkItems is more than the items that fit into the largest payload.
const maxForkItems = MaxPayloadBytes

// finish takes the result of a branch or iteration.
func (f *fork) finish(i int, result jsonvalue.Value) {
	if !f.done[i] {
		f.done[i] = true
		f.left--
	}
	f.results[i] = result
}

// attach puts a thread that was read into the execution. Threads come in the order of their IDs, parents first.
func (x *Execution) attach(t *thread, threads map[int64]*thread, parents map[int64]int64, results map[int64][]byte) error {
	if !t.plausible(x.state.status == Running) {
		return fmt.Errorf("%w: the thread %d does what the state %s cannot do", errSnapshot, t.id, t.state.Name)
	}
	id, inner := parents[t.id]
	switch {
	case !inner && x.root != nil:
		return fmt.Errorf("%w: it has two roots", errSnapshot)
	case !inner:
		x.root = t
	default:
		p := threads[id]
		if p == nil || p.phase == ready || id >= t.id || p.fork == nil || t.index < 0 || t.index >= len(p.fork.results) {
			return fmt.Errorf("%w: the thread %d has no place", errSnapshot, t.id)
		}
		t.parent = p
		p.fork.add(t)
		if t.inputText == "" {
			t.input, t.inputText = p.input, p.inputText
		}
	}
	t.variableBytes = growth(jsonvalue.Value{}, t.variables)
	x.variableBytes += t.variableBytes
	if t.task != nil && t.task.input == sameAsState {
		t.task.input = t.inputText
	}
	if t.fork != nil && x.saved.split {
		if err := t.fork.read(results); err != nil {
			return err
		}
	}
	if t.task != nil && t.task.mapRun != nil && t.state.QueryLanguage == asl.JSONPath && t.state.Map.ItemReader == nil {
		e := x.env(t)
		in, f := e.selected(t.state.InputPath)
		if f == nil {
			t.task.mapRun.Items, f = e.with(in).items()
		}
		if f != nil {
			return fmt.Errorf("%w: the items of the state %s: %s", errSnapshot, t.state.Name, *f.cause)
		}
	}
	x.schedule(t)
	return nil
}

// plausible reports whether a thread that was read is in a position that its state can be in.
func (t *thread) plausible(running bool) bool {
	s := t.state
	if t.fork != nil && s.Map == nil && (s.Parallel == nil || len(s.Parallel.Branches) != len(t.fork.results)) {
		return false
	}
	if t.task != nil && (t.task.mapRun == nil && s.Task == nil || t.task.mapRun != nil && s.Map == nil) {
		return false
	}
	switch t.phase {
	case ready, stopped:
		return true
	case waiting:
		return s.Wait != nil
	case working:
		return t.task != nil || !running
	case forked:
		return t.fork != nil || !running
	case retrying:
		return s.Task != nil || s.Parallel != nil || s.Map != nil
	}
	return false
}

// read finds the items and results of a fork among the parts.
func (f *fork) read(parts map[int64][]byte) error {
	value := func(id int64) (jsonvalue.Value, bool, error) {
		data, ok := parts[id]
		if !ok || len(data) == 0 || data[0] != valuePart {
			return jsonvalue.Value{}, false, nil
		}
		v, err := jsonvalue.Parse(string(data[1:]))
		return v, true, err
	}
	if f.items != nil {
		items, ok, err := value(f.base)
		if err != nil || !ok || items.Len() != len(f.items) {
			return fmt.Errorf("%w: the items of part %d are missing", errSnapshot, f.base)
		}
		f.items = items.Items()
	}
	for i := range f.done {
		result, ok, err := value(f.base + 1 + int64(i))
		if err != nil {
			return fmt.Errorf("%w: part %d: %w", errSnapshot, f.base+1+int64(i), err)
		}
		if ok {
			f.finish(i, result)
		}
	}
	return nil
}

package scheduler

import (
	"sync"

	"gust/dag"
	"gust/store"
)

// Transition is a change of a run or a task instance that has been committed. Exactly one of Run and Task is set.
type Transition struct {
	Run  *dag.Run
	Task *dag.TaskInstance
	// From is the state that was left, "" for none and for a new row.
	From string
}

// key is what the transition is about; a run has no task id.
func (t Transition) key() dag.Key {
	if t.Run != nil {
		return dag.Key{DagID: t.Run.DagID, RunID: t.Run.RunID}
	}
	return t.Task.Key
}

// Watch calls fn with every transition from now on, from one goroutine of its own, until stop is called, which waits
// for a call that is under way, or the scheduler has stopped. A slow fn never holds up the scheduler: of several
// transitions of one run or task that it has not seen yet, it gets the last, with From of the first. fn must not call
// stop.
func (s *Scheduler) Watch(fn func(Transition)) (stop func()) {
	w := &watcher{fn: fn, wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	if !s.watchers.add(w) {
		return func() {}
	}
	go w.run()
	return func() {
		s.watchers.remove(w)
		w.close()
	}
}

// watchers is the set of those who watch.
type watchers struct {
	mu      sync.Mutex
	set     map[*watcher]struct{}
	stopped bool
}

func (ws *watchers) add(w *watcher) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.stopped {
		return false
	}
	if ws.set == nil {
		ws.set = map[*watcher]struct{}{}
	}
	ws.set[w] = struct{}{}
	return true
}

func (ws *watchers) remove(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.set, w)
}

// stop lets every watcher see what is left, and ends it.
func (ws *watchers) stop() {
	ws.mu.Lock()
	ws.stopped = true
	set := ws.set
	ws.set = nil
	ws.mu.Unlock()
	for w := range set {
		w.close()
	}
}

// publish hands committed changes to the watchers.
func (ws *watchers) publish(c *store.Changes) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.set) == 0 || len(c.Runs)+len(c.Tasks) == 0 {
		return
	}
	// Tasks go before the end of their run, and after its beginning.
	list := make([]Transition, 0, len(c.Runs)+len(c.Tasks))
	for _, ended := range []bool{false, true} {
		for i := range c.Runs {
			if r := c.Runs[i].Run; r.State.Finished() == ended {
				list = append(list, Transition{Run: &r, From: string(c.Runs[i].From)})
			}
		}
		for i := range c.Tasks {
			if !ended && !c.Tasks[i].Gone {
				t := c.Tasks[i].Task
				list = append(list, Transition{Task: &t, From: string(c.Tasks[i].From)})
			}
		}
	}
	for w := range ws.set {
		w.put(list)
	}
}

// watcher holds the transitions that fn has not seen, one for each run and task.
type watcher struct {
	fn   func(Transition)
	mu   sync.Mutex
	keys []dag.Key
	last map[dag.Key]Transition
	wake chan struct{}
	once sync.Once
	quit chan struct{}
	done chan struct{}
}

func (w *watcher) put(list []Transition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.last = map[dag.Key]Transition{}
	}
	for _, t := range list {
		k := t.key()
		if old, ok := w.last[k]; ok {
			t.From = old.From
		} else {
			w.keys = append(w.keys, k)
		}
		w.last[k] = t
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) take() (keys []dag.Key, last map[dag.Key]Transition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	keys, last = w.keys, w.last
	w.keys, w.last = nil, nil
	return keys, last
}

func (w *watcher) run() {
	defer close(w.done)
	for {
		keys, last := w.take()
		for _, k := range keys {
			w.fn(last[k])
		}
		if len(keys) > 0 {
			continue
		}
		select {
		case <-w.wake:
		case <-w.quit:
			if keys, last = w.take(); len(keys) == 0 {
				return
			}
			for _, k := range keys {
				w.fn(last[k])
			}
			return
		}
	}
}

func (w *watcher) close() {
	w.once.Do(func() { close(w.quit) })
	<-w.done
}

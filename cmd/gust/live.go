package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"gust/dag"
	"gust/runner/scheduler"
	"gust/runner/tasklog"
)

// liveRun follows one run on a screen: task states at the bottom (or, without a terminal, a line for each change), the
// tasks' log lines above. Feed it with transition; close waits for the last lines.
type liveRun struct {
	screen  *screen
	logs    string // base log folder
	dag     *dag.DAG
	run     dag.RunKey
	now     func() time.Time
	quit    chan struct{}
	done    chan struct{}
	changed chan struct{}

	mu    sync.Mutex
	state dag.Run
	tasks map[string]dag.TaskInstance
	tails map[dag.Attempt]*tail
}

// tail is how far an attempt's log has been printed.
type tail struct {
	path   string
	offset int64
	over   bool // the attempt has ended; forget it once everything is printed
}

// Limits of what stays readable: the region shows at most this many tasks, and logs are shown for DAGs up to this size.
const (
	maxRegionTasks = 30
	maxLoggedTasks = 200
	redrawEvery    = 100 * time.Millisecond
)

func newLiveRun(s *screen, d *dag.DAG, run dag.RunKey, logs string, now func() time.Time) *liveRun {
	l := &liveRun{
		screen: s, logs: logs, dag: d, run: run, now: now,
		quit: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{}, 1),
		tasks: map[string]dag.TaskInstance{}, tails: map[dag.Attempt]*tail{},
	}
	go l.loop()
	return l
}

// transition takes a change of the run in. It does not block.
func (l *liveRun) transition(t scheduler.Transition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case t.Run != nil && t.Run.RunKey == l.run:
		l.state = *t.Run
	case t.Task != nil && t.Task.Run() == l.run:
		l.task(*t.Task)
	default:
		return
	}
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *liveRun) task(ti dag.TaskInstance) {
	before := l.tasks[ti.TaskID]
	l.tasks[ti.TaskID] = ti
	if len(l.dag.Tasks) <= maxLoggedTasks && ti.TryNumber > 0 {
		a := ti.Attempt()
		if l.tails[a] == nil && ti.State != dag.StateQueued {
			l.tails[a] = &tail{path: tasklog.Path(l.logs, a)}
		}
		if tl := l.tails[a]; tl != nil {
			tl.over = ti.State.Finished() || ti.State == dag.StateUpForRetry
		}
	}
	if l.screen.live || ti.State == before.State || ti.State == dag.StateScheduled || ti.State == dag.StateQueued {
		return
	}
	l.drain()
	line := fmt.Sprintf("%s  %s", l.now().Format("15:04:05.000"), pad(ti.TaskID, l.width())+"  "+ti.State.String())
	if ti.State.Finished() && !ti.StartDate.IsZero() {
		line += fmt.Sprintf("  (%s)", round(ti.EndDate.Sub(ti.StartDate)))
	}
	if ti.Error != "" && ti.State != dag.StateSuccess {
		line += "  " + firstLine(ti.Error)
	}
	discard(fmt.Fprintln(l.screen, line))
}

func (l *liveRun) width() int {
	width := 0
	for _, t := range l.dag.Tasks {
		width = max(width, len([]rune(t.ID)))
	}
	return width
}

// close prints what is left and ends the view.
func (l *liveRun) close() {
	close(l.quit)
	<-l.done
}

func (l *liveRun) loop() {
	defer close(l.done)
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		over := false
		select {
		case <-l.quit:
			over = true
		case <-l.changed:
		case <-tick.C:
		}
		l.mu.Lock()
		l.drain()
		region := l.region()
		l.mu.Unlock()
		l.screen.show(region)
		if over {
			l.screen.leave()
			return
		}
	}
}

// drain prints new log lines, in the order of the DAG's tasks.
func (l *liveRun) drain() {
	attempts := make([]dag.Attempt, 0, len(l.tails))
	for a := range l.tails {
		attempts = append(attempts, a)
	}
	slices.SortFunc(attempts, func(a, b dag.Attempt) int { return l.index(a.TaskID) - l.index(b.TaskID) })
	for _, a := range attempts {
		tl := l.tails[a]
		l.print(a, tl)
		if tl.over {
			delete(l.tails, a)
		}
	}
}

func (l *liveRun) index(taskID string) int {
	return slices.IndexFunc(l.dag.Tasks, func(t *dag.Task) bool { return t.ID == taskID })
}

func (l *liveRun) print(a dag.Attempt, tl *tail) {
	file, err := os.Open(tl.path)
	if err != nil {
		return // not written yet
	}
	defer file.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, _ := file.ReadAt(buffer, tl.offset)
		end := bytes.LastIndexByte(buffer[:n], '\n') + 1
		if end == 0 {
			return
		}
		for line := range bytes.Lines(buffer[:end]) {
			l.line(a, bytes.TrimSuffix(line, []byte("\n")))
		}
		tl.offset += int64(end)
	}
}

func (l *liveRun) line(a dag.Attempt, raw []byte) {
	var record struct{ Event, Level string }
	text := string(raw)
	if json.Unmarshal(raw, &record) == nil && record.Event != "" {
		text = record.Event
	}
	name := pad(a.TaskID, l.width())
	switch record.Level {
	case "error", "critical":
		text = paint(l.screen.live, "failed", text)
	case "warning":
		text = paint(l.screen.live, "up_for_retry", text)
	case "debug":
		return
	}
	discard(fmt.Fprintf(l.screen, "%s | %s\n", paint(l.screen.live, "deferred", name), text))
}

// region is the view of the run's states.
func (l *liveRun) region() []string {
	now := l.now()
	elapsed := ""
	if start := l.state.StartDate; !start.IsZero() {
		end := l.state.EndDate
		if end.IsZero() {
			end = now
		}
		elapsed = round(end.Sub(start)).String()
	}
	state := string(l.state.State)
	if state == "" {
		state = "queued"
	}
	lines := []string{"", fmt.Sprintf("%s %s  %s  %s", l.dag.ID, l.run.RunID, paint(true, state, state), elapsed)}
	width, shown := l.width(), l.dag.Tasks
	if len(shown) > maxRegionTasks {
		lines = append(lines, "  "+l.counts())
		return lines
	}
	for _, t := range shown {
		lines = append(lines, "  "+l.taskLine(t, width, now))
	}
	return lines
}

func (l *liveRun) taskLine(t *dag.Task, width int, now time.Time) string {
	ti := l.tasks[t.ID]
	state := ti.State.String()
	shown := state
	if state == "none" {
		shown = ""
	}
	text := fmt.Sprintf("%s %s  %s", symbol(state), pad(t.ID, width), pad(shown, 17))
	start := ti.StartDate
	if start.IsZero() {
		start = ti.FirstStart
	}
	switch {
	case start.IsZero():
	case !ti.EndDate.IsZero() && ti.State.Finished():
		text += round(ti.EndDate.Sub(start)).String()
	case ti.State == dag.StateRunning || ti.State == dag.StateDeferred:
		text += round(now.Sub(start)).String()
	}
	if ti.TryNumber > 1 {
		text += fmt.Sprintf("  try %d of %d", ti.TryNumber, ti.MaxTries+1)
	}
	if ti.State == dag.StateDeferred {
		text += "  parked, no worker"
	}
	return paint(true, state, text)
}

func (l *liveRun) counts() string {
	n := map[string]int{}
	for _, t := range l.dag.Tasks {
		n[l.tasks[t.ID].State.String()]++
	}
	text := ""
	for _, s := range dag.TaskStates {
		if c := n[s.String()]; c > 0 {
			text += fmt.Sprintf("%s %d  ", paint(true, s.String(), s.String()), c)
		}
	}
	return text
}

func round(d time.Duration) time.Duration {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond)
	case d < time.Minute:
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}

func firstLine(text string) string {
	for line := range bytes.Lines([]byte(text)) {
		return string(bytes.TrimRight(line, "\r\n"))
	}
	return text
}

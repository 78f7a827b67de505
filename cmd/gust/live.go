package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

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

	mu  sync.Mutex
	new []scheduler.Transition // not taken in yet

	// The rest belongs to the loop.
	state dag.Run
	tasks map[string]dag.TaskInstance // by instanceName
	// mapped counts the instances of each mapped task by state.
	mapped map[string]map[dag.State]int
	tails  map[dag.Attempt]*tail
	order  map[string]int // of tasks
}

// tail is how far an attempt's log has been printed.
type tail struct {
	path   string // "" once everything is printed
	offset int64
	over   bool // the attempt has ended
}

// Limits of what stays readable: logs are shown for DAGs up to this size, and names take at most so many columns.
const (
	maxLoggedTasks = 200
	maxNameWidth   = 36
	redrawEvery    = 100 * time.Millisecond
)

func newLiveRun(s *screen, d *dag.DAG, run dag.RunKey, logs string, now func() time.Time) *liveRun {
	l := &liveRun{
		screen: s, logs: logs, dag: d, run: run, now: now,
		quit: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{}, 1),
		tasks: map[string]dag.TaskInstance{}, mapped: map[string]map[dag.State]int{}, tails: map[dag.Attempt]*tail{}, order: map[string]int{},
	}
	for i, t := range d.Tasks {
		l.order[t.ID] = i
	}
	go l.loop()
	return l
}

// transition takes a change of the run in. It does not block.
func (l *liveRun) transition(t scheduler.Transition) {
	if t.Run != nil && t.Run.RunKey != l.run || t.Task != nil && t.Task.Run() != l.run {
		return
	}
	l.mu.Lock()
	l.new = append(l.new, t)
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
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
		changes := l.new
		l.new = nil
		l.mu.Unlock()
		for _, t := range changes {
			if t.Run != nil {
				l.state = *t.Run
			} else {
				l.task(*t.Task)
			}
		}
		l.drain()
		if l.screen.live {
			l.screen.show(l.region(l.screen.size()))
		}
		if over {
			l.screen.leave()
			return
		}
	}
}

func (l *liveRun) task(ti dag.TaskInstance) {
	name := instanceName(ti.Key)
	before, seen := l.tasks[name]
	l.tasks[name] = ti
	if ti.MapIndex >= 0 {
		if l.mapped[ti.TaskID] == nil {
			l.mapped[ti.TaskID] = map[dag.State]int{}
		}
		if seen {
			l.mapped[ti.TaskID][before.State]--
		}
		l.mapped[ti.TaskID][ti.State]++
	}
	if len(l.dag.Tasks) <= maxLoggedTasks {
		// Of changes that follow quickly only the last may be told: earlier tries are shown too.
		for try := max(before.TryNumber, 1); try <= ti.TryNumber; try++ {
			l.follow(ti, try)
		}
	}
	if l.screen.live || ti.State == before.State || ti.State == dag.StateScheduled || ti.State == dag.StateQueued {
		return
	}
	l.drain()
	text := ti.State.String()
	if ti.State.Finished() && !ti.StartDate.IsZero() {
		text += fmt.Sprintf("  (%s)", round(ti.EndDate.Sub(ti.StartDate)))
	}
	if ti.Error != "" && ti.State != dag.StateSuccess {
		text += "  " + firstLine(ti.Error)
	}
	discard(fmt.Fprintf(l.screen, "%s  %s  %s\n", clock(l.now()), pad(name, l.width()), text))
}

// follow shows the log of a try from when it has begun until it has ended.
func (l *liveRun) follow(ti dag.TaskInstance, try int) {
	a := ti.Attempt()
	a.TryNumber = try
	over := try < ti.TryNumber || ti.State.Finished() || ti.State == dag.StateUpForRetry
	tl := l.tails[a]
	if tl == nil {
		if !over && ti.State == dag.StateQueued {
			return
		}
		tl = &tail{path: tasklog.Path(l.logs, a)}
		l.tails[a] = tl
	}
	tl.over = over
}

// instanceName is how a task instance is called on the screen: a mapped one with its number.
func instanceName(k dag.Key) string {
	if k.MapIndex < 0 {
		return k.TaskID
	}
	return fmt.Sprintf("%s[%d]", k.TaskID, k.MapIndex)
}

func clock(at time.Time) string { return at.Format("15:04:05.000") }

// width is how many columns the names of tasks take.
func (l *liveRun) width() int {
	width := 0
	for _, t := range l.dag.Tasks {
		name := t.ID
		if t.Mapped != nil {
			instances := 0
			for _, n := range l.mapped[t.ID] {
				instances += n
			}
			name = fmt.Sprintf("%s[%d]", t.ID, max(instances-1, 0))
		}
		width = max(width, utf8.RuneCountInString(name))
	}
	return min(width, maxNameWidth)
}

// drain prints new log lines, in the order of the DAG's tasks.
func (l *liveRun) drain() {
	attempts := make([]dag.Attempt, 0, len(l.tails))
	for a := range l.tails {
		attempts = append(attempts, a)
	}
	slices.SortFunc(attempts, func(a, b dag.Attempt) int {
		if byTask := l.order[a.TaskID] - l.order[b.TaskID]; byTask != 0 {
			return byTask
		}
		if a.MapIndex != b.MapIndex {
			return a.MapIndex - b.MapIndex
		}
		return a.TryNumber - b.TryNumber
	})
	for _, a := range attempts {
		tl := l.tails[a]
		if tl.path != "" {
			l.print(a, tl)
		}
		if tl.over {
			tl.path = ""
		}
	}
}

func (l *liveRun) print(a dag.Attempt, tl *tail) {
	file, err := os.Open(tl.path)
	if err != nil {
		return // not written yet
	}
	defer func() { _ = file.Close() }() // it was only read
	buffer := make([]byte, 64<<10)
	var out bytes.Buffer
	for {
		n, _ := file.ReadAt(buffer, tl.offset)
		end := bytes.LastIndexByte(buffer[:n], '\n') + 1
		if end == 0 {
			if n == len(buffer) { // a line longer than the buffer
				buffer = make([]byte, 2*len(buffer))
				continue
			}
			break
		}
		for line := range bytes.Lines(buffer[:end]) {
			l.line(&out, a, bytes.TrimSuffix(line, []byte("\n")))
		}
		tl.offset += int64(end)
	}
	if out.Len() > 0 {
		discard(l.screen.Write(out.Bytes()))
	}
}

// line prints a line of a log, each of its lines after the task's name.
func (l *liveRun) line(out *bytes.Buffer, a dag.Attempt, raw []byte) {
	var record struct {
		Timestamp    time.Time
		Event, Level string
	}
	text, at := string(raw), l.now()
	if json.Unmarshal(raw, &record) == nil && record.Event != "" {
		text = record.Event
		if !record.Timestamp.IsZero() {
			at = record.Timestamp.Local()
		}
	}
	colour := ""
	switch record.Level {
	case "error", "critical":
		colour = "failed"
	case "warning":
		colour = "up_for_retry"
	case "debug":
		return
	}
	name := paint(l.screen.colours, "deferred", pad(instanceName(a.Key), l.width()))
	if !l.screen.live {
		name = clock(at) + "  " + name
	}
	for part := range strings.Lines(text) {
		fmt.Fprintf(out, "%s | %s\n", name, paint(l.screen.colours, colour, strings.TrimRight(part, "\r\n")))
	}
}

// region is the view of the run's states. It fits into the rows of the terminal: a run with more tasks shows how many are
// in each state, and those that are not waiting or over.
func (l *liveRun) region(columns, rows int) []string {
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
	lines := []string{"", fmt.Sprintf("%s %s  %s  %s", l.dag.ID, l.run.RunID, paint(l.screen.colours, state, state), elapsed)}
	room := len(l.dag.Tasks)
	if rows > 0 {
		room = rows - len(lines) - 1
	}
	width := l.width()
	if columns > 0 {
		width = min(width, max(columns/2, minColumn))
	}
	if len(l.dag.Tasks) <= room {
		for _, t := range l.dag.Tasks {
			lines = append(lines, "  "+l.taskLine(t, width, now))
		}
		return lines
	}
	lines = append(lines, "  "+l.counts())
	for _, t := range l.active(room - 1) {
		lines = append(lines, "  "+l.taskLine(t, width, now))
	}
	return lines
}

// active are up to n tasks that something happens to or went wrong with, in the order of the DAG.
func (l *liveRun) active(n int) []*dag.Task {
	var out []*dag.Task
	for _, t := range l.dag.Tasks {
		if len(out) >= n {
			return out
		}
		switch l.stateOf(t) {
		case dag.StateRunning, dag.StateDeferred, dag.StateUpForRetry, dag.StateUpForReschedule, dag.StateFailed:
			out = append(out, t)
		}
	}
	return out
}

// telling are the states of a mapped task's instances in the order in which one of them stands for the task.
var telling = []dag.State{
	dag.StateFailed, dag.StateRunning, dag.StateUpForRetry, dag.StateUpForReschedule, dag.StateDeferred, dag.StateRestarting,
	dag.StateQueued, dag.StateScheduled, dag.StateNone, dag.StateUpstreamFailed, dag.StateSkipped, dag.StateSuccess, dag.StateRemoved,
}

// stateOf is the state of a task; of a mapped one, that of the instance which tells most.
func (l *liveRun) stateOf(t *dag.Task) dag.State {
	for _, st := range telling {
		if l.mapped[t.ID][st] > 0 {
			return st
		}
	}
	return l.tasks[t.ID].State
}

// mappedLine shows how many instances of a mapped task are in each state.
func (l *liveRun) mappedLine(t *dag.Task, width int) string {
	state := l.stateOf(t).String()
	text := symbol(state) + " " + pad(t.ID, width) + " "
	for _, st := range dag.TaskStates {
		if n := l.mapped[t.ID][st]; n > 0 {
			text += fmt.Sprintf(" %s %d ", strings.Replace(st.String(), "none", "waiting", 1), n)
		}
	}
	return paint(l.screen.colours, state, strings.TrimRight(text, " "))
}

func (l *liveRun) taskLine(t *dag.Task, width int, now time.Time) string {
	if len(l.mapped[t.ID]) > 0 {
		return l.mappedLine(t, width)
	}
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
	case ti.State == dag.StateUpForRetry || ti.State == dag.StateUpForReschedule:
		text += fmt.Sprintf("again in %s", max(0, ti.NotBefore.Sub(now)).Round(time.Second))
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
	if ti.Error != "" && (ti.State == dag.StateFailed || ti.State == dag.StateUpForRetry) {
		text += "  " + firstLine(ti.Error)
	}
	return paint(l.screen.colours, state, strings.TrimRight(text, " "))
}

func (l *liveRun) counts() string {
	n := map[string]int{}
	for _, t := range l.dag.Tasks {
		n[l.stateOf(t).String()]++
	}
	text := fmt.Sprintf("%d tasks:", len(l.dag.Tasks))
	for _, s := range dag.TaskStates {
		if c := n[s.String()]; c > 0 {
			name := s.String()
			if name == "none" {
				name = "waiting"
			}
			text += "  " + paint(l.screen.colours, s.String(), fmt.Sprintf("%s %d", name, c))
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
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimRight(line, "\r")
}

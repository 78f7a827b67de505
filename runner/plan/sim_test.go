package plan_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/runner/plan/plantest"
	"gust/store"
)

// The simulation plays random DAGs with random outcomes. How an attempt ends is a hash of its identity, so that it ends
// the same way however often it is repeated.

// confluent are rules whose outcome does not depend on the order in which upstream tasks finish, as long as nothing is
// ever skipped.
var confluent = []dag.TriggerRule{dag.AllSuccess, dag.AllDone, dag.Always, dag.NoneFailed, dag.NoneFailedMinOneSuccess,
	dag.OneSuccess, dag.NoneSkipped, dag.AllDoneMinOneSuccess}

// setting is what a simulation is about.
type setting struct {
	dags  []*dag.DAG
	runs  []dag.Run
	slots int
	pools map[string]store.Pool
	seed  uint64
	skips bool // attempts may skip and branch
	rich  bool // setups, teardowns, callbacks, assets, backfills, and people who clear and mark
	backs []store.Backfill
	lag   time.Duration
}

func drawSetting(t *rapid.T, skips, rich bool) *setting {
	s := &setting{
		slots: rapid.IntRange(1, 4).Draw(t, "slots"), seed: rapid.Uint64().Draw(t, "seed"), skips: skips, rich: rich,
		pools: map[string]store.Pool{},
		lag:   rapid.SampledFrom([]time.Duration{-1, 50 * time.Millisecond}).Draw(t, "lag"),
	}
	for _, name := range []string{"p1", "p2"} {
		s.pools[name] = store.Pool{Name: name, Slots: rapid.IntRange(2, 4).Draw(t, name),
			IncludeDeferred: rapid.Bool().Draw(t, name+" deferred")}
	}
	s.pools[dag.DefaultPool] = store.Pool{Name: dag.DefaultPool, Slots: 128}
	for i := range rapid.IntRange(1, 2).Draw(t, "dags") {
		s.dags = append(s.dags, s.drawDag(t, fmt.Sprintf("dag%d", i)))
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "runs") {
		d := rapid.SampledFrom(s.dags).Draw(t, "dag of run")
		s.runs = append(s.runs, manual(d.ID, fmt.Sprintf("r%d", i), epoch.Add(time.Duration(i)*time.Second)))
	}
	return s
}

func (s *setting) drawDag(t *rapid.T, id string) *dag.DAG {
	d := &dag.DAG{ID: id, FileLoc: id + ".yaml", Timezone: "UTC", Schedule: dag.Schedule{Kind: dag.ScheduleNone},
		MaxActiveRuns:  rapid.IntRange(1, 3).Draw(t, "max_active_runs"),
		MaxActiveTasks: rapid.IntRange(1, 4).Draw(t, "max_active_tasks")}
	rules := confluent
	if s.skips {
		rules = dag.TriggerRules
		d.FailFast = rapid.IntRange(0, 9).Draw(t, "fail_fast") == 0
		if rapid.IntRange(0, 9).Draw(t, "timeout") == 0 {
			d.DagrunTimeout = 2 * time.Second
		}
	}
	for i := range rapid.IntRange(1, 8).Draw(t, "tasks") {
		task := plantest.Task(fmt.Sprintf("t%d", i))
		task.TriggerRule = rapid.SampledFrom(rules).Draw(t, "rule")
		task.Retries = rapid.IntRange(0, 2).Draw(t, "retries")
		task.RetryDelay = rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute}).Draw(t, "retry_delay")
		task.Pool = rapid.SampledFrom([]string{dag.DefaultPool, "p1", "p2"}).Draw(t, "pool")
		task.PoolSlots = rapid.IntRange(1, 2).Draw(t, "pool_slots")
		task.PriorityWeight = rapid.IntRange(1, 3).Draw(t, "weight")
		switch rapid.IntRange(0, 13).Draw(t, "kind") {
		case 0:
			task.Inline = true
		case 1:
			task.Parks = true
		case 2:
			task.MaxActivePerDAG = 1
		case 3:
			task.MaxActivePerRun = 1
		case 4:
			task.DependsOnPast = true
		case 5:
			task.WaitForDownstream = true
		case 6, 7:
			task.Mapped = s.drawMapping(t, task, i)
		}
		for j := range i {
			id := fmt.Sprintf("t%d", j)
			if rapid.IntRange(0, 2).Draw(t, "edge") == 0 && !slices.Contains(task.Upstream, id) {
				task.Upstream = append(task.Upstream, id)
			}
		}
		d.Tasks = append(d.Tasks, task)
	}
	if s.rich {
		enrich(t, d)
	}
	return plantest.Finish(d)
}

// shortest is the least length of a list that is mapped over: none at all skips the task.
func (s *setting) shortest() int {
	if s.skips {
		return 0
	}
	return 1
}

// drawMapping maps a task over a list, or over what one or two earlier tasks push, which it then waits for.
func (s *setting) drawMapping(t *rapid.T, task *dag.Task, earlier int) *dag.Mapping {
	m := &dag.Mapping{}
	for f := range rapid.IntRange(1, 2).Draw(t, "fields") {
		field := dag.MappedField{Name: fmt.Sprintf("f%d", f)}
		if source := rapid.IntRange(-1, earlier-1).Draw(t, "source"); source >= 0 {
			id := fmt.Sprintf("t%d", source)
			field.Source = &dag.XComRef{TaskID: id, Key: dag.ReturnValue}
			task.Upstream = append(task.Upstream, id)
		} else {
			field.Value = make([]any, rapid.IntRange(s.shortest(), 3).Draw(t, "length"))
		}
		m.Fields = append(m.Fields, field)
	}
	return m
}

// roll is a number that belongs to an attempt.
func (s *setting) roll(a dag.Attempt, what string) int {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %s %s %s %d %s", s.seed, a.DagID, a.RunID, a.TaskID, a.TryNumber, what)
	if a.MapIndex >= 0 {
		_, _ = fmt.Fprintf(h, " %d", a.MapIndex)
	}
	return int(h.Sum64() % 100)
}

// fails says whether a try ends in a failure.
func (s *setting) fails(a dag.Attempt) bool { return s.roll(a, "fail") < 30 }

// outcome is the report with which an attempt ends where it is now.
func (s *setting) outcome(w executor.Work, now time.Time) executor.Report {
	a := w.Attempt()
	r := executor.Report{Attempt: a, At: now, Kind: executor.Succeeded}
	d := w.Instance.Deferral
	switch {
	case !w.Task.Parks && d == nil && s.roll(a, "defer") < 20:
		r.Kind, r.Deferral = executor.Deferred, waitOf(a, now)
	case !w.Task.Parks && d == nil && w.Instance.StartDate.IsZero() && s.roll(a, "reschedule") < 15:
		r.Kind, r.RescheduleAt = executor.Rescheduled, now.Add(time.Second)
	case s.fails(a):
		r.Kind, r.Error = executor.Failed, "boom"
	case s.skips && s.roll(a, "skip") < 10:
		r.Kind = executor.Skipped
	case s.skips && s.roll(a, "branch") < 15:
		follow := []string{}
		for _, id := range w.Task.Downstream {
			if s.roll(a, id) < 50 {
				follow = append(follow, id)
			}
		}
		r.Follow = &follow
	case s.skips && s.roll(a, "short") < 5:
		r.SkipAll = true
	}
	if n := s.roll(a, "value"); r.Kind == executor.Succeeded && n < 90 { // else nothing, which cannot be mapped over
		r.XComs = []store.XCom{{Name: dag.ReturnValue, Value: json.RawMessage([]string{"[]", "[1]", "[1,2]", "[1,2,3]"}[max(n%4, s.shortest())])}}
	}
	return r
}

// waitOf is the wait of an attempt; its arguments are in the store alone once it is parked.
func waitOf(a dag.Attempt, now time.Time) *dag.Deferral {
	return &dag.Deferral{Kind: "time", Args: argsOf(a), Keyed: true, Key: "k", Since: now}
}

func argsOf(a dag.Attempt) json.RawMessage { return fmt.Appendf(nil, "%q", a.String()) }

// fired ends a wait, as its row has it: a sensor is finished, an operator goes on.
func (m *sim) fired(w executor.Work) executor.Report {
	now := m.now
	if w.Task.Parks {
		return m.outcome(w, now)
	}
	d := *w.Instance.Deferral
	if row, ok := m.store.Task(w.Instance.Key); ok && row.Attempt() == w.Attempt() && row.Deferral != nil {
		d = *row.Deferral
	}
	d.Event = json.RawMessage(`{}`)
	return executor.Report{Attempt: w.Attempt(), At: now, Kind: executor.Fired, Deferral: &d}
}

// sim is a setting being played.
type sim struct {
	*setting
	*world
	random *rand.Rand
	// ended are the tries whose end has been committed.
	ended map[dag.Attempt]bool
	begun map[dag.Attempt]int
	over  map[dag.RunKey]bool
	*extras
	// faults says whether things go wrong, and counts how often they did.
	faults      bool
	crashes     int
	mustRecover bool
	// dieIn counts down to the one step that dies at diePoint; negative when that is over, or was never asked for.
	dieIn    int
	died     bool
	diePoint crashPoint
}

func newSim(t failer, s *setting, order uint64, faults bool) *sim {

	m := &sim{setting: s, extras: newExtras(), random: rand.New(rand.NewPCG(order, 1)), faults: faults, dieIn: -1,
		ended: map[dag.Attempt]bool{}, begun: map[dag.Attempt]int{}, over: map[dag.RunKey]bool{}}
	m.world = newWorld(t, plan.Config{Slots: s.slots, StateLag: s.lag})
	for _, p := range s.pools {
		m.store.SetPool(p.Name, p.Slots, p.IncludeDeferred)
	}
	m.shadow = m.state
	m.world.committed, m.world.dispatched = m.onCommit, m.onDispatch
	m.load(nil, false)
	m.loadDags()
	m.now = epoch.Add(time.Minute)
	for _, r := range s.runs {
		m.trigger(r)
	}
	m.backfill()
	return m
}

func (m *sim) loadDags() {
	for _, d := range m.dags {
		m.step(load(d))
	}
}

// play goes on until nothing can happen any more.
func (m *sim) play() {
	m.t.Helper()
	for n := 0; ; n++ {
		if n > 5000 {
			m.t.Fatalf("the runs do not come to an end")
		}
		if m.faults && m.crashes < 20 {
			m.fault()
		}
		m.meddle()
		if m.dieIn == 0 {
			m.crashing, m.mustRecover, m.died = m.diePoint, true, true
		}
		m.dieIn--
		if m.crashing == nowhere && m.random.IntN(10) == 0 && !m.wake.IsZero() {
			m.now = m.wake
			m.step()
			continue
		}
		r, ok := m.pick()
		switch {
		case ok:
			m.end(r)
		case !m.wake.IsZero():
			m.now = later(m.now, m.wake)
			m.step()
		default:
			if m.crashing == nowhere {
				if m.callBack(true) {
					continue
				}
				return
			}
			m.step() // nothing to do: dies all the same
			m.recover()
		}
		if m.recovering() {
			m.recover()
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// fault lets something go wrong with the next step.
func (m *sim) fault() {
	switch m.random.IntN(40) {
	case 0:
		m.crashing = beforeCommit
	case 1:
		m.crashing = afterCommit
	case 2: // in the middle of everything
		m.crashes++
		m.crash()
		m.recover()
		return
	case 3:
		m.store.FailNext(store.ErrConflict)
		return
	case 4:
		m.store.FailNext(store.ErrUncertain)
		return
	case 5: // an attempt is interrupted
		if w, ok := m.any(m.out); ok {
			delete(m.out, w.Attempt())
			m.step(plan.Reported{Report: executor.Report{Attempt: w.Attempt(), Kind: executor.Interrupted, At: m.now}})
		}
		return
	case 6: // a person ends a wait, which the daemon may learn at once, or late
		if w, ok := m.any(m.parked); ok {
			end := store.WaitEnd{Attempt: w.Attempt(), Event: json.RawMessage(`{}`)}
			err := m.store.WaitEndRequest(context.Background(), &end)
			if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrExists) {
				m.t.Fatalf("end a wait: %v", err)
			}
			if m.random.IntN(2) == 0 {
				m.refresh()
			}
		}
		return
	default:
		return
	}
	m.crashes++
	m.mustRecover = true
}

func (m *sim) recovering() bool { return m.mustRecover && m.crashing == nowhere }

// recover is what a process does after its start.
func (m *sim) recover() {
	m.mustRecover = false
	m.now = m.now.Add(time.Second)
	m.step()
	m.loadDags()
	m.refresh()
}

func (m *sim) any(set map[dag.Attempt]executor.Work) (executor.Work, bool) {
	if len(set) == 0 {
		return executor.Work{}, false
	}
	var list []dag.Attempt
	for a := range set {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b dag.Attempt) int { return strings.Compare(a.String(), b.String()) })
	return set[list[m.random.IntN(len(list))]], true
}

// pick chooses what happens next: an attempt ends, or a wait.
func (m *sim) pick() (executor.Report, bool) {
	if w, ok := m.any(m.parked); ok && m.random.IntN(3) == 0 {
		if w.Task.Parks && w.Instance.Deferral == nil && m.random.IntN(2) == 0 {
			w.Instance.Deferral = waitOf(w.Attempt(), m.now)
			m.parked[w.Attempt()] = w
			return executor.Report{Attempt: w.Attempt(), Kind: executor.Parked, At: m.now, Deferral: w.Instance.Deferral}, true
		}
		if m.random.IntN(4) == 0 {
			return executor.Report{Attempt: w.Attempt(), Kind: executor.Noted, At: m.now,
				Deferral: &dag.Deferral{State: fmt.Appendf(nil, "%d", m.random.IntN(9))}}, true
		}
		return m.fired(w), true
	}
	if w, ok := m.any(m.out); ok {
		if m.random.IntN(3) == 0 {
			return executor.Report{Attempt: w.Attempt(), Kind: executor.Started, At: m.now}, true
		}
		return m.outcome(w, m.now), true
	}
	if w, ok := m.any(m.parked); ok {
		return m.fired(w), true
	}
	return executor.Report{}, false
}

func (m *sim) end(r executor.Report) {
	m.t.Helper()
	m.now = m.now.Add(time.Duration(m.random.IntN(300)) * time.Millisecond)
	m.world.report(r)
}

func (m *sim) onDispatch(w executor.Work) {
	a := w.Attempt()
	m.begun[a]++
	m.checkSetups(w)
	if m.ended[a] {
		m.t.Fatalf("%s begins again after it has ended", a)
	}
	if !m.faults && m.begun[a] > 3 {
		m.t.Fatalf("%s begins for the %dth time", a, m.begun[a])
	}
}

// result is what a simulation comes to.
func (m *sim) result() map[string]string {
	out := map[string]string{}
	for _, r := range m.store.AllRuns() {
		out[r.RunID] = string(r.State) + " " + r.Reason
		tasks, _ := m.store.TaskInstanceList(context.Background(), r.RunKey)
		for _, ti := range tasks {
			out[instanceName(ti.Key)] = fmt.Sprintf("%s try %d", ti.State, ti.TryNumber)
		}
	}
	return out
}

// TestSimulation: whatever the DAGs, outcomes and their order, limits hold, every run ends, and no run ends while
// something in it could go on; two states given the same events decide the same.
func TestSimulation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newSim(t, drawSetting(t, true, false), rapid.Uint64().Draw(t, "order"), false)
		m.play()
		m.checkOver()
	})
}

// TestSimulationWithFaults: the same with crashes at every point, lost commits and interruptions.
func TestSimulationWithFaults(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newSim(t, drawSetting(t, true, false), rapid.Uint64().Draw(t, "order"), true)
		m.play()
		m.checkOver()
	})
}

// TestFaultsChangeNothing: where the order of events does not matter, runs end with faults as they do without.
func TestFaultsChangeNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawSetting(t, false, false)
		calm := newSim(t, s, rapid.Uint64().Draw(t, "order"), false)
		calm.play()
		wild := newSim(t, s, rapid.Uint64().Draw(t, "other order"), true)
		wild.play()
		wild.checkOver()
		if diff := cmp.Diff(calm.result(), wild.result()); diff != "" {
			t.Fatalf("after %d crashes (-calm +wild):\n%s", wild.crashes, diff)
		}
	})
}

// TestCrashAtEveryStep plays one pipeline again and again and dies at each step in turn, at each of its points.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	d := plantest.Build(`
etl max_active_tasks=2
a retries=1
a >> b c
b parks
b c >> d
d rule=all_done retries=2 retry_delay=5s
d >> e
e inline
`)
	s := &setting{dags: []*dag.DAG{d}, slots: 2, seed: 11, lag: -1,
		pools: map[string]store.Pool{dag.DefaultPool: {Name: dag.DefaultPool, Slots: 128}},
		runs:  []dag.Run{manual("etl", "r1", epoch), manual("etl", "r2", epoch.Add(time.Second))}}
	calm := newSim(t, s, 1, false)
	calm.play()
	want := calm.result()
	for _, point := range []crashPoint{beforeCommit, afterCommit} {
		for n := 0; ; n++ {
			m := newSim(t, s, 1, false)
			m.dieIn, m.diePoint = n, point
			m.play()
			if !m.died {
				if n < 10 {
					t.Fatalf("the pipeline has only %d steps", n)
				}
				break // it was over before
			}
			m.checkOver()
			if diff := cmp.Diff(want, m.result()); diff != "" {
				t.Fatalf("after a crash at step %d, point %d (-calm +crashed):\n%s", n, point, diff)
			}
		}
	}
}

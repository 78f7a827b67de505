package plan_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/runner/plan/plantest"
	"gust/store"
)

// TestScenarios plays the files in testdata. Each is a list of commands, one per line; see the functions of scenario.
// A DAG is written as in plantest.Build between "dag" and an empty line.
func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, file, string(text))
		})
	}
}

func play(t *testing.T, file, text string) {
	s := &scenario{w: newWorld(t, plan.Config{Slots: 32, StateLag: -1}), dags: map[string]*dag.DAG{}}
	lines := strings.Split(text, "\n")
	for n := 0; n < len(lines); n++ {
		line := strings.TrimSpace(lines[n])
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		first := n
		if strings.HasPrefix(line, "dag ") {
			for n+1 < len(lines) && strings.TrimSpace(lines[n+1]) != "" {
				n++
				line += "\n" + lines[n]
			}
			d := plantest.Build(strings.TrimPrefix(line, "dag "))
			s.dags[d.ID] = d
			continue
		}
		f := strings.Fields(line)
		if err := s.do(f[0], f[1:]); err != nil {
			t.Fatalf("%s:%d: %s: %v", file, first+1, line, err)
		}
	}
}

type scenario struct {
	w    *world
	dags map[string]*dag.DAG
}

var errUsage = errors.New("bad command")

// do carries out one command.
func (s *scenario) do(cmd string, args []string) error {
	w := s.w
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch cmd {
	case "slots": // slots N: before anything else
		w.cfg.Slots, _ = strconv.Atoi(arg(0))
		w.load(nil, false)
	case "start_paused":
		w.cfg.PausedAtCreation = true
		w.load(nil, false)
	case "pool": // pool NAME SLOTS [deferred]; slots below -1 delete it
		n, err := strconv.Atoi(arg(1))
		w.store.SetPool(arg(0), n, arg(2) == "deferred")
		w.refresh()
		return err
	case "at": // at OFFSET: the time, counted from the beginning
		d, err := time.ParseDuration(arg(0))
		w.now = epoch.Add(d)
		w.step()
		return err
	case "load": // load DAG: its file is read
		w.step(load(s.dags[arg(0)]))
	case "broken": // broken FILE TEXT: its file cannot be read
		w.step(plan.File{Path: arg(0), Error: strings.Join(args[1:], " ")})
	case "gone": // gone FILE: it defines nothing any more
		w.step(plan.File{Path: arg(0)})
	case "scanned":
		w.step(plan.Scanned{Files: args})
	case "trigger": // trigger DAG RUN [OFFSET]
		return s.trigger(args)
	case "pause", "unpause":
		w.store.SetPaused(arg(0), cmd == "pause")
		w.refresh()
	case "backfill": // backfill DAG MAX [backwards] RUN...
		n, err := strconv.Atoi(arg(1))
		b := store.Backfill{DagID: arg(0), MaxActiveRuns: n, RunBackwards: arg(2) == "backwards"}
		var runs []dag.Run
		for i, id := range args[2:] {
			if id != "backwards" {
				run := manual(b.DagID, id, epoch.Add(time.Duration(i-100)*time.Minute))
				run.Type = dag.RunBackfill
				runs = append(runs, run)
			}
		}
		w.store.Backfill(b, runs)
		w.refresh()
		return err
	case "pause_backfill", "unpause_backfill":
		w.store.PauseBackfills(cmd == "pause_backfill")
		w.refresh()
	case "notified": // notified: what has been notified is carried out
		for _, c := range w.notified {
			w.step(plan.CallbackDone{ID: c.ID})
		}
		w.notified = nil
	case "asset":
		w.store.RequestAsset(arg(0))
		w.refresh()
	case "clear":
		for _, name := range args {
			key, err := s.key(name)
			if err != nil {
				return err
			}
			w.store.Clear(key)
		}
		w.refresh()
	case "end_wait": // end_wait RUN.TASK [REASON]: a person fires the wait, or cancels it and stops what runs
		key, err := s.key(arg(0))
		if err != nil {
			return err
		}
		end := store.WaitEnd{Attempt: w.try(key), Event: json.RawMessage(`"by hand"`)}
		if len(args) > 1 {
			end.Event, end.Failed, end.Stop = nil, "cancelled", arg(1)
		}
		if err := w.store.WaitEndRequest(context.Background(), &end); err != nil {
			return err
		}
	case "refresh":
		w.refresh()
	case "stop":
		w.step(plan.Stopping{})
	case "crash":
		w.crash()
		w.step()
	case "reload":
		w.load(w.state, false)
		w.step()
	case "expect":
		return s.expect(args)
	default:
		return s.report(cmd, args)
	}
	return nil
}

func (s *scenario) trigger(args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	after := s.w.now
	if len(args) > 2 {
		d, err := time.ParseDuration(args[2])
		if err != nil {
			return err
		}
		after = epoch.Add(d)
	}
	s.w.trigger(manual(args[0], args[1], after))
	return nil
}

// key reads "run.task" or "run.task[index]"; the run may be of any DAG.
func (s *scenario) key(name string) (dag.Key, error) {
	run, task, ok := strings.Cut(name, ".")
	if !ok {
		return dag.Key{}, errUsage
	}
	key, err := s.run(run)
	index := -1
	if id, rest, mapped := strings.Cut(task, "["); mapped && err == nil {
		task = id
		index, err = strconv.Atoi(strings.TrimSuffix(rest, "]"))
	}
	return dag.Key{DagID: key.DagID, RunID: key.RunID, TaskID: task, MapIndex: index}, err
}

// run finds a run by its id. "DAG@N" is the Nth run of a DAG, oldest first, from 1.
func (s *scenario) run(id string) (dag.RunKey, error) {
	n := 0
	for _, r := range s.w.store.AllRuns() {
		if name, at, ok := strings.Cut(id, "@"); ok && r.DagID == name {
			if n++; strconv.Itoa(n) == at {
				return r.RunKey, nil
			}
		} else if r.RunID == id {
			return r.RunKey, nil
		}
	}
	return dag.RunKey{}, fmt.Errorf("no run %s among %v", id, s.runIDs(""))
}

func (s *scenario) runIDs(dagID string) []string {
	var ids []string
	for _, r := range s.w.store.AllRuns() {
		if dagID == "" || r.DagID == dagID {
			ids = append(ids, r.RunID)
		}
	}
	return ids
}

var kinds = map[string]executor.Kind{
	"started": executor.Started, "ok": executor.Succeeded, "skip": executor.Skipped, "fail": executor.Failed,
	"defer": executor.Deferred, "parked": executor.Parked, "fired": executor.Fired, "noted": executor.Noted,
	"reschedule": executor.Rescheduled, "interrupt": executor.Interrupted, "pushed": executor.Pushed,
}

// report reads "ok RUN.TASK [option=value]...": a report of the task's current attempt.
func (s *scenario) report(cmd string, args []string) error {
	kind, ok := kinds[cmd]
	if !ok || len(args) == 0 {
		return errUsage
	}
	key, err := s.key(args[0])
	if err != nil {
		return err
	}
	r := executor.Report{Kind: kind, Attempt: s.w.try(key)}
	switch kind {
	case executor.Deferred, executor.Parked:
		r.Deferral = &dag.Deferral{Kind: "time", Args: json.RawMessage(`{}`), Since: s.w.now}
	case executor.Fired:
		r.Deferral = &dag.Deferral{Kind: "time", Event: json.RawMessage(`{"done":true}`), Since: s.w.now}
	case executor.Noted:
		r.Deferral = &dag.Deferral{State: json.RawMessage(`{"seen":1}`)}
	case executor.Failed:
		r.Error = "boom"
	}
	for _, o := range args[1:] {
		k, v, _ := strings.Cut(o, "=")
		switch k {
		case "try":
			r.Attempt.TryNumber, err = strconv.Atoi(v)
		case "noretry":
			r.NoRetry = true
		case "retry_after":
			r.RetryAfter, err = time.ParseDuration(v)
		case "in":
			var d time.Duration
			d, err = time.ParseDuration(v)
			r.RescheduleAt = s.w.now.Add(d)
		case "follow":
			names := strings.FieldsFunc(v, func(c rune) bool { return c == ',' })
			r.Follow = &names
		case "skipall":
			r.SkipAll = true
		case "value":
			r.XComs = []store.XCom{{Name: dag.ReturnValue, Value: json.RawMessage(v)}}
		case "xcom":
			r.XComs = []store.XCom{{Name: v, Value: json.RawMessage(`1`)}}
		default:
			return errUsage
		}
	}
	s.w.report(r)
	return err
}

// expect compares: "RUN=STATE", "RUN.TASK=STATE", and with a colon in front of it
//
//	out: RUN.TASK...       exactly what the executor holds      parked: the same for the trigger loop
//	runs: DAG N            number of runs                       ids: DAG RUN...  their ids
//	try: RUN.TASK N        try number                           tries: RUN.TASK N  archived tries
//	wake: OFFSET | never   when Step wants to be called         warn: TEXT  some warning contains it
//	unmet: RUN.TASK TEXT   some reason contains it              xcom: RUN.TASK NAME JSON
//	reason: RUN TEXT       why the run failed                   dag: DAG paused|active|stale
//	error: FILE TEXT       its import error                     stale: N  dropped reports so far
//	dropped: RUN.TASK      its wait was dropped            answer: RUN.TASK TEXT  how its wait ended
//	killed: RUN.TASK       the attempt was told to end      notified: RUN[.TASK]:EVENT...   callbacks handed out
func (s *scenario) expect(args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	if strings.HasSuffix(args[0], ":") {
		return s.expectOther(strings.TrimSuffix(args[0], ":"), args[1:])
	}
	for _, a := range args {
		i := strings.LastIndex(a, "=")
		if i < 0 {
			return errUsage
		}
		name, want := a[:i], a[i+1:]
		var got string
		if strings.Contains(name, ".") {
			key, err := s.key(name)
			if err != nil {
				return err
			}
			got = "absent"
			if ti, ok := s.w.store.Task(key); ok {
				got = ti.State.String()
			}
		} else {
			key, err := s.run(name)
			if err != nil {
				return err
			}
			got = string(s.w.store.Run(key).State)
		}
		if got != want {
			return fmt.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	return nil
}

func (s *scenario) expectOther(what string, args []string) error {
	w := s.w
	rest := func(i int) string { return strings.Join(args[min(i, len(args)):], " ") }
	same := func(got, want string) error {
		if got != want {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	}
	contains := func(list []string, want string) error {
		if !slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, want) }) {
			return fmt.Errorf("%q does not contain %q", list, want)
		}
		return nil
	}
	switch what {
	case "out":
		return s.expectSet(w.out, args)
	case "parked":
		return s.expectSet(w.parked, args)
	case "notified":
		var got []string
		for _, c := range w.notified {
			name := strings.TrimSuffix(strings.TrimPrefix(string(c.Callback.Event), "on_"), "_callback")
			got = append(got, strings.TrimSuffix(instanceName(c.Key), ".")+":"+name)
		}
		return same(strings.Join(got, " "), rest(0))
	case "runs":
		return same(strconv.Itoa(len(s.runIDs(args[0]))), args[1])
	case "ids":
		return same(strings.Join(s.runIDs(args[0]), " "), rest(1))
	case "wake":
		got := "never"
		if !w.wake.IsZero() {
			got = w.wake.Sub(epoch).String()
		}
		return same(got, args[0])
	case "warn":
		return contains(w.warnings, rest(0))
	case "stale":
		return same(strconv.Itoa(w.stale), args[0])
	case "error":
		return same(w.store.ImportError(args[0]), rest(1))
	case "dag":
		row, _ := w.store.Dag(args[0])
		got := "active"
		if row.Stale {
			got = "stale"
		} else if row.IsPaused {
			got = "paused"
		}
		return same(got, args[1])
	case "reason":
		key, err := s.run(args[0])
		return errors.Join(err, same(w.store.Run(key).Reason, rest(1)))
	}
	key, err := s.key(args[0])
	if err != nil {
		return err
	}
	ti, _ := w.store.Task(key)
	switch what {
	case "try":
		return same(strconv.Itoa(ti.TryNumber), args[1])
	case "tries":
		return same(strconv.Itoa(len(w.store.Tries(key))), args[1])
	case "unmet":
		return contains(w.state.Unmet(key), rest(1))
	case "xcom":
		return same(string(w.store.XCom(key, args[1])), rest(2))
	case "dropped":
		if !w.dropped[ti.Attempt()] {
			return fmt.Errorf("not dropped: %v", w.dropped)
		}
		return nil
	case "answer":
		work := w.out[ti.Attempt()]
		if work.Instance.Deferral == nil {
			return errors.New("it is not out with an answer")
		}
		return same(string(work.Instance.Deferral.Event)+work.Instance.Deferral.Failed, rest(1))
	case "killed":
		if w.killed[ti.Attempt()] == "" {
			return fmt.Errorf("not killed: %v", w.killed)
		}
		return nil
	}
	return errUsage
}

// instanceName is how scenarios write a task instance.
func instanceName(k dag.Key) string {
	if k.MapIndex >= 0 {
		return fmt.Sprintf("%s.%s[%d]", k.RunID, k.TaskID, k.MapIndex)
	}
	return k.RunID + "." + k.TaskID
}

func (s *scenario) expectSet(set map[dag.Attempt]executor.Work, want []string) error {
	var got []string
	for a := range set {
		got = append(got, instanceName(a.Key))
	}
	for i, name := range want {
		if key, err := s.key(name); err == nil {
			want[i] = instanceName(key)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return nil
}

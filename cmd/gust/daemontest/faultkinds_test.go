//go:build linux

package daemontest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"gust/dag"
	"gust/internal/app"
	"gust/runner/edit"
	"gust/store"
)

// faultKind is something that can go wrong. do has it go wrong and tells the particulars.
type faultKind struct {
	name   string
	weight int
	do     func(*harness) string
}

var faultKinds = []faultKind{
	{"kill before a commit", 10, func(h *harness) string { return h.killAtCommit(killBefore) }},
	{"kill after a commit", 10, func(h *harness) string { return h.killAtCommit(killAfter) }},
	{killBeforeSend, 8, func(h *harness) string { return h.killAtCall(killBeforeSend) }},
	{killAfterSend, 10, func(h *harness) string { return h.killAtCall(killAfterSend) }},
	{killAfterAnswer, 8, func(h *harness) string { return h.killAtCall(killAfterAnswer) }},
	{"kill at any time", 4, (*harness).killAnyTime},
	{"stop in order", 3, (*harness).stopInOrder},
	{"requests and answers dropped", 6, (*harness).dropCalls},
	{"throttling storm", 4, (*harness).storm},
	{"service faults", 3, (*harness).serviceFaults},
	{"slow service", 3, (*harness).slowService},
	{"slow DNS", 3, (*harness).slowDNS},
	{"credentials expire", 3, (*harness).expireCredentials},
	{"clock jump", 3, (*harness).jump},
	{"full disk", 3, (*harness).fullDisk},
	{"database busy", 3, (*harness).busyDatabase},
	{"commit of unknown outcome", 4, (*harness).uncertain},
	{"second daemon", 2, (*harness).secondDaemon},
	{"clear", 5, (*harness).clear},
	{"mark a task", 5, (*harness).markTask},
	{"mark a run", 2, (*harness).markRun},
	{"stop and redrive an awaited execution", 3, (*harness).redriveAwaited},
	{"fire waits", 5, (*harness).fireWaits},
	{"cancel waits", 5, (*harness).cancelWaits},
}

// kind draws a kind of fault.
func (h *harness) kind() faultKind {
	total := 0
	for _, k := range faultKinds {
		total += k.weight
	}
	n := h.rng.IntN(total)
	for _, k := range faultKinds {
		if n -= k.weight; n < 0 {
			return k
		}
	}
	panic("unreachable: the weights add up to the total")
}

// few is a small number, often 0, sometimes much larger.
func (h *harness) few() int { return h.rng.IntN(1 << h.rng.IntN(6)) }

func (h *harness) killAtCommit(what string) string {
	skip := h.few()
	h.d.tell("commit %s %d 1", what, skip)
	return fmt.Sprintf("number %d from here; %s", skip+1, h.lethal())
}

// operations that a daemon calls, those with an effect more often.
var operations = []string{
	"StartExecution", "StartExecution", "StartExecution", "DescribeExecution", "StopExecution", "RedriveExecution", everyOperation,
}

func (h *harness) killAtCall(what string) string {
	f := apiFault{operation: operations[h.rng.IntN(len(operations))], what: what, skip: h.few() / 2, count: 1}
	h.proxy.arm(f)
	defer h.proxy.disarm()
	return fmt.Sprintf("%q number %d from here; %s", f.operation, f.skip+1, h.lethal())
}

func (h *harness) killAnyTime() string {
	after := time.Duration(h.rng.Int64N(int64(200 * time.Millisecond)))
	pause(after)
	h.d.kill()
	return "after " + after.String()
}

// stopInOrder stops the daemon with a signal, or with two.
func (h *harness) stopInOrder() string {
	h.t.Helper()
	h.d.signal(syscall.SIGTERM)
	if code := h.d.exit(); code != 0 {
		h.t.Errorf("fault %d: exit code %d after SIGTERM:\n%s", len(h.told)+1, code, h.d.log.tail(40))
	}
	return ""
}

func (h *harness) dropCalls() string {
	var texts []string
	for range 1 + h.rng.IntN(3) {
		f := apiFault{operation: operations[h.rng.IntN(len(operations))], what: dropAnswer, skip: h.few() / 2, count: 1 + h.rng.IntN(3)}
		if h.rng.IntN(3) == 0 {
			f.what = dropBeforeSend
		}
		h.proxy.arm(f)
		texts = append(texts, fmt.Sprintf("%s of %q, %d after %d", f.what, f.operation, f.count, f.skip))
	}
	return strings.Join(texts, "; ")
}

func (h *harness) storm() string {
	f := apiFault{what: throttleRequest, count: 5 + h.rng.IntN(60)}
	h.proxy.arm(f)
	return fmt.Sprintf("%d requests", f.count)
}

func (h *harness) serviceFaults() string {
	f := apiFault{what: serviceFault, count: 1 + h.rng.IntN(10), skip: h.few()}
	h.proxy.arm(f)
	return fmt.Sprintf("%d requests after %d", f.count, f.skip)
}

func (h *harness) slowService() string {
	f := apiFault{what: slowRequest, delay: time.Duration(h.rng.Int64N(int64(400 * time.Millisecond))), count: 5 + h.rng.IntN(20)}
	h.proxy.arm(f)
	return fmt.Sprintf("%d requests by %s", f.count, f.delay)
}

// slowDNS makes every connection anew, after a slow look-up.
func (h *harness) slowDNS() string {
	delay, before := time.Duration(h.rng.Int64N(int64(300*time.Millisecond))), h.names.asked.Load()
	h.names.delay.Store(int64(delay))
	h.proxy.server.Config.SetKeepAlivesEnabled(false)
	pause(delay + 100*time.Millisecond)
	h.proxy.server.Config.SetKeepAlivesEnabled(true)
	h.names.delay.Store(0)
	return fmt.Sprintf("%s, %d questions", delay, h.names.asked.Load()-before)
}

// expireCredentials has the key expire some time before the daemon is given the next. Attempts that begin meanwhile
// fail, which is no fault of theirs.
func (h *harness) expireCredentials() string {
	h.meddleWithAll()
	h.proxy.expire("AKIA-the-next")
	gap := time.Duration(h.rng.Int64N(int64(150 * time.Millisecond)))
	pause(gap)
	h.rotate()
	h.meddleWithAll() // those that have begun meanwhile
	return "for " + gap.String()
}

// jump sets the clock forward for good, or back for a moment: by less than any deadline, since what is parked while the
// clock is wrong has a deadline that is as wrong.
func (h *harness) jump() string {
	if h.rng.IntN(2) == 0 {
		by := time.Duration(1+h.rng.IntN(60)) * time.Second
		h.shift += by
		h.d.tell("clock %d", int(h.shift/time.Second))
		return "forward by " + by.String()
	}
	by := time.Duration(1+h.rng.IntN(300)) * time.Second
	h.d.tell("clock %d", int((h.shift-by)/time.Second))
	pause(time.Duration(h.rng.Int64N(int64(150 * time.Millisecond))))
	h.d.tell("clock %d", int(h.shift/time.Second))
	return "back by " + by.String()
}

// fullDisk fills the disk for a moment, or has the store say so where no small disk can be mounted.
func (h *harness) fullDisk() string {
	if !h.mounted || h.rng.IntN(2) == 0 {
		skip, count := h.few(), 1+h.rng.IntN(4)
		h.d.tell("commit %s %d %d", storeFull, skip, count)
		return fmt.Sprintf("%d commits after %d", count, skip)
	}
	h.fill()
	pause(time.Duration(h.rng.Int64N(int64(250 * time.Millisecond))))
	h.remove("home/ballast")
	return "the disk itself"
}

// busyDatabase is another process that writes for a long time: this one.
func (h *harness) busyDatabase() string {
	h.t.Helper()
	if h.rng.IntN(3) == 0 {
		skip, count := h.few(), 1+h.rng.IntN(4)
		h.d.tell("commit %s %d %d", storeBusy, skip, count)
		return fmt.Sprintf("%d commits after %d", count, skip)
	}
	length := time.Duration(h.rng.Int64N(int64(500 * time.Millisecond)))
	conn, release := h.database("gust.db")
	defer release()
	if _, err := conn.ExecContext(context.Background(), "BEGIN IMMEDIATE"); err != nil {
		return err.Error() // the daemon was faster for five seconds
	}
	pause(length)
	if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
		h.t.Error(err)
	}
	return "locked for " + length.String()
}

func (h *harness) uncertain() string {
	what := []string{uncertainBefore, uncertainAfter}[h.rng.IntN(2)]
	skip := h.few()
	h.d.tell("commit %s %d 1", what, skip)
	return fmt.Sprintf("%s, number %d from here", what, skip+1)
}

func (h *harness) secondDaemon() string {
	h.t.Helper()
	out, code := h.gust("scheduler")
	if code != 1 || !strings.Contains(out, fmt.Sprintf("process %d", h.d.cmd.Process.Pid)) {
		h.t.Errorf("fault %d: a second daemon ended with code %d:\n%s", len(h.told)+1, code, out)
	}
	return "it was refused"
}

// someRun draws an unfinished run that was triggered.
func (h *harness) someRun(a *app.App) (dag.RunKey, bool) {
	busy := h.runs(a, store.RunListParams{States: []dag.RunState{dag.RunRunning}, Types: []dag.RunType{dag.RunManual}})
	var keys []dag.RunKey
	for i := range busy {
		if !h.all[busy[i].DagID].inner {
			keys = append(keys, busy[i].RunKey)
		}
	}
	if len(keys) == 0 {
		return dag.RunKey{}, false
	}
	return keys[h.rng.IntN(len(keys))], true
}

// someTask draws a task of a run, with luck one that has begun.
func (h *harness) someTask(a *app.App, run dag.RunKey) (dag.TaskInstance, bool) {
	h.t.Helper()
	tasks, err := a.Store.TaskInstanceList(context.Background(), run)
	if err != nil {
		h.t.Fatal(err)
	}
	var some []dag.TaskInstance
	for _, ti := range tasks {
		switch ti.State {
		case dag.StateRunning, dag.StateQueued, dag.StateDeferred, dag.StateUpForRetry, dag.StateUpForReschedule:
			some = append(some, ti)
		}
	}
	if len(some) == 0 {
		some = tasks
	}
	if len(some) == 0 {
		return dag.TaskInstance{}, false
	}
	return some[h.rng.IntN(len(some))], true
}

// meddle does something to a run, so that it ends as it ends.
func (h *harness) meddle(do func(a *app.App, run dag.RunKey) string) (told string) {
	h.t.Helper()
	told = "nothing ran"
	h.with(func(a *app.App) {
		if run, ok := h.someRun(a); ok {
			h.meddled[run] = true
			told = run.DagID + " " + run.RunID + ": " + do(a, run)
		}
	})
	return told + h.perhapsKill()
}

// perhapsKill kills the daemon while it follows what people have done, or gives it all the time it takes.
func (h *harness) perhapsKill() string {
	if h.rng.IntN(2) == 0 {
		return ""
	}
	after := time.Duration(h.rng.Int64N(int64(20 * time.Millisecond)))
	pause(after)
	h.d.kill()
	return "; killed " + after.String() + " later"
}

// shortlyOrNever gives work a moment to get to where ok.
func (h *harness) shortlyOrNever(ok func() bool) {
	for limit := time.Now().Add(200 * time.Millisecond); !ok() && time.Now().Before(limit); {
		pause(5 * time.Millisecond)
	}
}

// meddleWithAll takes note that every unfinished run may end otherwise.
func (h *harness) meddleWithAll() {
	h.t.Helper()
	h.with(func(a *app.App) {
		for _, r := range h.runs(a, store.RunListParams{States: []dag.RunState{dag.RunRunning, dag.RunQueued}}) {
			h.meddled[r.RunKey] = true
		}
	})
}

func (h *harness) clear() string {
	return h.meddle(func(a *app.App, run dag.RunKey) string {
		ti, ok := h.someTask(a, run)
		if !ok {
			return "no task"
		}
		cleared, err := a.PlanClear(context.Background(), app.ClearRequest{DagIDs: []string{run.DagID}, RunID: run.RunID,
			Options: edit.ClearOptions{Tasks: regexp.MustCompile("^" + ti.TaskID + "$"), Downstream: h.rng.IntN(2) == 0}})
		if err == nil {
			err = a.Clear(context.Background(), cleared)
		}
		return fmt.Sprintf("%s (%s), %s", ti.TaskID, ti.State, h.outcome(err))
	})
}

func (h *harness) markTask() string {
	return h.meddle(func(a *app.App, run dag.RunKey) string {
		ti, ok := h.someTask(a, run)
		if !ok {
			return "no task"
		}
		to := []dag.State{dag.StateSuccess, dag.StateFailed}[h.rng.IntN(2)]
		e, err := a.PlanMarkTasks(context.Background(), run, regexp.MustCompile("^"+ti.TaskID+"$"), nil, to)
		if err == nil {
			err = h.apply(a, e)
		}
		return fmt.Sprintf("%s (%s) to %s, %s", ti.TaskID, ti.State, to, h.outcome(err))
	})
}

func (h *harness) markRun() string {
	return h.meddle(func(a *app.App, run dag.RunKey) string {
		to := []dag.RunState{dag.RunSuccess, dag.RunFailed}[h.rng.IntN(2)]
		e, err := a.PlanMarkRun(context.Background(), run, to)
		if err == nil {
			err = h.apply(a, e)
		}
		return fmt.Sprintf("to %s, %s", to, h.outcome(err))
	})
}

func (h *harness) apply(a *app.App, e *store.Edit) error {
	for _, set := range e.Tasks {
		h.marked[set.Key] = true
	}
	return a.Apply(context.Background(), e)
}

// outcome is what became of an edit. One that met a full disk or another's lock has not happened.
func (h *harness) outcome(err error) string {
	h.t.Helper()
	if err == nil {
		return "done"
	}
	if !errors.Is(err, store.ErrBusy) && !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrNotFound) {
		h.t.Errorf("fault %d: %v", len(h.told)+1, err)
	}
	return err.Error()
}

// redriveAwaited stops an execution that is waited for, and redrives it at once: somebody else works at it too.
func (h *harness) redriveAwaited() string {
	h.t.Helper()
	for _, e := range h.executions() {
		f := strings.Fields(e.by)
		if e.status != "RUNNING" || len(f) < 2 || f[0] == "held" || f[0] == "endless" {
			continue
		}
		h.meddled[dag.RunKey{DagID: f[0], RunID: f[1]}] = true
		api, release := client(h.service.Endpoint())
		defer release()
		_, err := api.StopExecution(context.Background(), &sfn.StopExecutionInput{ExecutionArn: aws.String(e.arn)})
		if h.rng.IntN(2) == 0 {
			pause(time.Duration(h.rng.Int64N(int64(50 * time.Millisecond))))
		}
		_, again := api.RedriveExecution(context.Background(), &sfn.RedriveExecutionInput{ExecutionArn: aws.String(e.arn)})
		return fmt.Sprintf("%s: %v", e.by, errors.Join(err, again))
	}
	return "none ran"
}

// smallHome mounts a small file system on the home, if it may.
func (h *harness) smallHome(size string) bool {
	h.t.Helper()
	h.mkdir("home")
	if os.Geteuid() != 0 || syscall.Mount("tmpfs", h.path("home"), "tmpfs", 0, "mode=0700,size="+size) != nil {
		h.t.Log("no small file system can be mounted: full disks are simulated in the store only")
		return false
	}
	h.t.Cleanup(func() {
		if err := syscall.Unmount(h.path("home"), syscall.MNT_DETACH); err != nil {
			h.t.Errorf("unmount: %v", err)
		}
	})
	return true
}

//go:build linux

package daemontest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"gust/dag"
	"gust/internal/app"
	"gust/store"
)

// asked is the end of a wait that people have asked for.
type asked struct {
	// fire ends it well; else it fails.
	fire bool
	// leaves is whether the execution runs on.
	leaves bool
}

var fired = asked{fire: true, leaves: true}

// unasked are the waits for executions whose end nobody has asked for, those first that have no other end.
func (h *harness) unasked(a *app.App) (some []dag.TaskInstance) {
	h.t.Helper()
	list, err := a.Store.DeferredList(context.Background(), 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	var others []dag.TaskInstance
	for _, ti := range list {
		switch _, before := h.asked[ti.Attempt()]; {
		case before || ti.Operator != startOperator:
		case ti.DagID == "endless":
			some = append(some, ti)
		default:
			others = append(others, ti)
		}
	}
	h.rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return append(some, others...)
}

// endWaits ends a few waits, one kind of end each, while the daemon runs, while it dies, or while it is gone.
func (h *harness) endWaits(kind func() asked) (told string) {
	h.t.Helper()
	if h.rng.IntN(4) == 0 {
		h.d.kill()
		told = "killed; "
	}
	h.with(func(a *app.App) {
		var list []dag.TaskInstance
		h.shortlyOrNever(func() bool {
			list = h.unasked(a)
			return len(list) > 0
		})
		if len(list) == 0 {
			told += "nothing waited"
		}
		for i := range min(len(list), 1+h.rng.IntN(3)) {
			told += h.endWait(a, &list[i], kind()) + "; "
		}
	})
	return told + h.perhapsKill()
}

func (h *harness) fireWaits() string { return h.endWaits(func() asked { return fired }) }

func (h *harness) cancelWaits() string {
	return h.endWaits(func() asked { return asked{leaves: h.rng.IntN(4) == 0} })
}

// endWait ends a wait as `gust triggers fire` and `gust triggers cancel` do.
func (h *harness) endWait(a *app.App, ti *dag.TaskInstance, what asked) string {
	h.t.Helper()
	h.meddled[ti.Run()] = true
	var err error
	if what.fire {
		_, err = a.FireWait(context.Background(), ti, nil)
	} else {
		err = a.CancelWait(context.Background(), ti, "on purpose", what.leaves)
	}
	if errors.Is(err, store.ErrConflict) {
		return err.Error() // the wait was over
	}
	if err == nil {
		h.asked[ti.Attempt()] = what
	}
	return fmt.Sprintf("%s try %d %+v, %s", ti.Key, ti.TryNumber, what, h.outcome(err))
}

// endEndless ends the waits that have no other end.
func (h *harness) endEndless(a *app.App) {
	h.t.Helper()
	for _, ti := range h.unasked(a) {
		if ti.DagID == "endless" {
			h.note("in the end: %s", h.endWait(a, &ti, fired))
		}
	}
}

// requestedEnds are the ends that were asked for, and that nobody has looked at.
func (h *harness) requestedEnds() (waiting []string) {
	h.t.Helper()
	query(h.crash, h.path("home", "gust.db"), `SELECT dag_id, run_id, task_id, try_number FROM wait_end`, func(row *sql.Rows) error {
		var dagID, run, task, try string
		err := row.Scan(&dagID, &run, &task, &try)
		waiting = append(waiting, strings.Join([]string{dagID, run, task, try}, " "))
		return err
	})
	return waiting
}

// endless waits for an execution that never ends, until people end the wait. An end that they asked for and that gets
// lost leaves the run unfinished.
func endless() pipeline {
	return pipeline{
		text: head("endless", "") + task("hold", startOperator, machine("hold"), input, "deferrable: true", patient),
		run:  dag.RunSuccess, waits: map[string]bool{"hold": true}, tasks: map[string]end{"hold": done},
	}
}

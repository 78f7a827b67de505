package runcmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/dag"
	"gust/internal/app"
	"gust/store"
)

const (
	// maxWatched bounds the runs that are watched without being named.
	maxWatched = 20
	// lookEvery is the time between two looks at the rows of the runs that are watched.
	lookEvery = 250 * time.Millisecond
)

func (c Commands) runsWatch() *cobra.Command {
	cmd := &cobra.Command{
		Use: "watch DAG_ID [RUN_ID|LOGICAL_DATE]...", Short: "Watch runs until they have ended",
		Long: `Watch runs until they have ended: those named, else all that are not finished, else the latest. On a terminal their tasks
are shown live, otherwise a line is printed for each change.

Exits with 0 when all succeed, 3 when one fails. Ctrl-C only ends the watching.`,
		ValidArgsFunction: c.CompleteRun,
		Example:           "  gust runs watch order_pipeline\n  gust runs watch order_pipeline manual__2026-11-21T10:00:00+00:00",
		Args: func(cmd *cobra.Command, args []string) error {
			return c.Arguments("DAG_ID")(cmd, args[:min(1, len(args))])
		},
	}
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		keys, err := c.chosen(cmd, a, args)
		if err != nil {
			return err
		}
		w := &watch{c: c, app: a, screen: c.Screen(c.Out)}
		for _, key := range keys {
			w.runs = append(w.runs, &watched{key: key, tasks: map[dag.Key]dag.State{}})
		}
		return w.follow(cmd.Context())
	})
	return cmd
}

// watch follows runs by their rows: the daemon is another process.
type watch struct {
	c      Commands
	app    *app.App
	screen host.Screen
	runs   []*watched
}

// watched is a run as it was seen last.
type watched struct {
	key   dag.RunKey
	run   dag.Run
	list  []dag.TaskInstance
	tasks map[dag.Key]dag.State
	// gone: it has been deleted.
	gone bool
}

func (w *watch) follow(ctx context.Context) error {
	defer w.screen.Leave()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for _, r := range w.runs {
		if run, err := w.app.Store.RunGet(ctx, r.key); err == nil && !run.State.Finished() && !w.app.SchedulerAlive() {
			w.c.Note("No daemon runs on %s: nothing happens before `gust scheduler` or `gust standalone` runs.", w.app.Config.Home())
			break
		}
	}
	for {
		over := true
		for _, r := range w.runs {
			if err := w.look(ctx, r); err != nil {
				if ctx.Err() != nil {
					return interrupted()
				}
				return err
			}
			over = over && (r.gone || r.run.State.Finished())
		}
		if w.screen.Live() {
			w.screen.Show(w.region())
		}
		if over {
			return w.outcome()
		}
		select {
		case <-ctx.Done():
			return interrupted()
		case <-tick.C:
		}
	}
}

func interrupted() error {
	return &host.ExitError{Code: host.CodeInterrupted, Err: errors.New("no longer watching: the runs go on")}
}

// look reads a run's rows. A run that has ended is read no more.
func (w *watch) look(ctx context.Context, r *watched) error {
	if r.gone || r.run.State.Finished() {
		return nil
	}
	run, err := w.app.Store.RunGet(ctx, r.key)
	if errors.Is(err, store.ErrNotFound) {
		r.gone = true
		w.line("%s %s has been deleted", r.key.DagID, r.key.RunID)
		return nil
	}
	if err != nil {
		return err
	}
	// The tasks are read after the run: when it has ended they are as they stay.
	if r.list, err = w.app.Store.TaskInstanceList(ctx, r.key); err != nil {
		return err
	}
	for i := range r.list {
		w.task(r, &r.list[i])
	}
	if run.State != r.run.State && !run.State.Finished() {
		w.line("%s %s  %s", r.key.DagID, r.key.RunID, run.State)
	}
	r.run = *run
	return nil
}

// task tells of a change, when there is no live view.
func (w *watch) task(r *watched, ti *dag.TaskInstance) {
	before, known := r.tasks[ti.Key]
	r.tasks[ti.Key] = ti.State
	if known && before == ti.State || ti.State == dag.StateNone || ti.State == dag.StateScheduled || ti.State == dag.StateQueued {
		return
	}
	text := ti.State.String()
	if d := duration(ti.StartDate, ti.EndDate); d > 0 && ti.State.Finished() {
		text += fmt.Sprintf("  (%s)", d.Round(time.Millisecond))
	}
	if ti.Error != "" && ti.State != dag.StateSuccess {
		text += "  " + firstLine(ti.Error)
	}
	name := taskName(ti)
	if len(w.runs) > 1 {
		name = r.key.RunID + "  " + name
	}
	w.line("%s  %s", name, text)
}

// line prints a line unless the live view shows it.
func (w *watch) line(format string, args ...any) {
	if !w.screen.Live() {
		w.c.Printf("%s  "+format+"\n", append([]any{w.app.Now().Format("15:04:05.000")}, args...)...)
	}
}

func taskName(ti *dag.TaskInstance) string {
	switch {
	case ti.RenderedMapIndex != "":
		return fmt.Sprintf("%s[%s]", ti.TaskID, ti.RenderedMapIndex)
	case ti.MapIndex >= 0:
		return fmt.Sprintf("%s[%d]", ti.TaskID, ti.MapIndex)
	}
	return ti.TaskID
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimRight(line, "\r")
}

// region is the live view: each run with the tasks that something happens to, as many as fit.
func (w *watch) region() []string {
	_, rows := w.screen.Size()
	room := max(3, (rows-1)/len(w.runs)-1)
	var lines []string
	for _, r := range w.runs {
		state := string(r.run.State)
		end := r.run.EndDate
		if end.IsZero() {
			end = w.app.Now()
		}
		elapsed := ""
		if d := duration(r.run.StartDate, end); d > 0 {
			elapsed = d.Round(100 * time.Millisecond).String()
		}
		lines = append(lines, fmt.Sprintf("%s %s  %s  %s  %s", r.key.DagID, r.key.RunID,
			w.c.Paint(w.screen.Colours(), state, state), elapsed, stateCounts(r.list)))
		lines = append(lines, w.tasks(r, room)...)
	}
	return lines
}

// tasks are lines of up to n tasks: all when they fit, else those that something happens to or went wrong with.
func (w *watch) tasks(r *watched, n int) []string {
	var lines []string
	for i := range r.list {
		ti := &r.list[i]
		if len(r.list) > n && (ti.State.Succeeded() || ti.State == dag.StateNone || ti.State == dag.StateScheduled) {
			continue
		}
		if len(lines) == n {
			break
		}
		state := ti.State.String()
		text := fmt.Sprintf("  %s %s  %s", w.c.Symbol(state), taskName(ti), state)
		if ti.Error != "" && ti.State != dag.StateSuccess {
			text += "  " + firstLine(ti.Error)
		}
		lines = append(lines, w.c.Paint(w.screen.Colours(), state, text))
	}
	return lines
}

// outcome prints how the runs ended.
func (w *watch) outcome() error {
	failed := false
	for _, r := range w.runs {
		if r.gone {
			continue
		}
		failed = failed || r.run.State == dag.RunFailed
		if !w.screen.Live() {
			took := duration(r.run.StartDate, r.run.EndDate).Round(time.Millisecond)
			w.c.Printf("%s %s: %s in %s\n", r.key.DagID, r.key.RunID, r.run.State, took)
		}
	}
	if failed {
		return host.Quiet(host.CodeRunFailed)
	}
	return nil
}

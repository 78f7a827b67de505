package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"gust/dag"
	"gust/internal/monitor"
	"gust/runner/triggerer"
	"gust/store"
	"gust/triggers"
)

// waits lists what is parked, with what only the daemon knows: when each wait is looked at next.
func (d *Daemon) waits(ctx context.Context, limit int) ([]monitor.Wait, error) {
	list, err := d.Store.DeferredList(ctx, limit)
	if err != nil {
		return nil, err
	}
	attempts := make([]dag.Attempt, len(list))
	for i := range list {
		attempts[i] = list[i].Attempt()
	}
	next := d.engine.triggerer.NextChecks(ctx, attempts)
	out := make([]monitor.Wait, len(list))
	for i, a := range attempts {
		out[i] = monitor.Wait{Key: a.Key, TryNumber: a.TryNumber, NextCheck: next[a]}
	}
	return out, nil
}

// askPatience bounds how long a command waits for the daemon.
const askPatience = 2 * time.Second

// NextChecks asks the daemon when the waits of task instances are looked at next. Without a daemon, or when it does not
// serve its health, nothing is known: that is no error.
func (a *App) NextChecks(ctx context.Context, limit int) map[dag.Key]time.Time {
	var list []monitor.Wait
	if !a.ask(ctx, monitor.WaitsPath, url.Values{"limit": {strconv.Itoa(limit)}}, &list) {
		return nil
	}
	out := make(map[dag.Key]time.Time, len(list))
	for i := range list {
		out[list[i].Key] = list[i].NextCheck
	}
	return out
}

// wait tells what only the daemon knows about a wait.
func (d *Daemon) wait(ctx context.Context, key dag.Key) (*monitor.ShownWait, error) {
	ti, err := d.Store.TaskInstanceGet(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := d.engine.triggerer.Show(ctx, ti.Attempt())
	if errors.Is(err, triggerer.ErrNotHeld) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := &monitor.ShownWait{
		Doing: s.Doing, Key: d.Masker.Mask(s.Key), Place: s.Place, Together: s.Together, Hears: s.HasSubject,
		Checks: s.Checks, LastCheck: s.LastCheck, NextCheck: s.NextCheck,
	}
	for _, line := range s.Explained {
		out.Explained = append(out.Explained, d.Masker.Mask(line))
	}
	return out, nil
}

// ShowWait asks the daemon about a wait; nil without a daemon that serves its health, or when it does not hold the wait.
func (a *App) ShowWait(ctx context.Context, key dag.Key) *monitor.ShownWait {
	out := &monitor.ShownWait{}
	name := url.Values{
		"dag_id": {key.DagID}, "run_id": {key.RunID}, "task_id": {key.TaskID}, "map_index": {strconv.Itoa(key.MapIndex)},
	}
	if !a.ask(ctx, monitor.WaitPath, name, out) {
		return nil
	}
	return out
}

// ask gets an answer from the running daemon; false when there is none.
func (a *App) ask(ctx context.Context, path string, query url.Values, into any) bool {
	raw, err := os.ReadFile(monitorFile(a.Config.Home()))
	if err != nil || !a.SchedulerAlive() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	address := strings.TrimSpace(string(raw)) + path + "?" + query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK && json.NewDecoder(answer.Body).Decode(into) == nil
}

// FireWait ends the wait of a task instance as if its trigger had fired with an event, by default that of a good end. It
// returns the event.
func (a *App) FireWait(ctx context.Context, ti *dag.TaskInstance, event json.RawMessage) (json.RawMessage, error) {
	if err := Waits(ti); err != nil {
		return nil, err
	}
	if event == nil {
		var err error
		if event, err = a.goodEnd(ti.Deferral); err != nil {
			return nil, err
		}
	}
	return event, a.endWait(ctx, &store.WaitEnd{Attempt: ti.Attempt(), Event: event})
}

// CancelWait ends the wait of a task instance as if its trigger had failed. What the task has started is stopped, unless
// it is left running.
func (a *App) CancelWait(ctx context.Context, ti *dag.TaskInstance, reason string, leave bool) error {
	if err := Waits(ti); err != nil {
		return err
	}
	text := "the wait was cancelled by a user"
	if reason != "" {
		text += ": " + reason
	}
	end := &store.WaitEnd{Attempt: ti.Attempt(), Failed: text}
	if !leave {
		end.Stop = text
	}
	return a.endWait(ctx, end)
}

func (a *App) endWait(ctx context.Context, end *store.WaitEnd) error {
	end.At = a.Now().UTC()
	err := a.Store.WaitEndRequest(ctx, end)
	switch {
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("the wait of task %s ended just now (%w)", end.TaskID, err)
	case errors.Is(err, store.ErrExists):
		return fmt.Errorf("the end of the wait of task %s has been asked for already; a running daemon applies it at once, another one at its start", end.TaskID)
	case err != nil:
		return err
	}
	a.Wake()
	return nil
}

// Waits refuses a task instance that is not parked.
func Waits(ti *dag.TaskInstance) error {
	if ti.State == dag.StateDeferred && ti.Deferral != nil {
		return nil
	}
	return fmt.Errorf("task %s of run %s of DAG %s does not wait: it is %s; `gust triggers list` shows what waits", ti.TaskID, ti.RunID, ti.DagID, ti.State)
}

// goodEnd is the event of a wait that ends well.
func (a *App) goodEnd(d *dag.Deferral) (json.RawMessage, error) {
	_, kinds, err := catalogs()
	if err != nil {
		return nil, err
	}
	checker, err := kinds.Checker(d.Kind)
	if err != nil {
		return nil, err
	}
	firer, ok := checker.(triggers.Firer)
	if !ok {
		return nil, fmt.Errorf("a wait of kind %s cannot be fired without saying with what; give --event", d.Kind)
	}
	event, err := firer.Fire(d.Args, a.Now())
	if err != nil {
		return nil, err
	}
	return event.Payload, nil
}

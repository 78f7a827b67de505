package engine

import (
	"context"
	"errors"

	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
)

// Deleting is the status of a state machine whose executions are being aborted.
const Deleting = "DELETING"

// DeleteMachine removes a machine. While executions of it run, the machine is DELETING and they are aborted.
func (e *Engine) DeleteMachine(ctx context.Context, m *journal.Machine) error {
	var running []int64
	err := e.journal.ExecutionsOpen(ctx, m.ID, func(o journal.OpenExecution) { running = append(running, o.ID) })
	if err != nil {
		return err
	}
	defer e.Machines.Forget(m.ARN)
	if len(running) == 0 {
		return e.journal.MachineDelete(m.ID)
	}
	if err := e.journal.MachineStatusSet(m.ID, Deleting); err != nil {
		return err
	}
	e.spawn(func() { e.finishDeletion(m, running) })
	return nil
}

// finishDeletion aborts what runs and removes the machine. When the service stops in between, the next start goes on.
func (e *Engine) finishDeletion(m *journal.Machine, running []int64) {
	for _, id := range running {
		if _, err := e.Do(id, Item{Event: interp.Abort{}}); err != nil && !errors.Is(err, ErrEnded) {
			e.log.Error("an execution of a deleted state machine could not be aborted", "execution", id, "error", err)
			return
		}
	}
	if err := e.journal.MachineDelete(m.ID); err != nil {
		e.log.Error("a state machine could not be deleted", "machine", m.ARN, "error", err)
	}
	e.Machines.Forget(m.ARN)
}

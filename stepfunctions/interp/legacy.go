package interp

import (
	"encoding/json"
	"fmt"
	"time"

	"gust/stepfunctions/jsonvalue"
)

// oldState is the JSON form in which executions were stored before the binary one. Files that hold it keep working:
// their executions are read here and written in the new form with their next step.
type oldState struct {
	Status    Status      `json:"status"`
	Output    *string     `json:"output"`
	Error     *string     `json:"error"`
	Cause     *string     `json:"cause"`
	StopTime  time.Time   `json:"stop"`
	LastEvent int64       `json:"event"`
	LastID    int64       `json:"ids"`
	LastTask  int64       `json:"tasks"`
	Draws     uint64      `json:"draws"`
	Deadline  time.Time   `json:"deadline"`
	Redrives  int         `json:"redrives"`
	RedriveAt time.Time   `json:"redriveAt"`
	Threads   []oldThread `json:"threads"`
	Ready     []int64     `json:"ready"`
	Yielded   time.Time   `json:"yielded"`
}

type oldThread struct {
	ID          int64           `json:"id"`
	Parent      int64           `json:"parent"`
	Index       int             `json:"index"`
	State       string          `json:"state"`
	Phase       phase           `json:"phase"`
	Input       jsonvalue.Value `json:"input"`
	Previous    int64           `json:"previous"`
	Entered     int64           `json:"entered"`
	EnteredAt   time.Time       `json:"enteredAt"`
	Wake        time.Time       `json:"wake"`
	TimeoutAt   time.Time       `json:"timeoutAt"`
	HeartbeatAt time.Time       `json:"heartbeatAt"`
	TaskID      int64           `json:"task"`
	TaskInput   jsonvalue.Value `json:"taskInput"`
	Attempts    []int64         `json:"attempts"`
	RetryCount  int64           `json:"retries"`
	Variables   jsonvalue.Value `json:"variables"`
	Fork        *oldFork        `json:"fork"`
}

type oldFork struct {
	Items   []jsonvalue.Value `json:"items"`
	Results []jsonvalue.Value `json:"results"`
	Done    []bool            `json:"done"`
	Next    int               `json:"next"`
	Limit   int               `json:"limit"`
}

// restoreOld reads the JSON form.
func (x *Execution) restoreOld(snapshot []byte) error {
	var old oldState
	if err := json.Unmarshal(snapshot, &old); err != nil {
		return fmt.Errorf("%w: %w", errSnapshot, err)
	}
	x.state = state{
		status: old.Status, output: old.Output, err: old.Error, cause: old.Cause, stopTime: old.StopTime,
		lastEvent: old.LastEvent, lastID: old.LastID, lastTask: old.LastTask, draws: old.Draws, deadline: old.Deadline,
		redrives: old.Redrives, redriveAt: old.RedriveAt, yielded: old.Yielded,
	}
	if x.state.deadline.IsZero() {
		x.now = x.info.StartTime
		x.setDeadline()
	}
	threads, parents := map[int64]*thread{}, map[int64]int64{}
	for i := range old.Threads {
		t, err := x.oldThread(&old.Threads[i])
		if err != nil {
			return err
		}
		threads[t.id] = t
		if p := old.Threads[i].Parent; p != 0 {
			parents[t.id] = p
		}
	}
	return x.assemble(threads, parents, nil, old.Ready)
}

func (x *Execution) oldThread(old *oldThread) (*thread, error) {
	t := &thread{
		id: old.ID, index: old.Index, heapIndex: -1, state: x.machine.State(old.State), phase: old.Phase, input: old.Input,
		inputText: old.Input.String(), previous: old.Previous, entered: old.Entered, enteredAt: old.EnteredAt, wake: old.Wake,
		timeoutAt: old.TimeoutAt, heartbeatAt: old.HeartbeatAt, attempts: old.Attempts, retries: old.RetryCount,
		variables: old.Variables,
	}
	if t.state == nil {
		return nil, fmt.Errorf("%w: the state %q is not in the definition", errSnapshot, old.State)
	}
	if old.TaskID != 0 {
		n := &task{id: old.TaskID, input: old.TaskInput.String()}
		if s := t.state.Task; s != nil && !t.heartbeatAt.IsZero() && s.Heartbeat != nil {
			n.heartbeat = s.Heartbeat.Value
		}
		x.setTask(t, n)
		t.phase = old.Phase
	}
	if f := old.Fork; f != nil {
		n := len(f.Done)
		if len(f.Results) != n || f.Items != nil && len(f.Items) != n || f.Next < 0 || f.Next > n {
			return nil, fmt.Errorf("%w: a fork is damaged", errSnapshot)
		}
		x.newFork(t, f.Items, n, f.Limit)
		t.phase, t.fork.next = old.Phase, f.Next
		for i, done := range f.Done {
			if done {
				t.fork.finish(i, f.Results[i])
			}
		}
	}
	return t, nil
}

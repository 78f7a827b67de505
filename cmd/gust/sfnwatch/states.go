package sfnwatch

import (
	"strconv"
	"strings"
	"time"
)

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

// Classes of a state, by what came of it. Those that graphdraw knows as states of tasks have their names.
const (
	Running = "running"
	Success = "success"
	Failed  = "failed"
	// Caught is a state that failed and went on with a Catch.
	Caught = "caught"
	// Aborted is a state that was stopped from outside.
	Aborted = "aborted"
)

// State is what came of a state so far, summed over all its visits.
type State struct {
	Name string
	// Kind is its type, such as Task.
	Kind string
	// Visits counts how often it was entered, Open those that have not ended.
	Visits, Open int
	// Failures counts failed tries.
	Failures int
	// Class is what came of the latest visit.
	Class string
	// First is when it was first entered, Last when it was last left.
	First, Last time.Time
	// Error and Cause are those of the latest failure.
	Error, Cause string
}

// Execution sums a history up. Feed it with Add.
type Execution struct {
	// Status is RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
	Status         string
	Started, Ended time.Time
	Input, Output  string
	Error, Cause   string
	// States are the states in the order they were first entered.
	States []*State

	byName map[string]*State
	// visits is the innermost open visit that each event belongs to.
	visits map[int64]*visit
	open   map[*visit]bool
	// origin is the visit that the latest failure of a Map or a Parallel came from.
	origin *visit
	failed string // the state that failed the execution
}

// visit is one stay in a state; outer is the one around it, of a Map or a Parallel.
type visit struct {
	state  *State
	outer  *visit
	failed bool // since it was entered, or since its task was tried again
}

// NewExecution returns a summary without events.
func NewExecution() *Execution {
	return &Execution{Status: "RUNNING", byName: map[string]*State{}, visits: map[int64]*visit{}, open: map[*visit]bool{}}
}

// State returns the state that an event belongs to, "" when it belongs to none.
func (x *Execution) State(e *Event) string {
	if v := x.visits[e.ID]; v != nil {
		return v.state.Name
	}
	return ""
}

// Add takes an event in. Events come in the order of their ids.
func (x *Execution) Add(e *Event) {
	at := x.visits[e.Previous]
	if kind := container(e.Type); kind != "" {
		at = x.contain(e, at, kind)
	}
	switch {
	case strings.HasSuffix(e.Type, "StateEntered"):
		at = x.enter(e, at)
	case strings.HasSuffix(e.Type, "StateExited"):
		at = x.leave(e, at)
		if at == nil {
			return
		}
		x.visits[e.ID] = at.outer
		return
	case strings.HasPrefix(e.Type, "Execution"):
		x.execution(e)
		return
	case strings.HasSuffix(e.Type, "Succeeded") && at != nil:
		at.failed = false // an earlier try had failed
	case isFailure(e.Type) && at != nil:
		at.failed = true
		at.state.Failures++
		at.state.Error, at.state.Cause = e.Get("error"), e.Get("cause")
	}
	x.visits[e.ID] = at
}

// isFailure reports the events of a failed try: TaskFailed, LambdaFunctionTimedOut, MapRunFailed, ...
func isFailure(kind string) bool {
	return strings.HasSuffix(kind, "Failed") && kind != "MapIterationFailed" || strings.HasSuffix(kind, "TimedOut")
}

// container is the kind of state that an event such as ParallelStateFailed is about, "" for other events.
func container(event string) string {
	kind, rest, found := strings.Cut(event, "State")
	if !found || kind != "Map" && kind != "Parallel" || rest != "Failed" && rest != "Succeeded" && rest != "Aborted" {
		return ""
	}
	return kind
}

// contain finds the Map or Parallel that an event is about: the one around the visit before it.
func (x *Execution) contain(e *Event, at *visit, kind string) *visit {
	if isFailure(e.Type) && (x.origin == nil || !holds(x.origin, at)) {
		x.origin = at
	}
	for v := at; v != nil; v = v.outer {
		if v.state.Kind == kind {
			return v
		}
	}
	return at
}

func (x *Execution) enter(e *Event, outer *visit) *visit {
	name := e.Get("name")
	s := x.byName[name]
	if s == nil {
		s = &State{Name: name, Kind: strings.TrimSuffix(e.Type, "StateEntered"), First: e.At}
		x.byName[name] = s
		x.States = append(x.States, s)
	}
	s.Visits++
	s.Open++
	s.Class = Running
	v := &visit{state: s, outer: outer}
	x.open[v] = true
	return v
}

// leave ends a visit. The event before an exit may belong to an inner state: the visit is the nearest of that name around it.
func (x *Execution) leave(e *Event, at *visit) *visit {
	name := e.Get("name")
	for at != nil && at.state.Name != name {
		at = at.outer
	}
	if at == nil {
		return nil
	}
	class := Success
	if at.failed {
		class = Caught
	}
	for v := range x.open {
		if v == at || !holds(v, at) {
			continue
		}
		// Inside a Parallel or Map that failed and was caught one has failed, the others were stopped.
		inner := Aborted
		if v.failed || holds(x.origin, v) {
			inner = Failed
		}
		x.close(v, inner, e.At)
	}
	x.close(at, class, e.At)
	return at
}

// close ends a visit. A state that is visited several times at once is running until the last has ended, and failed when one
// has failed.
func (x *Execution) close(v *visit, class string, at time.Time) {
	if !x.open[v] {
		return
	}
	delete(x.open, v)
	v.state.Open--
	v.state.Last = at
	if v.state.Class != Failed || class == Failed {
		v.state.Class = class
	}
	if v.state.Open > 0 && v.state.Class != Failed {
		v.state.Class = Running
	}
}

func (x *Execution) execution(e *Event) {
	switch e.Type {
	case "ExecutionStarted":
		x.Started, x.Input = e.At, e.Get("input")
		return
	case "ExecutionRedriven":
		x.Status, x.Ended, x.Error, x.Cause, x.failed = "RUNNING", time.Time{}, "", "", ""
		return
	case "ExecutionSucceeded":
		x.Status, x.Output = "SUCCEEDED", e.Get("output")
	case "ExecutionFailed":
		x.Status = "FAILED"
	case "ExecutionTimedOut":
		x.Status = "TIMED_OUT"
	case "ExecutionAborted":
		x.Status = "ABORTED"
	}
	x.Ended, x.Error, x.Cause = e.At, e.Get("error"), e.Get("cause")
	failing := x.visits[e.Previous]
	if x.origin != nil && holds(x.origin, failing) {
		failing = x.origin
	}
	if failing != nil && x.Status == "FAILED" {
		x.failed = failing.state.Name
	}
	for v := range x.open {
		class := Aborted
		if x.Status == "FAILED" && (v.failed || holds(failing, v)) {
			class = Failed
		}
		if class == Failed && v.state.Error == "" {
			v.state.Error, v.state.Cause = x.Error, x.Cause
		}
		x.close(v, class, e.At)
	}
}

// holds reports whether v is inner or one of the visits around it.
func holds(inner, v *visit) bool {
	for ; inner != nil; inner = inner.outer {
		if inner == v {
			return true
		}
	}
	return false
}

// FailedState is the innermost state that failed the execution, "" when none did.
func (x *Execution) FailedState() string { return x.failed }

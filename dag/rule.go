package dag

import "cmp"

// TriggerRule says how the states of a task's direct upstream tasks let it run. See trigger rules in Airflow.
type TriggerRule string

// Trigger rules.
const (
	AllSuccess              TriggerRule = "all_success"
	AllFailed               TriggerRule = "all_failed"
	AllDone                 TriggerRule = "all_done"
	AllDoneMinOneSuccess    TriggerRule = "all_done_min_one_success"
	AllSkipped              TriggerRule = "all_skipped"
	OneFailed               TriggerRule = "one_failed"
	OneSuccess              TriggerRule = "one_success"
	OneDone                 TriggerRule = "one_done"
	NoneFailed              TriggerRule = "none_failed"
	NoneFailedMinOneSuccess TriggerRule = "none_failed_min_one_success"
	NoneSkipped             TriggerRule = "none_skipped"
	Always                  TriggerRule = "always"
)

// TriggerRules lists every rule a file may name. "dummy" and "none_failed_or_skipped" are read as their successors.
var TriggerRules = []TriggerRule{
	AllSuccess, AllFailed, AllDone, AllDoneMinOneSuccess, AllSkipped, OneFailed, OneSuccess, OneDone,
	NoneFailed, NoneFailedMinOneSuccess, NoneSkipped, Always,
}

// Upstream counts the states of a task's direct upstream task instances.
type Upstream struct {
	Total, Success, Skipped, Failed, UpstreamFailed, Removed int
}

// Add counts one upstream task instance in state s; n is 1, or -1 to take it back.
func (u *Upstream) Add(s State, n int) {
	switch s {
	case StateSuccess:
		u.Success += n
	case StateSkipped:
		u.Skipped += n
	case StateFailed:
		u.Failed += n
	case StateUpstreamFailed:
		u.UpstreamFailed += n
	case StateRemoved:
		u.Removed += n
	}
}

// Done is the number of finished upstream task instances.
func (u Upstream) Done() int {
	return u.Success + u.Skipped + u.Failed + u.UpstreamFailed + u.Removed
}

// Verdict is a trigger rule's answer.
type Verdict struct {
	// Run is set when the rule lets the task run.
	Run bool
	// Set is the finished state the task takes at once without running ("" = none).
	Set State
}

// Evaluate applies the rule to the upstream counts, exactly as Airflow's TriggerRuleDep: a state is set as soon as it
// is certain, without waiting for the rest. Neither Run nor Set means: wait. The empty rule is all_success.
func (r TriggerRule) Evaluate(u Upstream) Verdict {
	if u.Total == 0 {
		return Verdict{Run: true}
	}
	if set := r.early(u); set != StateNone {
		return Verdict{Set: set}
	}
	return Verdict{Run: r.runs(u)}
}

// early is the state that the task takes without running, StateNone while that is open.
func (r TriggerRule) early(u Upstream) State {
	failed, done := u.Failed+u.UpstreamFailed > 0, u.Done() == u.Total
	when := func(certain bool, s State) State {
		if certain {
			return s
		}
		return StateNone
	}
	switch r {
	case AllSuccess, "":
		return cmp.Or(when(failed, StateUpstreamFailed), when(u.Skipped > 0, StateSkipped))
	case AllFailed:
		return when(u.Success+u.Skipped > 0, StateSkipped)
	case AllDoneMinOneSuccess:
		return cmp.Or(when(u.Skipped > 0, StateSkipped), when(done && u.Success == 0, StateUpstreamFailed))
	case AllSkipped:
		return when(u.Success > 0 || failed, StateSkipped)
	case OneFailed:
		return when(done && !failed, StateSkipped)
	case OneSuccess:
		return cmp.Or(when(u.Skipped == u.Total, StateSkipped), when(done && u.Success == 0, StateUpstreamFailed))
	case OneDone:
		return when(done && u.Success+u.Failed == 0, StateSkipped)
	case NoneFailed:
		return when(failed, StateUpstreamFailed)
	case NoneFailedMinOneSuccess:
		return cmp.Or(when(failed, StateUpstreamFailed), when(u.Skipped == u.Total, StateSkipped))
	case NoneSkipped:
		return when(u.Skipped > 0, StateSkipped)
	case AllDone, Always:
	}
	return StateNone
}

// runs reports whether the task may run, early having settled nothing.
func (r TriggerRule) runs(u Upstream) bool {
	switch r {
	case AllSuccess, "":
		return u.Success == u.Total
	case AllFailed:
		return u.Failed+u.UpstreamFailed == u.Total
	case AllSkipped:
		return u.Skipped == u.Total
	case OneFailed:
		return u.Failed+u.UpstreamFailed > 0
	case OneSuccess:
		return u.Success > 0
	case OneDone:
		return u.Success+u.Failed > 0
	case NoneFailed, NoneFailedMinOneSuccess:
		return u.Success+u.Skipped == u.Total
	case AllDone, AllDoneMinOneSuccess, NoneSkipped:
		return u.Done() == u.Total
	case Always:
		return true
	}
	return false
}

// WeightRule says how a task's effective priority follows from the weights around it.
type WeightRule string

// Weight rules.
const (
	WeightDownstream WeightRule = "downstream" // own weight plus all descendants' (the default)
	WeightUpstream   WeightRule = "upstream"   // own weight plus all ancestors'
	WeightAbsolute   WeightRule = "absolute"
)

// EvaluateTeardown applies the fixed rule of teardown tasks (Airflow: all_done_setup_success): it runs when everything
// before it is done and one of its setups has succeeded, whatever became of the work between them. setups counts the
// states of the setups; a teardown without setups runs when everything is done.
func EvaluateTeardown(u, setups Upstream) Verdict {
	switch {
	case u.Done() < u.Total || setups.Done() < setups.Total:
		return Verdict{}
	case setups.Total == 0 || setups.Success > 0:
		return Verdict{Run: true}
	case setups.Skipped == setups.Total:
		return Verdict{Set: StateSkipped}
	}
	return Verdict{Set: StateUpstreamFailed}
}

package dag

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
// is certain, without waiting for the rest. Neither Run nor Set means: wait.
func (r TriggerRule) Evaluate(u Upstream) Verdict {
	run := func(ok bool) Verdict { return Verdict{Run: ok} }
	set := func(s State) Verdict { return Verdict{Set: s} }
	failed := u.Failed + u.UpstreamFailed
	done := u.Done() == u.Total
	if u.Total == 0 {
		return run(true)
	}
	switch r {
	case AllSuccess:
		switch {
		case failed > 0:
			return set(StateUpstreamFailed)
		case u.Skipped > 0:
			return set(StateSkipped)
		}
		return run(u.Success == u.Total)
	case AllFailed:
		if u.Success > 0 || u.Skipped > 0 {
			return set(StateSkipped)
		}
		return run(failed == u.Total)
	case AllDone:
		return run(done)
	case AllDoneMinOneSuccess:
		switch {
		case u.Skipped > 0:
			return set(StateSkipped)
		case done && u.Success == 0:
			return set(StateUpstreamFailed)
		}
		return run(done)
	case AllSkipped:
		if u.Success > 0 || failed > 0 {
			return set(StateSkipped)
		}
		return run(u.Skipped == u.Total)
	case OneFailed:
		if failed > 0 {
			return run(true)
		}
		if done {
			return set(StateSkipped)
		}
	case OneSuccess:
		switch {
		case u.Success > 0:
			return run(true)
		case done && u.Skipped == u.Total:
			return set(StateSkipped)
		case done:
			return set(StateUpstreamFailed)
		}
	case OneDone:
		if u.Success+u.Failed > 0 {
			return run(true)
		}
		if done {
			return set(StateSkipped)
		}
	case NoneFailed:
		if failed > 0 {
			return set(StateUpstreamFailed)
		}
		return run(u.Success+u.Skipped == u.Total)
	case NoneFailedMinOneSuccess:
		switch {
		case failed > 0:
			return set(StateUpstreamFailed)
		case u.Skipped == u.Total:
			return set(StateSkipped)
		}
		return run(u.Success+u.Skipped == u.Total)
	case NoneSkipped:
		if u.Skipped > 0 {
			return set(StateSkipped)
		}
		return run(done)
	case Always:
		return run(true)
	}
	return Verdict{}
}

// WeightRule says how a task's effective priority follows from the weights around it.
type WeightRule string

// Weight rules.
const (
	WeightDownstream WeightRule = "downstream" // own weight plus all descendants' (the default)
	WeightUpstream   WeightRule = "upstream"   // own weight plus all ancestors'
	WeightAbsolute   WeightRule = "absolute"
)

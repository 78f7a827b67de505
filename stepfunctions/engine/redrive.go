package engine

import (
	"time"

	"gust/stepfunctions/history"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
)

// Bounds of a redrive.
const (
	redrivablePeriod = 14 * 24 * time.Hour
	maxExecutionTime = 365 * 24 * time.Hour
)

// The values of redriveStatus.
const (
	Redrivable         = "REDRIVABLE"
	NotRedrivable      = "NOT_REDRIVABLE"
	RedrivableByMapRun = "REDRIVABLE_BY_MAP_RUN"
)

// RedriveStatus says whether an execution can be redriven, and why not.
func RedriveStatus(e *journal.Execution, now time.Time) (status, reason string) {
	if reason = whyNotRedrivable(e, now); reason != "" {
		return NotRedrivable, reason
	}
	if e.MapRun != 0 {
		return RedrivableByMapRun, ""
	}
	return Redrivable, ""
}

// whyNotRedrivable returns why an execution cannot be redriven, or "".
func whyNotRedrivable(e *journal.Execution, now time.Time) string {
	switch {
	case e.Status == string(interp.Running) || e.Status == string(interp.Succeeded):
		return "Execution is " + e.Status + " and cannot be redriven"
	case e.LastEvent >= history.MaxEvents-1:
		return "Execution history event limit exceeded"
	case now.Sub(e.Started) > maxExecutionTime:
		return "Execution has exceeded the max execution time"
	case now.Sub(e.Stopped) > redrivablePeriod:
		return "Execution Redrivable period exceeded"
	}
	return ""
}

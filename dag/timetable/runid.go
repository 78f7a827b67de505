package timetable

import (
	"fmt"
	"strings"
	"time"

	"gust/dag"
)

// RunID is the id Airflow 3 gives a run: its type and the time it is due, as Python's isoformat prints it, for example
// "scheduled__2025-01-01T00:00:00+00:00". Microseconds appear only when they are not zero; nanoseconds are cut.
func RunID(t dag.RunType, runAfter time.Time) string { return string(t) + "__" + ISOFormat(runAfter) }

// ISOFormat prints a time as Python's datetime.isoformat does: with microseconds only when they are not zero, and
// with a numeric offset ("+00:00" for UTC).
func ISOFormat(t time.Time) string {
	if t.Nanosecond() >= 1000 {
		return t.Format("2006-01-02T15:04:05.000000-07:00")
	}
	return t.Format("2006-01-02T15:04:05-07:00")
}

// RunTypeOf recovers a run's type from its id, as Airflow does: the part before "__", or manual.
func RunTypeOf(id string) dag.RunType {
	prefix, _, ok := strings.Cut(id, "__")
	if ok {
		switch t := dag.RunType(prefix); t {
		case dag.RunScheduled, dag.RunBackfill, dag.RunAsset:
			return t
		}
	}
	return dag.RunManual
}

// maxRunID is the width of Airflow's run_id column.
const maxRunID = 250

// ValidateRunID reports whether a run id that a user chose is acceptable: 1 to 250 of the letters, digits and signs
// that Airflow's [scheduler] allowed_run_id_pattern admits, "_.~:+-".
func ValidateRunID(id string) error {
	if id == "" {
		return fmt.Errorf("the run_id is empty; leave it out to get one")
	}
	if len(id) > maxRunID {
		return fmt.Errorf("the run_id has %d characters; at most %d are allowed", len(id), maxRunID)
	}
	for _, c := range id {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.ContainsRune("_.~:+-", c):
		default:
			return fmt.Errorf("the run_id %q contains %q; letters, digits and _ . ~ : + - are allowed", id, c)
		}
	}
	return nil
}

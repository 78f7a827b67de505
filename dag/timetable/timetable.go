// Package timetable walks a DAG's schedule: which run comes next, when it is due, and which data interval it covers.
//
// The language of cron expressions and every rule about catch-up, data intervals and daylight saving time follow
// Airflow 3. A cron expression is read in the DAG's time zone on the naive wall clock: a time that daylight saving
// removes fires an hour later, a time that it repeats fires once, at the second occurrence. When the hour field covers
// all hours the schedule follows elapsed time instead and fires in every real hour.
//
// A Timetable is immutable and may be used by many goroutines. It reads no clock: now is an argument.
package timetable

import (
	"errors"
	"fmt"
	"time"

	"gust/dag"
)

// Slot is one run that a timetable proposes. All times are UTC.
type Slot struct {
	// RunAfter is when the run is due: it may be created at that time, never before.
	RunAfter time.Time
	// LogicalDate is the run's logical date: the start of its data interval.
	LogicalDate time.Time
	// IntervalStart and IntervalEnd are the data interval, of zero length for Airflow 3's trigger timetables.
	IntervalStart, IntervalEnd time.Time
}

// Restriction limits the runs that a timetable may propose.
type Restriction struct {
	// Earliest is the DAG's start_date, zero for none.
	Earliest time.Time
	// Latest is the DAG's end_date, zero for none. A run whose tick lies after it is not proposed.
	Latest time.Time
	// Catchup asks for every run that was missed. Without it only the latest one that is due is proposed.
	Catchup bool
}

// Timetable proposes runs.
type Timetable interface {
	// Next returns the next scheduled run. last is the latest scheduled run of the DAG, nil when there is none. The run
	// may be due already (RunAfter not after now) or in the future. It reports false when no run will ever follow.
	//
	// Without catch-up Next depends on now: it skips to the latest run that is due, so a DAG that is switched on at
	// 15:00 gets its run of 00:00 at once. For @continuous call it only after the previous run has ended.
	Next(last *Slot, r Restriction, now time.Time) (Slot, bool)
	// Manual is the slot of a run that is triggered by hand at runAfter: its data interval is the one Airflow infers.
	// LogicalDate is runAfter; a caller that was given another logical date replaces it.
	Manual(runAfter time.Time) Slot
	// Upcoming returns the next n clock slots that are due strictly after the given time, without regard to start
	// date, end date and catch-up. It is empty for schedules that no clock determines (none, @once, @continuous).
	// Upcoming(run.RunAfter, 1) is the end of the time in which that run is the latest (LatestOnlyOperator).
	Upcoming(after time.Time, n int) []Slot
}

// Following lists the next n scheduled runs as Next proposes them one after the other, as if each ran when it is due.
// It serves `gust dags next-execution`.
func Following(t Timetable, last *Slot, r Restriction, now time.Time, n int) []Slot {
	var slots []Slot
	for len(slots) < n {
		s, ok := t.Next(last, r, now)
		if !ok || last != nil && !s.RunAfter.After(last.RunAfter) {
			break
		}
		slots = append(slots, s)
		last = &s
		if s.RunAfter.After(now) {
			now = s.RunAfter
		}
	}
	return slots
}

// Validate reports what is wrong with a schedule: a cron expression or a time zone that cannot be read, an expression
// that never matches, a period that is not positive. tz is the DAG's time zone. The error is an *Error.
func Validate(s dag.Schedule, tz string) error {
	_, err := New(s, tz)
	return err
}

// New builds the timetable of a schedule. tz is the DAG's time zone, used unless the schedule names its own; empty
// means UTC. The error is an *Error.
func New(s dag.Schedule, tz string) (Timetable, error) {
	if s.Timezone != "" {
		tz = s.Timezone
	}
	loc, err := location(tz)
	if err != nil {
		return nil, err
	}
	switch s.Kind {
	case dag.ScheduleNone, "":
		return none{}, nil
	case dag.ScheduleAsset: // runs are made by events of assets
		return none{}, nil
	case dag.ScheduleAssetOrTime:
		if s.Time == nil {
			return nil, &Error{Problem: "the schedule by assets or time has no time"}
		}
		return New(*s.Time, tz)
	case dag.ScheduleEvents:
		return newEvents(s.Dates)
	case dag.ScheduleOnce:
		return once{}, nil
	case dag.ScheduleContinuous:
		return continuous{}, nil
	case dag.ScheduleCron, dag.ScheduleCronInterval:
		if len(s.Cron) != 1 {
			return nil, &Error{Problem: fmt.Sprintf("one cron expression is needed, got %d", len(s.Cron))}
		}
		if s.Kind == dag.ScheduleCronInterval {
			c, err := newCron(s.Cron[0], loc)
			if err != nil {
				return nil, err
			}
			return cronInterval{c}, nil
		}
		return newCronTrigger(s, s.Cron[0], loc)
	case dag.ScheduleMultiCron:
		return newMultiCron(s, loc)
	case dag.ScheduleDelta, dag.ScheduleDeltaIntvl:
		p, err := newPeriod(s)
		if err != nil {
			return nil, err
		}
		if s.Kind == dag.ScheduleDeltaIntvl {
			return deltaInterval{p}, nil
		}
		return deltaTrigger{p, s.Interval}, nil
	}
	return nil, &Error{Problem: fmt.Sprintf("unknown schedule kind %q", s.Kind)}
}

// Error says what is wrong with a schedule.
type Error struct {
	// Field is the part of the cron expression ("minute", "day of month"), or "time zone", or "".
	Field string
	// Problem says what was wrong, lower case, without a full stop.
	Problem string
	// Expected says what would have been right, or is empty.
	Expected string
	// Nearest is the nearest valid name, or empty.
	Nearest string
}

func (e *Error) Error() string {
	s := e.Problem
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Expected != "" {
		s += "; expected " + e.Expected
	}
	if e.Nearest != "" {
		s += fmt.Sprintf("; did you mean %q?", e.Nearest)
	}
	return s
}

func within(expr string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.Problem = fmt.Sprintf("%s in cron expression %q", e.Problem, expr)
	}
	return err
}

// exact is a slot with a data interval of zero length.
func exact(t time.Time) Slot { return interval(t, t) }

// interval is the slot of a data interval: due at its end, with its start as the logical date.
func interval(start, end time.Time) Slot {
	start, end = start.UTC(), end.UTC()
	return Slot{RunAfter: end, LogicalDate: start, IntervalStart: start, IntervalEnd: end}
}

// manual is a slot of a run triggered by hand.
func manual(start, end, runAfter time.Time) Slot {
	s := interval(start, end)
	s.RunAfter, s.LogicalDate = runAfter.UTC(), runAfter.UTC()
	return s
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// beyond reports whether t lies after the end date.
func (r Restriction) beyond(t time.Time) bool { return !r.Latest.IsZero() && t.After(r.Latest) }

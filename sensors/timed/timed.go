// Package timed holds the sensors that wait for a moment.
package timed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gust/internal/param"
	"gust/operators"
	"gust/sensors"
	"gust/triggers"
	"gust/triggers/timed"
)

// Register adds the family to the registry.
func Register(r *operators.Registry, d sensors.Defaults) error {
	return errors.Join(
		r.Register(operators.Spec{
			Name: "DateTimeSensor",
			Aliases: []string{
				"DateTimeSensorAsync",
				"airflow.sensors.date_time.DateTimeSensor", "airflow.sensors.date_time.DateTimeSensorAsync",
				"airflow.sensors.date_time_sensor.DateTimeSensor",
				"airflow.providers.standard.sensors.date_time.DateTimeSensor",
				"airflow.providers.standard.sensors.date_time.DateTimeSensorAsync",
			},
			Doc:    "Waits until a moment.",
			New:    func() operators.Operator { return sensors.New(&DateTime{}, d) },
			Sensor: true,
		}),
		r.Register(operators.Spec{
			Name: "TimeDeltaSensor",
			Aliases: []string{
				"TimeDeltaSensorAsync",
				"airflow.sensors.time_delta.TimeDeltaSensor", "airflow.sensors.time_delta.TimeDeltaSensorAsync",
				"airflow.sensors.time_delta_sensor.TimeDeltaSensor",
				"airflow.providers.standard.sensors.time_delta.TimeDeltaSensor",
				"airflow.providers.standard.sensors.time_delta.TimeDeltaSensorAsync",
			},
			Doc: "Waits until some time after the end of the run's data interval, or, for a run without one, after " +
				"the date the run was due.",
			New:    func() operators.Operator { return sensors.New(&TimeDelta{}, d) },
			Sensor: true,
		}),
		r.Register(operators.Spec{
			Name: "TimeSensor",
			Aliases: []string{
				"TimeSensorAsync",
				"airflow.sensors.time_sensor.TimeSensor", "airflow.sensors.time_sensor.TimeSensorAsync",
				"airflow.providers.standard.sensors.time.TimeSensor",
				"airflow.providers.standard.sensors.time.TimeSensorAsync",
			},
			Doc:    "Waits until a time of the day on which the task first runs.",
			New:    func() operators.Operator { return sensors.New(&TimeOfDay{}, d) },
			Sensor: true,
		}),
	)
}

// until is what the sensors of this package share: they know a moment.
type until interface {
	moment(t operators.Task) (time.Time, error)
}

func poke(u until, t operators.Task) (sensors.Verdict, error) {
	at, err := u.moment(t)
	if err != nil {
		return sensors.Verdict{}, err
	}
	t.Log().Info("Checking if the time (" + at.UTC().Format(time.RFC3339) + ") has come")
	if t.Now().Before(at) {
		return sensors.Waiting(), nil
	}
	return sensors.Done(nil), nil
}

func trigger(u until, t operators.Task) (triggers.Trigger, error) {
	at, err := u.moment(t)
	if err != nil {
		return triggers.Trigger{}, err
	}
	return timed.Args{Moment: at}.Trigger()
}

// DateTime waits until a moment (Airflow: DateTimeSensor).
type DateTime struct {
	TargetTime string `param:"target_time" template:"true" required:"true" doc:"The moment: 2024-05-01T06:30:00+02:00, or without a zone, which is UTC; a date alone is its first instant."`
	sensors.Base
}

// layouts are how a moment may be written; those without a zone are UTC.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04Z07:00", "2006-01-02 15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
	"20060102T150405Z0700", "20060102T150405", "20060102",
}

func (s *DateTime) moment(operators.Task) (time.Time, error) {
	for _, layout := range layouts {
		if at, err := time.Parse(layout, s.TargetTime); err == nil {
			return at, nil
		}
	}
	return time.Time{}, operators.Failf(
		"target_time %q is not a date and time; expected for example 2024-05-01T06:30:00+00:00", s.TargetTime)
}

// Validate checks the moment when it is known already.
func (s *DateTime) Validate() error {
	if s.TargetTime != "" {
		if _, err := s.moment(nil); err != nil {
			return err
		}
	}
	return s.Base.Validate()
}

// Poke compares the moment with the clock.
func (s *DateTime) Poke(_ context.Context, t operators.Task) (sensors.Verdict, error) {
	return poke(s, t)
}

// Trigger describes the wait.
func (s *DateTime) Trigger(_ context.Context, t operators.Task, _ triggers.Pace) (triggers.Trigger, error) {
	return trigger(s, t)
}

// Fired ends the wait.
func (s *DateTime) Fired(context.Context, operators.Task, triggers.Event) (sensors.Verdict, error) {
	return sensors.Done(nil), nil
}

// TimeDelta waits until some time after the run's data interval (Airflow: TimeDeltaSensor).
type TimeDelta struct {
	Delta param.Duration `param:"delta" required:"true" doc:"Time to wait after the end of the data interval: seconds, a timedelta, or a text such as \"90s\"."`
	sensors.Base
}

func (s *TimeDelta) moment(t operators.Task) (time.Time, error) {
	base := t.Run().IntervalEnd
	if base.IsZero() {
		base = t.Run().RunAfter
	}
	if base.IsZero() {
		return time.Time{}, errors.New("the run has neither a data interval nor a date")
	}
	return base.Add(s.Delta.Std()), nil
}

// Poke compares the moment with the clock.
func (s *TimeDelta) Poke(_ context.Context, t operators.Task) (sensors.Verdict, error) {
	return poke(s, t)
}

// Trigger describes the wait.
func (s *TimeDelta) Trigger(_ context.Context, t operators.Task, _ triggers.Pace) (triggers.Trigger, error) {
	return trigger(s, t)
}

// Fired ends the wait.
func (s *TimeDelta) Fired(context.Context, operators.Task, triggers.Event) (sensors.Verdict, error) {
	return sensors.Done(nil), nil
}

// TimeOfDay waits until a time of the day (Airflow: TimeSensor).
type TimeOfDay struct {
	TargetTime string `param:"target_time" template:"true" required:"true" doc:"The time of the day: 06:30 or 06:30:00, on the day on which the task first runs."`
	Timezone   string `param:"timezone" default:"UTC" doc:"IANA name of the zone of target_time, for example Europe/Berlin."`
	sensors.Base
}

func (s *TimeOfDay) moment(t operators.Task) (time.Time, error) {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		return time.Time{}, operators.Failf(
			"timezone %q is not known; expected an IANA name such as Europe/Berlin", s.Timezone)
	}
	for _, layout := range []string{"15:04:05", "15:04:05.999999999", "15:04"} {
		at, err := time.Parse(layout, s.TargetTime)
		if err != nil {
			continue
		}
		if t == nil {
			return at, nil
		}
		day := t.FirstStart()
		if day.IsZero() {
			day = t.Now()
		}
		y, m, d := day.In(zone).Date()
		return time.Date(y, m, d, at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), zone), nil
	}
	return time.Time{}, operators.Failf(
		"target_time %q is not a time of the day; expected for example 06:30:00", s.TargetTime)
}

// Validate checks the time when it is known already.
func (s *TimeOfDay) Validate() error {
	if s.TargetTime != "" {
		if _, err := s.moment(nil); err != nil {
			return fmt.Errorf("TimeSensor: %w", err)
		}
	}
	return s.Base.Validate()
}

// Poke compares the moment with the clock.
func (s *TimeOfDay) Poke(_ context.Context, t operators.Task) (sensors.Verdict, error) {
	return poke(s, t)
}

// Trigger describes the wait.
func (s *TimeOfDay) Trigger(_ context.Context, t operators.Task, _ triggers.Pace) (triggers.Trigger, error) {
	return trigger(s, t)
}

// Fired ends the wait.
func (s *TimeOfDay) Fired(context.Context, operators.Task, triggers.Event) (sensors.Verdict, error) {
	return sensors.Done(nil), nil
}
